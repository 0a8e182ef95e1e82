/* SPDX-License-Identifier: BSD-2-Clause */
/* net-shape.c - frames of a network device, and buffers for them, cut as nobody expects it; see
 * net.h */
#include "net.h"

#define PIECES 64u

/* Where the one frame is sent from, and where it comes to lie: far apart, so that gaps show. */
static uint64_t tx_at(struct cf *c)
{
	return c->q[1].data_iova;
}

static uint64_t rx_at(struct cf *c)
{
	return c->q[0].data_iova;
}

static void add_rx(struct cf *c, const struct vd_buf *b, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		memset(cf_at(c, b[i].iova), NET_CANARY, b[i].len);
	cf_check(vd_virtq_drv_add(c->q[0].drv, b, 0, n) >= 0);
	cf_publish(&c->q[0]);
}

/* A frame that lies in @n pieces, whose lengths are those of header and frame together. */
static void add_tx(struct cf *c, const struct vd_buf *b, unsigned int n)
{
	struct vd_done d;

	cf_check(vd_virtq_drv_add(c->q[1].drv, b, n, 0) >= 0);
	cf_publish(&c->q[1]);
	cf_is(cf_get(&c->q[1], &d, 1), 1);
	cf_is(d.len, 0);
}

/* All of it in one. Return: its number. */
static uint32_t send_one(struct cf *c, uint32_t len)
{
	struct vd_buf b = { tx_at(c), NET_HDR + len };
	uint32_t number = net_number(c);

	net_make(c, cf_at(c, b.iova), number, len, 0);
	add_tx(c, &b, 1);
	return number;
}

static void one_size(struct cf *c, uint32_t len)
{
	struct vd_buf in = { rx_at(c), 70000 };
	uint8_t *p = cf_at(c, in.iova);
	struct vd_done d;
	uint32_t number;

	add_rx(c, &in, 1);
	number = send_one(c, len);
	cf_is(cf_get(&c->q[0], &d, 1), 1);
	cf_is(d.len, NET_HDR + len);
	net_check_header(p, 1);
	net_check(c, p + NET_HDR, number, len);
	for (uint32_t i = NET_HDR + len; i < in.len; i++)
		cf_is(p[i], NET_CANARY);
}

static void start(struct cf *c, bool mergeable)
{
	c->features_off = mergeable ? 0 : CF_F(VIRTIO_NET_F_MRG_RXBUF);
	cf_start(c, &c->mode);
}

void case_net_sizes(struct cf *c)
{
	uint32_t most = c->f.variant->wire->frame_max;

	cf_map(c);
	for (unsigned int mergeable = 0; mergeable < 2; mergeable++) {
		start(c, mergeable);
		for (uint32_t len = NET_MIN; len <= 130; len++)
			one_size(c, len);
		for (uint32_t len = 256; len <= most; len *= 2)
			for (uint32_t i = len - 1; i <= len + 1 && i <= most; i++)
				one_size(c, i);
		for (uint32_t len = vd_min(NET_USUAL, most) - 1; len <= vd_min(NET_USUAL + 1, most);
		     len++)
			one_size(c, len);
		one_size(c, most - 1);
		one_size(c, most);
		cf_reset(c);
	}
}

/* ---- in pieces ----------------------------------------------------------------------------- */

/* Cut memory from @iova on, @len bytes, at @cut and then anyhow. Return: how many pieces. */
static unsigned int cut(struct vd_buf *b, uint64_t iova, uint32_t len, uint32_t at)
{
	unsigned int n = 0;

	b[n++] = (struct vd_buf){ iova, at };
	for (uint32_t off = at; off < len; n++) {
		uint32_t piece = 1 + net_rnd(40);

		piece = n == 6 ? len - off : vd_min(piece, len - off);
		b[n] = (struct vd_buf){ iova + off, piece };
		off += piece;
	}
	return n;
}

/* The header in a piece of its own, or in two, or all in bytes, at both ends (virtio 1.3, 2.7.4.1).
 */
void case_net_pieces(struct cf *c)
{
	struct vd_buf b[PIECES];
	uint32_t len = 200, number;
	struct vd_done d;
	unsigned int n;

	cf_map(c);
	for (unsigned int mergeable = 0; mergeable < 2; mergeable++) {
		start(c, mergeable);
		for (uint32_t at = 1; at < 2 * NET_HDR + 8; at++) {
			n = cut(b, rx_at(c), NET_HDR + len + 30, at);
			add_rx(c, b, n);
			number = net_number(c);
			net_make(c, cf_at(c, tx_at(c)), number, len, 0);
			n = cut(b, tx_at(c), NET_HDR + len, at);
			add_tx(c, b, n);
			cf_is(cf_get(&c->q[0], &d, 1), 1);
			cf_is(d.len, NET_HDR + len);
			net_check_header(cf_at(c, rx_at(c)), 1);
			net_check(c, (uint8_t *)cf_at(c, rx_at(c)) + NET_HDR, number, len);
			cf_is(((uint8_t *)cf_at(c, rx_at(c)))[NET_HDR + len], NET_CANARY);
		}
		cf_reset(c);
	}
}

/* ---- several buffers for a frame ----------------------------------------------------------- */

/*
 * Buffers of @size, as far apart as 64 KiB would need. Return: how many were posted; at most what
 * the ring has.
 */
