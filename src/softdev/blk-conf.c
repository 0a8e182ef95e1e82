/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-conf.c - what a parent says of its disk, and what the driver is told (virtio 1.3, 5.2.3 and
 * 4) */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "softdev/blk.h"

static_assert(sizeof(struct virtio_blk_config) == 72, "virtio 1.3, 5.2.4, without zoned");
static_assert(offsetof(struct virtio_blk_config, num_queues) == 34, "virtio 1.3, 5.2.4");

const char *const vd_blk_on_enospc[] = { "report", "pause", NULL };

int vd_blk_args(const struct vd_blk_args *args, const char *name, struct vd_blk_conf *conf)
{
	if (args->serial && strlen(args->serial) > VIRTIO_BLK_ID_BYTES)
		return vd_err(-EINVAL, "%s: serial \"%s\", longer than %d bytes", name,
			      args->serial, VIRTIO_BLK_ID_BYTES);
	snprintf(conf->serial, sizeof(conf->serial), "%s", args->serial ? args->serial : name);
	conf->readonly = args->readonly;
	conf->keep_space = !args->discard;
	conf->pause_on_enospc = args->on_enospc;
	conf->block_size = (uint32_t)args->logical_block_size;
	conf->phys_block_size = (uint32_t)args->physical_block_size;
	conf->size_max = (uint32_t)args->size_max;
	conf->seg_max = (uint32_t)args->seg_max;
	conf->queues = (unsigned int)args->num_queues;
	conf->queue_size = (unsigned int)args->queue_size;
	conf->soft = (struct vd_softdev_conf){
		.name = name,
		.workers = (unsigned int)args->workers,
		.poll_us = (unsigned int)args->poll_us,
		.limits = args->limits,
	};
	return 0;
}

static bool is_block_size(uint32_t n)
{
	return n >= VD_BLK_SECTOR && n <= VD_BLK_BLOCK_SIZE_MAX && !(n & (n - 1));
}

static int check_capacity(const struct vd_blk_conf *c, uint64_t sectors)
{
	if (sectors > INT64_MAX / VD_BLK_SECTOR)
		return vd_err(-EINVAL, "%s: %llu sectors, at most %llu", c->soft.name,
			      (unsigned long long)sectors,
			      (unsigned long long)INT64_MAX / VD_BLK_SECTOR);
	return 0;
}

int vd_blk_complete(struct vd_blk_conf *c)
{
	const char *who = c->soft.name;

	if (!c->queues)
		c->queues = 1;
	if (!c->queue_size)
		c->queue_size = 256;
	if (!c->block_size)
		c->block_size = VD_BLK_SECTOR;
	if (c->phys_block_size < c->block_size)
		c->phys_block_size = c->block_size;
	if (c->queues > VD_BLK_QUEUES_MAX)
		return vd_err(-EINVAL, "%s: %u queues, at most %u", who, c->queues,
			      VD_BLK_QUEUES_MAX);
	if (c->queue_size < 4 || c->queue_size > VD_BLK_QUEUE_SIZE_MAX ||
	    c->queue_size & (c->queue_size - 1))
		return vd_err(-EINVAL, "%s: queue size %u, not a power of two from 4 to %u", who,
			      c->queue_size, VD_BLK_QUEUE_SIZE_MAX);
	/* Without indirect tables header, data and status must find room in the ring. */
	if (!c->seg_max)
		c->seg_max = vd_min(126u, c->queue_size - 2);
	if (c->seg_max > VD_BLK_SEG_MAX)
		return vd_err(-EINVAL, "%s: %u segments, at most %u", who, c->seg_max,
			      VD_BLK_SEG_MAX);
	if (c->size_max && c->size_max < VD_BLK_SECTOR)
		return vd_err(-EINVAL, "%s: segments of %u bytes, at least %u", who, c->size_max,
			      VD_BLK_SECTOR);
	if (!is_block_size(c->block_size) || !is_block_size(c->phys_block_size))
		return vd_err(-EINVAL,
			      "%s: block size %u, physical %u: not powers of two from %u to %u",
			      who, c->block_size, c->phys_block_size, VD_BLK_SECTOR,
			      VD_BLK_BLOCK_SIZE_MAX);
	if (c->capacity_sectors % (c->block_size / VD_BLK_SECTOR))
		return vd_err(-EINVAL, "%s: %llu sectors are no whole number of blocks of %u bytes",
			      who, (unsigned long long)c->capacity_sectors, c->block_size);
	return check_capacity(c, c->capacity_sectors);
}

