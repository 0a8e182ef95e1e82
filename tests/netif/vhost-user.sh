#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The device is in another process, by vhost-user, with several queues and its control queue.
# shellcheck source=netif.sh
. "$(dirname "${BASH_SOURCE[0]}")/netif.sh"
need ping

background unshare -n sleep 120
inside=$!
elsewhere() { [ "$(readlink "/proc/$inside/ns/net")" != "$(readlink /proc/$$/ns/net)" ]; }
wait_for 5 elsewhere

# The daemon of lib.sh is the one with the interface; this one has the device.
other() { "$UVDPA" -s "$tmp/other" "$@"; }
other_answers() { other dev show >/dev/null 2>&1; }
other_start() {
	background "$UVDPAD" -s "$tmp/other"
	other_pid=$!
	wait_for 20 other_answers
	other dev add name n0 mgmtdev net-tap ifname t0 address 10.0.0.1/24 max_vqp 2 \
		driver vhost-user socket "$tmp/n0.sock"
}
reached() { ping -q -c 1 -W 1 "$@" 10.0.0.2 >/dev/null; }

other_start
daemon_start
uvdpa dev add name n1 mgmtdev vhost-user socket "$tmp/n0.sock" device_id 1 \
	driver virtio tap vu0 netns "/proc/$inside/ns/net"
nsenter -t "$inside" -n ip addr add 10.0.0.2/24 dev vu0
wait_for 10 reached
reached -s 20000 || fail "20000 bytes"

# Its link is the interface's, here, too.
other dev set name n0 link off
carrier() { nsenter -t "$inside" -n ip -o link show vu0 | grep -q "$1"; }
wait_for 10 carrier NO-CARRIER
other dev set name n0 link on
wait_for 10 carrier LOWER_UP
reached -s 1400 || fail "after the link was down"

# It is killed, with buffers in flight as always. With the next one the interface goes on.
kill -KILL "$other_pid"
wait "$other_pid" || true
wait_for 10 no_link t0
other_start
wait_for 20 reached
reached -s 20000 || fail "20000 bytes, after it was killed"
uvdpa dev del n1
