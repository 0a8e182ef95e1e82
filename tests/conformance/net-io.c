/* SPDX-License-Identifier: BSD-2-Clause */
/* net-io.c - frames to a network device and back, and what each must hold; see net.h */
#include "net.h"

#include <poll.h>
#include <stdio.h>

#include "base/fd.h"

#define SLOTS    512u
#define SLOT_MAX 2048u /* bytes */
#define WAIT_MS  10000u

struct io {
	uint32_t stride;
	unsigned int nfree;
	uint16_t free[SLOTS];
	uint16_t slot_of[SLOTS];  /* by the ring's id */
	uint32_t last[NET_PAIRS]; /* that came, of each pair that sends */
};

struct model {
	uint32_t number;          /* of the last frame */
	unsigned int life;        /* in which the pairs were set */
	bool spreading;           /* see net_any_order() */
	uint32_t last[NET_PAIRS]; /* that came, of each pair */
	uint8_t to[6];
};

/* ---- what there is ------------------------------------------------------------------------- */

bool net_has(const struct cf *c, unsigned int feature)
{
	return c->features & CF_F(feature);
}

unsigned int net_pairs(const struct cf *c)
{
	return net_has(c, VIRTIO_NET_F_MQ) ? vd_min(c->info->nvqs / 2, NET_PAIRS) : 1;
}

struct cf_queue *net_ctrl_queue(struct cf *c)
{
	unsigned int idx = 2;

	if (net_has(c, VIRTIO_NET_F_MQ))
		idx = c->info->nvqs - 1;
	return net_has(c, VIRTIO_NET_F_CTRL_VQ) && idx < c->nq ? &c->q[idx] : NULL;
}

enum net_kind net_kind(const struct cf_queue *q)
{
	if (q->idx < 2 * net_pairs(q->c))
		return q->idx & 1 ? NET_TX : NET_RX;
	return q == net_ctrl_queue(q->c) ? NET_CTRL : NET_NONE;
}

static struct model *model(struct cf *c)
{
	struct model *m = c->model;
	const char *mac = c->f.variant->wire->mac;
	unsigned int b[6];

	if (m)
		return m;
	m = calloc(1, sizeof(*m));
	cf_check(m);
	c->model = m;
	cf_is(sscanf(mac ? mac : CF_MAC, "%x:%x:%x:%x:%x:%x", &b[0], &b[1], &b[2], &b[3], &b[4],
		     &b[5]),
	      6);
	for (unsigned int i = 0; i < 6; i++)
		m->to[i] = (uint8_t)b[i];
	return m;
}

static struct io *io(struct cf_queue *q)
{
	struct io *x = q->io;
	unsigned int n = vd_min((unsigned int)q->num, SLOTS);

	if (x)
		return x;
	x = calloc(1, sizeof(*x));
	cf_check(x);
	q->io = x;
	x->stride = vd_min(q->data_len / n & ~63u, SLOT_MAX);
	cf_check(x->stride >= NET_HDR + NET_USUAL);
	while (x->nfree < n) {
		x->free[x->nfree] = (uint16_t)x->nfree;
		x->nfree++;
	}
	return x;
}

static uint64_t slot_iova(struct cf_queue *q, unsigned int slot)
{
	return q->data_iova + (uint64_t)slot * io(q)->stride;
}

static uint64_t rnd_state = 88172645463325252u;

uint32_t net_rnd(uint32_t below)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (uint32_t)(rnd_state >> 32) % below;
}

/* ---- a frame ------------------------------------------------------------------------------- */

/* Where its number, its length and its pair are; the rest follows from the number. */
#define AT_NUMBER 42u
#define AT_LEN    46u

static uint8_t byte_of(uint32_t number, uint32_t i)
{
	return (uint8_t)((number * 2654435761u ^ i * 40503u) >> 7);
}

static void put16(uint8_t *to, uint32_t v)
{
	to[0] = (uint8_t)(v >> 8);
	to[1] = (uint8_t)v;
}

