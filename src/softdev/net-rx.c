/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-rx.c - what a network device receives (virtio 1.3, 5.1.6.3 and 4)
 *
 * Who has locked a receive queue takes buffers into the stash of its pair, uses some of them, in
 * their order, and at the end gives those back and lets the others stay in the ring:
 *
 *	stash:	| filled ............. | the frame that is on its way ... | left over .. |
 *		0		       nfilled				     nstash
 *
 * A frame takes several buffers only with MRG_RXBUF. A buffer that has no room for the header
 * comes back empty.
 */
#include "softdev/net.h"

#include <errno.h>
#include <string.h>

#include "softdev/net-gro.h"
#include "softdev/net-gso.h"

#define SHORT_NS 100000000u	/* that a frame waits for more buffers than there are */

/* Make room behind those that are taken. Return: false: there is none. */
static bool compact(struct vd_net_pair *pair)
{
	if (!pair->nfilled)
		return false;
	vd_softq_give(pair->rx, pair->stash, pair->nfilled);
	pair->nstash -= pair->nfilled;
	memmove(pair->stash, pair->stash + pair->nfilled, pair->nstash * sizeof(*pair->stash));
	pair->nfilled = 0;
	return true;
}

/* A buffer will be used: the frame is going to be written, the header perhaps not. */
static void ask_for(const struct vd_iov *iov, unsigned int hdr_len)
{
	uint8_t vd_guest *frame = iov->base + hdr_len;

	vd_prefetch_read(iov->base);
	vd_prefetch_write(frame);
}

/* Return: whether there is one behind the first @*n. */
static bool refill(struct vd_net_pair *pair, unsigned int *n)
{
	unsigned int filled = pair->nfilled;

	if (vd_likely(*n < pair->nstash))
		return true;
	if (pair->nstash + pair->ntake > VD_NET_STASH) {
		if (compact(pair))
			*n -= filled;
		else if (pair->nstash == VD_NET_STASH)
			return false;
	}
	pair->nstash += vd_softq_take(pair->rx, pair->stash + pair->nstash,
				      vd_min(pair->ntake, VD_NET_STASH - pair->nstash));
	for (unsigned int i = *n; i < pair->nstash; i++) {
		const struct vd_chain *c = pair->stash[i];

		if (vd_likely(c->nin))
			ask_for(&c->iov[c->nout], pair->net->hdr_len);
	}
	return *n < pair->nstash;
}

bool vd_net_rx_begin(struct vd_net_pair *pair, const struct vd_worker *by)
{
	if (!vd_softq_lock(pair->rx))
		return false;
	pair->by = by;
	pair->ntake = VD_SOFTQ_BURST;
	return true;
}

void vd_net_rx_end(struct vd_net_pair *pair)
{
	unsigned int left = pair->nstash - pair->nfilled;

	vd_softq_untake(pair->rx, pair->stash + pair->nfilled, left);
	if (pair->nfilled)
		vd_softq_give(pair->rx, pair->stash, pair->nfilled);
	pair->nstash = pair->nfilled = 0;
	vd_softq_publish(pair->rx, pair->by);
	vd_softq_unlock(pair->rx);
}

bool vd_net_rx_get(struct vd_net_pair *pair, uint32_t want, struct vd_net_rx *ret_rx)
{
	const struct vd_net *net = pair->net;
	unsigned int n = pair->nfilled, niov = 0;
	uint64_t room = 0, wanted = (uint64_t)want + net->hdr_len;
	struct vd_sg sg;

	while (room < wanted && refill(pair, &n)) {
		struct vd_chain *c = pair->stash[n];

		if (vd_unlikely(n == pair->nfilled && c->in_len < net->hdr_len)) {
			c->written = 0;
			pair->nfilled = ++n;
			continue;
		}
		if (vd_unlikely(niov + c->nin > VD_NET_PIECES))
			break;
		for (unsigned int i = 0; i < c->nin; i++)
			pair->pieces[niov++] = c->iov[c->nout + i];
		room += c->in_len;
		n++;
		if (!net->mergeable)
			break;
	}
	if (!room)
		return false;
	sg = vd_sg(pair->pieces, niov);
	vd_sg_skip(&sg, net->hdr_len);
	if (sg.off) {
		sg.iov->base += sg.off;
		sg.iov->len -= sg.off;
	}
	*ret_rx = (struct vd_net_rx){ sg.iov, sg.n, (uint32_t)vd_min(room - net->hdr_len, UINT32_MAX),
				      n - pair->nfilled };
	return true;
}

