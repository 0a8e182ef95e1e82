#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# uml.sh - run a script in Debian's User Mode Linux, with vhost-user devices; see guest.sh
#
# A second or two. Its memory is a file that it shares with the devices: in /dev/shm if programs
# may be mapped from there, as it insists, else in $TMPDIR or /tmp.
set -euo pipefail
# shellcheck source=guest.sh
. "$(dirname "${BASH_SOURCE[0]}")/guest.sh"

guest_options "$@"
command -v linux.uml >/dev/null || { echo "guest: no linux.uml (package user-mode-linux)" >&2; exit 77; }
modules=$(echo /usr/lib/uml/modules/*)
guest_initrd "$modules"

# Whether executable pages may be mapped from here, and the guest's memory fits.
memory_fits() {
	local free

	[ -d "$1" ] && [ -w "$1" ] || return 1
	[[ ,$(findmnt -n -o OPTIONS -T "$1"), != *,noexec,* ]] || return 1
	free=$(df --output=avail -B 1M "$1" | tail -n 1)
	[ "$free" -ge "$guest_mib" ]
}

for tmp in /dev/shm "${TMPDIR:-/tmp}" /tmp /var/tmp; do
	! memory_fits "$tmp" || break
done

devices=()
for d in "${guest_devices[@]}"; do
	devices+=("virtio_uml.device=${d%%,*}")
done

export TMPDIR=$tmp
# shellcheck disable=SC2086 # words
guest_run linux.uml "mem=${guest_mib}M" "initrd=$guest_tmp/initrd" "uml_dir=$guest_tmp/" umid=guest \
	con=null con0=null,fd:1 quiet loglevel=4 panic=-1 "${devices[@]}" $guest_append "${guest_args[@]}"
