#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# nbdkit drives the device by libblkio, and fio writes and verifies by way of it; the next client
# finds what this one has left.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need fio
"$tests/guest/suite.sh" trixie nbdkit --version >/dev/null || skip "no nbdkit with libblkio (scripts/setup trixie)"

truncate -s 64M "$tmp/disk"
daemon_start
blk_add d0 "$tmp/disk"

# job OPTION...: through an nbdkit of its own
job() {
	local nbdkit

	"$tests/guest/suite.sh" trixie nbdkit --foreground --unix "$tmp/nbd" \
		blkio virtio-blk-vhost-user path="$tmp/d0.sock" 2>"$tmp/nbdkit.log" &
	nbdkit=$!
	pids+=("$nbdkit")
	wait_for 20 test -S "$tmp/nbd"
	timeout 100 fio --ioengine=nbd --uri="nbd+unix:///?socket=$tmp/nbd" --name=job --size=48M --bsrange=512-256k \
		--iodepth=32 --verify=crc32c --verify_fatal=1 --verify_state_save=0 "$@" >"$tmp/fio" 2>&1 || { cat "$tmp/fio" "$tmp/nbdkit.log"; fail "fio $*"; }
	kill "$nbdkit"
	wait "$nbdkit" || true
	rm -f "$tmp/nbd"
}
job --rw=randrw --fsync=64
grep -Eq '^ *write: IOPS' "$tmp/fio" || fail "nothing was written"
job --rw=randwrite --randseed=7 --do_verify=0
job --rw=randwrite --randseed=7 --verify_only
