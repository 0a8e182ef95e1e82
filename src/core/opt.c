/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/opt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/guess.h"
#include "base/size.h"
#include "base/utf8.h"

static const size_t field_size[] = {
	[UVDPA_OPT_STRING] = sizeof(char *),	   [UVDPA_OPT_BOOL] = sizeof(bool),
	[UVDPA_OPT_UINT] = sizeof(uint64_t),	   [UVDPA_OPT_SIZE] = sizeof(uint64_t),
	[UVDPA_OPT_ENUM] = sizeof(unsigned int),  [UVDPA_OPT_PATH] = sizeof(char *),
};

/* memcpy, because @conf is the author's structure and not ours to name. */
static void put(void *conf, const struct uvdpa_opt *o, const void *value)
{
	memcpy((char *)conf + o->offset, value, field_size[o->type]);
}

static char *get_string(const void *conf, const struct uvdpa_opt *o)
{
	char *s;

	memcpy(&s, (const char *)conf + o->offset, sizeof(s));
	return s;
}

static int parse_bool(const char *s, bool *ret)
{
	static const char *const words[] = { "off", "on",  "false", "true",
					     "no",  "yes", "0",	    "1" };

	for (unsigned int i = 0; i < VD_ARRAY_SIZE(words); i++) {
		if (!strcasecmp(s, words[i])) {
			*ret = i & 1;
			return 0;
		}
	}
	return -EINVAL;
}

static int beyond(const char *who, const struct uvdpa_opt *o, const char *value, uint64_t max)
{
	char first[VD_SIZE_TEXT], last[VD_SIZE_TEXT];

	if (o->type == UVDPA_OPT_SIZE)
		return vd_err(-EINVAL, "%s: %s is %s, not from %s to %s", who, o->key, value,
			      vd_size_text(o->min, first), vd_size_text(max, last));
	return vd_err(-EINVAL, "%s: %s is %s, not from %llu to %llu", who, o->key, value,
		      (unsigned long long)o->min, (unsigned long long)max);
}

static int parse_one(const char *who, const struct uvdpa_opt *o, const char *value, void *conf)
{
	uint64_t max = o->max ? o->max : UINT64_MAX, n;
	const char *best = NULL, *bad = vd_utf8_bad(value);
	unsigned int i;
	bool b;
	char *s;
	int r;

	/* Also a path: it could not be told to anybody, and so neither kept nor made again. */
	if (bad)
		return vd_err(-EINVAL, "%s: %s has byte 0x%02x, which is not UTF-8", who, o->key,
			      (unsigned char)*bad);
	switch (o->type) {
	case UVDPA_OPT_STRING:
	case UVDPA_OPT_PATH:
		if (!*value)
			return vd_err(-EINVAL, "%s: %s is empty", who, o->key);
		s = strdup(value);
		if (!s)
			return vd_err(-ENOMEM, "%s: %s: out of memory", who, o->key);
		put(conf, o, &s);
		return 0;
	case UVDPA_OPT_BOOL:
		if (parse_bool(value, &b))
			return vd_err(-EINVAL, "%s: %s is \"%s\", not on or off", who, o->key,
				      value);
		put(conf, o, &b);
		return 0;
	case UVDPA_OPT_UINT:
	case UVDPA_OPT_SIZE:
		r = vd_number_parse(value, o->type == UVDPA_OPT_SIZE, &n);
		if (r == -EINVAL)
			return vd_err(r, "%s: %s is \"%s\", not a number%s", who, o->key, value,
				      o->type == UVDPA_OPT_SIZE ? " of bytes" : "");
		if (r || n < o->min || n > max)
			return beyond(who, o, value, max);
		put(conf, o, &n);
		return 0;
	case UVDPA_OPT_ENUM:
		for (i = 0; o->choices[i]; i++) {
			if (!strcmp(o->choices[i], value)) {
				put(conf, o, &i);
				return 0;
			}
		}
		r = vd_err(-EINVAL, "%s: %s is \"%s\", not one of", who, o->key, value);
		for (i = 0; o->choices[i]; i++) {
			vd_err(r, "%s%s %s", vd_err_text(), i ? "," : "", o->choices[i]);
			best = vd_guess(value, best, o->choices[i]);
		}
		return vd_err_guess(r, best);
	}
	return -EINVAL;
}

const struct uvdpa_opt *vd_opts_find(const struct uvdpa_opt *table, const char *key)
{
	for (const struct uvdpa_opt *o = table; o->key; o++)
		if (!strcmp(o->key, key))
			return o;
	return NULL;
}

