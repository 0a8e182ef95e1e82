#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The image of a disk that a guest uses gets larger, by us and by another program, smaller, and takes less
# space when the guest discards: each is seen at the other end. The name of the image may be gone meanwhile.
# Arguments: options of the disk.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need linux.uml busybox cpio

truncate -s 64M "$tmp/disk" 2>/dev/null
exec 9<"$tmp/disk"	# no name needed later
daemon_start
if ! blk_add d0 "$tmp/disk" "$@" 2>"$tmp/err"; then
	grep -q 'no direct I/O' "$tmp/err" || fail "$(cat "$tmp/err")"
	skip "$(cat "$tmp/err")"
fi

script guest <<'E2'
set -e
size_is() {
	i=0
	until [ "$(cat /sys/block/vda/size)" = $(($1 * 2048)) ]; do
		i=$((i + 1))
		[ $i -lt 200 ] || { echo "size $(cat /sys/block/vda/size), not $1 MiB"; exit 1; }
		sleep 0.1
	done
}
put() { dd if=/tmp/data of=/dev/vda bs=1M seek="$1" oflag=direct conv=notrunc,fsync 2>/dev/null; }
got() { dd if=/dev/vda bs=1M skip="$1" count=8 iflag=direct 2>/dev/null | cmp - /tmp/data; }
head -c 8388608 /dev/urandom >/tmp/data
put 0
echo written
size_is 96
put 88
got 88
echo larger
size_is 128
put 120
got 120
got 0
echo noticed
blkdiscard -o 0 -l 8388608 /dev/vda
[ "$(dd if=/dev/vda bs=1M count=8 iflag=direct 2>/dev/null | tr -d '\0' | wc -c)" = 0 ]
got 88
echo discarded
size_is 100
! dd if=/dev/vda bs=1M skip=120 count=1 iflag=direct of=/dev/null 2>/dev/null
got 88
echo smaller
E2
background uml -o "$tmp/o" -m 128 -d "$tmp/d0.sock:2" "$tmp/guest" >"$tmp/out"
said() {
	kill -0 "${pids[0]}" 2>/dev/null || fail "the guest ended early: $(cat "$tmp/out")"
	grep -qs "^$1.\?$" "$tmp/o/console.log"
}
space() { stat -L -c '%b' /proc/self/fd/9 | awk '{ print int($1 / 2048 + 0.5) }'; }
given_back() { [ "$(space)" = 16 ]; }	# of 24 that were written

wait_for 60 said written
[ "$(space)" -ge 8 ] || fail "$(space) MiB, 8 were written"
! uvdpa dev set d0 size 32M 2>"$tmp/err" || fail "data was cut off without a word"
uvdpa dev set d0 size 96M
wait_for 60 said larger
truncate -s 128M "$tmp/disk"
wait_for 60 said noticed
rm "$tmp/disk"
wait_for 60 said discarded
wait_for 10 given_back
uvdpa dev set d0 size 100M shrink on
rc=0
wait "${pids[0]}" || rc=$?
cat "$tmp/out"
[ $rc = 0 ] || fail "the guest ended with $rc"
[ "$(uvdpa -j dev show d0 | jq -c '.dev.d0 | [.size, .image]')" = "[104857600,\"$tmp/disk\"]" ] ||
	fail "$(uvdpa dev show d0)"
