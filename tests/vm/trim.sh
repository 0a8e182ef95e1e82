#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What a guest discards, or zeroes, reads as zero and takes no room here; what is beside it stays.
# Files that it deletes and trims give their room back.
#
# usage: trim.sh uml|qemu [OPTION VALUE...]	of the device
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need busybox cpio mkfs.ext4 mkfs.xfs blkdiscard xfs_repair e2fsck
guest=$1
shift
random "$tmp/disk" $((32 << 20))
cp "$tmp/disk" "$tmp/want"
truncate -s 64k "$tmp/probe"
fallocate -p -o 0 -l 4096 "$tmp/probe" 2>/dev/null || skip "no holes in files here"
truncate -s 512M "$tmp/ext4" "$tmp/xfs"
mkfs.ext4 -q -E nodiscard "$tmp/ext4"
mkfs.xfs -q -K "$tmp/xfs"
daemon_start
for d in disk ext4 xfs; do
	blk_add $d "$tmp/$d" "$@"
done

room() { du -k "$tmp/$1" | cut -f 1; }
ext4=$(room ext4) xfs=$(room xfs)

# By its path: busybox has a blkdiscard of its own, which it prefers.
script guest <<'E2'
set -e
blkdiscard -o 4194304 -l 8388608 /dev/vda
/bin/blkdiscard -z -o 16777216 -l 4194304 /dev/vda
/bin/blkdiscard -z -o 33552896 -l 1024 /dev/vda		# less than a block of the host's
dd if=/dev/vda bs=64k iflag=direct 2>/dev/null | md5sum
for fs in ext4 xfs; do
	[ $fs = ext4 ] && dev=/dev/vdb || dev=/dev/vdc
	mount -t $fs $dev /mnt
	head -c 3000000 /dev/urandom >/mnt/stays
	for i in 0 1 2 3 4 5 6 7; do
		head -c 3000000 /dev/zero | tr '\0' x >/mnt/goes-$i
	done
	sync
	rm /mnt/goes-*
	umount /mnt		# xfs gives free what was deleted when it has the time
	mount -t $fs $dev /mnt
	fstrim /mnt
	md5sum </mnt/stays
	umount /mnt
done
E2
"$guest" -m 384 -t 120 -M xfs -f "$(command -v blkdiscard)" -d "$tmp/disk.sock:2" -d "$tmp/ext4.sock:2" \
	-d "$tmp/xfs.sock:2" "$tmp/guest" >"$tmp/out"
cat "$tmp/out"
for d in disk ext4 xfs; do
	uvdpa dev del $d
done

for range in '4 8' '16 4'; do
	dd if=/dev/zero of="$tmp/want" bs=1M seek="${range% *}" count="${range#* }" conv=notrunc status=none
done
dd if=/dev/zero of="$tmp/want" bs=512 seek=65533 count=2 conv=notrunc status=none
cmp "$tmp/disk" "$tmp/want"
[ "$(sed -n '1s/ .*//p' "$tmp/out")" = "$(md5 "$tmp/want")" ] || fail "the guest reads something else"
# What is zeroed without leave to lose its room keeps it.
[ $((($(room disk) + 512) / 1024)) = 24 ] || fail "the image has $(room disk) KiB, not 24 MiB"
[ "$(room ext4)" -lt $((ext4 + 8192)) ] || fail "ext4: $(room ext4) KiB, and had $ext4"
[ "$(room xfs)" -lt $((xfs + 8192)) ] || fail "xfs: $(room xfs) KiB, and had $xfs"
e2fsck -fn "$tmp/ext4" >"$tmp/check" 2>&1 || { cat "$tmp/check"; fail "ext4 has faults"; }
xfs_repair -n "$tmp/xfs" >"$tmp/check" 2>&1 || { cat "$tmp/check"; fail "xfs has faults"; }
