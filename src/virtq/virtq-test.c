/* SPDX-License-Identifier: BSD-2-Clause */
/* Both ends of a virtqueue against each other: what goes in comes out, in every shape. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mem/sg.h"
#include "virtq/pair.h"
#include "virtq/ring.h"

#define PIECES 9  /* of a request at most */
#define PIECE  24 /* bytes of one at most */

static uint32_t seed;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* What the driver has in flight, by id. */
struct flight {
	bool used;
	uint32_t tag, in_len, want; /* want: bytes the device will have written */
	uint16_t slot;              /* in the data area */
};

struct trip {
	struct pair p;
	struct flight *flights;
	uint32_t tag, done;
	unsigned int batch;
	bool unpops;
	struct vd_chain **held; /* popped, not pushed */
	unsigned int nheld;
	uint16_t *slots; /* of the data area: stack of num - in flight */
};

/* A request: 8 bytes (tag, bytes to be written) or more to read, in pieces; then pieces to write.
 */
static bool trip_add(struct trip *t)
{
	struct vd_buf bufs[PIECES];
	unsigned int nout = 1 + rnd(2), nin = rnd(PIECES - 1 - nout), n = nout + nin;
	uint32_t tag = t->tag, in_len = 0, head[2];
	unsigned int nslots = t->p.num - vd_virtq_drv_inflight(t->p.drv);
	uint32_t at;
	int id;

	if (!nslots)
		return false;
	at = t->slots[nslots - 1] * PIECES * PIECE;

	if (t->p.num < n &&
	    !(t->p.indirect_max && t->p.features & VD_F(VIRTIO_RING_F_INDIRECT_DESC)))
		nout = n = 1, nin = 0;
	for (unsigned int i = 0; i < n; i++) {
		bufs[i].len = i ? rnd(PIECE) : 8; /* 0 is legal */
		bufs[i].iova = t->p.data_iova + at + i * PIECE;
		if (i >= nout)
			in_len += bufs[i].len;
	}
	head[0] = tag;
	head[1] = rnd(2) ? in_len : rnd(in_len + 1);
	memcpy(t->p.data + at, head, 8);
	id = vd_virtq_drv_add(t->p.drv, bufs, nout, nin);
	if (id == -ENOSPC)
		return false;
	assert_in_range(id, 0, t->p.num - 1);
	assert_false(t->flights[id].used);
	t->flights[id] = (struct flight){ true, tag, in_len, head[1], t->slots[nslots - 1] };
	t->tag++;
	return true;
}

/* Now and then some stay in the ring after all. */
static void trip_pop(struct trip *t)
{
	struct vd_chain *c[VD_VIRTQ_BURST];
	int n = vd_virtq_pop(t->p.dev, c, t->batch);

	assert_in_range(n, 0, t->batch);
	if (t->unpops && n && !rnd(3)) {
		unsigned int back = 1 + rnd((uint32_t)n);

		n -= (int)back;
		vd_virtq_unpop(t->p.dev, c + n, back);
		assert_true(vd_virtq_pending(t->p.dev));
	}
	for (int i = 0; i < n; i++)
		t->held[t->nheld++] = c[i];
	assert_int_equal(vd_virtq_inflight(t->p.dev), t->nheld);
}

static void trip_push(struct trip *t, unsigned int which)
{
	struct vd_chain *c = t->held[which];
	struct vd_sg out = vd_sg(c->iov, c->nout), in = vd_sg(c->iov + c->nout, c->nin);
	uint32_t head[2];

	assert_int_equal(vd_sg_len(&out), c->out_len);
	assert_int_equal(vd_sg_len(&in), c->in_len);
	assert_int_equal(vd_sg_read(&out, head, 8), 8);
	assert_true(head[1] <= c->in_len);
	assert_int_equal(vd_sg_fill(&in, (uint8_t)head[0], head[1]), head[1]);
	vd_virtq_push(t->p.dev, c, head[1]);
	assert_int_equal(vd_sg_len(&in), c->in_len - head[1]);
	t->held[which] = t->held[--t->nheld];
}

