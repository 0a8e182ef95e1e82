/* SPDX-License-Identifier: BSD-2-Clause */
/* block-range.c - DISCARD, WRITE_ZEROES and SECURE_ERASE of a block device; see block.h */
#include "block.h"

#define UNMAP VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP
#define AREA 64u	/* blocks at the start of the disk, that are used here */

static const struct {
	uint32_t type;
	unsigned int feature;
	uint32_t max_sectors, max_seg;	/* offsets */
} types[] = {
	{ VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_F_DISCARD,
	  offsetof(struct virtio_blk_config, max_discard_sectors),
	  offsetof(struct virtio_blk_config, max_discard_seg) },
	{ VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_F_WRITE_ZEROES,
	  offsetof(struct virtio_blk_config, max_write_zeroes_sectors),
	  offsetof(struct virtio_blk_config, max_write_zeroes_seg) },
	{ VIRTIO_BLK_T_SECURE_ERASE, VIRTIO_BLK_F_SECURE_ERASE,
	  offsetof(struct virtio_blk_config, max_secure_erase_sectors),
	  offsetof(struct virtio_blk_config, max_secure_erase_seg) },
};

static uint32_t limit(struct cf *c, uint32_t off)
{
	uint32_t v;

	cf_is(uvdpa_dev_get_config(c->dev, off, &v, sizeof(v)), 0);
	return le32toh(v);
}

/* Start with a feature, or not at all. */
static void start(struct cf *c, unsigned int feature, const char *lacks)
{
	if (!(c->info->features & CF_F(feature)))
		cf_skip(lacks);
	cf_map(c);
	cf_start(c, &c->mode);
}

/* The same for whichever of the three there is. */
static void start_any(struct cf *c)
{
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(types); i++)
		if (c->info->features & CF_F(types[i].feature)) {
			cf_map(c);
			cf_start(c, &c->mode);
			return;
		}
	cf_skip("no DISCARD, WRITE_ZEROES, SECURE_ERASE");
}

static uint32_t block_sectors(struct cf *c)
{
	return block_size(c) / SECTOR;
}

/* No sector of the area is zero, or as it was. */
static void write_area(struct cf_queue *q)
{
	uint32_t n = block_sectors(q->c);

	for (uint32_t i = 0; i < AREA; i++)
		cf_is(block_one(q, VIRTIO_BLK_T_OUT, i * n, n * SECTOR), VIRTIO_BLK_S_OK);
}

static void check_area(struct cf_queue *q)
{
	block_check(q, 0, AREA * block_sectors(q->c));
}

/* One range, in blocks. Return: the status. */
static uint8_t range(struct cf_queue *q, uint32_t type, uint32_t first, uint32_t n, uint32_t flags)
{
	uint32_t block = block_sectors(q->c);

	return block_ranges(q, type, &(struct range){ first * block, n * block, flags }, 1);
}

static void some_ranges(struct cf_queue *q, uint32_t type, bool unmap)
{
	static const struct {
		uint32_t first, n;
	} cases[] = { { 0, 1 }, { 3, 5 }, { 7, 9 }, { 8, 8 }, { 1, 62 }, { 63, 1 }, { 0, 64 } };

	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		write_area(q);
		cf_is(range(q, type, cases[i].first, cases[i].n, unmap && i & 1 ? UNMAP : 0),
		      VIRTIO_BLK_S_OK);
		check_area(q);
	}
	write_area(q);
	check_area(q);
}

/* As many as the device takes in one request, apart, at odd places. */
static void many_ranges(struct cf_queue *q, uint32_t type, uint32_t max)
{
	uint32_t block = block_sectors(q->c);
	struct range r[BLOCK_RANGES_MAX];
	unsigned int n = vd_min(max, BLOCK_RANGES_MAX);

	for (unsigned int i = 0; i < n; i++)
		r[i] = (struct range){ (2 * i + 1) * block, block, 0 };
	write_area(q);
	cf_is(block_ranges(q, type, r, n), VIRTIO_BLK_S_OK);
	check_area(q);
}

