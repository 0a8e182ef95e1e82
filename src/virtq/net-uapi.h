/* SPDX-License-Identifier: BSD-2-Clause */
/* net-uapi.h - <linux/virtio_net.h>, with what the headers of Debian 12 do not have yet */
#ifndef VD_VIRTQ_NET_UAPI_H
#define VD_VIRTQ_NET_UAPI_H

#include <assert.h>
#include <linux/virtio_net.h>

#ifndef VIRTIO_NET_F_VQ_NOTF_COAL /* Linux 6.6 */
#define VIRTIO_NET_F_VQ_NOTF_COAL        52
#define VIRTIO_NET_CTRL_NOTF_COAL_VQ_SET 2
#define VIRTIO_NET_CTRL_NOTF_COAL_VQ_GET 3

struct virtio_net_ctrl_coal {
	__le32 max_packets;
	__le32 max_usecs;
};

struct virtio_net_ctrl_coal_vq {
	__le16 vqn;
	__le16 reserved;
	struct virtio_net_ctrl_coal coal;
};
#endif

#ifndef VIRTIO_NET_F_HOST_USO /* Linux 6.2 */
#define VIRTIO_NET_F_GUEST_USO4   54
#define VIRTIO_NET_F_GUEST_USO6   55
#define VIRTIO_NET_F_HOST_USO     56
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#ifndef VIRTIO_NET_F_GUEST_HDRLEN /* Linux 6.6 */
#define VIRTIO_NET_F_GUEST_HDRLEN 59
#endif

static_assert(sizeof(struct virtio_net_config) == 24, "virtio 1.3, 5.1.4");
static_assert(sizeof(struct virtio_net_hdr_v1) == 12, "virtio 1.3, 5.1.6");
static_assert(sizeof(struct virtio_net_hdr_v1_hash) == 20, "virtio 1.3, 5.1.6");
static_assert(sizeof(struct virtio_net_ctrl_coal_vq) == 12, "virtio 1.3, 5.1.6.5.6");

#endif
