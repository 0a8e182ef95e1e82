#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# codespell finds nothing.
set -euo pipefail
cd "$1"
command -v codespell >/dev/null || { echo "no codespell"; exit 77; }
# Identifiers, and words that tests write wrong on purpose.
codespell --skip './.git,./build*,*/corpus/*' --ignore-words-list 'nin,sting,shwo,nam,nmae,drvier,sise,inflight,passt' .
