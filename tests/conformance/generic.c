/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * generic.c - what a device of any type must do
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "conformance.h"

#define PACKED CF_F(VIRTIO_F_RING_PACKED)

static void ping_all(struct cf *c)
{
	for (unsigned int i = 0; i < c->nq; i++)
		c->type->ping(&c->q[i]);
}

/* It does not run; they do. */
static void ping_others(struct cf_queue *q)
{
	struct cf *c = q->c;

	q->off = true;
	for (unsigned int i = 0; i < c->nq; i++)
		if (i != q->idx)
			c->type->ping(&c->q[i]);
}

/*
 * Requests that are under way in what follows. Of a foreign device they are done already:
 * qemu-storage-daemon 7.2 says where a queue stands before its requests are home, and loses them.
 */
static void begin(struct cf_queue *q)
{
	q->c->type->begin(q);
	if (q->c->f.variant->foreign)
		q->c->type->end(q);
}

/* ---- what it is, and what it refuses --------------------------------------------------------- */

static void case_identity(struct cf *c)
{
	const struct uvdpa_dev_info *i = c->info;
	const struct uvdpa_parent *p = uvdpa_dev_parent(c->dev);
	bool listed = !uvdpa_parent_device_ids(p)[0];

	cf_check(uvdpa_dev_ready(c->dev));
	cf_check(i->nvqs >= 1 && i->nvqs <= uvdpa_parent_max_vqs(p));
	cf_check(i->vq_num_max && !(i->vq_num_max & (i->vq_num_max - 1)));
	cf_check(i->vq_num_min >= 1 && i->vq_num_min <= i->vq_num_max);
	cf_check(i->features & CF_F(VIRTIO_F_VERSION_1));
	if (uvdpa_parent_features(p))	/* 0: known only by looking */
		cf_is(i->features & ~uvdpa_parent_features(p), 0);
	cf_check(i->iova_first <= CF_RINGS_IOVA && i->iova_last >= CF_DATA_IOVA + CF_DATA_LEN);
	for (const uint32_t *id = uvdpa_parent_device_ids(p); *id; id++)
		listed |= *id == i->device_id;
	cf_check(listed);
	cf_is(uvdpa_dev_status(c->dev), 0);
}

static void case_status(struct cf *c)
{
	struct uvdpa_dev *d = c->dev;

	cf_is(uvdpa_dev_set_status(d, 0), -EINVAL);
	cf_is(uvdpa_dev_set_status(d, 3), 0);
	cf_is(uvdpa_dev_set_status(d, 1), -EINVAL);
	cf_is(uvdpa_dev_set_status(d, 7), -EINVAL);	/* DRIVER_OK without FEATURES_OK */
	cf_is(uvdpa_dev_set_features(d, ~0ull), -EOPNOTSUPP);
	cf_is(uvdpa_dev_set_features(d, CF_F(VIRTIO_F_VERSION_1)), 0);
	cf_is(uvdpa_dev_features(d), 0);
	cf_is(uvdpa_dev_set_status(d, 11), 0);
	cf_is(uvdpa_dev_features(d), CF_F(VIRTIO_F_VERSION_1));
	cf_is(uvdpa_dev_set_features(d, CF_F(VIRTIO_F_VERSION_1)), -EBUSY);
	cf_is(uvdpa_dev_status(d), 11);
	cf_reset(c);
	cf_is(uvdpa_dev_driver_features(d), 0);
	cf_reset(c);
}

static void case_config(struct cf *c)
{
	static const struct {
		uint32_t off, len;
	} bad[] = { { 0, 0xffffffff }, { 0xffffffff, 1 }, { 0xffffffff, 0xffffffff }, { 0x80000000, 0x80000000 } };
	uint8_t all[4096], byte;
	uint32_t n = c->info->config_size;

	cf_check(n <= sizeof(all));
	if (n)
		cf_is(uvdpa_dev_get_config(c->dev, 0, all, n), 0);
	for (uint32_t i = 0; i < n; i++) {
		cf_is(uvdpa_dev_get_config(c->dev, i, &byte, 1), 0);
		cf_is(byte, all[i]);
	}
	cf_is(uvdpa_dev_get_config(c->dev, n, all, 1), -EINVAL);
	cf_is(uvdpa_dev_get_config(c->dev, 0, all, n + 1), -EINVAL);
	for (size_t i = 0; i < VD_ARRAY_SIZE(bad); i++)	/* CVE-2022-0998 */
		cf_is(uvdpa_dev_get_config(c->dev, bad[i].off, all, bad[i].len), -EINVAL);
}

