#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# One of a guest's two consoles is taken from it, for this host and then for another guest. User Mode Linux knows no
# way to get it back; but it lives, and its other console is as it was. (Not if it writes at that moment: Linux's driver
# then waits in the kernel for the device, for good.)
# shellcheck source=guest.sh
. "$(dirname "${BASH_SOURCE[0]}")/guest.sh"

daemon_start
for n in 0 1; do
	uvdpa dev add name c$n mgmtdev console port "pty:$tmp/c$n" driver vhost-user socket "$tmp/c$n.sock"
done
script guest <<-'E2'
	sh -i </dev/hvc1 >/dev/hvc1 2>&1 &
	echo 'here I am' >/dev/hvc0
	until [ -e /end ]; do sleep 0.2; done
E2
background uml -t 200 -o "$tmp/o" -d "$tmp/c0.sock:3" -d "$tmp/c1.sock:3" "$tmp/guest" >"$tmp/guest.out" 2>&1
guest_pid=$!
for n in 0 1; do
	wait_for 20 test -e "$tmp/c$n"
	line_open_tty c$n "$tmp/c$n"
done
hear c0 '^here I am$'
hear c1 '# '
run c1 'here=before'

in_time 4000 uvdpa dev bind c0 virtio pty "$tmp/here"
line_open_tty here "$tmp/here"
line_new c0
say here 'to the port'
hear c0 '^to the port$'
say c0 'from the port'
hear here '^from the port$'
# shellcheck disable=SC2016 # it is for the guest
[ "$(run c1 'echo $here')" = before ] || fail "it is another shell"
line_close here

in_time 4000 uvdpa dev bind c0 vhost-user socket "$tmp/other.sock"
script other <<'E2'
echo 'here I am' >/dev/hvc0
head -n 1 </dev/hvc0
E2
line_new c0
uml -o "$tmp/o2" -d "$tmp/other.sock:3" "$tmp/other" >"$tmp/other.out" &
other=$!
hear c0 '^here I am'
say c0 'good day'
wait "$other"
grep -q 'good day' "$tmp/other.out" || fail "the other guest heard: $(cat "$tmp/other.out")"

random "$tmp/bytes" 100000
bytes_in c1 "$tmp/bytes"
bytes_out c1 100000
! run c1 'dmesg | grep -E "BUG|Oops|hung"' || fail "the guest's kernel complains"
guest_stop c1
