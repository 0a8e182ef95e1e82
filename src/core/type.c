/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * type.c - names of device types, features and status bits, in the spelling of iproute2's vdpa(8)
 *
 * iproute2 names the features of network devices only, and writes "bit_N" for the others. Here
 * every type that has a parent has names, made by the same rule: the specification's, without
 * VIRTIO_ and the type.
 */
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <uvdpa/uvdpa.h>

#include "base/util.h"

static const struct {
	const char *type, *class;	/* class NULL: the same */
} types[] = {
	[VIRTIO_ID_NET] = { "network", "net" },
	[VIRTIO_ID_BLOCK] = { "block", NULL },
	[VIRTIO_ID_CONSOLE] = { "console", NULL },
	[VIRTIO_ID_RNG] = { "rng", NULL },
	[VIRTIO_ID_BALLOON] = { "balloon", NULL },
	[VIRTIO_ID_SCSI] = { "scsi", NULL },
	[VIRTIO_ID_9P] = { "9p", NULL },
	[VIRTIO_ID_GPU] = { "gpu", NULL },
	[VIRTIO_ID_INPUT] = { "input", NULL },
	[VIRTIO_ID_VSOCK] = { "vsock", NULL },
	[VIRTIO_ID_CRYPTO] = { "crypto", NULL },
	[VIRTIO_ID_IOMMU] = { "iommu", NULL },
	[VIRTIO_ID_SOUND] = { "sound", NULL },
	[VIRTIO_ID_FS] = { "fs", NULL },
	[VIRTIO_ID_PMEM] = { "pmem", NULL },
	[VIRTIO_ID_I2C_ADAPTER] = { "i2c", NULL },
	[VIRTIO_ID_GPIO] = { "gpio", NULL },
};

static const char *const common[64] = {
	[VIRTIO_F_NOTIFY_ON_EMPTY] = "NOTIFY_ON_EMPTY",
	[VIRTIO_F_ANY_LAYOUT] = "ANY_LAYOUT",
	[VIRTIO_RING_F_INDIRECT_DESC] = "RING_INDIRECT_DESC",
	[VIRTIO_RING_F_EVENT_IDX] = "RING_EVENT_IDX",
	[VIRTIO_F_VERSION_1] = "VERSION_1",
	[VIRTIO_F_ACCESS_PLATFORM] = "ACCESS_PLATFORM",
	[VIRTIO_F_RING_PACKED] = "RING_PACKED",
	[VIRTIO_F_IN_ORDER] = "IN_ORDER",
	[VIRTIO_F_ORDER_PLATFORM] = "ORDER_PLATFORM",
	[VIRTIO_F_SR_IOV] = "SR_IOV",
	[38 /* VIRTIO_F_NOTIFICATION_DATA */] = "NOTIFICATION_DATA",
	[39 /* VIRTIO_F_NOTIF_CONFIG_DATA */] = "NOTIF_CONFIG_DATA",
	[VIRTIO_F_RING_RESET] = "RING_RESET",
	[41 /* VIRTIO_F_ADMIN_VQ */] = "ADMIN_VQ",
};

static const char *const net[64] = {
	[VIRTIO_NET_F_CSUM] = "CSUM",
	[VIRTIO_NET_F_GUEST_CSUM] = "GUEST_CSUM",
	[VIRTIO_NET_F_CTRL_GUEST_OFFLOADS] = "CTRL_GUEST_OFFLOADS",
	[VIRTIO_NET_F_MTU] = "MTU",
	[VIRTIO_NET_F_MAC] = "MAC",
	[VIRTIO_NET_F_GSO] = "GSO",
	[VIRTIO_NET_F_GUEST_TSO4] = "GUEST_TSO4",
	[VIRTIO_NET_F_GUEST_TSO6] = "GUEST_TSO6",
	[VIRTIO_NET_F_GUEST_ECN] = "GUEST_ECN",
	[VIRTIO_NET_F_GUEST_UFO] = "GUEST_UFO",
	[VIRTIO_NET_F_HOST_TSO4] = "HOST_TSO4",
	[VIRTIO_NET_F_HOST_TSO6] = "HOST_TSO6",
	[VIRTIO_NET_F_HOST_ECN] = "HOST_ECN",
	[VIRTIO_NET_F_HOST_UFO] = "HOST_UFO",
	[VIRTIO_NET_F_MRG_RXBUF] = "MRG_RXBUF",
	[VIRTIO_NET_F_STATUS] = "STATUS",
	[VIRTIO_NET_F_CTRL_VQ] = "CTRL_VQ",
	[VIRTIO_NET_F_CTRL_RX] = "CTRL_RX",
	[VIRTIO_NET_F_CTRL_VLAN] = "CTRL_VLAN",
	[VIRTIO_NET_F_CTRL_RX_EXTRA] = "CTRL_RX_EXTRA",
	[VIRTIO_NET_F_GUEST_ANNOUNCE] = "GUEST_ANNOUNCE",
	[VIRTIO_NET_F_MQ] = "MQ",
	[VIRTIO_NET_F_CTRL_MAC_ADDR] = "CTRL_MAC_ADDR",
	[VIRTIO_NET_F_NOTF_COAL] = "NOTF_COAL",
	[54 /* VIRTIO_NET_F_GUEST_USO4 */] = "GUEST_USO4",
	[55 /* VIRTIO_NET_F_GUEST_USO6 */] = "GUEST_USO6",
	[56 /* VIRTIO_NET_F_HOST_USO */] = "HOST_USO",
	[VIRTIO_NET_F_HASH_REPORT] = "HASH_REPORT",
	[59 /* VIRTIO_NET_F_GUEST_HDRLEN */] = "GUEST_HDRLEN",
	[VIRTIO_NET_F_RSS] = "RSS",
	[VIRTIO_NET_F_RSC_EXT] = "RSC_EXT",
	[VIRTIO_NET_F_STANDBY] = "STANDBY",
	[VIRTIO_NET_F_SPEED_DUPLEX] = "SPEED_DUPLEX",
};

