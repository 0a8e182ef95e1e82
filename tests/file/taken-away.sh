#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The disk moves to another driver while the file is open, written to, and looped: in time, its users
# get errors, what they had on the disk before is there, and the daemon is well.
# shellcheck source=file.sh
. "$(dirname "${BASH_SOURCE[0]}")/file.sh"

random "$tmp/img" $((32 << 20))
daemon_start
file_add d0 "$tmp/img"
random "$tmp/new" 65536
bounded dd if="$tmp/new" of="$tmp/d0" conv=notrunc,fsync status=none
exec 9<"$tmp/d0"

# Somebody writes all the time.
(
	while dd if=/dev/zero of="$tmp/d0" bs=64k seek=16 count=64 conv=notrunc,nocreat \
		status=none 2>/dev/null
	do :; done
) &
writer=$!
sleep 0.3

start=$SECONDS
bounded "$UVDPA" -s "$ctl" dev bind d0 vhost-user socket "$tmp/d0.sock"
[ $((SECONDS - start)) -le 4 ] || fail "took $((SECONDS - start)) s"
bounded tail --pid=$writer -f /dev/null || fail "the writer did not end"
! bounded head -c 1 <&9 2>"$tmp/err" || fail "there is still a file"
grep -q 'not connected' "$tmp/err" || fail "$(cat "$tmp/err")"
exec 9<&-
[ ! -e "$tmp/d0" ] || fail "the file is still there"
cmp -n 65536 "$tmp/img" "$tmp/new"

# And back; and the umount of an administrator ends it, too.
bounded "$UVDPA" -s "$ctl" dev bind d0 virtio file "$tmp/d0"
bounded cmp -n 65536 "$tmp/d0" "$tmp/new"
if [ "$(id -u)" = 0 ]; then
	bounded umount "$tmp/d0"
	gone() { [ ! -e "$tmp/d0" ]; }
	wait_for 5 gone
	bounded "$UVDPA" -s "$ctl" dev bind d0 virtio file "$tmp/d0"
	bounded cmp -n 65536 "$tmp/d0" "$tmp/new"
fi
