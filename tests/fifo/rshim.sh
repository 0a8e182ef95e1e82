#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The rshim daemon, as a later Debian has it, is the host of a card of ours. USB is rshim-usb.c, the
# daemon's character devices are sockets (rshim-cuse.c).
#
#	tmfifo_net0 10.0.0.1/24 -- rshim -- USB -- $tmp/link -- fifo n0 -- t0 10.0.0.2/24 :namespace
#	$tmp/rshim0/console ------'                              `- c0 -- $tmp/tty
#
# usage: rshim.sh MODULE
# shellcheck source=../netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../netns.sh" "$@"
[ -n "${TEST_NETNS:-}" ] || { echo "no network namespaces here"; exit 77; }
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need ip ping socat ss jq
module=$(realpath "${1:?the module}")
suite=$tests/guest/suite.sh
"$suite" trixie rshim --version >/dev/null 2>&1 || skip "no rshim (scripts/setup trixie)"
[ -c /dev/net/tun ] || skip "no /dev/net/tun"
ns=uvdpa-test-$$
ip netns add $ns 2>/dev/null || skip "no named network namespaces here"
take_back() {
	ip netns del $ns
	[ "$rc" = 0 ] || sed 's/^/rshim: /' "$tmp/rshim.log" >&2
}

# The card: NIC and console, and a terminal at the card's end.
card_start() {
	daemon_start
	uvdpa dev add name n0 mgmtdev fifo type net link "unix-listen:$tmp/link" role card \
		mac 00:1a:ca:ff:ff:01 driver virtio tap t0 netns $ns
	uvdpa dev add name c0 mgmtdev fifo type console link "unix-listen:$tmp/link" role card \
		driver virtio pty "$tmp/tty"
	wait_for 10 ip -n $ns link set t0 up
	ip -n $ns addr add 10.0.0.2/24 dev t0
}

# The host. In a session of its own: where it cannot end in time it kills its process group.
rshim_start() {
	background env "RSHIM_LINK=$tmp/link" "RSHIM_DEV=$tmp" "LD_PRELOAD=$module" \
		setsid "$suite" trixie rshim -f -b usb -d usb-1.1 >>"$tmp/rshim.log" 2>&1
	rshim_pid=$!
}

# The daemon takes 4 s before it looks at USB, and 1 s to see that nobody else has the card. Its
# interface goes with the card, and comes again.
host_up() {
	wait_for 40 host_found
}
host_found() {
	ip addr add 10.0.0.1/24 dev tmfifo_net0 2>/dev/null || true
	ping -q -c 1 -W 1 10.0.0.2 >/dev/null 2>&1
}

misc() { timeout 5 socat -u "UNIX-CONNECT:$tmp/rshim0/misc" - | awk -v key="$1" '$1 == key { print $2 }'; }
set_misc() { echo "$*" | timeout 5 socat -u - "UNIX-CONNECT:$tmp/rshim0/misc"; }

# console_open, console_close: at the host; write to $console, $tmp/said is what came
console_open() {
	mkfifo "$tmp/keys"
	exec {console}<>"$tmp/keys"
	: >"$tmp/said"
	background socat "OPEN:$tmp/keys,rdonly!!OPEN:$tmp/said,append" "UNIX-CONNECT:$tmp/rshim0/console"
	console_pid=$!
}
console_close() {
	kill "$console_pid" 2>/dev/null || true
	wait "$console_pid" || true
	exec {console}>&-
	rm "$tmp/keys"
}

# answers BYTES: the card, to an echo request of so many
answers() { ping -q -c 1 -W 2 -s "$1" 10.0.0.2 >/dev/null || fail "no answer to $1 bytes"; }

is_stalled() { uvdpa -j dev show c0 | jq -e '.dev.c0.stalled == true' >/dev/null; }

# understood: each word that came was what the daemon meant
understood() {
	uvdpa -j dev show n0 | jq -e '.dev.n0 | .link_received > 0 and .link_oversize + .link_runts +
		.link_unknown + .link_resyncs + .link_lost_bytes + .link_stalls == 0' >/dev/null ||
		fail "$(uvdpa dev show n0)"
}

# has FILE BYTES
has() { [ "$(stat -c %s "$1")" -ge "$2" ]; }

