/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block.c - what a block device must do (virtio 1.3, 5.2)
 *
 * Each request in flight has sectors of its own, so that no two of them race; what every sector
 * holds is known from the number of its last write.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"

#define SECTOR 512u
#define SLOTS_MAX 512u
#define PATTERN 0xa5

/* One request's memory: header, status, data. */
struct slot {
	uint64_t hdr, status, data;	/* iova */
	uint32_t type, len;
	uint64_t sector;
	uint32_t want_written;
};

struct io {
	uint32_t stride;		/* of a slot's memory */
	uint32_t area;			/* sectors of a slot */
	unsigned int nslots, nfree;
	uint16_t free[SLOTS_MAX];
	struct slot slots[SLOTS_MAX];
	uint16_t slot_of[32768];	/* by the ring's id */
	uint64_t done;
};

/* The number of each sector's last write; 0: as it was made. */
struct model {
	uint32_t nsectors;
	uint32_t last[];
};

static uint32_t number;			/* of the last write */

static struct model *model(struct cf *c)
{
	uint64_t capacity;
	struct model *m = c->model;

	if (m)
		return m;
	cf_is(uvdpa_dev_get_config(c->dev, 0, &capacity, sizeof(capacity)), 0);
	cf_is(le64toh(capacity), 8192);	/* as every fixture makes it */
	m = calloc(1, sizeof(*m) + 8192 * sizeof(m->last[0]));
	cf_check(m);
	m->nsectors = 8192;
	c->model = m;
	return m;
}

static struct io *io(struct cf_queue *q)
{
	struct io *io = q->io;

	if (io)
		return io;
	io = calloc(1, sizeof(*io));
	cf_check(io);
	q->io = io;
	io->nslots = vd_min((unsigned int)q->num, SLOTS_MAX);
	io->stride = q->data_len / io->nslots & ~511u;
	io->stride = vd_min(io->stride, 16384u);
	io->area = vd_min(io->stride / SECTOR - 1, model(q->c)->nsectors / CF_QUEUES / io->nslots);
	cf_check(io->area >= 1);
	for (unsigned int i = 0; i < io->nslots; i++) {
		struct slot *s = &io->slots[i];

		s->hdr = q->data_iova + i * io->stride;
		s->status = s->hdr + 16;
		s->data = s->hdr + SECTOR;
		io->free[io->nfree++] = (uint16_t)i;
	}
	return io;
}

static uint64_t word(uint64_t sector, uint32_t n, unsigned int i)
{
	return n ? (sector << 40 ^ (uint64_t)n << 8 ^ i) * 0x9e3779b97f4a7c15u : 0;
}

static void fill(struct cf *c, const struct slot *s)
{
	uint64_t *p = cf_at(c, s->data);

	number++;
	for (uint32_t k = 0; k < s->len / SECTOR; k++) {
		model(c)->last[s->sector + k] = number;
		for (unsigned int i = 0; i < SECTOR / 8; i++)
			*p++ = word(s->sector + k, number, i);
	}
}

static void verify(struct cf *c, const struct slot *s)
{
	const uint64_t *p = cf_at(c, s->data);

	for (uint32_t k = 0; k < s->len / SECTOR; k++)
		for (unsigned int i = 0; i < SECTOR / 8; i++, p++)
			if (*p != word(s->sector + k, model(c)->last[s->sector + k], i))
				cf_fail(__FILE__, __LINE__, "sector %llu, word %u: not what was written",
					(unsigned long long)(s->sector + k), i);
}

static void header(struct cf *c, const struct slot *s)
{
	struct virtio_blk_outhdr h = { .type = htole32(s->type), .sector = htole64(s->sector) };

	memcpy(cf_at(c, s->hdr), &h, sizeof(h));
	*(uint8_t *)cf_at(c, s->status) = 0xff;
}

/* Is it one that the model has to know of? */
static bool writes(struct cf *c, const struct slot *s)
{
	uint32_t n = model(c)->nsectors;

	return s->type == VIRTIO_BLK_T_OUT && s->sector < n && s->len / SECTOR <= n - s->sector &&
	       !(s->len % SECTOR) && !c->f.variant->readonly;
}

