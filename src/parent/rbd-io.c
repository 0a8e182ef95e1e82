/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rbd-io.c - requests of an rbd disk
 *
 * The worker begins each by an asynchronous call. A thread of librbd tells its end, and puts it
 * into the list of the worker's engine; the eventfd says that the list is not empty any more, so a
 * batch costs one wake.
 *
 * A write that must be durable is followed by a flush of its own if the cache keeps writes.
 */
#include "parent/rbd.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"

struct rbd_engine {
	struct vd_engine e;
	struct vd_rbd *d;
	pthread_mutex_t lock;
	struct vd_blk_req *first, **last;	/* that have ended; protected by lock */
	bool any;			/* atomic: the list is not empty, for looking without the lock */
	struct vd_ratelimit log;	/* the worker's */
};

static struct rbd_engine *to_engine(struct vd_engine *e)
{
	return container_of(e, struct rbd_engine, e);
}

/* Context: a thread of librbd. */
static void ended(rbd_completion_t c, void *arg)
{
	struct vd_blk_req *req = arg;
	/* Acquire: all of @req. Pairs with begin(). */
	int err = __atomic_load_n(&req->err, __ATOMIC_ACQUIRE);
	struct rbd_engine *en = to_engine(vd_worker_engine(vd_softq_worker(req->q)));
	const struct vd_rbd_lib *lib = en->d->img->lib;
	ssize_t r = lib->rbd_aio_get_return_value(c);
	bool first;

	lib->rbd_aio_release(c);
	if (r < 0)
		err = (int)r;
	/* The image is shorter than it was when the request was looked at. */
	else if (req->op == VD_BLK_READ && (uint64_t)r != req->len)
		err = -EIO;
	req->err = err;
	req->next = NULL;
	/* The engine is there until the lock is free: see engine_destroy(). */
	pthread_mutex_lock(&en->lock);
	first = !en->first;
	*en->last = req;
	en->last = &req->next;
	__atomic_store_n(&en->any, true, __ATOMIC_RELAXED);
	if (first)
		vd_eventfd_signal(en->e.fd);
	pthread_mutex_unlock(&en->lock);
}

static bool keeps_writes(const struct vd_rbd *d)
{
	return d->img->cache >= VD_RBD_CACHE_WRITEAROUND;
}

static int begin(const struct vd_rbd *d, struct vd_blk_req *req, enum vd_blk_op op)
{
	const struct iovec *iov = vd_iov_kernel(req->iov);
	const struct vd_rbd_lib *lib = d->img->lib;
	rbd_image_t image = d->img->rbd;
	rbd_completion_t c;
	int r = lib->rbd_aio_create_completion(req, ended, &c);

	if (r)
		return r;
	/* Release: all of @req. librbd orders it as well, out of the sight of who checks. */
	__atomic_store_n(&req->err, 0, __ATOMIC_RELEASE);
	switch (op) {
	case VD_BLK_READ:
		r = lib->rbd_aio_readv(image, iov, (int)req->niov, req->off, c);
		break;
	case VD_BLK_WRITE:
		r = lib->rbd_aio_writev(image, iov, (int)req->niov, req->off, c);
		break;
	case VD_BLK_DISCARD:
		r = lib->rbd_aio_discard(image, req->off, req->len, c);
		break;
	case VD_BLK_WRITE_ZEROES:
		r = lib->rbd_aio_write_zeroes(image, req->off, req->len, c,
					      req->unmap ? 0 : RBD_WRITE_ZEROES_FLAG_THICK_PROVISION,
					      0);
		break;
	case VD_BLK_FLUSH:
		r = lib->rbd_aio_flush(image, c);
		break;
	default:
		r = -EOPNOTSUPP;
		break;
	}
	if (r < 0)
		lib->rbd_aio_release(c);
	return r < 0 ? r : 0;
}

static void end(struct rbd_engine *en, struct vd_blk_req *req, int err)
{
	struct vd_rbd *d = en->d;

	if (vd_unlikely(err)) {
		if (err == -ESHUTDOWN)
			vd_rbd_client_shut_out(d->img->client);
		if (req->step) /* it was the flush after a write */
			vd_blk_writes_lost(&d->blk);
		vd_blk_tell(req, err, d->img->name, &en->log);
	}
	vd_blk_done(req, err == -EOPNOTSUPP ? -EIO : err);
}

void vd_rbd_submit(struct vd_blk *blk, struct vd_worker *w, struct vd_blk_req **reqs,
		   unsigned int n)
{
	struct rbd_engine *en = to_engine(vd_worker_engine(w));

	for (unsigned int i = 0; i < n; i++) {
		struct vd_blk_req *req = reqs[i];
		int r;

		if (req->op != VD_BLK_FLUSH && !req->len) {
			vd_blk_done(req, 0);
			continue;
		}
		req->step = 0;
		r = begin(vd_rbd_of(blk), req, req->op);
		if (r)
			end(en, req, r);
	}
}

static bool wants_flush(const struct vd_rbd *d, const struct vd_blk_req *req)
{
	return req->durable && (req->op == VD_BLK_WRITE || req->op == VD_BLK_WRITE_ZEROES) &&
	       !req->step && keeps_writes(d);
}

static void engine_submit(struct vd_engine *e)
{
	(void)e;	/* librbd takes requests one by one */
}

static unsigned int engine_reap(struct vd_engine *e)
{
	struct rbd_engine *en = to_engine(e);
	struct vd_blk_req *req, *next;
	unsigned int n = 0;

	if (!__atomic_load_n(&en->any, __ATOMIC_RELAXED))
		return 0;
	pthread_mutex_lock(&en->lock);
	vd_eventfd_drain(e->fd);
	req = en->first;
	en->first = NULL;
	en->last = &en->first;
	__atomic_store_n(&en->any, false, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&en->lock);
	for (; req; req = next, n++) {
		int r = req->err;

		next = req->next;
		if (!r && wants_flush(en->d, req)) {
			req->step = 1;
			r = begin(en->d, req, VD_BLK_FLUSH);
			if (!r)
				continue;
		}
		end(en, req, r);
	}
	return n;
}

static bool engine_arm(struct vd_engine *e)
{
	return __atomic_load_n(&to_engine(e)->any, __ATOMIC_RELAXED);
}

static void engine_destroy(struct vd_engine *e)
{
	struct rbd_engine *en = to_engine(e);

	/* Every request is home, but who brought the last one may be on his way out. */
	pthread_mutex_lock(&en->lock);
	pthread_mutex_unlock(&en->lock);
	pthread_mutex_destroy(&en->lock);
	close(e->fd);
	free(en);
}

static const struct vd_engine_ops engine_ops = {
	.submit = engine_submit,
	.reap = engine_reap,
	.arm = engine_arm,
	.destroy = engine_destroy,
};

int vd_rbd_worker_start(struct vd_blk *blk, struct vd_worker *w, struct vd_engine **ret_engine)
{
	struct rbd_engine *en = calloc(1, sizeof(*en));
	int r;

	(void)w;
	if (!en)
		return vd_err(-ENOMEM, "%s: no memory", blk->sd.name);
	r = vd_eventfd();
	if (r < 0) {
		free(en);
		return r;
	}
	en->e = (struct vd_engine){ .ops = &engine_ops, .fd = r };
	en->d = vd_rbd_of(blk);
	en->last = &en->first;
	pthread_mutex_init(&en->lock, NULL);
	*ret_engine = &en->e;
	return 0;
}
