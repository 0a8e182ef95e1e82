/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/words.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "control/line.h"

/*
 * What of dev.add's parameters is a word of our own, in the order in which it is written. @least
 * letters of it will do: it is iproute2's, which has it so. Other words have to be whole, because
 * the options between them have any name.
 */
static const struct {
	const char *word, *param;
	size_t least;
} own[] = {
	{ "name", "name", 1 },
	{ "mgmtdev", "mgmtdev", 1 },
	{ "device_features", "features", SIZE_MAX },
	{ "driver", "driver", SIZE_MAX },
};

/* Return: 0; -EINVAL. */
static int add_pair(struct json_object *o, const char *key, const char *word, const char *value)
{
	if (!value)
		return vd_err(-EINVAL, "\"%s\" needs a value; the words are pairs: KEY VALUE", word);
	if (json_object_object_get_ex(o, key, NULL))
		return vd_err(-EINVAL, "\"%s\" is there twice", word);
	json_object_object_add(o, key, json_object_new_string(value));
	return 0;
}

int vd_words_attrs(int argc, char **argv, struct json_object **ret_attrs)
{
	struct json_object *attrs = json_object_new_object();
	int r = 0;

	for (int i = 0; !r && i < argc; i += 2)
		r = add_pair(attrs, argv[i], argv[i], i + 1 < argc ? argv[i + 1] : NULL);
	if (r) {
		json_object_put(attrs);
		return r;
	}
	*ret_attrs = attrs;
	return 0;
}

static const char *param_of(const char *word)
{
	for (size_t i = 0; i < VD_ARRAY_SIZE(own); i++)
		if (!strcmp(word, own[i].word) ||
		    (strlen(word) >= own[i].least && !strncmp(word, own[i].word, strlen(word))))
			return own[i].param;
	return NULL;
}

/* Feature bits are hexadecimal, with or without 0x, as iproute2's are. */
static int add_features(struct json_object *o, const char *param, const char *word,
			const char *value)
{
	char hex[32];

	if (value[0] && (value[0] != '0' || (value[1] | 0x20) != 'x')) {
		snprintf(hex, sizeof(hex), "0x%s", value);
		value = hex;
	}
	return add_pair(o, param, word, value);
}

/* What stands behind "driver" belongs to the driver. */
int vd_words_dev(int argc, char **argv, struct json_object **ret_params)
{
	struct json_object *params, *attrs;
	int r = 0;

	if (argc & 1)
		return vd_err(-EINVAL,
			      "\"%s\" needs a value; the words are pairs: name NAME mgmtdev "
			      "MGMTDEV ...", argv[argc - 1]);
	params = json_object_new_object();
	attrs = json_object_new_object();
	json_object_object_add(params, "attrs", attrs);
	for (int i = 0; !r && i < argc; i += 2) {
		const char *param = param_of(argv[i]);

		if (param && !strcmp(param, "features"))
			r = add_features(params, param, argv[i], argv[i + 1]);
		else
			r = add_pair(param ? params : attrs, param ? param : argv[i], argv[i],
				     argv[i + 1]);
		if (!r && !strcmp(argv[i], "driver")) {
			attrs = json_object_new_object();
			json_object_object_add(params, "driver_attrs", attrs);
		}
	}
	if (r) {
		json_object_put(params);
		return r;
	}
	*ret_params = params;
	return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void put_pair(FILE *f, const char *word, struct json_object *value)
{
	putc(' ', f);
	vd_line_put(f, word);
	putc(' ', f);
	vd_line_put(f, json_object_get_string(value));
}

static void put_attrs(FILE *f, struct json_object *params, const char *name)
{
	struct json_object *attrs;

	if (!json_object_object_get_ex(params, name, &attrs))
		return;
	json_object_object_foreach(attrs, key, value)
	{
		put_pair(f, key, value);
	}
}

void vd_words_put_dev(FILE *f, struct json_object *params)
{
	struct json_object *value;

	fputs("dev add", f);
	for (size_t i = 0; i < VD_ARRAY_SIZE(own); i++) {
		if (!strcmp(own[i].word, "driver"))
			put_attrs(f, params, "attrs");
		if (json_object_object_get_ex(params, own[i].param, &value))
			put_pair(f, own[i].word, value);
	}
	put_attrs(f, params, "driver_attrs");
	putc('\n', f);
	if (!json_object_object_get_ex(params, "driver_override", &value))
		return;
	json_object_object_get_ex(params, "name", &params);
	fputs("dev override ", f);
	vd_line_put(f, json_object_get_string(params));
	putc(' ', f);
	vd_line_put(f, json_object_get_string(value));
	putc('\n', f);
}
