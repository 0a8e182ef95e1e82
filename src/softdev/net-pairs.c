/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-pairs.c - the pairs of queues of a network device: which are used, and how a worker serves its own
 *
 * The driver says how many are used, if the control queue is ours. A virtual machine monitor may keep
 * that to itself, as QEMU does, and runs the queues that are used. A pair that does not run gets
 * nothing: who comes back with another flow than it went finds nobody.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "softdev/net.h"
#include "softdev/worker.h"

#define EVENTS	 16
#define AWAKE	 64 /* rounds without sleep */
#define FEWER_MS 20

/* Those that come to it were passed over when their workers looked last, and may sleep. */
static void set_used(struct vd_net *net, unsigned int pairs)
{
	unsigned int was = __atomic_exchange_n(&net->used_pairs, pairs, __ATOMIC_ACQ_REL);

	for (unsigned int i = was; i < pairs; i++)
		vd_worker_wake(net->pairs[i].worker);
}

/* Does the driver say how many? It will, if it has run a control queue; without one, all are used. */
static void who_says(struct vd_net *net)
{
	if (!vd_net_has(net, VD_NET_F(MQ) | VD_NET_F(RSS)) ||
	    (net->ctrl_idx != UINT_MAX && net->sd.queues[net->ctrl_idx].vq))
		__atomic_store_n(&net->driver_says, true, __ATOMIC_RELAXED);
	if (!__atomic_load_n(&net->driver_says, __ATOMIC_RELAXED))
		set_used(net, net->conf.max_vqp);
}

/* Return: how many of the first run and are used; 0: it is only a moment, or the end. */
static unsigned int pairs_now(const struct vd_net *net)
{
	unsigned int n = __atomic_load_n(&net->used_pairs, __ATOMIC_RELAXED);

	while (n && !__atomic_load_n(&net->pairs[n - 1].runs, __ATOMIC_RELAXED))
		n--;
	return n;
}

/* Those that the parent has, as far as they are used. */
static void spread(struct vd_net *net)
{
	unsigned int was = net->spread, pairs = vd_min(net->given, net->asked);

	__atomic_store_n(&net->spread, pairs, __ATOMIC_RELAXED);
	for (unsigned int i = was; i < pairs; i++)
		vd_worker_wake(net->pairs[i].worker);
}

static void ask(struct vd_net *net, unsigned int pairs)
{
	net->asked = pairs;
	spread(net);
	net->ops->set_pairs(net, pairs);
}

void vd_net_spread(struct vd_net *net, unsigned int pairs)
{
	net->given = pairs;
	spread(net);
}

static void settle(struct vd_post *post)
{
	struct vd_net *net = container_of(post, struct vd_net, settle);
	unsigned int n;

	who_says(net);
	n = pairs_now(net);
	if (n > net->asked)
		ask(net, n);
	else if (n && n < net->asked && !net->fewer.armed)
		vd_timer_set(vd_ctx_loop(net->sd.u), &net->fewer, FEWER_MS);
}

/* Less than there were, and not only until all of them have been stopped or begun. */
static void fewer_settled(struct vd_timer *t)
{
	struct vd_net *net = container_of(t, struct vd_net, fewer);
	unsigned int n = pairs_now(net);

	if (n && n < net->asked)
		ask(net, n);
}

static void settle_later(struct vd_net *net)
{
	vd_loop_post(vd_ctx_loop(net->sd.u), &net->settle);
}

void vd_net_pairs_one(struct vd_net *net)
{
	if (net->asked > 1)
		ask(net, 1);
}

void vd_net_use_pairs(struct vd_net *net, unsigned int pairs)
{
	__atomic_store_n(&net->driver_says, true, __ATOMIC_RELAXED);
	set_used(net, pairs);
	settle_later(net);
}

void vd_net_pairs_begin(struct vd_net *net)
{
	__atomic_store_n(&net->driver_says, false, __ATOMIC_RELAXED);
	__atomic_store_n(&net->used_pairs, 1, __ATOMIC_RELAXED);
	settle_later(net);
}

/* ---- a worker's pairs ------------------------------------------------------------------------ */

struct vd_net_worker {
	struct vd_engine engine;
	struct vd_net *net;
	struct vd_worker *w;
	unsigned int rounds;	/* since it was about to sleep */
};

static struct vd_net_worker *to_worker(struct vd_engine *e)
{
	return container_of(e, struct vd_net_worker, engine);
}

/* The next pair of this worker after @pair, or the first; NULL: no more. */
static struct vd_net_pair *next_pair(const struct vd_net_worker *nw, const struct vd_net_pair *pair)
{
	unsigned int idx = pair ? pair->idx + nw->net->sd.nworkers : vd_worker_index(nw->w);

	return idx < nw->net->conf.max_vqp ? &nw->net->pairs[idx] : NULL;
}

static void engine_submit(struct vd_engine *e)
{
	(void)e;
}

/* Is it among those that frames are spread among, and has buffers? */
static bool receives(struct vd_net_pair *p)
{
	if (vd_unlikely(vd_softq_runs(p->rx) != p->runs)) {
		__atomic_store_n(&p->runs, !p->runs, __ATOMIC_RELAXED);
		p->short_since_ns = 0;
		settle_later(p->net);
	}
	return p->idx < __atomic_load_n(&p->net->spread, __ATOMIC_RELAXED) &&
	       p->idx < __atomic_load_n(&p->net->used_pairs, __ATOMIC_RELAXED) &&
	       vd_softq_fed(p->rx);
}

