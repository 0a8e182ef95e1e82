/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/accept.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"

#define AGAIN_MS 500

/* Who has gone meanwhile, or whose network has, is of no interest: accept(2). */
static bool is_theirs(int err)
{
	switch (err) {
	case EAGAIN:
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
		return true;
	}
	return false;
}

static void look(struct vd_accept *a);

static void look_again(struct vd_timer *t)
{
	look(container_of(t, struct vd_accept, again));
}

static void look_away(struct vd_accept *a, const char *why)
{
	if (!a->failed)
		vd_log_warn(a->log, a->who, "%s: accept: %s; who comes waits", a->where, why);
	a->failed = true;
	vd_fd_del(&a->fd);
	a->again.fn = look_again;
	vd_timer_set(a->loop, &a->again, AGAIN_MS);
}

static void on_ready(struct vd_fd *f, uint32_t events)
{
	struct vd_accept *a = container_of(f, struct vd_accept, fd);
	int fd = accept4(a->listen, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0) {
		if (!is_theirs(errno))
			look_away(a, strerror(errno));
		return;
	}
	a->failed = false;
	a->came(a, fd);
}

static void look(struct vd_accept *a)
{
	a->fd.fn = on_ready;
	if (vd_fd_add(a->loop, &a->fd, a->listen, EPOLLIN))
		look_away(a, vd_err_text());
}

void vd_accept_start(struct vd_accept *a, struct vd_loop *loop, int listen)
{
	if (a->loop)
		return;
	a->loop = loop;
	a->listen = listen;
	look(a);
}

void vd_accept_stop(struct vd_accept *a)
{
	if (!a->loop)
		return;
	vd_fd_del(&a->fd);
	vd_timer_del(a->loop, &a->again);
	a->loop = NULL;
}