static const char *const block[64] = {
	[VIRTIO_BLK_F_BARRIER] = "BARRIER",
	[VIRTIO_BLK_F_SIZE_MAX] = "SIZE_MAX",
	[VIRTIO_BLK_F_SEG_MAX] = "SEG_MAX",
	[VIRTIO_BLK_F_GEOMETRY] = "GEOMETRY",
	[VIRTIO_BLK_F_RO] = "RO",
	[VIRTIO_BLK_F_BLK_SIZE] = "BLK_SIZE",
	[VIRTIO_BLK_F_SCSI] = "SCSI",
	[VIRTIO_BLK_F_FLUSH] = "FLUSH",
	[VIRTIO_BLK_F_TOPOLOGY] = "TOPOLOGY",
	[VIRTIO_BLK_F_CONFIG_WCE] = "CONFIG_WCE",
	[VIRTIO_BLK_F_MQ] = "MQ",
	[VIRTIO_BLK_F_DISCARD] = "DISCARD",
	[VIRTIO_BLK_F_WRITE_ZEROES] = "WRITE_ZEROES",
	[15 /* VIRTIO_BLK_F_LIFETIME */] = "LIFETIME",
	[VIRTIO_BLK_F_SECURE_ERASE] = "SECURE_ERASE",
	[17 /* VIRTIO_BLK_F_ZONED */] = "ZONED",
};

static const char *const console[64] = {
	[VIRTIO_CONSOLE_F_SIZE] = "SIZE",
	[VIRTIO_CONSOLE_F_MULTIPORT] = "MULTIPORT",
	[VIRTIO_CONSOLE_F_EMERG_WRITE] = "EMERG_WRITE",
};

const char *uvdpa_type_name(uint32_t device_id)
{
	return device_id < VD_ARRAY_SIZE(types) ? types[device_id].type : NULL;
}

const char *uvdpa_class_name(uint32_t device_id)
{
	if (device_id >= VD_ARRAY_SIZE(types))
		return NULL;
	return types[device_id].class ? types[device_id].class : types[device_id].type;
}

const char *uvdpa_feature_name(uint32_t device_id, unsigned int bit)
{
	const char *const *own = NULL;

	if (bit >= 64)
		return NULL;
	switch (device_id) {
	case VIRTIO_ID_NET:
		own = net;
		break;
	case VIRTIO_ID_BLOCK:
		own = block;
		break;
	case VIRTIO_ID_CONSOLE:
		own = console;
		break;
	}
	return own && own[bit] ? own[bit] : common[bit];
}

const char *uvdpa_status_name(uint8_t status, unsigned int n)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} bits[] = {
		{ VIRTIO_CONFIG_S_ACKNOWLEDGE, "ACKNOWLEDGE" },
		{ VIRTIO_CONFIG_S_DRIVER, "DRIVER" },
		{ VIRTIO_CONFIG_S_FEATURES_OK, "FEATURES_OK" },
		{ VIRTIO_CONFIG_S_DRIVER_OK, "DRIVER_OK" },
		{ VIRTIO_CONFIG_S_NEEDS_RESET, "NEEDS_RESET" },
		{ VIRTIO_CONFIG_S_FAILED, "FAILED" },
	};

	for (unsigned int i = 0; i < VD_ARRAY_SIZE(bits); i++)
		if (status & bits[i].bit && !n--)
			return bits[i].name;
	return NULL;
}
