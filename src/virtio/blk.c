/* SPDX-License-Identifier: BSD-2-Clause */
/* blk.c - the virtio block driver: what blk.h draws, and its life */
#include "virtio/blk.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/sized.h"

#define QUEUE_SIZE_MIN 4u	/* header, two segments, status */
#define QUEUE_SIZE_DEF 1024u
#define MEM_DEF (16u << 20)

#define FEATURES                                                                          \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_ACCESS_PLATFORM |                  \
	 1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_RING_F_EVENT_IDX |          \
	 1ull << VIRTIO_BLK_F_SIZE_MAX | 1ull << VIRTIO_BLK_F_SEG_MAX |                   \
	 1ull << VIRTIO_BLK_F_RO | 1ull << VIRTIO_BLK_F_BLK_SIZE |                        \
	 1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_TOPOLOGY |                     \
	 1ull << VIRTIO_BLK_F_CONFIG_WCE | 1ull << VIRTIO_BLK_F_MQ |                      \
	 1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES |               \
	 1ull << VIRTIO_BLK_F_SECURE_ERASE)

static struct vd_blkdrv *to_drv(struct vd_virtio_bound *b)
{
	return container_of(b, struct vd_blkdrv, bound);
}

/* Queues, their size, and with it the segments: a chain must not be longer than its ring. */
static int size_queues(struct vd_virtio_dev *vdev, const struct uvdpa_blk_opts *o,
		       uint32_t has_queues, struct uvdpa_blk_info *info)
{
	unsigned int num = o->queue_size ? o->queue_size : vd_min(vdev->vq_num_max, QUEUE_SIZE_DEF);

	if (num < QUEUE_SIZE_MIN || num > vdev->vq_num_max)
		return vd_err(-EINVAL, "%s: queue size %u, not %u to %u", vdev->name, num,
			      QUEUE_SIZE_MIN, vdev->vq_num_max);
	if (num & (num - 1) && !vd_virtio_has(vdev, VIRTIO_F_RING_PACKED))
		return vd_err(-EINVAL, "%s: queue size %u is no power of two", vdev->name, num);
	info->queue_size = num;
	info->seg_max = vd_min(info->seg_max, num - 2);
	info->queues = vd_min(has_queues, vdev->nvqs);
	if (o->queues)
		info->queues = vd_min(info->queues, o->queues);
	return 0;
}

/* ---- open, close ----------------------------------------------------------------------------- */

static size_t queue_bytes(const struct uvdpa_blk *blk, uint64_t features)
{
	return vd_blkq_ring_size(features, (uint16_t)blk->info.queue_size, blk->info.seg_max) +
	       vd_blkq_slots_size((uint16_t)blk->info.queue_size);
}

static int start_queues(struct uvdpa_blk *blk, struct vd_virtio_dev *vdev)
{
	struct vd_blkq_conf c = {
		.features = vdev->features, .num = (uint16_t)blk->info.queue_size,
		.seg_max = blk->info.seg_max, .size_max = blk->info.size_max,
		.base = blk->dma.base, .iova = blk->dma.iova,
		.arena = blk->dma.arena, .size = blk->dma.size,
		.discard_max = blk->info.discard_max_sectors,
		.write_zeroes_max = blk->info.write_zeroes_max_sectors,
		.secure_erase_max = blk->info.secure_erase_max_sectors,
		.may_unmap = blk->info.write_zeroes_may_unmap,
	};
	int r;

	for (unsigned int i = 0; i < blk->info.queues; i++) {
		struct uvdpa_vq vq;

		c.ring = i * queue_bytes(blk, vdev->features);
		c.slots = c.ring + vd_blkq_ring_size(c.features, c.num, c.seg_max);
		r = vd_blkq_init(&blk->queues[i], &c);
		if (r)
			return vd_err_prefix(r, "%s: queue %u: ", vdev->name, i);
		vd_blkq_vq(&blk->queues[i], &vq);
		r = vdev->config->set_vq(vdev, i, &vq);
		if (r)
			return r;
	}
	return 0;
}

