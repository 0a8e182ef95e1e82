#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# library.sh - a library that is loaded on demand
#
# usage: library.sh SONAME PACKAGE SAYS PARENT KEY VALUE...
#
# Who has no disk of the parent does not have it in memory. If it cannot be loaded that is said and
# the daemon goes on; a later try finds what is there then, and fails as it SAYS.
. "$(dirname "$0")/cli.sh"
soname=$1 package=$2 says=$3 parent=$4
shift 4
attrs=("$@")

# What the library is for the daemon: a file that is none, until it is taken away.
: >"$tmp/$soname"
LD_LIBRARY_PATH=$tmp${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} daemon_start

loaded() {
	grep -o "/${soname%%.so*}\.so.*" "/proc/$daemon_pid/maps" || true
}

try() {
	uvdpa dev add name d mgmtdev "$parent" "${attrs[@]}"
}

uvdpa mgmtdev show "$parent" >/dev/null
uvdpa dev add name ram mgmtdev sim-blk capacity 1M driver virtio
same '' "$(loaded)"
refused ": $tmp/$soname: file too short; install $package" try
same '' "$(loaded)"
same '["ram"]' "$(json '.dev | keys' dev show)"

rm "$tmp/$soname"
refused "$says" try
[ -n "$(loaded)" ] || fail "$soname is not loaded"
