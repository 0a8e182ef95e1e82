/* SPDX-License-Identifier: BSD-2-Clause */
/* blk.c - "uvdpa blk": what people do with a disk */
#include "uvdpa/disk.h"

#include <stdio.h>
#include <string.h>

int blk_usage(const char *usage)
{
	return print_error("usage: uvdpa blk %s", usage);
}

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

	if (argc != 1)
		return blk_usage("info DISK");
	r = session_begin(&s, cmd);
	if (!r)
		r = show_info(&s, argv[0]);
	return session_end(&s, r);
}

/* ---- the words ------------------------------------------------------------------------------- */

static int help(const struct cmd *cmd, int argc, char **argv)
{
	(void)cmd, (void)argc, (void)argv;
	fputs("Usage: uvdpa blk copy FROM TO\n"
	      "       uvdpa blk compare DISK DISK\n"
	      "       uvdpa blk checksum DISK             sha256\n"
	      "       uvdpa blk fill DISK CONTENT [ offset SIZE ] [ length SIZE ]\n"
	      "       uvdpa blk verify DISK CONTENT [ offset SIZE ] [ length SIZE ]\n"
	      "       uvdpa blk zero DISK [ offset SIZE ] [ length SIZE ]\n"
	      "       uvdpa blk discard DISK [ offset SIZE ] [ length SIZE ]\n"
	      "       uvdpa blk bench DISK [ rw read | write | randread | randwrite ]\n"
	      "                     [ bs SIZE ] [ depth N ] [ queues N ] [ seconds N ]\n"
	      "                     [ poll on | off ] [ overwrite ]\n"
	      "       uvdpa blk info DISK\n"
	      "CONTENT is { pattern BYTE | random SEED | zeroes }.\n"
	      "DISK is  PATH, with a slash             a file, a device, the socket of a back-end\n"
	      "         NAME                           a device of the daemon\n"
	      "         MGMTDEV:KEY=VALUE,...          made here; \"uvdpa mgmtdev help MGMTDEV\"\n",
	      stdout);
	return 0;
}

int cmd_blk(const struct cmd *cmd, int argc, char **argv)
{
	static const struct cmd_verb verbs[] = {
		{ "help", help },	      { "copy", blk_copy },   { "compare", blk_compare },
		{ "checksum", blk_checksum }, { "fill", blk_fill },   { "verify", blk_verify },
		{ "zero", blk_zero },	      { "info", blk_info },   { "discard", blk_discard },
		{ "bench", blk_bench },	      { 0 },
	};

	return word_run(verbs, "uvdpa blk", cmd, argc, argv);
}