static void case_queue_limits(struct cf *c)
{
	struct uvdpa_vq vq = { .num = 4, .kick = -1, .call = -1 };

	cf_negotiate(c, &c->mode);
	cf_is(uvdpa_dev_set_vq(c->dev, c->info->nvqs, &vq), -ENOBUFS);
	cf_is(uvdpa_dev_enable_vq(c->dev, UINT32_MAX), -ENOBUFS);
	cf_is(uvdpa_dev_set_vq(c->dev, 0, &vq), 0);
	vq.num = 0;
	cf_is(uvdpa_dev_set_vq(c->dev, 0, &vq), -EINVAL);	/* CVE-2017-17381 */
	vq.num = (uint16_t)(c->info->vq_num_max * 2);
	if (vq.num)
		cf_is(uvdpa_dev_set_vq(c->dev, 0, &vq), -EINVAL);	/* CVE-2026-61402 */
	vq.num = 3;
	if (!(c->features & PACKED))
		cf_is(uvdpa_dev_set_vq(c->dev, 0, &vq), -EINVAL);
}

/* Rings that are nowhere, half there, or crooked: refused or broken, and a reset mends it. */
static void case_ring_addresses(struct cf *c)
{
	static const struct {
		uint64_t desc, driver, device;
	} bad[] = {
		{ 0x10, 0x20, 0x30 },
		{ CF_RINGS_IOVA, CF_RINGS_IOVA + 0x4000, CF_DATA_IOVA + CF_DATA_LEN },
		{ CF_DATA_IOVA + CF_DATA_LEN - 16, CF_RINGS_IOVA, CF_RINGS_IOVA + 0x4000 },
		{ UINT64_MAX & ~15ull, CF_RINGS_IOVA, CF_RINGS_IOVA + 0x4000 },
		{ CF_RINGS_IOVA + 1, CF_RINGS_IOVA + 0x4000, CF_RINGS_IOVA + 0x8000 },
	};

	cf_map(c);
	for (size_t i = 0; i < VD_ARRAY_SIZE(bad); i++) {
		struct uvdpa_vq vq = { .num = 64, .desc = bad[i].desc, .driver = bad[i].driver,
				       .device = bad[i].device, .kick = -1, .call = -1 };
		int r;

		cf_negotiate(c, &c->mode);
		cf_queue_init(c, 0);
		vq.state = vd_virtq_drv_state(c->q[0].drv);
		r = uvdpa_dev_set_vq(c->dev, 0, &vq);
		if (!r)
			r = uvdpa_dev_enable_vq(c->dev, 0);
		if (!r)
			r = uvdpa_dev_set_status(c->dev, 15);
		if (!r)
			cf_until(c, uvdpa_dev_status(c->dev) & VIRTIO_CONFIG_S_NEEDS_RESET);
		cf_reset(c);
	}
	cf_start(c, &c->mode);
	ping_all(c);
}

/* ---- a queue that its driver broke ----------------------------------------------------------- */

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;	/* packed: id, flags */
};

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define IND VRING_DESC_F_INDIRECT
#define IN_DATA CF_DATA_IOVA
#define NOWHERE 0x10ull

