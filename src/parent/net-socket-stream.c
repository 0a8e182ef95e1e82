/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-socket-stream.c - a length and a frame, a length and a frame
 *
 * Of a burst the socket may take any number of bytes. A frame of which it has taken a part is the
 * driver's again all the same: the rest is copied, and goes before anything else.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "parent/net-socket.h"

static void keep_tail(struct vd_nsock *s, unsigned int i, size_t gone)
{
	const struct vd_nsock_batch *b = &s->out;
	struct vd_sg sg = vd_sg(s->out.iov + b->first[i], b->first[i + 1] - b->first[i]);

	vd_sg_skip(&sg, gone);
	s->tail_at = 0;
	s->tail_end = vd_sg_read(&sg, s->tail, VD_NSOCK_WORD + VD_NET_FRAME_MAX);
}

static unsigned int stream_flush(struct vd_nsock *s)
{
	struct vd_nsock_batch *b = &s->out;
	struct msghdr msg = { .msg_iov = vd_iov_kernel(b->iov), .msg_iovlen = b->niov };
	ssize_t r = sendmsg(s->conn, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	size_t left = (size_t)r;
	unsigned int went = 0;

	if (vd_unlikely(r < 0)) {
		switch (errno) {
		case EAGAIN:
			s->blocked = true;
			return 0;
		case EFAULT:	/* of memory that is no more, and nothing of it has gone */
			vd_net_count(&vd_nsock_pair(s)->sent.errors, 1);
			return 1;
		}
		vd_net_count(&vd_nsock_pair(s)->sent.drops, b->n);
		vd_nsock_hang_up(s);
		return b->n;
	}
	while (went < b->n && left >= VD_NSOCK_WORD + b->len[went])
		left -= VD_NSOCK_WORD + b->len[went++];
	if (vd_likely(went == b->n))
		return went;
	s->blocked = true;
	if (left)
		keep_tail(s, went++, left);
	return went;
}

static void stream_resume(struct vd_nsock *s)
{
	ssize_t r;

	while (vd_unlikely(s->tail_at < s->tail_end)) {
		r = send(s->conn, s->tail + s->tail_at, s->tail_end - s->tail_at,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r < 0 && errno == EAGAIN) {
			s->blocked = true;
			return;
		}
		if (r < 0) {
			vd_nsock_hang_up(s);
			return;
		}
		s->tail_at += (size_t)r;
	}
}

/* The frames that are there, all or a burst of them. */
static void parse(struct vd_nsock *s)
{
	uint32_t len;

	while (s->nheld < VD_SOFTQ_BURST && s->buf_end - s->buf_at >= VD_NSOCK_WORD) {
		memcpy(&len, s->buf + s->buf_at, sizeof(len));
		len = be32toh(len);
		if (vd_unlikely(!len || len > VD_NET_FRAME_MAX)) {
			/* Release: control reads it when it sees the end. */
			__atomic_store_n(&s->nonsense, 1ull << 32 | len, __ATOMIC_RELEASE);
			vd_nsock_hang_up(s);
			return;
		}
		if (s->buf_end - s->buf_at < VD_NSOCK_WORD + len)
			return;
		if (vd_likely(len >= VD_NET_HLEN))
			vd_nsock_hold(s, s->buf + s->buf_at + VD_NSOCK_WORD, len);
		else
			vd_net_count(&vd_nsock_pair(s)->received.errors, 1);
		s->buf_at += VD_NSOCK_WORD + len;
	}
}

/* Nothing is held. The part of a frame that is there goes to the front, if it is in the way. */
static void make_room(struct vd_nsock *s)
{
	size_t there = s->buf_end - s->buf_at;

	if (there && VD_NSOCK_STREAM - s->buf_end >= VD_NSOCK_STREAM / 2)
		return;
	memmove(s->buf, s->buf + s->buf_at, there);
	s->buf_at = 0;
	s->buf_end = there;
}

static void stream_fill(struct vd_nsock *s)
{
	ssize_t r;

	parse(s);
	if (s->nheld || s->conn < 0)
		return;
	make_room(s);
	r = recv(s->conn, s->buf + s->buf_end, VD_NSOCK_STREAM - s->buf_end, MSG_DONTWAIT);
	if (r < 0 && errno == EAGAIN)
		return;
	if (r <= 0) {
		vd_nsock_hang_up(s);
		return;
	}
	s->buf_end += (size_t)r;
	parse(s);
}

const struct vd_nsock_wire vd_nsock_stream = {
	.resume = stream_resume,
	.flush = stream_flush,
	.fill = stream_fill,
};
