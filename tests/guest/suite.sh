#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# suite.sh - run a program of another suite, that scripts/setup unpacked into the cache
#
# usage: suite.sh SUITE PROGRAM [ARG...]	"suite.sh trixie blkio-bench --help"
#
# By the suite's own loader with the suite's own libraries, here: it sees the files and sockets that
# any program sees, and needs no root. What a program loads by itself it is told where to find:
# QEMU its modules and firmware, nbdkit its plugin.
set -euo pipefail

suite=${1:?the suite} program=${2:?the program}
shift 2
root=${UVDPA_CACHE:-${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/uvdpa}/$suite
path=$root/usr/bin/$program
[ -x "$path" ] || path=$root/usr/sbin/$program
[ -x "$path" ] || { echo "no $program in $root (scripts/setup $suite)" >&2; exit 77; }
lib=$(echo "$root"/usr/lib/*-linux-gnu*)
export QEMU_MODULE_DIR=$lib/qemu
args=()
case $program in
qemu-system-*)
	args=(-L "$root/usr/share/qemu" -L "$root/usr/share/seabios") ;;
nbdkit)	for a; do
		[ ! -e "$lib/nbdkit/plugins/nbdkit-$a-plugin.so" ] || a=$lib/nbdkit/plugins/nbdkit-$a-plugin.so
		args+=("$a")
	done
	set -- ;;
esac
exec "$root"/lib64/ld-linux-*.so.2 --argv0 "$program" --inhibit-cache \
	--library-path "$lib:$lib/pulseaudio" "$path" "${args[@]}" "$@"
