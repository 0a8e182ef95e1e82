/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-compare.c - are two disks the same? As cmp(1): 0 yes, 1 no, 2 it could not be found out */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "uvdpa/disk.h"

struct compare {
	struct work work;
	struct stream a, b;
	bool different;
	uint64_t off;	/* of the first byte that differs, or of the end of the shorter */
};

size_t blk_differs(const uint8_t *a, const uint8_t *b, size_t len)
{
	size_t i = 0;

	if (!memcmp(a, b, len))
		return len;
	while (a[i] == b[i])
		i++;
	return i;
}

static int feed(struct work *w)
{
	struct compare *c = container_of(w, struct compare, work);
	const struct stream_slot *a, *b;
	const uint8_t *da, *db;

	stream_feed(&c->a);
	stream_feed(&c->b);
	while ((a = stream_get(&c->a, &da)) && (b = stream_get(&c->b, &db))) {
		size_t same = a->zero && b->zero ? a->len : blk_differs(da, db, a->len);

		if (same < a->len) {
			c->different = true;
			c->off = a->off + same;
			return WORK_ENOUGH;
		}
		w->progress.at += a->len;
		stream_put(&c->a);
		stream_put(&c->b);
	}
	return stream_hungry(&c->a) || stream_hungry(&c->b);
}

static int tell(const struct cmd *cmd, const struct compare *c)
{
	const struct disk *a = c->a.disk, *b = c->b.disk;
	struct json_object *o;

	if (!cmd->json) {
		if (c->different && c->off == vd_min(a->size, b->size))
			printf("%s and %s differ: %s ends at byte %" PRIu64 "\n", a->word, b->word,
			       a->size < b->size ? a->word : b->word, c->off);
		else if (c->different)
			printf("%s and %s differ at byte %" PRIu64 "\n", a->word, b->word, c->off);
		return c->different ? BLK_EXIT_DIFFERENT : 0;
	}
	o = json_object_new_object();
	json_object_object_add(o, "to", json_object_new_string(b->word));
	json_object_object_add(o, "equal", json_object_new_boolean(!c->different));
	if (c->different)
		json_object_object_add(o, "first_difference", json_object_new_uint64(c->off));
	json_object_object_add(o, "bytes", json_object_new_uint64(c->work.progress.at));
	blk_result(cmd, "compare", a->word, o, PRINT_LINE);
	return c->different ? BLK_EXIT_DIFFERENT : 0;
}

static int compare(struct session *s, char **words)
{
	struct compare c = { .work = { .s = s, .feed = feed, .done = stream_done } };
	const struct disk_want want = { .mem = STREAM_MEM, .queues = 1 };
	struct disk *a, *b = NULL;
	size_t chunk;
	int r = disk_open(s, words[0], &want, &a);

	if (!r)
		r = disk_open(s, words[1], &want, &b);
	if (r)
		return r;
	chunk = vd_min(disk_chunk(a), disk_chunk(b));
	c.work.progress.total = vd_min(a->size, b->size);
	r = stream_begin(&c.a, a, chunk, 0, c.work.progress.total);
	if (!r)
		r = stream_begin(&c.b, b, chunk, 0, c.work.progress.total);
	if (!r)
		r = work_run(&c.work);
	if (r < 0)
		return r;
	if (!c.different && a->size != b->size) {
		c.different = true;
		c.off = c.work.progress.total;
	}
	return tell(s->cmd, &c);
}

int blk_compare(const struct cmd *cmd, int argc, char **argv)
{
	struct session s;
	int r;

	(void)argc;
	r = session_begin(&s, cmd);
	if (!r)
		r = compare(&s, argv);
	return session_end(&s, r);
}
