/* SPDX-License-Identifier: BSD-2-Clause */
/* block-io.c - requests of a block device, and what every sector must hold; see block.h */
#include "block.h"

#define ANYTHING UINT32_MAX	/* was discarded: it reads as it likes until it is written */

struct io {
	uint32_t stride;		/* of a slot's memory */
	uint32_t area;			/* sectors of a slot */
	unsigned int nslots, nfree;
	uint16_t free[BLOCK_SLOTS_MAX];
	struct slot slots[BLOCK_SLOTS_MAX];
	uint16_t slot_of[32768];	/* by the ring's id */
	uint64_t done;
};

/* The number of each sector's last write; 0: zeros. */
struct model {
	uint32_t block;			/* bytes */
	uint32_t ranges_max[3];		/* of a request; see range_types */
	uint32_t last[2 * BLOCK_SECTORS];	/* what is there when it grows, nobody knows */
};

static const struct {
	uint32_t type;
	unsigned int feature;
	uint32_t max_seg;		/* offset */
} range_types[3] = {
	{ VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_F_DISCARD,
	  offsetof(struct virtio_blk_config, max_discard_seg) },
	{ VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_F_WRITE_ZEROES,
	  offsetof(struct virtio_blk_config, max_write_zeroes_seg) },
	{ VIRTIO_BLK_T_SECURE_ERASE, VIRTIO_BLK_F_SECURE_ERASE,
	  offsetof(struct virtio_blk_config, max_secure_erase_seg) },
};

static uint32_t number;			/* of the last write */

/* A field of 4 bytes, if its feature is offered. */
static uint32_t field(struct cf *c, unsigned int feature, uint32_t off, uint32_t otherwise)
{
	uint32_t v;

	if (!(c->info->features & CF_F(feature)))
		return otherwise;
	cf_is(uvdpa_dev_get_config(c->dev, off, &v, sizeof(v)), 0);
	return le32toh(v);
}

static struct model *model(struct cf *c)
{
	struct model *m = c->model;

	if (m)
		return m;
	m = calloc(1, sizeof(*m));
	cf_check(m);
	c->model = m;
	m->block = field(c, VIRTIO_BLK_F_BLK_SIZE, offsetof(struct virtio_blk_config, blk_size),
			 SECTOR);
	for (uint32_t i = BLOCK_SECTORS; i < 2 * BLOCK_SECTORS; i++)
		m->last[i] = ANYTHING;
	for (unsigned int i = 0; i < 3; i++)
		m->ranges_max[i] = vd_min(field(c, range_types[i].feature,
						range_types[i].max_seg, 0),
					  BLOCK_RANGES_MAX);
	return m;
}

uint32_t block_size(struct cf *c)
{
	return model(c)->block;
}

bool block_has(const struct cf *c, unsigned int feature)
{
	return c->features & CF_F(feature);
}

static struct io *io(struct cf_queue *q)
{
	uint32_t block = block_size(q->c), sectors = BLOCK_SECTORS / CF_QUEUES;
	struct io *io = q->io;

	if (io)
		return io;
	io = calloc(1, sizeof(*io));
	cf_check(io);
	q->io = io;
	io->nslots = vd_min((unsigned int)q->num, BLOCK_SLOTS_MAX);
	io->nslots = vd_min(io->nslots, q->data_len / (SECTOR + block));
	io->nslots = vd_min(io->nslots, sectors / (block / SECTOR));
	io->stride = vd_min(q->data_len / io->nslots & ~(SECTOR - 1), 16384u);
	io->area = vd_min(io->stride / SECTOR - 1, sectors / io->nslots);
	io->area -= io->area % (block / SECTOR);
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

static uint64_t rnd_state = 88172645463325252u;

uint32_t block_rnd(uint32_t below)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (uint32_t)(rnd_state >> 32) % below;
}

/* ---- what sectors hold ----------------------------------------------------------------------- */

static uint64_t word(uint64_t sector, uint32_t n, unsigned int i)
{
	return n ? (sector << 40 ^ (uint64_t)n << 8 ^ i) * 0x9e3779b97f4a7c15u : 0;
}

static void now(struct cf *c, uint64_t sector, uint32_t nsectors, uint32_t n)
{
	for (uint32_t k = 0; k < nsectors; k++)
		model(c)->last[sector + k] = n;
}

void block_fill(struct cf *c, const struct slot *s)
{
	uint64_t *p = cf_at(c, s->data);

	now(c, s->sector, s->len / SECTOR, ++number);
	for (uint32_t k = 0; k < s->len / SECTOR; k++)
		for (unsigned int i = 0; i < SECTOR / 8; i++)
			*p++ = word(s->sector + k, number, i);
}

