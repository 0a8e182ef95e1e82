/* SPDX-License-Identifier: BSD-2-Clause */
/* net-gso-fx.h - frames with work left undone, and what becomes of them, for tests */
#ifndef VD_SOFTDEV_NET_GSO_FX_H
#define VD_SOFTDEV_NET_GSO_FX_H

#include "softdev/net-gso.h"
#include "softdev/net-pkt-fx.h"

#define GSO_SEGS 2200u

/* A packet that a driver would send with @type, and @size in each segment. */
struct gso_case {
	struct pkt pkt;
	uint8_t type;
	uint16_t size;
	bool no_csum; /* without NEEDS_CSUM */
};

/* The segments, one behind the other. */
struct gso_out {
	unsigned int n;
	size_t at[GSO_SEGS + 1];
	struct vd_net_hdr hdr[GSO_SEGS];
	uint8_t bytes[4 << 20];
};

/* How a driver would describe it. */
struct vd_net_hdr gso_hdr(const struct gso_case *c, const struct pkt_at *at);

/**
 * gso_run() - Segments of a frame
 * @each: bytes of its pieces; the pieces are allocated one by one, so that a read outside is seen
 *
 * Return: 0, or what vd_net_gso_begin() did.
 */
int gso_run(const uint8_t *frame, size_t len, const struct vd_net_hdr *hdr, size_t each,
	    uint64_t guest, struct gso_out *out);

#endif
