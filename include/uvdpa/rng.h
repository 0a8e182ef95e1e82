/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rng.h - an entropy device on the bus, used from this process
 *
 * Opening binds the device to the in-process virtio bus (bus driver "virtio"); closing leaves it
 * bound and idle. Bytes are read as from a file:
 *
 *	uvdpa_rng_open(dev, NULL, &rng);
 *	n = uvdpa_rng_read(rng, key, sizeof(key), 1000);
 *
 * or, many at a time and without a copy, by requests for memory from uvdpa_rng_alloc(). That memory
 * and the ring are one file in memory, mapped here and, a second time, by the device; so a device in
 * another process can have it, and closing needs to wait for nobody. Such a device can look at that
 * memory, and write to it, for as long as it has it: who does not trust it copies first.
 *
 *	struct uvdpa_rng_req r = { .buf = uvdpa_rng_alloc(rng, 65536), .len = 65536 };
 *	uvdpa_rng_submit(rng, &(struct uvdpa_rng_req *){ &r }, 1);
 *	while (!uvdpa_rng_poll(rng, done, 32))
 *		uvdpa_rng_wait(rng, -1);
 *
 * Threads: open, close, alloc, free belong to the control thread; the rest to one thread at a time,
 * any thread, which need not be the control thread. Nothing is locked.
 *
 * When the device is taken away (unbound, removed) the handle stays valid: read and submit say
 * -ENODEV, outstanding requests come back with -ENODEV from poll, and the descriptor is readable.
 * When the device breaks it is the same with -EIO. Close, then open again.
 *
 * Context: control thread.
 */
#ifndef UVDPA_RNG_H
#define UVDPA_RNG_H

#include <sys/types.h>
#include <uvdpa/uvdpa.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct uvdpa_rng;

/**
 * struct uvdpa_rng_opts - How to drive the device
 * @size: sizeof(struct uvdpa_rng_opts)
 * @queue_size: ring size; 0: the largest, but 64 at most
 * @mem: bytes that uvdpa_rng_alloc() can hand out in all, fixed now because the memory of a
 *       running device does not change; 0: 4 MiB. Pages are used only when touched.
 * @features_off: bits not to negotiate, of 1 << VIRTIO_*_F_*; for tests and measurements
 * @packed: prefer packed rings when offered (split is the default)
 */
struct uvdpa_rng_opts {
	size_t size;
	unsigned int queue_size;
	size_t mem;
	uint64_t features_off;
	bool packed;
};

/**
 * struct uvdpa_rng_req - A request for bytes; the caller's, untouched by the caller until it came back
 * @buf: memory from uvdpa_rng_alloc(), or a part of it
 * @len: bytes wanted at most
 * @res: bytes that are there, from the first of @buf on: 1 to @len, as the device has them; or -EIO
 *       (also: it gave none), -ENODEV (it was taken away). Set when it is back
 * @reserved: zero
 */
struct uvdpa_rng_req {
	void *buf;
	size_t len;
	ssize_t res;
	void *reserved;
};

/**
 * uvdpa_rng_open() - Use an entropy device in this process
 * @dev: a device that is ready; bound to "virtio" if it is bound to nothing
 * @o: NULL for defaults
 * @ret_rng: the handle; the caller's
 *
 * May dispatch the context's events while it waits for the bind, or for the end of a former use;
 * so not to be called from a callback.
 *
 * Return: 0; -EBUSY it is bound to another driver, or in use already; -ENODEV not an entropy device,
 * or going; -EAGAIN not ready; -EINVAL an option; -EOPNOTSUPP a legacy device.
 */
int uvdpa_rng_open(struct uvdpa_dev *dev, const struct uvdpa_rng_opts *o,
		   struct uvdpa_rng **ret_rng);

/**
 * uvdpa_rng_close() - Use it no more
 * @rng: the handle, or NULL; no thread is inside a call any more
 *
 * Outstanding requests never come back. Memory of uvdpa_rng_alloc() is gone.
 */
void uvdpa_rng_close(struct uvdpa_rng *rng);

/**
 * uvdpa_rng_read() - Read bytes, and wait for them
 * @rng: the handle
 * @buf: any memory
 * @len: how many
 * @timeout_ms: wait so long in all; 0: take what is there; -1: as long as it takes
 *
 * What has been asked of the device when the time is over is there for the next call.
 *
 * Return: @len; fewer, if the time is over, a signal came, or the device went or broke meanwhile; if
 * it is none at all: -ETIMEDOUT, -EINTR, -ENODEV, -EIO; -EBUSY requests are outstanding. Sets no
 * sentence.
 * Context: one thread at a time.
 */
ssize_t uvdpa_rng_read(struct uvdpa_rng *rng, void *buf, size_t len, int timeout_ms);

/**
 * uvdpa_rng_alloc() - Memory that requests may use
 * @rng: the handle
 * @len: bytes, rounded up to pages
 *
 * Return: page-aligned, zeroed; NULL with uvdpa_error(): more than uvdpa_rng_opts.mem in all.
 * Freed by uvdpa_rng_free() or close.
 */
void *uvdpa_rng_alloc(struct uvdpa_rng *rng, size_t len);

/**
 * uvdpa_rng_free() - Give it back
 * @rng: the handle
 * @p: from uvdpa_rng_alloc(), or NULL; no request that uses it is outstanding
 */
void uvdpa_rng_free(struct uvdpa_rng *rng, void *p);

/**
 * uvdpa_rng_submit() - Ask for bytes, with at most one notification
 * @rng: the handle
 * @reqs: borrowed until each comes back; the array, for the call
 * @n: how many
 *
 * Return: how many were taken, fewer if the ring is full or one of them is wrong; if the first is:
 * -EINVAL a length of 0 or beyond 32 bits; -EFAULT memory that is not of uvdpa_rng_alloc(). -ENODEV
 * the device is gone; -EIO it is broken. Sets no sentence.
 * Context: one thread at a time.
 */
int uvdpa_rng_submit(struct uvdpa_rng *rng, struct uvdpa_rng_req *const *reqs, unsigned int n);

/**
 * uvdpa_rng_poll() - Requests that came back
 * @rng: the handle
 * @done: receives them, the caller's again, with res set
 * @max: so many at most
 *
 * Never waits. After the device went, all come back.
 *
 * Return: how many.
 * Context: one thread at a time.
 */
unsigned int uvdpa_rng_poll(struct uvdpa_rng *rng, struct uvdpa_rng_req **done, unsigned int max);

/**
 * uvdpa_rng_fd() - Readable when something may have come back, after uvdpa_rng_arm()
 * @rng: the handle; keeps the descriptor
 *
 * Return: the descriptor, for the handle's life.
 * Context: any thread.
 */
int uvdpa_rng_fd(const struct uvdpa_rng *rng);

/**
 * uvdpa_rng_arm() - Ask that uvdpa_rng_fd() becomes readable
 * @rng: the handle
 *
 * One arm is good for one notification; uvdpa_rng_poll() disarms.
 *
 * Return: true if something is there already: poll instead.
 * Context: one thread at a time.
 */
bool uvdpa_rng_arm(struct uvdpa_rng *rng);

/**
 * uvdpa_rng_wait() - Sleep until something may have come back
 * @rng: the handle
 * @timeout_ms: longest sleep in milliseconds; 0 does not sleep, -1 sleeps for ever
 *
 * Return: 0; -ETIMEDOUT; -EINTR a signal came. Sets no sentence.
 * Context: one thread at a time.
 */
int uvdpa_rng_wait(struct uvdpa_rng *rng, int timeout_ms);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
