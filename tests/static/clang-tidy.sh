#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# clang-tidy finds nothing in the library and the programs; .clang-tidy says what it looks for.
#
# usage: clang-tidy.sh SOURCE BUILD
set -euo pipefail
cd "$1"
command -v clang-tidy >/dev/null || { echo "no clang-tidy"; exit 77; }
# What the build compiles, less what stands on cmocka.
mapfile -t files < <(jq -r '.[].file' "$2/compile_commands.json" | sed 's|^.*/src/|src/|' | sort -u |
	grep -E '^src/.*\.c$' | while read -r f; do
		[ -e "$f" ] && ! grep -q 'cmocka' "$f" "${f%.c}.h" 2>/dev/null && echo "$f"; done || true)
[ ${#files[@]} -gt 40 ]
# The compiler may be gcc, with warnings of its own.
printf '%s\n' "${files[@]}" | xargs -P2 -n4 clang-tidy -p "$2" --quiet \
	--extra-arg=-Wno-unknown-warning-option 2>/dev/null
