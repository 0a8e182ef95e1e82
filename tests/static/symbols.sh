#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The prefix tells the reach: the library exports uvdpa_, files share vd_, and nothing is writable
# and global.
#
# usage: symbols.sh LIBRARY ARCHIVE
set -euo pipefail
bad=0

# only PREFIX WHERE: reads names
only() {
	local other

	other=$(grep -Ev "^($1)" || true)
	[ -z "$other" ] || { echo "$2: $other"; bad=1; }
}

exported=$(nm -D --defined-only "$1" | awk '$2 ~ /[B-Z]/ { sub(/@.*/, "", $3); print $3 }')
grep -q '^uvdpa_create$' <<<"$exported" || { echo "$1: no uvdpa_create, is it the library?"; bad=1; }
only uvdpa_ "exported without the prefix" <<<"$exported"
nm --defined-only "$2" 2>/dev/null | awk 'NF == 3 && $2 ~ /[A-TV-Z]/ { print $3 }' | sort -u |
	only 'uvdpa_|vd_|__(asan|odr|tsan|ubsan|gcov|llvm)' "shared between files without the prefix"
# Thread-local and constant-but-relocated data have other sections.
# A signal's handler has nothing else to find its state by: sigbus.c.
objdump -t "$2" 2>/dev/null | awk '/file format/ { skip = /sigbus\.c/ }
	!skip && NF > 4 && $(NF - 2) ~ /^\.(bss|data)(\.|$)/ && $(NF - 2) !~ /^\.data\.rel\.ro/ &&
	$NF !~ /^\./ { print $NF }' | sort -u | only '__' "writable and global"
exit $bad
