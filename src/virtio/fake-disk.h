/* SPDX-License-Identifier: BSD-2-Clause */
/* fake-disk.h - a block device for tests of the block driver; it lies when told so */
#ifndef VD_VIRTIO_FAKE_DISK_H
#define VD_VIRTIO_FAKE_DISK_H

#include "virtio/blk.h"
#include "virtio/fake-dev.h"

#define SECTORS 4096u
#define QUEUES 2u
#define F(bit) (1ull << (bit))
#define RING_FEATURES (F(VIRTIO_F_VERSION_1) | F(VIRTIO_F_ACCESS_PLATFORM) | \
		       F(VIRTIO_RING_F_INDIRECT_DESC) | F(VIRTIO_RING_F_EVENT_IDX) | \
		       F(VIRTIO_F_RING_PACKED))
#define BLK_FEATURES (F(VIRTIO_BLK_F_SEG_MAX) | F(VIRTIO_BLK_F_FLUSH) | F(VIRTIO_BLK_F_BLK_SIZE) | \
		      F(VIRTIO_BLK_F_MQ))

struct disk {
	struct fake_dev dev;
	struct virtio_blk_config config;
	unsigned int flushes;		/* atomic */
	uint32_t largest;		/* piece of a request seen */
	unsigned int nranges;		/* requests that had one; the type of the last, and its range */
	uint32_t type;
	struct virtio_blk_discard_write_zeroes range;
	int force_status;		/* -1: what is right; atomic */
	int force_len;			/* -1: what is right */
	int stop;			/* atomic: the disk's thread shall end */
	uint8_t bytes[SECTORS * 512];
};

struct disk *disk_create(void);

/* Also takes it away from the driver, if that has not been done. */
void disk_destroy(struct disk *d);

/* Give it to the driver of its type. */
int disk_bind(struct disk *d, const struct vd_virtio_conf *conf);

/* Give it to the driver, and open it. */
struct uvdpa_blk *disk_open(struct disk *d, const struct uvdpa_blk_opts *o);

/* One request by queue 0 of the disk, to its end. Return: its result, or what submit says. */
int disk_one(struct disk *d, struct uvdpa_blkq *q, struct uvdpa_blk_req *r);

/* Handle what is in a queue. Return: requests. */
unsigned int disk_run(struct disk *d, unsigned int idx);

/* A thread that does that for queue 0, until disk->stop. */
void *disk_thread(void *arg);

#endif
