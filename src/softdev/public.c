/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * public.c - <uvdpa/softdev.h>: software devices that are written outside of the library
 *
 * The author's struct uvdpa_softdev stands for a struct soft here, whose layout nobody sees. A
 * request of his lies behind ours, in the queue:
 *
 *	struct vd_chain, cursors, ...	| struct uvdpa_req, what else the author embeds it in
 *
 * What another thread gives back goes through the worker's engine: a list that anybody may add to,
 * and the worker takes as a whole.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <uvdpa/softdev.h>

#include "base/err.h"
#include "base/sized.h"
#include "mem/sg.h"
#include "softdev/softdev.h"

#define QUEUE_SIZE 256
#define PIECES_MAX 1024	/* of a request */
#define CONFIG_MAX 4096
#define TYPE_BITS  (((1ull << 24) - 1) | ~((1ull << 50) - 1))	/* features (virtio 1.3, 2.2) */

struct soft_req {
	struct vd_chain chain;	/* its written counts as the author writes */
	struct vd_softq *q;
	struct vd_sg out, in;
	struct soft_req *next;	/* in soft_engine.done */
	int err;
	_Alignas(max_align_t) struct uvdpa_req pub;	/* the author's part begins with it */
};

struct soft_queue {
	bool receive;
	bool told;	/* the worker's: of the stop that is under way, or was the last */
	bool hungry;	/* atomic: ops->fed is owed */
};

struct soft {
	struct vd_softdev sd;
	struct uvdpa_softdev *pub;
	struct uvdpa_softdev_ops ops;	/* complete */
	struct vd_softdev_ops sd_ops;
	struct uvdpa_dev_ops dev_ops;
	uint8_t *config;		/* control's */
	struct soft_queue *queues;
};

/* What a worker gets back from other threads. */
struct soft_engine {
	struct vd_engine e;
	struct soft *soft;
	struct vd_worker *w;
	pthread_t thread;	/* atomic: the worker's, from when it has called the author */
	struct soft_req *done;	/* atomic */
	unsigned int adding;	/* atomic: threads that add to it, and will wake the worker */
};

static struct soft *to_soft(struct vd_softdev *sd)
{
	return container_of(sd, struct soft, sd);
}

static struct soft *soft_of(const struct uvdpa_softdev *pub)
{
	return to_soft(container_of(pub->dev, struct vd_softdev, dev));
}

static struct soft_req *to_req(struct uvdpa_req *req)
{
	return container_of(req, struct soft_req, pub);
}

static struct soft_engine *engine_of(struct vd_softq *q)
{
	return container_of(vd_worker_engine(vd_softq_worker(q)), struct soft_engine, e);
}

/* Its thread is about to call the author. */
static void enter(struct soft_engine *e)
{
	__atomic_store_n(&e->thread, pthread_self(), __ATOMIC_RELAXED);
}

/* Is this its thread? A thread that it is not sees no id of its own there. */
static bool inside(struct soft_engine *e)
{
	return __atomic_load_n(&e->thread, __ATOMIC_RELAXED) == pthread_self();
}

/* ---- requests -------------------------------------------------------------------------------- */

static void soft_handle(struct vd_softq *q, struct vd_chain **chains, unsigned int n)
{
	struct soft *s = to_soft(vd_softq_dev(q));
	struct uvdpa_req *reqs[VD_SOFTQ_BURST];

	enter(engine_of(q));
	for (unsigned int i = 0; i < n; i++) {
		struct soft_req *r = container_of(chains[i], struct soft_req, chain);

		r->q = q;
		r->chain.written = 0;
		r->out = vd_sg(r->chain.iov, r->chain.nout);
		r->in = vd_sg(r->chain.iov + r->chain.nout, r->chain.nin);
		r->pub = (struct uvdpa_req){ .out_left = r->chain.out_len,
					     .in_left = r->chain.in_len,
					     .queue = vd_softq_index(q) };
		reqs[i] = &r->pub;
	}
	s->ops.handle(s->pub, vd_softq_index(q), reqs, n);
}

static size_t moved_out(struct soft_req *r, size_t len)
{
	r->pub.out_left -= (uint32_t)len;
	return len;
}

