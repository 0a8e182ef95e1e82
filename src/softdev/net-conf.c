/* SPDX-License-Identifier: BSD-2-Clause */
/* net-conf.c - what a network device is, offers, counts, and can be told while it is used */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "softdev/net.h"

static_assert(offsetof(struct virtio_net_config, supported_hash_types) == 20, "virtio 1.3, 5.1.4");
static_assert(sizeof(struct virtio_net_config) == 24, "virtio 1.3, 5.1.4");

int vd_net_mac(const char *text, uint8_t ret_mac[6])
{
	unsigned int m[6];

	if (strlen(text) != 17)
		return -EINVAL;
	for (unsigned int i = 0; i < 17; i++)	/* sscanf() takes blanks and signs, too */
		if (i % 3 == 2 ? text[i] != ':' : !isxdigit((unsigned char)text[i]))
			return -EINVAL;
	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) != 6)
		return -EINVAL;
	for (unsigned int i = 0; i < 6; i++)
		ret_mac[i] = (uint8_t)m[i];
	return 0;
}

static bool is_host(const uint8_t mac[6])
{
	static const uint8_t zero[6];

	return !(mac[0] & 1) && memcmp(mac, zero, 6) != 0;
}

/* The same for a name on a machine, whenever it is made; locally administered. */
static void mac_of_name(const char *name, uint8_t mac[6])
{
	uint64_t h = 0xcbf29ce484222325;
	FILE *f = fopen("/etc/machine-id", "re");
	int c;

	while (f && (c = fgetc(f)) != EOF)
		h = (h ^ (uint8_t)c) * 0x100000001b3;
	if (f)
		fclose(f);
	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3;
	h ^= h >> 32;
	mac[0] = 0x52;
	mac[1] = 0x56;
	for (unsigned int i = 2; i < 6; i++)
		mac[i] = (uint8_t)(h >> 8 * (i - 2));
}

static int take_mac(const char *name, const char *text, uint8_t mac[6])
{
	if (vd_net_mac(text, mac))
		return vd_err(-EINVAL, "%s: Invalid MAC address: \"%s\", not like 52:54:00:12:34:56",
			      name, text);
	if (!is_host(mac))
		return vd_err(-EINVAL, "%s: Invalid MAC address: %s is not one host's", name, text);
	return 0;
}

int vd_net_args(const struct vd_net_args *args, const char *name, struct vd_net_conf *conf)
{
	int r = 0;

	if (args->mac)
		r = take_mac(name, args->mac, conf->mac);
	else
		mac_of_name(name, conf->mac);
	conf->mtu = (uint16_t)args->mtu;
	conf->max_vqp = (unsigned int)args->max_vqp;
	conf->queue_size = (unsigned int)args->queue_size;
	conf->speed_mbps = (uint32_t)args->speed;
	conf->link_down = !args->link;
	conf->standby = args->standby;
	conf->rss = args->rss;
	conf->soft = (struct vd_softdev_conf){
		.name = name,
		.workers = (unsigned int)args->workers,
		.poll_us = (unsigned int)args->poll_us,
	};
	return r;
}

int vd_net_complete(struct vd_net_conf *c)
{
	const char *who = c->soft.name;

	if (!c->mtu)
		c->mtu = 1500;
	if (!c->max_vqp)
		c->max_vqp = 1;
	if (!c->queue_size)
		c->queue_size = 256;
	if (c->mtu < VD_NET_MTU_MIN)
		return vd_err(-EINVAL, "%s: mtu %u, at least %u", who, c->mtu, VD_NET_MTU_MIN);
	if (c->max_vqp > VD_NET_PAIRS_MAX)
		return vd_err(-EINVAL, "%s: %u pairs of queues, at most %u", who, c->max_vqp,
			      VD_NET_PAIRS_MAX);
	if (c->queue_size < 4 || c->queue_size > VD_NET_QUEUE_SIZE_MAX ||
	    c->queue_size & (c->queue_size - 1))
		return vd_err(-EINVAL, "%s: queue size %u, not a power of two from 4 to %u", who,
			      c->queue_size, VD_NET_QUEUE_SIZE_MAX);
	c->soft.span = 2;
	c->soft.workers = vd_min(vd_max(c->soft.workers, 1u), c->max_vqp);
	return 0;
}

uint64_t vd_net_features(const struct vd_net_conf *c)
{
	uint64_t f = VD_NET_FEATURES & ~(VD_NET_OFFLOADS & ~c->offloads);

	if (c->max_vqp == 1)
		f &= ~VD_NET_F(MQ);
	if (!(f & VD_NET_GUEST_OFFLOADS))
		f &= ~VD_NET_F(CTRL_GUEST_OFFLOADS);
	if (!c->standby)
		f &= ~VD_NET_F(STANDBY);
	if (!c->rss)
		f &= ~VD_NET_F(HASH_REPORT);
	if (!c->rss || c->own_pairs || c->max_vqp == 1)
		f &= ~VD_NET_F(RSS);
	return f;
}

