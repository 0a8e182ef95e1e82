/* SPDX-License-Identifier: BSD-2-Clause */
/* console-queue.c - a ring and its buffers, each of which is one piece of one size */
#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/fd.h"
#include "virtio/console.h"

static struct vd_vring_layout layout(uint64_t features, uint16_t num)
{
	return vd_vring_layout(num, features >> VIRTIO_F_RING_PACKED & 1, 0);
}

size_t vd_hvc_queue_size(uint64_t features, const struct vd_hvc_queue *q)
{
	return vd_align_up(layout(features, q->num).size, VD_DMA_PAGE) +
	       vd_align_up((size_t)q->nbufs * q->buf_size, VD_DMA_PAGE);
}

void vd_hvc_queue_zero(struct vd_hvc_queue *q)
{
	*q = (struct vd_hvc_queue){ .kick = -1 };
}

int vd_hvc_queue_init(struct vd_hvc_queue *q, uint64_t features, const struct vd_dma *dma, int call,
		      struct uvdpa_vq *ret_vq)
{
	struct vd_vring_layout l = layout(features, q->num);
	struct vd_virtq_drv_conf conf = {
		.features = features,
		.num = q->num,
		.ring = dma->base + q->ring,
		.ring_iova = dma->iova + q->ring,
	};
	int r;

	assert(q->nbufs <= q->num && q->nbufs <= VD_HVC_BUFS);
	q->bufs = q->ring + vd_align_up(l.size, VD_DMA_PAGE);
	q->mem = dma->base + q->bufs;
	q->iova = dma->iova + q->bufs;
	q->buf_of = calloc(q->num, sizeof(*q->buf_of));
	if (!q->buf_of)
		return vd_err(-ENOMEM, "queue of %u: no memory", q->num);
	r = q->kick = vd_eventfd();
	if (r >= 0)
		r = vd_virtq_drv_create(&conf, &q->vq);
	if (r < 0)
		return r;
	vd_virtq_drv_calls_off(q->vq);
	/* The first to be used is the last one put here: low addresses first. */
	for (unsigned int i = q->nbufs; i--;)
		q->free[q->nfree++] = (uint8_t)i;
	*ret_vq = (struct uvdpa_vq){
		.num = q->num,
		.desc = conf.ring_iova + l.desc,
		.driver = conf.ring_iova + l.driver,
		.device = conf.ring_iova + l.device,
		.state = vd_virtq_drv_state(q->vq),
		.kick = q->kick,
		.call = call,
	};
	return 0;
}

void vd_hvc_queue_fini(struct vd_hvc_queue *q)
{
	vd_virtq_drv_destroy(q->vq);
	vd_close(&q->kick);
	free(q->buf_of);
	vd_hvc_queue_zero(q);
}

int vd_hvc_queue_add(struct vd_hvc_queue *q, unsigned int buf, uint32_t len)
{
	struct vd_buf b = { q->iova + (uint64_t)buf * q->buf_size, len ? len : q->buf_size };
	int id = vd_virtq_drv_add(q->vq, &b, len != 0, len == 0);

	/* There is room: not more buffers than entries. */
	if (id < 0)
		return -EIO;
	q->buf_of[id] = (uint8_t)buf;
	q->unpublished = true;
	return 0;
}

int vd_hvc_queue_get(struct vd_hvc_queue *q, struct vd_hvc_done *ret_d)
{
	struct vd_done d;
	int n = vd_virtq_drv_get(q->vq, &d, 1);

	if (n <= 0)
		return n ? -EIO : 0;
	*ret_d = (struct vd_hvc_done){ q->buf_of[d.id], d.len };
	return 1;
}

bool vd_hvc_queue_publish(struct vd_hvc_queue *q)
{
	bool any = q->unpublished;

	q->unpublished = false;
	return any && vd_virtq_drv_publish(q->vq);
}
