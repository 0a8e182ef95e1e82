/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-bench.c - a short measurement: how many requests, how long each took, what it cost
 *
 * Each queue has a thread, which keeps @depth requests under way and counts those that came back before
 * the end. The processor time is that of this process: with a disk that is made here the device's
 * too, with a back-end's only ours.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/loop.h"
#include "base/thread.h"
#include "uvdpa/disk.h"

#define DEPTH_MAX 1024u
#define QUEUES_MAX 64u
#define BS_MAX (16u << 20)
#define MEM_MAX (4ull << 30)
#define STOP_MS 100	/* the longest that who sleeps does not see the end */

/* Times by their highest bits: 1/16 apart, so that a percentile is at most 6 % wrong. */
#define SUB 16u
#define BUCKETS (64u * SUB)

enum rw { READ, WRITE, RANDREAD, RANDWRITE };

struct conf {
	uint64_t rw, bs, depth, queues, seconds, poll, overwrite;
};

struct bench;

struct request {
	struct uvdpa_blk_req r;
	struct iovec iov;
	uint64_t since_ns;
};

/* One queue and its thread, who alone writes here until it has ended. */
struct lane {
	struct bench *b;
	struct uvdpa_blkq *q;
	pthread_t thread;
	bool started;
	struct request *requests;
	struct uvdpa_blk_req **todo, **done;
	uint64_t first, blocks, at;	/* of the disk, in blocks of bs */
	uint64_t rng;
	int err;
	uint64_t n, sum_ns, min_ns, max_ns;
	uint64_t buckets[BUCKETS];
};

struct bench {
	const struct conf *c;
	struct disk *disk;
	struct lane *lanes;
	bool stop, failed;		/* atomic: to the lanes, and from them */
};

/* ---- one lane -------------------------------------------------------------------------------- */

static unsigned int bucket(uint64_t ns)
{
	unsigned int top = 63 - (unsigned int)__builtin_clzll(ns | SUB);

	return (top - 4) * SUB + (unsigned int)(ns >> (top - 4) & (SUB - 1)) + (ns >= SUB ? SUB : 0);
}

/* The middle of a bucket. */
static uint64_t bucket_ns(unsigned int i)
{
	unsigned int shift = i / SUB ? i / SUB - 1 : 0;
	uint64_t first = i < SUB ? i : (uint64_t)(SUB + i % SUB) << shift;

	return first + (1ull << shift) / 2;
}

static uint64_t next_block(struct lane *l)
{
	uint64_t rw = l->b->c->rw;

	if (rw == READ || rw == WRITE) {
		l->at = (l->at + 1) % l->blocks;
		return l->first + l->at;
	}
	l->rng ^= l->rng << 13;
	l->rng ^= l->rng >> 7;
	l->rng ^= l->rng << 17;
	return l->first + l->rng % l->blocks;
}

static void count(struct lane *l, uint64_t ns)
{
	l->n++;
	l->sum_ns += ns;
	l->min_ns = vd_min(l->min_ns, ns);
	l->max_ns = vd_max(l->max_ns, ns);
	l->buckets[bucket(ns)]++;
}

/* Those that came back, counted, and put again. Return: how many; -errno. */
static int turn(struct lane *l, unsigned int *busy)
{
	uint64_t bs = l->b->c->bs, now;
	unsigned int n = uvdpa_blkq_poll(l->q, l->done, (unsigned int)l->b->c->depth);
	int r;

	if (!n)
		return 0;
	now = vd_now_ns();
	for (unsigned int i = 0; i < n; i++) {
		struct request *rq = container_of(l->done[i], struct request, r);

		if (rq->r.res)
			return rq->r.res;
		count(l, now - rq->since_ns);
		rq->since_ns = now;
		rq->r.sector = next_block(l) * bs / UVDPA_BLK_SECTOR;
	}
	*busy -= n;
	r = uvdpa_blkq_submit(l->q, l->done, n);
	if (r > 0)
		*busy += (unsigned int)r;
	return r < 0 ? r : r < (int)n ? -EAGAIN : r;
}

static bool stopped(const struct lane *l)
{
	return __atomic_load_n(&l->b->stop, __ATOMIC_RELAXED);
}

static void *lane_main(void *arg)
{
	struct lane *l = arg;
	unsigned int depth = (unsigned int)l->b->c->depth, busy = depth;
	uint64_t now = vd_now_ns();
	int r;

	for (unsigned int i = 0; i < depth; i++) {
		l->requests[i].since_ns = now;
		l->requests[i].r.sector = next_block(l) * l->b->c->bs / UVDPA_BLK_SECTOR;
		l->todo[i] = &l->requests[i].r;
	}
	r = uvdpa_blkq_submit(l->q, l->todo, depth);
	if (r >= 0 && r < (int)depth)
		r = -EAGAIN;
	while (r >= 0 && !stopped(l)) {
		r = turn(l, &busy);
		if (!r && !l->b->c->poll)
			uvdpa_blkq_wait(l->q, STOP_MS);
	}
	l->err = vd_min(r, 0);
	if (l->err)
		__atomic_store_n(&l->b->failed, true, __ATOMIC_RELAXED);
	return NULL;
}

