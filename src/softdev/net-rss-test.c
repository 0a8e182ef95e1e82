/* SPDX-License-Identifier: BSD-2-Clause */
/* net-rss-test.c - hashes by their published values, commands by what is wrong with them */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "softdev/net-pkt-fx.h"
#include "softdev/net-rss.h"

/* The key and the values of "Verifying the RSS Hash Calculation", which each NIC is tested with. */
static const uint8_t key[VD_NET_RSS_KEY_MAX] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

static const struct {
	const char *src, *dst;
	uint16_t sport, dport;
	uint32_t ip, ports;
} vectors[] = {
	{ "66.9.149.187", "161.142.100.80", 2794, 1766, 0x323e8fc2, 0x51ccc178 },
	{ "199.92.111.2", "65.69.140.83", 14230, 4739, 0xd718262a, 0xc626b0ea },
	{ "24.19.198.95", "12.22.207.184", 12898, 38024, 0xd2d0a5de, 0x5c2b394a },
	{ "38.27.205.30", "209.142.163.6", 48228, 2217, 0x82989176, 0xafc7327f },
	{ "153.39.163.191", "202.188.127.2", 44251, 1303, 0x5d1809c5, 0x10e828a2 },
	{ "3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", 2794, 1766, 0x2cc18cd5, 0x40207d3d },
	{ "3ffe:501:8::260:97ff:fe40:efab", "ff02::1", 14230, 4739, 0x0f0c461c, 0xdde51bbf },
	{ "3ffe:1900:4545:3:200:f8ff:fe21:67cf", "fe80::200:f8ff:fe21:67cf", 44251, 38024,
	  0x4b61e985, 0x02d1feef },
};

static uint8_t buf[PKT_MAX];

static struct vd_net_hash hash_of(const struct vd_net_rss *rss, const struct pkt *p)
{
	struct vd_net_pkt pkt;
	struct pkt_at at = pkt_make(p, buf);

	vd_net_parse(&pkt, buf, at.len);
	return vd_net_rss_hash(rss, buf, &pkt);
}

static void test_vectors(void **state)
{
	struct vd_net_rss rss = { .types = VD_NET_RSS_TYPES };

	(void)state;
	vd_net_rss_key(&rss, key, sizeof(key));
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(vectors); i++)
		for (unsigned int tags = 0; tags <= VD_NET_TAGS_MAX; tags++) {
			unsigned int v6 = strchr(vectors[i].src, ':') ? 3 : 0;
			struct pkt p = { .src = vectors[i].src,
					 .dst = vectors[i].dst,
					 .sport = vectors[i].sport,
					 .dport = vectors[i].dport,
					 .tags = tags,
					 .ip_opts = 4 * tags,
					 .proto = IPPROTO_TCP };
			struct vd_net_hash h = hash_of(&rss, &p);

			assert_int_equal(h.value, vectors[i].ports);
			assert_int_equal(h.report, VIRTIO_NET_HASH_REPORT_TCPv4 + v6);
			p.proto = IPPROTO_UDP;
			h = hash_of(&rss, &p);
			assert_int_equal(h.value, vectors[i].ports);
			assert_int_equal(h.report, VIRTIO_NET_HASH_REPORT_UDPv4 + v6);
			p.proto = IPPROTO_SCTP;
			h = hash_of(&rss, &p);
			assert_int_equal(h.value, vectors[i].ip);
			assert_int_equal(h.report, VIRTIO_NET_HASH_REPORT_IPv4 + v6);
		}
}