static void trip_get(struct trip *t)
{
	struct vd_done d[VD_VIRTQ_BURST];
	int n = vd_virtq_drv_get(t->p.drv, d, 1 + rnd(t->batch));

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		struct flight *f = &t->flights[d[i].id];

		assert_true(f->used);
		f->used = false;
		assert_int_equal(d[i].len, f->want);
		if (t->p.features & VD_F(VIRTIO_F_IN_ORDER))
			assert_int_equal(f->tag, t->done);
		t->done++;
		t->slots[t->p.num - vd_virtq_drv_inflight(t->p.drv) - (unsigned int)n +
			 (unsigned int)i] = f->slot;
	}
}

static void trip(uint64_t features, uint16_t num, unsigned int batch, uint32_t requests,
		 bool unpops)
{
	struct trip t = {
		.p = { .features = features,
		       .num = num,
		       .indirect_max = PIECES,
		       .data_size = 1ull * num * PIECES * PIECE },
		.batch = batch,
		.unpops = unpops,
	};
	unsigned int steps = 0;

	seed = (uint32_t)features + num * 31u + batch;
	assert_int_equal(pair_init(&t.p), 0);
	t.flights = calloc(num, sizeof(*t.flights));
	t.held = calloc(num, sizeof(*t.held));
	t.slots = calloc(num, sizeof(*t.slots));
	for (uint16_t i = 0; i < num; i++)
		t.slots[i] = i;
	while (t.done < requests) {
		assert_true(steps++ < 40 * requests);
		for (unsigned int i = 1 + rnd(batch); i && trip_add(&t); i--)
			;
		vd_virtq_drv_publish(t.p.drv);
		assert_int_equal(vd_virtq_drv_inflight(t.p.drv), t.tag - t.done);
		trip_pop(&t);
		for (unsigned int i = rnd(t.nheld + 1); i; i--)
			trip_push(&t, rnd(t.nheld));
		vd_virtq_flush(t.p.dev);
		trip_get(&t);
		if (!t.nheld && !rnd(4)) { /* all popped are pushed and flushed */
			assert_int_equal(vd_virtq_inflight(t.p.dev), 0);
			assert_int_equal(pair_restart(&t.p), 0);
		}
	}
	assert_null(vd_virtq_error(t.p.dev));
	assert_null(vd_virtq_drv_error(t.p.drv));
	free(t.flights);
	free(t.held);
	free(t.slots);
	pair_fini(&t.p);
}

static const unsigned int batches[] = { 1, 3, 32 };

/* Every set of features that changes anything, both layouts, all sizes and batches. */
static void all_trips(bool unpops)
{
	static const unsigned int bits[] = { VIRTIO_RING_F_INDIRECT_DESC, VIRTIO_RING_F_EVENT_IDX,
					     VIRTIO_F_IN_ORDER, VIRTIO_F_RING_PACKED };
	static const uint16_t sizes[] = { 1, 2, 3, 4, 7, 8, 64, 100, 256 };

	for (unsigned int set = 0; set < 1u << VD_ARRAY_SIZE(bits); set++)
		for (unsigned int s = 0; s < VD_ARRAY_SIZE(sizes); s++)
			for (unsigned int b = 0; b < VD_ARRAY_SIZE(batches); b++) {
				uint64_t features = VD_F(VIRTIO_F_VERSION_1);
				uint16_t num = sizes[s];

				for (unsigned int i = 0; i < VD_ARRAY_SIZE(bits); i++)
					features |= set & 1u << i ? VD_F(bits[i]) : 0;
				if (features & VD_F(VIRTIO_F_RING_PACKED) || !(num & (num - 1)))
					trip(features, num, batches[b], 4u * num + 100, unpops);
			}
}

static void round_trips(void **state)
{
	(void)state;
	all_trips(false);
}

static void some_are_unpopped(void **state)
{
	(void)state;
	all_trips(true);
}

/* Indices of 16 bits, and packed wrap counters, go round. */
static void indices_wrap(void **state)
{
	(void)state;
	for (unsigned int in_order = 0; in_order < 2; in_order++)
		for (unsigned int packed = 0; packed < 2; packed++)
			trip(VD_F(VIRTIO_RING_F_EVENT_IDX) |
				     (packed ? VD_F(VIRTIO_F_RING_PACKED) : 0) |
				     (in_order ? VD_F(VIRTIO_F_IN_ORDER) : 0),
			     16, 8, 70000, true);
}