static int lane_begin(struct bench *b, struct lane *l, unsigned int idx)
{
	const struct conf *c = b->c;
	uint64_t blocks = b->disk->size / c->bs;
	enum uvdpa_blk_op op = c->rw == WRITE || c->rw == RANDWRITE ? UVDPA_BLK_WRITE
								   : UVDPA_BLK_READ;

	l->b = b;
	l->q = uvdpa_blk_queue(b->disk->blk, idx);
	l->min_ns = UINT64_MAX;
	l->rng = 0x9e3779b97f4a7c15u * (idx + 1);
	l->first = 0;
	l->blocks = blocks;
	if (c->rw == READ || c->rw == WRITE) {	/* a part of the disk for each */
		l->blocks = blocks / c->queues;
		l->first = l->blocks * idx;
	}
	l->requests = calloc(c->depth, sizeof(*l->requests));
	l->todo = calloc(c->depth, sizeof(*l->todo));
	l->done = calloc(c->depth, sizeof(*l->done));
	if (!l->requests || !l->todo || !l->done)
		return print_error("no memory");
	for (unsigned int i = 0; i < c->depth; i++) {
		struct request *rq = &l->requests[i];

		rq->iov = (struct iovec){ disk_alloc(b->disk, c->bs), c->bs };
		if (!rq->iov.iov_base)
			return -1;
		memset(rq->iov.iov_base, (int)(i + 1), c->bs);
		rq->r = (struct uvdpa_blk_req){ .op = op, .iov = &rq->iov, .niov = 1 };
	}
	return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static uint64_t cpu_ns(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (uint64_t)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000000u +
	       (uint64_t)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) * 1000u;
}

static uint64_t percentile(const struct lane *all, uint64_t n, double part)
{
	uint64_t want = (uint64_t)((double)n * part), seen = 0;

	for (unsigned int i = 0; i < BUCKETS; i++) {
		seen += all->buckets[i];
		if (seen > want)
			return vd_min(vd_max(bucket_ns(i), all->min_ns), all->max_ns);
	}
	return all->max_ns;
}