static size_t moved_in(struct soft_req *r, size_t len)
{
	r->chain.written += (uint32_t)len;
	r->pub.in_left = r->chain.in_len - r->chain.written;
	return len;
}

size_t uvdpa_req_read(struct uvdpa_req *req, void *to, size_t len)
{
	return moved_out(to_req(req), vd_sg_read(&to_req(req)->out, to, len));
}

size_t uvdpa_req_write(struct uvdpa_req *req, const void *from, size_t len)
{
	return moved_in(to_req(req), vd_sg_write(&to_req(req)->in, from, len));
}

size_t uvdpa_req_fill(struct uvdpa_req *req, int byte, size_t len)
{
	return moved_in(to_req(req), vd_sg_fill(&to_req(req)->in, byte, len));
}

size_t uvdpa_req_skip_out(struct uvdpa_req *req, size_t len)
{
	return moved_out(to_req(req), vd_sg_skip(&to_req(req)->out, len));
}

size_t uvdpa_req_skip_in(struct uvdpa_req *req, size_t len)
{
	return moved_in(to_req(req), vd_sg_skip(&to_req(req)->in, len));
}

static unsigned int pieces(const struct vd_sg *sg, size_t len, struct iovec *iov, unsigned int max)
{
	size_t off = sg->off;
	unsigned int n = 0;

	for (unsigned int i = 0; i < sg->n && n < max && len; i++, off = 0) {
		size_t piece = vd_min(len, sg->iov[i].len - off);

		if (!piece)
			continue;
		iov[n++] = (struct iovec){ vd_guest_expose(sg->iov[i].base + off), piece };
		len -= piece;
	}
	return n;
}

unsigned int uvdpa_req_out_iov(const struct uvdpa_req *req, size_t len, struct iovec *iov,
			       unsigned int max)
{
	return pieces(&container_of_const(req, struct soft_req, pub)->out, len, iov, max);
}

unsigned int uvdpa_req_in_iov(const struct uvdpa_req *req, size_t len, struct iovec *iov,
			      unsigned int max)
{
	return pieces(&container_of_const(req, struct soft_req, pub)->in, len, iov, max);
}

/*
 * The worker may take the request at once, with it the queue may be quiet, and the device go: so
 * nothing of these is touched after the last line.
 */
static void add_done(struct soft_engine *e, struct soft_req *r)
{
	struct soft_req *first = __atomic_load_n(&e->done, __ATOMIC_RELAXED);

	__atomic_fetch_add(&e->adding, 1, __ATOMIC_RELAXED);
	/* Release: what was done to the request. Pairs with take_done(). */
	do
		r->next = first;
	while (!__atomic_compare_exchange_n(&e->done, &first, r, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED));
	if (!first)
		vd_worker_wake(e->w);
	/* Release: we are out. Pairs with engine_destroy(). */
	__atomic_fetch_sub(&e->adding, 1, __ATOMIC_RELEASE);
}

void uvdpa_req_done(struct uvdpa_req *req, int err)
{
	struct soft_req *r = to_req(req);
	struct soft_engine *e = engine_of(r->q);

	r->err = err;
	if (vd_likely(inside(e)))
		vd_softq_done(r->q, &r->chain, r->chain.written, !err);
	else
		add_done(e, r);
}

/* ---- the worker's ---------------------------------------------------------------------------- */

static unsigned int take_done(struct soft_engine *e)
{
	struct soft_req *r, *next;
	unsigned int n = 0;

	if (vd_likely(!__atomic_load_n(&e->done, __ATOMIC_RELAXED)))
		return 0;
	/* Acquire: what was done to the requests. Pairs with add_done(). */
	for (r = __atomic_exchange_n(&e->done, NULL, __ATOMIC_ACQUIRE); r; r = next, n++) {
		next = r->next;
		vd_softq_done(r->q, &r->chain, r->chain.written, !r->err);
	}
	return n;
}

