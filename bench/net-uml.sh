#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# net-uml.sh - a guest's network: our net-tap over vhost-user, beside User Mode Linux's own TAP
#
# usage: net-uml.sh [ROUNDS] [OPTION VALUE...]	(5 rounds; options of our net-tap)
#
# Both are interfaces of the same guest, and each has a TAP of its own here; they are measured in turn.
# What is printed is the median of the rounds. UVDPAD and UVDPA name the programs.
# shellcheck source=../tests/net/lib.sh
. "$(dirname "$0")/../tests/net/lib.sh"
need iperf3 ping jq

rounds=${1:-5}
seconds=3 pings=3000
declare -A figures=()

daemon_start
net_add "${@:2}"
ip tuntap add dev t1 mode tap vnet_hdr
ip addr add 10.1.0.1/24 dev t1
ip link set t1 up
guest_start uml -m 192 -a vec0:transport=tap,ifname=t1,depth=128,gro=1
in_guest "ip addr add 10.1.0.2/24 dev vec0; ip link set vec0 up" >/dev/null
background iperf3 -s >/dev/null 2>&1
wait_for 10 ping -q -c 1 -W 1 10.0.0.2 >/dev/null
wait_for 10 ping -q -c 1 -W 1 10.1.0.2 >/dev/null

# gbits NET [-R]: from the guest, or into it
gbits() {
	in_guest "iperf3 -J -t $seconds -c $1.1 ${2:-}" | jq '.end.sum_received.bits_per_second / 1e9'
}

round_trip() {
	ping -q -f -c "$pings" "$1.2" | sed -n 's|^rtt .* = [^/]*/\([^/]*\)/.*|\1|p' | awk '{ print $1 * 1000 }'
}

for ((i = 0; i < rounds; i++)); do
	for net in 10.0.0 10.1.0; do
		figures[out,$net]+="$(gbits $net) "
		figures[in,$net]+="$(gbits $net -R) "
		figures[rtt,$net]+="$(round_trip $net) "
	done
done

median() {
	tr ' ' '\n' <<<"$1" | grep . | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# line CELL UNIT WHAT: the higher the better, but for times
line() {
	local ours theirs

	ours=$(median "${figures[$3,10.0.0]}")
	theirs=$(median "${figures[$3,10.1.0]}")
	awk -v c="$1" -v u="$2" -v a="$ours" -v b="$theirs" 'BEGIN {
		printf "%-16s %-7s uvdpa %8.2f  vector %8.2f  ratio %.2f\n", c, u, a, b, u == "us" ? b / a : a / b }'
}
line guest-to-host Gbit/s out
line host-to-guest Gbit/s in
line round-trip us rtt
guest_stop
