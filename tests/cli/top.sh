#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# uvdpa top: what is on the screen, which keys there are, and -b.
. "$(dirname "$0")/tmux.sh"

top() {
	terminal "$1" "$2" "$UVDPA" -s "$ctl" top "${@:3}"
}

# ---- without a screen
refused 'cannot reach uvdpad' uvdpa top -b
refused 'not on a terminal; "uvdpa top -b" needs none' uvdpa top
refused 'usage: uvdpa top' uvdpa top -x
refused '"paren" is no column; did you mean "parent"' uvdpa top -o paren
refused '"colour" is no column; there are name' uvdpa top -o colour
refused '\-d 0.01: not 0.1 to 100 seconds' uvdpa top -d 0.01
refused '\-d 1x: not 0.1' uvdpa top -d 1x
refused '\-n 0: not a number of rounds' uvdpa top -b -n 0

daemon_start
uvdpa dev add name d0 mgmtdev sim-blk capacity 16M driver vhost-user socket "$tmp/d0.sock"
uvdpa dev add name d1 mgmtdev sim-blk capacity 16M driver vhost-user socket "$tmp/d1.sock"
uvdpa dev add name n0 mgmtdev sim-net
background "$UVDPA" -s "$ctl" blk bench d0 seconds 600 depth 4 >"$tmp/bench" 2>&1
in_use() {
	[ "$(json '.dev.d0.status|length' dev show d0)" -gt 0 ]
}
wait_for 20 in_use

uvdpa top -b -n 2 -d .3 >"$tmp/out"
same 2 "$(grep -c '^top - [0-9:]*, 3 devices, 2 bound, 0 to look after; each 0.3 s$' "$tmp/out")" rounds
same 2 "$(grep -c '^NAME TYPE  *PARENT  *DRIVER  *STATE  *REQ/S .* WHERE$' "$tmp/out")" titles
grep -Eq "^d0   block +sim-blk vhost-user DRIVER_OK +[0-9.k]+ .*[0-9](ns|us|ms) .* $tmp/d0.sock\$" "$tmp/out"
grep -Eq '^n0   network +sim-net - +- +0 +0 +0 +- +- +0 -$' "$tmp/out"
# The busiest is the first.
same d0 "$(grep -A1 ^NAME "$tmp/out" | sed -n '2s/ .*//p')" "first of all"
same n0 "$(uvdpa top -b -n 1 -d .1 -o type | tail -n 1 | cut -c 1-2)" "last by type"
same 'd0 ' "$(uvdpa top -b -n 1 -d .3 -i | tail -n 1 | cut -c 1-3)" "the one that is not idle"
same d1 "$(uvdpa -j top d1 -n 1 -d .1 | jq -r '.top.dev|keys[]')" "the one that is named"
uvdpa top -j -n 3 -d .2 >"$tmp/out"
same 3 "$(wc -l <"$tmp/out")" lines
jq -e '.top.dev | .d0.requests_per_second > 100 and .d0.bytes_in_per_second > 1000 and
	.d0.bytes_out_per_second < .d0.bytes_in_per_second / 1000 and .d0.took_p99_ns >= .d0.took_p50_ns and
	.d1.requests_per_second == 0 and (.n0|has("driver")|not)' "$tmp/out" >/dev/null ||
	fail "$(cat "$tmp/out")"
# Nobody reads any more, or a signal comes: it ends, and has not failed.
# shellcheck disable=SC2016 # eval expands it
in_time 20000 eval '"$UVDPA" -s "$ctl" top -b -d .1 | head -n 3 >"$tmp/out"'
"$UVDPA" -s "$ctl" top -b -d .1 >"$tmp/out" &
pid=$!
wait_for 20 grep -q NAME "$tmp/out"
kill $pid
wait $pid || fail "SIGTERM: status $?"
TERM=xterm
export TERM
terminal 80 24 env TERM=dumb "$UVDPA" -s "$ctl" top
ended 1
grep -q 'a terminal "dumb" has no screen' "$tmp/err"
terminal 80 24 env TERM=bogus "$UVDPA" -s "$ctl" top
ended 1
grep -q 'a terminal "bogus" has no screen' "$tmp/err"
! grep -q Sanitizer "$tmp/err" || fail "$(cat "$tmp/err")"

