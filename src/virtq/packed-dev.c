/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * packed-dev.c - the device's end of a packed virtqueue (virtio 1.3, 2.8)
 *
 * One ring of descriptors. Two flags say whose each one is: AVAIL equals the driver's wrap
 * counter and USED does not: the device's; both equal the device's wrap counter: the driver's
 * again. So each descriptor is its own index, and the flags are the word that is written last:
 *
 *	driver					device
 *	  addr, len, id
 *	A flags of a burst's first -- release -->  acquire   flags
 *						   addr, len, id; buffers
 *						   id, len
 *	  flags		   <------------ release --  B flags of a burst's first
 *
 * Neither looks further than the next descriptor, so those after the first of a burst may carry
 * their flags already: the burst appears when its first one does.
 *
 * Notification suppression is as in split-dev.c, with the flags in the place of the index and
 * one 32-bit word, written by one side and read by the other, for each direction:
 *
 *	C flags, then the device's event word	(packed-drv.c: does the device want a kick?)
 *	D the device's event word, then flags	(here: may I sleep?)
 *	E flags, then the driver's event word	(here: does the driver want a call?)
 *	F the driver's event word, then flags	(packed-drv.c: may I sleep?)
 */
#include <errno.h>
#include <stdlib.h>

#include "virtq/ring.h"

/* Descriptors ahead of the one being read whose line is asked for: two lines. */
#define AHEAD 8

struct packed_dev {
	struct vd_virtq vq;
	uint64_t vd_guest *desc; /* two words each */
	const uint32_t vd_guest *driver_event;
	uint32_t vd_guest *device_event;
	struct packed_pos next; /* to pop */
	struct packed_pos used; /* to write */
	unsigned int owed;      /* ring entries popped and not given back */
};

static struct packed_dev *to_packed(struct vd_virtq *vq)
{
	return container_of(vq, struct packed_dev, vq);
}

static uint16_t vd_guest *packed_flags(const struct packed_dev *p, uint16_t i)
{
	return (uint16_t vd_guest *)(p->desc + 2u * i) + 7;
}

static bool packed_is_avail(uint16_t flags, bool wrap)
{
	return (flags & (PACKED_AVAIL | PACKED_USED)) == packed_avail_flags(wrap);
}

/* @flags are those of the descriptor at @pos, already read. */
static struct desc packed_read(const struct packed_dev *p, struct packed_pos pos, uint16_t flags)
{
	const uint64_t vd_guest *d = p->desc + 2u * pos.idx;

	return (struct desc){ vd_read64(d), vd_read32((const uint32_t vd_guest *)d + 2), flags,
			      vd_read16((const uint16_t vd_guest *)d + 6) };
}

/* @flags are those of the first descriptor; the id that counts is the last one's. */
static int packed_walk(struct packed_dev *p, uint16_t flags, struct vd_chain **ret_chain)
{
	struct vd_virtq *vq = &p->vq;
	struct packed_pos pos = p->next;
	struct vd_chain *c;
	struct desc d = packed_read(p, pos, flags);
	int r = chain_begin(vq, &d, &c);
	unsigned int n = 1;

	for (; !r && d.flags & VRING_DESC_F_NEXT; n++) {
		pos = packed_next(pos, 1, vq->num);
		if (vd_unlikely(p->owed + n == vq->num))
			return vd_err(-EBADMSG, "descriptor %u is in flight already", pos.idx);
		flags = vd_read16(packed_flags(p, pos.idx));
		if (vd_unlikely(!packed_is_avail(flags, pos.wrap)))
			return vd_err(-EBADMSG, "descriptor %u, the next of a chain, has flags %#x",
				      pos.idx, flags);
		d = packed_read(p, pos, flags);
		r = chain_add(vq, c, &d);
	}
	if (vd_unlikely(r))
		return r;
	if (vd_unlikely(d.next >= vq->num))
		return vd_err(-EBADMSG, "buffer id %u of %u", d.next, vq->num);
	if (vd_unlikely(vq->busy[d.next]))
		return vd_err(-EBADMSG, "buffer id %u is in flight already", d.next);
	chain_take(vq, c, d.next, (uint16_t)n);
	p->owed += n;
	p->next = packed_next(pos, 1, vq->num);
	*ret_chain = c;
	return 0;
}

static int packed_pop(struct vd_virtq *vq, struct vd_chain **chains, unsigned int max)
{
	struct packed_dev *p = to_packed(vq);
	unsigned int i;
	int r;

	for (i = 0; i < max; i++) {
		/* Acquire: the rest of the chain after its first flags. Pairs with A in
		 * packed-drv.c (2.8.21). */
		uint16_t flags = vd_read16_acquire(packed_flags(p, p->next.idx));

		/* What we owe fills the ring: this one is ours already, and not written yet. */
		if (!packed_is_avail(flags, p->next.wrap) || p->owed == vq->num)
			break;
		/* A burst appears as one, so what follows is likely there, and we will write it. */
		if (i + AHEAD < max && !(p->next.idx & 3))
			prefetch_write(p->desc + 2u * packed_next(p->next, AHEAD, vq->num).idx);
		r = packed_walk(p, flags, &chains[i]);
		if (vd_unlikely(r)) {
			vd_virtq_break(vq, r);
			break;
		}
	}
	return (int)i;
}

