/* SPDX-License-Identifier: BSD-2-Clause */
#include "nbdkit/lane.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/util.h"

#define BATCH 16u	/* slots of one thread at a time */

/* A thread that waits; on its stack. */
struct lane_waiter {
	pthread_cond_t cond;	/* it is done, or it is to lead */
	unsigned int left;	/* requests that are not back */
	int err;
	struct lane_waiter *next, **prev;
};

int lane_init(struct lane *l, struct uvdpa_blk *blk, unsigned int idx, int wake_fd)
{
	uint64_t max;

	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->room, NULL);
	l->q = uvdpa_blk_queue(blk, idx);
	l->info = uvdpa_blk_info(blk);
	l->wake_fd = wake_fd;
	max = (uint64_t)l->info->size_max * l->info->seg_max;
	for (l->chunk = LANE_SLOT_SIZE; max && l->chunk > max;)
		l->chunk /= 2;
	l->chunk = vd_max(l->chunk, (size_t)l->info->block_size);
	for (unsigned int i = 0; i < LANE_SLOTS; i++) {
		struct lane_slot *s = &l->slots[i];

		s->buf = uvdpa_blk_alloc(blk, LANE_SLOT_SIZE);
		if (!s->buf)
			return -ENOMEM;
		s->next = l->free;
		l->free = s;
	}
	return 0;
}

void lane_fini(struct lane *l)
{
	pthread_cond_destroy(&l->room);
	pthread_mutex_destroy(&l->lock);
}

/* ---- under the lock -------------------------------------------------------------------------- */

static void enter(struct lane *l, struct lane_waiter *w)
{
	w->next = l->waiters;
	w->prev = &l->waiters;
	if (w->next)
		w->next->prev = &w->next;
	l->waiters = w;
}

static void leave(struct lane *l, struct lane_waiter *w)
{
	*w->prev = w->next;
	if (w->next)
		w->next->prev = w->prev;
	/* Who waits has something under way, and somebody has to look for it. */
	if (!l->led && l->waiters)
		pthread_cond_signal(&l->waiters->cond);
}

static void back(struct lane_slot *s, int err)
{
	struct lane_waiter *w = s->owner;

	if (err && !w->err)
		w->err = err;
	if (!--w->left)
		pthread_cond_signal(&w->cond);
}

/* As many as the ring takes; the rest when it has room again. */
static void push(struct lane *l)
{
	int n;

	while (l->ntodo) {
		n = uvdpa_blkq_submit(l->q, l->todo, l->ntodo);
		if (!n)
			return;
		if (n < 0) {
			back(container_of(l->todo[0], struct lane_slot, r), n);
			n = 1;
		}
		l->ntodo -= (unsigned int)n;
		memmove(l->todo, l->todo + n, l->ntodo * sizeof(*l->todo));
	}
}

/* Until @w has all its requests. The lock is let go to sleep. */
static void lead(struct lane *l, struct lane_waiter *w)
{
	struct uvdpa_blk_req *done[LANE_SLOTS];

	l->led = true;
	while (w->left && !l->gone) {
		unsigned int n = uvdpa_blkq_poll(l->q, done, LANE_SLOTS);
		struct pollfd fds[] = {
			{ .fd = uvdpa_blkq_fd(l->q), .events = POLLIN },
			{ .fd = l->wake_fd, .events = POLLIN },
		};

		for (unsigned int i = 0; i < n; i++)
			back(container_of(done[i], struct lane_slot, r), done[i]->res);
		push(l);
		if (n || !w->left || uvdpa_blkq_arm(l->q))
			continue;
		pthread_mutex_unlock(&l->lock);
		poll(fds, VD_ARRAY_SIZE(fds), -1);
		pthread_mutex_lock(&l->lock);
	}
	l->led = false;
}

/* ---- one thread ------------------------------------------------------------------------------ */

/* Take some slots, at least one. Return: 0, or why there will be none. */
static int take(struct lane *l, unsigned int want, struct lane_slot **slots, unsigned int *ret_n)
{
	unsigned int n = 0;
	int r;

	pthread_mutex_lock(&l->lock);
	while (!l->free && !l->gone)
		pthread_cond_wait(&l->room, &l->lock);
	r = l->gone;
	for (; !r && l->free && n < want; n++) {
		slots[n] = l->free;
		l->free = l->free->next;
	}
	pthread_mutex_unlock(&l->lock);
	*ret_n = n;
	return r;
}