/* What the author is to be told of a queue. */
static void tell(struct soft_engine *e, struct vd_softq *q)
{
	struct soft_queue *x = &e->soft->queues[vd_softq_index(q)];
	/* One that does not run is control's already, and so may be the author. */
	bool stopping = vd_softq_runs(q) && vd_softq_stopping(q);

	if (vd_unlikely(stopping != x->told)) {
		x->told = stopping;
		if (stopping)
			e->soft->ops.stop(e->soft->pub, vd_softq_index(q));
	}
	if (vd_unlikely(__atomic_load_n(&x->hungry, __ATOMIC_RELAXED)) && vd_softq_fed(q)) {
		__atomic_store_n(&x->hungry, false, __ATOMIC_RELAXED);
		e->soft->ops.fed(e->soft->pub, vd_softq_index(q));
	}
}

static unsigned int engine_reap(struct vd_engine *base)
{
	struct soft_engine *e = container_of(base, struct soft_engine, e);
	struct vd_softdev *sd = &e->soft->sd;

	enter(e);
	for (unsigned int i = 0; i < sd->dev.info.nvqs; i++) {
		struct vd_softq *q = vd_softdev_queue(sd, i);

		if (vd_softq_worker(q) == e->w)
			tell(e, q);
	}
	return take_done(e);
}

static void engine_submit(struct vd_engine *base)
{
	(void)base;
}

static bool engine_arm(struct vd_engine *base)
{
	/* Whoever adds to an empty list wakes us. */
	return __atomic_load_n(&container_of(base, struct soft_engine, e)->done, __ATOMIC_RELAXED);
}

static void engine_destroy(struct vd_engine *base)
{
	struct soft_engine *e = container_of(base, struct soft_engine, e);

	/* Who has added the last is on his way out, of a few instructions. */
	while (__atomic_load_n(&e->adding, __ATOMIC_ACQUIRE))
		sched_yield();
	free(e);
}

static const struct vd_engine_ops engine_ops = {
	.submit = engine_submit,
	.reap = engine_reap,
	.arm = engine_arm,
	.destroy = engine_destroy,
};

static int soft_worker_start(struct vd_softdev *sd, struct vd_worker *w,
			     struct vd_engine **ret_engine)
{
	struct soft_engine *e = calloc(1, sizeof(*e));

	if (!e)
		return vd_err(-ENOMEM, "%s: no memory for a data thread", sd->name);
	e->e = (struct vd_engine){ .ops = &engine_ops, .fd = -1 };
	e->soft = to_soft(sd);
	e->w = w;
	*ret_engine = &e->e;
	return 0;
}

static void soft_held(struct vd_softdev *sd, struct vd_worker *w)
{
	(void)sd, (void)w;	/* only limits hold it, and there are none */
}

/* ---- receive queues -------------------------------------------------------------------------- */

static ssize_t starve(struct soft *s, struct vd_softq *q)
{
	/* It asks for kicks before it sleeps, so it must come to that once more. */
	if (!__atomic_exchange_n(&s->queues[vd_softq_index(q)].hungry, true, __ATOMIC_RELAXED) &&
	    !inside(engine_of(q)))
		vd_worker_wake(vd_softq_worker(q));
	return -EAGAIN;
}

ssize_t uvdpa_softdev_deliver(struct uvdpa_softdev *pub, unsigned int queue, const void *buf,
			      size_t len)
{
	struct soft *s = soft_of(pub);
	struct vd_softq *q;
	struct vd_chain *c;
	struct vd_sg in;
	size_t n;

	if (queue >= s->sd.dev.info.nvqs || !s->queues[queue].receive)
		return -EINVAL;
	q = vd_softdev_queue(&s->sd, queue);
	if (!vd_softq_lock(q))
		return starve(s, q);
	if (!vd_softq_take(q, &c, 1)) {
		vd_softq_unlock(q);
		return starve(s, q);
	}
	in = vd_sg(c->iov + c->nout, c->nin);
	n = vd_sg_write(&in, buf, len);
	c->written = (uint32_t)n;
	vd_softq_give(q, &c, 1);
	vd_softq_publish(q, inside(engine_of(q)) ? vd_softq_worker(q) : NULL);
	vd_softq_unlock(q);
	return (ssize_t)n;
}

/* ---- the control thread's -------------------------------------------------------------------- */

static int soft_set_features(struct vd_softdev *sd, uint64_t features)
{
	struct soft *s = to_soft(sd);

	return s->ops.set_features(s->pub, features);
}

