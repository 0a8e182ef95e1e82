#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A disk that grows under a mounted file system: the file has the new size, losetup -c tells the loop
# device, and the file system can grow into it.
# shellcheck source=file.sh
. "$(dirname "${BASH_SOURCE[0]}")/file.sh"
need losetup mount mkfs.ext4 resize2fs e2fsck blockdev
[ "$(id -u)" = 0 ] || skip "not root"
losetup -f >/dev/null 2>&1 || skip "no loop devices"

loop=''
take_back() {
	mountpoint -q "$tmp/mnt" && umount -l "$tmp/mnt"
	[ -z "$loop" ] || losetup -d "$loop" 2>/dev/null || true
}

mkdir "$tmp/mnt"
daemon_start
uvdpa dev add name d0 mgmtdev sim-blk capacity 32M capacity_max 96M driver virtio file "$tmp/d0"
loop=$(bounded losetup --find --show "$tmp/d0")
bounded mkfs.ext4 -q "$loop"
bounded mount "$loop" "$tmp/mnt"
random "$tmp/mnt/a" $((10 << 20))
sum=$(md5 "$tmp/mnt/a")

uvdpa dev set d0 size 96M
size() { [ "$(stat -c %s "$tmp/d0")" = $((96 << 20)) ]; }
wait_for 5 size
bounded losetup -c "$loop"
got=$(blockdev --getsize64 "$loop")
[ "$got" = $((96 << 20)) ] || fail "the loop device has $got bytes"
[ "$(md5 "$tmp/mnt/a")" = "$sum" ] || fail "other contents"
# Without the file system's own growing while it is mounted: that is not about disks.
bounded umount "$tmp/mnt"
bounded e2fsck -fy "$loop" >"$tmp/fsck" 2>&1 || { cat "$tmp/fsck"; fail "e2fsck"; }
bounded resize2fs "$loop" >"$tmp/resize" 2>&1 || fail "resize2fs: $(cat "$tmp/resize")"
bounded mount "$loop" "$tmp/mnt"
random "$tmp/mnt/b" $((60 << 20))
sum=$(md5 "$tmp/mnt/a" "$tmp/mnt/b")
bounded umount "$tmp/mnt"
bounded mount "$loop" "$tmp/mnt"
[ "$(md5 "$tmp/mnt/a" "$tmp/mnt/b")" = "$sum" ] || fail "other contents afterwards"
bounded umount "$tmp/mnt"
bounded e2fsck -fn "$loop" >"$tmp/fsck" 2>&1 || { cat "$tmp/fsck"; fail "e2fsck"; }
