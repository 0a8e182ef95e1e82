/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * split-dev.c - the device's end of a split virtqueue (virtio 1.3, 2.7)
 *
 *	driver					device
 *	  desc[], avail->ring[]
 *	A avail->idx	-- release ------------>  acquire   avail->idx
 *						  desc[], buffers
 *						  used->ring[]
 *	  used->idx	 <------------ release --  B used->idx
 *
 * Two questions need more than release and acquire, for they are "I have written this; did you
 * write that before?": they are a sequentially consistent store, and load, on either side.
 *
 *	C avail->idx, then avail_event or used->flags	(split-drv.c: does the device want a kick?)
 *	D avail_event or used->flags, then avail->idx	(here: may I sleep?)
 *	E used->idx, then used_event or avail->flags	(here: does the driver want a call?)
 *	F used_event or avail->flags, then used->idx	(split-drv.c: may I sleep?)
 *
 * Whichever of C and D comes first in the one order of all such accesses is seen by the other;
 * likewise E and F (model/notify.pml). A and C are one store, B and E too.
 *
 * Nothing says where in the used ring a device goes on, so it is read from there, once. The
 * place in the available ring is given (uvdpa_vq.state). Without requests in flight the two are
 * the same number; if they are not, each side goes on where its own says, as Linux does. An
 * in-flight region that is in use knows better (inflight.h).
 */
#include <errno.h>
#include <stdlib.h>

#include "virtq/inflight.h"

struct split_dev {
	struct vd_virtq vq;
	const uint64_t vd_guest *desc;  /* two words each */
	const uint16_t vd_guest *avail; /* flags, idx, num entries, used_event */
	uint16_t vd_guest *used;        /* flags, idx, num entries of two 32-bit words */
	uint16_t vd_guest *avail_event; /* behind those */
	uint16_t next;                  /* to pop */
	uint16_t avail_idx; /* as last loaded */
	uint16_t used_idx;  /* as last stored */
	uint16_t used_next; /* entry to write */
};

static struct split_dev *to_split(struct vd_virtq *vq)
{
	return container_of(vq, struct split_dev, vq);
}

static uint16_t split_mask(const struct split_dev *s)
{
	return (uint16_t)(s->vq.num - 1);
}

/* Look how far the driver is. It cannot be more than a ring ahead. */
static int split_look(struct split_dev *s, uint16_t avail_idx)
{
	uint16_t ahead = (uint16_t)(avail_idx - s->next);

	if (vd_unlikely(ahead > s->vq.num))
		return vd_virtq_break(&s->vq, vd_err(-EBADMSG,
						     "available index %u is %u ahead of %u, of %u",
						     avail_idx, ahead, s->next, s->vq.num));
	s->avail_idx = avail_idx;
	return 0;
}

/* The @i-th to pop from now on. */
static uint16_t split_head(const struct split_dev *s, unsigned int i)
{
	return vd_read16(s->avail + RING_ENTRIES + ((s->next + i) & split_mask(s)));
}

static struct desc split_read(const struct split_dev *s, uint16_t i)
{
	return desc_from(vd_read64(s->desc + 2u * i), vd_read64(s->desc + 2u * i + 1));
}

/* The request of a head, of any kind. */
static int split_chain(struct split_dev *s, uint16_t head, struct vd_chain **ret_chain)
{
	struct vd_virtq *vq = &s->vq;
	uint16_t n = 1;
	struct vd_chain *c;
	struct desc d;
	int r;

	if (vd_unlikely(head >= vq->num))
		return vd_err(-EBADMSG, "head %u of %u", head, vq->num);
	c = chain_of(vq, head);
	if (vd_unlikely(chain_held(vq, c)))
		return vd_err(-EBADMSG, "head %u is in flight already", head);
	d = split_read(s, head);
	chain_begin(vq, head);
	r = chain_add(vq, c, &d);
	for (; !r && d.flags & VRING_DESC_F_NEXT; n++) {
		if (vd_unlikely(d.next >= vq->num))
			return vd_err(-EBADMSG, "next descriptor %u of %u", d.next, vq->num);
		if (vd_unlikely(n == vq->num))
			return vd_err(-EBADMSG, "a loop, or more than %u descriptors, from head %u",
				      vq->num, head);
		d = split_read(s, d.next);
		r = chain_add(vq, c, &d);
	}
	if (vd_unlikely(r))
		return r;
	c->held = CHAIN_IN_FLIGHT;
	*ret_chain = c;
	return 0;
}

/* The next one. */
static vd_noinline int split_walk(struct split_dev *s, struct vd_chain **ret_chain)
{
	int r = split_chain(s, split_head(s, 0), ret_chain);

	if (vd_likely(!r))
		s->next++;
	return r;
}

