#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The daemon is killed under a guest that writes. The next one starts on the same paths: nobody's
# sockets and no lock are in its way, and what the guest had synced is there.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need linux.uml busybox cpio

truncate -s 8M "$tmp/disk"
script writer <<'E2'
for n in a b c d e f g h i j k l m n o p q r s t u v w x y z; do
	tr '\0' $n </dev/zero | dd of=/dev/vda bs=4k count=512 iflag=fullblock oflag=direct \
		conv=notrunc,fsync 2>/dev/null || break
	echo "synced $n"
done
sleep 100
E2
script reader <<'E2'
dd if=/dev/vda bs=4k count=512 iflag=direct 2>/dev/null | md5sum
E2

for round in 1 2; do
	rm -rf "$tmp/o"
	daemon_start
	blk_add d0 "$tmp/disk"
	background uml -o "$tmp/o" -d "$tmp/d0.sock:2" "$tmp/writer" >/dev/null 2>&1
	wait_for 60 grep -qs '^synced b' "$tmp/o/console.log"
	daemon_kill
	if [ ! -S "$tmp/d0.sock" ] || [ ! -S "$ctl" ]; then
		fail "the sockets went: nothing is proven"
	fi
	sleep 0.5
	kill -KILL -- "-$(cat "$tmp/o/pid")"
	wait "${pids[-1]}" && fail "the guest ended well"
	last=$(sed -n 's/^synced \(.\).*/\1/p' "$tmp/o/console.log" | tail -n 1)
	oldest=$(head -c 2M "$tmp/disk" | fold -w 1 | sort -u | head -n 1)
	[[ ! $oldest < $last ]] || fail "round $round: $oldest is older than $last, which was synced"

	daemon_start
	blk_add d0 "$tmp/disk"
	uml -t 30 -d "$tmp/d0.sock:2" "$tmp/reader" >"$tmp/out"
	[ "$(sed 's/ .*//' "$tmp/out")" = "$(head -c 2M "$tmp/disk" | md5 -)" ] || fail "read differs"
	daemon_stop
done