static void the_largest_queue(void **state)
{
	(void)state;
	trip(0, VD_VIRTQ_NUM_MAX, 32, 70000, false);
	trip(VD_F(VIRTIO_F_RING_PACKED), VD_VIRTQ_NUM_MAX, 32, 70000, true);
}

/* ---- notifications --------------------------------------------------------------------------- */

static const uint64_t layouts[] = { 0, VD_F(VIRTIO_F_RING_PACKED) };

/* Add @n requests of one byte to read. */
static void add(struct pair *p, unsigned int n)
{
	struct vd_buf b = { p->data_iova, 1 };

	while (n--)
		assert_true(vd_virtq_drv_add(p->drv, &b, 1, 0) >= 0);
}

/* Pop @n requests and give them back; not published. */
static void serve(struct pair *p, unsigned int n)
{
	struct vd_chain *c[VD_VIRTQ_BURST];

	assert_int_equal(vd_virtq_pop(p->dev, c, n), n);
	for (unsigned int i = 0; i < n; i++)
		vd_virtq_push(p->dev, c[i], 0);
}

static void take(struct pair *p, unsigned int n)
{
	struct vd_done d[VD_VIRTQ_BURST];

	assert_int_equal(vd_virtq_drv_get(p->drv, d, VD_VIRTQ_BURST), n);
}

static void pair_begin(struct pair *p, uint64_t features)
{
	*p = (struct pair){ .features = features, .num = 16, .indirect_max = 4, .data_size = 4096 };
	assert_int_equal(pair_init(p), 0);
}

/* With EVENT_IDX each end is called for the one entry that it asked for, no sooner and no later. */
static void event_idx_is_exact(void **state)
{
	struct pair p;

	(void)state;
	for (unsigned int l = 0; l < 2; l++) {
		pair_begin(&p, VD_F(VIRTIO_RING_F_EVENT_IDX) | layouts[l]);
		for (unsigned int i = 0; i < 9000; i++) { /* all places of the ring, all wraps */
			assert_false(vd_virtq_kicks_on(p.dev));
			vd_virtq_kicks_off(p.dev);
			if (layouts[l])
				vd_virtq_kicks_on(p.dev); /* packed has no stale event */
			assert_false(vd_virtq_drv_calls_on(p.drv));
			add(&p, 3);
			assert_false(vd_virtq_pending(p.dev)); /* not yet published */
			assert_true(vd_virtq_drv_publish(p.drv));
			assert_false(vd_virtq_drv_publish(p.drv));
			assert_true(vd_virtq_pending(p.dev));
			add(&p, 2);
			assert_false(
				vd_virtq_drv_publish(p.drv)); /* the one it waits for is past */
			serve(&p, 3);
			assert_true(vd_virtq_flush(p.dev));
			assert_false(vd_virtq_flush(p.dev));
			serve(&p, 2);
			assert_false(vd_virtq_flush(p.dev));
			assert_true(vd_virtq_drv_calls_on(p.drv)); /* something came in between */
			take(&p, 5);
			assert_false(vd_virtq_drv_calls_on(p.drv));
			add(&p, 1);
			assert_false(vd_virtq_drv_publish(p.drv));
			assert_true(vd_virtq_kicks_on(p.dev));
			serve(&p, 1);
			assert_true(vd_virtq_flush(p.dev));
			take(&p, 1);
		}
		pair_fini(&p);
	}
}

/* Without, there is only on and off. */
static void flags_suppress(void **state)
{
	struct pair p;

	(void)state;
	for (unsigned int l = 0; l < 2; l++) {
		pair_begin(&p, layouts[l]);
		for (unsigned int i = 0; i < 100; i++) {
			vd_virtq_kicks_off(p.dev);
			vd_virtq_drv_calls_off(p.drv);
			add(&p, 1);
			assert_false(vd_virtq_drv_publish(p.drv));
			serve(&p, 1);
			assert_false(vd_virtq_flush(p.dev));
			assert_false(vd_virtq_kicks_on(p.dev));
			assert_true(vd_virtq_drv_calls_on(p.drv));
			take(&p, 1);
			for (unsigned int k = 0; k < 2; k++) { /* until it is switched off */
				add(&p, 1);
				assert_true(vd_virtq_drv_publish(p.drv));
				serve(&p, 1);
				assert_true(vd_virtq_flush(p.dev));
				take(&p, 1);
			}
		}
		pair_fini(&p);
	}
}

