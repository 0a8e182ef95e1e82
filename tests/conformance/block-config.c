/* SPDX-License-Identifier: BSD-2-Clause */
/* block-config.c - what a block device says of itself, its cache mode, its size; see block.h */
#include <stdio.h>

#include "block.h"

#define WCE offsetof(struct virtio_blk_config, wce)

static bool offers(const struct cf *c, unsigned int feature)
{
	return c->info->features & CF_F(feature);
}

/* ---- the configuration space ----------------------------------------------------------------- */

/* Where what a feature brings ends. */
static const struct {
	unsigned int feature;
	uint32_t end;
} fields[] = {
	{ VIRTIO_BLK_F_SIZE_MAX, offsetof(struct virtio_blk_config, seg_max) },
	{ VIRTIO_BLK_F_SEG_MAX, offsetof(struct virtio_blk_config, geometry) },
	{ VIRTIO_BLK_F_BLK_SIZE, offsetof(struct virtio_blk_config, physical_block_exp) },
	{ VIRTIO_BLK_F_TOPOLOGY, offsetof(struct virtio_blk_config, wce) },
	{ VIRTIO_BLK_F_CONFIG_WCE, offsetof(struct virtio_blk_config, unused) },
	{ VIRTIO_BLK_F_MQ, offsetof(struct virtio_blk_config, max_discard_sectors) },
	{ VIRTIO_BLK_F_DISCARD, offsetof(struct virtio_blk_config, max_write_zeroes_sectors) },
	{ VIRTIO_BLK_F_WRITE_ZEROES,
	  offsetof(struct virtio_blk_config, max_secure_erase_sectors) },
	{ VIRTIO_BLK_F_SECURE_ERASE, sizeof(struct virtio_blk_config) },
};

static void check_topology(struct cf *c, const struct virtio_blk_config *v)
{
	uint64_t physical = (uint64_t)block_size(c) << v->physical_block_exp;
	uint32_t min_io = le16toh(v->min_io_size), opt_io = le32toh(v->opt_io_size);

	cf_check(v->physical_block_exp < 16 && physical <= 1 << 20);
	cf_check(v->alignment_offset < 1u << v->physical_block_exp);
	cf_check(!opt_io || opt_io % vd_max(min_io, 1u) == 0);
	if (!c->f.variant->foreign)
		cf_is((uint64_t)min_io * block_size(c), physical);
}

static void check_limits(struct cf *c, const struct virtio_blk_config *v)
{
	uint32_t block = block_size(c) / SECTOR;

	if (offers(c, VIRTIO_BLK_F_DISCARD)) {
		cf_check(le32toh(v->max_discard_sectors) >= block && le32toh(v->max_discard_seg));
		cf_check(le32toh(v->discard_sector_alignment) >= block);
		cf_is(le32toh(v->discard_sector_alignment) % block, 0);
	}
	if (offers(c, VIRTIO_BLK_F_WRITE_ZEROES)) {
		cf_check(le32toh(v->max_write_zeroes_sectors) >= block);
		cf_check(le32toh(v->max_write_zeroes_seg) && v->write_zeroes_may_unmap <= 1);
	}
	if (offers(c, VIRTIO_BLK_F_SECURE_ERASE)) {
		cf_check(le32toh(v->max_secure_erase_sectors) >= block);
		cf_check(le32toh(v->max_secure_erase_seg));
		cf_is(le32toh(v->secure_erase_sector_alignment) % block, 0);
	}
}

void case_config(struct cf *c)
{
	struct virtio_blk_config v = { 0 };
	uint32_t block = block_size(c);

	for (size_t i = 0; i < VD_ARRAY_SIZE(fields); i++)
		if (offers(c, fields[i].feature) && fields[i].end > c->info->config_size)
			cf_fail(__FILE__, __LINE__, "feature %u, and %u bytes of configuration",
				fields[i].feature, c->info->config_size);
	cf_is(uvdpa_dev_get_config(c->dev, 0, &v,
				   vd_min(c->info->config_size, (uint32_t)sizeof(v))), 0);
	cf_is(le64toh(v.capacity), BLOCK_SECTORS);
	cf_check(block >= SECTOR && !(block & (block - 1)));
	cf_is(offers(c, VIRTIO_BLK_F_RO), c->f.variant->readonly);
	cf_check(!offers(c, VIRTIO_BLK_F_SEG_MAX) || v.seg_max);
	/* qemu-storage-daemon 7.2 means "any" by 0. */
	cf_check(!offers(c, VIRTIO_BLK_F_SIZE_MAX) || v.size_max || c->f.variant->foreign);
	cf_check(!offers(c, VIRTIO_BLK_F_MQ) || le16toh(v.num_queues) >= c->info->nvqs);
	cf_check(!offers(c, VIRTIO_BLK_F_CONFIG_WCE) ||
		 (offers(c, VIRTIO_BLK_F_FLUSH) && v.wce <= 1));
	if (offers(c, VIRTIO_BLK_F_TOPOLOGY))
		check_topology(c, &v);
	check_limits(c, &v);
}

