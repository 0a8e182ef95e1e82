/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rshim-cuse.c - character devices in userspace where the kernel has none, for the rshim daemon
 *
 * Preloaded, it answers the opening of /dev/cuse with a socket and is the kernel behind it: the
 * daemon's own libfuse finds requests of the same format. Each device becomes a Unix socket,
 * $RSHIM_DEV/NAME. Who connects has opened the device: what is sent is written, what can be read
 * comes, then the end of the file, and hanging up closes. One at a time.
 *
 * Reads and writes never wait; poll tells when there is more, as to a terminal program.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define DATA_MAX 4096

struct cuse {
	int fd;              /* the daemon's requests and answers */
	uint64_t unique;     /* of the last request */
	uint64_t fh;         /* of the open file */
	bool readable;       /* until a read says otherwise; a notification sets it */
	char sent[DATA_MAX]; /* by the client, not written yet */
	size_t unwritten;
	struct {
		struct fuse_out_header h;
		char data[DATA_MAX];
	} reply;
};

/* Take one message. Return: the length of a reply's data, 0 of a notification, -1 at the end. */
static ssize_t cuse_take(struct cuse *c)
{
	ssize_t n = recv(c->fd, &c->reply, sizeof(c->reply), 0);

	if (n < (ssize_t)sizeof(c->reply.h))
		return -1;
	if (!c->reply.h.unique)
		c->readable = c->readable || c->reply.h.error == FUSE_NOTIFY_POLL;
	return n - (ssize_t)sizeof(c->reply.h);
}

/* Return: the length of the answer in c->reply.data, or -errno; -ENODEV: there is no daemon. */
static ssize_t cuse_call(struct cuse *c, uint32_t opcode, void *arg, size_t arg_len, void *data,
			 size_t data_len)
{
	struct fuse_in_header h = { .opcode = opcode, .unique = ++c->unique, .pid = 1 };
	struct iovec iov[] = { { &h, sizeof(h) }, { arg, arg_len }, { data, data_len } };
	ssize_t n;

	h.len = (uint32_t)(sizeof(h) + arg_len + data_len);
	if (writev(c->fd, iov, 3) != (ssize_t)h.len)
		return -ENODEV;
	do {
		n = cuse_take(c);
		if (n < 0)
			return -ENODEV;
	} while (c->reply.h.unique != h.unique);
	return c->reply.h.error ? c->reply.h.error : n;
}

static bool poll_in(struct cuse *c)
{
	struct fuse_poll_in in = {
		.fh = c->fh, .kh = 1, .flags = FUSE_POLL_SCHEDULE_NOTIFY, .events = POLLIN
	};
	struct fuse_poll_out out;
	ssize_t n = cuse_call(c, FUSE_POLL, &in, sizeof(in), NULL, 0);

	if (n < (ssize_t)sizeof(out))
		return true; /* a device without poll is always ready */
	memcpy(&out, c->reply.data, sizeof(out));
	return out.revents & POLLIN;
}

/* Return: false if nothing more can be brought to the client. */
static bool read_some(struct cuse *c, int client)
{
	struct fuse_read_in in = { .fh = c->fh, .size = DATA_MAX, .flags = O_RDWR | O_NONBLOCK };
	ssize_t n;

	c->readable = false;
	n = cuse_call(c, FUSE_READ, &in, sizeof(in), NULL, 0);
	if (n == -EAGAIN || n == -EINTR) {
		c->readable = c->readable || poll_in(c);
		return true;
	}
	c->readable = true;
	if (n > 0 && send(client, c->reply.data, (size_t)n, MSG_NOSIGNAL) == n)
		return true;
	shutdown(client, SHUT_WR);
	return false;
}

static bool write_some(struct cuse *c)
{
	struct fuse_write_in in = { .fh = c->fh,
				    .size = (uint32_t)c->unwritten,
				    .flags = O_RDWR | O_NONBLOCK };
	struct fuse_write_out out;
	ssize_t n = cuse_call(c, FUSE_WRITE, &in, sizeof(in), c->sent, c->unwritten);

	if (n == -EAGAIN || n == -EINTR)
		return true;
	if (n < (ssize_t)sizeof(out))
		return false;
	memcpy(&out, c->reply.data, sizeof(out));
	c->unwritten -= out.size;
	memmove(c->sent, c->sent + out.size, c->unwritten);
	return true;
}

