/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-socket-peer.c - who is at the other end: connect, listen, notice, come back
 *
 *	stream, listen=on	listen -> accept -> the end -> accept the next
 *	stream			connect -> the end -> wait -> connect
 *	dgram			connect -> wait -> connect: one socket, to whoever has the path
 *
 * The driver sees the link go down and up with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "parent/net-socket.h"

#define BACKLOG 1

static struct vd_loop *loop(const struct vd_nsock *s)
{
	return vd_ctx_loop(s->u);
}

static bool is_stream(const struct vd_nsock *s)
{
	return s->wire == &vd_nsock_stream;
}

/* Nobody is there for now, and somebody may come. */
static bool may_come(const struct vd_nsock *s, int err)
{
	/* A socket of datagrams that still is connected to who was here before does not permit it. */
	if (err == -EPERM && is_stream(s))
		return false;
	return s->conf->reconnect_ms && (err == -ENOENT || err == -ECONNREFUSED || err == -EAGAIN ||
					 err == -EPERM);
}

static void look_again(struct vd_nsock *s)
{
	if (s->conf->reconnect_ms)
		vd_timer_set(loop(s), &s->again, s->conf->reconnect_ms);
}

static void set_up(struct vd_nsock *s, bool up)
{
	if (up && !s->up)
		s->connections++;
	s->up = up;
	vd_net_set_carrier(&s->net, up);
}

/* ---- streams ------------------------------------------------------------ */

/* The worker gets the connection s->fd. Return: 0; -errno with a sentence. */
static int hand_over(struct vd_nsock *s)
{
	int r, fd = vd_dup(s->fd);

	if (fd < 0)
		return fd;
	r = vd_fd_add(loop(s), &s->peer_fd, s->fd, EPOLLRDHUP);
	if (r) {
		close(fd);
		return r;
	}
	fd = __atomic_exchange_n(&s->next, fd, __ATOMIC_ACQ_REL);
	if (fd >= 0)	/* nobody has asked for the former */
		close(fd);
	return 0;
}

/* What an attempt came to, for which nobody waits. */
static void warn(struct vd_nsock *s, const char *text)
{
	unsigned int missed;

	if (vd_ratelimit_ok(&s->rl, &missed))
		vd_log_warn(vd_ctx_log(s->u), s->net.sd.name, "%s", text);
}

static void connected(struct vd_nsock *s, int fd)
{
	s->fd = fd;
	if (hand_over(s)) {
		warn(s, vd_err_text());
		vd_close(&s->fd);
		look_again(s);
	} else {
		vd_net_wake(vd_nsock_pair(s));
		set_up(s, true);
	}
}

static void peer_event(struct vd_fd *f, uint32_t events)
{
	struct vd_nsock *s = container_of(f, struct vd_nsock, peer_fd);
	uint64_t nonsense = __atomic_exchange_n(&s->nonsense, 0, __ATOMIC_ACQUIRE);

	(void)events;
	if (nonsense) {
		vd_err(-EPROTO, "%s: a frame of %u bytes, not 1 to %u: connection ended",
		       s->conf->path, (uint32_t)nonsense, VD_NET_FRAME_MAX);
		warn(s, vd_err_text());
	}
	vd_fd_del(f);
	vd_close(&s->fd);
	set_up(s, false);
	if (s->own.fd >= 0)
		vd_fd_mod(&s->own_fd, EPOLLIN);
	else
		look_again(s);
}

/* One at a time; the next waits in the queue of the socket. */
static void own_event(struct vd_fd *f, uint32_t events)
{
	struct vd_nsock *s = container_of(f, struct vd_nsock, own_fd);
	int fd = accept4(s->own.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0) {
		vd_fd_mod(f, 0);
		connected(s, fd);
	} else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
		vd_err(-errno, "%s: accept: %m", s->conf->path);
		warn(s, vd_err_text());
		vd_fd_mod(f, 0);	/* no descriptors, say: after a while */
		vd_timer_set(loop(s), &s->again, 1000);
	}
}

/* ---- datagrams ------------------------------------------------------------ */

/* Return: 0; -errno with a sentence. */
static int dgram_connect(struct vd_nsock *s)
{
	struct sockaddr_un sa;
	int r = vd_unix_address(s->conf->remote, &sa);

	if (!r && connect(s->own.fd, (struct sockaddr *)&sa, sizeof(sa)))
		r = vd_err(-errno, "connect to %s: %m", s->conf->remote);
	return r;
}

/* ---- both ------------------------------------------------------------ */

static void timer_fired(struct vd_timer *t)
{
	struct vd_nsock *s = container_of(t, struct vd_nsock, again);

	if (!is_stream(s)) {
		set_up(s, !dgram_connect(s));
		look_again(s);
	} else if (s->own.fd >= 0) {
		vd_fd_mod(&s->own_fd, EPOLLIN);
	} else {
		int fd = vd_unix_connect(s->conf->path, SOCK_NONBLOCK);

		if (fd >= 0)
			connected(s, fd);
		else
			look_again(s);
	}
}

static int open_dgram(struct vd_nsock *s, mode_t mode)
{
	int r = vd_unix_bind(&s->own, s->conf->local, mode);

	if (r)
		return r;
	s->next = vd_dup(s->own.fd);
	if (s->next < 0)
		return s->next;
	r = dgram_connect(s);
	if (r && !may_come(s, r))
		return r;
	s->up = !r;
	look_again(s);
	return 0;
}

static int open_stream(struct vd_nsock *s, mode_t mode)
{
	const struct vd_nsock_conf *c = s->conf;
	int r, fd;

	if (c->listen) {
		r = vd_unix_listen(&s->own, c->path, mode, BACKLOG);
		return r ? r : vd_fd_add(loop(s), &s->own_fd, s->own.fd, EPOLLIN);
	}
	fd = vd_unix_connect(c->path, SOCK_NONBLOCK);
	if (fd < 0 && !may_come(s, fd))
		return fd;
	if (fd < 0) {
		look_again(s);
		return 0;
	}
	s->fd = fd;
	s->up = true;
	return hand_over(s);
}

int vd_nsock_open(struct vd_nsock *s)
{
	mode_t mode;
	int r = vd_unix_mode(s->conf->mode, &mode);

	s->again.fn = timer_fired;
	s->own_fd.fn = own_event;
	s->peer_fd.fn = peer_event;
	if (!r)
		r = is_stream(s) ? open_stream(s, mode) : open_dgram(s, mode);
	s->connections = s->up;
	return r;
}

void vd_nsock_close(struct vd_nsock *s)
{
	vd_timer_del(loop(s), &s->again);
	vd_fd_del(&s->own_fd);
	vd_fd_del(&s->peer_fd);
	vd_close(&s->fd);
	vd_close(&s->next);
	vd_close(&s->conn);
	vd_unix_close(&s->own);
}