/* Descriptors from 0 on; one of length 0 and address 0 ends the row. */
static const struct {
	const char *name;
	uint16_t head;
	uint16_t leap;			/* of the available index */
	struct desc d[4];
} broken[] = {
	{ "index leaps", 0, 4096, { { IN_DATA, 16, 0, 0 } } },
	{ "head out of range", 5000, 1, { { IN_DATA, 16, 0, 0 } } },
	{ "next out of range", 0, 1, { { IN_DATA, 16, NEXT, 5000 } } },
	{ "loop of one", 0, 1, { { IN_DATA, 16, NEXT, 0 } } },
	{ "loop of two", 0, 1, { { IN_DATA, 16, NEXT, 1 }, { IN_DATA, 16, NEXT, 0 } } },
	{ "not mapped", 0, 1, { { NOWHERE, 16, 0, 0 } } },
	{ "mapped by half", 0, 1, { { CF_DATA_IOVA + CF_DATA_LEN - 8, 16, 0, 0 } } },
	{ "wraps", 0, 1, { { UINT64_MAX - 8, 16, 0, 0 } } },
	{ "writable, then readable", 0, 1,
	  { { IN_DATA, 16, NEXT | WRITE, 1 }, { IN_DATA + 64, 16, 0, 0 } } },
	{ "table of 17 bytes", 0, 1, { { IN_DATA, 17, IND, 0 } } },
	{ "table of nothing", 0, 1, { { IN_DATA, 0, IND, 0 } } },
	{ "table not mapped", 0, 1, { { NOWHERE, 32, IND, 0 } } },
	{ "table, and more", 0, 1, { { IN_DATA, 16, IND | NEXT, 1 }, { IN_DATA, 16, 0, 0 } } },
};

/* The same in a packed ring, where it can be said there: its chain lies in a row. */
static bool put_packed(struct cf_queue *q, size_t k)
{
	const struct desc *d = broken[k].d;
	unsigned int n = 0;

	if (broken[k].leap != 1 || broken[k].head || (d[0].flags & NEXT && !(d[1].addr)))
		return false;
	if (d[1].flags & NEXT)	/* the loop: a chain without an end */
		n = q->num;
	else
		n = d[1].addr ? 2 : 1;
	for (unsigned int i = n; i--;) {
		struct vring_packed_desc p = {
			.addr = htole64(d[i & 1 && n > 1].addr),
			.len = htole32(d[i & 1 && n > 1].len),
			.flags = htole16((uint16_t)(d[i & 1 && n > 1].flags |
						    1 << VRING_PACKED_DESC_F_AVAIL)),
		};
		uint8_t *to = q->ring + q->layout.desc + i * sizeof(p);

		memcpy(to, &p, offsetof(struct vring_packed_desc, flags));
		__atomic_store_n((uint16_t *)(void *)(to + offsetof(struct vring_packed_desc, flags)),
				 p.flags, __ATOMIC_RELEASE);
	}
	return true;
}

static bool put_split(struct cf_queue *q, size_t k)
{
	uint8_t *avail = q->ring + q->layout.driver;

	for (unsigned int i = 0; i < 4; i++) {
		const struct desc *d = &broken[k].d[i];
		struct vring_desc s = { htole64(d->addr), htole32(d->len), htole16(d->flags),
					htole16(d->next) };

		memcpy(q->ring + q->layout.desc + i * sizeof(s), &s, sizeof(s));
	}
	__atomic_store_n((uint16_t *)(void *)(avail + 4), htole16(broken[k].head), __ATOMIC_RELAXED);
	__atomic_store_n((uint16_t *)(void *)(avail + 2), htole16(broken[k].leap), __ATOMIC_RELEASE);
	return true;
}

static void kick(struct cf_queue *q)
{
	uint64_t one = 1;

	cf_is(write(q->kick, &one, sizeof(one)), sizeof(one));
}

/* It costs this queue; the others go on, the driver is told, and a reset mends it. */
static void case_broken_ring(struct cf *c)
{
	struct cf_queue *q = &c->q[c->type->eager];

	cf_map(c);
	for (size_t k = 0; k < VD_ARRAY_SIZE(broken); k++) {
		uint64_t due = cf_now_ms() + 10000;

		cf_start(c, &c->mode);
		if (!(c->features & PACKED ? put_packed(q, k) : put_split(q, k))) {
			cf_reset(c);
			continue;
		}
		kick(q);
		while (!(uvdpa_dev_status(c->dev) & VIRTIO_CONFIG_S_NEEDS_RESET)) {
			if (cf_now_ms() > due)
				cf_fail(__FILE__, __LINE__, "%s: no NEEDS_RESET", broken[k].name);
			cf_turn(c, 5);
		}
		cf_until(c, c->changed[UVDPA_DEV_STATUS]);
		c->changed[UVDPA_DEV_STATUS] = 0;
		ping_others(q);
		cf_reset(c);
		cf_start(c, &c->mode);
		ping_all(c);
		cf_reset(c);
	}
}

