/* SPDX-License-Identifier: BSD-2-Clause */
/* fifo.h - the devices of a FIFO */
#ifndef VD_PARENT_FIFO_H
#define VD_PARENT_FIFO_H

#include "parent/fifo-link.h"
#include "softdev/console.h"
#include "softdev/net-gro.h"
#include "softdev/net-gso.h"
#include "softdev/net.h"

struct vd_fifo_conf {
	unsigned int type, role;
	char *link, *mode;
	uint64_t reconnect_ms, words;
	char *mac;
	uint64_t mtu, queue_size, poll_us, speed;
};

struct vd_fifo_net {
	struct vd_net net;
	struct vd_fifo_port port;
	unsigned int
		skip; /* segments of the next frame that were sent; the worker's, as what follows */
	struct vd_net_gso gso;
};

struct vd_fifo_console {
	struct vd_console con;
	struct vd_fifo_port port;
	uint64_t dropped; /* bytes of the driver, because nobody takes them */
};

/* Make one at a link, of which it has a reference then. Return: 0; -errno with a sentence. Control
 * thread. */
int vd_fifo_net_add(struct uvdpa *u, struct vd_fifo_link *l, const char *name,
		    const struct vd_fifo_conf *c, struct uvdpa_dev **ret_dev);
int vd_fifo_console_add(struct uvdpa *u, struct vd_fifo_link *l, const char *name,
			const struct vd_fifo_conf *c, struct uvdpa_dev **ret_dev);

#endif
