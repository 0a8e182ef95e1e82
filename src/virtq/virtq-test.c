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

#define PIECES 5		/* of a request at most */
#define PIECE 24		/* bytes of one at most */

static uint32_t seed;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* What the driver has in flight, by id. */
struct flight {
	bool used;
	uint32_t tag, in_len, want;	/* want: bytes the device will have written */
	uint16_t slot;			/* in the data area */
};

struct trip {
	struct pair p;
	struct flight *flights;
	uint32_t tag, done;
	unsigned int batch;
	struct vd_chain **held;		/* popped, not pushed */
	unsigned int nheld;
	uint16_t *slots;		/* of the data area: stack of num - in flight */
};

/* A request: 8 bytes (tag, bytes to be written) or more to read, in pieces; then pieces to write. */
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

	if (t->p.num < n && !(t->p.indirect_max && t->p.features & VD_F(VIRTIO_RING_F_INDIRECT_DESC)))
		nout = n = 1, nin = 0;
	for (unsigned int i = 0; i < n; i++) {
		bufs[i].len = i ? rnd(PIECE) : 8;	/* 0 is legal */
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

static void trip_pop(struct trip *t)
{
	struct vd_chain *c[VD_VIRTQ_BURST];
	int n = vd_virtq_pop(t->p.dev, c, t->batch);

	assert_in_range(n, 0, t->batch);
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
		t->slots[t->p.num - vd_virtq_drv_inflight(t->p.drv) - (unsigned int)n + (unsigned int)i] = f->slot;
	}
}

static void trip(uint64_t features, uint16_t num, unsigned int batch, uint32_t requests)
{
	struct trip t = {
		.p = { .features = features, .num = num, .indirect_max = PIECES,
		       .data_size = 1ull * num * PIECES * PIECE },
		.batch = batch,
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
		if (!t.nheld && !rnd(4)) {	/* all popped are pushed and flushed */
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
static void round_trips(void **state)
{
	static const unsigned int bits[] = { VIRTIO_RING_F_INDIRECT_DESC, VIRTIO_RING_F_EVENT_IDX,
					     VIRTIO_F_IN_ORDER, VIRTIO_F_RING_PACKED };
	static const uint16_t sizes[] = { 1, 2, 3, 4, 7, 8, 64, 100, 256 };

	(void)state;
	for (unsigned int set = 0; set < 1u << VD_ARRAY_SIZE(bits); set++)
		for (unsigned int s = 0; s < VD_ARRAY_SIZE(sizes); s++)
			for (unsigned int b = 0; b < VD_ARRAY_SIZE(batches); b++) {
				uint64_t features = VD_F(VIRTIO_F_VERSION_1);
				uint16_t num = sizes[s];

				for (unsigned int i = 0; i < VD_ARRAY_SIZE(bits); i++)
					features |= set & 1u << i ? VD_F(bits[i]) : 0;
				if (features & VD_F(VIRTIO_F_RING_PACKED) || !(num & (num - 1)))
					trip(features, num, batches[b], 4u * num + 100);
			}
}

/* Indices of 16 bits, and packed wrap counters, go round. */
static void indices_wrap(void **state)
{
	(void)state;
	for (unsigned int in_order = 0; in_order < 2; in_order++)
		for (unsigned int packed = 0; packed < 2; packed++)
			trip(VD_F(VIRTIO_RING_F_EVENT_IDX) | (packed ? VD_F(VIRTIO_F_RING_PACKED) : 0) |
			     (in_order ? VD_F(VIRTIO_F_IN_ORDER) : 0), 16, 8, 70000);
}

static void the_largest_queue(void **state)
{
	(void)state;
	trip(0, VD_VIRTQ_NUM_MAX, 32, 70000);
	trip(VD_F(VIRTIO_F_RING_PACKED), VD_VIRTQ_NUM_MAX, 32, 70000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(indices_wrap),
		cmocka_unit_test(the_largest_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
