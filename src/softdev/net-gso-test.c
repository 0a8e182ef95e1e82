/* SPDX-License-Identifier: BSD-2-Clause */
/* net-gso-test.c - segments of good frames, and what becomes of others */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "softdev/net-gso-fx.h"

#define TCP4 VIRTIO_NET_HDR_GSO_TCPV4
#define TCP6 VIRTIO_NET_HDR_GSO_TCPV6
#define UFO  VIRTIO_NET_HDR_GSO_UDP
#define USO  VIRTIO_NET_HDR_GSO_UDP_L4
#define ECN  VIRTIO_NET_HDR_GSO_ECN
#define V4   .src = "10.0.0.1", .dst = "10.0.0.2", .partial = true
#define V6   .src = "fd00::1", .dst = "fd00::2", .partial = true

static const struct gso_case cases[] = {
	{ { V4, .proto = IPPROTO_TCP, .payload = 4000, .seq = 7, .ip_id = 9 }, TCP4, 1448, false },
	{ { V4, .proto = IPPROTO_TCP, .payload = 4344, .tcp_opts = 12, .tcp_flags = 0x19 },
	  TCP4,
	  1448,
	  false },
	{ { V4, .proto = IPPROTO_TCP, .payload = 60000, .seq = 0xffffff00, .ip_id = 0xfffe },
	  TCP4,
	  1460,
	  false },
	{ { V4, .proto = IPPROTO_TCP, .payload = 777, .tags = 1, .ip_opts = 8 }, TCP4, 100, false },
	{ { V4, .proto = IPPROTO_TCP, .payload = 777, .tags = 2, .ip_opts = 40, .tcp_opts = 40 },
	  TCP4,
	  99,
	  false },
	{ { V4, .proto = IPPROTO_TCP, .payload = 3000, .tcp_flags = 0xd8 },
	  TCP4 | ECN,
	  1000,
	  false },
	{ { V4, .proto = IPPROTO_TCP, .payload = 10 }, TCP4, 1448, false }, /* one only */
	{ { V4, .proto = IPPROTO_TCP, .payload = 0, .tcp_flags = 0x10 }, TCP4, 1448, false },
	{ { V4, .proto = IPPROTO_TCP, .payload = 2048 },
	  TCP4,
	  1,
	  false }, /* as many as there may be */
	{ { V6, .proto = IPPROTO_TCP, .payload = 4000, .seq = 7 }, TCP6, 1440, false },
	{ { V6, .proto = IPPROTO_TCP, .payload = 4001, .tags = 1, .tcp_flags = 0x99 },
	  TCP6 | ECN,
	  1001,
	  false },
	{ { V6, .proto = IPPROTO_TCP, .payload = 5000, .next = 3,
	    .ext = { IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS }, .home = "fd00::3",
	    .via = "fd00::4" },
	  TCP6,
	  1200,
	  false },
	{ { V4, .proto = IPPROTO_UDP, .payload = 4000, .ip_id = 77 }, USO, 1400, false },
	{ { V4, .proto = IPPROTO_UDP, .payload = 64, .tags = 1, .ip_opts = 4 }, USO, 1, false },
	{ { V6, .proto = IPPROTO_UDP, .payload = 60000 }, USO, 1440, false },
	{ { V6, .proto = IPPROTO_UDP, .payload = 3000, .next = 1, .ext = { IPPROTO_HOPOPTS } },
	  USO,
	  999,
	  false },
	{ { V4, .proto = IPPROTO_UDP, .payload = 4000, .ip_id = 77 }, UFO, 1480, false },
	{ { V4, .proto = IPPROTO_UDP, .payload = 65000, .tags = 2 },
	  UFO,
	  1483,
	  false }, /* eights */
	{ { V4, .proto = IPPROTO_UDP, .payload = 100, .ip_opts = 12 }, UFO, 8, false },
	{ { V4, .proto = IPPROTO_UDP, .payload = 1000 }, UFO, 1480, false }, /* is not cut */
	{ { V6, .proto = IPPROTO_UDP, .payload = 4000 }, UFO, 1448, false },
	{ { V6, .proto = IPPROTO_UDP, .payload = 1000 }, UFO, 1448, false },
	{ { V6, .proto = IPPROTO_UDP, .payload = 9000, .next = 3, .tags = 1,
	    .ext = { IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS } },
	  UFO,
	  1400,
	  false },
	{ { .src = "10.0.0.1", .dst = "10.0.0.2", .proto = IPPROTO_UDP, .payload = 4000 },
	  UFO,
	  1480,
	  true },
	{ { .src = "10.0.0.1", .dst = "10.0.0.2", .proto = IPPROTO_TCP, .payload = 4000 },
	  TCP4,
	  1000,
	  true },
};

