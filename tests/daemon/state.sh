#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What clients made comes back: after a restart, a crash, a full disk.
. "$(dirname "$0")/../mounts.sh"
. "$(dirname "$0")/../cli/cli.sh"
[ "$(id -u)" = 0 ] || skip "not root"
state=$tmp/var/state
conf=$tmp/conf
mkdir "$tmp/var"
: >"$conf"
daemon_args=(--config "$conf" --state "$state")
truncate -s 1M "$tmp/a.img"

take_back() {
	umount -l "$tmp/var" 2>/dev/null || true
}
# has LINE... - the file has these lines, and no others
has() {
	diff <(printf '%s\n' "$@") <(grep -av '^#' "$state") >"$tmp/diff" 2>&1
}
written() {
	wait_for 20 has "$@" || fail "$(cat "$tmp/diff")"
}
exports() {
	rpc '{"jsonrpc":"2.0","method":"dev.export","id":1}' | jq -cS .result.export
}

# ---- driver, override, what was set; not what the configuration has
echo 'dev add name conf0 mgmtdev sim-net' >"$conf"
daemon_start
uvdpa dev add name d0 mgmtdev blk image "$tmp/a.img" driver vhost-user socket "$tmp/d 0.sock"
uvdpa dev add name d1 mgmtdev sim-blk capacity 1M
uvdpa dev override d1 none
uvdpa dev set d1 iops 100
uvdpa dev add name d2 mgmtdev sim-net
d0="dev add name d0 mgmtdev blk image $tmp/a.img driver vhost-user socket '$tmp/d 0.sock'"
written "$d0" 'dev add name d1 mgmtdev sim-blk capacity 1M iops 100' 'dev override d1 none' \
	'dev add name d2 mgmtdev sim-net'
same 600 "$(stat -c %a "$state")" mode
before=$(exports)
daemon_kill
daemon_start
wait_for 20 uvdpa dev show d0 >/dev/null # the kernel closes the image of a killed process in its own time
same "$(jq -S . <<<"$before")" "$(exports | jq -S .)" "after a crash"
[ -S "$tmp/d 0.sock" ] || fail "no socket"
uvdpa dev del d2
uvdpa dev bind d0 vhost-user socket "$tmp/new.sock"
before=$(exports)
daemon_stop
daemon_start	# at once: what was not written yet was written at the end
same "$before" "$(exports)" "after a restart"

# ---- the configuration has the name; what cannot be made is kept until it can
daemon_stop
rm "$tmp/a.img"
echo 'dev add name d1 mgmtdev sim-net' >>"$conf"
daemon_start
grep -q 'd1 is another.s now; forgotten' "$tmp/daemon.log" || fail "no word of d1"
same '"network"' "$(uvdpa -j dev show d1 | jq .dev.d1.type)"
d0="dev add name d0 mgmtdev blk image $tmp/a.img driver vhost-user socket $tmp/new.sock"
uvdpa dev add name d3 mgmtdev sim-net
written 'dev add name d3 mgmtdev sim-net' "$d0"
truncate -s 1M "$tmp/a.img"
kill -HUP "$daemon_pid"
wait_for 20 uvdpa dev show d0 >/dev/null
written 'dev add name d3 mgmtdev sim-net' "$d0"

# ---- a line that makes no sense is left out, and kept beside
daemon_stop
echo 'dev add name' >>"$state"
cp "$state" "$tmp/bad"
daemon_start
same '["conf0","d0","d1","d3"]' "$(json '.dev | keys' dev show)"
cmp "$tmp/bad" "$state.bad"
written 'dev add name d3 mgmtdev sim-net' "$d0"

