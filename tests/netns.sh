# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# netns.sh - the first of what a test includes that makes interfaces
#
# It runs again in a network namespace of its own, with its daemon, so that they are nobody else's and
# are gone with the last process. Where there are none, TEST_NETNS is empty.
if [ -z "${TEST_NETNS:-}" ]; then
	unshare=(unshare -n)
	[ "$(id -u)" = 0 ] || unshare=(unshare -rn)
	! "${unshare[@]}" true 2>/dev/null || TEST_NETNS=1 exec "${unshare[@]}" bash "$0" "$@"
else
	! command -v ip >/dev/null || ip link set lo up
fi
