/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-queue.c - the life of a pair of queues; control thread
 *
 * The hand-over when the device is taken away, or broken, is that of blk-queue.c: refuse, then
 * gone, and the ring is read after gone. What the device has not given back then is the
 * application's again without a word: it knows what memory it has.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fd.h"
#include "virtio/net.h"

static bool packed(uint64_t features)
{
	return features >> VIRTIO_F_RING_PACKED & 1;
}

static unsigned int indirect_max(uint64_t features)
{
	return features >> VIRTIO_RING_F_INDIRECT_DESC & 1 ? UVDPA_NET_SEGS : 0;
}

size_t vd_netq_rx_ring_size(uint64_t features, uint16_t num)
{
	return vd_align_up(vd_vring_layout(num, packed(features), 0).size, VD_DMA_PAGE);
}

size_t vd_netq_tx_ring_size(uint64_t features, uint16_t num)
{
	return vd_align_up(vd_vring_layout(num, packed(features), indirect_max(features)).size,
			   VD_DMA_PAGE);
}

static int init_side(struct vd_netq_side *s, const struct vd_netq_conf *conf, size_t ring,
		     unsigned int indirect)
{
	struct vd_virtq_drv_conf vqc = {
		.features = conf->features,
		.num = conf->num,
		.ring = conf->base + ring,
		.ring_iova = conf->iova + ring,
		.indirect_max = indirect,
	};
	int r;

	s->mem = calloc(conf->num, sizeof(*s->mem));
	if (!s->mem)
		return vd_err(-ENOMEM, "queue of %u: no memory", conf->num);
	r = s->kick = vd_eventfd();
	if (r >= 0)
		r = s->call = vd_eventfd();
	if (r >= 0)
		r = vd_virtq_drv_create(&vqc, &s->vq);
	if (r < 0)
		return r;
	vd_virtq_drv_calls_off(s->vq);
	return 0;
}

static void fini_side(struct vd_netq_side *s)
{
	vd_virtq_drv_destroy(s->vq);
	vd_close(&s->call);
	vd_close(&s->kick);
	free(s->mem);
}

void vd_netq_zero(struct uvdpa_netq *q)
{
	memset(q, 0, sizeof(*q));
	q->rx.kick = q->rx.call = q->tx.kick = q->tx.call = -1;
}

int vd_netq_init(struct uvdpa_netq *q, const struct vd_netq_conf *conf)
{
	int r;

	vd_netq_zero(q);
	q->conf = *conf;
	q->merge = conf->features >> VIRTIO_NET_F_MRG_RXBUF & 1;
	q->npieces = calloc(conf->num, sizeof(*q->npieces));
	/* Pages of it are there when frames of several pieces are sent. */
	q->more = calloc(conf->num, UVDPA_NET_SEGS * sizeof(*q->more));
	if (!q->npieces || !q->more) {
		r = vd_err(-ENOMEM, "queue of %u: no memory", conf->num);
		goto err_fini;
	}
	r = init_side(&q->rx, conf, conf->rx_ring, 0);
	if (!r)
		r = init_side(&q->tx, conf, conf->tx_ring, indirect_max(conf->features));
	if (r)
		goto err_fini;
	return 0;

err_fini:
	vd_netq_fini(q);
	return r;
}

void vd_netq_fini(struct uvdpa_netq *q)
{
	fini_side(&q->rx);
	fini_side(&q->tx);
	free(q->npieces);
	free(q->more);
	/* A pair whose init failed is finished again, with the others of its device. */
	vd_netq_zero(q);
}

static void fill_vq(const struct vd_netq_conf *c, const struct vd_netq_side *s, size_t ring,
		    struct uvdpa_vq *ret_vq)
{
	struct vd_vring_layout l = vd_vring_layout(c->num, packed(c->features), 0);
	uint64_t iova = c->iova + ring;

	*ret_vq = (struct uvdpa_vq){
		.num = c->num,
		.desc = iova + l.desc,
		.driver = iova + l.driver,
		.device = iova + l.device,
		.state = vd_virtq_drv_state(s->vq),
		.kick = s->kick,
		.call = s->call,
	};
}

void vd_netq_vqs(const struct uvdpa_netq *q, struct uvdpa_vq *ret_rx, struct uvdpa_vq *ret_tx)
{
	fill_vq(&q->conf, &q->rx, q->conf.rx_ring, ret_rx);
	fill_vq(&q->conf, &q->tx, q->conf.tx_ring, ret_tx);
}

void vd_netq_refuse(struct uvdpa_netq *q, int err)
{
	__atomic_store_n(&q->refuse, err, __ATOMIC_RELEASE);
}

void vd_netq_gone(struct uvdpa_netq *q, int err)
{
	vd_netq_refuse(q, err);
	/* Release: all that the device and control did before. Pairs with begin_reap() in net-io.c.
	 */
	__atomic_store_n(&q->gone, err, __ATOMIC_RELEASE);
	vd_eventfd_signal(q->rx.call);
	vd_eventfd_signal(q->tx.call);
}

void vd_netq_nudge(struct uvdpa_netq *q)
{
	vd_eventfd_signal(q->rx.kick);
	vd_eventfd_signal(q->tx.kick);
	vd_eventfd_signal(q->rx.call);
	vd_eventfd_signal(q->tx.call);
}
