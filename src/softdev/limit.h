/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limit.h - so much for each second, shared by threads without a lock
 *
 * The generic cell rate algorithm: one word holds the time at which all that was taken so far is
 * paid for. Who takes moves it on; who wants to take may as long as it is no further ahead of now
 * than the burst is worth. Something large may be taken when there is room for its first unit, and
 * is paid for by a longer wait after it.
 */
#ifndef VD_SOFTDEV_LIMIT_H
#define VD_SOFTDEV_LIMIT_H

#include <stdint.h>

struct vd_limit {
	uint64_t rate;		/* atomic: units for each second; 0: no limit */
	uint64_t burst_ns;	/* atomic: what may be taken at once, as the time it is worth */
	uint64_t paid_ns;	/* atomic */
};

/* @burst: units; 0: what a tenth of a second is worth. Any thread. */
void vd_limit_set(struct vd_limit *l, uint64_t rate, uint64_t burst);

/**
 * vd_limit_room() - How much may be taken
 * @now_ns: vd_now_ns()
 * @ret_until_ns: if the answer is 0: when it will be more
 *
 * Return: units, UINT64_MAX without a limit. Any thread; others may take it meanwhile, and the limit
 * holds all the same, but later.
 */
uint64_t vd_limit_room(const struct vd_limit *l, uint64_t now_ns, uint64_t *ret_until_ns);

/* Take it, whether there is room or not. Any thread. */
void vd_limit_take(struct vd_limit *l, uint64_t units, uint64_t now_ns);

#endif
