/* SPDX-License-Identifier: BSD-2-Clause */
/* rng.c - the virtio entropy driver: what rng.h draws, and its life */
#include "virtio/rng.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/sized.h"

#define QUEUE_SIZE_DEF 64u
#define MEM_DEF        (4u << 20)
#define FEATURES \
	(VD_F(VIRTIO_F_VERSION_1) | VD_F(VIRTIO_F_ACCESS_PLATFORM) | VD_F(VIRTIO_RING_F_EVENT_IDX))

static struct vd_rngdrv *to_drv(struct vd_virtio_bound *b)
{
	return container_of(b, struct vd_rngdrv, bound);
}

/* ---- open, close ---------------------------------------------------------------------------- */

static int size_queue(struct uvdpa_rng *rng, struct vd_virtio_dev *vdev,
		      const struct uvdpa_rng_opts *o)
{
	unsigned int num = o->queue_size ? o->queue_size : vd_min(vdev->vq_num_max, QUEUE_SIZE_DEF);

	if (num > vdev->vq_num_max)
		return vd_err(-EINVAL, "%s: queue size %u, at most %u", vdev->name, num,
			      vdev->vq_num_max);
	if (num & (num - 1) && !vd_virtio_has(vdev, VIRTIO_F_RING_PACKED))
		return vd_err(-EINVAL, "%s: queue size %u is no power of two", vdev->name, num);
	rng->num = (uint16_t)num;
	return 0;
}

static struct vd_vring_layout layout(const struct uvdpa_rng *rng, const struct vd_virtio_dev *vdev)
{
	return vd_vring_layout(rng->num, vd_virtio_has(vdev, VIRTIO_F_RING_PACKED), 0);
}

static size_t ring_bytes(const struct uvdpa_rng *rng, const struct vd_virtio_dev *vdev)
{
	return vd_align_up(layout(rng, vdev).size, VD_DMA_PAGE);
}

static int start_queue(struct uvdpa_rng *rng, struct vd_virtio_dev *vdev)
{
	struct vd_virtq_drv_conf vqc = { .features = vdev->features,
					 .num = rng->num,
					 .ring = rng->dma.base,
					 .ring_iova = rng->dma.iova };
	struct vd_vring_layout l = layout(rng, vdev);
	struct uvdpa_vq vq;
	int r;

	r = rng->kick = vd_eventfd();
	if (r >= 0)
		r = rng->call = vd_eventfd();
	if (r >= 0)
		r = vd_virtq_drv_create(&vqc, &rng->vq);
	if (r < 0)
		return vd_err_prefix(r, "%s: ", vdev->name);
	vd_virtq_drv_calls_off(rng->vq);
	vq = (struct uvdpa_vq){
		.num = rng->num,
		.desc = rng->dma.iova + l.desc,
		.driver = rng->dma.iova + l.driver,
		.device = rng->dma.iova + l.device,
		.state = vd_virtq_drv_state(rng->vq),
		.kick = rng->kick,
		.call = rng->call,
	};
	return vdev->config->set_vq(vdev, 0, &vq);
}

static int start(struct uvdpa_rng *rng, struct vd_virtio_dev *vdev, const struct uvdpa_rng_opts *o)
{
	uint64_t packed = o->packed ? VD_F(VIRTIO_F_RING_PACKED) : 0;
	int r;

	r = vd_virtio_begin(vdev, (FEATURES | packed) & ~o->features_off);
	if (!r)
		r = size_queue(rng, vdev, o);
	if (r)
		return r;
	rng->reqs = calloc(rng->num, sizeof(*rng->reqs));
	if (!rng->reqs)
		return vd_err(-ENOMEM, "%s: no memory", vdev->name);
	r = vd_dma_create(&rng->dma, vdev, ring_bytes(rng, vdev) + VD_RNG_OWN * VD_RNG_READ,
			  o->mem ? o->mem : MEM_DEF);
	if (r)
		return r;
	for (unsigned int i = 0; i < VD_RNG_OWN; i++)
		rng->own[i].req.buf = rng->dma.base + ring_bytes(rng, vdev) + i * VD_RNG_READ;
	r = start_queue(rng, vdev);
	return r ? r : vd_virtio_go(vdev);
}

static void free_rng(struct uvdpa_rng *rng)
{
	vd_virtq_drv_destroy(rng->vq);
	vd_close(&rng->call);
	vd_close(&rng->kick);
	vd_dma_fini(&rng->dma);
	free(rng->reqs);
	free(rng);
}

