#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A socket of QEMU's at the other end, which is killed and comes back; and so is the daemon.
#
# QEMU runs no guest here: it is a cable between its socket and its TAP interface, in another namespace.
#
# usage: socket.sh listen|connect|dgram
# shellcheck source=netif.sh
. "$(dirname "${BASH_SOURCE[0]}")/netif.sh"
need ping qemu-system-x86_64 socat
kind=${1:?the kind of socket}

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
dgram)	ours=(type dgram local "$tmp/ours" remote "$tmp/theirs" reconnect_ms 50)
	theirs=dgram,id=a,local.type=unix,local.path=$tmp/theirs,remote.type=unix,remote.path=$tmp/ours ;;
esac

qemu_start() {
	nsenter -t "$inside" -n qemu-system-x86_64 -M none -nodefaults -display none -monitor none \
		-netdev "$theirs" -netdev hubport,id=ap,hubid=0,netdev=a \
		-netdev tap,id=b,ifname=t0,script=no,downscript=no -netdev hubport,id=bp,hubid=0,netdev=b &
	qemu_pid=$!
	pids+=("$qemu_pid")
	wait_for 20 there ip link set t0 up
	there ip addr add 192.0.2.2/24 dev t0
}

# As by a crash. Its TAP goes with it.
qemu_kill() {
	kill -KILL "$qemu_pid"
	wait "$qemu_pid" 2>/dev/null || true
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
listen)	add; qemu_start ;;
*)	qemu_start; add ;;
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
		qemu_kill
		wait_for 10 link_is one NO-CARRIER
		uvdpa dev show >/dev/null
		qemu_start
	elif [ $round = 2 ]; then
		daemon_kill
		sleep 0.2
		# As a client it does not connect again, in this version.
		[ "$kind" != listen ] || qemu_kill
		daemon_start
		add
		[ "$kind" != listen ] || qemu_start
	fi
done