static void free_blk(struct uvdpa_blk *blk)
{
	for (unsigned int i = 0; blk->queues && i < blk->info.queues; i++)
		vd_blkq_fini(&blk->queues[i]);
	free(blk->queues);
	vd_dma_fini(&blk->dma);
	free(blk);
}

static int start(struct uvdpa_blk *blk, struct vd_virtio_dev *vdev, const struct uvdpa_blk_opts *o)
{
	uint64_t packed = o->packed ? 1ull << VIRTIO_F_RING_PACKED : 0;
	uint32_t has_queues = 0;
	int r;

	r = vd_virtio_begin(vdev, (FEATURES | packed) & ~o->features_off);
	if (!r)
		r = vd_blk_get_info(vdev, &blk->info, &has_queues);
	if (!r)
		r = size_queues(vdev, o, has_queues, &blk->info);
	if (r)
		return r;
	blk->queues = calloc(blk->info.queues, sizeof(*blk->queues));
	if (!blk->queues)
		return vd_err(-ENOMEM, "%s: %u queues: no memory", vdev->name, blk->info.queues);
	for (unsigned int i = 0; i < blk->info.queues; i++)
		blk->queues[i].kick = blk->queues[i].call = -1;

	r = vd_dma_create(&blk->dma, vdev, blk->info.queues * queue_bytes(blk, vdev->features),
			  o->mem ? o->mem : MEM_DEF);
	if (!r)
		r = start_queues(blk, vdev);
	return r ? r : vd_virtio_go(vdev);
}

int vd_blk_open(struct vd_virtio_bound *b, const struct uvdpa_blk_opts *o,
		struct uvdpa_blk **ret_blk)
{
	struct uvdpa_blk_opts own = { .size = sizeof(own) };
	struct vd_blkdrv *drv = to_drv(b);
	struct uvdpa_blk *blk;
	int r;

	if (o) {
		r = VD_SIZED_TAKE(b->vdev->name, o, &own, packed);
		if (r)
			return r;
	}
	if (drv->blk)
		return vd_err(-EBUSY, "%s: in use already", b->vdev->name);
	blk = calloc(1, sizeof(*blk));
	if (!blk)
		return vd_err(-ENOMEM, "%s: no memory", b->vdev->name);
	vd_dma_init(&blk->dma);
	r = start(blk, b->vdev, &own);
	if (r) {
		b->vdev->config->reset(b->vdev);
		free_blk(blk);
		return r;
	}
	blk->drv = drv;
	drv->blk = blk;
	*ret_blk = blk;
	return 0;
}

void uvdpa_blk_close(struct uvdpa_blk *blk)
{
	if (!blk)
		return;
	if (blk->drv) {
		struct vd_virtio_dev *vdev = blk->drv->bound.vdev;

		blk->drv->blk = NULL;
		vdev->config->reset(vdev);
	}
	free_blk(blk);	/* the device's side has its own mapping, see blk.h */
}

const struct uvdpa_blk_info *uvdpa_blk_info(const struct uvdpa_blk *blk)
{
	return &blk->info;
}

int uvdpa_blk_set_writeback(struct uvdpa_blk *blk, bool on)
{
	const uint8_t wce = on;
	struct vd_virtio_dev *vdev;
	int r;

	if (!blk->drv)
		return vd_err(-ENODEV, "the disk was taken away");
	vdev = blk->drv->bound.vdev;
	if (!vd_virtio_has(vdev, VIRTIO_BLK_F_CONFIG_WCE) || !blk->info.flush)
		return vd_err(-EOPNOTSUPP, "%s: its cache is as it is", vdev->name);
	r = vdev->config->set_config(vdev, offsetof(struct virtio_blk_config, wce), &wce,
				     sizeof(wce));
	return r ? r : vd_blk_get_writeback(vdev, &blk->info);
}

struct uvdpa_blkq *uvdpa_blk_queue(struct uvdpa_blk *blk, unsigned int idx)
{
	if (idx >= blk->info.queues) {
		vd_err(-EINVAL, "queue %u of %u", idx, blk->info.queues);
		return NULL;
	}
	return &blk->queues[idx];
}

