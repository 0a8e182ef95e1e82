/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hist.h - a histogram of times: four buckets for each power of two, 64 ns to 34 s
 *
 * One thread adds, another may look meanwhile. An error of a quarter of the value at most, in less
 * than a kilobyte, and some instructions to add.
 */
#ifndef VD_SOFTDEV_HIST_H
#define VD_SOFTDEV_HIST_H

#include <stdint.h>

#include "base/util.h"

#define VD_HIST_UNIT_NS 64u
#define VD_HIST_BUCKETS 112u

struct vd_hist {
	uint64_t n[VD_HIST_BUCKETS];
	uint64_t sum_ns;
};

static inline unsigned int vd_hist_bucket(uint64_t ns)
{
	uint64_t v = ns / VD_HIST_UNIT_NS;
	unsigned int top, i;

	if (v < 4)
		return (unsigned int)v;
	top = 63 - (unsigned int)__builtin_clzll(v);
	i = (top - 1) * 4 + (v >> (top - 2) & 3);
	return vd_min(i, VD_HIST_BUCKETS - 1);
}

/* Context: the one thread that adds. */
static inline void vd_hist_add(struct vd_hist *h, uint64_t ns)
{
	uint64_t *n = &h->n[vd_hist_bucket(ns)];

	/* One writer: a store that does not tear is enough. */
	__atomic_store_n(n, *n + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&h->sum_ns, h->sum_ns + ns, __ATOMIC_RELAXED);
}

/* The first time, in ns, that is beyond bucket @i. */
uint64_t vd_hist_end(unsigned int i);

/**
 * struct vd_hist_sum - A histogram at one moment
 * @count: times in it
 * @p50, @p99, @p999: so many of a hundred, or a thousand, took less, ns
 * @max: all took less, ns
 * @sum: of them all, ns
 */
struct vd_hist_sum {
	uint64_t count;
	uint64_t p50, p99, p999, max;
	uint64_t sum;
};

/* Any thread. All zero if nothing was added. */
struct vd_hist_sum vd_hist_sum(const struct vd_hist *h);

/* "<256:3 <320:10 ...", the buckets that have any; cut if @size is too small. Any thread. */
#define VD_HIST_TEXT 4096
void vd_hist_text(const struct vd_hist *h, char *to, size_t size);

#endif
