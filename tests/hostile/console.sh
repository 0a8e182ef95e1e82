#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A vhost-user back-end of a console that lies: in its answers, in the rings, and by going away. The terminals over its
# device may be silent, and nothing else may.
# shellcheck source=../console/virtio.sh
. "$(dirname "${BASH_SOURCE[0]}")/../console/virtio.sh"
need python3
python3 -c 'import os; os.eventfd' 2>/dev/null || skip "python3 before 3.10"

daemon_start
fds() { find "/proc/$daemon_pid/fd" -mindepth 1 | wc -l; }
fds_are() { [ "$(fds)" -le "$1" ]; }
before=$(fds)
background python3 "$tests/hostile/backend.py" "$tmp/back.sock" "${1:-6}" console
backend=$!
wait_for 10 test -S "$tmp/back.sock"
added() {
	timeout 20 "$UVDPA" -s "$ctl" dev add name c mgmtdev vhost-user socket "$tmp/back.sock" \
		device_id console driver virtio pty "$tmp/tty"
}
wait_for 20 added
users() {
	timeout 0.2 cat "$tmp"/tty* >/dev/null || true
	timeout 0.2 dd if=/dev/zero of="$tmp/tty" bs=4k count=100 conv=notrunc,nocreat || true
}
bound=0
while kill -0 "$backend" 2>/dev/null; do
	background users
	sleep 0.3
	timeout 2 "$UVDPA" -s "$ctl" dev show >/dev/null || fail "the daemon does not answer"
	timeout 5 "$UVDPA" -s "$ctl" dev describe >/dev/null || fail "the daemon does not answer"
	timeout 5 "$UVDPA" -s "$ctl" dev bind c virtio pty "$tmp/tty" && bound=$((bound + 1))
done 2>"$tmp/errors"
[ "$bound" -gt 0 ] || fail "it was never bound: $(tail "$tmp/errors")"
timeout 10 "$UVDPA" -s "$ctl" dev del c
wait_for 5 fds_are "$before"
[ -z "$(find "$tmp" -type l)" ] || fail "a link is there still"
