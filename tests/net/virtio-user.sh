#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# DPDK's virtio_user as the driver, with each of its ways to use a ring: packets go round, also
# after its port was stopped and started, and for the next one after it was killed.
#
# usage: virtio-user.sh ARGS...	of net_virtio_user, each set in turn
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need dpdk-testpmd

daemon_start
uvdpa dev add name n0 mgmtdev sim-net mode echo max_vqp 4 queue_size 1024 workers 2 \
	driver vhost-user socket "$tmp/n0.sock"

# Packets come back for as long as it runs, and it loses none of them.
goes_round() {
	local before

	pmd "start tx_first 2" >/dev/null
	before=$(pmd_stat RX-packets)
	wait_for 20 eval "[ \$(pmd_stat RX-packets) -gt $((before + 10000)) ]"
	pmd stop >"$tmp/stopped"
	pmd "show port stats 0" >"$tmp/stats"
	[ "$(grep -c '[RT]X-errors: 0\b' "$tmp/stats")" = 2 ] ||
		{ cat "$tmp/stopped" "$tmp/stats"; fail "$1: errors"; }
}

for args; do
	queues=${args##*queues=} options=()
	[ "$queues" = "$args" ] || options=("--rxq=${queues%%,*}" "--txq=${queues%%,*}")
	pmd_start "path=$tmp/n0.sock,$args" "${options[@]}"
	goes_round "$args"
	pmd "port stop 0" >/dev/null
	pmd "port start 0" >/dev/null
	goes_round "$args, port started again"
	pmd_end KILL
	echo "$args"
done
