#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A file system is made in the guest, on a sparse disk of 100 GiB, and used all over it: what is
# written is there in the next guest, and the checker of this host finds no fault.
#
# usage: filesystem.sh uml|qemu ext4|xfs
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
guest=$1 fs=$2
need busybox cpio "mkfs.$fs"
case $fs in
ext4)	need e2fsck
	mkfs='mkfs.ext4 -q -E nodiscard,lazy_itable_init=1'
	check=(e2fsck -fn) ;;
xfs)	need xfs_repair
	mkfs='mkfs.xfs -q -K'
	check=(xfs_repair -n) ;;
esac

truncate -s 100G "$tmp/disk" 2>/dev/null || skip "no sparse file of 100 GiB here"
random "$tmp/far" $((1 << 20))
dd if="$tmp/far" of="$tmp/disk" bs=1M seek=$((100 * 1024 - 1)) conv=notrunc status=none
daemon_start
blk_add d0 "$tmp/disk" serial far-end

script first <<E2
set -e
[ "\$(cat /sys/block/vda/size)" = 209715200 ]
dd if=/dev/vda bs=1M skip=$((100 * 1024 - 1)) iflag=direct 2>/dev/null | md5sum
$mkfs /dev/vda
mount -t $fs /dev/vda /mnt
# Directories are spread over the whole of it.
for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do
	mkdir /mnt/\$i
	head -c \$((i * 50001)) /dev/urandom >/mnt/\$i/file
done
cat /mnt/*/file | md5sum
umount /mnt
E2
script second <<E2
set -e
mount -t $fs /dev/vda /mnt
cat /mnt/*/file | md5sum
umount /mnt
E2
"$guest" -M "$fs" -m 384 -t 120 -f "$(command -v "mkfs.$fs")" -d "$tmp/d0.sock:2" "$tmp/first" >"$tmp/out"
cat "$tmp/out"
[ "$(sed -n '1s/ .*//p' "$tmp/out")" = "$(md5 "$tmp/far")" ] || fail "the far end differs"
"$guest" -M "$fs" -m 384 -t 120 -d "$tmp/d0.sock:2" "$tmp/second" >"$tmp/again"
[ "$(sed -n '2s/ .*//p' "$tmp/out")" = "$(sed 's/ .*//' "$tmp/again")" ] || fail "the next guest finds other files"
uvdpa dev del d0
"${check[@]}" "$tmp/disk" >"$tmp/check" 2>&1 || { cat "$tmp/check"; fail "the file system has faults"; }
[ "$(du -m "$tmp/disk" | cut -f 1)" -lt 2048 ] || fail "the image is sparse no more"
