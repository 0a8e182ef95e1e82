#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What a guest says of its network, and what it is told, takes effect: promiscuous or not, groups,
# VLANs, another address, the link; and the number of pairs, under load.
#
# usage: settings.sh KIND[,PROPERTIES] [OPTION VALUE...]
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need iperf3 ping ethtool python3 tcpdump

daemon_start
net_add max_vqp 4 "${@:2}"
guest_start "$1" -M 8021q
wait_for 10 reached

received() {
	in_guest cat /sys/class/net/eth0/statistics/rx_packets
}

# seen COMMAND...: how many more packets the guest has, after it
seen() {
	local before after

	before=$(received)
	"$@" >/dev/null 2>&1 || true
	after=$(received)
	echo $((after - before))
}

# heard FILTER COMMAND...: what tcpdump(8) calls so comes out of the guest then
heard() {
	: >"$tmp/dump"
	background timeout 10 tcpdump -c 1 -nei t0 "$1" >/dev/null 2>"$tmp/dump"
	local dump=$!

	wait_for 10 grep -q 'listening on' "$tmp/dump"
	"${@:2}" >/dev/null || true
	wait $dump
}

# To an address that is another's, and to a group that nobody is in.
ip neigh replace 10.0.0.9 lladdr 02:00:00:00:00:99 dev t0
foreign() { ping -q -c 20 -i 0.01 -W 1 10.0.0.9; }
group() { ping -q -c 20 -i 0.01 -W 1 -I t0 239.1.2.3; }

for what in foreign group; do
	n=$(seen "$what")
	[ "$n" -lt 10 ] || fail "$what: $n packets get in"
	in_guest ip link set eth0 promisc on
	n=$(seen "$what")
	[ "$n" -ge 20 ] || fail "$what: promiscuous, and only $n packets get in"
	in_guest ip link set eth0 promisc off
done
in_guest ifconfig eth0 allmulti
n=$(seen group)
[ "$n" -ge 20 ] || fail "all groups, and only $n packets get in"
in_guest ifconfig eth0 -allmulti
echo "what gets in is what is wanted"

# A VLAN's frames get in when the guest has that VLAN, and get out.
tagged() {
	python3 - "$(in_guest cat /sys/class/net/eth0/address)" <<-'E2'
	import socket, sys
	s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
	s.bind(("t0", 0))
	to = bytes.fromhex(sys.argv[1].replace(":", ""))
	for i in range(20):
	    s.send(to + s.getsockname()[4] + b"\x81\0\0\7\x88\xb5" + bytes(1500))
	E2
}

n=$(seen tagged)
[ "$n" -lt 10 ] || fail "VLAN: $n packets get in"
in_guest "vconfig add eth0 7 && ip addr add 10.7.0.2/24 dev eth0.7 && ip link set eth0.7 up" >/dev/null
n=$(seen tagged)
[ "$n" -ge 20 ] || fail "VLAN: only $n packets get in"
heard 'vlan 7 and arp' in_guest ping -c 1 -W 1 10.7.0.1 || fail "VLAN: nothing gets out"
in_guest ip link set eth0.7 down
echo "a VLAN"

in_guest "ip link set eth0 down; ip link set eth0 address 52:54:00:aa:bb:cc; ip link set eth0 up"
ip neigh flush dev t0
wait_for 10 reached
ip neigh show 10.0.0.2 dev t0 | grep -q 52:54:00:aa:bb:cc || fail "the guest has another address"
echo "another address"

heard 'arp and ether src 52:54:00:aa:bb:cc and ether dst ff:ff:ff:ff:ff:ff' \
	uvdpa dev set n0 announce on || fail "the guest does not announce itself"
heard 'rarp and ether src 52:54:00:01:02:03 and ether dst ff:ff:ff:ff:ff:ff' \
	uvdpa dev set n0 rarp 52:54:00:01:02:03 || fail "nobody speaks for the guest"
echo "announced"

carrier() {
	[ "$(in_guest cat /sys/class/net/eth0/carrier)" = "$1" ]
}

down() {
	wait_for 10 carrier 0
	! reached || fail "the link is down, and the guest answers"
}

up() {
	wait_for 10 carrier 1
	wait_for 10 reached
}

uvdpa dev set n0 link off
down
uvdpa dev set n0 link on
up
ip link set t0 down
down
ip link set t0 up
up
echo "the link"

# The number of pairs changes while packets go both ways.
background iperf3 -s -1 -J --logfile "$tmp/load"
in_guest "iperf3 -c 10.0.0.1 -t 100 -P 4 --bidir >/dev/null 2>&1 &" || true
for n in 4 1 3 2 4 1; do
	in_guest ethtool -L eth0 combined $n
	wait_for 10 reached
done
in_guest "killall iperf3; sleep 0.1; ! pidof iperf3"
in_guest ethtool -L eth0 combined 4
for i in 1 2 3 4 5 6 7 8; do
	ping -q -c 1 -W 5 10.0.0.2 >/dev/null || fail "after all that: $i"
done
echo "pairs"
guest_stop
