#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Somebody who listens and does not read holds up the guest's writing to their port, and no other.
# shellcheck source=host.sh
. "$(dirname "${BASH_SOURCE[0]}")/host.sh"

daemon_start
console_add "flood=unix-listen:$tmp/flood,ask=unix-listen:$tmp/ask" terminals ask
mkfifo "$tmp/stuck"
exec 6<>"$tmp/stuck"
background socat -u "UNIX-CONNECT:$tmp/flood" "PIPE:$tmp/stuck"
visit out "UNIX-CONNECT:$tmp/ask"
script s <<'E2'
until stty -F /dev/hvc0 raw -echo && [ -e /dev/vport0p0 ]; do sleep 0.1; done
exec </dev/hvc0 >/dev/hvc0
seq 1 1000000 >/dev/vport0p0 &
while read -r line; do
	[ "$line" != end ] || break
	echo "heard $line"
done
wait $!
E2
background uml -d "$tmp/c0.sock:3" "$tmp/s" >"$tmp/guest.out" 2>&1
guest_pid=$!
wait_for 60 is_shown port0 'flood serial connected open'
echo first >&5
wait_for 20 has "$tmp/out" '^heard first$'
# It has come to a stand when nothing more is counted.
sent() { uvdpa -j dev vstats show c0 qidx 1 | jq '.. | .["tx bytes"]? // empty'; }
stands() { local was; was=$(sent); sleep 0.5; [ "$(sent)" = "$was" ] && [ "$was" -gt 0 ]; }
wait_for 30 stands
[ "$(sent)" -lt 6000000 ] || fail "nobody was slow"
for i in 1 2 3 4 5; do
	echo "word $i" >&5
	wait_for 5 has "$tmp/out" "^heard word $i\$"
done
cat <&6 >"$tmp/got" &
pids+=($!)
complete() { [ "$(tail -n 1 "$tmp/got")" = 1000000 ]; }
wait_for 60 complete
seq 1 1000000 | cmp - "$tmp/got"
is_shown port0_dropped 0 || fail "dropped: $(shown port0_dropped)"
echo end >&5
guest_ends
