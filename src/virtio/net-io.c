/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-io.c - frames to descriptors and back (virtio 1.3, 5.1.6); the queues' threads
 *
 * A frame of one piece is one descriptor: the header lies before it. So a burst of them is written
 * in three short loops, of which one, in virtq, goes over the ring.
 *
 * The device is not trusted: ids and lengths are checked by virtq, a header must make sense, and
 * the buffers of a frame must be as many as it says.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/fd.h"
#include "virtio/net.h"

#define BURST     VD_VIRTQ_BURST
#define FRAME_MIN 14u /* an Ethernet header */

static_assert(sizeof(struct uvdpa_net_hdr) == 10, "as the device's, but for num_buffers");
static_assert(UVDPA_NET_HDR == sizeof(struct virtio_net_hdr_v1), "virtio 1.3, 5.1.6");

/* ---- what both sides do ---------------------------------------------------------------------- */

static void count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* May something be given to the device? Return: 0; -errno. */
static int refused(const struct uvdpa_netq *q, const struct vd_netq_side *s)
{
	int r = __atomic_load_n(&q->refuse, __ATOMIC_ACQUIRE);

	return vd_unlikely(r) ? r : s->broken;
}

/* @len bytes at an address of ours: is all of it memory that may be the device's? */
static bool in_arena(const struct vd_netq_conf *c, uintptr_t off, uint64_t len)
{
	return off >= c->arena && off <= c->size && len <= c->size - off;
}

static uintptr_t offset_of(const struct vd_netq_conf *c, const uint8_t *mem)
{
	return (uintptr_t)mem - (uintptr_t)c->base;
}

/* What was added becomes visible. @r: what add_burst said of it. Return: that, or 0 for "full". */
static int publish(struct vd_netq_side *s, unsigned int n, int r)
{
	if (n && vd_virtq_drv_publish(s->vq)) {
		vd_eventfd_signal(s->kick);
		count(&s->kicks, 1);
	}
	if (vd_unlikely(r == -EBADMSG))
		r = s->broken = -EIO;
	return n || r == -ENOSPC ? (int)n : r;
}

static int begin_reap(struct uvdpa_netq *q, struct vd_netq_side *s)
{
	/* Acquire: before the ring is read. Pairs with vd_netq_gone(). */
	int gone = __atomic_load_n(&q->gone, __ATOMIC_ACQUIRE);

	if (s->armed) {
		vd_eventfd_drain(s->call);
		vd_virtq_drv_calls_off(s->vq);
		s->armed = false;
	}
	return gone;
}

static int get(struct vd_netq_side *s, struct vd_done *d, unsigned int max)
{
	int n = vd_virtq_drv_get(s->vq, d, max);

	if (vd_likely(n >= 0))
		return n;
	s->broken = -EIO;
	return 0;
}

static bool arm(struct uvdpa_netq *q, struct vd_netq_side *s)
{
	s->armed = true;
	return vd_virtq_drv_calls_on(s->vq) || s->broken ||
	       __atomic_load_n(&q->gone, __ATOMIC_ACQUIRE);
}

static int wait_for(struct uvdpa_netq *q, struct vd_netq_side *s, int timeout_ms)
{
	struct pollfd p = { .fd = s->call, .events = POLLIN };
	int r;

	if (arm(q, s))
		return 0;
	r = poll(&p, 1, timeout_ms);
	return r > 0 ? 0 : r ? -errno : -ETIMEDOUT;
}

/* ---- headers --------------------------------------------------------------------------------- */

static bool has(const struct uvdpa_netq *q, unsigned int bit)
{
	return q->conf.features >> bit & 1;
}

