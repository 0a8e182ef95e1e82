/* SPDX-License-Identifier: BSD-2-Clause */
/* fake-nic.h - a network device for tests of the network driver */
#ifndef VD_VIRTIO_FAKE_NIC_H
#define VD_VIRTIO_FAKE_NIC_H

#include "virtio/fake-dev.h"
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
	struct fake_dev dev;
	struct virtio_net_config config;
};

/* With two pairs, its link up; nobody has it yet. */
struct nic *nic_create(void);

/* Also takes it away from the driver, if that has not been done. */
void nic_destroy(struct nic *n);

#endif