bool vd_net_rx_wait(struct vd_net_pair *pair)
{
	uint64_t now = vd_now_ns();

	if (!pair->short_since_ns)
		pair->short_since_ns = now;
	if (now - pair->short_since_ns >= SHORT_NS) {
		vd_net_count(&pair->received.overruns, 1);
		pair->short_since_ns = 0;
		return false;
	}
	vd_softq_short(pair->rx);
	return true;
}

/*
 * Mostly it is the one of last time, in a line of its own, which so may stay in the caches of both
 * sides.
 */
static inline void put_header(uint8_t vd_guest *to, const struct virtio_net_hdr_v1 *h)
{
	struct virtio_net_hdr_v1 there;

	vd_guest_read(&there, to, sizeof(there));
	if (vd_unlikely(memcmp(&there, h, sizeof(there))))
		vd_guest_write(to, h, sizeof(*h));
}

static void write_header(const struct vd_net *net, struct vd_chain *c, const struct vd_net_hdr *h,
			 struct vd_net_hash hash, unsigned int buffers)
{
	struct virtio_net_hdr_v1_hash raw = {
		.hdr = {
			.flags = h->flags,
			.gso_type = h->gso_type,
			.hdr_len = htole16(h->hdr_len),
			.gso_size = htole16(h->gso_size),
			.csum_start = htole16(h->csum_start),
			.csum_offset = htole16(h->csum_offset),
			.num_buffers = htole16((uint16_t)buffers),
		},
		.hash_value = htole32(hash.value),
		.hash_report = htole16(hash.report),
	};
	struct vd_iov *iov = c->iov + c->nout;

	/* That a checksum is right is told only to who has asked. */
	if (vd_unlikely(h->flags) &&
	    !(__atomic_load_n(&net->guest_offloads, __ATOMIC_RELAXED) & VD_NET_F(GUEST_CSUM)))
		raw.hdr.flags = 0;
	if (vd_likely(iov->len >= sizeof(raw.hdr) && net->hdr_len == sizeof(raw.hdr))) {
		put_header(iov->base, &raw.hdr);
	} else {
		struct vd_sg sg = vd_sg(iov, c->nin);

		vd_sg_write(&sg, &raw, net->hdr_len);
	}
}

/* A frame is in the buffers behind those that are filled. */
static void put(struct vd_net_pair *pair, const struct vd_net_hdr *hdr, struct vd_net_hash hash,
		uint32_t len)
{
	struct vd_net *net = pair->net;
	uint32_t left = len + net->hdr_len;
	unsigned int n = 0;

	for (; left; n++) {
		struct vd_chain *c = pair->stash[pair->nfilled + n];

		c->written = vd_min(left, c->in_len);
		left -= c->written;
	}
	write_header(net, pair->stash[pair->nfilled], hdr, hash, n);
	pair->nfilled += n;
	vd_net_count(&pair->received.packets, 1);
	vd_net_count(&pair->received.bytes, len);
}

/* The first bytes of a frame that is in the driver's buffers already. Return: how many. */
static size_t peek(const struct vd_net_pair *pair, const struct vd_net_rx *rx, uint32_t len, uint8_t *b)
{
	size_t skip = pair->net->hdr_len, got = 0, want = vd_min(len, VD_NET_HEAD);

	for (unsigned int i = 0; i < rx->nchains && got < want; i++) {
		const struct vd_chain *c = pair->stash[pair->nfilled + i];
		struct vd_sg sg = vd_sg(c->iov + c->nout, c->nin);

		skip -= vd_sg_skip(&sg, skip);
		got += vd_sg_read(&sg, b + got, want - got);
	}
	return got;
}

