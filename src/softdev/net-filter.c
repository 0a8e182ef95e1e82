/* SPDX-License-Identifier: BSD-2-Clause */
#include "softdev/net-filter.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>

#define MODE(m)   (1u << VIRTIO_NET_CTRL_RX_##m)
#define BROADCAST 0xffffffffffffull

static void settle(struct vd_net_filter *f)
{
	f->everything = !f->told || f->modes & MODE(PROMISC);
}

void vd_net_filter_reset(struct vd_net_filter *f, uint64_t features)
{
	memset(f, 0, sizeof(*f));
	f->vlans_only = features >> VIRTIO_NET_F_CTRL_VLAN & 1;
	settle(f);
}

int vd_net_filter_rx(struct vd_net_filter *f, uint8_t mode, struct vd_sg *cmd)
{
	uint8_t on;

	if (mode > VIRTIO_NET_CTRL_RX_NOBCAST || vd_sg_len(cmd) != 1)
		return -EINVAL;
	vd_sg_read(cmd, &on, 1);
	f->modes = (uint8_t)(on ? f->modes | 1u << mode : f->modes & ~(1u << mode));
	f->told = true;
	settle(f);
	return 0;
}

/* One of the two lists. What does not fit is counted only: a guest chose that number. */
static int get_macs(struct vd_net_macs *macs, struct vd_sg *cmd)
{
	uint8_t mac[ETH_ALEN];
	__le32 entries;
	uint32_t n;

	if (vd_sg_read(cmd, &entries, 4) != 4)
		return -EINVAL;
	n = le32toh(entries);
	if (vd_sg_len(cmd) / ETH_ALEN < n)
		return -EINVAL;
	macs->all = n > VD_NET_MACS_MAX;
	macs->n = macs->all ? 0 : n;
	for (unsigned int i = 0; i < macs->n; i++) {
		vd_sg_read(cmd, mac, ETH_ALEN);
		macs->mac[i] = vd_net_mac_number(mac);
	}
	if (macs->all)
		vd_sg_skip(cmd, (size_t)n * ETH_ALEN);
	return 0;
}

int vd_net_filter_macs(struct vd_net_filter *f, struct vd_sg *cmd)
{
	struct vd_net_macs uni, multi;

	if (get_macs(&uni, cmd) || get_macs(&multi, cmd) || vd_sg_len(cmd))
		return -EINVAL;
	f->uni = uni;
	f->multi = multi;
	f->told = true;
	settle(f);
	return 0;
}

int vd_net_filter_vlan(struct vd_net_filter *f, bool add, struct vd_sg *cmd)
{
	__le16 id;
	uint16_t vid;

	if (vd_sg_len(cmd) != 2)
		return -EINVAL;
	vd_sg_read(cmd, &id, 2);
	vid = le16toh(id);
	if (vid >= 4096)
		return -EINVAL;
	if (add)
		f->vlans[vid / 64] |= 1ull << vid % 64;
	else
		f->vlans[vid / 64] &= ~(1ull << vid % 64);
	return 0;
}

static bool listed(const struct vd_net_macs *macs, uint64_t mac)
{
	bool found = false;

	/* All of them, without leaving early: that is a loop for vector instructions. */
	for (unsigned int i = 0; i < macs->n; i++)
		found |= macs->mac[i] == mac;
	return found;
}

bool vd_net_filter_look(const struct vd_net_filter *f, uint64_t own, const uint8_t *b, size_t len)
{
	uint64_t mac;
	uint16_t vid;

	if (f->everything)
		return true;
	if (len < ETH_HLEN)
		return false;
	if (f->vlans_only && len >= ETH_HLEN + 4 && b[12] == ETH_P_8021Q >> 8 &&
	    b[13] == (ETH_P_8021Q & 0xff)) {
		vid = (uint16_t)((b[14] & 0xf) << 8 | b[15]);
		/* VLAN 0 is a priority, and belongs to none. */
		if (vid && !(f->vlans[vid / 64] >> vid % 64 & 1))
			return false;
	}
	mac = vd_net_mac_number(b);
	if (mac == BROADCAST)
		return !(f->modes & MODE(NOBCAST));
	if (b[0] & 1)
		return !(f->modes & MODE(NOMULTI)) &&
		       (f->modes & MODE(ALLMULTI) || f->multi.all || listed(&f->multi, mac));
	return !(f->modes & MODE(NOUNI)) &&
	       (f->modes & MODE(ALLUNI) || f->uni.all || mac == own || listed(&f->uni, mac));
}
