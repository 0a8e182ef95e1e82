#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What a file system on a loop device over the file gives up, the image gives up: by fstrim, by the
# discard of its mount, and by blkdiscard. What it has kept is there.
# shellcheck source=file.sh
. "$(dirname "${BASH_SOURCE[0]}")/file.sh"
need losetup mount fstrim blkdiscard mkfs.ext4 e2fsck mkfs.xfs xfs_repair
[ "$(id -u)" = 0 ] || skip "not root"
losetup -f >/dev/null 2>&1 || skip "no loop devices"

loop=''
take_back() {
	mountpoint -q "$tmp/mnt" && umount -l "$tmp/mnt"
	[ -z "$loop" ] || losetup -d "$loop" 2>/dev/null || true
}

blocks() { stat -c %b "$tmp/img"; }
less() { [ "$(blocks)" -lt "$1" ]; }
# A file system may free what was deleted some time later, and discard it with the commit after that.
trimmed() {
	sync -f "$tmp/mnt"
	bounded fstrim "$tmp/mnt"
	less "$1"
}
given_up() {
	echo >"$tmp/mnt/tick"
	sync -f "$tmp/mnt"
	less "$1"
}
mib=2048	# in blocks
mkdir "$tmp/mnt"
daemon_start

# round FSTYPE FSCK [OPTION]
round() {
	local fs=$1 fsck=("${@:2}") empty full sum

	rm -f "$tmp/img"
	truncate -s 384M "$tmp/img"
	file_add d0 "$tmp/img"
	loop=$(bounded losetup --find --show "$tmp/d0")
	bounded "mkfs.$fs" -q "$loop"
	bounded mount -t "$fs" "$loop" "$tmp/mnt"
	random "$tmp/mnt/kept" $((5 << 20))
	sum=$(md5 "$tmp/mnt/kept")
	sync -f "$tmp/mnt"
	empty=$(blocks)
	random "$tmp/mnt/gone" $((40 << 20))
	sync -f "$tmp/mnt"
	full=$(blocks)
	[ "$full" -ge $((empty + 35 * mib)) ] || fail "$fs: $full blocks after $empty"
	rm "$tmp/mnt/gone"
	wait_for 30 trimmed $((full - 35 * mib))
	bounded umount "$tmp/mnt"

	# Asked for at mount, it comes with the commit of the deletion.
	bounded mount -t "$fs" -o discard "$loop" "$tmp/mnt"
	random "$tmp/mnt/gone" $((40 << 20))
	sync -f "$tmp/mnt"
	full=$(blocks)
	rm "$tmp/mnt/gone"
	wait_for 30 given_up $((full - 35 * mib))
	[ "$(md5 "$tmp/mnt/kept")" = "$sum" ] || fail "$fs: other contents"
	bounded umount "$tmp/mnt"
	bounded "${fsck[@]}" "$loop" >"$tmp/fsck" 2>&1 || { cat "$tmp/fsck"; fail "${fsck[*]}"; }
	bounded blkdiscard -f "$loop" 2>"$tmp/err" || fail "$(cat "$tmp/err")"
	less $((1 * mib)) || fail "blkdiscard: $(blocks) blocks"
	bounded cmp -n $((8 << 20)) "$loop" /dev/zero
	bounded losetup -d "$loop"
	loop=''
	uvdpa dev del d0
}

round ext4 e2fsck -fn
round xfs xfs_repair -n
