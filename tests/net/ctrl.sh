#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What Linux's driver says by the control queue is done, and the guest is not told an error: a frame comes
# in when it is wanted, and is dropped when not.
#
# usage: ctrl.sh KIND[,PROPERTIES]
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need ping jq python3

mac=52:54:00:00:00:10
# It has something to say to groups at any time, which would be counted.
echo 1 | tee /proc/sys/net/ipv6/conf/{all,default}/disable_ipv6 >/dev/null
daemon_start
net_add mac $mac max_vqp 2 rss on
guest_start "$1" -M 8021q
wait_for 10 reached

# count QUEUE NAME
count() {
	uvdpa -j dev vstats show n0 qidx "$1" | jq ".. | .\"$2\"? // empty"
}

# sum NAME: of both pairs
sum() {
	echo $(($(count 0 "$1") + $(count 2 "$1")))
}

came_or_not() {
	[ $(($(sum "rx packets") + $(sum "rx drops"))) -ge "$1" ]
}

# expect NUMBER DST [VLAN]: of three frames to this address so many come in
expect() {
	local all drops

	drops=$(sum "rx drops")
	all=$(($(sum "rx packets") + drops))
	python3 - "$2" "${3:-}" <<-'E2'
	import socket, sys
	dst = bytes.fromhex(sys.argv[1].replace(":", ""))
	tag = b"\x81\0\0" + bytes([int(sys.argv[2])]) if sys.argv[2] else b""
	s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
	s.bind(("t0", 0))
	for i in range(3):
	    s.send(dst + b"\2\0\0\0\0\1" + tag + b"\x88\xb5" + bytes(50))
	E2
	wait_for 10 came_or_not $((all + 3))
	drops=$(($(sum "rx drops") - drops))
	[ $((3 - drops)) = "$1" ] || fail "to $2 ${3:-}: $drops dropped, $1 wanted: $(in_guest ip addr)"
}

expect 3 $mac
expect 0 52:54:00:00:00:77
expect 3 ff:ff:ff:ff:ff:ff
expect 0 01:00:5e:00:00:77
in_guest ip link set eth0 promisc on
expect 3 52:54:00:00:00:77
expect 3 01:00:5e:00:00:77
in_guest ip link set eth0 promisc off
expect 0 52:54:00:00:00:77
in_guest ifconfig eth0 allmulti
expect 3 01:00:5e:00:00:77
in_guest ifconfig eth0 -allmulti
expect 0 01:00:5e:00:00:77
echo "modes"

in_guest "ip link set eth0 down; ip link set eth0 address 52:54:00:00:00:77; ip link set eth0 up"
expect 3 52:54:00:00:00:77
expect 0 $mac
ip neigh del 10.0.0.2 dev t0
wait_for 10 reached
[ "$(uvdpa -j dev config show n0 | jq -r '.. | .mac? // empty')" = 52:54:00:00:00:77 ] ||
	fail "the configuration has another address"
echo "address"

expect 0 52:54:00:00:00:77 5
in_guest "ip link add link eth0 name eth0.5 type vlan id 5 && ip link set eth0.5 up"
expect 3 52:54:00:00:00:77 5
expect 0 52:54:00:00:00:77 6
expect 0 $mac 5
in_guest ip link del eth0.5
expect 0 52:54:00:00:00:77 5
echo "VLANs"

for n in 2 1 2; do
	in_guest ethtool -L eth0 combined $n
	[ "$(in_guest ethtool -l eth0 | sed -n 's/^Combined:\s*//p' | tail -n 1)" = $n ] || fail "not $n pairs"
	reached || fail "not reached with $n pairs"
done
for on in off on; do
	in_guest ethtool -K eth0 rx-gro-hw $on
	reached || fail "not reached with offloads $on"
done
in_guest ethtool -K eth0 rxhash on
reached || fail "not reached with hashes"
echo "pairs and offloads"

before=$(count 4 "cvq successes")
uvdpa dev set n0 announce on
answered() {
	[ "$(count 4 "cvq successes")" -gt "$before" ]
}
wait_for 10 answered
echo "announcement"

uvdpa dev set n0 link off
wait_for 10 in_guest grep -q 0 /sys/class/net/eth0/carrier
uvdpa dev set n0 link on
wait_for 10 in_guest grep -q 1 /sys/class/net/eth0/carrier
wait_for 10 reached
echo "link"

[ "$(count 4 "cvq errors")" = 0 ] || fail "commands were refused: $(uvdpa dev vstats show n0 qidx 4)"
guest_stop
