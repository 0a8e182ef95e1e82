#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A card and its host, as they are meant: on the card a guest has both devices.
#
#	guest: eth0 192.0.2.1 - vhost-user -\                       /- th 192.0.2.2 (elsewhere)
#	                                     card ==== FIFO ==== host
#	guest: hvc0 ----------- vhost-user -/                       \- a terminal, or another guest's hvc0
#
# Somebody logs in, while files are copied and pings go. The host's console moves to another guest and back, and the
# card notices nothing. The host's daemon is killed, and then the card's.
# shellcheck source=fifo.sh
. "$(dirname "${BASH_SOURCE[0]}")/fifo.sh"
# shellcheck source=../console/line.sh
. "$(dirname "${BASH_SOURCE[0]}")/../console/line.sh"
need linux.uml busybox cpio sha256sum
links unix

card_up() {
	local options=(link "$card_link" role card reconnect_ms 50 driver vhost-user socket)

	daemon_start
	uvdpa dev add name n0 mgmtdev fifo type net "${options[@]}" "$tmp/n0.sock"
	uvdpa dev add name c0 mgmtdev fifo type console "${options[@]}" "$tmp/c0.sock"
	guest_start uml -f "$(command -v socat)" -d "$tmp/n0.sock:1"
}

# The network, by whoever has logged in.
net_up() {
	run c 'ip addr add 192.0.2.1/24 dev eth0; ip link set eth0 up'
	wait_for 20 card_reached
}
card_reached() { there ping -q -c 1 -W 1 192.0.2.1 >/dev/null; }
both_connected() { is n0 connected true && is c0 connected true && is n1 connected true host; }

# copies: files into the guest, one after the other, until $tmp/stop is there; how many
copies() {
	local n=0

	until [ -e "$tmp/stop" ]; do
		there socat -u "OPEN:$tmp/file" TCP:192.0.2.1:5001,retry=50,interval=0.1 || { echo "copy $n failed" >&2; return 1; }
		n=$((n + 1))
		sleep 0.2
	done
	echo $n
}

# What the card would notice.
noticed() {
	run c 'cat /sys/class/net/eth0/carrier_changes'
	field n0 connections
	field c0 connections
	for d in n0 c0; do
		uvdpa -j dev vstats show $d | jq -c '[.. | objects | to_entries[] | select(.key | test("error")) | .value]'
	done
}

random "$tmp/file" $((1 << 20))
host_start
host_add
card_up
wait_for 20 both_connected
line_open_tty c "$tmp/host.pty"
log_in c
net_up

run c "(socat -u TCP-LISTEN:5001,reuseaddr,fork SYSTEM:'sha256sum >>/sums' >/dev/null 2>&1 &) </dev/null"
before=$(noticed)
copies >"$tmp/copies" &
copying=$!
nsenter -t "$inside" -n ping -i 0.05 192.0.2.1 >"$tmp/pings" &	# not by a function: the signal is for it
pinging=$!
pids+=("$copying" "$pinging")
[ "$(run c 'seq 1 1000')" = "$(seq 1 1000)" ] || fail "lines are missing"
run c 'here=before'

script other <<'E2'
exec 3<>/dev/hvc0
stty raw -echo <&3
cat <&3 >/out &
i=0
until grep -aq 'it was before' /out; do
	[ $((i % 10)) != 0 ] || printf '\necho "it was" $here\n' >&3
	i=$((i + 1))
	[ $i -lt 300 ] || { cat /out; exit 1; }
	sleep 0.1
done
E2
for _ in 1 2; do
	line_close c
	host dev bind c1 vhost-user socket "$tmp/other.sock"
	uml -t 100 -o "$tmp/o2" -d "$tmp/other.sock:3" "$tmp/other" || fail "the other guest did not find the shell"
	host dev bind c1 virtio pty "$tmp/host.pty"
	line_open_tty c "$tmp/host.pty"
	# shellcheck disable=SC2016 # it is for the guest
	[ "$(run c 'echo $here')" = before ] || fail "it is another shell"
	[ "$(run c 'seq 1 1000')" = "$(seq 1 1000)" ] || fail "lines are missing"
done
touch "$tmp/stop"
wait "$copying" || fail "copies"
kill -INT "$pinging"
wait "$pinging" || true
[ "$(noticed)" = "$before" ] || fail "the card has noticed: $before, then: $(noticed)"
# A frame may be lost where a processor comes too late to it, but not one in a hundred.
grep -Eq ' 0(\.[0-9]*)?% packet loss' "$tmp/pings" || fail "pings: $(tail -n 3 "$tmp/pings")"
all_there() { [ "$(run c 'wc -l </sums')" -ge "$(cat "$tmp/copies")" ]; }
wait_for 20 all_there
[ "$(run c 'sort -u /sums')" = "$(sha256sum <"$tmp/file")" ] || fail "a file is not whole: $(run c 'cat /sums')"
echo "$(cat "$tmp/copies") files, $(grep -c ttl= "$tmp/pings") pings"

# once: one more file
once() {
	run c 'rm -f /sums'
	there socat -u "OPEN:$tmp/file" TCP:192.0.2.1:5001,retry=50,interval=0.1
	wait_for 20 run c 'test -s /sums'
	[ "$(run c 'cat /sums')" = "$(sha256sum <"$tmp/file")" ] || fail "the file is not whole"
}

line_close c
host_kill
wait_for 20 is n0 connected false
host_start
host_add
wait_for 20 both_connected
line_open_tty c "$tmp/host.pty"
# shellcheck disable=SC2016 # it is for the guest
[ "$(run c 'echo $here')" = before ] || fail "it is another shell"
wait_for 20 card_reached
once
echo "the host was killed"

daemon_kill
wait_for 20 is n1 connected false host
kill -KILL -- "-$(cat "$tmp/o/pid")"
wait "$guest_pid" || true
there ip link show th >/dev/null || fail "the host's interface went with the card"
line_new c
card_up
log_in c	# by the line that was open all the time
net_up
run c "(socat -u TCP-LISTEN:5001,reuseaddr,fork SYSTEM:'sha256sum >>/sums' >/dev/null 2>&1 &) </dev/null"
once
guest_stop c
