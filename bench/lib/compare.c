/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/compare.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Not on a disk: one that has just deleted a thousand files is slow to make others. */
char tmp[] = "/dev/shm/uvdpa-bench.XXXXXX";
unsigned int repeats = 1;

char **compare_begin(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "r:")) != -1) {
		if (opt != 'r')
			return NULL;
		repeats = (unsigned int)atoi(optarg);
	}
	bench_be_important();
	if (!mkdtemp(tmp)) {
		fprintf(stderr, "%s: %m\n", tmp);
		return NULL;
	}
	print_head();
	return argv + optind;
}

bool compare_wants(char *const *patterns, const char *name)
{
	for (char *const *p = patterns; *p; p++)
		if (!fnmatch(*p, name, 0))
			return true;
	return !*patterns;
}

int compare_end(int failed)
{
	char rm[64];

	snprintf(rm, sizeof(rm), "rm -rf %s", tmp);
	return system(rm) || failed; /* NOLINT(cert-env33-c): the name is ours */
}

void print_head(void)
{
	printf("%-16s %-8s %-5s %9s %-19s %9s %-19s %6s %9s  %s\n", "cell", "distance", "unit",
	       "uvdpa", "[quarters]", "peer", "[quarters]", "ratio", "samples",
	       "CPU us of the device: uvdpa peer ratio");
}

/* @figure is in ns for one: the lower, the better. @scale: of the unit, in ns; rates if negative.
 */
static double in_unit(double ns, double scale)
{
	return scale < 0 ? -scale / ns : ns / scale;
}

void print_pair(const char *cell, const struct bench_case *ours, const struct bench_case *theirs,
		const char *unit, double scale)
{
	bool any = false;

	for (unsigned int d = 0; d < BENCH_DISTANCES; d++) {
		double a = bench_part(ours, d, 50), b = bench_part(theirs, d, 50);
		double ca = bench_cpu_part(ours, d, 50) / 1000, cb;
		char qa[32], qb[32];

		if (!ours->n[d] || !theirs->n[d])
			continue;
		any = true;
		cb = bench_cpu_part(theirs, d, 50) / 1000;
		snprintf(qa, sizeof(qa), "[%.1f %.1f]", in_unit(bench_part(ours, d, 25), scale),
			 in_unit(bench_part(ours, d, 75), scale));
		snprintf(qb, sizeof(qb), "[%.1f %.1f]", in_unit(bench_part(theirs, d, 25), scale),
			 in_unit(bench_part(theirs, d, 75), scale));
		printf("%-16s %-8s %-5s %9.1f %-19s %9.1f %-19s %6.2f %4u %4u", cell,
		       bench_distance_names[d], unit, in_unit(a, scale), qa, in_unit(b, scale), qb,
		       b / a, ours->n[d], theirs->n[d]);
		if (ca > 0 && cb > 0)
			printf("  %.2f %.2f %.2f", ca, cb, ca / cb);
		printf("  %s\n", theirs->name);
	}
	if (!any)
		printf("%-16s nothing was left undisturbed: the machine has other work\n", cell);
	fflush(stdout);
}

bool has(const char *program)
{
	char path[128];

	snprintf(path, sizeof(path), "/usr/bin/%s", program);
	return !access(path, X_OK);
}

char *at(char *buf, const char *name)
{
	snprintf(buf, PATH_ROOM, "%s/%s", tmp, name);
	unlink(buf);
	return buf;
}

const char *poll_us(void)
{
	const char *us = getenv("BENCH_POLL_US");

	return us ? us : "100";
}

int daemon_start_other(struct uvdpad *d, const char *program, unsigned int cpu)
{
	const char *argv[] = { program, "-s", at(d->path, "ctl"), NULL };

	d->ctl = -1;
	d->pid = proc_start(argv, bench_cpu(cpu), d->path);
	if (d->pid > 0)
		d->ctl = ctl_open(d->path);
	return d->ctl < 0 ? -1 : 0;
}

int daemon_start(struct uvdpad *d, unsigned int cpu)
{
	const char *program = getenv("UVDPAD");

	return daemon_start_other(d, program ? program : UVDPAD, cpu);
}

void daemon_stop(struct uvdpad *d)
{
	if (d->ctl >= 0)
		close(d->ctl);
	proc_stop(d->pid);
}
