#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The file system under a sparse image is full, and the disk is to wait for space: the guest sees a slow
# disk, "dev show" says why, and when there is space again nothing is lost and nothing has failed.
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
truncate -s 64M /mnt/disk
daemon_start
blk_add d0 /mnt/disk on_enospc pause

script guest <<'E2'
set -e
yes 0123456789abcdef | dd of=/tmp/data bs=64k count=256 iflag=fullblock 2>/dev/null
dd if=/tmp/data of=/dev/vda bs=64k oflag=direct conv=fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
dd if=/dev/vda bs=64k count=256 2>/dev/null | cmp - /tmp/data
E2
background uml -m 128 -d "$tmp/d0.sock:2" "$tmp/guest" >"$tmp/out"
paused() { uvdpa dev show d0 | grep -q "paused no space"; }
wait_for 60 paused
sleep 1
paused || fail "it went on without space"
kill -0 "${pids[0]}" || fail "the guest did not wait"
mount -o remount,size=64M /mnt
rc=0
wait "${pids[0]}" || rc=$?
cat "$tmp/out"
[ $rc = 0 ] || fail "the guest ended with $rc"
! paused || fail "still paused"
[ "$(grep -c 'paused: no space' "$tmp/daemon.log")" = 1 ] || fail "the log says it more than once"
