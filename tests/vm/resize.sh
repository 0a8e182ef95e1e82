#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The disk grows, and shrinks, while the guest uses it: the guest is told, and uses what is new at
# once. A file system in it is made larger without being unmounted.
#
# usage: resize.sh uml|qemu
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need busybox cpio mkfs.ext4 resize2fs e2fsck

truncate -s 32M "$tmp/disk" "$tmp/ext4"
mkfs.ext4 -q "$tmp/ext4"
daemon_start
blk_add d0 "$tmp/disk"
blk_add d1 "$tmp/ext4"

script guest <<'E2'
set -e
mib() { echo $(($(cat /sys/block/$1/size) / 2048)); }
# until DISK MIB
until_is() {
	n=0
	until [ "$(mib $1)" = $2 ]; do
		n=$((n + 1))
		[ $n -lt 900 ] || { echo "$1 has $(mib $1) MiB, not $2"; exit 1; }
		sleep 0.1
	done
}
put() { tr '\0' "$1" </dev/zero | dd of=/dev/vda bs=1M seek=$2 count=1 iflag=fullblock oflag=direct conv=notrunc 2>/dev/null; }
mount -t ext4 /dev/vdb /mnt
head -c 3000000 /dev/urandom >/mnt/before
(while :; do dd if=/dev/vda of=/dev/null bs=64k count=256 iflag=direct 2>/dev/null || exit; done) &
! put x 40 || { echo "more than there is"; exit 1; }
echo "ready"
until_is vda 64
put a 63
! put x 64 || { echo "more than 64 MiB"; exit 1; }
echo "grown"
until_is vda 100
put b 99
put c 20
echo "grown again"
until_is vda 24
! put x 50 || { echo "more than 24 MiB"; exit 1; }
put d 23
echo "shrunk"
until_is vda 40
put e 39
echo "noticed"
until_is vdb 96
resize2fs /dev/vdb 2>&1
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do cat /mnt/before; done >/mnt/after
md5sum /mnt/before /mnt/after
umount /mnt
kill $!
E2
background "$1" -o "$tmp/o" -t 120 -m 384 -f "$(command -v resize2fs)" -d "$tmp/d0.sock:2" -d "$tmp/d1.sock:2" "$tmp/guest" >"$tmp/out"
guest=${pids[-1]}
says() {
	kill -0 "$guest" 2>/dev/null || fail "the guest ended early: $(cat "$tmp/out")"
	grep -qs "^$1.\?$" "$tmp/o/console.log"
}
wait_for 120 says ready
uvdpa dev set d0 size 64M
wait_for 120 says grown
truncate -s 100M "$tmp/disk"
uvdpa dev set d0 size 0		# looks what the file has
wait_for 120 says 'grown again'
cmp <(tail -c 1M "$tmp/disk") <(head -c 1M /dev/zero | tr '\0' b)
uvdpa dev set d0 size 24M shrink on
wait_for 120 says shrunk
[ "$(stat -c %s "$tmp/disk")" = $((24 << 20)) ] || fail "the file has $(stat -c %s "$tmp/disk") bytes"
cmp <(tail -c 1M "$tmp/disk") <(head -c 1M /dev/zero | tr '\0' d)
truncate -s 40M "$tmp/disk"	# and nobody says so
wait_for 120 says noticed
cmp <(tail -c 1M "$tmp/disk") <(head -c 1M /dev/zero | tr '\0' e)
uvdpa dev set d1 size 96M
wait "$guest" || { cat "$tmp/out"; fail "the guest failed"; }
uvdpa dev del d1
e2fsck -fn "$tmp/ext4" >"$tmp/check" 2>&1 || { cat "$tmp/check"; fail "the file system has faults"; }
for f in before after; do
	debugfs -R "dump $f $tmp/$f" "$tmp/ext4" 2>/dev/null
	[ "$(sed -n "s| .*/$f$||p" "$tmp/out")" = "$(md5 "$tmp/$f")" ] || fail "$f differs"
done
