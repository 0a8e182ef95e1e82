/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two ends in two threads. First honest ones, that sleep whenever they may: every request
 * comes back, so no wakeup is lost, and ThreadSanitizer finds what is not ordered. Then one that
 * scribbles over everything that is shared while the other one works.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/loop.h"
#include "mem/sg.h"
#include "virtq/pair.h"
#include "virtq/ring.h"

#define REQUESTS 100000
#define LOST_MS  20000 /* nobody sleeps this long but for ever */

struct both {
	struct pair p;
	int kick, call;
	unsigned int device_slept, driver_slept;
	bool failed; /* in the device's thread */
};

static uint32_t rnd(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % below;
}

static bool wait_for(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, LOST_MS) == 1 && vd_eventfd_drain(fd);
}

/* Serve: what is to be read is a number, what is to be written is the same. */
static void answer(struct vd_virtq *vq, struct vd_chain *c)
{
	struct vd_sg out = vd_sg(c->iov, c->nout), in = vd_sg(c->iov + c->nout, c->nin);
	uint32_t tag = 0;

	vd_sg_read(&out, &tag, 4);
	vd_virtq_push(vq, c, (uint32_t)vd_sg_write(&in, &tag, 4));
}

static void *device(void *arg)
{
	struct both *b = arg;
	struct vd_virtq *vq = b->p.dev;
	unsigned int served = 0;
	uint32_t seed = 1;

	while (served < REQUESTS) {
		struct vd_chain *c[VD_VIRTQ_BURST];
		int n = vd_virtq_pop(vq, c, 1 + rnd(&seed, VD_VIRTQ_BURST));

		if (n < 0)
			break;
		served += (unsigned int)n;
		for (int i = 0; i < n; i++)
			answer(vq, c[i]);
		if (vd_virtq_flush(vq))
			vd_eventfd_signal(b->call);
		if (n) {
			vd_virtq_kicks_off(vq);
		} else if (!vd_virtq_kicks_on(vq)) {
			b->device_slept++;
			if (!wait_for(b->kick))
				break;
		}
	}
	b->failed = served != REQUESTS;
	return NULL;
}

static void driver(struct both *b)
{
	struct vd_virtq_drv *vq = b->p.drv;
	uint32_t seed = 2, tags[256], added = 0, done = 0, *data = (uint32_t *)(void *)b->p.data;
	uint16_t slots[256], of[256]; /* buffers, two words each: free, and by id */
	unsigned int nslots = b->p.num;

	for (uint16_t i = 0; i < b->p.num; i++)
		slots[i] = i;
	while (done < REQUESTS) {
		struct vd_done d[VD_VIRTQ_BURST];
		int n;

		for (unsigned int i = rnd(&seed, 20); i && nslots && added < REQUESTS; i--) {
			uint16_t slot = slots[nslots - 1];
			struct vd_buf bufs[] = { { b->p.data_iova + slot * 8u, 4 },
						 { b->p.data_iova + slot * 8u + 4, 4 } };

			data[2 * slot] = added;
			n = vd_virtq_drv_add(vq, bufs, 1, 1);
			if (n == -ENOSPC)
				break;
			assert_true(n >= 0);
			nslots--;
			of[n] = slot;
			tags[n] = added++;
		}
		if (vd_virtq_drv_publish(vq))
			vd_eventfd_signal(b->kick);
		n = vd_virtq_drv_get(vq, d, 1 + rnd(&seed, VD_VIRTQ_BURST));
		assert_true(n >= 0);
		for (int i = 0; i < n; i++) {
			assert_int_equal(d[i].len, 4);
			assert_int_equal(data[2 * of[d[i].id] + 1], tags[d[i].id]);
			slots[nslots++] = of[d[i].id];
		}
		done += (uint32_t)n;
		if (n) {
			vd_virtq_drv_calls_off(vq);
		} else if (vd_virtq_drv_inflight(vq) && rnd(&seed, 2) &&
			   !vd_virtq_drv_calls_on(vq)) {
			b->driver_slept++;
			if (!wait_for(b->call))
				fail_msg("lost wakeup after %u of %u", done, added);
		}
	}
}

