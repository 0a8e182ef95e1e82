/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * packed-drv.c - the driver's end of a packed virtqueue (virtio 1.3, 2.8)
 *
 * The letters are those of the picture in packed-dev.c. The device overwrites descriptors when it
 * gives them back, so everything about a request is kept here and nothing is read from the
 * ring but the flags, id and length of the next used one.
 */
#include <errno.h>
#include <stdlib.h>

#include "virtq/ring.h"

/* Descriptors ahead of the one being written whose line is asked for: four lines. */
#define AHEAD 16

struct packed_drv {
	struct vd_virtq_drv vq;
	uint64_t vd_guest *desc; /* two words each */
	uint32_t vd_guest *driver_event;
	const uint32_t vd_guest *device_event;
	uint16_t *ids; /* stack of free buffer ids */
	unsigned int nids;
	struct packed_pos next;  /* to write */
	struct packed_pos used;  /* to take */
	struct packed_pos burst; /* first entry since the last publish */
	uint16_t burst_flags;    /* which it will get then */
	unsigned int burst_len;  /* entries since then */
};

static struct packed_drv *to_packed(struct vd_virtq_drv *vq)
{
	return container_of(vq, struct packed_drv, vq);
}

static uint16_t vd_guest *packed_flags(const struct packed_drv *p, uint16_t i)
{
	return (uint16_t vd_guest *)(p->desc + 2u * i) + 7;
}

/* One descriptor; with its flags unless it is the first of the burst. */
static void packed_write(struct packed_drv *p, const struct vd_buf *b, uint16_t id, uint16_t flags)
{
	uint64_t vd_guest *d = p->desc + 2u * p->next.idx;

	flags |= packed_avail_flags(p->next.wrap);
	vd_write64(d, b->iova);
	vd_write32((uint32_t vd_guest *)d + 2, b->len);
	vd_write16((uint16_t vd_guest *)d + 6, id);
	if (p->burst_len++)
		vd_write16((uint16_t vd_guest *)d + 7, flags);
	else
		p->burst_flags = flags;
	p->next = packed_next(p->next, 1, p->vq.num);
	if (p->vq.nfree > 2 * AHEAD)
		prefetch_write(p->desc + 2u * packed_next(p->next, AHEAD, p->vq.num).idx);
}

static int packed_add_many(struct packed_drv *p, const struct vd_buf *bufs, unsigned int nout,
			   unsigned int nin)
{
	struct drv_shape shape = { .nout = nout, .nin = nin };
	int r = vd_drv_begin(&p->vq, bufs, &shape);
	uint16_t id;

	if (r)
		return r;
	id = p->ids[--p->nids];
	if (shape.table) {
		struct vd_buf t = vd_drv_table(&p->vq, id, bufs, &shape);

		packed_write(p, &t, id, VRING_DESC_F_INDIRECT);
	} else {
		for (unsigned int n = 0; n < shape.ndesc; n++)
			packed_write(p, &bufs[n], id,
				     (n < nout ? 0 : VRING_DESC_F_WRITE) |
					     (n + 1 < shape.ndesc ? VRING_DESC_F_NEXT : 0));
	}
	drv_end(&p->vq, id, shape.in_len, shape.ndesc);
	return id;
}

static int packed_add(struct vd_virtq_drv *vq, const struct vd_buf *bufs, unsigned int nout,
		      unsigned int nin)
{
	struct packed_drv *p = to_packed(vq);
	uint16_t id;

	if (nout + nin != 1)
		return packed_add_many(p, bufs, nout, nin);
	if (!vq->nfree)
		return -ENOSPC;
	id = p->ids[--p->nids];
	packed_write(p, bufs, id, nin ? VRING_DESC_F_WRITE : 0);
	drv_end(vq, id, nin ? bufs->len : 0, 1);
	return id;
}

static bool packed_publish(struct vd_virtq_drv *vq)
{
	struct packed_drv *p = to_packed(vq);
	unsigned int n = p->burst_len;

	/* A, C: all else before the first flags, those before the question. Pairs with the
	 * acquire and D in packed-dev.c (virtio 1.3, 2.8.21). */
	vd_write16_seq(packed_flags(p, p->burst.idx), p->burst_flags);
	vq->published = vq->added;
	p->burst = p->next;
	p->burst_len = 0;
	return packed_need_event(vd_read32_seq(p->device_event), p->next, n, vq->num);
}

static bool packed_is_used(uint16_t flags, bool wrap)
{
	return (flags & (PACKED_AVAIL | PACKED_USED)) == packed_used_flags(wrap);
}

/* Is anything out, and has the device given it back? Acquire; pairs with B in packed-dev.c
 * (2.8.22). */
