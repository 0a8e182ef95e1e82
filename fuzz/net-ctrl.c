/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-ctrl.c - the control queue of a network device that the input drives
 *
 * Two bytes choose which features were negotiated; then come commands, each behind two bytes: how
 * long it is (nine bits), and how it is cut into pieces (seven). After each the device is asked
 * where a frame goes.
 *
 * What must hold: no access outside (the sanitizers), a queue that there is, and what is refused
 * changes nothing.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "softdev/net.h"

#define PAIRS      4u
#define must(cond) ((cond) ? (void)0 : abort())

static struct vd_net *the_net(void)
{
	static const struct uvdpa_attr attrs[] = { { "max_vqp", "4" }, { "rss", "on" } };
	static struct uvdpa_dev_opts o = {
		.size = sizeof(o), .name = "n0", .mgmtdev = "sim-net", .attrs = attrs, .nattrs = 2
	};
	static struct uvdpa *u;
	static struct uvdpa_dev *dev;
	struct uvdpa_wait w = { 0 };

	if (!u) {
		must(!uvdpa_create(&u));
		must(!uvdpa_await(u, &w, uvdpa_dev_add(u, &o, &dev, &w)));
	}
	uvdpa_dispatch(u, 0);
	return container_of(container_of(dev, struct vd_softdev, dev), struct vd_net, sd);
}

/* Each piece is an allocation of its own. Return: how many. */
static unsigned int cut(struct vd_iov *iov, const uint8_t *b, size_t len, size_t each)
{
	unsigned int n = 0;

	for (size_t at = 0; at < len; at += each, n++) {
		iov[n].len = vd_min(each, len - at);
		iov[n].base = vd_guest_wrap(uint8_t, malloc(iov[n].len));
		vd_guest_write(iov[n].base, b + at, iov[n].len);
	}
	return n;
}

static void look(const struct vd_net *net, const uint8_t *b, size_t len)
{
	struct vd_net_way way = vd_net_look(net, b, len);

	must(way.pair < PAIRS || way.pair == VD_NET_NOBODY);
	must(way.hash.report <= VIRTIO_NET_HASH_REPORT_UDPv6_EX);
}

static void command(struct vd_net *net, const uint8_t *b, size_t len, size_t each)
{
	struct vd_net_filter filter = net->filter;
	struct vd_net_rss rss = net->rss;
	struct vd_iov iov[258];
	struct vd_chain c = { .iov = iov, .in_len = 1, .nin = 1 };

	c.nout = (uint16_t)cut(iov, b, len, each);
	c.out_len = (uint32_t)len;
	if (vd_net_command(net, &c)) {
		must(!memcmp(&filter, &net->filter, sizeof(filter)));
		must(!memcmp(&rss, &net->rss, sizeof(rss)));
	}
	must(net->used_pairs >= 1 && net->used_pairs <= PAIRS);
	must(!(net->guest_offloads & ~net->sd.features));
	for (unsigned int i = 0; i < c.nout; i++)
		free(vd_guest_expose(iov[i].base));
	look(net, b, vd_min(len, VD_NET_HEAD));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned int bits[] = {
		VIRTIO_NET_F_CTRL_RX,
		VIRTIO_NET_F_CTRL_RX_EXTRA,
		VIRTIO_NET_F_CTRL_VLAN,
		VIRTIO_NET_F_CTRL_MAC_ADDR,
		VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
		VIRTIO_NET_F_GUEST_ANNOUNCE,
		VIRTIO_NET_F_MQ,
		VIRTIO_NET_F_RSS,
		VIRTIO_NET_F_HASH_REPORT,
		VIRTIO_NET_F_GUEST_CSUM,
		VIRTIO_NET_F_GUEST_TSO4,
	};
	struct vd_net *net = the_net();
	const uint8_t *end = data + size;

	if (size < 2 || size > 4096)
		return 0;
	net->sd.features = 0;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(bits); i++)
		net->sd.features |= (uint64_t)((data[0] | data[1] << 8) >> i & 1) << bits[i];
	vd_net_steer_reset(net, net->sd.features);
	vd_net_use_offloads(net, net->sd.features & VD_NET_GUEST_OFFLOADS);
	/* As many run as would be spread among. */
	__atomic_store_n(&net->spread, PAIRS, __ATOMIC_RELAXED);
	for (const uint8_t *s = data + 2; s + 2 <= end;) {
		size_t len = vd_min(s[0] | (s[1] & 1u) << 8, (size_t)(end - s - 2));

		command(net, s + 2, len, vd_max(s[1] >> 1, len / 256 + 1));
		s += 2 + len;
	}
	return 0;
}
