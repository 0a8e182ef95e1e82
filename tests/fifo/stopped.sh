#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The host is there and does not read: the card's devices are quick to ask, to move and to remove, what they
# send is dropped after two seconds, and when the host goes on all is as before.
#
# usage: stopped.sh unix|tcp|window
# shellcheck source=fifo.sh
. "$(dirname "${BASH_SOURCE[0]}")/fifo.sh"
links "${1:?the kind of link}"

daemon_start
host_start
card_add
host_add
wait_for 20 reached
said "$tmp/card.pty" "$tmp/host.pty"

take_back() {
	kill -CONT "$host_pid"
}

flood() {
	ping -q -f -l 100 -w 5 -s 1400 192.0.2.2 >/dev/null || true
}
say_all() {
	timeout 10 head -c 200000 /dev/zero >"$tmp/card.pty" || true
}
for round in 1 2; do
	kill -STOP "$host_pid"
	background flood
	wait_for 8 is n0 stalled true
	# Of the console more than there is room for anywhere; and its writer is not kept.
	background say_all
	for ((i = 0; i < 20; i++)); do
		in_time 1000 uvdpa dev show >/dev/null 2>&1
	done
	is n0 connected true || fail "it is stopped, and not gone"
	if [ $round = 1 ]; then
		# Another console takes the place of this one, and it comes back.
		in_time 2000 uvdpa dev bind c0 vhost-user socket "$tmp/c0.sock"
		in_time 2000 uvdpa dev bind c0 virtio pty "$tmp/card.pty"
	else
		in_time 2000 uvdpa dev del c0
		in_time 2000 uvdpa dev add name c0 mgmtdev fifo type console link "$card_link" role card \
			reconnect_ms 50 driver virtio pty "$tmp/card.pty"
	fi
	kill -CONT "$host_pid"
	wait_for 20 is n0 stalled false
	wait_for 20 reached
	bounded ping -q -c 20 -i 0.02 -W 2 192.0.2.2 >/dev/null || fail "frames"
	said "$tmp/card.pty" "$tmp/host.pty"
	said "$tmp/host.pty" "$tmp/card.pty"
done
# It may have been stopped in the middle of a frame: that one came too late to be believed.
cut=$(field n0 link_cut)
[ "$cut" -le 2 ] || fail "$cut messages were cut"
[ "$cut" -le "$(field n0 link_stalls)" ] || fail "$cut messages were cut, and not for standing still"
