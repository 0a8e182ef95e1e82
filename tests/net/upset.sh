#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest whose driver is taken away and comes back under load, and one that stands still while it is
# flooded: nothing else is held up, and it works again.
#
# usage: upset.sh KIND[,PROPERTIES] [OPTION VALUE...]
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need iperf3 ping jq

daemon_start
net_add "${@:2}"
uvdpa dev add name n2 mgmtdev sim-net driver virtio
guest_start "$1"
wait_for 10 reached

# busy PACKETS: so many have come from the guest
busy() {
	[ "$(ip -j -s link show t0 | jq '.[0].stats64.rx.packets')" -gt "$1" ]
}

configure() {
	in_guest "ip addr add 10.0.0.2/24 dev eth0; ip link set eth0 up"
}

for i in 1 2 3; do
	background iperf3 -s -1 -J --logfile "$tmp/load-$i"
	server=$!
	in_guest "iperf3 -c 10.0.0.1 -t 100 --bidir >/dev/null 2>&1 &"
	wait_for 20 busy $((i * 1000))
	d=$(basename "$(in_guest readlink /sys/class/net/eth0/device)")
	in_guest "cd /sys/bus/virtio/drivers/virtio_net && echo $d >unbind && echo $d >bind"
	in_guest killall iperf3 || true
	configure
	wait_for 10 reached
	kill "$server" 2>/dev/null || true
done
echo "the driver was taken away"

for i in 1 2; do
	kill -STOP "$(cat "$tmp/o/pid")"	# the processes that it traces stand then, too
	ping -q -f -c 3000 -w 3 -s 1000 10.0.0.2 >/dev/null 2>&1 || true
	in_time 3000 uvdpa dev vstats show n0 >/dev/null
	in_time 3000 uvdpa dev set n2 link off
	uvdpa dev set n2 link on
	kill -CONT "$(cat "$tmp/o/pid")"
	wait_for 20 reached
done
random "$tmp/file" $((4 << 20))
sent_whole "$tmp/file" || { tail -30 "$tmp/o/console.log"; uvdpa dev vstats show way; fail "a file does not arrive"; }
echo "the guest stood still"
guest_stop
