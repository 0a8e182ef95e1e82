#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A device is a network interface: up, with its address, MTU, queues and carrier, which follow it; in the
# namespace and with the name that was asked for; and it goes with the device, or the device with it.
# shellcheck source=netif.sh
. "$(dirname "${BASH_SOURCE[0]}")/netif.sh"
need jq

daemon_start
tap_add n0 one mac 52:54:00:0a:0b:0c mtu 1400
link_is one '<[A-Z,_]*,UP,LOWER_UP>'
link_is one 'mtu 1400 '
link_is one 'link/ether 52:54:00:0a:0b:0c '
link_is one 'tun type tap pi off vnet_hdr on'
[ "$(uvdpa -j dev describe n0 | jq -r '.. | .interface? // empty')" = one ] ||
	fail "describe says: $(uvdpa dev describe n0)"

# Link and address follow the device.
uvdpa dev set name n0 link off
wait_for 5 link_is one 'NO-CARRIER'
uvdpa dev set name n0 link on
wait_for 5 link_is one 'LOWER_UP'
uvdpa dev set name n0 mac 52:54:00:0a:0b:0d
wait_for 5 link_is one 'link/ether 52:54:00:0a:0b:0d '

# Several queues, a name with a number, one that is renamed.
uvdpa dev add name n1 mgmtdev sim-net max_vqp 4 driver virtio queues 3 tap many%d
link_is many0 'multi_queue numqueues 3 '
ip link set many0 down
ip link set many0 name other
uvdpa dev describe n1 | grep -qw 'other' || fail "describe says: $(uvdpa dev describe n1)"
uvdpa dev set name n1 link off
wait_for 5 link_is other 'multi_queue'

# Another namespace, by a path.
background unshare -n sleep 60
inside=$!
elsewhere() { [ "$(readlink "/proc/$inside/ns/net")" != "$(readlink /proc/$$/ns/net)" ]; }
wait_for 5 elsewhere
uvdpa dev add name n2 mgmtdev sim-net driver virtio tap there netns "/proc/$inside/ns/net"
no_link there || fail "there is here"
nsenter -t "$inside" -n ip -o link show there | grep -q 'UP,LOWER_UP' || fail "not there"

# An interface that somebody else made is used, and stays.
ip tuntap add mode tap name mine vnet_hdr
uvdpa dev add name n3 mgmtdev sim-net mtu 2000 driver virtio tap mine
link_is mine 'mtu 2000 .*persist on'
uvdpa dev del n3
has_link mine || fail "it was removed"

# What cannot be is said, and leaves nothing behind.
refused() {
	local want=$1

	shift
	! uvdpa "$@" 2>"$tmp/err" || fail "$* works"
	grep -q "$want" "$tmp/err" || fail "$*: $(cat "$tmp/err")"
}
refused 'lo: is there, and no TAP' dev add name n4 mgmtdev sim-net driver virtio tap lo
refused 'one' dev add name n4 mgmtdev sim-net driver virtio tap one
refused '1 to 15 bytes' dev add name n4 mgmtdev sim-net driver virtio tap a-name-of-16-char
refused "'/' is in no" dev add name n4 mgmtdev sim-net driver virtio tap a/b
refused 'a%d%d: .*Invalid argument' dev add name n4 mgmtdev sim-net driver virtio tap a%d%d
refused 'No such file' dev add name n4 mgmtdev sim-net driver virtio tap x netns none-of-this-name
refused 'without tap' dev add name n4 mgmtdev sim-net driver virtio netns x
refused 'for disks' dev add name n4 mgmtdev sim-net driver virtio file "$tmp/f"
refused 'for network devices' dev add name n4 mgmtdev sim-blk driver virtio tap x
no_link x || fail "x is there"

# Who removes the interface unbinds the device; it can be bound again.
ip link del one
unbound() { ! uvdpa dev show n0 | grep -q 'driver virtio'; }
wait_for 5 unbound
bounded "$UVDPA" -s "$ctl" dev bind n0 virtio tap one
link_is one 'LOWER_UP'

# Unbound, moved, and removed: it is gone when the command returns.
uvdpa dev unbind n0
no_link one || fail "still there after unbind"
uvdpa dev bind n0 virtio tap one
bounded "$UVDPA" -s "$ctl" dev bind n0 vhost-user socket "$tmp/n0.sock"
no_link one || fail "still there after a move"
bounded "$UVDPA" -s "$ctl" dev bind n0 virtio tap one
uvdpa dev del n0
no_link one || fail "still there after del"
