/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-socket.h - frames over a Unix socket, as QEMU's "-netdev stream" and "dgram" have them
 *
 *	stream	| length, 4 bytes, most significant first | frame | length | frame | ...
 *	dgram	each frame is a datagram
 *
 *	net-socket.c		the parent; what both have of the data path
 *	net-socket-stream.c	the data path of streams
 *	net-socket-dgram.c	that of datagrams
 *	net-socket-peer.c	connections come and go; control thread
 *
 * A stream's connections are base/chan.h's; the socket of datagrams stays as it is for as long as
 * the device is there, and the worker uses it.
 */
#ifndef VD_PARENT_NET_SOCKET_H
#define VD_PARENT_NET_SOCKET_H

#include "base/chan.h"
#include "softdev/net-gso.h"
#include "softdev/net.h"

#define VD_NSOCK_WORD	4u	/* bytes of a length */
#define VD_NSOCK_BATCH	64u	/* frames that are sent at once */
#define VD_NSOCK_PIECES 1024u	/* of all of them; as many as the kernel takes */
#define VD_NSOCK_STREAM (256u << 10)	/* bytes that are read at once, and wait for buffers */
#define VD_NSOCK_SLOT	(VD_NET_FRAME_MAX + 96) /* of a datagram; not whole pages, for the caches */

struct vd_nsock_conf {
	struct vd_net_args net;
	unsigned int type;
	char *path, *local, *remote;
	bool listen;
	char *mode;
	uint64_t reconnect_ms;
};

/* Frames that are to be sent at once, as they are on the wire. */
struct vd_nsock_batch {
	unsigned int n, niov;
	uint32_t len[VD_NSOCK_BATCH];	/* of each, without the word */
	uint32_t word[VD_NSOCK_BATCH];	/* big-endian */
	uint16_t first[VD_NSOCK_BATCH + 1]; /* piece of each: the word; what follows is the frame */
	uint8_t heads[VD_NSOCK_BATCH][VD_NET_GSO_HDR_MAX + 8];
	struct vd_iov iov[VD_NSOCK_PIECES];
};

struct vd_nsock {
	struct vd_net net;
	struct uvdpa *u;
	const struct vd_nsock_conf *conf;	/* core's */
	const struct vd_nsock_wire *wire;

	bool stream;
	struct vd_chan chan;		/* of a stream */
	struct vd_unix own;		/* what gets the datagrams; control connects it */
	int dgram;			/* the same socket, for the worker; or -1 */

	/* Control's. */
	bool started;			/* the device is there, and can be told */
	struct vd_timer again;		/* of datagrams: is somebody there? */
	struct vd_ratelimit rl;
	uint64_t connections;
	bool up;			/* somebody is at the other end */

	/* Between both; atomic. */
	uint64_t nonsense;		/* 1 << 32, and the length that ended it; or 0 */

	/* The worker's. */
	int conn;			/* to send and receive by, borrowed; or -1 */
	bool blocked;			/* no more can be sent now */
	unsigned int skip;		/* segments of the next frame that were sent */
	unsigned int nheld, held_at;	/* frames that have come, and wait for buffers */
	struct vd_net_frame held[VD_SOFTQ_BURST];
	struct vd_iov piece[VD_SOFTQ_BURST];	/* of each */
	uint8_t *buf;			/* where they are */
	size_t buf_at, buf_end;		/* of a stream: bytes that are no frames yet */
	uint8_t *tail;			/* the rest of a frame of which a part was sent */
	size_t tail_at, tail_end;
	struct vd_net_gso gso;
	struct vd_nsock_batch out;
};

/* How frames travel. Context: the worker. */
struct vd_nsock_wire {
	/* What is pending from an earlier send; @blocked is set if it stays so. */
	void (*resume)(struct vd_nsock *s);
	/* Send the batch. Return: how many of it went, or were dropped; @blocked is set if no more
	 * can be sent now. */
	unsigned int (*flush)(struct vd_nsock *s);
	/* Take what has come: up to VD_SOFTQ_BURST frames, into s->held. */
	void (*fill)(struct vd_nsock *s);
};

extern const struct vd_nsock_wire vd_nsock_stream, vd_nsock_dgram;

static inline struct vd_net_pair *vd_nsock_pair(struct vd_nsock *s)
{
	return &s->net.pairs[0];
}

/* One frame more that waits; of @len bytes at @at. */
static inline void vd_nsock_hold(struct vd_nsock *s, uint8_t *at, uint32_t len)
{
	unsigned int i = s->nheld++;

	s->piece[i] = (struct vd_iov){ vd_guest_wrap(uint8_t, at), len };
	s->held[i] = (struct vd_net_frame){ .iov = &s->piece[i], .niov = 1, .len = len };
}

/* The worker leaves its connection, and control will notice. */
void vd_nsock_hang_up(struct vd_nsock *s);

/* ---- net-socket-peer.c; control thread ------------------------------------------------------- */

/* Listen, connect, bind, and watch; the device itself is not there yet. Return: 0; -errno with a
 * sentence. */
int vd_nsock_open(struct vd_nsock *s);
/* Undo it, or a part of it. The worker has ended. */
void vd_nsock_close(struct vd_nsock *s);

#endif
