/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk.h - inside the virtio block driver (virtio 1.3, 5.2)
 *
 *	blk.c		the driver, uvdpa_blk_open() to uvdpa_blk_free(); control thread
 *	blk-config.c	what the device says of itself
 *	blk-queue.c	uvdpa_blkq_*(): requests to descriptors and back; the queue's thread
 *	blk-file.c	the disk as a file; stands on the public <uvdpa/blk.h> alone
 *
 * All that the device may touch is in one piece, "the region" (dma.h):
 *
 *	+--------+---------+--------+---------+-----+------------------------------+
 *	| ring 0 | slots 0 | ring 1 | slots 1 | ... | arena for uvdpa_blk_alloc()  |
 *	+--------+---------+--------+---------+-----+------------------------------+
 */
#ifndef VD_VIRTIO_BLK_H
#define VD_VIRTIO_BLK_H

#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <uvdpa/blk.h>

#include "mem/guest.h"
#include "virtio/dma.h"
#include "virtio/virtio.h"
#include "virtq/virtq.h"

struct vd_blkdrv;
struct vd_blk_file;

/* What a request has beside its data, in the region; one cache line each. */
struct vd_blk_slot {
	struct virtio_blk_outhdr hdr;	/* the device reads */
	struct virtio_blk_discard_write_zeroes range;	/* it reads, of a request that has one */
	uint8_t status;			/* the device writes */
	uint8_t pad[31];
};

static_assert(sizeof(struct virtio_blk_outhdr) == 16, "virtio 1.3, 5.2.6");
static_assert(sizeof(struct virtio_blk_discard_write_zeroes) == 16, "virtio 1.3, 5.2.6");
static_assert(sizeof(struct vd_blk_slot) == 64, "one line");

/* What a queue must know of the whole; constant while it runs. */
struct vd_blkq_conf {
	uint64_t features;
	uint16_t num;
	unsigned int seg_max;
	uint32_t size_max;
	uint32_t discard_max, write_zeroes_max, secure_erase_max;	/* sectors; 0: it cannot */
	bool may_unmap;		/* WRITE_ZEROES */
	uint8_t *base;		/* the region */
	uint64_t iova;
	size_t ring, slots;	/* offsets */
	size_t arena, size;	/* offsets: memory of requests is between */
};

/* One queue. Its thread's, but for the atomics. */
struct uvdpa_blkq {
	struct vd_blkq_conf conf;
	struct vd_virtq_drv *vq;
	int kick, call;			/* eventfds */

	/* Written by control with release, read by the queue's thread with acquire: */
	int refuse;			/* submit gives this error */
	int gone;			/* what is outstanding comes back with this error */

	int broken;			/* the ring made no sense; as gone, found by us */
	bool armed;
	struct vd_blk_slot vd_guest *slots;
	struct uvdpa_blk_req **reqs;	/* by slot; NULL: free */
	uint32_t *in_len;		/* by slot: bytes that the device shall write */
	uint16_t *slot_of;		/* by the ring's id */
	uint16_t *free;			/* slots */
	unsigned int nfree;
	struct vd_buf *bufs;		/* of the request that is being added */
};

/* Return: 0; -ENOMEM, -EMFILE, -EINVAL with a sentence. The memory from ring on is zero. */
int vd_blkq_init(struct uvdpa_blkq *q, const struct vd_blkq_conf *conf);
void vd_blkq_fini(struct uvdpa_blkq *q);	/* harmless after memset 0 with kick, call -1 */

/* What the device shall be told. */
void vd_blkq_vq(const struct uvdpa_blkq *q, struct uvdpa_vq *ret_vq);

/* Bytes from ring and from slots on. */
size_t vd_blkq_ring_size(uint64_t features, uint16_t num, unsigned int seg_max);
size_t vd_blkq_slots_size(uint16_t num);

/* Take no more requests: submit gives @err. Context: control thread, as the two below. */
void vd_blkq_refuse(struct uvdpa_blkq *q, int err);

/**
 * vd_blkq_gone() - Nothing more will come from the device: give all back with @err
 *
 * What the device finished before is still given back as it ended: poll() looks at the ring
 * after it has seen this.
 */
void vd_blkq_gone(struct uvdpa_blkq *q, int err);

/* Both sides look again: a notification may have been lost. */
void vd_blkq_nudge(struct uvdpa_blkq *q);

/* A disk in use. */
struct uvdpa_blk {
	struct vd_blkdrv *drv;		/* NULL: taken away */
	struct uvdpa_blk_info info;
	struct vd_dma dma;
	struct uvdpa_blkq *queues;
};

/* The driver's state of a device. */
struct vd_blkdrv {
	struct vd_virtio_bound bound;
	struct uvdpa_blk *blk;		/* open, or NULL */
	struct vd_blk_file *file;	/* it is us who opened it, for this; or NULL */
};

/**
 * vd_blk_open() - uvdpa_blk_open() for who has the virtio device
 * @b: bound to this driver
 * @o: NULL for defaults
 *
 * Return: as uvdpa_blk_open(); after a failure a reset may be under way.
 */
int vd_blk_open(struct vd_virtio_bound *b, const struct uvdpa_blk_opts *o,
		struct uvdpa_blk **ret_blk);

/* ---- blk-config.c ---------------------------------------------------------------------------- */

/**
 * vd_blk_get_info() - What the device says, as far as it makes sense
 * @vdev: after FEATURES_OK
 * @info: zeroed; all but queues and queue_size is filled in
 * @ret_queues: how many it says it has
 *
 * Return: 0; -EBADMSG it cannot be used; -EINVAL, -EAGAIN as vd_virtio_get_config().
 */
int vd_blk_get_info(struct vd_virtio_dev *vdev, struct uvdpa_blk_info *info, uint32_t *ret_queues);

/* The parts of it that change; as above, and info is as it was when one fails. */
int vd_blk_get_capacity(struct vd_virtio_dev *vdev, struct uvdpa_blk_info *info);
int vd_blk_get_writeback(struct vd_virtio_dev *vdev, struct uvdpa_blk_info *info);

/* ---- blk-file.c ------------------------------------------------------------------------------ */

/**
 * vd_blk_file_create() - The disk as a file
 * @drv: not open; the file opens it
 * @conf: with @conf->file; borrowed for the file's life
 *
 * Return: 0; -ENODEV no FUSE here; -EEXIST, -ENOTDIR, ... the path; what vd_blk_open() said.
 */
int vd_blk_file_create(struct vd_blkdrv *drv, const struct vd_virtio_conf *conf,
		       struct vd_blk_file **ret_file);

/* Take no more from the kernel; config->quiesced() when the last request is home. */
void vd_blk_file_quiesce(struct vd_blk_file *file);

/* Ends the thread, whatever it does, and takes the file away, whoever has it open. */
void vd_blk_file_destroy(struct vd_blk_file *file);

/* The disk's capacity is another one. */
void vd_blk_file_resized(struct vd_blk_file *file, uint64_t capacity_sectors);

void vd_blk_file_describe(struct vd_blk_file *file, struct uvdpa_emit *e);

#endif