# ---- a disk that is full: the file stays whole, and is written when there is room
daemon_stop
mount -t tmpfs -o size=64k none "$tmp/var"
daemon_start
uvdpa dev add name d0 mgmtdev sim-net
written 'dev add name d0 mgmtdev sim-net'
head -c 1M /dev/zero >"$tmp/var/fill" 2>/dev/null || true
[ ! -s "$tmp/var/fill" ] && fail "nothing fills it"
uvdpa dev add name d4 mgmtdev sim-net
wait_for 20 grep -q 'the state is not written: .*: No space left on device' "$tmp/daemon.log"
has 'dev add name d0 mgmtdev sim-net' || fail "$(cat "$tmp/diff")"
[ ! -e "$state.new" ] || fail "half a file"
uvdpa dev show d4 >/dev/null
rm "$tmp/var/fill"
written 'dev add name d0 mgmtdev sim-net' 'dev add name d4 mgmtdev sim-net'
grep -q 'the state is written again' "$tmp/daemon.log" || fail "not told"

# ---- and one that is read-only: the daemon goes on, and ends
read_only() {
	wait_for 20 grep -q 'the state is not written: .*: Read-only file system' "$tmp/daemon.log"
}
mount --bind "$tmp/var" "$tmp/var"
mount -o remount,bind,ro "$tmp/var"
uvdpa dev del d4
read_only
daemon_stop
: >"$tmp/daemon.log"
daemon_start
same '["conf0","d0","d1","d4"]' "$(json '.dev | keys' dev show)"
uvdpa dev del d4
read_only
umount "$tmp/var"
written 'dev add name d0 mgmtdev sim-net'
daemon_stop
umount -l "$tmp/var"

# ---- 1,000 of them, after a crash: listed and bound
for ((i = 0; i < 1000; i++)); do
	echo "dev add name n$i mgmtdev sim-net driver vhost-user socket $tmp/n$i.sock"
done >"$state"
all_bound() {
	same 1000 "$(uvdpa -j dev show | jq '[.dev[] | select(.driver)] | length')" "bound devices"
}
daemon_start
all_bound
daemon_kill
begin=$(now_ms)
daemon_start
all_bound
echo "1,000 devices: $(($(now_ms) - begin)) ms" >&2
same 1000 "$(grep -c '^dev add' "$state")" "lines"
daemon_stop

# ---- while a load is under way: a client's device is a client's, and what one takes away is gone
state=$tmp/during
daemon_args=(--config "$conf" --state "$state")
: >"$conf"
daemon_start
uvdpa dev add name c0 mgmtdev blk image "$tmp/a.img"
echo "dev add name c1 mgmtdev blk image $tmp/a.img" >"$conf"
kill -HUP "$daemon_pid"
uvdpa dev add name c1 mgmtdev sim-net # while the file's waits for the image, if it is soon enough
c0="dev add name c0 mgmtdev blk image $tmp/a.img"
written "$c0" 'dev add name c1 mgmtdev sim-net'
daemon_stop
background socat -u "UNIX-LISTEN:$tmp/silent.sock,fork" OPEN:/dev/null
wait_for 20 test -S "$tmp/silent.sock"
echo "dev add name s0 mgmtdev vhost-user socket $tmp/silent.sock" >"$conf"
daemon_start
uvdpa dev del c1 # of the state file, and the load waits for s0's peer
written "$c0"
daemon_stop

# ---- the end in the middle of a load: no word of what it could not make, and none of it is lost
: >"$tmp/daemon.log"
echo "dev add name k0 mgmtdev vhost-user socket $tmp/silent.sock" >"$state"
daemon_start
daemon_stop
! grep -q error "$tmp/daemon.log" || fail "words of what was not to be made"
has "dev add name k0 mgmtdev vhost-user socket $tmp/silent.sock" || fail "$(cat "$tmp/diff")"

# ---- a line that is broken in the middle takes none beside it away
printf '%s\n' 'dev add name a mgmtdev sim-net' 'dev add name b "mgmtdev sim-net' \
	'dev add name c mgmtdev sim-net' $'dev add name \377' 'dev add name e mgmtdev sim-net' >"$state"
: >"$conf"
daemon_start
written 'dev add name a mgmtdev sim-net' 'dev add name c mgmtdev sim-net' 'dev add name e mgmtdev sim-net'
daemon_stop