static int split_again(struct vd_virtq *vq, struct vd_chain **ret_chain)
{
	return split_chain(to_split(vq), vd_inflight_again_head(vq), ret_chain);
}

/* Those of one piece, as long as there is nothing else, of the next @n. Return: how many. */
static unsigned int split_pop_ones(struct split_dev *s, struct vd_chain **chains, unsigned int n)
{
	const uint16_t vd_guest *ring = s->avail + RING_ENTRIES;
	const uint64_t vd_guest *desc = s->desc;
	const struct vd_virtq *vq = &s->vq;
	const struct near *near = &vq->near;
	const unsigned int mask = split_mask(s);
	unsigned int i, next = s->next;

	for (i = 0; i < n; i++) {
		unsigned int head = vd_read16(ring + ((next + i) & mask)), flags;
		struct vd_chain *c;
		uint64_t addr, rest;

		if (vd_unlikely(head > mask))
			break;
		c = chain_of(vq, (uint16_t)head);
		addr = vd_read64(desc + 2u * head);
		rest = vd_read64(desc + 2u * head + 1);
		flags = (unsigned int)(rest >> 32);
		if (vd_unlikely(chain_held(vq, c) ||
				flags & (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT) ||
				!near_has(near, addr, (uint32_t)rest)))
			break;
		chain_one(vq, (uint16_t)head, near_iov(near, addr, (uint32_t)rest),
			  flags & VRING_DESC_F_WRITE);
		chains[i] = c;
	}
	s->next = (uint16_t)(next + i);
	return i;
}

/*
 * Ask for the descriptors of a burst, as far as the driver is known to be. Mostly they lie one after
 * the other, four to a line. The heads are read again when they are used.
 */
static void split_ask(const struct split_dev *s)
{
	unsigned int n = vd_min((unsigned int)(uint16_t)(s->avail_idx - s->next),
				(unsigned int)VD_VIRTQ_BURST);

	for (unsigned int i = 0; i < n; i += 4)
		vd_prefetch_read(s->desc + 2u * (split_head(s, i) & split_mask(s)));
}

static int split_pop(struct vd_virtq *vq, struct vd_chain **chains, unsigned int max)
{
	struct split_dev *s = to_split(vq);
	unsigned int n, i = 0;
	int r = 0;

	/* Acquire: entries and descriptors after idx. Pairs with A in split-drv.c (2.7.13). What
	 * is known to be there is taken before looking again: the line is the driver's. */
	if (s->avail_idx == s->next) {
		r = split_look(s, vd_read16_acquire(s->avail + RING_IDX));
		if (r)
			return r;
		split_ask(s);
	}
	n = vd_min((uint16_t)(s->avail_idx - s->next), max);
	for (i = 0; i < n; i += 8) /* lines of the used ring, which this burst will write */
		vd_prefetch_write(s->used + RING_ENTRIES +
			       4u * ((s->used_next + i) & split_mask(s)));
	for (i = 0; i < n; i++) {
		if (vq->ones)
			i += split_pop_ones(s, chains + i, n - i);
		if (i == n)
			break;
		r = split_walk(s, &chains[i]);
		if (vd_unlikely(r)) {
			vd_virtq_break(vq, r);
			break;
		}
		vq->ones = chain_is_one(chains[i]);
	}
	split_ask(s); /* for the next call; comes while this burst is worked on */
	return (int)i;
}

static void split_unpop(struct vd_virtq *vq, struct vd_chain *const *chains, unsigned int n)
{
	(void)chains;
	to_split(vq)->next = (uint16_t)(to_split(vq)->next - n);
}

/* An entry has the alignment of 4, not of its 8 bytes. */
static inline void split_write_used(uint32_t vd_guest *entry, const struct vd_chain *c)
{
	vd_write32(entry, c->id);
	vd_write32(entry + 1, c->written);
}

static uint32_t vd_guest *split_entries(const struct split_dev *s)
{
	return (uint32_t vd_guest *)(s->used + RING_ENTRIES);
}

static void split_push(struct vd_virtq *vq, struct vd_chain *const *chains, unsigned int n)
{
	struct split_dev *s = to_split(vq);
	uint32_t vd_guest *entries = split_entries(s);
	const unsigned int mask = split_mask(s), at = s->used_next;
	const uint64_t held = vq->flushes + 1;

	for (unsigned int i = 0; i < n; i++) {
		chain_back(chains[i], held);
		split_write_used(entries + 2u * ((at + i) & mask), chains[i]);
	}
	s->used_next = (uint16_t)(at + n);
}

