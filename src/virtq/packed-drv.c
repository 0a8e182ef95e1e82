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
	uint64_t first;          /* its second word, which it will get then */
	unsigned int burst_len;  /* entries since then */
};

static struct packed_drv *to_packed(struct vd_virtq_drv *vq)
{
	return container_of(vq, struct packed_drv, vq);
}

/*
 * The second word of a descriptor: length, id, flags. One store. That of a burst's first is kept:
 * it will show them.
 */
static inline uint64_t packed_rest(uint32_t len, uint16_t id, uint64_t flags)
{
	return len | (uint64_t)id << 32 | flags << 48;
}

static void packed_write(struct packed_drv *p, const struct vd_buf *b, uint16_t id, uint16_t flags)
{
	uint64_t vd_guest *d = p->desc + 2u * p->next.idx;
	uint64_t rest = packed_rest(b->len, id, flags | packed_avail_flags(p->next.wrap));

	vd_write64(d, b->iova);
	if (p->burst_len++)
		vd_write64(d + 1, rest);
	else
		p->first = rest;
	p->next = packed_next(p->next, 1, p->vq.num);
}

/* Any request. Return: 1; -errno. */
static vd_noinline int packed_add_any(struct packed_drv *p, struct vd_req *req)
{
	struct drv_shape shape;
	int r = vd_drv_begin(&p->vq, req, &shape);

	if (r)
		return r;
	req->id = p->ids[--p->nids];
	if (shape.table) {
		struct vd_buf t = vd_drv_table(&p->vq, req);

		packed_write(p, &t, req->id, VRING_DESC_F_INDIRECT);
	} else {
		for (unsigned int n = 0; n < shape.ndesc; n++)
			packed_write(p, &req->bufs[n], req->id,
				     drv_flags(req, n) |
					     (n + 1 < shape.ndesc ? VRING_DESC_F_NEXT : 0));
	}
	drv_end(&p->vq, req->id, shape.in_len, shape.ndesc);
	return 1;
}

/*
 * As many as there are of one piece each, up to the end of the ring, or one of another kind.
 * Return: how many; -errno.
 */
static int packed_add(struct vd_virtq_drv *vq, struct vd_req *reqs, unsigned int n)
{
	struct packed_drv *p = to_packed(vq);
	uint64_t vd_guest *d = p->desc + 2u * p->next.idx;
	const uint16_t *ids = p->ids + p->nids;
	const unsigned int added = vq->added, flags = packed_avail_flags(p->next.wrap);
	unsigned int i, most = vd_min(n, vd_min(vq->nfree, vq->num - p->next.idx));
	struct drv_req *mine = vq->reqs;
	bool first = !p->burst_len;

	/* Ask for their lines, all at once: the device has them. */
	for (i = 0; i < most && i < VD_VIRTQ_BURST; i += 4)
		vd_prefetch_write(d + 2u * i);
	for (i = 0; i < most && drv_is_one(&reqs[i]); i++, d += 2) {
		struct vd_req *req = &reqs[i];
		struct vd_buf b = *req->bufs;
		uint32_t write = req->nin; /* 0 or 1 */
		uint16_t id = *--ids;
		uint64_t rest = packed_rest(b.len, id, write * VRING_DESC_F_WRITE | flags);

		vd_write64(d, b.iova);
		if (vd_unlikely(first))
			p->first = rest;
		else
			vd_write64(d + 1, rest);
		first = false;
		mine[id] = (struct drv_req){ b.len & -write, 1, (uint16_t)(added + i) };
		req->id = id;
	}
	if (vd_unlikely(!i))
		return packed_add_any(p, reqs);
	drv_end_ones(vq, reqs, i);
	p->nids -= i;
	p->burst_len += i;
	p->next = packed_next(p->next, i, vq->num);
	return (int)i;
}

