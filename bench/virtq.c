/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtq.c - what a request costs in the rings alone
 *
 * Each end is the real one, or a bare one: a loop that reads and writes the words of the same
 * ring that it must, and checks nothing. Two bare ends move the same cache lines and do nothing
 * else, which is the limit. A real end against a bare one shows what it costs alone; noting, it
 * keeps an in-flight region as well.
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

/* The second word of a packed descriptor, and which of its flags tell whose it is. */
static uint64_t rest_of(const struct bench *b, uint16_t i, uint16_t id, bool is_used)
{
	return (is_used ? 0u : 64u) | (uint64_t)id << 32 | (uint64_t)flags_of(b, i, is_used) << 48;
}

static bool is_there(const struct bench *b, uint16_t i, uint64_t rest, bool is_used)
{
	return (rest >> 48 & (PACKED_AVAIL | PACKED_USED)) == flags_of(b, i, is_used);
}

/*
 * What ends each burst (virtio 1.3, 2.7.13.4, 2.8.21.3): the word that shows it, a full barrier,
 * and a look at the word that says whether to notify. Here that always says no.
 */
static unsigned int show16(uint16_t *word, uint16_t v, const uint16_t *question)
{
	__atomic_store_n(word, v, __ATOMIC_SEQ_CST);
	return __atomic_load_n(question, __ATOMIC_SEQ_CST);
}

static unsigned int show64(uint64_t *word, uint64_t v, const uint16_t *question)
{
	__atomic_store_n(word, v, __ATOMIC_SEQ_CST);
	return __atomic_load_n((const uint32_t *)(const void *)question, __ATOMIC_SEQ_CST);
}

static unsigned int bare_drv_get(struct bench *b)
{
	uint16_t next = b->drv.used;
	uint64_t sum = 0;
	unsigned int n;

	if (b->packed) {
		for (n = 0; next != b->drv.next && n < b->batch; next++, n++) {
			uint64_t rest = __atomic_load_n(desc(b, next) + 1, __ATOMIC_ACQUIRE);

			if (!is_there(b, next, rest, true))
				break;
			sum += rest;
		}
	} else {
		if (b->drv.seen == next)
			b->drv.seen = __atomic_load_n(used(b) + 1, __ATOMIC_ACQUIRE);
		for (n = 0; next != b->drv.seen && n < b->batch; next++, n++)
			sum += used_entry(b, next)[0] + used_entry(b, next)[1];
	}
	b->drv.used = next;
	b->sum += sum;
	return n;
}

static unsigned int bare_drv_add(struct bench *b)
{
	uint16_t first = b->drv.next, next = first;

	if ((uint16_t)(next - b->drv.used) + b->batch > b->p.num)
		return 0;
	for (unsigned int i = 0; i < b->batch; i++, next++) {
		uint16_t at = next & (b->p.num - 1u);
		uint64_t *d = desc(b, at);

		d[0] = b->p.data_iova;
		if (!b->packed) {
			d[1] = 64;
			avail(b)[2 + at] = at;
		} else if (i) {
			__atomic_store_n(d + 1, rest_of(b, next, at, false), __ATOMIC_RELAXED);
		}
	}
	b->drv.next = next;
	b->sum += b->packed ? show64(desc(b, first) + 1,
				     rest_of(b, first, first & (b->p.num - 1u), false), used(b))
			    : show16(avail(b) + 1, next, used(b));
	return b->batch;
}

static unsigned int bare_dev_split(struct bench *b)
{
	uint16_t next = b->dev.next;
	uint64_t sum = 0;
	unsigned int n;

	if (b->dev.seen == next)
		b->dev.seen = __atomic_load_n(avail(b) + 1, __ATOMIC_ACQUIRE);
	for (n = 0; next != b->dev.seen && n < b->batch; next++, n++) {
		uint16_t id = avail(b)[2 + (next & (b->p.num - 1u))];

		sum += desc(b, id)[0] + desc(b, id)[1];
		used_entry(b, next)[0] = id;
		used_entry(b, next)[1] = 0;
	}
	b->dev.next = next;
	b->dev_sum += sum;
	if (n)
		b->dev_sum += show16(used(b) + 1, next, avail(b));
	return n;
}

static unsigned int bare_dev_packed(struct bench *b)
{
	uint16_t first = b->dev.next, next = first, ids[VD_VIRTQ_BURST];
	uint64_t sum = 0;
	unsigned int n;

	for (n = 0; n < b->batch; next++, n++) {
		uint64_t *d = desc(b, next), rest = __atomic_load_n(d + 1, __ATOMIC_ACQUIRE);

		if (!is_there(b, next, rest, false))
			break;
		sum += d[0] + rest;
		ids[n] = (uint16_t)(rest >> 32);
	}
	for (unsigned int i = 1; i < n; i++)
		__atomic_store_n(desc(b, (uint16_t)(first + i)) + 1,
				 rest_of(b, (uint16_t)(first + i), ids[i], true), __ATOMIC_RELAXED);
	b->dev.next = next;
	b->dev_sum += sum;
	if (n)
		b->dev_sum += show64(desc(b, first) + 1, rest_of(b, first, ids[0], true), avail(b));
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
	struct vd_req reqs[VD_VIRTQ_BURST];

	if (!b->real_drv)
		return bare_drv_add(b);
	if (vd_virtq_drv_inflight(b->p.drv) + b->batch > b->p.num)
		return 0;
	for (unsigned int i = 0; i < b->batch; i++)
		reqs[i] = (struct vd_req){ .bufs = &buf, .nout = 1 };
	if (vd_virtq_drv_add_burst(b->p.drv, reqs, b->batch) != (int)b->batch)
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
		c[i]->written = 0;
	if (n)
		vd_virtq_push_burst(b->p.dev, c, (unsigned int)n);
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
	static const char *const ends[] = { "limit", "driver alone", "device alone", "both",
					     "device, noting" };
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
						       .data_size = 4096,
						       .inflight_size = e < 4 ? 0 :
							       vd_virtq_inflight_size(packed, num) },
						.packed = packed,
						.real_drv = e < 4 && e & 1,
						.real_dev = e & 2 || e == 4,
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
