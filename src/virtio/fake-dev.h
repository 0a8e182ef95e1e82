/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake-dev.h - a device over a transport for tests of the drivers
 *
 * No vDPA, no core: the test is the device, and handles its queues by virtq's device end, over a
 * table of mappings of its own, as a real one would. fake-disk.h, fake-nic.h and fake-console.h are
 * made of it.
 */
#ifndef VD_VIRTIO_FAKE_DEV_H
#define VD_VIRTIO_FAKE_DEV_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mem/mem.h"
#include "virtio/virtio.h"
#include "virtq/virtq.h"

#define FAKE_DEV_VQS 8u /* at most */

struct fake_dev {
	struct vd_virtio_dev vdev;
	struct vd_loop loop;
	void *config; /* of who embeds it; NULL: it has none */
	uint32_t config_size;
	uint32_t writable; /* the byte of it that a driver may write; 0: none */
	uint8_t status;
	uint64_t features;
	bool refuses_features;
	struct vd_mem *mem;
	struct uvdpa_vq vqs[FAKE_DEV_VQS];
	bool set[FAKE_DEV_VQS];
	struct vd_virtq *dq[FAKE_DEV_VQS];
	unsigned int resets, quiesced, released;
};

/* @what: its name, device_id, offered and nvqs; the rest is filled in. Nobody has it yet. */
void fake_dev_init(struct fake_dev *f, struct vd_virtio_dev what);

/* Also takes it away from the driver, if that has not been done. */
void fake_dev_fini(struct fake_dev *f);

/* What the gate does with a device before it is taken away. */
void fake_dev_reset(struct fake_dev *f);

#endif
