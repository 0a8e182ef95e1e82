/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio.h - the in-process virtio bus: devices of any transport, and drivers for their types
 *
 *	transport (driver/virtio.c, a test)		virtio driver (blk.c, ...)
 *	-----------------------------------		--------------------------
 *	fills in struct vd_virtio_dev
 *	vd_virtio_bind() ------------------------->	probe: negotiate, set up queues, DRIVER_OK
 *	  config ops  <----------------------------	  vd_virtio_begin(), ->set_vq(), ...
 *	vd_virtio_quiesce() ---------------------->	quiesce: take no more work
 *	  ->quiesced  <----------------------------
 *	resets the device; vd_virtio_unbind() ---->	remove: the device touches nothing any more
 *
 * Nothing here knows what a vDPA device is. All calls: control thread.
 */
#ifndef VD_VIRTIO_VIRTIO_H
#define VD_VIRTIO_VIRTIO_H

#include <uvdpa/parent.h>

#include "base/log.h"
#include "base/loop.h"

struct vd_virtio_dev;
struct vd_virtio_bound;

/**
 * struct vd_virtio_config_ops - What a transport does for a virtio driver; no slot is NULL
 *
 * Every one that returns int: 0 or -errno with a sentence.
 */
struct vd_virtio_config_ops {
	/* The status byte (virtio 1.3, 2.1). Bits are only added; see reset. */
	uint8_t (*status)(struct vd_virtio_dev *vdev);
	int (*set_status)(struct vd_virtio_dev *vdev, uint8_t status);

	/* The driver's choice among vdev->offered. */
	int (*set_features)(struct vd_virtio_dev *vdev, uint64_t features);

	/* Counts on with each change of the configuration space (virtio 1.3, 2.5). */
	uint32_t (*generation)(struct vd_virtio_dev *vdev);
	int (*get_config)(struct vd_virtio_dev *vdev, uint32_t off, void *buf, uint32_t len);
	int (*set_config)(struct vd_virtio_dev *vdev, uint32_t off, const void *buf,
			  uint32_t len);

	/* Let the device use memory; before DRIVER_OK only. The descriptor is duplicated, and
	 * the memory itself may go at any time: the device's side keeps its own mapping. */
	int (*map)(struct vd_virtio_dev *vdev, const struct uvdpa_map *map);

	/* A queue shall run from DRIVER_OK on; its descriptors are duplicated. */
	int (*set_vq)(struct vd_virtio_dev *vdev, unsigned int idx, const struct uvdpa_vq *vq);

	/* Stop the device and take its memory away. Ends on its own, perhaps later: until then
	 * map and set_vq are refused. */
	void (*reset)(struct vd_virtio_dev *vdev);

	/* The answer to the driver's quiesce. */
	void (*quiesced)(struct vd_virtio_dev *vdev);

	/* The driver's consumer is gone for good: unbind. Remove follows, later. */
	void (*release)(struct vd_virtio_dev *vdev);

	/* An application's operation that takes time: its begin, and its end with @err and the
	 * sentence, which is told from the loop. */
	void (*wait_begin)(struct vd_virtio_dev *vdev, struct uvdpa_wait *w);
	void (*wait_end)(struct vd_virtio_dev *vdev, struct uvdpa_wait *w, int err);
};

/**
 * struct vd_virtio_dev - A virtio device; embedded by the transport, which fills it in
 * @config: what the transport does
 * @name: for messages
 * @log: where they go
 * @loop: the control thread's
 * @device_id: its type (virtio 1.3, 5)
 * @offered: feature bits
 * @nvqs: number of queues
 * @vq_num_max: largest size of a queue
 * @iova_first: first usable I/O virtual address
 * @iova_last: last one, inclusive
 * @features: negotiated; vd_virtio_begin()'s
 * @bound: the driver that has it, or NULL; vd_virtio_bind()'s
 */
struct vd_virtio_dev {
	const struct vd_virtio_config_ops *config;
	const char *name;
	struct vd_log *log;
	struct vd_loop *loop;
	uint32_t device_id;
	uint64_t offered;
	unsigned int nvqs;
	unsigned int vq_num_max;
	uint64_t iova_first, iova_last;

