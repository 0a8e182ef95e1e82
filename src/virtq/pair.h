/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pair.h - both ends of a virtqueue over one piece of memory, for tests, fuzzers and benchmarks
 *
 * The memory holds the ring (vd_vring_layout) and, behind it, an area for buffers. It begins at
 * PAIR_IOVA for the device, in one mapping.
 */
#ifndef VD_VIRTQ_PAIR_H
#define VD_VIRTQ_PAIR_H

#include "virtq/virtq.h"

#define PAIR_IOVA 0x100000ull

struct pair {
	uint64_t features;
	uint16_t num;
	unsigned int indirect_max, iov_max;
	size_t data_size; /* wanted */
	size_t inflight_size; /* likewise, behind the data; 0: none */
	bool shared; /* with children of this process */

	uint8_t *memory;
	size_t size;
	struct vd_vring_layout layout;
	uint8_t *data; /* in memory */
	uint64_t data_iova;
	void vd_guest *inflight; /* in memory, but the device does not know it */
	struct vd_mem *mem;
	struct vd_virtq_drv *drv;
	struct vd_virtq *dev;
};

/* What a device would embed. */
struct pair_req {
	struct vd_chain chain;
	uint32_t tag;
};

/* @p: features, num, and what else is not to be small, set. Return: 0 or -errno. */
int pair_init(struct pair *p);
void pair_fini(struct pair *p);

/* The device's end as it would be made over the driver's; @p->dev is left alone. */
struct vd_virtq_conf pair_conf(const struct pair *p);

/* A new device's end that goes on where the present one stands. */
int pair_restart(struct pair *p);

#endif
