/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-gso.h - offloads in software, for a receiver that does not take them undone
 *
 * A frame becomes segments, each of which is a header in our own memory and data that stays where
 *it is (virtio 1.3, 5.1.6.2, 5.1.6.4):
 *
 *	frame	| Ethernet, IP, TCP | data .................................. |
 *	segment	| header | data |	| header | data |	| header | da |
 *
 *	TCP	gso_size of data in each; sequence number, flags, IP's length and id are its own
 *	UDP_L4	the same for datagrams
 *	UDP	one datagram, as fragments with gso_size of IP's payload in each
 *	none	a checksum is completed
 *
 * Headers are read once, before all. Lengths are IP's, never hdr_len, which is only said to be a
 *hint. Nothing is allocated, and the number of segments is bounded.
 */
#ifndef VD_SOFTDEV_NET_GSO_H
#define VD_SOFTDEV_NET_GSO_H

#include "softdev/net.h"
#include "virtq/net-uapi.h"

#define VD_NET_GSO_HDR_MAX  512u  /* bytes up to the end of the last header, or of the checksum */
#define VD_NET_GSO_SEGS_MAX 2048u /* what a frame may become; 32 bytes in each of the largest */

/**
 * struct vd_net_seg - What a frame has become, or a part of it
 * @head: its first bytes; the iterator's, until next is called again
 * @nhead: how many
 * @data: where what follows them begins
 * @ndata: how many bytes
 * @hdr: what is left to be done; nothing, or a checksum for who takes those
 */
struct vd_net_seg {
	const uint8_t *head;
	uint32_t nhead;
	struct vd_sg data;
	uint32_t ndata;
	struct vd_net_hdr hdr;
};

/* An iterator; net-gso.c's. */
struct vd_net_gso {
	uint8_t head[VD_NET_GSO_HDR_MAX + 8]; /* with a fragment header */
	uint32_t nhead;
	struct vd_sg data;
	uint32_t left;  /* bytes of data that are in no segment yet */
	uint32_t size;  /* of data in each */
	uint32_t done;  /* bytes that were */
	unsigned int n; /* segments that were */
	uint8_t type;   /* VIRTIO_NET_HDR_GSO_*, without ECN */
	bool partial;   /* checksums are left to the receiver */
	bool v6, no_csum;
	uint16_t l3, l4, frag;
	uint32_t own; /* UDP: bytes of the head that belong to the first fragment */
	uint32_t seq;
	uint8_t flags;
	uint16_t id;
	uint16_t csum_start, csum_offset;
	bool over;
};

/**
 * vd_net_fits() - Does a receiver take a frame as it is?
 * @guest: of VD_NET_GUEST_OFFLOADS, what it takes undone
 *
 * UDP_L4 does not say whether it is over IPv4, so it needs both features.
 */
static inline bool vd_net_fits(uint64_t guest, const struct vd_net_hdr *hdr)
{
	uint64_t need = 0;

	if (vd_likely(!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && !hdr->gso_type))
		return true;
	switch (hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		break;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		need = VD_NET_F(GUEST_TSO4);
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		need = VD_NET_F(GUEST_TSO6);
		break;
	case VIRTIO_NET_HDR_GSO_UDP:
		need = VD_NET_F(GUEST_UFO);
		break;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		need = VD_NET_F(GUEST_USO4) | VD_NET_F(GUEST_USO6);
		break;
	default:
		return false;
	}
	if (hdr->gso_type & VIRTIO_NET_HDR_GSO_ECN)
		need |= VD_NET_F(GUEST_ECN);
	need |= VD_NET_F(GUEST_CSUM);
	return (guest & need) == need;
}

/**
 * vd_net_gso_begin() - Read the headers of a frame that does not fit
 * @frame: borrowed until the last segment
 * @guest: what the receiver takes undone; of it, only GUEST_CSUM makes a difference
 * @id: for the fragments of an IPv6 packet: a number that was not there for a while
 *
 * Return: 0; -EBADMSG: the headers do not agree with each other, with what is to be done, or with
 * the frame, or there are too many: it is dropped.
 * Context: any data thread.
 */
int vd_net_gso_begin(struct vd_net_gso *g, const struct vd_net_frame *frame, uint64_t guest,
		     uint32_t id);

/* Return: false: that was the last. */
bool vd_net_gso_next(struct vd_net_gso *g, struct vd_net_seg *ret_seg);

#endif
