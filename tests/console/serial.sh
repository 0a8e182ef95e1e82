#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest's console at another guest's serial port, which is QEMU's: one logs in at the other.
#
#	QEMU :ttyS1 -- unix -- console c0 -- vhost-user -- hvc0: UML
#
# usage: serial.sh connect|listen	what QEMU does with the socket
# shellcheck source=guest.sh
. "$(dirname "${BASH_SOURCE[0]}")/guest.sh"

daemon_start
case $1 in
connect)	port=unix-listen:$tmp/wire serial=unix:$tmp/wire ;;
listen)		port=unix:$tmp/wire serial=unix:$tmp/wire,server=on,wait=off ;;
esac
uvdpa dev add name c0 mgmtdev console port "$port" driver vhost-user socket "$tmp/c0.sock"
guest_start uml

script other <<E2
stty -F /dev/ttyS1 115200 raw -echo clocal
exec 3<>/dev/ttyS1
heard() {
	i=0
	until grep -aq "\$1" /out; do
		i=\$((i + 1))
		[ \$i -lt 600 ] || { echo "\$1 does not come:"; cat /out; exit 1; }
		sleep 0.1
	done
	: >/out
}
: >/out
cat <&3 >>/out &
echo >&3
heard 'login: '
echo root >&3
heard 'Password: '
echo '$password' >&3
heard '# '
echo 'uname -r; touch /end' >&3
heard '$(basename /usr/lib/uml/modules/*)'
E2
qemu "$tmp/other" -- -serial "$serial"
wait "$guest_pid" || { cat "$tmp/guest.out" >&2; fail "the guest ended with an error"; }
