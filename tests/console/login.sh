#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# One port, a terminal: what the guest's kernel has said there, though nobody was there to hear it; somebody logs
# in; bytes of all values, both ways; its size; and a key that is a signal.
#
# Linux's driver cannot be heard before its console is known to it (up to 6.12 at least): what the kernel had said
# by then it throws away.
#
# usage: login.sh KIND[,PROPERTIES]
# shellcheck source=guest.sh
. "$(dirname "${BASH_SOURCE[0]}")/guest.sh"

daemon_start
uvdpa dev add name c0 mgmtdev console port "pty:$tmp/c0" keep 1M driver vhost-user socket "$tmp/c0.sock"
guest_start "$1"
wait_for 120 grep -qs '^guest: begin' "$tmp/o/console.log"
line_open_tty c "$tmp/c0"
hear c 'login: $'
heard c 'a word of the kernel$' || fail "what nobody was there to hear is lost"

say c root
hear c 'Password: $'
say c wrong
hear c 'Login incorrect'
log_in c
[ "$(run c tty)" = /dev/hvc0 ] || fail "$(run c tty)"

random "$tmp/bytes" 300000
bytes_in c "$tmp/bytes"
bytes_out c 300000

size_is() { [ "$(run c 'stty size')" = "$1" ]; }
stty -F "$tmp/c0" rows 41 cols 133
wait_for 10 size_is '41 133'
line_new c
say c "sh -c \"trap 'stty size' WINCH; echo wai''ting; while :; do sleep 0.1; done\""
hear c '^waiting$'
stty -F "$tmp/c0" rows 24 cols 80
hear c '^24 80$'
line_new c
printf '\003' >&"${line_in[c]}"
hear c '# '

# Who goes and comes again finds the shell as it was.
run c 'here=before' >/dev/null
line_close c
line_open_tty c "$tmp/c0"
# shellcheck disable=SC2016 # it is for the guest
[ "$(run c 'echo $here')" = before ] || fail "it is another shell"
guest_stop c