/* From open to release. */
static void serve(struct cuse *c, int client)
{
	struct pollfd p[] = { { .fd = c->fd, .events = POLLIN }, { .events = POLLIN } };
	struct fuse_open_in in = { .flags = O_RDWR | O_NONBLOCK };
	struct fuse_release_in out = { 0 };
	struct fuse_open_out opened;
	bool at_end = false;
	ssize_t n = cuse_call(c, FUSE_OPEN, &in, sizeof(in), NULL, 0);

	if (n < (ssize_t)sizeof(opened))
		return;
	memcpy(&opened, c->reply.data, sizeof(opened));
	c->fh = out.fh = opened.fh;
	c->unwritten = 0;
	c->readable = true;
	for (;;) {
		p[1].fd = c->unwritten ? -1 : client;
		if (poll(p, 2, !at_end && c->readable ? 0 : c->unwritten ? 1 : -1) < 0)
			break;
		if (p[0].revents && cuse_take(c) < 0)
			break;
		if (p[1].fd >= 0 && p[1].revents) {
			n = recv(client, c->sent, sizeof(c->sent), 0);
			if (n <= 0)
				break;
			c->unwritten = (size_t)n;
		}
		if (c->unwritten && !write_some(c))
			break;
		if (!at_end && c->readable)
			at_end = !read_some(c, client);
	}
	cuse_call(c, FUSE_RELEASE, &out, sizeof(out), NULL, 0);
}

/* Return: a listening socket of the device that the daemon made, its path in @ret_path; -1 */
static int device(struct cuse *c, char *ret_path, size_t len)
{
	struct cuse_init_in in = { .major = FUSE_KERNEL_VERSION,
				   .minor = FUSE_KERNEL_MINOR_VERSION,
				   .flags = CUSE_UNRESTRICTED_IOCTL };
	const char *key = "DEVNAME=", *dir = getenv("RSHIM_DEV");
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	ssize_t n = cuse_call(c, CUSE_INIT, &in, sizeof(in), NULL, 0);
	char *name = c->reply.data + sizeof(struct cuse_init_out), *slash;
	int fd;

	if (!dir || n <= (ssize_t)sizeof(struct cuse_init_out) || c->reply.data[n - 1] ||
	    strncmp(name, key, strlen(key)))
		return -1;
	n = snprintf(ret_path, len, "%s/%s", dir, name + strlen(key));
	if (n < 0 || (size_t)n >= sizeof(sun.sun_path))
		return -1;
	strcpy(sun.sun_path, ret_path);
	slash = strrchr(ret_path, '/');
	*slash = '\0';
	mkdir(ret_path, 0755);
	*slash = '/';
	unlink(ret_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) || listen(fd, 1))
		return -1;
	return fd;
}

static void *kernel(void *arg)
{
	struct cuse *c = arg;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct pollfd p[] = { { .fd = c->fd, .events = POLLIN }, { .events = POLLIN } };
	int client;

	p[1].fd = device(c, path, sizeof(path));
	while (p[1].fd >= 0 && poll(p, 2, -1) > 0) {
		if (p[0].revents && cuse_take(c) < 0)
			break;
		if (!p[1].revents)
			continue;
		client = accept4(p[1].fd, NULL, NULL, SOCK_CLOEXEC);
		if (client < 0)
			continue;
		serve(c, client);
		close(client);
	}
	if (p[1].fd >= 0) {
		unlink(path);
		close(p[1].fd);
	}
	close(c->fd);
	free(c);
	return NULL;
}

static int open_cuse(void)
{
	struct cuse *c = calloc(1, sizeof(*c));
	pthread_t thread;
	int fds[2];

	if (!c || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		goto err_free;
	c->fd = fds[0];
	if (pthread_create(&thread, NULL, kernel, c))
		goto err_close;
	pthread_detach(thread);
	return fds[1];

err_close:
	close(fds[0]);
	close(fds[1]);
err_free:
	free(c);
	errno = ENODEV;
	return -1;
}

/* With large files, as here and there, its symbol is open64. */
__attribute__((visibility("default"))) int open(const char *path, int flags, ...)
{
	int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
	mode_t mode = 0;
	va_list ap;

	if (!strcmp(path, "/dev/cuse"))
		return open_cuse();
	if (flags & (O_CREAT | __O_TMPFILE)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return next(path, flags, mode);
}
