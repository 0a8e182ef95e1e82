#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A vhost-user back-end that lies: in its answers, in the rings, and by going away. A file over its
# device may fail, and nothing else may.
. "$(dirname "$0")/../lib.sh"
need python3 dd fusermount3
[ -c /dev/fuse ] || skip "no /dev/fuse"
"${UVDPA:?}" driver help virtio | grep -q '^  file ' || skip "built without FUSE"
python3 -c 'import os; os.eventfd' 2>/dev/null || skip "python3 before 3.10"

take_back() {
	fusermount3 -uz "$tmp/d.img" 2>/dev/null || true
}

daemon_start
fds() {
	find "/proc/$daemon_pid/fd" -mindepth 1 | wc -l
}
fds_are() {
	[ "$(fds)" -le "$1" ]
}
before=$(fds)
background python3 "$tests/hostile/backend.py" "$tmp/back.sock" "${1:-6}"
backend=$!
wait_for 10 test -S "$tmp/back.sock"
added() {
	timeout 20 "$UVDPA" -s "$ctl" dev add name d mgmtdev vhost-user socket "$tmp/back.sock" \
		driver virtio file "$tmp/d.img"
}
wait_for 20 added
# In the background: what a device that is lost does not answer waits, and nothing can end it, until
# the device is taken from its driver.
io() {
	timeout 1 dd if="$tmp/d.img" of=/dev/null bs=64k count=64 iflag=direct status=none || true
	timeout 1 dd if=/dev/zero of="$tmp/d.img" bs=4k count=16 oflag=direct conv=notrunc \
		status=none || true
}
while kill -0 "$backend" 2>/dev/null; do
	background io
	sleep 0.3
	timeout 2 "$UVDPA" -s "$ctl" dev show >/dev/null || fail "the daemon does not answer"
	timeout 5 "$UVDPA" -s "$ctl" dev bind d virtio file "$tmp/d.img" || true
done 2>"$tmp/errors"
timeout 10 "$UVDPA" -s "$ctl" dev del d
wait_for 5 fds_are "$before"