/* Put a request into the ring, its data in @pieces. Return: whether there was room. */
static bool put(struct cf_queue *q, struct slot *s, unsigned int pieces)
{
	struct vd_buf b[2 + 8];
	unsigned int n = 0, nout;
	uint32_t off = 0;
	int id;

	b[n++] = (struct vd_buf){ s->hdr, 16 };
	for (unsigned int i = 0; s->len && i < pieces; i++) {
		uint32_t len = i + 1 < pieces ? s->len / pieces : s->len - off;

		b[n++] = (struct vd_buf){ s->data + off, len };
		off += len;
	}
	nout = s->type == VIRTIO_BLK_T_OUT ? n : 1;
	b[n++] = (struct vd_buf){ s->status, 1 };
	s->want_written = s->type == VIRTIO_BLK_T_OUT ? 1 : s->len + 1;
	id = vd_virtq_drv_add(q->drv, b, nout, n - nout);
	if (id == -ENOSPC)
		return false;
	cf_check(id >= 0);
	/* The device sees it when it is published. */
	header(q->c, s);
	if (writes(q->c, s))
		fill(q->c, s);
	io(q)->slot_of[id] = (uint16_t)(s - io(q)->slots);
	return true;
}

/* A request that came back. Its used length is what was written, exactly (CVE-2024-8612). */
static uint8_t take(struct cf_queue *q, const struct vd_done *d)
{
	struct slot *s = &io(q)->slots[io(q)->slot_of[d->id]];
	uint8_t status = *(uint8_t *)cf_at(q->c, s->status);

	if (status == VIRTIO_BLK_S_OK) {
		cf_is(d->len, s->want_written);
		if (s->type == VIRTIO_BLK_T_IN)
			verify(q->c, s);
	}
	io(q)->free[io(q)->nfree++] = (uint16_t)(s - io(q)->slots);
	io(q)->done++;
	return status;
}

static struct slot *slot_get(struct cf_queue *q)
{
	struct io *x = io(q);

	return x->nfree ? &x->slots[x->free[--x->nfree]] : NULL;
}

static void slot_put(struct cf_queue *q, struct slot *s)
{
	io(q)->free[io(q)->nfree++] = (uint16_t)(s - io(q)->slots);
}

/* One request, alone. Return: its status. */
static uint8_t one(struct cf_queue *q, uint32_t type, uint64_t sector, uint32_t len)
{
	struct slot *s = slot_get(q);
	struct vd_done d;

	cf_check(s);
	s->type = type;
	s->sector = sector;
	s->len = len;
	cf_check(put(q, s, 1));
	cf_publish(q);
	cf_is(cf_get(q, &d, 1), 1);
	return take(q, &d);
}

static uint64_t rnd_state = 88172645463325252u;

static uint32_t rnd(uint32_t below)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (uint32_t)(rnd_state >> 32) % below;
}

/* Anything a slot may do in its own sectors. */
static void choose(struct cf_queue *q, struct slot *s)
{
	struct io *x = io(q);
	uint64_t base = (q->idx * x->nslots + (uint64_t)(s - x->slots)) * x->area;
	bool ro = q->c->f.variant->readonly;

	s->type = !ro && rnd(2) ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
	s->len = (1 + rnd(vd_min(x->area, 8u))) * SECTOR;
	s->sector = base + rnd(x->area - s->len / SECTOR + 1);
}

/* Begin up to @max. Return: how many. */
static unsigned int begin_some(struct cf_queue *q, unsigned int max)
{
	unsigned int pieces_max = q->num >= 16 ? 4 : 1, n;

	for (n = 0; n < max; n++) {
		struct slot *s = slot_get(q);

		if (!s)
			break;
		choose(q, s);
		if (!put(q, s, 1 + rnd(pieces_max))) {
			slot_put(q, s);
			break;
		}
	}
	cf_publish(q);
	return n;
}

static void take_some(struct cf_queue *q)
{
	struct vd_done done[32];
	unsigned int n = cf_get(q, done, 32);

	for (unsigned int i = 0; i < n; i++)
		cf_is(take(q, &done[i]), VIRTIO_BLK_S_OK);
}

