#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Holes, zeros and writes that share blocks, of any length, from four at once: each byte ends as the
# one says whose it is.
# shellcheck source=file.sh
. "$(dirname "${BASH_SOURCE[0]}")/file.sh"
need fallocate

random "$tmp/old" $((1 << 20))
random "$tmp/want" $((1 << 20))
daemon_start
uvdpa dev add name d0 mgmtdev sim-blk capacity 1M logical_block_size 4096 \
	driver virtio file "$tmp/d0"
bounded dd if="$tmp/old" of="$tmp/d0" bs=1M conv=notrunc status=none

# Pieces grow from 1 byte, so all alignments occur. Of three, one is written, one a hole, one zeros.
at=0
for ((i = 0; at < 1 << 20; i++)); do
	len=$((i < 200 ? i % 37 * 7 + 1 : 3000 + i * 13))
	[ $((at + len)) -le $((1 << 20)) ] || len=$(((1 << 20) - at))
	at_of[i]=$at
	len_of[i]=$len
	[ $((i % 3)) = 0 ] || fallocate -z -o "$at" -l "$len" "$tmp/want"
	at=$((at + len))
done
# worker N: each fourth, from the end
worker() {
	local n

	for ((n = ${#at_of[@]} - 1 - $1; n >= 0; n -= 4)); do
		case $((n % 3)) in
		0) dd if="$tmp/want" of="$tmp/d0" bs="${len_of[n]}" count=1 skip="${at_of[n]}B" \
			seek="${at_of[n]}B" conv=notrunc status=none || return 1 ;;
		1) fallocate -p -o "${at_of[n]}" -l "${len_of[n]}" "$tmp/d0" || return 1 ;;
		2) fallocate -z -o "${at_of[n]}" -l "${len_of[n]}" "$tmp/d0" || return 1 ;;
		esac
	done
}
workers=()
for n in 0 1 2 3; do
	worker $n &
	workers+=($!)
done
for p in "${workers[@]}"; do
	wait "$p" || fail "a worker"
done
bounded cmp "$tmp/d0" "$tmp/want"

# The size stays what it is, and what cannot be is said.
! fallocate -l 2M "$tmp/d0" 2>/dev/null || fail "became larger"
! fallocate -z -o 1M -l 1 "$tmp/d0" 2>/dev/null || fail "zeros behind the end"
fallocate -p -o 1M -l 1M "$tmp/d0"
fallocate -l 1M "$tmp/d0"
! fallocate -c -o 0 -l 4096 "$tmp/d0" 2>/dev/null || fail "collapsed"
[ "$(stat -c %s "$tmp/d0")" = 1048576 ]
bounded cmp "$tmp/d0" "$tmp/want"