static void put32(uint8_t *to, uint32_t v)
{
	put16(to, v >> 16);
	put16(to + 2, v);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

/* IPv4 and UDP, between two addresses for examples (RFC 5737). */
static void datagram(uint8_t *f, uint32_t len, unsigned int pair)
{
	static const uint8_t ip[20] = { 0x45, 0, 0,   0, 0, 0, 0,   0, 64, 17,
					0,    0, 192, 0, 2, 1, 192, 0, 2,  2 };
	uint32_t sum = 0;

	put16(f + 12, 0x0800);
	memcpy(f + 14, ip, sizeof(ip));
	put16(f + 16, len - 14);
	for (unsigned int i = 0; i < 20; i += 2)
		sum += (uint32_t)f[14 + i] << 8 | f[15 + i];
	sum = (sum & 0xffff) + (sum >> 16);
	put16(f + 24, ~((sum & 0xffff) + (sum >> 16)));
	put16(f + 34, 4000 + pair);
	put16(f + 36, 4000 + pair);
	put16(f + 38, len - 34);
	put16(f + 40, 0);
}

/* Longer ones than IPv4 has are of a type for experiments, and so are short ones. */
static void frame(struct cf *c, uint8_t *f, uint32_t number, uint32_t len, unsigned int pair)
{
	static const uint8_t from[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

	memcpy(f, model(c)->to, 6);
	memcpy(f + 6, from, 6);
	put16(f + 12, 0x88b5);
	for (uint32_t i = NET_MIN; i < len; i++)
		f[i] = byte_of(number, i);
	if (len < NET_NUMBERED)
		return;
	if (len <= 65535 + 14)
		datagram(f, len, pair);
	put32(f + AT_NUMBER, number);
	put32(f + AT_LEN, len << 8 | pair);
}

void net_make(struct cf *c, uint8_t *to, uint32_t number, uint32_t len, unsigned int pair)
{
	memset(to, 0, NET_HDR);
	frame(c, to + NET_HDR, number, len, pair);
}

/* Where the pair is known it is in the frame. */
void net_check(struct cf *c, const uint8_t *got, uint32_t number, uint32_t len)
{
	unsigned int pair = len < NET_NUMBERED ? 0 : get32(got + AT_LEN) & 0xff;
	uint8_t *want = malloc(len);
	uint32_t i = 12;

	cf_check(want);
	frame(c, want, number, len, pair);
	while (i < len && got[i] == want[i])
		i++;
	free(want);
	if (i < len)
		cf_fail(__FILE__, __LINE__, "frame %u of %u bytes: another byte at %u", number, len,
			i);
}

void net_check_header(const uint8_t *got, unsigned int buffers)
{
	struct virtio_net_hdr_v1 h;

	memcpy(&h, got, sizeof(h));
	cf_is(h.flags & ~VIRTIO_NET_HDR_F_DATA_VALID, 0);
	cf_is(h.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	cf_is(le16toh(h.num_buffers), buffers);
}

uint32_t net_number(struct cf *c)
{
	return ++model(c)->number;
}

/* ---- slots --------------------------------------------------------------------------------- */

void net_post(struct cf_queue *rx)
{
	struct io *x = io(rx);

	while (x->nfree) {
		uint16_t slot = x->free[x->nfree - 1];
		struct vd_buf b = { slot_iova(rx, slot), x->stride };
		int id = vd_virtq_drv_add(rx->drv, &b, 0, 1);

		if (id == -ENOSPC)
			break;
		cf_check(id >= 0);
		x->nfree--;
		x->slot_of[id] = slot;
	}
	cf_publish(rx);
}

uint32_t net_send(struct cf_queue *tx, uint32_t len)
{
	struct io *x = io(tx);
	struct vd_buf b;
	uint16_t slot;
	int id;

	if (!x->nfree)
		return 0;
	slot = x->free[x->nfree - 1];
	b = (struct vd_buf){ slot_iova(tx, slot), NET_HDR + len };
	net_make(tx->c, cf_at(tx->c, b.iova), net_number(tx->c), len, tx->idx / 2);
	id = vd_virtq_drv_add(tx->drv, &b, 1, 0);
	if (id == -ENOSPC)
		return 0;
	cf_check(id >= 0);
	x->nfree--;
	x->slot_of[id] = slot;
	return model(tx->c)->number;
}

static void put_back(struct cf_queue *q, const struct vd_done *d)
{
	struct io *x = io(q);

	x->free[x->nfree++] = x->slot_of[d->id];
}

void net_sent(struct cf_queue *tx)
{
	struct vd_done d[32];

	while (vd_virtq_drv_inflight(tx->drv))
		for (unsigned int n = cf_get(tx, d, 32); n--;) {
			cf_is(d[n].len, 0);
			put_back(tx, &d[n]);
		}
}

/* In the order in which its pair sent. */
static void check_slot(struct cf_queue *rx, const struct vd_done *d)
{
	const uint8_t *p = cf_at(rx->c, slot_iova(rx, io(rx)->slot_of[d->id]));
	const uint8_t *f = p + NET_HDR;
	uint32_t len, number, pair;

	cf_check(d->len >= NET_HDR + NET_NUMBERED);
	net_check_header(p, 1);
	number = get32(f + AT_NUMBER);
	len = get32(f + AT_LEN) >> 8;
	pair = get32(f + AT_LEN) & 0xff;
	cf_is(d->len, NET_HDR + len);
	cf_check(pair < NET_PAIRS);
	net_check(rx->c, f, number, len);
	if (number <= io(rx)->last[pair] && !model(rx->c)->spreading)
		cf_fail(__FILE__, __LINE__, "frame %u after %u", number, io(rx)->last[pair]);
	io(rx)->last[pair] = number;
	model(rx->c)->last[pair] = number;
}

unsigned int net_receive(struct cf_queue *rx)
{
	struct vd_done d[32];
	unsigned int total = 0;
	int n;

	while ((n = vd_virtq_drv_get(rx->drv, d, 32)) > 0) {
		for (int i = 0; i < n; i++) {
			check_slot(rx, &d[i]);
			put_back(rx, &d[i]);
		}
		total += (unsigned int)n;
	}
	if (n < 0)
		cf_fail(__FILE__, __LINE__, "queue %u: %s", rx->idx, vd_virtq_drv_error(rx->drv));
	if (total)
		net_post(rx);
	return total;
}

static unsigned int receive_all(struct cf *c)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < 2 * net_pairs(c); i += 2)
		if (!c->q[i].off)
			n += net_receive(&c->q[i]);
	return n;
}

/* Who sends back on a socket waits for buffers, and the device for who sends back. */
void net_idle(struct cf *c)
{
	receive_all(c);
}

/* Sleep until one of them is notified. Return: false: nothing came. */
static bool sleep_rx(struct cf *c, int ms)
{
	struct pollfd p[NET_PAIRS + 1] = { { uvdpa_fd(c->u), POLLIN, 0 } };
	unsigned int n = net_pairs(c), i;
	bool found = false;

	for (i = 0; i < n; i++) {
		p[i + 1] = (struct pollfd){ c->q[2 * i].off ? -1 : c->q[2 * i].call, POLLIN, 0 };
		if (!c->q[2 * i].off)
			found |= vd_virtq_drv_calls_on(c->q[2 * i].drv);
	}
	if (!found && poll(p, n + 1, ms) > 0)
		found = true;
	for (i = 0; i < n; i++) {
		struct cf_queue *q = &c->q[2 * i];

		if (q->off)
			continue;
		/* It came just now, or without a word. */
		if (!found && vd_virtq_drv_calls_on(q->drv) && poll(&p[i + 1], 1, 200) == 0)
			cf_fail(__FILE__, __LINE__, "queue %u: received, and not notified", q->idx);
		vd_virtq_drv_calls_off(q->drv);
		vd_eventfd_drain(q->call);
	}
	cf_turn(c, 0);
	return found;
}

void net_await(struct cf *c, unsigned int n)
{
	uint64_t due = cf_now_ms() + WAIT_MS;
	unsigned int got = 0;

	while ((got += receive_all(c)) < n) {
		sleep_rx(c, 1000);
		if (cf_now_ms() > due)
			cf_fail(__FILE__, __LINE__, "%u of %u frames came", got, n);
	}
	cf_is(got, n);
}

void net_nothing(struct cf *c)
{
	for (uint64_t due = cf_now_ms() + 30; cf_now_ms() < due;) {
		sleep_rx(c, 10);
		cf_is(receive_all(c), 0);
	}
}

/* Two of what is no frame, one after the other: with the second it has seen all. */
void net_settle(struct cf *c)
{
	for (unsigned int i = 0; i < 2 * net_pairs(c); i++) {
		struct cf_queue *tx = &c->q[i | 1];
		struct vd_buf b = { tx->data_iova, 1 };
		struct vd_done d;

		cf_check(vd_virtq_drv_add(tx->drv, &b, 1, 0) >= 0);
		cf_publish(tx);
		cf_is(cf_get(tx, &d, 1), 1);
	}
}

/* ---- commands ------------------------------------------------------------------------------ */

/* Put one into memory at @iova. */
static void command(struct cf_queue *q, uint64_t iova, const struct virtio_net_ctrl_hdr *hdr,
		    const void *data, uint32_t len)
{
	struct vd_buf b[2] = { { iova, (uint32_t)sizeof(*hdr) + len },
			       { iova + sizeof(*hdr) + len, 1 } };
	uint8_t *p = cf_at(q->c, iova);
	int id;

	memcpy(p, hdr, sizeof(*hdr));
	if (len)
		memcpy(p + sizeof(*hdr), data, len);
	p[sizeof(*hdr) + len] = 0xff;
	id = vd_virtq_drv_add(q->drv, b, 1, 1);
	cf_check(id >= 0);
}

/* Those that were begun by net_begin(). */
static void end_commands(struct cf_queue *q)
{
	struct vd_done d[32];

	while (vd_virtq_drv_inflight(q->drv))
		for (unsigned int n = cf_get(q, d, 32); n--;)
			cf_is(d[n].len, 1);
}

uint8_t net_command(struct cf *c, uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	struct cf_queue *q = net_ctrl_queue(c);
	struct virtio_net_ctrl_hdr hdr = { class, cmd };

	cf_check(q && !q->off && sizeof(hdr) + len + 1 <= q->data_len);
	end_commands(q);
	command(q, q->data_iova, &hdr, data, len);
	cf_publish(q);
	end_commands(q);
	return *(uint8_t *)cf_at(c, q->data_iova + sizeof(hdr) + len);
}

static uint8_t set_pairs(struct cf *c, unsigned int pairs)
{
	__le16 le = htole16((uint16_t)pairs);

	return net_command(c, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &le, sizeof(le));
}

void net_use_pairs(struct cf *c)
{
	struct model *m = model(c);
	struct cf_queue *q = net_ctrl_queue(c);

	if (!q || q->off || m->life == c->lives || !net_has(c, VIRTIO_NET_F_MQ))
		return;
	m->life = c->lives;
	cf_is(set_pairs(c, net_pairs(c)), VIRTIO_NET_OK);
}

void net_any_order(struct cf *c)
{
	model(c)->spreading = c->f.variant->wire->far;
}

/* ---- for generic.c ------------------------------------------------------------------------- */

static void post_all(struct cf *c)
{
	for (unsigned int i = 0; i < 2 * net_pairs(c); i += 2)
		if (!c->q[i].off)
			net_post(&c->q[i]);
}

static bool any_rx_off(struct cf *c)
{
	bool off = false;

	for (unsigned int i = 0; i < 2 * net_pairs(c); i += 2)
		off |= c->q[i].off;
	return off;
}

void net_arrives(struct cf_queue *tx)
{
	struct cf *c = tx->c;
	bool far = c->f.variant->wire->far;
	uint64_t due = cf_now_ms() + WAIT_MS;
	unsigned int pair = tx->idx / 2;
	uint32_t number = net_send(tx, NET_NUMBERED + net_rnd(200));

	cf_check(number);
	cf_publish(tx);
	net_sent(tx);
	if (any_rx_off(c))
		return;
	while (model(c)->last[pair] != number) {
		/* What is on its way from before may have had all the buffers. */
		if (!receive_all(c) && !sleep_rx(c, far ? 100 : 1000) && far) {
			number = net_send(tx, NET_NUMBERED);
			cf_check(number);
			cf_publish(tx);
			net_sent(tx);
		}
		if (cf_now_ms() > due)
			cf_fail(__FILE__, __LINE__, "pair %u: frame %u did not come", pair, number);
	}
}

/* A frame that its pair sends comes back, as far as both queues run. */
static void ping_pair(struct cf *c, unsigned int pair)
{
	struct cf_queue *tx = &c->q[2 * pair + 1];

	net_use_pairs(c);
	post_all(c);
	if (tx->off)
		return;
	net_sent(tx);
	receive_all(c);
	net_arrives(tx);
}

void net_ping(struct cf_queue *q)
{
	switch (net_kind(q)) {
	case NET_RX:
	case NET_TX:
		ping_pair(q->c, q->idx / 2);
		break;
	case NET_CTRL:
		cf_is(net_command(q->c, 0xff, 0xff, NULL, 0), VIRTIO_NET_ERR);
		break;
	case NET_NONE:
		break;
	}
}

void net_begin(struct cf_queue *q)
{
	static const struct virtio_net_ctrl_hdr nonsense = { 0xff, 0xff };

	switch (net_kind(q)) {
	case NET_RX:
		net_post(q);
		break;
	case NET_TX:
		while (net_send(q, NET_NUMBERED + net_rnd(NET_USUAL - NET_NUMBERED + 1)))
			;
		cf_publish(q);
		break;
	case NET_CTRL:
		if (vd_virtq_drv_inflight(q->drv))
			break;
		for (unsigned int i = 0; i < 2; i++)
			command(q, q->data_iova + i * 64, &nonsense, NULL, 0);
		cf_publish(q);
		break;
	case NET_NONE:
		break;
	}
}

void net_end(struct cf_queue *q)
{
	switch (net_kind(q)) {
	case NET_RX:
		net_receive(q);
		break;
	case NET_TX:
		net_sent(q);
		receive_all(q->c);
		break;
	case NET_CTRL:
		end_commands(q);
		break;
	case NET_NONE:
		break;
	}
}