static uint8_t frame[PKT_MAX], whole[PKT_MAX];
static struct gso_out out;

static unsigned int be16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
	return be16(p) << 16 | be16(p + 2);
}

/* A segment whose checksum is left to the receiver, as that would make it. */
static void complete(uint8_t *b, size_t len, const struct vd_net_hdr *h)
{
	uint8_t *at = b + h->csum_start + h->csum_offset;
	uint16_t sum;

	if (!(h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return;
	sum = pkt_fold(pkt_sum(0, b + h->csum_start, len - h->csum_start));
	at[0] = (uint8_t)(sum >> 8);
	at[1] = (uint8_t)sum;
}

/* Each segment is a packet of its own, and together they are what was sent. */
static void check_segments(const struct gso_case *c, const struct pkt_at *at)
{
	size_t done = 0;

	assert_int_equal(out.n, vd_max((c->pkt.payload + c->size - 1) / c->size, 1u));
	for (unsigned int i = 0; i < out.n; i++) {
		uint8_t *b = out.bytes + out.at[i], *l4 = b + at->l4;
		size_t len = out.at[i + 1] - out.at[i], n = len - at->data;
		bool last = i + 1 == out.n;

		complete(b, len, &out.hdr[i]);
		assert_null(pkt_wrong(b, len));
		assert_true(n == c->size || (last && n < c->size));
		assert_memory_equal(b + at->data, frame + at->data + done, n);
		assert_memory_equal(b, frame, at->l3);
		if (at->l4 - at->l3 < 40 || b[at->l3] >> 4 == 4)
			assert_int_equal(be16(b + at->l3 + 4), (uint16_t)(c->pkt.ip_id + i));
		else
			assert_memory_equal(b + at->l3 + 6, frame + at->l3 + 6,
					    at->l4 - at->l3 - 6);
		assert_memory_equal(l4, frame + at->l4, 4);
		if (c->pkt.proto == IPPROTO_TCP) {
			uint8_t flags = c->pkt.tcp_flags;

			flags &= (uint8_t)(last ? 0xff : ~0x09);
			flags &= (uint8_t)(i ? ~0x80 : 0xff);
			assert_int_equal(be32(l4 + 4), c->pkt.seq + (uint32_t)done);
			assert_int_equal(l4[13], flags);
			assert_memory_equal(l4 + 20, frame + at->l4 + 20, at->data - at->l4 - 20);
		}
		done += n;
	}
	assert_int_equal(done, c->pkt.payload);
}

/* Put together again, they are the datagram that was sent, with its checksum. */
static void check_fragments(const struct gso_case *c, const struct pkt_at *at)
{
	bool v6 = frame[at->l3] >> 4 == 6;
	/* Where the fragment header is: before options that only the receiver reads. */
	size_t cut = v6 ? at->l3 + 40 + (c->pkt.next ? 16 : 0) : at->l4, hlen = cut + (v6 ? 8 : 0);
	size_t done = 0, size = c->size & ~7u;
	struct vd_net_hdr all = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				  .csum_start = (uint16_t)at->l4,
				  .csum_offset = 6 };

	memcpy(whole, frame, at->len);
	if (!c->no_csum)
		complete(whole, at->len, &all);
	if (at->len - cut <= size) {
		assert_int_equal(out.n, 1);
		assert_int_equal(out.at[1], at->len);
		assert_memory_equal(out.bytes, whole, at->len);
		return;
	}
	assert_int_equal(out.n, (at->len - cut + size - 1) / size);
	for (unsigned int i = 0; i < out.n; i++) {
		const uint8_t *b = out.bytes + out.at[i];
		size_t n = out.at[i + 1] - out.at[i] - hlen;
		bool more = i + 1 < out.n;

		assert_int_equal(n, more ? size : at->len - cut - done);
		assert_memory_equal(b + hlen, whole + cut + done, n);
		assert_memory_equal(b, frame, at->l3);
		assert_int_equal(out.hdr[i].flags, 0);
		if (v6) {
			assert_int_equal(be16(b + at->l3 + 4), hlen - at->l3 - 40 + n);
			assert_int_equal(b[cut], c->pkt.next ? IPPROTO_DSTOPTS : IPPROTO_UDP);
			assert_int_equal(be16(b + cut + 2), done | more);
			assert_int_equal(be32(b + cut + 4), 0x12345678);
			assert_int_equal(b[c->pkt.next ? cut - 8 : at->l3 + 6], IPPROTO_FRAGMENT);
		} else {
			assert_int_equal(be16(b + at->l3 + 2), at->l4 - at->l3 + n);
			assert_int_equal(be16(b + at->l3 + 4), c->pkt.ip_id);
			assert_int_equal(be16(b + at->l3 + 6), done / 8 | (more ? 0x2000 : 0));
			assert_int_equal(pkt_fold(pkt_sum(0, b + at->l3, at->l4 - at->l3)), 0);
		}
		done += n;
	}
	assert_int_equal(done, at->len - cut);
}

static void test_cases(void **state)
{
	static const size_t each[] = { PKT_MAX, 1, 13, 100, 1514 };

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++)
		for (unsigned int k = 0; k < VD_ARRAY_SIZE(each); k++)
			for (unsigned int partial = 0; partial < 2; partial++) {
				const struct gso_case *c = &cases[i];
				struct pkt_at at = pkt_make(&c->pkt, frame);
				struct vd_net_hdr hdr = gso_hdr(c, &at);

				/* The length of headers is a hint that may be wrong. */
				hdr.hdr_len = (uint16_t)(k * 20);
				if (gso_run(frame, at.len, &hdr, each[k],
					    partial ? VD_NET_F(GUEST_CSUM) : 0, &out))
					fail_msg("case %u: refused", i);
				if (c->type == UFO)
					check_fragments(c, &at);
				else
					check_segments(c, &at);
				for (unsigned int s = 0; s < out.n; s++)
					assert_int_equal(out.hdr[s].flags,
							 partial && c->type != UFO);
			}
}

