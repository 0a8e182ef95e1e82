# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# mounts.sh - the first of what a test includes that mounts
#
# It runs again in a mount namespace of its own: what it mounts is nobody else's, is in no copy that the namespace of
# another test began with (which would keep a loop device busy), and is gone with the last process.
if [ -z "${TEST_MOUNTS:-}" ] && [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	TEST_MOUNTS=1 exec unshare -m bash "$0" "$@"
fi
