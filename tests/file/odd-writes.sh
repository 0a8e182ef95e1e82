#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Writes that share blocks, of any length, from four at once: no byte of another is lost.
# shellcheck source=file.sh
. "$(dirname "${BASH_SOURCE[0]}")/file.sh"

random "$tmp/want" $((1 << 20))
truncate -s 1M "$tmp/img"
daemon_start
file_add d0 "$tmp/img"

# writer N: each fourth piece, from the end; pieces grow from 1 byte, so all alignments occur
writer() {
	local i at=0 len at_of=() len_of=()

	for ((i = 0; at < 1 << 20; i++)); do
		len=$((i < 400 ? i % 37 * 7 + 1 : 3000 + i * 13))
		[ $((at + len)) -le $((1 << 20)) ] || len=$(((1 << 20) - at))
		if [ $((i % 4)) = "$1" ]; then
			at_of+=("$at")
			len_of+=("$len")
		fi
		at=$((at + len))
	done
	for ((i = ${#at_of[@]} - 1; i >= 0; i--)); do
		dd if="$tmp/want" of="$tmp/d0" bs="${len_of[i]}" count=1 skip="${at_of[i]}B" \
			seek="${at_of[i]}B" conv=notrunc status=none || return 1
	done
}
export -f writer
export tmp
writers=()
for n in 0 1 2 3; do
	timeout 100 bash -c "writer $n" &
	writers+=($!)
done
for p in "${writers[@]}"; do
	wait "$p" || fail "a writer"
done
bounded cmp "$tmp/d0" "$tmp/want"
cmp "$tmp/img" "$tmp/want"
