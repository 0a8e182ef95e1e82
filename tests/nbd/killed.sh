#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A server is killed again and again while a guest writes and syncs, and comes back each time.
#
# kept: its cache is the page cache of this host, which stays: the guest sees that it takes long, and
#	finds all that it wrote.
# lost: nobody knows, so a sync after it fails, and so do all others until the device is reset.
# shellcheck source=nbd.sh
. "$(dirname "${BASH_SOURCE[0]}")/nbd.sh"
need linux.uml busybox cpio mkfs.ext4 debugfs e2fsck jq

truncate -s 64M "$tmp/disk"
mkfs.ext4 -q "$tmp/disk"
nbd_serve "$tmp/nbd" file "$tmp/disk"
daemon_start
nbd_add d0 "$tmp/nbd" server_cache "$1" reconnect_ms 100

# Files of known content, each synced, and what is written and not synced.
script ext4 <<'E2'
set -e
mount -t ext4 /dev/vda /mnt
echo ready
i=0
while [ $i -lt 120 ]; do
	sync=
	[ $((i % 3)) = 0 ] || sync=conv=fsync
	yes "line of file $i" | head -c 100000 | dd of=/mnt/file-$i bs=100k $sync 2>/dev/null
	i=$((i + 1))
done
umount /mnt
echo all written
E2
# Writes that are not synced for a while, and then a sync.
script raw <<'E2'
put() { tr '\0' x </dev/zero | dd of=/dev/vda bs=4k count=4 iflag=fullblock conv=notrunc "$@" 2>/dev/null; }
put conv=notrunc,fsync || { echo "not even without trouble"; exit 1; }
put oflag=direct || { echo "a write failed"; exit 1; }
echo ready
n=0
while put conv=notrunc,fsync; do
	n=$((n + 1))
	[ $n -lt 600 ] || { echo "syncs go on"; exit 1; }
	put oflag=direct
	sleep 0.1
done
! put conv=notrunc,fsync || { echo "a sync was good again"; exit 1; }
put oflag=direct || { echo "a write failed for it"; exit 1; }
echo all as it should be
E2

# kill_some TIMES
kill_some() {
	for ((n = 0; n < $1; n++)); do
		sleep "0.$((RANDOM % 5 + 1))"
		nbd_kill
		sleep 0.2
		nbd_serve "$tmp/nbd" file "$tmp/disk"
	done
}

if [ "$1" = kept ]; then
	background uml -t 120 -o "$tmp/o" -d "$tmp/d0.sock:2" "$tmp/ext4" >"$tmp/out"
	guest=$!
	wait_for 60 grep -qs '^ready' "$tmp/o/console.log"
	kill_some 4
	wait "$guest" || fail "the guest ended with $?"
	grep -q 'all written' "$tmp/out" || fail "the guest did not get to the end"
	! grep -q 'I/O error' "$tmp/o/console.log" || fail "the guest saw an error"
	uvdpa -j dev show d0 | jq -e '.dev.d0.connections_lost >= 3' >/dev/null || fail "it was not lost"
	uvdpa dev del d0
	e2fsck -fn "$tmp/disk" >"$tmp/fsck" || { cat "$tmp/fsck"; fail "the file system has faults"; }
	for i in 0 1 50 77 119; do
		debugfs -R "cat file-$i" "$tmp/disk" 2>/dev/null |
			cmp - <(yes "line of file $i" | head -c 100000) || fail "file-$i"
	done
else
	background uml -t 120 -o "$tmp/o" -d "$tmp/d0.sock:2" "$tmp/raw" >"$tmp/out"
	guest=$!
	wait_for 60 grep -qs '^ready' "$tmp/o/console.log"
	kill_some 2
	wait "$guest" || { cat "$tmp/out"; fail "the guest ended with $?"; }
	grep -q 'all as it should be' "$tmp/out"
	grep -q 'may be lost: flushes fail' "$tmp/daemon.log" || fail "the log does not say why"

	# The next guest has a disk that can be trusted again.
	script again <<-'E2'
		yes again | dd of=/dev/vda bs=4k count=4 iflag=fullblock conv=notrunc,fsync 2>/dev/null && echo good
	E2
	[ "$(uml -d "$tmp/d0.sock:2" "$tmp/again")" = good ] || fail "syncs fail after the reset"
fi
