#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A front-end sends files that it serves itself, by FUSE, and does not answer: no other device, and
# no client of the daemon, has to wait for it.
. "$(dirname "$0")/../lib.sh"
need python3 fusermount3
python3 -c 'import os; os.eventfd' 2>/dev/null || skip "python3 before 3.10"
[ -c /dev/fuse ] || skip "no /dev/fuse"
"${UVDPA:?}" driver help virtio | grep -q '^  file ' || skip "built without FUSE"

server=
take_back() {
	[ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
	fusermount3 -uz "$tmp/served.img" 2>/dev/null || true
}

"$UVDPA" run mgmtdev sim-blk capacity 16M driver virtio file "$tmp/served.img" >"$tmp/run.out" &
server=$!
wait_for 10 test -s "$tmp/run.out"
daemon_start
truncate -s 16M "$tmp/d.img"
blk_add d "$tmp/d.img"
PYTHONDONTWRITEBYTECODE=1 timeout 60 python3 "$tests/hostile/foreign.py" "$ctl" "$daemon_pid" \
	"$tmp/d.sock" "$tmp/served.img" "$server"
