#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What is installed is enough: an application finds headers and library by pkg-config, in C and in
# C++, each header alone; the examples are built from it and work.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
build=$1
top=$tests/..
need pkg-config c++

meson install -C "$build" --no-rebuild --destdir "$tmp/root" >"$tmp/log" 2>&1 ||
	{ cat "$tmp/log"; fail "install"; }
pc=$(find "$tmp/root" -name uvdpa.pc)
[ -n "$pc" ] || fail "no uvdpa.pc"
export PKG_CONFIG_LIBDIR=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$tmp/root
read -ra cflags < <(pkg-config --cflags uvdpa)
read -ra libs < <(pkg-config --libs uvdpa)
LD_LIBRARY_PATH=$(pkg-config --variable=libdir uvdpa)
case $LD_LIBRARY_PATH in "$tmp"*) ;; *) LD_LIBRARY_PATH=$tmp/root$LD_LIBRARY_PATH ;; esac
export LD_LIBRARY_PATH

# The programs find their library where it is installed; in /usr the system looks by itself.
libdir=$(pkg-config --variable=libdir uvdpa)
libdir=${libdir#"$tmp/root"}
if [ "${libdir#/usr/lib}" = "$libdir" ]; then
	find "$tmp/root" -type f -perm -100 '(' -name uvdpa -o -name uvdpad -o -name '*.so' ')' >"$tmp/programs"
	grep -q /uvdpad "$tmp/programs" || fail "what is installed: $(cat "$tmp/programs")"
	while read -r program; do
		readelf -d "$program" | grep -Fq "[$libdir" || fail "$program does not know $libdir"
	done <"$tmp/programs"
fi

# The library of a build with a sanitizer needs it in the program, too.
sanitize=$(meson introspect --buildoptions "$build" |
	python3 -c 'import json, sys
for o in json.load(sys.stdin):
	if o["name"] == "b_sanitize" and o["value"] != "none":
		print("-fsanitize=" + o["value"])')
# shellcheck disable=SC2206 # a word, or none
extra=($sanitize)

# Shells find what completes the words of both.
for file in bash-completion/completions/uvdpa bash-completion/completions/uvdpad zsh/site-functions/_uvdpa \
	fish/vendor_completions.d/uvdpa.fish fish/vendor_completions.d/uvdpad.fish; do
	[ -n "$(find "$tmp/root" -path "*/share/$file" -size +0)" ] || fail "no $file"
done

for h in uvdpa blk net rng softdev parent driver; do
	printf '#include <uvdpa/%s.h>\nint main(void) { return 0; }\n' $h >"$tmp/$h.c"
	cp "$tmp/$h.c" "$tmp/$h.cc"
	${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Werror "${cflags[@]}" -fsyntax-only "$tmp/$h.c"
	c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror "${cflags[@]}" -fsyntax-only "$tmp/$h.cc"
done

# What the headers and the manual show compiles as it stands there.
# shown NAME HEADER DECLARATIONS: the program is on standard input
shown() {
	local code

	code=$(cat)
	[ -n "$code" ] || fail "$1 shows nothing"
	printf '#include <err.h>\n#include <uvdpa/%s.h>\nvoid shown(void);\nvoid shown(void)\n{\n%s\n%s\n}\n' \
		"$2" "$3" "$code" >"$tmp/shown.c"
	${CC:-cc} -std=gnu11 -Wall -Wextra -Wno-unused -Werror "${cflags[@]}" -fsyntax-only "$tmp/shown.c" ||
		fail "what $1 shows does not compile"
}
in_header() { sed -n '/^ \*\//q; s/^ \*\t//p' "$top/include/uvdpa/$1.h"; }
in_header uvdpa | shown uvdpa.h uvdpa \
	'struct uvdpa *u; struct uvdpa_dev *dev; struct uvdpa_attr attrs[1] = {{0}}, socket[1] = {{0}};'
in_header blk | shown blk.h blk 'struct uvdpa_dev *dev = 0; struct uvdpa_blk *blk; struct uvdpa_blkq *q;
	struct uvdpa_blk_req *done[32]; struct iovec iov = {0}; void *buf; int n;'
in_header net | shown net.h net 'struct uvdpa_dev *dev = 0; struct uvdpa_net *net; struct uvdpa_netq *q;
	struct uvdpa_net_buf bufs[256]; uint8_t *mem, *done[32]; int i, n;'
sed -n '/^# EXAMPLE/,/^# SEE/ { /^```/d; /^#/d; p }' "$top/doc/uvdpa.3.scd" | shown uvdpa.3 uvdpa ''

for c in "$top"/examples/*.c; do
	${CC:-cc} -std=gnu11 -Wall -Wextra -Werror "${extra[@]}" "${cflags[@]}" "$c" "${libs[@]}" \
		-o "$tmp/$(basename "$c" .c)"
done
"$tmp/blk-read" >"$tmp/out"
grep -qx 'read all, 67108864 bytes are the pattern' "$tmp/out" || fail "$(cat "$tmp/out")"
random "$tmp/img" $(((1 << 20) + 512))
"$tmp/blk-read" "$tmp/img" >"$tmp/out"
grep -q '^1049088 bytes' "$tmp/out" || fail "$(cat "$tmp/out")"
# A program that opens a disk of another process and never dispatches again.
daemon_start
uvdpa dev add name d0 mgmtdev sim-blk capacity 1M driver vhost-user socket "$tmp/d0.sock"
timeout 20 "$tmp/blk-read" "$tmp/d0.sock" >"$tmp/out" || fail "$(cat "$tmp/out")"
grep -q '^1048576 bytes' "$tmp/out" || fail "$(cat "$tmp/out")"
daemon_stop

timeout 60 "$tmp/net-pong" 192.0.2.9 >"$tmp/out" || fail "$(cat "$tmp/out")"
grep -qx '100000 pings were answered' "$tmp/out" || fail "$(cat "$tmp/out")"

same='4096 zeros of 1048576 bytes'
[ "$("$tmp/null-disk")" = "$same" ] || fail "null-disk: $("$tmp/null-disk" 2>&1)"

# ---- doc/adding-a-device.md is followed: its C is the example, its commands are run as they stand
guide=$top/doc/adding-a-device.md
# blocks LANGUAGE: what stands between the lines ```LANGUAGE and ```, an empty line between two
blocks() {
	awk -v lang="$1" '/^```/ { open = $0 == "```" lang; if (open && n++) print ""; next } open' "$guide"
}
mkdir "$tmp/guide" "$tmp/bin"
blocks c >"$tmp/guide/dice.c"
cmp "$tmp/guide/dice.c" "$top/examples/dice.c" || fail "$guide and examples/dice.c differ"
printf '#!/bin/sh\nPATH=%q\nexec %s -Werror %s "$@"\n' "$PATH" "${CC:-cc}" "${extra[*]}" >"$tmp/bin/cc"
chmod +x "$tmp/bin/cc"
blocks sh >"$tmp/guide/commands"
(cd "$tmp/guide" && PATH=$tmp/bin:$PATH bash -eu commands) >"$tmp/out" || fail "$guide: $(cat "$tmp/out")"
dice='([1-6] ){9}[1-6]'
grep -qxE "$dice" "$tmp/out" || fail "$guide: no ten dice: $(cat "$tmp/out")"
grep -qxE " {4}$dice" "$guide" || fail "$guide does not show what it prints"
[ "$("$tmp/guide/dice")$("$tmp/guide/dice")" != "$(cat "$tmp/out" "$tmp/out")" ] || fail "the dice are loaded"
# What it names is there, and as long as it says, to within a quarter.
# shellcheck disable=SC2016 # they are its quotes
named=$(grep -oE '[`(/](src|tests|doc|fuzz|examples)/[a-z0-9/.-]+[`)]' "$guide" | tr -d '()`' | sort -u)
[ "$(wc -l <<<"$named")" -gt 10 ] || fail "$guide names hardly anything"
while read -r name; do
	[ -e "$top/${name#/}" ] || fail "$guide: there is no $name"
done <<<"$named"
rows=0
while IFS='|' read -r _ what lines files _; do
	eval "files=(${files//\`/})"
	is=$(cd "$top" && cat "${files[@]}" | wc -l)
	if [ $((is * 4)) -gt $((lines * 5)) ] || [ $((lines * 4)) -gt $((is * 5)) ]; then
		fail "$guide:$what: $is lines, not$lines"
	fi
	rows=$((rows + 1))
done < <(grep -E '^\| .* \| [0-9]+ \| `' "$guide")
[ $rows = 5 ] || fail "$guide: $rows counts of lines"

# In C++ it links, too: the names are not mangled.
cat >"$tmp/use.cc" <<'E'
#include <uvdpa/blk.h>
int main()
{
	uvdpa *u;
	if (uvdpa_create(&u))
		return 1;
	uvdpa_blk_close(nullptr);
	uvdpa_destroy(u);
}
E
c++ -Wall -Wextra -Werror "${extra[@]}" "${cflags[@]}" "$tmp/use.cc" "${libs[@]}" -o "$tmp/use"
"$tmp/use"
