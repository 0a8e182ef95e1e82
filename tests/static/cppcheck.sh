#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# cppcheck finds nothing. Each exclusion has its reason.
#
# usage: cppcheck.sh SOURCE BUILD
set -euo pipefail
cd "$1"
command -v cppcheck >/dev/null || { echo "no cppcheck"; exit 77; }
# shellcheck disable=SC2054 # one argument
args=(
	--enable=warning,portability --inline-suppr --error-exitcode=1 --quiet -j2
	--std=c11 -D_GNU_SOURCE -D__x86_64__ -D__cppcheck__ -Iinclude -Isrc "-I$2"
	# Looks at what no preprocessor has seen: it does not know the system's headers.
	--suppress=missingIncludeSystem
	# container_of takes the offset of a member of a null pointer, as it must.
	--suppress=nullPointer
	# Thinks that a ring may have no entries.
	--suppress=uninitvar:src/virtq/virtq-thread-test.c
	# Wants every va_end in the same basic block.
	--suppress=va_end_missing
)
cppcheck "${args[@]}" src
