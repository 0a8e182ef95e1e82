# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034 # who includes this uses what it sets
# lib.sh - what every test with a network begins with
#
# It runs in a network namespace of its own, with the daemon, so that TAPs and veths are nobody
# else's and are gone with the last process: there is nothing to take back.
if [ -z "${TEST_NETNS:-}" ]; then
	PATH=$PATH:/usr/sbin:/sbin
	unshare=(unshare -n)
	[ "$(id -u)" = 0 ] || unshare=(unshare -rn)
	"${unshare[@]}" true 2>/dev/null || { echo "no network namespaces here"; exit 77; }
	TEST_NETNS=1 exec "${unshare[@]}" bash "$0" "$@"
fi
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need ip
ip link set lo up

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
