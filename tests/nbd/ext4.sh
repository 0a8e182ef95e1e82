#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A file system on a server's disk is used in a guest, and is clean and complete afterwards; what
# the guest trims gives its space back there.
# shellcheck source=nbd.sh
. "$(dirname "${BASH_SOURCE[0]}")/nbd.sh"
need linux.uml busybox cpio mkfs.ext4 debugfs e2fsck

mkdir "$tmp/root"
random "$tmp/root/from-host" 3000000
truncate -s 128M "$tmp/disk"
mkfs.ext4 -q -d "$tmp/root" "$tmp/disk"
nbd_serve "$tmp/nbd" file "$tmp/disk"
daemon_start
nbd_add d0 "$tmp/nbd"

script guest <<'E2'
set -e
mount -t ext4 /dev/vda /mnt
md5sum /mnt/from-host
head -c 50000000 /dev/urandom >/mnt/large
sync
rm /mnt/large
head -c 5000000 /dev/urandom >/mnt/from-guest
md5sum /mnt/from-guest
sync
fstrim /mnt
umount /mnt
E2
uml -d "$tmp/d0.sock:2" "$tmp/guest" >"$tmp/out"
uvdpa dev del d0

[ "$(sed -n '1s/ .*//p' "$tmp/out")" = "$(md5 "$tmp/root/from-host")" ] || fail "from-host differs"
e2fsck -fn "$tmp/disk" >"$tmp/fsck" || { cat "$tmp/fsck"; fail "the file system has faults"; }
debugfs -R "dump from-guest $tmp/from-guest" "$tmp/disk" 2>/dev/null
[ "$(sed -n '2s/ .*//p' "$tmp/out")" = "$(md5 "$tmp/from-guest")" ] || fail "from-guest differs"
used=$(du -m "$tmp/disk" | cut -f 1)
[ "$used" -lt 40 ] || fail "$used MiB in use after 50 MB were trimmed"
