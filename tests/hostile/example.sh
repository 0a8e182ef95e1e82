#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A front-end that tries to do harm to a device from outside of the library: the program lives, and
# serves the next one.
#
# usage: example.sh BUILD [SECONDS]
. "$(dirname "$0")/../lib.sh"
need python3
python3 -c 'import os; os.eventfd' 2>/dev/null || skip "python3 before 3.10"
for example in dice null-disk; do
	PYTHONDONTWRITEBYTECODE=1 timeout 80 python3 "$tests/hostile/example.py" "$1/examples/$example" \
		"$tmp/$example.sock" "${2:-3}" >"$tmp/log" 2>&1 || { tail -n 40 "$tmp/log"; fail "$example"; }
done
