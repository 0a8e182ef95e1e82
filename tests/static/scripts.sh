#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# No script has anything that shellcheck finds.
set -euo pipefail
cd "$1"
command -v shellcheck >/dev/null || { echo "no shellcheck"; exit 77; }
mapfile -t files < <(grep -rlE '^#!/bin/(ba|)sh' .ci scripts tests examples bench fuzz 2>/dev/null | sort)
[ ${#files[@]} -gt 5 ]
shellcheck -x -P SCRIPTDIR "${files[@]}"
