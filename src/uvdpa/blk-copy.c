/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-copy.c - all of one disk onto another
 *
 * A slot reads a piece and writes it, run by run: what is zero is not written if the target is known
 * to be zero there, is told to the target as zero if it can be told so, and is written only then. The
 * slots know nothing of each other, so many requests are under way at both ends.
 */
#include <inttypes.h>
#include <string.h>

#include "base/loop.h"
#include "uvdpa/disk.h"

#define DEPTH 16u
#define PAGE 4096u		/* holes of files are made of these */
#define TELL_MIN (64u << 10)	/* shorter runs of zeros are as well written */

struct slot {
	struct piece read, write;
	uint8_t *from, *to;
	uint64_t off;
	size_t len, at;		/* at: what of it is done */
	bool zero;
	struct slot *next;
};

struct copy {
	struct work work;
	struct disk *from, *to;
	struct slot slots[DEPTH], *free;
	uint8_t *zeros;
	size_t chunk, grain;
	uint64_t zeroes_max;	/* bytes to tell as zero at once, whole chunks; 0: cannot be told */
	uint64_t next;
	uint64_t data, zeroes, holes;	/* bytes: written, told or written as zeros, left alone */
};

static struct copy *copy_of(struct work *w)
{
	return container_of(w, struct copy, work);
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return !p[0] && !memcmp(p, p + 1, len - 1);
}

/* From s->at on: how many bytes are all zero, or all grains that are not. */
static size_t run(const struct copy *c, const struct slot *s, bool *ret_zero)
{
	size_t end = s->at;

	*ret_zero = s->zero;
	if (s->zero)
		return s->len - s->at;
	do {
		size_t len = vd_min(c->grain, s->len - end);
		bool zero = is_zero(s->from + end, len);

		if (end == s->at)
			*ret_zero = zero;
		else if (zero != *ret_zero)
			break;
		end += len;
	} while (end < s->len);
	return end - s->at;
}

/* Write what comes next, if anything does. */
static void step(struct copy *c, struct slot *s)
{
	while (s->at < s->len) {
		bool zero;
		size_t len = run(c, s, &zero), at = s->at;

		s->at += len;
		c->work.progress.at += len;
		if (!zero) {
			memcpy(s->to, s->from + at, len);
			s->write.iov.iov_base = s->to;
			piece_put(&s->write, c->to, UVDPA_BLK_WRITE, s->off + at, len);
			c->data += len;
			return;
		}
		if (disk_hole(c->to, s->off + at) >= len) {
			c->holes += len;
			continue;
		}
		c->zeroes += len;
		s->write.iov.iov_base = c->zeros;
		piece_put(&s->write, c->to, c->zeroes_max ? UVDPA_BLK_WRITE_ZEROES : UVDPA_BLK_WRITE,
			  s->off + at, len);
		return;
	}
	s->next = c->free;
	c->free = s;
}

/* In whole chunks, that all but the last piece are. */
static uint64_t hole(const struct copy *c, const struct disk *d)
{
	uint64_t len = disk_hole(d, c->next);

	return c->next + len >= c->from->size ? c->from->size - c->next
					      : len / c->chunk * c->chunk;
}

static int feed(struct work *w)
{
	struct copy *c = copy_of(w);

	while (c->free && c->next < c->from->size) {
		uint64_t zero = hole(c, c->from), known = zero ? hole(c, c->to) : 0;
		struct slot *s = c->free;

		if (known) {
			known = vd_min(known, zero);
			c->next += known;
			w->progress.at += known;
			c->holes += known;
			continue;
		}
		c->free = s->next;
		*s = (struct slot){ .from = s->from, .to = s->to, .off = c->next,
				    .read.iov.iov_base = s->from,
				    .len = vd_min(c->chunk, c->from->size - c->next), .zero = zero };
		if (zero && c->zeroes_max)
			s->len = vd_min(zero, c->zeroes_max);
		c->next += s->len;
		if (s->zero)
			step(c, s);
		else
			piece_put(&s->read, c->from, UVDPA_BLK_READ, s->off, s->len);
	}
	return 0;
}

static int done(struct work *w, struct piece *p)
{
	struct copy *c = copy_of(w);

	step(c, p->disk == c->from ? container_of(p, struct slot, read)
				   : container_of(p, struct slot, write));
	return 0;
}

static int prepare(struct copy *c)
{
	c->chunk = vd_min(disk_chunk(c->from), disk_chunk(c->to));
	c->grain = vd_max(c->to->fd >= 0 ? PAGE : TELL_MIN, c->to->info->block_size);
	c->grain = vd_min(c->grain, c->chunk);
	c->zeroes_max = (uint64_t)c->to->info->write_zeroes_max_sectors * UVDPA_BLK_SECTOR /
			c->chunk * c->chunk;
	c->zeros = disk_alloc(c->to, c->chunk);
	if (!c->zeros)
		return -1;
	for (unsigned int i = 0; i < DEPTH; i++) {
		struct slot *s = &c->slots[i];

		s->from = disk_alloc(c->from, c->chunk);
		s->to = disk_alloc(c->to, c->chunk);
		if (!s->from || !s->to)
			return -1;
		s->next = c->free;
		c->free = s;
	}
	return 0;
}

static void summary(const struct cmd *cmd, const struct copy *c)
{
	double seconds = (double)(vd_now_ns() - c->work.progress.since_ns) / 1e9;
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "to", json_object_new_string(c->to->word));
	json_object_object_add(o, "bytes", json_object_new_uint64(c->from->size));
	json_object_object_add(o, "data", json_object_new_uint64(c->data));
	json_object_object_add(o, "zeroes", json_object_new_uint64(c->zeroes));
	json_object_object_add(o, "holes", json_object_new_uint64(c->holes));
	blk_add_rate(o, seconds, c->from->size);
	blk_result(cmd, "copy", c->from->word, o, PRINT_LINE);
}

static int copy(struct session *s, char **words)
{
	struct disk_want want = { .mem = STREAM_MEM, .queues = 1 };
	struct copy c = { .work = { .s = s, .feed = feed, .done = done } };
	int r = disk_open(s, words[0], &want, &c.from);

	if (r)
		return r;
	want.write = true;
	want.create = c.from->size;
	r = disk_open(s, words[1], &want, &c.to);
	if (r)
		return r;
	if (c.to->size < c.from->size)
		return print_error("%s has %" PRIu64 " bytes, %s only %" PRIu64, words[0],
				   c.from->size, words[1], c.to->size);
	c.work.progress.total = c.from->size;
	r = prepare(&c);
	if (!r)
		r = work_run(&c.work);
	if (!r)
		r = disk_flush(c.to);
	if (!r)
		summary(s->cmd, &c);
	return r;
}

int blk_copy(const struct cmd *cmd, int argc, char **argv)
{
	struct session s;
	int r;

	(void)argc;
	r = session_begin(&s, cmd);
	if (!r)
		r = copy(&s, argv);
	return session_end(&s, r);
}