/* Which pairs that could not send may go on? */
static void look_for_room(struct vd_net_worker *nw)
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(nw->engine.fd, ev, EVENTS, 0);

	for (int i = 0; i < n; i++) {
		struct vd_net_pair *p = ev[i].data.ptr;

		if (!p->tx_blocked || !(ev[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
			continue;
		vd_net_tx_retry(p);
		nw->net->ops->send(nw->net, p, NULL, 0);
	}
}

static void watch(struct vd_net_worker *nw, struct vd_net_pair *p, uint32_t events)
{
	if (p->fd >= 0)
		vd_epoll_set(nw->engine.fd, p->fd, &p->watched, events, p);
}

void vd_net_pair_set_fd(struct vd_net_pair *pair, int fd)
{
	watch(&pair->net->workers[vd_worker_index(pair->worker)], pair, 0);
	pair->fd = fd;
	pair->watched = 0;
}

/* Who has not slept for long need not be woken; and who is, costs the kernel time with each frame. */
static void stay_awake(struct vd_net_worker *nw)
{
	for (struct vd_net_pair *p = next_pair(nw, NULL); p; p = next_pair(nw, p))
		if (!p->tx_blocked)
			watch(nw, p, 0);
}

static unsigned int engine_reap(struct vd_engine *e)
{
	struct vd_net_worker *nw = to_worker(e);
	const struct vd_net_ops *ops = nw->net->ops;
	unsigned int n = 0;
	bool blocked = false;

	for (struct vd_net_pair *p = next_pair(nw, NULL); p; p = next_pair(nw, p)) {
		if (receives(p))
			n += ops->receive(nw->net, p);
		if (vd_unlikely(p->tx_blocked) && __atomic_exchange_n(&p->tx_again, false, __ATOMIC_ACQUIRE))
			vd_net_tx_retry(p);
		if (vd_unlikely(p->tx_blocked)) {
			watch(nw, p, p->watched | EPOLLOUT);	/* who is busy never arms */
			blocked |= p->watched != 0;
		}
	}
	if (vd_unlikely(blocked))
		look_for_room(nw);
	if (vd_unlikely(++nw->rounds == AWAKE))
		stay_awake(nw);
	if (vd_unlikely(__atomic_load_n(&nw->net->rarp.mac, __ATOMIC_RELAXED)) &&
	    nw->net->pairs->worker == nw->w)
		vd_net_rarp_send(nw->net);
	return n;
}

static bool engine_arm(struct vd_engine *e)
{
	struct vd_net_worker *nw = to_worker(e);

	nw->rounds = 0;
	for (struct vd_net_pair *p = next_pair(nw, NULL); p; p = next_pair(nw, p))
		watch(nw, p, (receives(p) && !p->short_since_ns ? (uint32_t)EPOLLIN : 0) |
				     (p->tx_blocked ? (uint32_t)EPOLLOUT : 0));
	return false;
}

static void engine_destroy(struct vd_engine *e)
{
	close(e->fd);
}

static const struct vd_engine_ops engine_ops = {
	.submit = engine_submit,
	.reap = engine_reap,
	.arm = engine_arm,
	.destroy = engine_destroy,
};

int vd_net_worker_start(struct vd_softdev *sd, struct vd_worker *w, struct vd_engine **ret_engine)
{
	struct vd_net *net = container_of(sd, struct vd_net, sd);
	struct vd_net_worker *nw = &net->workers[vd_worker_index(w)];
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return vd_err(-errno, "%s: epoll: %m", sd->name);
	*nw = (struct vd_net_worker){ .engine = { &engine_ops, fd }, .net = net, .w = w };
	for (struct vd_net_pair *p = next_pair(nw, NULL); p; p = next_pair(nw, p)) {
		p->rx = vd_softdev_queue(sd, 2 * p->idx);
		p->tx = vd_softdev_queue(sd, 2 * p->idx + 1);
		p->worker = w;
		p->fd = net->ops->pair_fd(net, p->idx);
	}
	*ret_engine = &nw->engine;
	return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

int vd_net_pairs_init(struct vd_net *net)
{
	const struct vd_net_conf *c = &net->conf;

	net->pairs = calloc(c->max_vqp, sizeof(*net->pairs));
	net->workers = calloc(c->soft.workers, sizeof(*net->workers));
	if (!net->pairs || !net->workers) {
		vd_net_pairs_fini(net);
		return vd_err(-ENOMEM, "%s: no memory for %u pairs", c->soft.name, c->max_vqp);
	}
	for (unsigned int i = 0; i < c->max_vqp; i++) {
		net->pairs[i].net = net;
		net->pairs[i].idx = i;
		net->pairs[i].fd = -1;
	}
	net->settle.fn = settle;
	net->fewer.fn = fewer_settled;
	net->used_pairs = net->spread = net->given = net->asked = 1;
	return 0;
}

void vd_net_pairs_fini(struct vd_net *net)
{
	vd_post_del(vd_ctx_loop(net->sd.u), &net->settle);
	vd_timer_del(vd_ctx_loop(net->sd.u), &net->fewer);
	free(net->pairs);
	free(net->workers);
	net->pairs = NULL;
	net->workers = NULL;
}
