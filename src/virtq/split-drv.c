/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * split-drv.c - the driver's end of a split virtqueue (virtio 1.3, 2.7)
 *
 * The letters are those of the picture in split-dev.c. The device can write everything here but
 * what is private: which descriptors are free and how they are linked, what is in flight and how
 * long it is. None of that is ever read from the ring.
 */
#include <errno.h>
#include <stdlib.h>

#include "virtq/ring.h"

struct split_drv {
	struct vd_virtq_drv vq;
	uint64_t vd_guest *desc;       /* two words each */
	uint16_t vd_guest *avail;      /* flags, idx, num entries, used_event */
	const uint16_t vd_guest *used; /* flags, idx, num entries of two 32-bit words */
	const uint16_t vd_guest *avail_event;
	uint16_t *link;           /* descriptor after each one, in a chain or in the free list */
	uint16_t free, last_free; /* the list's ends, if nfree */
	uint16_t next_used;       /* to take */
	uint16_t used_idx;        /* as last loaded */
};

static struct split_drv *to_split(struct vd_virtq_drv *vq)
{
	return container_of(vq, struct split_drv, vq);
}

static uint16_t split_mask(const struct split_drv *s)
{
	return (uint16_t)(s->vq.num - 1);
}

static void split_write(struct split_drv *s, uint16_t i, const struct vd_buf *b, uint16_t flags)
{
	uint64_t next = flags & VRING_DESC_F_NEXT ? s->link[i] : 0;

	vd_write64(s->desc + 2u * i, b->iova);
	vd_write64(s->desc + 2u * i + 1, b->len | (uint64_t)flags << 32 | next << 48);
}

/* Any request. Return: 1; -errno. */
static vd_noinline int split_add_any(struct split_drv *s, struct vd_req *req)
{
	struct vd_virtq_drv *vq = &s->vq;
	uint16_t i = s->free;
	struct drv_shape shape;
	int r = vd_drv_begin(vq, req, &shape);

	if (r)
		return r;
	req->id = i;
	if (shape.table) {
		struct vd_buf t = vd_drv_table(vq, req);

		split_write(s, i, &t, VRING_DESC_F_INDIRECT);
		i = s->link[i];
	} else {
		for (unsigned int n = 0; n < shape.ndesc; n++, i = s->link[i])
			split_write(s, i, &req->bufs[n],
				    drv_flags(req, n) |
					    (n + 1 < shape.ndesc ? VRING_DESC_F_NEXT : 0));
	}
	vd_write16(s->avail + RING_ENTRIES + (vq->added & split_mask(s)), req->id);
	s->free = i;
	drv_end(vq, req->id, shape.in_len, shape.ndesc);
	return 1;
}

/*
 * Ask for the lines that @n requests will write, all at once: the device has them, and what is
 * written waits for them in a queue that is not long. The free list goes mostly line by line.
 */
static void split_ask(const struct split_drv *s, unsigned int n)
{
	vd_prefetch_write(s->avail + RING_ENTRIES + (s->vq.added & split_mask(s)));
	for (unsigned int i = 0; i < n && i < VD_VIRTQ_BURST; i += 4)
		vd_prefetch_write(s->desc + 2u * ((s->free + i) & split_mask(s)));
}

/* As many as there are of one piece each, or one of another kind. Return: how many; -errno. */
static int split_add(struct vd_virtq_drv *vq, struct vd_req *reqs, unsigned int n)
{
	struct split_drv *s = to_split(vq);
	uint64_t vd_guest *desc = s->desc;
	uint16_t vd_guest *ring = s->avail + RING_ENTRIES;
	const uint16_t *link = s->link;
	struct drv_req *mine = vq->reqs;
	unsigned int i, most = vd_min(n, vq->nfree), mask = split_mask(s), added = vq->added;
	unsigned int free = s->free;

	split_ask(s, most);
	for (i = 0; i < most && drv_is_one(&reqs[i]); i++) {
		struct vd_req *req = &reqs[i];
		struct vd_buf b = *req->bufs;
		uint64_t write = req->nin; /* 0 or 1 */
		unsigned int id = free;

		vd_write64(desc + 2u * id, b.iova);
		vd_write64(desc + 2u * id + 1, b.len | write * VRING_DESC_F_WRITE << 32);
		vd_write16(ring + ((added + i) & mask), (uint16_t)id);
		mine[id] = (struct drv_req){ b.len & -(uint32_t)write, 1, (uint16_t)(added + i) };
		req->id = (uint16_t)id;
		free = link[id];
	}
	if (vd_unlikely(!i))
		return split_add_any(s, reqs);
	drv_end_ones(vq, reqs, i);
	s->free = (uint16_t)free;
	return (int)i;
}

