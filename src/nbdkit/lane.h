/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lane.h - one queue of a disk, shared by many threads that each want one thing done
 *
 * A thread puts its requests into the ring itself. One of those that wait, the leader, sleeps for
 * the device, and hands what came back to whose it is; when its own is done, the next one leads. So
 * with one request at a time no other thread is involved, with many one wake-up serves them all, and
 * nobody sleeps with the lock held, or waits for room while it holds any.
 *
 *	thread -- take slots, copy in --> todo --> ring --> device
 *	       <- copy out -- done[] <-- leader: poll, sleep <--+
 *
 * Data is copied through slots, because requests of a disk use memory of uvdpa_blk_alloc().
 */
#ifndef VD_NBDKIT_LANE_H
#define VD_NBDKIT_LANE_H

#include <pthread.h>
#include <uvdpa/blk.h>

#define LANE_SLOTS 64u
#define LANE_SLOT_SIZE (256u << 10)
#define LANE_MEM ((size_t)LANE_SLOTS * LANE_SLOT_SIZE)	/* of uvdpa_blk_opts.mem, for each */

struct lane_waiter;

/* A request on its way, and its memory. */
struct lane_slot {
	struct uvdpa_blk_req r;
	struct iovec iov;
	uint8_t *buf;
	struct lane_waiter *owner;
	struct lane_slot *next;	/* free */
};

struct lane {
	pthread_mutex_t lock;	/* protects what follows, and the queue */
	pthread_cond_t room;	/* a slot is free */
	struct uvdpa_blkq *q;
	const struct uvdpa_blk_info *info;
	int wake_fd;		/* readable when the device is gone */
	int gone;		/* -errno */
	bool led;		/* somebody is the leader */
	struct lane_slot slots[LANE_SLOTS], *free;
	struct uvdpa_blk_req *todo[LANE_SLOTS];	/* for the ring, when it has room */
	unsigned int ntodo;
	struct lane_waiter *waiters;
	size_t chunk;		/* bytes of data that one slot takes */
};

/**
 * struct lane_op - What one thread wants
 * @op: any but GET_ID
 * @buf: of READ and WRITE
 * @off, @len: bytes, whole blocks
 * @unmap: of WRITE_ZEROES
 */
struct lane_op {
	enum uvdpa_blk_op op;
	void *buf;
	uint64_t off, len;
	bool unmap;
};

/**
 * lane_init() - Begin with a queue
 * @l: zeroed
 * @wake_fd: borrowed
 *
 * Return: 0; -ENOMEM with uvdpa_error(). Context: control thread.
 */
int lane_init(struct lane *l, struct uvdpa_blk *blk, unsigned int idx, int wake_fd);

/* No thread may be inside. */
void lane_fini(struct lane *l);

/**
 * lane_run() - Do it, however many requests it takes, and wait for it
 *
 * Return: 0; -errno. Context: any thread.
 */
int lane_run(struct lane *l, const struct lane_op *o);

/* The device will not answer any more: everybody gets @err. @wake_fd was made readable before. */
void lane_gone(struct lane *l, int err);

#endif
