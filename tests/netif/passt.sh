#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# passt at the other end of a socket: it gives addresses by DHCP, and carries TCP and pings to the host.
# shellcheck source=netif.sh
. "$(dirname "${BASH_SOURCE[0]}")/netif.sh"
need busybox socat ping
passt=$tests/guest/suite.sh
"$passt" trixie passt --version >/dev/null 2>&1 || skip "no passt (scripts/setup trixie)"

# What it takes for the host's network.
ip link add host0 type veth peer name host1
ip link set host1 up
ip addr add 192.0.2.10/24 dev host0
ip link set host0 up
ip route add default via 192.0.2.1

background unshare -n sleep 170
inside=$!
elsewhere() { [ "$(readlink "/proc/$inside/ns/net")" != "$(readlink /proc/$$/ns/net)" ]; }
wait_for 5 elsewhere
there() { nsenter -t "$inside" -n "$@"; }

passt_start() {
	rm -f "$tmp/passt.sock"
	background "$passt" trixie passt -f -q -4 --runas 0 -s "$tmp/passt.sock" -P "$tmp/passt.pid"
	passt_pid=$!
}

script lease <<-'E2'
	[ "$1" != bound ] || { ip addr flush dev "$interface"; ip addr add "$ip/$mask" dev "$interface"
		ip route replace default via "$router" dev "$interface"; }
E2
chmod +x "$tmp/lease"

leased() { there busybox udhcpc -i one -q -n -f -t 2 -T 1 -s "$tmp/lease" >"$tmp/dhcp" 2>&1; }

daemon_start
passt_start
uvdpa dev add name n0 mgmtdev net-socket path "$tmp/passt.sock" reconnect_ms 50 \
	driver virtio tap one netns "/proc/$inside/ns/net"
there ip link set lo up
random "$tmp/file" 400000
for round in 1 2; do
	wait_for 10 leased
	there ip -o -4 addr show one | grep -q '192.0.2.10/24' || fail "$(there ip addr; cat "$tmp/dhcp")"
	# The gateway's address stands for the host itself.
	background socat -u TCP-LISTEN:5001,bind=127.0.0.1,reuseaddr "OPEN:$tmp/out,creat,trunc"
	server=$!
	there socat -u "OPEN:$tmp/file" TCP:192.0.2.1:5001,retry=50,interval=0.1
	wait "$server"
	cmp "$tmp/file" "$tmp/out"
	there ip neigh show dev one | grep -q '192.0.2.1 .*lladdr' ||
		fail "$(there ip neigh)"
	[ $round = 2 ] || { kill -KILL "$passt_pid"; wait "$passt_pid" 2>/dev/null || true; passt_start; }
done
