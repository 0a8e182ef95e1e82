#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The daemon is killed and leaves its links and sockets; the next one has them in their places, also when
# the pseudo terminal's number is somebody else's by then. What is not ours stays.
# shellcheck source=host.sh
. "$(dirname "${BASH_SOURCE[0]}")/host.sh"
list=pty:$tmp/link,agent=unix-listen:$tmp/agent

daemon_start
console_add "$list"
was=$(readlink "$tmp/link")
same "$was" "$(shown port0_at)"
same 600 "$(stat -c %a "$was")" "mode of $was"
refused 'leads to something that is there' uvdpa dev add name c1 mgmtdev console port "pty:$tmp/link"

daemon_kill
if ! [ -L "$tmp/link" ] || ! [ -S "$tmp/agent" ]; then
	fail "nothing was left behind: what is tested here?"
fi
daemon_start
console_add "$list"
[ -c "$(readlink -f "$tmp/link")" ] || fail "the link leads nowhere"
same "$(readlink "$tmp/link")" "$(shown port0_at)"

# Its number is given to somebody else.
was=$(readlink "$tmp/link")
daemon_kill
background socat "PTY,link=$tmp/other" "PTY,link=$tmp/other2"
wait_for 5 test -L "$tmp/other2"
[ "$(readlink "$tmp/other")" = "$was" ] || [ "$(readlink "$tmp/other2")" = "$was" ] ||
	echo "(another terminal got another number)"
daemon_start
console_add "$list"
same "$(readlink "$tmp/link")" "$(shown port0_at)"
[ "$(readlink "$tmp/link")" != "$(readlink "$tmp/other")" ]
refused 'leads to something that is there' uvdpa dev add name c1 mgmtdev console port "pty:$tmp/other"
touch "$tmp/file"
refused 'exists and is no symbolic link' uvdpa dev add name c1 mgmtdev console port "pty:$tmp/file"
[ -f "$tmp/file" ] || fail "somebody's file is gone"

# Who goes by themselves leave nothing.
uvdpa dev del c0
if [ -L "$tmp/link" ] || [ -e "$tmp/agent" ]; then
	fail "something was left behind"
fi
