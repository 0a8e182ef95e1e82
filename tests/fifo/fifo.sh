# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034 # who includes this uses what it sets
# fifo.sh - a card and its host: two daemons at the two ends of a FIFO
#
#	here (the daemon)			elsewhere (the other one)
#	card: tc, console to a socket ===== FIFO ===== host: th, console to a socket
#
# tc is here, th in a network namespace of its own: 192.0.2.1 and .2.
# shellcheck source=../netif/netif.sh
. "$(dirname "${BASH_SOURCE[0]}")/../netif/netif.sh"
need ping socat

background unshare -n sleep 170
inside=$!
elsewhere() { [ "$(readlink "/proc/$inside/ns/net")" != "$(readlink /proc/$$/ns/net)" ]; }
wait_for 5 elsewhere
there() { nsenter -t "$inside" -n "$@"; }
host() { "${UVDPA:?}" -s "$tmp/ctl2" "$@"; }
host_answers() { host dev show >/dev/null 2>&1; }

# The ends of the link, for a kind of it: $card_link and $host_link
links() {
	case $1 in
	unix) card_link=unix-listen:$tmp/fifo host_link=unix:$tmp/fifo ;;
	unix-other) card_link=unix:$tmp/fifo host_link=unix-listen:$tmp/fifo ;;
	tcp) card_link=tcp-listen:127.0.0.1:4711 host_link=tcp:127.0.0.1:4711 ;;
	tty) card_link=pty:$tmp/line host_link=tty:$tmp/line ;;
	window) card_link=window:$tmp/window host_link=window:$tmp/window ;;
	esac
}

# A console's driver is this process: a socket of vhost-user is not needed to speak, a pty is.
card_add() {
	uvdpa dev add name n0 mgmtdev fifo type net link "$card_link" role card reconnect_ms 50 \
		driver virtio tap tc
	uvdpa dev add name c0 mgmtdev fifo type console link "$card_link" role card reconnect_ms 50 \
		driver virtio pty "$tmp/card.pty"
	ip addr add 192.0.2.1/24 dev tc
}

host_start() {
	"$UVDPAD" -s "$tmp/ctl2" 2>>"$tmp/daemon2.log" &
	host_pid=$!
	pids+=("$host_pid")
	wait_for 20 host_answers
}

host_add() {
	host dev add name n1 mgmtdev fifo type net link "$host_link" role host reconnect_ms 50 \
		driver virtio tap th netns "/proc/$inside/ns/net"
	host dev add name c1 mgmtdev fifo type console link "$host_link" role host reconnect_ms 50 \
		driver virtio pty "$tmp/host.pty"
	there ip addr add 192.0.2.2/24 dev th
	there ip link set th up
}

# As by a crash.
host_kill() {
	kill -KILL "$host_pid"
	wait "$host_pid" 2>/dev/null || true
}

# field DEVICE KEY [host]: what is shown of a device
field() {
	"${3:-uvdpa}" -j dev show "$1" | jq -r ".dev[\"$1\"][\"$2\"]"
}
is() { [ "$(field "$1" "$2" "${4:-}")" = "$3" ]; }

reached() { ping -q -c 1 -W 1 192.0.2.2 >/dev/null; }

# said FROM TO: a line that is written to one terminal comes out of the other
said() {
	local line="line $RANDOM$RANDOM" got

	timeout 10 bash -c 'exec <>"$1"; while read -r line; do [ "$line" != "$2" ] || exit 0; done' \
		- "$2" "$line" &
	got=$!
	sleep 0.2
	# One that was written before somebody listens is kept, or lost; so it is said until it is heard.
	for ((i = 0; i < 20; i++)); do
		printf '%s\n' "$line" >"$1"
		sleep 0.1
		kill -0 $got 2>/dev/null || break
	done
	wait $got || fail "$1: nothing of it came to $2"
}

# whole FROM TO ADDRESS: a file by TCP; "here" or "there" is who runs each
whole() {
	local i

	background "$2" socat -u TCP-LISTEN:5001,reuseaddr "OPEN:$tmp/out,creat,trunc"
	i=$!
	"$1" socat -u "OPEN:$tmp/file" "TCP:$3:5001,retry=50,interval=0.1" || fail "sent by $1"
	wait "$i" || fail "received by $2"
	cmp "$tmp/file" "$tmp/out"
}
here() { bounded "$@"; }