static void no_wakeup_is_lost(void **state)
{
	static const unsigned int bits[] = { VIRTIO_RING_F_EVENT_IDX, VIRTIO_F_IN_ORDER,
					     VIRTIO_F_RING_PACKED };

	(void)state;
	for (unsigned int set = 0; set < 1u << VD_ARRAY_SIZE(bits); set++) {
		struct both b = { .p = { .num = 64, .indirect_max = 2, .data_size = 64 * 8 },
				  .kick = vd_eventfd(),
				  .call = vd_eventfd() };
		pthread_t thread;

		for (unsigned int i = 0; i < VD_ARRAY_SIZE(bits); i++)
			b.p.features |= set & 1u << i ? VD_F(bits[i]) : 0;
		if (set % 3)
			b.p.features |= VD_F(VIRTIO_RING_F_INDIRECT_DESC);
		assert_int_equal(pair_init(&b.p), 0);
		assert_int_equal(pthread_create(&thread, NULL, device, &b), 0);
		driver(&b);
		pthread_join(thread, NULL);
		assert_false(b.failed);
		print_message("set %u: the device slept %u times, the driver %u\n", set,
			      b.device_slept, b.driver_slept);
		pair_fini(&b.p);
		close(b.kick);
		close(b.call);
	}
}

/* ---- hostile --------------------------------------------------------------------------------- */

/* Races are the purpose of what follows, so ThreadSanitizer has nothing to say about it. */
#if defined(__SANITIZE_THREAD__)
#define HOSTILE 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HOSTILE 0
#endif
#endif
#ifndef HOSTILE
#define HOSTILE 1
#endif

#if HOSTILE
#define HOSTILE_MS 300

struct scribbler {
	struct pair *p;
	uint16_t base; /* where the victim is in a split ring */
	bool stop;
};

static void store(uint8_t *p, uint64_t v, unsigned int bytes)
{
	switch (bytes) {
	case 2:
		__atomic_store_n((uint16_t *)(void *)p, (uint16_t)v, __ATOMIC_RELAXED);
		break;
	case 4:
		__atomic_store_n((uint32_t *)(void *)p, (uint32_t)v, __ATOMIC_RELAXED);
		break;
	default:
		__atomic_store_n((uint64_t *)(void *)p, v, __ATOMIC_RELAXED);
	}
}

/* A descriptor that may pass: in the ring, or in the data area, where a table may be. */
static void scribble_desc(struct pair *p, uint8_t *d, uint32_t *seed)
{
	bool packed = p->features & VD_F(VIRTIO_F_RING_PACKED);
	uint64_t flags = rnd(seed, 4) ? rnd(seed, 4) : VRING_DESC_F_INDIRECT;
	uint64_t other = rnd(seed, p->num), len = 16 * rnd(seed, 4);

	if (packed && d < p->data)
		flags |= rnd(seed, 2) << VRING_PACKED_DESC_F_AVAIL |
			 rnd(seed, 2) << VRING_PACKED_DESC_F_USED;
	store(d, p->data_iova + 16 * rnd(seed, 256), 8);
	store(d + 8, len | (packed ? other << 32 | flags << 48 : flags << 32 | other << 48), 8);
}

/* What makes sense goes far; what makes none is mixed in. @base: where the victim is. */
static void scribble_once(struct pair *p, uint16_t base, uint32_t *seed)
{
	uint8_t *avail = p->memory + p->layout.driver, *used = p->memory + p->layout.device;
	uint32_t k = rnd(seed, p->num), idx;

	switch (rnd(seed, 8)) {
	case 0:
		scribble_desc(p, p->data + 16 * rnd(seed, 256), seed);
		break;
	case 1:
		if (p->features & VD_F(VIRTIO_F_RING_PACKED))
			break;
		store(avail + 4 + 2 * k, rnd(seed, p->num), 2);
		store(used + 4 + 8 * k, rnd(seed, p->num), 4);
		store(used + 8 + 8 * k, rnd(seed, 22), 4);
		break;
	case 2:
		idx = base + rnd(seed, 1 + k);
		store(avail + 2, idx, 2);
		store(used + 2, idx, 2);
		break;
	case 3:
		if (!rnd(seed, 16))
			store(p->memory + 2 * rnd(seed, (uint32_t)p->size / 2), rnd(seed, 0x10000),
			      2);
		break;
	default:
		scribble_desc(p, p->memory + 16 * k, seed);
	}
}

static void *scribble(void *arg)
{
	struct scribbler *s = arg;
	uint32_t seed = 3;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED))
		scribble_once(s->p, __atomic_load_n(&s->base, __ATOMIC_RELAXED), &seed);
	return NULL;
}

/* The victim gives some too, so that it meets something new when the other thread does not run. */
static void scribble_some(struct scribbler *s, uint16_t base, uint32_t *seed)
{
	__atomic_store_n(&s->base, base, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < 20; i++)
		scribble_once(s->p, base, seed);
}

