#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# "uvdpa blk" with devices of the daemon: they are left as they were found, whatever happens.
# shellcheck source=blk.sh
. "$(dirname "${BASH_SOURCE[0]}")/blk.sh"

cd "$tmp"
sparse a.img
truncate -s 64M b.img
daemon_start
uvdpa dev add name d0 mgmtdev blk image "$tmp/b.img"
uvdpa dev add name d1 mgmtdev sim-blk capacity 64M
uvdpa dev add name small mgmtdev sim-blk capacity 1M queue_size 4
uvdpa blk info small >/dev/null
uvdpa dev del small

driver() {
	json ".dev[\"$1\"].driver" dev show "$1"
}
nothing_left() {
	same null "$(driver d0)" "driver of d0"
	same '' "$(find "$tmp" -name '*.sock')" "sockets"
}

quiet blk copy ./a.img d0 >out
cmp a.img b.img
nothing_left
quiet blk copy d0 d1 >out
quiet blk compare d1 ./a.img
same "$(sha256sum <a.img | cut -c1-64)" "$(blk checksum d1 | cut -c1-64)"
quiet blk fill d0 random 3 length 1M >out
quiet blk verify d0 random 3 length 1M
same d0 "$(blk info d0 | awk '$1 == "serial" { print $2 }')"
nothing_left

# ---- with errors, and signals
refused 'd0 twice is one disk, not two' blk copy d0 d0
rc=0
blk compare ./a.img ./a.img >out 2>err || rc=$?
same 2 $rc 'status'
grep -q 'twice is one disk' err || fail "compare: $(cat err)"
nothing_left
refused 'not multiples' blk fill d0 zeroes offset 1
nothing_left
truncate -s 65M big.img
refused 'only 67108864' blk copy ./big.img d0
nothing_left
for signal in INT TERM; do
	# A shell that is not interactive has its background processes ignore SIGINT.
	background env --default-signal=INT "$UVDPA" -s "$ctl" blk bench d0 seconds 30 2>bench.err
	pid=$!
	wait_for 5 test -S "d0.$pid.sock"
	sleep 0.3
	kill "-$signal" $pid
	rc=0
	wait $pid || rc=$?
	same $((128 + $(kill -l $signal))) $rc "status after $signal"
	grep -q interrupted bench.err
	nothing_left
done

# ---- somebody takes it for something else in the middle: that stays
background "$UVDPA" -s "$ctl" blk bench d0 seconds 30 2>bench.err
pid=$!
wait_for 5 test -S "d0.$pid.sock"
sleep 0.3
uvdpa dev bind d0 vhost-user socket "$tmp/vm.socket"
rc=0
wait $pid || rc=$?
same 1 $rc "status without the device"
same vhost-user "$(driver d0)" "driver of d0"
[ -S vm.socket ] || fail "the socket of others is gone"
uvdpa dev unbind d0
nothing_left

# ---- the daemon cannot be told at the end: an error, and the copy is whole and stays
uvdpa dev set d0 bps 64M
background "$UVDPA" -s "$ctl" blk copy d0 ./whole.img 2>copy.err
pid=$!
wait_for 5 test -S "d0.$pid.sock"
mv "$ctl" "$ctl.away"
rc=0
wait $pid || rc=$?
mv "$ctl.away" "$ctl"
same 1 $rc "status without an answer"
grep -q 'cannot reach uvdpad' copy.err
cmp b.img whole.img
uvdpa dev set d0 bps 0
uvdpa dev unbind d0
nothing_left

# ---- bound already
uvdpa dev bind d0 vhost-user socket "$tmp/vm.socket"
status 2 blk compare d0 d0
quiet blk info d0 >out
same vhost-user "$(driver d0)"
[ -S vm.socket ] || fail "the socket of others is gone"
background "$UVDPA" blk bench ./vm.socket seconds 30
pid=$!
in_use() {
	[ "$(json '.dev.d0.status | length' dev show d0)" -gt 0 ]
}
wait_for 5 in_use
refused 'd0 is bound to vhost-user and in use by a front-end' blk info d0
kill $pid
wait $pid || true
if "$UVDPA" driver help virtio | grep -q '^  file ' && [ -c /dev/fuse ]; then
	uvdpa dev bind d0 virtio file "$tmp/d0.file"
	refused 'd0 is bound to virtio; "uvdpa dev unbind d0" first' blk info d0
fi
uvdpa dev unbind d0
refused 'd7' blk info d7

# ---- the device, then the daemon, goes in the middle
background "$UVDPA" -s "$ctl" blk bench d0 seconds 30 2>bench.err
pid=$!
wait_for 5 test -S "d0.$pid.sock"
sleep 0.3
uvdpa dev del d0
rc=0
wait $pid || rc=$?
same 1 $rc "status without the device"
grep -q 'd0: the device is gone' bench.err
background "$UVDPA" -s "$ctl" blk bench d1 seconds 30 2>bench.err
pid=$!
wait_for 5 test -S "d1.$pid.sock"
sleep 0.3
daemon_kill
rc=0
wait $pid || rc=$?
same 1 $rc "status without the daemon"
grep -q 'd1: the device is gone' bench.err
same '' "$(find "$tmp" -name 'd1.*.sock')" "sockets"
