/* SPDX-License-Identifier: BSD-2-Clause */
#include "uvdpa/usage.h"

#include <ctype.h>
#include <string.h>

bool usage_next(const char **args, struct usage_word *ret_word)
{
	const char *s = *args;

	if (!s)
		return false;
	s += strspn(s, " ");
	*ret_word = (struct usage_word){ s, strcspn(s, " ") };
	*args = s + ret_word->len;
	return ret_word->len > 0;
}

bool usage_is(const struct usage_word *w, const char *word)
{
	return w->s && strlen(word) == w->len && !strncmp(w->s, word, w->len);
}

static bool is_mark(const struct usage_word *w)
{
	return w->s[0] == '[' || w->s[0] == ']' || w->s[0] == '{' || w->s[0] == '}' ||
	       usage_is(w, "|");
}

static bool is_kind(const struct usage_word *w)
{
	return isupper((unsigned char)w->s[0]);
}

static bool is_value(const struct usage_word *w)
{
	return is_kind(w) || (w->len > 1 && memchr(w->s, '|', w->len));
}

bool usage_next_key(const char **args, struct usage_word *ret_key, struct usage_word *ret_value)
{
	const char *behind;

	do
		if (!usage_next(args, ret_key))
			return false;
	while (is_mark(ret_key) || (is_value(ret_key) && !usage_is(ret_key, "KEY")));
	behind = *args;
	*ret_value = (struct usage_word){ 0 };
	if (usage_next(&behind, ret_value) && !is_mark(ret_value) && is_value(ret_value))
		*args = behind;
	else
		*ret_value = (struct usage_word){ 0 };
	return true;
}

/* The words that have their place: step through those before the first key. */
static bool next_place(const char **args, struct usage_word *ret_kind, bool *ret_optional)
{
	*ret_optional = false;
	while (usage_next(args, ret_kind)) {
		if (ret_kind->s[0] == '[')
			*ret_optional = true;
		else if (!is_mark(ret_kind))
			return is_kind(ret_kind) && !usage_is(ret_kind, "KEY");
	}
	return false;
}

/* Is @word a key of its own, not an option's? */
static bool find_key(const char *args, const char *word, struct usage_word *ret_value)
{
	struct usage_word key;

	while (usage_next_key(&args, &key, ret_value))
		if (usage_is(&key, word))
			return true;
	return false;
}

static bool has_keys(const char *args, const char *key)
{
	struct usage_word k, v;

	while (usage_next_key(&args, &k, &v))
		if (!key || usage_is(&k, key))
			return true;
	return false;
}

/* @word is of the kind @kind. */
static void note(struct usage_at *at, const struct usage_word *kind, const char *word)
{
	if (usage_is(kind, "MGMTDEV"))
		at->parent = word;
	else if (usage_is(kind, "DRIVER"))
		at->driver = word;
	else if (usage_is(kind, "DEV"))
		at->dev = word;
}

void usage_find(const char *args, int argc, char **argv, struct usage_at *ret_at)
{
	struct usage_at at = { 0 };
	const char *places = args;
	struct usage_word kind;
	bool optional;
	int i = 0;

	while (next_place(&places, &kind, &optional)) {
		if (i == argc) {
			at.value = kind;
			at.key = optional && has_keys(args, NULL);
			break;
		}
		if (optional && find_key(args, argv[i], &kind))
			break;
		note(&at, &kind, argv[i++]);
	}
	while (i < argc) {
		const char *key = argv[i++];
		bool own = find_key(args, key, &kind);

		if (own && !kind.s)
			continue;
		if (i == argc) {
			at.value = kind;
			at.option = own ? NULL : key;
			*ret_at = at;
			return;
		}
		if (own)
			note(&at, &kind, argv[i]);
		i++;
	}
	if (!at.value.s)
		at.key = has_keys(args, NULL);
	at.options = at.key && has_keys(args, "KEY");
	*ret_at = at;
}

void usage_count(const char *args, int *ret_min, int *ret_max)
{
	const char *places = args;
	struct usage_word kind;
	bool optional;
	int min = 0, max = 0;

	for (; next_place(&places, &kind, &optional); max++)
		min += !optional;
	*ret_min = min;
	*ret_max = has_keys(args, NULL) ? INT_MAX : max;
}
