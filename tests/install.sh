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
	for std in 11 17; do
		${CC:-cc} -std=c$std -Wall -Wextra -Wpedantic -Werror "${cflags[@]}" -fsyntax-only "$tmp/$h.c"
	done
	for std in 11 14 17 20; do
		c++ -std=c++$std -Wall -Wextra -Wpedantic -Werror "${cflags[@]}" -fsyntax-only "$tmp/$h.cc"
	done
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

# Foreign loops are the system's, which the prefix of ours is not put in front of.
declare -A loops=([loop-glib]=glib-2.0 [loop-uv]=libuv)
for c in "$top"/examples/*.c; do
	name=$(basename "$c" .c)
	foreign=()
	if [ -n "${loops[$name]:-}" ]; then
		system() { env -u PKG_CONFIG_LIBDIR -u PKG_CONFIG_SYSROOT_DIR pkg-config "$@" "${loops[$name]}"; }
		system --exists || { echo "no ${loops[$name]}: $name is left out"; continue; }
		read -ra foreign < <(system --cflags --libs)
	fi
	${CC:-cc} -std=gnu11 -Wall -Wextra -Werror "${extra[@]}" "${cflags[@]}" "$c" "${libs[@]}" "${foreign[@]}" \
		-o "$tmp/$name"
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

for loop in "${!loops[@]}"; do
	[ -x "$tmp/$loop" ] || continue
	timeout 60 "$tmp/$loop" 8M >"$tmp/out" || fail "$loop: $(cat "$tmp/out")"
	grep -qx '8388608 bytes written and read in 256 requests' "$tmp/out" || fail "$loop: $(cat "$tmp/out")"
	# Of a disk whose parent has nobody to call back, the loop hears, and goes on.
	! timeout 60 "$tmp/$loop" 1 >"$tmp/out" 2>&1 || fail "$loop: a disk of a byte"
	grep -q "^$loop: .*capacity" "$tmp/out" || fail "$loop: $(cat "$tmp/out")"
done

# A bus driver of its own: what it read is what there is.
sum=$(head -c 512 "$tmp/img" | od -An -v -tu1 | tr -s ' ' '\n' | awk '{ sum += $1 } END { print sum }')
timeout 60 "$tmp/own-driver" "$tmp/img" >"$tmp/out" || fail "own-driver: $(cat "$tmp/out")"
grep -qx "2049 sectors, the first one's bytes add up to $sum" "$tmp/out" || fail "own-driver: $(cat "$tmp/out"), not $sum"

# A disk of its own, which another process uses.
background "$tmp/ram-disk" "$tmp/ram.sock"
wait_for 20 test -S "$tmp/ram.sock"
timeout 60 "$tmp/blk-read" "$tmp/ram.sock" >"$tmp/out" || fail "ram-disk: $(cat "$tmp/out")"
grep -q '^67108864 bytes' "$tmp/out" || fail "ram-disk: $(cat "$tmp/out")"
[ "$(grep -cvE '^[[:space:]]*$|^[[:space:]]*/?\*' "$top/examples/ram-disk.c")" -le 110 ] ||
	fail "ram-disk.c has no hundred lines of code any more"

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

# ---- C++: the names are not mangled, and what the headers have is of use there
cat >"$tmp/use.cc" <<'E'
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <uvdpa/blk.h>
#include <uvdpa/net.h>
#include <uvdpa/rng.h>
#include <uvdpa/driver.h>
#include <uvdpa/softdev.h>

namespace {

struct bus {
	uvdpa *u = nullptr;
	bus() { if (uvdpa_create(&u)) throw uvdpa_error(); }
	~bus() { uvdpa_destroy(u); }
};

struct watcher : uvdpa_watch {
	unsigned int added = 0;
	watcher() : uvdpa_watch() { event = see; }
	static void see(uvdpa_watch *w, uvdpa_event ev, struct uvdpa_dev *)
	{
		static_cast<watcher *>(w)->added += ev == UVDPA_DEV_ADDED;
	}
};

}

int main()
{
	bus b;
	watcher w;
	uvdpa_attr size = { "capacity", "1M" };
	struct uvdpa_dev_opts o = uvdpa_dev_opts();
	uvdpa_wait wait = uvdpa_wait();
	struct uvdpa_dev *dev;
	uvdpa_blk *blk;

	o.size = sizeof(o);
	o.name = "d0";
	o.mgmtdev = "sim-blk";
	o.attrs = &size;
	o.nattrs = 1;
	uvdpa_watch_add(b.u, &w);
	if (uvdpa_await(b.u, &wait, uvdpa_dev_add(b.u, &o, &dev, &wait)) || uvdpa_blk_open(dev, nullptr, &blk))
		return std::puts(uvdpa_error()), 1;
	while (!w.added)
		uvdpa_dispatch(b.u, -1);
	char *text = static_cast<char *>(uvdpa_blk_alloc(blk, 4096));
	iovec iov = { std::strcpy(text, "from C++"), 512 };
	uvdpa_blk_req req = uvdpa_blk_req(), *done = &req;
	uvdpa_blkq *q = uvdpa_blk_queue(blk, 0);
	req.iov = &iov;
	req.niov = 1;
	for (uvdpa_blk_op op : { UVDPA_BLK_WRITE, UVDPA_BLK_READ }) {
		req.op = op;
		if (uvdpa_blkq_submit(q, &done, 1) != 1)
			return 1;
		while (!uvdpa_blkq_poll(q, &done, 1))
			uvdpa_blkq_wait(q, -1);
		if (op == UVDPA_BLK_WRITE)
			std::memset(text, 0, 512);
	}
	std::printf("%s, %u device of uvdpa %s\n", text, w.added, uvdpa_version());
	uvdpa_watch_del(&w);
	uvdpa_blk_close(blk);
}
E
for std in 11 20; do
	c++ -std=c++$std -Wall -Wextra -Wpedantic -Werror "${extra[@]}" "${cflags[@]}" "$tmp/use.cc" "${libs[@]}" \
		-o "$tmp/use"
	timeout 60 "$tmp/use" >"$tmp/out" || fail "C++: $(cat "$tmp/out")"
	grep -qx "from C++, 1 device of uvdpa $(pkg-config --modversion uvdpa)" "$tmp/out" || fail "C++: $(cat "$tmp/out")"
done
