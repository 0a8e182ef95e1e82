#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# uvdpa monitor: what happens, in text and in JSON, all of it, and how it ends.
. "$(dirname "$0")/cli.sh"

# monitor FILE ARG...: in the background; returns when it is subscribed
monitor() {
	local file=$1

	shift
	"$UVDPA" -s "$ctl" monitor "$@" >"$tmp/$file" 2>"$tmp/$file.err" &
	monitor_pid=$!
	pids+=("$monitor_pid")
}

# has FILE PATTERN: sooner or later
has() {
	wait_for 30 grep -Eq -- "$2" "$tmp/$1"
}

change() {
	uvdpa dev add name d0 mgmtdev sim-blk capacity 1M
	uvdpa dev bind d0 vhost-user socket "$tmp/d0.sock"
	uvdpa dev unbind d0
	uvdpa dev add name n0 mgmtdev sim-net
	uvdpa dev del n0
	uvdpa dev del d0
}

refused 'cannot reach uvdpad' uvdpa monitor
refused 'usage: uvdpa monitor' uvdpa monitor -x
refused 'not the number of an event' uvdpa monitor --since x
daemon_start

# ---- text, of all devices and of one; what was before can be asked for
change
monitor all --since 0
monitor stamped -t --since 0 d0
monitor json -j --since 0 n0
has all '^d0: removed'
cat >"$tmp/wanted" <<-END
	d0: added mgmtdev sim-blk
	d0: ready type block
	d0: bound driver vhost-user
	d0: unbound
	n0: added mgmtdev sim-net
	n0: ready type network
	n0: removed
	d0: removed
END
# A status may come at any place in between.
grep -v ': status' "$tmp/all" | diff "$tmp/wanted" - >&2 || fail "other events"
has stamped 'd0: removed'
grep -Eqv '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}[+-][0-9]{4} d0: ' "$tmp/stamped" &&
	fail "$(cat "$tmp/stamped")"
has json removed
same '["added","n0"] ["ready","n0"] ["removed","n0"]' \
	"$(jq -c 'select(.event != "status") | [.event, .dev]' "$tmp/json" | paste -sd' ')"
jq -e -s 'all(.[]; .seq > 0 and (.time | test("^[0-9-]+T[0-9:.]+Z$")))' "$tmp/json" >/dev/null

# ---- what has changed is told
monitor options --since 0 opt
uvdpa dev add name opt mgmtdev blk image "$(truncate -s 1M "$tmp/an image" && echo "$tmp/an image")"
uvdpa dev set opt iops 5
uvdpa override opt none
has options "^opt: attrs image '$tmp/an image' iops 5\$"
has options "^opt: attrs image '$tmp/an image' iops 5 driver_override none\$"
kill "$monitor_pid"
uvdpa dev del opt

# ---- each line comes at once, and a signal ends it well
monitor now
now=$monitor_pid
until grep -q 'late: added' "$tmp/now"; do
	uvdpa dev add name late mgmtdev sim-net
	uvdpa dev del late
done
kill $now
wait $now || fail "SIGTERM: status $?"

# ---- nobody reads any more: seen without an event
# shellcheck disable=SC2016 # eval expands it
in_time 20000 eval '"$UVDPA" -s "$ctl" monitor --since 0 | head -n 1 >"$tmp/first"'
same 'd0: added mgmtdev sim-blk' "$(cat "$tmp/first")" "first line"
full() {
	uvdpa monitor --since 0 >/dev/full
}
refused 'standard output: No space left' full

# ---- ten thousand changes, seen by who was there and by who comes later
begin=$(jq -s 'last.seq' <(timeout 5 "$UVDPA" -s "$ctl" monitor -j --since 0 || true))
monitor many -j --since "$begin"
{
	for i in $(seq 2500); do
		echo '{"jsonrpc":"2.0","method":"dev.add","params":{"name":"x'"$i"'","mgmtdev":"sim-net"}}'
		echo '{"jsonrpc":"2.0","method":"dev.bind","params":{"name":"x'"$i"'","driver":"virtio"}}'
		echo '{"jsonrpc":"2.0","method":"dev.del","params":{"name":"x'"$i"'"}}'
	done
	echo '{"jsonrpc":"2.0","id":1,"method":"version"}'
} | socat -t 120 - "UNIX-CONNECT:$ctl" >"$tmp/answers"
# Those that were under way when the version was told end a moment later.
none_left() {
	[ "$(json '.dev|length' dev show)" = 0 ]
}
wait_for 60 none_left
has many '"removed","dev":"x2500"'
monitor later -j --since "$begin"
has later '"removed","dev":"x2500"'
for file in many later; do
	jq -es '(map(.seq) | . == [range(.[0]; .[0] + length)]) and length >= 10000 and
		([.[] | select(.event == "removed")] | length) == 2500' "$tmp/$file" >/dev/null ||
		fail "$file: $(wc -l <"$tmp/$file") lines, $(head -n 1 "$tmp/$file")"
done

# ---- the daemon ends
monitor last
last=$monitor_pid
until grep -q 'end: added' "$tmp/last"; do
	uvdpa dev add name end mgmtdev sim-net
	uvdpa dev del end
done
daemon_stop
rc=0
wait $last || rc=$?
same 1 $rc "status"
grep -qx 'Error: uvdpa: uvdpad closed the connection\.' "$tmp/last.err" || fail "$(cat "$tmp/last.err")"
