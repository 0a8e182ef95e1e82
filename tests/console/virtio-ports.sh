#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A console of many ports is many terminals, called as the ports are; each side sees the other come and go, and one
# that does not read holds up no other.
# shellcheck source=virtio.sh
. "$(dirname "${BASH_SOURCE[0]}")/virtio.sh"

daemon_start
uvdpa dev add name c0 mgmtdev console \
	port "boot=unix-listen:$tmp/boot,agent=unix-listen:$tmp/agent,bulk=unix-listen:$tmp/bulk" \
	driver virtio pty "$tmp/c0"
for name in c0 c0.agent c0.bulk; do
	wait_for 10 test -c "$tmp/$name"
done
links() { (cd "$tmp" && echo c0*); }
links_are() { [ "$(links)" = "$1" ]; }
wait_for 10 links_are "c0 c0.agent c0.bulk"
told_is c0 port0_name boot || fail "$(told c0 port0_name)"
told_is c0 port1_pty "$tmp/c0.agent" || fail "$(told c0 port1_pty)"

wait_for 10 port_is c0 0 "boot console open"
wait_for 10 port_is c0 1 "agent serial"
exec {agent}<>"$tmp/c0.agent"
wait_for 10 port_is c0 1 "agent serial open"

# The size is the terminal's.
uvdpa dev set c0 cols 132 rows 43
size_is() { [ "$(stty -F "$tmp/c0" size)" = "$1" ]; }
wait_for 10 size_is "43 132"

# What is typed waits for somebody at the device's other side.
echo typed >&"$agent"
told_is c0 port1_connected false || fail "who is there?"
timeout 20 socat "UNIX-CONNECT:$tmp/agent" STDIO </dev/null >"$tmp/typed"
grep -qx typed "$tmp/typed" || fail "it was lost"

# Bytes of all ports at once, both ways, while one of them has a user who does not read.
exec {bulk}<>"$tmp/c0.bulk" {boot}<>"$tmp/c0"
random "$tmp/bytes" $((2 << 20))
background timeout 60 socat -u -b 65536 "FILE:$tmp/bytes" "UNIX-CONNECT:$tmp/bulk"
writer=$!
for name in boot agent; do
	socat -t 60 -b 65536 "UNIX-CONNECT:$tmp/$name" STDIO <"$tmp/bytes" >"$tmp/$name.came" &
	pids+=($!)
done
wait_for 10 port_is c0 0 'boot console 132x43 connected open'
cat "$tmp/bytes" >&"$agent" &
cat "$tmp/bytes" >&"$boot" &
comes "$tmp/bytes" <&"$agent"
comes "$tmp/bytes" <&"$boot"
for name in boot agent; do
	wait_for 60 has_bytes "$tmp/$name.came" $((2 << 20))
	cmp "$tmp/bytes" "$tmp/$name.came"
done
kill -0 "$writer" || fail "2 MiB went to somebody who does not read"
comes "$tmp/bytes" <&"$bulk"
wait "$writer"
# All that began since have it open, too.
kill "${pids[@]}" 2>/dev/null || true
exec {agent}>&-
wait_for 10 port_is c0 1 "agent serial"

uvdpa dev unbind c0
links_are 'c0*' || fail "still there: $(links)"
