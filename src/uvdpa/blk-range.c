/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-range.c - ranges of a disk; tell it that one is zero, or not needed */
#include <inttypes.h>
#include <stdio.h>

#include "base/loop.h"
#include "uvdpa/disk.h"

#define DEPTH 8u
#define STEP (1ull << 30)	/* so that there is something to see of it */

struct range {
	struct work work;
	struct disk *disk;
	enum uvdpa_blk_op op;
	struct piece pieces[DEPTH], *free[DEPTH];
	unsigned int nfree;
	uint64_t off, len, next, step;
};

int blk_range(const struct disk *d, uint64_t off, uint64_t *len)
{
	const unsigned int block = d->info->block_size;
	char text[64];

	if (*len)
		snprintf(text, sizeof(text), "offset %" PRIu64 " and length %" PRIu64, off, *len);
	else
		snprintf(text, sizeof(text), "offset %" PRIu64, off);
	if (off % block || *len % block)
		return print_error("%s: %s: not multiples of its block size, %u", d->word, text,
				   block);
	if (off > d->size || *len > d->size - off)
		return print_error("%s: %s: beyond its end, %" PRIu64, d->word, text, d->size);
	if (!*len)
		*len = d->size - off;
	return 0;
}

static int feed(struct work *w)
{
	struct range *g = container_of(w, struct range, work);
	uint64_t end = g->off + g->len;

	while (g->nfree && g->next < end) {
		uint64_t len = vd_min(g->step, end - g->next);

		piece_put(g->free[--g->nfree], g->disk, g->op, g->next, len);
		g->next += len;
	}
	return 0;
}

static int done(struct work *w, struct piece *p)
{
	struct range *g = container_of(w, struct range, work);

	w->progress.at += p->r.nsectors * UVDPA_BLK_SECTOR;
	g->free[g->nfree++] = p;
	return 0;
}

static int run(struct session *s, const char *word, struct range *g, const char *verb)
{
	const struct disk_want want = { .mem = 4096, .write = true, .queues = 1 };
	struct json_object *o;
	uint64_t max;
	int r = disk_open(s, word, &want, &g->disk);

	if (r)
		return r;
	max = g->op == UVDPA_BLK_DISCARD ? g->disk->info->discard_max_sectors
					 : g->disk->info->write_zeroes_max_sectors;
	if (!max)
		return print_error("%s does not take %s", word,
				   g->op == UVDPA_BLK_DISCARD ? "DISCARD" : "WRITE_ZEROES");
	r = blk_range(g->disk, g->off, &g->len);
	if (r)
		return r;
	g->step = vd_min(max * UVDPA_BLK_SECTOR, STEP);
	g->next = g->off;
	g->work.progress.total = g->len;
	for (unsigned int i = 0; i < DEPTH; i++)
		g->free[g->nfree++] = &g->pieces[i];
	r = work_run(&g->work);
	if (!r)
		r = disk_flush(g->disk);
	if (r)
		return r;
	o = json_object_new_object();
	json_object_object_add(o, "offset", json_object_new_uint64(g->off));
	json_object_object_add(o, "bytes", json_object_new_uint64(g->len));
	blk_add_rate(o, (double)(vd_now_ns() - g->work.progress.since_ns) / 1e9, g->len);
	blk_result(s->cmd, verb, word, o, PRINT_LINE);
	return 0;
}

static int range(const struct cmd *cmd, int argc, char **argv, enum uvdpa_blk_op op)
{
	const char *verb = op == UVDPA_BLK_DISCARD ? "discard" : "zero";
	struct range g = { .op = op };
	const struct blk_opt table[] = {
		{ .key = "offset", .type = BLK_OPT_SIZE, .to = &g.off },
		{ .key = "length", .type = BLK_OPT_SIZE, .to = &g.len, .min = 1 },
		{ 0 },
	};
	struct session s;
	int r;

	r = blk_opts(table, argc - 1, argv + 1);
	if (r)
		return r;
	r = session_begin(&s, cmd);
	g.work = (struct work){ .s = &s, .feed = feed, .done = done };
	if (!r)
		r = run(&s, argv[0], &g, verb);
	return session_end(&s, r);
}

int blk_discard(const struct cmd *cmd, int argc, char **argv)
{
	return range(cmd, argc, argv, UVDPA_BLK_DISCARD);
}

int blk_zero(const struct cmd *cmd, int argc, char **argv)
{
	return range(cmd, argc, argv, UVDPA_BLK_WRITE_ZEROES);
}
