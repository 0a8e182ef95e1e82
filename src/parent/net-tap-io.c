/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-tap-io.c - the net-tap parent's frames
 *
 *	writev:	| header, ours | the driver's pieces ...
 *	readv:	| header, ours | the driver's buffers ... | the end of a frame that needs more |
 *
 * The kernel never sees the driver's own header, which could change while it looks. A frame is read
 * to where it shall be; how many buffers that takes is not known before, so it is as many as frames
 * needed lately. What is longer is completed by a copy, and waits here, one frame of each pair, if
 * there are no more buffers. All others wait in the interface's queue.
 */
#include "parent/net-tap.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "softdev/net-gso.h"

#define BURST_BYTES 262144u /* then the driver is told, at the latest */
#define EMPTY_NS    2000u
#define FLUSH_MAX   4096u

static_assert(sizeof(struct virtio_net_hdr) == 10, "TUNSETVNETHDRSZ");

static bool is_attached(const struct vd_tap_queue *q)
{
	return __atomic_load_n(&q->attached, __ATOMIC_RELAXED);
}

/* A descriptor without an interface: has it lost its own? Control finds out. */
static vd_cold void no_interface(struct vd_tap *tap, const struct vd_tap_queue *q)
{
	if (is_attached(q))
		vd_loop_post(vd_ctx_loop(tap->net.sd.u), &tap->look);
}

/* ---- transmit ------------------------------------------------------------------------------- */

static int write_frame(int fd, const struct vd_net_frame *f)
{
	struct virtio_net_hdr h = {
		.flags = f->hdr.flags,
		.gso_type = f->hdr.gso_type,
		.hdr_len = htole16(f->hdr.hdr_len),
		.gso_size = htole16(f->hdr.gso_size),
		.csum_start = htole16(f->hdr.csum_start),
		.csum_offset = htole16(f->hdr.csum_offset),
	};
	struct iovec iov[VD_NET_PIECES + 1];

	iov[0] = (struct iovec){ &h, sizeof(h) };
	memcpy(iov + 1, f->iov, f->niov * sizeof(*iov));
	return writev(fd, iov, (int)f->niov + 1) < 0 ? -errno : 0;
}

unsigned int vd_tap_send(struct vd_net *net, struct vd_net_pair *pair, struct vd_net_frame *frames,
			 unsigned int n)
{
	struct vd_tap *tap = vd_tap_of(net);
	struct vd_tap_queue *q = &tap->queues[pair->idx];
	unsigned int from = 0, i;

	/* Others reach us by another queue now; it takes what is on its way here as well. */
	if (vd_unlikely(!is_attached(q)))
		q = &tap->queues[0];
	for (i = 0; i < n; i++) {
		int r = write_frame(q->fd, &frames[i]);

		if (vd_likely(!r))
			continue;
		if (r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM)
			break;
		if (r == -EBADFD)
			no_interface(tap, q);
		if (i > from)
			vd_net_sent(pair, frames + from, i - from);
		/* EIO: the interface is down. */
		vd_net_tx_drop(pair, &frames[i],
			       r == -EIO || r == -EBADFD ? &pair->sent.drops : &pair->sent.errors);
		from = i + 1;
	}
	if (vd_likely(i > from))
		vd_net_sent(pair, frames + from, i - from);
	return i;
}

/* ---- receive -------------------------------------------------------------------------------- */

/* Has the driver agreed to get it like that? The kernel was told so; what waited before is older.
 */
static bool take_header(const struct vd_net *net, const struct virtio_net_hdr *h,
			struct vd_net_hdr *ret_hdr)
{
	if (vd_likely(!h->flags && !h->gso_type)) {
		*ret_hdr = (struct vd_net_hdr){ 0 };
		return true;
	}
	*ret_hdr = (struct vd_net_hdr){
		.flags = h->flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID),
		.gso_type = h->gso_type,
		.hdr_len = le16toh(h->hdr_len),
		.gso_size = le16toh(h->gso_size),
		.csum_start = le16toh(h->csum_start),
		.csum_offset = le16toh(h->csum_offset),
	};
	return vd_net_fits(__atomic_load_n(&net->guest_offloads, __ATOMIC_RELAXED), ret_hdr);
}

