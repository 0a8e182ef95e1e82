/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk.h - a block device on the bus, used from this process
 *
 * Opening binds the device to the in-process virtio bus (bus driver "virtio"); closing leaves it
 * bound and idle. Requests go to a queue in batches and come back in batches; data moves between
 * the device and memory from uvdpa_blk_alloc(), with no copy. That memory and the rings are one
 * file in memory, mapped here and, a second time, by the device; so a device in another process
 * can have it, and closing needs to wait for nobody.
 *
 *	uvdpa_blk_open(dev, NULL, &blk);
 *	buf = uvdpa_blk_alloc(blk, 1 << 20);
 *	q = uvdpa_blk_queue(blk, 0);
 *	struct uvdpa_blk_req r = { .op = UVDPA_BLK_READ, .sector = 0, .iov = &iov, .niov = 1 };
 *	uvdpa_blkq_submit(q, &(struct uvdpa_blk_req *){ &r }, 1);
 *	while (!(n = uvdpa_blkq_poll(q, done, 32)))
 *		uvdpa_blkq_wait(q, -1);
 *
 * Threads: open, close, info, set_writeback, alloc, free belong to the control thread. A queue
 * belongs to one thread at a time, any thread, which need not be the control thread; nothing is
 * locked.
 *
 * When the device is taken away (unbound, removed) the handle stays valid: submit says -ENODEV,
 * outstanding requests come back with -ENODEV from poll, and the queue's descriptor is readable.
 * When the device breaks it is the same with -EIO. Close, then open again.
 *
 * Context: control thread.
 */
#ifndef UVDPA_BLK_H
#define UVDPA_BLK_H

#include <sys/uio.h>
#include <uvdpa/uvdpa.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct uvdpa_blk;
struct uvdpa_blkq;

/* UVDPA_BLK_SECTOR - Bytes; the unit of every sector number (virtio 1.3, 5.2) */
#define UVDPA_BLK_SECTOR 512u
/* UVDPA_BLK_ID_LEN - Bytes of GET_ID's answer */
#define UVDPA_BLK_ID_LEN 20u

/**
 * struct uvdpa_blk_opts - How to drive the device
 * @size: sizeof(struct uvdpa_blk_opts)
 * @queues: at most so many; 0: all it has
 * @queue_size: ring size; 0: the largest, but 1024 at most
 * @mem: bytes that uvdpa_blk_alloc() can hand out in all, fixed now because the memory of a
 *       running device does not change; 0: 16 MiB. Pages are used only when touched.
 * @features_off: bits not to negotiate, of 1 << VIRTIO_*_F_*; for tests and measurements
 * @packed: prefer packed rings when offered (split is the default)
 */
struct uvdpa_blk_opts {
	size_t size;
	unsigned int queues;
	unsigned int queue_size;
	size_t mem;
	uint64_t features_off;
	bool packed;
};

/**
 * struct uvdpa_blk_info - What was found at open
 *
 * The library's, and may grow. capacity_sectors and writeback follow the device.
 */
struct uvdpa_blk_info {
	uint64_t capacity_sectors;	/* its size */
	uint32_t block_size;		/* bytes; sectors of every request fill whole blocks */
	uint32_t physical_block_size;	/* bytes, what writes had best be multiples of */
	uint32_t opt_io_size;		/* bytes of the best request; 0: not known */
	uint32_t size_max;		/* bytes of one segment at most; 0: any */
	uint32_t seg_max;		/* segments of one request at most */
	unsigned int queues;		/* in use */
	unsigned int queue_size;	/* descriptors of each */
	bool readonly;			/* writes are refused */
	bool flush;			/* it has a volatile cache; without, writes are durable */
	bool writeback;			/* that cache is on: a write is durable after a FLUSH */

	/* Sectors of one request at most, whole blocks; 0: not offered. */
	uint32_t discard_max_sectors;
	uint32_t write_zeroes_max_sectors;
	uint32_t secure_erase_max_sectors;
	uint32_t discard_align;		/* sectors: DISCARD of less may do nothing */
	bool write_zeroes_may_unmap;	/* uvdpa_blk_req.unmap has a meaning */
};

/* enum uvdpa_blk_op - What a request is for */
enum uvdpa_blk_op {
	UVDPA_BLK_READ,
	UVDPA_BLK_WRITE,
	UVDPA_BLK_FLUSH,
	UVDPA_BLK_GET_ID,	/* one buffer of UVDPA_BLK_ID_LEN bytes */
	UVDPA_BLK_DISCARD,	/* the range's data is not needed: it reads as anything afterwards */
	UVDPA_BLK_WRITE_ZEROES,	/* as a write of zeros */
	UVDPA_BLK_SECURE_ERASE,	/* the range's data, and its copies, cannot be got at any more */
};

/**
 * struct uvdpa_blk_req - One request; the caller's, untouched by the caller until it came back
 * @op: what to do
 * @sector: first sector; 0 for FLUSH and GET_ID
 * @nsectors: of DISCARD, WRITE_ZEROES and SECURE_ERASE: the range, up to its limit in info
 * @iov: memory from uvdpa_blk_alloc(), pieces of any length and alignment, a multiple of 512 bytes
 *       in all (GET_ID: UVDPA_BLK_ID_LEN or more); the array itself is read at submission only
 * @niov: 0 for what has no data
 * @unmap: of WRITE_ZEROES: the range may lose its space, so that a later write can find none left
 * @res: 0, or -EIO (also: the device answered nonsense), -EOPNOTSUPP, -ENODEV (it was taken
 *       away), set when it is back
 * @reserved: zeros
 */
