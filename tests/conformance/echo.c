/* SPDX-License-Identifier: BSD-2-Clause */
/* echo.c - a socket at the other end of a network device, that gives back what it gets */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/unix.h"
#include "conformance.h"

#define ROOM (128u << 10) /* a frame, or some bytes of a stream */

struct cf_echo {
	pthread_t thread;
	struct vd_unix own;
	char own_path[96], its_path[96], link[104];
	bool stream;
	int stop[2];		/* ends with it */
	uint8_t buf[ROOM];
};

/* Return: false: the end of the test. */
static bool wait_fd(struct cf_echo *e, int fd, short events)
{
	struct pollfd p[] = { { .fd = fd, .events = events },
			      { .fd = e->stop[0], .events = POLLIN } };

	return poll(p, 2, -1) > 0 && !p[1].revents;
}

/* Return: false: likewise, or of the connection. */
static bool give_back(struct cf_echo *e, int fd, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t r = send(fd, e->buf + done, len - done, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (r >= 0)
			done += (size_t)r;
		else if (errno != EAGAIN || !wait_fd(e, fd, POLLOUT))
			return false;
	}
	return true;
}

static void serve_stream(struct cf_echo *e, int fd)
{
	ssize_t r;

	do {
		if (!wait_fd(e, fd, POLLIN))
			return;
		r = recv(fd, e->buf, ROOM, MSG_DONTWAIT);
	} while (r > 0 && give_back(e, fd, (size_t)r));
}

/* It sends to us, so its socket is there. */
static void serve_dgrams(struct cf_echo *e)
{
	struct sockaddr_un sa;
	ssize_t r;

	cf_is(vd_unix_address(e->its_path, &sa), 0);
	while (wait_fd(e, e->own.fd, POLLIN)) {
		r = recv(e->own.fd, e->buf, ROOM, MSG_DONTWAIT);
		if (r < 0 || connect(e->own.fd, (struct sockaddr *)&sa, sizeof(sa)))
			continue;
		give_back(e, e->own.fd, (size_t)r);
	}
}

static void *echo_main(void *arg)
{
	struct cf_echo *e = arg;

	if (!e->stream) {
		serve_dgrams(e);
		return NULL;
	}
	while (wait_fd(e, e->own.fd, POLLIN)) {
		int fd = accept4(e->own.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0)
			serve_stream(e, fd);
		vd_close(&fd);
	}
	return NULL;
}

static struct cf_echo *echo_start(struct cf_fixture *f, bool stream)
{
	struct cf_echo *e = calloc(1, sizeof(*e));

	cf_check(e);
	f->echo = e;
	e->stream = stream;
	snprintf(e->own_path, sizeof(e->own_path), "%s/echo", f->dir);
	snprintf(e->its_path, sizeof(e->its_path), "%s/device", f->dir);
	cf_is(stream ? vd_unix_listen(&e->own, e->own_path, 0600, 4) :
		       vd_unix_bind(&e->own, e->own_path, 0600), 0);
	cf_is(pipe2(e->stop, O_CLOEXEC), 0);
	cf_is(pthread_create(&e->thread, NULL, echo_main, e), 0);
	return e;
}

void cf_echo_open(struct cf_fixture *f, bool stream)
{
	struct cf_echo *e = echo_start(f, stream);

	cf_attr(f, "type", stream ? "stream" : "dgram");
	cf_attr(f, stream ? "path" : "remote", e->own_path);
	if (!stream)
		cf_attr(f, "local", e->its_path);
}

void cf_echo_fifo(struct cf_fixture *f)
{
	struct cf_echo *e = echo_start(f, true);

	snprintf(e->link, sizeof(e->link), "unix:%s", e->own_path);
	cf_attr(f, "type", "net");
	cf_attr(f, "link", e->link);
	cf_attr(f, "role", "host");
}

void cf_echo_close(struct cf_fixture *f)
{
	struct cf_echo *e = f->echo;

	if (!e)
		return;
	close(e->stop[1]);
	pthread_join(e->thread, NULL);
	close(e->stop[0]);
	vd_unix_close(&e->own);
	unlink(e->its_path);
	free(e);
	f->echo = NULL;
}
