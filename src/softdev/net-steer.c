/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-steer.c - who receives what: the filter, and the pair (virtio 1.3, 5.1.6.5.5 to 5.1.6.5.7)
 *
 * What the driver has said changes rarely and is looked at for each frame, by any number of
 * threads. Each of them has locked some receive queue then, which it does anyway; who changes it
 * locks all. As long as nothing was said that makes a difference the device is plain, and nobody
 * looks.
 */
#include <string.h>
#include <unistd.h>

#include "softdev/net.h"

void vd_net_lock_all(struct vd_net *net)
{
	for (unsigned int i = 0; i < net->conf.max_vqp; i++)
		while (!vd_softq_lock_out(net->pairs[i].rx))
			usleep(1000);
}

void vd_net_unlock_all(struct vd_net *net)
{
	for (unsigned int i = 0; i < net->conf.max_vqp; i++)
		vd_softq_unlock(net->pairs[i].rx);
}

static bool reports(const struct vd_net *net)
{
	return net->rss.types && net->rss.report;
}

void vd_net_settle(struct vd_net *net)
{
	__atomic_store_n(&net->plain, net->filter.everything && !net->rss.steer && !reports(net),
			 __ATOMIC_RELAXED);
	__atomic_store_n(&net->learns, !net->rss.steer && !net->conf.own_pairs, __ATOMIC_RELAXED);
}

void vd_net_steer_reset(struct vd_net *net, uint64_t features)
{
	vd_net_lock_all(net);	/* others may have frames for us, even if nobody is there */
	vd_net_filter_reset(&net->filter, features);
	net->rss = (struct vd_net_rss){ .report = features & VD_NET_F(HASH_REPORT) };
	memset(&net->flows, 0, sizeof(net->flows));
	vd_net_settle(net);
	vd_net_unlock_all(net);
}

struct vd_net_way vd_net_look(const struct vd_net *net, const uint8_t *b, size_t len)
{
	unsigned int used = __atomic_load_n(&net->used_pairs, __ATOMIC_RELAXED);
	unsigned int pairs = vd_min(used, __atomic_load_n(&net->spread, __ATOMIC_RELAXED));
	struct vd_net_way way = { 0 };
	struct vd_net_pkt pkt;

	if (!vd_net_filter_wants(&net->filter, __atomic_load_n(&net->mac, __ATOMIC_RELAXED), b,
				 len)) {
		way.pair = VD_NET_NOBODY;
		return way;
	}
	if (pairs == 1 && !net->rss.steer && !reports(net))
		return way;
	vd_net_parse(&pkt, b, len);
	if (net->rss.types)
		way.hash = vd_net_rss_hash(&net->rss, b, &pkt);
	if (net->rss.steer)
		way.pair = (uint16_t)vd_net_rss_pair(&net->rss, way.hash);
	else if (pairs > 1)
		way.pair =
			(uint16_t)vd_net_flow_pair(&net->flows, vd_net_flow(b, len, &pkt), pairs);
	return way;
}

void vd_net_learn(struct vd_net_pair *pair, const struct vd_net_frame *frames, unsigned int n)
{
	uint8_t b[VD_NET_HEAD];
	struct vd_net_pkt pkt;

	for (unsigned int i = 0; i < n; i++) {
		struct vd_sg sg = vd_sg(frames[i].iov, frames[i].niov);
		size_t len = vd_sg_read(&sg, b, vd_min(frames[i].len, VD_NET_HEAD));

		vd_net_parse(&pkt, b, len);
		vd_net_flow_sent(&pair->net->flows, vd_net_flow(b, len, &pkt), pair->idx);
	}
}
