/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pulled.c - queues of buffers that any data thread takes from, under a lock; see softdev.h
 *
 * The lock is held for a burst of frames. Who holds it may lose its CPU, so a thread that waits
 * soon offers its own; it may also be stuck in a page of memory that somebody else serves, so a thread
 * of another device waits a bounded time, once, and then does without.
 */
#include <sched.h>
#include <unistd.h>

#include "softdev/worker.h"

#define STUCK_NS    100000000ull /* nobody has a receive queue locked for so long */
#define STUCK_LOOK_US 1000

static bool try_lock(struct vd_softq *q)
{
	return !__atomic_load_n(&q->lock, __ATOMIC_RELAXED) &&
	       !__atomic_exchange_n(&q->lock, true, __ATOMIC_ACQUIRE);
}

/* Return: false: who has it has had it for longer than anybody should wait. */
static bool lock_wait(struct vd_softq *q)
{
	uint64_t due = 0, now;

	for (unsigned int i = 1; !try_lock(q); i++) {
		if (i % 64) {
			vd_cpu_relax();
			continue;
		}
		if (__atomic_load_n(&q->stuck, __ATOMIC_RELAXED))
			return false;	/* somebody has waited already */
		now = vd_now_ns();
		if (!due)
			due = now + STUCK_NS;
		if (now > due) {
			__atomic_store_n(&q->stuck, true, __ATOMIC_RELAXED);
			return false;
		}
		sched_yield();	/* who has it may have lost its CPU to us */
	}
	return true;
}

static vd_noinline bool lock_contended(struct vd_softq *q)
{
	bool locked;

	__atomic_fetch_add(&q->waiting, 1, __ATOMIC_RELAXED);
	locked = lock_wait(q);
	__atomic_fetch_sub(&q->waiting, 1, __ATOMIC_RELAXED);
	return locked;
}

/* Return: as lock_wait(). */
static bool lock_or_leave(struct vd_softq *q)
{
	/* Who has just had it is the first to see it free, each time: so others have their turn. */
	if (vd_unlikely(__atomic_load_n(&q->waiting, __ATOMIC_RELAXED)))
		sched_yield();
	return vd_likely(try_lock(q)) || lock_contended(q);
}

void vd_softq_unlock(struct vd_softq *q)
{
	if (vd_unlikely(__atomic_load_n(&q->stuck, __ATOMIC_RELAXED)))
		__atomic_store_n(&q->stuck, false, __ATOMIC_RELAXED);
	__atomic_store_n(&q->lock, false, __ATOMIC_RELEASE);
}

void vd_softq_lock_own(struct vd_softq *q)
{
	while (!lock_or_leave(q))
		usleep(STUCK_LOOK_US);
}

bool vd_softq_lock(struct vd_softq *q)
{
	if (!lock_or_leave(q))
		return false;
	if (vd_likely(q->running && !q->broken))
		return true;
	vd_softq_unlock(q);
	return false;
}

bool vd_softq_lock_out(struct vd_softq *q)
{
	return lock_or_leave(q);
}

unsigned int vd_softq_take(struct vd_softq *q, struct vd_chain **chains, unsigned int max)
{
	int n = q->broken ? 0 : vd_virtq_pop(q->vq, chains, max);

	if (vd_likely(n > 0)) {
		vd_virtq_kicks_off(q->vq);
		q->starved = false;
		return (unsigned int)n;
	}
	q->starved = true;
	if (n < 0) {
		q->broken = true;
		vd_softq_tell(q, VD_SOFTQ_BROKEN);
	}
	return 0;
}

void vd_softq_short(struct vd_softq *q)
{
	/* With what was taken still out: the kick is for what comes behind it. */
	q->starved = !q->broken && vd_virtq_kicks_on(q->vq);	/* came meanwhile: do not sleep */
	q->worker->soon = true;
}

void vd_softq_publish(struct vd_softq *q, const struct vd_worker *by)
{
	if (!q->flush)
		return;
	q->flush = false;
	vd_softq_count(&q->stats.bursts, 1);
	/* The call may take as long as the peer likes, so it is made without the lock; in this round,
	 * if it is ours. */
	if (vd_virtq_flush(q->vq) && !__atomic_exchange_n(&q->owes_call, true, __ATOMIC_ACQ_REL) &&
	    by != q->worker)
		vd_worker_wake(q->worker);
}

bool vd_softq_runs(const struct vd_softq *q)
{
	return q->running;
}

bool vd_softq_fed(struct vd_softq *q)
{
	bool fed;

	vd_softq_lock_own(q);
	fed = q->running && !q->stopping && !q->broken;
	if (fed && q->starved)
		fed = !(q->starved = !vd_virtq_pending(q->vq));
	vd_softq_unlock(q);
	return fed;
}
