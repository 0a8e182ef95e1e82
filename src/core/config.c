/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config.c - the configuration space in words
 *
 * A row of the table is a field: where it lies, and the feature without which it says nothing.
 * Keys are those of iproute2 and of the kernel's netlink attributes.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "core/dev.h"

#define ALWAYS 64

struct field {
	const char *key;
	unsigned int feature;
	unsigned int off, len;
};

#define FIELD(type, member, name, bit) \
	{ name, bit, offsetof(struct type, member), sizeof(((struct type *)0)->member) }
#define BLK(member, name, bit) FIELD(virtio_blk_config, member, name, bit)

static const struct field blk_fields[] = {
	BLK(capacity, "capacity", ALWAYS),
	BLK(size_max, "size_max", VIRTIO_BLK_F_SIZE_MAX),
	BLK(seg_max, "seg_max", VIRTIO_BLK_F_SEG_MAX),
	BLK(blk_size, "blk_size", VIRTIO_BLK_F_BLK_SIZE),
	BLK(num_queues, "num_queues", VIRTIO_BLK_F_MQ),
	BLK(physical_block_exp, "physical_block_exp", VIRTIO_BLK_F_TOPOLOGY),
	BLK(alignment_offset, "alignment_offset", VIRTIO_BLK_F_TOPOLOGY),
	BLK(min_io_size, "min_io_size", VIRTIO_BLK_F_TOPOLOGY),
	BLK(opt_io_size, "opt_io_size", VIRTIO_BLK_F_TOPOLOGY),
	BLK(max_discard_sectors, "max_discard_sectors", VIRTIO_BLK_F_DISCARD),
	BLK(max_discard_seg, "max_discard_seg", VIRTIO_BLK_F_DISCARD),
	BLK(discard_sector_alignment, "discard_sector_alignment", VIRTIO_BLK_F_DISCARD),
	BLK(max_write_zeroes_sectors, "max_write_zeroes_sectors", VIRTIO_BLK_F_WRITE_ZEROES),
	BLK(max_write_zeroes_seg, "max_write_zeroes_seg", VIRTIO_BLK_F_WRITE_ZEROES),
	BLK(max_secure_erase_sectors, "max_secure_erase_sectors", VIRTIO_BLK_F_SECURE_ERASE),
	BLK(max_secure_erase_seg, "max_secure_erase_seg", VIRTIO_BLK_F_SECURE_ERASE),
	BLK(secure_erase_sector_alignment, "secure_erase_sector_alignment",
	    VIRTIO_BLK_F_SECURE_ERASE),
	BLK(wce, "writeback", VIRTIO_BLK_F_CONFIG_WCE),
};

static bool offers(const struct uvdpa_dev *dev, unsigned int bit)
{
	return bit == ALWAYS || dev->info.features >> bit & 1;
}

/* Return: 0; -errno, or -ENODATA if the space is too short for it. */
static int read_field(struct uvdpa_dev *dev, const struct field *f, uint64_t *ret)
{
	uint64_t le = 0;
	int r;

	if (f->off + f->len > dev->info.config_size)
		return -ENODATA;
	r = uvdpa_dev_get_config(dev, f->off, &le, f->len);
	if (!r)
		*ret = le64toh(le);
	return r;
}

static int show_fields(struct uvdpa_dev *dev, const struct field *fields, unsigned int n,
		       struct uvdpa_emit *e)
{
	uint64_t value;
	int r;

	for (unsigned int i = 0; i < n; i++) {
		if (!offers(dev, fields[i].feature))
			continue;
		r = read_field(dev, &fields[i], &value);
		if (r && r != -ENODATA)
			return r;
		if (!r)
			e->num(e, fields[i].key, value);
	}
	return 0;
}

static void show_flag(struct uvdpa_dev *dev, unsigned int bit, const char *key,
		      struct uvdpa_emit *e)
{
	e->flag(e, key, offers(dev, bit));
}

static int show_blk(struct uvdpa_dev *dev, struct uvdpa_emit *e)
{
	int r = show_fields(dev, blk_fields, VD_ARRAY_SIZE(blk_fields), e);

	if (r)
		return r;
	show_flag(dev, VIRTIO_BLK_F_RO, "read_only", e);
	show_flag(dev, VIRTIO_BLK_F_FLUSH, "flush", e);
	return 0;
}

/* ---- network ------------------------------------------------------------------------------- */

static const struct field net_status = FIELD(virtio_net_config, status, "status",
					     VIRTIO_NET_F_STATUS);
static const struct field net_pairs = FIELD(virtio_net_config, max_virtqueue_pairs,
					    "max_vq_pairs", VIRTIO_NET_F_MQ);
static const struct field net_mtu = FIELD(virtio_net_config, mtu, "mtu", VIRTIO_NET_F_MTU);

static int show_net(struct uvdpa_dev *dev, struct uvdpa_emit *e)
{
	uint64_t status;
	uint8_t mac[6];
	char text[18];
	int r;

	if (offers(dev, VIRTIO_NET_F_MAC) && dev->info.config_size >= sizeof(mac)) {
		r = uvdpa_dev_get_config(dev, 0, mac, sizeof(mac));
		if (r)
			return r;
		snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
			 mac[2], mac[3], mac[4], mac[5]);
		e->str(e, "mac", text);
	}
	if (offers(dev, VIRTIO_NET_F_STATUS)) {
		r = read_field(dev, &net_status, &status);
		if (r && r != -ENODATA)
			return r;
		if (!r) {
			e->str(e, "link", status & VIRTIO_NET_S_LINK_UP ? "up" : "down");
			e->flag(e, "link_announce", status & VIRTIO_NET_S_ANNOUNCE);
		}
	}
	r = show_fields(dev, &net_pairs, 1, e);
	return r ? r : show_fields(dev, &net_mtu, 1, e);
}

/* ---- console ------------------------------------------------------------------------------- */

static const struct field console_fields[] = {
	FIELD(virtio_console_config, cols, "cols", VIRTIO_CONSOLE_F_SIZE),
	FIELD(virtio_console_config, rows, "rows", VIRTIO_CONSOLE_F_SIZE),
	FIELD(virtio_console_config, max_nr_ports, "max_nr_ports", VIRTIO_CONSOLE_F_MULTIPORT),
};

int uvdpa_dev_config_show(struct uvdpa_dev *dev, struct uvdpa_emit *e)
{
	switch (dev->info.device_id) {
	case VIRTIO_ID_BLOCK:
		return show_blk(dev, e);
	case VIRTIO_ID_NET:
		return show_net(dev, e);
	case VIRTIO_ID_CONSOLE:
		return show_fields(dev, console_fields, VD_ARRAY_SIZE(console_fields), e);
	case VIRTIO_ID_RNG:
		return 0;	/* it has none */
	}
	return vd_err(-EOPNOTSUPP, "%s: no words for a device of type %u", dev->core->name,
		      dev->info.device_id);
}