void vd_net_fill_config(struct vd_net *net)
{
	const struct vd_net_conf *c = &net->conf;

	net->config = (struct virtio_net_config){
		.status = htole16(net->link_up ? VIRTIO_NET_S_LINK_UP : 0),
		.max_virtqueue_pairs = htole16((uint16_t)c->max_vqp),
		.mtu = htole16(c->mtu),
		.speed = htole32(c->speed_mbps ? c->speed_mbps : UINT32_MAX),
		.duplex = c->speed_mbps ? 1 : 0xff,	/* full; unknown */
		.rss_max_key_size = VD_NET_RSS_KEY_MAX,
		.rss_max_indirection_table_length = htole16(VD_NET_RSS_TABLE_MAX),
		.supported_hash_types = htole32(VD_NET_RSS_TYPES),
	};
}

/* ---- what can be changed, and is told -------------------------------------------------------- */

static struct vd_net *to_net(struct uvdpa_dev *dev)
{
	return container_of(container_of(dev, struct vd_softdev, dev), struct vd_net, sd);
}

struct set_conf {
	char *mac, *rarp;
	bool link, announce;
};

/* Bits of @given: the places in the table. */
enum { MAC, LINK, ANNOUNCE, RARP };

static const struct uvdpa_opt set_opts[] = {
	[MAC] = { .key = "mac", .type = UVDPA_OPT_STRING, .offset = offsetof(struct set_conf, mac),
		  .changes = "mac",
		  .help = "Ethernet address; a driver that has the device sees it when it looks" },
	[LINK] = { .key = "link", .type = UVDPA_OPT_BOOL, .offset = offsetof(struct set_conf, link),
		   .changes = "link",
		   .help = "whether the link is up" },
	[ANNOUNCE] = { .key = "announce", .type = UVDPA_OPT_BOOL,
		       .offset = offsetof(struct set_conf, announce),
		       .help = "on: the driver shall tell the network where it is" },
	[RARP] = { .key = "rarp", .type = UVDPA_OPT_STRING,
		   .offset = offsetof(struct set_conf, rarp),
		   .help = "send a RARP in the name of this address" },
	{ 0 },
};

static int net_set(struct uvdpa_dev *dev, const void *conf, uint64_t given)
{
	const struct set_conf *c = conf;
	struct vd_net *net = to_net(dev);
	uint8_t mac[6], rarp[6];
	int r = 0;

	if (given >> RARP & 1)
		r = take_mac(net->sd.name, c->rarp, rarp);
	if (!r && given >> MAC & 1)
		r = take_mac(net->sd.name, c->mac, mac);
	if (r)
		return r;
	if (given >> MAC & 1) {
		memcpy(net->conf.mac, mac, sizeof(mac));
		__atomic_store_n(&net->mac, vd_net_mac_number(mac), __ATOMIC_RELAXED);
		uvdpa_dev_config_changed(dev);
	}
	if (given >> LINK & 1)
		vd_net_set_link(net, c->link);
	if (given >> ANNOUNCE & 1 && c->announce)
		vd_net_announce(net);
	if (given >> RARP & 1)
		vd_net_rarp(net, rarp);
	return 0;
}

const struct uvdpa_set_ops vd_net_set_ops = {
	.opts = set_opts,
	.conf_size = sizeof(struct set_conf),
	.set = net_set,
};

static void net_show(struct uvdpa_dev *dev, struct uvdpa_emit *e)
{
	struct vd_net *net = to_net(dev);

	net->ops->show(net, e);
}

const struct uvdpa_show_ops vd_net_show_ops = { .show = net_show };

/* ---- counters; names as those of Linux's vdpa_sim_net ---------------------------------------- */

static void emit(struct uvdpa_emit *e, const char *name, const uint64_t *value)
{
	e->num(e, name, __atomic_load_n(value, __ATOMIC_RELAXED));
}

int vd_net_stats(struct vd_softdev *sd, unsigned int idx, struct uvdpa_emit *e)
{
	struct vd_net *net = container_of(sd, struct vd_net, sd);
	const struct vd_net_pair *p = &net->pairs[idx / 2];

	if (idx == net->ctrl_idx || idx == 2 * net->conf.max_vqp) {
		e->str(e, "queue_type", "control_vq");
		emit(e, "cvq requests", &net->ctrl.requests);
		emit(e, "cvq successes", &net->ctrl.successes);
		emit(e, "cvq errors", &net->ctrl.errors);
	} else if (idx % 2 == 0) {
		e->str(e, "queue_type", "rx");
		emit(e, "rx packets", &p->received.packets);
		emit(e, "rx bytes", &p->received.bytes);
		emit(e, "rx errors", &p->received.errors);
		emit(e, "rx overruns", &p->received.overruns);
		emit(e, "rx drops", &p->received.drops);
	} else {
		e->str(e, "queue_type", "tx");
		emit(e, "tx packets", &p->sent.packets);
		emit(e, "tx bytes", &p->sent.bytes);
		emit(e, "tx errors", &p->sent.errors);
		emit(e, "tx drops", &p->sent.drops);
	}
	return vd_softq_emit(sd, idx, e);
}
