#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The configuration: what --check says of it, what is made at the start, and what a reload changes.
. "$(dirname "$0")/../cli/cli.sh"
conf=$tmp/conf
daemon_args=(--config "$conf")
truncate -s 1M "$tmp/a.img" "$tmp/b.img"

# ---- each fault, with its line
cat >"$conf" <<EOF
# a comment
dev add name d0 mgmtdev blk image $tmp/a.img \\
	driver vhost-user socket '$tmp/d0.sock'
dev add name d1 mgmtdev sim-blk capcity 1M
dev ad name d2 mgmtdev sim-blk
dev add name d0 mgmtdev sim-net
dev add name d3 mgmtdev blk
dev add name d4 mgmtdev blk image rel.img
dev add name d5 mgmtdev sim-bulk
dev add name d6 mgmtdev sim-blk driver vhost-usr
dev add name d7 mgmtdev sim-blk capacity much
dev add mgmtdev sim-blk
dev add name d8
dev add name -x mgmtdev sim-blk
dev add name d9 mgmtdev sim-blk capacity
dev add name d9 mgmtdev sim-blk device_features many
mgmtdev show
dev override d7 x
dev bind d0 vhost-user socket /x
dev override d0
dev override d0 $(head -c 256 /dev/zero | tr '\0' x)
dev override d0 'no	driver'
dev add name d9 "mgmtdev
EOF
cat >"$tmp/wanted" <<'EOF'
4: sim-blk: Unknown option "capcity"; did you mean "capacity"?
5: "ad" behind "dev", not add, bind or override; did you mean "add"?
6: name d0 is taken, by line 2
7: blk: image is missing
8: image is "rel.img", not an absolute path
9: d5: Fail to find the specified management device: "sim-bulk"; did you mean "sim-blk"?
10: d6: no bus driver "vhost-usr"; did you mean "vhost-user"?
11: sim-blk: capacity is "much", not a number of bytes
12: name is missing: dev add name NAME mgmtdev MGMTDEV ...
13: mgmtdev is missing: dev add name NAME mgmtdev MGMTDEV ...
14: name -x begins with "-"
15: "capacity" needs a value; the words are pairs: name NAME mgmtdev MGMTDEV ...
16: dev.add: parameter "features": "0xmany", not a string of 64 bits in decimal or 0x
17: "mgmtdev" is not "dev"
18: no device "d7" above; did you mean "d0"?
19: d0 has a driver already, vhost-user
20: usage: dev override DEV DRIVER
21: d0: driver_override of 256 bytes, at most 255
22: d0: byte 0x9 in driver_override
23: a quote " is not closed
EOF
rc=0
"$UVDPAD" --check --config "$conf" >"$tmp/out" 2>"$tmp/err" || rc=$?
same 1 "$rc" status
same '' "$(cat "$tmp/out")"
sed "s|^|$conf:|" "$tmp/wanted" | diff - "$tmp/err" || fail "other faults"
[ ! -e "$tmp/d0.sock" ] || fail "--check made something"

# A daemon does not start with it; nor without the file, if it was asked for.
refused "conf: 20 faults" "$UVDPAD" -s "$ctl" --config "$conf"
refused "No such file" "$UVDPAD" -s "$ctl" --config "$tmp/none"
refused "No such file" "$UVDPAD" --check --config "$tmp/none"
refused '^uvdpad: --config is empty, not FILE$' "$UVDPAD" --check --config ''
refused '^uvdpad: --state is empty, not FILE$' "$UVDPAD" -s "$ctl" --state ''
[ ! -e "$ctl" ] || fail "the control socket is still there"

# ---- the start: what can be made is made
cat >"$conf" <<EOF
dev add name d0 mgmtdev blk image $tmp/a.img driver vhost-user socket $tmp/d0.sock
dev add name d1 mgmtdev sim-blk capacity 1M iops 100 bps 1M
dev add name d2 mgmtdev blk image $tmp/missing.img
dev add name d3 mgmtdev sim-net driver vhost-user socket $tmp/d3.sock
EOF
same "$conf: 4 devices" "$("$UVDPAD" --check --config "$conf")"
daemon_start
same '["d0","d1","d3"]' "$(json '.dev | keys' dev show)"
grep -q "conf:3: d2: image .*: No such file or directory" "$tmp/daemon.log" || fail "no word of d2"
same 1 "$(grep -c '^uvdpad: .*conf: .*; 1 failed$' "$tmp/daemon.log")" summary

