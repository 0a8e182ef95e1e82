/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chan-stdio.c - standard input and output of this process; see chan-kind.h
 *
 * They are shared with who started us: they must not be made non-blocking, and may be files. So a
 * thread reads and writes them, and is at the other end of a pair of sockets. A terminal is raw but
 * for one key, QUIT, which interrupts the process as ^C does elsewhere; the kernel sees to that.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/chan-kind.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/thread.h"

#define QUIT      0x1d /* ^] */
#define CHUNK     4096 /* a pipe that is writable takes as much at once: PIPE_BUF */
#define DRAIN_MS  200  /* for what is to be written yet at the end */
#define ASLEEP_MS 1000 /* in the background nothing is read */

struct vd_chan_relay {
	pthread_t thread;
	int fd;
	bool last; /* atomic: the thread, or control, has left it to the other, who frees it */
};

static void relay_free(struct vd_chan_relay *rl)
{
	close(rl->fd);
	free(rl);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static bool in_foreground(void)
{
	pid_t pgrp = tcgetpgrp(STDIN_FILENO);

	return pgrp < 0 || pgrp == getpgrp(); /* not our terminal: no matter */
}

/* At the end what waits goes as well, if it is taken soon. A terminal may take long for one piece.
 */
static bool to_output(const struct vd_chan_relay *rl, const char *at, size_t len)
{
	int timeout = -1;

	while (len) {
		struct pollfd p[2] = { { .fd = STDOUT_FILENO, .events = POLLOUT },
				       { .fd = timeout < 0 ? rl->fd : -1 } };
		ssize_t r;

		if (!poll(p, 2, timeout))
			return false;
		if (p[1].revents & POLLHUP)
			timeout = DRAIN_MS;
		if (!p[0].revents)
			continue;
		r = write(STDOUT_FILENO, at, len);
		if (r < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (r > 0) {
			at += r;
			len -= (size_t)r;
		}
	}
	return true;
}

/* What was read and is not taken yet. */
struct input {
	char buf[CHUNK];
	size_t at, end;
	bool asleep; /* for now there is nothing to be had */
	bool over;
};

static void from_input(struct input *in)
{
	ssize_t r = read(STDIN_FILENO, in->buf, CHUNK);

	in->at = in->end = 0;
	if (r > 0)
		in->end = (size_t)r;
	else if (r < 0 && errno == EIO && !in_foreground())
		in->asleep = true;
	else if (!r || (errno != EAGAIN && errno != EINTR))
		in->over = true;
}

static void pass_on(struct input *in, int fd)
{
	ssize_t r = send(fd, in->buf + in->at, in->end - in->at, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (r > 0)
		in->at += (size_t)r;
	else if (errno != EAGAIN)
		in->over = true;
}

static void *relay(void *arg)
{
	struct vd_chan_relay *rl = arg;
	struct input in = { 0 };
	char buf[CHUNK];
	ssize_t r;

	while (1) {
		bool waits = in.at < in.end;
		struct pollfd p[2] = {
			{ .fd = rl->fd,
			  .events = (short)(waits && !in.over ? POLLIN | POLLOUT : POLLIN) },
			{ .fd = waits || in.over || in.asleep ? -1 : STDIN_FILENO,
			  .events = POLLIN },
		};

		if (!poll(p, 2, in.asleep ? ASLEEP_MS : -1))
			in.asleep = false;
		if (p[0].revents & POLLOUT && waits)
			pass_on(&in, rl->fd);
		if (p[0].revents & ~POLLOUT) {
			r = read(rl->fd, buf, sizeof(buf));
			if (r <= 0 || !to_output(rl, buf, (size_t)r))
				break;
		}
		if (p[1].revents) {
			from_input(&in);
			if (in.over)
				shutdown(rl->fd, SHUT_WR);
		}
	}
	shutdown(rl->fd, SHUT_RDWR);
	if (__atomic_exchange_n(&rl->last, true, __ATOMIC_ACQ_REL))
		relay_free(rl);
	return NULL;
}

/* ---- control --------------------------------------------------------------------------------- */

/* One at a time: a lock of what stands behind it, where that can be opened again. */
static int take_input(struct vd_chan *c)
{
	struct stat st;

	if (fstat(STDIN_FILENO, &st))
		return vd_err(-errno, "standard input: %m");
	if (isatty(STDIN_FILENO) && !in_foreground())
		return vd_err(-EBUSY, "standard input: this process is in the background");
	if (!isatty(STDIN_FILENO) && !S_ISFIFO(st.st_mode) && !S_ISREG(st.st_mode))
		return 0;
	c->lock = open("/proc/self/fd/0", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (c->lock >= 0 && flock(c->lock, LOCK_EX | LOCK_NB))
		return vd_err(-EBUSY, "standard input is used already");
	return 0;
}

static int set_terminal(struct vd_chan *c)
{
	struct termios t;
	int r;

	if (!isatty(STDIN_FILENO))
		return 0;
	if (tcgetattr(STDIN_FILENO, &c->saved))
		return vd_err(-errno, "standard input: %m");
	c->restore = true;
	r = vd_chan_raw(STDIN_FILENO, B0);
	if (!r && tcgetattr(STDIN_FILENO, &t))
		r = -errno;
	if (r)
		return vd_err(r, "standard input: %s", strerror(-r));
	t.c_lflag |= ISIG;
	t.c_cc[VINTR] = QUIT;
	t.c_cc[VQUIT] = t.c_cc[VSUSP] = _POSIX_VDISABLE;
	return tcsetattr(STDIN_FILENO, TCSANOW, &t) ? vd_err(-errno, "standard input: %m") : 0;
}

static int start_relay(struct vd_chan *c, int fd)
{
	struct vd_chan_relay *rl = calloc(1, sizeof(*rl));
	int r;

	if (!rl)
		return vd_err(-ENOMEM, "standard input: no memory");
	rl->fd = fd;
	r = vd_thread_start(&rl->thread, relay, rl, "uvdpa-stdio");
	if (r)
		free(rl);
	else
		c->relay = rl;
	return r;
}

static int stdio_open(struct vd_chan *c)
{
	int r, pair[2];

	snprintf(c->where, sizeof(c->where), "stdio");
	r = take_input(c);
	if (!r)
		r = set_terminal(c);
	if (r)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return vd_err(-errno, "socketpair: %m");
	r = vd_set_nonblock(pair[0], true);
	if (!r)
		r = start_relay(c, pair[1]);
	if (r) {
		close(pair[0]);
		close(pair[1]);
		return r;
	}
	r = vd_chan_came(c, pair[0], EPOLLRDHUP, true);
	if (!r && c->restore) {
		/* Only to look at, from time to time. */
		c->own.fd = vd_dup(STDIN_FILENO);
		vd_chan_sizes(c, STDIN_FILENO);
	}
	return r;
}

static void end_relay(struct vd_chan *c)
{
	struct vd_chan_relay *rl = c->relay;
	struct timespec until;
	bool ended;

	if (c->fd >= 0)
		shutdown(c->fd, SHUT_RDWR);
	else
		shutdown(rl->fd, SHUT_RDWR);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	ended = !pthread_timedjoin_np(rl->thread, NULL, &until);
	/* A terminal that takes nothing would hold us up: the thread is left to itself, if it has not
	 * come to its end just now. */
	if (!ended && !__atomic_exchange_n(&rl->last, true, __ATOMIC_ACQ_REL))
		pthread_detach(rl->thread);
	else if (ended || !pthread_join(rl->thread, NULL))
		relay_free(rl);
	c->relay = NULL;
}

/* Who has sent us into the background has its own settings there. */
static void restore_terminal(struct vd_chan *c)
{
	sigset_t block, old;

	c->restore = false;
	if (!in_foreground())
		return;
	sigemptyset(&block);
	sigaddset(&block, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &block, &old);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &c->saved);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void stdio_close(struct vd_chan *c)
{
	if (c->relay)
		end_relay(c);
	if (c->restore)
		restore_terminal(c);
}

const struct vd_chan_kind vd_chan_stdio = {
	.name = "stdio",
	.form = "stdio",
	.how = VD_CHAN_SOCKET,
	.parse = vd_chan_no_rest,
	.open = stdio_open,
	.again = vd_chan_nothing,
	.said_all = vd_chan_nothing,
	.gone = vd_chan_nothing,
	.rotate = vd_chan_nothing,
	.close = stdio_close,
};
