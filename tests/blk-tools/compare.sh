#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# "uvdpa blk compare" and "checksum": as cmp and sha256sum.
# shellcheck source=blk.sh
. "$(dirname "${BASH_SOURCE[0]}")/blk.sh"
need cmp sha256sum

cd "$tmp"
sparse a.img
cp --sparse=never a.img b.img
quiet blk compare ./a.img ./b.img >out
[ ! -s out ] || fail "equal, and it said: $(cat out)"

# byte OFFSET - changed; cmp counts from 1
byte() {
	cp b.img c.img
	printf '\xA5' | dd of=c.img bs=1 seek="$1" conv=notrunc status=none
	status 1 blk compare ./a.img ./c.img
	same "./a.img and ./c.img differ at byte $1" "$(cat status.out)"
	same $(($1 + 1)) "$(cmp -l a.img c.img | awk '{ print $1; exit }' || true)" "cmp's"
	[ ! -s status.err ] || fail "said $(cat status.err)"
}
byte 5
byte $(((1 << 20) - 1))
byte $((1 << 20))
byte $((40 << 20 | 4097))
byte $(((64 << 20) - 1))
rc=0
"$UVDPA" -j blk compare ./a.img ./c.img >out || rc=$?
same 1 $rc
same '{"equal":false,"first_difference":67108863}' "$(jq -c '.compare[] | {equal, first_difference}' out)"
"$UVDPA" -j blk compare ./a.img ./b.img | jq -e '.compare[].equal' >/dev/null

truncate -s 65M b.img
status 1 blk compare ./a.img ./b.img
same './a.img and ./b.img differ: ./a.img ends at byte 67108864' "$(cat status.out)"
status 2 blk compare ./a.img ./none.img
grep -q 'none.img: No such file' status.err

# ---- checksums
for file in a.img b.img c.img; do
	same "$(sha256sum "./$file")" "$(blk checksum "./$file")" "sum of $file"
done
random odd.img $((512 * 4099))
blk checksum ./odd.img | sha256sum -c --quiet
same "$(sha256sum <odd.img | cut -d' ' -f1)" \
	"$("$UVDPA" -j blk checksum ./odd.img | jq -r '.checksum["./odd.img"].sha256')"
same "$(head -c 3M /dev/zero | sha256sum | cut -d' ' -f1)" \
	"$(blk checksum sim-blk:capacity=3M | cut -d' ' -f1)"