struct uvdpa_blk_req {
	enum uvdpa_blk_op op;
	uint64_t sector;
	uint64_t nsectors;
	const struct iovec *iov;
	unsigned int niov;
	bool unmap;
	int res;
	void *reserved[2];
};

/**
 * uvdpa_blk_open() - Use a block device in this process
 * @dev: a device that is ready; bound to "virtio" if it is bound to nothing
 * @o: NULL for defaults
 * @ret_blk: the handle; the caller's
 *
 * May dispatch the context's events while it waits for the bind, or for the end of a former use;
 * so not to be called from a callback.
 *
 * Return: 0; -EBUSY it is bound to another driver, or in use already (open, or a file); -ENODEV
 * not a block device, or going; -EAGAIN not ready; -EINVAL an option; -EOPNOTSUPP a legacy
 * device; -EBADMSG its configuration makes no sense.
 */
int uvdpa_blk_open(struct uvdpa_dev *dev, const struct uvdpa_blk_opts *o,
		   struct uvdpa_blk **ret_blk);

/**
 * uvdpa_blk_close() - Use it no more
 * @blk: the handle, or NULL; no thread is inside one of its queues any more
 *
 * Outstanding requests never come back. Memory of uvdpa_blk_alloc() is gone.
 */
void uvdpa_blk_close(struct uvdpa_blk *blk);

/**
 * uvdpa_blk_info() - What the device is
 * @blk: the handle
 *
 * Return: the handle's, for its life.
 */
const struct uvdpa_blk_info *uvdpa_blk_info(const struct uvdpa_blk *blk);

/**
 * uvdpa_blk_set_writeback() - Turn the device's volatile cache on or off
 * @blk: the handle
 * @on: false: from now on a write that came back is durable. What came back before is durable
 *      after a FLUSH, as ever.
 *
 * Lasts until the device is reset. info.writeback says what the device made of it. A device in
 * another process hears of it a moment later than this returns.
 *
 * Return: 0; -EOPNOTSUPP it has no cache, or none that can be turned off; -ENODEV it was taken
 * away.
 */
int uvdpa_blk_set_writeback(struct uvdpa_blk *blk, bool on);

/**
 * uvdpa_blk_queue() - One of its queues
 * @blk: the handle
 * @idx: below info.queues
 *
 * Return: the queue, for the handle's life; NULL with uvdpa_error() if there is no such one.
 */
struct uvdpa_blkq *uvdpa_blk_queue(struct uvdpa_blk *blk, unsigned int idx);

/**
 * uvdpa_blk_alloc() - Memory that requests may use
 * @blk: the handle
 * @len: bytes, rounded up to pages
 *
 * Return: page-aligned, zeroed; NULL with uvdpa_error(): more than uvdpa_blk_opts.mem in all.
 * Freed by uvdpa_blk_free() or close.
 */
void *uvdpa_blk_alloc(struct uvdpa_blk *blk, size_t len);

/**
 * uvdpa_blk_free() - Give it back
 * @blk: the handle
 * @p: from uvdpa_blk_alloc(), or NULL; no request that uses it is outstanding
 */
void uvdpa_blk_free(struct uvdpa_blk *blk, void *p);

/**
 * uvdpa_blkq_submit() - Queue requests, in order, with at most one notification
 * @q: the queue
 * @reqs: borrowed until each comes back; the array, for the call
 * @n: how many
 *
 * Return: how many were taken, fewer if the ring is full or one of them is wrong; if the first is:
 * -EINVAL the op, a length that is no multiple of 512 (GET_ID: below UVDPA_BLK_ID_LEN), or more
 * segments than info.seg_max, a range that is empty or beyond its limit; -EFAULT memory that is
 * not of uvdpa_blk_alloc(); -EROFS; -EOPNOTSUPP what info says is not offered. -ENODEV the device
 * is gone; -EIO it is broken. Sets no sentence.
 * Context: the thread that has the queue.
 */
int uvdpa_blkq_submit(struct uvdpa_blkq *q, struct uvdpa_blk_req *const *reqs, unsigned int n);

/**
 * uvdpa_blkq_poll() - Requests that came back
 * @q: the queue
 * @done: receives them, the caller's again, with res set
 * @max: so many at most
 *
 * Never waits. After the device went, all come back.
 *
 * Return: how many.
 * Context: the thread that has the queue.
 */
unsigned int uvdpa_blkq_poll(struct uvdpa_blkq *q, struct uvdpa_blk_req **done, unsigned int max);

/**
 * uvdpa_blkq_fd() - Readable when something may have come back, after uvdpa_blkq_arm()
 * @q: the queue; keeps the descriptor
 *
 * Return: the descriptor, for the handle's life.
 * Context: any thread.
 */
int uvdpa_blkq_fd(const struct uvdpa_blkq *q);

/**
 * uvdpa_blkq_arm() - Ask that uvdpa_blkq_fd() becomes readable
 * @q: the queue
 *
 * One arm is good for one notification; uvdpa_blkq_poll() disarms.
 *
 * Return: true if something is there already: poll instead.
 * Context: the thread that has the queue.
 */
bool uvdpa_blkq_arm(struct uvdpa_blkq *q);

/**
 * uvdpa_blkq_wait() - Sleep until something may have come back
 * @q: the queue
 * @timeout_ms: longest sleep in milliseconds; 0 does not sleep, -1 sleeps for ever
 *
 * Return: 0; -ETIMEDOUT; -EINTR a signal came. Sets no sentence.
 * Context: the thread that has the queue.
 */
int uvdpa_blkq_wait(struct uvdpa_blkq *q, int timeout_ms);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
