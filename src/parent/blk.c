/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk.c - a raw image file, or a block device, as a disk
 *
 * The bytes of the file are the bytes of the disk; no format is ever looked for in it, so a
 * guest cannot make one up. What the page cache can do without waiting the worker does at once,
 * which is several times cheaper than to hand it on; everything else goes through its engine:
 * io_uring, or threads where there is none.
 *
 * Durability. With FLUSH negotiated a flush is an fdatasync, which covers every write that was
 * answered before; without, each write is O_DSYNC. The kernel reports a lost write once, so a
 * flush that failed makes all later ones fail, until reset: after it nothing is promised.
 *
 * An error of one request (no space, bad sector, a file that somebody truncated) fails that
 * request.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/err.h"
#include "config.h"
#include "parent/blk-file.h"

#define SLOW_NS 50000u		/* for a plain call, and 1 ns for each byte */
#define STALL_NS 10000000u	/* longer than a thread that was preempted is away, mostly */
#define PAUSE_NS 50000000u

struct file_conf {
	struct vd_blk_args blk;
	char *image;
	uint64_t threads;
	unsigned int engine, cache;
	bool pin_memory;
};

static struct vd_file *to_file(struct vd_blk *blk)
{
	return container_of(blk, struct vd_file, blk);
}

int vd_file_write_flags(const struct vd_blk_req *req)
{
	return req->durable ? RWF_DSYNC : 0;
}

int vd_file_advance(struct vd_file *f, struct vd_blk_req *req, int64_t res)
{
	if (res == -EINTR || res == -EAGAIN)
		return 0;
	if (vd_file_is_range(req))
		return vd_file_range_advance(f, req, res);
	if (res < 0)
		return (int)res;
	if (req->op == VD_BLK_FLUSH)
		return 1;
	if (!res)	/* a read behind the end: the file is shorter than it was */
		return -EIO;
	if (req->bounce && req->op == VD_BLK_READ)
		vd_file_bounce_back(req, (size_t)res);
	req->done += (uint64_t)res;
	while (req->niov && (uint64_t)res >= req->iov->len) {
		res -= (int64_t)req->iov->len;
		req->iov++;
		req->niov--;
	}
	if (res) {
		req->iov->base += res;
		req->iov->len -= (size_t)res;
	}
	return req->done == req->len;
}

void vd_file_done(struct vd_file_engine *fe, struct vd_blk_req *req, int err)
{
	struct vd_file *f = fe->f;

	if (vd_unlikely(err)) {
		/* The kernel tells of a lost write once: to this one. */
		if (req->op == VD_BLK_WRITE_ZEROES && req->step == VD_FILE_SYNC)
			vd_blk_writes_lost(&f->blk);
		vd_blk_tell(req, err, f->path, &fe->log);
	}
	vd_blk_done(req, err == -EOPNOTSUPP && !vd_file_is_range(req) ? -EIO : err);
}

/* The kernel cannot be asked not to wait. Is there another way to do it at once? */
static void cannot_ask(struct vd_file *f, enum vd_blk_op op)
{
	/* A write goes to the page cache. A read of what is not in it waits for a disk. */
	if (op == VD_BLK_WRITE)
		__atomic_store_n(&f->write_now, VD_FILE_NOW_PLAIN, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&f->read_now,
				 f->in_memory ? VD_FILE_NOW_PLAIN : VD_FILE_NOW_NEVER,
				 __ATOMIC_RELAXED);
}

/*
 * A plain call that takes longer than copying has waited: for the journal, for dirty pages to be
 * written, for a server. Then the engine does it for a while, so that the other requests of this
 * worker meet one such wait and not a row of them. One that is only a little slow may have been
 * preempted; the second in a row was not.
 */
static void watch_time(struct vd_file_engine *fe, const struct vd_blk_req *req, uint64_t since_ns)
{
	uint64_t now = vd_now_ns(), took_ns = now - since_ns;
	bool slow = took_ns > SLOW_NS + req->len;

	if (took_ns > STALL_NS || (slow && fe->slow))
		fe->pause_until_ns = now + PAUSE_NS;
	fe->slow = slow;
}

