#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A loop device over the file: a file system is made, filled, unmounted and found sound, on the file,
# on the image, and again when the disk comes back under another name.
# shellcheck source=file.sh
. "$(dirname "${BASH_SOURCE[0]}")/file.sh"
need losetup mkfs.ext4 e2fsck mount
[ "$(id -u)" = 0 ] || skip "not root"
losetup -f >/dev/null 2>&1 || skip "no loop devices"

loop=''
take_back() {
	mountpoint -q "$tmp/mnt" && umount -l "$tmp/mnt"
	[ -z "$loop" ] || losetup -d "$loop" 2>/dev/null || true
}

mkdir "$tmp/mnt"
truncate -s 64M "$tmp/img"
daemon_start
file_add d0 "$tmp/img"

loop=$(bounded losetup --find --show "$tmp/d0")
bounded mkfs.ext4 -q "$loop"
bounded mount "$loop" "$tmp/mnt"
random "$tmp/mnt/random" $((20 << 20))
mkdir "$tmp/mnt/many"
for i in {1..300}; do
	echo "$i" >"$tmp/mnt/many/$i"
done
sum=$(md5 "$tmp/mnt/random")
bounded umount "$tmp/mnt"
bounded losetup -d "$loop"
loop=''
bounded e2fsck -fn "$tmp/d0" >"$tmp/fsck" 2>&1 || { cat "$tmp/fsck"; fail "e2fsck of the file"; }
uvdpa dev del d0
e2fsck -fn "$tmp/img" >"$tmp/fsck" 2>&1 || { cat "$tmp/fsck"; fail "e2fsck of the image"; }

file_add d1 "$tmp/img"
bounded mount -o loop "$tmp/d1" "$tmp/mnt"
[ "$(md5 "$tmp/mnt/random")" = "$sum" ] || fail "other contents"
[ "$(cat "$tmp"/mnt/many/* | wc -l)" = 300 ] || fail "files"
bounded umount "$tmp/mnt"
