/* SPDX-License-Identifier: BSD-2-Clause */
/* console-uapi.h - <linux/virtio_console.h>, with what it does not have */
#ifndef VD_VIRTQ_CONSOLE_UAPI_H
#define VD_VIRTQ_CONSOLE_UAPI_H

#include <assert.h>
#include <linux/virtio_console.h>

/*
 * What follows the header of VIRTIO_CONSOLE_RESIZE. The specification has the columns first (virtio
 * 1.3, 5.3.6.2), and Linux the rows, from the first day on. It was the other way round in
 * Linux 6.15 and 6.16 and in some stable releases, until that was taken back for the sake of all
 * devices there are. Nothing in a message tells which it is; this is what most drivers take it for.
 */
struct vd_console_resize {
	__le16 rows;
	__le16 cols;
};

static_assert(sizeof(struct virtio_console_config) == 12, "virtio 1.3, 5.3.4");
static_assert(sizeof(struct virtio_console_control) == 8, "virtio 1.3, 5.3.6.2");
static_assert(sizeof(struct vd_console_resize) == 4, "virtio 1.3, 5.3.6.2");

#endif
