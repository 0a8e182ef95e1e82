/* SPDX-License-Identifier: BSD-2-Clause */
/* net-gro-test.c - segments become the frame that they were, and what is none stays as it is */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "softdev/net-gro.h"
#include "softdev/net-gso-fx.h"

#define ALL  VD_NET_GRO_OFFLOADS
#define TCP4 VIRTIO_NET_HDR_GSO_TCPV4
#define TCP6 VIRTIO_NET_HDR_GSO_TCPV6
#define V4   .src = "10.0.0.1", .dst = "10.0.0.2", .proto = IPPROTO_TCP, .partial = true
#define V6   .src = "fd00::1", .dst = "fd00::2", .proto = IPPROTO_TCP, .partial = true

static uint8_t frame[PKT_MAX], merged[PKT_MAX];
static struct gso_out out, again;
static struct vd_iov iov[GSO_SEGS];
static struct vd_net_frame frames[GSO_SEGS];
static struct vd_net_gro g;

/* Its segments. */
static void cut(const struct gso_case *c)
{
	struct pkt_at at = pkt_make(&c->pkt, frame);
	struct vd_net_hdr hdr = gso_hdr(c, &at);

	assert_int_equal(gso_run(frame, at.len, &hdr, at.len, 0, &out), 0);
	for (unsigned int i = 0; i < out.n; i++) {
		iov[i] = (struct vd_iov){ vd_guest_wrap(uint8_t, out.bytes + out.at[i]),
					  out.at[i + 1] - out.at[i] };
		frames[i] = (struct vd_net_frame){ .iov = &iov[i],
						   .niov = 1,
						   .len = (uint32_t)iov[i].len };
	}
}

static uint8_t *bytes(unsigned int i)
{
	return out.bytes + out.at[i];
}

static void is_whole(const struct gso_case *c)
{
	struct pkt_at at = pkt_make(&c->pkt, frame);
	struct vd_net_hdr hdr = gso_hdr(c, &at);
	struct vd_sg sg = vd_sg(g.frame.iov, g.frame.niov);

	assert_int_equal(g.frame.len, at.len);
	assert_int_equal(vd_sg_read(&sg, merged, sizeof(merged)), at.len);
	assert_memory_equal(merged, frame, at.len);
	assert_memory_equal(&g.frame.hdr, &hdr, sizeof(hdr));
}

/* And what is cut up once more is what came. */
static void is_what_came(void)
{
	assert_int_equal(gso_run(merged, g.frame.len, &g.frame.hdr, 777, 0, &again), 0);
	assert_int_equal(again.n, out.n);
	for (unsigned int i = 0; i < out.n; i++) {
		assert_int_equal(again.at[i + 1], out.at[i + 1]);
		assert_memory_equal(again.bytes + out.at[i], bytes(i), out.at[i + 1] - out.at[i]);
	}
}

static void whole_again(void **state)
{
	static const struct gso_case cases[] = {
		{ { V4, .payload = 4000, .seq = 7, .ip_id = 9, .tcp_flags = 0x10 },
		  TCP4,
		  1448,
		  false },
		{ { V4, .payload = 4344, .tcp_opts = 12, .tcp_flags = 0x18 }, TCP4, 1448, false },
		{ { V4, .payload = 60000, .seq = 0xffffff00, .ip_id = 0xfffe, .no_df = true,
		    .tcp_flags = 0x19 },
		  TCP4,
		  1460,
		  false },
		{ { V4, .payload = 65475, .tcp_opts = 20, .tcp_flags = 0x10 }, TCP4, 1440, false },
		{ { V4, .payload = 64, .tcp_opts = 40, .tcp_flags = 0x10 }, TCP4, 1, false },
		{ { V6, .payload = 4001, .seq = 7, .tcp_flags = 0x10 }, TCP6, 1001, false },
		{ { V6, .payload = 50000, .tcp_opts = 12, .tcp_flags = 0x18 }, TCP6, 1428, false },
	};

	(void)state;
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		cut(&cases[i]);
		assert_int_equal(vd_net_gro(&g, frames, out.n, ALL), out.n);
		is_whole(&cases[i]);
		is_what_came();
	}
}

