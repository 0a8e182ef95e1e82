/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/fake-nic.h"

struct nic *nic_create(void)
{
	struct nic *n = calloc(1, sizeof(*n));

	fake_dev_init(&n->dev, (struct vd_virtio_dev){ .name = "n0",
						       .device_id = VIRTIO_ID_NET,
						       .offered = OFFERED,
						       .nvqs = QUEUES });
	n->config = (struct virtio_net_config){
		.mac = { 2, 0, 0, 0, 0, 1 }, .status = htole16(VIRTIO_NET_S_LINK_UP),
		.max_virtqueue_pairs = htole16(2), .mtu = htole16(1500),
	};
	n->dev.config = &n->config;
	n->dev.config_size = sizeof(n->config);
	return n;
}

void nic_destroy(struct nic *n)
{
	fake_dev_fini(&n->dev);
	free(n);
}
