/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-config.c - what a disk says of itself (virtio 1.3, 5.2.4), and whether that makes sense
 *
 * What nothing can be done without makes open fail: capacity, block size, queues. The rest is
 * advice, and the limits of requests that need not be used: what makes no sense there is said
 * once, and the driver does without.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>

#include "base/err.h"
#include "virtio/blk.h"

#define SEG_MAX 126u /* an indirect table is two kilobytes then */

/* A field that is there if @feature is negotiated; @ret_v is left alone otherwise. */
static int get_field(struct vd_virtio_dev *vdev, unsigned int feature, uint32_t off, uint32_t len,
		     uint32_t *ret_v)
{
	uint32_t v = 0;
	int r;

	if (!vd_virtio_has(vdev, feature))
		return 0;
	r = vd_virtio_get_config(vdev, off, &v, len);
	if (!r)
		*ret_v = le32toh(v);
	return r;
}

#define MEMBER(m)                        offsetof(struct virtio_blk_config, m), sizeof(((struct virtio_blk_config *)0)->m)
#define GET_FIELD(vdev, feature, m, ret) get_field(vdev, feature, MEMBER(m), ret)

int vd_blk_get_capacity(struct vd_virtio_dev *vdev, struct uvdpa_blk_info *info)
{
	uint64_t v;
	int r = vd_virtio_get_config(vdev, offsetof(struct virtio_blk_config, capacity), &v,
				     sizeof(v));

	if (r)
		return r;
	v = le64toh(v);
	if (v > INT64_MAX / UVDPA_BLK_SECTOR)
		return vd_err(-EBADMSG, "%s: capacity of %" PRIu64 " sectors", vdev->name, v);
	info->capacity_sectors = v;
	return 0;
}

int vd_blk_get_writeback(struct vd_virtio_dev *vdev, struct uvdpa_blk_info *info)
{
	uint32_t wce = 1; /* FLUSH alone means that there is something to flush */
	int r = GET_FIELD(vdev, VIRTIO_BLK_F_CONFIG_WCE, wce, &wce);

	if (r)
		return r;
	info->writeback = wce && vd_virtio_has(vdev, VIRTIO_BLK_F_FLUSH);
	return 0;
}

/* The limit of DISCARD, or of one of its like. */
struct limit {
	const char *what;
	unsigned int feature;
	uint32_t off;
	uint32_t *max; /* sectors; in info */
};

/* What can be used of it is what fills blocks. */
static int get_limit(struct vd_virtio_dev *vdev, const struct limit *l, uint32_t block)
{
	uint32_t max = 0;
	int r = get_field(vdev, l->feature, l->off, sizeof(max), &max);

	if (r || !vd_virtio_has(vdev, l->feature))
		return r;
	*l->max = max - max % (block / UVDPA_BLK_SECTOR);
	if (!*l->max)
		vd_log_warn(vdev->log, vdev->name,
			    "%s of at most %" PRIu32 " sectors, not a block of %" PRIu32
			    " bytes: not used",
			    l->what, max, block);
	return 0;
}