static unsigned int post_small(struct cf *c, uint32_t size)
{
	unsigned int n = 0;

	for (uint32_t off = 0; n < 60 && off + size <= c->q[0].data_len; off += size + 7, n++) {
		struct vd_buf b = { rx_at(c) + off, size };

		memset(cf_at(c, b.iova), NET_CANARY, size + 7);
		cf_check(vd_virtq_drv_add(c->q[0].drv, &b, 0, 1) >= 0);
	}
	cf_publish(&c->q[0]);
	return n;
}

/* It came in the first buffers, each full but the last. */
static void take_merged(struct cf *c, uint32_t size, uint32_t number, uint32_t len)
{
	uint32_t total = NET_HDR + len, want = (total + size - 1) / size, off = 0;
	uint8_t *all = malloc(total);

	cf_check(all);
	for (uint32_t i = 0; i < want; i++) {
		uint32_t part = vd_min(size, total - off);
		struct vd_done d;

		cf_is(cf_get(&c->q[0], &d, 1), 1);
		cf_is(d.len, part);
		memcpy(all + off, cf_at(c, rx_at(c) + (uint64_t)i * (size + 7)), part);
		off += part;
	}
	net_check_header(all, want);
	net_check(c, all + NET_HDR, number, len);
	free(all);
}

void case_net_merged(struct cf *c)
{
	static const uint32_t sizes[] = { NET_HDR, NET_HDR + 1, 64, 100, 128, 1000, 1536, 4096 };
	static const uint32_t lens[] = { 60, 200, 515, 1514, 9000, 65000 };

	cf_map(c);
	if (!(c->info->features & CF_F(VIRTIO_NET_F_MRG_RXBUF)))
		cf_skip("no MRG_RXBUF");
	for (size_t i = 0; i < VD_ARRAY_SIZE(sizes); i++)
		for (size_t k = 0; k < VD_ARRAY_SIZE(lens); k++) {
			struct vd_done d;
			unsigned int n;

			if (lens[k] > c->f.variant->wire->frame_max ||
			    lens[k] + NET_HDR > sizes[i] * 50)
				continue;
			start(c, true);
			n = post_small(c, sizes[i]);
			take_merged(c, sizes[i], send_one(c, lens[k]), lens[k]);
			cf_check((lens[k] + NET_HDR + sizes[i] - 1) / sizes[i] < n);
			cf_is(vd_virtq_drv_get(c->q[0].drv, &d, 1), 0);
			cf_reset(c);
		}
}

/* A frame that no buffer has room for is lost, and the buffer is good for the next. */
void case_net_too_small(struct cf *c)
{
	struct vd_buf in;
	struct vd_done d;
	uint32_t number;

	cf_map(c);
	start(c, false);
	in = (struct vd_buf){ rx_at(c), NET_HDR + 100 };
	for (unsigned int i = 0; i < 20; i++) {
		add_rx(c, &in, 1);
		send_one(c, 101);
		send_one(c, 1000);
		number = send_one(c, 100);
		cf_is(cf_get(&c->q[0], &d, 1), 1);
		cf_is(d.len, NET_HDR + 100);
		net_check(c, (uint8_t *)cf_at(c, in.iova) + NET_HDR, number, 100);
	}
}

/* ---- nonsense ------------------------------------------------------------------------------ */

/* No frame, or a header that leaves work to the device which nobody agreed on: sent, as far as
 * the driver is concerned; and nothing comes. */
void case_net_malformed(struct cf *c)
{
	static const struct {
		uint32_t len;
		struct virtio_net_hdr_v1 h;
	} bad[] = {
		{ 1, { 0 } },
		{ NET_HDR - 1, { 0 } },
		{ NET_HDR, { 0 } },
		{ NET_HDR + NET_MIN - 1, { 0 } },
		{ NET_HDR + 65569, { 0 } },
		{ NET_HDR + 200000, { 0 } },
		{ 200,
		  { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 14, .csum_offset = 173 } },
		{ 200,
		  { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		    .csum_start = 0xffff,
		    .csum_offset = 0xffff } },
		{ 200, { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 100, .hdr_len = 54 } },
		{ 200,
		  { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		    .csum_start = 34,
		    .csum_offset = 16,
		    .gso_type = VIRTIO_NET_HDR_GSO_TCPV4 } },
		{ 200,
		  { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		    .csum_start = 34,
		    .csum_offset = 16,
		    .gso_type = 0x7f,
		    .gso_size = 100 } },
	};
	struct vd_buf in;
	struct vd_done d;
	uint32_t number;

	cf_map(c);
	cf_start(c, &c->mode);
	in = (struct vd_buf){ rx_at(c), 300000 };
	add_rx(c, &in, 1);
	for (size_t i = 0; i < VD_ARRAY_SIZE(bad); i++) {
		struct vd_buf b = { tx_at(c), bad[i].len };

		memset(cf_at(c, b.iova), 0, vd_max(b.len, NET_HDR));
		memcpy(cf_at(c, b.iova), &bad[i].h, NET_HDR);
		add_tx(c, &b, 1);
		if (vd_virtq_drv_get(c->q[0].drv, &d, 1))
			cf_fail(__FILE__, __LINE__, "row %zu: it came back", i);
	}
	/* A buffer to be filled is nothing to send. */
	cf_check(vd_virtq_drv_add(c->q[1].drv, &in, 0, 1) >= 0);
	cf_publish(&c->q[1]);
	cf_is(cf_get(&c->q[1], &d, 1), 1);
	number = send_one(c, 100);
	cf_is(cf_get(&c->q[0], &d, 1), 1);
	net_check(c, (uint8_t *)cf_at(c, in.iova) + NET_HDR, number, 100);
	cf_is(uvdpa_dev_status(c->dev), 15);
}
