#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A program that is linked with the library as it is recorded works with this one; and changes of which
# that is not true are seen.
#
# usage: abi.sh SOURCE LIBRARY
set -euo pipefail
source=$1 library=$2
command -v abidiff >/dev/null || { echo "no abidiff"; exit 77; }
record=$source/src/uvdpa.abi
[ "$(uname -m)" = x86_64 ] || { echo "the record is of x86_64"; exit 77; }
"$source/scripts/abi" --check "$library"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# changed SED: there is a record in which the library is different; its check is what is returned
changed() {
	sed -E "$1" "$record" >"$tmp/record.abi"
	! cmp -s "$record" "$tmp/record.abi" || { echo "the record has nothing of: $1"; exit 1; }
	"$source/scripts/abi" --check "$library" "$tmp/record.abi" >"$tmp/out" 2>&1
}
# seen WHAT SED
seen() {
	! changed "$2" || { echo "not seen: $1"; exit 1; }
	grep -q "would notice" "$tmp/out" || { cat "$tmp/out"; exit 1; }
}
seen "a function that is gone" "s/uvdpa_create\b/uvdpa_created/g"
seen "an enumerator of another value" "s/(name='UVDPA_BLK_FLUSH' value=)'2'/\1'9'/"
seen "a macro's or an argument's other type" "s/(<parameter type-id=')[0-9a-f]+(' name='timeout_ms')/\1$(
	sed -nE "s/.*type-decl name='unsigned char' .* id='([0-9a-f]+)'.*/\1/p" "$record" | head -n 1)\2/"
# A function that is new is nothing to old programs.
changed "/<elf-symbol name='uvdpa_version' /d; /<function-decl name='uvdpa_version' /,/<\/function-decl>/d" ||
	{ echo "a new function is taken for a change:"; cat "$tmp/out"; exit 1; }
