#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# "uvdpa blk" when the disk fails: an error that names what, and nothing half done that looks whole.
# shellcheck source=blk.sh
. "$(dirname "${BASH_SOURCE[0]}")/blk.sh"
[ "$(id -u)" = 0 ] || skip "needs root, for a small tmpfs"
need mount

cd "$tmp"
mkdir small
mount -t tmpfs -o size=4m none small 2>/dev/null || skip "no tmpfs can be mounted"
take_back() {
	umount -l "$tmp/small" || true
}

# ---- a target that is full: the copy that was made for it goes
random a.img 8M
refused './small/b.img: write of [0-9]+ bytes at [0-9]+: Input/output error' blk copy ./a.img ./small/b.img
[ ! -e small/b.img ] || fail "half a copy is left"
truncate -s 8M small/c.img
refused 'Input/output error' blk copy ./a.img ./small/c.img
[ -e small/c.img ] || fail "a file that was there is gone"
rm small/c.img

# ---- a source that ends early
truncate -s 3M small/d.img
"$UVDPA" blk bench ./small/d.img rw read seconds 30 2>err &
pid=$!
pids+=("$pid")
sleep 0.5
truncate -s 1M small/d.img
rc=0
timeout 10 tail -q -s 0.05 --pid="$pid" -f /dev/null || fail "it hangs"
wait $pid || rc=$?
same 1 $rc "status"
grep -q './small/d.img: Input/output error' err || fail "it said: $(cat err)"

# ---- interrupted: what was made is gone, what was there stays
truncate -s 6G big.img
background env --default-signal=INT "$UVDPA" blk copy sim-blk:capacity=6G blk:image=big.img 2>err
pid=$!
sleep 0.5
kill -INT $pid
rc=0
wait $pid || rc=$?
[ $rc = 130 ] || [ $rc = 0 ] || fail "status $rc after SIGINT: $(cat err)"
[ -e big.img ] || fail "the target is gone"
