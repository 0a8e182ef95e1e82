#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# "uvdpa blk copy": every byte, and what is sparse stays sparse.
# shellcheck source=blk.sh
. "$(dirname "${BASH_SOURCE[0]}")/blk.sh"
need qemu-img

cd "$tmp"
# judged FROM TO
judged() {
	cmp "$1" "$2"
	qemu-img compare -q -f raw -F raw "$1" "$2"
}
sparse a.img

# ---- to a file that is made
quiet blk copy ./a.img ./b.img >out
judged a.img b.img
[ "$(kib b.img)" -le 3072 ] || fail "the copy takes $(kib b.img) KiB"
same 1 "$(wc -l <out)" "lines of the summary"
grep -q '^./a.img: to ./b.img bytes 67108864 data [0-9]* zeroes 0 holes [0-9]* seconds' out
json='.copy["./a.img"] | .data + .zeroes + .holes == .bytes'
"$UVDPA" -j blk copy ./a.img ./c.img | jq -e "$json" >/dev/null
judged a.img c.img

# ---- zeros that are no holes in the source are holes in the target
cp --sparse=never a.img full.img
quiet blk copy ./full.img ./d.img >out
judged a.img d.img
[ "$(kib d.img)" -le 3072 ] || fail "the copy of a full file takes $(kib d.img) KiB"

# ---- over one that has something, with other and odd sizes
random over.img 65M
cp over.img was.img
quiet blk copy ./a.img ./over.img >out
cmp -n 64M a.img over.img
cmp -i 64M was.img over.img || fail "what is behind the source's end was changed"
random full.img $((512 * 5001))
quiet blk copy ./full.img ./full2.img >out
judged full.img full2.img

# ---- rings and requests of all sizes
for options in queue_size=4 logical_block_size=4096 engine=threads size_max=4096,seg_max=3; do
	case $("$UVDPA" mgmtdev help blk) in
	*" ${options%%[=,]*} "*) ;;
	*)	continue ;;
	esac
	rm -f e.img
	truncate -s 64M e.img
	quiet blk copy "blk:image=a.img,$options" "blk:image=e.img,$options" >out
	judged a.img e.img
done

# ---- refused before anything is written
md5=$(md5 b.img)
truncate -s 32M small.img
refused './a.img has 67108864 bytes, ./small.img only 33554432' blk copy ./a.img ./small.img
[ "$(kib small.img)" = 0 ] || fail "something was written"
refused 'b.img twice is one disk' blk copy ./b.img ./b.img
refused 'read-only' blk copy ./a.img blk:image=b.img,readonly=on
same "$md5" "$(md5 b.img)" "a target that was refused"
if [ "$(id -u)" != 0 ]; then
	chmod 400 small.img
	refused 'Permission denied' blk copy ./b.img ./small.img
fi

# ---- a terminal sees how far it is; nothing else does
export TERM=xterm
timeout 60 script -qec "'$UVDPA' blk copy sim-blk:capacity=8G ./big.img" /dev/null >tty.out
grep -q 'bytes 8589934592' tty.out
"$UVDPA" blk checksum sim-blk:capacity=4G >out 2>err
[ ! -s err ] || fail "progress without a terminal"
timeout 60 script -qec "'$UVDPA' blk checksum sim-blk:capacity=4G" /dev/null >tty.out
grep -q 'GiB of 4.0 GiB, [0-9]* %, .*/s, [0-9]* s left' tty.out || fail "no progress: $(tr '\r' '\n' <tty.out)"

for option in -q -j; do
	timeout 60 script -qec "'$UVDPA' $option blk fill sim-blk:capacity=300M,bps=100M zeroes" /dev/null >tty.out
	! grep -q 'left' tty.out || fail "$option: $(tr '\r' '\n' <tty.out)"
done
TERM=dumb timeout 60 script -qec "'$UVDPA' blk fill sim-blk:capacity=300M,bps=100M zeroes" /dev/null >tty.out
! grep -q 'left' tty.out || fail "a dumb terminal: $(tr '\r' '\n' <tty.out)"
# Of a line that is too long for the terminal the end is missing; what wraps could not be taken away.
timeout 60 script -qec "stty cols 30; '$UVDPA' blk fill sim-blk:capacity=300M,bps=100M zeroes" /dev/null >tty.out
longest=$(tr '\r' '\n' <tty.out | grep ' of 300 MiB' | sed 's/\x1b.*//' | wc -L)
[ "$longest" = 29 ] || fail "$longest columns: $(tr '\r' '\n' <tty.out)"
timeout 60 script -qec "'$UVDPA' blk bench sim-blk:capacity=300M seconds 3" /dev/null >tty.out
grep -q '[12] s of 3 s, [0-9]* %, [12] s left' tty.out || fail "no progress: $(tr '\r' '\n' <tty.out)"
timeout 60 script -qec "'$UVDPA' rng read rng:seed=1 64G | head -c 3G >/dev/null" /dev/null >tty.out
grep -q 'iB of 64.0 GiB, [0-9]* %, .*/s, [0-9:s ]* left' tty.out || grep -q 'iB of 64 GiB' tty.out ||
	fail "no progress: $(tr '\r' '\n' <tty.out)"

# What went wrong does not stand behind it.
timeout 60 script -qec "timeout --foreground -s INT 3 '$UVDPA' blk fill sim-blk:capacity=4G,bps=100M random 1" \
	/dev/null >tty.out || true
tr '\r' '\n' <tty.out | grep -q 's left' || fail "no progress: $(tr '\r' '\n' <tty.out)"
tr '\r' '\n' <tty.out | tr -d '\033' | grep -qx '\[KError: uvdpa: interrupted\.' ||
	fail "$(tr '\r' '\n' <tty.out)"
