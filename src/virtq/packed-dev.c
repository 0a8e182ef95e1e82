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
#include <string.h>

#include "virtq/inflight.h"

/* Descriptors ahead of the one being read whose line is asked for: two lines. */
#define AHEAD 8

struct packed_dev {
	struct vd_virtq vq;
	uint64_t vd_guest *desc; /* two words each */
	const uint32_t vd_guest *driver_event;
	uint32_t vd_guest *device_event;
	struct packed_pos next; /* to pop */
	struct packed_pos at;   /* to push */
	struct packed_pos used; /* of the last flush: first pushed since then, ... */
	uint64_t first;         /* ... and the second word that it will get */
	unsigned int owed;      /* ring entries popped and not given back */
};

static struct packed_dev *to_packed(struct vd_virtq *vq)
{
	return container_of(vq, struct packed_dev, vq);
}

static bool packed_is_avail(uint16_t flags, bool wrap)
{
	return (flags & (PACKED_AVAIL | PACKED_USED)) == packed_avail_flags(wrap);
}

/*
 * A descriptor. Its second word is length, id and flags: one load, so they belong together;
 * acquire, so that the first word, and the rest of the chain, come after. Pairs with A in
 * packed-drv.c (2.8.21).
 */
static struct desc packed_read(const struct packed_dev *p, unsigned int i)
{
	uint64_t rest = vd_read64_acquire(p->desc + 2u * i + 1);

	return (struct desc){ vd_read64(p->desc + 2u * i), (uint32_t)rest, (uint16_t)(rest >> 48),
			      (uint16_t)(rest >> 32) };
}

/* What we owe fills the ring: the next descriptor is ours already, and not written yet. */
static bool packed_is_full(const struct packed_dev *p)
{
	return p->owed == p->vq.num;
}

/*
 * A request is in the spare slot, and was of @n descriptors, the last one with this @id: only
 * there is the id that counts. Put it where it belongs.
 */
static int packed_take(struct vd_virtq *vq, uint16_t id, unsigned int n,
		       struct vd_chain **ret_chain)
{
	struct vd_chain *spare = chain_of(vq, vq->num), *c;
	unsigned int pieces = (unsigned int)spare->nout + spare->nin;

	if (vd_unlikely(id >= vq->num))
		return vd_err(-EBADMSG, "buffer id %u of %u", id, vq->num);
	c = chain_of(vq, id);
	if (vd_unlikely(chain_held(vq, c)))
		return vd_err(-EBADMSG, "buffer id %u is in flight already", id);
	c->id = id;
	c->ndesc = (uint16_t)n;
	c->nout = spare->nout;
	c->nin = spare->nin;
	c->out_len = spare->out_len;
	c->in_len = spare->in_len;
	c->held = CHAIN_IN_FLIGHT;
	c->iov = pieces <= vq->few ? chain_few(vq, c) : chain_many(vq, id);
	memcpy(c->iov, spare->iov, pieces * sizeof(*c->iov));
	*ret_chain = c;
	return 0;
}

/*
 * The next request, of any kind; in the spare slot until its id is known. Return: 1; 0 there is
 * none; -EBADMSG.
 */
static vd_noinline int packed_walk(struct packed_dev *p, struct vd_chain **ret_chain)
{
	struct vd_virtq *vq = &p->vq;
	struct vd_chain *spare;
	struct packed_pos pos = p->next;
	struct desc d = packed_read(p, pos.idx);
	unsigned int n = 1;
	int r;

	if (!packed_is_avail(d.flags, pos.wrap) || packed_is_full(p))
		return 0;
	spare = chain_begin(vq, vq->num);
	r = chain_add(vq, spare, &d);
	for (; !r && d.flags & VRING_DESC_F_NEXT; n++) {
		pos = packed_next(pos, 1, vq->num);
		if (vd_unlikely(p->owed + n == vq->num))
			return vd_err(-EBADMSG, "descriptor %u is in flight already", pos.idx);
		d = packed_read(p, pos.idx);
		if (vd_unlikely(!packed_is_avail(d.flags, pos.wrap)))
			return vd_err(-EBADMSG, "descriptor %u, the next of a chain, has flags %#x",
				      pos.idx, d.flags);
		r = chain_add(vq, spare, &d);
	}
	if (!r)
		r = packed_take(vq, d.next, n, ret_chain);
	if (vd_unlikely(r))
		return r;
	p->owed += n;
	p->next = packed_next(pos, 1, vq->num);
	return 1;
}

