# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# netif.sh - what every test of a device as a network interface begins with
[ "$(id -u)" = 0 ] || { echo "not root"; exit 77; }
[ -w /dev/net/tun ] || { echo "/dev/net/tun cannot be opened"; exit 77; }
# shellcheck source=../netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../netns.sh" "$@"
[ -n "${TEST_NETNS:-}" ] || { echo "no network namespaces here"; exit 77; }
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need ip

# Only frames of the test itself: no router solicitations and the like.
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6

# tap_add DEVICE INTERFACE [OPTION VALUE...]: of the parent; the device is the interface
tap_add() {
	local dev=$1 name=$2

	shift 2
	uvdpa dev add name "$dev" mgmtdev sim-net "$@" driver virtio tap "$name"
}

# link_is INTERFACE PATTERN: in what "ip link" says, on one line
link_is() { ip -o -d link show "$1" | grep -qE -- "$2"; }
has_link() { ip link show "$1" >/dev/null 2>&1; }
no_link() { ! has_link "$1"; }

# Nothing may wait for ever, whatever goes wrong with the interface.
bounded() { timeout 30 "$@"; }
