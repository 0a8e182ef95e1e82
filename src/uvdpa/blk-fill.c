/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-fill.c - a content that can be made again, onto a disk; and is it there?
 *
 * The random one is made from the seed and the place alone, so any part of it can be made by itself.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/noise.h"
#include "base/loop.h"
#include "uvdpa/disk.h"

#define DEPTH 16u
#define NO_SEED UINT64_MAX
#define NO_BYTE UINT64_MAX

struct content {
	uint64_t byte, seed, zeroes;
	uint64_t off, len, end;
};

static int read_words(const struct cmd *cmd, struct content *c, int argc, char **argv)
{
	const struct blk_opt table[] = {
		{ .key = "pattern", .type = BLK_OPT_NUM, .to = &c->byte, .max = 255 },
		{ .key = "random", .type = BLK_OPT_NUM, .to = &c->seed, .max = UINT64_MAX - 1 },
		{ .key = "zeroes", .type = BLK_OPT_WORD, .to = &c->zeroes, .min = 1 },
		{ .key = "offset", .type = BLK_OPT_SIZE, .to = &c->off },
		{ .key = "length", .type = BLK_OPT_SIZE, .to = &c->len, .min = 1 },
		{ 0 },
	};

	*c = (struct content){ .byte = NO_BYTE, .seed = NO_SEED };
	if (blk_opts(table, argc - 1, argv + 1))
		return -1;
	if ((c->byte != NO_BYTE) + (c->seed != NO_SEED) + (c->zeroes != 0) != 1)
		return verb_wrong(cmd, NULL);
	if (c->zeroes)
		c->byte = 0;
	return 0;
}

static void make(const struct content *c, uint8_t *buf, uint64_t off, size_t len)
{
	if (c->seed == NO_SEED) {
		memset(buf, (int)c->byte, len);
		return;
	}
	for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
		uint64_t z = htole64(vd_noise(c->seed, (off + i) / sizeof(z)));

		memcpy(buf + i, &z, sizeof(z));
	}
}

/* ---- fill ------------------------------------------------------------------------------------ */

struct fill {
	struct work work;
	struct content c;
	struct disk *disk;
	struct piece pieces[DEPTH], *free[DEPTH];
	unsigned int nfree;
	size_t chunk;
	uint64_t next;
};

static int fill_feed(struct work *w)
{
	struct fill *f = container_of(w, struct fill, work);

	while (f->nfree && f->next < f->c.end) {
		struct piece *p = f->free[--f->nfree];
		size_t len = vd_min(f->chunk, f->c.end - f->next);

		make(&f->c, p->iov.iov_base, f->next, len);
		piece_put(p, f->disk, UVDPA_BLK_WRITE, f->next, len);
		f->next += len;
	}
	return 0;
}

static int fill_done(struct work *w, struct piece *p)
{
	struct fill *f = container_of(w, struct fill, work);

	w->progress.at += p->iov.iov_len;
	f->free[f->nfree++] = p;
	return 0;
}

static int fill(struct session *s, const char *word, const struct content *c)
{
	struct fill f = { .work = { .s = s, .feed = fill_feed, .done = fill_done }, .c = *c };
	const struct disk_want want = { .mem = STREAM_MEM, .queues = 1, .write = true };
	struct json_object *o;
	int r = disk_open(s, word, &want, &f.disk);

	if (!r)
		r = blk_range(f.disk, f.c.off, &f.c.len);
	if (r)
		return r;
	f.chunk = disk_chunk(f.disk);
	f.next = f.c.off;
	f.c.end = f.c.off + f.c.len;
	f.work.progress.total = f.c.len;
	for (unsigned int i = 0; i < DEPTH; i++) {
		f.pieces[i].iov.iov_base = disk_alloc(f.disk, f.chunk);
		if (!f.pieces[i].iov.iov_base)
			return -1;
		f.free[f.nfree++] = &f.pieces[i];
	}
	r = work_run(&f.work);
	if (!r)
		r = disk_flush(f.disk);
	if (r)
		return r;
	o = json_object_new_object();
	json_object_object_add(o, "offset", json_object_new_uint64(f.c.off));
	json_object_object_add(o, "bytes", json_object_new_uint64(f.c.len));
	blk_add_rate(o, (double)(vd_now_ns() - f.work.progress.since_ns) / 1e9, f.c.len);
	blk_result(s->cmd, "fill", word, o, PRINT_LINE);
	return 0;
}

static int run(const struct cmd *cmd, int argc, char **argv,
	       int (*fn)(struct session *s, const char *word, const struct content *c))
{
	struct content c;
	struct session s;
	int r = read_words(cmd, &c, argc, argv);

	if (r)
		return r;
	r = session_begin(&s, cmd);
	if (!r)
		r = fn(&s, argv[0], &c);
	return session_end(&s, r);
}

int blk_fill(const struct cmd *cmd, int argc, char **argv)
{
	return run(cmd, argc, argv, fill);
}

/* ---- verify ---------------------------------------------------------------------------------- */

struct verify {
	struct work work;
	struct content c;
	struct stream stream;
	uint8_t *wanted;
	bool different;
	uint64_t off;
};

static int verify_feed(struct work *w)
{
	struct verify *v = container_of(w, struct verify, work);
	const struct stream_slot *s;
	const uint8_t *data;

	stream_feed(&v->stream);
	while ((s = stream_get(&v->stream, &data))) {
		size_t same;

		make(&v->c, v->wanted, s->off, s->len);
		same = blk_differs(v->wanted, data, s->len);
		if (same < s->len) {
			v->different = true;
			v->off = s->off + same;
			return WORK_ENOUGH;
		}
		w->progress.at += s->len;
		stream_put(&v->stream);
	}
	return stream_hungry(&v->stream);
}

static int tell(const struct cmd *cmd, const struct verify *v)
{
	const char *word = v->stream.disk->word;
	struct json_object *o;

	if (!cmd->json) {
		if (v->different)
			printf("%s is different at byte %" PRIu64 "\n", word, v->off);
		return v->different ? BLK_EXIT_DIFFERENT : 0;
	}
	o = json_object_new_object();
	json_object_object_add(o, "equal", json_object_new_boolean(!v->different));
	if (v->different)
		json_object_object_add(o, "first_difference", json_object_new_uint64(v->off));
	json_object_object_add(o, "bytes", json_object_new_uint64(v->work.progress.at));
	blk_result(cmd, "verify", word, o, PRINT_LINE);
	return v->different ? BLK_EXIT_DIFFERENT : 0;
}

static int verify(struct session *s, const char *word, const struct content *c)
{
	struct verify v = { .work = { .s = s, .feed = verify_feed, .done = stream_done }, .c = *c };
	const struct disk_want want = { .mem = STREAM_MEM + STREAM_CHUNK, .queues = 1 };
	struct disk *d;
	int r = disk_open(s, word, &want, &d);

	if (!r)
		r = blk_range(d, v.c.off, &v.c.len);
	if (!r)
		r = stream_begin(&v.stream, d, disk_chunk(d), v.c.off, v.c.off + v.c.len);
	if (r)
		return r;
	v.work.progress.total = v.c.len;
	v.wanted = disk_alloc(d, v.stream.chunk);
	r = v.wanted ? work_run(&v.work) : -1;
	return r < 0 ? r : tell(s->cmd, &v);
}

int blk_verify(const struct cmd *cmd, int argc, char **argv)
{
	return run(cmd, argc, argv, verify);
}
