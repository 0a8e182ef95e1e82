/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vu-net.c - messages that only a network device gets
 *
 *	NET_SET_MTU	what the front-end tells its guest; the device must be able to
 *	SEND_RARP	a guest that cannot announce itself is at another place now
 *
 * The front-end needs not ask for either: the protocol feature is offered if the device has what
 * the message is about.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "driver/vu.h"

#define RARP "rarp" /* attribute of a network device that can speak for its guest */
#define MTU_MIN  68u        /* RFC 791 */
#define F_MTU    (1ull << VIRTIO_NET_F_MTU)

static bool has_attribute(struct uvdpa_dev *dev, const char *key)
{
	for (const struct uvdpa_opt *o = uvdpa_dev_settable(dev); o->key; o++)
		if (!strcmp(o->key, key))
			return true;
	return false;
}

uint64_t vd_vus_net_protocol(const struct vd_vus_session *s)
{
	if (uvdpa_dev_info(s->dev)->device_id != VIRTIO_ID_NET)
		return 0;
	return 1ull << VD_VU_PF_NET_MTU |
	       (has_attribute(s->dev, RARP) ? 1ull << VD_VU_PF_RARP : 0);
}

int vd_vus_net_set_mtu(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	uint16_t max = htole16(UINT16_MAX);
	int e = 0;

	(void)reply;
	if (uvdpa_dev_info(s->dev)->features & F_MTU)
		e = uvdpa_dev_get_config(s->dev, offsetof(struct virtio_net_config, mtu), &max,
					 sizeof(max));
	if (!e && (m->u64 < MTU_MIN || m->u64 > le16toh(max)))
		return vd_err(-EINVAL, "MTU %llu, not %u to %u", (unsigned long long)m->u64,
			      MTU_MIN, le16toh(max));
	return e;
}

int vd_vus_send_rarp(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	const uint8_t *a = m->bytes;
	char mac[18];

	(void)reply;
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4],
		 a[5]);
	return uvdpa_dev_set(s->dev, &(struct uvdpa_attr){ RARP, mac }, 1);
}
