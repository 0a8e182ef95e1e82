#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# TLS is nbdkit's: with pre-shared keys, and who has none is refused.
# shellcheck source=nbdkit.sh
. "$(dirname "${BASH_SOURCE[0]}")/nbdkit.sh"
need psktool

kit --dump-config | grep '^tls=yes' >/dev/null || skip "nbdkit without TLS"
psktool -u alice -p keys.psk >/dev/null 2>&1
chmod 600 keys.psk
random a.img 8M
serve --tls=require --tls-psk=keys.psk "$PLUGIN" mgmtdev=blk image=a.img
secure="nbds+unix://alice@/?socket=$tmp/nbd.sock&tls-psk-file=$tmp/keys.psk"
nbdinfo "$secure" | grep 'with TLS' >/dev/null
nbdcopy "$secure" b.img
cmp a.img b.img
random b.img 8M
nbdcopy b.img "$secure"
cmp a.img b.img
status=0
nbdinfo "$uri" >out 2>&1 || status=$?
[ $status != 0 ] || fail "without TLS: $(cat out)"
psktool -u alice -p other.psk >/dev/null 2>&1
nbdinfo "nbds+unix://alice@/?socket=$tmp/nbd.sock&tls-psk-file=$tmp/other.psk" >out 2>&1 && fail "another key: $(cat out)"
served_no_more
