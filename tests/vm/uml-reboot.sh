#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest that reboots finds its disk again, and so does the next one on the same socket.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need linux.uml busybox cpio

truncate -s 1M "$tmp/disk"
daemon_start
blk_add d0 "$tmp/disk"

# Each boot leaves a byte on the disk; the third one ends.
script guest <<'E2'
set -e
n=$(tr -d '\0' </dev/vda | wc -c)
printf x | dd of=/dev/vda bs=1 seek="$((n * 512))" conv=notrunc,fsync 2>/dev/null
[ $n -ge 2 ] || reboot -f
echo "boot $n"
E2
[ "$(uml -d "$tmp/d0.sock:2" "$tmp/guest" | tail -n 1)" = "boot 2" ] || fail "not the third boot"
[ "$(uml -d "$tmp/d0.sock:2" "$tmp/guest" | tail -n 1)" = "boot 3" ] || fail "the next guest saw another disk"
[ "$(tr -d '\0' <"$tmp/disk")" = xxxx ]