/* What is behind the packet is not of it: Ethernet's padding, say. */
static void test_padding(void **state)
{
	struct pkt_at at = pkt_make(&cases[0].pkt, frame);
	struct vd_net_hdr hdr = gso_hdr(&cases[0], &at);

	(void)state;
	memset(frame + at.len, 0xaa, 100);
	assert_int_equal(gso_run(frame, at.len + 100, &hdr, 500, 0, &out), 0);
	check_segments(&cases[0], &at);
}

/* A checksum at any place, over any number of bytes, even or odd. */
static void test_checksum(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 400; i++) {
		size_t len = VD_NET_HLEN + i * 3;
		struct vd_net_hdr hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					  .csum_start = (uint16_t)(i * 7 % len),
					  .csum_offset = (uint16_t)(i * 5 % 40) };
		size_t at = (size_t)hdr.csum_start + hdr.csum_offset;
		int err;

		for (size_t k = 0; k < len; k++)
			frame[k] = whole[k] = (uint8_t)(k * i);
		err = gso_run(frame, len, &hdr, 1 + i, 0, &out);
		if (at + 2 > len || at + 2 > VD_NET_GSO_HDR_MAX) {
			assert_int_equal(err, -EBADMSG);
			continue;
		}
		assert_int_equal(err, 0);
		complete(whole, len, &hdr);
		if (!whole[at] && !whole[at + 1])
			whole[at] = whole[at + 1] = 0xff;
		assert_int_equal(out.n, 1);
		assert_int_equal(out.at[1], len);
		assert_memory_equal(out.bytes, whole, len);
		assert_int_equal(out.hdr[0].flags, 0);
	}
}

