/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-uring.c - the blk parent's engine over io_uring: one ring for each worker
 *
 * io_uring knows no ioctls, which the ranges of a block device take: a thread makes these, and an
 * entry in the ring waits for its eventfd, so that the worker still has one thing to wait for.
 */
#include "parent/blk-file.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "parent/blk-pin.h"

#define SQ_ENTRIES 256u		/* what does not fit waits in @pending */
#define REAP 64
#define BOUNCES    8u

struct uring {
	struct vd_file_engine fe;
	struct io_uring ring;
	struct vd_file_fifo pending;
	struct vd_file_engine *ioctls; /* NULL: none are needed */
	bool ioctls_watched;
	struct vd_file_bounce bounce;
	struct vd_file_fifo starved; /* wait for one of these */
	struct vd_worker *w;
	struct vd_file_pins pins;
};

static struct uring *to_uring(struct vd_engine *e)
{
	return container_of(e, struct uring, fe.e);
}

static void uring_queue(struct vd_file_engine *fe, struct vd_blk_req *req)
{
	struct uring *u = container_of(fe, struct uring, fe);

	if (vd_unlikely(fe->f->pin && u->pins.epoch != vd_worker_epoch(u->w)))
		vd_file_pins_renew(&u->pins, &u->ring, fe->f, req->q);
	if (u->ioctls && vd_file_is_range(req))
		u->ioctls->queue(u->ioctls, req);
	else
		vd_file_fifo_add(&u->pending, req);
}

static void prepare_range(const struct vd_file *f, struct io_uring_sqe *sqe, struct vd_blk_req *req)
{
	enum vd_file_step step = vd_file_range_step(f, req);

	switch (step) {
	case VD_FILE_SYNC:
		io_uring_prep_fsync(sqe, 0, IORING_FSYNC_DATASYNC);
		break;
	case VD_FILE_WRITE:
		io_uring_prep_write(sqe, 0, f->zeroes, (unsigned int)vd_file_zeroes(req),
				    req->off + req->done);
		sqe->rw_flags = vd_file_write_flags(req);
		break;
	default:
		io_uring_prep_fallocate(sqe, 0, vd_file_range_mode(step), (off_t)req->off,
					(off_t)req->len);
		break;
	}
}

/* A single piece spares the kernel a copy of the array; one that the ring knows, more than that. */
static void prepare_rw(const struct uring *u, struct io_uring_sqe *sqe,
		       const struct vd_blk_req *req)
{
	static const uint8_t ops[2][2][2] = {
		/* [fixed][write][vector] */
		{ { IORING_OP_READ, IORING_OP_READV }, { IORING_OP_WRITE, IORING_OP_WRITEV } },
		{ { IORING_OP_READ_FIXED, VD_FILE_READV_FIXED },
		  { IORING_OP_WRITE_FIXED, VD_FILE_WRITEV_FIXED } },
	};
	const struct iovec *iov = vd_iov_kernel(req->iov);
	unsigned int niov = req->niov;
	struct iovec piece;
	bool vector, wr = req->op == VD_BLK_WRITE;
	int buf = -1;

	if (req->bounce) {
		piece = vd_file_bounce_next(req);
		iov = &piece;
		niov = 1;
	} else if (u->pins.n) {
		buf = vd_file_pins_find(&u->pins, iov, niov);
	}
	vector = niov > 1;
	io_uring_prep_rw(ops[buf >= 0][wr][vector], sqe, 0, vector ? iov : iov->iov_base,
			 vector ? niov : (unsigned int)iov->iov_len, req->off + req->done);
	if (buf >= 0)
		sqe->buf_index = (uint16_t)buf;
	if (wr)
		sqe->rw_flags = vd_file_write_flags(req);
}

static void prepare(const struct uring *u, struct io_uring_sqe *sqe, struct vd_blk_req *req)
{
	if (req->op == VD_BLK_FLUSH)
		io_uring_prep_fsync(sqe, 0, IORING_FSYNC_DATASYNC);
	else if (vd_file_is_range(req))
		prepare_range(u->fe.f, sqe, req);
	else
		prepare_rw(u, sqe, req);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, req);
}

static void submit_ioctls(struct uring *u)
{
	struct io_uring_sqe *sqe;

	u->ioctls->e.ops->submit(&u->ioctls->e);
	if (u->ioctls_watched)
		return;
	sqe = io_uring_get_sqe(&u->ring);
	if (!sqe) /* full: the next round, for which arm keeps the worker awake */
		return;
	io_uring_prep_poll_add(sqe, u->ioctls->e.fd, POLLIN);
	io_uring_sqe_set_data(sqe, u->ioctls);
	u->ioctls_watched = true;
}

/* Give the first that is pending what it needs, or put it aside. Return: whether it has it. */
static bool find_bounce(struct uring *u)
{
	struct vd_blk_req *req = u->pending.first;

	if (vd_likely(req->bounce || !vd_file_must_bounce(u->fe.f, req)))
		return true;
	req->bounce = vd_file_bounce_take(&u->bounce);
	if (!req->bounce)
		vd_file_fifo_add(&u->starved, vd_file_fifo_take(&u->pending));
	return req->bounce;
}