# dialogue KEYS ANSWER: at the host's console, and at the card's; the one shows that it is open
dialogue() {
	local n=${#1}

	printf '%s\r' "$1" >&"$console"
	[ "$(timeout 10 head -c $((n + 1)) "$tmp/tty" | tr '\r' '!')" = "$1!" ] || fail "the card did not read $1"
	printf '%s' "$2" >"$tmp/tty"
	wait_for 10 is_answered "$2"
}
is_answered() { [ "$(tail -c ${#1} "$tmp/said" | tr -d '\0')" = "$1" ]; }

card_start
rshim_start
host_up
ip -br link show tmfifo_net0 | grep -q ' 00:1a:ca:ff:ff:02 ' || fail "$(ip link show tmfifo_net0)"

# Frames of every length up to the largest, and the words that they fill or do not.
for size in 0 1 2 3 4 5 6 7 8 56 511 1471 1472; do
	answers $size
done
ip netns exec $ns ping -q -c 3 -i 0.2 -W 2 10.0.0.1 >/dev/null || fail "no answer to the card"

# A keystroke comes through, and an answer.
console_open
dialogue root 'Password:'

# A file each way over the NIC, and bytes of every value over the console in both directions, at once.
random "$tmp/file" $((4 << 20))
random "$tmp/from-host" 20000
random "$tmp/from-card" 20000
head -c 20000 "$tmp/tty" >"$tmp/got" &
reader=$!
background socat "FILE:$tmp/file!!CREATE:$tmp/to-host" TCP-LISTEN:9,bind=10.0.0.1
near=$!
wait_for 10 sh -c "ss -tln | grep -q '10.0.0.1:9 '"
background ip netns exec $ns timeout 60 socat "FILE:$tmp/file!!CREATE:$tmp/to-card" TCP:10.0.0.1:9
far=$!
cat "$tmp/from-host" >&"$console" &
cat "$tmp/from-card" >"$tmp/tty"
timeout 60 tail -q -s 0.05 --pid=$reader -f /dev/null || fail "$(stat -c %s "$tmp/got") bytes came to the card"
cmp "$tmp/from-host" "$tmp/got"
wait_for 60 has "$tmp/said" $((9 + 20000))
tail -c 20000 "$tmp/said" | cmp - "$tmp/from-card"
wait $near
wait $far
cmp "$tmp/file" "$tmp/to-host"
cmp "$tmp/file" "$tmp/to-card"
understood

# Nobody is at the host's console: what the card says is lost, and holds nothing up.
console_close
head -c 30000 "$tmp/file" | timeout 20 cat >"$tmp/tty"
answers 1472
console_open
dialogue '' 'login:'
[ "$(cat "$tmp/said")" = 'login:' ] || fail "$(wc -c <"$tmp/said") bytes came to the console"

# Somebody has it open and does not read: that holds up all that the daemon reads. The card's devices
# lose what is in the way of that, and go on when he reads again.
kill -STOP "$console_pid"
timeout 10 cat "$tmp/file" >"$tmp/tty" || true
wait_for 10 is_stalled
ip netns exec $ns ping -q -c 100 -i 0.002 -W 1 10.0.0.1 >/dev/null 2>&1 || true
kill -CONT "$console_pid"
host_up
dialogue '' 'still there'
is_stalled && fail "it is still stalled: $(uvdpa dev show n0)"
understood

# The host resets the card in the middle of all that: the daemon's console stays open, and it goes
# on where it was, which may be half a message.
for _ in 1 2 3 4; do
	background ip netns exec $ns timeout 60 socat -u "FILE:$tmp/file" TCP:10.0.0.1:9,retry=100,interval=0.1
	sender=$!
	timeout 10 cat "$tmp/file" >"$tmp/tty" &
	writer=$!
	before=$(stat -c %s "$tmp/said")
	wait_for 10 has "$tmp/said" $((before + 50000))
	set_misc SW_RESET 1
	kill $sender $writer 2>/dev/null || true
	wait $sender $writer || true
	host_up
done
dialogue again 'Welcome'
understood

# So it does when the card's side is gone, and there again.
daemon_kill
card_start
host_up
dialogue root 'Password:'

# And when the host is.
kill -KILL "$rshim_pid"
wait "$rshim_pid" || true
console_close
rm -r "$tmp/rshim0"
rshim_start
host_up

# What the card says of itself when it is asked, and hears when it is told.
set_misc DISPLAY_LEVEL 1
[ "$(misc PEER_MAC)" = 00:1a:ca:ff:ff:01 ] || fail "PEER_MAC $(misc PEER_MAC)"
set_misc PEER_MAC 02:00:5e:10:00:01
answers 1472
understood

# A Linux takes the place of the drivers in the card; the host notices nothing.
script guest <<-'E2'
	ip addr add 10.0.0.2/24 dev eth0
	ip link set eth0 up
	exec </dev/hvc0 >/dev/hvc0
	stty raw -echo
	echo ready
	while read -r line && [ "$line" != end ]; do
		echo "the guest read $line"
	done
E2
uvdpa dev bind n0 vhost-user socket "$tmp/n0.sock"
uvdpa dev bind c0 vhost-user socket "$tmp/c0.sock"
console_open
background uml -d "$tmp/n0.sock:1" -d "$tmp/c0.sock:3" "$tmp/guest" >"$tmp/guest.out" 2>&1
guest_pid=$!
wait_for 60 host_found
for size in 0 1 7 1472; do
	answers $size
done
wait_for 20 grep -aq '^ready$' "$tmp/said"
printf 'hello\n' >&"$console"
wait_for 20 grep -aq '^the guest read hello$' "$tmp/said"
printf 'end\n' >&"$console"
wait "$guest_pid" || fail "the guest: $(cat "$tmp/guest.out")"
understood

kill "$rshim_pid"
wait "$rshim_pid" || fail "rshim ended with $?"