static void write_at(const struct vd_net_rx *rx, size_t off, const uint8_t *from, size_t len)
{
	struct vd_sg sg = vd_sg(rx->iov, rx->niov);

	vd_sg_skip(&sg, off);
	vd_sg_write(&sg, from, len);
}

/*
 * A frame of @len bytes lies in @rx, as far as there is room, and q->buf has the rest, where it
 * would be if all of it was there. Return: false: it has to wait.
 */
static vd_noinline bool complete(struct vd_net_pair *pair, struct vd_tap_queue *q,
				 struct vd_net_rx *rx, const struct vd_net_hdr *hdr, uint32_t len)
{
	struct vd_net_rx all;
	struct vd_sg sg;

	if (!pair->net->mergeable) { /* there never is more room */
		vd_net_count(&pair->received.errors, 1);
		return true;
	}
	if (!vd_net_rx_get(pair, len, &all)) /* what was there stays; and is the beginning */
		all = *rx;
	if (all.len >= len) {
		write_at(&all, rx->len, q->buf + rx->len, len - rx->len);
		vd_net_rx_put(pair, &all, hdr, len);
		return true;
	}
	sg = vd_sg(rx->iov, rx->niov);
	vd_sg_read(&sg, q->buf, rx->len);
	q->kept = len;
	q->kept_hdr = *hdr;
	vd_net_rx_wait(pair);
	return false;
}

/* The frame that waited. Return: whether it has gone. */
static vd_noinline bool put_kept(struct vd_net_pair *pair, struct vd_tap_queue *q)
{
	struct vd_net_rx rx;

	if (!vd_net_rx_get(pair, q->kept, &rx))
		return false;
	if (rx.len >= q->kept) {
		write_at(&rx, 0, q->buf, q->kept);
		vd_net_rx_put(pair, &rx, &q->kept_hdr, q->kept);
	} else if (vd_net_rx_wait(pair)) {
		return false;
	}
	q->kept = 0;
	return true;
}

/* From @fd, which is @q's, or that of one that goes. Return: bytes of a frame, of which the driver
 * has got it, or -errno: there is none for now. */
static int read_frame(struct vd_net *net, struct vd_net_pair *pair, struct vd_tap_queue *q, int fd)
{
	struct iovec iov[VD_NET_PIECES + 2];
	struct virtio_net_hdr h;
	struct vd_net_hdr hdr;
	struct vd_net_rx rx;
	uint32_t len;
	ssize_t n;
	int niov;

	if (!vd_net_rx_get(pair, q->want, &rx))
		return -ENOSPC;
	iov[0] = (struct iovec){ &h, sizeof(h) };
	memcpy(iov + 1, rx.iov, rx.niov * sizeof(*iov));
	niov = 1 + (int)rx.niov;
	if (rx.len < VD_NET_FRAME_MAX)
		iov[niov++] = (struct iovec){ q->buf + rx.len, VD_NET_FRAME_MAX - rx.len };
	n = readv(fd, iov, niov);
	if (vd_unlikely(n < 0)) {
		/* The driver's memory is gone, and the frame with it. */
		if (errno == EFAULT)
			vd_net_count(&pair->received.errors, 1);
		return -errno;
	}
	len = n > (ssize_t)sizeof(h) ? (uint32_t)n - (uint32_t)sizeof(h) : 0;
	if (vd_unlikely(len < VD_NET_HLEN || !take_header(net, &h, &hdr))) {
		vd_net_count(&pair->received.drops, 1);
		return 0;
	}
	q->want = len > q->want ? len : q->want - (q->want - len) / 16;
	if (vd_likely(len <= rx.len))
		vd_net_rx_put(pair, &rx, &hdr, len);
	else if (!complete(pair, q, &rx, &hdr, len))
		return -ENOSPC;
	return (int)len;
}

