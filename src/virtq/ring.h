/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - what the files of virtq/ share
 *
 * A ring is reached through guest pointers to words, never to structs, so that an access which
 * is not one of guest.h's does not compile. The offsets are those of <linux/virtio_ring.h>.
 *
 * How the device's end keeps its requests: each of num slots holds a struct vd_chain with the
 * device's part behind it, and a few pieces. One with more has them in a place of its own, which
 * has room for all that may be, and takes no memory before. The slot is that of the id, so
 * nothing is searched or listed: one word says whether the id is with us. It is from pop until
 * the flush after its used entry was written. Push writes that entry. Only if the order is given
 * (IN_ORDER) must it wait: "order" has the ids as popped, and flush writes the entries of those
 * at its front that were pushed.
 *
 * Requests of one piece have loops of their own, which know nothing else: what is not as it should
 * be ends them, and is read again and judged by the function for any request. Where they change
 * fields they do so in locals, for each access to a ring might, for all the compiler knows, touch
 * those.
 */
#ifndef VD_VIRTQ_RING_H
#define VD_VIRTQ_RING_H

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "base/err.h"
#include "virtq/virtq.h"

/* Split: words of 16 bits in the available and in the used ring. */
enum { RING_FLAGS = 0, RING_IDX = 1, RING_ENTRIES = 2 };

static_assert(sizeof(struct vring_desc) == 16, "virtio 1.3, 2.7.5");
static_assert(offsetof(struct vring_avail, idx) == 2 * RING_IDX, "virtio 1.3, 2.7.6");
static_assert(offsetof(struct vring_avail, ring) == 2 * RING_ENTRIES, "virtio 1.3, 2.7.6");
static_assert(offsetof(struct vring_used, idx) == 2 * RING_IDX, "virtio 1.3, 2.7.8");
static_assert(offsetof(struct vring_used, ring) == 2 * RING_ENTRIES, "virtio 1.3, 2.7.8");
static_assert(sizeof(struct vring_used_elem) == 8, "virtio 1.3, 2.7.8");
static_assert(sizeof(struct vring_packed_desc) == 16, "virtio 1.3, 2.8.13");
static_assert(sizeof(struct vring_packed_desc_event) == 4, "virtio 1.3, 2.8.14");

#define PACKED_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED  (1u << VRING_PACKED_DESC_F_USED)

/* Flags of a packed descriptor that is available in the round @wrap (virtio 1.3, 2.8.1). */
static inline uint16_t packed_avail_flags(bool wrap)
{
	return wrap ? PACKED_AVAIL : PACKED_USED;
}

/* The same of one that is used. */
static inline uint16_t packed_used_flags(bool wrap)
{
	return wrap ? PACKED_AVAIL | PACKED_USED : 0;
}

/* A place in a packed ring. */
struct packed_pos {
	unsigned int idx;
	bool wrap;
};

static inline struct packed_pos packed_next(struct packed_pos p, unsigned int n, unsigned int num)
{
	unsigned int idx = p.idx + n;

	return idx < num ? (struct packed_pos){ idx, p.wrap }
			 : (struct packed_pos){ idx - num, !p.wrap };
}

/* In event suppression words, notification data and vring bases: wrap counter in bit 15. */
static inline uint16_t packed_word(struct packed_pos p)
{
	return (uint16_t)(p.idx | (unsigned int)p.wrap << VRING_PACKED_EVENT_F_WRAP_CTR);
}

static inline struct packed_pos packed_pos(uint16_t word)
{
	return (struct packed_pos){ word & 0x7fff, word >> VRING_PACKED_EVENT_F_WRAP_CTR };
}

/*
 * Does the other end want to hear of the @n entries before @pos (virtio 1.3, 2.8.10)? @event is
 * its event suppression structure, in one word: offset and wrap counter, then flags.
 */
