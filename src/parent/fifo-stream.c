/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fifo-stream.c - a FIFO over a stream of bytes: a socket, a terminal
 *
 * The link's thread reads; who has the turn writes, by a descriptor of its own. The kernel's
 * buffers are the FIFO, so they are made small: what is in them is before a keystroke.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "parent/fifo-link.h"

#define IN           1u /* what the link's epoll says */
#define OUT          2u
#define NOTHING_NEW  (-1)
#define NONE         (-2)
#define SOCKET_BYTES (128 << 10) /* on the way */

static struct vd_fifo_link *to_link(struct vd_chan *c)
{
	return container_of(container_of(c, struct vd_fifo_stream, chan), struct vd_fifo_link,
			    stream);
}

static void chan_up(struct vd_chan *c)
{
	vd_fifo_link_carrier(to_link(c), true);
}

static void chan_down(struct vd_chan *c)
{
	vd_fifo_link_carrier(to_link(c), false);
}

static const struct vd_chan_ops chan_ops = {
	.up = chan_up,
	.down = chan_down,
	.resized = vd_chan_any_size,
};

static int stream_open(struct vd_fifo_link *l, const struct vd_fifo_link_conf *c)
{
	static const char *const kinds[] = { "unix:",       "unix-listen:", "tcp:",
					     "tcp-listen:", "pty",          "tty:" };
	const struct vd_chan_conf cc = { .address = c->address,
					 .mode = c->mode,
					 .reconnect_ms = c->reconnect_ms };
	unsigned int i = 0;

	while (i < VD_ARRAY_SIZE(kinds) && strncmp(c->address, kinds[i], strlen(kinds[i])))
		i++;
	if (i == VD_ARRAY_SIZE(kinds))
		return vd_err(-EINVAL,
			      "link %s: nobody is at the other end of that; it is one of unix:, "
			      "unix-listen:, tcp:, tcp-listen:, tty:, pty or window:",
			      c->address);
	l->stream.lossy = i >= 4;
	/*
	 * A line may have been left by somebody in the middle of a message. And the daemon of a
	 * card's host goes on in one when the card comes again, if somebody has its console open
	 * meanwhile.
	 */
	l->tx.syncs = l->stream.lossy || l->role == VD_FIFO_CARD;
	l->stream.fd = l->stream.tx_fd = -1;
	l->stream.tx_next = NOTHING_NEW;
	return vd_chan_open(&l->stream.chan, vd_ctx_loop(l->u), vd_ctx_log(l->u), l->address,
			    &chan_ops, &cc);
}

static void stream_close(struct vd_fifo_link *l)
{
	vd_chan_close(&l->stream.chan);
	vd_close(&l->stream.tx_fd);
	if (l->stream.tx_next >= 0)
		vd_close(&l->stream.tx_next);
}

static const char *stream_where(const struct vd_fifo_link *l)
{
	return vd_chan_where(&l->stream.chan);
}

/* ---- the link's thread ---------------------------------------------------------------------- */

/* A descriptor that is not to be read is not in it at all: that it has ended would be told over and
 * over. */
static void stream_listen(struct vd_fifo_link *l, bool more)
{
	struct vd_fifo_stream *s = &l->stream;
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = IN };
	int fd = more && vd_chan_brings(&s->chan) ? vd_chan_fd(&s->chan) : -1;

	if (fd == s->fd)
		return;
	if (s->fd >= 0)
		epoll_ctl(l->epfd, EPOLL_CTL_DEL, s->fd, NULL);
	s->fd = fd;
	if (fd >= 0 && epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev))
		vd_chan_hang_up(&s->chan);
}

static bool stream_take(struct vd_fifo_link *l)
{
	struct vd_fifo_stream *s = &l->stream;
	int tx = NONE, size = SOCKET_BYTES / 2; /* the kernel doubles it */

	if (!vd_chan_changed(&s->chan))
		return false;
	stream_listen(l, false);
	vd_chan_take(&s->chan);
	if (vd_chan_takes(&s->chan) && vd_chan_fd(&s->chan) >= 0) {
		setsockopt(vd_chan_fd(&s->chan), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		setsockopt(vd_chan_fd(&s->chan), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		tx = vd_dup(vd_chan_fd(&s->chan));
		if (tx < 0)
			vd_chan_hang_up(&s->chan);
	}
	tx = __atomic_exchange_n(&s->tx_next, tx < 0 ? NONE : tx, __ATOMIC_ACQ_REL);
	if (tx >= 0) /* nobody has had the former */
		close(tx);
	stream_listen(l, true);
	return true;
}

static bool stream_event(struct vd_fifo_link *l, uint32_t events)
{
	(void)l;
	return events & (EPOLLOUT | EPOLLERR | EPOLLHUP);
}

static ssize_t stream_read(struct vd_fifo_link *l, uint8_t *to, size_t len)
{
	const struct iovec iov = { to, len };
	size_t n;

	if (!vd_chan_brings(&l->stream.chan))
		return -EAGAIN;
	n = vd_chan_readv(&l->stream.chan, &iov, 1);
	if (n)
		return (ssize_t)n;
	if (vd_chan_brings(&l->stream.chan))
		return -EAGAIN;
	return 0;
}

static void stream_hang_up(struct vd_fifo_link *l)
{
	stream_listen(l, false);
	vd_chan_hang_up(&l->stream.chan);
}

/* ---- who has the turn ----------------------------------------------------------------------- */

static bool stream_tx_changed(struct vd_fifo_link *l)
{
	return __atomic_load_n(&l->stream.tx_next, __ATOMIC_RELAXED) != NOTHING_NEW;
}

static bool stream_tx_take(struct vd_fifo_link *l)
{
	struct epoll_event ev = { .events = EPOLLONESHOT, .data.u32 = OUT };
	struct vd_fifo_stream *s = &l->stream;
	struct stat st;

	if (s->tx_fd >= 0)
		epoll_ctl(l->epfd, EPOLL_CTL_DEL, s->tx_fd, NULL);
	vd_close(&s->tx_fd);
	s->tx_fd = __atomic_exchange_n(&s->tx_next, NOTHING_NEW, __ATOMIC_ACQ_REL);
	if (s->tx_fd < 0) {
		s->tx_fd = -1;
		return false;
	}
	s->tx_socket = !fstat(s->tx_fd, &st) && S_ISSOCK(st.st_mode);
	return !epoll_ctl(l->epfd, EPOLL_CTL_ADD, s->tx_fd, &ev);
}

static ssize_t stream_write(struct vd_fifo_link *l, unsigned int stage, const uint8_t *from,
			    size_t len)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLONESHOT, .data.u32 = OUT };
	struct vd_fifo_stream *s = &l->stream;
	ssize_t n;

	(void)stage;
	if (vd_likely(s->tx_socket))
		n = send(s->tx_fd, from, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = write(s->tx_fd, from, len);
	if (vd_likely(n > 0))
		return n;
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	return epoll_ctl(l->epfd, EPOLL_CTL_MOD, s->tx_fd, &ev) ? -errno : -EAGAIN;
}

const struct vd_fifo_wire vd_fifo_stream = {
	.open = stream_open,
	.close = stream_close,
	.where = stream_where,
	.take = stream_take,
	.listen = stream_listen,
	.event = stream_event,
	.read = stream_read,
	.hang_up = stream_hang_up,
	.tx_take = stream_tx_take,
	.tx_changed = stream_tx_changed,
	.write = stream_write,
};