static bool split_publish(struct vd_virtq_drv *vq)
{
	struct split_drv *s = to_split(vq);
	uint16_t old = vq->published;

	/* A, C: descriptors and entries before idx, idx before the question. Pairs with the
	 * acquire and D in split-dev.c (virtio 1.3, 2.7.13). */
	vq->published = vq->added;
	vd_write16_seq(s->avail + RING_IDX, vq->added);
	if (vq->event_idx)
		return vring_need_event(vd_read16_seq(s->avail_event), vq->added, old);
	return !(vd_read16_seq(s->used + RING_FLAGS) & VRING_USED_F_NO_NOTIFY);
}

/* Look how far the device is. It cannot have used more than it was given. */
static int split_look(struct split_drv *s)
{
	/* Acquire: entries and buffers after idx. Pairs with B in split-dev.c (2.7.14). */
	uint16_t idx = vd_read16_acquire(s->used + RING_IDX);
	uint16_t ahead = (uint16_t)(idx - s->next_used),
		 most = (uint16_t)(s->vq.published - s->vq.taken);

	if (vd_unlikely(ahead > most))
		return vd_virtq_drv_break(
			&s->vq,
			vd_err(-EBADMSG, "used index %u is %u ahead of %u, with %u in flight", idx,
			       ahead, s->next_used, most));
	for (unsigned int i = 0; i < ahead && i < VD_VIRTQ_BURST; i += 8) /* a line of the ring */
		vd_prefetch_read(s->used + RING_ENTRIES + 4u * ((s->next_used + i) & split_mask(s)));
	s->used_idx = idx;
	return 0;
}

/* IN_ORDER: the next used entry, checked. It may stand for some before it, not for some after. */
static int split_entry(struct split_drv *s, struct vd_done *ret_done)
{
	const uint32_t vd_guest *e = (const uint32_t vd_guest *)(s->used + RING_ENTRIES) +
				     2u * (s->next_used & split_mask(s));
	uint32_t id = vd_read32(e), len = vd_read32(e + 1);
	struct vd_virtq_drv *vq = &s->vq;
	uint16_t batch;

	if (vd_unlikely(id >= vq->num || !drv_had(vq->reqs[id], vq->published, len)))
		return vd_drv_refuse(vq, id, len);
	batch = (uint16_t)(vq->reqs[id].seq - vq->taken + 1);
	if (vd_unlikely(batch > (uint16_t)(s->used_idx - s->next_used)))
		return vd_virtq_drv_break(
			vq, vd_err(-EBADMSG, "used id %u stands for %u requests, of %u used", id,
				   batch, (uint16_t)(s->used_idx - s->next_used)));
	*ret_done = (struct vd_done){ (uint16_t)id, len };
	return 0;
}

static vd_noinline int split_get_order(struct split_drv *s, struct vd_done *done, unsigned int n)
{
	struct vd_virtq_drv *vq = &s->vq;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (!vq->batch && split_entry(s, &vq->last))
			break;
		vq->batch = true;
		done[i] = drv_oldest(vq);
		drv_take(vq, done[i].id);
		s->next_used++;
	}
	return (int)i;
}

/*
 * The next @n. Their descriptors go back to the end of the list: as long as the device keeps the
 * order, they are taken one after the other, line by line. With IN_ORDER they are a ring and stay
 * linked as one.
 */
