/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-rarp.c - speaking for a driver that cannot announce itself (RFC 903)
 *
 * After a move switches have to learn where the driver is now. What a VMM sends when its guest has
 * not negotiated GUEST_ANNOUNCE goes out here: a question of the guest's for its own address, to
 * everybody. The worker of the first pair sends it, when that pair runs; it is tried once, and who
 * wants to be sure asks again.
 */
#include <string.h>

#include "softdev/net.h"

#define ETH_P_RARP_HI 0x80
#define ETH_P_RARP_LO 0x35

/* Ethernet, of IPv4, "request reverse". */
static const uint8_t head[] = { ETH_P_RARP_HI, ETH_P_RARP_LO, 0, 1, 8, 0, 6, 4, 0, 3 };

static_assert(sizeof(((struct vd_net *)NULL)->rarp.frame) >= 12 + sizeof(head) + 20,
	      "RFC 903: both addresses of sender and target");

void vd_net_rarp(struct vd_net *net, const uint8_t mac[6])
{
	__atomic_store_n(&net->rarp.mac, vd_net_mac_number(mac), __ATOMIC_RELAXED);
	vd_worker_wake(net->pairs->worker);
}

void vd_net_rarp_send(struct vd_net *net)
{
	struct vd_net_pair *pair = net->pairs;
	uint8_t *f = net->rarp.frame, mac[6];
	struct vd_net_frame frame = { .iov = &net->rarp.piece,
				      .niov = 1,
				      .len = sizeof(net->rarp.frame) };

	if (!vd_softq_runs(pair->tx) || pair->tx_blocked)
		return; /* it comes again */
	vd_net_mac_bytes(__atomic_exchange_n(&net->rarp.mac, 0, __ATOMIC_RELAXED), mac);
	if (!__atomic_load_n(&net->link_up, __ATOMIC_RELAXED))
		return;
	memset(f, 0, sizeof(net->rarp.frame));
	memset(f, 0xff, 6);
	memcpy(f + 6, mac, 6);
	memcpy(f + 12, head, sizeof(head));
	memcpy(f + 22, mac, 6);
	memcpy(f + 32, mac, 6);
	net->rarp.piece = (struct vd_iov){ vd_guest_wrap(uint8_t, f), frame.len };
	net->ops->send(net, pair, &frame, 1);
}