void block_verify(struct cf *c, const struct slot *s)
{
	const uint64_t *p = cf_at(c, s->data);

	for (uint32_t k = 0; k < s->len / SECTOR; k++) {
		uint32_t last = model(c)->last[s->sector + k];

		for (unsigned int i = 0; i < SECTOR / 8; i++, p++)
			if (last != ANYTHING && *p != word(s->sector + k, last, i))
				cf_fail(__FILE__, __LINE__, "sector %llu, word %u: not what was %s",
					(unsigned long long)(s->sector + k), i,
					last ? "written" : "zeroed");
	}
}

static bool is_range(uint32_t type)
{
	return type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES ||
	       type == VIRTIO_BLK_T_SECURE_ERASE;
}

static bool to_device(uint32_t type)
{
	return type == VIRTIO_BLK_T_OUT || is_range(type);
}

static void changed(struct cf *c, uint32_t type, uint64_t sector, uint32_t nsectors)
{
	now(c, sector, nsectors, type == VIRTIO_BLK_T_WRITE_ZEROES ? 0 : ANYTHING);
}

static bool inside(struct cf *c, uint64_t sector, uint32_t nsectors)
{
	uint32_t block = block_size(c) / SECTOR;

	return sector < BLOCK_SECTORS && nsectors <= BLOCK_SECTORS - sector &&
	       !(sector % block) && !(nsectors % block) && !c->f.variant->readonly;
}

/* ---- one request ----------------------------------------------------------------------------- */

void block_header(struct cf *c, const struct slot *s)
{
	struct virtio_blk_outhdr h = {
		.type = htole32(s->type),
		.sector = htole64(is_range(s->type) ? 0 : s->sector),
	};

	memcpy(cf_at(c, s->hdr), &h, sizeof(h));
	*(uint8_t *)cf_at(c, s->status) = 0xff;
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
	nout = to_device(s->type) ? n : 1;
	b[n++] = (struct vd_buf){ s->status, 1 };
	s->want_written = to_device(s->type) ? 1 : s->len + 1;
	id = vd_virtq_drv_add(q->drv, b, nout, n - nout);
	if (id == -ENOSPC)
		return false;
	cf_check(id >= 0);
	/* The device sees it when it is published. */
	block_header(q->c, s);
	if (s->type == VIRTIO_BLK_T_OUT && !(s->len % SECTOR) &&
	    inside(q->c, s->sector, s->len / SECTOR))
		block_fill(q->c, s);
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
			block_verify(q->c, s);
	}
	block_slot_put(q, s);
	io(q)->done++;
	return status;
}

struct slot *block_slot_get(struct cf_queue *q)
{
	struct io *x = io(q);

	return x->nfree ? &x->slots[x->free[--x->nfree]] : NULL;
}

void block_slot_put(struct cf_queue *q, struct slot *s)
{
	io(q)->free[io(q)->nfree++] = (uint16_t)(s - io(q)->slots);
}

static uint8_t alone(struct cf_queue *q, struct slot *s)
{
	struct vd_done d;

	cf_check(put(q, s, 1));
	cf_publish(q);
	cf_is(cf_get(q, &d, 1), 1);
	return take(q, &d);
}

uint8_t block_one(struct cf_queue *q, uint32_t type, uint64_t sector, uint32_t len)
{
	struct slot *s = block_slot_get(q);

	cf_check(s);
	s->type = type;
	s->sector = sector;
	s->len = len;
	return alone(q, s);
}

uint8_t block_raw(struct cf_queue *q, uint32_t type, const void *data, uint32_t len)
{
	struct slot *s = block_slot_get(q);

	cf_check(s && SECTOR + len <= io(q)->stride);
	s->type = type;
	s->sector = 0;
	s->len = len;
	memcpy(cf_at(q->c, s->data), data, len);
	return alone(q, s);
}

static void put_range(struct virtio_blk_discard_write_zeroes *to, const struct range *r)
{
	*to = (struct virtio_blk_discard_write_zeroes){
		.sector = htole64(r->sector),
		.num_sectors = htole32(r->nsectors),
		.flags = htole32(r->flags),
	};
}

