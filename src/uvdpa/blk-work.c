/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-work.c - many requests at a time, progress, and the end of both */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/loop.h"
#include "uvdpa/disk.h"

#define DONE_MAX 32
#define LOOK_NS 20000000u	/* between looks at signals, when requests come back all the time */

/* ---- requests -------------------------------------------------------------------------------- */

static int failed(const struct disk *d, const struct uvdpa_blk_req *r, int err)
{
	static const char *const names[] = {
		[UVDPA_BLK_READ] = "read",
		[UVDPA_BLK_WRITE] = "write",
		[UVDPA_BLK_FLUSH] = "flush",
		[UVDPA_BLK_GET_ID] = "serial",
		[UVDPA_BLK_DISCARD] = "discard",
		[UVDPA_BLK_WRITE_ZEROES] = "zeroes",
		[UVDPA_BLK_SECURE_ERASE] = "secure erase",
	};
	uint64_t len = r->niov ? r->iov->iov_len : r->nsectors * UVDPA_BLK_SECTOR;

	if (r->op == UVDPA_BLK_FLUSH)
		return print_error("%s: flush: %s", d->word, strerror(-err));
	return print_error("%s: %s of %" PRIu64 " bytes at %" PRIu64 ": %s", d->word,
			   names[r->op], len, r->sector * UVDPA_BLK_SECTOR, strerror(-err));
}

void piece_put(struct piece *p, struct disk *d, enum uvdpa_blk_op op, uint64_t off, uint64_t len)
{
	p->r = (struct uvdpa_blk_req){ .op = op, .sector = off / UVDPA_BLK_SECTOR };
	p->disk = d;
	switch (op) {
	case UVDPA_BLK_READ:
	case UVDPA_BLK_WRITE:
	case UVDPA_BLK_GET_ID:
		p->iov.iov_len = len;
		p->r.iov = &p->iov;
		p->r.niov = 1;
		break;
	case UVDPA_BLK_DISCARD:
	case UVDPA_BLK_WRITE_ZEROES:
	case UVDPA_BLK_SECURE_ERASE:
		p->r.nsectors = len / UVDPA_BLK_SECTOR;
		p->r.unmap = op == UVDPA_BLK_WRITE_ZEROES && d->info->write_zeroes_may_unmap;
		break;
	case UVDPA_BLK_FLUSH:
		break;
	}
	assert(d->ntodo < BLK_TODO_MAX);
	d->todo[d->ntodo++] = &p->r;
	d->busy++;
}

/* The ring may be smaller than what is asked of it. */
static int submit(struct disk *d)
{
	int n;

	if (!d->ntodo)
		return 0;
	n = uvdpa_blkq_submit(d->q, d->todo, d->ntodo);
	if (n < 0)
		return failed(d, d->todo[0], n);
	d->ntodo -= (unsigned int)n;
	memmove(d->todo, d->todo + n, d->ntodo * sizeof(*d->todo));
	return 0;
}

/* Return: how many came back; -1. */
static int turn_disk(struct work *w, struct disk *d)
{
	struct uvdpa_blk_req *done[DONE_MAX];
	unsigned int n;

	if (submit(d))
		return -1;
	n = uvdpa_blkq_poll(d->q, done, DONE_MAX);
	d->busy -= n;
	for (unsigned int i = 0; i < n; i++) {
		if (done[i]->res)
			return failed(d, done[i], done[i]->res);
		if (w->done(w, container_of(done[i], struct piece, r)))
			return -1;
	}
	return (int)n;
}

static int turn(struct work *w, bool wait, uint64_t *looked_ns)
{
	struct session *s = w->s;
	uint64_t now;
	int got = 0;

	for (unsigned int i = 0; i < s->ndisks; i++) {
		int n = turn_disk(w, s->disks[i]);

		if (n < 0)
			return n;
		got += n;
	}
	now = vd_now_ns();
	progress_show(&w->progress, now);
	wait = wait && !got;
	if (!wait && now - *looked_ns < LOOK_NS)
		return 0;
	*looked_ns = now;
	return session_look(s, wait ? progress_wait_ms(&w->progress) : 0);
}

static bool busy(const struct session *s)
{
	for (unsigned int i = 0; i < s->ndisks; i++)
		if (s->disks[i]->busy)
			return true;
	return false;
}

int work_run(struct work *w)
{
	uint64_t looked_ns = 0;
	int r;

	progress_begin(&w->progress, w->s->cmd);
	for (;;) {
		r = w->feed(w);
		if (r < 0 || r == WORK_ENOUGH || (!r && !busy(w->s)))
			break;
		r = turn(w, !r, &looked_ns);
		if (r)
			break;
	}
	progress_end(&w->progress);
	return vd_min(r, 0);
}

/* ---- one request ----------------------------------------------------------------------------- */

static int feed_nothing(struct work *w)
{
	(void)w;
	return 0;
}

static int done_nothing(struct work *w, struct piece *p)
{
	(void)w, (void)p;
	return 0;
}

static int wait_for(struct piece *p, const char *what)
{
	struct work w = { .s = p->disk->s, .feed = feed_nothing, .done = done_nothing,
			  .progress.what = what };

	return work_run(&w);
}

int piece_run(struct piece *p)
{
	return wait_for(p, "waiting for the disk");
}

int disk_flush(struct disk *d)
{
	struct piece p = { 0 };

	if (!d->info->flush)
		return 0;
	piece_put(&p, d, UVDPA_BLK_FLUSH, 0, 0);
	return wait_for(&p, "flush");
}