void case_discard(struct cf *c)
{
	struct cf_queue *q = &c->q[0];

	start(c, VIRTIO_BLK_F_DISCARD, "no DISCARD");
	some_ranges(q, VIRTIO_BLK_T_DISCARD, false);
	many_ranges(q, VIRTIO_BLK_T_DISCARD, limit(c, types[0].max_seg));
	cf_is(block_ranges(q, VIRTIO_BLK_T_DISCARD, &(struct range){ 0, BLOCK_SECTORS, 0 }, 1),
	      VIRTIO_BLK_S_OK);
	block_ping(q);
}

void case_write_zeroes(struct cf *c)
{
	struct cf_queue *q = &c->q[0];

	start(c, VIRTIO_BLK_F_WRITE_ZEROES, "no WRITE_ZEROES");
	some_ranges(q, VIRTIO_BLK_T_WRITE_ZEROES, true);
	many_ranges(q, VIRTIO_BLK_T_WRITE_ZEROES, limit(c, types[1].max_seg));
	cf_is(block_ranges(q, VIRTIO_BLK_T_WRITE_ZEROES, &(struct range){ 0, BLOCK_SECTORS, UNMAP },
			   1), VIRTIO_BLK_S_OK);
	block_check(q, 0, BLOCK_SECTORS);
}

/* What a read brought is in the slot that is the next to be used. */
static void read_block(struct cf_queue *q, uint32_t first, uint8_t *to)
{
	uint32_t size = block_size(q->c);
	struct slot *s;

	cf_is(block_one(q, VIRTIO_BLK_T_IN, first * (size / SECTOR), size), VIRTIO_BLK_S_OK);
	s = block_slot_get(q);
	memcpy(to, cf_at(q->c, s->data), size);
	block_slot_put(q, s);
}

void case_secure_erase(struct cf *c)
{
	static uint8_t old[65536], now[65536];
	struct cf_queue *q = &c->q[0];

	start(c, VIRTIO_BLK_F_SECURE_ERASE, "no SECURE_ERASE");
	some_ranges(q, VIRTIO_BLK_T_SECURE_ERASE, false);
	many_ranges(q, VIRTIO_BLK_T_SECURE_ERASE, limit(c, types[2].max_seg));
	write_area(q);
	read_block(q, 5, old);
	cf_is(range(q, VIRTIO_BLK_T_SECURE_ERASE, 5, 1, 0), VIRTIO_BLK_S_OK);
	read_block(q, 5, now);
	cf_check(memcmp(old, now, SECTOR) != 0);
}

/* Flags that there are not, and places that there are not: nothing has changed. */
void case_ranges_refused(struct cf *c)
{
	static const struct {
		uint32_t first, n;	/* blocks */
		uint64_t sector;	/* or this */
		uint32_t flags;		/* UNMAP: of DISCARD and SECURE_ERASE */
		uint8_t status;
	} bad[] = {
		{ 0, 1, 0, UNMAP, VIRTIO_BLK_S_UNSUPP },
		{ 0, 1, 0, 2, VIRTIO_BLK_S_UNSUPP },
		{ 3, 1, 0, 1u << 31, VIRTIO_BLK_S_UNSUPP },
		{ 0, 1, BLOCK_SECTORS, 0, VIRTIO_BLK_S_IOERR },
		{ 0, 32, BLOCK_SECTORS - 128, 0, VIRTIO_BLK_S_IOERR },
		{ 0, 8, UINT64_MAX - 63, 0, VIRTIO_BLK_S_IOERR },
		{ 0, 8, 1ull << 55, 0, VIRTIO_BLK_S_IOERR },
	};
	struct cf_queue *q = &c->q[0];
	uint32_t block = block_sectors(c);

	start_any(c);
	write_area(q);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(types) * VD_ARRAY_SIZE(bad); i++) {
		unsigned int t = i % 3, b = i / 3;
		struct range r = { bad[b].sector ? bad[b].sector : bad[b].first * block,
				   bad[b].n * block, bad[b].flags };
		uint8_t status;

		if (!block_has(c, types[t].feature) ||
		    (bad[b].flags == UNMAP && types[t].type == VIRTIO_BLK_T_WRITE_ZEROES))
			continue;
		if (r.sector == BLOCK_SECTORS - 128)
			r.nsectors = 128 + block;
		status = block_ranges(q, types[t].type, &r, 1);
		if (status != bad[b].status)
			cf_fail(__FILE__, __LINE__, "type %u, range %u: status %u, not %u",
				types[t].type, b, status, bad[b].status);
	}
	check_area(q);
	block_ping(q);
}

