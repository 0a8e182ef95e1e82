#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What the plugin takes, refuses and tells of itself and its disk.
# shellcheck source=nbdkit.sh
. "$(dirname "${BASH_SOURCE[0]}")/nbdkit.sh"

kit --dump-plugin "$PLUGIN" >out
grep -q '^max_thread_model=parallel$' out
grep -q '^uvdpa_version=' out
grep -q '^uvdpa_mgmtdevs=.*\bblk\b' out
kit "$PLUGIN" --help | grep 'mgmtdev=<NAME>' >/dev/null

random a.img 8M
refused 'vhost-user needs socket=' kit "$PLUGIN"
refused 'mgmtdev "nothing" is not known' kit "$PLUGIN" mgmtdev=nothing
refused 'blk needs image=' kit "$PLUGIN" mgmtdev=blk
refused 'blk has no option "imag"' kit "$PLUGIN" mgmtdev=blk imag=a.img
refused 'mgmtdev is given twice' kit "$PLUGIN" mgmtdev=blk mgmtdev=nbd
refused 'none.img: No such file' kit -f -U - "$PLUGIN" mgmtdev=blk image=none.img
refused 'readonly is "maybe", not on or off' kit -f -U - "$PLUGIN" mgmtdev=blk image=a.img readonly=maybe
refused 'none.sock: No such file' kit -f -U - "$PLUGIN" none.sock

# In the background, where the working directory is another.
kit -U "$tmp/nbd.sock" -P "$tmp/nbd.pid" "$PLUGIN" mgmtdev=blk image=a.img
wait_for 10 test -s nbd.pid
kit_pid=$(cat nbd.pid)
pids+=("$kit_pid")
same 8388608 "$(info '.["export-size"]')"
same 'false true true true true true true' "$(info '[.is_read_only, .can_flush, .can_fua, .can_trim,
	.can_zero, .can_multi_conn, .can_cache] | map(tostring) | join(" ")')"
same '512 4096' "$(info '"\(.block_size_minimum) \(.block_size_preferred)"')"
nbdcopy "$uri" b.img
cmp a.img b.img
kill "$kit_pid"
timeout 10 tail -q -s 0.05 --pid="$kit_pid" -f /dev/null || fail "nbdkit does not end"

serve "$PLUGIN" mgmtdev=blk image=a.img readonly=on
same true "$(info .is_read_only)"
served_no_more
serve -r "$PLUGIN" mgmtdev=blk image=a.img logical_block_size=4096
same true "$(info .is_read_only)"
same '4096 4096' "$(info '"\(.block_size_minimum) \(.block_size_preferred)"')"
served_no_more
serve "$PLUGIN" mgmtdev=sim-blk capacity=1M discard=off
same false "$(info .can_trim)"
served_no_more
