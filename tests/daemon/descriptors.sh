#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# No descriptors left, and somebody waits at each socket: nothing spins, little is said, and they are
# served when there are some again.
#
# usage: descriptors.sh [metrics]
. "$(dirname "$0")/../cli/cli.sh"
need prlimit socat ss

[ $# = 0 ] || daemon_args=(--metrics 127.0.0.1:9100)
daemon_start
uvdpa dev add name d0 mgmtdev sim-blk capacity 1M driver vhost-user socket "$tmp/d0"
uvdpa dev add name c0 mgmtdev console port "unix-listen:$tmp/tty" driver virtio

# What the daemon's threads have used, in clock ticks.
ticks() {
	sed 's/.*) //' "/proc/$daemon_pid/stat" | awk '{ print $12 + $13 }'
}
# The least number that no descriptor has is the first that none may have.
limit() {
	local n=0

	while [ -e "/proc/$daemon_pid/fd/$n" ]; do
		n=$((n + 1))
	done
	prlimit --pid "$daemon_pid" --nofile="$n:"
}
# ask NAME ADDRESS [TEXT]: in the background; $tmp/NAME.said is what comes back
ask() {
	if [ $# = 2 ]; then
		background socat -u "$2" "CREATE:$tmp/$1.said"
	else
		socat -t 60 - "$2" <<<"$3" >"$tmp/$1.said" &
		pids+=($!)
	fi
}
coproc { exec socat - "UNIX-CONNECT:$ctl"; }
# shellcheck disable=SC2153 # bash sets COPROC_PID
pids+=("$COPROC_PID")
within() {
	local line

	echo '{"jsonrpc":"2.0","id":7,"method":"version"}' >&"${COPROC[1]}"
	read -r -t 20 line <&"${COPROC[0]}" || fail "no answer to a client that was there before"
	[[ $line = *protocol* ]] || fail "$line"
}
within
limit

# ---- one at each; who was there before is served
: >"$tmp/daemon.log"
ask control "UNIX-CONNECT:$ctl" '{"jsonrpc":"2.0","id":1,"method":"version"}'
ask d0 "UNIX-CONNECT:$tmp/d0"
ask c0 "UNIX-CONNECT:$tmp/tty"
[ $# = 0 ] || ask metrics TCP:127.0.0.1:9100 $'GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r'
refused_all() {
	within
	[ "$(grep -c 'accept: ' "$tmp/daemon.log")" = $((3 + $#)) ]
}
wait_for 20 refused_all "$@"
before=$(ticks)
sleep 3
used=$(($(ticks) - before))
echo "in 3 s: $used ticks of $(getconf CLK_TCK) a second"
[ "$used" -lt "$(getconf CLK_TCK)" ] || fail "the daemon spins: $used ticks"
same $((3 + $#)) "$(grep -c 'accept: ' "$tmp/daemon.log")" "lines of the log"

# ---- some again
prlimit --pid "$daemon_pid" --nofile=1024:
wait_for 20 grep -q protocol "$tmp/control.said"
[ $# = 0 ] || wait_for 20 grep -q uvdpa_devices "$tmp/metrics.said"
taken() {
	ss -xpnH state established | grep -q "$1 .*pid=$daemon_pid,"
}
wait_for 20 taken "$tmp/d0"
wait_for 20 taken "$tmp/tty"
