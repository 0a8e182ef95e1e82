#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What the guest reads is what the image holds, and what it writes is what the image holds then.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need linux.uml busybox cpio

random "$tmp/disk" $((16 << 20))
cp "$tmp/disk" "$tmp/want"
daemon_start
blk_add d0 "$tmp/disk"

# Copies the second half over the first, back to front, without the last sector of each piece.
script guest <<'E2'
set -e
[ "$(cat /sys/block/vda/size)" = 32768 ]
md5sum /dev/vda
i=0
while [ $i -lt 128 ]; do
	dd if=/dev/vda of=/tmp/piece bs=64k skip=$((128 + i)) count=1 iflag=direct
	dd if=/tmp/piece of=/dev/vda bs=65024 count=1 seek=$(((127 - i) * 65536)) \
		oflag=direct,seek_bytes conv=notrunc
	i=$((i + 1))
done 2>/dev/null
sync
md5sum /dev/vda
E2
uml -d "$tmp/d0.sock:2" "$tmp/guest" >"$tmp/out"

for ((i = 0; i < 128; i++)); do
	dd if="$tmp/disk" of="$tmp/want" bs=512 skip=$(((128 + i) * 128)) seek=$(((127 - i) * 128)) \
		count=127 conv=notrunc status=none
done
cmp "$tmp/disk" "$tmp/want"
[ "$(sed -n '2s/ .*//p' "$tmp/out")" = "$(md5 "$tmp/want")" ] || fail "the guest read something else"