/* A datagram whose sum is 0 says so in the other way: 0 itself means that there is none. */
static void test_zero(void **state)
{
	struct gso_case c = { { V4, .proto = IPPROTO_UDP, .payload = 2 }, USO, 100, false };
	struct pkt_at at = pkt_make(&c.pkt, frame);
	struct vd_net_hdr hdr = gso_hdr(&c, &at);
	uint16_t sum = pkt_fold(pkt_sum(0, frame + at.l4, at.len - at.l4));

	(void)state;
	frame[at.data] = (uint8_t)(sum >> 8);
	frame[at.data + 1] = (uint8_t)sum;
	for (unsigned int i = 0; i < 3; i++) {
		hdr.gso_type = i == 0 ? 0 : i == 1 ? USO : UFO;
		/* The payload was 0, 7 when the pseudo header was summed; it is not of that. */
		frame[at.data] = frame[at.data + 1] = 0;
		sum = pkt_fold(pkt_sum(0, frame + at.l4, at.len - at.l4));
		frame[at.data] = (uint8_t)(sum >> 8);
		frame[at.data + 1] = (uint8_t)sum;
		assert_int_equal(gso_run(frame, at.len, &hdr, 10, 0, &out), 0);
		assert_int_equal(be16(out.bytes + at.l4 + 6), 0xffff);
	}
}

static void test_fits(void **state)
{
	static const uint64_t csum = VD_NET_F(GUEST_CSUM);
	static const struct {
		uint8_t flags, type;
		uint64_t need;
	} rows[] = {
		{ 0, 0, 0 },
		{ VIRTIO_NET_HDR_F_DATA_VALID, 0, 0 },
		{ VIRTIO_NET_HDR_F_NEEDS_CSUM, 0, csum },
		{ VIRTIO_NET_HDR_F_NEEDS_CSUM, TCP4, csum | VD_NET_F(GUEST_TSO4) },
		{ VIRTIO_NET_HDR_F_NEEDS_CSUM, TCP6, csum | VD_NET_F(GUEST_TSO6) },
		{ 0, TCP4, csum | VD_NET_F(GUEST_TSO4) },
		{ 1, TCP4 | ECN, csum | VD_NET_F(GUEST_TSO4) | VD_NET_F(GUEST_ECN) },
		{ 1, TCP6 | ECN, csum | VD_NET_F(GUEST_TSO6) | VD_NET_F(GUEST_ECN) },
		{ 1, UFO, csum | VD_NET_F(GUEST_UFO) },
		{ 1, USO, csum | VD_NET_F(GUEST_USO4) | VD_NET_F(GUEST_USO6) },
		{ 1, 2, ~0ull },
		{ 1, 99, ~0ull },
	};

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(rows); i++) {
		struct vd_net_hdr hdr = { .flags = rows[i].flags, .gso_type = rows[i].type };

		for (unsigned int mask = 0; mask < 256; mask++) {
			static const unsigned int bits[] = {
				VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4,
				VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_ECN,
				VIRTIO_NET_F_GUEST_UFO,  VIRTIO_NET_F_GUEST_USO4,
				VIRTIO_NET_F_GUEST_USO6,
			};
			uint64_t guest = 0;

			for (unsigned int k = 0; k < VD_ARRAY_SIZE(bits); k++)
				guest |= (uint64_t)(mask >> k & 1) << bits[k];
			assert_int_equal(vd_net_fits(guest, &hdr),
					 (guest & rows[i].need) == rows[i].need);
		}
	}
}

/* Headers are read once: what becomes of them in the driver's memory afterwards is its own affair.
 */