# ---- a reload
summed_up() {
	[ "$(grep -c '^uvdpad: .*/conf' "$tmp/daemon.log")" -gt "$1" ]
}
# reload SUMMARY - and wait for it
reload() {
	local before
	before=$(grep -c '^uvdpad: .*/conf' "$tmp/daemon.log")
	kill -HUP "$daemon_pid"
	wait_for 20 summed_up "$before"
	same "$1" "$(grep '^uvdpad: .*/conf' "$tmp/daemon.log" | tail -1 | sed "s|.*/conf: ||")"
}
# A front-end that stays connected for as long as nobody touches the device.
background socat -u "UNIX-CONNECT:$tmp/d0.sock" OPEN:/dev/null
frontend=$!
inode=$(stat -c %i "$tmp/d0.sock")
untouched() {
	kill -0 "$frontend" 2>/dev/null || fail "d0 was touched"
	same "$inode" "$(stat -c %i "$tmp/d0.sock")" "d0's socket"
}

# Nothing has changed but that the image is there; a device of a client's is none of its business.
uvdpa dev add name c0 mgmtdev sim-blk capacity 1M
cp "$tmp/a.img" "$tmp/missing.img"
reload '1 devices added, 0 changed, 0 removed, 3 as before; 0 failed'
untouched
same '["c0","d0","d1","d2","d3"]' "$(json '.dev | keys' dev show)"

# Set in place, given its default, moved, removed, added; options in another order are the same.
uvdpa blk fill d1 random 1 length 1M >/dev/null
sum=$(uvdpa blk checksum d1)
cat >"$conf" <<EOF
dev add name d4 mgmtdev blk image $tmp/missing.img
dev add name d3 mgmtdev sim-net driver vhost-user socket $tmp/moved.sock
dev override d3 vhost-user
dev add name d1 mgmtdev sim-blk iops 200 capacity 1M
dev add mgmtdev blk image $tmp/a.img name d0 driver vhost-user socket $tmp/d0.sock
EOF
reload '1 devices added, 2 changed, 1 removed, 1 as before; 0 failed'
untouched
same '["c0","d0","d1","d3","d4"]' "$(json '.dev | keys' dev show)"
same '[200,null]' "$(json '[.dev.d1.iops, .dev.d1.bps]' dev show)"
same "$sum" "$(uvdpa blk checksum d1)" "what d1 holds"
same "$tmp/moved.sock" "$(json .describe.d3.socket dev describe d3)"
same vhost-user "$(json .dev.d3.driver_override dev show d3)"

# The socket of one goes to another; the override goes; a capacity is set in place, as it can grow.
cat >"$conf" <<EOF
dev add name d0 mgmtdev blk image $tmp/a.img driver vhost-user socket $tmp/d0.sock
dev add name d3 mgmtdev sim-net driver vhost-user socket $tmp/x.sock
dev add name d4 mgmtdev blk image $tmp/missing.img driver vhost-user socket $tmp/moved.sock
dev add name d1 mgmtdev sim-blk capacity 2M iops 200 num_queues 2
EOF
reload '0 devices added, 3 changed, 0 removed, 1 as before; 0 failed'
untouched
same "$tmp/x.sock,$tmp/moved.sock" "$(json '.describe | .d3.socket + "," + .d4.socket' dev describe)"
same null "$(json .dev.d3.driver_override dev show d3)"
same '[2097152,2]' "$(json '[.dev.d1.size, .dev.d1.max_vqs]' dev show d1)"

# What a client changed of a line that is the same stays; what it took away is made again.
uvdpa dev set d1 iops 7
uvdpa dev del d3
reload '1 devices added, 0 changed, 0 removed, 3 as before; 0 failed'
same 7 "$(json .dev.d1.iops dev show d1)"

# A driver that a line has no more is taken away once; then it is whoever's.
echo 'dev add name d5 mgmtdev sim-blk driver vhost-user socket "'"$tmp"'/5.sock"' >>"$conf"
reload '1 devices added, 0 changed, 0 removed, 4 as before; 0 failed'
sed -i 's/^\(dev add name d5 mgmtdev sim-blk\) .*/\1/' "$conf"
reload '0 devices added, 1 changed, 0 removed, 4 as before; 0 failed'
same null "$(json .dev.d5.driver dev show d5)"
uvdpa bind d5 vhost-user socket "$tmp/5.sock"
reload '0 devices added, 0 changed, 0 removed, 5 as before; 0 failed'
same vhost-user "$(json .dev.d5.driver dev show d5)"
sed -i '/name d5/d' "$conf"
reload '0 devices added, 0 changed, 1 removed, 4 as before; 0 failed'

# What failed is not done: the next time it is tried again, and a client's device is not the file's.
echo 'dev add name d5 mgmtdev sim-blk capacity 1M' >>"$conf"
reload '1 devices added, 0 changed, 0 removed, 4 as before; 0 failed'
sed -i "s#name d5 mgmtdev sim-blk .*#name d5 mgmtdev blk image $tmp/missing.img#" "$conf"
reload '0 devices added, 0 changed, 0 removed, 4 as before; 1 failed'
uvdpa dev add name d5 mgmtdev sim-blk capacity 3M
sed -i '/name d5/d' "$conf"
reload '0 devices added, 0 changed, 0 removed, 4 as before; 0 failed'
same 3145728 "$(json .dev.d5.size dev show d5)"
uvdpa dev del d5

