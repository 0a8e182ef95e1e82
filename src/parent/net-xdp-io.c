/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-xdp-io.c - frames of the net-xdp parent, by the rings that it shares with the kernel
 *
 * What is sent is copied into chunks, so the driver has its buffers back at once. What is received
 * stays where it is, in the ring, until the driver has buffers for it.
 */
#include <errno.h>
#include <sched.h>
#include <sys/socket.h>

#include "parent/net-xdp.h"

#define KICKS 8	/* calls for a burst at most: with each the kernel takes 32 */

/* ---- rings -------------------------------------------------- */

static uint64_t *ring_chunk(const struct vd_xdp_ring *r, uint32_t at)
{
	return (uint64_t *)r->entries + at % VD_XDP_CHUNKS;
}

static struct xdp_desc *ring_desc(const struct vd_xdp_ring *r, uint32_t at)
{
	return (struct xdp_desc *)r->entries + at % VD_XDP_CHUNKS;
}

/* Entries that the kernel has produced for us. Acquire: what is in them. */
static uint32_t ring_ready(const struct vd_xdp_ring *r)
{
	return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) - r->at;
}

/* Entries of ours that the kernel has not consumed. */
static uint32_t ring_pending(const struct vd_xdp_ring *r)
{
	return r->at - __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE);
}

/* Release: the entries, and the chunks. */
static void ring_publish(uint32_t *index, uint32_t at)
{
	__atomic_store_n(index, at, __ATOMIC_RELEASE);
}

