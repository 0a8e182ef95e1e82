/* SPDX-License-Identifier: BSD-2-Clause */
/* net.c - what a network device must do: plain traffic, its link, and the list of all cases; see
 * net.h */
#include "net.h"

#include <unistd.h>

/* ---- what it says of itself ---------------------------------------------------------------- */

static struct virtio_net_config config(struct cf *c)
{
	struct virtio_net_config n;

	cf_check(c->info->config_size >= sizeof(n));
	cf_is(uvdpa_dev_get_config(c->dev, 0, &n, sizeof(n)), 0);
	return n;
}

static void set(struct cf *c, const char *key, const char *value)
{
	struct uvdpa_attr a = { key, value };

	cf_is(uvdpa_dev_set(c->dev, &a, 1), 0);
}

static void case_config(struct cf *c)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
	static const uint8_t other[6] = { 0x52, 0x54, 0, 0xab, 0xcd, 0xef };
	struct virtio_net_config n = config(c);
	struct uvdpa_attr bad[] = { { "mac", "01:00:5e:00:00:01" },
				    { "mac", "00:00:00:00:00:00" },
				    { "mac", "52:54:00:12:34" },
				    { "link", "sideways" } };

	cf_check(!memcmp(n.mac, mac, 6));
	cf_is(le16toh(n.status), VIRTIO_NET_S_LINK_UP);
	cf_is(le16toh(n.max_virtqueue_pairs), c->info->nvqs / 2);
	if (c->info->features & CF_F(VIRTIO_NET_F_MTU))
		cf_check(le16toh(n.mtu) >= 1500);
	cf_is(uvdpa_dev_set_config(c->dev, 0, other, 6), -EOPNOTSUPP);
	for (size_t i = 0; i < VD_ARRAY_SIZE(bad); i++)
		cf_is(uvdpa_dev_set(c->dev, &bad[i], 1), -EINVAL);
	cf_check(!memcmp(config(c).mac, mac, 6));
	c->changed[UVDPA_DEV_CONFIG] = 0;
	set(c, "mac", "52:54:00:ab:cd:ef");
	cf_until(c, c->changed[UVDPA_DEV_CONFIG]);
	cf_check(!memcmp(config(c).mac, other, 6));
}

/* ---- traffic ------------------------------------------------------------------------------- */

/* Frames there and back, on all pairs; with more buffers than frames under way none is lost. */
static void traffic(struct cf *c, unsigned int total, unsigned int burst)
{
	unsigned int n = net_pairs(c), most = vd_max(c->q[0].num / (2 * n), 1u);

	net_use_pairs(c);
	for (unsigned int p = 0; p < n; p++)
		net_post(&c->q[2 * p]);
	while (total) {
		unsigned int sent = 0;

		for (unsigned int p = 0; p < n && total; p++) {
			unsigned int k = 1 + net_rnd(vd_min(burst, most));
			uint32_t len = NET_NUMBERED + net_rnd(NET_USUAL - NET_NUMBERED + 1);

			k = vd_min(k, total);
			for (unsigned int i = 0; i < k; i++)
				cf_check(net_send(&c->q[2 * p + 1], net_rnd(4) ? 64 : len));
			cf_publish(&c->q[2 * p + 1]);
			sent += k;
			total -= k;
		}
		net_await(c, sent);
		for (unsigned int p = 0; p < n; p++)
			net_sent(&c->q[2 * p + 1]);
	}
}

static void case_traffic(struct cf *c)
{
	cf_map(c);
	cf_start(c, &c->mode);
	traffic(c, 3 * c->q[0].num + 500, 32);
	net_nothing(c);
}

/* Without MRG_RXBUF, and without a control queue. */
static void case_plain(struct cf *c)
{
	cf_map(c);
	c->features_off = CF_F(VIRTIO_NET_F_MRG_RXBUF);
	cf_start(c, &c->mode);
	traffic(c, 500, 32);
	cf_reset(c);
	c->features_off = CF_F(VIRTIO_NET_F_CTRL_VQ) | CF_F(VIRTIO_NET_F_MQ);
	cf_start(c, &c->mode);
	cf_check(!net_ctrl_queue(c));
	traffic(c, 500, 32);
}

/* It offers what its maker let it, and works with that. */
static void case_masked(struct cf *c)
{
	uint64_t mask = CF_F(VIRTIO_F_VERSION_1) | CF_F(VIRTIO_NET_F_MAC);
	struct uvdpa_dev_opts o = { .size = sizeof(o),
				    .name = "d0",
				    .mgmtdev = c->f.variant->parent,
				    .driver = "conformance",
				    .features = mask,
				    .attrs = c->f.attrs };

	for (unsigned int i = 0; i < c->f.nattrs; i++) /* what is not masked */
		if (strcmp(c->f.attrs[i].key, "max_vqp") && strcmp(c->f.attrs[i].key, "mtu"))
			c->f.attrs[o.nattrs++] = c->f.attrs[i];
	cf_ok(c, uvdpa_dev_del(c->dev, &c->w));
	cf_ok(c, uvdpa_dev_add(c->u, &o, &c->dev, &c->w));
	c->info = uvdpa_dev_info(c->dev);
	c->nq = vd_min(c->info->nvqs, CF_QUEUES);
	cf_is(c->info->features, mask);
	cf_map(c);
	cf_start(c, &(struct cf_mode){ 0, 64 });
	cf_is(c->features, mask);
	traffic(c, 500, 32);
}

