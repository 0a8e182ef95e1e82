#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Messages: a level for each part, and the journal.
. "$(dirname "$0")/../cli/cli.sh"
need socat fusermount3 unshare

# ---- levels
for level in loud a=loud =info 'info,' ',' '' a= "$(printf 'x%.0s' {1..64})=info" "$(printf 'x%d=info,' {1..65})info"; do
	refused '^uvdpad: (log level|--log-level is empty)' timeout 20 "$UVDPAD" -s "$tmp/other" --log-level "$level"
done

# heard LEVELS: which devices said at that setting that a front-end has come
heard() {
	: >"$tmp/daemon.log"
	daemon_args=(--log-level "$1")
	daemon_start
	uvdpa dev add name d0 mgmtdev sim-blk capacity 1M driver vhost-user socket "$tmp/d0.sock"
	uvdpa dev add name d1 mgmtdev sim-blk capacity 1M driver vhost-user socket "$tmp/d1.sock"
	uvdpa dev add name d2 mgmtdev rng driver vhost-user socket "$tmp/d2.sock"
	for i in 0 1 2; do
		socat -t 0 - "UNIX-CONNECT:$tmp/d$i.sock" <<<'no message' >/dev/null 2>&1 || true
	done
	uvdpa dev show >/dev/null
	# What it says when it takes a bad one away is a matter of the moment: wait until they have gone.
	daemon_stop
	{ grep -oE 'd[0-9]: front-end connected|control: dev.show' "$tmp/daemon.log" || true; } |
		sed 's/:.*//' | sort -u | paste -sd ' '
}
same '' "$(heard warning)" "at warning"
same 'd0 d1 d2' "$(heard info)" "at info"
same 'd1' "$(heard warning,d1=info)" "of a device"
same 'd0 d1' "$(heard sim-blk=info)" "of a parent"
same 'd0 d1 d2' "$(heard error,vhost-user=info)" "of a bus driver"
same 'd2' "$(heard vhost-user=info,sim-blk=debug,d0=error,d1=warning)" "the device goes before"
same 'd0 d1' "$(heard info,rng=info,vhost-user=error,d0=info,d1=info)" "the driver goes before the parent"
same 'control' "$(heard warning,control=debug)" "of the control socket"
same 'control d0 d1 d2' "$(heard error,debug)" "the later word"

# ---- while it runs; what is shown is what --log-level takes
daemon_args=(--log-level "info,d0=debug,rng=error")
daemon_start
same info,d0=debug,rng=error "$(uvdpa log show)"
same '{"level":"info","parts":{"d0":"debug","rng":"error"}}' "$(json .log log)"
uvdpa log set error rng
uvdpa log set default d0
uvdpa log set default nothing
uvdpa log set warning
uvdpa log set debug control
same warning,rng=error,control=debug "$(uvdpa log show)"
refused 'log level "loud" is none of' uvdpa log set loud
refused 'log level "default" is none of' uvdpa log set default
for part in '' a=b a,b "$(printf 'x%.0s' {1..64})"; do
	refused 'a part has 1 to 63 bytes' uvdpa log set info "$part"
done
for i in {1..62}; do
	echo "log set info p$i"
done | uvdpa -b -
refused 'more than 64 parts' uvdpa log set info p63
uvdpa log set info p62
uvdpa dev add name d0 mgmtdev sim-blk capacity 1M driver vhost-user socket "$tmp/d0.sock"
comes() {
	socat -t 0 - "UNIX-CONNECT:$tmp/d0.sock" <<<'no message' >/dev/null 2>&1 || true
	grep -q 'd0: front-end connected' "$tmp/daemon.log"
}
# A device that is there already is found by its driver's name, and no longer.
uvdpa log set default p62
uvdpa log set warning d0
uvdpa log set default d0
: >"$tmp/daemon.log"
! comes || fail "heard at warning"
uvdpa log set info vhost-user
wait_for 10 comes
uvdpa log set error vhost-user
uvdpa log set error control
: >"$tmp/daemon.log"
for _ in 1 2 3; do
	! comes || fail "heard at error"
done
[ ! -s "$tmp/daemon.log" ] || fail "$(cat "$tmp/daemon.log")"
daemon_stop
# A daemon that had no part's level does not know its devices yet.
daemon_args=()
daemon_start
uvdpa dev add name d0 mgmtdev sim-blk capacity 1M driver vhost-user socket "$tmp/d0.sock"
same warning "$(uvdpa log)"
uvdpa log set info sim-blk
wait_for 10 comes
daemon_stop

# ---- the journal; in a mount namespace, so that none is meant but ours
[ -c /dev/fuse ] || skip "no /dev/fuse"
"$UVDPA" driver help virtio | grep -q '^  file ' || skip "built without FUSE"
unshare -m true 2>/dev/null || skip "no mount namespaces"
export PYTHONDONTWRITEBYTECODE=1
# shellcheck disable=SC2016 # for that shell
unshare -m bash -c 'mount -t tmpfs none /run && exec /usr/bin/python3 "$@"' bash \
	"$tests/daemon/log.py" "$UVDPAD" "$UVDPA" "$tmp"
