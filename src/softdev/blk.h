/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk.h - the virtio block device (virtio 1.3, 5.2), over any store
 *
 * Decodes and checks requests once for every block parent. A parent says what the disk is
 * (struct vd_blk_conf) and moves bytes (struct vd_blk_ops).
 */
#ifndef VD_SOFTDEV_BLK_H
#define VD_SOFTDEV_BLK_H

#include <linux/virtio_blk.h>

#include "mem/sg.h"
#include "softdev/softdev.h"

struct vd_blk;

enum vd_blk_op { VD_BLK_READ, VD_BLK_WRITE, VD_BLK_FLUSH };

/**
 * struct vd_blk_req - One request, decoded; lies in the queue
 * @chain: the ring's part
 * @q: the queue it came from
 * @op: what to do
 * @off: bytes from the start of the disk; @off + @len is within the capacity
 * @len: bytes, a multiple of 512; 0 for FLUSH
 * @iov: the data's pieces, @len bytes in all, laid out for the kernel by vd_iov_kernel()
 * @niov: how many
 *
 * Below: for the parent's own use while it has the request.
 */
struct vd_blk_req {
	struct vd_chain chain;
	struct vd_softq *q;
	enum vd_blk_op op;
	uint64_t off;
	uint64_t len;
	struct vd_iov *iov;
	unsigned int niov;
	struct vd_iov status;	/* blk.c's: where the status byte goes */

	struct vd_blk_req *next;	/* parent's */
	uint64_t done;			/* parent's: bytes so far */
};

struct vd_blk_ops {
	/* Requests of one burst, in order. Each ends in vd_blk_done(), now or later, same thread. */
	void (*submit)(struct vd_blk *blk, struct vd_worker *w, struct vd_blk_req **reqs,
		       unsigned int n);
	/* As vd_softdev_ops.worker_start. */
	int (*worker_start)(struct vd_blk *blk, struct vd_worker *w, struct vd_engine **ret_engine);
	void (*destroy)(struct vd_blk *blk);
};

struct vd_blk_conf {
	uint64_t capacity_sectors;
	char serial[VIRTIO_BLK_ID_BYTES + 1];
	bool readonly;
	bool flush;		/* there is a volatile cache: offer FLUSH */
	uint32_t block_size;	/* bytes; 0: 512 */
	uint32_t size_max;	/* bytes of a segment; 0: not offered */
	uint32_t seg_max;	/* 0: the default of 126 */
	unsigned int queues;	/* 1 to 256 */
	unsigned int queue_size;
	uint64_t features_off;	/* ring features not to offer */
	struct vd_softdev_conf soft;
};

/* Embedded, first, in the parent's device. */
struct vd_blk {
	struct vd_softdev sd;
	const struct vd_blk_ops *ops;
	struct vd_blk_conf conf;
	struct virtio_blk_config config;	/* little-endian */
};

int vd_blk_init(struct vd_blk *blk, struct uvdpa *u, const struct vd_blk_ops *ops,
		const struct vd_blk_conf *conf);
void vd_blk_fini(struct vd_blk *blk);

/**
 * vd_blk_done() - A request has ended
 * @err: 0; -EOPNOTSUPP gives UNSUPP, any other -errno IOERR
 *
 * Context: the queue's worker.
 */
void vd_blk_done(struct vd_blk_req *req, int err);

static inline struct vd_blk *vd_blk_of(struct vd_blk_req *req)
{
	return container_of(vd_softq_dev(req->q), struct vd_blk, sd);
}

#endif