/* ---- stop and go on -------------------------------------------------------------------------- */

static void case_suspend(struct cf *c)
{
	struct uvdpa_vq_state st;

	cf_map(c);
	cf_is(cf_ended(c, uvdpa_dev_suspend(c->dev, &c->w)), 0);	/* nothing to suspend */
	cf_start(c, &c->mode);
	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < c->nq; i++)
			begin(&c->q[i]);
		cf_ok(c, uvdpa_dev_suspend(c->dev, &c->w));
		for (unsigned int i = 0; i < c->nq; i++)
			cf_is(uvdpa_dev_get_vq_state(c->dev, i, &st), 0);
		cf_is(uvdpa_dev_resume(c->dev), 0);
		for (unsigned int i = 0; i < c->nq; i++)
			c->type->end(&c->q[i]);
	}
}

/* What comes while it is suspended waits, and is not forgotten; nothing is written meanwhile. */
static void case_suspended(struct cf *c)
{
	cf_map(c);
	cf_start(c, &c->mode);
	ping_all(c);
	cf_ok(c, uvdpa_dev_suspend(c->dev, &c->w));
	for (unsigned int i = 0; i < c->nq; i++)
		c->type->begin(&c->q[i]);
	for (unsigned int i = 0; i < 20; i++)
		cf_turn(c, 1);
	for (unsigned int i = 0; i < c->nq; i++) {
		struct vd_done d;

		cf_is(vd_virtq_drv_get(c->q[i].drv, &d, 1), 0);
	}
	cf_is(uvdpa_dev_resume(c->dev), 0);
	for (unsigned int i = 0; i < c->nq; i++)
		c->type->end(&c->q[i]);
}

static void case_disable(struct cf *c)
{
	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int round = 0; round < 20; round++) {
		struct cf_queue *q = &c->q[round % c->nq];
		struct uvdpa_vq_state st;

		begin(q);
		cf_ok(c, uvdpa_dev_disable_vq(c->dev, q->idx, &c->w));
		cf_is(uvdpa_dev_get_vq_state(c->dev, q->idx, &st), 0);
		ping_others(q);
		q->off = false;
		cf_queue_set(q, st);
		c->type->end(q);
		c->type->ping(q);
	}
}

/* The state of one life is where the next one begins, on the same rings: a migration. */
static void case_state(struct cf *c)
{
	struct uvdpa_vq_state st[CF_QUEUES];

	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int round = 0; round < 10; round++) {
		for (unsigned int i = 0; i < c->nq; i++)
			begin(&c->q[i]);
		cf_ok(c, uvdpa_dev_suspend(c->dev, &c->w));
		for (unsigned int i = 0; i < c->nq; i++)
			cf_is(uvdpa_dev_get_vq_state(c->dev, i, &st[i]), 0);
		cf_reset(c);
		cf_negotiate(c, &c->mode);
		for (unsigned int i = 0; i < c->nq; i++)
			cf_queue_set(&c->q[i], st[i]);
		cf_is(uvdpa_dev_set_status(c->dev, 15), 0);
		for (unsigned int i = 0; i < c->nq; i++) {
			kick(&c->q[i]);
			c->type->end(&c->q[i]);
			c->type->ping(&c->q[i]);
		}
	}
}

/* Another eventfd, and another again, while requests are under way. */
static void case_eventfds(struct cf *c)
{
	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int round = 0; round < 50; round++) {
		struct cf_queue *q = &c->q[round % c->nq];
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		cf_check(fd >= 0);
		begin(q);
		if (round & 1) {
			cf_is(uvdpa_dev_set_vq_call(c->dev, q->idx, fd), 0);
			close(q->call);
			q->call = fd;
		} else {
			cf_is(uvdpa_dev_set_vq_kick(c->dev, q->idx, fd), 0);
			close(q->kick);
			q->kick = fd;
			kick(q);
		}
		c->type->end(q);
	}
}

/* ---- reset ----------------------------------------------------------------------------------- */

