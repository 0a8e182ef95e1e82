#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# DPDK's virtio_user listens, and the device connects: in whatever order they come, and again when
# either was killed. Packets go round each time.
#
# usage: virtio-user-server.sh ARGS...	of net_virtio_user, each set in turn
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need dpdk-testpmd

device_start() {
	daemon_start
	uvdpa dev add name n0 mgmtdev sim-net mode echo driver vhost-user socket "$tmp/pmd.sock" connect on
}

# More packets than before come back, on their own or when some are sent again.
goes_round() {
	local before

	before=$(pmd_stat RX-packets)
	pmd "start tx_first 2" >/dev/null
	wait_for 20 eval "[ \$(pmd_stat RX-packets) -gt $((before + 1000)) ]"
	pmd stop >/dev/null
	echo "$*"
}

link_is() {
	pmd "show port info 0" | grep -q "Link status: $1"
}

device_start
for args; do
	pmd_start "path=$tmp/pmd.sock,server=1,$args"
	goes_round "$args: connected"
	daemon_kill
	wait_for 20 link_is down
	device_start
	wait_for 20 link_is up
	goes_round "$args: after the device was killed"
	pmd_end KILL
	rm -f "$tmp/pmd.sock"
done
