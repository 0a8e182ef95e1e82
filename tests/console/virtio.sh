# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# virtio.sh - what every test of consoles as terminals begins with: the driver virtio, on this host
#
# Who leads a session, as a test of meson does, and opens a terminal would get it as its own, with its signals.
if [ "$(ps -o sid= -p $$)" -eq $$ ]; then
	bash "$0" "$@"
	exit
fi
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need socat jq

# told DEV KEY: of "dev describe"
told() { uvdpa -j dev describe "$1" | jq -r ".describe.$1.$2"; }
told_is() { [ "$(told "$1" "$2")" = "$3" ]; }

# port_is DEV PORT WORDS: what "dev show" says of it: its name, what it is, whether its other end is connected, and
# whether we have it open
port_is() { [ "$(uvdpa -j dev show "$1" | jq -r ".dev.$1.port$2")" = "$3" ]; }

# comes FILE: its bytes are the next on standard input
comes() {
	[ "$(timeout 60 head -c "$(stat -c %s "$1")" | md5 -)" = "$(md5 "$1")" ] || fail "other bytes than $1"
}

# has_bytes FILE N
has_bytes() { [ "$(stat -c %s "$1")" -ge "$2" ]; }
