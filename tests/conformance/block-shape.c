/* SPDX-License-Identifier: BSD-2-Clause */
/* block-shape.c - requests of a block device, cut as nobody expects it; see block.h */
#include "block.h"

/* A request in pieces as nobody expects it (CVE-2022-2132): header, data and status anyhow. */
void case_pieces(struct cf *c)
{
	struct cf_queue *q = &c->q[0];
	uint32_t block = block_size(c);
	struct slot *s;
	struct vd_done d;

	cf_map(c);
	cf_start(c, &c->mode);
	s = block_slot_get(q);
	s->type = VIRTIO_BLK_T_IN;
	s->sector = 0;
	s->len = block;
	for (uint32_t cut = 1; cut < 16; cut++) {
		struct vd_buf b[] = { { s->hdr, cut }, { s->hdr + cut, 16 - cut },
				      { s->data, cut }, { s->data + cut, block - cut },
				      { s->status, 1 } };

		block_header(c, s);
		memset(cf_at(c, s->data), PATTERN, block);
		cf_check(vd_virtq_drv_add(q->drv, b, 2, 3) >= 0);
		cf_publish(q);
		cf_is(cf_get(q, &d, 1), 1);
		cf_is(*(uint8_t *)cf_at(c, s->status), VIRTIO_BLK_S_OK);
		cf_is(d.len, block + 1);
		block_verify(c, s);
	}
	block_slot_put(q, s);
	block_ping(q);
}

/* Too short, or without a place for its status: not answered or broken, but never believed. */
void case_malformed(struct cf *c)
{
	static const struct {
		uint32_t out, in;
	} bad[] = { { 16, 0 }, { 15, 1 }, { 1, 1 }, { 0, 1 }, { 0, 513 }, { 8, 513 } };
	struct cf_queue *q = &c->q[0];

	cf_map(c);
	for (size_t i = 0; i < VD_ARRAY_SIZE(bad); i++) {
		struct vd_buf b[2];
		struct vd_done d;
		unsigned int n = 0;

		cf_start(c, &c->mode);
		memset(cf_at(c, q->data_iova), 0, 16);
		if (bad[i].out)
			b[n++] = (struct vd_buf){ q->data_iova, bad[i].out };
		if (bad[i].in)
			b[n++] = (struct vd_buf){ q->data_iova + 4096, bad[i].in };
		cf_check(vd_virtq_drv_add(q->drv, b, !!bad[i].out, !!bad[i].in) >= 0);
		cf_publish(q);
		cf_until(c, uvdpa_dev_status(c->dev) & VIRTIO_CONFIG_S_NEEDS_RESET ||
				    vd_virtq_drv_get(q->drv, &d, 1));
		if (c->nq > 1)
			block_ping(&c->q[1]);
		cf_reset(c);
	}
	cf_start(c, &c->mode);
	block_ping(q);
}

/* Data that lies in two mappings (CVE-2018-1059). */
void case_across(struct cf *c)
{
	struct cf_mode m = c->mode;
	struct cf_queue *q = &c->q[0];
	uint64_t edge = CF_DATA_IOVA - 200;
	uint32_t len = vd_max(4 * SECTOR, block_size(c));
	struct slot *s;
	struct vd_done d;

	/* libvhost-user 7.2 takes a table with more pieces than descriptors for a loop. */
	if (c->f.variant->foreign)
		m.ring &= ~CF_F(VIRTIO_RING_F_INDIRECT_DESC);
	cf_map(c);
	cf_start(c, &m);
	block_ping(q);
	s = block_slot_get(q);
	s->type = VIRTIO_BLK_T_IN;
	s->sector = 0;
	s->len = len;
	block_header(c, s);
	{
		struct vd_buf b[] = { { s->hdr, 16 }, { edge, s->len }, { s->status, 1 } };
		uint8_t two[65536];

		/* What is behind the edge is where slot 0 of queue 0 is: keep off that. */
		cf_check(s->hdr >= CF_DATA_IOVA + len && len <= sizeof(two));
		memset(cf_at(c, edge), PATTERN, 200);
		cf_check(vd_virtq_drv_add(q->drv, b, 1, 2) >= 0);
		cf_publish(q);
		cf_is(cf_get(q, &d, 1), 1);
		cf_is(*(uint8_t *)cf_at(c, s->status), VIRTIO_BLK_S_OK);
		memcpy(two, cf_at(c, edge), 200);
		memcpy(two + 200, cf_at(c, CF_DATA_IOVA), len - 200);
		memcpy(cf_at(c, s->data), two, len);
		block_verify(c, s);
	}
}

