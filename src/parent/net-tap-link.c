/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-tap-link.c - what others do to the net-tap parent's interface
 *
 * Down or up is the link's state for the driver. An interface that was deleted is a link that stays
 * down; the device lives on. One that was moved to another namespace goes on there, but its state
 * is not heard of any more: it is taken to be up.
 */
#include "parent/net-tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/netlink.h"

/* Workers may be in the middle of a call with a descriptor: its number stays, without an interface.
 */
static void silence(struct vd_tap *tap)
{
	int fd = vd_eventfd();

	for (unsigned int i = 0; fd >= 0 && i < tap->dev->nqueues; i++)
		dup3(fd, tap->dev->fds[i], O_CLOEXEC);
	vd_close(&fd);
}

static void look(struct vd_tap *tap)
{
	struct ifreq ifr;

	if (tap->gone || !ioctl(tap->dev->fds[0], TUNGETIFF, &ifr) || errno != EBADFD)
		return;
	vd_log_warn(vd_ctx_log(tap->net.sd.u), tap->net.sd.name, "interface %s was deleted",
		    tap->dev->name);
	__atomic_store_n(&tap->gone, true, __ATOMIC_RELAXED);
	vd_net_set_carrier(&tap->net, false);
	silence(tap);
	vd_fd_del(&tap->watch);
}

static void look_posted(struct vd_post *p)
{
	look(container_of(p, struct vd_tap, look));
}

static void told(struct vd_fd *f, uint32_t events)
{
	struct vd_tap *tap = container_of(f, struct vd_tap, watch);
	struct vd_link l;
	int r;

	(void)events;
	while ((r = vd_link_event(tap->dev->nl, &l)) == RTM_NEWLINK) {
		memcpy(tap->dev->name, l.name, sizeof(tap->dev->name));
		vd_net_set_carrier(&tap->net, l.flags & IFF_UP);
	}
	if (r == RTM_DELLINK) {
		look(tap);
		/* It was set down before it was moved; what becomes of it there is not told. */
		if (!tap->gone)
			vd_net_set_carrier(&tap->net, true);
	}
	if (r == -ENOBUFS)
		vd_link_ask(tap->dev->nl, tap->dev->index);
}

int vd_tap_watch(struct vd_tap *tap)
{
	tap->watch.fn = told;
	tap->look.fn = look_posted;
	return vd_fd_add(vd_ctx_loop(tap->net.sd.u), &tap->watch, tap->dev->nl, EPOLLIN);
}