/* Do it here and now if that needs no waiting. Return: true if it is complete. */
static bool at_once(struct vd_file_engine *fe, struct vd_blk_req *req)
{
	struct vd_file *f = fe->f;
	bool wr = req->op == VD_BLK_WRITE;
	enum vd_file_now now =
		__atomic_load_n(wr ? &f->write_now : &f->read_now, __ATOMIC_RELAXED);
	int flags = now == VD_FILE_NOW_NOWAIT ? RWF_NOWAIT : 0;
	uint64_t since_ns = now == VD_FILE_NOW_PLAIN ? vd_now_ns() : 0;
	off_t off = (off_t)(req->off + req->done);
	ssize_t n;

	if (now == VD_FILE_NOW_NEVER || (wr && req->durable) ||
	    (now == VD_FILE_NOW_PLAIN && since_ns < fe->pause_until_ns))
		return false;
	if (wr)
		n = pwritev2(f->fd, vd_iov_kernel(req->iov), (int)req->niov, off, flags);
	else
		n = preadv2(f->fd, vd_iov_kernel(req->iov), (int)req->niov, off, flags);
	if (now == VD_FILE_NOW_PLAIN)
		watch_time(fe, req, since_ns);
	if (n > 0)
		return vd_file_advance(f, req, n) == 1;
	if (n < 0 && errno == EOPNOTSUPP)
		cannot_ask(f, req->op);
	return false;	/* an error comes back with the engine's attempt */
}

static void file_submit(struct vd_blk *blk, struct vd_worker *w, struct vd_blk_req **reqs,
			unsigned int n)
{
	struct vd_file_engine *fe = container_of(vd_worker_engine(w), struct vd_file_engine, e);

	(void)blk;
	for (unsigned int i = 0; i < n; i++) {
		struct vd_blk_req *req = reqs[i];
		bool flush = req->op == VD_BLK_FLUSH;

		if (!flush && (!req->len || (!vd_file_is_range(req) && at_once(fe, req))))
			vd_blk_done(req, 0);
		else
			fe->queue(fe, req);
	}
}

#if !HAVE_LIBURING
int vd_file_uring_create(struct vd_file *f, struct vd_worker *w, struct vd_file_engine **ret_fe)
{
	(void)w;
	(void)ret_fe;
	return vd_err(-ENOSYS, "%s: built without io_uring", f->blk.sd.name);
}
#endif

static int file_worker_start(struct vd_blk *blk, struct vd_worker *w, struct vd_engine **ret_engine)
{
	struct vd_file *f = to_file(blk);
	struct vd_file_engine *fe = NULL;
	int r = -ENOSYS;

	if (f->kind != VD_FILE_THREADS) {
		r = vd_file_uring_create(f, w, &fe);
		if (r && (f->kind == VD_FILE_IO_URING || f->pin))
			return r;
		if (r) {
			vd_log_info(vd_ctx_log(blk->sd.u), NULL, "%s; threads instead", vd_err_text());
			f->kind = VD_FILE_THREADS;
		}
	}
	if (r)
		r = vd_file_threads_create(f, f->threads, &fe);
	if (r)
		return r;
	*ret_engine = &fe->e;
	return 0;
}

static void file_reset(struct vd_blk *blk)
{
	(void)blk; /* what was written stays */
}

static void file_free(struct vd_file *f)
{
	vd_notice_del(&f->notice);
	vd_file_close(f);
	free(f->path);
	free(f);
}

static void file_destroy(struct vd_blk *blk)
{
	file_free(to_file(blk));
}

static const char *const engines[] = { [VD_FILE_AUTO] = "auto",
				       [VD_FILE_IO_URING] = "io_uring",
				       [VD_FILE_THREADS] = "threads",
				       NULL };
static const char *const caches[] = { [VD_FILE_WRITEBACK] = "writeback",
				      [VD_FILE_WRITETHROUGH] = "writethrough",
				      [VD_FILE_NONE] = "none",
				      NULL };