int vd_opts_takes(const char *who, const struct uvdpa_opt *o, const char *value)
{
	struct uvdpa_opt alone = *o;
	union {
		uint64_t number;
		char *text;
	} field = { 0 };
	int r;

	alone.offset = 0;
	r = parse_one(who, &alone, value, &field);
	if (!r && (o->type == UVDPA_OPT_STRING || o->type == UVDPA_OPT_PATH))
		free(field.text);
	return r;
}

static int unknown(const char *who, const struct uvdpa_opt *table, const char *key)
{
	const char *best = NULL;

	for (const struct uvdpa_opt *o = table; o->key; o++)
		best = vd_guess(key, best, o->key);
	if (!table->key)
		return vd_err(-EINVAL, "%s: Unknown option \"%s\"; it takes none", who, key);
	return vd_err_guess(vd_err(-EINVAL, "%s: Unknown option \"%s\"", who, key), best);
}

static bool given(const struct uvdpa_attr *attrs, unsigned int n, const char *key)
{
	for (unsigned int i = 0; i < n; i++)
		if (!strcmp(attrs[i].key, key))
			return true;
	return false;
}

static int parse_all(const char *who, const struct uvdpa_opt *table,
		     const struct uvdpa_attr *attrs, unsigned int n, void *conf)
{
	int r;

	for (unsigned int i = 0; i < n; i++) {
		const struct uvdpa_opt *o;

		if (!attrs[i].key || !attrs[i].value)
			return vd_err(-EINVAL, "%s: option %u has no %s", who, i,
				      attrs[i].key ? "value" : "key");
		o = vd_opts_find(table, attrs[i].key);
		if (!o)
			return unknown(who, table, attrs[i].key);
		if (given(attrs, i, o->key))
			return vd_err(-EINVAL, "%s: %s is given twice", who, o->key);
		r = parse_one(who, o, attrs[i].value, conf);
		if (r)
			return r;
	}
	for (const struct uvdpa_opt *o = table; o->key; o++) {
		if (given(attrs, n, o->key))
			continue;
		if (o->required)
			return vd_err(-EINVAL, "%s: %s is missing", who, o->key);
		if (o->def) {
			r = parse_one(who, o, o->def, conf);
			if (r)
				return r;
		}
	}
	return 0;
}

int vd_opts_parse(const char *who, const struct uvdpa_opt *table, size_t conf_size,
		  const struct uvdpa_attr *attrs, unsigned int n, void **ret_conf)
{
	void *conf = calloc(1, conf_size ? conf_size : 1);
	int r;

	if (!conf)
		return vd_err(-ENOMEM, "%s: out of memory", who);
	r = parse_all(who, table, attrs, n, conf);
	if (r) {
		vd_opts_free(table, conf);
		return r;
	}
	*ret_conf = conf;
	return 0;
}

int vd_opts_allow(const char *who, const struct uvdpa_opt *table, const struct uvdpa_attr *attrs,
		  unsigned int n, uint64_t features)
{
	for (unsigned int i = 0; i < n; i++) {
		const struct uvdpa_opt *o = vd_opts_find(table, attrs[i].key);

		if (!o->needs || o->needs & features)
			continue;
		if (!o->def || strcmp(o->def, attrs[i].value))
			return vd_err(-EINVAL,
				      "%s: Missing features 0x%llx for provided attributes: %s", who,
				      (unsigned long long)o->needs, o->key);
	}
	return 0;
}

void vd_opts_free(const struct uvdpa_opt *table, void *conf)
{
	if (!conf)
		return;
	for (const struct uvdpa_opt *o = table; o->key; o++)
		if (o->type == UVDPA_OPT_STRING || o->type == UVDPA_OPT_PATH)
			free(get_string(conf, o));
	free(conf);
}

int vd_opts_check(const char *who, const struct uvdpa_opt *table, size_t conf_size)
{
	for (const struct uvdpa_opt *o = table; o->key; o++) {
		if ((unsigned int)o->type >= VD_ARRAY_SIZE(field_size) || !o->help)
			return vd_err(-EINVAL, "%s: option %s has no type or help", who, o->key);
		if (o->offset > conf_size || conf_size - o->offset < field_size[o->type])
			return vd_err(-EINVAL, "%s: option %s is at %zu of %zu bytes", who, o->key,
				      o->offset, conf_size);
		if (o->type == UVDPA_OPT_ENUM && !o->choices)
			return vd_err(-EINVAL, "%s: option %s has no choices", who, o->key);
		if (vd_opts_find(table, o->key) != o)
			return vd_err(-EINVAL, "%s: option %s stands twice", who, o->key);
	}
	return 0;
}
