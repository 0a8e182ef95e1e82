#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# "uvdpa blk bench": the figures belong together, and nothing is overwritten unasked.
# shellcheck source=blk.sh
. "$(dirname "${BASH_SOURCE[0]}")/blk.sh"

cd "$tmp"
random a.img 16M
cp a.img b.img
for rw in read randread; do
	for poll in on off; do
		for queues in 1 2; do
			quiet "$UVDPA" -j blk bench ./a.img rw $rw poll $poll queues $queues depth 8 bs 8k seconds 1 >out
			jq -e --arg rw $rw --argjson queues $queues '.bench[] |
				.rw == $rw and .queues == $queues and .depth == 8 and .bs == 8192 and
				.seconds >= 1 and .seconds < 5 and .requests > 100 and
				(.iops * .seconds / .requests | . > 0.99 and . < 1.01) and
				(.bytes_per_second / .iops / 8192 | . > 0.99 and . < 1.01) and
				.lat_min_ns <= .lat_p50_ns and .lat_p50_ns <= .lat_p90_ns and
				.lat_p90_ns <= .lat_p99_ns and .lat_p99_ns <= .lat_p999_ns and
				.lat_p999_ns <= .lat_max_ns and .lat_mean_ns <= .lat_max_ns and
				.lat_min_ns > 0 and .cpu_ns_per_request > 0' out >/dev/null ||
				fail "$rw poll $poll queues $queues: $(cat out)"
		done
	done
done
# As many under way as were asked for: so long one takes, by Little's law.
quiet "$UVDPA" -j blk bench ./a.img depth 16 seconds 1 >out
jq -e '.bench[] | .iops * .lat_mean_ns / 1e9 | . > 14 and . < 17' out >/dev/null ||
	fail "not 16 requests under way: $(cat out)"

refused 'destroys what is on ./a.img; say "overwrite"' blk bench ./a.img rw write
refused 'destroys' blk bench ./a.img rw randwrite seconds 1
cmp a.img b.img
quiet blk bench ./a.img rw randwrite seconds 1 overwrite >out
! cmp -s a.img b.img || fail "nothing was written"

refused 'has 1 queues, not 2' blk bench blk:image=b.img,num_queues=1 queues 2
refused 'no multiple of its block size, 4096' blk bench blk:image=b.img,logical_block_size=4096 bs 512
refused 'depth is more than its ring takes' blk bench blk:image=b.img,queue_size=4 depth 64 seconds 1
refused 'more than 4G' blk bench ./b.img depth 1024 bs 16M
