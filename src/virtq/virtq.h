/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtq.h - one virtqueue, split or packed, seen from the device's end or from the driver's end
 *
 * The contract of split-dev.c, packed-dev.c, split-drv.c and packed-drv.c. Both ends distrust the
 * other: every ring word is read once, into a local, and checked there. Work comes and goes in
 * bursts: one burst costs one index load, one index store, and at most one notification.
 *
 * Device's end (struct vd_virtq):		Driver's end (struct vd_virtq_drv):
 *
 *	n = vd_virtq_pop(vq, chains, 32)		n = vd_virtq_drv_add_burst(vq, reqs, 32)
 *	vd_virtq_push_burst(vq, chains, n)	...	kick = vd_virtq_drv_publish(vq)
 *	if (vd_virtq_flush(vq)) call		n = vd_virtq_drv_get(vq, done, 32)
 *
 * A queue belongs to one thread at a time. Nothing here locks, allocates after init, or logs.
 */
#ifndef VD_VIRTQ_VIRTQ_H
#define VD_VIRTQ_VIRTQ_H

#include <stdbool.h>
#include <uvdpa/parent.h>

#include "mem/mem.h"

/* VD_F(VIRTIO_F_VERSION_1): a feature of that number. */
#define VD_F(bit) (1ull << (bit))

/* Feature bits that these files serve, in both layouts (virtio 1.3, 6). */
#define VD_VIRTQ_FEATURES                                                                        \
	(1ull << 28 /* INDIRECT_DESC */ | 1ull << 29 /* EVENT_IDX */ | 1ull << 27 /* ANY_LAYOUT */ | \
	 1ull << 32 /* VERSION_1 */ | 1ull << 33 /* ACCESS_PLATFORM */ |                            \
	 1ull << 34 /* RING_PACKED */ | 1ull << 35 /* IN_ORDER */ | 1ull << 38 /* NOTIFICATION_DATA */ | \
	 1ull << 40 /* RING_RESET */)

#define VD_VIRTQ_NUM_MAX 32768
#define VD_VIRTQ_BURST 32	/* requests that one pop returns at most */

/* ---- device's end ---------------------------------------------------------------------------- */

/**
 * struct vd_chain - One request as the driver made it, translated and bounded
 * @id: head descriptor (split) or buffer id (packed)
 * @ndesc: ring entries it takes (packed)
 * @nout: pieces of @iov that the device reads; they come first
 * @nin: pieces after them that the device writes
 * @out_len: bytes of the former
 * @in_len: bytes of the latter
 * @kind: the device's: what sort of request it is, for statistics
 * @since_ns: the device's: when it was popped
 * @written: bytes written into its in pieces, from the first on (virtio 1.3, 2.7.8.2); for push
 *
 * Lies in the queue, with the device's own part of the request behind it: a device embeds it as
 * the first member of its request and gives that size as chain_size. Valid from pop to push.
 */
struct vd_chain {
	uint16_t id;
	uint16_t ndesc;
	uint16_t nout, nin;
	uint32_t out_len, in_len;
	uint16_t kind;
	uint16_t room;		/* virtq's: pieces that @iov has room for while they are added */
	uint32_t written;
	uint64_t since_ns;
	struct vd_iov *iov;
	uint64_t held;		/* virtq's: until which flush the id is not the driver's */
};

/* A request of one piece lies in one line of the cache, with that piece. */
static_assert(sizeof(struct vd_chain) + sizeof(struct vd_iov) <= 64, "");

struct vd_virtq_conf {
	uint64_t features;		/* negotiated */
	const struct vd_mem *mem;	/* table in force as long as the queue runs */
	uint16_t num;
	uint64_t desc, driver, device;	/* iova */
	struct uvdpa_vq_state state;
	void vd_guest *inflight;	/* the queue's part of an in-flight region; NULL: none */
	uint16_t inflight_num;		/* for so many descriptors; at least num */
	size_t chain_size;		/* of the device's request; at least struct vd_chain's */
	unsigned int iov_max;		/* pieces of a chain at most; a longer one breaks the queue */
};

struct vd_virtq;

/**
 * vd_virtq_create() - The device's end over rings in guest memory
 * @conf: borrowed, but for @conf->mem
 * @ret_vq: owned by the caller
 *
 * Return: 0; -EINVAL size (0, > VD_VIRTQ_NUM_MAX, split and not a power of two), iov_max (0, >
 * 65535), a state outside the ring, an in-flight region for less; -EBADMSG a ring is not aligned
 * (virtio 1.3, 2.7, 2.8) or not in one mapping, the in-flight region makes no sense; -ENOMEM. All
 * with a sentence.
 */
int vd_virtq_create(const struct vd_virtq_conf *conf, struct vd_virtq **ret_vq);
void vd_virtq_destroy(struct vd_virtq *vq);

/**
 * vd_virtq_pop() - Take what the driver made available
 * @chains: receives up to @max requests, and up to VD_VIRTQ_BURST; there may be more than that
 *
 * A chain that makes no sense (an index outside, a loop, too long, not mapped, in flight already,
 * written part before read part, an indirect table of a wrong length...) breaks the queue: chains
 * before it are returned, the next call returns the error, and so does each one after.
 *
 * Return: number of requests; -EBADMSG broken, see vd_virtq_error().
 */
int vd_virtq_pop(struct vd_virtq *vq, struct vd_chain **chains, unsigned int max);

/**
 * vd_virtq_unpop() - The last requests that were popped stay in the ring after all
 * @chains: the last @n of them, in their order; nothing was popped since
 *
 * The next pop reads them anew. For a queue without an in-flight region.
 */
void vd_virtq_unpop(struct vd_virtq *vq, struct vd_chain *const *chains, unsigned int n);

