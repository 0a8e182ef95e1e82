/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fifo-net.c - a network device at a FIFO
 *
 * The wire has no place for work that is left undone, so that is done here, as frames are copied
 * into the stage. Of a frame that becomes many more than there is room for, as many go as can.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "parent/fifo.h"

static struct vd_fifo_net *to_fnet(struct vd_net *net)
{
	return container_of(net, struct vd_fifo_net, net);
}

static struct vd_fifo_net *port_to_fnet(struct vd_fifo_port *p)
{
	return container_of(p, struct vd_fifo_net, port);
}

/* ---- send; the worker ----------------------------------------------------------------------- */

static uint32_t frame_max(const struct vd_fifo_net *n)
{
	return n->net.conf.mtu + VD_FIFO_L2;
}

/* Return: false: there is no room for it. */
static bool stage_plain(struct vd_fifo_net *n, struct vd_fifo_stage *s, size_t *at,
			const struct vd_net_frame *f)
{
	struct vd_sg sg = vd_sg(f->iov, f->niov);
	uint8_t *to;

	if (vd_unlikely(f->len > frame_max(n))) {
		vd_net_count(&n->net.pairs->sent.errors, 1);
		return true;
	}
	to = vd_fifo_stage_put(s, at, VD_FIFO_NET, (uint16_t)f->len);
	if (vd_unlikely(!to))
		return false;
	if (vd_likely(f->iov->len >= f->len))
		vd_guest_read(to, f->iov->base, f->len);
	else
		vd_sg_read(&sg, to, f->len);
	return true;
}

/* One that goes in parts, or is not complete; it begins behind those that went. Return: false: not
 * all of it. */
static vd_noinline bool stage_cut(struct vd_fifo_net *n, struct vd_fifo_stage *s, size_t *at,
				  const struct vd_net_frame *f)
{
	unsigned int done = 0;
	struct vd_net_seg seg;
	uint8_t *to;

	if (vd_net_gso_begin(&n->gso, f, 0, (uint32_t)n->net.pairs->sent.packets)) {
		vd_net_count(&n->net.pairs->sent.errors, 1);
		n->skip = 0;
		return true;
	}
	while (vd_net_gso_next(&n->gso, &seg)) {
		if (done++ < n->skip)
			continue;
		if (seg.nhead + seg.ndata > frame_max(n)) {
			vd_net_count(&n->net.pairs->sent.errors, 1);
			n->skip++;
			continue;
		}
		to = vd_fifo_stage_put(s, at, VD_FIFO_NET, (uint16_t)(seg.nhead + seg.ndata));
		if (!to)
			return false;
		memcpy(to, seg.head, seg.nhead);
		vd_sg_read(&seg.data, to + seg.nhead, seg.ndata);
		n->skip++;
	}
	n->skip = 0;
	return true;
}

/* A stage full. Return: how many frames are over. */
static unsigned int send_some(struct vd_fifo_net *n, const struct vd_net_frame *frames,
			      unsigned int nframes)
{
	struct vd_fifo_link *l = n->port.link;
	struct vd_fifo_stage *s = &l->tx.stages[VD_FIFO_DEV_NET];
	unsigned int i = 0;
	size_t at = 0;

	for (; i < nframes; i++)
		if (!(vd_likely(vd_net_fits(0, &frames[i].hdr)) ? stage_plain(n, s, &at, &frames[i])
								: stage_cut(n, s, &at, &frames[i])))
			break;
	if (at)
		vd_fifo_stage_send(l, VD_FIFO_DEV_NET, at);
	return i;
}

static unsigned int fnet_send(struct vd_net *net, struct vd_net_pair *pair,
			      struct vd_net_frame *frames, unsigned int nframes)
{
	struct vd_fifo_net *n = to_fnet(net);
	struct vd_fifo_link *l = n->port.link;
	unsigned int sent = 0;

	while (sent < nframes) {
		if (vd_likely(vd_fifo_stage_ready(l, VD_FIFO_DEV_NET))) {
			sent += send_some(n, frames + sent, nframes - sent);
		} else if (__atomic_load_n(&l->tx.stalled, __ATOMIC_RELAXED)) {
			vd_net_count(&pair->sent.drops, nframes - sent);
			n->skip = 0;
			sent = nframes;
		} else {
			break;
		}
	}
	if (vd_likely(sent))
		vd_net_sent(pair, frames, sent);
	return sent;
}

/* Others bring frames; but now there are buffers, for which some may wait. */
static unsigned int fnet_receive(struct vd_net *net, struct vd_net_pair *pair)
{
	struct vd_fifo_link *l = to_fnet(net)->port.link;

	(void)pair;
	if (vd_unlikely(__atomic_load_n(&l->rx.starved, __ATOMIC_ACQUIRE)) &&
	    __atomic_exchange_n(&l->rx.starved, false, __ATOMIC_ACQ_REL))
		vd_fifo_link_wake(l);
	return 0;
}

/* ---- what the link calls -------------------------------------------------------------------- */

