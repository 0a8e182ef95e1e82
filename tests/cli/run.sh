#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# "uvdpa run": one device without a daemon, in the foreground.
. "$(dirname "$0")/cli.sh"

# run WORDS... - in the background, until it has told how to attach
run() {
	: >"$tmp/run.out"
	"$UVDPA" run "$@" >"$tmp/run.out" 2>"$tmp/run.err" &
	run_pid=$!
	pids+=("$run_pid")
	wait_for 10 told
}
told() {
	kill -0 "$run_pid" 2>/dev/null || fail "run ended: $(cat "$tmp/run.err")"
	[ -s "$tmp/run.out" ]
}
# ends SIGNAL - with success, in time, and quietly
ends() {
	local rc=0 begin

	begin=$(now_ms)
	kill "-$1" "$run_pid"
	wait "$run_pid" || rc=$?
	same 0 "$rc" "status after $1"
	[ $(($(now_ms) - begin)) -lt 2500 ] || fail "took too long after $1"
	[ ! -s "$tmp/run.err" ] || fail "said: $(cat "$tmp/run.err")"
	[ ! -e "$tmp/r.sock" ] || fail "the socket is still there"
}

for signal in TERM INT; do
	run mgmtdev sim-blk capacity 1M driver vhost-user socket "$tmp/r.sock"
	same sim-blk: "$(head -1 "$tmp/run.out")"
	grep -q "^  socket $tmp/r.sock" "$tmp/run.out"
	[ -S "$tmp/r.sock" ] || fail "no socket"
	ends $signal
done
run mgmtdev sim-blk capacity 1M driver vhost-user socket "$tmp/r.sock" name r7
same r7: "$(head -1 "$tmp/run.out")"
ends TERM

# A peer that is connected and silent holds nothing up.
run mgmtdev sim-blk capacity 1M driver vhost-user socket "$tmp/r.sock"
background socat -u "UNIX-CONNECT:$tmp/r.sock" OPEN:/dev/null
sleep 0.2
ends TERM

run mgmtdev sim-blk capacity 1M driver vhost-user socket "$tmp/r.sock"
refused "$tmp/r.sock" "$UVDPA" run mgmtdev sim-blk capacity 1M driver vhost-user socket "$tmp/r.sock"
[ -S "$tmp/r.sock" ] || fail "the second run took the first one's socket away"
ends TERM

# A socket that a service manager has opened; none that the process has of its own.
: >"$tmp/run.out"
python3 -c 'import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
os.dup2(s.fileno(), 9)
os.execv(sys.argv[2], sys.argv[2:])' "$tmp/r.sock" \
	"$UVDPA" run mgmtdev sim-blk capacity 1M driver vhost-user fd 9 >"$tmp/run.out" 2>"$tmp/run.err" &
run_pid=$!
pids+=("$run_pid")
wait_for 10 told
grep -q "^  socket $tmp/r.sock" "$tmp/run.out"
rm "$tmp/r.sock"	# it is not ours to remove
ends TERM
own=0
for fd in {3..12}; do
	refused "fd $fd (is|was) not" "$UVDPA" run mgmtdev sim-blk capacity 1M driver vhost-user fd "$fd"
	! grep -q 'was not inherited' "$tmp/refused.err" || own=$((own + 1))
done
[ $own -gt 1 ] || fail "none of the process's own descriptors was refused as such"

refused nothing "$UVDPA" run mgmtdev nothing driver vhost-user socket "$tmp/r.sock"
refused nothing "$UVDPA" run mgmtdev sim-blk capacity 1M driver nothing
refused capacity "$UVDPA" run mgmtdev sim-blk capacity x driver vhost-user socket "$tmp/r.sock"
refused socket "$UVDPA" run mgmtdev sim-blk capacity 1M driver vhost-user
refused '"driver" needs a value' "$UVDPA" run mgmtdev sim-blk capacity 1M driver
refused 'usage: uvdpa run' "$UVDPA" run driver vhost-user socket "$tmp/r.sock"
[ ! -e "$tmp/r.sock" ] || fail "a socket is there"