static void finish(struct cf_queue *q)
{
	while (vd_virtq_drv_inflight(q->drv))
		take_some(q);
}

/* @total requests, in bursts of up to @burst. */
static void traffic(struct cf_queue *q, uint64_t total, unsigned int burst)
{
	uint64_t until = io(q)->done + total;

	while (io(q)->done < until) {
		if (begin_some(q, 1 + rnd(burst)) && rnd(4))
			continue;
		if (vd_virtq_drv_inflight(q->drv))
			take_some(q);
	}
	finish(q);
}

/* ---- for any type's cases ------------------------------------------------------------------------- */

static void ping(struct cf_queue *q)
{
	uint64_t base = q->idx * io(q)->nslots * (uint64_t)io(q)->area;

	if (!q->c->f.variant->readonly)
		cf_is(one(q, VIRTIO_BLK_T_OUT, base, SECTOR), VIRTIO_BLK_S_OK);
	cf_is(one(q, VIRTIO_BLK_T_IN, base, SECTOR), VIRTIO_BLK_S_OK);
}

static void begin(struct cf_queue *q)
{
	begin_some(q, q->num);
}

/* ---- cases ------------------------------------------------------------------------------------------- */

static void case_config(struct cf *c)
{
	uint32_t blk_size;

	model(c);	/* looks at the capacity */
	cf_is(!!(c->info->features & CF_F(VIRTIO_BLK_F_RO)), c->f.variant->readonly);
	cf_check(c->info->config_size >= offsetof(struct virtio_blk_config, blk_size) + 4);
	if (c->info->features & CF_F(VIRTIO_BLK_F_BLK_SIZE)) {
		cf_is(uvdpa_dev_get_config(c->dev, offsetof(struct virtio_blk_config, blk_size),
					   &blk_size, sizeof(blk_size)), 0);
		blk_size = le32toh(blk_size);
		cf_check(blk_size >= SECTOR && !(blk_size & (blk_size - 1)));
	}
}

static void case_verify(struct cf *c)
{
	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int i = 0; i < c->nq; i++)
		traffic(&c->q[i], 3 * c->q[i].num + 200, 32);
}

/* All queues at a time. */
static void case_queues(struct cf *c)
{
	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int round = 0; round < 100; round++) {
		for (unsigned int i = 0; i < c->nq; i++)
			begin_some(&c->q[i], 16);
		for (unsigned int i = 0; i < c->nq; i++)
			if (vd_virtq_drv_inflight(c->q[i].drv))
				take_some(&c->q[i]);
	}
	for (unsigned int i = 0; i < c->nq; i++)
		finish(&c->q[i]);
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
	cf_map(c);
	cf_start(c, &c->mode);
	traffic(&c->q[0], 70000, 64);
}

static void case_flush(struct cf *c)
{
	struct cf_queue *q = &c->q[0];

	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int i = 0; i < 8; i++) {
		traffic(q, 8, 8);
		if (c->features & CF_F(VIRTIO_BLK_F_FLUSH))
			cf_is(one(q, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	}
}

static void case_get_id(struct cf *c)
{
	struct cf_queue *q = &c->q[0];
	struct slot *s;
	struct vd_done d;
	struct vd_buf b[3];
	char id[21] = "", again[21] = "";

	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int i = 0; i < 2; i++) {
		s = slot_get(q);
		s->type = VIRTIO_BLK_T_GET_ID;
		s->sector = 0;
		header(c, s);
		memset(cf_at(c, s->data), 'x', 20);
		b[0] = (struct vd_buf){ s->hdr, 16 };
		b[1] = (struct vd_buf){ s->data, 20 };
		b[2] = (struct vd_buf){ s->status, 1 };
		cf_check(vd_virtq_drv_add(q->drv, b, 1, 2) >= 0);
		cf_publish(q);
		cf_is(cf_get(q, &d, 1), 1);
		cf_is(*(uint8_t *)cf_at(c, s->status), VIRTIO_BLK_S_OK);
		cf_is(d.len, 21);
		memcpy(i ? again : id, cf_at(c, s->data), 20);
		slot_put(q, s);
	}
	cf_check(!strcmp(id, again) && *id);
}

