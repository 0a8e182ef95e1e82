/* SPDX-License-Identifier: BSD-2-Clause */
/* net-config.c - what a network device says of itself (virtio 1.3, 5.1.4), and whether that makes
 * sense */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "virtio/net.h"

#define MTU_DEF   1500u
#define MTU_MIN   68u    /* virtio 1.3, 5.1.4.1 */
#define FRAME_MAX 65562u /* a TSO packet, its Ethernet header, and VLAN tags */
#define ETH_ROOM  22u    /* Ethernet header and two VLAN tags */
#define MERGE_MIN 128u   /* buffers that can be merged: enough for any header */

#define CONFIG(m) offsetof(struct virtio_net_config, m)

static int get16(struct vd_virtio_dev *vdev, unsigned int feature, uint32_t off, uint16_t *ret_v)
{
	uint16_t v;
	int r;

	if (!vd_virtio_has(vdev, feature))
		return 0;
	r = vd_virtio_get_config(vdev, off, &v, sizeof(v));
	if (!r)
		*ret_v = le16toh(v);
	return r;
}

/* Advice: a device that offers it, and has no such field, is not the worse for it. */
static void get_speed(struct vd_virtio_dev *vdev, struct uvdpa_net_info *info)
{
	struct {
		uint32_t speed;
		uint8_t duplex;
	} __attribute__((packed)) v;

	if (!vd_virtio_has(vdev, VIRTIO_NET_F_SPEED_DUPLEX) ||
	    vd_virtio_get_config(vdev, CONFIG(speed), &v, sizeof(v)))
		return;
	info->speed = le32toh(v.speed) <= INT32_MAX ? le32toh(v.speed) : 0;
	info->full_duplex = v.duplex == 1;
}

int vd_net_get_link(struct vd_virtio_dev *vdev, struct uvdpa_net_info *info)
{
	uint16_t status = VIRTIO_NET_S_LINK_UP, mtu = MTU_DEF;
	struct uvdpa_net_info now = *info;
	int r = get16(vdev, VIRTIO_NET_F_STATUS, CONFIG(status), &status);

	if (!r)
		r = get16(vdev, VIRTIO_NET_F_MTU, CONFIG(mtu), &mtu);
	if (!r && vd_virtio_has(vdev, VIRTIO_NET_F_MAC))
		r = vd_virtio_get_config(vdev, CONFIG(mac), now.mac, sizeof(now.mac));
	if (r)
		return r;
	if (mtu < MTU_MIN)
		return vd_err(-EBADMSG, "%s: MTU %u, not at least %u", vdev->name, mtu, MTU_MIN);
	if (now.mac[0] & 1)
		return vd_err(-EBADMSG, "%s: its MAC address is a multicast one", vdev->name);
	get_speed(vdev, &now);
	now.mtu = mtu;
	now.link_up = status & VIRTIO_NET_S_LINK_UP;
	now.announce =
		vd_virtio_has(vdev, VIRTIO_NET_F_GUEST_ANNOUNCE) && status & VIRTIO_NET_S_ANNOUNCE;
	*info = now;
	return 0;
}

/* What a buffer must hold: a whole frame, if they are not merged. */
static uint32_t rx_buf_min(const struct uvdpa_net_info *info)
{
	uint64_t big = VD_NET_GUEST_OFFLOADS &
		       ~(VD_F(VIRTIO_NET_F_GUEST_CSUM) | VD_F(VIRTIO_NET_F_GUEST_ECN));

	if (info->rx_merge)
		return MERGE_MIN;
	return UVDPA_NET_HDR + (info->features & big ? FRAME_MAX : info->mtu + ETH_ROOM);
}

int vd_net_get_info(struct vd_virtio_dev *vdev, struct uvdpa_net_info *info)
{
	uint16_t pairs = 1;
	int r;

	info->features = vdev->features;
	r = vd_net_get_link(vdev, info);
	if (!r)
		r = get16(vdev, VIRTIO_NET_F_MQ, CONFIG(max_virtqueue_pairs), &pairs);
	if (r)
		return r;
	if (!pairs || pairs > VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MAX)
		return vd_err(-EBADMSG, "%s: %u pairs of queues", vdev->name, pairs);
	info->max_pairs = pairs;
	info->rx_merge = vd_virtio_has(vdev, VIRTIO_NET_F_MRG_RXBUF);
	info->rx_buf_min = rx_buf_min(info);
	return 0;
}
