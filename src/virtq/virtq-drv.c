/* SPDX-License-Identifier: BSD-2-Clause */
/* virtq-drv.c - the driver's end: what both layouts have in common */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "virtq/ring.h"

/* Parts that different sides write are kept this far apart: a line, and the one fetched with it. */
#define APART 128

struct vd_vring_layout vd_vring_layout(uint16_t num, bool packed, unsigned int indirect_max)
{
	struct vd_vring_layout l = { .desc = 0, .driver = vd_align_up(16ull * num, APART) };

	l.device = vd_align_up(l.driver + (packed ? 4u : 6u + 2u * num), APART);
	l.indirect = vd_align_up(l.device + (packed ? 4u : 6u + 8u * num), APART);
	l.size = l.indirect + 16ull * num * indirect_max;
	return l;
}

int vd_virtq_drv_create(const struct vd_virtq_drv_conf *conf, struct vd_virtq_drv **ret_vq)
{
	bool packed = conf->features & VD_F(VIRTIO_F_RING_PACKED);

	if (!conf->num || conf->num > VD_VIRTQ_NUM_MAX)
		return vd_err(-EINVAL, "queue size %u, not 1 to %u", conf->num, VD_VIRTQ_NUM_MAX);
	if (!packed && conf->num & (conf->num - 1))
		return vd_err(-EINVAL, "queue size %u is not a power of two", conf->num);
	if ((uintptr_t)conf->ring % 16 || conf->ring_iova % 16)
		return vd_err(-EINVAL, "ring at %p is not aligned", (void *)conf->ring);
	return packed ? vd_packed_drv_create(conf, ret_vq) : vd_split_drv_create(conf, ret_vq);
}

void vd_virtq_drv_destroy(struct vd_virtq_drv *vq)
{
	if (vq)
		vq->ops->destroy(vq);
}

int vd_virtq_drv_init(struct vd_virtq_drv *vq, const struct vd_virtq_drv_conf *conf)
{
	bool indirect = conf->features & VD_F(VIRTIO_RING_F_INDIRECT_DESC);
	bool packed = conf->features & VD_F(VIRTIO_F_RING_PACKED);
	struct vd_vring_layout l = vd_vring_layout(conf->num, packed, conf->indirect_max);
	unsigned int size = 1;

	while (size < conf->num)
		size *= 2;
	vq->nfree = vq->num = conf->num;
	vq->packed = packed;
	vq->event_idx = conf->features & VD_F(VIRTIO_RING_F_EVENT_IDX);
	vq->in_order = conf->features & VD_F(VIRTIO_F_IN_ORDER);
	vq->calls = true;
	vq->indirect_max = indirect ? conf->indirect_max : 0;
	vq->order_mask = (uint16_t)(size - 1);
	vq->tables = vd_guest_wrap(uint64_t, conf->ring + l.indirect);
	vq->tables_iova = conf->ring_iova + l.indirect;
	vq->reqs = calloc(conf->num, sizeof(*vq->reqs));
	vq->order = calloc(size, sizeof(*vq->order));
	if (!vq->reqs || !vq->order) {
		vd_virtq_drv_fini(vq);
		return vd_err(-ENOMEM, "no memory for a queue of %u", conf->num);
	}
	/* A table is written before the device hears of it, so its pages need not be touched here. */
	vd_guest_fill(vd_guest_wrap(uint8_t, conf->ring), 0, l.indirect);
	return 0;
}

void vd_virtq_drv_fini(struct vd_virtq_drv *vq)
{
	free(vq->reqs);
	free(vq->order);
}

int vd_virtq_drv_break(struct vd_virtq_drv *vq, int err)
{
	if (!vq->err) {
		snprintf(vq->error, sizeof(vq->error), "%s", vd_err_text());
		vq->err = err;
	}
	return err;
}

