#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The daemon's life: its socket, a second daemon, restarts, signals.
. "$(dirname "$0")/cli.sh"

daemon() {
	"$UVDPAD" --socket "$ctl" "$@"
}

# ---- options
daemon --help | grep -q '^Usage: uvdpad'
daemon --help | grep -q '^  -s, --socket PATH  '
[ "$(daemon --help | wc -L)" -le 80 ] || fail "the usage is wider than a terminal"
daemon --version | grep -Eq '^uvdpad [0-9]+\.[0-9]+'
refused 'Usage: uvdpad' daemon --nothing
refused '"word" is no option' daemon word
refused 'log level "loud" is none of' daemon --log-level loud
refused '1 to 107 bytes' "$UVDPAD" --socket "$(printf '/tmp/%0200d' 0)"
refused '--socket is empty, not PATH' "$UVDPAD" --socket ''
refused 'make folder' "$UVDPAD" --socket "$tmp/no/such/folder"

# ---- the socket: its folder is made, its mode is ours alone, it goes with the daemon
ctl=$tmp/run/uvdpad.sock
(umask 0; exec "$UVDPAD" --socket "$ctl") >"$tmp/out" 2>&1 &
daemon_pid=$!
wait_for 10 grep -q "^uvdpad: ready on $ctl" "$tmp/out"
same 'socket 600' "$(stat -c '%F %a' "$ctl")"
refused 'another daemon serves' daemon
daemon_stop
[ ! -e "$ctl" ] || fail "the socket is still there"
[ -z "$(ls -A "$tmp/run")" ] || fail "something was left in the folder"

# ---- a stale one is replaced, anything else is not
daemon_start
daemon_kill
[ -S "$ctl" ]
refused 'Connection refused; is it running' uvdpa dev show
daemon_start
same '{"dev":{}}' "$(uvdpa -j dev show)"
daemon_stop
echo precious >"$ctl"
refused 'exists and is not a socket' daemon
same precious "$(cat "$ctl")"
rm "$ctl"
# CVE-2026-1386: a link in the place of a file that root makes is not followed
ln -s "$tmp/elsewhere" "$ctl"
refused 'exists and is not a socket' daemon
[ ! -e "$tmp/elsewhere" ] || fail "the link was followed"
rm "$ctl"

# Of several that begin at once over a stale socket, one stays.
daemon_start
daemon_kill
for i in 1 2 3 4 5; do
	"$UVDPAD" --socket "$ctl" >"$tmp/out.$i" 2>&1 &
	pids+=($!)
done
one_ready() {
	[ "$(cat "$tmp"/out.? | grep -Ec 'ready|another daemon')" = 5 ]
}
wait_for 10 one_ready
same 1 "$(cat "$tmp"/out.? | grep -c ready)" "daemons that are ready"
same 4 "$(cat "$tmp"/out.? | grep -c 'another daemon serves')" "daemons that gave up"
same '{"dev":{}}' "$(uvdpa -j dev show)"
for pid in "${pids[@]}"; do
	kill "$pid" 2>/dev/null || true
	wait "$pid" || true
done

# ---- the service manager is told
background socat -u "UNIX-RECV:$tmp/notify" "OPEN:$tmp/notified,creat,append"
wait_for 5 test -S "$tmp/notify"
export NOTIFY_SOCKET=$tmp/notify
daemon_start
wait_for 5 grep -q READY=1 "$tmp/notified"
unset NOTIFY_SOCKET

# ---- SIGTERM with devices and clients: they are taken away, in time, with success
for i in 1 2 3; do
	uvdpa dev add name "d$i" mgmtdev sim-blk capacity 1M driver vhost-user socket "$tmp/d$i.sock"
done
uvdpa dev add name d4 mgmtdev sim-blk capacity 1M
background socat -u "UNIX-CONNECT:$ctl" "CREATE:$tmp/connected"
wait_for 5 test -e "$tmp/connected"
begin=$(now_ms)
daemon_stop
took=$(($(now_ms) - begin))
[ "$took" -lt 2500 ] || fail "the daemon took $took ms to end"
grep -q STOPPING=1 "$tmp/notified"
for i in 1 2 3; do
	[ ! -e "$tmp/d$i.sock" ] || fail "d$i.sock is still there"
done

# A daemon begins with nothing, whatever the one before had.
daemon_start
same '{"dev":{}}' "$(uvdpa -j dev show)"
kill -INT "$daemon_pid"
wait "$daemon_pid" || fail "SIGINT: status $?"
daemon_pid=''

# ---- without standard descriptors: nothing else gets their numbers, to be printed into
"$UVDPAD" -s "$ctl" --log-level debug <&- >&- 2>&- &
daemon_pid=$!
wait_for 20 daemon_answers
for i in 0 1 2; do
	same /dev/null "$(readlink "/proc/$daemon_pid/fd/$i")" "descriptor $i"
done
rc=0
"$UVDPA" -s "$ctl" dev show >&- 2>&- || rc=$?
same 0 $rc "status with nothing to print"
"$UVDPA" -s "$ctl" mgmtdev show >&- 2>&- || rc=$?
same 1 $rc "status without a place to print to"
daemon_stop