# ---- what could not be made, or is still being made, goes when somebody says so
: >"$conf"
for name in k1 k2 k3; do
	echo "dev add name $name mgmtdev blk image $tmp/nowhere.img"
done >"$state"
echo "dev add name s0 mgmtdev vhost-user socket $tmp/silent.sock" >>"$state"
: >"$tmp/daemon.log"
daemon_start
kept=("dev add name k2 mgmtdev blk image $tmp/nowhere.img" "dev add name k3 mgmtdev blk image $tmp/nowhere.img")
uvdpa dev del s0
uvdpa dev del k1
written "${kept[@]}"
summed_up() {
	grep -q '0 devices added, .* 3 failed' "$tmp/daemon.log"
}
wait_for 20 summed_up
! grep -q s0 "$tmp/daemon.log" || fail "words of what was taken away"
kill -HUP "$daemon_pid"
refused 'device not found: "k1"' uvdpa dev del k1
uvdpa dev add name k2 mgmtdev sim-net
written 'dev add name k2 mgmtdev sim-net' "${kept[1]}"
uvdpa dev del k2 # not only what it is now
written "${kept[1]}"
daemon_stop

# ---- one daemon, one file: the second is told who has it, whatever became of the first's file since
state=$tmp/one
daemon_args=(--state "$state")
daemon_start
for i in 1 2 3; do
	uvdpa dev add name "d$i" mgmtdev sim-net
	wait_for 20 grep -q "name d$i " "$state"
done
ln -s one "$tmp/two"
for path in "$state" "$tmp/two"; do
	refused "$path: another daemon keeps its state there, process $daemon_pid\$" \
		"$UVDPAD" -s "$tmp/second" --state "$path"
done
[ ! -e "$tmp/second" ] || fail "the second left its socket"
daemon_kill
daemon_start
same '["d1","d2","d3"]' "$(json '.dev | keys' dev show)"
daemon_stop

# ---- what was written is read, however long it is
for ((i = 0; i < 17; i++)); do
	printf 'dev add name long%d mgmtdev blk image /%s\n' $i "$(head -c 1M /dev/zero | tr '\0' x)"
done >>"$state"
daemon_start
uvdpa dev add name d4 mgmtdev sim-net
wait_for 20 grep -q 'name d4 ' "$state"
same 21 "$(grep -c '^dev add' "$state")" "lines"
daemon_stop

# ---- only a file is replaced, and a link leads to one
mknod "$tmp/null" c 1 3
refused 'null: not a regular file' "$UVDPAD" -s "$ctl" --state "$tmp/null"
[ -c "$tmp/null" ] || fail "the device node is gone"
refused 'not a regular file' "$UVDPAD" -s "$ctl" --state "$tmp"
refused 'the configuration cannot be the state' "$UVDPAD" -s "$ctl" --config "$conf" --state "$conf"
ln -s nowhere "$tmp/dangling"
refused 'a link to a file that is not there' "$UVDPAD" -s "$ctl" --state "$tmp/dangling"
ln -s target "$tmp/link"
: >"$tmp/target"
state=$tmp/target
daemon_args=(--state "$tmp/link")
cd "$tmp"
daemon_start
uvdpa dev add name d0 mgmtdev sim-blk
wait_for 20 grep -q '^dev add name d0' "$tmp/target"

# A client's path is what it was.
rpc '{"jsonrpc":"2.0","method":"dev.add","id":1,"params":{"name":"near","mgmtdev":"sim-blk","driver":"vhost-user","driver_attrs":{"socket":"./near.sock"}}}' >"$tmp/out"
grep -q '"result":{}' "$tmp/out" || fail "$(cat "$tmp/out")"
wait_for 20 grep -q near "$tmp/target"
daemon_stop
daemon_start
same near "$(json '.dev.near | if .driver then "near" else . end' dev show near)"
[ -L "$tmp/link" ] || fail "the link is gone"
