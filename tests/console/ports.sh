#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Many ports: the guest finds them by their names; each side sees the other open and close one; all of them carry
# bytes both ways at the same time; and one whose reader does not read holds up none of the others.
#
# usage: ports.sh KIND[,PROPERTIES]
# shellcheck source=guest.sh
. "$(dirname "${BASH_SOURCE[0]}")/guest.sh"

daemon_start
uvdpa dev add name c0 mgmtdev console \
	port "boot=pty:$tmp/c0,agent=unix-listen:$tmp/agent,bulk=unix-listen:$tmp/bulk,log=file:$tmp/log" \
	driver vhost-user socket "$tmp/c0.sock"
guest_start "$1,ports=4"
wait_for 30 test -e "$tmp/c0"
line_open_tty c "$tmp/c0"
log_in c
[ "$(run c 'cat /sys/class/virtio-ports/vport*p?/name' | tr '\n' ' ')" = "boot agent bulk log " ] ||
	fail "names: $(run c 'cat /sys/class/virtio-ports/*/name')"
device=$(run c 'cd /sys/class/virtio-ports; echo vport*p1')
port=/dev/${device%1}

# Nobody is there: what reads finds the end.
run c "timeout 20 cat ${port}1" || fail "somebody is at agent"
line_open agent "UNIX-CONNECT:$tmp/agent"
run c "(cat ${port}1 >/got; touch /ended) </dev/null & sleep 0.5"
say agent "what the agent said"
wait_for 20 run c 'grep -q "the agent said" /got'
! run c 'test -e /ended' || fail "the port is closed"
line_close agent
wait_for 20 run c 'test -e /ended'

# The guest's own opening and closing.
open_is() {
	case $(uvdpa -j dev show c0 | jq -r .dev.c0.port1) in
	*" open") [ "$1" = true ] ;;
	*) [ "$1" = false ] ;;
	esac
}
wait_for 10 open_is false
run c "exec 5<>${port}1"
wait_for 10 open_is true
run c "exec 5>&-"
wait_for 10 open_is false

run c "echo a line for the file >${port}3"
wait_for 10 grep -qx 'a line for the file' "$tmp/log"

# sent PORT NAME: 2 MiB both ways at once
random "$tmp/bytes" $((2 << 20))
sum=$(run c "head -c 2097152 /dev/urandom >/bytes; md5sum </bytes")
both_ways() {
	local p

	for p; do
		: >"$tmp/$p.out"
		run c "rm -f /in.$p; (exec 4<>$port${number[$p]}; cat /bytes >&4 & head -c 2097152 <&4 >/in.$p; wait; mv /in.$p /$p) </dev/null &"
		cat "$tmp/bytes" >&"${line_in[$p]}" &
	done
	for p; do
		wait_for 60 eval "[ \$(stat -c %s '$tmp/$p.out') -ge 2097152 ]"
		wait_for 60 run c "test -e /$p"
		[ "$(md5 "$tmp/$p.out")" = "${sum%% *}" ] || fail "$p: what came out"
		[ "$(run c "md5sum </$p")" = "$(md5 "$tmp/bytes")  -" ] || fail "$p: what came in"
		run c "rm /$p"
	done
}
declare -A number=([agent]=1 [bulk]=2)
for p in agent bulk; do
	line_open $p "UNIX-CONNECT:$tmp/$p"
done
both_ways agent bulk

# A reader here that does not read, and one there.
kill -STOP "${line_pid[bulk]}"
: >"$tmp/bulk.out"
run c "(cat /bytes >${port}2) </dev/null &"
both_ways agent
kill -CONT "${line_pid[bulk]}"
wait_for 60 eval "[ \$(stat -c %s '$tmp/bulk.out') -ge 2097152 ]"
[ "$(md5 "$tmp/bulk.out")" = "${sum%% *}" ] || fail "what a slow reader got"

run c "exec 5<>${port}2"
cat "$tmp/bytes" >&"${line_in[bulk]}" &
both_ways agent
got=$(run c "head -c 2097152 <&5 | md5sum")
[ "$got" = "$(md5 "$tmp/bytes")  -" ] || fail "what waited for a reader: $got"
guest_stop c
