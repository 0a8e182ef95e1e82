#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Packets of every size from either side, up to 64 KiB, with each MTU: they come back as they went.
#
# usage: ping.sh KIND[,PROPERTIES] [OPTION VALUE...]
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need ping

daemon_start
net_add mtu 9000 "${@:2}"
guest_start "$1"
wait_for 10 reached

for mtu in 1280 1500 9000; do
	ip link set t0 mtu $mtu
	in_guest ip link set eth0 mtu $mtu
	for size in 1 18 56 57 1000 $((mtu - 29)) $((mtu - 28)) $((mtu - 27)) 4000 9000 32768 65507; do
		frag=(-M "do")
		[ $size -le $((mtu - 28)) ] || frag=()
		ping -q -c 1 -W 5 -p a5 "${frag[@]}" -s $size 10.0.0.2 >"$tmp/ping" 2>&1 ||
			{ cat "$tmp/ping"; fail "mtu $mtu, size $size: $(in_guest ip addr)"; }
		in_guest ping -q -c 1 -W 5 -s $size 10.0.0.1 >"$tmp/ping" ||
			{ cat "$tmp/ping"; fail "mtu $mtu, size $size, from the guest"; }
	done
	echo "mtu $mtu"
done
guest_stop
