#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# "uvdpa rng read": the very bytes, from wherever the device is, and it is left as it was found.
# shellcheck source=tests/cli/cli.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cli/cli.sh"
need mkfifo

cd "$tmp"
truncate -s 1M noise
uvdpa blk fill ./noise random 5 >/dev/null 2>&1
daemon_start
uvdpa dev add name r0 mgmtdev rng seed 5
grep -q 'r0: seed 5: its bytes are not random' daemon.log
uvdpa dev add name slow mgmtdev rng source /dev/random bps 10
mkfifo pipe
uvdpa dev add name p0 mgmtdev rng source "$tmp/pipe"

# first FILE BYTES - so many of the seed's bytes
first() {
	cmp -n "$2" "$1" noise || fail "$1: other bytes"
	same "$2" "$(stat -c %s "$1")" "bytes in $1"
}
driver() {
	json ".dev[\"$1\"].driver" dev show "$1"
}
# Nobody has it, and nothing of ours lies around.
nothing_left() {
	same null "$(driver "$1")" "driver of $1"
	same '' "$(find "$tmp" -name '*.sock' ! -name vm.sock)" sockets
}

# ---- a device that nobody has
for n in 1 16 65536 100000 1M; do
	uvdpa rng read r0 $n >out
	first out "$(numfmt --from=iec $n)"
	nothing_left r0
done
same false "$(json .dev.r0.random dev show r0)" "random"
same seed "$(json '.dev.r0.source' dev show r0)" "source"
[ "$(json '.vstats.r0.bytes_in' dev vstats show r0 qidx 0)" -gt 1000000 ] || fail "counters"

# ---- one that waits for a virtual machine, and one that a back-end has
uvdpa dev bind r0 vhost-user socket "$tmp/vm.sock"
uvdpa rng read r0 5000 >out
first out 5000
uvdpa rng read ./vm.sock 6000 >out
first out 6000
uvdpa dev add name x0 mgmtdev vhost-user socket "$tmp/vm.sock" device_id rng
uvdpa rng read x0 7000 >out
first out 7000
uvdpa dev del x0
same vhost-user "$(driver r0)" "it is left as it was"
uvdpa dev bind r0 virtio
refused 'r0 is bound to virtio; "uvdpa dev unbind r0" first' uvdpa rng read r0 1
uvdpa dev unbind r0

# Its rings are as small as can be.
uvdpa dev add name small mgmtdev rng seed 5 queue_size 1
uvdpa rng read small 100000 >out
same 100000 "$(stat -c %s out)" "bytes by a queue of one"
uvdpa dev del small

# ---- without a daemon
uvdpa rng read rng:seed=5 3000 >out 2>err
first out 3000
uvdpa rng read rng:source=getrandom 3000 >a
uvdpa rng read rng: 3000 >b
same 3000 "$(stat -c %s a)"
! cmp -s a b || fail "the same bytes twice"
! cmp -s a noise || fail "the bytes of the seed"
uvdpa rng read ./noise 3000 >out 2>err
first out 3000

# ---- what is refused
uvdpa dev add name d0 mgmtdev sim-blk
refused 'd0 is no rng device' uvdpa rng read d0 1
refused 'sim-blk:capacity=1M is no rng device' uvdpa rng read sim-blk:capacity=1M 1
refused 'device not found: "nobody"' uvdpa rng read nobody 1
refused 'usage: uvdpa rng read DEV' uvdpa rng read
refused '"0" is not a number of bytes' uvdpa rng read r0 0
refused '"-1" is not a number of bytes' uvdpa rng read r0 -1
refused '"1X" is not a number of bytes' uvdpa rng read r0 1X
refused '"17E" is not a number of bytes' uvdpa rng read r0 17E
refused 'No such file' uvdpa rng read ./nowhere 1
refused 'is a directory' uvdpa rng read /tmp 1
nothing_left r0

# ---- an output that ends
rc=0
uvdpa rng read r0 2>err | head -c 100000 >out || rc=${PIPESTATUS[0]}
same 141 "$rc" "status after SIGPIPE"
same '' "$(cat err)" "what it says of a closed pipe"
first out 100000
wait_for 5 nothing_left r0
refused 'standard output: No space left on device' bash -c "\"\$0\" -s '$ctl' rng read r0 1M >/dev/full" "$UVDPA"
nothing_left r0
refused 'standard output: File too large' bash -c "ulimit -f 6000; \"\$0\" -s '$ctl' rng read r0 8M >limited" "$UVDPA"
nothing_left r0
refused 'standard output' bash -c "\"\$0\" -s '$ctl' rng read r0 1M >&-" "$UVDPA"
nothing_left r0

# ---- interrupted, while nothing comes and while nobody takes it
mkfifo unread
exec 9<>unread
for signal in INT TERM; do
	for case in "p0 /dev/null" "r0 $tmp/unread"; do
		read -r dev to <<<"$case"
		# A shell that is not interactive has its background processes ignore SIGINT.
		background env --default-signal=INT "$UVDPA" -s "$ctl" rng read "$dev" >"$to" 2>err
		pid=$!
		wait_for 5 test -S "$dev.$pid.sock"
		sleep 0.3
		in_time 1000 uvdpa dev show "$dev" >/dev/null
		kill "-$signal" $pid
		rc=0
		wait $pid || rc=$?
		same $((128 + $(kill -l $signal))) $rc "status after $signal"
		nothing_left "$dev"
	done
done
exec 9>&-

# ---- a slow source keeps nobody: the device goes, and the reader is told
uvdpa rng read slow 2 >out
same 2 "$(stat -c %s out)"
background "$UVDPA" -s "$ctl" rng read p0 10 >out 2>err
pid=$!
wait_for 5 test -S "p0.$pid.sock"
sleep 0.2
echo -n 0123 >pipe
wait_for 5 test -s out
in_time 1500 uvdpa dev del p0
rc=0
wait $pid || rc=$?
same 1 $rc "status when the device goes"
grep -Eq 'p0: the device is gone|p0: ' err || fail "$(cat err)"
same 0123 "$(cat out)"

# ---- the daemon goes
uvdpa dev add name p0 mgmtdev rng source "$tmp/pipe"
background "$UVDPA" -s "$ctl" rng read p0 10 >out 2>err
pid=$!
wait_for 5 test -S "p0.$pid.sock"
sleep 0.2
daemon_kill
rc=0
wait $pid || rc=$?
same 1 $rc "status when the daemon goes"
same '' "$(find "$tmp" -name 'p0.*.sock')" sockets
