/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-threads.c - the blk parent's engine over plain system calls: some threads for each worker
 *
 * For kernels and containers without io_uring. The worker hands requests over in one list and
 * gets them back in another; the eventfd says that the latter is not empty any more.
 */
#include "parent/blk-file.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/thread.h"

struct threads {
	struct vd_file_engine fe;
	struct vd_file_fifo staged;	/* the worker's: of this round */
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct vd_file_fifo todo;	/* protected by lock */
	struct vd_file_fifo done;	/* protected by lock */
	bool any_done;			/* atomic: done is not empty, for looking without the lock */
	bool stop;			/* protected by lock */
	struct vd_file_bounce bounce;   /* one for each thread; protected by lock */
	unsigned int nthreads;
	pthread_t thread[VD_FILE_THREADS_MAX];
};

static struct threads *to_threads(struct vd_engine *e)
{
	return container_of(e, struct threads, fe.e);
}

static void threads_queue(struct vd_file_engine *fe, struct vd_blk_req *req)
{
	vd_file_fifo_add(&container_of(fe, struct threads, fe)->staged, req);
}

static int64_t attempt(const struct vd_file *f, struct vd_blk_req *req)
{
	const struct iovec *iov = vd_iov_kernel(req->iov);
	off_t off = (off_t)(req->off + req->done);
	int niov = (int)req->niov;
	struct iovec piece;
	ssize_t n;

	if (vd_file_is_range(req))
		return vd_file_range_call(f, req);
	if (req->bounce) {
		piece = vd_file_bounce_next(req);
		iov = &piece;
		niov = 1;
	}

	switch (req->op) {
	case VD_BLK_READ:
		n = preadv(f->fd, iov, niov, off);
		break;
	case VD_BLK_WRITE:
		n = pwritev2(f->fd, iov, niov, off, vd_file_write_flags(req));
		break;
	default:
		n = fdatasync(f->fd);
		break;
	}
	return n < 0 ? -errno : n;
}

static void run(struct vd_file *f, struct vd_blk_req *req, void *bounce)
{
	int r;

	if (vd_file_must_bounce(f, req))
		req->bounce = bounce;
	do
		r = vd_file_advance(f, req, attempt(f, req));
	while (!r);
	req->bounce = NULL;
	req->err = r < 0 ? r : 0;
}

static void *thread_main(void *arg)
{
	struct threads *t = arg;
	void *bounce;
	bool first;

	pthread_mutex_lock(&t->lock);
	bounce = vd_file_bounce_take(&t->bounce);
	for (;;) {
		struct vd_blk_req *req = vd_file_fifo_take(&t->todo);

		if (!req) {
			if (t->stop)
				break;
			pthread_cond_wait(&t->work, &t->lock);
			continue;
		}
		pthread_mutex_unlock(&t->lock);
		run(t->fe.f, req, bounce);
		pthread_mutex_lock(&t->lock);
		first = !t->done.first;
		vd_file_fifo_add(&t->done, req);
		__atomic_store_n(&t->any_done, true, __ATOMIC_RELAXED);
		if (first)
			vd_eventfd_signal(t->fe.e.fd);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

static void threads_submit(struct vd_engine *e)
{
	struct threads *t = to_threads(e);
	struct vd_blk_req *req;
	unsigned int n = 0;

	if (!t->staged.first)
		return;
	pthread_mutex_lock(&t->lock);
	for (; (req = vd_file_fifo_take(&t->staged)); n++)
		vd_file_fifo_add(&t->todo, req);
	pthread_mutex_unlock(&t->lock);
	if (n == 1)
		pthread_cond_signal(&t->work);
	else
		pthread_cond_broadcast(&t->work);
}

static unsigned int threads_reap(struct vd_engine *e)
{
	struct threads *t = to_threads(e);
	struct vd_file_fifo done;
	struct vd_blk_req *req;
	unsigned int n = 0;

	if (!__atomic_load_n(&t->any_done, __ATOMIC_RELAXED))
		return 0;
	pthread_mutex_lock(&t->lock);
	vd_eventfd_drain(e->fd);
	done = t->done;
	t->done = (struct vd_file_fifo){ 0 };
	__atomic_store_n(&t->any_done, false, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&t->lock);
	for (; (req = vd_file_fifo_take(&done)); n++)
		vd_file_done(&t->fe, req, req->err);
	return n;
}

static bool threads_arm(struct vd_engine *e)
{
	return __atomic_load_n(&to_threads(e)->any_done, __ATOMIC_RELAXED);
}

static void stop_threads(struct threads *t)
{
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_mutex_unlock(&t->lock);
	pthread_cond_broadcast(&t->work);
	while (t->nthreads > 0)
		pthread_join(t->thread[--t->nthreads], NULL);
}

static void threads_free(struct threads *t)
{
	close(t->fe.e.fd);
	pthread_cond_destroy(&t->work);
	pthread_mutex_destroy(&t->lock);
	vd_file_bounce_fini(&t->bounce);
	free(t);
}

static void threads_destroy(struct vd_engine *e)
{
	stop_threads(to_threads(e));
	threads_free(to_threads(e));
}

static const struct vd_engine_ops threads_ops = {
	.submit = threads_submit,
	.reap = threads_reap,
	.arm = threads_arm,
	.destroy = threads_destroy,
};

static int start_threads(struct threads *t, unsigned int n)
{
	for (; t->nthreads < n; t->nthreads++) {
		int r = vd_thread_start(&t->thread[t->nthreads], thread_main, t, "uvdpa/io");

		if (r)
			return vd_err_prefix(r, "%s: ", t->fe.f->blk.sd.name);
	}
	return 0;
}

int vd_file_threads_create(struct vd_file *f, unsigned int n, struct vd_file_engine **ret_fe)
{
	struct threads *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return vd_err(-ENOMEM, "%s: no memory", f->blk.sd.name);
	r = vd_eventfd();
	if (r < 0) {
		free(t);
		return r;
	}
	t->fe = (struct vd_file_engine){
		.e = { .ops = &threads_ops, .fd = r },
		.f = f,
		.queue = threads_queue,
	};
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->work, NULL);
	r = vd_file_bounce_init(f, &t->bounce, n);
	if (!r)
		r = start_threads(t, n);
	if (r) {
		stop_threads(t);
		threads_free(t);
		return r;
	}
	*ret_fe = &t->fe;
	return 0;
}
