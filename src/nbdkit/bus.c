/* SPDX-License-Identifier: BSD-2-Clause */
#include "nbdkit/bus.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <nbdkit-plugin.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/thread.h"

static void log_line(struct uvdpa_log *l, enum uvdpa_log_level level, const char *line)
{
	(void)l;
	if (level <= UVDPA_LOG_WARN)
		nbdkit_error("%s", line);
	else
		nbdkit_debug("%s", line);
}

static struct uvdpa_log log_to_nbdkit = { .line = log_line };

/* There is one device, and what it is lost to does not give it back. */
static void event(struct uvdpa_watch *w, enum uvdpa_event ev, struct uvdpa_dev *dev)
{
	struct bus *bus = container_of(w, struct bus, watch);

	(void)dev;
	if (ev != UVDPA_DEV_REMOVED && ev != UVDPA_DEV_UNBOUND &&
	    !(ev == UVDPA_DEV_LOST && !bus->reconnect))
		return;
	vd_eventfd_signal(bus->wake_fd);
	for (unsigned int i = 0; i < bus->nlanes; i++)
		lane_gone(&bus->lanes[i], -ESHUTDOWN);
}

static int turn(struct bus *bus)
{
	struct pollfd fds[] = {
		{ .fd = uvdpa_fd(bus->u), .events = POLLIN },
		{ .fd = bus->stop_fd, .events = POLLIN },
	};

	if (poll(fds, VD_ARRAY_SIZE(fds), -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[0].revents)
		uvdpa_dispatch(bus->u, 0);
	bus->stop = fds[1].revents;
	return 0;
}

static int add(struct bus *bus)
{
	struct uvdpa_dev_opts o = {
		.size = sizeof(o), .name = bus->mgmtdev, .mgmtdev = bus->mgmtdev,
		.attrs = bus->attrs, .nattrs = bus->nattrs,
	};
	struct uvdpa_wait w = { 0 };
	int r = uvdpa_create(&bus->u);

	if (r)
		return r;
	uvdpa_set_log(bus->u, &log_to_nbdkit, UVDPA_LOG_WARN);
	return uvdpa_await(bus->u, &w, uvdpa_dev_add(bus->u, &o, &bus->dev, &w));
}

static int open_disk(struct bus *bus)
{
	struct uvdpa_blk_opts o = { .size = sizeof(o) };
	unsigned int nvqs;
	int r = add(bus);

	if (r)
		return r;
	nvqs = uvdpa_dev_info(bus->dev)->nvqs;
	o.queues = nvqs < LANES_MAX ? nvqs : LANES_MAX;
	o.mem = o.queues * LANE_MEM;
	r = uvdpa_blk_open(bus->dev, &o, &bus->blk);
	if (r)
		return r;
	bus->info = uvdpa_blk_info(bus->blk);
	bus->lanes = calloc(bus->info->queues, sizeof(*bus->lanes));
	if (!bus->lanes)
		return -ENOMEM;
	while (!r && bus->nlanes < bus->info->queues) {
		r = lane_init(&bus->lanes[bus->nlanes], bus->blk, bus->nlanes, bus->wake_fd);
		bus->nlanes++;
	}
	bus->watch.event = event;
	uvdpa_watch_add(bus->u, &bus->watch);
	return r;
}

static void tell(struct bus *bus, int err)
{
	pthread_mutex_lock(&bus->lock);
	bus->err = err;
	if (err)
		snprintf(bus->error, sizeof(bus->error), "%s", uvdpa_error());
	bus->ready = true;
	pthread_cond_signal(&bus->cond);
	pthread_mutex_unlock(&bus->lock);
}

static void *bus_main(void *arg)
{
	struct bus *bus = arg;
	int r = open_disk(bus);

	tell(bus, r);
	while (!r && !bus->stop)
		r = turn(bus);
	uvdpa_blk_close(bus->blk);
	if (bus->watch.event)
		uvdpa_watch_del(&bus->watch);
	uvdpa_destroy(bus->u);
	return NULL;
}

int bus_start(struct bus *bus)
{
	int r;

	pthread_mutex_init(&bus->lock, NULL);
	pthread_cond_init(&bus->cond, NULL);
	bus->wake_fd = -1;
	r = bus->stop_fd = vd_eventfd();
	if (r >= 0)
		r = bus->wake_fd = vd_eventfd();
	if (r >= 0)
		r = vd_thread_start(&bus->thread, bus_main, bus, "uvdpa");
	if (r < 0) {
		snprintf(bus->error, sizeof(bus->error), "%s", strerror(-r));
		return r;
	}
	bus->started = true;
	pthread_mutex_lock(&bus->lock);
	while (!bus->ready)
		pthread_cond_wait(&bus->cond, &bus->lock);
	pthread_mutex_unlock(&bus->lock);
	return bus->err;
}

void bus_stop(struct bus *bus)
{
	if (!bus->started)
		return;
	vd_eventfd_signal(bus->stop_fd);
	pthread_join(bus->thread, NULL);
	for (unsigned int i = 0; i < bus->nlanes; i++)
		lane_fini(&bus->lanes[i]);
	free(bus->lanes);
	vd_close(&bus->stop_fd);
	vd_close(&bus->wake_fd);
	pthread_cond_destroy(&bus->cond);
	pthread_mutex_destroy(&bus->lock);
	bus->started = false;
}
