/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage.h - what a line of usage says of the words that follow a verb
 *
 *	DEV [ qidx QUEUE ]
 *	name NAME mgmtdev MGMTDEV [ KEY VALUE ]... [ driver DRIVER [ KEY VALUE ]... ]
 *
 * A word in capitals stands for one that the user chooses, and says of which kind it is; those
 * before the first key have their place, in brackets they may be left out. A word in small
 * letters is a key; if one in capitals follows it, or "this|that", it has a value. KEY VALUE is
 * any option of the parent, of the driver, or of the device that the words before have named.
 * Brackets, braces and bars are for the reader: keys come in any order.
 */
#ifndef VD_UVDPA_USAGE_H
#define VD_UVDPA_USAGE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* A part of the usage, not terminated. */
struct usage_word {
	const char *s;
	size_t len;
};

/**
 * struct usage_at - A place among the words
 * @value: the kind of word that stands here, "DEV" or "this|that"; @value.s NULL: none is fixed
 * @key: a key may stand here
 * @options: so may one of the options
 * @option: the option whose value stands here, or NULL
 * @parent, @driver, @dev: the words that have said which; NULL if none has
 */
struct usage_at {
	struct usage_word value;
	bool key, options;
	const char *option;
	const char *parent, *driver, *dev;
};

/* Step through @args. Return: false at the end. */
bool usage_next(const char **args, struct usage_word *ret_word);

bool usage_is(const struct usage_word *w, const char *word);

/**
 * usage_find() - Where one is behind @argc words
 * @args: the usage; NULL: nothing follows
 */
void usage_find(const char *args, int argc, char **argv, struct usage_at *ret_at);

/* How many words there must be, and may be. */
void usage_count(const char *args, int *ret_min, int *ret_max);

/* Step through the keys of @args with their values (s NULL: has none). Return: false at the end. */
bool usage_next_key(const char **args, struct usage_word *ret_key, struct usage_word *ret_value);

#endif