/* Which types there are decides what is hashed (virtio 1.3, 5.1.6.4.3). */
static void test_types(void **state)
{
	enum {
		IP4 = 1,
		TCP4 = 2,
		UDP4 = 4,
		IP6 = 8,
		TCP6 = 16,
		UDP6 = 32,
		IPX = 64,
		TCPX = 128,
		UDPX = 256
	};
	static const uint8_t none[12] = { 255 }, opts[12] = { IPPROTO_DSTOPTS },
			     frag[12] = { IPPROTO_FRAGMENT },
			     many[12] = { IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS };
	static const struct {
		uint32_t types;
		bool v6;
		uint8_t proto;
		const uint8_t *ext;
		uint16_t frag;
		uint16_t report;
	} cases[] = {
		{ 0, false, IPPROTO_TCP, none, 0, 0 },
		{ IP4, false, IPPROTO_TCP, none, 0, VIRTIO_NET_HASH_REPORT_IPv4 },
		{ TCP4, false, IPPROTO_TCP, none, 0, VIRTIO_NET_HASH_REPORT_TCPv4 },
		{ TCP4, false, IPPROTO_UDP, none, 0, 0 },
		{ TCP4 | IP4, false, IPPROTO_UDP, none, 0, VIRTIO_NET_HASH_REPORT_IPv4 },
		{ UDP4, false, IPPROTO_UDP, none, 0, VIRTIO_NET_HASH_REPORT_UDPv4 },
		{ ~7u, false, IPPROTO_UDP, none, 0, 0 },
		/* A part of a packet has no ports, be it the first or a later one. */
		{ UDP4 | IP4, false, IPPROTO_UDP, none, 0x2000, VIRTIO_NET_HASH_REPORT_IPv4 },
		{ UDP4 | IP4, false, IPPROTO_UDP, none, 0x0005, VIRTIO_NET_HASH_REPORT_IPv4 },
		{ UDP4, false, IPPROTO_UDP, none, 0x0005, 0 },
		{ 7, true, IPPROTO_TCP, none, 0, 0 },
		{ IP6, true, IPPROTO_TCP, none, 0, VIRTIO_NET_HASH_REPORT_IPv6 },
		{ TCP6, true, IPPROTO_TCP, none, 0, VIRTIO_NET_HASH_REPORT_TCPv6 },
		{ UDP6 | TCP6, true, IPPROTO_UDP, none, 0, VIRTIO_NET_HASH_REPORT_UDPv6 },
		/* Without extension headers there is nothing extended about them. */
		{ IPX | TCPX | UDPX, true, IPPROTO_TCP, none, 0, 0 },
		{ IPX | TCPX | IP6, true, IPPROTO_TCP, none, 0, VIRTIO_NET_HASH_REPORT_IPv6 },
		{ TCPX | TCP6, true, IPPROTO_TCP, opts, 0, VIRTIO_NET_HASH_REPORT_TCPv6_EX },
		{ UDPX, true, IPPROTO_UDP, many, 0, VIRTIO_NET_HASH_REPORT_UDPv6_EX },
		{ IPX | UDPX, true, IPPROTO_TCP, many, 0, VIRTIO_NET_HASH_REPORT_IPv6_EX },
		{ UDPX, true, IPPROTO_TCP, many, 0, 0 },
		{ UDPX | TCP6, true, IPPROTO_TCP, many, 0, VIRTIO_NET_HASH_REPORT_TCPv6 },
		{ TCP6, true, IPPROTO_TCP, opts, 0, VIRTIO_NET_HASH_REPORT_TCPv6 },
		{ TCPX | TCP6, true, IPPROTO_TCP, frag, 0, 0 },
		{ TCPX | TCP6 | IP6, true, IPPROTO_TCP, frag, 0, VIRTIO_NET_HASH_REPORT_IPv6 },
		{ TCPX | IPX, true, IPPROTO_TCP, frag, 0, VIRTIO_NET_HASH_REPORT_IPv6_EX },
	};

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct vd_net_rss rss = { .types = cases[i].types & VD_NET_RSS_TYPES };
		struct pkt p = { .src = cases[i].v6 ? "fd00::1" : "10.0.0.1",
				 .dst = cases[i].v6 ? "fd00::2" : "10.0.0.2",
				 .proto = cases[i].proto,
				 .frag = cases[i].frag };
		struct vd_net_hash h;

		memcpy(p.ext, cases[i].ext, sizeof(p.ext));
		p.next = cases[i].ext == none ? 0 : cases[i].ext == many ? 3 : 1;
		vd_net_rss_key(&rss, key, sizeof(key));
		h = hash_of(&rss, &p);
		if (h.report != cases[i].report)
			fail_msg("case %u: report %u, not %u", i, h.report, cases[i].report);
		assert_true(h.report || !h.value);
	}
}

