/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * softdev.c - the control side of a software device: its operations table, written once
 *
 * Nothing here waits for a worker. A queue is handed over with a flag and comes back with a post
 * to the loop; see worker.h.
 */
#include "softdev/softdev.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fd.h"
#include "softdev/worker.h"

static struct vd_softdev *to_sd(struct uvdpa_dev *dev)
{
	return container_of(dev, struct vd_softdev, dev);
}

struct vd_softdev *vd_softq_dev(struct vd_softq *q)
{
	return q->sd;
}

unsigned int vd_softq_index(const struct vd_softq *q)
{
	return q->idx;
}

unsigned int vd_softq_life(const struct vd_softq *q)
{
	return q->life;
}

struct vd_softq *vd_softdev_queue(struct vd_softdev *sd, unsigned int idx)
{
	return &sd->queues[idx];
}

void vd_softq_set_pulled(struct vd_softdev *sd, unsigned int idx, bool pulled)
{
	assert(!sd->queues[idx].attached);
	sd->queues[idx].pulled = pulled;
}

struct vd_worker *vd_softq_worker(struct vd_softq *q)
{
	return q->worker;
}

struct vd_engine *vd_worker_engine(struct vd_worker *w)
{
	return w->engine;
}

const struct vd_mem *vd_softq_mem(const struct vd_softq *q)
{
	return q->mem;
}

unsigned int vd_worker_epoch(const struct vd_worker *w)
{
	return w->epoch;
}

bool vd_worker_idle(const struct vd_worker *w)
{
	return !w->nrun;
}

unsigned int vd_worker_index(const struct vd_worker *w)
{
	return w->idx;
}

bool vd_softq_stopping(const struct vd_softq *q)
{
	return q->stopping;
}

bool vd_worker_stopping(const struct vd_worker *w)
{
	for (unsigned int i = 0; i < w->nrun; i++)
		if (w->run[i]->stopping)
			return true;
	return false;
}

static void order(struct vd_softq *q, enum vd_softq_want want)
{
	/* Release: q->vq and q->conf. Pairs with read_mail(). */
	__atomic_store_n(&q->want, want, __ATOMIC_RELEASE);
	vd_worker_mail(q->worker);
}

static bool all_quiet(const struct vd_softdev *sd)
{
	for (unsigned int i = 0; i < sd->dev.info.nvqs; i++)
		if (sd->queues[i].attached)
			return false;
	return true;
}

/* What the worker posted about its queue. The last answer may be the end of the device. */
static void vd_softq_event(struct vd_post *p)
{
	struct vd_softq *q = container_of(p, struct vd_softq, post);
	struct vd_softdev *sd = q->sd;
	/* Acquire: what the worker did to the queue. Pairs with tell_control(). */
	unsigned int events = __atomic_exchange_n(&q->events, 0, __ATOMIC_ACQUIRE);
	bool answer, answer_all;

	if (events & VD_SOFTQ_BROKEN) {
		vd_err(-EBADMSG, "%s", vd_virtq_error(q->vq));
		uvdpa_dev_vq_broken(&sd->dev, q->idx);
	}
	if (!(events & VD_SOFTQ_QUIET))
		return;
	q->conf.state = vd_virtq_state(q->vq);
	vd_virtq_destroy(q->vq);
	q->vq = NULL;
	q->attached = false;

	answer = q->answer;
	q->answer = false;
	answer_all = sd->answer_all && all_quiet(sd);
	if (answer_all)
		sd->answer_all = false;
	if (answer)
		uvdpa_dev_quiesced(&sd->dev, q->idx);
	if (answer_all)
		uvdpa_dev_quiesced(&sd->dev, UVDPA_VQ_ALL);
}

static int softdev_enable_vq(struct uvdpa_dev *dev, unsigned int idx)
{
	struct vd_softdev *sd = to_sd(dev);
	struct vd_softq *q = &sd->queues[idx];
	struct vd_virtq_conf conf = {
		.features = sd->features,
		.mem = vd_dev_mem(dev, idx),
		.num = q->conf.num,
		.desc = q->conf.desc,
		.driver = q->conf.driver,
		.device = q->conf.device,
		.state = q->conf.state,
		.inflight = vd_guest_wrap(void, q->conf.inflight),
		.inflight_num = q->conf.inflight_num,
		.chain_size = sd->ops->chain_size,
		.iov_max = sd->ops->iov_max,
	};
	int r;

	r = vd_virtq_create(&conf, &q->vq);
	if (r)
		return r;
	q->mem = conf.mem;
	if (vd_virtq_again(q->vq))
		vd_log_info(vd_ctx_log(sd->u), sd->name,
			    "queue %u: %u requests that a crash has left are done again", idx,
			    vd_virtq_again(q->vq));
	__atomic_store_n(&q->call, q->conf.call, __ATOMIC_RELAXED);
	q->attached = true;
	order(q, VD_SOFTQ_RUN);
	return 0;
}