void vd_net_rx_put(struct vd_net_pair *pair, const struct vd_net_rx *rx,
		   const struct vd_net_hdr *hdr, uint32_t len)
{
	struct vd_net_way way = { 0 };

	assert(len <= rx->len);
	if (!len)
		return;
	if (pair->by == pair->worker)
		pair->short_since_ns = 0;
	if (!__atomic_load_n(&pair->net->plain, __ATOMIC_RELAXED)) {
		uint8_t b[VD_NET_HEAD];

		way = vd_net_look(pair->net, b, peek(pair, rx, len, b));
		if (way.pair == VD_NET_NOBODY) {
			vd_net_count(&pair->received.drops, 1);
			return;
		}
	}
	put(pair, hdr, way.hash, len);
}

/* ---- by a copy ------------------------------------------------------------------------------- */

static void copy(const struct vd_net_rx *rx, const struct vd_net_frame *f)
{
	struct vd_sg to, from;

	if (vd_likely(f->niov == 1 && rx->iov->len >= f->len)) {
		vd_guest_copy(rx->iov->base, f->iov->base, f->len);
		return;
	}
	to = vd_sg(rx->iov, rx->niov);
	from = vd_sg(f->iov, f->niov);
	vd_sg_copy(&to, &from, f->len);
}

/* Room for all of it? Return: 0; -EAGAIN there are no buffers; -EMSGSIZE: not for this one. */
static int room_for(struct vd_net_pair *pair, uint32_t len, struct vd_net_rx *ret_rx)
{
	if (!vd_net_rx_get(pair, len, ret_rx)) {
		vd_net_count(&pair->received.overruns, 1);
		return -EAGAIN;
	}
	if (vd_likely(ret_rx->len >= len))
		return 0;
	vd_net_count(pair->net->mergeable ? &pair->received.overruns : &pair->received.errors, 1);
	return -EMSGSIZE;
}

/* What the driver does not take undone is done here. */
static vd_noinline int deliver_parts(struct vd_net_pair *pair, const struct vd_net_frame *f,
				     struct vd_net_hash hash, uint64_t guest)
{
	struct vd_net_rx rx;
	struct vd_net_gso g;
	struct vd_net_seg seg;
	int r;

	r = vd_net_gso_begin(&g, f, guest,
			     __atomic_fetch_add(&pair->net->fragment_id, 1, __ATOMIC_RELAXED));
	if (r)
		vd_net_count(&pair->received.errors, 1);
	while (!r && vd_net_gso_next(&g, &seg)) {
		struct vd_sg to;

		r = room_for(pair, seg.nhead + seg.ndata, &rx);
		if (r)
			break;
		to = vd_sg(rx.iov, rx.niov);
		vd_sg_write(&to, seg.head, seg.nhead);
		vd_sg_copy(&to, &seg.data, seg.ndata);
		put(pair, &seg.hdr, hash, seg.nhead + seg.ndata);
	}
	return r;
}

/* Return: 0; -EAGAIN: no further one will get in; another -errno: this one did not. */
static int deliver_one(struct vd_net_pair *pair, const struct vd_net_frame *f, struct vd_net_hash hash)
{
	uint64_t guest = __atomic_load_n(&pair->net->guest_offloads, __ATOMIC_RELAXED);
	struct vd_net_rx rx;
	int r;

	if (vd_unlikely(!vd_net_fits(guest, &f->hdr)))
		return deliver_parts(pair, f, hash, guest);
	r = room_for(pair, f->len, &rx);
	if (vd_unlikely(r))
		return r;
	copy(&rx, f);
	put(pair, &f->hdr, hash, f->len);
	return 0;
}

/* A frame of one piece that leaves nothing to be done, into a buffer of one piece. */
static inline bool is_simple(const struct vd_net_frame *f, const struct vd_chain *c)
{
	return f->niov == 1 && !(f->hdr.flags | f->hdr.gso_type) && c->nin == 1 && !c->nout &&
	       c->in_len >= f->len + sizeof(struct virtio_net_hdr_v1);
}

/*
 * As deliver() does it, but for simple ones, as nearly all are, as long as there is nothing else;
 * nothing is taken yet. Return: how many.
 */
