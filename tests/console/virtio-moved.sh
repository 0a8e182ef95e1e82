#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# While somebody sends, the console moves between a terminal of this host and a device that another process has: whoever
# has it gets the numbers in their order, none twice, and the terminal is at the same place each time.
# shellcheck source=virtio.sh
. "$(dirname "${BASH_SOURCE[0]}")/virtio.sh"

daemon_start
uvdpa dev add name c0 mgmtdev console port "unix-listen:$tmp/s" driver virtio pty "$tmp/c0"
cat >"$tmp/numbers" <<'E2'
for ((i = 0; ; i++)); do echo "n $i"; ((i % 50)) || sleep 0.01; done
E2
background bash "$tmp/numbers" > >(socat -u - "UNIX-CONNECT:$tmp/s") 2>/dev/null

# numbers FILE: they rise; what is cut at either end is no number
numbers() {
	sed '1d;$d' "$1" | awk '
		NF != 2 || $1 != "n" || $2 !~ /^[0-9]+$/ { print "line " NR ": " $0; exit 1 }
		NR > 1 && $2 <= last { print $2 " after " last; exit 1 }
		{ last = $2 }
		END { if (NR < 100) { print NR " lines"; exit 1 } print last }' || return 1
}

last=-1
for round in {1..4}; do
	for at in "$tmp/c0" "$tmp/p0"; do
		timeout 1.2 cat "$at" >"$tmp/out" 2>/dev/null || true
		now=$(numbers "$tmp/out") || fail "round $round, $at: $now"
		[ "$now" -gt "$last" ] || fail "$now after $last"
		last=$now
		if [ "$at" = "$tmp/c0" ]; then
			in_time 3000 uvdpa dev bind c0 vhost-user socket "$tmp/c0.sock"
			[ ! -L "$tmp/c0" ] || fail "the link is there still"
			uvdpa dev add name p0 mgmtdev vhost-user socket "$tmp/c0.sock" device_id console \
				driver virtio pty "$tmp/p0"
		else
			uvdpa dev del p0
			in_time 3000 uvdpa dev bind c0 virtio pty "$tmp/c0"
		fi
	done
done