static void hostile_driver(void **state)
{
	(void)state;
	for (unsigned int set = 0; set < 4; set++) {
		struct pair p = { .num = 16,
				  .indirect_max = 4,
				  .data_size = 8192,
				  .features = VD_F(VIRTIO_RING_F_INDIRECT_DESC) |
					      (set & 1 ? VD_F(VIRTIO_F_RING_PACKED) : 0) |
					      (set & 2 ? VD_F(VIRTIO_F_IN_ORDER) : 0) };
		struct scribbler s = { .p = &p };
		unsigned int popped = 0, broken = 0;
		uint64_t end = vd_now_ns() + HOSTILE_MS * 1000000ull;
		uint32_t seed = 4;
		pthread_t thread;

		assert_int_equal(pair_init(&p), 0);
		assert_int_equal(pthread_create(&thread, NULL, scribble, &s), 0);
		while (vd_now_ns() < end) {
			struct vd_chain *c[VD_VIRTQ_BURST];
			int n;

			scribble_some(&s, vd_virtq_state(p.dev).avail, &seed);
			n = vd_virtq_pop(p.dev, c, VD_VIRTQ_BURST);
			assert_true(n <= p.num);
			for (int i = 0; i < n; i++, popped++)
				answer(p.dev, c[i]);
			vd_virtq_flush(p.dev);
			vd_virtq_pending(p.dev);
			vd_virtq_kicks_on(p.dev);
			vd_virtq_kicks_off(p.dev);
			if (n < 0) {
				struct vd_virtq_conf conf = pair_conf(&p);

				assert_int_equal(n, -EBADMSG);
				conf.state = vd_virtq_state(p.dev);
				vd_virtq_destroy(p.dev);
				assert_int_equal(vd_virtq_create(&conf, &p.dev), 0);
				broken++;
			}
		}
		__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		print_message("set %u: %u requests, broken %u times\n", set, popped, broken);
		assert_true(broken && popped);
		pair_fini(&p);
	}
}

static void hostile_device(void **state)
{
	(void)state;
	for (unsigned int set = 0; set < 4; set++) {
		struct pair p = { .num = 16,
				  .indirect_max = 4,
				  .data_size = 8192,
				  .features = VD_F(VIRTIO_RING_F_INDIRECT_DESC) |
					      (set & 1 ? VD_F(VIRTIO_F_RING_PACKED) : 0) |
					      (set & 2 ? VD_F(VIRTIO_F_IN_ORDER) : 0) };
		struct scribbler s = { .p = &p };
		unsigned int done = 0, broken = 0;
		uint64_t end = vd_now_ns() + HOSTILE_MS * 1000000ull;
		uint32_t seed = 4;
		pthread_t thread;

		assert_int_equal(pair_init(&p), 0);
		assert_int_equal(pthread_create(&thread, NULL, scribble, &s), 0);
		while (vd_now_ns() < end) {
			struct vd_buf b[] = { { p.data_iova, 8 }, { p.data_iova, 20 } };
			struct vd_done d[VD_VIRTQ_BURST];
			int n;

			scribble_some(&s, vd_virtq_drv_state(p.drv).avail, &seed);
			while (vd_virtq_drv_add(p.drv, b, 1, 1) >= 0)
				;
			vd_virtq_drv_publish(p.drv);
			n = vd_virtq_drv_get(p.drv, d, VD_VIRTQ_BURST);
			for (int i = 0; i < n; i++, done++)
				assert_true(d[i].id < p.num && d[i].len <= 20);
			assert_true(vd_virtq_drv_inflight(p.drv) <= p.num);
			vd_virtq_drv_calls_on(p.drv);
			vd_virtq_drv_calls_off(p.drv);
			if (n < 0) {
				struct vd_virtq_drv_conf conf = { .features = p.features,
								  .num = p.num,
								  .ring = p.memory,
								  .ring_iova = PAIR_IOVA,
								  .indirect_max = 4 };

				assert_int_equal(n, -EBADMSG);
				vd_virtq_drv_destroy(p.drv);
				assert_int_equal(vd_virtq_drv_create(&conf, &p.drv), 0);
				broken++;
			}
		}
		__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		print_message("set %u: %u requests, broken %u times\n", set, done, broken);
		assert_true(broken && done);
		pair_fini(&p);
	}
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_wakeup_is_lost),
#if HOSTILE
		cmocka_unit_test(hostile_driver),
		cmocka_unit_test(hostile_device),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