/* As far as there are buffers. Return: how many are over. */
static unsigned int offer(struct vd_net_pair *pair, const struct vd_fifo_frame *frames,
			  unsigned int n, bool *ret_cramped)
{
	struct vd_net_frame f[VD_NET_GRO_MAX];
	struct vd_iov iov[VD_NET_GRO_MAX];

	n = vd_min(n, VD_NET_GRO_MAX);
	for (unsigned int i = 0; i < n; i++) {
		iov[i] = (struct vd_iov){ vd_guest_wrap(uint8_t, frames[i].data), frames[i].len };
		f[i] = (struct vd_net_frame){ .iov = &iov[i], .niov = 1, .len = frames[i].len };
	}
	return vd_net_rx_all(pair, f, n, ret_cramped);
}

static unsigned int port_deliver(struct vd_fifo_port *p, const struct vd_fifo_frame *frames,
				 unsigned int n)
{
	struct vd_net *net = &port_to_fnet(p)->net;
	struct vd_net_pair *pair = &net->pairs[0];
	unsigned int got = n;

	if (!vd_net_rx_begin(pair, NULL))
		return 0; /* it will run again, or be reset */
	if (vd_likely(__atomic_load_n(&net->link_wanted, __ATOMIC_RELAXED)))
		got = offer(pair, frames, n, &p->link->rx.cramped);
	else
		vd_net_count(&pair->received.drops, n);
	vd_net_rx_end(pair);
	return got;
}

static void port_wake(struct vd_fifo_port *p)
{
	vd_net_tx_again(&port_to_fnet(p)->net.pairs[0]);
}

static void port_carrier(struct vd_fifo_port *p, bool up)
{
	vd_net_set_carrier(&port_to_fnet(p)->net, up);
}

static const struct vd_fifo_port_ops port_ops = {
	.deliver = port_deliver,
	.wake = port_wake,
	.carrier = port_carrier,
};

/* ---- the device ----------------------------------------------------------------------------- */

/* Features are there, queues do not run yet: a driver has come. */
static void fnet_set_offloads(struct vd_net *net, uint64_t guest)
{
	(void)guest;
	vd_fifo_port_attach(&to_fnet(net)->port);
}

static void fnet_reset(struct vd_net *net)
{
	vd_fifo_port_detach(&to_fnet(net)->port);
	to_fnet(net)->skip = 0;
}

static void fnet_show(struct vd_net *net, struct uvdpa_emit *e)
{
	vd_fifo_link_show(to_fnet(net)->port.link, VD_FIFO_DEV_NET, e);
}

static void fnet_destroy(struct vd_net *net)
{
	vd_fifo_port_del(&to_fnet(net)->port);
	free(to_fnet(net));
}

static const struct vd_net_ops fnet_ops = {
	.send = fnet_send,
	.receive = fnet_receive,
	.pair_fd = vd_net_no_fd,
	.set_offloads = fnet_set_offloads,
	.set_pairs = vd_net_any_pairs,
	.show = fnet_show,
	.reset = fnet_reset,
	.destroy = fnet_destroy,
};

/* What cards and their hosts have when nobody has said anything else. */
static const char *default_mac(enum vd_fifo_role role)
{
	return role == VD_FIFO_CARD ? "00:1a:ca:ff:ff:01" : "00:1a:ca:ff:ff:02";
}

int vd_fifo_net_add(struct uvdpa *u, struct vd_fifo_link *l, const char *name,
		    const struct vd_fifo_conf *c, struct uvdpa_dev **ret_dev)
{
	struct vd_net_conf nc = { .offloads = VD_NET_HOST_OFFLOADS | VD_NET_GRO_OFFLOADS,
				  .no_carrier = !l->up };
	struct vd_net_args args = { .mac = c->mac,
				    .mtu = c->mtu,
				    .max_vqp = 1,
				    .queue_size = c->queue_size,
				    .workers = 1,
				    .poll_us = c->poll_us,
				    .speed = c->speed,
				    .link = true };
	struct vd_fifo_net *n = calloc(1, sizeof(*n));
	char mac[18];
	int r;

	if (!n)
		return vd_err(-ENOMEM, "%s: no memory", name);
	if (!args.mac)
		args.mac = strcpy(mac, default_mac(l->role));
	r = vd_net_args(&args, name, &nc);
	if (!r && nc.mtu + VD_FIFO_L2 > VD_FIFO_LEN_MAX)
		r = vd_err(-EINVAL, "%s: mtu %u: a message has room for %u", name, nc.mtu,
			   VD_FIFO_LEN_MAX - VD_FIFO_L2);
	n->port.ops = &port_ops;
	if (!r)
		r = vd_fifo_port_add(&n->port, l, VD_FIFO_DEV_NET, name);
	if (!r)
		r = vd_net_init(&n->net, u, &fnet_ops, &nc);
	if (r) {
		vd_fifo_port_del(&n->port);
		free(n);
		return r;
	}
	__atomic_store_n(&l->mtu, n->net.conf.mtu, __ATOMIC_RELAXED);
	__atomic_store_n(&l->mac, vd_net_mac_number(n->net.conf.mac), __ATOMIC_RELAXED);
	*ret_dev = &n->net.sd.dev;
	return 0;
}
