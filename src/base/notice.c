/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/notice.h"

#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/err.h"

static void tell(struct vd_loop *loop, const struct inotify_event *ev)
{
	struct vd_notice *n, *next;

	vd_list_for_each_safe(n, next, &loop->notices, node) {
		if ((n->wd == ev->wd && ev->mask & n->mask) || ev->mask & IN_Q_OVERFLOW)
			n->fn(n);
	}
}

static void events(struct vd_fd *f, uint32_t what)
{
	struct vd_loop *loop = f->loop;
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t len = read(f->fd, buf, sizeof(buf));

	(void)what;
	/* The kernel gives whole events only. */
	for (ssize_t off = 0; off < len;) {
		const struct inotify_event *ev = (const void *)(buf + off);

		tell(loop, ev);
		off += (ssize_t)(sizeof(*ev) + ev->len);
	}
}

static int begin(struct vd_loop *loop)
{
	int r, fd;

	if (loop->notice_fd.loop)
		return 0;
	fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0)
		return vd_err(-errno, "inotify: %m");
	vd_list_init(&loop->notices);
	loop->notice_fd.fn = events;
	r = vd_fd_add(loop, &loop->notice_fd, fd, EPOLLIN);
	if (r)
		close(fd);
	return r;
}

static void end_if_unused(struct vd_loop *loop)
{
	int fd = loop->notice_fd.fd;

	if (!vd_list_empty(&loop->notices))
		return;
	vd_fd_del(&loop->notice_fd);
	close(fd);
}

int vd_notice_add(struct vd_loop *loop, struct vd_notice *n, int fd, uint32_t mask)
{
	char path[32];
	int r = begin(loop);

	if (r)
		return r;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n->wd = inotify_add_watch(loop->notice_fd.fd, path, mask | IN_MASK_ADD);
	if (n->wd < 0) {
		r = vd_err(-errno, "watch descriptor %d for changes: %m", fd);
		end_if_unused(loop);
		return r;
	}
	n->loop = loop;
	n->mask = mask;
	vd_list_add(&loop->notices, &n->node);
	return 0;
}

void vd_notice_del(struct vd_notice *n)
{
	struct vd_loop *loop = n->loop;
	struct vd_notice *other;

	if (!loop)
		return;
	n->loop = NULL;
	vd_list_del(&n->node);
	vd_list_for_each(other, &loop->notices, node) {
		if (other->wd == n->wd)
			return;
	}
	inotify_rm_watch(loop->notice_fd.fd, n->wd);
	end_if_unused(loop);
}
