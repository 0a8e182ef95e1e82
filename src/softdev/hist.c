/* SPDX-License-Identifier: BSD-2-Clause */
#include "softdev/hist.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

uint64_t vd_hist_end(unsigned int i)
{
	if (i < 4)
		return (i + 1) * VD_HIST_UNIT_NS;
	return (uint64_t)(i % 4 + 5) * VD_HIST_UNIT_NS << (i / 4 - 1);
}

static uint64_t load(const struct vd_hist *h, unsigned int i)
{
	return __atomic_load_n(&h->n[i], __ATOMIC_RELAXED);
}

struct vd_hist_sum vd_hist_sum(const struct vd_hist *h)
{
	struct vd_hist_sum s = { 0 };
	const struct {
		uint64_t *to;
		unsigned int of_1000;
	} wanted[] = { { &s.p50, 500 }, { &s.p99, 990 }, { &s.p999, 999 }, { &s.max, 1000 } };
	uint64_t n[VD_HIST_BUCKETS], sum = 0;
	unsigned int w = 0;

	s.sum = __atomic_load_n(&h->sum_ns, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < VD_HIST_BUCKETS; i++)
		s.count += n[i] = load(h, i);
	for (unsigned int i = 0; i < VD_HIST_BUCKETS && s.count; i++) {
		sum += n[i];
		while (n[i] && w < VD_ARRAY_SIZE(wanted) &&
		       (unsigned __int128)sum * 1000 >=
			       (unsigned __int128)s.count * wanted[w].of_1000)
			*wanted[w++].to = vd_hist_end(i);
	}
	return s;
}

void vd_hist_text(const struct vd_hist *h, char *to, size_t size)
{
	size_t len = 0;

	*to = '\0';
	for (unsigned int i = 0; i < VD_HIST_BUCKETS; i++) {
		uint64_t n = load(h, i);
		int more;

		if (!n)
			continue;
		more = snprintf(to + len, size - len, "%s<%" PRIu64 ":%" PRIu64, len ? " " : "",
				vd_hist_end(i), n);
		if (more < 0 || (size_t)more >= size - len) {
			to[len] = '\0';
			return;
		}
		len += (size_t)more;
	}
}
