/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake-nic.h - a network device for tests of the network driver, over a transport for tests
 *
 * No vDPA, no core, as fake-disk.h: the test is the device, and handles its queues by virtq's device end.
 */
#ifndef VD_VIRTIO_FAKE_NIC_H
#define VD_VIRTIO_FAKE_NIC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "virtio/net.h"

#define F(bit) VD_F(bit)
#define QUEUES 5u	/* two pairs, and control */
#define CTRL_QUEUE 4u

#define OFFERED                                                                                 \
	(F(VIRTIO_F_VERSION_1) | F(VIRTIO_RING_F_INDIRECT_DESC) | F(VIRTIO_RING_F_EVENT_IDX) |  \
	 F(VIRTIO_F_RING_PACKED) | F(VIRTIO_NET_F_CSUM) | F(VIRTIO_NET_F_GUEST_CSUM) |          \
	 F(VIRTIO_NET_F_GUEST_TSO4) | F(VIRTIO_NET_F_MAC) | F(VIRTIO_NET_F_MTU) |               \
	 F(VIRTIO_NET_F_STATUS) | F(VIRTIO_NET_F_MRG_RXBUF) | F(VIRTIO_NET_F_CTRL_VQ) |         \
	 F(VIRTIO_NET_F_CTRL_RX) | F(VIRTIO_NET_F_CTRL_RX_EXTRA) | F(VIRTIO_NET_F_MQ) |         \
	 F(VIRTIO_NET_F_CTRL_MAC_ADDR) | F(VIRTIO_NET_F_GUEST_ANNOUNCE) |                       \
	 F(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS))

struct nic {
	struct vd_virtio_dev vdev;
	struct vd_loop loop;
	struct virtio_net_config config;
	uint32_t config_size;
	uint8_t status;
	uint64_t features;
	struct vd_mem *mem;
	struct uvdpa_vq vqs[QUEUES];
	bool set[QUEUES];
	struct vd_virtq *dq[QUEUES];
	unsigned int quiesced, released;
};

/* With two pairs, its link up; nobody has it yet. */
struct nic *nic_create(void);

/* Also takes it away from the driver, if that has not been done. */
void nic_destroy(struct nic *n);

/* What the gate does with a device before it is taken away. */
void nic_reset(struct nic *n);

#endif
