#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Whom the console connects to by a Unix socket goes, floods it and goes, and comes back; what the guest says
# meanwhile is there for the next.
# shellcheck source=host.sh
. "$(dirname "${BASH_SOURCE[0]}")/host.sh"

daemon_start
console_add "unix:$tmp/c" reconnect_ms 50
answering_guest true
wait_for 60 is_shown port0_kept 6	# "ready" and the end of the line
same 'console open' "$(shown port0)"
for i in 1 2 3; do
	rm -f "$tmp/c"
	visit "out$i" "UNIX-LISTEN:$tmp/c"
	wait_for 10 is_shown port0 'console connected open'
	echo "line $i" >&5
	wait_for 40 has "$tmp/out$i" "^heard line $i\$"
	# A flood, in the middle of which they die.
	yes "noise" | head -c 12000 >&5 &
	pids+=($!)
	sleep 0.3
	leave
	wait_for 10 is_shown port0 'console open'
	uvdpa dev show >/dev/null
done
has "$tmp/out1" '^ready$'
rm -f "$tmp/c"
visit last "UNIX-LISTEN:$tmp/c"
wait_for 10 is_shown port0 'console connected open'
printf '\nend\n' >&5
guest_ends
has "$tmp/last" 'heard (noise)?' || fail "what the guest answered to the flood is lost"
