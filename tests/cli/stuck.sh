#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Storage that hangs: a device on it is deleted, and the daemon ends, in bounded time all the same.
#
#	dd -> file (FUSE) -> daemon: virtio, blk -> file (FUSE) -> stopped process: virtio, sim-blk
. "$(dirname "$0")/cli.sh"
need dd fusermount3
[ -c /dev/fuse ] || skip "no /dev/fuse"
"$UVDPA" driver help virtio | grep -q '^  file ' || skip "built without FUSE"

# To look for leaks, the sanitizer stops every thread, and these cannot be stopped.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

slow=
at=0	# in blocks: each time where nothing was cached
take_back() {
	[ -z "$slow" ] || kill -KILL "$slow" 2>/dev/null || true
	for f in "$tmp"/*.img; do
		fusermount3 -uz "$f" 2>/dev/null || true
	done
}

"$UVDPA" run mgmtdev sim-blk capacity 16M driver virtio file "$tmp/slow.img" >"$tmp/run.out" &
slow=$!
wait_for 10 test -s "$tmp/run.out"

# ---- nobody uses it
daemon_start
uvdpa dev add name d mgmtdev blk image "$tmp/slow.img"
uvdpa dev add name other mgmtdev sim-blk capacity 1M
kill -STOP "$slow"
in_time 2000 uvdpa dev del d
in_time 500 uvdpa dev show >/dev/null
kill -CONT "$slow"
daemon_stop

# ---- a request is on its way there
# The system may hold the image a little longer than the daemon that had it.
add() {
	uvdpa dev add name d mgmtdev blk image "$tmp/slow.img" engine "$1" \
		driver virtio file "$tmp/d.img" 2>"$tmp/add.err"
}
# read_hangs ENGINE - a device that reads from there, and somebody who waits for it
read_hangs() {
	daemon_start --log-level info
	wait_for 10 add "$1"
	dd if="$tmp/d.img" of=/dev/null bs=4k count=1 iflag=direct status=none ||
		fail "it did not even work"
	kill -STOP "$slow"
	background dd if="$tmp/d.img" of=/dev/null bs=4k count=1 skip=$((at += 512)) iflag=direct status=none \
		2>"$tmp/dd.err"
	sleep 0.5
	kill -0 $! 2>/dev/null || fail "the read did not hang"
}
# The daemon has ended (PF_EXITING), but for the system, which lets nobody go who has a file open
# there.
exited() {
	local -a stat

	read -ra stat 2>/dev/null <"/proc/$daemon_pid/stat" || return 0
	((stat[8] & 4))
}
ended() {
	kill -TERM "$daemon_pid"
	wait_for 5 exited
}

for engine in threads auto; do
	read_hangs $engine
	in_time 3500 ended
	grep -q 'requests are not home' "$tmp/daemon.log" || fail "nothing was in flight"
	kill -CONT "$slow"
	wait "$daemon_pid" || fail "the daemon ended with $?"
	daemon_pid=''
	fusermount3 -uz "$tmp/d.img" 2>/dev/null || true

	# A second signal does not wait for anything.
	read_hangs $engine
	kill -TERM "$daemon_pid"
	sleep 0.3
	in_time 500 ended
	kill -CONT "$slow"
	rc=0
	wait "$daemon_pid" || rc=$?
	same 143 "$rc" "status after the second signal"
	daemon_pid=''
	fusermount3 -uz "$tmp/d.img" 2>/dev/null || true

	read_hangs $engine
	uvdpa dev add name other mgmtdev sim-blk capacity 1M
	uvdpa dev del d &
	deleter=$!
	sleep 0.2
	in_time 500 uvdpa dev show >/dev/null
	in_time 500 uvdpa dev del other
	in_time 3500 wait "$deleter"
	same '{"dev":{}}' "$(uvdpa -j dev show)"
	kill -CONT "$slow"
	in_time 3500 daemon_stop
	fusermount3 -uz "$tmp/d.img" 2>/dev/null || true
done