/**
 * vd_virtq_push_burst() - Give requests back; visible to the driver after vd_virtq_flush()
 * @chains: @n of them, each with its @written set
 *
 * In any order; with IN_ORDER negotiated the queue keeps each until its turn.
 */
void vd_virtq_push_burst(struct vd_virtq *vq, struct vd_chain *const *chains, unsigned int n);

/* The same for one. */
static inline void vd_virtq_push(struct vd_virtq *vq, struct vd_chain *chain, uint32_t written)
{
	chain->written = written;
	vd_virtq_push_burst(vq, &chain, 1);
}

/* Publish what was pushed. Return: true if the driver wants a notification for it. */
bool vd_virtq_flush(struct vd_virtq *vq);

/* Is there something to pop? One load. For polling. */
bool vd_virtq_pending(struct vd_virtq *vq);

/* Ask for kicks. Return: true if something has come in between: pop instead of sleeping. */
bool vd_virtq_kicks_on(struct vd_virtq *vq);
/* No kicks wanted while we look anyway. The first call stores a word, further ones nothing. */
void vd_virtq_kicks_off(struct vd_virtq *vq);

/* Popped and not pushed, and what a crash has left to be done again. */
unsigned int vd_virtq_inflight(const struct vd_virtq *vq);
/* The latter alone: the next pop returns nothing else. */
unsigned int vd_virtq_again(const struct vd_virtq *vq);

/* Where to go on from. Meaningful when nothing is in flight and all is flushed. */
struct uvdpa_vq_state vd_virtq_state(const struct vd_virtq *vq);

/* Stop the queue for good. @err is handed back. The sentence is kept for vd_virtq_error(). */
int vd_virtq_break(struct vd_virtq *vq, int err);
/* NULL, or why the queue is broken. */
const char *vd_virtq_error(const struct vd_virtq *vq);

/*
 * Bytes that a queue's part of an in-flight region takes. All zero it is new: a queue begins where
 * its conf says. Else it goes on where the region says.
 */
size_t vd_virtq_inflight_size(bool packed, unsigned int num);
/* Make it new again. Nobody uses it now. */
void vd_virtq_inflight_forget(void vd_guest *region);

/* ---- driver's end ---------------------------------------------------------------------------- */

/* Where the parts of a ring lie in one piece of memory (virtio 1.3, 2.7, 2.8.10). */
struct vd_vring_layout {
	size_t desc, driver, device;	/* offsets */
	size_t indirect;		/* offset of the indirect tables, one of table_len each */
	size_t size;			/* of all */
};

/* @indirect_max: descriptors of an indirect table; 0: no tables. */
struct vd_vring_layout vd_vring_layout(uint16_t num, bool packed, unsigned int indirect_max);

struct vd_virtq_drv_conf {
	uint64_t features;	/* negotiated */
	uint16_t num;
	/* Memory of vd_vring_layout().size, 4096-aligned; its rings are zeroed by create. */
	uint8_t *ring;
	uint64_t ring_iova;	/* the same, for the device */
	unsigned int indirect_max; /* used when INDIRECT_DESC is negotiated and a chain has > 1 */
};

/* What a request consists of, for the device: iova and bytes. */
struct vd_buf {
	uint64_t iova;
	uint32_t len;
};

/* One request: @nout pieces that the device reads, then @nin that it writes; not both 0. */
struct vd_req {
	const struct vd_buf *bufs;
	unsigned int nout, nin;
	uint16_t id;		/* receives an id below num, free again when it came back */
};

struct vd_done {
	uint16_t id;		/* what it got when it was added */
	uint32_t len;		/* bytes the device says it wrote; at most what there was */
};

struct vd_virtq_drv;

int vd_virtq_drv_create(const struct vd_virtq_drv_conf *conf, struct vd_virtq_drv **ret_vq);
void vd_virtq_drv_destroy(struct vd_virtq_drv *vq);

/**
 * vd_virtq_drv_add_burst() - Put requests into the ring; visible after vd_virtq_drv_publish()
 * @reqs: @n of them, in their order
 *
 * Return: how many were added; what it would be for the next one if there was none: -ENOSPC no
 * room now; -EINVAL never fits; -EBADMSG broken.
 */
int vd_virtq_drv_add_burst(struct vd_virtq_drv *vq, struct vd_req *reqs, unsigned int n);

/* The same for one. Return: its id; -errno. */
int vd_virtq_drv_add(struct vd_virtq_drv *vq, const struct vd_buf *bufs, unsigned int nout,
		     unsigned int nin);

/* Return: true if the device wants a kick for what was published. */
bool vd_virtq_drv_publish(struct vd_virtq_drv *vq);

/* The notification's data: next offset and wrap counter in bits 16-31 (virtio 1.3, 2.9). */
uint16_t vd_virtq_drv_kick_data(const struct vd_virtq_drv *vq);

/**
 * vd_virtq_drv_get() - Take back what the device used
 *
 * An id that is out of range, not in flight, or a length beyond the buffers breaks the queue.
 *
 * Return: number of requests; -EBADMSG broken.
 */
int vd_virtq_drv_get(struct vd_virtq_drv *vq, struct vd_done *done, unsigned int max);

/* Ask for calls. Return: true if something has come in between. */
bool vd_virtq_drv_calls_on(struct vd_virtq_drv *vq);
void vd_virtq_drv_calls_off(struct vd_virtq_drv *vq);

/* Added and not taken back. */
unsigned int vd_virtq_drv_inflight(const struct vd_virtq_drv *vq);
const char *vd_virtq_drv_error(const struct vd_virtq_drv *vq);

/* Where a device should begin or go on: for uvdpa_vq.state. Initially packed has its wraps set. */
struct uvdpa_vq_state vd_virtq_drv_state(const struct vd_virtq_drv *vq);

#endif
