#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The device leaves a guest that goes on: its daemon is killed and another one takes its place, and
# it is given to this host and back. Connections live through both. With split rings only: QEMU does
# not know where a packed ring stood when a device that could not be asked has gone.
#
# usage: reconnect.sh PROPERTIES [OPTION VALUE...]	of QEMU's device, and of ours
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need iperf3 ping

options=("${@:2}")
add() {
	net_add persist on "${options[@]}"
}

daemon_start
add
guest_start "qemu,reconnect=1${1:+,$1}"
wait_for 10 reached
random "$tmp/file" $((4 << 20))

in_guest "iperf3 -s >/dev/null 2>&1 &"
background iperf3 -c 10.0.0.2 -t 15 -b 20M -J --logfile "$tmp/load" --connect-timeout 5000
load=$!
for _ in 1 2 3; do
	sleep 1
	daemon_kill
	daemon_start
	add
	way_add
	wait_for 20 reached
done
echo "killed"
for _ in 1 2; do
	uvdpa dev bind n0 virtio
	sleep 0.2
	uvdpa dev bind n0 vhost-user socket "$tmp/n0.sock"
	wait_for 20 reached
done
echo "given away and back"
wait $load || { cat "$tmp/load"; fail "the connection did not live through that"; }
wait_for 20 in_guest true
sent_whole "$tmp/file" || fail "a file does not arrive"
guest_stop