uint8_t block_ranges(struct cf_queue *q, uint32_t type, const struct range *r, unsigned int n)
{
	struct virtio_blk_discard_write_zeroes data[BLOCK_RANGES_MAX + 1] = { 0 };
	uint8_t status;

	cf_check(n <= VD_ARRAY_SIZE(data));
	for (unsigned int i = 0; i < n; i++)
		put_range(&data[i], &r[i]);
	status = block_raw(q, type, data, n * (uint32_t)sizeof(data[0]));
	for (unsigned int i = 0; status == VIRTIO_BLK_S_OK && i < n; i++)
		changed(q->c, type, r[i].sector, r[i].nsectors);
	return status;
}

void block_check(struct cf_queue *q, uint64_t sector, uint32_t nsectors)
{
	uint32_t step = io(q)->area;

	for (uint32_t n; nsectors; sector += n, nsectors -= n) {
		n = vd_min(nsectors, step);
		cf_is(block_one(q, VIRTIO_BLK_T_IN, sector, n * SECTOR), VIRTIO_BLK_S_OK);
	}
}

/* ---- many ------------------------------------------------------------------------------------ */

/* Ranges that touch, in the slot's sectors; each with flags of its own. */
static void choose_ranges(struct cf_queue *q, struct slot *s, uint32_t max)
{
	struct virtio_blk_discard_write_zeroes *to = cf_at(q->c, s->data);
	uint32_t block = block_size(q->c) / SECTOR, left = s->nsectors / block, n = 0;
	uint64_t sector = s->sector;

	for (; left; n++) {
		uint32_t nsectors = (n + 1 < max ? 1 + block_rnd(left) : left) * block;
		bool unmap = s->type == VIRTIO_BLK_T_WRITE_ZEROES && block_rnd(2);

		put_range(&to[n], &(struct range){ sector, nsectors, unmap });
		sector += nsectors;
		left -= nsectors / block;
	}
	s->len = n * (uint32_t)sizeof(*to);
}

/* Anything a slot may do in its own sectors. */
static void choose(struct cf_queue *q, struct slot *s)
{
	struct io *x = io(q);
	struct cf *c = q->c;
	uint64_t base = (q->idx * x->nslots + (uint64_t)(s - x->slots)) * x->area;
	uint32_t block = block_size(c) / SECTOR;
	unsigned int kind = block_rnd(16), r = kind - 13;

	s->nsectors = (1 + block_rnd(vd_min(x->area / block, 8u))) * block;
	s->sector = base + block_rnd((x->area - s->nsectors) / block + 1) * block;
	s->len = s->nsectors * SECTOR;
	s->type = VIRTIO_BLK_T_IN;
	if (c->f.variant->readonly || kind < 8)
		return;
	s->type = VIRTIO_BLK_T_OUT;
	if (kind < 13 || !block_has(c, range_types[r].feature))
		return;
	s->type = range_types[r].type;
	choose_ranges(q, s, model(c)->ranges_max[r]);
}

unsigned int block_begin(struct cf_queue *q, unsigned int max)
{
	unsigned int pieces_max = q->num >= 16 ? 4 : 1, n;

	for (n = 0; n < max; n++) {
		struct slot *s = block_slot_get(q);

		if (!s)
			break;
		choose(q, s);
		if (!put(q, s, 1 + block_rnd(pieces_max))) {
			block_slot_put(q, s);
			break;
		}
		if (is_range(s->type))
			changed(q->c, s->type, s->sector, s->nsectors);
	}
	cf_publish(q);
	return n;
}

void block_take_some(struct cf_queue *q)
{
	struct vd_done done[32];
	unsigned int n = cf_get(q, done, 32);

	for (unsigned int i = 0; i < n; i++)
		cf_is(take(q, &done[i]), VIRTIO_BLK_S_OK);
}

void block_finish(struct cf_queue *q)
{
	while (vd_virtq_drv_inflight(q->drv))
		block_take_some(q);
}

void block_traffic(struct cf_queue *q, uint64_t total, unsigned int burst)
{
	uint64_t until = io(q)->done + total;

	while (io(q)->done < until) {
		if (block_begin(q, 1 + block_rnd(burst)) && block_rnd(4))
			continue;
		if (vd_virtq_drv_inflight(q->drv))
			block_take_some(q);
	}
	block_finish(q);
}

void block_ping(struct cf_queue *q)
{
	uint64_t base = q->idx * io(q)->nslots * (uint64_t)io(q)->area;
	uint32_t len = block_size(q->c);

	if (!q->c->f.variant->readonly)
		cf_is(block_one(q, VIRTIO_BLK_T_OUT, base, len), VIRTIO_BLK_S_OK);
	cf_is(block_one(q, VIRTIO_BLK_T_IN, base, len), VIRTIO_BLK_S_OK);
}
