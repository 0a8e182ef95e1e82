#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Every file says its licence within its first three lines.
set -euo pipefail
cd "$1"

# What cannot carry a line: the licence itself, prose, data, configuration of editors and tools.
none='^(LICENSE|\.clang-format|\.clang-tidy|\.editorconfig|\.gitignore|\.git-blame-ignore-revs|.*\.md|.*\.(json|txt|map|abi)|.*/corpus/.*|debian/(.*\.(install|examples|symbols)|changelog|control|copyright|source/format|tests/control))$'
bad=0
while read -r f; do
	if [[ $f =~ $none ]]; then
		continue
	elif ! head -n 3 "$f" | grep -q 'SPDX-License-Identifier: BSD-2-Clause'; then
		echo "$f: no SPDX-License-Identifier: BSD-2-Clause"
		bad=1
	fi
done < <(git ls-files 2>/dev/null || find . -type f -printf '%P\n' | grep -v '^build')
exit $bad
