#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The daemon as a service: a service manager's side of the protocols, the real one's starter, and its
# check of the units.
#
# usage: service.sh UNITS
. "$(dirname "$0")/../cli/cli.sh"
units=$1

PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$tests/daemon/service.py" "$UVDPAD" "$UVDPA" "$tmp" ||
	{ cat "$tmp/daemon.log"; fail "under a service manager"; }

# ---- the real one's starter: it listens, and starts the daemon when the first client comes
need systemd-socket-activate systemd-analyze
systemd-socket-activate --fdname=control -l "$ctl" -E ASAN_OPTIONS "$UVDPAD" --socket /nowhere/else \
	>"$tmp/activate.log" 2>&1 &
pid=$!
wait_for 10 test -S "$ctl"
daemon_pid=$pid
same '{"dev":{}}' "$(timeout 60 "$UVDPA" -s "$ctl" -j dev show)"
grep -q "^uvdpad: ready on $ctl" "$tmp/activate.log" || fail "$(cat "$tmp/activate.log")"
daemon_stop
[ -S "$ctl" ] || fail "the daemon removed the socket of its manager"

# ---- the units; as if installed
mkdir "$tmp/units"
sed "s|^ExecStart=[^ ]*|ExecStart=$UVDPAD|" "$units/uvdpad.service" >"$tmp/units/uvdpad.service"
cp "$units/uvdpad.socket" "$tmp/units"
said=$(SYSTEMD_UNIT_PATH=$tmp/units: systemd-analyze verify --man=no "$tmp"/units/uvdpad.{service,socket} 2>&1) ||
	fail "units: $said"
! grep -q "uvdpad" <<<"$said" || fail "units: $said"
# A mount of the service must be seen by the others, so nothing may give it a namespace of mounts.
if grep -E '^(Protect(System|Home|Proc|Kernel|Control|Clock)|Private(Tmp|Devices|Mounts|Users)|ReadOnly|Inaccessible|Bind|TemporaryF|Root|DeviceAllow|DevicePolicy)' \
	"$units/uvdpad.service"; then
	fail "the service would have a mount namespace, or no devices"
fi
systemd-analyze security --offline=yes --threshold=60 "$tmp/units/uvdpad.service" >"$tmp/security" ||
	fail "exposure: $(tail -1 "$tmp/security")"