static unsigned int deliver_simple(struct vd_net_pair *pair, const struct vd_net_frame *frames,
				   unsigned int n)
{
	const struct virtio_net_hdr_v1 plain = { .num_buffers = htole16(1) };
	uint64_t bytes = 0;
	unsigned int i = 0;

	if (vd_unlikely(pair->net->hdr_len != sizeof(plain) || !refill(pair, &i)))
		return 0;
	for (n = vd_min(n, pair->nstash); i < n; i++) {
		const struct vd_net_frame *f = &frames[i];
		struct vd_chain *c = pair->stash[i];
		uint8_t vd_guest *to;

		if (vd_unlikely(!is_simple(f, c)))
			break;
		to = c->iov->base;
		put_header(to, &plain);
		vd_guest_copy(to + sizeof(plain), f->iov->base, f->len);
		c->written = f->len + (uint32_t)sizeof(plain);
		bytes += f->len;
	}
	pair->nfilled = i;
	vd_net_count(&pair->received.packets, i);
	vd_net_count(&pair->received.bytes, bytes);
	return i;
}

static unsigned int deliver(struct vd_net_pair *pair, const struct vd_net_frame *frames, unsigned int n)
{
	struct vd_net_hash none = { 0 };
	unsigned int got;

	pair->ntake = n; /* what is not used would be taken for nothing, and its lines from the driver */
	got = deliver_simple(pair, frames, n);
	for (unsigned int i = got; i < n; i++) {
		int r = deliver_one(pair, &frames[i], none);

		if (vd_likely(!r)) {
			got++;
		} else if (r == -EAGAIN) {
			vd_net_count(&pair->received.overruns, n - i - 1);
			break;
		}
	}
	return got;
}

/*
 * Where they go is decided for all of them under one lock. What they begin with is read before: that
 * is somebody's memory, and may take as long as he likes.
 */
static bool choose(struct vd_net *net, const struct vd_worker *by, const struct vd_net_frame *frames,
		   unsigned int n, struct vd_net_way *ways)
{
	/* Any lock will do, and this one is not often wanted by others. */
	struct vd_net_pair *pair = &net->pairs[by ? vd_worker_index(by) % net->conf.max_vqp : 0];
	uint8_t heads[VD_SOFTQ_BURST][VD_NET_HEAD];

	for (unsigned int i = 0; i < n; i++) {
		struct vd_sg sg = vd_sg(frames[i].iov, frames[i].niov);

		if (!frames[i].head)
			vd_sg_read(&sg, heads[i], vd_min(frames[i].len, VD_NET_HEAD));
	}
	if (!vd_softq_lock_out(pair->rx))
		return false;
	for (unsigned int i = 0; i < n; i++) {
		const uint8_t *b = frames[i].head ? frames[i].head : heads[i];

		ways[i] = vd_net_look(net, b, vd_min(frames[i].len, VD_NET_HEAD));
		if (ways[i].pair == VD_NET_NOBODY)
			vd_net_count(&pair->received.drops, 1);
	}
	vd_softq_unlock(pair->rx);
	return true;
}

/* All that go the same way as the first; nobody wants them any more afterwards. */
static unsigned int deliver_way(struct vd_net *net, const struct vd_worker *by,
				const struct vd_net_frame *frames, unsigned int n,
				struct vd_net_way *ways)
{
	struct vd_net_pair *pair = &net->pairs[ways->pair];
	unsigned int way = ways->pair, got = 0;
	bool open = vd_net_rx_begin(pair, by);

	/* Nobody has said that each pair that is used runs. */
	if (!open && way) {
		pair = &net->pairs[0];
		open = vd_net_rx_begin(pair, by);
	}
	for (unsigned int i = 0; i < n; i++) {
		if (ways[i].pair != way)
			continue;
		if (open)
			got += !deliver_one(pair, &frames[i], ways[i].hash);
		ways[i].pair = VD_NET_NOBODY;
	}
	if (open)
		vd_net_rx_end(pair);
	return got;
}

