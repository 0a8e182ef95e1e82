/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio.c - matching devices and drivers, and what all drivers do first (virtio 1.3, 3.1.1) */
#include "virtio/virtio.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_config.h>

#include "base/err.h"
#include "base/util.h"

#define CONFIG_READS_MAX 100	/* a device that changes faster than that is broken */

static const struct vd_virtio_driver *const drivers[] = {
	&vd_virtio_blk_driver,
	&vd_virtio_net_driver,
	&vd_virtio_console_driver,
	&vd_virtio_rng_driver,
};

const struct vd_virtio_driver *vd_virtio_driver_of(uint32_t device_id)
{
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(drivers); i++)
		if (drivers[i]->device_id == device_id)
			return drivers[i];
	return NULL;
}

int vd_virtio_bind(struct vd_virtio_dev *vdev, const struct vd_virtio_conf *conf)
{
	const struct vd_virtio_driver *d = vd_virtio_driver_of(vdev->device_id);
	struct vd_virtio_bound *b;
	int r;

	assert(!vdev->bound);
	if (!d)
		return vd_err(-EOPNOTSUPP, "%s: no virtio driver for device type %" PRIu32,
			      vdev->name, vdev->device_id);
	r = d->probe(vdev, conf, &b);
	if (r)
		return r;
	assert(b->vdev == vdev);
	b->driver = d;
	vdev->bound = b;
	return 0;
}

void vd_virtio_unbind(struct vd_virtio_dev *vdev)
{
	struct vd_virtio_bound *b = vdev->bound;

	vdev->bound = NULL;
	b->driver->remove(b);
}

static int add_status(struct vd_virtio_dev *vdev, uint8_t bits)
{
	return vdev->config->set_status(vdev, vdev->config->status(vdev) | bits);
}

int vd_virtio_begin(struct vd_virtio_dev *vdev, uint64_t wanted)
{
	uint64_t features = vdev->offered & (wanted | 1ull << VIRTIO_F_VERSION_1);
	int r;

	if (!(features >> VIRTIO_F_VERSION_1 & 1))
		return vd_err(-EOPNOTSUPP, "%s: a legacy device, without VERSION_1", vdev->name);
	r = add_status(vdev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	if (!r)
		r = add_status(vdev, VIRTIO_CONFIG_S_DRIVER);
	if (!r)
		r = vdev->config->set_features(vdev, features);
	if (!r)
		r = add_status(vdev, VIRTIO_CONFIG_S_FEATURES_OK);
	if (r)
		return r;
	/* The device says no by not keeping the bit (virtio 1.3, 3.1.1, step 6). */
	if (!(vdev->config->status(vdev) & VIRTIO_CONFIG_S_FEATURES_OK))
		return vd_err(-EOPNOTSUPP, "%s: refuses features 0x%" PRIx64, vdev->name, features);
	vdev->features = features;
	return 0;
}

int vd_virtio_go(struct vd_virtio_dev *vdev)
{
	return add_status(vdev, VIRTIO_CONFIG_S_DRIVER_OK);
}

int vd_virtio_get_config(struct vd_virtio_dev *vdev, uint32_t off, void *buf, uint32_t len)
{
	for (int i = 0; i < CONFIG_READS_MAX; i++) {
		uint32_t generation = vdev->config->generation(vdev);
		int r = vdev->config->get_config(vdev, off, buf, len);

		if (r)
			return r;
		if (vdev->config->generation(vdev) == generation)
			return 0;
	}
	return vd_err(-EAGAIN, "%s: its configuration space changes all the time", vdev->name);
}
