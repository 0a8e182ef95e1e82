#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A qcow2 image, by qemu-nbd: a guest uses it over its backing file, also when it is served anew;
# what is zeroed or trimmed is in the image as such.
# shellcheck source=nbd.sh
. "$(dirname "${BASH_SOURCE[0]}")/nbd.sh"
need qemu-nbd qemu-img linux.uml busybox cpio mkfs.ext4 e2fsck debugfs

mkdir "$tmp/root"
random "$tmp/root/base" 2000000
truncate -s 64M "$tmp/base.raw"
mkfs.ext4 -q -d "$tmp/root" "$tmp/base.raw"
cp "$tmp/base.raw" "$tmp/base.want"
qemu-img create -q -f qcow2 -b "$tmp/base.raw" -F raw "$tmp/image.qcow2"

serve() {
	rm -f "$tmp/q.pid"
	background qemu-nbd --socket "$tmp/q" --format qcow2 --persistent --shared 0 --discard unmap \
		--pid-file "$tmp/q.pid" "$tmp/image.qcow2"
	server=$!
	wait_for 10 test -s "$tmp/q.pid"
}
serve
daemon_start
nbd_add d0 "$tmp/q" server_cache kept reconnect_ms 100 num_queues 2 workers 2

for i in 1 2; do
	script "guest$i" <<E2
set -e
mount -t ext4 /dev/vda /mnt
md5sum /mnt/base
head -c 6000000 /dev/urandom >/mnt/from-guest-$i
sync
md5sum /mnt/from-guest-$i
fstrim /mnt
umount /mnt
E2
done
uml -d "$tmp/d0.sock:2" "$tmp/guest1" >"$tmp/out1"
# It is served by another process from now on; QEMU writes what it has before it ends.
kill "$server"
wait "$server" || true
serve
uml -d "$tmp/d0.sock:2" "$tmp/guest2" >"$tmp/out2"
uvdpa dev del d0
kill "$server"
wait "$server" || true

qemu-img check -q "$tmp/image.qcow2" || fail "the image has faults"
cmp "$tmp/base.raw" "$tmp/base.want" || fail "the backing file was changed"
qemu-img convert -O raw "$tmp/image.qcow2" "$tmp/raw"
e2fsck -fn "$tmp/raw" >"$tmp/fsck" || { cat "$tmp/fsck"; fail "the file system has faults"; }
for i in 1 2; do
	[ "$(sed -n '1s/ .*//p' "$tmp/out$i")" = "$(md5 "$tmp/root/base")" ] || fail "base differs"
	debugfs -R "dump from-guest-$i $tmp/f" "$tmp/raw" 2>/dev/null
	[ "$(sed -n '2s/ .*//p' "$tmp/out$i")" = "$(md5 "$tmp/f")" ] || fail "from-guest-$i differs"
done
