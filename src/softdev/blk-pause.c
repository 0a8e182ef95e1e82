/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-pause.c - a disk without space waits for some, if that was asked for (on_enospc=pause)
 *
 * A write that finds no space is parked, and its worker takes no new work. After a while all that
 * is parked is tried again, in the order in which it came; when the last of it has ended the worker
 * goes on. So nothing is lost and the driver sees a disk that is slow.
 *
 * A flush is not tried again: what it has lost is lost, and another would know nothing of it.
 *
 * A queue that is to become quiet waits for nothing: what is parked of it has one more try, and
 * fails then as without this.
 */
#include <errno.h>

#include "base/err.h"
#include "softdev/blk.h"

#define RETRY_NS 250000000u

static struct vd_blk_parking *parking(struct vd_blk *blk, struct vd_worker *w)
{
	return &blk->parking[vd_worker_index(w)];
}

bool vd_blk_waits(const struct vd_blk_req *req, int err)
{
	return (err == -ENOSPC || err == -EDQUOT) && req->op != VD_BLK_FLUSH &&
	       vd_blk_of(req)->conf.pause_on_enospc && !vd_softq_stopping(req->q);
}

bool vd_blk_park(struct vd_blk_req *req, int err)
{
	struct vd_blk *blk = vd_blk_of(req);
	struct vd_blk_parking *p = parking(blk, vd_softq_worker(req->q));

	if (!vd_blk_waits(req, err))
		return false;
	if (!req->parked) {
		req->parked = true;
		p->waiting++;
		if (!__atomic_fetch_add(&blk->paused, 1, __ATOMIC_RELAXED))
			vd_log_warn(vd_ctx_log(blk->sd.u), blk->sd.name,
				    "paused: no space for %llu bytes at %llu",
				    (unsigned long long)req->len, (unsigned long long)req->off);
	}
	/* The list lies in what is the parent's while it has the request. */
	req->next = NULL;
	*(p->first ? &p->last->next : &p->first) = req;
	p->last = req;
	vd_worker_hold(vd_softq_worker(req->q), vd_now_ns() + RETRY_NS);
	return true;
}

void vd_blk_unpark(struct vd_blk_req *req)
{
	struct vd_blk *blk = vd_blk_of(req);
	struct vd_worker *w = vd_softq_worker(req->q);

	req->parked = false;
	if (!--parking(blk, w)->waiting)
		vd_worker_hold(w, 0);
	if (__atomic_sub_fetch(&blk->paused, 1, __ATOMIC_RELAXED) == 0)
		vd_log_warn(vd_ctx_log(blk->sd.u), blk->sd.name, "not paused any more");
}

/* The disk may have become smaller since. */
static bool beyond_end(const struct vd_blk *blk, const struct vd_blk_req *req)
{
	uint64_t sectors = __atomic_load_n(&blk->capacity_sectors, __ATOMIC_RELAXED);

	return req->off + req->len > sectors * VD_BLK_SECTOR;
}

void vd_blk_try_again(struct vd_blk *blk, struct vd_worker *w)
{
	struct vd_blk_parking *p = parking(blk, w);
	struct vd_blk_req *req, *next = p->first;

	/* Before they end: whoever does not fit holds anew. */
	if (p->waiting)
		vd_worker_hold(w, vd_now_ns() + RETRY_NS);
	p->first = NULL;
	while ((req = next)) {
		next = req->next;
		if (beyond_end(blk, req))
			vd_blk_done(req, -EIO);
		else
			blk->ops->submit(blk, w, &req, 1);
	}
}
