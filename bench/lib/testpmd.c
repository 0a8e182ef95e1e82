/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/testpmd.h"

#include <stdio.h>
#include <unistd.h>

#include "lib/bench.h"

int testpmd_start(struct console *c, unsigned int cpu, const char *vdev, const char *vdev2,
		  bool huge, const char *mode)
{
	char lcores[64], prefix[64], line[64];
	const char *argv[] = {
		"dpdk-testpmd",
		"--lcores",
		lcores,
		"--file-prefix",
		prefix,
		"--no-pci",
		"--no-telemetry",
		"--single-file-segments",
		huge ? "--in-memory" : "--no-huge",
		"-m",
		TESTPMD_MIB,
		"--vdev",
		vdev,
		"--vdev",
		vdev2 ? vdev2 : vdev, /* twice the same is once */
		"--",
		"-i",
		"--total-num-mbufs=16384",
		"--nb-cores=1",
		"--disable-link-check",
		NULL,
	};
	static unsigned int n;

	snprintf(lcores, sizeof(lcores), "0@%d,1@%d", bench_cpu(cpu), bench_cpu(cpu));
	snprintf(prefix, sizeof(prefix), "uvdpa-bench-%d-%u", getpid(), n++);
	snprintf(line, sizeof(line), "set fwd %s", mode);
	if (console_start(c, argv, bench_cpu(cpu), "testpmd> ") || !console_say(c, line))
		return -1;
	return 0;
}
