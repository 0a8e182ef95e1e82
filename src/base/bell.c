/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/bell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"

void vd_bell_init(struct vd_bell *b)
{
	b->ctx = 0;
	b->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void vd_bell_fini(struct vd_bell *b)
{
	if (b->ctx)
		syscall(SYS_io_destroy, b->ctx);
	vd_close(&b->null);
}

/* Made by the first ring: to destroy it takes the kernel 30 ms, and most bells never ring. */
static bool ready(struct vd_bell *b)
{
	if (!b->ctx && b->null >= 0 && syscall(SYS_io_setup, 1L, &b->ctx))
		b->ctx = 0;
	return b->ctx;
}

/* A read of nothing; it is complete before io_submit() returns, and signals @fd. */
static int ring(struct vd_bell *b, int fd)
{
	struct iocb cb = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)b->null,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)fd,
	};
	struct iocb *list = &cb;
	struct io_event ev;
	struct timespec none = { 0 };

	if (!ready(b) || syscall(SYS_io_submit, b->ctx, 1L, &list) != 1)
		return -1;
	syscall(SYS_io_getevents, b->ctx, 0L, 1L, &ev, &none);
	return 0;
}

/* Of a pipe the reader may be gone, and the thread's signals are not ours. */
static void write_one(int fd)
{
	const struct timespec none = { 0 };
	sigset_t pipe, pending, before;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	vd_eventfd_signal(fd);
	if (!sigismember(&pending, SIGPIPE))
		while (sigtimedwait(&pipe, NULL, &none) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void vd_bell_ring(struct vd_bell *b, int fd)
{
	struct pollfd p = { fd, POLLOUT, 0 };
	const int saved = errno;

	if (fd < 0 || (b && !ring(b, fd)))
		return;
	if (!vd_set_nonblock(fd, true) && poll(&p, 1, 0) == 1 && (p.revents & POLLOUT))
		write_one(fd);
	errno = saved;
}
