/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-ctrl.c - the control queue of a network device (virtio 1.3, 5.1.6.5)
 *
 *	out: | class | command | what belongs to it |	in: | ack |
 *
 * How that is cut into descriptors is the driver's affair. A command whose feature was not
 * negotiated, whose length is another than it must be, or whose values make no sense is refused,
 * counted, and changes nothing: what is changed is made beside what is there first.
 *
 * The one thread that works here is the control queue's; see net-steer.c for who looks meanwhile.
 */
#include <errno.h>

#include "softdev/net.h"

static_assert(sizeof(struct virtio_net_ctrl_hdr) == 2, "virtio 1.3, 5.1.6.5");

/* A command without its class. */
struct command {
	struct vd_net *net;
	uint8_t cmd;
	struct vd_sg data; /* all that belongs to it */
};

/* All of it is so many bytes. */
static bool get(struct command *c, void *to, size_t len)
{
	return vd_sg_len(&c->data) == len && vd_sg_read(&c->data, to, len) == len;
}

static void use_filter(struct vd_net *net, const struct vd_net_filter *filter)
{
	vd_net_lock_all(net);
	net->filter = *filter;
	vd_net_settle(net);
	vd_net_unlock_all(net);
}

static void use_rss(struct vd_net *net, const struct vd_net_rss *rss)
{
	vd_net_lock_all(net);
	net->rss = *rss;
	vd_net_settle(net);
	vd_net_unlock_all(net);
}

static int ctrl_rx(struct command *c)
{
	uint64_t need =
		c->cmd <= VIRTIO_NET_CTRL_RX_ALLMULTI ? VD_NET_F(CTRL_RX) : VD_NET_F(CTRL_RX_EXTRA);
	struct vd_net_filter filter = c->net->filter;
	int r;

	if (!vd_net_has(c->net, need))
		return -EOPNOTSUPP;
	r = vd_net_filter_rx(&filter, c->cmd, &c->data);
	if (!r)
		use_filter(c->net, &filter);
	return r;
}

static int set_mac(struct command *c)
{
	uint8_t mac[6];
	uint64_t number;

	if (!vd_net_has(c->net, VD_NET_F(CTRL_MAC_ADDR)))
		return -EOPNOTSUPP;
	if (!get(c, mac, sizeof(mac)))
		return -EINVAL;
	number = vd_net_mac_number(mac);
	if (!number || mac[0] & 1) /* none, or of a group */
		return -EINVAL;
	__atomic_store_n(&c->net->mac, number, __ATOMIC_RELAXED);
	return 0;
}

static int ctrl_mac(struct command *c)
{
	struct vd_net_filter filter = c->net->filter;
	int r;

	switch (c->cmd) {
	case VIRTIO_NET_CTRL_MAC_ADDR_SET:
		return set_mac(c);
	case VIRTIO_NET_CTRL_MAC_TABLE_SET:
		if (!vd_net_has(c->net, VD_NET_F(CTRL_RX)))
			return -EOPNOTSUPP;
		r = vd_net_filter_macs(&filter, &c->data);
		if (!r)
			use_filter(c->net, &filter);
		return r;
	}
	return -EOPNOTSUPP;
}

static int ctrl_vlan(struct command *c)
{
	struct vd_net_filter filter = c->net->filter;
	int r;

	if (!vd_net_has(c->net, VD_NET_F(CTRL_VLAN)) || c->cmd > VIRTIO_NET_CTRL_VLAN_DEL)
		return -EOPNOTSUPP;
	r = vd_net_filter_vlan(&filter, c->cmd == VIRTIO_NET_CTRL_VLAN_ADD, &c->data);
	if (!r)
		use_filter(c->net, &filter);
	return r;
}

/* It may come again: a driver answers each change that it saw. */
static int ctrl_announce(struct command *c)
{
	if (!vd_net_has(c->net, VD_NET_F(GUEST_ANNOUNCE)) || c->cmd != VIRTIO_NET_CTRL_ANNOUNCE_ACK)
		return -EOPNOTSUPP;
	if (vd_sg_len(&c->data))
		return -EINVAL;
	vd_net_set_status(c->net, VIRTIO_NET_S_ANNOUNCE, false);
	return 0;
}