static void case_reset_busy(struct cf *c)
{
	uint8_t *copy = malloc(CF_FILE_LEN);

	cf_check(copy);
	cf_map(c);
	for (unsigned int round = 0; round < 20; round++) {
		cf_start(c, &c->mode);
		for (unsigned int i = 0; i < c->nq; i++)
			begin(&c->q[i]);
		cf_reset(c);
		/* From here on it touches nothing: neither rings nor data. */
		memcpy(copy, c->mem, CF_FILE_LEN);
		for (unsigned int i = 0; i < 3; i++)
			cf_turn(c, 1);
		if (memcmp(copy, c->mem, CF_FILE_LEN)) {
			free(copy);
			cf_fail(__FILE__, __LINE__, "memory was written after a reset");
		}
	}
	free(copy);
}

/* From any layout to any other, as often as a driver likes. */
static void case_relayout(struct cf *c)
{
	static const uint64_t rings[] = { 0, PACKED, CF_F(VIRTIO_RING_F_EVENT_IDX),
					  PACKED | CF_F(VIRTIO_RING_F_INDIRECT_DESC) };
	struct cf_mode m = { 0, 32 };

	cf_map(c);
	for (unsigned int round = 0; round < 24; round++) {
		m.ring = rings[round % VD_ARRAY_SIZE(rings)];
		m.num = round % 3 ? 32 : 8;
		if (!cf_offered(c, &m))
			continue;
		cf_start(c, &m);
		ping_all(c);
		cf_reset(c);
	}
}

static void case_reset_anywhere(struct cf *c)
{
	cf_map(c);
	for (unsigned int step = 0; step < 6; step++) {
		if (step >= 1)
			cf_is(uvdpa_dev_set_status(c->dev, 1), 0);
		if (step >= 2)
			cf_is(uvdpa_dev_set_status(c->dev, 3), 0);
		c->features = c->info->features & CF_F(VIRTIO_F_VERSION_1);
		if (step >= 3)
			cf_is(uvdpa_dev_set_features(c->dev, c->features), 0);
		if (step >= 4)
			cf_is(uvdpa_dev_set_status(c->dev, 11), 0);
		if (step >= 5) {
			c->mode = (struct cf_mode){ 0, 16 };
			cf_queue_init(c, 0);
			cf_queue_set(&c->q[0], vd_virtq_drv_state(c->q[0].drv));
			cf_is(uvdpa_dev_set_status(c->dev, 15), 0);
		}
		cf_reset(c);
		cf_reset(c);
	}
	cf_start(c, &c->mode);
	ping_all(c);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* A mapping comes and goes beside requests. */
static void case_remap(struct cf *c)
{
	struct uvdpa_map extra = { .iova = 0x40000000, .len = 0x10000, .fd = c->memfd,
				   .offset = CF_RINGS_LEN, .prot = UVDPA_MAP_RW };

	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < c->nq; i++)
			begin(&c->q[i]);
		if (round & 1)
			cf_is(uvdpa_dev_unmap(c->dev, 0, extra.iova, extra.len), 0);
		else
			cf_is(uvdpa_dev_map(c->dev, 0, &extra), 0);
		cf_ok(c, uvdpa_dev_commit(c->dev, &c->w));
		for (unsigned int i = 0; i < c->nq; i++)
			c->type->end(&c->q[i]);
	}
}

/* The memory goes under a request that is not there yet: broken, not believed. */
static void case_unmap_used(struct cf *c)
{
	cf_map(c);
	cf_start(c, &c->mode);
	ping_all(c);
	cf_is(uvdpa_dev_unmap(c->dev, 0, CF_DATA_IOVA, CF_DATA_LEN), 0);
	cf_ok(c, uvdpa_dev_commit(c->dev, &c->w));
	c->type->begin(&c->q[c->type->eager]);
	cf_until(c, uvdpa_dev_status(c->dev) & VIRTIO_CONFIG_S_NEEDS_RESET);
	cf_reset(c);
	cf_is(uvdpa_dev_unmap(c->dev, 0, 0, UINT64_MAX), 0);
	cf_ok(c, uvdpa_dev_commit(c->dev, &c->w));
	cf_map(c);
	cf_start(c, &c->mode);
	ping_all(c);
}

/* ---- coming and going ------------------------------------------------------------------------ */

