/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/notice.h"

#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"

void vd_notices_init(struct vd_notices *ns, struct vd_loop *loop)
{
	*ns = (struct vd_notices){ .loop = loop, .fd = -1 };
	vd_list_init(&ns->all);
}

void vd_notices_fini(struct vd_notices *ns)
{
	vd_fd_del(&ns->inotify);
	vd_close(&ns->fd);
}

static void tell(struct vd_notices *ns, const struct inotify_event *ev)
{
	struct vd_notice *n, *next;

	vd_list_for_each_safe(n, next, &ns->all, node) {
		if (n->wd == ev->wd || ev->mask & IN_Q_OVERFLOW)
			n->fn(n);
	}
}

static void events(struct vd_fd *f, uint32_t what)
{
	struct vd_notices *ns = container_of(f, struct vd_notices, inotify);
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t len = read(ns->fd, buf, sizeof(buf));

	(void)what;
	/* The kernel gives whole events only. */
	for (ssize_t off = 0; off < len;) {
		const struct inotify_event *ev = (const void *)(buf + off);

		if (ev->mask & (IN_CLOSE_WRITE | IN_Q_OVERFLOW))
			tell(ns, ev);
		off += (ssize_t)(sizeof(*ev) + ev->len);
	}
}

static int begin(struct vd_notices *ns)
{
	int r;

	if (ns->fd >= 0)
		return 0;
	ns->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (ns->fd < 0)
		return vd_err(-errno, "inotify: %m");
	ns->inotify.fn = events;
	r = vd_fd_add(ns->loop, &ns->inotify, ns->fd, EPOLLIN);
	if (r)
		vd_close(&ns->fd);
	return r;
}

int vd_notice_add(struct vd_notices *ns, struct vd_notice *n, int fd)
{
	char path[32];
	int r = begin(ns);

	if (r)
		return r;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n->wd = inotify_add_watch(ns->fd, path, IN_CLOSE_WRITE);
	if (n->wd < 0)
		return vd_err(-errno, "watch descriptor %d for changes: %m", fd);
	n->in = ns;
	vd_list_add(&ns->all, &n->node);
	return 0;
}

void vd_notice_del(struct vd_notice *n)
{
	struct vd_notices *ns = n->in;
	struct vd_notice *other;

	if (!ns)
		return;
	n->in = NULL;
	vd_list_del(&n->node);
	vd_list_for_each(other, &ns->all, node) {
		if (other->wd == n->wd)
			return;
	}
	inotify_rm_watch(ns->fd, n->wd);
}
