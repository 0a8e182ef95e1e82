/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-parse.h - what the first bytes of a frame are
 *
 * Over bytes that lie in our own memory: whoever may change the frame does so before or after.
 */
#ifndef VD_SOFTDEV_NET_PARSE_H
#define VD_SOFTDEV_NET_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VD_NET_TAGS_MAX 2u /* VLAN tags that are looked behind */
#define VD_NET_L4_MIN   4u /* bytes: the ports */

/**
 * struct vd_net_pkt - Where the headers of a frame are; offsets from its first byte
 * @version: of IP, 4 or 6; 0: something else, or cut off within its header
 * @proto: what is at @l4
 * @fragment: the packet is a part of a larger one
 * @ext: there are IPv6 extension headers
 * @l3: the header behind Ethernet's and its tags
 * @l4: behind all of IP's, with VD_NET_L4_MIN bytes at least; 0: a fragment, or it is not here
 * @src: address, 4 or 16 bytes
 * @dst: likewise
 * @home: IPv6: the address in a home address option; 0: none
 * @via: IPv6: that in a routing header of type 2; 0: none
 * @frag: IPv6: where a fragment header would go
 * @frag_next: IPv6: the byte that says what is there
 */
struct vd_net_pkt {
	uint8_t version, proto;
	bool fragment, ext;
	uint16_t l3, l4;
	uint16_t src, dst, home, via;
	uint16_t frag, frag_next;
};

/**
 * vd_net_parse() - Look at headers
 * @b: the frame's first bytes, or all of it
 * @len: how many; enough of them for the headers: what is cut off is as if it were not known
 *
 * Reads each header at most once, and a bounded number of them. Any thread.
 */
void vd_net_parse(struct vd_net_pkt *pkt, const uint8_t *b, size_t len);

static inline uint16_t vd_get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void vd_put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline uint32_t vd_get_be32(const uint8_t *p)
{
	return (uint32_t)vd_get_be16(p) << 16 | vd_get_be16(p + 2);
}

static inline void vd_put_be32(uint8_t *p, uint32_t v)
{
	vd_put_be16(p, (uint16_t)(v >> 16));
	vd_put_be16(p + 2, (uint16_t)v);
}

#endif
