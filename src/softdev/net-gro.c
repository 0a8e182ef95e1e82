/* SPDX-License-Identifier: BSD-2-Clause */
#include "softdev/net-gro.h"

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "softdev/net-csum.h"
#include "softdev/net-parse.h"

#define TCP_FIN  0x01u
#define TCP_PSH  0x08u
#define TCP_ACK  0x10u
#define TCP_CSUM 16u     /* where it is in the header */
#define IP_DF    0x4000u /* IPv4: no fragments */

#define L3 ((uint32_t)ETH_HLEN) /* a tag may be something that a receiver knows nothing of */

/* A segment, by a copy of its headers: the frame may be somebody's memory. */
struct segment {
	const struct vd_net_frame *frame;
	uint8_t head[VD_NET_HEAD];
	bool v6;
	uint32_t l4, nhead, ndata;
};

/* Return: whether it may be a part of something larger. */
static bool look(struct segment *s, const struct vd_net_frame *f)
{
	const uint8_t *ip = s->head + L3, *tcp;
	struct vd_net_pkt pkt;
	uint32_t len = vd_min(f->len, VD_NET_HEAD);

	if (f->niov != 1 || f->hdr.flags || f->hdr.gso_type)
		return false;
	vd_guest_read(s->head, f->iov->base, len);
	vd_net_parse(&pkt, s->head, len);
	if (!pkt.l4 || pkt.proto != IPPROTO_TCP || pkt.l3 != L3 || pkt.ext || pkt.l4 + 20u > len)
		return false;
	s->frame = f;
	s->v6 = pkt.version == 6;
	s->l4 = pkt.l4;
	tcp = s->head + s->l4;
	s->nhead = s->l4 + 4u * (tcp[12] >> 4);
	if (s->nhead < s->l4 + 20u || s->nhead >= f->len || s->nhead > len)
		return false;
	s->ndata = f->len - s->nhead;
	if (s->v6)
		return s->l4 == L3 + 40u && vd_get_be16(ip + 4) + 40u == f->len - L3;
	return s->l4 == L3 + 20u && vd_get_be16(ip + 2) == f->len - L3 &&
	       vd_csum_fold(vd_csum_add(0, ip, 20)) == 0xffff;
}

static bool same(const uint8_t *a, const uint8_t *b, size_t from, size_t to)
{
	return memcmp(a + from, b + from, to - from) == 0;
}

/* Is all the same that all segments of a frame have in common? @b is the @n-th behind @a. */
static bool alike(const struct segment *a, const struct segment *b, unsigned int n)
{
	const uint8_t *x = a->head, *y = b->head;
	uint16_t id = (uint16_t)(vd_get_be16(x + L3 + 4) + n);

	if (a->v6 != b->v6 || a->nhead != b->nhead || !same(x, y, 0, L3))
		return false;
	if (a->v6 && !(same(x, y, L3, L3 + 4) && same(x, y, L3 + 6, L3 + 40)))
		return false;
	if (!a->v6 && !(same(x, y, L3, L3 + 2) && same(x, y, L3 + 6, L3 + 10) &&
			same(x, y, L3 + 12, L3 + 20) &&
			(vd_get_be16(x + L3 + 6) & IP_DF || vd_get_be16(y + L3 + 4) == id)))
		return false;
	x += a->l4;
	y += b->l4;
	return same(x, y, 0, 4) && same(x, y, 8, 13) && same(x, y, 14, 16) &&
	       same(x, y, 18, a->nhead - a->l4);
}

/* Of the pseudo header of @len bytes. */
static uint64_t pseudo(const struct segment *s, uint32_t len)
{
	const uint8_t *ip = s->head + L3;
	uint64_t sum = s->v6 ? vd_csum_add(0, ip + 8, 32) : vd_csum_add(0, ip + 12, 8);

	return vd_csum_add16(vd_csum_add16(sum, IPPROTO_TCP), (uint16_t)len);
}

static bool is_right(const struct segment *s)
{
	uint32_t hlen = s->nhead - s->l4;
	uint64_t sum = vd_csum_add(pseudo(s, hlen + s->ndata), s->head + s->l4, hlen);
	struct vd_sg data = vd_sg(s->frame->iov, 1);

	vd_sg_skip(&data, s->nhead);
	return vd_csum_fold(vd_csum_add_sg(sum, &data, s->ndata)) == 0xffff;
}

static uint8_t tcp_flags(const struct segment *s)
{
	return s->head[s->l4 + 13];
}

static uint32_t seq(const struct segment *s)
{
	return vd_get_be32(s->head + s->l4 + 4);
}

static void add(struct vd_net_gro *g, const struct segment *s)
{
	g->iov[g->frame.niov++] = (struct vd_iov){ s->frame->iov->base + s->nhead, s->ndata };
	g->frame.len += s->ndata;
}

/* The header of all; @flags: of the last. */
static void finish(struct vd_net_gro *g, const struct segment *first, uint8_t flags)
{
	uint8_t *ip = g->head + L3, *tcp = g->head + first->l4;
	uint32_t l4_len = g->frame.len - first->l4;

	memcpy(g->head, first->head, first->nhead);
	if (first->v6) {
		vd_put_be16(ip + 4, (uint16_t)l4_len);
	} else {
		vd_put_be16(ip + 2, (uint16_t)(g->frame.len - L3));
		vd_csum_put(ip + 10, 0);
		vd_csum_put(ip + 10, (uint16_t)~vd_csum_fold(vd_csum_add(0, ip, 20)));
	}
	tcp[13] = flags;
	vd_csum_put(tcp + TCP_CSUM, vd_csum_fold(pseudo(first, l4_len)));
}

unsigned int vd_net_gro(struct vd_net_gro *g, const struct vd_net_frame *frames, unsigned int n,
			uint64_t guest)
{
	struct segment first, s;
	uint8_t flags = TCP_ACK;
	uint32_t done;
	unsigned int k;

	if (n < 2 || !look(&first, frames) || tcp_flags(&first) != TCP_ACK ||
	    (guest & VD_NET_F(GUEST_CSUM)) == 0 ||
	    !(guest & (first.v6 ? VD_NET_F(GUEST_TSO6) : VD_NET_F(GUEST_TSO4))))
		return 1;
	g->frame = (struct vd_net_frame){ .iov = g->iov, .niov = 1, .len = first.nhead };
	g->iov[0] = (struct vd_iov){ vd_guest_wrap(uint8_t, g->head), first.nhead };
	add(g, &first);
	done = first.ndata;
	n = vd_min(n, VD_NET_GRO_MAX);
	for (k = 1; k < n && flags == TCP_ACK && done == k * first.ndata; k++) {
		if (!look(&s, &frames[k]) || s.ndata > first.ndata ||
		    (tcp_flags(&s) & ~(TCP_PSH | TCP_FIN)) != TCP_ACK || !alike(&first, &s, k) ||
		    seq(&s) != seq(&first) + done || g->frame.len - L3 + s.ndata > UINT16_MAX ||
		    (k == 1 && !is_right(&first)) || !is_right(&s))
			break;
		add(g, &s);
		flags = tcp_flags(&s);
		done += s.ndata;
	}
	if (k == 1)
		return 1;
	g->frame.hdr = (struct vd_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = first.v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = (uint16_t)first.nhead,
		.gso_size = (uint16_t)first.ndata,
		.csum_start = (uint16_t)first.l4,
		.csum_offset = TCP_CSUM,
	};
	finish(g, &first, flags);
	return k;
}
