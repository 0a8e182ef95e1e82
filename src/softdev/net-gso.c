/* SPDX-License-Identifier: BSD-2-Clause */
#include "softdev/net-gso.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "softdev/net-csum.h"
#include "softdev/net-parse.h"

#define TCP_FIN   0x01u
#define TCP_PSH   0x08u
#define TCP_CWR   0x80u
#define TCP_CSUM  16u /* where it is in the header */
#define UDP_CSUM  6u
#define UDP_HLEN  8u
#define FRAG_HLEN 8u
#define FRAG_MORE 0x2000u /* IPv4 */

/* The sum that is in a checksum field, or goes there; of no byte order. */
static uint16_t csum_at(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return v;
}

/* For UDP 0 says that there is none, so its other form is used, as it may be for all. */
static void csum_finish(uint8_t *p, uint64_t sum)
{
	uint16_t v = (uint16_t)~vd_csum_fold(sum);

	vd_csum_put(p, v ? v : 0xffff);
}

/* Of the pseudo header: the addresses, the protocol, and the length of what comes behind. */
static uint64_t pseudo(const struct vd_net_gso *g, uint8_t proto, uint32_t len)
{
	uint64_t sum = g->v6 ? vd_csum_add(0, g->head + g->l3 + 8, 32)
			     : vd_csum_add(0, g->head + g->l3 + 12, 8);

	return vd_csum_add16(vd_csum_add16(sum, proto), (uint16_t)len);
}

/* All that is to be done is a checksum, from where it is said to begin to the end of the frame. */
static int begin_csum(struct vd_net_gso *g, const struct vd_net_frame *f)
{
	uint32_t at = (uint32_t)f->hdr.csum_start + f->hdr.csum_offset;
	struct vd_sg rest;
	uint64_t sum;

	if (at + 2 > g->nhead)
		return -EBADMSG;
	g->nhead = at + 2;
	g->data = vd_sg(f->iov, f->niov);
	vd_sg_skip(&g->data, g->nhead);
	g->left = g->size = f->len - g->nhead;
	/* The head is even when it ends behind the checksum, or else one byte of the rest is of it.
	 */
	sum = vd_csum_add(0, g->head + f->hdr.csum_start, g->nhead - f->hdr.csum_start);
	rest = g->data;
	if ((g->nhead - f->hdr.csum_start) % 2 == 0) {
		sum = vd_csum_add_sg(sum, &rest, g->left);
	} else {
		uint16_t odd = vd_csum_fold(vd_csum_add_sg(0, &rest, g->left));

		sum += (uint16_t)(odd << 8 | odd >> 8);
	}
	csum_finish(g->head + at, sum);
	return 0;
}

/* Where IP says that the packet ends; 0: that is not in the frame. */
static uint32_t ip_end(const struct vd_net_gso *g, const struct vd_net_pkt *pkt, uint32_t len)
{
	const uint8_t *ip = g->head + pkt->l3;
	uint32_t end = pkt->l3;

	end += pkt->version == 4 ? vd_get_be16(ip + 2) : 40u + vd_get_be16(ip + 4);
	return end <= len ? end : 0;
}

static bool version_fits(uint8_t type, uint8_t version)
{
	switch (type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return version == 4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return version == 6;
	case VIRTIO_NET_HDR_GSO_UDP:
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return version == 4 || version == 6;
	}
	return false;
}

static int begin_tcp(struct vd_net_gso *g)
{
	const uint8_t *tcp = g->head + g->l4;
	uint32_t hlen;

	if (g->l4 + 20u > g->nhead)
		return -EBADMSG;
	hlen = 4u * (tcp[12] >> 4);
	if (hlen < 20 || g->l4 + hlen > g->nhead)
		return -EBADMSG;
	g->nhead = g->l4 + hlen;
	g->seq = vd_get_be32(tcp + 4);
	g->flags = tcp[13];
	g->csum_offset = TCP_CSUM;
	return 0;
}

static int begin_udp(struct vd_net_gso *g)
{
	if (g->l4 + UDP_HLEN > g->nhead)
		return -EBADMSG;
	g->nhead = g->l4 + UDP_HLEN;
	g->csum_offset = UDP_CSUM;
	return 0;
}

