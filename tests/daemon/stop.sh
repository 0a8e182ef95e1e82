#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The end, in less than two seconds from the signal: devices that are busy, requests that hang, clients in
# the middle of calls, all at once.
#
#	dd -> file (FUSE) -> daemon: virtio, blk -> file (FUSE) -> stopped process
. "$(dirname "$0")/../cli/cli.sh"
need dd fusermount3 socat jq
[ -c /dev/fuse ] || skip "no /dev/fuse"
"$UVDPA" driver help virtio | grep -q '^  file ' || skip "built without FUSE"

# To look for leaks, the sanitizer stops every thread, and these cannot be stopped.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

slow=
take_back() {
	[ -z "$slow" ] || kill -KILL "$slow" 2>/dev/null || true
	for f in "$tmp"/*.img; do
		fusermount3 -uz "$f" 2>/dev/null || true
	done
}

"$UVDPA" run mgmtdev sim-blk capacity 16M driver virtio file "$tmp/slow.img" >"$tmp/run.out" &
slow=$!
wait_for 10 test -s "$tmp/run.out"
background socat -u "UNIX-LISTEN:$tmp/silent.sock,fork" OPEN:/dev/null
wait_for 5 test -S "$tmp/silent.sock"
: >"$tmp/empty"
ln -s empty "$tmp/conf"
daemon_args=(--log-level info --config "$tmp/conf")
daemon_start

rewrite() {
	while dd if="$1" of="$1" bs=64k conv=notrunc oflag=direct status=none 2>/dev/null; do :; done
}
for i in 1 2 3; do
	uvdpa dev add name "busy$i" mgmtdev sim-blk capacity 64M driver virtio file "$tmp/busy$i.img"
	background rewrite "$tmp/busy$i.img"
done
for engine in threads auto; do
	uvdpa dev add name "hang-$engine" mgmtdev blk image "$tmp/slow.img" engine $engine readonly on \
		driver virtio file "$tmp/hang-$engine.img"
done
for i in {1..40}; do
	uvdpa dev add name "idle$i" mgmtdev sim-blk capacity 1M driver vhost-user socket "$tmp/idle$i.sock"
done
busy() {
	[ "$(json '.[][].queues[0].requests' dev vstats show "$1")" -gt 100 ]
}
for i in 1 2 3; do
	wait_for 20 busy "busy$i"
done
kill -STOP "$slow"
for engine in threads auto; do
	background dd if="$tmp/hang-$engine.img" of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null
done
in_flight() {
	[ "$(json '.[][].queues[0].kicks' dev vstats show "$1")" -gt 0 ]
}
for engine in threads auto; do
	wait_for 10 in_flight "hang-$engine"
done

# One waits for a peer that says nothing, one is in the middle of a line, one asks all the time and one
# takes no answer.
"$UVDPA" -s "$ctl" dev add name s0 mgmtdev vhost-user socket "$tmp/silent.sock" 2>"$tmp/s0.err" &
adder=$!
mkfifo "$tmp/half"
exec 7<>"$tmp/half"
printf '{"jsonrpc":' >&7
background socat -u "OPEN:$tmp/half" "UNIX-CONNECT:$ctl"
background sh -c 'while "$@"; do :; done' sh "$UVDPA" -s "$ctl" dev show >/dev/null 2>&1
background socat -u "SYSTEM:while echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"dev.show\"}'; do \\:; done" \
	"UNIX-CONNECT:$ctl"
under_way() {
	[ "$(json '.dev.s0.ready' dev show)" = false ]
}
wait_for 10 under_way

# And it reads a configuration, but for that the others did not wait.
ln -sfn slow.img "$tmp/conf"
kill -HUP "$daemon_pid"
wait_for 20 grep -q 'conf is still being read' "$tmp/daemon.log"
in_time 2000 uvdpa dev show >/dev/null

# The daemon has ended (PF_EXITING), but for the system, which lets nobody go who has a file open
# there.
exited() {
	local -a stat

	read -ra stat 2>/dev/null <"/proc/$daemon_pid/stat" || return 0
	((stat[8] & 4))
}
ended() {
	kill -TERM "$daemon_pid"
	until exited; do
		sleep 0.02
	done
}
in_time 2000 ended
grep -q 'requests are not home\|requests of a device are not home' "$tmp/daemon.log" || fail "nothing hung"
rc=0
wait "$adder" || rc=$?
same 1 "$rc" "status of an add when the daemon ended"
grep -q '^Error: uvdpa: .*s0' "$tmp/s0.err" || fail "it was told: $(cat "$tmp/s0.err")"
kill -CONT "$slow"
wait "$daemon_pid" || fail "the daemon ended with $?"
daemon_pid=''
[ ! -e "$ctl" ] || fail "the control socket is still there"