static bool packed_publish(struct vd_virtq_drv *vq)
{
	struct packed_drv *p = to_packed(vq);
	unsigned int n = p->burst_len;

	/* A, C: all else before the first flags, those before the question. Pairs with the
	 * acquire and D in packed-dev.c (virtio 1.3, 2.8.21). */
	vd_write64_seq(p->desc + 2u * p->burst.idx + 1, p->first);
	vq->published = vq->added;
	p->burst = p->next;
	p->burst_len = 0;
	return packed_need_event(vd_read32_seq(p->device_event), p->next, n, vq->num);
}

static bool packed_is_used(uint16_t flags, bool wrap)
{
	return (flags & (PACKED_AVAIL | PACKED_USED)) == packed_used_flags(wrap);
}

/*
 * IN_ORDER: the next descriptor, if the device has used it. One load, so what is in it belongs
 * together; acquire, so that buffers come after. Pairs with B in packed-dev.c (2.8.22).
 * Return: false if it is not used, or wrong: then the queue is broken.
 */
static bool packed_entry(struct packed_drv *p, struct vd_done *ret_done)
{
	uint64_t rest = vd_read64_acquire(p->desc + 2u * p->used.idx + 1);
	struct vd_virtq_drv *vq = &p->vq;
	uint32_t len = (uint32_t)rest;
	uint16_t id = (uint16_t)(rest >> 32);

	if (!packed_is_used((uint16_t)(rest >> 48), p->used.wrap))
		return false;
	if (vd_unlikely(id >= vq->num || !drv_had(vq->reqs[id], vq->published, len)))
		return vd_drv_refuse(vq, id, len), false;
	*ret_done = (struct vd_done){ id, len };
	return true;
}

static vd_noinline int packed_get_order(struct packed_drv *p, struct vd_done *done, unsigned int n)
{
	struct vd_virtq_drv *vq = &p->vq;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (!vq->batch && !packed_entry(p, &vq->last))
			break;
		vq->batch = true;
		done[i] = drv_oldest(vq);
		p->used = packed_next(p->used, vq->reqs[done[i].id].ndesc, vq->num);
		p->ids[p->nids++] = done[i].id;
		drv_take(vq, done[i].id);
	}
	return (int)i;
}

/* Up to @n, as many as the device has used. The load is as above. */
static int packed_get_any(struct packed_drv *p, struct vd_done *done, unsigned int n)
{
	struct vd_virtq_drv *vq = &p->vq;
	const uint64_t vd_guest *desc = p->desc;
	const uint64_t asked = (PACKED_AVAIL | PACKED_USED) * (1ull << 48);
	uint64_t wanted = packed_used_flags(p->used.wrap) * (1ull << 48);
	struct drv_req *reqs = vq->reqs;
	uint16_t *ids = p->ids + p->nids, published = vq->published;
	unsigned int i, num = vq->num, idx = p->used.idx, total = 0;

	for (i = 0; i < n; i++) {
		uint64_t rest = vd_read64_acquire(desc + 2u * idx + 1);
		uint32_t len = (uint32_t)rest;
		uint16_t id = (uint16_t)(rest >> 32);
		unsigned int ndesc;

		if ((rest & asked) != wanted)
			break;
		if (vd_unlikely(id >= num || !drv_had(reqs[id], published, len))) {
			vd_drv_refuse(vq, id, len);
			break;
		}
		done[i] = (struct vd_done){ id, len };
		ids[i] = id;
		ndesc = reqs[id].ndesc;
		reqs[id].ndesc = 0;
		total += ndesc;
		idx += ndesc;
		if (vd_unlikely(idx >= num)) {
			idx -= num;
			wanted ^= asked;
		}
	}
	p->used = packed_next(p->used, total, num);
	p->nids += i;
	vq->nfree += total;
	vq->taken = (uint16_t)(vq->taken + i);
	return (int)i;
}

static int packed_get(struct vd_virtq_drv *vq, struct vd_done *done, unsigned int max)
{
	unsigned int out = (uint16_t)(vq->published - vq->taken), n = vd_min(out, max);

	return vq->in_order ? packed_get_order(to_packed(vq), done, n)
			    : packed_get_any(to_packed(vq), done, n);
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
		packed_is_used((uint16_t)(vd_read64_seq(p->desc + 2u * p->used.idx + 1) >> 48),
			       p->used.wrap));
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