/* So many pairs, and flows come back where they were sent. */
static int set_pairs(struct command *c)
{
	struct vd_net *net = c->net;
	struct vd_net_rss rss = net->rss;
	uint16_t le;

	if (!vd_net_has(net, VD_NET_F(MQ)))
		return -EOPNOTSUPP;
	if (!get(c, &le, sizeof(le)) || !le || le16toh(le) > net->conf.max_vqp)
		return -EINVAL;
	rss.steer = false;
	use_rss(net, &rss);
	vd_net_use_pairs(net, le16toh(le));
	return 0;
}

static int ctrl_mq(struct command *c)
{
	struct vd_net *net = c->net;
	struct vd_net_rss rss = net->rss;
	unsigned int pairs;
	int r;

	switch (c->cmd) {
	case VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET:
		return set_pairs(c);
	case VIRTIO_NET_CTRL_MQ_RSS_CONFIG:
		if (!vd_net_has(net, VD_NET_F(RSS)))
			return -EOPNOTSUPP;
		r = vd_net_rss_config(&rss, &c->data, net->conf.max_vqp, &pairs);
		if (r)
			return r;
		use_rss(net, &rss);
		vd_net_use_pairs(net, pairs);
		return 0;
	case VIRTIO_NET_CTRL_MQ_HASH_CONFIG:
		if (!vd_net_has(net, VD_NET_F(HASH_REPORT)))
			return -EOPNOTSUPP;
		r = vd_net_rss_hash_config(&rss, &c->data);
		if (!r)
			use_rss(net, &rss);
		return r;
	}
	return -EOPNOTSUPP;
}

/* Only what was negotiated can be turned on again. */
static int ctrl_offloads(struct command *c)
{
	uint64_t le;

	if (!vd_net_has(c->net, VD_NET_F(CTRL_GUEST_OFFLOADS)) ||
	    c->cmd != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET)
		return -EOPNOTSUPP;
	if (!get(c, &le, sizeof(le)) ||
	    le64toh(le) & ~(c->net->sd.features & VD_NET_GUEST_OFFLOADS))
		return -EINVAL;
	vd_net_use_offloads(c->net, le64toh(le));
	return 0;
}

static int (*const classes[])(struct command *c) = {
	[VIRTIO_NET_CTRL_RX] = ctrl_rx,     [VIRTIO_NET_CTRL_MAC] = ctrl_mac,
	[VIRTIO_NET_CTRL_VLAN] = ctrl_vlan, [VIRTIO_NET_CTRL_ANNOUNCE] = ctrl_announce,
	[VIRTIO_NET_CTRL_MQ] = ctrl_mq,     [VIRTIO_NET_CTRL_GUEST_OFFLOADS] = ctrl_offloads,
};

int vd_net_command(struct vd_net *net, const struct vd_chain *chain)
{
	struct command c = { .net = net, .data = vd_sg(chain->iov, chain->nout) };
	struct virtio_net_ctrl_hdr hdr;

	if (vd_sg_read(&c.data, &hdr, sizeof(hdr)) < sizeof(hdr) || !chain->in_len)
		return -EBADMSG;
	if (hdr.class >= VD_ARRAY_SIZE(classes))
		return -EOPNOTSUPP;
	c.cmd = hdr.cmd;
	return classes[hdr.class](&c);
}

void vd_net_ctrl(struct vd_softq *q, struct vd_chain **chains, unsigned int n)
{
	struct vd_net *net = container_of(vd_softq_dev(q), struct vd_net, sd);

	for (unsigned int i = 0; i < n; i++) {
		struct vd_chain *c = chains[i];
		struct vd_sg in = vd_sg(c->iov + c->nout, c->nin);
		bool ok = !vd_net_command(net, c);
		uint8_t ack = ok ? VIRTIO_NET_OK : VIRTIO_NET_ERR;

		vd_net_count(&net->ctrl.requests, 1);
		vd_net_count(ok ? &net->ctrl.successes : &net->ctrl.errors, 1);
		vd_softq_done(q, c, (uint32_t)vd_sg_write(&in, &ack, sizeof(ack)), ok);
	}
}
