#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What cannot be had is refused, with a sentence that says why; and nothing of it stays.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

image one 16M
image plain 16M --image-feature layering
image tiny 100B
rbd snap create --no-progress one@old
daemon_start

refused 'rbd:rbd/none: there is no such image' rbd_add d none
refused 'rbd:none/one: there is no pool none' rbd_add d one pool none
refused 'rbd:rbd/none/one: there is no such image' rbd_add d one namespace none
refused 'rbd:rbd/one@now: there is no such snapshot' rbd_add d one snapshot now
refused 'rbd:rbd/plain: the image has no feature exclusive-lock' rbd_add d plain
refused 'rbd:rbd/tiny: the image is empty' rbd_add d tiny
refused 'serial ".*", longer than 20' rbd_add d one serial 123456789012345678901
refused 'configuration /none: No such file' \
	uvdpa dev add name d mgmtdev rbd image one conf /none
refused 'no answer from the monitors \(127.0.0.1:1\) within 300 ms' \
	uvdpa dev add name d mgmtdev rbd image one mon_host 127.0.0.1:1 timeout_ms 300
same '{"dev":{}}' "$(uvdpa -j dev show)"
rbd_add d plain lock off
uvdpa dev del d

rbd namespace create rbd/inner
image rbd/inner/one 16M
rbd_add d one namespace inner
same rbd:rbd/inner/one "$(json .dev.d.image dev show d)"
uvdpa dev del d

# A cache that is not what was asked for would make promises that are not kept.
rbd config image set one rbd_cache true
refused 'cache=none, but the configuration of the image or its pool makes it writearound' \
	rbd_add d one cache none
rbd_add d one cache writearound
uvdpa dev del d
rbd config image rm one rbd_cache

# One writer, here and elsewhere; who reads is nobody's business.
rbd_add d one
refused 'rbd:rbd/one: in use: 127.0.0.1:.* has the lock' rbd_add e one
rbd_add e one readonly on
rbd_add f one snapshot old
! timeout 20 rbd bench --io-type write --io-size 4K --io-total 4K one >"$tmp/bench" 2>&1 ||
	fail "rbd bench wrote to an image that is in use"
same writearound "$(json .dev.d.cache dev show d)"
uvdpa dev del d
rbd_add d one
refused '"rbd resize" changes its size' uvdpa dev set d size 32M
daemon_stop

# The lock went with the daemon.
timeout 20 rbd bench --io-type write --io-size 4K --io-total 4K one >/dev/null
same 'Watchers: none' "$(rbd status one)"

# Nor does it stay with one that was killed for longer than Ceph gives a client to show itself.
daemon_start
rbd_add d one
daemon_kill
daemon_start
rbd_add d one timeout_ms 60000
