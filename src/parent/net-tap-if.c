/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-tap-if.c - what is done to the net-tap parent's interface, as one job after another
 *
 *	open -> [ tell ]... -> close
 *
 * All of it waits for whoever else changes interfaces, anywhere on the host, and taking one away
 *for everybody who may still look at it. The control thread says what it wants, and hears when it
 *is so.
 */
#include "parent/net-tap.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/tun.h"

static struct vd_tap_if *to_if(struct vd_job *j)
{
	return container_of(j, struct vd_tap_if, job);
}

/* Return: 0; -errno: there is no thread to be had. */
static int start(struct vd_tap_if *dev, int (*run)(struct vd_job *j),
		 void (*done)(struct vd_job *j, int err))
{
	int r;

	dev->job.run = run;
	dev->job.done = done;
	r = vd_job_start(&dev->job, dev->u, "uvdpa/tap");
	dev->busy = !r;
	return r;
}

/* ---- close ---------------------------------------------------------------------------------- */

static int close_run(struct vd_job *j)
{
	struct vd_tap_if *dev = to_if(j);

	for (unsigned int i = 0; i < dev->nqueues; i++)
		vd_close(&dev->fds[i]);
	vd_close(&dev->nl);
	return 0;
}

static void closed(struct vd_job *j, int err)
{
	struct vd_tap_if *dev = to_if(j);

	(void)err;
	vd_tap_wish_free(dev->wish);
	free(dev->fds);
	free(dev);
}

static void start_closing(struct vd_tap_if *dev)
{
	if (start(dev, close_run, closed)) { /* then it takes what it takes */
		close_run(&dev->job);
		closed(&dev->job, 0);
	}
}

void vd_tap_close(struct vd_tap_if *dev)
{
	dev->tap = NULL;
	if (!dev->busy)
		start_closing(dev);
}

/* ---- tell ----------------------------------------------------------------------------------- */

static int tell_run(struct vd_job *j)
{
	struct vd_tap_if *dev = to_if(j);
	struct vd_tap_told *told = &dev->told;
	const struct vd_tap_told *telling = &dev->telling;
	int r = 0;

	if (telling->offloads != told->offloads &&
	    ioctl(dev->fds[0], TUNSETOFFLOAD, telling->offloads))
		r = vd_err(-errno, "interface: offloads 0x%x: %m", telling->offloads);
	told->offloads = telling->offloads;
	while (!r && told->pairs < telling->pairs) {
		r = vd_tun_attach(dev->fds[told->pairs], true);
		told->pairs += !r;
	}
	while (!r && told->pairs > telling->pairs) {
		r = vd_tun_attach(dev->fds[told->pairs - 1], false);
		told->pairs -= !r;
	}
	return r;
}

static void tell_done(struct vd_job *j, int err)
{
	struct vd_tap_if *dev = to_if(j);

	dev->busy = false;
	if (!dev->tap)
		start_closing(dev);
	else
		vd_tap_was_told(dev->tap, err);
}

void vd_tap_tell(struct vd_tap_if *dev)
{
	if (dev->busy ||
	    (dev->want.offloads == dev->told.offloads && dev->want.pairs == dev->told.pairs))
		return;
	dev->telling = dev->want;
	if (start(dev, tell_run, tell_done))
		vd_log_warn(vd_ctx_log(dev->u), NULL, "interface %s: %s", dev->name, vd_err_text());
}

/* ---- open ----------------------------------------------------------------------------------- */

static int open_run(struct vd_job *j)
{
	return vd_tap_open_run(to_if(j));
}

static void open_done(struct vd_job *j, int err)
{
	struct vd_tap_if *dev = to_if(j);

	dev->busy = false;
	if (!dev->tap)
		start_closing(dev);
	else
		vd_tap_opened(dev->tap, err);
}

int vd_tap_open(struct vd_tap *tap, struct uvdpa *u, const char *name)
{
	unsigned int n = tap->net_conf.max_vqp;
	struct vd_tap_if *dev = calloc(1, sizeof(*dev));
	int r;

	if (dev)
		dev->fds = malloc(n * sizeof(*dev->fds));
	if (!dev || !dev->fds) {
		r = vd_err(-ENOMEM, "%s: no memory", name);
		goto err_free;
	}
	for (unsigned int i = 0; i < n; i++)
		dev->fds[i] = -1;
	dev->nl = -1;
	dev->u = u;
	dev->tap = tap;
	dev->nqueues = n;
	dev->want.pairs = dev->told.pairs = 1;
	r = vd_tap_wish(tap, name, &dev->wish);
	if (!r)
		r = start(dev, open_run, open_done);
	if (r)
		goto err_free;
	tap->dev = dev;
	return 0;

err_free:
	if (dev) {
		vd_tap_wish_free(dev->wish);
		free(dev->fds);
	}
	free(dev);
	return r;
}

unsigned int vd_tap_offloads(uint64_t guest)
{
	unsigned int tun = 0;

	if (!(guest & VD_NET_F(GUEST_CSUM)))
		return 0;
	if (guest & VD_NET_F(GUEST_TSO4))
		tun |= TUN_F_TSO4;
	if (guest & VD_NET_F(GUEST_TSO6))
		tun |= TUN_F_TSO6;
	if (tun && guest & VD_NET_F(GUEST_ECN))
		tun |= TUN_F_TSO_ECN;
	if (guest & VD_NET_F(GUEST_UFO))
		tun |= TUN_F_UFO;
	/* The kernel takes both or none. */
	if (guest & VD_NET_F(GUEST_USO4) && guest & VD_NET_F(GUEST_USO6))
		tun |= TUN_F_USO4 | TUN_F_USO6;
	return tun | TUN_F_CSUM;
}