static int get_ranges(struct vd_virtio_dev *vdev, struct uvdpa_blk_info *info)
{
	const struct limit limits[] = {
		{ "discard", VIRTIO_BLK_F_DISCARD,
		  offsetof(struct virtio_blk_config, max_discard_sectors),
		  &info->discard_max_sectors },
		{ "write_zeroes", VIRTIO_BLK_F_WRITE_ZEROES,
		  offsetof(struct virtio_blk_config, max_write_zeroes_sectors),
		  &info->write_zeroes_max_sectors },
		{ "secure_erase", VIRTIO_BLK_F_SECURE_ERASE,
		  offsetof(struct virtio_blk_config, max_secure_erase_sectors),
		  &info->secure_erase_max_sectors },
	};
	uint32_t align = 0, may_unmap = 0;
	int r = 0;

	for (unsigned int i = 0; !r && i < VD_ARRAY_SIZE(limits); i++)
		r = get_limit(vdev, &limits[i], info->block_size);
	if (!r)
		r = GET_FIELD(vdev, VIRTIO_BLK_F_DISCARD, discard_sector_alignment, &align);
	if (!r)
		r = GET_FIELD(vdev, VIRTIO_BLK_F_WRITE_ZEROES, write_zeroes_may_unmap, &may_unmap);
	if (r)
		return r;
	info->write_zeroes_may_unmap = may_unmap && info->write_zeroes_max_sectors;
	if (!info->discard_max_sectors)
		return 0;
	/* 0 is what many devices say that have nothing to say. */
	if (align > info->discard_max_sectors || align % (info->block_size / UVDPA_BLK_SECTOR)) {
		vd_log_warn(vdev->log, vdev->name,
			    "alignment of %" PRIu32 " sectors for a discard of at most %" PRIu32
			    ", blocks of %" PRIu32 " bytes: not used",
			    align, info->discard_max_sectors, info->block_size);
		align = 0;
	}
	info->discard_align = vd_max(align, info->block_size / UVDPA_BLK_SECTOR);
	return 0;
}

static int get_topology(struct vd_virtio_dev *vdev, struct uvdpa_blk_info *info)
{
	uint32_t exp = 0, opt = 0;
	int r = GET_FIELD(vdev, VIRTIO_BLK_F_TOPOLOGY, physical_block_exp, &exp);

	if (!r)
		r = GET_FIELD(vdev, VIRTIO_BLK_F_TOPOLOGY, opt_io_size, &opt);
	if (r)
		return r;
	if (exp > (unsigned int)__builtin_clz(info->block_size)) {
		vd_log_warn(vdev->log, vdev->name,
			    "physical block of 2^%" PRIu32 " blocks: not used", exp);
		exp = 0;
	}
	info->physical_block_size = info->block_size << exp;
	if (__builtin_mul_overflow(opt, info->block_size, &info->opt_io_size)) {
		vd_log_warn(vdev->log, vdev->name,
			    "best request of %" PRIu32 " blocks of %" PRIu32 " bytes: not used",
			    opt, info->block_size);
		info->opt_io_size = 0;
	}
	return 0;
}

int vd_blk_get_info(struct vd_virtio_dev *vdev, struct uvdpa_blk_info *info, uint32_t *ret_queues)
{
	uint32_t queues = 1, size_max = 0, seg_max = 1, block_size = UVDPA_BLK_SECTOR;
	int r = vd_blk_get_capacity(vdev, info);

	if (!r)
		r = GET_FIELD(vdev, VIRTIO_BLK_F_SIZE_MAX, size_max, &size_max);
	if (!r)
		r = GET_FIELD(vdev, VIRTIO_BLK_F_SEG_MAX, seg_max, &seg_max);
	if (!r)
		r = GET_FIELD(vdev, VIRTIO_BLK_F_BLK_SIZE, blk_size, &block_size);
	if (!r)
		r = GET_FIELD(vdev, VIRTIO_BLK_F_MQ, num_queues, &queues);
	if (r)
		return r;
	if (block_size < UVDPA_BLK_SECTOR || block_size & (block_size - 1))
		return vd_err(-EBADMSG, "%s: block size of %" PRIu32, vdev->name, block_size);
	if (!queues)
		return vd_err(-EBADMSG, "%s: no queues", vdev->name);
	info->size_max = size_max;
	info->seg_max = vd_max(vd_min(seg_max, SEG_MAX), 1u);
	info->block_size = block_size;
	info->readonly = vd_virtio_has(vdev, VIRTIO_BLK_F_RO);
	info->flush = vd_virtio_has(vdev, VIRTIO_BLK_F_FLUSH);
	*ret_queues = queues;
	r = vd_blk_get_writeback(vdev, info);
	if (!r)
		r = get_topology(vdev, info);
	return r ? r : get_ranges(vdev, info);
}