/* More than one frame has room for. */
static void as_much_as_fits(void **state)
{
	static const struct gso_case
		a = { { V4, .payload = 60000, .tcp_flags = 0x10 }, TCP4, 1500, false },
		b = { { V4, .payload = 100, .tcp_flags = 0x10 }, TCP4, 1, false };

	(void)state;
	cut(&a);
	/* The next packet goes on where this one ends: 64 KiB are full with the 44th. */
	memcpy(frames + out.n, frames, out.n * sizeof(*frames));
	assert_int_equal(vd_net_gro(&g, frames, 2 * out.n, ALL), out.n);
	cut(&b);
	assert_int_equal(vd_net_gro(&g, frames, out.n, ALL), VD_NET_GRO_MAX);
	assert_int_equal(vd_net_gro(&g, frames + VD_NET_GRO_MAX, out.n - VD_NET_GRO_MAX, ALL),
			 out.n - VD_NET_GRO_MAX);
}

/* Headers of segments are made right again after a change. */
static void mend(unsigned int i, bool v6)
{
	uint8_t *b = bytes(i), *ip = b + 14, *tcp = ip + (v6 ? 40 : 20);
	size_t len = out.at[i + 1] - out.at[i], tcp_len = len - (size_t)(tcp - b);
	uint32_t sum = v6 ? pkt_sum(0, ip + 8, 32) : pkt_sum(0, ip + 12, 8);
	uint16_t csum;

	if (!v6) {
		ip[10] = ip[11] = 0;
		csum = pkt_fold(pkt_sum(0, ip, 20));
		ip[10] = (uint8_t)(csum >> 8);
		ip[11] = (uint8_t)csum;
	}
	tcp[16] = tcp[17] = 0;
	csum = pkt_fold(pkt_sum(sum + IPPROTO_TCP + (uint32_t)tcp_len, tcp, tcp_len));
	tcp[16] = (uint8_t)(csum >> 8);
	tcp[17] = (uint8_t)csum;
}

/* A byte of one segment is another, and all checksums are right: it stays by itself. */
static void others_stay(void **state)
{
	static const struct gso_case v4 = { { V4, .payload = 800, .tcp_opts = 12, .no_df = true,
					      .tcp_flags = 0x10, .ip_id = 5 },
					    TCP4,
					    100,
					    false },
				     v6 = { { V6, .payload = 800, .tcp_opts = 12,
					      .tcp_flags = 0x10 },
					    TCP6,
					    100,
					    false };

	(void)state;
	for (unsigned int k = 0; k < 2; k++) {
		unsigned int hlen = k ? 14 + 40 + 32 : 14 + 20 + 32, l4 = hlen - 32;

		cut(k ? &v6 : &v4);
		mend(3, k);
		assert_int_equal(vd_net_gro(&g, frames, out.n, ALL), out.n);
		for (unsigned int at = 0; at < hlen; at++) {
			bool csum =
				at - l4 == 16 || at - l4 == 17 || (!k && (at == 24 || at == 25));

			for (unsigned int bit = 0; !csum && bit < 8; bit++) {
				unsigned int got;

				cut(k ? &v6 : &v4);
				bytes(3)[at] ^= (uint8_t)(1u << bit);
				mend(3, k);
				got = vd_net_gro(&g, frames, out.n, ALL);
				/* PSH or FIN make it the last one. */
				if (got != (at == l4 + 13 && (bit == 3 || bit == 0) ? 4 : 3))
					fail_msg("byte %u, bit %u: %u", at, bit, got);
				/* As the first. */
				got = vd_net_gro(&g, frames + 3, out.n - 3, ALL);
				assert_int_equal(got, 1);
			}
		}
	}
}