/* IN_ORDER: an entry may stand for those before it; it lies where the first of them would. */
static vd_noinline void split_push_order(struct split_dev *s)
{
	uint16_t at = s->used_next;
	struct vd_chain *c;

	while ((c = chain_done(&s->vq, 0))) {
		bool skip = chain_skip(&s->vq, c);

		s->used_next++;
		if (!skip) {
			split_write_used(split_entries(s) + 2u * (at & split_mask(s)), c);
			at = s->used_next;
		}
		chain_give(&s->vq, c);
	}
}

static bool split_flush(struct vd_virtq *vq)
{
	struct split_dev *s = to_split(vq);
	uint16_t old = s->used_idx;

	if (vq->in_order)
		split_push_order(s);
	/* B, E: entries before idx, idx before the question. Pairs with F in split-drv.c (2.7.7).
	 */
	s->used_idx = s->used_next;
	vd_write16_seq(s->used + RING_IDX, s->used_idx);
	if (vq->event_idx)
		return vring_need_event(vd_read16_seq(s->avail + RING_ENTRIES + vq->num),
					s->used_idx, old);
	return !(vd_read16_seq(s->avail + RING_FLAGS) & VRING_AVAIL_F_NO_INTERRUPT);
}

static bool split_pending(struct vd_virtq *vq)
{
	struct split_dev *s = to_split(vq);

	return s->avail_idx != s->next || vd_read16(s->avail + RING_IDX) != s->next;
}

static bool split_kicks_on(struct vd_virtq *vq)
{
	struct split_dev *s = to_split(vq);

	/* D. Pairs with C in split-drv.c (virtio 1.3, 2.7.10). */
	if (vq->event_idx)
		vd_write16_seq(s->avail_event, s->next);
	else
		vd_write16_seq(s->used + RING_FLAGS, 0);
	return vd_read16_seq(s->avail + RING_IDX) != s->next;
}

/* With EVENT_IDX there is nothing to do: the event stays where the driver has passed it. */
static void split_kicks_off(struct vd_virtq *vq)
{
	if (!vq->event_idx)
		vd_write16(to_split(vq)->used + RING_FLAGS, VRING_USED_F_NO_NOTIFY);
}

static struct uvdpa_vq_state split_state(const struct vd_virtq *vq)
{
	return (struct uvdpa_vq_state){
		.avail = container_of_const(vq, struct split_dev, vq)->next
	};
}

static void split_destroy(struct vd_virtq *vq)
{
	vd_virtq_fini(vq);
	free(to_split(vq));
}

static const struct vd_virtq_ops split_ops = {
	.pop = split_pop,
	.unpop = split_unpop,
	.push = split_push,
	.flush = split_flush,
	.pending = split_pending,
	.kicks_on = split_kicks_on,
	.kicks_off = split_kicks_off,
	.state = split_state,
	.destroy = split_destroy,
	.again = split_again,
};

int vd_split_dev_create(const struct vd_virtq_conf *conf, struct vd_virtq **ret_vq)
{
	unsigned int event = conf->features & VD_F(VIRTIO_RING_F_EVENT_IDX) ? 2 : 0;
	const struct ring_part parts[] = {
		{ "descriptor table", conf->desc, 16ull * conf->num, 16, UVDPA_MAP_RO },
		{ "available ring", conf->driver, 4 + 2ull * conf->num + event, 2, UVDPA_MAP_RO },
		{ "used ring", conf->device, 4 + 8ull * conf->num + event, 4, UVDPA_MAP_RW },
	};
	struct split_dev *s = calloc(1, sizeof(*s));
	int r = -EBADMSG;

	if (!s)
		return vd_err(-ENOMEM, "no memory for a queue");
	s->desc = vd_virtq_part(conf->mem, &parts[0]);
	s->avail = vd_virtq_part(conf->mem, &parts[1]);
	s->used = vd_virtq_part(conf->mem, &parts[2]);
	if (!s->desc || !s->avail || !s->used)
		goto err_free;
	r = vd_virtq_init(&s->vq, conf);
	if (r)
		goto err_free;
	s->vq.ops = &split_ops;
	s->avail_event = s->used + RING_ENTRIES + 4u * conf->num;
	s->next = conf->state.avail;
	s->used_idx = s->used_next = vd_read16(s->used + RING_IDX);
	if (conf->inflight)
		r = vd_inflight_split(&s->vq, conf, vd_read16(s->avail + RING_IDX), s->used_idx,
				      &s->next);
	if (r) {
		split_destroy(&s->vq);
		return r;
	}
	s->avail_idx = s->next;
	*ret_vq = &s->vq;
	return 0;

err_free:
	free(s);
	return r;
}
