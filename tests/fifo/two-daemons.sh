#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A card and its host: frames and a terminal over one FIFO, at the same time; either side is killed and
# comes back, and the devices of the other stay.
#
# usage: two-daemons.sh unix|unix-other|tcp|tty|window
# shellcheck source=fifo.sh
. "$(dirname "${BASH_SOURCE[0]}")/fifo.sh"
kind=${1:?the kind of link}
links "$kind"

random "$tmp/file" 16000000
daemon_start
host_start
if [ "$kind" = unix-other ]; then
	host_add
	card_add
else
	card_add
	host_add
fi
for round in 1 2 3; do
	wait_for 20 is n0 connected true
	wait_for 20 is n1 connected true host
	wait_for 20 reached
	for len in 0 100 1472; do
		bounded ping -q -c 3 -i 0.05 -W 2 -M "do" -s $len 192.0.2.2 >/dev/null || fail "$len bytes"
	done
	whole here there 192.0.2.2
	whole there here 192.0.2.1
	# Both at once.
	background ping -q -f -c 3000 -s 1400 192.0.2.2 >/dev/null
	said "$tmp/card.pty" "$tmp/host.pty"
	said "$tmp/host.pty" "$tmp/card.pty"

	if [ $round = 1 ]; then
		host_kill
		wait_for 20 is n0 connected false
		wait_for 20 is c0 connected false
		wait_for 20 link_is tc NO-CARRIER
		host_start
		host_add
	elif [ $round = 2 ]; then
		daemon_kill
		wait_for 20 is n1 connected false host
		daemon_start
		card_add
	fi
done
is n1 link_unknown 0 host || fail "messages of an unknown type"
host dev del n1
host dev del c1
uvdpa dev del n0
uvdpa dev del c0
for f in "$tmp"/fifo* "$tmp"/window* "$tmp"/line*; do
	[ ! -e "$f" ] || fail "$f is left"
done