/* Nobody may see it. Return: whether there was one. */
static bool read_away(const struct vd_tap_queue *q)
{
	uint8_t some[64]; /* the kernel throws away the rest */

	return read(q->fd, some, sizeof(some)) > 0;
}

/* What comes over a link that is down does not come. */
static unsigned int drop_all(struct vd_net_pair *pair, struct vd_tap_queue *q)
{
	unsigned int n = 0;

	q->kept = 0;
	pair->short_since_ns = 0;
	while (n < VD_SOFTQ_BURST && read_away(q))
		n++;
	vd_net_count(&pair->received.drops, n);
	return n;
}

/* What is in the queues that go, and word when nothing is. Return: frames. */
static vd_noinline unsigned int read_leaving(struct vd_tap *tap, struct vd_net_pair *pair,
					     struct vd_tap_queue *q, unsigned int first)
{
	unsigned int n = 0;

	for (unsigned int i = first; i < tap->dev->nqueues; i++) {
		int r = is_attached(&tap->queues[i]) ? 0 : -EAGAIN;

		for (; r >= 0 && n < VD_SOFTQ_BURST; n += r >= 0)
			r = read_frame(&tap->net, pair, q, tap->queues[i].fd);
		if (r != -EAGAIN)
			return n;
	}
	if (__atomic_exchange_n(&tap->left, first, __ATOMIC_RELAXED) != first)
		vd_loop_post(vd_ctx_loop(tap->net.sd.u), &tap->empty);
	return n;
}

unsigned int vd_tap_receive(struct vd_net *net, struct vd_net_pair *pair)
{
	struct vd_tap *tap = vd_tap_of(net);
	struct vd_tap_queue *q = &tap->queues[pair->idx];
	unsigned int n = 0, bytes = 0, leaving;
	int r = 0;

	leaving = pair->idx ? 0 : __atomic_load_n(&tap->leaving, __ATOMIC_ACQUIRE);
	if (vd_unlikely(__atomic_load_n(&tap->gone, __ATOMIC_RELAXED)))
		return 0;
	/* It was empty a moment ago: let the worker do something else, or wait. */
	if (q->look_ns && vd_now_ns() < q->look_ns && !leaving)
		return 0;
	q->look_ns = 0;
	if (!vd_net_rx_begin(pair, pair->worker))
		return 0;
	if (vd_unlikely(!__atomic_load_n(&net->link_up, __ATOMIC_RELAXED))) {
		n = drop_all(pair, q);
		r = -EAGAIN;
	} else if (vd_unlikely(q->kept) && !put_kept(pair, q)) {
		r = -ENOSPC;
	} else if (vd_unlikely(leaving)) {
		n = read_leaving(tap, pair, q, leaving);
		r = q->kept ? -ENOSPC : 0; /* only one can wait */
	}
	for (; r >= 0 && n < VD_SOFTQ_BURST && bytes < BURST_BYTES; n += r >= 0) {
		r = read_frame(net, pair, q, q->fd);
		if (r > 0)
			bytes += (unsigned int)r;
	}
	vd_net_rx_end(pair);
	if (r == -EAGAIN)
		q->look_ns = vd_now_ns() + EMPTY_NS;
	else if (vd_unlikely(r == -EBADFD))
		no_interface(tap, q);
	return n;
}

void vd_tap_flush(struct vd_tap *tap)
{
	for (unsigned int i = 0; i < tap->dev->nqueues; i++) {
		unsigned int n = 0;

		tap->queues[i].kept = 0;
		while (!tap->gone && n < FLUSH_MAX && read_away(&tap->queues[i]))
			n++;
	}
}
