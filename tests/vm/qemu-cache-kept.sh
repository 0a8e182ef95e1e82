#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest has turned the cache of its disk off. What it does not notice changes nothing: the daemon is
# killed and another begins, or the machine is paused; each write is durable as before. Nor does it
# when the guest lets go of the disk and takes it again, and QEMU tells it what it knew before.
#
# usage: qemu-cache-kept.sh killed|paused|rebound
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need qemu-system-x86_64 busybox cpio strace socat jq

truncate -s 8M "$tmp/disk"
daemon_start
blk_add d0 "$tmp/disk" engine threads

script guest <<E2
how=$1
E2
cat >>"$tmp/guest" <<'E2'
set -e
mark() { dd if=/dev/vda bs=512 skip=16383 count=1 iflag=direct 2>/dev/null | tr -d '\0'; }
echo 'write through' >/sys/block/vda/cache_type
if [ $how = rebound ]; then
	echo virtio0 >/sys/bus/virtio/drivers/virtio_blk/unbind
	echo virtio0 >/sys/bus/virtio/drivers/virtio_blk/bind
	until [ -b /dev/vda ]; do sleep 0.1; done
fi
cat /sys/block/vda/cache_type
echo "ready"
until [ "$(mark)" = go ]; do sleep 0.1; done
dd if=/dev/zero of=/dev/vda bs=64k seek=16 count=8 oflag=direct conv=notrunc 2>/dev/null
E2
background qemu -o "$tmp/o" -d "$tmp/d0.sock:2,reconnect=1" "$tmp/guest" \
	-- -monitor "unix:$tmp/monitor,server=on,wait=off" >"$tmp/out"
guest=${pids[-1]}
wait_for 120 grep -qs '^ready' "$tmp/o/console.log"
case $1 in
killed)	daemon_kill
	daemon_start
	blk_add d0 "$tmp/disk" engine threads
	running() { [ "$(uvdpa -j dev show d0 | jq -r '.dev.d0.status[-1]')" = DRIVER_OK ]; }
	wait_for 20 running ;;
paused)	printf '%s\n' stop cont | socat - "UNIX-CONNECT:$tmp/monitor" >"$tmp/monitor.log" ;;
esac
background strace -f -qq -s 0 -p "$daemon_pid" -e trace=pwritev2 -o "$tmp/trace"
strace=${pids[-1]}
traced() {
	kill -0 "$strace" 2>/dev/null || skip "no right to trace the daemon"
	! grep -q '^TracerPid:.0$' /proc/"$daemon_pid"/task/*/status
}
wait_for 20 traced
printf go | dd of="$tmp/disk" bs=512 seek=16383 conv=notrunc status=none
wait "$guest" || { cat "$tmp/out"; fail "the guest failed"; }
kill "$strace"
wait "$strace" || true	# before the daemon ends, whose sanitizer cannot look while it is traced
grep -q '^write through' "$tmp/out" || fail "the guest has: $(cat "$tmp/out")"
grep -v RWF_NOWAIT "$tmp/trace" | sed 's/.*\], //' >"$tmp/writes"
[ "$(grep -c RWF_DSYNC "$tmp/writes")" = 8 ] || fail "writes are not durable: $(cat "$tmp/writes")"
