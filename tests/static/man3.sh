#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Section 3 is complete and sound: each function that the library exports has a page, each page is of one;
# man and mandoc find nothing to say of any; and what a comment leaves out ends the build.
#
# usage: man3.sh SOURCE LIBRARY PAGES
set -euo pipefail
source=$1 library=$2 pages=$3
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0

lacks() {
	echo "$*"
	bad=1
}

nm -D --defined-only "$library" | awk '$2 ~ /[TDR]/ { sub(/@.*/, "", $3); print $3 }' | sort >"$tmp/exported"
[ "$(wc -l <"$tmp/exported")" -gt 100 ] || lacks "$library exports hardly anything"
(cd "$pages" && printf '%s\n' uvdpa_*.3) | sed 's/\.3$//' | grep -v '\.h$' | sort >"$tmp/has"
diff "$tmp/exported" "$tmp/has" >"$tmp/diff" || lacks "exported (<) and described (>): $(cat "$tmp/diff")"
for header in "$source"/include/uvdpa/*.h; do
	name=uvdpa_$(basename "$header")
	[ -s "$pages/${name/uvdpa_uvdpa/uvdpa}.3" ] || lacks "$header has no page"
done
if [ -s "$pages/uvdpa.3" ]; then
	while read -r name; do
		grep -q "^\\\\fB$name\\\\fR(3)" "$pages/uvdpa.3" || lacks "uvdpa(3) does not list $name"
	done <"$tmp/has"
fi

# ---- they are sound
for page in "$pages"/uvdpa_*.3 "$pages/uvdpa.h.3"; do
	! command -v man >/dev/null ||
		LC_ALL=C.UTF-8 MANWIDTH=80 man -l --warnings -E UTF-8 -Tutf8 -Z "$page" 2>&1 >/dev/null | sed "s,^,$page: ,"
	! command -v mandoc >/dev/null || mandoc -T lint "$page" || true
done >"$tmp/said"
[ ! -s "$tmp/said" ] || lacks "$(cat "$tmp/said")"

# ---- what is left out
good='/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * a.h - for a test
 *
 * Context: any thread.
 */
/**
 * struct uvdpa_a - A structure
 * @x: a member
 */
struct uvdpa_a {
	int x;
	void (*fn)(int y);	/* another */
};

/**
 * uvdpa_f() - Does it
 * @a: an argument
 *
 * Return: 0.
 */
int uvdpa_f(struct uvdpa_a *a);'
mkdir "$tmp/uvdpa"
# refused WHY SED: so changed, the header is refused for this
refused() {
	sed "$2" <<<"$good" >"$tmp/uvdpa/a.h"
	! "$source/scripts/man3" --pages "$tmp" 1 "$tmp/uvdpa/a.h" >"$tmp/out" 2>&1 || lacks "not refused: $1"
	grep -q "$1" "$tmp/out" || lacks "refused, but not for $1: $(cat "$tmp/out")"
}
echo "$good" >"$tmp/uvdpa/a.h"
"$source/scripts/man3" --pages "$tmp" 1 "$tmp/uvdpa/a.h" || lacks "a sound header is refused"
[ -s "$tmp/uvdpa_f.3" ] || lacks "no page came of it"
refused 'nothing is said of @a' '/@a:/d'
refused 'there is no argument b' 's/@a: .*/&\n * @b: none/'
refused 'no "Return:"' '/Return:/d'
refused 'it returns nothing' 's/^int uvdpa_f/void uvdpa_f/'
refused 'no "Context:"' '/Context:/d'
refused 'uvdpa_f is not what follows' 's/^int uvdpa_f/int uvdpa_g/'
refused 'nothing is said of x' '/@x:/d'
refused 'nothing is said of fn' 's,/. another ./,,'
refused 'there is no member z' 's/@x: .*/&\n * @z: none/'
refused 'no comment before: int uvdpa_h(void);' '$ s/$/\n\nint uvdpa_h(void);/'
exit $bad