static int split_get_any(struct split_drv *s, struct vd_done *done, unsigned int n)
{
	struct vd_virtq_drv *vq = &s->vq;
	const uint32_t vd_guest *entries = (const uint32_t vd_guest *)(s->used + RING_ENTRIES);
	const unsigned int mask = split_mask(s), next = s->next_used;
	struct drv_req *reqs = vq->reqs;
	unsigned int i, nfree = vq->nfree;
	uint16_t *link = s->link, last = s->last_free, published = vq->published;

	for (i = 0; i < n; i++) {
		const uint32_t vd_guest *e = entries + 2u * ((next + i) & mask);
		uint32_t id = vd_read32(e), len = vd_read32(e + 1);
		struct drv_req *req = &reqs[id & mask];

		if (vd_unlikely(id > mask || !drv_had(*req, published, len))) {
			vd_drv_refuse(vq, id, len);
			break;
		}
		done[i] = (struct vd_done){ (uint16_t)id, len };
		if (vd_likely(nfree))
			link[last] = (uint16_t)id;
		else
			s->free = (uint16_t)id;
		last = (uint16_t)id;
		for (unsigned int k = req->ndesc; vd_unlikely(k > 1); k--)
			last = link[last];
		nfree += req->ndesc;
		req->ndesc = 0;
	}
	s->last_free = last;
	s->next_used = (uint16_t)(next + i);
	vq->nfree = nfree;
	vq->taken = (uint16_t)(vq->taken + i);
	return (int)i;
}

static int split_get(struct vd_virtq_drv *vq, struct vd_done *done, unsigned int max)
{
	struct split_drv *s = to_split(vq);
	unsigned int n;
	int r;

	if (s->used_idx == s->next_used) {
		r = split_look(s);
		if (r)
			return r;
	}
	n = vd_min((uint16_t)(s->used_idx - s->next_used), max);
	return vq->in_order ? split_get_order(s, done, n) : split_get_any(s, done, n);
}

static bool split_calls_on(struct vd_virtq_drv *vq)
{
	struct split_drv *s = to_split(vq);

	/* F. Pairs with E in split-dev.c (virtio 1.3, 2.7.7). */
	if (vq->event_idx)
		vd_write16_seq(s->avail + RING_ENTRIES + vq->num, s->next_used);
	else
		vd_write16_seq(s->avail + RING_FLAGS, 0);
	return vd_read16_seq(s->used + RING_IDX) != s->next_used;
}

/* With EVENT_IDX there is nothing to do: the event stays where the device has passed it. */
static void split_calls_off(struct vd_virtq_drv *vq)
{
	if (!vq->event_idx)
		vd_write16(to_split(vq)->avail + RING_FLAGS, VRING_AVAIL_F_NO_INTERRUPT);
}

static uint16_t split_kick_data(const struct vd_virtq_drv *vq)
{
	return vq->published;
}

static struct uvdpa_vq_state split_state(const struct vd_virtq_drv *vq)
{
	return (struct uvdpa_vq_state){ .avail = vq->taken };
}

static void split_destroy(struct vd_virtq_drv *vq)
{
	struct split_drv *s = to_split(vq);

	vd_virtq_drv_fini(vq);
	free(s->link);
	free(s);
}

static const struct vd_virtq_drv_ops split_ops = {
	.add = split_add,
	.publish = split_publish,
	.get = split_get,
	.calls_on = split_calls_on,
	.calls_off = split_calls_off,
	.kick_data = split_kick_data,
	.state = split_state,
	.destroy = split_destroy,
};

int vd_split_drv_create(const struct vd_virtq_drv_conf *conf, struct vd_virtq_drv **ret_vq)
{
	struct vd_vring_layout l = vd_vring_layout(conf->num, false, conf->indirect_max);
	struct split_drv *s = calloc(1, sizeof(*s));
	int r = -ENOMEM;

	if (!s)
		return vd_err(r, "no memory for a queue");
	s->link = calloc(conf->num, sizeof(*s->link));
	if (!s->link) {
		vd_err(r, "no memory for a queue of %u", conf->num);
		goto err_free;
	}
	r = vd_virtq_drv_init(&s->vq, conf);
	if (r)
		goto err_free;
	s->vq.ops = &split_ops;
	s->last_free = (uint16_t)(conf->num - 1);
	for (unsigned int i = 0; i < conf->num; i++)
		s->link[i] = (uint16_t)((i + 1) & (conf->num - 1u));
	s->desc = vd_guest_wrap(uint64_t, conf->ring + l.desc);
	s->avail = vd_guest_wrap(uint16_t, conf->ring + l.driver);
	s->used = vd_guest_wrap(uint16_t, conf->ring + l.device);
	s->avail_event = s->used + RING_ENTRIES + 4u * conf->num;
	*ret_vq = &s->vq;
	return 0;

err_free:
	free(s->link);
	free(s);
	return r;
}