/* An error belongs to its request: the status says so, and the next one is as good as ever. */
static void case_bad_requests(struct cf *c)
{
	static const struct {
		const char *name;
		uint32_t type;
		uint64_t sector;
		uint32_t len;
		uint8_t status;
	} bad[] = {
		{ "unknown type", 0x7777, 0, 512, VIRTIO_BLK_S_UNSUPP },
		{ "SCSI_CMD (CVE-2026-48914)", 2, 0, 512, VIRTIO_BLK_S_UNSUPP },
		{ "read at the end", VIRTIO_BLK_T_IN, 8192, 512, VIRTIO_BLK_S_IOERR },
		{ "read over the end", VIRTIO_BLK_T_IN, 8191, 1024, VIRTIO_BLK_S_IOERR },
		{ "read at 2^64-1", VIRTIO_BLK_T_IN, UINT64_MAX, 512, VIRTIO_BLK_S_IOERR },
		{ "sector whose bytes wrap", VIRTIO_BLK_T_IN, 1ull << 55, 512, VIRTIO_BLK_S_IOERR },
		{ "write at the end", VIRTIO_BLK_T_OUT, 8192, 512, VIRTIO_BLK_S_IOERR },
		{ "write over the end", VIRTIO_BLK_T_OUT, 8191, 1024, VIRTIO_BLK_S_IOERR },
		{ "write at 2^64-2", VIRTIO_BLK_T_OUT, UINT64_MAX - 1, 1024, VIRTIO_BLK_S_IOERR },
		{ "read of half a sector", VIRTIO_BLK_T_IN, 0, 700, VIRTIO_BLK_S_IOERR },
		{ "write of half a sector", VIRTIO_BLK_T_OUT, 0, 100, VIRTIO_BLK_S_IOERR },
	};
	struct cf_queue *q = &c->q[0];

	cf_map(c);
	cf_start(c, &c->mode);
	for (size_t i = 0; i < VD_ARRAY_SIZE(bad); i++) {
		uint8_t status = one(q, bad[i].type, bad[i].sector, bad[i].len);

		if (status != bad[i].status)
			cf_fail(__FILE__, __LINE__, "%s: status %u, not %u", bad[i].name, status,
				bad[i].status);
		ping(q);
	}
	cf_is(uvdpa_dev_status(c->dev), 15);
}