static void stop_queue(struct vd_softq *q)
{
	if (q->attached && __atomic_load_n(&q->want, __ATOMIC_RELAXED) == VD_SOFTQ_RUN)
		order(q, VD_SOFTQ_STOP);
}

static void softdev_quiesce(struct uvdpa_dev *dev, unsigned int idx)
{
	struct vd_softdev *sd = to_sd(dev);

	if (idx == UVDPA_VQ_ALL) {
		if (all_quiet(sd)) {
			uvdpa_dev_quiesced(dev, idx);
			return;
		}
		sd->answer_all = true;
		for (unsigned int i = 0; i < dev->info.nvqs; i++)
			stop_queue(&sd->queues[i]);
	} else if (!sd->queues[idx].attached) {
		uvdpa_dev_quiesced(dev, idx);
	} else {
		sd->queues[idx].answer = true;
		stop_queue(&sd->queues[idx]);
	}
}

static int softdev_set_vq(struct uvdpa_dev *dev, unsigned int idx, const struct uvdpa_vq *vq)
{
	struct vd_softq *q = &to_sd(dev)->queues[idx];

	if (vq->state.avail != q->conf.state.avail || vq->state.used != q->conf.state.used ||
	    vq->desc != q->conf.desc)
		q->life++;
	q->conf = *vq;
	return 0;
}

static int softdev_get_vq(struct uvdpa_dev *dev, unsigned int idx, struct uvdpa_vq_state *ret_state)
{
	*ret_state = to_sd(dev)->queues[idx].conf.state;
	return 0;
}

/* The gate has signalled the new eventfd already, for what the old one may have been told. */
static int softdev_set_call(struct uvdpa_dev *dev, unsigned int idx, int call)
{
	struct vd_softq *q = &to_sd(dev)->queues[idx];

	q->conf.call = call;
	__atomic_store_n(&q->call, call, __ATOMIC_RELAXED);
	return 0;
}

static void softdev_kick(struct uvdpa_dev *dev, unsigned int idx, uint32_t data)
{
	struct vd_softq *q = &to_sd(dev)->queues[idx];

	(void)data;	/* the ring says the same */
	if (q->attached)
		vd_worker_wake(q->worker);
}

static void softdev_reset(struct uvdpa_dev *dev)
{
	struct vd_softdev *sd = to_sd(dev);

	for (unsigned int i = 0; i < dev->info.nvqs; i++) {
		sd->queues[i].conf = (struct uvdpa_vq){ .kick = -1, .call = -1 };
		sd->queues[i].life++;
	}
	sd->features = 0;
	sd->ops->reset(sd);
}

static int softdev_set_features(struct uvdpa_dev *dev, uint64_t features)
{
	struct vd_softdev *sd = to_sd(dev);
	int r = sd->ops->set_features(sd, features);

	if (!r)
		sd->features = features;
	return r;
}

static int softdev_set_status(struct uvdpa_dev *dev, uint8_t status)
{
	(void)dev;
	(void)status;	/* nothing a software device has to do for it, and nothing to refuse */
	return 0;
}

static int softdev_get_config(struct uvdpa_dev *dev, uint32_t off, void *buf, uint32_t len)
{
	return to_sd(dev)->ops->get_config(to_sd(dev), off, buf, len);
}

static int softdev_set_config(struct uvdpa_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
	return to_sd(dev)->ops->set_config(to_sd(dev), off, buf, len);
}

static void softdev_destroy(struct uvdpa_dev *dev)
{
	struct vd_softdev *sd = to_sd(dev);

	vd_softdev_fini(sd);
	sd->ops->destroy(sd);
}

static const struct uvdpa_dev_ops softdev_ops = {
	.reset = softdev_reset,
	.set_features = softdev_set_features,
	.set_status = softdev_set_status,
	.get_config = softdev_get_config,
	.set_config = softdev_set_config,
	.set_vq = softdev_set_vq,
	.set_call = softdev_set_call,
	.enable_vq = softdev_enable_vq,
	.quiesce = softdev_quiesce,
	.get_vq = softdev_get_vq,
	.kick = softdev_kick,
	.destroy = softdev_destroy,
};

void vd_softdev_set_limits(struct vd_softdev *sd, const struct vd_softdev_limits *limits)
{
	sd->limits = *limits;
	vd_limit_set(&sd->iops, limits->iops, limits->iops_burst);
	vd_limit_set(&sd->bps, limits->bps, limits->bps_burst);
	__atomic_store_n(&sd->limited, limits->iops || limits->bps, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < sd->nworkers; i++)
		vd_worker_mail(&sd->workers[i]);
}

