#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# An interface of the host by AF_XDP: one end of a veth, whose other end is in another namespace. Pings and TCP;
# the daemon is killed, and nothing of it stays; the interface goes.
#
# usage: xdp.sh native|generic
# shellcheck source=netif.sh
. "$(dirname "${BASH_SOURCE[0]}")/netif.sh"
need ping ethtool socat jq
kind=${1:?native or generic}

background unshare -n sleep 170
inside=$!
elsewhere() { [ "$(readlink "/proc/$inside/ns/net")" != "$(readlink /proc/$$/ns/net)" ]; }
wait_for 5 elsewhere
there() { nsenter -t "$inside" -n "$@"; }

ip link add v0 numrxqueues 1 numtxqueues 1 type veth \
	peer name v1 numrxqueues 1 numtxqueues 1 netns "$inside"
ip link set v0 up
there ip link set v1 up
there ip addr add 192.0.2.2/24 dev v1
# What AF_XDP gets of a veth is as the other end has left it.
there ethtool -K v1 tx off tso off gso off >/dev/null

add() {
	uvdpa dev add name n0 mgmtdev net-xdp ifname v0 xdp "$kind" driver virtio tap one
	ip addr add 192.0.2.1/24 dev one
}
reached() { ping -q -c 1 -W 1 192.0.2.2 >/dev/null; }

# whole FROM TO ADDRESS: a file, by TCP
whole() {
	local i

	background "$2" socat -u TCP-LISTEN:5001,reuseaddr "OPEN:$tmp/out,creat,trunc"
	i=$!
	"$1" socat -u "OPEN:$tmp/file" "TCP:$3:5001,retry=50,interval=0.1" || fail "sent by $1"
	wait "$i" || fail "received by $2"
	cmp "$tmp/file" "$tmp/out"
}
here() { "$@"; }

refused() {
	local want=$1

	shift
	! uvdpa dev add name bad mgmtdev net-xdp "$@" 2>"$tmp/err" || fail "$* works"
	grep -qE "$want" "$tmp/err" || fail "$*: $(cat "$tmp/err")"
}

random "$tmp/file" 1000000
daemon_start
refused 'interface none: it is not there' ifname none
refused 'no queue 1' ifname v0 queue 1
refused 'no queue 1' ifname v0 max_vqp 2
refused 'cannot do without a copy' ifname v0 mode zerocopy
refused 'mtu 3823, .* at most 3822' ifname v0 mtu 3823
refused 'mtu is 1500, less' ifname v0 mtu 2000
refused sideways ifname v0 xdp sideways
ip -d link show v0 | grep -q xdp && fail "a program stays after what was refused"

for round in 1 2 3; do
	add
	[ "$(uvdpa -j dev show n0 | jq -r .dev.n0.xdp)" = "$kind" ] || fail "$(uvdpa dev show n0)"
	ip -d link show v0 | grep -q 'xdp' || fail "no program"
	refused 'XDP program already' ifname v0
	link_is one LOWER_UP
	wait_for 10 reached
	for len in 0 100 1472; do
		bounded ping -q -c 3 -i 0.05 -W 2 -M "do" -s $len 192.0.2.2 >/dev/null || fail "$len bytes"
		there ping -q -c 3 -i 0.05 -W 2 -M "do" -s $len 192.0.2.1 >/dev/null || fail "$len bytes, to us"
	done
	bounded ping -q -c 2 -i 0.1 -W 2 -s 20000 192.0.2.2 >/dev/null || fail "in fragments"
	whole here there 192.0.2.2
	whole there here 192.0.2.1
	there ip link set v1 down
	wait_for 5 link_is one NO-CARRIER
	there ip link set v1 up
	wait_for 5 link_is one LOWER_UP
	wait_for 10 reached
	if [ $round = 1 ]; then
		uvdpa dev del n0
	else
		daemon_kill
	fi
	no_program() { ! ip -d link show v0 | grep -q xdp; }
	wait_for 5 no_program
	[ $round = 1 ] || daemon_start
done

# Its interface goes, and the device stays, without a link.
add
wait_for 10 reached
ip link del v0
wait_for 5 link_is one NO-CARRIER
uvdpa dev show n0 >/dev/null
uvdpa dev del n0
