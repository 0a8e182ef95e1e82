/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rng.c - what an entropy device must do (virtio 1.3, 5.4)
 *
 * Of a device with a seed every byte is known. Of the others it is known that there was one: what
 * was in a buffer before does not stay there, and what lies behind the used length does.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "base/noise.h"
#include "conformance.h"

#define CANARY   0xa5
#define LEN_MAX  4096u
#define SURE     16u /* so many bytes are not all CANARY by chance */
#define SLOTS    512u
#define DATA_MAX 65536u /* of one request here */

/* What a queue knows of its requests: each has a slot of the queue's memory. */
struct io {
	uint16_t slot_of[SLOTS], free[SLOTS]; /* by the ring's id */
	uint32_t len[SLOTS];
	unsigned int nfree;
	uint64_t at;       /* bytes of the seed's stream that were seen */
	unsigned int life; /* in this life of the device */
};

static struct io *io(struct cf_queue *q)
{
	struct io *x = q->io;

	if (x)
		return x;
	q->io = x = calloc(1, sizeof(*x));
	cf_check(x && q->num <= SLOTS);
	x->life = q->c->lives;
	for (; x->nfree < q->num; x->nfree++)
		x->free[x->nfree] = (uint16_t)x->nfree;
	return x;
}

static uint32_t rnd(uint32_t below)
{
	static uint64_t i;

	return (uint32_t)(vd_noise(1, i++) % below);
}

static uint32_t stride(const struct cf_queue *q)
{
	return vd_min(q->data_len / q->num, LEN_MAX);
}

static uint8_t noise(uint64_t seed, uint64_t at)
{
	uint64_t word = htole64(vd_noise(seed, at / 8));

	return ((uint8_t *)&word)[at % 8];
}

static bool is_noise(struct cf_queue *q, const uint8_t *p, uint32_t len, uint64_t at)
{
	for (uint32_t i = 0; i < len; i++)
		if (p[i] != noise(q->c->f.variant->seed, at + i))
			return false;
	return true;
}

static bool is_canary(const uint8_t *p, uint32_t len)
{
	while (len && *p == CANARY)
		p++, len--;
	return !len;
}

/* Bytes of a device with a seed: the next; or, since a reset, the first. */
static void check_noise(struct cf_queue *q, const uint8_t *p, uint32_t len)
{
	struct io *x = io(q);

	if (!is_noise(q, p, len, x->at) && x->life != q->c->lives) {
		x->at = 0;
		x->life = q->c->lives;
	}
	cf_check(is_noise(q, p, len, x->at));
	x->at += len;
}

/* @len bytes at @p, of which the device says that it filled @used. */
static void check(struct cf_queue *q, const uint8_t *p, uint32_t len, uint32_t used)
{
	cf_check(used >= 1 && used <= len);
	cf_check(is_canary(p + used, len - used));
	if (q->c->f.variant->seed)
		check_noise(q, p, used);
	else
		cf_check(used < SURE || (!is_canary(p, SURE) && !is_canary(p + used - SURE, SURE)));
}

/* ---- many at a time ------------------------------------------------------------------------- */

static uint64_t slot_at(const struct cf_queue *q, unsigned int slot)
{
	return q->data_iova + (uint64_t)slot * stride(q);
}

/* A request for @len bytes, in @pieces. Return: whether there was room. */
static bool put(struct cf_queue *q, uint32_t len, unsigned int pieces)
{
	struct io *x = io(q);
	struct vd_buf b[8];
	uint16_t slot;
	uint32_t off = 0;
	int id;

	if (!x->nfree)
		return false;
	slot = x->free[x->nfree - 1];
	for (unsigned int i = 0; i < pieces; i++) {
		uint32_t n = i + 1 < pieces ? len / pieces : len - off;

		b[i] = (struct vd_buf){ slot_at(q, slot) + off, n };
		off += n;
	}
	id = vd_virtq_drv_add(q->drv, b, 0, pieces);
	if (id == -ENOSPC)
		return false;
	cf_check(id >= 0);
	/* The device sees it when it is published. */
	memset(cf_at(q->c, b[0].iova), CANARY, len);
	x->nfree--;
	x->slot_of[id] = slot;
	x->len[slot] = len;
	return true;
}