static int soft_get_config(struct vd_softdev *sd, uint32_t off, void *buf, uint32_t len)
{
	memcpy(buf, to_soft(sd)->config + off, len);
	return 0;
}

static int soft_set_config(struct vd_softdev *sd, uint32_t off, const void *buf, uint32_t len)
{
	struct soft *s = to_soft(sd);
	int r = s->ops.set_config(s->pub, off, buf, len);

	if (!r)
		memcpy(s->config + off, buf, len);
	return r;
}

int uvdpa_softdev_set_config(struct uvdpa_softdev *pub, uint32_t off, const void *buf, uint32_t len)
{
	struct soft *s = soft_of(pub);
	uint32_t size = s->sd.dev.info.config_size;
	int r = s->sd.dev.core ? vd_ctx_mine(uvdpa_dev_context(&s->sd.dev)) : 0;

	if (r)
		return r;
	if (off > size || len > size - off)
		return vd_err(-EINVAL, "%s: %u bytes of configuration at %u of %u", s->sd.name, len,
			      off, size);
	memcpy(s->config + off, buf, len);
	if (s->sd.dev.core)
		uvdpa_dev_config_changed(&s->sd.dev);
	return 0;
}

static void soft_reset(struct vd_softdev *sd)
{
	struct soft *s = to_soft(sd);

	s->ops.reset(s->pub);
}

static void soft_free(struct vd_softdev *sd)
{
	struct soft *s = to_soft(sd);

	free(s->queues);
	free(s->config);
	free(s);
}

/* The author's threads may deliver until he has stopped them: so he goes first. */
static void soft_destroy(struct uvdpa_dev *dev)
{
	struct soft *s = to_soft(container_of(dev, struct vd_softdev, dev));

	s->ops.destroy(s->pub);
	vd_softdev_fini(&s->sd);
	soft_free(&s->sd);
}

/* ---- what the author leaves out -------------------------------------------------------------- */

static void ignore_queue(struct uvdpa_softdev *sd, unsigned int queue)
{
	(void)sd, (void)queue;
}

static int take_features(struct uvdpa_softdev *sd, uint64_t features)
{
	(void)sd, (void)features;
	return 0;
}

static int refuse_config(struct uvdpa_softdev *sd, uint32_t off, const void *buf, uint32_t len)
{
	(void)off, (void)buf, (void)len;
	return vd_err(-EOPNOTSUPP, "%s: nothing can be written to its configuration",
		      soft_of(sd)->sd.name);
}

static void forget_nothing(struct uvdpa_softdev *sd)
{
	(void)sd;
}

static void complete(struct uvdpa_softdev_ops *ops)
{
	ops->stop = ops->stop ? ops->stop : ignore_queue;
	ops->fed = ops->fed ? ops->fed : ignore_queue;
	ops->set_features = ops->set_features ? ops->set_features : take_features;
	ops->set_config = ops->set_config ? ops->set_config : refuse_config;
	ops->reset = ops->reset ? ops->reset : forget_nothing;
}

/* ---- init ------------------------------------------------------------------------------------ */

static int check(const struct uvdpa_softdev_ops *ops, const struct uvdpa_softdev_conf *c)
{
	if (!c->name || !ops->handle || !ops->destroy)
		return vd_err(-EINVAL, "software device: no %s",
			      !c->name ? "name" : !ops->handle ? "handle" : "destroy");
	if (c->features & ~TYPE_BITS)
		return vd_err(-EINVAL, "%s: features %#llx are not of a type", c->name,
			      (unsigned long long)(c->features & ~TYPE_BITS));
	if (!c->nvqs || c->nvqs > UINT16_MAX)
		return vd_err(-EINVAL, "%s: %u queues, not 1 to %u", c->name, c->nvqs, UINT16_MAX);
	if (c->nvqs < 64 && c->receive >> c->nvqs)
		return vd_err(-EINVAL, "%s: receive %#llx of %u queues", c->name,
			      (unsigned long long)c->receive, c->nvqs);
	if (c->queue_size > VD_VIRTQ_NUM_MAX || (c->queue_size & (c->queue_size - 1)))
		return vd_err(-EINVAL, "%s: queue size %u, not a power of two up to %u", c->name,
			      c->queue_size, VD_VIRTQ_NUM_MAX);
	if (c->config_size > CONFIG_MAX)
		return vd_err(-EINVAL, "%s: %u bytes of configuration, at most %u", c->name,
			      c->config_size, CONFIG_MAX);
	if (c->req_size && c->req_size < sizeof(struct uvdpa_req))
		return vd_err(-EINVAL, "%s: request of %zu bytes, at least %zu", c->name,
			      c->req_size, sizeof(struct uvdpa_req));
	return 0;
}