static int packed_again(struct vd_virtq *vq, struct vd_chain **ret_chain)
{
	const struct desc *d;
	unsigned int n = vd_inflight_again(vq, &d);
	struct vd_chain *spare = chain_begin(vq, vq->num);
	int r = 0;

	for (unsigned int i = 0; !r && i < n; i++)
		r = chain_add(vq, spare, &d[i]);
	return r ? r : packed_take(vq, d[n - 1].next, n, ret_chain);
}

/*
 * Those of one piece, as long as there is nothing else, @max and up to the end of the ring.
 * Return: how many.
 */
static unsigned int packed_pop_ones(struct packed_dev *p, struct vd_chain **chains,
				    unsigned int max)
{
	const struct vd_virtq *vq = &p->vq;
	const struct near *near = &vq->near;
	const uint64_t asked = (PACKED_AVAIL | PACKED_USED |
						       VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT) *
						      (1ull << 48);
	const uint64_t wanted = packed_avail_flags(p->next.wrap) * (1ull << 48);
	const uint64_t vd_guest *d = p->desc + 2u * p->next.idx;
	unsigned int i, num = vq->num, n = vd_min(max, num - vd_max(p->next.idx, p->owed));

	for (i = 0; i < n; i++, d += 2) {
		uint64_t rest = vd_read64_acquire(d + 1), addr;
		uint16_t id = (uint16_t)(rest >> 32);
		struct vd_chain *c;

		if ((rest & asked) != wanted || vd_unlikely(id >= num))
			break;
		/* A burst appears as one, so what follows is likely there, and we will write it. */
		if (!(i & 3) && i + AHEAD < n)
			vd_prefetch_write(d + 2u * AHEAD);
		c = chain_of(vq, id);
		addr = vd_read64(d);
		if (vd_unlikely(chain_held(vq, c) || !near_has(near, addr, (uint32_t)rest)))
			break;
		chain_one(vq, id, near_iov(near, addr, (uint32_t)rest),
			  rest >> 48 & VRING_DESC_F_WRITE);
		c->ndesc = 1;
		chains[i] = c;
	}
	p->owed += i;
	p->next = packed_next(p->next, i, num);
	return i;
}

static int packed_pop(struct vd_virtq *vq, struct vd_chain **chains, unsigned int max)
{
	struct packed_dev *p = to_packed(vq);
	unsigned int i;
	int r;

	for (i = 0; i < max; i++) {
		if (vq->ones)
			i += packed_pop_ones(p, chains + i, max - i);
		if (i == max)
			break;
		r = packed_walk(p, &chains[i]);
		if (vd_unlikely(r < 0))
			vd_virtq_break(vq, r);
		if (r <= 0)
			break;
		vq->ones = chain_is_one(chains[i]);
	}
	return (int)i;
}

static void packed_unpop(struct vd_virtq *vq, struct vd_chain *const *chains, unsigned int n)
{
	struct packed_dev *p = to_packed(vq);
	unsigned int back = 0;

	for (unsigned int i = 0; i < n; i++)
		back += chains[i]->ndesc;
	p->owed -= back;
	if (back > p->next.idx)
		p->next = (struct packed_pos){ p->next.idx + vq->num - back, !p->next.wrap };
	else
		p->next.idx -= back;
}

