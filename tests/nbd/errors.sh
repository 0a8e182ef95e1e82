#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Each error of the server is an error of that request in the guest, and of nothing else; a slow
# server is slow.
# shellcheck source=nbd.sh
. "$(dirname "${BASH_SOURCE[0]}")/nbd.sh"
need linux.uml busybox cpio

nbd_serve "$tmp/nbd" --filter=error --filter=delay memory 16M error-pread=EIO error-pwrite=ENOSPC \
	error-file="$tmp/now" error-rate=100% delay-read=20ms
truncate -s 16M "$tmp/other"
daemon_start
nbd_add d0 "$tmp/nbd"
blk_add d1 "$tmp/other"

# The guest says what it is about to do, and does it when the other disk says so.
script guest <<'E2'
yes 0123456789abcde | dd of=/tmp/piece bs=64k count=1 iflag=fullblock 2>/dev/null
put() { dd if=/tmp/piece of="$1" bs=64k seek="$2" oflag=direct conv=notrunc 2>/dev/null; }
got() { dd if="$1" bs=64k skip="$2" count=1 iflag=direct 2>/dev/null | cmp -s - /tmp/piece; }
must() { "$@" || { echo "failed: $*"; exit 1; }; }
must_not() { ! "$@" || { echo "did not fail: $*"; exit 1; }; }
turn() {
	echo "turn $1"
	until [ "$(dd if=/dev/vdb bs=512 count=1 iflag=direct 2>/dev/null | head -c 1)" = "$1" ]; do
		sleep 0.1
	done
}
must put /dev/vda 1
must got /dev/vda 1
turn 1
must_not put /dev/vda 2
must_not got /dev/vda 1
must put /dev/vdb 2
must got /dev/vdb 2
turn 2
must got /dev/vda 1
must put /dev/vda 2
must got /dev/vda 2
echo over
E2
# turn N: when the guest has come so far
turn() {
	wait_for 60 grep -qs "^turn $1" "$tmp/o/console.log"
}
go() {
	printf %s "$1" | dd of="$tmp/other" conv=notrunc status=none
}
background uml -o "$tmp/o" -d "$tmp/d0.sock:2" -d "$tmp/d1.sock:2" "$tmp/guest" >"$tmp/out"
guest=$!
turn 1
: >"$tmp/now"
go 1
turn 2
rm "$tmp/now"
go 2
wait "$guest" || { cat "$tmp/out"; fail "the guest ended with $?"; }
grep -q '^over' "$tmp/out"
grep -q 'write of 65536 bytes at 131072: No space left' "$tmp/daemon.log" || fail "the log does not say why"
