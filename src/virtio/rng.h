/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rng.h - inside the virtio entropy driver (virtio 1.3, 5.4)
 *
 *	rng.c		the driver, uvdpa_rng_open() to uvdpa_rng_free(); control thread
 *	rng-read.c	requests, and uvdpa_rng_read(); the reader's thread
 *
 * All that the device may touch is in one piece (dma.h):
 *
 *	+------+-----------------------------+------------------------------+
 *	| ring | buffers of uvdpa_rng_read() | arena for uvdpa_rng_alloc()  |
 *	+------+-----------------------------+------------------------------+
 */
#ifndef VD_VIRTIO_RNG_H
#define VD_VIRTIO_RNG_H

#include <uvdpa/rng.h>

#include "virtio/dma.h"
#include "virtio/virtio.h"
#include "virtq/virtq.h"

#define VD_RNG_OWN  4u     /* of these buffers; a power of two */
#define VD_RNG_READ 16384u /* bytes of one */

struct vd_rngdrv;

/* A request of uvdpa_rng_read(), and what came of it. */
struct vd_rng_own {
	struct uvdpa_rng_req req;
	bool asked;       /* it is with the device */
	uint32_t at, end; /* of its buffer: bytes that are there */
};

/* An entropy device in use. The reader's thread's, but for the atomics and what is marked. */
struct uvdpa_rng {
	struct vd_rngdrv *drv; /* NULL: taken away; control's */
	struct vd_dma dma;     /* control's; constant while it runs */
	struct vd_virtq_drv *vq;
	uint16_t num;
	int kick, call; /* eventfds */

	/* Written by control with release, read by the reader's thread with acquire: */
	int refuse; /* submit gives this error */
	int gone;   /* what is outstanding comes back with this error */

	int broken; /* the ring made no sense; as gone, found by us */
	bool armed;
	struct uvdpa_rng_req **reqs; /* by the ring's id */
	unsigned int inflight;

	/* Of uvdpa_rng_read(): in their order, so that one is copied while others are filled. */
	struct vd_rng_own own[VD_RNG_OWN];
	unsigned int first, next; /* which may have bytes; which is to be asked for; free running */
	unsigned int asked;
};

/* The driver's state of a device. */
struct vd_rngdrv {
	struct vd_virtio_bound bound;
	struct uvdpa_rng *rng; /* open, or NULL */
};

/**
 * vd_rng_open() - uvdpa_rng_open() for who has the virtio device
 * @b: bound to this driver
 * @o: NULL for defaults
 *
 * Return: as uvdpa_rng_open(); after a failure a reset may be under way. Control thread.
 */
int vd_rng_open(struct vd_virtio_bound *b, const struct uvdpa_rng_opts *o,
		struct uvdpa_rng **ret_rng);

/* Take no more requests: submit gives @err. Control thread, as the one below. */
void vd_rng_refuse(struct uvdpa_rng *rng, int err);

/* Nothing more will come from the device: give all back with @err, but what it finished before. */
void vd_rng_gone(struct uvdpa_rng *rng, int err);

#endif
