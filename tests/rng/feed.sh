#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# "uvdpa rng feed": the kernel's pool, at a bounded rate, with credit for who may give it.
# shellcheck source=tests/cli/cli.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cli/cli.sh"
need setpriv
[ -w /dev/random ] || skip "/dev/random cannot be written to"

cd "$tmp"
daemon_start
uvdpa dev add name r0 mgmtdev rng
uvdpa dev add name s0 mgmtdev rng seed 9

same 'r0: bytes 64 credited_bits 0 ' "$(uvdpa rng feed r0 64) "
same '{"fed":{"r0":{"bytes":100,"credited_bits":0}}}' "$(uvdpa -j rng feed r0 100 rate 1M)"
same null "$(json .dev.r0.driver dev show r0)" "driver of r0"
same 164 "$(json .vstats.r0.bytes_in dev vstats show r0 qidx 0)" "no more than was wanted"

# ---- the rate
begin=$(now_ms)
same 300 "$(json .fed.r0.bytes rng feed r0 300 rate 200)"
took=$(($(now_ms) - begin))
[ $took -ge 1000 ] || fail "300 bytes at 200 a second took $took ms"
[ $took -lt 6000 ] || fail "300 bytes at 200 a second took $took ms"

# ---- credit: for who may, and for random bytes
if uvdpa -j rng feed r0 64 credit 8 >out 2>err; then
	same '{"fed":{"r0":{"bytes":64,"credited_bits":512}}}' "$(cat out)"
else
	grep -q 'credit is for who has CAP_SYS_ADMIN' err || fail "$(cat err)"
	echo "this system gives no credit"
fi
refused 'credit is for who has CAP_SYS_ADMIN' \
	setpriv --bounding-set -sys_admin "$UVDPA" -s "$ctl" rng feed r0 64 credit 1
same 64 "$(setpriv --bounding-set -sys_admin "$UVDPA" -s "$ctl" -j rng feed r0 64 | jq .fed.r0.bytes)"
refused 's0: its bytes are not random, and worth no credit' uvdpa rng feed s0 64 credit 1
refused 'worth no credit' uvdpa rng feed rng:seed=1 64 credit 1
same 64 "$(json .fed.s0.bytes rng feed s0 64)"

refused 'usage: uvdpa rng feed DEV' uvdpa rng feed
refused 'credit is 9, not from 0 to 8' uvdpa rng feed r0 64 credit 9
refused 'rate is 0' uvdpa rng feed r0 64 rate 0
refused 'rate is 2M' uvdpa rng feed r0 64 rate 2M
refused '"speed" is not known here' uvdpa rng feed r0 64 speed 2

# ---- until it is told to stop, which is no failure
for signal in INT TERM; do
	background env --default-signal=INT "$UVDPA" -s "$ctl" -j rng feed r0 rate 1K >out
	pid=$!
	wait_for 5 test -S "r0.$pid.sock"
	sleep 0.5
	kill "-$signal" $pid
	wait $pid || fail "status $? after $signal"
	[ "$(jq .fed.r0.bytes out)" -ge 64 ] || fail "fed: $(cat out)"
	same null "$(json .dev.r0.driver dev show r0)" "driver of r0"
done
same '' "$(find "$tmp" -name '*.sock')" sockets
