/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-filter.h - which frames a driver wants to receive (virtio 1.3, 5.1.6.5.1 to 5.1.6.5.3)
 *
 * Promiscuous means everything, whatever its VLAN. So a device begins, until its driver says for
 * the first time what it wants: one that never does (no control queue, or a VMM that keeps that
 * queue to itself) misses nothing.
 */
#ifndef VD_SOFTDEV_NET_FILTER_H
#define VD_SOFTDEV_NET_FILTER_H

#include <stdbool.h>

#include "mem/sg.h"
#include "virtq/net-uapi.h"

#define VD_NET_MACS_MAX     64u /* addresses of a sort that are told apart; with more, all of it */
#define VD_NET_FILTER_BYTES 18u /* of a frame that are looked at: addresses and a VLAN tag */

/* Addresses, as numbers. */
struct vd_net_macs {
	unsigned int n;
	bool all; /* there were too many */
	uint64_t mac[VD_NET_MACS_MAX];
};

struct vd_net_filter {
	bool everything; /* what to ask first: nothing is filtered */
	bool told;       /* the driver has said what it wants */
	bool vlans_only; /* those in @vlans, and frames without one */
	uint8_t modes;   /* bits: 1 << VIRTIO_NET_CTRL_RX_* */
	struct vd_net_macs uni, multi;
	uint64_t vlans[4096 / 64];
};

/* As a device begins. @features: negotiated. */
void vd_net_filter_reset(struct vd_net_filter *f, uint64_t features);

/* An Ethernet address as a number. */
static inline uint64_t vd_net_mac_number(const uint8_t mac[6])
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < 6; i++)
		v = v << 8 | mac[i];
	return v;
}

static inline void vd_net_mac_bytes(uint64_t number, uint8_t ret_mac[6])
{
	for (unsigned int i = 0; i < 6; i++)
		ret_mac[i] = (uint8_t)(number >> (40 - 8 * i));
}

/*
 * The commands; @cmd: what follows the command's header, all of it. Return: 0; -EINVAL: a length or
 * a value makes no sense, and nothing has changed.
 * Context: the control queue's worker; nobody asks meanwhile.
 */
int vd_net_filter_rx(struct vd_net_filter *f, uint8_t mode, struct vd_sg *cmd);
int vd_net_filter_macs(struct vd_net_filter *f, struct vd_sg *cmd);
int vd_net_filter_vlan(struct vd_net_filter *f, bool add, struct vd_sg *cmd);

/* vd_net_filter_wants() for who does filter. */
bool vd_net_filter_look(const struct vd_net_filter *f, uint64_t own, const uint8_t *b, size_t len);

/**
 * vd_net_filter_wants() - Does the driver want a frame?
 * @own: the device's address
 * @b: its first bytes, in our own memory
 * @len: how many; VD_NET_FILTER_BYTES are enough
 *
 * Context: any thread, while no command is done.
 */
static inline bool vd_net_filter_wants(const struct vd_net_filter *f, uint64_t own,
				       const uint8_t *b, size_t len)
{
	return vd_likely(f->everything) || vd_net_filter_look(f, own, b, len);
}

#endif
