/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rng.c - random bytes by a device, against getrandom(2) alone
 *
 * An entropy device of this process, used by <uvdpa/rng.h> with buffers of 64 KiB: the driver is on
 * one CPU, the device's data thread on another. The peer asks the kernel itself for as many at a
 *time.
 *
 *	bench/rng [-r REPEATS] [CELL...]	requests-split, requests-packed, one-split,
 *read-split
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <uvdpa/rng.h>

#include "lib/compare.h"

#define LEN       65536u
#define DEPTH     8u
#define ROUNDS    12u
#define SAMPLE_NS 20000000u
#define MIB_S     (-62500000.0) /* of a buffer for each ns */

struct device {
	struct uvdpa *u;
	struct uvdpa_rng *rng;
	struct uvdpa_rng_req reqs[DEPTH];
	unsigned int depth; /* 0: uvdpa_rng_read() */
	uint8_t *buf;       /* not the device's */
};

/* Its data thread has the CPU that we have now. */
static int open_device(struct device *d, bool packed)
{
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "r0", .mgmtdev = "rng" };
	struct uvdpa_rng_opts ro = { .size = sizeof(ro), .packed = packed };
	const struct uvdpa_attr attr = { "poll_us", poll_us() };
	struct uvdpa_dev *dev = NULL;
	uint8_t *mem;
	int r;

	o.attrs = &attr;
	o.nattrs = 1;
	r = uvdpa_create(&d->u);
	if (!r)
		r = uvdpa_dev_add(d->u, &o, &dev, NULL);
	if (!r)
		r = uvdpa_rng_open(dev, &ro, &d->rng);
	mem = r ? NULL : uvdpa_rng_alloc(d->rng, DEPTH * LEN);
	d->buf = malloc(LEN);
	if (!mem || !d->buf) {
		fprintf(stderr, "rng: %s\n", uvdpa_error());
		return -1;
	}
	for (unsigned int i = 0; i < DEPTH; i++)
		d->reqs[i] = (struct uvdpa_rng_req){ .buf = mem + i * LEN, .len = LEN };
	return 0;
}

static void close_device(struct device *d)
{
	uvdpa_rng_close(d->rng);
	uvdpa_destroy(d->u);
	free(d->buf);
}

/* All of what is asked for is there, or it would not be the same work. */
static void must(bool done)
{
	if (done)
		return;
	fprintf(stderr, "rng: not all the bytes\n");
	abort();
}

/* As many requests as there shall be are with the device, until the time is over. */
static uint64_t requests(struct device *d, uint64_t until_ns)
{
	struct uvdpa_rng_req *done[DEPTH];
	unsigned int out = d->depth;
	uint64_t n = 0;

	for (unsigned int i = 0; i < d->depth; i++)
		must(uvdpa_rng_submit(d->rng, &(struct uvdpa_rng_req *){ &d->reqs[i] }, 1) == 1);
	while (out) {
		unsigned int back = uvdpa_rng_poll(d->rng, done, DEPTH);
		bool over = bench_now_ns() >= until_ns;

		if (!back)
			uvdpa_rng_wait(d->rng, 1000);
		for (unsigned int i = 0; i < back; i++) {
			must(done[i]->res == LEN);
			if (over)
				out--;
			else
				must(uvdpa_rng_submit(d->rng, &done[i], 1) == 1);
		}
		n += back;
	}
	return n;
}

static uint64_t by_device(void *arg, uint64_t until_ns)
{
	struct device *d = arg;
	uint64_t n = 0;

	if (d->depth)
		return requests(d, until_ns);
	for (; bench_now_ns() < until_ns; n++)
		must(uvdpa_rng_read(d->rng, d->buf, LEN, 1000) == LEN);
	return n;
}

static uint64_t by_kernel(void *arg, uint64_t until_ns)
{
	struct device *d = arg;
	uint64_t n = 0;

	for (; bench_now_ns() < until_ns; n++)
		must(getrandom(d->buf, LEN, 0) == LEN);
	return n;
}

static int run(const char *cell, unsigned int depth, bool packed)
{
	struct device d = { .depth = depth };
	struct bench_case cases[] = {
		{ .name = "device",
		  .here = by_device,
		  .arg = &d,
		  .sample_ns = SAMPLE_NS,
		  .apart = true,
		  .loose = true },
		{ .name = "getrandom",
		  .here = by_kernel,
		  .arg = &d,
		  .limit = 1,
		  .sample_ns = SAMPLE_NS,
		  .apart = true,
		  .loose = true },
	};
	int r = -1;

	if (!proc_pin(0, bench_cpu(1)) && !open_device(&d, packed))
		r = bench_rounds(cases, 2, ROUNDS * repeats);
	if (!r)
		print_pair(cell, &cases[0], &cases[1], "MiB/s", MIB_S);
	close_device(&d);
	return r;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		unsigned int depth;
		bool packed;
	} cells[] = {
		{ "requests-split", DEPTH, false },
		{ "requests-packed", DEPTH, true },
		{ "one-split", 1, false },
		{ "read-split", 0, false },
	};
	char **patterns = compare_begin(argc, argv);
	int failed = 0;

	if (!patterns)
		return 2;
	for (size_t i = 0; i < sizeof(cells) / sizeof(*cells); i++)
		if (compare_wants(patterns, cells[i].name))
			failed |= run(cells[i].name, cells[i].depth, cells[i].packed);
	return compare_end(failed);
}
