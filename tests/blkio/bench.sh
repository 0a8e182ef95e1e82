#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# libblkio's own programs: many requests at once on several queues, with and without polling, and a
# copy of an image there and back. One that is killed leaves the device to the next.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need jq
blkio() { timeout 60 "$tests/guest/suite.sh" trixie "$@"; }
blkio blkio-bench --help >/dev/null || skip "no blkio-bench (scripts/setup trixie)"

random "$tmp/random" $((32 << 20))
truncate -s 32M "$tmp/disk" "$tmp/back"
daemon_start
blk_add d0 "$tmp/disk" num_queues 4 workers 2
driver=virtio-blk-vhost-user path=path=$tmp/d0.sock

blkio blkio-copy --input-file="$tmp/random" --output-blkio="$driver" "$path"
cmp "$tmp/random" "$tmp/disk"

# It complains and ends if no request comes back for half a second.
for args in '' '--poll' '--iodepth=32' '--iodepth=32 --poll' '--num-threads=4 --iodepth=16' \
	'--blocksize=1048576 --iodepth=4'; do
	# shellcheck disable=SC2086 # words
	blkio blkio-bench --runtime=1 --readwrite=randread $args "$driver" "$path" >"$tmp/out" || fail "blkio-bench $args"
	jq -e '.aggregate.kiops > 0' "$tmp/out" >/dev/null || fail "blkio-bench $args: $(cat "$tmp/out")"
done

blkio blkio-copy --input-blkio="$driver" "$path" --output-file="$tmp/back"
cmp "$tmp/random" "$tmp/back"

truncate -s 0 "$tmp/back"
truncate -s 32M "$tmp/back"
for _ in 1 2 3; do
	background "$tests/guest/suite.sh" trixie blkio-bench --readwrite=randread --iodepth=32 --num-threads=2 "$driver" "$path" >/dev/null 2>&1
	sleep 0.3
	kill -KILL "${pids[-1]}"
	wait "${pids[-1]}" 2>/dev/null || true
done
blkio blkio-copy --input-blkio="$driver" "$path" --output-file="$tmp/back"
cmp "$tmp/random" "$tmp/back"
