#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The device goes while clients are busy: they get errors, at once, and nbdkit stays; or, if that was
# asked for, they wait until it is back.
# shellcheck source=nbdkit.sh
. "$(dirname "${BASH_SOURCE[0]}")/nbdkit.sh"

daemon_start
random a.img 64M
add() {
	uvdpa dev add name d0 mgmtdev blk image "$tmp/a.img" driver vhost-user socket "$tmp/d0.sock"
}
# A client that reads until it gets an error, and says which.
reader='
import sys
print("begun", flush=True)
while True:
    try:
        h.pread(65536, 0)
    except nbd.Error as e:
        print(e.errno)
        sys.exit(0)
'
begin_readers() {
	readers=()
	for i in 0 1 2; do
		shell "$reader" >"reader.$i" 2>&1 &
		readers+=($!)
		pids+=($!)
	done
	for i in 0 1 2; do
		wait_for 10 grep -q begun "reader.$i"
	done
	sleep 0.3
}

for how in del unbind kill; do
	add
	serve "$PLUGIN" "$tmp/d0.sock"
	begin_readers
	case $how in
	kill)	daemon_kill ;;
	*)	uvdpa dev $how d0 ;;
	esac
	begin=$(now_ms)
	for pid in "${readers[@]}"; do
		timeout 5 tail -q -s 0.05 --pid="$pid" -f /dev/null || fail "$how: a client hangs"
	done
	echo "$how: $(($(now_ms) - begin)) ms" >&2
	for i in 0 1 2; do
		grep -Eq '^(ESHUTDOWN|EIO)$' "reader.$i" || fail "$how: $(cat "reader.$i")"
	done
	# So does who comes later.
	shell '
try:
    h.pread(512, 0)
    assert False
except nbd.Error as e:
    assert e.errno == "ESHUTDOWN", e.errno
'
	served_no_more
	[ $how != unbind ] || uvdpa dev del d0
done

# ---- reconnect=on: what is idle meanwhile goes on
daemon_start
add
serve "$PLUGIN" "$tmp/d0.sock" reconnect=on
same 67108864 "$(info '.["export-size"]')"
uvdpa dev unbind d0
uvdpa dev bind d0 vhost-user socket "$tmp/d0.sock"
nbdcopy "$uri" b.img
cmp a.img b.img
served_no_more
