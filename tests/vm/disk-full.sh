#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The file system under a sparse image is full: the guest is told so for the requests that need
# room, and only for those; other devices do not notice.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need linux.uml busybox cpio unshare

if [ "${1:-}" != unshared ]; then
	ns=(unshare -m)
	[ "$(id -u)" = 0 ] || ns=(unshare -Urm)
	"${ns[@]}" mount -t tmpfs none "$tmp" 2>/dev/null || skip "no right to mount a small tmpfs"
	"${ns[@]}" bash "$0" unshared
	exit
fi

mount -t tmpfs -o size=8M none /mnt	# of this namespace
truncate -s 64M /mnt/disk "$tmp/disk"
daemon_start
blk_add d0 /mnt/disk
blk_add d1 "$tmp/disk"

script guest <<'E2'
yes 0123456789abcde | dd of=/tmp/piece bs=64k count=1 iflag=fullblock 2>/dev/null
put() { dd if=/tmp/piece of="$1" bs=64k seek="$2" oflag=direct conv=notrunc 2>/dev/null; }
got() { dd if="$1" bs=64k skip="$2" count=1 iflag=direct 2>/dev/null | cmp -s - /tmp/piece; }
n=0
while put /dev/vda $n; do
	n=$((n + 1))
	[ $n -lt 200 ] || { echo "never full"; exit 1; }
done
echo "$n pieces"
i=0
while [ $i -lt $n ]; do
	got /dev/vda $i || { echo "piece $i is not what it was"; exit 1; }
	i=$((i + 1))
done
put /dev/vda 0 || { echo "no room for what has its place"; exit 1; }
! put /dev/vda 500 || { echo "room again?"; exit 1; }
put /dev/vdb 500 && got /dev/vdb 500 || { echo "the other disk"; exit 1; }
E2
uml -d "$tmp/d0.sock:2" -d "$tmp/d1.sock:2" "$tmp/guest" | tee "$tmp/out"
n=$(sed -n 's/ pieces$//p' "$tmp/out")
if [ "$n" -lt 100 ] || [ "$n" -gt 128 ]; then
	fail "$n pieces of 64 KiB in 8 MiB"
fi
grep -q 'No space left' "$tmp/daemon.log" || fail "the log does not say why"
uvdpa dev show d0 >/dev/null
