/* SPDX-License-Identifier: BSD-2-Clause */
/* block.c - what a block device must do: plain requests, and the list of all cases; see block.h */
#include "block.h"

static void begin(struct cf_queue *q)
{
	block_begin(q, q->num);
}

static void case_verify(struct cf *c)
{
	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int i = 0; i < c->nq; i++)
		block_traffic(&c->q[i], 3 * c->q[i].num + 200, 32);
}

/* All queues at a time. */
static void case_queues(struct cf *c)
{
	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int round = 0; round < 100; round++) {
		for (unsigned int i = 0; i < c->nq; i++)
			block_begin(&c->q[i], 16);
		for (unsigned int i = 0; i < c->nq; i++)
			if (vd_virtq_drv_inflight(c->q[i].drv))
				block_take_some(&c->q[i]);
	}
	for (unsigned int i = 0; i < c->nq; i++)
		block_finish(&c->q[i]);
}

static void case_full_ring(struct cf *c)
{
	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int round = 0; round < 20; round++) {
		while (block_begin(&c->q[0], 64) == 64)
			;
		block_finish(&c->q[0]);
	}
}

/* Further than a 16-bit index counts. */
static void case_wraparound(struct cf *c)
{
	cf_map(c);
	cf_start(c, &c->mode);
	block_traffic(&c->q[0], 70000, 64);
}

static void case_flush(struct cf *c)
{
	struct cf_queue *q = &c->q[0];

	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int i = 0; i < 8; i++) {
		block_traffic(q, 8, 8);
		if (c->features & CF_F(VIRTIO_BLK_F_FLUSH))
			cf_is(block_one(q, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	}
}

/* Not agreed on it is no request, never a silent success; and it is about the whole disk. */
static void case_flush_refused(struct cf *c)
{
	struct cf_queue *q = &c->q[0];

	c->features_off = CF_F(VIRTIO_BLK_F_FLUSH) | CF_F(VIRTIO_BLK_F_CONFIG_WCE);
	cf_map(c);
	cf_start(c, &c->mode);
	cf_is(block_one(q, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_UNSUPP);
	block_traffic(q, 20, 8);
	cf_reset(c);
	c->features_off = 0;
	cf_start(c, &c->mode);
	if (block_has(c, VIRTIO_BLK_F_FLUSH))
		cf_is(block_one(q, VIRTIO_BLK_T_FLUSH, 8, 0), VIRTIO_BLK_S_IOERR);
	block_ping(q);
}

static void case_get_id(struct cf *c)
{
	struct cf_queue *q = &c->q[0];
	struct slot *s;
	struct vd_done d;
	struct vd_buf b[3];
	char id[21] = "", again[21] = "";

	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int i = 0; i < 2; i++) {
		s = block_slot_get(q);
		s->type = VIRTIO_BLK_T_GET_ID;
		s->sector = 0;
		block_header(c, s);
		memset(cf_at(c, s->data), 'x', 20);
		b[0] = (struct vd_buf){ s->hdr, 16 };
		b[1] = (struct vd_buf){ s->data, 20 };
		b[2] = (struct vd_buf){ s->status, 1 };
		cf_check(vd_virtq_drv_add(q->drv, b, 1, 2) >= 0);
		cf_publish(q);
		cf_is(cf_get(q, &d, 1), 1);
		cf_is(*(uint8_t *)cf_at(c, s->status), VIRTIO_BLK_S_OK);
		cf_is(d.len, 21);
		memcpy(i ? again : id, cf_at(c, s->data), 20);
		block_slot_put(q, s);
	}
	cf_check(!strcmp(id, again) && *id);
}

/* An error belongs to its request: the status says so, and the next one is as good as ever. */
static void case_bad_requests(struct cf *c)
{
	static const struct {
		const char *name;
		uint32_t type;
		uint64_t sector;
		uint32_t len;
		uint8_t status;
	} bad[] = {
		{ "unknown type", 0x7777, 0, 512, VIRTIO_BLK_S_UNSUPP },
		{ "SCSI_CMD (CVE-2026-48914)", 2, 0, 512, VIRTIO_BLK_S_UNSUPP },
		{ "read at the end", VIRTIO_BLK_T_IN, 8192, 512, VIRTIO_BLK_S_IOERR },
		{ "read over the end", VIRTIO_BLK_T_IN, 8191, 1024, VIRTIO_BLK_S_IOERR },
		{ "read at 2^64-1", VIRTIO_BLK_T_IN, UINT64_MAX, 512, VIRTIO_BLK_S_IOERR },
		{ "sector whose bytes wrap", VIRTIO_BLK_T_IN, 1ull << 55, 512, VIRTIO_BLK_S_IOERR },
		{ "write at the end", VIRTIO_BLK_T_OUT, 8192, 512, VIRTIO_BLK_S_IOERR },
		{ "write over the end", VIRTIO_BLK_T_OUT, 8191, 1024, VIRTIO_BLK_S_IOERR },
		{ "write at 2^64-2", VIRTIO_BLK_T_OUT, UINT64_MAX - 1, 1024, VIRTIO_BLK_S_IOERR },
		{ "read of half a sector", VIRTIO_BLK_T_IN, 0, 700, VIRTIO_BLK_S_IOERR },
		{ "write of half a sector", VIRTIO_BLK_T_OUT, 0, 100, VIRTIO_BLK_S_IOERR },
	};
	struct cf_queue *q = &c->q[0];

	cf_map(c);
	cf_start(c, &c->mode);
	for (size_t i = 0; i < VD_ARRAY_SIZE(bad); i++) {
		uint8_t status = block_one(q, bad[i].type, bad[i].sector, bad[i].len);

		if (status != bad[i].status)
			cf_fail(__FILE__, __LINE__, "%s: status %u, not %u", bad[i].name, status,
				bad[i].status);
		block_ping(q);
	}
	cf_is(uvdpa_dev_status(c->dev), 15);
}

/* Where a block is more than a sector. */
static void case_half_blocks(struct cf *c)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT };
	uint32_t block = block_size(c);

	if (block == SECTOR)
		cf_skip("its blocks are sectors");
	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int i = 0; i < 2; i++) {
		cf_is(block_one(&c->q[0], types[i], 0, SECTOR), VIRTIO_BLK_S_IOERR);
		cf_is(block_one(&c->q[0], types[i], 1, block), VIRTIO_BLK_S_IOERR);
		cf_is(block_one(&c->q[0], types[i], block / SECTOR, block - SECTOR),
		      VIRTIO_BLK_S_IOERR);
		block_ping(&c->q[0]);
	}
}

