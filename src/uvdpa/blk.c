/* SPDX-License-Identifier: BSD-2-Clause */
/* blk.c - "uvdpa blk": what people do with a disk */
#include "uvdpa/disk.h"

#include <stdio.h>
#include <string.h>

void blk_result(const struct cmd *cmd, const char *what, const char *word, struct json_object *o,
		enum print_layout layout)
{
	struct json_object *result = json_object_new_object(), *map = json_object_new_object();

	json_object_object_add(map, word, o);
	json_object_object_add(result, what, map);
	print_result(cmd, result, layout);
}

void blk_add_rate(struct json_object *o, double seconds, uint64_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%.3f", seconds);
	json_object_object_add(o, "seconds", json_object_new_double_s(seconds, text));
	json_object_object_add(o, "bytes_per_second",
			       json_object_new_uint64((uint64_t)((double)bytes / seconds)));
}

/* ---- info ------------------------------------------------------------------------------------ */

/* "" if it has none. */
static int get_serial(struct disk *d, char text[UVDPA_BLK_ID_LEN + 1])
{
	char *id = disk_alloc(d, UVDPA_BLK_ID_LEN);
	struct piece p = { .iov.iov_base = id };
	int r;

	if (!id)
		return -1;
	piece_put(&p, d, UVDPA_BLK_GET_ID, 0, UVDPA_BLK_ID_LEN);
	r = piece_run(&p);
	if (!r)
		snprintf(text, UVDPA_BLK_ID_LEN + 1, "%.*s", (int)UVDPA_BLK_ID_LEN, id);
	return r;
}

static void add_num(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

static int show_info(struct session *s, const char *word)
{
	const struct disk_want want = { .mem = 4096, .as_is = true };
	struct json_object *o;
	char serial[UVDPA_BLK_ID_LEN + 1];
	struct disk *d;
	int r = disk_open(s, word, &want, &d);

	if (!r)
		r = get_serial(d, serial);
	if (r)
		return r;
	o = json_object_new_object();
	add_num(o, "bytes", d->size);
	add_num(o, "block_size", d->info->block_size);
	add_num(o, "physical_block_size", d->info->physical_block_size);
	json_object_object_add(o, "readonly", json_object_new_boolean(d->info->readonly));
	json_object_object_add(o, "flush", json_object_new_boolean(d->info->flush));
	json_object_object_add(o, "writeback", json_object_new_boolean(d->info->writeback));
	json_object_object_add(o, "serial", json_object_new_string(serial));
	add_num(o, "queues", d->info->queues);
	add_num(o, "queue_size", d->info->queue_size);
	add_num(o, "seg_max", d->info->seg_max);
	add_num(o, "size_max", d->info->size_max);
	add_num(o, "discard_max", (uint64_t)d->info->discard_max_sectors * UVDPA_BLK_SECTOR);
	add_num(o, "write_zeroes_max",
		(uint64_t)d->info->write_zeroes_max_sectors * UVDPA_BLK_SECTOR);
	add_num(o, "secure_erase_max",
		(uint64_t)d->info->secure_erase_max_sectors * UVDPA_BLK_SECTOR);
	blk_result(s->cmd, "info", word, o, PRINT_BLOCK);
	return 0;
}

static int blk_info(const struct cmd *cmd, int argc, char **argv)
{
	struct session s;
	int r;

	(void)argc;
	r = session_begin(&s, cmd);
	if (!r)
		r = show_info(&s, argv[0]);
	return session_end(&s, r);
}

/* ---- the words ------------------------------------------------------------------------------- */

#define CONTENT "{ pattern BYTE | random SEED | zeroes }"
#define RANGE	"[ offset SIZE ] [ length SIZE ]"

const struct cmd_verb blk_verbs[] = {
	{ .name = "copy",
	  .args = "FROM TO",
	  .help = "all of it; holes stay holes",
	  .fn = blk_copy },
	{ .name = "compare",
	  .args = "DISK DISK",
	  .help = "status 1: they differ",
	  .fn = blk_compare,
	  .failed = BLK_EXIT_FAILED },
	{ .name = "checksum", .args = "DISK", .help = "sha256", .fn = blk_checksum },
	{ .name = "fill",
	  .args = "DISK " CONTENT " " RANGE,
	  .help = "write what verify knows again",
	  .fn = blk_fill },
	{ .name = "verify",
	  .args = "DISK " CONTENT " " RANGE,
	  .help = "status 1: something else is there",
	  .fn = blk_verify,
	  .failed = BLK_EXIT_FAILED },
	{ .name = "zero", .args = "DISK " RANGE, .help = "make it read as zeroes", .fn = blk_zero },
	{ .name = "info", .args = "DISK", .help = "its size, limits and features", .fn = blk_info },
	{ .name = "discard",
	  .args = "DISK " RANGE,
	  .help = "say that what is there is not needed",
	  .fn = blk_discard },
	{ .name = "bench",
	  .args = "DISK [ rw read|write|randread|randwrite ] [ bs SIZE ] [ depth N ] [ queues N ] "
		  "[ seconds N ] [ poll on|off ] [ overwrite ]",
	  .help = "measure it",
	  .fn = blk_bench },
	{ 0 },
};

const char blk_note[] =
	"DISK is  PATH, with a slash             a file, a device, the socket of a back-end\n"
	"         NAME                           a device of the daemon\n"
	"         MGMTDEV:KEY=VALUE,...          made here; \"uvdpa mgmtdev help MGMTDEV\"\n";