/* The addresses of mobile IPv6 take the place of those in the header. */
static void test_home(void **state)
{
	static const uint8_t ext[12] = { IPPROTO_ROUTING, IPPROTO_DSTOPTS };
	struct vd_net_rss rss = { .types = VD_NET_RSS_TYPES };
	struct pkt p = { .src = vectors[5].src,
			 .dst = vectors[5].dst,
			 .sport = vectors[5].sport,
			 .dport = vectors[5].dport,
			 .proto = IPPROTO_TCP };

	(void)state;
	vd_net_rss_key(&rss, key, sizeof(key));
	memcpy(p.ext, ext, sizeof(ext));
	p.next = 2;
	assert_int_equal(hash_of(&rss, &p).value, vectors[5].ports);
	p.home = p.src;
	p.src = "fd00::77";
	assert_int_equal(hash_of(&rss, &p).value, vectors[5].ports);
	p.via = p.dst;
	p.dst = "fd00::78";
	assert_int_equal(hash_of(&rss, &p).value, vectors[5].ports);
	rss.types &= ~(uint32_t)VIRTIO_NET_RSS_HASH_TYPE_TCP_EX;
	assert_int_equal(hash_of(&rss, &p).value, vectors[5].ip);
	rss.types &= 0x3f;
	assert_int_not_equal(hash_of(&rss, &p).value, vectors[5].ports);
}

/* CVE-2026-63320: a frame of any length, in memory of just that, and each byte of it anything. */
static void test_cut_off(void **state)
{
	static const struct pkt pkts[] = {
		{ .src = "10.0.0.1",
		  .dst = "10.0.0.2",
		  .proto = IPPROTO_TCP,
		  .tags = 2,
		  .ip_opts = 40 },
		{ .src = "fd00::1",
		  .dst = "fd00::2",
		  .proto = IPPROTO_UDP,
		  .tags = 1,
		  .next = 3,
		  .ext = { IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS },
		  .home = "fd00::3",
		  .via = "fd00::4" },
		{ .src = "fd00::1",
		  .dst = "fd00::2",
		  .proto = IPPROTO_UDP,
		  .next = 11,
		  .ext = { 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60 } },
	};
	struct vd_net_rss rss = { .types = VD_NET_RSS_TYPES };

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(pkts); i++) {
		struct pkt_at at = pkt_make(&pkts[i], buf);

		for (size_t len = 0; len <= at.len; len++) {
			uint8_t *exact = malloc(len + !len);
			struct vd_net_pkt pkt;

			for (size_t k = 0; k < len; k++)
				exact[k] = buf[k];
			for (size_t k = 0; k <= len; k++)
				for (unsigned int v = 0; v < 4; v++) {
					if (k < len)
						exact[k] = (uint8_t)(v < 2 ? v - 1 : 4 * v - 3);
					vd_net_parse(&pkt, exact, len);
					vd_net_rss_hash(&rss, exact, &pkt);
					vd_net_flow(exact, len, &pkt);
					assert_true(!pkt.l4 || pkt.l4 + VD_NET_L4_MIN <= len);
					if (k < len)
						exact[k] = buf[k];
				}
			vd_net_parse(&pkt, exact, len);
			assert_int_equal(!!pkt.version, len >= at.l3 + (pkts[i].ip_opts ? 20 : 40));
			assert_int_equal(!!pkt.l4, len >= at.l4 + VD_NET_L4_MIN && i != 2);
			free(exact);
		}
	}
}

struct cmd {
	uint32_t types;
	unsigned int mask, unclassified, table_max, pairs, key_len;
	size_t cut, more;
};

static uint8_t *put16(uint8_t *b, unsigned int v)
{
	b[0] = (uint8_t)v;
	b[1] = (uint8_t)(v >> 8);
	return b + 2;
}

static size_t put(uint8_t *b, const struct cmd *c, bool rss)
{
	uint8_t *p = put16(put16(b, c->types & 0xffff), c->types >> 16);

	if (rss) {
		p = put16(put16(p, c->mask), c->unclassified);
		for (unsigned int i = 0; i <= c->mask && i < 1024; i++)
			p = put16(p, i == c->mask ? c->table_max : i % 4);
		p = put16(p, c->pairs);
	} else {
		memset(p, 0xee, 8);
		p += 8;
	}
	*p++ = (uint8_t)c->key_len;
	for (unsigned int i = 0; i < c->key_len; i++)
		*p++ = key[i % sizeof(key)];
	return (size_t)(p - b) + c->more - c->cut;
}

/* As one piece, and as pieces of @each byte. */
static struct vd_sg scatter(struct vd_iov *iov, uint8_t *b, size_t len, size_t each)
{
	unsigned int n = 0;

