/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtq.c - what a request costs in the rings alone
 *
 * Each end is the real one, or a bare one: a loop that reads and writes the words of the same
 * ring that it must, and asks nothing. Two bare ends move the same cache lines and do nothing
 * else, which is the limit. A real end against a bare one shows what it costs alone.
 *
 * Nobody touches the buffers, and nobody is called: both ends poll.
 *
 *	bench/virtq [-s SECONDS] [-n QUEUE SIZE] [-b BATCH] [-l split|packed]
 */
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/bench.h"
#include "virtq/pair.h"
#include "virtq/ring.h"

struct bare {
	uint16_t next, used; /* free running */
	uint16_t seen;
};

struct bench {
	struct pair p;
	bool packed, real_drv, real_dev;
	unsigned int batch;
	_Alignas(128) struct bare drv;
	uint64_t sum;
	_Alignas(128) struct bare dev;
	uint64_t dev_sum;
};

/* ---- bare ends ------------------------------------------------------------------------------- */

static uint64_t *desc(const struct bench *b, uint16_t i)
{
	return (uint64_t *)(void *)b->p.memory + 2u * (i & (b->p.num - 1u));
}

static uint16_t *avail(const struct bench *b)
{
	return (uint16_t *)(void *)(b->p.memory + b->p.layout.driver);
}

static uint16_t *used(const struct bench *b)
{
	return (uint16_t *)(void *)(b->p.memory + b->p.layout.device);
}

static uint32_t *used_entry(const struct bench *b, uint16_t i)
{
	return (uint32_t *)(void *)(used(b) + 2) + 2u * (i & (b->p.num - 1u));
}

/* Packed flags of the round that free running @i is in. */
static uint16_t flags_of(const struct bench *b, uint16_t i, bool is_used)
{
	bool wrap = !(i & b->p.num);

	return is_used ? packed_used_flags(wrap) : packed_avail_flags(wrap);
}

static unsigned int bare_drv_get(struct bench *b)
{
	unsigned int n = 0;

	if (!b->packed) {
		uint16_t idx = __atomic_load_n(used(b) + 1, __ATOMIC_ACQUIRE);

		for (; b->drv.used != idx && n < b->batch; b->drv.used++, n++)
			b->sum += used_entry(b, b->drv.used)[0] + used_entry(b, b->drv.used)[1];
		return n;
	}
	for (; b->drv.used != b->drv.next && n < b->batch; b->drv.used++, n++) {
		uint16_t *w = (uint16_t *)(void *)desc(b, b->drv.used);

		if ((__atomic_load_n(w + 7, __ATOMIC_ACQUIRE) & (PACKED_AVAIL | PACKED_USED)) !=
		    flags_of(b, b->drv.used, true))
			break;
		b->sum += desc(b, b->drv.used)[1];
	}
	return n;
}

static unsigned int bare_drv_add(struct bench *b)
{
	uint16_t first = b->drv.next;

	if ((uint16_t)(b->drv.next - b->drv.used) + b->batch > b->p.num)
		return 0;
	for (unsigned int i = 0; i < b->batch; i++, b->drv.next++) {
		uint16_t at = b->drv.next & (b->p.num - 1u);
		uint64_t *d = desc(b, at);

		d[0] = b->p.data_iova;
		if (b->packed) {
			((uint32_t *)(void *)d)[2] = 64;
			((uint16_t *)(void *)d)[6] = at;
			if (i)
				__atomic_store_n((uint16_t *)(void *)d + 7,
						 flags_of(b, b->drv.next, false), __ATOMIC_RELAXED);
		} else {
			d[1] = 64;
			avail(b)[2 + at] = at;
		}
	}
	if (b->packed)
		__atomic_store_n((uint16_t *)(void *)desc(b, first) + 7, flags_of(b, first, false),
				 __ATOMIC_RELEASE);
	else
		__atomic_store_n(avail(b) + 1, b->drv.next, __ATOMIC_RELEASE);
	return b->batch;
}

static unsigned int bare_dev_split(struct bench *b)
{
	unsigned int n;

	if (b->dev.seen == b->dev.next)
		b->dev.seen = __atomic_load_n(avail(b) + 1, __ATOMIC_ACQUIRE);
	for (n = 0; b->dev.next != b->dev.seen && n < b->batch; b->dev.next++, n++) {
		uint16_t id = avail(b)[2 + (b->dev.next & (b->p.num - 1u))];

		b->dev_sum += desc(b, id)[0] + desc(b, id)[1];
		used_entry(b, b->dev.next)[0] = id;
		used_entry(b, b->dev.next)[1] = 0;
	}
	if (n)
		__atomic_store_n(used(b) + 1, b->dev.next, __ATOMIC_RELEASE);
	return n;
}

static unsigned int bare_dev_packed(struct bench *b)
{
	uint16_t first = b->dev.next, ids[VD_VIRTQ_BURST];
	unsigned int n;

	for (n = 0; n < b->batch; b->dev.next++, n++) {
		uint64_t *d = desc(b, b->dev.next);

		if ((__atomic_load_n((uint16_t *)(void *)d + 7, __ATOMIC_ACQUIRE) &
		     (PACKED_AVAIL | PACKED_USED)) != flags_of(b, b->dev.next, false))
			break;
		b->dev_sum += d[0] + d[1];
		ids[n] = ((uint16_t *)(void *)d)[6];
	}
	for (unsigned int i = n; i--;) {
		uint16_t *w = (uint16_t *)(void *)desc(b, (uint16_t)(first + i));

		w[6] = ids[i];
		((uint32_t *)(void *)w)[2] = 0;
		__atomic_store_n(w + 7, flags_of(b, (uint16_t)(first + i), true), __ATOMIC_RELEASE);
	}
	return n;
}

