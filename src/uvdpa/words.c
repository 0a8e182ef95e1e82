/* SPDX-License-Identifier: BSD-2-Clause */
/* words.c - from words to parameters */
#include "base/err.h"
#include "control/words.h"
#include "uvdpa/cmd.h"
#include "uvdpa/usage.h"

struct json_object *words_param(const char *key, const char *value)
{
	struct json_object *o = json_object_new_object();

	if (value)
		json_object_object_add(o, key, json_object_new_string(value));
	return o;
}

int words_attrs(int argc, char **argv, struct json_object **ret_attrs)
{
	return vd_words_attrs(argc, argv, ret_attrs) ? print_error("%s", vd_err_text()) : 0;
}

int words_dev(int argc, char **argv, struct json_object **ret_params)
{
	return vd_words_dev(argc, argv, ret_params) ? print_error("%s", vd_err_text()) : 0;
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
	r = client_list(cmd, "dev.settable", words_param("name", at->dev), &result);
	if (!r)
		print_options(cmd, result);
	return r;
}