/* The second word of the entry of @c; @flags are those of the round. */
static inline uint64_t packed_used(const struct vd_chain *c, unsigned int flags)
{
	uint64_t all = flags | (c->written ? VRING_DESC_F_WRITE : 0u);

	return c->written | (uint64_t)c->id << 32 | all << 48;
}

/* That of a burst's first is kept: it will show them. */
static void packed_write_used(struct packed_dev *p, struct packed_pos at, uint64_t rest)
{
	if (at.idx == p->used.idx && at.wrap == p->used.wrap)
		p->first = rest;
	else
		vd_write64(p->desc + 2u * at.idx + 1, rest);
}

static void packed_push(struct vd_virtq *vq, struct vd_chain *const *chains, unsigned int n)
{
	struct packed_dev *p = to_packed(vq);
	uint64_t vd_guest *desc = p->desc;
	const uint64_t held = vq->flushes + 1;
	unsigned int num = vq->num, idx = p->at.idx, flags = packed_used_flags(p->at.wrap);
	bool first = !vq->pushed;

	for (unsigned int i = 0; i < n; i++) {
		struct vd_chain *c = chains[i];
		uint64_t rest = packed_used(c, flags);

		chain_back(c, held);
		if (vd_unlikely(first))
			p->first = rest;
		else
			vd_write64(desc + 2u * idx + 1, rest);
		first = false;
		idx += c->ndesc;
		if (vd_unlikely(idx >= num)) {
			idx -= num;
			flags ^= PACKED_AVAIL | PACKED_USED;
		}
	}
	p->at = (struct packed_pos){ idx, flags };
}

/* IN_ORDER: an entry may stand for those before it; it lies where the first of them would. */
static vd_noinline void packed_push_order(struct packed_dev *p)
{
	struct vd_virtq *vq = &p->vq;
	struct packed_pos next = p->at;
	struct vd_chain *c;

	while ((c = chain_done(vq, 0))) {
		bool skip = chain_skip(vq, c);

		next = packed_next(next, c->ndesc, vq->num);
		if (!skip) {
			packed_write_used(p, p->at, packed_used(c, packed_used_flags(p->at.wrap)));
			p->at = next;
		}
		chain_give(vq, c);
	}
}

static bool packed_flush(struct vd_virtq *vq)
{
	struct packed_dev *p = to_packed(vq);
	struct packed_pos first = p->used;
	unsigned int n;

	if (vq->in_order)
		packed_push_order(p);
	n = (p->at.wrap == first.wrap ? 0u : vq->num) + p->at.idx - first.idx;
	p->used = p->at;
	p->owed -= n;
	/* B, E: all else before the first's flags, those before the question. Pairs with F in
	 * packed-drv.c (virtio 1.3, 2.8.22). */
	vd_write64_seq(p->desc + 2u * first.idx + 1, p->first);
	return packed_need_event(vd_read32_seq(p->driver_event), p->used, n, vq->num);
}

static bool packed_pending(struct vd_virtq *vq)
{
	struct packed_dev *p = to_packed(vq);

	return p->owed < vq->num &&
	       packed_is_avail((uint16_t)(vd_read64(p->desc + 2u * p->next.idx + 1) >> 48),
			       p->next.wrap);
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
	       packed_is_avail((uint16_t)(vd_read64_seq(p->desc + 2u * p->next.idx + 1) >> 48),
			       p->next.wrap);
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
	.unpop = packed_unpop,
	.push = packed_push,
	.flush = packed_flush,
	.pending = packed_pending,
	.kicks_on = packed_kicks_on,
	.kicks_off = packed_kicks_off,
	.state = packed_state,
	.destroy = packed_destroy,
	.again = packed_again,
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
	if (conf->inflight)
		r = vd_inflight_packed(&p->vq, conf, p->desc, &next, &used, &p->owed);
	if (r) {
		packed_destroy(&p->vq);
		return r;
	}
	p->next = next;
	p->at = p->used = used;
	*ret_vq = &p->vq;
	return 0;

err_free:
	free(p);
	return r;
}