static void case_readonly(struct cf *c)
{
	cf_map(c);
	cf_start(c, &c->mode);
	cf_is(one(&c->q[0], VIRTIO_BLK_T_OUT, 0, SECTOR),
	      c->f.variant->readonly ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
	cf_is(one(&c->q[0], VIRTIO_BLK_T_IN, 0, SECTOR), VIRTIO_BLK_S_OK);
}

/* A request in pieces as nobody expects it (CVE-2022-2132): header, data and status anyhow. */
static void case_pieces(struct cf *c)
{
	struct cf_queue *q = &c->q[0];
	struct slot *s;
	struct vd_done d;

	cf_map(c);
	cf_start(c, &c->mode);
	s = slot_get(q);
	s->type = VIRTIO_BLK_T_IN;
	s->sector = 0;
	s->len = SECTOR;
	for (uint32_t cut = 1; cut < 16; cut++) {
		struct vd_buf b[] = { { s->hdr, cut }, { s->hdr + cut, 16 - cut },
				      { s->data, cut }, { s->data + cut, SECTOR - cut },
				      { s->status, 1 } };

		header(c, s);
		memset(cf_at(c, s->data), PATTERN, SECTOR);
		cf_check(vd_virtq_drv_add(q->drv, b, 2, 3) >= 0);
		cf_publish(q);
		cf_is(cf_get(q, &d, 1), 1);
		cf_is(*(uint8_t *)cf_at(c, s->status), VIRTIO_BLK_S_OK);
		cf_is(d.len, SECTOR + 1);
		verify(c, s);
	}
	slot_put(q, s);
	ping(q);
}

/* Too short, or without a place for its status: not answered or broken, but never believed. */
static void case_malformed(struct cf *c)
{
	static const struct {
		uint32_t out, in;
	} bad[] = { { 16, 0 }, { 15, 1 }, { 1, 1 }, { 0, 1 }, { 0, 513 }, { 8, 513 } };
	struct cf_queue *q = &c->q[0];

	cf_map(c);
	for (size_t i = 0; i < VD_ARRAY_SIZE(bad); i++) {
		struct vd_buf b[2];
		struct vd_done d;
		unsigned int n = 0;

		cf_start(c, &c->mode);
		memset(cf_at(c, q->data_iova), 0, 16);
		if (bad[i].out)
			b[n++] = (struct vd_buf){ q->data_iova, bad[i].out };
		if (bad[i].in)
			b[n++] = (struct vd_buf){ q->data_iova + 4096, bad[i].in };
		cf_check(vd_virtq_drv_add(q->drv, b, !!bad[i].out, !!bad[i].in) >= 0);
		cf_publish(q);
		cf_until(c, uvdpa_dev_status(c->dev) & VIRTIO_CONFIG_S_NEEDS_RESET ||
				    vd_virtq_drv_get(q->drv, &d, 1));
		if (c->nq > 1)
			ping(&c->q[1]);
		cf_reset(c);
	}
	cf_start(c, &c->mode);
	ping(q);
}

/* Data that lies in two mappings (CVE-2018-1059). */
static void case_across(struct cf *c)
{
	struct cf_mode m = c->mode;
	struct cf_queue *q = &c->q[0];
	uint64_t edge = CF_DATA_IOVA - 200;
	struct slot *s;
	struct vd_done d;

	/* libvhost-user 7.2 takes a table with more pieces than descriptors for a loop. */
	if (c->f.variant->foreign)
		m.ring &= ~CF_F(VIRTIO_RING_F_INDIRECT_DESC);
	cf_map(c);
	cf_start(c, &m);
	ping(q);
	s = slot_get(q);
	s->type = VIRTIO_BLK_T_IN;
	s->sector = 0;
	s->len = 4 * SECTOR;
	header(c, s);
	{
		struct vd_buf b[] = { { s->hdr, 16 }, { edge, s->len }, { s->status, 1 } };
		uint8_t two[4 * SECTOR];

		/* What is behind the edge is where slot 0 of queue 0 is: keep off that. */
		cf_check(s->hdr >= CF_DATA_IOVA + 4 * SECTOR);
		memset(cf_at(c, edge), PATTERN, 200);
		cf_check(vd_virtq_drv_add(q->drv, b, 1, 2) >= 0);
		cf_publish(q);
		cf_is(cf_get(q, &d, 1), 1);
		cf_is(*(uint8_t *)cf_at(c, s->status), VIRTIO_BLK_S_OK);
		memcpy(two, cf_at(c, edge), 200);
		memcpy(two + 200, cf_at(c, CF_DATA_IOVA), sizeof(two) - 200);
		memcpy(cf_at(c, s->data), two, sizeof(two));
		verify(c, s);
	}
}

static const struct cf_case cases[] = {
	{ "configuration", case_config, CF_ONCE },
	{ "write, read, verify", case_verify, CF_MODES },
	{ "all queues at once", case_queues, CF_LAYOUTS },
	{ "full ring", case_full_ring, CF_MODES },
	{ "wraparound", case_wraparound, CF_LAYOUTS },
	{ "flush", case_flush, CF_LAYOUTS },
	{ "get id", case_get_id, CF_LAYOUTS },
	{ "bad requests", case_bad_requests, CF_LAYOUTS | CF_OURS },
	{ "read only", case_readonly, CF_LAYOUTS },
	{ "in pieces", case_pieces, CF_LAYOUTS },
	{ "malformed", case_malformed, CF_LAYOUTS | CF_OURS },
	{ "across mappings", case_across, CF_LAYOUTS },
	{ 0 },
};

const struct cf_type cf_block = {
	.device_id = VIRTIO_ID_BLOCK,
	.cases = cases,
	.ping = ping,
	.begin = begin,
	.end = finish,
};
