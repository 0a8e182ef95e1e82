/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-bed.h - for tests: a small virtio-blk driver on the gate
 *
 * A context with one block device, bound to a bus driver that does nothing, and the driver's end
 * of its queues in a memfd. The test says to the byte what a request looks like.
 */
#ifndef VD_SOFTDEV_BLK_BED_H
#define VD_SOFTDEV_BLK_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/core.h"
#include "softdev/blk.h"

#define BED_SIZE (16u << 20)
#define BED_IOVA 0x10000000ull	/* of the first byte */
#define BED_RINGS (4u << 20)	/* below: rings, 256 KiB for each queue; above: data */
#define BED_QUEUES 8
#define BED_NUM_MAX 256

struct bed_queue {
	struct vd_virtq_drv *drv;
	int kick, call;
};

struct bed {
	struct uvdpa *u;
	struct uvdpa_dev *dev;
	int fd;
	uint8_t *mem;
	struct bed_queue q[BED_QUEUES];
	unsigned int nq;
	uint64_t features;
	uint16_t num;
	unsigned int changed;	/* STATUS events that the bus driver saw */
	bool joined;		/* the context is another bed's, which ends last */
	unsigned int slots[BED_QUEUES][BED_NUM_MAX];	/* net-bed.c's: by a buffer's id */
};

/* How to use the device; zero: one queue of 64, split, all that is offered. */
struct bed_conf {
	unsigned int queues;
	uint16_t num;
	uint64_t features_off;
	bool packed;
	bool no_kick;	/* poll: the device must look by itself */
	bool in_band;	/* uvdpa_dev_kick() */
};

/* Make a device. @attrs: "key", "value", ..., NULL. Return: what uvdpa_dev_add() returned. */
int bed_add(struct bed *b, const char *mgmtdev, const char *const *attrs);
/* The same, of a parent that is only here. */
int bed_add_own(struct bed *b, const struct uvdpa_parent *parent);
/* A further device, in the same context. */
int bed_join(struct bed *b, struct bed *first, const char *name, const char *mgmtdev,
	     const char *const *attrs);
/* Negotiate, map, set up the queues, DRIVER_OK. Fails the test if anything fails. */
void bed_start(struct bed *b, const struct bed_conf *c);
void bed_reset(struct bed *b);
void bed_end(struct bed *b);

void bed_suspend(struct bed *b);
void bed_resume(struct bed *b);

/* Where @off in the memory is for the device. */
static inline uint64_t bed_iova(uint64_t off)
{
	return BED_IOVA + off;
}

/* Put one into the ring and tell the device. Return: its id. */
int bed_add_req(struct bed *b, unsigned int q, const struct vd_buf *bufs, unsigned int nout,
		unsigned int nin);
/* Take up to @max back, waiting for the first for @timeout_ms. Return: how many; -EBADMSG. */
int bed_get(struct bed *b, unsigned int q, struct vd_done *done, unsigned int max, int timeout_ms);

/* One request in one go, in plain layout, through a scratch area of queue @q. */
struct bed_io {
	uint32_t type;
	uint64_t sector;
	void *data; /* OUT, ranges: read; IN, GET_ID: written */
	uint32_t len;
	uint32_t used;		/* result */
};
/* Return: the status byte; 0xff if it was not written. */
uint8_t bed_io(struct bed *b, unsigned int q, struct bed_io *io);

uint64_t bed_stat(struct bed *b, unsigned int q, const char *name);

/* What the device shows; "" if it does not. Until the next call. */
const char *bed_shown(struct bed *b, const char *key);

#endif
