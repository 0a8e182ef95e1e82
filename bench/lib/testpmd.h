/* SPDX-License-Identifier: BSD-2-Clause */
/* testpmd.h - DPDK's dpdk-testpmd, which forwards between the devices that it is given */
#ifndef BENCH_TESTPMD_H
#define BENCH_TESTPMD_H

#include <stdbool.h>

#include "lib/console.h"

#define TESTPMD_MIB "128" /* of memory, and a little more */

/*
 * Start it on the @cpu-th CPU that we may run on. @vdev, @vdev2: its devices; the second may be NULL.
 * @huge: there are large pages. @mode: "io", "txonly", ... Return: 0; -1 with a message.
 */
int testpmd_start(struct console *c, unsigned int cpu, const char *vdev, const char *vdev2,
		  bool huge, const char *mode);

#endif
