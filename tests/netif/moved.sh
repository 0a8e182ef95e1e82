#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The device moves to another driver and back, again and again, while frames go through its interface: in time,
# and afterwards all of them come back.
# shellcheck source=netif.sh
. "$(dirname "${BASH_SOURCE[0]}")/netif.sh"
need python3

daemon_start
tap_add n0 moving mode echo max_vqp 2
background python3 "$tests/netif/frames.py" moving 50 for 6
traffic=$!
for _ in {1..10}; do
	sleep 0.2
	in_time 3000 bounded "$UVDPA" -s "$ctl" dev bind n0 vhost-user socket "$tmp/n0.sock"
	no_link moving || fail "it is still there"
	in_time 3000 bounded "$UVDPA" -s "$ctl" dev bind n0 virtio tap moving
	link_is moving 'LOWER_UP'
done
wait "$traffic" || fail "frames"
bounded python3 "$tests/netif/frames.py" moving 300