/* What a driver without an interrupt for each finds behind the index that stands in the ring. */
static void notification_data(void **state)
{
	struct pair p;

	(void)state;
	pair_begin(&p, 0);
	for (unsigned int i = 0; i < 70000; i++) {
		assert_int_equal(vd_virtq_drv_kick_data(p.drv), (uint16_t)i);
		add(&p, 1);
		vd_virtq_drv_publish(p.drv);
		serve(&p, 1);
		vd_virtq_flush(p.dev);
		take(&p, 1);
	}
	pair_fini(&p);

	pair_begin(&p, VD_F(VIRTIO_F_RING_PACKED));
	for (unsigned int i = 0; i < 100; i++) {
		assert_int_equal(vd_virtq_drv_kick_data(p.drv), i % 16 | (i / 16 % 2 ? 0 : 0x8000));
		assert_int_equal(vd_virtq_state(p.dev).avail, vd_virtq_drv_kick_data(p.drv));
		assert_int_equal(vd_virtq_state(p.dev).used, vd_virtq_drv_kick_data(p.drv));
		assert_int_equal(vd_virtq_drv_state(p.drv).used, vd_virtq_drv_kick_data(p.drv));
		add(&p, 1);
		vd_virtq_drv_publish(p.drv);
		serve(&p, 1);
		vd_virtq_flush(p.dev);
		take(&p, 1);
	}
	pair_fini(&p);
}

/* ---- in order -------------------------------------------------------------------------------- */

/* Did the device write this one? Split: the used ring was filled with 0xaa before. */
static bool entry_is_used(const struct pair *p, unsigned int i)
{
	uint16_t flags;
	uint32_t id;

	memcpy(&id, p->memory + p->layout.device + 4 + 8 * i, 4);
	memcpy(&flags, p->memory + 16 * i + 14, 2);
	if (!(p->features & VD_F(VIRTIO_F_RING_PACKED)))
		return id != 0xaaaaaaaa;
	return !(flags & PACKED_AVAIL) == !(flags & PACKED_USED);
}

/* A burst of requests that were filled is told by one used entry; others end a batch. */
static void in_order_batches(void **state)
{
	struct vd_chain *c[8];
	struct vd_done d[8];
	struct pair p;

	(void)state;
	for (unsigned int l = 0; l < 2; l++) {
		pair_begin(&p, VD_F(VIRTIO_F_IN_ORDER) | layouts[l]);
		for (unsigned int round = 0; round < 50; round++) {
			struct vd_buf b = { p.data_iova, 10 };
			struct uvdpa_vq_state at = vd_virtq_drv_state(p.drv);
			uint16_t first = layouts[l] ? at.avail & 0x7fff : at.avail % 16;
			int ids[8];

			for (unsigned int i = 0; i < 8; i++)
				ids[i] = vd_virtq_drv_add(p.drv, &b, 0, 1);
			vd_virtq_drv_publish(p.drv);
			if (!layouts[l])
				memset(p.memory + p.layout.device + 4, 0xaa, 16 * 8);
			assert_int_equal(vd_virtq_pop(p.dev, c, 8), 8);
			for (unsigned int i = 7; i; i--) /* out of order: waits for the first */
				vd_virtq_push(p.dev, c[i], i == 4 ? 3 : 10);
			assert_false(vd_virtq_flush(p.dev));
			take(&p, 0);
			vd_virtq_push(p.dev, c[0], 10);
			vd_virtq_flush(p.dev);
			for (unsigned int i = 0; i < 8; i++) /* which entries did it write? */
				assert_int_equal(entry_is_used(&p, (first + i) % 16),
						 i == 0 || i == 5);
			for (unsigned int i = 0; i < 8; i++) { /* one at a time, out of the batch */
				assert_int_equal(vd_virtq_drv_get(p.drv, d, 1), 1);
				assert_int_equal(d[0].id, ids[i]);
				assert_int_equal(d[0].len, i == 4 ? 3 : 10);
			}
			take(&p, 0);
		}
		pair_fini(&p);
	}
}

