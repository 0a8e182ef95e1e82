#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A console over TCP, either way round; who is there dies and another comes; who speaks and goes is answered.
#
# usage: tcp.sh listen|connect
# shellcheck source=host.sh
. "$(dirname "${BASH_SOURCE[0]}")/host.sh"
kind=${1:?listen or connect}

daemon_start
if [ "$kind" = listen ]; then
	console_add tcp-listen:0
	at=$(shown port0_at)
	[[ $at =~ ^127\.0\.0\.1:[1-9][0-9]*$ ]] || fail "not of this machine alone: $at"
	peer=TCP:$at
else
	console_add tcp:127.0.0.1:4321 reconnect_ms 50
	peer=TCP-LISTEN:4321,reuseaddr,bind=127.0.0.1
fi
answering_guest true
for i in 1 2 3; do
	visit "out$i" "$peer"
	wait_for 60 is_shown port0 'console connected open'
	echo "line $i" >&5
	wait_for 20 has "$tmp/out$i" "^heard line $i\$"
	leave
	wait_for 10 is_shown port0 'console open'
done
has "$tmp/out1" '^ready$' || fail "what was kept did not come"
is_shown port0_visits 3 || fail "visits: $(shown port0_visits)"

printf 'last words\n' | socat -t 1.5 - "$peer" >"$tmp/last"
has "$tmp/last" '^heard last words$' || fail "who had said all got no answer"
printf 'end\n' | socat -t 1.5 - "$peer" >/dev/null
guest_ends
