#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Limits of the process (RLIMIT_FSIZE, RLIMIT_NOFILE): an operation fails with a sentence,
# or a request with an error, and the daemon goes on.
. "$(dirname "$0")/../lib.sh"
need dd prlimit

truncate -s 16M "$tmp/d.img"
file=
if [ -c /dev/fuse ] && "${UVDPA:?}" driver help virtio | grep -q '^  file '; then
	file=yes
fi

# limited LIMIT PATTERN - the soft limit, and what the daemon says when it meets it
limited() {
	daemon_start
	blk_add d "$tmp/d.img"
	prlimit --pid "$daemon_pid" "$1"
	for i in {1..64}; do
		uvdpa dev add name "x$i" mgmtdev sim-blk capacity 1M driver vhost-user \
			socket "$tmp/x$i.sock" 2>>"$tmp/errors" || break
	done
	if [ -n "$file" ]; then
		if uvdpa dev bind d virtio file "$tmp/d.file" 2>>"$tmp/errors"; then
			dd if=/dev/zero of="$tmp/d.file" bs=64k seek=200 count=8 oflag=direct \
				conv=notrunc 2>>"$tmp/errors" || true
		fi
	fi
	grep -Eq "$2" "$tmp/errors" || fail "$1: $(cat "$tmp/errors")"
	uvdpa dev show >/dev/null
	# What was not limited is there again without it.
	prlimit --pid "$daemon_pid" "${1%%=*}=unlimited:unlimited" 2>/dev/null ||
		prlimit --pid "$daemon_pid" "${1%%=*}=4096:"
	uvdpa dev bind d vhost-user socket "$tmp/again.sock"
	uvdpa dev del d
	daemon_stop
	rm -f "$tmp/errors"
	fusermount3 -uz "$tmp/d.file" 2>/dev/null || true
}

limited --nofile=40: 'Too many open files'
[ -z "$file" ] || limited --fsize=4194304: 'File too large'

# Of descriptors there are as many as there may be.
ulimit -Sn 300
daemon_start
read -r _ _ _ soft hard _ < <(grep "Max open files" "/proc/$daemon_pid/limits")
[ "$soft" = "$hard" ] || fail "limit of descriptors: $soft of $hard"
daemon_stop