/* Is a frame of this GSO type negotiated? In the device's direction @tx, or in ours. */
static bool gso_ok(const struct uvdpa_netq *q, uint8_t type, bool tx)
{
	bool ecn = type & VIRTIO_NET_HDR_GSO_ECN;

	if (ecn && !has(q, tx ? VIRTIO_NET_F_HOST_ECN : VIRTIO_NET_F_GUEST_ECN))
		return false;
	switch (type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return !ecn;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return has(q, tx ? VIRTIO_NET_F_HOST_TSO4 : VIRTIO_NET_F_GUEST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return has(q, tx ? VIRTIO_NET_F_HOST_TSO6 : VIRTIO_NET_F_GUEST_TSO6);
	case VIRTIO_NET_HDR_GSO_UDP:
		return has(q, tx ? VIRTIO_NET_F_HOST_UFO : VIRTIO_NET_F_GUEST_UFO);
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return tx ? has(q, VIRTIO_NET_F_HOST_USO)
			  : has(q, VIRTIO_NET_F_GUEST_USO4) || has(q, VIRTIO_NET_F_GUEST_USO6);
	}
	return false;
}

/* Does a header that is not 0 make sense? *ret_need: bytes of the frame that it speaks of. */
static vd_noinline bool hdr_ok(const struct uvdpa_netq *q, const struct uvdpa_net_hdr *h, bool tx,
			       uint32_t *ret_need)
{
	bool csum = h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;

	*ret_need = csum ? h->csum_start + h->csum_offset + 2u : 0;
	if (csum && !has(q, tx ? VIRTIO_NET_F_CSUM : VIRTIO_NET_F_GUEST_CSUM))
		return false;
	/* A packet that is cut up has its checksums made anew (virtio 1.3, 5.1.6.2.1). */
	if (h->gso_type != VIRTIO_NET_HDR_GSO_NONE && (!csum || !h->gso_size))
		return false;
	return gso_ok(q, h->gso_type, tx);
}

static struct uvdpa_net_hdr from_device(const struct virtio_net_hdr_v1 *h)
{
	return (struct uvdpa_net_hdr){
		.flags = h->flags,
		.gso_type = h->gso_type,
		.hdr_len = le16toh(h->hdr_len),
		.gso_size = le16toh(h->gso_size),
		.csum_start = le16toh(h->csum_start),
		.csum_offset = le16toh(h->csum_offset),
	};
}

static void to_device(uint8_t *at, const struct uvdpa_net_hdr *h)
{
	struct virtio_net_hdr_v1 v = {
		.flags = h->flags,
		.gso_type = h->gso_type,
		.hdr_len = htole16(h->hdr_len),
		.gso_size = htole16(h->gso_size),
		.csum_start = htole16(h->csum_start),
		.csum_offset = htole16(h->csum_offset),
	};

	memcpy(at, &v, sizeof(v));
}

/* ---- receive side ---------------------------------------------------------------------------- */

int uvdpa_netq_rx_post(struct uvdpa_netq *q, const struct uvdpa_net_buf *bufs, unsigned int n)
{
	const struct vd_netq_conf *c = &q->conf;
	struct vd_netq_side *s = &q->rx;
	struct vd_buf pieces[BURST];
	struct vd_req reqs[BURST];
	unsigned int done = 0;
	int r = refused(q, s);

	if (vd_unlikely(r))
		return r;
	while (done < n && !r) {
		unsigned int k, most = vd_min(n - done, BURST);
		int added;

		for (k = 0; k < most; k++) {
			const struct uvdpa_net_buf *b = &bufs[done + k];
			uintptr_t off = offset_of(c, b->mem);

			if (vd_unlikely(b->len < c->rx_min || !in_arena(c, off, b->len))) {
				r = b->len < c->rx_min ? -EINVAL : -EFAULT;
				break;
			}
			pieces[k] = (struct vd_buf){ c->iova + off, b->len };
			reqs[k] = (struct vd_req){ .bufs = &pieces[k], .nin = 1 };
		}
		if (!k)
			break;
		added = vd_virtq_drv_add_burst(s->vq, reqs, k);
		if (added < 0) {
			r = added;
			break;
		}
		for (int i = 0; i < added; i++)
			s->mem[reqs[i].id] = bufs[done + (unsigned int)i].mem;
		done += (unsigned int)added;
		if ((unsigned int)added < k)
			break;
	}
	return publish(s, done, r);
}

/* The first buffer of a frame; *b is zeroed but for mem. @len: bytes that the device wrote. */
static void begin_frame(struct uvdpa_netq *q, struct uvdpa_net_buf *b, uint32_t len)
{
	struct virtio_net_hdr_v1 h;
	unsigned int nbufs = 1;

	q->bad = false;
	q->need = FRAME_MIN;
	q->len = 0;
	b->off = UVDPA_NET_HDR;
	if (vd_unlikely(len < UVDPA_NET_HDR)) {
		q->bad = true;
		return;
	}
	b->len = len - UVDPA_NET_HDR;
	q->len = b->len;
	/* The device may change it under us: this copy counts. */
	vd_guest_read(&h, vd_guest_wrap(uint8_t, b->mem), sizeof(h));
	if (q->merge)
		nbufs = le16toh(h.num_buffers);
	if (vd_unlikely(h.flags | h.gso_type)) {
		uint32_t need;

		b->hdr = from_device(&h);
		q->bad = !hdr_ok(q, &b->hdr, false, &need);
		q->need = vd_max(need, FRAME_MIN);
	}
	if (vd_unlikely(!nbufs)) {
		q->bad = true;
		nbufs = 1;
	}
	q->left = nbufs - 1;
}

static void take(struct uvdpa_netq *q, struct uvdpa_net_buf *b, const struct vd_done *d)
{
	struct vd_netq_side *s = &q->rx;

	*b = (struct uvdpa_net_buf){ .mem = s->mem[d->id] };
	if (vd_likely(!q->left)) {
		begin_frame(q, b, d->len);
	} else {
		b->len = d->len;
		q->len = vd_min(q->len + (uint64_t)d->len, UINT32_MAX);
		q->left--;
	}
	if (q->left)
		b->flags = UVDPA_NET_MORE;
	else if (vd_unlikely(q->bad || q->len < q->need))
		b->flags = UVDPA_NET_BAD;
}

/* How many frames, and of which bytes: that ended in this burst. */
static void count_rx(struct vd_netq_side *s, const struct uvdpa_net_buf *bufs, unsigned int n)
{
	uint64_t frames = 0, bytes = 0, bad = 0;

	for (unsigned int i = 0; i < n; i++) {
		bytes += bufs[i].len;
		frames += !(bufs[i].flags & UVDPA_NET_MORE);
		bad += bufs[i].flags >> 1 & 1;
	}
	count(&s->frames, frames);
	count(&s->bytes, bytes);
	if (vd_unlikely(bad))
		count(&s->bad, bad);
}

static_assert(UVDPA_NET_BAD == 1 << 1, "count_rx()");

int uvdpa_netq_rx(struct uvdpa_netq *q, struct uvdpa_net_buf *bufs, unsigned int max)
{
	struct vd_netq_side *s = &q->rx;
	int got, gone = begin_reap(q, s);
	struct vd_done d[BURST];
	unsigned int n = 0;

	do {
		got = get(s, d, vd_min(max - n, BURST));
		for (int i = 0; i < got; i++)
			__builtin_prefetch(s->mem[d[i].id]);
		for (int i = 0; i < got; i++)
			take(q, &bufs[n++], &d[i]);
	} while (got == BURST && n < max);
	if (vd_likely(n)) {
		count_rx(s, bufs, n);
		return (int)n;
	}
	/* A device gives the buffers of a frame back together (virtio 1.3, 5.1.6.4.1). */
	if (vd_unlikely(q->left && max && !gone))
		s->broken = -EIO;
	return gone ? gone : s->broken;
}

int uvdpa_netq_rx_fd(const struct uvdpa_netq *q)
{
	return q->rx.call;
}

bool uvdpa_netq_rx_arm(struct uvdpa_netq *q)
{
	return arm(q, &q->rx);
}

int uvdpa_netq_rx_wait(struct uvdpa_netq *q, int timeout_ms)
{
	return wait_for(q, &q->rx, timeout_ms);
}

/* ---- transmit side --------------------------------------------------------------------------- */

/* The header, in front of the frame. @at: where. @len: of the frame. Return: 0; -EINVAL. */
static int put_hdr(const struct uvdpa_netq *q, const struct uvdpa_net_buf *b, uint8_t *at,
		   uint32_t len)
{
	uint32_t need;

	if (vd_unlikely(len < FRAME_MIN))
		return -EINVAL;
	if (vd_unlikely(b->flags & UVDPA_NET_RAW))
		return 0;
	if (vd_likely(!(b->hdr.flags | b->hdr.gso_type))) {
		memset(at, 0, UVDPA_NET_HDR);
		return 0;
	}
	if (!hdr_ok(q, &b->hdr, true, &need) || need > len)
		return -EINVAL;
	to_device(at, &b->hdr);
	return 0;
}

/* A frame of one piece. Return: 0; -EINVAL, -EFAULT. */
static int put_one(const struct uvdpa_netq *q, const struct uvdpa_net_buf *b, struct vd_buf *ret)
{
	const struct vd_netq_conf *c = &q->conf;
	uintptr_t off = offset_of(c, b->mem) + b->off - UVDPA_NET_HDR;

	if (vd_unlikely(b->off < UVDPA_NET_HDR))
		return -EINVAL;
	if (vd_unlikely(!in_arena(c, off, b->len + (uint64_t)UVDPA_NET_HDR)))
		return -EFAULT;
	*ret = (struct vd_buf){ c->iova + off, b->len + UVDPA_NET_HDR };
	return put_hdr(q, b, c->base + off, b->len);
}

/* The first frame of several pieces. @n: buffers there are. Return: pieces; -errno. */
static vd_noinline int tx_long(struct uvdpa_netq *q, const struct uvdpa_net_buf *bufs,
			       unsigned int n)
{
	const struct vd_netq_conf *c = &q->conf;
	struct vd_buf pieces[UVDPA_NET_SEGS];
	unsigned int k = 0;
	uint64_t len = 0;
	int r;

	do {
		uint32_t extra = k ? 0 : UVDPA_NET_HDR;
		uintptr_t off;

		if (k == UVDPA_NET_SEGS || k == n || bufs[k].off < extra)
			return -EINVAL;
		off = offset_of(c, bufs[k].mem) + bufs[k].off - extra;
		if (!in_arena(c, off, bufs[k].len + (uint64_t)extra))
			return -EFAULT;
		pieces[k] = (struct vd_buf){ c->iova + off, bufs[k].len + extra };
		len += bufs[k].len;
		if (len > INT32_MAX)
			return -EINVAL;
	} while (bufs[k++].flags & UVDPA_NET_MORE);
	r = put_hdr(q, bufs, bufs[0].mem + bufs[0].off - UVDPA_NET_HDR, (uint32_t)len);
	if (!r)
		r = vd_virtq_drv_add(q->tx.vq, pieces, k, 0);
	if (r < 0)
		return r;
	q->tx.mem[r] = bufs[0].mem;
	q->npieces[r] = (uint8_t)k;
	for (unsigned int i = 1; i < k; i++)
		q->more[(unsigned int)r * UVDPA_NET_SEGS + i] = bufs[i].mem;
	q->nlong++;
	count(&q->tx.frames, 1);
	count(&q->tx.bytes, len);
	return (int)k;
}

/* Frames of one piece, up to the first of another kind. Return: how many; -errno for the first;
 * *ret_end: not all that were there were taken, and why. */
static int tx_ones(struct uvdpa_netq *q, const struct uvdpa_net_buf *bufs, unsigned int n,
		   int *ret_end)
{
	struct vd_netq_side *s = &q->tx;
	struct vd_buf pieces[BURST];
	struct vd_req reqs[BURST];
	uint64_t bytes = 0;
	unsigned int k;
	int added, r = 0;

	for (k = 0; k < n && !(bufs[k].flags & UVDPA_NET_MORE); k++) {
		r = put_one(q, &bufs[k], &pieces[k]);
		if (vd_unlikely(r))
			break;
		reqs[k] = (struct vd_req){ .bufs = &pieces[k], .nout = 1 };
	}
	*ret_end = r;
	if (vd_unlikely(!k))
		return 0;
	added = vd_virtq_drv_add_burst(s->vq, reqs, k);
	if (vd_unlikely(added < (int)k))
		*ret_end = added < 0 ? added : -ENOSPC;
	for (int i = 0; i < added; i++) {
		s->mem[reqs[i].id] = bufs[i].mem;
		bytes += bufs[i].len;
	}
	if (added <= 0)
		return 0;
	count(&s->frames, (unsigned int)added);
	count(&s->bytes, bytes);
	return added;
}

int uvdpa_netq_tx(struct uvdpa_netq *q, const struct uvdpa_net_buf *bufs, unsigned int n)
{
	struct vd_netq_side *s = &q->tx;
	unsigned int done = 0;
	int r = refused(q, s);

	if (vd_unlikely(r))
		return r;
	while (done < n && !r) {
		if (vd_likely(!(bufs[done].flags & UVDPA_NET_MORE))) {
			done += (unsigned int)tx_ones(q, bufs + done, vd_min(n - done, BURST), &r);
			continue;
		}
		r = tx_long(q, bufs + done, n - done);
		if (r > 0) {
			done += (unsigned int)r;
			r = 0;
		}
	}
	return publish(s, done, r);
}

/* The rest of a frame that was sent. Return: how many. */
static vd_noinline unsigned int rest_of(struct uvdpa_netq *q, uint16_t id, uint8_t **mem)
{
	unsigned int n = q->npieces[id];

	for (unsigned int i = 1; i < n; i++)
		mem[i - 1] = q->more[id * UVDPA_NET_SEGS + i];
	q->npieces[id] = 0;
	q->nlong--;
	return n - 1;
}

int uvdpa_netq_tx_done(struct uvdpa_netq *q, uint8_t **mem, unsigned int max)
{
	struct vd_netq_side *s = &q->tx;
	int got, gone = begin_reap(q, s);
	struct vd_done d[BURST];
	unsigned int n = 0, most;

	do {
		/* What is taken from the ring must have room here, whatever it is. */
		most = q->nlong ? (max - n) / UVDPA_NET_SEGS : max - n;
		most = vd_min(most, BURST);
		got = most ? get(s, d, most) : 0;
		for (int i = 0; i < got; i++) {
			mem[n++] = s->mem[d[i].id];
			if (vd_unlikely(q->npieces[d[i].id]))
				n += rest_of(q, d[i].id, mem + n);
		}
	} while (got && (unsigned int)got == most);
	return n ? (int)n : gone ? gone : s->broken;
}

int uvdpa_netq_tx_fd(const struct uvdpa_netq *q)
{
	return q->tx.call;
}

bool uvdpa_netq_tx_arm(struct uvdpa_netq *q)
{
	return arm(q, &q->tx);
}

int uvdpa_netq_tx_wait(struct uvdpa_netq *q, int timeout_ms)
{
	return wait_for(q, &q->tx, timeout_ms);
}

unsigned int uvdpa_netq_tx_inflight(const struct uvdpa_netq *q)
{
	return vd_virtq_drv_inflight(q->tx.vq);
}

void uvdpa_netq_stats(const struct uvdpa_netq *q, struct uvdpa_netq_stats *ret_stats)
{
	const struct {
		const uint64_t *from;
		uint64_t *to;
	} all[] = {
		{ &q->rx.frames, &ret_stats->rx_frames }, { &q->rx.bytes, &ret_stats->rx_bytes },
		{ &q->rx.bad, &ret_stats->rx_bad },       { &q->tx.frames, &ret_stats->tx_frames },
		{ &q->tx.bytes, &ret_stats->tx_bytes },   { &q->rx.kicks, &ret_stats->rx_kicks },
		{ &q->tx.kicks, &ret_stats->tx_kicks },
	};

	memset(ret_stats, 0, sizeof(*ret_stats));
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(all); i++)
		*all[i].to = __atomic_load_n(all[i].from, __ATOMIC_RELAXED);
}
