#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Two disks are two files of their size; what is written to one is in its image and nowhere else.
# shellcheck source=file.sh
. "$(dirname "${BASH_SOURCE[0]}")/file.sh"

random "$tmp/a.img" $((16 << 20))
random "$tmp/b.img" $(((3 << 20) + 512))
cp "$tmp/a.img" "$tmp/a.want"
cp "$tmp/b.img" "$tmp/b.want"
: >"$tmp/b"		# may be there, empty
daemon_start
file_add a "$tmp/a.img"
file_add b "$tmp/b.img" packed on queue_size 16
[ "$(bounded stat -c '%F %s' "$tmp/a" "$tmp/b")" = "regular file 16777216
regular file 3146240" ] || fail "type or size"
bounded cmp "$tmp/a" "$tmp/a.want"
bounded cmp "$tmp/b" "$tmp/b.want"

random "$tmp/new" $((5 << 20))
bounded dd if="$tmp/new" of="$tmp/a" bs=1M seek=3 conv=notrunc,fsync status=none
dd if="$tmp/new" of="$tmp/a.want" bs=1M seek=3 conv=notrunc status=none
bounded dd if="$tmp/new" of="$tmp/b" bs=4k count=100 oflag=direct,dsync status=none	# truncates
dd if="$tmp/new" of="$tmp/b.want" bs=4k count=100 conv=notrunc status=none
for d in a b; do
	bounded cmp "$tmp/$d" "$tmp/$d.want"
	bounded cmp "$tmp/$d.img" "$tmp/$d.want"
done

# The end of the disk is the end of the file, and stays there.
! bounded dd if="$tmp/new" of="$tmp/b" bs=1M status=none 2>"$tmp/err" || fail "5 MiB on 3"
grep -q 'No space left' "$tmp/err"
! bounded truncate -s 1M "$tmp/b" 2>/dev/null || fail "became smaller"
[ "$(bounded stat -c %s "$tmp/b")" = 3146240 ]
cmp -n 3146240 "$tmp/new" "$tmp/b.img"

uvdpa dev unbind a
[ ! -e "$tmp/a" ] || fail "the file is still there"
uvdpa dev unbind b
[ "$(stat -c '%F %s' "$tmp/b")" = "regular empty file 0" ] || fail "not as it was"
