#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Messages: a level for each part, and the journal.
. "$(dirname "$0")/../cli/cli.sh"
need socat fusermount3 unshare

# ---- levels
for level in loud a=loud =info 'info,' ',' '' a= "$(printf 'x%.0s' {1..64})=info" "$(printf 'x=info,%.0s' {1..65})info"; do
	refused '^uvdpad: log level' timeout 20 "$UVDPAD" -s "$tmp/other" --log-level "$level"
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

# ---- the journal; in a mount namespace, so that none is meant but ours
[ -c /dev/fuse ] || skip "no /dev/fuse"
"$UVDPA" driver help virtio | grep -q '^  file ' || skip "built without FUSE"
unshare -m true 2>/dev/null || skip "no mount namespaces"
export PYTHONDONTWRITEBYTECODE=1
# shellcheck disable=SC2016 # for that shell
unshare -m bash -c 'mount -t tmpfs none /run && exec /usr/bin/python3 "$@"' bash \
	"$tests/daemon/log.py" "$UVDPAD" "$UVDPA" "$tmp"