/* ---- either ---------------------------------------------------------------------------------- */

static unsigned int drv_get_some(struct bench *b)
{
	struct vd_done d[VD_VIRTQ_BURST];
	int n;

	if (!b->real_drv)
		return bare_drv_get(b);
	n = vd_virtq_drv_get(b->p.drv, d, b->batch);
	if (n < 0)
		abort();
	for (int i = 0; i < n; i++)
		b->sum += d[i].id;
	return (unsigned int)n;
}

static unsigned int drv_add_some(struct bench *b)
{
	struct vd_buf buf = { b->p.data_iova, 64 };

	if (!b->real_drv)
		return bare_drv_add(b);
	if (vd_virtq_drv_inflight(b->p.drv) + b->batch > b->p.num)
		return 0;
	for (unsigned int i = 0; i < b->batch; i++)
		if (vd_virtq_drv_add(b->p.drv, &buf, 1, 0) < 0)
			abort();
	vd_virtq_drv_publish(b->p.drv);
	return b->batch;
}

static unsigned int dev_some(struct bench *b)
{
	struct vd_chain *c[VD_VIRTQ_BURST];
	int n;

	if (!b->real_dev)
		return b->packed ? bare_dev_packed(b) : bare_dev_split(b);
	n = vd_virtq_pop(b->p.dev, c, b->batch);
	if (n < 0)
		abort();
	for (int i = 0; i < n; i++)
		vd_virtq_push(b->p.dev, c[i], 0);
	vd_virtq_flush(b->p.dev);
	return (unsigned int)n;
}

static void begin(void *arg)
{
	struct bench *b = arg;

	if (b->p.memory)
		pair_fini(&b->p);
	b->p.drv = NULL;
	b->p.dev = NULL;
	if (pair_init(&b->p)) {
		fprintf(stderr, "%s\n", vd_err_text());
		exit(1);
	}
	vd_virtq_kicks_off(b->p.dev);
	vd_virtq_drv_calls_off(b->p.drv);
	b->drv = b->dev = (struct bare){ 0 };
}

static uint64_t one_cpu(void *arg, uint64_t until_ns)
{
	struct bench *b = arg;
	unsigned int count = 0;
	uint64_t ops = 0;

	while (!bench_over(until_ns, &count)) {
		drv_add_some(b);
		dev_some(b);
		ops += drv_get_some(b);
	}
	return ops;
}

static uint64_t driver_cpu(void *arg, uint64_t until_ns)
{
	struct bench *b = arg;
	unsigned int count = 0;
	uint64_t ops = 0;

	while (!bench_over(until_ns, &count)) {
		drv_add_some(b);
		ops += drv_get_some(b);
	}
	return ops;
}

static void device_cpu(void *arg, const bool *stop)
{
	while (!__atomic_load_n(stop, __ATOMIC_RELAXED))
		dev_some(arg);
}

int main(int argc, char **argv)
{
	static const unsigned int batches[] = { 1, 8, 32 };
	static const char *const ends[] = { "limit", "driver alone", "device alone", "both" };
	unsigned int ncases = 2 * 2 * VD_ARRAY_SIZE(batches) * VD_ARRAY_SIZE(ends), n = 0;
	struct bench_case *cases = calloc(ncases, sizeof(*cases));
	struct bench *benches = aligned_alloc(128, ncases * sizeof(*benches));
	unsigned int only_batch = 0;
	const char *only = NULL;
	double seconds = 15;
	uint16_t num = 256;
	int opt;

	while ((opt = getopt(argc, argv, "s:n:b:l:")) != -1) {
		if (opt == 's')
			seconds = atof(optarg);
		else if (opt == 'n')
			num = (uint16_t)atoi(optarg);
		else if (opt == 'b')
			only_batch = (unsigned int)atoi(optarg);
		else if (opt == 'l')
			only = optarg;
		else
			return 2;
	}
	if (!cases || !benches || num < 32 || num & (num - 1)) {
		fprintf(stderr, "the queue size is a power of two from 32 on\n");
		return 1;
	}
	for (unsigned int packed = 0; packed < 2; packed++)
		for (unsigned int k = 0; k < VD_ARRAY_SIZE(batches); k++)
			for (unsigned int cpus = 1; cpus <= 2; cpus++)
				for (unsigned int e = 0; e < VD_ARRAY_SIZE(ends); e++) {
					const char *layout = packed ? "packed" : "split";
					struct bench_case *c = &cases[n];

					if ((only_batch && only_batch != batches[k]) ||
					    (only && strcmp(only, layout)))
						continue;
					benches[n] = (struct bench){
						.p = { .features =
							       packed ? VD_F(VIRTIO_F_RING_PACKED)
								      : 0,
						       .num = num,
						       .data_size = 4096 },
						.packed = packed,
						.real_drv = e & 1,
						.real_dev = e & 2,
						.batch = batches[k],
					};
					snprintf(c->name, sizeof(c->name), "%s, %u at a time, %s",
						 layout, batches[k], ends[e]);
					c->begin = begin;
					c->here = cpus == 1 ? one_cpu : driver_cpu;
					c->there = cpus == 1 ? NULL : device_cpu;
					c->arg = &benches[n];
					c->limit = n++ - e;
				}
	if (bench_run(cases, n, seconds))
		return 1;
	bench_print(cases, n, "ns for a request");
	for (unsigned int i = 0; i < n; i++)
		pair_fini(&benches[i].p);
	free(cases);
	free(benches);
	return 0;
}
