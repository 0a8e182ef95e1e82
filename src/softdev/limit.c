/* SPDX-License-Identifier: BSD-2-Clause */
#include "softdev/limit.h"

#include <stdbool.h>

#include "base/util.h"

#define SECOND 1000000000u

/* Rounded up, so that no number of small takes is free. */
static uint64_t worth_ns(uint64_t units, uint64_t rate)
{
	unsigned __int128 ns = ((unsigned __int128)units * SECOND + rate - 1) / rate;

	return ns > UINT64_MAX / 4 ? UINT64_MAX / 4 : (uint64_t)ns;
}

void vd_limit_set(struct vd_limit *l, uint64_t rate, uint64_t burst)
{
	uint64_t burst_ns = SECOND / 10;

	if (rate && burst)
		burst_ns = worth_ns(burst, rate);
	else if (rate)
		burst_ns = vd_max(burst_ns, worth_ns(1, rate));
	__atomic_store_n(&l->burst_ns, burst_ns, __ATOMIC_RELAXED);
	/* What was taken under another rate is forgotten: it could be a long time under this one. */
	__atomic_store_n(&l->paid_ns, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&l->rate, rate, __ATOMIC_RELAXED);
}

uint64_t vd_limit_room(const struct vd_limit *l, uint64_t now_ns, uint64_t *ret_until_ns)
{
	uint64_t rate = __atomic_load_n(&l->rate, __ATOMIC_RELAXED);
	uint64_t burst_ns = __atomic_load_n(&l->burst_ns, __ATOMIC_RELAXED);
	uint64_t paid_ns = __atomic_load_n(&l->paid_ns, __ATOMIC_RELAXED);
	uint64_t first_ns, units;

	if (!rate)
		return UINT64_MAX;
	paid_ns = vd_max(paid_ns, now_ns);
	first_ns = vd_min(worth_ns(1, rate), burst_ns);
	if (paid_ns - now_ns > burst_ns - first_ns) {
		*ret_until_ns = paid_ns - (burst_ns - first_ns);
		return 0;
	}
	units = (uint64_t)((unsigned __int128)(burst_ns - (paid_ns - now_ns)) * rate / SECOND);
	return vd_max(units, 1u);
}

void vd_limit_take(struct vd_limit *l, uint64_t units, uint64_t now_ns)
{
	uint64_t rate = __atomic_load_n(&l->rate, __ATOMIC_RELAXED);
	uint64_t paid_ns = __atomic_load_n(&l->paid_ns, __ATOMIC_RELAXED), next_ns;

	if (!rate)
		return;
	do
		next_ns = vd_max(paid_ns, now_ns) + worth_ns(units, rate);
	while (!__atomic_compare_exchange_n(&l->paid_ns, &paid_ns, next_ns, true, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED));
}