static void wrong_checksums(void **state)
{
	static const struct gso_case
		v4 = { { V4, .payload = 800, .tcp_flags = 0x10 }, TCP4, 100, false },
		v6 = { { V6, .payload = 800, .tcp_flags = 0x10 }, TCP6, 100, false };

	(void)state;
	for (unsigned int k = 0; k < 2; k++)
		for (unsigned int at = 14; at < 14 + 20 + 20 + 100; at++) {
			cut(k ? &v6 : &v4);
			bytes(0)[at] ^= 1;
			assert_int_equal(vd_net_gro(&g, frames, out.n, ALL), 1);
			cut(k ? &v6 : &v4);
			bytes(5)[at] ^= 1;
			assert_int_equal(vd_net_gro(&g, frames, out.n, ALL), 5);
		}
}

/* Shorter ones, longer ones, and what is no segment at all. */
static void no_segments(void **state)
{
	static const struct gso_case c = { { V4, .payload = 800, .tcp_flags = 0x10 },
					   TCP4,
					   100,
					   false },
				     longer = { { V4, .payload = 800, .seq = 100, .ip_id = 1,
						  .tcp_flags = 0x10 },
						TCP4,
						101,
						false };
	static const struct pkt others[] = {
		{ V4, .payload = 0, .tcp_flags = 0x10 },
		{ V4, .payload = 100, .tcp_flags = 0x12 },
		{ V4, .payload = 100, .tcp_flags = 0x18 },
		{ V4, .payload = 100, .tcp_flags = 0x10, .tags = 1 },
		{ V4, .payload = 100, .tcp_flags = 0x10, .ip_opts = 4 },
		{ V4, .payload = 100, .tcp_flags = 0x10, .frag = 0x2000 },
		{ V6, .payload = 100, .tcp_flags = 0x10, .next = 1, .ext = { IPPROTO_HOPOPTS } },
		{ .src = "10.0.0.1", .dst = "10.0.0.2", .proto = IPPROTO_UDP, .payload = 100 },
	};
	static uint8_t other[PKT_MAX];

	(void)state;
	for (unsigned int len = 14; len < out.at[1]; len++) {
		cut(&c);
		frames[0].len = len;
		assert_int_equal(vd_net_gro(&g, frames, out.n, ALL), 1);
		cut(&c);
		frames[2].len = len;
		assert_int_equal(vd_net_gro(&g, frames, out.n, ALL), 2);
	}
	for (size_t i = 0; i < VD_ARRAY_SIZE(others); i++) {
		struct pkt p = others[i];

		cut(&c);
		p.partial = false;
		frames[0].len = (uint32_t)pkt_make(&p, other).len;
		iov[0] = (struct vd_iov){ vd_guest_wrap(uint8_t, other), frames[0].len };
		frames[1] = frames[0];
		assert_int_equal(vd_net_gro(&g, frames, out.n, ALL), 1);
	}
	cut(&longer);
	memmove(other, bytes(0), out.at[1]);
	cut(&c);
	iov[1] = (struct vd_iov){ vd_guest_wrap(uint8_t, other), out.at[1] + 1 };
	frames[1].len++;
	assert_int_equal(vd_net_gro(&g, frames, out.n, ALL), 1);
	cut(&c);
	frames[1].hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	assert_int_equal(vd_net_gro(&g, frames, out.n, ALL), 1);
	cut(&c);
	assert_int_equal(vd_net_gro(&g, frames, 1, ALL), 1);
	assert_int_equal(vd_net_gro(&g, frames, out.n, ALL & ~VD_NET_F(GUEST_CSUM)), 1);
	assert_int_equal(vd_net_gro(&g, frames, out.n, ALL & ~VD_NET_F(GUEST_TSO4)), 1);
	assert_int_equal(vd_net_gro(&g, frames, out.n, ALL & ~VD_NET_F(GUEST_TSO6)), out.n);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_again), cmocka_unit_test(as_much_as_fits),
		cmocka_unit_test(others_stay), cmocka_unit_test(wrong_checksums),
		cmocka_unit_test(no_segments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