void *uvdpa_blk_alloc(struct uvdpa_blk *blk, size_t len)
{
	return vd_dma_alloc(&blk->dma, len);
}

void uvdpa_blk_free(struct uvdpa_blk *blk, void *p)
{
	vd_dma_free(&blk->dma, p);
}

/* ---- the driver ------------------------------------------------------------------------------ */

static int probe(struct vd_virtio_dev *vdev, const struct vd_virtio_conf *conf,
		 struct vd_virtio_bound **ret_b)
{
	struct vd_blkdrv *drv;
	int r;

	if (conf->tap || conf->netns)
		return vd_err(-EINVAL, "%s: option %s is for network devices, this is a disk",
			      vdev->name, conf->tap ? "tap" : "netns");
	if (conf->pty || conf->mode)
		return vd_err(-EINVAL, "%s: option %s is for consoles, this is a disk", vdev->name,
			      conf->pty ? "pty" : "mode");
	drv = calloc(1, sizeof(*drv));
	if (!drv)
		return vd_err(-ENOMEM, "%s: no memory", vdev->name);
	drv->bound.vdev = vdev;
	if (conf->file) {
		r = vd_blk_file_create(drv, conf, &drv->file);
		if (r) {
			free(drv);
			return r;
		}
	}
	*ret_b = &drv->bound;
	return 0;
}

static void quiesce(struct vd_virtio_bound *b)
{
	struct vd_blkdrv *drv = to_drv(b);

	if (drv->file) {
		vd_blk_file_quiesce(drv->file);
		return;
	}
	/* An application may never call again, so what is in the ring is the device's to finish. */
	for (unsigned int i = 0; drv->blk && i < drv->blk->info.queues; i++)
		vd_blkq_refuse(&drv->blk->queues[i], -ENODEV);
	b->vdev->config->quiesced(b->vdev);
}

static void all_gone(struct uvdpa_blk *blk, int err)
{
	for (unsigned int i = 0; i < blk->info.queues; i++)
		vd_blkq_gone(&blk->queues[i], err);
}

static void driver_remove(struct vd_virtio_bound *b)
{
	struct vd_blkdrv *drv = to_drv(b);
	struct uvdpa_blk *blk = drv->blk;

	if (blk) {
		drv->blk = NULL;
		blk->drv = NULL;
		all_gone(blk, -ENODEV);
	}
	if (drv->file)
		vd_blk_file_destroy(drv->file);
	free(drv);
}

static void changed(struct vd_virtio_bound *b, enum uvdpa_event ev)
{
	struct vd_virtio_dev *vdev = b->vdev;
	struct vd_blkdrv *drv = to_drv(b);
	struct uvdpa_blk *blk = drv->blk;

	if (!blk)
		return;
	if (ev == UVDPA_DEV_CONFIG) {
		if (vd_blk_get_capacity(vdev, &blk->info) ||
		    vd_blk_get_writeback(vdev, &blk->info))
			vd_log_warn(vdev->log, vdev->name, "%s", vd_err_text());
		else if (drv->file)
			vd_blk_file_resized(drv->file, blk->info.capacity_sectors);
	} else if (ev == UVDPA_DEV_STATUS) {
		/* Nothing can be relied upon any more (virtio 1.3, 2.1.1). */
		if (vdev->config->status(vdev) & VIRTIO_CONFIG_S_NEEDS_RESET)
			all_gone(blk, -EIO);
	} else if (ev == UVDPA_DEV_READY) {
		for (unsigned int i = 0; i < blk->info.queues; i++)
			vd_blkq_nudge(&blk->queues[i]);
	}
}

static void describe(struct vd_virtio_bound *b, struct uvdpa_emit *e)
{
	struct vd_blkdrv *drv = to_drv(b);

	if (drv->file)
		vd_blk_file_describe(drv->file, e);
}

const struct vd_virtio_driver vd_virtio_blk_driver = {
	.name = "virtio_blk",
	.device_id = VIRTIO_ID_BLOCK,
	.probe = probe,
	.quiesce = quiesce,
	.remove = driver_remove,
	.changed = changed,
	.describe = describe,
};