# ---- 80 by 24
top 80 24 -d .2
line 1 '^[0-9:]{8}, 3 devices, 2 bound, 0 to look after; each 0.2 s$'
line 2 '^[0-9.]+k? requests/s, [0-9.]+[kKMG]?B/s in, '
line 3 '^by req/s; h: keys, q: leave$'
line 4 '^NAME PARENT .*DRIVER .*STATE .*REQ/S .*IN/S .*OUT/S .*P99'
line 5 '^d0 .*sim-blk .*vhost-user .*DRIVER_OK .*[0-9]'
line 6 '^d1 .*sim-blk .*vhost-user .* - '
line 7 '^n0 .*sim-net .* - '
line 8 '^$'
# The other way round, and by another column; the selection stays with its device.
keys r
line 3 '^by req/s reversed;'
line 7 '^d0 '
keys '<'
line 3 '^by state reversed'
keys r '>'
line 3 '^by req/s;'
# What has a text in it, while it is typed.
keys / SIM-N
line 3 '^show what has: SIM-N_$'
line 5 '^n0 '
line 6 '^$'
keys BSpace BSpace BSpace BSpace BSpace zzz
line 5 'no device of these'
keys Escape
line 5 '^d0 '
keys / d1 Enter
line 3 '; only with d1;'
line 6 '^$'
keys Escape
line 6 '^d1 '
keys i
line 3 'only busy ones'
line 6 '^$'
keys i
line 7 '^n0 '
# The interval.
keys d 0.5 Enter
line 1 'each 0.5 s$'
keys +
line 1 'each 1 s$'
keys - - - -
line 1 'each 0.1 s$'
keys d 500 Enter
line 3 'that is not from 0.1 to 100 seconds'
keys x
line 3 'no such key'
# One device, and back.
keys Home Enter
line 4 '^d0: block of sim-blk, vhost-user, DRIVER_OK$'
line 5 "^at $tmp/d0.sock\$"
line 7 '^QUEUE TYPE .*REQ/S .*KICK/S .*P99'
line 8 '^    0 - .*[0-9](ns|us|ms)$'
line 10 '^REQUESTS .*P99.9 .*MAX'
line 11 '^read .*[0-9](ns|us|ms)$'
see '^driver +vhost-user$'
see '^attrs +capacity 16M$'
keys q
line 4 '^NAME'
keys h
see '^Enter +look at one device'
keys Escape
line 4 '^NAME'
# A pause: it stands still until it goes on.
keys p
line 3 '^paused; by req/s'
uvdpa dev add name late mgmtdev sim-net
keys r r
lacks late || fail "not paused"
keys p
see '^late '
uvdpa dev del late
gone '^late '

# ---- of names and paths that are too long the end is there, on the screen; -b has all of them
long=a-name-with-more-than-24-letters
uvdpa dev add name $long mgmtdev sim-net
see "^<${long: -23} "
uvdpa top $long -b -n 1 -d .1 | grep -q "^$long network "
uvdpa dev del $long
tm resize-window -x 94 -y 24
see '^d0 .* <.*/d0.sock$'
tm resize-window -x 80 -y 24

# ---- other sizes, while it runs
tm resize-window -x 40 -y 10
line 4 '^NAME DRIVER +REQ/S +IN/S +OUT/S$'
line 5 '^d0 '
[ "$(screen | wc -L)" -le 40 ]
keys h
see '^up, down'
keys Down Down Down
line 4 '^r  '
keys q
tm resize-window -x 200 -y 50
line 4 '^NAME TYPE .*ERR/S WHERE$'
line 5 "^d0 .*$tmp/d0.sock\$"
tm resize-window -x 9 -y 3
line 1 '^[0-9:]{8},$'
tm resize-window -x 80 -y 24
line 4 '^NAME PARENT'

# ---- colours only where they are wanted
background "$UVDPA" run mgmtdev sim-blk capacity 1M driver vhost-user socket "$tmp/back-end.sock" >"$tmp/back-end"
wait_for 20 test -S "$tmp/back-end.sock"
uvdpa dev add name v0 mgmtdev vhost-user socket "$tmp/back-end.sock" device_id block
see '^v0 '
kill "${pids[-1]}"
see '^v0 .* away '
tm capture-pane -pe | grep -q "$(printf '\033')\[.*31m.*v0" || fail "not red: $(tm capture-pane -pe)"
keys q
ended 0
top 80 24 -b -d .2
see '^d0 '
keys C-c
ended 0
terminal 80 24 env NO_COLOR=1 "$UVDPA" -s "$ctl" top -d .2
see '^v0 .* away '
! tm capture-pane -pe | grep -q '31m' || fail "colours: $(tm capture-pane -pe)"

# ---- the daemon goes, and comes back
daemon_kill
line 3 '^(uvdpad closed the connection|cannot reach uvdpad at)'
shows '^d1 .* - +- +- ' || fail "what there was: $(screen)"
rm -f "$tmp/d0.sock" "$tmp/d1.sock"
daemon_start
line 5 '^no devices$'
line 3 '^by req/s'
uvdpa dev add name again mgmtdev sim-net
line 5 '^again '
# One that does not answer keeps nobody waiting.
kill -STOP "$daemon_pid"
line 3 'uvdpad has not answered for [0-9]+ s'
keys h
see '^up, down'
kill -CONT "$daemon_pid"
keys q
line 3 '^by req/s'
keys q
ended 0
[ ! -s "$tmp/err" ] || fail "$(cat "$tmp/err")"

# ---- a thousand
{
	for i in $(seq 1000); do
		echo '{"jsonrpc":"2.0","method":"dev.add","params":{"name":"dev-'"$i"'","mgmtdev":"sim-net"}}'
	done
	echo '{"jsonrpc":"2.0","id":1,"method":"version"}'
} | socat -t 60 - "UNIX-CONNECT:$ctl" | grep -q version
top 80 24
line 1 '1001 devices, 0 bound'
line 24 '^dev-19 '
keys End
line 24 '^dev-1000 '
keys /
keys dev-77 Enter
line 5 '^dev-77 '
line 15 '^dev-779 '
line 16 '^$'
keys Escape q
ended 0
