#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A console in the terminal of the program: bytes pass as they are, ^C is the guest's, ^] ends it, and the terminal
# is as it was. Not in the background. And by pipes.
# shellcheck source=host.sh
. "$(dirname "${BASH_SOURCE[0]}")/host.sh"
command -v script >/dev/null || skip "no program script"

cat >"$tmp/session" <<E2
before=\$(stty -g)
"$UVDPA" run name c0 mgmtdev console port stdio driver vhost-user socket "$tmp/c0.sock"
echo "ended with \$?"
[ "\$(stty -g)" = "\$before" ] && echo "the terminal is as it was"
E2
mkfifo "$tmp/in"
exec 5<>"$tmp/in"
command script -qfec "bash $tmp/session" /dev/null <"$tmp/in" >"$tmp/out" 5>&- &
pids+=($!)
wait_for 20 test -S "$tmp/c0.sock"
answering_guest true
wait_for 60 has "$tmp/out" '^ready$'
printf 'a line\n' >&5
wait_for 10 has "$tmp/out" '^heard a line$'
printf 'x\003y\n' >&5
wait_for 10 has "$tmp/out" "^heard x"$'\003'"y\$"
printf 'end\n' >&5
guest_ends
printf '\035' >&5
wait_for 20 has "$tmp/out" '^ended with [0-9]+$'
wait_for 10 has "$tmp/out" '^the terminal is as it was$'
exec 5>&-

cat >"$tmp/session" <<E2
set -m
"$UVDPA" run name c0 mgmtdev console port stdio driver vhost-user socket "$tmp/c0.sock" &
wait \$!
echo "status \$?"
E2
timeout 20 script -qec "bash $tmp/session" /dev/null </dev/null >"$tmp/out"
has "$tmp/out" 'standard input: this process is in the background' || fail "$(cat "$tmp/out")"
has "$tmp/out" '^status 1$'

exec 5<>"$tmp/in"
"$UVDPA" run name c0 mgmtdev console port stdio driver vhost-user socket "$tmp/c0.sock" <"$tmp/in" >"$tmp/out" 5>&- &
run_pid=$!
pids+=("$run_pid")
wait_for 20 test -S "$tmp/c0.sock"
answering_guest true
wait_for 60 has "$tmp/out" '^ready$'
printf 'by pipe\nend\n' >&5
guest_ends
has "$tmp/out" '^heard by pipe$'
exec 5>&-
kill "$run_pid"
