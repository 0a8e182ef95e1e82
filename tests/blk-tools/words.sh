#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The words of "uvdpa blk": of disks, of options, and what is said about wrong ones.
# shellcheck source=blk.sh
. "$(dirname "${BASH_SOURCE[0]}")/blk.sh"

cd "$tmp"
for words in '' help; do
	# shellcheck disable=SC2086 # words
	blk $words | grep -q '^Usage: uvdpa blk copy' || fail "\"$words\" printed no usage"
done
"$UVDPA" help blk | grep -q '^Usage: uvdpa blk copy'

refused 'Command "nothing" not found' blk nothing
for words in copy 'copy a' 'copy a b c' checksum 'checksum a b' info fill 'fill ./a' 'bench' \
	'fill ./a pattern 1 zeroes' 'fill ./a offset 1M'; do
	# shellcheck disable=SC2086
	refused "usage: uvdpa blk ${words%% *} " blk $words
done
for words in compare 'compare a' verify 'verify ./a' 'verify ./a zeroes random 1'; do
	# shellcheck disable=SC2086
	status 2 blk $words
	grep -q "usage: uvdpa blk ${words%% *} " "$tmp/status.err" || fail "$words"
done
refused '"zeros" is not known here; did you mean "zeroes"' blk fill ./a zeros
refused '"pattern" needs a value' blk fill ./a pattern
refused 'pattern is 256, not from 0 to 255' blk fill ./a pattern 256
refused 'pattern is "x", not a number' blk fill ./a pattern x
refused 'length is "1X", not a number of bytes' blk fill ./a zeroes length 1X
refused 'length is 0, not from 1 to' blk fill ./a zeroes length 0
refused '"zeroes" is there twice' blk fill ./a zeroes zeroes
refused 'rw is "up", not one of read, write, randread, randwrite' blk bench ./a rw up
refused 'poll is "maybe", not one of off, on' blk bench ./a poll maybe
refused 'bs is 511, not from 512 to 16M' blk bench ./a bs 511
refused 'bs is 99999999999999999999, not from 512 to 16M' blk bench ./a bs 99999999999999999999

# ---- disks
refused './none: No such file' blk info ./none
refused 'No such file' blk copy ./none ./other
[ ! -e other ] || fail "a target was made for a source that is not there"
refused 'cannot reach uvdpad' blk info none
random d.img 1M
refused 'd.img is a file here: a path has a slash, ./d.img' blk info d.img
refused 'Fail to find the specified management device: "nothing"' blk info nothing:a=b
refused '"image" is not KEY=VALUE' blk info blk:image
refused '"=x" is not KEY=VALUE' blk info blk:=x
refused 'Unknown option "imag"; did you mean "image"' blk info blk:imag=x
refused 'image is missing' blk info blk:
refused 'is a directory' blk info ./
refused 'not a multiple of 512' blk info "/proc/self/../../$PWD/$(truncate -s 1000 odd; echo odd)"
refused 'neither a file nor a block device' blk info /dev/null
refused 'is empty' blk info "$(: >empty; echo ./empty)"
same 1048576 "$(blk info ./d.img | awk '$1 == "bytes" { print $2 }')"
same '{"bytes":1048576,"block_size":4096,"serial":"my disk"}' "$("$UVDPA" -j blk info \
	blk:image=d.img,logical_block_size=4096,serial='my disk' | jq -c '.info[] | {bytes, block_size, serial}')"
# Two commas are one that belongs to the value.
cp d.img a,b.img
quiet blk compare ./d.img blk:image=a,,b.img,queue_size=4
quiet blk compare blk:image=a,,b.img ./a,b.img
