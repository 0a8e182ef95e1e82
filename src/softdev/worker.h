/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker.h - between softdev.c (control thread) and worker.c (data threads)
 *
 * A queue's life, as its field want says it; who may change it is written at the arrow:
 *
 *	IDLE --control--> RUN --control--> STOP --worker--> IDLE, then VD_SOFTQ_QUIET is posted
 *
 * q->vq belongs to control while IDLE and to the worker otherwise; storing
 * and loading want hands it over. Control does not leave IDLE before it has seen VD_SOFTQ_QUIET.
 */
#ifndef VD_SOFTDEV_WORKER_H
#define VD_SOFTDEV_WORKER_H

#include <pthread.h>

#include "softdev/softdev.h"

#define VD_CACHE_LINE 64

enum vd_softq_want { VD_SOFTQ_IDLE, VD_SOFTQ_RUN, VD_SOFTQ_STOP };

/* What a worker tells control, in q->events. */
#define VD_SOFTQ_QUIET 1u
#define VD_SOFTQ_BROKEN 2u

struct vd_softq {
	/* Control's; constant while the queue runs. */
	struct vd_softdev *sd;
	struct vd_worker *worker;
	unsigned int idx;
	struct uvdpa_vq conf;
	bool pulled;
	unsigned int life;	/* see vd_softq_life() */
	const struct vd_mem *mem; /* in force while it runs */
	bool attached;		/* handed to the worker; control's alone */
	bool answer;		/* uvdpa_dev_quiesced() is owed for this queue; control's alone */
	struct vd_post post;	/* runs vd_softq_event() */

	/* Between both. */
	struct vd_virtq *vq;	/* see above */
	enum vd_softq_want want; /* atomic */
	int call;		/* atomic: the first may come while the queue runs */
	unsigned int events;	/* atomic: VD_SOFTQ_* that control has not seen */

	bool owes_call;		/* atomic: of a pulled queue; the worker shall make it */
	bool stuck;		/* atomic: of a pulled queue; who has locked it has had it for long */

	/* The worker's; of a pulled queue, what @lock covers is marked so. */
	bool lock __attribute__((aligned(VD_CACHE_LINE)));	/* atomic */
	unsigned int waiting;	/* atomic: threads that want the lock */
	bool running;		/* in worker->run; changes locked */
	bool stopping;		/* takes no new work (what a crash has left is none), goes when
				 * the last request is home */
	bool broken;		/* takes no new work; locked */
	bool paused;		/* takes no new work for now */
	bool starved;		/* pulled, and has no buffers; locked */
	bool flush;		/* something was pushed in this round; locked */
	unsigned int ndone;
	struct vd_chain *done[VD_SOFTQ_BURST];	/* to be pushed */
	bool timed;		/* nobody kicks: look again after a while */
	int kick;		/* being waited for; -1: not */
	struct vd_softq_stats stats;
} __attribute__((aligned(VD_CACHE_LINE)));

struct vd_worker {
	struct vd_softdev *sd;
	unsigned int idx;
	pthread_t thread;
	int epfd, wakefd;
	struct vd_engine *engine;
	bool mail;		/* atomic: want of some queue has changed */
	bool stop;		/* atomic */

	/* The worker's. */
	struct vd_softq **run __attribute__((aligned(VD_CACHE_LINE)));
	unsigned int nrun;
	unsigned int epoch; /* see vd_worker_epoch() */
	unsigned int ntimed;
	bool soon;		/* it must not sleep for long, once */
	uint64_t hold_until_ns;	/* no queue is popped; 0: they are */
	uint64_t poll_max_ns;
	uint64_t poll_ns;	/* the window now: 0 to poll_max_ns */
	uint64_t shy_until_ns;	/* it does not grow before */
	unsigned int yield_after; /* times 16 looks */
	long preemptions;	/* so far */
} __attribute__((aligned(VD_CACHE_LINE)));

/* Counters have one writer and are read by control: a store that does not tear is enough. */
static inline void vd_softq_count(uint64_t *c, uint64_t n)
{
	__atomic_store_n(c, *c + n, __ATOMIC_RELAXED);
}

static inline void vd_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Tell control of an event, of VD_SOFTQ_*. Who has the queue. */
void vd_softq_tell(struct vd_softq *q, unsigned int event);

/* vd_softq_lock(), whether it runs or not, for its own worker: that can do nothing else meanwhile. */
void vd_softq_lock_own(struct vd_softq *q);

/* Start worker @idx of @sd; sd->queues are there. Control thread. Return: 0 or -errno. */
int vd_worker_start(struct vd_worker *w, struct vd_softdev *sd, unsigned int idx,
		    unsigned int poll_us);
/* End it; its queues are IDLE. Control thread. */
void vd_worker_end(struct vd_worker *w);
/* vd_worker_wake(), and the mail has something. */
void vd_worker_mail(struct vd_worker *w);

#endif