/* ---- the cache mode -------------------------------------------------------------------------- */

static uint8_t wce(struct cf *c)
{
	uint8_t v;

	cf_is(uvdpa_dev_get_config(c->dev, WCE, &v, 1), 0);
	return v;
}

static int set_wce(struct cf *c, uint8_t v)
{
	return uvdpa_dev_set_config(c->dev, WCE, &v, 1);
}

/* Requests go on as it changes, and the mode is what was said, until the reset. */
void case_cache_mode(struct cf *c)
{
	struct cf_queue *q = &c->q[0];
	uint8_t first;

	if (!offers(c, VIRTIO_BLK_F_CONFIG_WCE))
		cf_skip("no CONFIG_WCE");
	first = wce(c);
	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int i = 0; i < 6; i++) {
		block_begin(q, 16);
		cf_is(set_wce(c, i & 1), 0);
		block_finish(q);
		cf_is(wce(c), i & 1);
		cf_is(block_one(q, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
		cf_turn(c, 10);
		cf_is(wce(c), i & 1);
	}
	if (c->f.variant->foreign)
		return;	/* qemu-storage-daemon 7.2 keeps it */
	cf_is(set_wce(c, !first), 0);
	cf_reset(c);
	cf_is(wce(c), first);
	cf_turn(c, 10);
	cf_is(wce(c), first);
}

/*
 * Not agreed on, or not a mode: nothing has changed in the end. A device in another process can
 * only say so afterwards.
 */
void case_cache_mode_fixed(struct cf *c)
{
	uint8_t first = wce(c), byte = 77, capacity[8];

	if (!offers(c, VIRTIO_BLK_F_CONFIG_WCE))
		cf_skip("no CONFIG_WCE");
	cf_map(c);
	cf_start(c, &c->mode);
	set_wce(c, 2);
	cf_until(c, wce(c) == first);
	uvdpa_dev_set_config(c->dev, 0, &byte, 1);
	cf_until(c, (uvdpa_dev_get_config(c->dev, 0, capacity, 8), capacity[0] == 0));
	cf_reset(c);
	c->features_off = CF_F(VIRTIO_BLK_F_CONFIG_WCE);
	cf_start(c, &c->mode);
	set_wce(c, !first);
	cf_until(c, wce(c) == first);
	block_ping(&c->q[0]);
}

/* ---- another size ---------------------------------------------------------------------------- */

static uint64_t capacity(struct cf *c)
{
	uint64_t v;

	cf_is(uvdpa_dev_get_config(c->dev, 0, &v, sizeof(v)), 0);
	return le64toh(v);
}

/* By its server, or by ourselves. */
static void resize(struct cf *c, uint64_t sectors)
{
	uint32_t generation = uvdpa_dev_generation(c->dev);
	unsigned int told = c->changed[UVDPA_DEV_CONFIG];
	char bytes[32];
	struct uvdpa_attr attrs[] = { { "size", bytes }, { "shrink", "on" } };
	int r = 0;

	snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)sectors * SECTOR);
	if (c->f.variant->resize)
		c->f.variant->resize(&c->f, bytes);
	else
		r = uvdpa_dev_set(c->dev, attrs, 2);
	if (r == -EOPNOTSUPP)
		cf_skip("its size does not change");
	cf_is(r, 0);
	cf_until(c, capacity(c) == sectors && c->changed[UVDPA_DEV_CONFIG] > told);
	cf_check(uvdpa_dev_generation(c->dev) != generation);
}

/* While it is used: what is inside goes on, and where the end is, is known at once. */
void case_resize(struct cf *c)
{
	struct cf_queue *q = &c->q[0];
	uint32_t block = block_size(c);
	bool ro = c->f.variant->readonly;

	cf_map(c);
	cf_start(c, &c->mode);
	block_traffic(q, 50, 16);
	for (unsigned int i = 0; i < 3; i++) {
		block_begin(q, 16);
		resize(c, 2 * BLOCK_SECTORS);
		block_finish(q);
		cf_is(block_one(q, ro ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT,
				2 * BLOCK_SECTORS - block / SECTOR, block), VIRTIO_BLK_S_OK);
		cf_is(block_one(q, VIRTIO_BLK_T_IN, 2 * BLOCK_SECTORS, block),
		      VIRTIO_BLK_S_IOERR);
		block_begin(q, 16);
		resize(c, BLOCK_SECTORS);
		block_finish(q);
		cf_is(block_one(q, VIRTIO_BLK_T_IN, BLOCK_SECTORS, block), VIRTIO_BLK_S_IOERR);
		block_traffic(q, 50, 16);
	}
}
