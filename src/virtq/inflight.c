/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtq/inflight.h"

#include <inttypes.h>
#include <stdlib.h>

/* Words of 16 bits of a queue's region. */
enum {
	R_VERSION = 4,		/* after 64 bits of features, which are 0; 0: the region is new */
	R_NUM = 5,
	R_HEAD = 6,		/* split: last_batch_head; packed: free_head, old_free_head */
	R_USED_IDX = 7,		/* split */
	R_USED = 8,		/* packed: used_idx, old_used_idx, and the wrap counters of both */
	R_SPLIT = 8,		/* the first entry */
	R_PACKED = 16,
};

/* Of an entry. */
enum {
	E_INFLIGHT = 0,		/* the first byte, then padding */
	E_PACKED_NEXT = 1,	/* then last, num */
	E_SPLIT_NEXT = 3,
	E_COUNTER = 4,		/* four of them */
	E_DESC = 8,		/* packed: id, flags, len; addr */
	E_SPLIT = 8,		/* words in all */
	E_PACKED = 16,
};

#define VERSION 1u
#define REGION_ALIGN 64u

/* A request that is to be done again. */
struct again {
	uint64_t counter;
	uint16_t head;
	uint16_t ndesc;		/* packed: of descs, from ... */
	uint32_t first;
};

struct vd_inflight {
	uint16_t vd_guest *region;
	uint16_t num;		/* entries */
	uint64_t counter;	/* of the next request */
	uint16_t *batch;	/* pushed, not published; room for num ids */
	unsigned int nbatch;
	struct again *again;	/* in their order; done from the last one down */
	struct desc *descs;

	/* Split. */
	uint16_t last_batch_head;
	uint16_t used_idx;

	/* Packed. The free list is kept here too, so the region's is never believed. */
	const uint64_t vd_guest *ring;
	uint16_t ring_num;
	struct packed_pos popped, used;
	uint16_t free_head, old_free_head;
	uint16_t *next;		/* by entry; num ends the free list */
	uint16_t *last;		/* by a request's first entry */
	uint16_t *entry;	/* by buffer id: its first one */
};