static void test_cve_2020_14375_read_once(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct pkt_at at = pkt_make(&cases[i].pkt, frame);
		struct vd_iov iov = { vd_guest_wrap(uint8_t, whole), at.len };
		struct vd_net_frame f = { .iov = &iov,
					  .niov = 1,
					  .len = (uint32_t)at.len,
					  .hdr = gso_hdr(&cases[i], &at) };
		struct vd_net_gso g;
		struct vd_net_seg seg;
		size_t off = 0;

		assert_int_equal(gso_run(frame, at.len, &f.hdr, at.len, 0, &out), 0);
		memcpy(whole, frame, at.len);
		assert_int_equal(vd_net_gso_begin(&g, &f, 0, 0x12345678), 0);
		memset(whole, 0xee, at.data);
		for (unsigned int s = 0; vd_net_gso_next(&g, &seg); s++) {
			assert_memory_equal(out.bytes + out.at[s], seg.head, seg.nhead);
			off = out.at[s] + seg.nhead + seg.ndata;
			assert_int_equal(off, out.at[s + 1]);
		}
		assert_int_equal(off, out.at[out.n]);
	}
}

struct refusal {
	unsigned int of; /* a case */
	size_t at;       /* a byte of the frame; 0: none */
	uint8_t is;
	struct vd_net_hdr hdr; /* what is not 0 is added to what is right */
};

/* CVE-2024-11614 is the first of these. */
static void test_refused(void **state)
{
	static const struct refusal rows[] = {
		{ .of = 0, .hdr.csum_start = 60000 },
		{ .of = 0, .hdr.csum_start = 65501 }, /* 34 + 65501 wraps to -1 */
		{ .of = 0, .hdr.csum_offset = 65535 },
		{ .of = 0, .hdr.csum_offset = 65520 }, /* 16 + 65520 wraps to 0 */
		{ .of = 0, .hdr.csum_start = 1 },
		{ .of = 0, .hdr.csum_offset = 1 },
		{ .of = 12, .hdr.csum_offset = 10 },
		{ .of = 0, .hdr.gso_size = (uint16_t)(65536 - 1448) }, /* 0 */
		{ .of = 8, .hdr.gso_type = USO - TCP4 },               /* of TCP */
		{ .of = 8, .hdr.gso_type = TCP6 - TCP4 },              /* of IPv4 */
		{ .of = 9, .hdr.gso_type = (uint8_t)(TCP4 - TCP6) },
		{ .of = 12, .hdr.gso_type = ECN },
		{ .of = 12, .hdr.gso_type = 1 },                     /* 6 */
		{ .of = 0, .hdr.gso_type = 1 },                      /* 2 */
		{ .of = 18, .hdr.gso_size = (uint16_t)(65536 - 1) }, /* 7: fragments have eights */
		{ .of = 22, .hdr.gso_size = (uint16_t)(8 - 1400) },  /* less than what is not cut */
		{ .of = 0, .at = 12, .is = 9 },                      /* no IP */
		{ .of = 0, .at = 14, .is = 0x44 },                   /* IP's header: too short */
		{ .of = 0, .at = 14, .is = 0x65 },                   /* of version 6 */
		{ .of = 0, .at = 16, .is = 0xff },                   /* longer than the frame */
		{ .of = 6, .at = 17, .is = 30 },                     /* ends within its headers */
		{ .of = 0, .at = 20, .is = 0x20 },                   /* a fragment */
		{ .of = 0, .at = 21, .is = 1 },                      /* and another */
		{ .of = 0, .at = 23, .is = IPPROTO_SCTP },
		{ .of = 0, .at = 46, .is = 0x40 }, /* TCP's header: too short */
		{ .of = 9, .at = 18, .is = 0xff }, /* IPv6's length */
		{ .of = 9, .at = 20, .is = IPPROTO_FRAGMENT },
		{ .of = 9, .at = 20, .is = IPPROTO_AH },
	};

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(rows); i++) {
		struct pkt_at at = pkt_make(&cases[rows[i].of].pkt, frame);
		struct vd_net_hdr hdr = gso_hdr(&cases[rows[i].of], &at);

		hdr.csum_start = (uint16_t)(hdr.csum_start + rows[i].hdr.csum_start);
		hdr.csum_offset = (uint16_t)(hdr.csum_offset + rows[i].hdr.csum_offset);
		hdr.gso_size = (uint16_t)(hdr.gso_size + rows[i].hdr.gso_size);
		hdr.gso_type = (uint8_t)(hdr.gso_type + rows[i].hdr.gso_type);
		if (rows[i].at)
			frame[rows[i].at] = rows[i].is;
		if (gso_run(frame, at.len, &hdr, 64, 0, &out) != -EBADMSG)
			fail_msg("row %u: taken", i);
	}
}

