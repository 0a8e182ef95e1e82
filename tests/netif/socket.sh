#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A socket of QEMU's at the other end, which is killed and comes back; and so is the daemon.
#
# QEMU runs no guest here: it is a cable between its socket and its TAP interface, in another namespace. In its
# place there may be another daemon, with a device of the same sort.
#
# usage: socket.sh listen|connect|dgram|two-stream|two-dgram
# shellcheck source=netif.sh
. "$(dirname "${BASH_SOURCE[0]}")/netif.sh"
need ping socat
kind=${1:?the kind of socket}
[[ $kind = two-* ]] || need qemu-system-x86_64

background unshare -n sleep 170
inside=$!
elsewhere() { [ "$(readlink "/proc/$inside/ns/net")" != "$(readlink /proc/$$/ns/net)" ]; }
wait_for 5 elsewhere
there() { nsenter -t "$inside" -n "$@"; }

case $kind in
listen)	ours=(path "$tmp/cable" listen on)
	theirs=stream,id=a,addr.type=unix,addr.path=$tmp/cable ;;
connect) ours=(path "$tmp/cable" reconnect_ms 50)
	theirs=stream,id=a,server=on,addr.type=unix,addr.path=$tmp/cable ;;
*dgram)	ours=(type dgram local "$tmp/ours" remote "$tmp/theirs" reconnect_ms 50)
	theirs=dgram,id=a,local.type=unix,local.path=$tmp/theirs,remote.type=unix,remote.path=$tmp/ours ;;
two-stream) ours=(path "$tmp/cable" reconnect_ms 50) ;;
esac

# The other side: with t0 in the other namespace.
two_start() {
	local how=(path "$tmp/cable" listen on)

	[ "$kind" = two-stream ] || how=(type dgram local "$tmp/theirs" remote "$tmp/ours" reconnect_ms 50)
	"$UVDPAD" -s "$tmp/ctl2" 2>>"$tmp/daemon2.log" &
	other=$!
	pids+=("$other")
	wait_for 20 "$UVDPA" -s "$tmp/ctl2" dev show
	"$UVDPA" -s "$tmp/ctl2" dev add name n1 mgmtdev net-socket "${how[@]}" \
		driver virtio tap t0 netns "/proc/$inside/ns/net"
}

qemu_start() {
	nsenter -t "$inside" -n qemu-system-x86_64 -M none -nodefaults -display none -monitor none \
		-netdev "$theirs" -netdev hubport,id=ap,hubid=0,netdev=a \
		-netdev tap,id=b,ifname=t0,script=no,downscript=no -netdev hubport,id=bp,hubid=0,netdev=b &
	other=$!
	pids+=("$other")
}

other_start() {
	if [[ $kind = two-* ]]; then
		two_start
	else
		qemu_start
	fi
	wait_for 20 there ip link set t0 up
	there ip addr add 192.0.2.2/24 dev t0
}

# As by a crash. Its TAP goes with it.
other_kill() {
	kill -KILL "$other"
	wait "$other" 2>/dev/null || true
}

add() {
	uvdpa dev add name n0 mgmtdev net-socket "${ours[@]}" driver virtio tap one
	ip addr add 192.0.2.1/24 dev one
}

reached() { ping -q -c 1 -W 1 192.0.2.2 >/dev/null; }

# whole FROM TO: a file, by TCP; "there" or "" is who runs it
whole() {
	local i

	background "$2" socat -u TCP-LISTEN:5001,reuseaddr "OPEN:$tmp/out,creat,trunc"
	i=$!
	"$1" socat -u "OPEN:$tmp/file" "TCP:$3:5001,retry=50,interval=0.1" || fail "sent by $1"
	wait "$i" || fail "received by $2"
	cmp "$tmp/file" "$tmp/out"
}
here() { "$@"; }

daemon_start
case $kind in
listen)	add; other_start ;;
*)	other_start; add ;;
esac
random "$tmp/file" 8000000
for round in 1 2 3; do
	wait_for 10 link_is one LOWER_UP
	wait_for 10 reached
	for len in 0 100 1472; do
		bounded ping -q -c 3 -i 0.05 -W 2 -M "do" -s $len 192.0.2.2 >/dev/null || fail "$len bytes"
		there ping -q -c 3 -i 0.05 -W 2 -M "do" -s $len 192.0.2.1 >/dev/null || fail "$len bytes, to us"
	done
	bounded ping -q -c 2 -i 0.1 -W 2 -s 20000 192.0.2.2 >/dev/null || fail "in fragments"
	whole here there 192.0.2.2
	whole there here 192.0.2.1

	# One of the two goes, without a word, while frames are on their way.
	background ping -q -f -c 2000 -s 1400 192.0.2.2 >/dev/null
	sleep 0.2
	if [ $round = 1 ]; then
		other_kill
		wait_for 10 link_is one NO-CARRIER
		uvdpa dev show >/dev/null
		other_start
	elif [ $round = 2 ]; then
		daemon_kill
		sleep 0.2
		# As a client it does not connect again, in this version.
		[ "$kind" != listen ] || other_kill
		daemon_start
		add
		[ "$kind" != listen ] || other_start
	fi
done
