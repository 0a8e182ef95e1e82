#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Each file of tests/compile-fail is a misuse that the compiler must refuse, for the reason that
# its line "error: REGEX" gives; without -DMISUSE the same file compiles.
set -euo pipefail
cd "$1"
# shellcheck disable=SC2206 # CC is words
cc=(${CC:-cc} -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only -Iinclude -Isrc)
bad=0
for f in tests/compile-fail/*.c; do
	want=$(sed -n 's/.*error: \(.*\) \*\/$/\1/p' "$f")
	[ -n "$want" ] || { echo "$f: no line 'error: REGEX'"; bad=1; continue; }
	"${cc[@]}" "$f" || { echo "$f: does not compile without the misuse"; bad=1; }
	if out=$("${cc[@]}" -DMISUSE "$f" 2>&1); then
		echo "$f: the misuse compiles"
		bad=1
	elif ! grep -Eq "$want" <<<"$out"; then
		printf '%s: refused, but not for "%s":\n%s\n' "$f" "$want" "$out"
		bad=1
	fi
done
exit $bad