/* The datagram is whole before it is cut, so its checksum is made now. */
static void finish_datagram(struct vd_net_gso *g)
{
	struct vd_sg rest = g->data;
	uint64_t sum = vd_csum_add(0, g->head + g->l4, UDP_HLEN);

	if (!g->no_csum)
		csum_finish(g->head + g->l4 + UDP_CSUM, vd_csum_add_sg(sum, &rest, g->left));
}

/* Where IPv6's fragment header belongs is found; what is behind it is cut as the data is. */
static int begin_fragments(struct vd_net_gso *g, const struct vd_net_pkt *pkt, uint32_t id)
{
	g->frag = g->v6 ? pkt->frag : g->l4;
	g->own = g->nhead - g->frag;
	g->size &= ~7u;
	finish_datagram(g);
	if (g->own + g->left <= g->size) {
		g->type = VIRTIO_NET_HDR_GSO_NONE; /* it is not cut */
		g->size = g->left;
		return 0;
	}
	if (g->size < g->own || g->frag - g->l3 + FRAG_HLEN + g->size > UINT16_MAX)
		return -EBADMSG;
	g->left += g->own;
	if (!g->v6)
		return 0;
	memmove(g->head + g->frag + FRAG_HLEN, g->head + g->frag, g->own);
	memset(g->head + g->frag, 0, FRAG_HLEN);
	g->head[g->frag] = g->head[pkt->frag_next];
	g->head[pkt->frag_next] = IPPROTO_FRAGMENT;
	vd_put_be32(g->head + g->frag + 4, id);
	g->nhead += FRAG_HLEN;
	return 0;
}