/* A bound on what a frame costs. */
static void test_too_many(void **state)
{
	struct gso_case c = {
		{ V4, .proto = IPPROTO_TCP, .payload = VD_NET_GSO_SEGS_MAX + 1 }, TCP4, 1, false
	};
	struct pkt_at at = pkt_make(&c.pkt, frame);
	struct vd_net_hdr hdr = gso_hdr(&c, &at);

	(void)state;
	assert_int_equal(gso_run(frame, at.len, &hdr, at.len, 0, &out), -EBADMSG);
	hdr.gso_size = 2;
	assert_int_equal(gso_run(frame, at.len, &hdr, at.len, 0, &out), 0);
	assert_int_equal(out.n, VD_NET_GSO_SEGS_MAX / 2 + 1);
}

/* A frame cut off at each byte of its headers, through every offload: CVE-2026-63320, -63321. */
static void test_cve_2026_63320_short(void **state)
{
	static const uint8_t types[] = { 0, TCP4, TCP6, UFO, USO, TCP4 | ECN, TCP6 | ECN };

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct pkt_at at = pkt_make(&cases[i].pkt, frame);
		size_t most = vd_max(at.data + 2, 64u);

		for (size_t len = 0; len <= most; len++)
			for (unsigned int t = 0; t < VD_ARRAY_SIZE(types); t++) {
				struct vd_net_hdr hdr = gso_hdr(&cases[i], &at);

				hdr.gso_type = types[t];
				if (gso_run(frame, len, &hdr, vd_max(len, 1u), 0, &out))
					continue;
				/* A checksum alone has nothing to do with IP. */
				assert_true(!types[t] ? hdr.csum_start + hdr.csum_offset + 2u <=
									len ||
								hdr.csum_start == 0
						      : len >= at.len);
			}
	}
}

/* Anything anywhere, in memory of just the right size: for the sanitizers. */
static void test_anything(void **state)
{
	(void)state;
	srandom(1);
	for (unsigned int run = 0; run < 30000; run++) {
		unsigned int i = (unsigned int)random() % VD_ARRAY_SIZE(cases);
		struct gso_case c = cases[i];
		struct vd_net_hdr hdr;
		struct pkt_at at;
		size_t len;

		c.pkt.payload %= 600;
		at = pkt_make(&c.pkt, frame);
		hdr = gso_hdr(&c, &at);
		len = random() % 3 ? at.len : (size_t)random() % (at.len + 1);
		for (unsigned int k = (unsigned int)random() % 4; k; k--)
			frame[random() % (long)at.data] =
				(uint8_t)(random() % 2 ? random() : random() % 9);
		if (random() % 3 == 0)
			hdr.gso_size = (uint16_t)random();
		if (random() % 5 == 0)
			hdr.gso_type = (uint8_t)random();
		if (random() % 5 == 0)
			hdr.csum_start = (uint16_t)random();
		if (random() % 5 == 0)
			hdr.csum_offset = (uint16_t)(random() % 2 ? random() : 0);
		if (gso_run(frame, len, &hdr, (size_t)(1 + random() % 700),
			    random() % 2 ? VD_NET_F(GUEST_CSUM) : 0, &out))
			continue;
		for (unsigned int s = 0; s < out.n; s++)
			assert_true(out.at[s + 1] - out.at[s] <= len + 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_fits),
		cmocka_unit_test(test_cve_2020_14375_read_once),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_cve_2026_63320_short),
		cmocka_unit_test(test_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
