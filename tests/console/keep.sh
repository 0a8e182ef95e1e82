#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest writes where nobody is: it is not held up, and who comes gets the last of it, then what comes next.
# shellcheck source=host.sh
. "$(dirname "${BASH_SOURCE[0]}")/host.sh"

daemon_start
console_add "unix-listen:$tmp/c" keep 10000
answering_guest 'seq 1 20000'
seq 1 20000 >"$tmp/all"
total=$(($(stat -c %s "$tmp/all") + 6))
# Also what the guest said before, in a mode that has another end of the line.
dropped() { [ "$(shown port0_kept)" = 10000 ] && [ "$(shown port0_dropped)" -ge $((total - 10000)) ]; }
wait_for 60 dropped

visit out "UNIX-CONNECT:$tmp/c"
wait_for 10 has "$tmp/out" '^ready$'
{ cat "$tmp/all"; echo ready; } | tail -c 10000 | cmp - "$tmp/out"
is_shown port0_kept 0 || fail "kept: $(shown port0_kept)"
echo one >&5
wait_for 10 has "$tmp/out" '^heard one$'
is_shown port0_visits 1 || fail "visits: $(shown port0_visits)"
echo end >&5
guest_ends
