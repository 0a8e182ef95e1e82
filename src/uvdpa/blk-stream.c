/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-stream.c - read a disk in order with many requests under way */
#include "uvdpa/disk.h"

size_t disk_chunk(const struct disk *d)
{
	uint64_t max = (uint64_t)d->info->size_max * d->info->seg_max;
	size_t chunk = STREAM_CHUNK;

	while (max && chunk > max && chunk > d->info->block_size)
		chunk /= 2;
	return chunk;
}

int stream_begin(struct stream *st, struct disk *d, size_t chunk, uint64_t off, uint64_t end)
{
	*st = (struct stream){ .disk = d, .chunk = chunk, .next = off, .end = end };
	st->zeros = disk_alloc(d, chunk);
	if (!st->zeros)
		return -1;
	for (unsigned int i = 0; i < STREAM_DEPTH; i++) {
		st->slots[i].buf = st->slots[i].piece.iov.iov_base = disk_alloc(d, chunk);
		if (!st->slots[i].buf)
			return -1;
	}
	return 0;
}

void stream_feed(struct stream *st)
{
	while (stream_hungry(st)) {
		struct stream_slot *s = &st->slots[(st->head + st->n) % STREAM_DEPTH];

		s->off = st->next;
		s->len = vd_min(st->chunk, st->end - st->next);
		s->there = s->zero = disk_hole(st->disk, s->off) >= s->len;
		if (!s->zero)
			piece_put(&s->piece, st->disk, UVDPA_BLK_READ, s->off, s->len);
		st->next += s->len;
		st->n++;
	}
}

bool stream_hungry(const struct stream *st)
{
	return st->n < STREAM_DEPTH && st->next < st->end;
}

int stream_done(struct work *w, struct piece *p)
{
	(void)w;
	container_of(p, struct stream_slot, piece)->there = true;
	return 0;
}

const struct stream_slot *stream_get(struct stream *st, const uint8_t **ret_data)
{
	const struct stream_slot *s = &st->slots[st->head];

	if (!st->n || !s->there)
		return NULL;
	*ret_data = s->zero ? st->zeros : s->buf;
	return s;
}

void stream_put(struct stream *st)
{
	st->head = (st->head + 1) % STREAM_DEPTH;
	st->n--;
}