static inline bool packed_need_event(uint32_t event, struct packed_pos pos, unsigned int n,
				     uint16_t num)
{
	struct packed_pos want = packed_pos((uint16_t)event);
	unsigned int flags = event >> 16 & 3;	/* the rest is reserved */
	uint16_t at = (uint16_t)want.idx;

	if (flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	if (want.wrap != pos.wrap)
		at = (uint16_t)(at - num);
	return vring_need_event(at, (uint16_t)pos.idx, (uint16_t)(pos.idx - n));
}

/* ---- device's end ---------------------------------------------------------------------------- */

/* Values of vd_chain.held; any other is the number of the flush that gives the id back. */
#define CHAIN_IN_FLIGHT UINT64_MAX
#define CHAIN_DONE	(UINT64_MAX - 1) /* pushed; IN_ORDER: waits for its turn */

struct vd_virtq_ops {
	/* Find requests, check them, and set held. */
	int (*pop)(struct vd_virtq *vq, struct vd_chain **chains, unsigned int max);
	/* Step back over the last @n that were popped. */
	void (*unpop)(struct vd_virtq *vq, struct vd_chain *const *chains, unsigned int n);
	/* Take them back and write their used entries; not with IN_ORDER. */
	void (*push)(struct vd_virtq *vq, struct vd_chain *const *chains, unsigned int n);
	bool (*flush)(struct vd_virtq *vq);
	bool (*pending)(struct vd_virtq *vq);
	bool (*kicks_on)(struct vd_virtq *vq);
	void (*kicks_off)(struct vd_virtq *vq);
	struct uvdpa_vq_state (*state)(const struct vd_virtq *vq);
	void (*destroy)(struct vd_virtq *vq);
	/* The next request that is to be done again. Return: 0; -EBADMSG with a sentence. */
	int (*again)(struct vd_virtq *vq, struct vd_chain **ret_chain);
};

/* A read-write region. */
struct near {
	uint64_t first, len;	/* len is 0 if there is none, and does not count the last byte */
	uint64_t last;		/* their sum */
	uint8_t vd_guest *addr; /* local, of first */
};

/* What both layouts have; embedded in theirs. */
struct vd_virtq {
	const struct vd_virtq_ops *ops;
	const struct vd_mem *mem;
	struct near near; /* where the last buffer was that was not near */
	uint16_t num;
	bool packed, indirect, event_idx, in_order; /* negotiated */
	bool kicks;                                 /* asked for, as far as the driver knows */
	int err;                                    /* broken if not 0 */
	unsigned int popped;                        /* popped and not pushed */
	unsigned int iov_max;
	bool ones;        /* the last request was of one piece */
	uint64_t flushes;                           /* so far */
	bool pushed;                                /* since the last one */
	struct vd_inflight *inflight;               /* NULL: nothing is noted */
	unsigned int nagain;                        /* to be popped before anything else */

	void *slots_mem;
	uint8_t *slots; /* in it, by id; one more, spare */
	size_t slot_size, chain_size;
	uint16_t few;          /* pieces in a slot */
	struct vd_iov *pieces; /* iov_max for each slot, of those with more */

	uint16_t *order; /* IN_ORDER: ring of order_mask + 1 ids; see above */
	unsigned int order_mask, order_head, order_tail;

	uint64_t *table;        /* an indirect table, copied */
	unsigned int table_max; /* descriptors in it */

	char error[200];
};

int vd_split_dev_create(const struct vd_virtq_conf *conf, struct vd_virtq **ret_vq);
int vd_packed_dev_create(const struct vd_virtq_conf *conf, struct vd_virtq **ret_vq);

/* Fill in and allocate what is common. On failure nothing needs to be undone. */
int vd_virtq_init(struct vd_virtq *vq, const struct vd_virtq_conf *conf);
void vd_virtq_fini(struct vd_virtq *vq);

/* A part of a ring. The local address must have the alignment, too, for the atomics. */
struct ring_part {
	const char *name;
	uint64_t iova, len;
	unsigned int align, prot;
};

/* Its local address; NULL with a sentence. */
void vd_guest *vd_virtq_part(const struct vd_mem *mem, const struct ring_part *part);

/* A descriptor, copied out of shared memory. */
struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next; /* split; buffer id in packed */
};

static inline struct desc desc_from(uint64_t addr, uint64_t rest)
{
	return (struct desc){ addr, (uint32_t)rest, (uint16_t)(rest >> 32),
			      (uint16_t)(rest >> 48) };
}

static inline struct vd_chain *chain_of(const struct vd_virtq *vq, uint16_t id)
{
	return (void *)(vq->slots + id * vq->slot_size);
}

/* Its pieces, as long as they are few. */
static inline struct vd_iov *chain_few(const struct vd_virtq *vq, struct vd_chain *c)
{
	return (void *)((uint8_t *)c + vq->chain_size);
}

/* Its pieces, if they are not. */
static inline struct vd_iov *chain_many(const struct vd_virtq *vq, uint16_t id)
{
	return vq->pieces + (size_t)id * vq->iov_max;
}

/* Is the id with us, or its used entry not published yet? */
static inline bool chain_held(const struct vd_virtq *vq, const struct vd_chain *c)
{
	return c->held > vq->flushes;
}

/* It was pushed. */
static inline void chain_back(struct vd_chain *c, uint64_t held)
{
	assert(c->held == CHAIN_IN_FLIGHT);
	assert(c->written <= c->in_len);
	c->held = held;
}