static void fill(struct soft *s, struct uvdpa_softdev *pub, const struct uvdpa_softdev_ops *ops,
		 const struct uvdpa_softdev_conf *c)
{
	unsigned int num = c->queue_size ? c->queue_size : QUEUE_SIZE;
	size_t own = vd_max(c->req_size, sizeof(struct uvdpa_req));

	s->pub = pub;
	s->ops = *ops;
	complete(&s->ops);
	s->sd_ops = (struct vd_softdev_ops){
		.chain_size = offsetof(struct soft_req, pub) + own,
		.iov_max = vd_min(2 * vd_max(num, 32u), PIECES_MAX),
		.handle = soft_handle,
		.held = soft_held,
		.worker_start = soft_worker_start,
		.stats = vd_softq_emit,
		.set_features = soft_set_features,
		.get_config = soft_get_config,
		.set_config = soft_set_config,
		.reset = soft_reset,
		.destroy = soft_free,
	};
	s->sd.dev.info = (struct uvdpa_dev_info){
		.device_id = c->device_id,
		.features = c->features | VD_SOFTDEV_FEATURES,
		.nvqs = c->nvqs,
		.vq_num_max = num,
		.config_size = c->config_size,
	};
	if (c->config)
		memcpy(s->config, c->config, c->config_size);
	for (unsigned int i = 0; i < c->nvqs; i++)
		s->queues[i].receive = i < 64 && c->receive >> i & 1;
}

int uvdpa_softdev_init(struct uvdpa *u, struct uvdpa_softdev *pub,
		       const struct uvdpa_softdev_conf *given)
{
	struct uvdpa_softdev_ops ops;
	struct uvdpa_softdev_conf own;
	const struct uvdpa_softdev_conf *c = &own;
	struct vd_softdev_conf sc = { 0 };
	struct soft *s;
	int r = VD_SIZED_TAKE("software device: operations", pub->ops, &ops, destroy);

	if (!r)
		r = VD_SIZED_TAKE("software device: configuration", given, &own, poll_us);
	if (!r)
		r = check(&ops, c);
	if (r)
		return r;
	sc = (struct vd_softdev_conf){ .name = c->name, .workers = c->threads, .poll_us = c->poll_us };
	s = calloc(1, sizeof(*s));
	if (!s)
		return vd_err(-ENOMEM, "%s: no memory", c->name);
	s->config = calloc(1, c->config_size + 1u);
	s->queues = calloc(c->nvqs, sizeof(*s->queues));
	if (!s->config || !s->queues) {
		r = vd_err(-ENOMEM, "%s: no memory for %u queues", c->name, c->nvqs);
		goto err_free;
	}
	fill(s, pub, &ops, c);
	r = vd_softdev_init(&s->sd, u, &s->sd_ops, &sc);
	if (r)
		goto err_free;
	for (unsigned int i = 0; i < c->nvqs; i++)
		vd_softq_set_pulled(&s->sd, i, s->queues[i].receive);
	if (c->receive)
		s->sd.dev.inflight = false;	/* nothing is in flight for long */
	s->dev_ops = *s->sd.dev.ops;
	s->dev_ops.destroy = soft_destroy;
	s->sd.dev.ops = &s->dev_ops;
	pub->dev = &s->sd.dev;
	return 0;

err_free:
	soft_free(&s->sd);
	return r;
}

void uvdpa_softdev_fini(struct uvdpa_softdev *pub)
{
	struct soft *s = soft_of(pub);

	vd_softdev_fini(&s->sd);
	soft_free(&s->sd);
}

struct uvdpa_softdev *uvdpa_softdev_of(const struct uvdpa_dev *dev)
{
	return container_of_const(container_of_const(dev, struct vd_softdev, dev), struct soft, sd)
		->pub;
}
