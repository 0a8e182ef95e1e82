/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fifo.c - the other end of a FIFO with a console: its messages, there and back, as plain bytes
 *
 *	device ==== messages ==== wire | raw ---- far ---- test
 *
 * A thread for each way, so that neither waits for the other.
 */
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
#include "parent/fifo-msg.h"

#define ROOM  (128u << 10)
#define CHUNK 1000u /* bytes of a message */

struct cf_fifo {
	pthread_t out, in;
	pthread_barrier_t up; /* the wire is there, or will not be */
	struct vd_unix own;
	char path[96], link[96];
	int wire, raw, far;
	int stop[2];
	uint8_t buf[ROOM];
};

/* Return: false: the end of the test. */
static bool wait_fd(const struct cf_fifo *x, int fd, short events)
{
	struct pollfd p[] = { { .fd = fd, .events = events },
			      { .fd = x->stop[0], .events = POLLIN } };

	return poll(p, 2, -1) > 0 && !p[1].revents;
}

/* Return: false: likewise, or of the other side. */
static bool give(const struct cf_fifo *x, int fd, const uint8_t *b, size_t len)
{
	while (len) {
		ssize_t r = send(fd, b, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (r < 0 && (errno != EAGAIN || !wait_fd(x, fd, POLLOUT)))
			return false;
		b += r > 0 ? r : 0;
		len -= r > 0 ? (size_t)r : 0;
	}
	return true;
}

/* Return: bytes; 0: likewise. */
static size_t take(const struct cf_fifo *x, int fd, uint8_t *b, size_t room)
{
	ssize_t r = -1;

	while (r < 0 && wait_fd(x, fd, POLLIN)) {
		r = recv(fd, b, room, MSG_DONTWAIT);
		if (r < 0 && errno != EAGAIN)
			return 0;
	}
	return r > 0 ? (size_t)r : 0;
}

static void *out_main(void *arg)
{
	struct cf_fifo *x = arg;
	struct vd_fifo_decoder d;
	size_t len = 0, n;

	if (wait_fd(x, x->own.fd, POLLIN))
		x->wire = accept4(x->own.fd, NULL, NULL, SOCK_CLOEXEC);
	pthread_barrier_wait(&x->up);
	vd_fifo_decoder_init(&d, 1500, false);
	while (x->wire >= 0 && (n = take(x, x->wire, x->buf + len, ROOM - len))) {
		struct vd_fifo_event ev;
		size_t at = 0, used;

		len += n;
		do {
			ev = vd_fifo_decode(&d, x->buf + at, len - at, &used);
			at += used;
			if (ev.kind == VD_FIFO_TEXT && !give(x, x->raw, ev.data, ev.len))
				return NULL;
		} while (ev.kind != VD_FIFO_MORE);
		memmove(x->buf, x->buf + at, len -= at);
	}
	return NULL;
}

static void *in_main(void *arg)
{
	struct cf_fifo *x = arg;
	uint8_t m[VD_FIFO_WORD + CHUNK + VD_FIFO_WORD] = { 0 };
	size_t n;

	pthread_barrier_wait(&x->up);
	while (x->wire >= 0 && (n = take(x, x->raw, m + VD_FIFO_WORD, CHUNK))) {
		vd_fifo_header(m, VD_FIFO_CONSOLE, (uint16_t)n, NULL);
		if (!give(x, x->wire, m, vd_fifo_size(n)))
			break;
	}
	return NULL;
}

void cf_fifo_open(struct cf_fixture *f)
{
	struct cf_fifo *x = calloc(1, sizeof(*x));
	int pair[2];

	cf_check(x);
	f->fifo = x;
	x->wire = -1;
	snprintf(x->path, sizeof(x->path), "%s/link", f->dir);
	snprintf(x->link, sizeof(x->link), "unix:%s/link", f->dir);
	cf_is(vd_unix_listen(&x->own, x->path, 0600, 4), 0);
	cf_is(pipe2(x->stop, O_CLOEXEC), 0);
	cf_is(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	x->raw = pair[0];
	x->far = pair[1];
	pthread_barrier_init(&x->up, NULL, 2);
	cf_is(pthread_create(&x->out, NULL, out_main, x), 0);
	cf_is(pthread_create(&x->in, NULL, in_main, x), 0);
	cf_attr(f, "type", "console");
	cf_attr(f, "link", x->link);
	cf_attr(f, "role", "host");
}

void cf_fifo_close(struct cf_fixture *f)
{
	struct cf_fifo *x = f->fifo;

	if (!x)
		return;
	close(x->stop[1]);
	pthread_join(x->out, NULL);
	pthread_join(x->in, NULL);
	close(x->stop[0]);
	pthread_barrier_destroy(&x->up);
	vd_close(&x->wire);
	vd_close(&x->raw);
	vd_close(&x->far);
	vd_unix_close(&x->own);
	free(x);
	f->fifo = NULL;
}

static int fifo_connect(struct cf_fixture *f, unsigned int port)
{
	(void)port;
	return vd_dup(f->fifo->far);
}

/* What the console has no room for must not stop the frames behind it, and is dropped. */
const struct cf_far cf_fifo_far = { .connect = fifo_connect, .ports = 1, .room = 16384 };
