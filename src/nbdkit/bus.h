/* SPDX-License-Identifier: BSD-2-Clause */
/* bus.h - the context, its control thread, and the one device in it */
#ifndef VD_NBDKIT_BUS_H
#define VD_NBDKIT_BUS_H

#include "nbdkit/lane.h"

#define LANES_MAX 16u	/* queues of the device that are used */

/**
 * struct bus - Zero it, set what shall be made
 * @mgmtdev: name of the parent
 * @attrs: its options
 * @reconnect: requests wait for a back-end that went, instead of failing
 */
struct bus {
	const char *mgmtdev;
	struct uvdpa_attr *attrs;
	unsigned int nattrs;
	bool reconnect;

	/* From bus_start() on. */
	struct uvdpa_blk *blk;
	const struct uvdpa_blk_info *info;
	struct lane *lanes;	/* one for each queue */
	unsigned int nlanes;

	struct uvdpa *u;
	struct uvdpa_dev *dev;
	struct uvdpa_watch watch;
	pthread_t thread;
	bool started, stop;
	int stop_fd, wake_fd;
	pthread_mutex_t lock;	/* protects ready and err, for the one that starts */
	pthread_cond_t cond;
	bool ready;
	int err;
	char error[512];
};

/**
 * bus_start() - Start the control thread, and wait until the disk is open
 *
 * Return: 0; -errno, and bus->error says why. Ended by bus_stop() in any case.
 */
int bus_start(struct bus *bus);

/* No thread may be in a lane. */
void bus_stop(struct bus *bus);

#endif