/* Those that are done, at least one. */
static void take_some(struct cf_queue *q)
{
	struct io *x = io(q);
	struct vd_done d[32];
	unsigned int n = cf_get(q, d, 32);

	for (unsigned int i = 0; i < n; i++) {
		uint16_t slot = x->slot_of[d[i].id];

		check(q, cf_at(q->c, slot_at(q, slot)), x->len[slot], d[i].len);
		x->free[x->nfree++] = slot;
	}
}

static unsigned int begin_some(struct cf_queue *q, unsigned int max)
{
	unsigned int n = 0, pieces = vd_min(1 + rnd(4), q->num);

	while (n < max && put(q, pieces + rnd(stride(q) - pieces), pieces))
		n++;
	cf_publish(q);
	return n;
}

static void begin(struct cf_queue *q)
{
	begin_some(q, q->num);
}

static void finish(struct cf_queue *q)
{
	while (vd_virtq_drv_inflight(q->drv))
		take_some(q);
}

static void ping(struct cf_queue *q)
{
	cf_check(put(q, 64, 1));
	cf_publish(q);
	finish(q);
}

static void traffic(struct cf_queue *q, unsigned int total, unsigned int burst)
{
	for (unsigned int n = 0; n < total;) {
		n += begin_some(q, 1 + rnd(burst));
		if (vd_virtq_drv_inflight(q->drv))
			take_some(q);
	}
	finish(q);
}

static void case_bytes(struct cf *c)
{
	cf_map(c);
	cf_start(c, &c->mode);
	traffic(&c->q[0], 3 * c->q[0].num + 200, 32);
}

static void case_full_ring(struct cf *c)
{
	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int round = 0; round < 20; round++) {
		while (begin_some(&c->q[0], 64) == 64)
			;
		finish(&c->q[0]);
	}
}

/* Further than a 16-bit index counts. */
static void case_wraparound(struct cf *c)
{
	struct cf_queue *q = &c->q[0];

	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int n = 0; n < 70000;) {
		while (put(q, 1 + n % 32, 1))
			n++;
		cf_publish(q);
		finish(q);
	}
}

/* ---- one at a time, cut as nobody expects it ------------------------------------------------ */

/* A request that lies in a row from @at on. */
static void in_a_row(struct cf_queue *q, uint64_t at, const uint32_t *lens, unsigned int n)
{
	static uint8_t copy[DATA_MAX];
	struct vd_buf b[8];
	struct vd_done d;
	uint32_t len = 0;

	cf_check(n <= VD_ARRAY_SIZE(b));
	for (unsigned int i = 0; i < n; len += lens[i++])
		b[i] = (struct vd_buf){ at + len, lens[i] };
	cf_check(len <= sizeof(copy));
	for (uint32_t i = 0; i < len; i++) /* two mappings lie apart here */
		*(uint8_t *)cf_at(q->c, at + i) = CANARY;
	cf_check(vd_virtq_drv_add(q->drv, b, 0, n) >= 0);
	cf_publish(q);
	cf_is(cf_get(q, &d, 1), 1);
	for (uint32_t i = 0; i < len; i++)
		copy[i] = *(uint8_t *)cf_at(q->c, at + i);
	check(q, copy, len, d.len);
}

static void case_pieces(struct cf *c)
{
	static const uint32_t lens[][8] = {
		{ 1 },
		{ 1, 1, 1, 1, 1, 1, 1, 1 },
		{ 1, 4095, 1 },
		{ 3, 5, 7, 11, 13, 17, 19, 23 },
		{ 4096, 1, 4096, 1, 4096, 1, 4096, 1 },
		{ 0, 64 },
		{ 64, 0 },
		{ 0, 0, 1, 0, 0, 63, 0, 0 },
		{ 8192, 8192, 8192, 8192, 8192, 8192, 8192, 8192 },
	};

	cf_map(c);
	cf_start(c, &c->mode);
	for (size_t i = 0; i < VD_ARRAY_SIZE(lens); i++) {
		unsigned int n = VD_ARRAY_SIZE(lens[i]);

		while (n > 1 && !lens[i][n - 1])
			n--;
		in_a_row(&c->q[0], c->q[0].data_iova + i, lens[i], n);
	}
}

