#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A file system made here is used in the guest, and clean and complete when it comes back.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need linux.uml busybox cpio mkfs.ext4 debugfs e2fsck

mkdir "$tmp/root"
random "$tmp/root/from-host" 3000000
truncate -s 64M "$tmp/disk"
mkfs.ext4 -q -d "$tmp/root" "$tmp/disk"
daemon_start
blk_add d0 "$tmp/disk"

script guest <<'E2'
set -e
mount -t ext4 /dev/vda /mnt
md5sum /mnt/from-host
i=0
while [ $i -lt 50 ]; do
	head -c $((i * 1000)) /mnt/from-host >/mnt/small-$i
	i=$((i + 1))
done
rm /mnt/small-7
head -c 5000000 /dev/urandom >/mnt/from-guest
md5sum /mnt/from-guest
umount /mnt
E2
uml -d "$tmp/d0.sock:2" "$tmp/guest" >"$tmp/out"
uvdpa dev del d0

[ "$(sed -n '1s/ .*//p' "$tmp/out")" = "$(md5 "$tmp/root/from-host")" ] || fail "from-host differs"
e2fsck -fn "$tmp/disk" >"$tmp/fsck" || { cat "$tmp/fsck"; fail "the file system has faults"; }
debugfs -R "dump from-guest $tmp/from-guest" "$tmp/disk" 2>/dev/null
[ "$(sed -n '2s/ .*//p' "$tmp/out")" = "$(md5 "$tmp/from-guest")" ] || fail "from-guest differs"
debugfs -R "dump small-49 $tmp/small-49" "$tmp/disk" 2>/dev/null
cmp "$tmp/small-49" <(head -c 49000 "$tmp/root/from-host")
! debugfs -R 'stat small-7' "$tmp/disk" 2>/dev/null | grep Inode: >/dev/null || fail "small-7 is still there"