static bool ring_wants_wakeup(const struct vd_xdp_ring *r)
{
	return __atomic_load_n(r->flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP;
}

/* ---- send -------------------------------------------------- */

/* Chunks that were sent are free. */
static void reclaim(struct vd_xdp_queue *q)
{
	uint32_t n = ring_ready(&q->done);

	if (!n)
		return;
	for (uint32_t i = 0; i < n; i++)
		q->free[q->nfree++] = (uint32_t)(*ring_chunk(&q->done, q->done.at + i) / q->chunk);
	q->done.at += n;
	ring_publish(q->done.consumer, q->done.at);
}

/* Room for a frame of @len bytes, and a place in the ring. */
static uint8_t *put(struct vd_xdp_queue *q, uint32_t len)
{
	uint32_t chunk = q->free[--q->nfree];
	uint64_t addr = (uint64_t)chunk * q->chunk;

	*ring_desc(&q->tx, q->tx.at++) = (struct xdp_desc){ .addr = addr, .len = len };
	return q->umem + addr;
}

/* Return: 1; 0 there is no room now; -EMSGSIZE there never is. */
static int put_plain(struct vd_xdp_queue *q, const struct vd_net_frame *f)
{
	struct vd_sg sg = vd_sg(f->iov, f->niov);

	if (vd_unlikely(f->len > q->chunk))
		return -EMSGSIZE;
	if (vd_unlikely(!q->nfree))
		return 0;
	vd_sg_read(&sg, put(q, f->len), f->len);
	return 1;
}

/* One that goes in parts. If not all of it fits it comes again, and begins behind what has gone. */
static vd_noinline int put_cut(struct vd_xdp_queue *q, const struct vd_net_frame *f, uint32_t id)
{
	unsigned int done = 0;
	struct vd_net_seg seg;
	uint8_t *to;
	int r = vd_net_gso_begin(&q->gso, f, 0, id);

	while (!r && vd_net_gso_next(&q->gso, &seg)) {
		if (done++ < q->skip)
			continue;
		if (seg.nhead + seg.ndata > q->chunk) {
			r = -EMSGSIZE;
		} else if (!q->nfree) {
			return 0;
		} else {
			to = put(q, seg.nhead + seg.ndata);
			memcpy(to, seg.head, seg.nhead);
			vd_sg_read(&seg.data, to + seg.nhead, seg.ndata);
			q->skip = done;
		}
	}
	q->skip = 0;
	return r ? r : 1;
}

/* The kernel shall look. */
static void kick(struct vd_xdp_queue *q)
{
	uint32_t before, after = ring_pending(&q->tx);

	for (unsigned int i = 0; i < KICKS && after && ring_wants_wakeup(&q->tx); i++) {
		before = after;
		sendto(q->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
		after = ring_pending(&q->tx);
		if (after == before)
			break;
	}
}

unsigned int vd_xdp_send(struct vd_net *net, struct vd_net_pair *pair, struct vd_net_frame *frames,
			 unsigned int n)
{
	struct vd_xdp_queue *q = &vd_xdp_of(net)->dev.queues[pair->idx];
	unsigned int first = 0, i;
	uint32_t was = q->nfree;

	reclaim(q);
	for (i = 0; i < n; i++) {
		int r = vd_likely(vd_net_fits(0, &frames[i].hdr))
				? put_plain(q, &frames[i])
				: put_cut(q, &frames[i], (uint32_t)pair->sent.packets + i);

		if (vd_unlikely(!r))
			break;
		if (vd_unlikely(r < 0)) {
			if (i > first)
				vd_net_sent(pair, frames + first, i - first);
			vd_net_tx_drop(pair, &frames[i], &pair->sent.errors);
			first = i + 1;
		}
	}
	ring_publish(q->tx.producer, q->tx.at);
	kick(q);
	if (vd_likely(i > first))
		vd_net_sent(pair, frames + first, i - first);
	if (vd_likely(i == n && !(ring_pending(&q->tx) && ring_wants_wakeup(&q->tx))))
		return i;
	/*
	 * It is writable for as long as its ring is not full, which does not mean much. Who has the
	 * frames, or gives chunks back, may want this CPU.
	 */
	if (!n && q->nfree == was)
		sched_yield();
	if (i == n)
		vd_net_tx_wait(pair);
	return i;
}

/* ---- receive -------------------------------------------------- */

/* @n chunks that were received into are the kernel's again. */
static void refill(struct vd_xdp_queue *q, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		*ring_chunk(&q->fill, q->fill.at++) = ring_desc(&q->rx, q->rx.at + i)->addr &
						      ~(uint64_t)(q->chunk - 1);
	q->rx.at += n;
	ring_publish(q->rx.consumer, q->rx.at);
	ring_publish(q->fill.producer, q->fill.at);
}

unsigned int vd_xdp_receive(struct vd_net *net, struct vd_net_pair *pair)
{
	struct vd_xdp_queue *q = &vd_xdp_of(net)->dev.queues[pair->idx];
	struct vd_net_frame frames[VD_SOFTQ_BURST];
	struct vd_iov iov[VD_SOFTQ_BURST];
	uint32_t n = vd_min(ring_ready(&q->rx), (uint32_t)VD_SOFTQ_BURST), i;

	for (i = 0; i < n; i++) {
		const struct xdp_desc *d = ring_desc(&q->rx, q->rx.at + i);

		if (vd_unlikely(d->len < VD_NET_HLEN))
			break;
		iov[i] = (struct vd_iov){ vd_guest_wrap(uint8_t, q->umem + d->addr), d->len };
		frames[i] = (struct vd_net_frame){ .iov = &iov[i], .niov = 1, .len = d->len };
	}
	if (vd_likely(i)) {
		n = vd_net_offer(pair, frames, i);
	} else if (n) {
		vd_net_count(&pair->received.errors, 1);
		n = 1;
	}
	if (n)
		refill(q, n);
	if (vd_unlikely(ring_wants_wakeup(&q->fill)))
		recvfrom(q->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
	return n;
}

void vd_xdp_flush(struct vd_xdp *xdp)
{
	for (unsigned int i = 0; i < xdp->dev.nqueues; i++) {
		struct vd_xdp_queue *q = &xdp->dev.queues[i];

		refill(q, ring_ready(&q->rx));
		q->skip = 0;
	}
}
