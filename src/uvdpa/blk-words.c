/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-words.c - the words behind the disks, and numbers for people */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/guess.h"
#include "base/size.h"
#include "uvdpa/disk.h"

static int unknown(const struct blk_opt *table, const char *word)
{
	const char *best = NULL;

	for (const struct blk_opt *o = table; o->key; o++)
		best = vd_guess(word, best, o->key);
	return best ? print_error("\"%s\" is not known here; did you mean \"%s\"?", word, best)
		    : print_error("\"%s\" is not known here; try \"uvdpa blk help\"", word);
}

static int read_number(const struct blk_opt *o, const char *value)
{
	bool size = o->type == BLK_OPT_SIZE;
	char first[VD_SIZE_TEXT], last[VD_SIZE_TEXT];
	uint64_t max = o->max ? o->max : UINT64_MAX, n = 0;
	int r = vd_number_parse(value, size, &n);

	if (r == -EINVAL)
		return print_error("%s is \"%s\", not a number%s", o->key, value,
				   size ? " of bytes" : "");
	if (!r && n >= o->min && n <= max) {
		*o->to = n;
		return 0;
	}
	if (size)
		return print_error("%s is %s, not from %s to %s", o->key, value,
				   vd_size_text(o->min, first), vd_size_text(max, last));
	return print_error("%s is %s, not from %" PRIu64 " to %" PRIu64, o->key, value, o->min,
			   max);
}

static int read_choice(const struct blk_opt *o, const char *value)
{
	const char *best = NULL;
	char all[128] = "";
	size_t n = 0;

	for (unsigned int i = 0; o->choices[i]; i++) {
		if (!strcmp(o->choices[i], value)) {
			*o->to = i;
			return 0;
		}
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s %s", i ? "," : "",
				      o->choices[i]);
		best = vd_guess(value, best, o->choices[i]);
	}
	if (best)
		return print_error("%s is \"%s\", not one of%s; did you mean \"%s\"?", o->key,
				   value, all, best);
	return print_error("%s is \"%s\", not one of%s", o->key, value, all);
}

static int read_value(const struct blk_opt *o, const char *value)
{
	static const char *const onoff[] = { "off", "on", NULL };
	struct blk_opt sw = { .key = o->key, .to = o->to, .choices = onoff };

	if (!value)
		return print_error("\"%s\" needs a value", o->key);
	switch (o->type) {
	case BLK_OPT_SWITCH:
		return read_choice(&sw, value);
	case BLK_OPT_ENUM:
		return read_choice(o, value);
	default:
		return read_number(o, value);
	}
}

int blk_opts(const struct blk_opt *table, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		const struct blk_opt *o = table;

		while (o->key && strcmp(o->key, argv[i]) != 0)
			o++;
		if (!o->key)
			return unknown(table, argv[i]);
		for (int k = 0; k < i; k++)
			if (!strcmp(argv[k], argv[i]))
				return print_error("\"%s\" is there twice", argv[i]);
		if (o->type == BLK_OPT_WORD)
			*o->to = o->min;
		else if (read_value(o, i + 1 < argc ? argv[i + 1] : NULL))
			return -1;
		else
			i++;
	}
	return 0;
}