/* ---- many segments --------------------------------------------------------------------------- */

#define LARGE (1u << 20)
#define SEGMENTS 128u
#define GAP 64u

/* A megabyte in an even number of pieces of odd lengths, with gaps; from queue 1's memory on. */
static unsigned int cut(struct cf *c, struct vd_buf *b, unsigned int n)
{
	uint32_t len = (LARGE / n & ~1u) + 1, left = LARGE;
	uint64_t at = CF_DATA_IOVA + CF_DATA_SHARE;

	for (unsigned int i = 0; i < n; i += 2) {
		uint32_t one = len + 2 * block_rnd(len / 2 - 100);
		uint32_t two = i + 2 < n ? 2 * len - one : left - one;

		b[i] = (struct vd_buf){ at, one };
		at += one + block_rnd(GAP);
		b[i + 1] = (struct vd_buf){ at, two };
		at += two + block_rnd(GAP);
		left -= one + two;
		cf_check(one & two & 1);
	}
	cf_is(left, 0);
	cf_check(at <= CF_DATA_IOVA + CF_DATA_LEN);
	(void)c;
	return n;
}

static uint8_t byte_at(uint32_t i)
{
	return (uint8_t)(i * 2654435761u >> 24);
}

static void large(struct cf *c, uint32_t type, unsigned int n)
{
	struct cf_queue *q = &c->q[0];
	struct slot *s = block_slot_get(q);
	struct vd_buf b[SEGMENTS + 2];
	bool out = type == VIRTIO_BLK_T_OUT;
	struct vd_done d;
	uint32_t k = 0;

	s->type = type;
	s->sector = 1024;
	block_header(c, s);
	b[0] = (struct vd_buf){ s->hdr, 16 };
	b[n + 1] = (struct vd_buf){ s->status, 1 };
	cut(c, b + 1, n);
	for (unsigned int i = 1; i <= n; i++)
		for (uint32_t j = 0; j < b[i].len; j++, k++)
			((uint8_t *)cf_at(c, b[i].iova))[j] = out ? byte_at(k) : PATTERN;
	cf_check(vd_virtq_drv_add(q->drv, b, out ? n + 1 : 1, out ? 1 : n + 1) >= 0);
	cf_publish(q);
	cf_is(cf_get(q, &d, 1), 1);
	cf_is(*(uint8_t *)cf_at(c, s->status), VIRTIO_BLK_S_OK);
	cf_is(d.len, out ? 1 : LARGE + 1);
	k = 0;
	for (unsigned int i = 1; !out && i <= n; i++)
		for (uint32_t j = 0; j < b[i].len; j++, k++)
			if (((uint8_t *)cf_at(c, b[i].iova))[j] !=
			    (c->f.variant->readonly ? 0 : byte_at(k)))
				cf_fail(__FILE__, __LINE__, "byte %u, in segment %u", k, i);
	block_slot_put(q, s);
}

/* In the ring, and in a table of its own. */
void case_large(struct cf *c)
{
	uint64_t layout = c->mode.ring & CF_F(VIRTIO_F_RING_PACKED);
	const struct cf_mode modes[] = {
		{ layout, 256 },
		{ layout | CF_F(VIRTIO_RING_F_INDIRECT_DESC), 64 },
	};
	uint32_t seg_max = 1;

	if (c->info->features & CF_F(VIRTIO_BLK_F_SEG_MAX))
		cf_is(uvdpa_dev_get_config(c->dev, offsetof(struct virtio_blk_config, seg_max),
					   &seg_max, sizeof(seg_max)), 0);
	seg_max = vd_min(le32toh(seg_max), SEGMENTS) & ~1u;
	if (seg_max < 64)
		cf_skip("not as many segments");
	cf_map(c);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(modes); i++) {
		if (!cf_offered(c, &modes[i]))
			continue;
		c->indirect_max = modes[i].ring & CF_F(VIRTIO_RING_F_INDIRECT_DESC) ? SEGMENTS + 2
										     : 0;
		cf_start(c, &modes[i]);
		if (!c->f.variant->readonly)
			large(c, VIRTIO_BLK_T_OUT, seg_max);
		large(c, VIRTIO_BLK_T_IN, seg_max);
		cf_reset(c);
	}
}