static int begin_gso(struct vd_net_gso *g, const struct vd_net_frame *f, uint32_t id)
{
	bool tcp = g->type == VIRTIO_NET_HDR_GSO_TCPV4 || g->type == VIRTIO_NET_HDR_GSO_TCPV6;
	struct vd_net_pkt pkt;
	uint32_t end;
	int err;

	vd_net_parse(&pkt, g->head, g->nhead);
	if (!pkt.l4 || pkt.proto != (tcp ? IPPROTO_TCP : IPPROTO_UDP) ||
	    !version_fits(g->type, pkt.version) || !f->hdr.gso_size ||
	    (f->hdr.gso_type & VIRTIO_NET_HDR_GSO_ECN && !tcp))
		return -EBADMSG;
	g->v6 = pkt.version == 6;
	g->l3 = pkt.l3;
	g->l4 = pkt.l4;
	end = ip_end(g, &pkt, f->len);
	err = tcp ? begin_tcp(g) : begin_udp(g);
	if (err || end < g->nhead)
		return -EBADMSG;
	if (!(f->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		g->no_csum = !tcp && (g->type == VIRTIO_NET_HDR_GSO_UDP ||
				      !csum_at(g->head + g->l4 + UDP_CSUM));
	else if (f->hdr.csum_start != g->l4 || f->hdr.csum_offset != g->csum_offset)
		return -EBADMSG;
	g->csum_start = g->l4;
	g->id = vd_get_be16(g->head + g->l3 + 4);
	g->size = f->hdr.gso_size;
	g->left = end - g->nhead;
	g->data = vd_sg(f->iov, f->niov);
	vd_sg_skip(&g->data, g->nhead);
	if (g->type == VIRTIO_NET_HDR_GSO_UDP)
		err = begin_fragments(g, &pkt, id);
	return err || g->left > (uint64_t)g->size * VD_NET_GSO_SEGS_MAX ? -EBADMSG : 0;
}

int vd_net_gso_begin(struct vd_net_gso *g, const struct vd_net_frame *frame, uint64_t guest,
		     uint32_t id)
{
	struct vd_sg sg = vd_sg(frame->iov, frame->niov);

	memset((char *)g + sizeof(g->head), 0, sizeof(*g) - sizeof(g->head));
	g->nhead = (uint32_t)vd_sg_read(&sg, g->head, vd_min(frame->len, VD_NET_GSO_HDR_MAX));
	g->type = frame->hdr.gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	g->partial = guest & VD_NET_F(GUEST_CSUM);
	if (frame->hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return begin_gso(g, frame, id);
	if (frame->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		return begin_csum(g, frame);
	g->nhead = 0;
	g->data = vd_sg(frame->iov, frame->niov);
	g->left = g->size = frame->len;
	return 0;
}

/* IP's header in front of @len bytes. */
static void put_ip(struct vd_net_gso *g, uint32_t len, uint16_t id, uint16_t frag)
{
	uint8_t *ip = g->head + g->l3;
	uint32_t hlen;

	if (g->v6) {
		vd_put_be16(ip + 4, (uint16_t)(len - 40));
		return;
	}
	hlen = 4u * (ip[0] & 0xf);
	vd_put_be16(ip + 2, (uint16_t)len);
	vd_put_be16(ip + 4, id);
	if (g->type == VIRTIO_NET_HDR_GSO_UDP)
		vd_put_be16(ip + 6, frag); /* what is cut may be cut: no DF */
	vd_csum_put(ip + 10, 0);
	vd_csum_put(ip + 10, (uint16_t)~vd_csum_fold(vd_csum_add(0, ip, hlen)));
}

/* The checksum of the segment that g->head is now, with @n bytes of data; or what it begins with.
 */
static void put_csum(struct vd_net_gso *g, uint32_t n, struct vd_net_seg *seg)
{
	uint32_t hlen = g->nhead - g->l4;
	uint8_t *at = g->head + g->l4 + g->csum_offset;
	uint64_t sum = pseudo(g, g->csum_offset == TCP_CSUM ? IPPROTO_TCP : IPPROTO_UDP, hlen + n);
	struct vd_sg data = seg->data;

	if (g->no_csum)
		return;
	if (g->partial) {
		vd_csum_put(at, vd_csum_fold(sum));
		seg->hdr = (struct vd_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						.csum_start = g->csum_start,
						.csum_offset = g->csum_offset };
		return;
	}
	vd_csum_put(at, 0);
	csum_finish(at, vd_csum_add_sg(vd_csum_add(sum, g->head + g->l4, hlen), &data, n));
}

static void next_segment(struct vd_net_gso *g, uint32_t n, struct vd_net_seg *seg)
{
	uint8_t *l4 = g->head + g->l4;

	put_ip(g, g->nhead - g->l3 + n, (uint16_t)(g->id + g->n), 0);
	if (g->csum_offset == TCP_CSUM) {
		vd_put_be32(l4 + 4, g->seq + g->done);
		l4[13] = g->flags;
		if (n < g->left)
			l4[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
		if (g->n)
			l4[13] &= (uint8_t)~TCP_CWR;
	} else {
		vd_put_be16(l4 + 4, (uint16_t)(UDP_HLEN + n));
	}
	put_csum(g, n, seg);
}

/* @n: bytes of the packet that is cut; the first of them lie in the head. */
static void next_fragment(struct vd_net_gso *g, uint32_t n, struct vd_net_seg *seg)
{
	uint32_t fixed = g->frag + (g->v6 ? FRAG_HLEN : 0);
	bool more = n < g->left;

	put_ip(g, fixed - g->l3 + n, g->id, (uint16_t)(g->done / 8 | (more ? FRAG_MORE : 0)));
	if (g->v6)
		vd_put_be16(g->head + g->frag + 2, (uint16_t)(g->done | more));
	if (g->n)
		seg->nhead = fixed;
	else
		seg->ndata = n - g->own;
}

bool vd_net_gso_next(struct vd_net_gso *g, struct vd_net_seg *ret_seg)
{
	uint32_t n = vd_min(g->size, g->left);

	if (g->over)
		return false;
	*ret_seg = (struct vd_net_seg){ g->head, g->nhead, g->data, n, { 0 } };
	if (g->type == VIRTIO_NET_HDR_GSO_UDP)
		next_fragment(g, n, ret_seg);
	else if (g->type != VIRTIO_NET_HDR_GSO_NONE)
		next_segment(g, n, ret_seg);
	vd_sg_skip(&g->data, ret_seg->ndata);
	g->done += n;
	g->left -= n;
	g->n++;
	g->over = !g->left;
	return true;
}
