/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net.c - the virtio network device, and what is transmitted (virtio 1.3, 5.1.6.2)
 *
 *	| header, 12 bytes, or 20 with HASH_REPORT | frame |
 *
 * How the driver cuts this into descriptors is its own affair (ANY_LAYOUT). The header is copied
 * out once, checked, and never looked at again; the frame stays where it is. What makes no sense
 * (a frame that is too short or too long, work left to us that was not negotiated, or that lies
 * outside of the frame) is given back as if it had been sent, and counted as an error.
 */
#include "softdev/net.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/err.h"
#include "base/thread.h"
#include "softdev/worker.h"

#define EVENTS	 16
#define FEWER_MS 20

static_assert(sizeof(struct virtio_net_hdr) == 10, "virtio 1.3, 5.1.6, without num_buffers");

static struct vd_net *to_net(struct vd_softdev *sd)
{
	return container_of(sd, struct vd_net, sd);
}

/* ---- for parents that need nothing of it ------------------------------------------------------- */

int vd_net_no_fd(struct vd_net *net, unsigned int pair)
{
	(void)net, (void)pair;
	return -1;
}

void vd_net_any_offloads(struct vd_net *net, uint64_t guest)
{
	(void)net, (void)guest;
}

void vd_net_any_pairs(struct vd_net *net, unsigned int pairs)
{
	vd_net_spread(net, pairs);
}

void vd_net_show_nothing(struct vd_net *net, struct uvdpa_emit *e)
{
	(void)net, (void)e;
}

void vd_net_reset_nothing(struct vd_net *net)
{
	(void)net;
}

/* ---- transmit -------------------------------------------------------------------------------------- */