static void case_across(struct cf *c)
{
	static const uint32_t lens[][2] = { { 2, 0 }, { 64, 0 }, { 5000, 0 }, { 17, 4000 } };

	cf_map(c);
	cf_start(c, &c->mode);
	for (size_t i = 0; i < VD_ARRAY_SIZE(lens); i++)
		for (uint32_t before = 1; before < lens[i][0]; before += 1 + before)
			in_a_row(&c->q[0], CF_DATA_IOVA - before, lens[i], lens[i][1] ? 2 : 1);
}

/* Without room for a byte there is no request, and with no limit to it there is one all the same.
 */
static void case_malformed(struct cf *c)
{
	struct cf_queue *q = &c->q[0];
	struct vd_buf b[8] = { { q->data_iova, 64 }, { q->data_iova + 4096, 64 } };
	struct vd_done d;

	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int round = 0; round < 10; round++) {
		b[0] = (struct vd_buf){ q->data_iova, round % 3 ? 64 : 0 };
		b[1] = (struct vd_buf){ q->data_iova + 4096, 64 };
		memset(cf_at(c, b[0].iova), CANARY, 4096 + 64);
		/* Only to be read: given back, and not written to. */
		cf_check(vd_virtq_drv_add(q->drv, b, 2, 0) >= 0);
		cf_publish(q);
		cf_is(cf_get(q, &d, 1), 1);
		cf_is(d.len, 0);
		cf_check(is_canary(cf_at(c, b[0].iova), 4096 + 64));
		/* Of no length. */
		b[2] = (struct vd_buf){ q->data_iova, 0 };
		cf_check(vd_virtq_drv_add(q->drv, &b[2], 0, 1) >= 0);
		cf_publish(q);
		cf_is(cf_get(q, &d, 1), 1);
		cf_is(d.len, 0);
		/* To be read, and to be written. */
		cf_check(vd_virtq_drv_add(q->drv, b, 1, 1) >= 0);
		cf_publish(q);
		cf_is(cf_get(q, &d, 1), 1);
		cf_check(is_canary(cf_at(c, b[0].iova), 64));
		check(q, cf_at(c, b[1].iova), 64, d.len);
		ping(q);
	}
	cf_is(uvdpa_dev_status(c->dev), 15);
}

/* All the memory there is, eight times: it takes no longer than it should, and leaves the rest. */
static void case_huge(struct cf *c)
{
	uint64_t began = cf_now_ms();
	struct vd_buf b[8];
	struct vd_done d;

	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < VD_ARRAY_SIZE(b); i++)
			b[i] = (struct vd_buf){ CF_DATA_IOVA, CF_DATA_LEN };
		cf_check(vd_virtq_drv_add(c->q[0].drv, b, 0, VD_ARRAY_SIZE(b)) >= 0);
		cf_publish(&c->q[0]);
		cf_is(cf_get(&c->q[0], &d, 1), 1);
		cf_check(d.len >= 1);
		io(&c->q[0])->at += d.len; /* they lie over each other */
		ping(&c->q[0]);
	}
	cf_check(cf_now_ms() - began < 5000);
}

static const struct cf_case cases[] = {
	{ "bytes", case_bytes, CF_MODES },
	{ "full ring", case_full_ring, CF_MODES },
	{ "wraparound", case_wraparound, CF_LAYOUTS },
	{ "in pieces", case_pieces, CF_LAYOUTS },
	{ "across mappings", case_across, CF_LAYOUTS },
	{ "malformed", case_malformed, CF_LAYOUTS | CF_OURS },
	{ "huge", case_huge, CF_LAYOUTS },
	{ 0 },
};

const struct cf_type cf_rng = {
	.device_id = VIRTIO_ID_RNG,
	.cases = cases,
	.ping = ping,
	.begin = begin,
	.end = finish,
};
