#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A server that hangs, or went for good: a device on it moves, is deleted, and the daemon ends in
# bounded time, whoever waits for a request; the others do not notice.
# shellcheck source=nbd.sh
. "$(dirname "${BASH_SOURCE[0]}")/nbd.sh"
need jq
[ -w /dev/fuse ] || skip "/dev/fuse cannot be opened"

# read_hangs: somebody waits for a request
read_hangs() {
	background timeout 60 dd if="$tmp/d" of=/dev/null bs=4k count=1 skip=$((at += 100)) iflag=direct \
		status=none 2>>"$tmp/dd.err"
	reader=$!
	sleep 0.3
	kill -0 "$reader" 2>/dev/null || fail "the read did not hang"
}
at=0
add() {
	uvdpa dev add name d mgmtdev nbd socket "$tmp/nbd" reconnect_ms 50 driver virtio file "$tmp/d"
}

for how in STOP KILL; do
	nbd_serve "$tmp/nbd" memory 16M
	daemon_start
	add
	kill -"$how" "$nbd_pid"
	sleep 0.2
	read_hangs
	uvdpa dev add name other mgmtdev sim-blk capacity 1M
	in_time 500 uvdpa dev show
	in_time 2500 uvdpa dev bind d vhost-user socket "$tmp/d.sock"
	in_time 500 uvdpa dev del other
	in_time 2500 uvdpa dev bind d virtio file "$tmp/d"
	read_hangs
	in_time 2500 uvdpa dev del d
	[ "$(uvdpa -j dev show)" = '{"dev":{}}' ] || fail "it is still there"
	kill -CONT "$nbd_pid" 2>/dev/null || nbd_serve "$tmp/nbd" memory 16M

	add
	timeout 10 dd if="$tmp/d" of=/dev/null bs=4k count=1 iflag=direct status=none || fail "not as new"
	kill -"$how" "$nbd_pid"
	sleep 0.2
	read_hangs
	in_time 4000 daemon_stop
	kill -KILL "$nbd_pid" 2>/dev/null || true
done