int vd_drv_begin(struct vd_virtq_drv *vq, const struct vd_req *req, struct drv_shape *ret_shape)
{
	unsigned int n = req->nout + req->nin;
	struct drv_shape *s = ret_shape;
	uint64_t bytes = 0;

	s->in_len = 0;
	for (unsigned int i = 0; i < n; i++) {
		bytes += req->bufs[i].len;
		if (i >= req->nout)
			s->in_len += req->bufs[i].len;
	}
	s->table = n > 1 && n <= vq->indirect_max;
	s->ndesc = s->table ? 1 : n;
	if (!n || s->ndesc > vq->num)
		return vd_err(-EINVAL, "a request of %u pieces in a queue of %u", n, vq->num);
	if (bytes > UINT32_MAX)
		return vd_err(-EINVAL, "a request of more than %u bytes", UINT32_MAX);
	return s->ndesc > vq->nfree ? -ENOSPC : 0;
}

vd_cold int vd_drv_refuse(struct vd_virtq_drv *vq, uint32_t id, uint32_t len)
{
	if (id < vq->num && drv_had(vq->reqs[id], vq->published, 0))
		vd_err(-EBADMSG, "used id %u: %u bytes written of %u", id, len,
		       vq->reqs[id].in_len);
	else
		vd_err(-EBADMSG, "used id %u is not in flight", id);
	return vd_virtq_drv_break(vq, -EBADMSG);
}

struct vd_buf vd_drv_table(struct vd_virtq_drv *vq, const struct vd_req *req)
{
	size_t at = 2ull * req->id * vq->indirect_max;
	uint64_t vd_guest *t = vq->tables + at;
	unsigned int n = req->nout + req->nin;

	for (unsigned int i = 0; i < n; i++) {
		uint64_t flags = drv_flags(req, i), rest;

		if (vq->packed) /* a list; id 0 */
			rest = flags << 48;
		else if (i + 1 < n)
			rest = (flags | VRING_DESC_F_NEXT) << 32 | (i + 1ull) << 48;
		else
			rest = flags << 32;
		vd_write64(t + 2u * i, req->bufs[i].iova);
		vd_write64(t + 2u * i + 1, req->bufs[i].len | rest);
	}
	return (struct vd_buf){ vq->tables_iova + 8 * at, 16 * n };
}

int vd_virtq_drv_add_burst(struct vd_virtq_drv *vq, struct vd_req *reqs, unsigned int n)
{
	unsigned int i = 0;
	int r = vq->err;

	/* The loop inside takes as many of one kind as there are. */
	while (!r && i < n) {
		r = vq->ops->add(vq, reqs + i, n - i);
		if (r > 0) {
			i += (unsigned int)r;
			r = 0;
		}
	}
	return i ? (int)i : r;
}

int vd_virtq_drv_add(struct vd_virtq_drv *vq, const struct vd_buf *bufs, unsigned int nout,
		     unsigned int nin)
{
	struct vd_req req = { .bufs = bufs, .nout = nout, .nin = nin };
	int r = vd_unlikely(vq->err) ? vq->err : vq->ops->add(vq, &req, 1);

	return r < 0 ? r : req.id;
}

bool vd_virtq_drv_publish(struct vd_virtq_drv *vq)
{
	return vq->added != vq->published && !vq->err && vq->ops->publish(vq);
}

int vd_virtq_drv_get(struct vd_virtq_drv *vq, struct vd_done *done, unsigned int max)
{
	int n;

	if (vd_unlikely(vq->err))
		return vq->err;
	n = vq->ops->get(vq, done, max);
	return n || !vq->err ? n : vq->err;
}

bool vd_virtq_drv_calls_on(struct vd_virtq_drv *vq)
{
	vq->calls = true;
	return vq->ops->calls_on(vq) && !vq->err;
}

void vd_virtq_drv_calls_off(struct vd_virtq_drv *vq)
{
	if (vq->calls)
		vq->ops->calls_off(vq);
	vq->calls = false;
}

uint16_t vd_virtq_drv_kick_data(const struct vd_virtq_drv *vq)
{
	return vq->ops->kick_data(vq);
}

unsigned int vd_virtq_drv_inflight(const struct vd_virtq_drv *vq)
{
	return (uint16_t)(vq->added - vq->taken);
}

const char *vd_virtq_drv_error(const struct vd_virtq_drv *vq)
{
	return vq->err ? vq->error : NULL;
}

struct uvdpa_vq_state vd_virtq_drv_state(const struct vd_virtq_drv *vq)
{
	return vq->ops->state(vq);
}
