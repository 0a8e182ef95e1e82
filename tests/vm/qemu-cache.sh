#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Whether a write is durable when it is answered is as the guest has it: with a cache it flushes when
# it has to, without one each write is. It changes its mind; and a driver that does not know how to
# flush has no cache.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need qemu-system-x86_64 busybox cpio strace

truncate -s 8M "$tmp/disk0" "$tmp/disk1"
daemon_start
blk_add d0 "$tmp/disk0" engine threads
blk_add d1 "$tmp/disk1" engine threads device_features 100000004	# no FLUSH
background strace -f -qq -s 0 -p "$daemon_pid" -e trace=pwritev2,pwritev,pwrite64,fdatasync,fsync -o "$tmp/trace"
strace=${pids[-1]}
traced() {
	kill -0 "$strace" 2>/dev/null || skip "no right to trace the daemon"
	! grep -q '^TracerPid:.0$' /proc/"$daemon_pid"/task/*/status
}
wait_for 20 traced

script guest <<'E2'
set -e
# write DISK PLACE: eight requests of 64 KiB
write() { dd if=/dev/zero of=/dev/$1 bs=64k seek=$2 count=8 oflag=direct conv=notrunc 2>/dev/null; }
cat /sys/block/vda/cache_type
write vda 16
dd if=/dev/zero of=/dev/vda bs=4k count=1 conv=notrunc,fsync 2>/dev/null
echo 'write through' >/sys/block/vda/cache_type
cat /sys/block/vda/cache_type
write vda 32
echo 'write back' >/sys/block/vda/cache_type
write vda 48
cat /sys/block/vdb/cache_type
write vdb 64
E2
qemu -d "$tmp/d0.sock:2" -d "$tmp/d1.sock:2" "$tmp/guest" >"$tmp/out" || { cat "$tmp/out"; fail "the guest failed"; }
kill "$strace"
wait "$strace" || true	# before the daemon ends, whose sanitizer cannot look while it is traced
cmp "$tmp/out" <(printf '%s\n' 'write back' 'write through' 'write through') || fail "the guest says: $(cat "$tmp/out")"

# durable PLACE: how many of the writes there were durable, and how many not
durable() {
	awk -v from=$(($1 * 65536)) '
	/pwrite/ && match($0, /, [0-9]+, (0|RWF_[A-Z_|]*)(\)| <unf)/) {
		split(substr($0, RSTART + 2, RLENGTH - 2), w, /, |\)| /)
		if (w[1] < from || w[1] >= from + 524288 || w[2] ~ /NOWAIT/)
			next
		if (w[2] ~ /DSYNC/)
			yes[w[1]]
		else
			no[w[1]]
	}
	END { print length(yes), length(no) }' "$tmp/trace"
}
[ "$(durable 16)" = '0 8' ] || fail "with a cache: $(durable 16)"
[ "$(grep -c 'fdatasync(' "$tmp/trace")" -ge 1 ] || fail "the flush came to nothing"
[ "$(durable 32)" = '8 0' ] || fail "without: $(durable 32)"
[ "$(durable 48)" = '0 8' ] || fail "with a cache again: $(durable 48)"
[ "$(durable 64)" = '8 0' ] || fail "without flush: $(durable 64)"