static bool packed_look(const struct packed_drv *p)
{
	return p->vq.taken != p->vq.published &&
	       packed_is_used(vd_read16_acquire(packed_flags(p, p->used.idx)), p->used.wrap);
}

/* The next used descriptor, checked. */
static int packed_entry(struct packed_drv *p, struct vd_done *ret_done)
{
	const uint64_t vd_guest *d = p->desc + 2u * p->used.idx;
	uint32_t len = vd_read32((const uint32_t vd_guest *)d + 2);
	uint16_t id = vd_read16((const uint16_t vd_guest *)d + 6);
	int r = drv_check(&p->vq, id, len);

	if (!r)
		*ret_done = (struct vd_done){ id, len };
	return r;
}

static int packed_get(struct vd_virtq_drv *vq, struct vd_done *done, unsigned int max)
{
	struct packed_drv *p = to_packed(vq);
	unsigned int i;

	for (i = 0; i < max; i++) {
		if (!vq->in_order) {
			if (!packed_look(p) || packed_entry(p, &done[i]))
				break;
		} else {
			if (!vq->batch && (!packed_look(p) || packed_entry(p, &vq->last)))
				break;
			vq->batch = true;
			done[i] = drv_oldest(vq);
		}
		p->used = packed_next(p->used, vq->reqs[done[i].id].ndesc, vq->num);
		p->ids[p->nids++] = done[i].id;
		drv_take(vq, done[i].id);
	}
	return (int)i;
}

static bool packed_calls_on(struct vd_virtq_drv *vq)
{
	struct packed_drv *p = to_packed(vq);
	uint32_t event = VRING_PACKED_EVENT_FLAG_ENABLE << 16;

	if (vq->event_idx)
		event = (uint32_t)VRING_PACKED_EVENT_FLAG_DESC << 16 | packed_word(p->used);
	/* F. Pairs with E in packed-dev.c (virtio 1.3, 2.8.9). */
	vd_write32_seq(p->driver_event, event);
	return vq->batch ||
	       (vq->taken != vq->published &&
		packed_is_used(vd_read16_seq(packed_flags(p, p->used.idx)), p->used.wrap));
}

static void packed_calls_off(struct vd_virtq_drv *vq)
{
	vd_write32(to_packed(vq)->driver_event, VRING_PACKED_EVENT_FLAG_DISABLE << 16);
}

static uint16_t packed_kick_data(const struct vd_virtq_drv *vq)
{
	return packed_word(container_of_const(vq, struct packed_drv, vq)->next);
}

static struct uvdpa_vq_state packed_state(const struct vd_virtq_drv *vq)
{
	uint16_t used = packed_word(container_of_const(vq, struct packed_drv, vq)->used);

	return (struct uvdpa_vq_state){ used, used };
}

static void packed_destroy(struct vd_virtq_drv *vq)
{
	struct packed_drv *p = to_packed(vq);

	vd_virtq_drv_fini(vq);
	free(p->ids);
	free(p);
}

static const struct vd_virtq_drv_ops packed_ops = {
	.add = packed_add,
	.publish = packed_publish,
	.get = packed_get,
	.calls_on = packed_calls_on,
	.calls_off = packed_calls_off,
	.kick_data = packed_kick_data,
	.state = packed_state,
	.destroy = packed_destroy,
};

int vd_packed_drv_create(const struct vd_virtq_drv_conf *conf, struct vd_virtq_drv **ret_vq)
{
	struct vd_vring_layout l = vd_vring_layout(conf->num, true, conf->indirect_max);
	struct packed_drv *p = calloc(1, sizeof(*p));
	int r = -ENOMEM;

	if (!p)
		return vd_err(r, "no memory for a queue");
	p->ids = calloc(conf->num, sizeof(*p->ids));
	if (!p->ids) {
		vd_err(r, "no memory for a queue of %u", conf->num);
		goto err_free;
	}
	r = vd_virtq_drv_init(&p->vq, conf);
	if (r)
		goto err_free;
	p->vq.ops = &packed_ops;
	while (p->nids < conf->num) {
		p->ids[p->nids] = (uint16_t)(conf->num - 1 - p->nids);
		p->nids++;
	}
	p->next.wrap = p->used.wrap = p->burst.wrap = true;
	p->desc = vd_guest_wrap(uint64_t, conf->ring + l.desc);
	p->driver_event = vd_guest_wrap(uint32_t, conf->ring + l.driver);
	p->device_event = vd_guest_wrap(uint32_t, conf->ring + l.device);
	*ret_vq = &p->vq;
	return 0;

err_free:
	free(p->ids);
	free(p);
	return r;
}
