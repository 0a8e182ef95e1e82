# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034 # who includes this uses what it sets
# lib.sh - what every test with a network begins with
# shellcheck source=../netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../netns.sh" "$@"
[ -n "${TEST_NETNS:-}" ] || { echo "no network namespaces here"; exit 77; }
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need ip

# ---- DPDK's testpmd as a driver, one at a time

# pmd_start ARGS: of its net_virtio_user
pmd_start() {
	mkfifo "$tmp/pmd.in"
	: >"$tmp/pmd.out"
	stdbuf -o0 dpdk-testpmd --no-pci --no-telemetry --no-huge --lcores 0@0-1,1@0-1 -m 96 \
		--file-prefix "uvdpa-test-$$" --vdev "net_virtio_user0,$1" -- -i \
		--total-num-mbufs=8192 --nb-cores=1 --disable-link-check "${@:2}" \
		<"$tmp/pmd.in" >"$tmp/pmd.out" 2>&1 &
	pmd_pid=$!
	pids+=("$pmd_pid")
	exec {pmd_in}>"$tmp/pmd.in"
	rm "$tmp/pmd.in"
	pmd_from=0
	wait_for 30 pmd_ready
}

# It asks for the next command, and has said nothing since.
pmd_ready() {
	[ "$(tail -c "+$((pmd_from + 1))" "$tmp/pmd.out" | tail -c 9)" = "testpmd> " ] || {
		kill -0 "$pmd_pid" 2>/dev/null || { cat "$tmp/pmd.out" >&2; fail "testpmd is gone"; }
		return 1
	}
}

# pmd COMMAND: its answer
pmd() {
	pmd_from=$(stat -c %s "$tmp/pmd.out")
	echo "$1" >&"$pmd_in"
	wait_for 30 pmd_ready
	tail -c "+$((pmd_from + 1))" "$tmp/pmd.out"
}

# pmd_stat NAME: a counter of its port, as RX-packets
pmd_stat() {
	pmd "show port stats 0" | sed -n "s/.*$1: *\([0-9]*\).*/\1/p"
}

# pmd_end SIGNAL
pmd_end() {
	kill "-$1" "$pmd_pid"
	wait "$pmd_pid" 2>/dev/null || true
	exec {pmd_in}>&-
}

# ---- a guest that does what it is told
#
#	here: t0 10.0.0.1/24 -- net-tap n0 -- vhost-user -- eth0 10.0.0.2/24 :guest
#	here: way 10.9.0.1/24 -- net-tap way - vhost-user -- eth1 10.9.0.2/24 :guest
#
# What is tested is n0. By the other one commands get into the guest, whatever happens to the first.

# net_add [OPTION VALUE...]: n0, for a guest; of net-tap unless "mgmtdev" begins the options
net_add() {
	local parent=(mgmtdev net-tap ifname t0 address 10.0.0.1/24)

	if [ "${1:-}" = mgmtdev ]; then
		parent=("${@:1:2}")
		shift 2
	fi
	uvdpa dev add name n0 "${parent[@]}" "$@" driver vhost-user socket "$tmp/n0.sock"
}

way_add() {
	uvdpa dev add name way mgmtdev net-tap persist on address 10.9.0.1/24 \
		driver vhost-user socket "$tmp/way.sock"
}

# guest_start KIND[,PROPERTIES] [OPTION...]: uml or qemu, properties of its eth0
guest_start() {
	local kind=${1%%,*} properties='' way=''

	[ "$kind" = "$1" ] || properties=,${1#*,}
	shift
	need socat busybox cpio
	[[ $properties != *,reconnect=* ]] || way=,reconnect=1
	way_add
	script guest <<-'E2'
	ip link set lo up
	ip addr add 10.9.0.2/24 dev eth1
	ip link set eth1 up
	ip addr add 10.0.0.2/24 dev eth0
	ip link set eth0 up
	socat TCP-LISTEN:23,fork,reuseaddr EXEC:sh &
	until [ -e /end ]; do sleep 0.2; done
	E2
	background "$kind" -t 230 -o "$tmp/o" -f "$(command -v socat)" -f "$(command -v iperf3)" \
		-f "$(command -v ethtool)" -d "$tmp/n0.sock:1$properties" -d "$tmp/way.sock:1$way" "$@" \
		"$tmp/guest" >"$tmp/guest.out" 2>&1
	guest_pid=$!
	wait_for 120 guest_answers
}

guest_answers() {
	kill -0 "$guest_pid" 2>/dev/null || { cat "$tmp/guest.out" >&2; fail "the guest is gone"; }
	in_guest true 2>/dev/null
}

# in_guest COMMAND...: by its shell; its output, and its status. What stays in the background must not
# keep the output open.
in_guest() {
	local fd out

	exec {fd}<>/dev/tcp/10.9.0.2/23 || return 1
	printf '(%s\n) </dev/null 2>&1; echo "status $?"; exit\n' "$*" >&"$fd"
	out=$(timeout 60 cat <&"$fd") || true
	exec {fd}>&-
	[ "${out#status }" = "$out" ] || out=$'\n'$out
	printf '%s' "${out%$'\n'status *}" | sed '1{/^$/d}'
	return "${out##*status }"
}

# The guest ends by itself.
guest_stop() {
	in_guest touch /end
	wait "$guest_pid" || { cat "$tmp/guest.out" >&2; fail "the guest ended with an error"; }
}

# reached: both find each other
reached() {
	ping -q -c 1 -W 1 10.0.0.2 >/dev/null 2>&1
}

# sent_whole FILE: into the guest and back, by TCP; each end says what it got
sent_whole() {
	local got

	in_guest "socat -u TCP-LISTEN:5001,reuseaddr OPEN:/in,creat,trunc >/dev/null 2>&1 & echo \$! >/pid"
	socat -u "OPEN:$1" TCP:10.0.0.2:5001,retry=300,interval=0.1 || return 1
	in_guest "while kill -0 \$(cat /pid) 2>/dev/null; do sleep 0.1; done"
	got=$(in_guest md5sum /in) || return 1
	[ "${got%% *}" = "$(md5 "$1")" ] || { echo "what came into the guest differs" >&2; return 1; }
	background socat -u TCP-LISTEN:5002,reuseaddr "OPEN:$tmp/out,creat,trunc"
	in_guest socat -u OPEN:/in TCP:10.0.0.1:5002,retry=300,interval=0.1 || return 1
	wait $!
	cmp "$1" "$tmp/out"
}
