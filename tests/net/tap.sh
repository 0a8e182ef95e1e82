#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest at a bridge in another namespace, by a TAP that others take down, rename, and away.
#
#	ns: br0 10.0.0.1/24 - t0 -- net-tap n0 -- vhost-user -- eth0 10.0.0.2/24 :guest
#
# usage: tap.sh KIND[,PROPERTIES]
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ns=uvdpa-test-$$
ip netns add $ns 2>/dev/null || skip "no named network namespaces here"
take_back() {
	ip netns del $ns
	ip netns del $ns-2
}
ip netns add $ns-2
ip -n $ns link add br0 type bridge
ip -n $ns addr add 10.0.0.1/24 dev br0
ip -n $ns link set br0 up

found() { ip netns exec $ns ping -q -c 1 -W 1 10.0.0.2 >/dev/null; }
# carrier_is 0|1: as the guest sees it
carrier_is() { [ "$(in_guest cat /sys/class/net/eth0/carrier)" = "$1" ]; }

daemon_start
! uvdpa dev add name n0 mgmtdev net-tap netns $ns bridge br1 2>"$tmp/err" || fail "at no bridge"
grep -q 'bridge br1 is not there' "$tmp/err" || fail "$(cat "$tmp/err")"
! ip -n $ns link show n0 >/dev/null 2>&1 || fail "an interface was left behind"
net_add mgmtdev net-tap netns $ns ifname t0 bridge br0 host_mac 52:54:00:00:09:01
[ "$(uvdpa -j dev show n0 | jq -r '.dev.n0.netns')" = $ns ] || fail "$(uvdpa dev show n0)"
! ip link show t0 >/dev/null 2>&1 || fail "t0 is here"
ip -n $ns -o link show t0 | grep -q 'master br0 .*52:54:00:00:09:01' || fail "$(ip -n $ns link show t0)"

guest_start "$1"
wait_for 20 found
carrier_is 1 || fail "no carrier"

ip -n $ns link set t0 down
wait_for 5 carrier_is 0
! found || fail "there is a way through an interface that is down"
ip -n $ns link set t0 name t1
ip -n $ns link set t1 up
wait_for 5 carrier_is 1
wait_for 20 found
[ "$(uvdpa -j dev show n0 | jq -r '.dev.n0.ifname')" = t1 ] || fail "$(uvdpa dev show n0)"

# Moved, which sets it down.
ip -n $ns link set t1 netns $ns-2
ip -n $ns-2 addr add 10.0.0.1/24 dev t1
ip -n $ns-2 link set t1 up
wait_for 5 carrier_is 1
wait_for 20 ip netns exec $ns-2 ping -q -c 1 -W 1 10.0.0.2 >/dev/null

ip -n $ns-2 link del t1
wait_for 5 carrier_is 0
in_guest "ping -q -c 1 -W 1 10.0.0.1 >/dev/null; true"
[ "$(grep -c 'interface t1 was deleted' "$tmp/daemon.log")" = 1 ] || fail "it was not said, or more than once"
guest_stop

# A persistent one stays, and is there for the next.
uvdpa dev del n0
net_add mgmtdev net-tap netns $ns ifname p0 persist on
uvdpa dev del n0
index=$(ip -n $ns -o link show p0 | cut -d : -f 1)
net_add mgmtdev net-tap netns $ns ifname p0
uvdpa dev del n0
[ "$(ip -n $ns -o link show p0 | cut -d : -f 1)" = "$index" ] || fail "it is another one"