# What cannot be set is told, and the rest of its line is left with it: the device stays where it is.
echo "dev add name d6 mgmtdev sim-blk capacity_max 4M capacity 1M driver vhost-user socket $tmp/6.sock" >>"$conf"
reload '1 devices added, 0 changed, 0 removed, 4 as before; 0 failed'
sed -i 's#capacity 1M driver vhost-user socket .*/6.sock#capacity 64K driver vhost-user socket '"$tmp/7.sock#" "$conf"
reload '0 devices added, 0 changed, 0 removed, 4 as before; 1 failed'
grep -q 'conf:5: d6: size 64K, and it has 1M: what is beyond would be lost' "$tmp/daemon.log" ||
	fail "no word of what could not be set"
same "$tmp/6.sock" "$(json .describe.d6.socket dev describe d6)"
reload '0 devices added, 0 changed, 0 removed, 4 as before; 1 failed'
same "$tmp/6.sock" "$(json .describe.d6.socket dev describe d6)"
sed -i 's#capacity 64K#capacity 2M#' "$conf"
reload '0 devices added, 1 changed, 0 removed, 4 as before; 0 failed'
same "$tmp/7.sock,2097152" "$(json .describe.d6.socket dev describe d6),$(json .dev.d6.size dev show d6)"
sed -i 's#/7.sock#/none/7.sock#' "$conf"
reload '0 devices added, 0 changed, 0 removed, 4 as before; 1 failed'
grep -q 'conf:5: .*: No such file or directory; it has no bus driver now' "$tmp/daemon.log" ||
	fail "no word of what could not be bound"
mkdir "$tmp/none"
reload '0 devices added, 1 changed, 0 removed, 4 as before; 0 failed'
same "$tmp/none/7.sock" "$(json .describe.d6.socket dev describe d6)"
sed -i '/name d6/d' "$conf"
reload '0 devices added, 0 changed, 1 removed, 4 as before; 0 failed'

# A name that a client has is the client's; as soon as it is free the file has it.
echo 'dev add name c0 mgmtdev sim-net' >>"$conf"
reload '0 devices added, 0 changed, 0 removed, 4 as before; 1 failed'
same block "$(json .dev.c0.type dev show c0)"
uvdpa dev del c0
reload '1 devices added, 0 changed, 0 removed, 4 as before; 0 failed'

# What takes long is named; who asks meanwhile is answered, and another reload comes after it.
background socat -u "UNIX-LISTEN:$tmp/silent.sock,fork" OPEN:/dev/null
wait_for 20 test -S "$tmp/silent.sock"
cp "$conf" "$tmp/good"
echo "dev add name s0 mgmtdev vhost-user socket $tmp/silent.sock" >>"$conf"
kill -HUP "$daemon_pid"
wait_for 20 grep -q 'conf:6: s0 takes its time$' "$tmp/daemon.log"
cp "$tmp/good" "$conf"
before=$(grep -c '^uvdpad: .*/conf' "$tmp/daemon.log")
kill -HUP "$daemon_pid"
uvdpa dev del s0
wait_for 20 summed_up $((before + 1))
same '["c0","d0","d1","d3","d4"]' "$(json '.dev | keys' dev show)"

# A fault changes nothing, and is told with its line; nor does a file that is gone.
cp "$conf" "$tmp/good"
printf 'dev add name d9 mgmtdev sim-blk\nnonsense\n' >"$conf"
kill -HUP "$daemon_pid"
wait_for 20 grep -q 'conf: 1 faults; nothing has changed' "$tmp/daemon.log"
grep -q 'conf:2: "nonsense" is not "dev"' "$tmp/daemon.log" || fail "no word of the fault"
rm "$conf"
kill -HUP "$daemon_pid"
wait_for 20 grep -q 'conf: No such file or directory; nothing has changed' "$tmp/daemon.log"
same '["c0","d0","d1","d3","d4"]' "$(json '.dev | keys' dev show)"
untouched

# Many at once are as good as one.
mv "$tmp/good" "$conf"
for _ in 1 2 3 4 5 6 7 8; do
	kill -HUP "$daemon_pid"
done
reload '0 devices added, 0 changed, 0 removed, 5 as before; 0 failed'
: >"$conf"
kill -HUP "$daemon_pid"
wait_for 20 grep -q 'conf: 0 devices added, 0 changed, 5 removed, 0 as before; 0 failed' "$tmp/daemon.log"	# perhaps not the next
same '{"dev":{}}' "$(uvdpa -j dev show)"