	for (size_t at = 0; at < len; at += each)
		iov[n++] = (struct vd_iov){ b + at, vd_min(each, len - at) };
	return vd_sg(iov, n);
}

static void test_config(void **state)
{
	static const struct {
		struct cmd cmd;
		bool ok;
	} cases[] = {
		{ { 0x1ff, 127, 0, 3, 4, 40, 0, 0 }, true },
		{ { 0x1, 0, 7, 7, 8, 40, 0, 0 }, true },
		{ { 0x1, 3, 0, 3, 1, 16, 0, 0 }, true },
		{ { 0, 1, 3, 0, 1, 0, 0, 0 }, true },    /* all is unclassified */
		{ { 0x1, 0, 0, 0, 1, 0, 0, 0 }, false }, /* no key */
		{ { 0x200, 0, 0, 0, 1, 40, 0, 0 }, false },
		{ { 1u << 31, 0, 0, 0, 1, 40, 0, 0 }, false },
		{ { 1, 2, 0, 0, 1, 40, 0, 0 }, false },
		{ { 1, 255, 0, 0, 1, 40, 0, 0 }, false },
		{ { 1, 128, 0, 0, 1, 40, 0, 0 }, false },
		{ { 1, 65535, 0, 0, 1, 40, 0, 0 }, false },
		{ { 1, 0, 8, 0, 1, 40, 0, 0 }, false },
		{ { 1, 0, 65535, 0, 1, 40, 0, 0 }, false },
		{ { 1, 0, 0, 8, 1, 40, 0, 0 }, false },
		{ { 1, 127, 0, 8, 1, 40, 0, 0 }, false },
		{ { 1, 127, 0, 65535, 1, 40, 0, 0 }, false },
		{ { 1, 127, 0, 0x8000, 1, 40, 0, 0 }, false }, /* a reserved bit */
		{ { 1, 0, 0, 0, 0, 40, 0, 0 }, false },
		{ { 1, 0, 0, 0, 9, 40, 0, 0 }, false },
		{ { 1, 0, 0, 0, 1, 41, 0, 0 }, false },
		{ { 1, 0, 0, 0, 1, 255, 0, 0 }, false },
		{ { 1, 0, 0, 0, 1, 40, 1, 0 }, false },
		{ { 1, 0, 0, 0, 1, 40, 0, 1 }, false },
	};
	static uint8_t b[4096];
	static struct vd_iov iov[4096];

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++)
		for (size_t each = 1; each < 400; each += each < 20 ? 1 : 100) {
			struct vd_net_rss rss = { 0 }, was = { 0 };
			unsigned int pairs = 77;
			struct vd_sg sg = scatter(iov, b, put(b, &cases[i].cmd, true), each);
			int err = vd_net_rss_config(&rss, &sg, 8, &pairs);

			if (err != (cases[i].ok ? 0 : -EINVAL))
				fail_msg("case %u: %d", i, err);
			if (err) {
				assert_memory_equal(&rss, &was, sizeof(rss));
				assert_int_equal(pairs, 77);
				continue;
			}
			assert_true(rss.steer);
			assert_int_equal(pairs, cases[i].cmd.pairs);
			assert_int_equal(rss.types, cases[i].cmd.types);
			assert_int_equal(rss.table[rss.mask], cases[i].cmd.table_max);
		}
}

/* CVE-2024-6505: whatever is configured, a frame goes to a queue that there is. */
static void test_cve_2024_6505(void **state)
{
	static uint8_t b[512];
	static struct vd_iov iov[512];

	(void)state;
	srandom(1);
	for (unsigned int i = 0; i < 20000; i++) {
		struct cmd c = { 0x1ff, i % 2 ? 127 : 3, 0, 0, 1, 40, 0, 0 };
		size_t len = put(b, &c, true);
		struct vd_net_rss rss = { 0 };
		struct vd_sg sg;
		unsigned int pairs;

		for (unsigned int k = 0; k < 3; k++)
			b[4 + (unsigned int)random() % (len - 45)] = (uint8_t)(random() % 12);
		sg = scatter(iov, b, len, len);
		if (vd_net_rss_config(&rss, &sg, 4, &pairs))
			continue;
		for (uint32_t h = 0; h < 256; h++)
			assert_true(vd_net_rss_pair(&rss, (struct vd_net_hash){ h, 1 }) < 4);
		assert_true(vd_net_rss_pair(&rss, (struct vd_net_hash){ 0 }) < 4);
		assert_true(pairs >= 1 && pairs <= 4);
	}
}