static void add_num(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

static void report(const struct bench *b, const char *const *names, uint64_t took_ns, uint64_t cpu)
{
	static const struct {
		const char *key;
		double part;
	} parts[] = { { "lat_p50_ns", .5 },   { "lat_p90_ns", .9 },
		      { "lat_p99_ns", .99 }, { "lat_p999_ns", .999 } };
	struct json_object *o = json_object_new_object();
	struct lane all = { .min_ns = UINT64_MAX };
	double seconds = (double)took_ns / 1e9;

	for (unsigned int i = 0; i < b->c->queues; i++) {
		const struct lane *l = &b->lanes[i];

		all.n += l->n;
		all.sum_ns += l->sum_ns;
		all.min_ns = vd_min(all.min_ns, l->min_ns);
		all.max_ns = vd_max(all.max_ns, l->max_ns);
		for (unsigned int k = 0; k < BUCKETS; k++)
			all.buckets[k] += l->buckets[k];
	}
	json_object_object_add(o, "rw", json_object_new_string(names[b->c->rw]));
	add_num(o, "bs", b->c->bs);
	add_num(o, "depth", b->c->depth);
	add_num(o, "queues", b->c->queues);
	json_object_object_add(o, "poll", json_object_new_boolean((int)b->c->poll));
	add_num(o, "requests", all.n);
	blk_add_rate(o, seconds, all.n * b->c->bs);
	add_num(o, "iops", (uint64_t)((double)all.n / seconds));
	if (all.n) {
		add_num(o, "lat_min_ns", all.min_ns);
		add_num(o, "lat_mean_ns", all.sum_ns / all.n);
		for (size_t i = 0; i < VD_ARRAY_SIZE(parts); i++)
			add_num(o, parts[i].key, percentile(&all, all.n, parts[i].part));
		add_num(o, "lat_max_ns", all.max_ns);
		add_num(o, "cpu_ns_per_request", cpu / all.n);
	}
	add_num(o, "cpu_percent", cpu * 100 / took_ns);
	blk_result(b->disk->s->cmd, "bench", b->disk->word, o, PRINT_BLOCK);
}

/* Let them run, look after the device meanwhile. */
static int run(struct bench *b, const char *const *names)
{
	struct progress progress = { .is_ms = true, .total = b->c->seconds * 1000 };
	uint64_t since = vd_now_ns(), cpu = cpu_ns(), end = since + b->c->seconds * 1000000000u;
	uint64_t now;
	int r = 0;

	progress_begin(&progress, b->disk->s->cmd);
	for (unsigned int i = 0; !r && i < b->c->queues; i++) {
		if (vd_thread_start(&b->lanes[i].thread, lane_main, &b->lanes[i], "bench"))
			r = print_error("cannot start a thread");
		else
			b->lanes[i].started = true;
	}
	while (!r && (now = vd_now_ns()) < end && !__atomic_load_n(&b->failed, __ATOMIC_RELAXED)) {
		progress.at = (now - since) / 1000000u;
		progress_show(&progress, now);
		r = session_look(b->disk->s, (int)vd_min((end - now) / 1000000 + 1, STOP_MS));
	}
	progress_end(&progress);
	cpu = cpu_ns() - cpu;
	now = vd_now_ns();
	__atomic_store_n(&b->stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < b->c->queues; i++) {
		struct lane *l = &b->lanes[i];

		if (l->started)
			pthread_join(l->thread, NULL);
		if (!r && l->err)
			r = print_error("%s: %s", b->disk->word,
					l->err == -EAGAIN ? "depth is more than its ring takes"
							  : strerror(-l->err));
	}
	if (!r)
		report(b, names, now - since, cpu);
	return r;
}

static int bench(struct session *s, const char *word, const struct conf *c,
		 const char *const *names)
{
	bool writes = c->rw == WRITE || c->rw == RANDWRITE;
	struct bench b = { .c = c };
	const struct disk_want want = { .write = writes, .queues = (unsigned int)c->queues,
					.mem = c->queues * c->depth * vd_align_up(c->bs, 4096) };
	int r = disk_open(s, word, &want, &b.disk);

	if (r)
		return r;
	if (c->queues > b.disk->info->queues)
		return print_error("%s has %u queues, not %u", word, b.disk->info->queues,
				   (unsigned int)c->queues);
	if (c->bs % b.disk->info->block_size || b.disk->size / c->bs < c->queues)
		return print_error("%s: bs %u is no multiple of its block size, %u, or it is too "
				   "small for that", word, (unsigned int)c->bs,
				   b.disk->info->block_size);
	b.lanes = calloc(c->queues, sizeof(*b.lanes));
	if (!b.lanes)
		return print_error("no memory");
	for (unsigned int i = 0; !r && i < c->queues; i++)
		r = lane_begin(&b, &b.lanes[i], i);
	if (!r)
		r = run(&b, names);
	for (unsigned int i = 0; i < c->queues; i++) {
		free(b.lanes[i].requests);
		free(b.lanes[i].todo);
		free(b.lanes[i].done);
	}
	free(b.lanes);
	return r;
}

int blk_bench(const struct cmd *cmd, int argc, char **argv)
{
	static const char *const names[] = { "read", "write", "randread", "randwrite", NULL };
	struct conf c = { .rw = RANDREAD, .bs = 4096, .depth = 32, .queues = 1, .seconds = 3 };
	const struct blk_opt table[] = {
		{ .key = "rw", .type = BLK_OPT_ENUM, .to = &c.rw, .choices = names },
		{ .key = "bs", .type = BLK_OPT_SIZE, .to = &c.bs, .min = 512, .max = BS_MAX },
		{ .key = "depth", .type = BLK_OPT_NUM, .to = &c.depth, .min = 1, .max = DEPTH_MAX },
		{ .key = "queues", .type = BLK_OPT_NUM, .to = &c.queues, .min = 1, .max = QUEUES_MAX },
		{ .key = "seconds", .type = BLK_OPT_NUM, .to = &c.seconds, .min = 1, .max = 86400 },
		{ .key = "poll", .type = BLK_OPT_SWITCH, .to = &c.poll },
		{ .key = "overwrite", .type = BLK_OPT_WORD, .to = &c.overwrite, .min = 1 },
		{ 0 },
	};
	struct session s;
	int r;

	if (blk_opts(table, argc - 1, argv + 1))
		return -1;
	if ((c.rw == WRITE || c.rw == RANDWRITE) && !c.overwrite)
		return print_error("rw %s destroys what is on %s; say \"overwrite\" if that is meant",
				   names[c.rw], argv[0]);
	if (c.queues * c.depth * c.bs > MEM_MAX)
		return print_error("queues * depth * bs is more than 4G");
	r = session_begin(&s, cmd);
	if (!r)
		r = bench(&s, argv[0], &c, names);
	return session_end(&s, r);
}