/* IN_ORDER: the @n-th whose used entry is to be written now, or NULL. */
static inline struct vd_chain *chain_done(const struct vd_virtq *vq, unsigned int n)
{
	struct vd_chain *c;

	if (vq->order_head + n == vq->order_tail)
		return NULL;
	c = chain_of(vq, vq->order[(vq->order_head + n) & vq->order_mask]);
	return c->held == CHAIN_DONE ? c : NULL;
}

/*
 * IN_ORDER: may the entry of @c be left out, because that of the next one stands for it? Only if
 * the next one follows in this burst, and if the driver, which will take it for filled entirely,
 * is right (virtio 1.3, 2.7.9, 2.8.8).
 */
static inline bool chain_skip(const struct vd_virtq *vq, const struct vd_chain *c)
{
	return c->written == c->in_len && chain_done(vq, 1);
}

/* IN_ORDER: its used entry is written. */
static inline void chain_give(struct vd_virtq *vq, struct vd_chain *c)
{
	c->held = vq->flushes + 1;
	vq->order_head++;
}

/* Is a buffer one piece, in the region of the last one, as nearly all are? Of length 0: no. */
static inline bool near_has(const struct near *near, uint64_t addr, uint32_t len)
{
	return addr - near->first < near->len && len - 1ull < near->last - addr;
}

static inline struct vd_iov near_iov(const struct near *near, uint64_t addr, uint32_t len)
{
	return (struct vd_iov){ near->addr + (addr - near->first), len };
}

/* Add what a descriptor says, in the ways that are not inline. Return: 0 or -EBADMSG with a
 * sentence. */
int vd_chain_add_slow(struct vd_virtq *vq, struct vd_chain *c, const struct desc *d);

static inline int chain_add(struct vd_virtq *vq, struct vd_chain *c, const struct desc *d)
{
	bool write = d->flags & VRING_DESC_F_WRITE;
	unsigned int n = (unsigned int)c->nout + c->nin;

	if (vd_unlikely(d->flags & VRING_DESC_F_INDIRECT || !near_has(&vq->near, d->addr, d->len) ||
			n >= c->room || (c->nin && !write) ||
			d->len > UINT32_MAX - c->out_len - c->in_len))
		return vd_chain_add_slow(vq, c, d);
	c->iov[n] = near_iov(&vq->near, d->addr, d->len);
	if (write) {
		c->nin++;
		c->in_len += d->len;
	} else {
		c->nout++;
		c->out_len += d->len;
	}
	return 0;
}

/* A slot that was never used is zero. */
static inline void chain_touch(const struct vd_virtq *vq, struct vd_chain *c, uint16_t id)
{
	if (vd_likely(c->iov))
		return;
	c->id = id;
	c->iov = chain_few(vq, c);
}

/* A request of one piece, and near. */
static inline void chain_one(const struct vd_virtq *vq, uint16_t id, struct vd_iov iov, bool write)
{
	struct vd_chain *c = chain_of(vq, id);

	chain_touch(vq, c, id);
	c->iov[0] = iov;
	if (write) {
		c->nout = 0;
		c->nin = 1;
		c->out_len = 0;
		c->in_len = (uint32_t)iov.len;
	} else {
		c->nout = 1;
		c->nin = 0;
		c->out_len = (uint32_t)iov.len;
		c->in_len = 0;
	}
	c->held = CHAIN_IN_FLIGHT;
}

static inline bool chain_is_one(const struct vd_chain *c)
{
	return c->nout + c->nin == 1;
}

/* Start a request of any kind. Its pieces come with chain_add(). */
static inline struct vd_chain *chain_begin(const struct vd_virtq *vq, uint16_t id)
{
	struct vd_chain *c = chain_of(vq, id);

	c->id = id;
	c->iov = chain_few(vq, c);
	c->room = vq->few;
	c->nout = c->nin = 0;
	c->out_len = c->in_len = 0;
	return c;
}

/* ---- driver's end ---------------------------------------------------------------------------- */

struct vd_virtq_drv_ops {
	int (*add)(struct vd_virtq_drv *vq, struct vd_req *reqs, unsigned int n);
	bool (*publish)(struct vd_virtq_drv *vq);
	int (*get)(struct vd_virtq_drv *vq, struct vd_done *done, unsigned int max);
	bool (*calls_on)(struct vd_virtq_drv *vq);
	void (*calls_off)(struct vd_virtq_drv *vq);
	uint16_t (*kick_data)(const struct vd_virtq_drv *vq);
	struct uvdpa_vq_state (*state)(const struct vd_virtq_drv *vq);
	void (*destroy)(struct vd_virtq_drv *vq);
};

