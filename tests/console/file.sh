#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A console into a file that is rotated; its disk is full, and the guest goes on; there is space again, and so does
# the file.
# shellcheck source=host.sh
. "$(dirname "${BASH_SOURCE[0]}")/host.sh"
[ "$(id -u)" = 0 ] || skip "not root"
unshare -m true 2>/dev/null || skip "no mount namespaces here"
take_back() { ! mountpoint -q "$tmp/disk" || umount -l "$tmp/disk"; }

daemon_start
console_add "log=file:$tmp/log,ask=unix-listen:$tmp/ask" rotate 20000 rotate_keep 3
seq 1 16000 >"$tmp/all"
script s <<'E2'
until [ -e /dev/hvc0 ] && [ -e /dev/vport0p1 ]; do sleep 0.1; done
exec 4<>/dev/hvc0
stty -F /dev/hvc0 raw -echo
seq 1 16000 >/dev/hvc0
exec 3<>/dev/vport0p1
while read -r line <&3; do
	case $line in
	end) exit 0 ;;
	more) seq 1 20000 >/dev/hvc0; echo done >&3 ;;
	esac
done
E2
background uml -d "$tmp/c0.sock:3" "$tmp/s" >"$tmp/guest.out" 2>&1
guest_pid=$!
all_there() { [ "$(cat "$tmp"/log* | wc -c)" = $(($(stat -c %s "$tmp/all") % 20000 + 60000)) ]; }
wait_for 60 all_there
for i in 1 2 3; do
	same 20000 "$(stat -c %s "$tmp/log.$i")" "size of log.$i"
done
[ ! -e "$tmp/log.4" ] || fail "there are too many files"
cat "$tmp"/log.3 "$tmp"/log.2 "$tmp"/log.1 "$tmp/log" >"$tmp/got"
tail -c "$(stat -c %s "$tmp/got")" "$tmp/all" | cmp - "$tmp/got"
uvdpa dev del c0
wait "$guest_pid" || true	# its device is gone

mkdir "$tmp/disk"
mount -t tmpfs -o size=64k none "$tmp/disk"
console_add "log=file:$tmp/disk/log,ask=unix-listen:$tmp/ask"
background uml -d "$tmp/c0.sock:3" "$tmp/s" >"$tmp/guest.out" 2>&1
guest_pid=$!
visit out "UNIX-CONNECT:$tmp/ask"
full() { [ "$(shown port0_dropped)" -gt 0 ]; }
wait_for 60 full
echo more >&5
wait_for 60 has "$tmp/out" '^done$'
same 65536 "$(stat -c %s "$tmp/disk/log")"
same 1 "$(grep -c 'No space left on device: what does not fit is dropped' "$tmp/daemon.log")" warnings
mount -o remount,size=1M "$tmp/disk"
echo more >&5
grown() { [ "$(tail -n 1 "$tmp/disk/log")" = 20000 ]; }
wait_for 60 grown
wait_for 5 grep -q 'goes on; [0-9]* bytes were dropped so far' "$tmp/daemon.log"
echo end >&5
guest_ends
uvdpa dev del c0
