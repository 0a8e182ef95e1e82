#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Each header compiles alone: the public ones as C11 and C++11 too, the others as the project's C.
set -euo pipefail
cd "$1"
read -ra cc <<<"${CC:-cc}"	# "ccache cc", say
bad=0

# try COMMAND... HEADER
try() {
	"$@" || { echo "not self-contained: $*"; bad=1; }
}

for h in include/uvdpa/*.h; do
	for std in c11 gnu17; do
		try "${cc[@]}" -x c -std=$std -Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude "$h"
	done
	if command -v c++ >/dev/null; then
		try c++ -x c++ -std=c++11 -Wall -Wextra -Werror -fsyntax-only -Iinclude "$h"
	fi
done
for h in src/*/*.h; do
	# A header alone may define an inline function that it does not use.
	try "${cc[@]}" -x c -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-function \
		-fsyntax-only -Iinclude -Isrc "$h"
done
exit $bad