/* The feature without which a driver may not leave this to us; 0: there is no such thing. */
static uint64_t gso_feature(uint8_t type)
{
	switch (type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return VD_NET_F(HOST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return VD_NET_F(HOST_TSO6);
	case VIRTIO_NET_HDR_GSO_UDP:
		return VD_NET_F(HOST_UFO);
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return VD_NET_F(HOST_USO);
	}
	return 0;
}

/* Work that is left to us (virtio 1.3, 5.1.6.2). Return: false: it cannot be done. */
static vd_noinline bool take_offloads(const struct vd_net *net, const struct virtio_net_hdr *h,
				      struct vd_net_frame *f)
{
	uint8_t type = h->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	struct vd_net_hdr *hdr = &f->hdr;

	*hdr = (struct vd_net_hdr){
		.flags = h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,	/* the rest is for us to say */
		.gso_type = h->gso_type,
	};
	if (hdr->flags) {
		hdr->csum_start = le16toh(h->csum_start);
		hdr->csum_offset = le16toh(h->csum_offset);
		if (!vd_net_has(net, VD_NET_F(CSUM)) ||
		    hdr->csum_start + hdr->csum_offset + 2u > f->len)
			return false;
	}
	if (h->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return true;
	hdr->gso_size = le16toh(h->gso_size);
	hdr->hdr_len = le16toh(h->hdr_len);
	if (h->gso_type & VIRTIO_NET_HDR_GSO_ECN && !vd_net_has(net, VD_NET_F(HOST_ECN)))
		return false;
	return hdr->flags && hdr->gso_size && hdr->hdr_len <= f->len &&
	       vd_net_has(net, gso_feature(type));
}

/* The header lies in several pieces, or there is not all of it. */
static vd_noinline bool take_header(const struct vd_net *net, struct vd_chain *c,
				    struct virtio_net_hdr *ret_h, struct vd_net_frame *f)
{
	struct vd_sg sg = vd_sg(c->iov, c->nout);

	if (vd_sg_read(&sg, ret_h, sizeof(*ret_h)) < sizeof(*ret_h) ||
	    vd_sg_skip(&sg, net->hdr_len - sizeof(*ret_h)) < net->hdr_len - sizeof(*ret_h))
		return false;
	f->iov = sg.iov;
	f->niov = sg.n;
	if (sg.off) {
		sg.iov->base += sg.off;
		sg.iov->len -= sg.off;
	}
	return true;
}

/* Return: false: there is no frame in it. */
static bool decode(const struct vd_net *net, struct vd_chain *c, struct vd_net_frame *f)
{
	struct virtio_net_hdr h;

	f->chain = c;
	f->head = NULL;
	f->len = c->out_len - net->hdr_len;
	if (vd_unlikely(f->len - VD_NET_HLEN > VD_NET_FRAME_MAX - VD_NET_HLEN))
		return false;
	if (vd_likely(c->iov->len > net->hdr_len)) {
		vd_guest_read(&h, c->iov->base, sizeof(h));
		c->iov->base += net->hdr_len;
		c->iov->len -= net->hdr_len;
		f->iov = c->iov;
		f->niov = c->nout;
	} else if (!take_header(net, c, &h, f)) {
		return false;
	}
	if (vd_likely(!h.flags && !h.gso_type)) {
		f->hdr = (struct vd_net_hdr){ 0 };
		return true;
	}
	return take_offloads(net, &h, f);
}

static void give_all(struct vd_softq *q, struct vd_chain **chains, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		chains[i]->written = 0;
	vd_softq_give(q, chains, n);
}

void vd_net_sent(struct vd_net_pair *pair, const struct vd_net_frame *frames, unsigned int n)
{
	struct vd_chain *chains[VD_SOFTQ_BURST];
	unsigned int nchains = 0;
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < n; i++) {
		chains[nchains] = frames[i].chain;
		nchains += frames[i].chain != NULL;
		bytes += frames[i].len;
	}
	vd_net_count(&pair->sent.packets, n);
	vd_net_count(&pair->sent.bytes, bytes);
	give_all(pair->tx, chains, nchains);
}

void vd_net_tx_drop(struct vd_net_pair *pair, const struct vd_net_frame *frame, uint64_t *counter)
{
	struct vd_chain *chain = frame->chain;

	vd_net_count(counter, 1);
	give_all(pair->tx, &chain, chain != NULL);
}

static void block(struct vd_net_pair *pair, bool blocked)
{
	pair->tx_blocked = blocked;
	vd_softq_pause(pair->tx, blocked);
}

void vd_net_tx_retry(struct vd_net_pair *pair)
{
	block(pair, false);
}

void vd_net_tx_wait(struct vd_net_pair *pair)
{
	block(pair, true);
}

static void transmit(struct vd_net_pair *pair, struct vd_chain **chains, unsigned int n)
{
	struct vd_net *net = pair->net;
	struct vd_net_frame frames[VD_SOFTQ_BURST];
	unsigned int from = 0, at = 0, sent;

	/* A header that ends a line has the frame in the next one. */
	for (unsigned int i = 0; i < n; i++) {
		vd_prefetch_read(chains[i]->iov->base + net->hdr_len);
		vd_prefetch_read(chains[i]->iov->base);
	}
	while (from < n) {
		while (at < n && decode(net, chains[at], &frames[at - from]))
			at++;
		if (vd_unlikely(vd_net_learns(net)))
			vd_net_learn(pair, frames, at - from);
		sent = at > from ? net->ops->send(net, pair, frames, at - from) : 0;
		if (vd_unlikely(sent < at - from)) {
			vd_softq_untake(pair->tx, chains + from + sent, n - from - sent);
			block(pair, true);
			return;
		}
		if (vd_unlikely(at < n)) {
			vd_net_count(&pair->sent.errors, 1);
			give_all(pair->tx, chains + at++, 1);
		}
		from = at;
	}
}

static void net_handle(struct vd_softq *q, struct vd_chain **chains, unsigned int n)
{
	struct vd_net *net = to_net(vd_softq_dev(q));
	unsigned int idx = vd_softq_index(q);
	struct vd_net_pair *pair = &net->pairs[idx / 2];

	if (vd_unlikely(idx == net->ctrl_idx)) {
		vd_net_ctrl(q, chains, n);
	} else if (vd_unlikely(idx >= 2 * net->conf.max_vqp)) {
		give_all(q, chains, n);	/* a control queue without CTRL_VQ */
	} else if (vd_likely(__atomic_load_n(&net->link_up, __ATOMIC_RELAXED))) {
		transmit(pair, chains, n);
	} else {
		vd_net_count(&pair->sent.drops, n);
		give_all(q, chains, n);
	}
}

/* ---- which pairs are used ---------------------------------------------------------------------------- *
 *
 * The driver says how many, if the control queue is ours. A virtual machine monitor may keep that to
 * itself, as QEMU does, and runs the queues that are used. A pair that does not run gets nothing: who
 * comes back with another flow than it went finds nobody.
 */

/* Does the driver say how many? It will, if it has run a control queue; without one, all are used. */
static void who_says(struct vd_net *net)
{
	if (!vd_net_has(net, VD_NET_F(MQ) | VD_NET_F(RSS)) ||
	    (net->ctrl_idx != UINT_MAX && net->sd.queues[net->ctrl_idx].vq))
		__atomic_store_n(&net->driver_says, true, __ATOMIC_RELAXED);
	if (!__atomic_load_n(&net->driver_says, __ATOMIC_RELAXED))
		__atomic_store_n(&net->used_pairs, net->conf.max_vqp, __ATOMIC_RELAXED);
}

/* Return: how many of the first run and are used; 0: it is only a moment, or the end. */
static unsigned int pairs_now(const struct vd_net *net)
{
	unsigned int n = __atomic_load_n(&net->used_pairs, __ATOMIC_RELAXED);

	while (n && !__atomic_load_n(&net->pairs[n - 1].runs, __ATOMIC_RELAXED))
		n--;
	return n;
}

static void ask(struct vd_net *net, unsigned int pairs)
{
	net->asked = pairs;
	net->ops->set_pairs(net, pairs);
}

void vd_net_spread(struct vd_net *net, unsigned int pairs)
{
	unsigned int was = net->spread;

	pairs = vd_min(pairs, net->asked);
	__atomic_store_n(&net->spread, pairs, __ATOMIC_RELAXED);
	for (unsigned int i = was; i < pairs; i++)
		vd_worker_wake(net->pairs[i].worker);
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

	if (!n || n >= net->asked)
		return;
	/* Nobody looks at a pair of which the parent knows that it is not used. */
	__atomic_store_n(&net->spread, vd_min(n, net->spread), __ATOMIC_RELAXED);
	ask(net, n);
}

static void settle_later(struct vd_net *net)
{
	vd_loop_post(vd_ctx_loop(net->sd.u), &net->settle);
}

/* ---- a worker's pairs ------------------------------------------------------------------------------- */

struct vd_net_worker {
	struct vd_engine engine;
	struct vd_net *net;
	struct vd_worker *w;
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
	struct epoll_event ev = { .events = events, .data.ptr = p };

	if (p->fd < 0 || p->watched == events)
		return;
	epoll_ctl(nw->engine.fd, !p->watched ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL,
		  p->fd, &ev);
	p->watched = events;
}

void vd_net_pair_set_fd(struct vd_net_pair *pair, int fd)
{
	watch(&pair->net->workers[vd_worker_index(pair->worker)], pair, 0);
	pair->fd = fd;
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
		if (vd_unlikely(p->tx_blocked)) {
			watch(nw, p, p->watched | EPOLLOUT);	/* who is busy never arms */
			blocked |= p->watched != 0;
		}
	}
	if (vd_unlikely(blocked))
		look_for_room(nw);
	if (vd_unlikely(__atomic_load_n(&nw->net->rarp.mac, __ATOMIC_RELAXED)) &&
	    nw->net->pairs->worker == nw->w)
		vd_net_rarp_send(nw->net);
	return n;
}