/* Further than a 16-bit index counts. */
static void case_wraparound(struct cf *c)
{
	if (c->f.variant->wire->slow)
		cf_skip("too slow for so many frames");
	cf_map(c);
	cf_start(c, &c->mode);
	traffic(c, 140000, 64);
}

/* ---- no buffers ---------------------------------------------------------------------------- */

/* Frames that find none are lost, or wait; when there are buffers again frames come again. */
static void case_starved(struct cf *c)
{
	struct cf_queue *rx = &c->q[0], *tx = &c->q[1];
	unsigned int n;

	cf_map(c);
	for (unsigned int round = 0; round < 10; round++) {
		cf_start(c, &c->mode);
		net_settle(c);
		n = vd_min(tx->num, 16u);
		for (unsigned int i = 0; i < n; i++)
			cf_check(net_send(tx, 100));
		cf_publish(tx);
		net_sent(tx);
		if (!c->f.variant->wire->keeps)
			cf_until(c, net_stat(c, 0, "rx overruns") == (round + 1ull) * n);
		if (round & 1)
			usleep(5000); /* the device sleeps */
		net_post(rx);
		if (c->f.variant->wire->keeps)
			net_await(c, n);
		else
			net_nothing(c);
		for (unsigned int i = 0; i < n; i++)
			cf_check(net_send(tx, 100));
		cf_publish(tx);
		net_await(c, n);
		net_sent(tx);
		cf_reset(c);
	}
}

/* A queue that its driver has stopped gets nothing, and sending goes on. */
static void case_stopped(struct cf *c)
{
	struct cf_queue *rx = &c->q[0], *tx = &c->q[1];
	struct uvdpa_vq_state st;
	struct vd_done d;

	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int round = 0; round < 20; round++) {
		net_post(rx);
		cf_ok(c, uvdpa_dev_disable_vq(c->dev, 0, &c->w));
		for (unsigned int i = 0; i < 4; i++)
			cf_check(net_send(tx, 100 + i));
		cf_publish(tx);
		net_sent(tx);
		cf_is(vd_virtq_drv_get(rx->drv, &d, 1), 0);
		cf_is(uvdpa_dev_get_vq_state(c->dev, 0, &st), 0);
		cf_queue_set(rx, st);
		if (c->f.variant->wire->keeps)
			net_await(c, 4);
		net_ping(tx);
	}
}

/* ---- the link ------------------------------------------------------------------------------ */

static void case_link(struct cf *c)
{
	struct cf_queue *tx = &c->q[1];

	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int round = 0; round < 5; round++) {
		net_ping(tx);
		c->changed[UVDPA_DEV_CONFIG] = 0;
		set(c, "link", "off");
		set(c, "link", "off");
		cf_until(c, c->changed[UVDPA_DEV_CONFIG]);
		cf_is(le16toh(config(c).status), 0);
		for (unsigned int i = 0; i < 8; i++) /* gone, not kept for later */
			cf_check(net_send(tx, 200));
		cf_publish(tx);
		net_sent(tx);
		net_nothing(c);
		set(c, "link", "on");
		cf_is(le16toh(config(c).status), VIRTIO_NET_S_LINK_UP);
		if (!c->f.variant->wire->keeps)
			net_nothing(c);
	}
	net_ping(tx);
}

static const struct cf_case cases[] = {
	{ "configuration", case_config, CF_ONCE },
	{ "there and back", case_traffic, CF_MODES },
	{ "without this and that", case_plain, CF_LAYOUTS },
	{ "device_features", case_masked, CF_ONCE },
	{ "wraparound", case_wraparound, CF_LAYOUTS },
	{ "no buffers", case_starved, CF_MODES },
	{ "receive queue stopped", case_stopped, CF_LAYOUTS },
	{ "link down and up", case_link, CF_LAYOUTS },
	{ "commands", case_net_commands, CF_LAYOUTS },
	{ "pairs", case_net_pairs, CF_LAYOUTS },
	{ "counters", case_net_counters, CF_LAYOUTS },
	{ "every size", case_net_sizes, CF_LAYOUTS },
	{ "in pieces", case_net_pieces, CF_LAYOUTS },
	{ "merged buffers", case_net_merged, CF_LAYOUTS },
	{ "buffers too small", case_net_too_small, CF_LAYOUTS },
	{ "malformed", case_net_malformed, CF_LAYOUTS | CF_OURS },
	{ 0 },
};

const struct cf_type cf_net = {
	.device_id = VIRTIO_ID_NET,
	.cases = cases,
	.eager = 1,
	.ping = net_ping,
	.begin = net_begin,
	.end = net_end,
	.idle = net_idle,
};
