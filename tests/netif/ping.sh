#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A cable between two network namespaces: a TAP interface at the device's end, an interface of the device at
# the driver's. Pings of all lengths, and TCP with all offloads and without, over split and packed rings.
# shellcheck source=netif.sh
. "$(dirname "${BASH_SOURCE[0]}")/netif.sh"
need ping iperf3 ethtool jq

background unshare -n sleep 170
inside=$!
elsewhere() { [ "$(readlink "/proc/$inside/ns/net")" != "$(readlink /proc/$$/ns/net)" ]; }
wait_for 5 elsewhere
there() { nsenter -t "$inside" -n "$@"; }

# rate SECONDS [OPTION...]: bits in a second, by TCP; both ways, one after the other
rate() {
	local seconds=$1 bps

	shift
	# An iperf3 serves one client at a time, and this one no more than one.
	background nsenter -t "$inside" -n iperf3 -s -1 -I "$tmp/iperf.pid" >/dev/null
	wait_for 5 test -s "$tmp/iperf.pid"
	sleep 0.2
	bps=$(bounded iperf3 -c 192.0.2.2 -t "$seconds" -J "$@" | jq .end.sum_received.bits_per_second)
	rm -f "$tmp/iperf.pid"
	echo "tcp $*: $bps bit/s" >&2
	jq -en "$bps > 10000000" >/dev/null || fail "hardly anything comes through: $bps"
}

daemon_start
for way in 'packed off' 'packed on' 'queues 1'; do
	# shellcheck disable=SC2086 # words
	uvdpa dev add name n0 mgmtdev net-tap ifname dev0 max_vqp 2 mtu 9000 address 192.0.2.1/24 \
		driver virtio tap drv0 netns "/proc/$inside/ns/net" $way
	there ip addr add 192.0.2.2/24 dev drv0
	bounded ping -q -c 3 -i 0.1 -W 2 192.0.2.2 >&2
	for len in 0 1472 1473 8972 40000 65507; do
		bounded ping -q -c 2 -i 0.1 -W 2 -s $len 192.0.2.2 >/dev/null || fail "$way: $len bytes"
	done
	rate 1
	rate 1 -R
	rate 1 -P 4

	# Without offloads at either end.
	there ethtool -K drv0 tx off tso off >/dev/null
	ethtool -K dev0 tx off tso off >/dev/null
	rate 1
	rate 1 -R

	# The link of the device is the carrier of the interface.
	ip link set dev0 down
	carrier() { there ip -o link show drv0 | grep -q "$1"; }
	wait_for 5 carrier NO-CARRIER
	ip link set dev0 up
	wait_for 5 carrier LOWER_UP
	bounded ping -q -c 1 -W 2 192.0.2.2 >&2
	uvdpa dev del n0
done