static void give_back(struct lane *l, struct lane_slot **slots, unsigned int n)
{
	pthread_mutex_lock(&l->lock);
	for (unsigned int i = 0; i < n; i++) {
		slots[i]->next = l->free;
		l->free = slots[i];
	}
	pthread_cond_broadcast(&l->room);
	pthread_mutex_unlock(&l->lock);
}

/* Put them, and wait for all. Return: 0; -errno, and if the device is gone its slots are lost. */
static int put_and_wait(struct lane *l, struct lane_slot **slots, unsigned int n)
{
	struct lane_waiter w = { .cond = PTHREAD_COND_INITIALIZER, .left = n };

	pthread_mutex_lock(&l->lock);
	enter(l, &w);
	for (unsigned int i = 0; i < n; i++) {
		slots[i]->owner = &w;
		l->todo[l->ntodo++] = &slots[i]->r;
	}
	push(l);
	while (w.left && !l->gone) {
		if (l->led)
			pthread_cond_wait(&w.cond, &l->lock);
		else
			lead(l, &w);
	}
	if (w.left)
		w.err = l->gone;
	leave(l, &w);
	pthread_mutex_unlock(&l->lock);
	pthread_cond_destroy(&w.cond);
	return w.err;
}

/* The piece at @at of what is wanted. Return: its bytes. */
static uint64_t fill(const struct lane *l, const struct lane_op *o, uint64_t at, struct lane_slot *s)
{
	uint64_t len = o->len - at, max;

	s->r = (struct uvdpa_blk_req){ .op = o->op, .sector = (o->off + at) / UVDPA_BLK_SECTOR };
	switch (o->op) {
	case UVDPA_BLK_READ:
	case UVDPA_BLK_WRITE:
		len = vd_min(len, l->chunk);
		s->iov = (struct iovec){ s->buf, len };
		s->r.iov = &s->iov;
		s->r.niov = 1;
		if (o->op == UVDPA_BLK_WRITE)
			memcpy(s->buf, (const uint8_t *)o->buf + at, len);
		return len;
	case UVDPA_BLK_DISCARD:
	case UVDPA_BLK_WRITE_ZEROES:
		max = o->op == UVDPA_BLK_DISCARD ? l->info->discard_max_sectors
						 : l->info->write_zeroes_max_sectors;
		len = vd_min(len, max * UVDPA_BLK_SECTOR);
		s->r.nsectors = len / UVDPA_BLK_SECTOR;
		s->r.unmap = o->unmap;
		return len;
	default:
		return o->len;
	}
}

int lane_run(struct lane *l, const struct lane_op *o)
{
	struct lane_slot *slots[BATCH];
	uint64_t at = 0;
	int r;

	do {
		uint64_t begin = at, pieces = (o->len - at + l->chunk - 1) / l->chunk;
		unsigned int taken, n = 0;

		r = take(l, (unsigned int)vd_min(vd_max(pieces, 1u), BATCH), slots, &taken);
		if (r)
			return r;
		do {
			at += fill(l, o, at, slots[n++]);
		} while (at < o->len && n < taken);
		r = put_and_wait(l, slots, n);
		if (r && __atomic_load_n(&l->gone, __ATOMIC_RELAXED))
			return r;
		for (unsigned int i = 0; !r && o->op == UVDPA_BLK_READ && i < n; i++) {
			memcpy((uint8_t *)o->buf + begin, slots[i]->buf, slots[i]->iov.iov_len);
			begin += slots[i]->iov.iov_len;
		}
		give_back(l, slots, taken);
	} while (!r && at < o->len);
	return r;
}

void lane_gone(struct lane *l, int err)
{
	pthread_mutex_lock(&l->lock);
	__atomic_store_n(&l->gone, err, __ATOMIC_RELAXED);
	for (struct lane_waiter *w = l->waiters; w; w = w->next)
		pthread_cond_signal(&w->cond);
	pthread_cond_broadcast(&l->room);
	pthread_mutex_unlock(&l->lock);
}