static void case_readonly(struct cf *c)
{
	uint32_t block = block_size(c);

	cf_map(c);
	cf_start(c, &c->mode);
	cf_is(block_one(&c->q[0], VIRTIO_BLK_T_OUT, 0, block),
	      c->f.variant->readonly ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
	cf_is(block_one(&c->q[0], VIRTIO_BLK_T_IN, 0, block), VIRTIO_BLK_S_OK);
}

static const struct cf_case cases[] = {
	{ "configuration", case_config, CF_ONCE },
	{ "write, read, verify", case_verify, CF_MODES },
	{ "all queues at once", case_queues, CF_LAYOUTS },
	{ "full ring", case_full_ring, CF_MODES },
	{ "wraparound", case_wraparound, CF_LAYOUTS },
	{ "flush", case_flush, CF_LAYOUTS },
	{ "flush refused", case_flush_refused, CF_LAYOUTS | CF_OURS },
	{ "get id", case_get_id, CF_LAYOUTS },
	{ "bad requests", case_bad_requests, CF_LAYOUTS | CF_OURS },
	{ "half blocks", case_half_blocks, CF_LAYOUTS | CF_OURS },
	{ "read only", case_readonly, CF_LAYOUTS },
	{ "cache mode", case_cache_mode, CF_LAYOUTS },
	{ "cache mode is fixed", case_cache_mode_fixed, CF_ONCE | CF_OURS },
	{ "resize", case_resize, CF_LAYOUTS },
	{ "discard", case_discard, CF_LAYOUTS },
	{ "write zeroes", case_write_zeroes, CF_LAYOUTS },
	{ "secure erase", case_secure_erase, CF_LAYOUTS },
	{ "ranges refused", case_ranges_refused, CF_LAYOUTS },
	{ "ranges, all or none", case_ranges_all_or_none, CF_LAYOUTS | CF_OURS },
	{ "ranges, limits", case_ranges_limits, CF_LAYOUTS | CF_OURS },
	{ "ranges not agreed on", case_ranges_not_agreed, CF_LAYOUTS | CF_OURS },
	{ "ranges, read only", case_ranges_readonly, CF_LAYOUTS | CF_OURS },
	{ "in pieces", case_pieces, CF_LAYOUTS },
	{ "malformed", case_malformed, CF_LAYOUTS | CF_OURS },
	{ "across mappings", case_across, CF_LAYOUTS },
	{ "128 odd segments", case_large, CF_LAYOUTS },
	{ 0 },
};

const struct cf_type cf_block = {
	.device_id = VIRTIO_ID_BLOCK,
	.cases = cases,
	.ping = block_ping,
	.begin = begin,
	.end = block_finish,
};
