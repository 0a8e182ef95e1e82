/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-gro.h - segments of a TCP stream that came one behind the other become one frame again
 *
 *	came	| header | data |	| header | data |	| header | da |
 *	frame	| header | data | data | da |
 *
 * For a receiver that takes large frames, as the opposite of net-gso.h: who cuts the frame up has
 * what came, but for what nobody may rely on (IPv4's id where fragments are forbidden). So all must
 * be as segments of one are: in order, full but for the last, with the same headers and with right
 * checksums; anything else is let through as it is.
 */
#ifndef VD_SOFTDEV_NET_GRO_H
#define VD_SOFTDEV_NET_GRO_H

#include "softdev/net.h"

#define VD_NET_GRO_MAX 64u /* segments that become one frame, at most */

struct vd_net_gro {
	struct vd_net_frame frame; /* what they have become; of this and the segments' memory */
	uint8_t head[VD_NET_HEAD];
	struct vd_iov iov[VD_NET_GRO_MAX + 1];
};

/**
 * vd_net_gro() - How many frames, from the first on, can be one?
 * @frames: @n of them, at least 1, that leave nothing to be done; borrowed
 * @guest: of VD_NET_GUEST_OFFLOADS, what the receiver takes undone
 *
 * Return: how many; if it is more than 1, g->frame is what they are together.
 * Context: any data thread.
 */
unsigned int vd_net_gro(struct vd_net_gro *g, const struct vd_net_frame *frames, unsigned int n,
			uint64_t guest);

#endif
