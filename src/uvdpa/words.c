/* SPDX-License-Identifier: BSD-2-Clause */
/* words.c - from words to parameters */
#include <string.h>

#include "uvdpa/cmd.h"
#include "uvdpa/usage.h"

struct json_object *words_param(const char *key, const char *value)
{
	struct json_object *o = json_object_new_object();

	if (value)
		json_object_object_add(o, key, json_object_new_string(value));
	return o;
}

/* Add one pair. Return: 0, or an error was printed. */
static int add_pair(struct json_object *o, const char *key, const char *word, const char *value)
{
	if (!value)
		return print_error("\"%s\" needs a value; the words are pairs: KEY VALUE", word);
	if (json_object_object_get_ex(o, key, NULL))
		return print_error("\"%s\" is there twice", word);
	json_object_object_add(o, key, json_object_new_string(value));
	return 0;
}

int words_attrs(int argc, char **argv, struct json_object **ret_attrs)
{
	struct json_object *attrs = json_object_new_object();

	for (int i = 0; i < argc; i += 2) {
		if (add_pair(attrs, argv[i], argv[i], i + 1 < argc ? argv[i + 1] : NULL)) {
			json_object_put(attrs);
			return -1;
		}
	}
	*ret_attrs = attrs;
	return 0;
}

/*
 * The words of our own are not abbreviated, because the options between them have any name. What
 * stands behind "driver" belongs to the driver.
 */
int words_dev(int argc, char **argv, struct json_object **ret_params)
{
	static const struct {
		const char *word, *param;
	} own[] = {
		{ "name", "name" },
		{ "mgmtdev", "mgmtdev" },
		{ "device_features", "features" },
		{ "driver", "driver" },
	};
	struct json_object *params, *attrs;

	if (argc & 1)
		return print_error("\"%s\" needs a value; the words are pairs: name NAME mgmtdev "
				   "MGMTDEV ...", argv[argc - 1]);
	params = json_object_new_object();
	attrs = json_object_new_object();
	json_object_object_add(params, "attrs", attrs);
	for (int i = 0; i < argc; i += 2) {
		struct json_object *to = attrs;
		const char *key = argv[i];

		for (size_t k = 0; k < VD_ARRAY_SIZE(own); k++)
			if (!strcmp(argv[i], own[k].word)) {
				to = params;
				key = own[k].param;
			}
		if (add_pair(to, key, argv[i], argv[i + 1])) {
			json_object_put(params);
			return -1;
		}
		if (!strcmp(argv[i], "driver")) {
			attrs = json_object_new_object();
			json_object_object_add(params, "driver_attrs", attrs);
		}
	}
	*ret_params = params;
	return 0;
}

int words_options(const struct cmd *cmd, const struct usage_at *at)
{
	struct json_object *result;
	int r;

	if (at->driver)
		return local_options(cmd, "driver.show", words_param("name", at->driver));
	if (at->parent)
		return local_options(cmd, "mgmtdev.show", words_param("name", at->parent));
	if (!at->dev)
		return 0;
	r = client_call(cmd, "dev.settable", words_param("name", at->dev), &result);
	if (!r)
		print_options(cmd, result);
	return r;
}