int vd_rng_open(struct vd_virtio_bound *b, const struct uvdpa_rng_opts *o,
		struct uvdpa_rng **ret_rng)
{
	struct uvdpa_rng_opts own = { .size = sizeof(own) };
	struct vd_rngdrv *drv = to_drv(b);
	struct uvdpa_rng *rng;
	int r;

	if (o) {
		r = VD_SIZED_TAKE(b->vdev->name, o, &own, packed);
		if (r)
			return r;
	}
	if (drv->rng)
		return vd_err(-EBUSY, "%s: in use already", b->vdev->name);
	rng = calloc(1, sizeof(*rng));
	if (!rng)
		return vd_err(-ENOMEM, "%s: no memory", b->vdev->name);
	rng->kick = rng->call = -1;
	vd_dma_init(&rng->dma);
	r = start(rng, b->vdev, &own);
	if (r) {
		b->vdev->config->reset(b->vdev);
		free_rng(rng);
		return r;
	}
	rng->drv = drv;
	drv->rng = rng;
	*ret_rng = rng;
	return 0;
}

void uvdpa_rng_close(struct uvdpa_rng *rng)
{
	if (!rng)
		return;
	if (rng->drv) {
		struct vd_virtio_dev *vdev = rng->drv->bound.vdev;

		rng->drv->rng = NULL;
		vdev->config->reset(vdev);
	}
	free_rng(rng); /* the device's side has its own mapping, see dma.h */
}

void *uvdpa_rng_alloc(struct uvdpa_rng *rng, size_t len)
{
	return vd_dma_alloc(&rng->dma, len);
}

void uvdpa_rng_free(struct uvdpa_rng *rng, void *p)
{
	vd_dma_free(&rng->dma, p);
}

/* ---- the driver ----------------------------------------------------------------------------- */

static int probe(struct vd_virtio_dev *vdev, const struct vd_virtio_conf *conf,
		 struct vd_virtio_bound **ret_b)
{
	const char *other = conf->file    ? "file"
			    : conf->tap   ? "tap"
			    : conf->netns ? "netns"
			    : conf->pty   ? "pty"
			    : conf->mode  ? "mode"
					  : NULL;
	struct vd_rngdrv *drv;

	if (other)
		return vd_err(-EINVAL,
			      "%s: option %s is for other devices, this gives random bytes",
			      vdev->name, other);
	drv = calloc(1, sizeof(*drv));
	if (!drv)
		return vd_err(-ENOMEM, "%s: no memory", vdev->name);
	drv->bound.vdev = vdev;
	*ret_b = &drv->bound;
	return 0;
}

/* An application may never call again, so what is in the ring is the device's to finish or to
 * leave. */
static void quiesce(struct vd_virtio_bound *b)
{
	struct vd_rngdrv *drv = to_drv(b);

	if (drv->rng)
		vd_rng_refuse(drv->rng, -ENODEV);
	b->vdev->config->quiesced(b->vdev);
}

static void driver_remove(struct vd_virtio_bound *b)
{
	struct vd_rngdrv *drv = to_drv(b);

	if (drv->rng) {
		drv->rng->drv = NULL;
		vd_rng_gone(drv->rng, -ENODEV);
	}
	free(drv);
}

static void changed(struct vd_virtio_bound *b, enum uvdpa_event ev)
{
	struct vd_virtio_dev *vdev = b->vdev;
	struct uvdpa_rng *rng = to_drv(b)->rng;

	if (!rng)
		return;
	if (ev == UVDPA_DEV_STATUS) {
		/* Nothing can be relied upon any more (virtio 1.3, 2.1.1). */
		if (vdev->config->status(vdev) & VIRTIO_CONFIG_S_NEEDS_RESET)
			vd_rng_gone(rng, -EIO);
	} else if (ev == UVDPA_DEV_READY) {
		/* A notification may have been lost. */
		vd_eventfd_signal(rng->kick);
		vd_eventfd_signal(rng->call);
	}
}

static void describe(struct vd_virtio_bound *b, struct uvdpa_emit *e)
{
	(void)b, (void)e; /* only a program's */
}

const struct vd_virtio_driver vd_virtio_rng_driver = {
	.name = "virtio_rng",
	.device_id = VIRTIO_ID_RNG,
	.probe = probe,
	.quiesce = quiesce,
	.remove = driver_remove,
	.changed = changed,
	.describe = describe,
};
