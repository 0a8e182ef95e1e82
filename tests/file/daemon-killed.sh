#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# After a crash of the daemon the users of the file get errors, and the next daemon finds the dead
# mount and takes its place. What was synced is on the disk.
# shellcheck source=file.sh
. "$(dirname "${BASH_SOURCE[0]}")/file.sh"
[ "$(id -u)" = 0 ] || skip "not root: a dead mount needs fusermount3 -u"

truncate -s 8M "$tmp/img"
random "$tmp/new" $((1 << 20))
daemon_start
file_add d0 "$tmp/img"
bounded dd if="$tmp/new" of="$tmp/d0" bs=64k conv=notrunc,fsync status=none
exec 9<"$tmp/d0"
daemon_kill
! bounded head -c 1 <&9 2>/dev/null || fail "there is still a file"
exec 9<&-

daemon_start
file_add d0 "$tmp/img"
bounded cmp -n $((1 << 20)) "$tmp/d0" "$tmp/new"
uvdpa dev del d0
! mountpoint -q "$tmp/d0" || fail "still mounted"
rm -f "$tmp/d0"
