#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Operations that take time: the daemon serves others meanwhile, whoever asked may go, and nothing delays
# the end. What takes time here is a vhost-user back-end that accepts and says nothing.
. "$(dirname "$0")/cli.sh"
need socat

background socat -u "UNIX-LISTEN:$tmp/silent.sock,fork" OPEN:/dev/null
wait_for 5 test -S "$tmp/silent.sock"
daemon_start

# add NAME - in the background; its pid is in $!
add() {
	"$UVDPA" -s "$ctl" dev add name "$1" mgmtdev vhost-user socket "$tmp/silent.sock" \
		>"$tmp/$1.out" 2>"$tmp/$1.err" &
}
# under_way NAME - the device is listed and not ready
under_way() {
	[ "$(json ".dev[\"$1\"].ready" dev show)" = false ]
}
gone() {
	[ "$(json ".dev[\"$1\"]" dev show)" = null ]
}

# ---- others are served, and the operation can be called off by another client
add s0
adder=$!
wait_for 5 under_way s0
uvdpa dev add name d0 mgmtdev sim-blk capacity 1M
uvdpa dev del d0
refused s0 uvdpa dev add name s0 mgmtdev sim-blk capacity 1M
refused . uvdpa dev describe s0
uvdpa dev config show >/dev/null
kill -0 "$adder" || fail "add ended early: $(cat "$tmp/s0.err")"
uvdpa dev del s0
rc=0
wait "$adder" || rc=$?
same 1 "$rc" "status of the add that was called off"
grep -q '^Error: uvdpa: .' "$tmp/s0.err" || fail "it did not say why"
wait_for 5 gone s0

# ---- whoever asked is killed: the operation goes on, and its end harms nobody
add s1
adder=$!
wait_for 5 under_way s1
kill -KILL "$adder"
wait "$adder" 2>/dev/null || true
sleep 0.1
under_way s1 || fail "the operation ended with its client"
uvdpa dev del s1
wait_for 5 gone s1

# ---- 8 calls of one client at a time; the ninth is read when one has ended
for i in {1..8}; do
	echo '{"jsonrpc":"2.0","id":'"$i"',"method":"dev.add","params":{"name":"c'"$i"'","mgmtdev":"vhost-user","attrs":{"socket":"'"$tmp/silent.sock"'"}}}'
done >"$tmp/nine"
echo '{"jsonrpc":"2.0","id":9,"method":"version"}' >>"$tmp/nine"
socat -t 30 - "UNIX-CONNECT:$ctl" <"$tmp/nine" >"$tmp/answers" &
asker=$!
wait_for 5 under_way c8
sleep 0.2
same 0 "$(wc -l <"$tmp/answers")" "answers"
uvdpa dev del c1
ninth() {
	[ "$(jq -r .id "$tmp/answers" | paste -sd ' ')" = '1 9' ]
}
wait_for 5 ninth
for i in {2..8}; do
	uvdpa dev del "c$i"
done
wait "$asker"
same 9 "$(wc -l <"$tmp/answers")" "answers"
same 8 "$(jq -c 'select(.error) | .error.data.name' "$tmp/answers" | wc -l)" "errors"

# ---- SIGTERM while operations are under way: their clients are told
add s2
adder=$!
add s3
wait_for 5 under_way s2
wait_for 5 under_way s3
begin=$(now_ms)
daemon_stop
took=$(($(now_ms) - begin))
[ "$took" -lt 2500 ] || fail "the daemon took $took ms to end"
rc=0
wait "$adder" || rc=$?
same 1 "$rc" "status of an add when the daemon ended"
grep -q '^Error: uvdpa: .*s2' "$tmp/s2.err" || fail "it was told: $(cat "$tmp/s2.err")"

# ---- run, interrupted before the device is ready
"$UVDPA" run mgmtdev vhost-user socket "$tmp/silent.sock" driver vhost-user \
	socket "$tmp/r.sock" >"$tmp/run.out" 2>"$tmp/run.err" &
run=$!
pids+=("$run")
sleep 0.5
kill -0 "$run" || fail "run ended early: $(cat "$tmp/run.err")"
begin=$(now_ms)
kill -INT "$run"
rc=0
wait "$run" || rc=$?
same 0 "$rc" "status of run"
[ $(($(now_ms) - begin)) -lt 2500 ] || fail "run took too long to end"
[ ! -s "$tmp/run.out" ] || fail "it told: $(cat "$tmp/run.out")"