static void file_show(struct vd_blk *blk, struct uvdpa_emit *e)
{
	struct vd_file *f = to_file(blk);
	uint64_t pinned = __atomic_load_n(&f->pinned, __ATOMIC_RELAXED);

	e->str(e, "image", f->path);
	e->str(e, "cache", caches[f->cache]);
	e->str(e, "engine",
	       engines[f->kind == VD_FILE_THREADS ? VD_FILE_THREADS : VD_FILE_IO_URING]);
	if (f->kind == VD_FILE_THREADS)
		e->num(e, "threads", (uint64_t)f->threads * blk->sd.nworkers);
	if (pinned)
		e->num(e, "pinned", pinned);
}

static const struct vd_blk_ops file_ops = {
	.submit = file_submit,
	.worker_start = file_worker_start,
	.resize = vd_file_resize,
	.show = file_show,
	.reset = file_reset,
	.destroy = file_destroy,
};

static int file_add(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev)
{
	const struct file_conf *c = conf;
	struct vd_blk_conf bc = { .flush = true, .writethrough = c->cache == VD_FILE_WRITETHROUGH };
	struct vd_file *f;
	int r;

	r = vd_blk_args(&c->blk, name, &bc);
	if (r)
		return r;
	if (c->pin_memory && (c->cache != VD_FILE_NONE || c->engine == VD_FILE_THREADS))
		return vd_err(-EINVAL, "%s: pin_memory goes with cache none and io_uring only",
			      name);
	f = calloc(1, sizeof(*f));
	if (!f)
		return vd_err(-ENOMEM, "%s: no memory", name);
	f->fd = -1;
	f->kind = (enum vd_file_engine_kind)c->engine;
	f->threads = (unsigned int)c->threads;
	f->cache = (enum vd_file_cache)c->cache;
	f->pin = c->pin_memory;
	if (f->cache == VD_FILE_NONE) /* it would wait for the disk */
		f->read_now = f->write_now = VD_FILE_NOW_NEVER;
	f->path = strdup(c->image);
	if (!f->path) {
		r = vd_err(-ENOMEM, "%s: no memory", name);
		goto err_free;
	}
	r = vd_file_open(f, &bc);
	if (r)
		goto err_free;
	r = vd_blk_init(&f->blk, u, &file_ops, &bc);
	if (r)
		goto err_free;
	vd_file_watch(f);
	*ret_dev = &f->blk.sd.dev;
	return 0;

err_free:
	file_free(f);
	return r;
}

static const struct uvdpa_opt file_opts[] = {
	{ .key = "image",
	  .type = UVDPA_OPT_PATH,
	  .required = true,
	  .offset = offsetof(struct file_conf, image),
	  .help = "raw image file or block device" },
	VD_BLK_OPTS(struct file_conf, blk, NULL),
	{ .key = "cache",
	  .type = UVDPA_OPT_ENUM,
	  .offset = offsetof(struct file_conf, cache),
	  .choices = caches,
	  .def = "writeback",
	  .help = "writeback: the system's, until a flush; writethrough: the same, but a write is "
		  "on "
		  "the disk when it is answered; none: direct I/O" },
	{ .key = "pin_memory",
	  .type = UVDPA_OPT_BOOL,
	  .offset = offsetof(struct file_conf, pin_memory),
	  .help = "with cache none, by io_uring: the guest's memory stays where it is and is not "
		  "looked up again for each request" },
	{ .key = "engine",
	  .type = UVDPA_OPT_ENUM,
	  .offset = offsetof(struct file_conf, engine),
	  .choices = engines,
	  .def = "auto",
	  .help = "how to read and write; auto: io_uring if there is one" },
	{ .key = "threads",
	  .type = UVDPA_OPT_UINT,
	  .offset = offsetof(struct file_conf, threads),
	  .def = "4",
	  .min = 1,
	  .max = VD_FILE_THREADS_MAX,
	  .help = "threads of the engine of that name, for each worker" },
	{ 0 },
};

static const uint32_t file_ids[] = { VIRTIO_ID_BLOCK, 0 };

extern const struct uvdpa_parent vd_parent_blk;
const struct uvdpa_parent vd_parent_blk = {
	.name = "blk",
	.help = "a raw image file or a block device",
	.device_ids = file_ids,
	.features = VD_BLK_FEATURES,
	.max_vqs = VD_BLK_QUEUES_MAX,
	.opts = file_opts,
	.conf_size = sizeof(struct file_conf),
	.add = file_add,
};