static bool engine_arm(struct vd_engine *e)
{
	struct vd_net_worker *nw = to_worker(e);

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

static int net_worker_start(struct vd_softdev *sd, struct vd_worker *w, struct vd_engine **ret_engine)
{
	struct vd_net *net = to_net(sd);
	struct vd_net_worker *nw = &net->workers[vd_worker_index(w)];
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return vd_err(-errno, "%s: epoll: %m", sd->name);
	*nw = (struct vd_net_worker){ { &engine_ops, fd }, net, w };
	for (struct vd_net_pair *p = next_pair(nw, NULL); p; p = next_pair(nw, p)) {
		p->rx = vd_softdev_queue(sd, 2 * p->idx);
		p->tx = vd_softdev_queue(sd, 2 * p->idx + 1);
		p->worker = w;
		p->fd = net->ops->pair_fd(net, p->idx);
	}
	*ret_engine = &nw->engine;
	return 0;
}

/* ---- the device --------------------------------------------------------------------------------------- */

void vd_net_set_status(struct vd_net *net, uint16_t bit, bool on)
{
	if (on)
		__atomic_fetch_or(&net->config.status, htole16(bit), __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&net->config.status, (uint16_t)~htole16(bit), __ATOMIC_RELAXED);
}

void vd_net_use_pairs(struct vd_net *net, unsigned int pairs)
{
	__atomic_store_n(&net->driver_says, true, __ATOMIC_RELAXED);
	__atomic_store_n(&net->used_pairs, pairs, __ATOMIC_RELAXED);
	settle_later(net);
}

static void pairs_begin(struct vd_net *net)
{
	__atomic_store_n(&net->driver_says, false, __ATOMIC_RELAXED);
	__atomic_store_n(&net->used_pairs, 1, __ATOMIC_RELAXED);
	settle_later(net);
}

void vd_net_use_offloads(struct vd_net *net, uint64_t guest)
{
	__atomic_store_n(&net->guest_offloads, guest, __ATOMIC_RELAXED);
	net->ops->set_offloads(net, guest);
}

static int net_set_features(struct vd_softdev *sd, uint64_t features)
{
	struct vd_net *net = to_net(sd);
	uint64_t many = VD_NET_F(MQ) | VD_NET_F(RSS);

	net->hdr_len = features & VD_NET_F(HASH_REPORT) ? sizeof(struct virtio_net_hdr_v1_hash)
							: sizeof(struct virtio_net_hdr_v1);
	net->mergeable = features & VD_NET_F(MRG_RXBUF);
	net->ctrl_idx = UINT_MAX;
	if (features & VD_NET_F(CTRL_VQ))
		net->ctrl_idx = features & many ? 2 * net->conf.max_vqp : 2;
	for (unsigned int i = 0; i < 2 * net->conf.max_vqp; i += 2)
		vd_softq_set_pulled(sd, i, i != net->ctrl_idx);
	vd_net_steer_reset(net, features);
	pairs_begin(net);
	/* Its control queue may be what was a receive queue of the driver before. */
	if (!(features & many)) {
		__atomic_store_n(&net->spread, 1, __ATOMIC_RELAXED);
		if (net->asked > 1)
			ask(net, 1);
	}
	vd_net_use_offloads(net, features & VD_NET_GUEST_OFFLOADS);
	return 0;
}

static int net_get_config(struct vd_softdev *sd, uint32_t off, void *buf, uint32_t len)
{
	struct virtio_net_config c = to_net(sd)->config;

	c.status = __atomic_load_n(&to_net(sd)->config.status, __ATOMIC_RELAXED);
	vd_net_mac_bytes(__atomic_load_n(&to_net(sd)->mac, __ATOMIC_RELAXED), c.mac);
	memcpy(buf, (const char *)&c + off, len);
	return 0;
}

/* The address can be written only by legacy drivers (virtio 1.3, 5.1.4). */
static int net_set_config(struct vd_softdev *sd, uint32_t off, const void *buf, uint32_t len)
{
	(void)buf;
	return vd_err(-EOPNOTSUPP, "%s: configuration bytes %u to %u: not writable", sd->name, off,
		      off + len - 1);
}

static void net_held(struct vd_softdev *sd, struct vd_worker *w)
{
	(void)sd, (void)w;
}

static void net_reset(struct vd_softdev *sd)
{
	struct vd_net *net = to_net(sd);

	net->ctrl_idx = UINT_MAX;
	vd_net_steer_reset(net, 0);
	pairs_begin(net);
	vd_net_use_offloads(net, 0);
	vd_net_set_status(net, VIRTIO_NET_S_ANNOUNCE, false);
	__atomic_store_n(&net->mac, vd_net_mac_number(net->conf.mac), __ATOMIC_RELAXED);
	net->ops->reset(net);
}

static void net_destroy(struct vd_softdev *sd)
{
	struct vd_net *net = to_net(sd);

	vd_post_del(vd_ctx_loop(sd->u), &net->settle);
	vd_timer_del(vd_ctx_loop(sd->u), &net->fewer);
	free(net->pairs);
	free(net->workers);
	net->ops->destroy(net);
}

static const struct vd_softdev_ops net_softdev_ops = {
	.chain_size = sizeof(struct vd_chain),
	.iov_max = VD_NET_PIECES,
	.handle = net_handle,
	.held = net_held,
	.worker_start = net_worker_start,
	.stats = vd_net_stats,
	.set_features = net_set_features,
	.get_config = net_get_config,
	.set_config = net_set_config,
	.reset = net_reset,
	.destroy = net_destroy,
};

static void settle_link(struct vd_net *net)
{
	bool up = net->link_wanted && net->carrier;

	if (__atomic_exchange_n(&net->link_up, up, __ATOMIC_RELAXED) == up)
		return;
	vd_net_set_status(net, VIRTIO_NET_S_LINK_UP, up);
	uvdpa_dev_config_changed(&net->sd.dev);
	for (unsigned int i = 0; up && i < net->sd.nworkers; i++)	/* what has come may go on */
		vd_worker_wake(&net->sd.workers[i]);
}

void vd_net_set_link(struct vd_net *net, bool wanted)
{
	__atomic_store_n(&net->link_wanted, wanted, __ATOMIC_RELAXED);
	settle_link(net);
}

void vd_net_set_carrier(struct vd_net *net, bool carrier)
{
	net->carrier = carrier;
	settle_link(net);
}

void vd_net_announce(struct vd_net *net)
{
	if (!vd_net_has(net, VD_NET_F(GUEST_ANNOUNCE)))
		return;
	vd_net_set_status(net, VIRTIO_NET_S_ANNOUNCE, true);
	uvdpa_dev_config_changed(&net->sd.dev);
}

void vd_net_wake(struct vd_net_pair *pair)
{
	vd_worker_wake(pair->worker);
}

void vd_net_begin(struct vd_net *net, struct uvdpa *u, const struct vd_net_ops *ops)
{
	net->ops = ops;
	net->settle.fn = settle;
	net->fewer.fn = fewer_settled;
	net->sd.dev.info.device_id = VIRTIO_ID_NET;
	vd_softdev_begin(&net->sd, u, &net_softdev_ops);
}

int vd_net_init(struct vd_net *net, struct uvdpa *u, const struct vd_net_ops *ops,
		const struct vd_net_conf *conf)
{
	struct vd_net_conf *c = &net->conf;
	int r;

	*c = *conf;
	r = vd_net_complete(c);
	if (r)
		return r;
	vd_net_begin(net, u, ops);
	net->link_wanted = !c->link_down;
	net->carrier = !c->no_carrier;
	net->link_up = net->link_wanted && net->carrier;
	net->ctrl_idx = UINT_MAX;
	net->hdr_len = sizeof(struct virtio_net_hdr_v1);
	net->used_pairs = net->spread = net->asked = 1;
	net->mac = vd_net_mac_number(c->mac);
	net->fragment_id = (uint32_t)vd_now_ns();	/* not the one that was there before */
	net->sd.dev.info = (struct uvdpa_dev_info){
		.device_id = VIRTIO_ID_NET,
		.features = vd_net_features(c),
		.nvqs = 2 * c->max_vqp + 1,
		.vq_num_max = c->queue_size,
		.vq_num_min = 1,
		.config_size = sizeof(net->config),
		.ngroups = 1,
		.nas = 1,
		.iova_last = UINT64_MAX,
	};
	vd_net_fill_config(net);
	net->sd.dev.set = &vd_net_set_ops;
	net->sd.dev.show = &vd_net_show_ops;
	net->pairs = calloc(c->max_vqp, sizeof(*net->pairs));
	net->workers = calloc(c->soft.workers, sizeof(*net->workers));
	if (!net->pairs || !net->workers) {
		r = vd_err(-ENOMEM, "%s: no memory for %u pairs", c->soft.name, c->max_vqp);
		goto err_free;
	}
	for (unsigned int i = 0; i < c->max_vqp; i++) {
		net->pairs[i].net = net;
		net->pairs[i].idx = i;
		net->pairs[i].fd = -1;
	}
	r = vd_softdev_init(&net->sd, u, &net_softdev_ops, &c->soft);
	if (r)
		goto err_free;
	net->sd.dev.inflight = false;	/* nothing is in flight for long */
	vd_net_steer_reset(net, 0);
	return 0;

err_free:
	free(net->pairs);
	free(net->workers);
	net->pairs = NULL;
	net->workers = NULL;
	return r;
}