uint64_t vd_blk_features(const struct vd_blk_conf *c)
{
	const struct {
		unsigned int bit;
		bool offered;
	} some[] = {
		{ VIRTIO_BLK_F_SIZE_MAX, c->size_max },
		{ VIRTIO_BLK_F_RO, c->readonly },
		{ VIRTIO_BLK_F_FLUSH, c->flush },
		{ VIRTIO_BLK_F_CONFIG_WCE, c->flush },
		{ VIRTIO_BLK_F_MQ, c->queues > 1 },
		{ VIRTIO_BLK_F_DISCARD, c->discard && !c->keep_space && !c->readonly },
		{ VIRTIO_BLK_F_WRITE_ZEROES, c->write_zeroes && !c->readonly },
		{ VIRTIO_BLK_F_SECURE_ERASE, c->secure_erase && !c->readonly },
	};
	uint64_t f = VD_BLK_FEATURES & ~c->features_off;

	for (unsigned int i = 0; i < VD_ARRAY_SIZE(some); i++)
		if (!some[i].offered)
			f &= ~(1ull << some[i].bit);
	return f;
}

void vd_blk_fill_config(struct vd_blk *blk, uint64_t f)
{
	const struct vd_blk_conf *c = &blk->conf;
	uint32_t align = vd_max(c->discard_align, c->block_size) / VD_BLK_SECTOR;
	struct virtio_blk_config *v = &blk->config;

	*v = (struct virtio_blk_config){
		.capacity = htole64(c->capacity_sectors),
		.size_max = htole32(c->size_max),
		.seg_max = htole32(c->seg_max),
		.blk_size = htole32(c->block_size),
		.physical_block_exp = (uint8_t)__builtin_ctz(c->phys_block_size / c->block_size),
		.min_io_size = htole16((uint16_t)(c->phys_block_size / c->block_size)),
		.opt_io_size = htole32(c->opt_io_size / c->block_size),
		.num_queues = htole16((uint16_t)c->queues),
	};
	if (f & 1ull << VIRTIO_BLK_F_DISCARD) {
		v->max_discard_sectors = htole32(VD_BLK_RANGE_SECTORS_MAX);
		v->max_discard_seg = htole32(VD_BLK_RANGES_MAX);
		v->discard_sector_alignment = htole32(align);
	}
	if (f & 1ull << VIRTIO_BLK_F_WRITE_ZEROES) {
		v->max_write_zeroes_sectors = htole32(VD_BLK_RANGE_SECTORS_MAX);
		v->max_write_zeroes_seg = htole32(VD_BLK_RANGES_MAX);
		v->write_zeroes_may_unmap = c->unmap && !c->keep_space;
	}
	if (f & 1ull << VIRTIO_BLK_F_SECURE_ERASE) {
		v->max_secure_erase_sectors = htole32(VD_BLK_RANGE_SECTORS_MAX);
		v->max_secure_erase_seg = htole32(VD_BLK_RANGES_MAX);
		v->secure_erase_sector_alignment = htole32(align);
	}
}

int vd_blk_set_capacity(struct vd_blk *blk, uint64_t sectors)
{
	const struct vd_blk_conf *c = &blk->conf;
	int r = check_capacity(c, sectors);

	if (r)
		return r;
	/* What does not fill a block cannot be used. */
	sectors -= sectors % (c->block_size / VD_BLK_SECTOR);
	if (sectors == blk->capacity_sectors)
		return 0;
	__atomic_store_n(&blk->capacity_sectors, sectors, __ATOMIC_RELAXED);
	blk->config.capacity = htole64(sectors);
	uvdpa_dev_config_changed(&blk->sd.dev);
	return 0;
}