static void case_rebind(struct cf *c)
{
	/* A library that keeps some memory for later levels off below this. */
	size_t heap = 0, more = c->f.variant->keeps_heap ? 1 << 20 : 1 << 16;
	unsigned int fds = 0;

	for (unsigned int round = 0; round < 22; round++) {
		cf_map(c);
		cf_start(c, &c->mode);
		ping_all(c);
		if (round & 1)
			begin(&c->q[0]);
		cf_ok(c, uvdpa_dev_unbind(c->dev, &c->w));
		cf_check(!uvdpa_dev_driver(c->dev));
		cf_is(uvdpa_dev_status(c->dev), 0);
		cf_ok(c, uvdpa_dev_bind(c->dev, "conformance", NULL, 0, &c->w));
		if (round == 1) {
			fds = open_fds();
			heap = mallinfo2().uordblks;
		}
	}
	cf_until(c, open_fds() <= fds);	/* the other side of a proxy may need a moment */
	cf_check(mallinfo2().uordblks < heap + more);
}

static void case_remove_busy(struct cf *c)
{
	uint64_t began;

	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int i = 0; i < c->nq; i++)
		begin(&c->q[i]);
	began = cf_now_ms();
	cf_ok(c, uvdpa_dev_del(c->dev, &c->w));
	cf_check(cf_now_ms() - began < UVDPA_DRAIN_MS + 500);
	cf_check(!uvdpa_dev_find(c->u, "d0"));
}

/* The context goes with a device that is busy. */
static void case_destroy_busy(struct cf *c)
{
	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int i = 0; i < c->nq; i++)
		begin(&c->q[i]);
}

/*
 * The process behind a proxy dies and another comes: the driver goes on as if nothing had been. One
 * of ours notes what it has; of a foreign one the rings say how far it was, but packed rings do not,
 * and the driver has to reset.
 */
static void case_server_dies(struct cf *c)
{
	bool foreign = c->f.variant->foreign, reset;

	cf_map(c);
	cf_start(c, &c->mode);
	reset = foreign && c->features & PACKED;
	for (unsigned int round = 0; round < 5; round++) {
		ping_all(c);
		for (unsigned int i = 0; i < c->nq; i++)
			begin(&c->q[i]);
		c->changed[UVDPA_DEV_LOST] = c->changed[UVDPA_DEV_READY] = 0;
		c->f.variant->restart(&c->f);
		cf_until(c, c->changed[UVDPA_DEV_LOST] && c->changed[UVDPA_DEV_READY]);
		cf_check(uvdpa_dev_ready(c->dev));
		cf_is(!!(uvdpa_dev_status(c->dev) & VIRTIO_CONFIG_S_NEEDS_RESET), reset);
		for (unsigned int i = 0; !foreign && i < c->nq; i++)
			c->type->end(&c->q[i]);
		if (reset) {
			cf_reset(c);
			cf_start(c, &c->mode);
		}
	}
	ping_all(c);
}

const struct cf_case cf_generic[] = {
	{ "identity", case_identity, CF_ONCE },
	{ "status", case_status, CF_ONCE },
	{ "config limits", case_config, CF_ONCE },
	{ "queue limits", case_queue_limits, CF_LAYOUTS },
	{ "ring addresses", case_ring_addresses, CF_LAYOUTS | CF_OURS },
	{ "broken ring", case_broken_ring, CF_LAYOUTS | CF_OURS },
	{ "suspend, resume", case_suspend, CF_LAYOUTS },
	{ "work while suspended", case_suspended, CF_LAYOUTS },
	{ "disable, enable", case_disable, CF_LAYOUTS },
	{ "state to a new life", case_state, CF_LAYOUTS },
	{ "other eventfds", case_eventfds, CF_LAYOUTS },
	{ "reset while busy", case_reset_busy, CF_LAYOUTS },
	{ "reset anywhere", case_reset_anywhere, CF_ONCE },
	{ "another layout", case_relayout, CF_ONCE },
	{ "memory comes and goes", case_remap, CF_LAYOUTS },
	{ "memory goes", case_unmap_used, CF_LAYOUTS | CF_OURS },
	{ "rebind", case_rebind, CF_LAYOUTS },
	{ "remove while busy", case_remove_busy, CF_LAYOUTS },
	{ "destroy while busy", case_destroy_busy, CF_LAYOUTS },
	{ "server dies", case_server_dies, CF_LAYOUTS | CF_SERVED },
	{ 0 },
};
