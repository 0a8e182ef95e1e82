#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest with a file system on an image, which is resized meanwhile; a snapshot of it; what was
# discarded is gone from the cluster.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need linux.uml busybox cpio mkfs.ext4 e2fsck debugfs

mkdir "$tmp/root"
random "$tmp/root/from-host" 3000000
truncate -s 64M "$tmp/disk"
mkfs.ext4 -q -d "$tmp/root" "$tmp/disk"
rbd import --no-progress --image-feature layering,exclusive-lock "$tmp/disk" used
rbd snap create --no-progress used@before
daemon_start
vm_add d0 used num_queues 2

# Part one tells by a line on the console that the image may be resized.
script guest <<'E2'
set -e
mount -t ext4 /dev/vda /mnt
md5sum /mnt/from-host
head -c 5000000 /dev/urandom >/mnt/from-guest
md5sum /mnt/from-guest
rm /mnt/from-host
echo "size $(cat /sys/block/vda/size)"
i=0
while [ "$(cat /sys/block/vda/size)" != 196608 ]; do
	i=$((i + 1))
	[ $i -lt 300 ] || exit 3
	head -c 10000 /dev/urandom >/mnt/while-resizing
	sync
	sleep 0.1
done
echo "size $(cat /sys/block/vda/size)"
umount /mnt
E2
background uml -o "$tmp/guest-dir" -d "$tmp/d0.sock:2" "$tmp/guest" >"$tmp/out"
guest=$!
wait_for 40 grep -qs '^size 131072' "$tmp/guest-dir/console.log"
rbd resize --no-progress --size 96M used
wait "$guest" || fail "the guest ended with $?: $(cat "$tmp/out")"
same "$(md5 "$tmp/root/from-host")" "$(sed -n '1s/ .*//p' "$tmp/out")" "from-host"
same "size 196608" "$(tail -n 1 "$tmp/out")"
uvdpa dev set d0 size 0

# While it is in use: another device has what was before, by the same client, which has a dozen threads.
threads() { find "/proc/$daemon_pid/task" -mindepth 1 -maxdepth 1 | wc -l; }
before=$(threads)
vm_add d1 used snapshot before
[ "$(threads)" -lt $((before + 8)) ] || fail "$before threads, and $(threads) with a second disk"
script guest <<'E2'
set -e
[ "$(cat /sys/block/vda/ro)" = 1 ]
mount -t ext4 -o ro,noload /dev/vda /mnt
md5sum /mnt/from-host
[ ! -e /mnt/from-guest ]
E2
same "$(md5 "$tmp/root/from-host")" "$(uml -d "$tmp/d1.sock:2" "$tmp/guest" | cut -c 1-32)" "the snapshot"
uvdpa dev del d1

# Zeros and holes: the objects go, and what is around stays.
used() { rbd du --format json --exact "$1" 2>/dev/null | jq '.images[-1].used_size'; }
image holes 64M --object-size 1M
vm_add d2 holes
script guest <<'E2'
set -e
cat /sys/block/vda/queue/discard_granularity /sys/block/vda/queue/optimal_io_size
head -c 16777216 /dev/urandom >/tmp/data
dd if=/tmp/data of=/dev/vda bs=1M conv=fsync 2>/dev/null
dd if=/dev/vda bs=1M count=16 2>/dev/null | cmp - /tmp/data
blkdiscard -o 4194304 -l 4194304 /dev/vda
dd if=/dev/vda bs=1M skip=4 count=4 2>/dev/null | cmp - /dev/zero 2>&1 | grep -q EOF
dd if=/dev/vda bs=1M skip=8 count=8 2>/dev/null >/tmp/rest
dd if=/tmp/data bs=1M skip=8 count=8 2>/dev/null | cmp - /tmp/rest
E2
uml -m 160 -d "$tmp/d2.sock:2" "$tmp/guest" >"$tmp/out"
same "65536 1048576" "$(tr '\n' ' ' <"$tmp/out" | sed 's/ $//')" "granularity and optimal size"
same 12582912 "$(used holes)" "bytes in the cluster"

uvdpa dev del d0
rbd export --no-progress used "$tmp/after"
e2fsck -fn "$tmp/after" >"$tmp/fsck" || { cat "$tmp/fsck"; fail "the file system has faults"; }
debugfs -R "dump from-guest $tmp/from-guest" "$tmp/after" 2>/dev/null
