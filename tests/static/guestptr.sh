#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# No code touches guest memory but through mem/guest.h: clang refuses to dereference a vd_guest
# pointer, or to turn one into another. Each number of -DMISUSE= is a way to try, and must fail.
set -euo pipefail
cd "$1"
command -v clang >/dev/null || { echo "no clang"; exit 77; }
# shellcheck disable=SC2207 # flags are words
cc=(clang -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -fsyntax-only -Iinclude -Isrc "-I$2"
    $(pkg-config --cflags fuse3 json-c liburing 2>/dev/null) -Werror=noderef)
bad=0
shopt -s nullglob
for f in src/{mem,virtq,softdev,virtio,parent,driver}/*.c; do
	[[ $f == *-test.c ]] || "${cc[@]}" "$f" || bad=1
done

f=tests/compile-fail/clang/guest-deref.c
"${cc[@]}" "$f" || { echo "$f: does not compile without the misuse"; bad=1; }
for i in 1 2 3; do
	if out=$("${cc[@]}" -DMISUSE=$i "$f" 2>&1); then
		echo "$f: misuse $i compiles"
		bad=1
	elif ! grep -q "error: .*noderef" <<<"$out"; then
		printf '%s: misuse %s refused, but not for noderef:\n%s\n' "$f" "$i" "$out"
		bad=1
	fi
done
exit $bad