/* With IN_ORDER an entry may stand for those before it; it lies where the first of them would. */
static bool packed_flush(struct vd_virtq *vq)
{
	struct packed_dev *p = to_packed(vq);
	struct packed_pos at = p->used, next = at, first = at;
	uint16_t first_flags = 0;
	unsigned int n = 0;
	struct vd_chain *c;

	while ((c = chain_done(vq, 0))) {
		bool skip = chain_skip(vq, c);

		next = packed_next(next, c->ndesc, vq->num);
		n += c->ndesc;
		if (!skip) {
			uint16_t flags =
				packed_used_flags(at.wrap) | (c->written ? VRING_DESC_F_WRITE : 0);
			uint64_t vd_guest *d = p->desc + 2u * at.idx;

			vd_write16((uint16_t vd_guest *)d + 6, c->id);
			vd_write32((uint32_t vd_guest *)d + 2, c->written);
			if (at.idx == first.idx && at.wrap == first.wrap)
				first_flags = flags;
			else
				vd_write16(packed_flags(p, at.idx), flags);
			at = next;
		}
		chain_give(vq, c);
	}
	p->used = next;
	p->owed -= n;
	/* B, E: all else before the first flags, those before the question. Pairs with F in
	 * packed-drv.c (virtio 1.3, 2.8.22). */
	vd_write16_seq(packed_flags(p, first.idx), first_flags);
	return packed_need_event(vd_read32_seq(p->driver_event), next, n, vq->num);
}

static bool packed_pending(struct vd_virtq *vq)
{
	struct packed_dev *p = to_packed(vq);

	return p->owed < vq->num &&
	       packed_is_avail(vd_read16(packed_flags(p, p->next.idx)), p->next.wrap);
}

static bool packed_kicks_on(struct vd_virtq *vq)
{
	struct packed_dev *p = to_packed(vq);
	uint32_t event = VRING_PACKED_EVENT_FLAG_ENABLE << 16;

	if (vq->event_idx)
		event = (uint32_t)VRING_PACKED_EVENT_FLAG_DESC << 16 | packed_word(p->next);
	/* D. Pairs with C in packed-drv.c (virtio 1.3, 2.8.9). */
	vd_write32_seq(p->device_event, event);
	return p->owed < vq->num &&
	       packed_is_avail(vd_read16_seq(packed_flags(p, p->next.idx)), p->next.wrap);
}

static void packed_kicks_off(struct vd_virtq *vq)
{
	vd_write32(to_packed(vq)->device_event, VRING_PACKED_EVENT_FLAG_DISABLE << 16);
}

static struct uvdpa_vq_state packed_state(const struct vd_virtq *vq)
{
	const struct packed_dev *p = container_of_const(vq, struct packed_dev, vq);

	return (struct uvdpa_vq_state){ packed_word(p->next), packed_word(p->used) };
}

static void packed_destroy(struct vd_virtq *vq)
{
	vd_virtq_fini(vq);
	free(to_packed(vq));
}

static const struct vd_virtq_ops packed_ops = {
	.pop = packed_pop,
	.flush = packed_flush,
	.pending = packed_pending,
	.kicks_on = packed_kicks_on,
	.kicks_off = packed_kicks_off,
	.state = packed_state,
	.destroy = packed_destroy,
};

int vd_packed_dev_create(const struct vd_virtq_conf *conf, struct vd_virtq **ret_vq)
{
	const struct ring_part parts[] = {
		{ "descriptor ring", conf->desc, 16ull * conf->num, 16, UVDPA_MAP_RW },
		{ "driver's event suppression", conf->driver, 4, 4, UVDPA_MAP_RO },
		{ "device's event suppression", conf->device, 4, 4, UVDPA_MAP_WO },
	};
	struct packed_pos next = packed_pos(conf->state.avail), used = packed_pos(conf->state.used);
	struct packed_dev *p;
	int r = -EBADMSG;

	if (next.idx >= conf->num || used.idx >= conf->num)
		return vd_err(-EINVAL, "queue of %u to begin at %u, used at %u", conf->num,
			      next.idx, used.idx);
	p = calloc(1, sizeof(*p));
	if (!p)
		return vd_err(-ENOMEM, "no memory for a queue");
	p->desc = vd_virtq_part(conf->mem, &parts[0]);
	p->driver_event = vd_virtq_part(conf->mem, &parts[1]);
	p->device_event = vd_virtq_part(conf->mem, &parts[2]);
	if (!p->desc || !p->driver_event || !p->device_event)
		goto err_free;
	r = vd_virtq_init(&p->vq, conf);
	if (r)
		goto err_free;
	p->vq.ops = &packed_ops;
	p->next = next;
	p->used = used;
	*ret_vq = &p->vq;
	return 0;

err_free:
	free(p);
	return r;
}