/* A request in the driver's own memory; the ring is never asked what it was. */
struct drv_req {
	uint32_t in_len; /* bytes that the device may write */
	uint16_t ndesc;  /* ring entries; 0: not in flight */
	uint16_t seq;    /* of the add; tells what is published */
};

struct vd_virtq_drv {
	const struct vd_virtq_drv_ops *ops;
	uint16_t num;
	bool packed, event_idx, in_order; /* negotiated */
	bool calls;                       /* asked for, as far as the device knows */
	int err;                          /* broken if not 0 */
	unsigned int indirect_max;        /* 0: none */
	unsigned int nfree;               /* ring entries */
	uint16_t added, published, taken; /* requests, counted for ever, modulo 2^16 */

	struct drv_req *reqs; /* by id */
	uint16_t *order;      /* IN_ORDER: ids as added, at added % 2^16 & order_mask */
	uint16_t order_mask;
	bool batch;          /* IN_ORDER: a used entry was read that stands ... */
	struct vd_done last; /* ... for all requests up to this one */

	uint64_t vd_guest *tables; /* indirect, indirect_max descriptors for each id */
	uint64_t tables_iova;

	char error[200];
};

int vd_split_drv_create(const struct vd_virtq_drv_conf *conf, struct vd_virtq_drv **ret_vq);
int vd_packed_drv_create(const struct vd_virtq_drv_conf *conf, struct vd_virtq_drv **ret_vq);

int vd_virtq_drv_init(struct vd_virtq_drv *vq, const struct vd_virtq_drv_conf *conf);
void vd_virtq_drv_fini(struct vd_virtq_drv *vq);

/* As vd_virtq_break(). */
int vd_virtq_drv_break(struct vd_virtq_drv *vq, int err);

/* What a request takes. */
struct drv_shape {
	uint32_t in_len;        /* bytes that the device may write */
	unsigned int ndesc;     /* ring entries */
	bool table;             /* one entry, for an indirect table */
};

/* Return: 0, -EINVAL, -ENOSPC. */
int vd_drv_begin(struct vd_virtq_drv *vq, const struct vd_req *req, struct drv_shape *ret_shape);

/* Write the indirect table of a request. Return: where it is. */
struct vd_buf vd_drv_table(struct vd_virtq_drv *vq, const struct vd_req *req);

/* Is a request one piece? They are written in a loop of their own. */
static inline bool drv_is_one(const struct vd_req *req)
{
	return req->nout + req->nin == 1;
}

/* Flags of piece @i of the request, but for those that link it. */
static inline uint16_t drv_flags(const struct vd_req *req, unsigned int i)
{
	return i < req->nout ? 0 : VRING_DESC_F_WRITE;
}


/* The request is in the ring under @id. */
static inline void drv_end(struct vd_virtq_drv *vq, uint16_t id, uint32_t in_len,
			   unsigned int ndesc)
{
	vq->reqs[id] = (struct drv_req){ in_len, (uint16_t)ndesc, vq->added };
	if (vq->in_order)
		vq->order[vq->added & vq->order_mask] = id;
	vq->added++;
	vq->nfree -= ndesc;
}

/* The same for requests of one entry each, whose drv_one() is noted. */
static inline void drv_end_ones(struct vd_virtq_drv *vq, const struct vd_req *reqs, unsigned int n)
{
	for (unsigned int i = 0; vq->in_order && i < n; i++)
		vq->order[(vq->added + i) & vq->order_mask] = reqs[i].id;
	vq->added = (uint16_t)(vq->added + n);
	vq->nfree -= n;
}

/* Did the device have this request, of a number below num, and room for as many bytes? */
static inline bool drv_had(struct drv_req req, uint16_t published, uint32_t len)
{
	return req.ndesc && (uint16_t)(published - req.seq - 1) < VD_VIRTQ_NUM_MAX &&
	       len <= req.in_len;
}

/* It did not: the queue is broken. Return: -EBADMSG. */
int vd_drv_refuse(struct vd_virtq_drv *vq, uint32_t id, uint32_t len);

/*
 * IN_ORDER: the oldest request, with which @last has to do. The last of a batch has the length
 * that the device wrote; those before it were filled.
 */
static inline struct vd_done drv_oldest(struct vd_virtq_drv *vq)
{
	uint16_t id = vq->order[vq->taken & vq->order_mask];

	if (id != vq->last.id)
		return (struct vd_done){ id, vq->reqs[id].in_len };
	vq->batch = false;
	return vq->last;
}

/* It came back. */
static inline void drv_take(struct vd_virtq_drv *vq, uint16_t id)
{
	vq->nfree += vq->reqs[id].ndesc;
	vq->reqs[id].ndesc = 0;
	vq->taken++;
}

#endif