/* See the head of inflight.h. */
static inline void then(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

size_t vd_virtq_inflight_size(bool packed, unsigned int num)
{
	size_t words = packed ? R_PACKED + (size_t)num * E_PACKED : R_SPLIT + (size_t)num * E_SPLIT;

	return vd_align_up(2 * words, REGION_ALIGN);
}

void vd_virtq_inflight_forget(void vd_guest *region)
{
	vd_write16((uint16_t vd_guest *)region + R_VERSION, 0);
}

void vd_inflight_destroy(struct vd_inflight *f)
{
	if (!f)
		return;
	free(f->batch);
	free(f->again);
	free(f->descs);
	free(f->next);
	free(f);
}

static uint16_t vd_guest *entry_of(const struct vd_virtq *vq, unsigned int i)
{
	return vq->inflight->region + (vq->packed ? R_PACKED + i * E_PACKED : R_SPLIT + i * E_SPLIT);
}

static int inflight_open(struct vd_virtq *vq, const struct vd_virtq_conf *conf)
{
	struct vd_inflight *f;

	if (conf->num > conf->inflight_num)
		return vd_err(-EINVAL, "queue of %u with in-flight region for %u", conf->num,
			      conf->inflight_num);
	f = vq->inflight = calloc(1, sizeof(*f));
	if (!f)
		return vd_err(-ENOMEM, "no memory to track requests");
	f->region = conf->inflight;
	f->num = conf->inflight_num;
	f->batch = calloc(f->num, sizeof(*f->batch));
	f->next = calloc(3u * f->num, vq->packed ? sizeof(*f->next) : 1);
	if (!f->batch || !f->next)
		return vd_err(-ENOMEM, "no memory to track %u requests", f->num);
	f->last = f->next + f->num;
	f->entry = f->last + f->num;
	return 0;
}

/* Return: 0 it is new; 1 it is in use; -EBADMSG. */
static int region_state(const struct vd_inflight *f)
{
	uint16_t version = vd_read16(f->region + R_VERSION), num = vd_read16(f->region + R_NUM);

	if (!version)
		return 0;
	if (version != VERSION)
		return vd_err(-EBADMSG, "in-flight region of version %u", version);
	if (num != f->num)
		return vd_err(-EBADMSG, "in-flight region for %u, says for %u", f->num, num);
	return 1;
}

/* It is in use from here on, whatever comes. */
static void region_begin(const struct vd_inflight *f)
{
	vd_write16(f->region + R_NUM, f->num);
	then();
	vd_write16(f->region + R_VERSION, VERSION);
}

/* The newest first: they are taken from the end. Equal ones, which a liar has, in any order. */
static int newest_first(const void *a, const void *b)
{
	const struct again *x = a, *y = b;

	return (x->counter < y->counter) - (x->counter > y->counter);
}

/* @n of f->again are found. */
static void again_ready(struct vd_virtq *vq, unsigned int n)
{
	struct vd_inflight *f = vq->inflight;

	qsort(f->again, n, sizeof(*f->again), newest_first);
	vq->nagain = n;
	f->counter = n ? f->again[0].counter + 1 : 0;
}

static struct again *again_take(struct vd_virtq *vq)
{
	return &vq->inflight->again[--vq->nagain];
}

/* ---- split ----------------------------------------------------------------------------------- */

static bool split_marked(const struct vd_virtq *vq, unsigned int i)
{
	return vd_read16(entry_of(vq, i) + E_INFLIGHT) & 0xff;
}

/* A flush may have been cut off: take the marks off the @n requests that it gave back. */
static void split_unmark(const struct vd_virtq *vq, unsigned int n)
{
	const struct vd_inflight *f = vq->inflight;
	uint16_t i = vd_read16(f->region + R_HEAD);

	for (; n && i < vq->num; n--) {
		vd_write16(entry_of(vq, i) + E_INFLIGHT, 0);
		i = vd_read16(entry_of(vq, i) + E_SPLIT_NEXT);
	}
}

static unsigned int split_find(const struct vd_virtq *vq)
{
	struct again *a = vq->inflight->again;
	unsigned int n = 0;

	for (uint16_t i = 0; i < vq->num; i++)
		if (split_marked(vq, i))
			a[n++] = (struct again){ .counter = vd_read64((uint64_t vd_guest *)(
								entry_of(vq, i) + E_COUNTER)),
						 .head = i };
	return n;
}

static void split_init(const struct vd_virtq *vq, uint16_t used_idx)
{
	struct vd_inflight *f = vq->inflight;

	vd_virtq_inflight_forget(f->region);
	then();
	for (unsigned int i = 0; i < f->num; i++)
		vd_write16(entry_of(vq, i) + E_INFLIGHT, 0);
	vd_write16(f->region + R_HEAD, 0);
	vd_write16(f->region + R_USED_IDX, used_idx);
	region_begin(f);
}

int vd_inflight_split(struct vd_virtq *vq, const struct vd_virtq_conf *conf, uint16_t avail_idx,
		      uint16_t used_idx, uint16_t *next)
{
	struct vd_inflight *f;
	unsigned int n;
	int r = inflight_open(vq, conf);

	if (r)
		return r;
	f = vq->inflight;
	f->used_idx = used_idx;
	r = region_state(f);
	if (r < 0)
		return r;
	if (!r) {
		split_init(vq, used_idx);
		return 0;
	}
	f->again = calloc(vq->num, sizeof(*f->again));
	if (!f->again)
		return vd_err(-ENOMEM, "no memory to track %u requests", vq->num);
	n = (uint16_t)(used_idx - vd_read16(f->region + R_USED_IDX));
	/* No flush gives back more than all: somebody else's, who did not begin with the ring's. */
	if (n <= vq->num)
		split_unmark(vq, n);
	then();
	vd_write16(f->region + R_USED_IDX, used_idx);
	f->last_batch_head = vd_read16(f->region + R_HEAD);
	n = split_find(vq);
	/* More than the driver waits for: the region was of another ring. */
	if (n > (uint16_t)(avail_idx - used_idx)) {
		split_init(vq, used_idx);
		return 0;
	}
	again_ready(vq, n);
	*next = (uint16_t)(used_idx + n);
	return 0;
}

uint16_t vd_inflight_again_head(struct vd_virtq *vq)
{
	return again_take(vq)->head;
}

/* In their order: so the first of the ring that are not back are those that are marked. */
static void split_popped(struct vd_virtq *vq, struct vd_chain *const *chains, unsigned int n)
{
	struct vd_inflight *f = vq->inflight;

	for (unsigned int i = 0; i < n; i++) {
		uint16_t vd_guest *e = entry_of(vq, chains[i]->id);

		vd_write64((uint64_t vd_guest *)(e + E_COUNTER), f->counter++);
		then();
		vd_write16(e + E_INFLIGHT, 1);
		then();
	}
}

static void split_flush(struct vd_virtq *vq)
{
	struct vd_inflight *f = vq->inflight;

	for (unsigned int i = 0; i < f->nbatch; i++) {
		vd_write16(entry_of(vq, f->batch[i]) + E_SPLIT_NEXT, f->last_batch_head);
		f->last_batch_head = f->batch[i];
	}
	then();
	vd_write16(f->region + R_HEAD, f->last_batch_head);
	then();
}

static void split_flushed(struct vd_virtq *vq)
{
	struct vd_inflight *f = vq->inflight;

	for (unsigned int i = 0; i < f->nbatch; i++)
		vd_write16(entry_of(vq, f->batch[i]) + E_INFLIGHT, 0);
	f->used_idx = (uint16_t)(f->used_idx + f->nbatch);
	then();
	vd_write16(f->region + R_USED_IDX, f->used_idx);
	then();
}

/* ---- packed ---------------------------------------------------------------------------------- */

/* What the header says, in the two stores that it takes. */
static void packed_heads(const struct vd_inflight *f)
{
	vd_write32((uint32_t vd_guest *)(f->region + R_HEAD),
		   f->free_head | (uint32_t)f->old_free_head << 16);
}

static void packed_places(const struct vd_inflight *f, struct packed_pos used, struct packed_pos old)
{
	vd_write64((uint64_t vd_guest *)(f->region + R_USED),
		   used.idx | (uint64_t)old.idx << 16 | (uint64_t)used.wrap << 32 |
			   (uint64_t)old.wrap << 40);
}

static void packed_begin(struct vd_virtq *vq, struct packed_pos used)
{
	struct vd_inflight *f = vq->inflight;

	vd_virtq_inflight_forget(f->region);
	then();
	for (uint16_t i = 0; i < f->num; i++) {
		uint16_t vd_guest *e = entry_of(vq, i);

		f->next[i] = (uint16_t)(i + 1);
		vd_write16(e + E_INFLIGHT, 0);
		vd_write16(e + E_PACKED_NEXT, f->next[i]);
	}
	packed_heads(f);
	packed_places(f, used, used);
	region_begin(f);
}

/* The used position, and the free list's head, after a flush that may have been cut off. */
static int packed_settle(const struct vd_virtq *vq, const uint64_t vd_guest *ring,
			 struct packed_pos *ret_used)
{
	struct vd_inflight *f = vq->inflight;
	uint32_t heads = vd_read32((uint32_t vd_guest *)(f->region + R_HEAD));
	uint64_t places = vd_read64((uint64_t vd_guest *)(f->region + R_USED));
	struct packed_pos used = { places & 0xffff, places >> 32 & 0xff },
			  old = { places >> 16 & 0xffff, places >> 40 & 0xff };
	uint16_t flags;

	if (used.idx >= vq->num || old.idx >= vq->num)
		return vd_err(-EBADMSG, "in-flight region: used at %u, before at %u, of %u",
			      used.idx, old.idx, vq->num);
	f->free_head = (uint16_t)(heads >> 16);
	if (used.idx != old.idx || used.wrap != old.wrap) {
		flags = (uint16_t)(vd_read64(ring + 2u * old.idx + 1) >> 48);
		/* Was the first of them published? Then all were. */
		if ((flags & (PACKED_AVAIL | PACKED_USED)) != packed_avail_flags(old.wrap)) {
			f->free_head = (uint16_t)heads;
			old = used;
		}
	}
	*ret_used = old;
	return 0;
}

/* An entry that is met twice is of no list that a device has made. */
static int packed_see(const struct vd_inflight *f, bool *seen, uint16_t i)
{
	if (i >= f->num || seen[i])
		return vd_err(-EBADMSG, "in-flight region: entry %u of %u is linked%s", i, f->num,
			      i < f->num ? " twice" : "");
	seen[i] = true;
	return 0;
}

/* The request whose first entry is @head. Return: descriptors, from @first in f->descs; -EBADMSG. */
static int packed_read(const struct vd_virtq *vq, bool *seen, uint16_t head, uint32_t first)
{
	struct vd_inflight *f = vq->inflight;
	uint64_t word = vd_read64((uint64_t vd_guest *)entry_of(vq, head));
	uint16_t n = (uint16_t)(word >> 48), i = head;

	if (!n || n > vq->num - first)
		return vd_err(-EBADMSG, "in-flight region: a request of %u descriptors, %u before",
			      n, first);
	for (uint16_t k = 0; k < n; k++) {
		const uint64_t vd_guest *e;
		uint64_t rest;
		int r = packed_see(f, seen, i);

		if (r)
			return r;
		e = (const uint64_t vd_guest *)entry_of(vq, i);
		rest = vd_read64(e + E_DESC / 4);
		f->descs[first + k] = (struct desc){ vd_read64(e + E_DESC / 4 + 1),
						     (uint32_t)(rest >> 32),
						     (uint16_t)(rest >> 16), (uint16_t)rest };
		f->last[head] = i;
		i = f->next[i];
	}
	return n;
}

/* What is free, what is not, and that there is nothing else. Return: requests; -EBADMSG. */
static int packed_find(struct vd_virtq *vq, bool *seen, unsigned int *ret_owed)
{
	struct vd_inflight *f = vq->inflight;
	unsigned int nfree = 0, owed = 0;
	int n = 0, r = 0;

	for (unsigned int i = 0; i < f->num; i++)
		f->next[i] = vd_read16(entry_of(vq, i) + E_PACKED_NEXT);
	for (uint16_t i = f->free_head; i < f->num; i = f->next[i], nfree++) {
		r = packed_see(f, seen, i);
		if (r)
			return r;
		vd_write16(entry_of(vq, i) + E_INFLIGHT, 0);
	}
	for (uint16_t i = 0; i < f->num; i++) {
		const uint16_t vd_guest *e = entry_of(vq, i);

		if (seen[i] || !(vd_read16(e + E_INFLIGHT) & 0xff))
			continue;
		r = packed_read(vq, seen, i, owed);
		if (r < 0)
			return r;
		f->again[n++] = (struct again){ vd_read64((const uint64_t vd_guest *)(e + E_COUNTER)), i,
						(uint16_t)r, owed };
		owed += (unsigned int)r;
	}
	if (nfree + owed != f->num)
		return vd_err(-EBADMSG, "in-flight region: %u entries are free, %u in flight, of %u",
			      nfree, owed, f->num);
	*ret_owed = owed;
	return n;
}

static int packed_recover(struct vd_virtq *vq, uint64_t vd_guest *ring, struct packed_pos *used,
			  unsigned int *ret_owed)
{
	struct vd_inflight *f = vq->inflight;
	bool *seen = calloc(f->num, sizeof(*seen));
	struct packed_pos at;
	int r;

	f->again = calloc(vq->num, sizeof(*f->again));
	f->descs = calloc(vq->num, sizeof(*f->descs));
	if (!seen || !f->again || !f->descs)
		r = vd_err(-ENOMEM, "no memory to track %u requests", vq->num);
	else
		r = packed_settle(vq, ring, used);
	if (!r)
		r = packed_find(vq, seen, ret_owed);
	free(seen);
	if (r < 0)
		return r;
	f->old_free_head = f->free_head;
	at = *used;
	for (unsigned int i = 0; i < *ret_owed; i++, at = packed_next(at, 1, vq->num))
		vd_write16((uint16_t vd_guest *)(ring + 2u * at.idx + 1) + 3,
			   packed_avail_flags(at.wrap));
	then();
	packed_heads(f);
	packed_places(f, *used, *used);
	again_ready(vq, (unsigned int)r);
	return 0;
}

int vd_inflight_packed(struct vd_virtq *vq, const struct vd_virtq_conf *conf,
		       uint64_t vd_guest *ring, struct packed_pos *next, struct packed_pos *used,
		       unsigned int *ret_owed)
{
	struct vd_inflight *f;
	int r = inflight_open(vq, conf);

	if (r)
		return r;
	f = vq->inflight;
	f->ring = ring;
	r = region_state(f);
	if (r == 0) {
		packed_begin(vq, *used);
	} else if (r > 0) {
		r = packed_recover(vq, ring, used, ret_owed);
		*next = packed_next(*used, *ret_owed, vq->num);
	}
	f->popped = *next;
	f->used = *used;
	return r;
}

unsigned int vd_inflight_again(struct vd_virtq *vq, const struct desc **ret_descs)
{
	const struct again *a = again_take(vq);
	struct vd_inflight *f = vq->inflight;
	uint16_t id = f->descs[a->first + a->ndesc - 1].next;

	if (id < vq->num) /* else it will be refused */
		f->entry[id] = a->head;
	*ret_descs = &f->descs[a->first];
	return a->ndesc;
}

/*
 * Their descriptors are ours, so they stand in the ring still. Entries are filled out of the free
 * list, and count when old_free_head has moved past them: the burst at once.
 */
static void packed_popped(struct vd_virtq *vq, struct vd_chain *const *chains, unsigned int n)
{
	struct vd_inflight *f = vq->inflight;
	uint16_t at = f->free_head;

	for (unsigned int i = 0; i < n; i++) {
		uint16_t head = at, last = at, ndesc = chains[i]->ndesc;
		uint64_t vd_guest *first = (uint64_t vd_guest *)entry_of(vq, head);

		for (unsigned int k = 0; k < ndesc; k++) {
			uint64_t vd_guest *e = (uint64_t vd_guest *)entry_of(vq, at);
			uint64_t rest = vd_read64(f->ring + 2u * f->popped.idx + 1);

			vd_write64(e + E_DESC / 4, rest >> 32 | rest << 32);
			vd_write64(e + E_DESC / 4 + 1, vd_read64(f->ring + 2u * f->popped.idx));
			f->popped = packed_next(f->popped, 1, vq->num);
			last = at;
			at = f->next[at];
		}
		vd_write64(first + E_COUNTER / 4, f->counter++);
		vd_write64(first, 1u | (uint64_t)f->next[head] << 16 | (uint64_t)last << 32 |
					  (uint64_t)ndesc << 48);
		f->entry[chains[i]->id] = head;
		f->last[head] = last;
	}
	f->free_head = f->old_free_head = at;
	then();
	packed_heads(f);
	then();
}

static void packed_flush(struct vd_virtq *vq)
{
	struct vd_inflight *f = vq->inflight;
	struct packed_pos old = f->used;

	for (unsigned int i = 0; i < f->nbatch; i++) {
		uint16_t head = f->entry[f->batch[i]], last = f->last[head];

		f->next[last] = f->free_head;
		vd_write16(entry_of(vq, last) + E_PACKED_NEXT, f->free_head);
		f->free_head = head;
		f->used = packed_next(f->used, chain_of(vq, f->batch[i])->ndesc, vq->num);
	}
	then();
	packed_heads(f);
	packed_places(f, f->used, old);
	then();
}

static void packed_flushed(struct vd_virtq *vq)
{
	struct vd_inflight *f = vq->inflight;

	for (unsigned int i = 0; i < f->nbatch; i++)
		vd_write16(entry_of(vq, f->entry[f->batch[i]]) + E_INFLIGHT, 0);
	f->old_free_head = f->free_head;
	then();
	packed_heads(f);
	packed_places(f, f->used, f->used);
	then();
}

/* ---- both ------------------------------------------------------------------------------------ */

void vd_inflight_popped(struct vd_virtq *vq, struct vd_chain *const *chains, unsigned int n)
{
	if (vq->packed)
		packed_popped(vq, chains, n);
	else
		split_popped(vq, chains, n);
}

void vd_inflight_pushed(struct vd_virtq *vq, struct vd_chain *const *chains, unsigned int n)
{
	struct vd_inflight *f = vq->inflight;

	for (unsigned int i = 0; i < n; i++)
		f->batch[f->nbatch++] = chains[i]->id;
}

void vd_inflight_flush(struct vd_virtq *vq)
{
	struct vd_inflight *f = vq->inflight;
	const struct vd_chain *c;

	while (vq->in_order && (c = chain_done(vq, f->nbatch)))
		f->batch[f->nbatch++] = c->id;
	if (vq->packed)
		packed_flush(vq);
	else
		split_flush(vq);
}

void vd_inflight_flushed(struct vd_virtq *vq)
{
	if (vq->packed)
		packed_flushed(vq);
	else
		split_flushed(vq);
	vq->inflight->nbatch = 0;
}
