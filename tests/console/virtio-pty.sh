#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A console is a terminal of this host: bytes both ways, sizes, what is kept, whom it belongs to, and its link.
# shellcheck source=virtio.sh
. "$(dirname "${BASH_SOURCE[0]}")/virtio.sh"

daemon_start
uvdpa dev add name c0 mgmtdev console port "unix-listen:$tmp/s" cols 100 rows 30 \
	driver virtio pty "$tmp/c0" mode 0620
[ "$(stat -L -c %a "$tmp/c0")" = 620 ] || fail "mode $(stat -L -c %a "$tmp/c0")"
[ "$(readlink "$tmp/c0")" = "$(told c0 port0_at)" ] || fail "it leads to $(readlink "$tmp/c0")"
told_is c0 port0_pty "$tmp/c0" || fail "$(told c0 port0_pty)"
[ "$(stty -F "$tmp/c0" size)" = "30 100" ] || fail "size $(stty -F "$tmp/c0" size)"

# Bytes of every value, both ways at once.
random "$tmp/in" $((3 << 20))
random "$tmp/out" $((3 << 20))
exec {tty}<>"$tmp/c0"
wait_for 10 told_is c0 port0_open true
socat -t 60 -b 65536 "UNIX-CONNECT:$tmp/s" STDIO <"$tmp/in" >"$tmp/out.came" &
pids+=($!)
wait_for 10 port_is c0 0 'console 100x30 connected open'
cat "$tmp/out" >&"$tty" &
comes "$tmp/in" <&"$tty"
wait_for 60 has_bytes "$tmp/out.came" $((3 << 20))
cmp "$tmp/out" "$tmp/out.came"
kill "${pids[@]}" 2>/dev/null || true
exec {tty}>&-
wait_for 10 told_is c0 port0_open false
wait_for 10 port_is c0 0 'console 100x30 open'

# Nobody has it open: the newest is kept for who comes.
random "$tmp/kept" $((1 << 20))
timeout 60 socat -u -b 65536 "FILE:$tmp/kept" "UNIX-CONNECT:$tmp/s"
wait_for 20 told_is c0 port0_dropped $(((1 << 20) - (64 << 10)))
tail -c $((64 << 10)) "$tmp/kept" >"$tmp/newest"
comes "$tmp/newest" <"$tmp/c0"

# A program whose terminal it is hears of another size. (It ends by a hangup, with the terminal.)
background socat -u "UNIX-CONNECT:$tmp/s" "OPEN:$tmp/heard,creat,append"
wait_for 10 port_is c0 0 'console 100x30 connected open'
cat >"$tmp/program" <<'E2'
trap 'echo "size $(stty size)"' WINCH
echo here
while :; do sleep 0.1; done
E2
setsid -c bash "$tmp/program" <>"$tmp/c0" >&0 2>/dev/null &
pids+=($!)
wait_for 10 grep -q here "$tmp/heard"
uvdpa dev set c0 cols 132 rows 43
wait_for 10 grep -q 'size 43 132' "$tmp/heard"
told_is c0 port0_size 132x43 || fail "size $(told c0 port0_size)"

# A user who does not read, and a writer that is held up: unbinding waits for nobody.
kill "${pids[@]}" 2>/dev/null || true
exec {tty}<>"$tmp/c0"
background timeout 60 socat -u -b 65536 "FILE:$tmp/in" "UNIX-CONNECT:$tmp/s"
writer=$!
sleep 0.5
kill -0 "$writer" || fail "3 MiB went to somebody who does not read"
in_time 1500 uvdpa dev unbind c0
[ ! -L "$tmp/c0" ] || fail "the link is there still"
! timeout 10 cat <&"$tty" >/dev/null 2>&1 || true
exec {tty}>&-
kill "$writer"

# What is somebody else's stays; what a killed daemon left does not.
echo mine >"$tmp/file"
ln -s "$tmp/file" "$tmp/link"
for name in file link; do
	! uvdpa dev bind c0 virtio pty "$tmp/$name" 2>"$tmp/err" || fail "$name was taken"
	grep -q "c0: $tmp/$name" "$tmp/err" || fail "$(cat "$tmp/err")"
	[ "$(cat "$tmp/$name")" = mine ] || fail "$name"
done
uvdpa dev bind c0 virtio pty "$tmp/c0"
daemon_kill
[ -L "$tmp/c0" ] || fail "who has removed it?"
daemon_start
uvdpa dev add name c0 mgmtdev console port "unix-listen:$tmp/s" driver virtio pty "$tmp/c0"
[ "$(readlink "$tmp/c0")" = "$(told c0 port0_at)" ] || fail "it leads to $(readlink "$tmp/c0")"
exec {tty}<>"$tmp/c0"
echo again | timeout 20 socat -u - "UNIX-CONNECT:$tmp/s"
read -r -t 20 line <&"$tty"
[ "$line" = again ] || fail "\"$line\""
# Who has it open when the device goes is told.
uvdpa dev del c0
! read -r -t 20 line <&"$tty" || fail "there is something to read"
