#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The command says what iproute2's vdpa says of the kernel's bus (vdpa.golden), but for what "vdpa.differences" has with
# its reason.
# shellcheck source=../netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../netns.sh"
# shellcheck source=linux.sh
. "$(dirname "${BASH_SOURCE[0]}")/linux.sh"
need busybox

daemon_start
compare vdpa
