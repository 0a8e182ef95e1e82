#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest is killed in the middle of its writes: each piece of the disk is whole, old or new, what
# it had synced is there, and the next guest works at once.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need linux.uml busybox cpio

truncate -s 8M "$tmp/disk"
daemon_start
blk_add d0 "$tmp/disk"

# Round n fills 4 KiB pieces with the letter of n, and tells when a round is on the disk.
script writer <<'E2'
for n in a b c d e f g h i j k l m n o p q r s t u v w x y z; do
	tr '\0' $n </dev/zero | dd of=/dev/vda bs=4k count=512 iflag=fullblock oflag=direct \
		conv=notrunc,fsync 2>/dev/null
	echo "synced $n"
done
echo over
E2
script reader <<'E2'
dd if=/dev/vda bs=4k count=1 iflag=direct 2>/dev/null | md5sum
E2

for round in 1 2 3; do
	rm -rf "$tmp/o"
	background uml -o "$tmp/o" -d "$tmp/d0.sock:2" "$tmp/writer" >/dev/null 2>&1
	wait_for 60 grep -qs '^synced b' "$tmp/o/console.log"
	kill -KILL -- "-$(cat "$tmp/o/pid")"
	wait "${pids[-1]}" && fail "the killed guest ended well"
	! grep -q '^over' "$tmp/o/console.log" || fail "too late to kill"

	last=$(sed -n 's/^synced \(.\).*/\1/p' "$tmp/o/console.log" | tail -n 1)
	# Only one writer, one request at a time: at most one change of letters, from new to old.
	letters=$(head -c 2M "$tmp/disk" | fold -w 4096 | uniq)
	pieces=$(wc -l <<<"$letters")
	[ "$pieces" -le 2 ] || fail "round $round: $pieces kinds of pieces"
	while read -r l; do
		[ ${#l} = 4096 ] || fail "a piece of ${#l}"
		[ "$(tr -d "${l:0:1}" <<<"$l")" = "" ] || fail "a torn piece"
		[[ ! ${l:0:1} < $last ]] || fail "round $round: ${l:0:1} is older than $last, which was synced"
	done <<<"$letters"

	uml -t 30 -d "$tmp/d0.sock:2" "$tmp/reader" >"$tmp/out"
	[ "$(sed 's/ .*//' "$tmp/out")" = "$(head -c 4096 "$tmp/disk" | md5 -)" ] || fail "read differs"
done