/* Where the ring's used index is not where the device begins, each side has its own say. */
static void sides_go_on_apart(void **state)
{
	struct vd_virtq_conf conf;
	struct vd_chain *c;
	struct pair p;
	uint16_t idx;

	(void)state;
	pair_begin(&p, 0);
	conf = pair_conf(&p);
	add(&p, 3);
	vd_virtq_drv_publish(p.drv);
	conf.state.avail = 2; /* the first two are somebody else's */
	vd_virtq_destroy(p.dev);
	assert_int_equal(vd_virtq_create(&conf, &p.dev), 0);
	assert_int_equal(vd_virtq_pop(p.dev, &c, 1), 1);
	assert_int_equal(c->id, 2);
	assert_false(vd_virtq_pending(p.dev));
	vd_virtq_push(p.dev, c, 0);
	vd_virtq_flush(p.dev);
	assert_int_equal(vd_virtq_state(p.dev).avail, 3);
	memcpy(&idx, p.memory + p.layout.device + 2, 2);
	assert_int_equal(idx, 1);
	take(&p, 1);
	pair_fini(&p);
}

/* What was unpopped is read anew, and counts for where the queue stands. */
static void unpopped_is_forgotten(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		uint64_t features = layouts[i & 1] | (i & 2 ? VD_F(VIRTIO_F_IN_ORDER) : 0) |
				    (i & 4 ? VD_F(VIRTIO_RING_F_INDIRECT_DESC) : 0);
		struct vd_chain *c[8];
		struct uvdpa_vq_state at;
		struct vd_done d[8];
		struct vd_buf b[2];
		struct pair p;

		pair_begin(&p, features);
		/* From any place in the ring, so that it goes round in between. */
		for (unsigned int start = 0; start < 40; start++) {
			for (unsigned int k = 0; k < 5; k++) {
				b[0] = (struct vd_buf){ p.data_iova + k, 1 };
				b[1] = (struct vd_buf){ p.data_iova + 64 + k, 1 + k };
				assert_true(vd_virtq_drv_add(p.drv, b, 1, 1) >= 0);
			}
			vd_virtq_drv_publish(p.drv);
			at = vd_virtq_state(p.dev);
			assert_int_equal(vd_virtq_pop(p.dev, c, 8), 5);
			vd_virtq_unpop(p.dev, c, 5);
			assert_int_equal(vd_virtq_inflight(p.dev), 0);
			assert_int_equal(vd_virtq_state(p.dev).avail, at.avail);
			assert_int_equal(vd_virtq_pop(p.dev, c, 3), 3);
			vd_virtq_unpop(p.dev, c + 1, 2);
			assert_int_equal(vd_virtq_inflight(p.dev), 1);
			assert_int_equal(c[0]->in_len, 1);
			vd_virtq_push(p.dev, c[0], 1);
			vd_virtq_flush(p.dev);
			assert_int_equal(pair_restart(&p), 0);
			assert_int_equal(vd_virtq_pop(p.dev, c, 8), 4);
			for (unsigned int k = 0; k < 4; k++) {
				assert_int_equal(c[k]->in_len, k + 2);
				vd_virtq_push(p.dev, c[k], k + 2);
			}
			vd_virtq_flush(p.dev);
			assert_int_equal(vd_virtq_drv_get(p.drv, d, 8), 5);
			for (unsigned int k = 0; k < 5; k++)
				assert_int_equal(d[k].len, k + 1);
		}
		pair_fini(&p);
	}
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void the_driver_is_refused(void **state)
{
	struct vd_buf b[20] = { { PAIR_IOVA, 0x80000000 }, { PAIR_IOVA, 0x80000000 } };
	struct pair p;

	(void)state;
	for (unsigned int l = 0; l < 2; l++) {
		pair_begin(&p, VD_F(VIRTIO_RING_F_INDIRECT_DESC) | layouts[l]);
		assert_int_equal(vd_virtq_drv_add(p.drv, b, 0, 0), -EINVAL);
		assert_int_equal(vd_virtq_drv_add(p.drv, b, 1, 1), -EINVAL);      /* 2^32 bytes */
		assert_int_equal(vd_virtq_drv_add(p.drv, b + 2, 10, 7), -EINVAL); /* 17 > 16 */
		assert_true(vd_virtq_drv_add(p.drv, b + 2, 9, 6) >= 0); /* 15, no table of 4 */
		assert_int_equal(vd_virtq_drv_add(p.drv, b + 2, 5, 1), -ENOSPC);
		assert_true(vd_virtq_drv_add(p.drv, b + 2, 2, 2) >= 0); /* a table */
		assert_int_equal(vd_virtq_drv_add(p.drv, b + 2, 1, 0), -ENOSPC);
		assert_int_equal(vd_virtq_drv_inflight(p.drv), 2);
		pair_fini(&p);
	}
}

