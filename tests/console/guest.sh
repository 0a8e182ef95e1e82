# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2016,SC2034 # who includes this uses what it sets
# guest.sh - what every test of a console with a guest begins with
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need socat busybox cpio
# shellcheck source=line.sh
. "$(dirname "${BASH_SOURCE[0]}")/line.sh"