/* "read_took_p50_ns" and so on, of each kind that there was any of. */
static void emit_took(const char *kind, const struct vd_hist *h, struct uvdpa_emit *e)
{
	struct vd_hist_sum s = vd_hist_sum(h);
	const struct {
		const char *name;
		uint64_t value;
	} sums[] = {
		{ "requests", s.count },    { "took_p50_ns", s.p50 }, { "took_p99_ns", s.p99 },
		{ "took_p999_ns", s.p999 }, { "took_max_ns", s.max },
		{ "took_sum_ns", s.sum },
	};
	char key[64], text[VD_HIST_TEXT];

	for (size_t i = 0; i < VD_ARRAY_SIZE(sums) && s.count; i++) {
		snprintf(key, sizeof(key), "%s_%s", kind, sums[i].name);
		e->num(e, key, sums[i].value);
	}
	if (!s.count)
		return;
	snprintf(key, sizeof(key), "%s_took_ns", kind);
	vd_hist_text(h, text, sizeof(text));
	e->str(e, key, text);
}

int vd_softq_emit(struct vd_softdev *sd, unsigned int idx, struct uvdpa_emit *e)
{
	const struct vd_softdev_ops *ops = sd->ops;
	const struct vd_softq_stats *s = &sd->queues[idx].stats;
	const struct {
		const char *name;
		const uint64_t *value;
	} counters[] = {
		{ "requests", &s->requests }, { "bytes_in", &s->bytes_in },
		{ "bytes_out", &s->bytes_out }, { "errors", &s->errors },
		{ "kicks", &s->kicks }, { "calls", &s->calls },
		{ "bursts", &s->bursts }, { "sleeps", &s->sleeps },
	};

	for (size_t i = 0; i < VD_ARRAY_SIZE(counters); i++)
		e->num(e, counters[i].name,
		       __atomic_load_n(counters[i].value, __ATOMIC_RELAXED));
	for (size_t i = 0; i < VD_SOFTQ_KINDS && ops->kinds[i]; i++)
		emit_took(ops->kinds[i], &s->took[i], e);
	return 0;
}

static int softdev_stats(struct uvdpa_dev *dev, unsigned int idx, struct uvdpa_emit *e)
{
	return to_sd(dev)->ops->stats(to_sd(dev), idx, e);
}

static const struct uvdpa_stats_ops softdev_stats_ops = { .get = softdev_stats };

static void init_queue(struct vd_softdev *sd, unsigned int idx, unsigned int span)
{
	struct vd_softq *q = &sd->queues[idx];

	q->sd = sd;
	q->idx = idx;
	q->worker = &sd->workers[idx / span % sd->nworkers];
	q->conf.kick = q->conf.call = q->call = q->kick = -1;
	q->post.fn = vd_softq_event;
}

/* Zeroed, on its own cache lines. */
static void *alloc_lines(size_t size)
{
	void *p = aligned_alloc(VD_CACHE_LINE, vd_align_up(size, VD_CACHE_LINE));

	return p ? memset(p, 0, size) : NULL;
}

void vd_softdev_begin(struct vd_softdev *sd, struct uvdpa *u, const struct vd_softdev_ops *ops)
{
	sd->ops = ops;
	sd->u = u;
	sd->dev.ops = &softdev_ops;
}

int vd_softdev_init(struct vd_softdev *sd, struct uvdpa *u, const struct vd_softdev_ops *ops,
		    const struct vd_softdev_conf *conf)
{
	unsigned int nqueues = sd->dev.info.nvqs, started = 0;
	int r;

	vd_softdev_begin(sd, u, ops);
	sd->features = 0;
	sd->answer_all = false;
	vd_softdev_set_limits(sd, &conf->limits);
	sd->nworkers = vd_min(vd_max(conf->workers, 1u), nqueues);
	snprintf(sd->name, sizeof(sd->name), "%s", conf->name);
	sd->dev.stats = &softdev_stats_ops;
	sd->dev.inflight = true;

	sd->queues = alloc_lines(nqueues * sizeof(*sd->queues));
	sd->workers = alloc_lines(sd->nworkers * sizeof(*sd->workers));
	if (!sd->queues || !sd->workers) {
		r = vd_err(-ENOMEM, "%s: no memory for %u queues", sd->name, nqueues);
		goto err_free;
	}
	for (unsigned int i = 0; i < nqueues; i++)
		init_queue(sd, i, vd_max(conf->span, 1u));
	for (; started < sd->nworkers; started++) {
		r = vd_worker_start(&sd->workers[started], sd, started, conf->poll_us);
		if (r)
			goto err_end;
	}
	return 0;

err_end:
	while (started > 0)
		vd_worker_end(&sd->workers[--started]);
err_free:
	free(sd->workers);
	free(sd->queues);
	sd->workers = NULL;
	sd->queues = NULL;
	sd->nworkers = sd->dev.info.nvqs = 0;
	return r;
}

void vd_softdev_fini(struct vd_softdev *sd)
{
	for (unsigned int i = 0; i < sd->nworkers; i++)
		vd_worker_end(&sd->workers[i]);
	for (unsigned int i = 0; i < sd->dev.info.nvqs; i++)
		vd_post_del(vd_ctx_loop(sd->u), &sd->queues[i].post);
	free(sd->workers);
	free(sd->queues);
}
