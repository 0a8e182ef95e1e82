#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The device is an interface of the host, then a guest's NIC, then the host's again, while it is pinged all the
# time from the other end of its cable: nobody there needs to do a thing.
# shellcheck source=../net/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../net/lib.sh"
need ping iperf3 ethtool
[ -w /dev/net/tun ] || skip "/dev/net/tun cannot be opened"

background unshare -n sleep 170
inside=$!
elsewhere() { [ "$(readlink "/proc/$inside/ns/net")" != "$(readlink /proc/$$/ns/net)" ]; }
wait_for 5 elsewhere
to_interface() {
	timeout 30 "$UVDPA" -s "$ctl" dev bind n0 virtio tap drv0 netns "/proc/$inside/ns/net"
	nsenter -t "$inside" -n ip addr add 10.0.0.2/24 dev drv0
}

daemon_start
uvdpa dev add name n0 mgmtdev net-tap ifname t0 address 10.0.0.1/24 max_vqp 2
to_interface
wait_for 10 reached
background ping -q -f -w 160 10.0.0.2 >/dev/null

timeout 30 "$UVDPA" -s "$ctl" dev bind n0 vhost-user socket "$tmp/n0.sock"
! nsenter -t "$inside" -n ip link show drv0 2>/dev/null || fail "the interface is still there"
guest_start uml
wait_for 20 reached
[ "$(in_guest cat /sys/class/net/eth0/address)" = \
	"$(uvdpa dev config show n0 | sed -n 's/.*mac \([0-9a-f:]*\).*/\1/p')" ] || fail "another address in the guest"

for _ in 1 2 3; do
	to_interface
	wait_for 10 reached
	timeout 30 "$UVDPA" -s "$ctl" dev bind n0 vhost-user socket "$tmp/n0.sock"
done
to_interface
wait_for 10 reached
guest_stop
