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
#include <string.h>

#include "base/err.h"
#include "base/thread.h"
#include "softdev/worker.h"


static_assert(sizeof(struct virtio_net_hdr) == 10, "virtio 1.3, 5.1.6, without num_buffers");

static struct vd_net *to_net(struct vd_softdev *sd)
{
	return container_of(sd, struct vd_net, sd);
}

/* ---- for parents that need nothing of it ----------------------------------------------------- */

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

/* ---- transmit -------------------------------------------------------------------------------- */

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

/* ---- the device ------------------------------------------------------------------------------ */

void vd_net_set_status(struct vd_net *net, uint16_t bit, bool on)
{
	if (on)
		__atomic_fetch_or(&net->config.status, htole16(bit), __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&net->config.status, (uint16_t)~htole16(bit), __ATOMIC_RELAXED);
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
	vd_net_pairs_begin(net);
	/* Its control queue may be what was a receive queue of the driver before. */
	if (!(features & many))
		vd_net_pairs_one(net);
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
	vd_net_pairs_begin(net);
	vd_net_use_offloads(net, 0);
	vd_net_set_status(net, VIRTIO_NET_S_ANNOUNCE, false);
	__atomic_store_n(&net->mac, vd_net_mac_number(net->conf.mac), __ATOMIC_RELAXED);
	net->ops->reset(net);
}

static void net_destroy(struct vd_softdev *sd)
{
	struct vd_net *net = to_net(sd);

	vd_net_pairs_fini(net);
	net->ops->destroy(net);
}

static const struct vd_softdev_ops net_softdev_ops = {
	.chain_size = sizeof(struct vd_chain),
	.iov_max = VD_NET_PIECES,
	.handle = net_handle,
	.held = net_held,
	.worker_start = vd_net_worker_start,
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

void vd_net_tx_again(struct vd_net_pair *pair)
{
	__atomic_store_n(&pair->tx_again, true, __ATOMIC_RELEASE);
	vd_worker_wake(pair->worker);
}

void vd_net_wake(struct vd_net_pair *pair)
{
	vd_worker_wake(pair->worker);
}

void vd_net_begin(struct vd_net *net, struct uvdpa *u, const struct vd_net_ops *ops)
{
	net->ops = ops;
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
	r = vd_net_pairs_init(net);
	if (r)
		return r;
	r = vd_softdev_init(&net->sd, u, &net_softdev_ops, &c->soft);
	if (r) {
		vd_net_pairs_fini(net);
		return r;
	}
	net->sd.dev.inflight = false;	/* nothing is in flight for long */
	vd_net_steer_reset(net, 0);
	return 0;
}