/* Whatever a transport lets through, a ring is not made over it. */
static void creation_is_checked(void **state)
{
	static const struct {
		uint16_t num;
		uint64_t desc, driver, device;
		bool packed;
		int want;
	} cases[] = {
		{ 16, 0, 0, 0, false, 0 },
		{ 16, 0, 0, 0, true, 0 },
		{ 0, 0, 0, 0, false, -EINVAL },
		{ 0, 0, 0, 0, true, -EINVAL },
		{ 15, 0, 0, 0, false, -EINVAL },
		{ 15, 0, 0, 0, true, 0 },
		{ 32769, 0, 0, 0, false, -EINVAL },
		{ 32769, 0, 0, 0, true, -EINVAL },
		{ 65535, 0, 0, 0, true, -EINVAL },
		{ 32768, 0, 0, 0, false, -EBADMSG }, /* the memory ends before */
		{ 16, 8, 0, 0, false, -EBADMSG },
		{ 16, 8, 0, 0, true, -EBADMSG },
		{ 16, 0, 1, 0, false, -EBADMSG },
		{ 16, 0, 2, 0, false, 0 },
		{ 16, 0, 2, 0, true, -EBADMSG },
		{ 16, 0, 0, 2, false, -EBADMSG },
		{ 16, 0, 0, 2, true, -EBADMSG },
		{ 16, -PAIR_IOVA, 0, 0, false, -EBADMSG },      /* address 0 */
		{ 16, 0, -PAIR_IOVA - 16, 0, false, -EBADMSG }, /* wraps */
		{ 16, 0, 0, 0x10000000, false, -EBADMSG },
	};
	struct vd_virtq *vq;
	struct pair p;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct vd_virtq_conf conf;
		int r;

		pair_begin(&p, cases[i].packed ? layouts[1] : 0);
		conf = pair_conf(&p);
		conf.num = cases[i].num;
		conf.desc += cases[i].desc;
		conf.driver += cases[i].driver;
		conf.device += cases[i].device;
		r = vd_virtq_create(&conf, &vq);
		if (r != cases[i].want)
			fail_msg("case %u: %d, not %d: %s", i, r, cases[i].want, vd_err_text());
		if (!r)
			vd_virtq_destroy(vq);
		conf = pair_conf(&p);
		conf.state = (struct uvdpa_vq_state){ 16, 0x8010 };
		r = vd_virtq_create(&conf, &vq);
		assert_int_equal(r, cases[i].packed ? -EINVAL : 0);
		if (!r)
			vd_virtq_destroy(vq);
		conf.iov_max = 0;
		assert_int_equal(vd_virtq_create(&conf, &vq), -EINVAL);
		conf.iov_max = 65536;
		assert_int_equal(vd_virtq_create(&conf, &vq), -EINVAL);
		pair_fini(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),           cmocka_unit_test(indices_wrap),
		cmocka_unit_test(the_largest_queue),     cmocka_unit_test(event_idx_is_exact),
		cmocka_unit_test(flags_suppress),        cmocka_unit_test(notification_data),
		cmocka_unit_test(in_order_batches),      cmocka_unit_test(sides_go_on_apart),
		cmocka_unit_test(some_are_unpopped),     cmocka_unit_test(unpopped_is_forgotten),
		cmocka_unit_test(the_driver_is_refused), cmocka_unit_test(creation_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
