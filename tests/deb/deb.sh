#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The Debian packages are built and lintian has nothing to say; in a small Debian of their own they are
# installed, do what they are for (debian/tests), and are removed and purged: nothing is left.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
top=$tests/..
need dpkg-buildpackage dh lintian unshare
[ "$(id -u)" = 0 ] || skip "not root, which a root directory needs"
archive=${UVDPA_CACHE:-${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/uvdpa}/debian-root/root.tar
[ -e "$archive" ] || skip "no small Debian: scripts/setup root"
root=$tmp/root

# in_root COMMAND...: with processes and mounts that end with it
in_root() {
	# shellcheck disable=SC2016 # the inner shell's
	unshare --mount --pid --fork --kill-child bash -euc '
		cd "$1"
		mount -t proc proc proc
		mount --rbind /dev dev
		mount -t tmpfs tmpfs tmp
		mount -t tmpfs tmpfs run
		shift
		exec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
			DEBIAN_FRONTEND=noninteractive HOME=/root "$@"' in_root "$root" "$@"
}

# Files of the root: what a package leaves, not what others note down.
files_of() {
	(cd "$root" && find . \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./tmp -o -path ./run \
		-o -path ./debs -o -path ./var/cache -o -path ./var/log -o -path ./var/lib/apt \
		-o -path './var/lib/dpkg/*' \) -prune -o -print | sort)
}

# ---- built, beside the making of the root
DEB_BUILD_OPTIONS=nocheck "$top/scripts/deb" "$tmp/deb" >"$tmp/log" 2>&1 &
built=$!
mkdir "$root"
tar -x -C "$root" -f "$archive" --exclude='./dev/*'
wait $built || { tail -n 60 "$tmp/log" >&2; fail "scripts/deb"; }
if grep -E '^[EW]: ' "$tmp/log"; then
	fail "lintian has something to say"
fi
debs=(libuvdpa0 libuvdpa-dev nbdkit-plugin-uvdpa python3-uvdpa uvdpa uvdpad)
for p in "${debs[@]}"; do
	compgen -G "$tmp/deb/${p}_*.deb" >/dev/null || fail "no package $p"
done
compgen -G "$tmp/deb/libuvdpa0-dbgsym_*.deb" >/dev/null || fail "no debug symbols"

# ---- installed
mkdir "$root/debs"
cp "$tmp"/deb/*.deb "$root/debs/"
rm "$root"/debs/*-dbgsym_*.deb
files_of >"$tmp/before"
# What the packages depend on is what scripts/setup has put there.
in_root sh -c 'dpkg --install /debs/*.deb' >"$tmp/log" 2>&1 ||
	{ cat "$tmp/log" >&2; fail "dpkg --install"; }
[ -L "$root/etc/systemd/system/sockets.target.wants/uvdpad.socket" ] || fail "the socket is not enabled"
[ -L "$root/etc/systemd/system/multi-user.target.wants/uvdpad.service" ] || fail "the service is not enabled"
in_root systemd-analyze verify --man=no /lib/systemd/system/uvdpad.{service,socket} >"$tmp/log" 2>&1 ||
	{ cat "$tmp/log" >&2; fail "systemd-analyze verify"; }
in_root uvdpad --check >"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; fail "uvdpad --check"; }
mkdir "$root/debs/tests"
cp "$top"/debian/tests/* "$root/debs/tests/"
while read -r t; do
	in_root "/debs/tests/$t" </dev/null >"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; fail "debian/tests/$t"; }
done < <(sed -n 's/^Tests: //p' "$top/debian/tests/control")

# ---- removed: what an administrator may have changed stays; purged: nothing stays
mkdir -p "$root/var/lib/uvdpa"
touch "$root/var/lib/uvdpa/devices"
in_root dpkg --remove "${debs[@]}" >"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; fail "dpkg --remove"; }
[ -e "$root/var/lib/uvdpa/devices" ] || fail "removal took the state"
[ -e "$root/etc/uvdpa/uvdpad.conf" ] || fail "removal took the configuration"
in_root sh -c 'mkdir -p /run/uvdpa/d && mount -t tmpfs none /run/uvdpa/d && touch /run/uvdpa/d/data &&
	sh /var/lib/dpkg/info/uvdpad.postrm purge && [ -e /run/uvdpa/d/data ]' >"$tmp/log" 2>&1 ||
	{ cat "$tmp/log" >&2; fail "a purge with a mount"; }
in_root dpkg --purge "${debs[@]}" >"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; fail "dpkg --purge"; }
rm -rf "$root/debs"
files_of >"$tmp/after"
diff "$tmp/before" "$tmp/after" || fail "something is left, or gone"
