/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * softdev.h - for who writes a device in software, outside of the library
 *
 * The author says what the device is (struct uvdpa_softdev_conf) and handles its requests. Rings of
 * every layout, the guest's memory, threads, notifications, statistics, suspend, moves from one bus
 * driver to another and going on after a crash are the library's, as for its own devices. A device
 * whose datapath is elsewhere, in hardware say, stands on <uvdpa/parent.h> instead.
 *
 *	static void handle(struct uvdpa_softdev *sd, unsigned int queue, struct uvdpa_req **reqs,
 *			   unsigned int n)
 *	{
 *		for (unsigned int i = 0; i < n; i++) {
 *			uvdpa_req_write(reqs[i], "hello", 5);
 *			uvdpa_req_done(reqs[i], 0);
 *		}
 *	}
 *
 * Control is one thread, the context's. A queue has one data thread, which may serve others of the
 * same device as well; what happens there must not wait for long. A request is given back now or
 * later, from any thread.
 *
 * What a driver put into its memory it may change, or take away, at any time: uvdpa_req_read()
 * makes a copy, and what was copied is checked. A driver's nonsense costs a request, or if it is the
 * ring that makes no sense, that queue; the library sees to the latter. Who touches memory that was
 * taken away gets a SIGBUS, the kernel an EFAULT: a program that serves VMs calls
 * uvdpa_sigbus_guard().
 *
 * doc/adding-a-device.md builds a device on this, step by step.
 *
 * Context: control thread.
 */
#ifndef UVDPA_SOFTDEV_H
#define UVDPA_SOFTDEV_H

#include <sys/types.h>
#include <sys/uio.h>
#include <uvdpa/parent.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct uvdpa_softdev;

/**
 * struct uvdpa_req - A request, from handle until uvdpa_req_done()
 * @out_left: bytes from the driver that uvdpa_req_read() has not come to
 * @in_left: bytes of room for the driver that uvdpa_req_write() has not come to
 * @queue: index of its queue
 * @reserved: the library's
 *
 * The library's, and untouched by it while the author has the request. It belongs to one thread at
 * a time. An author who wants to keep something with it embeds it, as the first member, in a
 * structure of uvdpa_softdev_conf.req_size bytes; what is behind it is as the last request has left
 * it.
 */
struct uvdpa_req {
	uint32_t out_left, in_left;
	uint32_t queue;
	uint32_t reserved;
};

/**
 * struct uvdpa_softdev_ops - What the author writes
 * @size: sizeof(struct uvdpa_softdev_ops)
 *
 * A slot that is NULL does what is said there last; handle and destroy must not be.
 */
struct uvdpa_softdev_ops {
	size_t size;

	/* Requests of a queue, up to 32, in the driver's order. Data thread. */
	void (*handle)(struct uvdpa_softdev *sd, unsigned int queue, struct uvdpa_req **reqs,
		       unsigned int n);

	/*
	 * The queue is to become quiet, because the device is moved or suspended, say, and is when
	 * the last request has come back: what would take more than a moment had best end now. Also
	 * called if there is none. Data thread. NULL: they end by themselves.
	 */
	void (*stop)(struct uvdpa_softdev *sd, unsigned int queue);

	/*
	 * After uvdpa_softdev_deliver() has found no buffer: there may be one now. Data thread.
	 * NULL: who delivers does not want to know.
	 */
	void (*fed)(struct uvdpa_softdev *sd, unsigned int queue);

	/* What the driver has chosen of what is offered. Control thread, no queue runs. Return: 0;
	 * -EINVAL: not this set. NULL: any. */
	int (*set_features)(struct uvdpa_softdev *sd, uint64_t features);

	/* The driver writes to the configuration space; with 0 the library keeps the bytes for its
	 * next read. Control thread, perhaps while queues run. Return: 0; -EOPNOTSUPP: not there;
	 * -EINVAL: not this. NULL: nothing can be written. */
	int (*set_config)(struct uvdpa_softdev *sd, uint32_t off, const void *buf, uint32_t len);

	/* Forget what the driver has said. Control thread, no queue runs and no request is out.
	 * NULL: there is nothing to forget. */
	void (*reset)(struct uvdpa_softdev *sd);

	/*
	 * The end. Threads of the author's own stop here, and free() what @sd is embedded in.
	 * Control thread; no queue runs, no request is out, no other operation comes any more.
	 */
	void (*destroy)(struct uvdpa_softdev *sd);
};

/**
 * struct uvdpa_softdev_conf - What the device is
 * @size: sizeof(struct uvdpa_softdev_conf)
 * @name: the device's, as the parent's add got it; copied
 * @device_id: of the type (virtio 1.3, 5)
 * @features: of the type: bits 0 to 23 and 50 to 63. Those of rings and VERSION_1 are the
 *            library's, which offers all that it serves.
 * @nvqs: number of queues
 * @receive: bit i is set: queue i holds buffers for uvdpa_softdev_deliver(), and its requests do
 *           not come to handle. Of queues 0 to 63.
 * @queue_size: descriptors of a queue at most, a power of two up to 32768; 0: 256
 * @config: the configuration space, as the driver sees it at first (little-endian); copied. NULL:
 *          zeros
 * @config_size: bytes of it, up to 4096
 * @req_size: bytes of the author's request, which begins with struct uvdpa_req; 0: nothing is added
 * @threads: data threads; 0: one. More than queues are of no use.
 * @poll_us: microseconds that a data thread looks for more before it sleeps; 0: none
 */
struct uvdpa_softdev_conf {
	size_t size;
	const char *name;
	uint32_t device_id;
	uint64_t features;
	unsigned int nvqs;
	uint64_t receive;
	unsigned int queue_size;
	const void *config;
	uint32_t config_size;
	size_t req_size;
	unsigned int threads;
	unsigned int poll_us;
};