static void test_hash_config(void **state)
{
	static const struct {
		struct cmd cmd;
		bool ok;
	} cases[] = {
		{ { .types = 0x1ff, .key_len = 40 }, true },
		{ { .types = 0, .key_len = 0 }, true },
		{ { .types = 1, .key_len = 0 }, false },
		{ { .types = 0x200, .key_len = 40 }, false },
		{ { .types = 1, .key_len = 41 }, false },
		{ { .types = 1, .key_len = 40, .cut = 1 }, false },
		{ { .types = 1, .key_len = 40, .more = 1 }, false },
		{ { .types = 1, .key_len = 0, .cut = 1 }, false },
		{ { .types = 1, .key_len = 0, .cut = 2 }, false },
		{ { .types = 1, .key_len = 0, .cut = 10 }, false },
	};
	static uint8_t b[512];
	struct vd_iov iov[512];

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++)
		for (size_t each = 1; each < 80; each++) {
			struct vd_net_rss rss = { 0 };
			struct vd_sg sg = scatter(iov, b, put(b, &cases[i].cmd, false), each);

			assert_int_equal(vd_net_rss_hash_config(&rss, &sg),
					 cases[i].ok ? 0 : -EINVAL);
			assert_false(rss.steer);
			assert_int_equal(rss.types, cases[i].ok ? cases[i].cmd.types : 0);
		}
}

static uint32_t flow_of(const struct pkt *p)
{
	struct vd_net_pkt pkt;
	struct pkt_at at = pkt_make(p, buf);

	vd_net_parse(&pkt, buf, at.len);
	return vd_net_flow(buf, at.len, &pkt);
}

/* What is sent on a pair comes back on it, and nothing goes where there is no pair. */
static void test_flows(void **state)
{
	static struct vd_net_flows flows;
	unsigned int spread[4] = { 0 }, back = 0;

	(void)state;
	for (unsigned int i = 0; i < 8 * VD_ARRAY_SIZE(vectors); i++) {
		struct pkt p = { .src = vectors[i / 8].src,
				 .dst = vectors[i / 8].dst,
				 .sport = (uint16_t)(1000 + i % 8),
				 .dport = 80,
				 .proto = i % 2 ? IPPROTO_TCP : IPPROTO_UDP };
		struct pkt q = { .src = p.dst,
				 .dst = p.src,
				 .sport = p.dport,
				 .dport = p.sport,
				 .proto = p.proto };
		uint32_t flow = flow_of(&p);

		assert_int_equal(flow, flow_of(&q));
		for (unsigned int pairs = 1; pairs <= 4; pairs++)
			assert_true(vd_net_flow_pair(&flows, flow, pairs) < pairs);
		spread[vd_net_flow_pair(&flows, flow, 4)]++;
		vd_net_flow_sent(&flows, flow, 7 - i % 8);
		assert_int_equal(vd_net_flow_pair(&flows, flow_of(&q), 8), 7 - i % 8);
		/* Fewer pairs than then. */
		assert_true(vd_net_flow_pair(&flows, flow, 1) == 0);
		/* Elsewhere from now on. */
		vd_net_flow_sent(&flows, flow, i % 8);
		assert_int_equal(vd_net_flow_pair(&flows, flow, 8), i % 8);
	}
	for (unsigned int i = 0; i < 4; i++)
		assert_in_range(spread[i], 4, 32);
	/* Many more flows than slots: what is lost goes somewhere, always the same. */
	for (uint32_t i = 0; i < 100000; i++) {
		uint32_t flow = i * 2654435761u;

		vd_net_flow_sent(&flows, flow, i % 3);
		back += vd_net_flow_pair(&flows, flow, 3) == i % 3;
		assert_true(vd_net_flow_pair(&flows, ~flow, 3) < 3);
	}
	assert_int_equal(back, 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),     cmocka_unit_test(test_types),
		cmocka_unit_test(test_home),        cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_config),      cmocka_unit_test(test_cve_2024_6505),
		cmocka_unit_test(test_hash_config), cmocka_unit_test(test_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