	uint64_t features;
	struct vd_virtio_bound *bound;
};

/* What a user asks of a virtio driver; each takes what concerns it. */
struct vd_virtio_conf {
	char *file;		/* block: the disk as a file here; NULL: for uvdpa_blk_open() */
	char *tap;		/* network: an interface of this name; NULL: for uvdpa_net_open() */
	char *netns;		/* network: the interface's namespace, a name or a path; NULL: ours */
	char *pty;		/* console: link of its first port; NULL: none */
	char *mode;		/* console: permissions of its terminals, in octal; NULL: the default */
	uint64_t queues;	/* at most so many, or pairs of them; 0: the driver's default */
	uint64_t queue_size;	/* 0: the driver's default */
	bool packed;		/* prefer packed rings */
};

/**
 * struct vd_virtio_driver - A driver for one device type; no slot is NULL
 * @name: as Linux names it
 * @device_id: the type
 * @probe: take a device that is reset. *ret_b is embedded in the driver's state. @conf lives until
 *         remove. On failure nothing is left behind, but perhaps a reset under way.
 * @quiesce: take no more work and let what has begun come to an end, then config->quiesced();
 *           perhaps before returning. Nobody outside is waited for. The device still runs.
 * @remove: the device touches nothing any more. Whoever still uses the driver's handles gets
 *          -ENODEV from them. Frees the state. Cannot fail.
 * @changed: the configuration space or the status changed, or the device is back (a kick may
 *           have been lost)
 * @describe: how to attach
 */
struct vd_virtio_driver {
	const char *name;
	uint32_t device_id;
	int (*probe)(struct vd_virtio_dev *vdev, const struct vd_virtio_conf *conf,
		     struct vd_virtio_bound **ret_b);
	void (*quiesce)(struct vd_virtio_bound *b);
	void (*remove)(struct vd_virtio_bound *b);
	void (*changed)(struct vd_virtio_bound *b, enum uvdpa_event ev);
	void (*describe)(struct vd_virtio_bound *b, struct uvdpa_emit *e);
};

/* A device in a virtio driver's hands; embedded by the driver, filled in by vd_virtio_bind(). */
struct vd_virtio_bound {
	struct vd_virtio_dev *vdev;
	const struct vd_virtio_driver *driver;
};

/* The driver of a device type, or NULL. */
const struct vd_virtio_driver *vd_virtio_driver_of(uint32_t device_id);

/**
 * vd_virtio_bind() - Give a device to the driver of its type
 * @vdev: reset; nobody has it
 * @conf: lives until vd_virtio_unbind()
 *
 * Return: 0; -EOPNOTSUPP no driver for this type; what its probe found.
 */
int vd_virtio_bind(struct vd_virtio_dev *vdev, const struct vd_virtio_conf *conf);

/* The device touches nothing any more: take it from its driver. */
void vd_virtio_unbind(struct vd_virtio_dev *vdev);

/* ---- for virtio drivers ---------------------------------------------------------------------- */

/**
 * vd_virtio_begin() - Steps 2 to 6 of virtio 1.3, 3.1.1: up to FEATURES_OK
 * @wanted: what the driver can use; VERSION_1 is always required
 *
 * Return: 0, vdev->features is what both have; -EOPNOTSUPP a legacy device, or it refused.
 */
int vd_virtio_begin(struct vd_virtio_dev *vdev, uint64_t wanted);

/* Step 8: DRIVER_OK, the queues run. */
int vd_virtio_go(struct vd_virtio_dev *vdev);

/* Read the configuration space as of one moment (virtio 1.3, 2.5.3). Return: 0; -EAGAIN; ... */
int vd_virtio_get_config(struct vd_virtio_dev *vdev, uint32_t off, void *buf, uint32_t len);

static inline bool vd_virtio_has(const struct vd_virtio_dev *vdev, unsigned int bit)
{
	return vdev->features >> bit & 1;
}

/* The drivers; the table is in virtio.c. */
extern const struct vd_virtio_driver vd_virtio_blk_driver;
extern const struct vd_virtio_driver vd_virtio_net_driver;
extern const struct vd_virtio_driver vd_virtio_console_driver;
extern const struct vd_virtio_driver vd_virtio_rng_driver;

#endif