/**
 * struct uvdpa_softdev - A software device; embedded by its author
 * @ops: set by the author before uvdpa_softdev_init(), which copies them
 * @dev: the device, from uvdpa_softdev_init() on: what a parent's add returns. Its further
 *       capabilities (set, show) are the author's to fill in before that.
 * @reserved: the library's
 *
 * Zero it, set @ops.
 */
struct uvdpa_softdev {
	const struct uvdpa_softdev_ops *ops;
	struct uvdpa_dev *dev;
	void *reserved[2];
};

/**
 * uvdpa_softdev_init() - Make the device; starts its data threads
 * @u: the context that the parent's add got
 * @sd: embedded by the author, who keeps it until ops->destroy
 * @conf: borrowed for the call
 *
 * For a parent's add, which returns @sd->dev.
 *
 * Return: 0; -EINVAL an operation is missing, or a number of @conf is beyond its limit; -ENOMEM,
 * -EMFILE, -EAGAIN the system has no more. On failure nothing is left behind, and ops->destroy is
 * not called. Context: control thread.
 */
int uvdpa_softdev_init(struct uvdpa *u, struct uvdpa_softdev *sd,
		       const struct uvdpa_softdev_conf *conf);

/**
 * uvdpa_softdev_fini() - Undo it, in an add that fails after it
 * @sd: the author's again; ops->destroy is not called
 */
void uvdpa_softdev_fini(struct uvdpa_softdev *sd);

/**
 * uvdpa_softdev_of() - The author's end of a device that uvdpa_softdev_init() made
 * @dev: the device, as further capabilities get it
 *
 * Return: what uvdpa_softdev_init() was given.
 * Context: any thread.
 */
struct uvdpa_softdev *uvdpa_softdev_of(const struct uvdpa_dev *dev);

/**
 * uvdpa_softdev_set_config() - Change the configuration space
 * @sd: the device
 * @off: first byte
 * @buf: what stands there from now on (little-endian)
 * @len: bytes
 *
 * The driver is told, if there is one.
 *
 * Return: 0; -EINVAL beyond uvdpa_softdev_conf.config_size.
 * Context: control thread; another wakes it by an eventfd that uvdpa_poll_add() watches.
 */
int uvdpa_softdev_set_config(struct uvdpa_softdev *sd, uint32_t off, const void *buf, uint32_t len);

/**
 * uvdpa_softdev_deliver() - Put a message into the next buffer of a receive queue
 * @sd: the device
 * @queue: its index; one of uvdpa_softdev_conf.receive
 * @buf: the message
 * @len: bytes
 *
 * Nothing is queued in between: what finds no buffer the caller keeps, or drops.
 *
 * Return: how many bytes there was room for in that buffer, the rest is not sent; -EAGAIN there is
 * no buffer, or the queue does not run: ops->fed will say when to try again; -EINVAL no such queue.
 * Context: any thread, until ops->destroy has returned. Sets no sentence.
 */
ssize_t uvdpa_softdev_deliver(struct uvdpa_softdev *sd, unsigned int queue, const void *buf,
			      size_t len);

/* ---- requests; the thread that has the request ----------------------------------------------- */

/**
 * uvdpa_req_read() - Copy from the driver, and move on
 * uvdpa_req_write() - Copy to the driver, and move on
 * @req: the request
 * @to: where to
 * @from: where from
 * @len: bytes
 *
 * Return: bytes copied, less than @len at the end.
 * Context: the thread that has the request.
 */
size_t uvdpa_req_read(struct uvdpa_req *req, void *to, size_t len);
size_t uvdpa_req_write(struct uvdpa_req *req, const void *from, size_t len);

/**
 * uvdpa_req_fill() - Write the same byte many times
 * @req: the request
 * @byte: it
 * @len: how many times
 *
 * Return: bytes written, less than @len at the end.
 * Context: the thread that has the request.
 */
size_t uvdpa_req_fill(struct uvdpa_req *req, int byte, size_t len);

/**
 * uvdpa_req_out_iov() - Where the next bytes from the driver are
 * uvdpa_req_in_iov() - Where the next bytes for the driver go
 * @req: the request
 * @len: so many of them
 * @iov: receives the pieces
 * @max: room in @iov; pieces beyond it are left out
 *
 * For the kernel (pwritev(), preadv(), getrandom()), which need not trust that memory. It is valid
 * until the request is given back. These do not move on; uvdpa_req_skip_out() and
 * uvdpa_req_skip_in() do.
 *
 * Return: number of pieces.
 * Context: the thread that has the request.
 */
unsigned int uvdpa_req_out_iov(const struct uvdpa_req *req, size_t len, struct iovec *iov,
			       unsigned int max);
unsigned int uvdpa_req_in_iov(const struct uvdpa_req *req, size_t len, struct iovec *iov,
			      unsigned int max);

/**
 * uvdpa_req_skip_out() - Move on in what is from the driver
 * uvdpa_req_skip_in() - Move on in the room for the driver; counts as written
 * @req: the request
 * @len: bytes
 *
 * Return: bytes moved, less than @len at the end.
 * Context: the thread that has the request.
 */
size_t uvdpa_req_skip_out(struct uvdpa_req *req, size_t len);
size_t uvdpa_req_skip_in(struct uvdpa_req *req, size_t len);

/**
 * uvdpa_req_done() - Give a request back
 * @req: the library's again
 * @err: 0; anything else counts it as an error in the statistics. What the driver sees of it is for
 *       the type to say, in what was written.
 *
 * The driver is told that so much was written as uvdpa_req_write() has come to. In any order.
 * Context: any thread. In the queue's data thread it costs least: answers of a burst go together.
 */
void uvdpa_req_done(struct uvdpa_req *req, int err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