static vd_noinline unsigned int deliver_ways(struct vd_net *net, const struct vd_worker *by,
					     const struct vd_net_frame *frames, unsigned int n)
{
	struct vd_net_way ways[VD_SOFTQ_BURST];
	unsigned int got = 0;

	if (!choose(net, by, frames, n, ways))
		return 0;
	for (unsigned int i = 0; i < n; i++)
		if (ways[i].pair != VD_NET_NOBODY)
			got += deliver_way(net, by, frames + i, n - i, ways + i);
	return got;
}

unsigned int vd_net_deliver(struct vd_net *net, const struct vd_worker *by,
			    const struct vd_net_frame *frames, unsigned int n)
{
	struct vd_net_pair *pair = &net->pairs[0];
	bool up = __atomic_load_n(&net->link_up, __ATOMIC_RELAXED);
	unsigned int got = 0;

	if (vd_unlikely(up && !(__atomic_load_n(&net->plain, __ATOMIC_RELAXED) &&
				__atomic_load_n(&net->spread, __ATOMIC_RELAXED) == 1)))
		return deliver_ways(net, by, frames, n);
	if (!vd_net_rx_begin(pair, by))
		return 0;
	if (vd_likely(up))
		got = deliver(pair, frames, n);
	else
		vd_net_count(&pair->received.drops, n);
	vd_net_rx_end(pair);
	return got;
}

/* Segments as one frame, if there are buffers for it. Return: how many; 0: none. */
static unsigned int offer_large(struct vd_net_pair *pair, const struct vd_net_frame *frames,
				unsigned int n, uint64_t guest)
{
	struct vd_net_gro g;
	struct vd_net_rx rx;
	unsigned int k = vd_net_gro(&g, frames, n, guest);

	if (k == 1 || !vd_net_rx_get(pair, g.frame.len, &rx) || rx.len < g.frame.len)
		return 0;
	copy(&rx, &g.frame);
	vd_net_rx_put(pair, &rx, &g.frame.hdr, g.frame.len);
	return k;
}

unsigned int vd_net_rx_all(struct vd_net_pair *pair, const struct vd_net_frame *frames,
			   unsigned int n, bool *ret_short)
{
	uint64_t guest = __atomic_load_n(&pair->net->guest_offloads, __ATOMIC_RELAXED);
	bool large = guest & (VD_NET_F(GUEST_TSO4) | VD_NET_F(GUEST_TSO6));
	struct vd_net_rx rx;
	unsigned int i = 0, k;

	*ret_short = false;
	while (i < n) {
		k = large ? offer_large(pair, frames + i, n - i, guest) : 0;
		if (k) {
			i += k;
			continue;
		}
		if (!vd_net_rx_get(pair, frames[i].len, &rx))
			break;
		if (vd_likely(rx.len >= frames[i].len)) {
			copy(&rx, &frames[i]);
			vd_net_rx_put(pair, &rx, &frames[i].hdr, frames[i].len);
		} else if (!pair->net->mergeable) {
			vd_net_count(&pair->received.errors, 1);
		} else {
			*ret_short = true;
			break;
		}
		i++;
	}
	return i;
}

/* Return: how many were taken or dropped; for the next one there are not buffers enough. */
static unsigned int offer(struct vd_net_pair *pair, const struct vd_net_frame *frames, unsigned int n)
{
	unsigned int i = 0;
	bool is_short = true;

	while (is_short && i < n) {
		i += vd_net_rx_all(pair, frames + i, n - i, &is_short);
		if (is_short && vd_net_rx_wait(pair))
			break;
		i += is_short;
	}
	return i;
}

unsigned int vd_net_offer(struct vd_net_pair *pair, const struct vd_net_frame *frames, unsigned int n)
{
	unsigned int dealt = n;

	if (!vd_net_rx_begin(pair, pair->worker))
		return 0;
	/* What came before the other side went is wanted all the same. */
	if (vd_likely(__atomic_load_n(&pair->net->link_wanted, __ATOMIC_RELAXED)))
		dealt = offer(pair, frames, n);
	else
		vd_net_count(&pair->received.drops, n);
	vd_net_rx_end(pair);
	return dealt;
}