/* One of several is wrong, wherever it is: none is done. */
void case_ranges_all_or_none(struct cf *c)
{
	struct cf_queue *q = &c->q[0];
	uint32_t block = block_sectors(c);

	start_any(c);
	write_area(q);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(types) * 8; i++) {
		struct range r[8];

		if (!block_has(c, types[i / 8].feature))
			continue;
		for (unsigned int k = 0; k < 8; k++)
			r[k] = (struct range){ 2 * k * block, block, 0 };
		r[i % 8].sector = BLOCK_SECTORS;
		cf_is(block_ranges(q, types[i / 8].type, r, 8), VIRTIO_BLK_S_IOERR);
		check_area(q);
	}
}

/* Data that is no ranges, more of them than there may be, or longer than they may be. */
void case_ranges_limits(struct cf *c)
{
	static const uint32_t lens[] = { 1, 8, 15, 17, 31 };
	static const uint8_t zeros[32];
	struct cf_queue *q = &c->q[0];
	struct range r[BLOCK_RANGES_MAX + 1] = { 0 };

	start_any(c);
	write_area(q);
	for (unsigned int t = 0; t < VD_ARRAY_SIZE(types); t++) {
		uint32_t max;

		if (!block_has(c, types[t].feature))
			continue;
		cf_is(block_one(q, types[t].type, 0, 0), VIRTIO_BLK_S_IOERR);
		for (unsigned int i = 0; i < VD_ARRAY_SIZE(lens); i++)
			cf_is(block_raw(q, types[t].type, zeros, lens[i]), VIRTIO_BLK_S_IOERR);
		max = limit(c, types[t].max_seg);
		if (max < VD_ARRAY_SIZE(r))
			cf_is(block_ranges(q, types[t].type, r, max + 1), VIRTIO_BLK_S_IOERR);
		max = limit(c, types[t].max_sectors);
		cf_is(block_ranges(q, types[t].type, &(struct range){ 0, UINT32_MAX, 0 }, 1),
		      VIRTIO_BLK_S_IOERR);
		cf_is(block_ranges(q, types[t].type, &(struct range){ 0, max + 1, 0 }, 1),
		      VIRTIO_BLK_S_IOERR);
		check_area(q);
	}
	block_ping(q);
}

/* A request that was not agreed on is none, whatever the device could do. */
void case_ranges_not_agreed(struct cf *c)
{
	struct cf_queue *q = &c->q[0];

	for (unsigned int t = 0; t < VD_ARRAY_SIZE(types); t++)
		c->features_off |= CF_F(types[t].feature);
	cf_map(c);
	cf_start(c, &c->mode);
	if (!c->f.variant->readonly)
		write_area(q);
	for (unsigned int t = 0; t < VD_ARRAY_SIZE(types); t++)
		cf_is(range(q, types[t].type, 0, 4, 0), VIRTIO_BLK_S_UNSUPP);
	check_area(q);
}

/* Offered or not, agreed on or not. */
void case_ranges_readonly(struct cf *c)
{
	if (!c->f.variant->readonly)
		cf_skip("it can be written");
	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int t = 0; t < VD_ARRAY_SIZE(types); t++)
		cf_check(range(&c->q[0], types[t].type, 0, 4, 0) != VIRTIO_BLK_S_OK);
	check_area(&c->q[0]);
}
