/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-socket-dgram.c - each frame is a datagram
 *
 * The socket is the same for as long as the device is there. It is connected to the other one, not
 * because that means much to datagrams, but because the kernel then tells when there is room again.
 * When nobody is there frames are dropped; control tries again every now and then.
 */
#include <errno.h>
#include <sys/socket.h>

#include "parent/net-socket.h"

static void dgram_resume(struct vd_nsock *s)
{
	(void)s;
}

static unsigned int dgram_flush(struct vd_nsock *s)
{
	struct vd_nsock_batch *b = &s->out;
	struct mmsghdr m[VD_NSOCK_BATCH];
	unsigned int went = 0;
	int r;

	for (unsigned int i = 0; i < b->n; i++)
		m[i] = (struct mmsghdr){ .msg_hdr = {
			.msg_iov = vd_iov_kernel(b->iov + b->first[i] + 1),
			.msg_iovlen = b->first[i + 1] - b->first[i] - 1u,
		} };
	while (went < b->n) {
		r = sendmmsg(s->conn, m + went, b->n - went, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (vd_likely(r > 0)) {
			went += (unsigned int)r;
			continue;
		}
		switch (errno) {
		case EAGAIN:
			s->blocked = true;
			return went;
		case EFAULT:	/* of memory that is no more */
		case EMSGSIZE:
			vd_net_count(&vd_nsock_pair(s)->sent.errors, 1);
			went++;
			break;
		case ECONNRESET:	/* the other side is connected to another one now */
			break;
		default:
			vd_net_count(&vd_nsock_pair(s)->sent.drops, b->n - went);
			return b->n;
		}
	}
	return went;
}

static void dgram_fill(struct vd_nsock *s)
{
	struct mmsghdr m[VD_SOFTQ_BURST];
	struct iovec iov[VD_SOFTQ_BURST];
	int n;

	for (unsigned int i = 0; i < VD_SOFTQ_BURST; i++) {
		iov[i] = (struct iovec){ s->buf + i * VD_NSOCK_SLOT, VD_NET_FRAME_MAX };
		m[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	n = recvmmsg(s->conn, m, VD_SOFTQ_BURST, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		if (vd_likely(m[i].msg_len >= VD_NET_HLEN && !(m[i].msg_hdr.msg_flags & MSG_TRUNC)))
			vd_nsock_hold(s, iov[i].iov_base, m[i].msg_len);
		else
			vd_net_count(&vd_nsock_pair(s)->received.errors, 1);
	}
}

const struct vd_nsock_wire vd_nsock_dgram = {
	.resume = dgram_resume,
	.flush = dgram_flush,
	.fill = dgram_fill,
};