static void return_bounce(struct uring *u, struct vd_blk_req *req)
{
	vd_file_bounce_give(&u->bounce, req->bounce);
	req->bounce = NULL;
	if (u->starved.first)
		vd_file_fifo_add(&u->pending, vd_file_fifo_take(&u->starved));
}

static void uring_submit(struct vd_engine *e)
{
	struct uring *u = to_uring(e);

	if (u->ioctls)
		submit_ioctls(u);
	while (u->pending.first || io_uring_sq_ready(&u->ring)) {
		int n;

		while (u->pending.first && io_uring_sq_space_left(&u->ring)) {
			if (find_bounce(u))
				prepare(u, io_uring_get_sqe(&u->ring),
					vd_file_fifo_take(&u->pending));
		}
		n = io_uring_submit(&u->ring);
		/* EAGAIN, EBUSY: no memory, or completions must be taken first. They stay in the
		 * ring for the next round; arm keeps the worker awake. */
		if (n <= 0 && n != -EINTR)
			return;
	}
}

static unsigned int uring_reap(struct vd_engine *e)
{
	struct uring *u = to_uring(e);
	struct io_uring_cqe *cqes[REAP];
	unsigned int n = io_uring_peek_batch_cqe(&u->ring, cqes, REAP);

	for (unsigned int i = 0; i < n; i++) {
		struct vd_blk_req *req = io_uring_cqe_get_data(cqes[i]);
		int r;

		if (vd_unlikely(io_uring_cqe_get_data(cqes[i]) == u->ioctls)) {
			u->ioctls_watched = false;
			continue;
		}
		r = vd_file_advance(u->fe.f, req, cqes[i]->res);
		if (vd_unlikely(r && req->bounce))
			return_bounce(u, req);
		if (r)
			vd_file_done(&u->fe, req, r < 0 ? r : 0);
		else
			uring_queue(&u->fe, req);
	}
	io_uring_cq_advance(&u->ring, n);
	if (u->ioctls)
		n += u->ioctls->e.ops->reap(&u->ioctls->e);
	return n;
}

static bool uring_arm(struct vd_engine *e)
{
	struct uring *u = to_uring(e);

	if (vd_unlikely(u->pins.n && vd_worker_idle(u->w)))
		vd_file_pins_drop(&u->pins, &u->ring, u->fe.f);
	return u->pending.first || io_uring_sq_ready(&u->ring) || io_uring_cq_ready(&u->ring) ||
	       (u->ioctls && (!u->ioctls_watched || u->ioctls->e.ops->arm(&u->ioctls->e)));
}

static void uring_destroy(struct vd_engine *e)
{
	struct uring *u = to_uring(e);

	vd_file_pins_drop(&u->pins, &u->ring, u->fe.f);
	/* The ring ends some time later in the kernel; the image shall not be in use till then. */
	io_uring_unregister_files(&u->ring);
	io_uring_queue_exit(&u->ring);
	if (u->ioctls)
		u->ioctls->e.ops->destroy(&u->ioctls->e);
	vd_file_bounce_fini(&u->bounce);
	free(u);
}

static const struct vd_engine_ops uring_ops = {
	.submit = uring_submit,
	.reap = uring_reap,
	.arm = uring_arm,
	.destroy = uring_destroy,
};

int vd_file_uring_create(struct vd_file *f, struct vd_worker *w, struct vd_file_engine **ret_fe)
{
	const struct vd_softdev *sd = &f->blk.sd;
	unsigned int queues = (sd->dev.info.nvqs + sd->nworkers - 1) / sd->nworkers;
	/* Room for every completion there can be; more than the kernel allows, it keeps itself. */
	struct io_uring_params p = { .flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP };
	struct uring *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return vd_err(-ENOMEM, "%s: no memory", sd->name);
	p.cq_entries = vd_max(queues * sd->dev.info.vq_num_max, SQ_ENTRIES);
	r = io_uring_queue_init_params(SQ_ENTRIES, &u->ring, &p);
	if (r) {
		vd_err(r, "%s: io_uring of data thread %u: %s", sd->name, vd_worker_index(w),
		       strerror(-r));
		goto err_free;
	}
	r = io_uring_register_files(&u->ring, &f->fd, 1);
	if (r) {
		vd_err(r, "%s: io_uring: register the image: %s", sd->name, strerror(-r));
		goto err_exit;
	}
	if (f->is_block && !f->blk.conf.readonly) {
		r = vd_file_threads_create(f, 1, &u->ioctls);
		if (r)
			goto err_exit;
	}
	r = vd_file_bounce_init(f, &u->bounce, BOUNCES);
	if (r)
		goto err_ioctls;
	u->w = w;
	u->fe = (struct vd_file_engine){
		.e = { .ops = &uring_ops, .fd = u->ring.ring_fd },
		.f = f,
		.queue = uring_queue,
	};
	*ret_fe = &u->fe;
	return 0;

err_ioctls:
	if (u->ioctls)
		u->ioctls->e.ops->destroy(&u->ioctls->e);
err_exit:
	io_uring_queue_exit(&u->ring);
err_free:
	free(u);
	return r;
}
