/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path.c - what the tables of this library say of the words
 *
 * Paths are made absolute before they go to the daemon, which has another working directory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uvdpa/uvdpa.h>

#include "base/guess.h"
#include "uvdpa/cmd.h"
#include "uvdpa/usage.h"

/*
 * A context that has the tables, for as long as the command runs: to end one takes longer than all
 * else that most commands do. NULL: it was printed why.
 */
static const struct uvdpa *tables(void)
{
	static struct uvdpa *u;

	if (!u && uvdpa_create(&u)) {
		print_error("%s", uvdpa_error());
		return NULL;
	}
	return u;
}

const struct uvdpa_opt *words_parent_opts(const struct uvdpa *u, const char *name)
{
	const struct uvdpa_parent *p = uvdpa_parent_find(u, name);

	return p ? uvdpa_parent_opts(p) : NULL;
}

const struct uvdpa_opt *words_driver_opts(const struct uvdpa *u, const char *name)
{
	const struct uvdpa_driver *d = uvdpa_driver_find(u, name);

	return d ? uvdpa_driver_opts(d) : NULL;
}

static int make_absolute(const struct uvdpa_opt *o, struct json_object *attrs, const char *cwd)
{
	struct json_object *value;
	const char *path;
	char *absolute;

	if (o->type != UVDPA_OPT_PATH || !json_object_object_get_ex(attrs, o->key, &value))
		return 0;
	path = json_object_get_string(value);
	if (!*path || *path == '/')
		return 0;
	while (!strncmp(path, "./", 2))
		path += 2;
	if (asprintf(&absolute, "%s/%s", strcmp(cwd, "/") ? cwd : "", path) < 0)
		return print_error("no memory");
	json_object_object_add(attrs, o->key, json_object_new_string(absolute));
	free(absolute);
	return 0;
}

/* What this program's library does not know, the daemon may: it goes there as it is. */
static int of_table(const struct uvdpa_opt *table, struct json_object *attrs)
{
	char *cwd = getcwd(NULL, 0);
	int r = 0;

	if (!cwd)
		return print_error("working directory: %m");
	for (; !r && table && table->key; table++)
		r = make_absolute(table, attrs, cwd);
	free(cwd);
	return r;
}

int words_paths(struct json_object *params, const char *attrs, const char *driver_attrs)
{
	const struct uvdpa *u = tables();
	struct json_object *name, *o;
	int r = 0;

	if (!u)
		return -1;
	if (attrs && json_object_object_get_ex(params, "mgmtdev", &name) &&
	    json_object_object_get_ex(params, attrs, &o))
		r = of_table(words_parent_opts(u, json_object_get_string(name)), o);
	if (!r && json_object_object_get_ex(params, "driver", &name) &&
	    json_object_object_get_ex(params, driver_attrs, &o))
		r = of_table(words_driver_opts(u, json_object_get_string(name)), o);
	return r;
}

/* ---- misspelt words --------------------------------------------------------------------- */

/* @key is no option: which word of @args is nearer than any of @table? */
static int misspelt(const char *key, const struct uvdpa_opt *table, const char *args)
{
	const char *best = NULL;
	struct usage_word word, value;
	char text[32];

	for (; table && table->key; table++) {
		if (!strcmp(table->key, key))
			return 0;
		best = vd_guess(key, best, table->key);
	}
	while (usage_next_key(&args, &word, &value)) {
		snprintf(text, sizeof(text), "%.*s", (int)word.len, word.s);
		if (vd_guess(key, best, text) == text)
			return print_error("Unknown option \"%s\"; did you mean \"%s\"?", key,
					   text);
	}
	return 0;
}

static int all_known(const struct uvdpa_opt *table, struct json_object *params, const char *attrs,
		     const char *args)
{
	struct json_object *o;

	if (!json_object_object_get_ex(params, attrs, &o))
		return 0;
	json_object_object_foreach(o, key, value)
	{
		(void)value;
		if (misspelt(key, table, args))
			return -1;
	}
	return 0;
}

int words_known(const struct cmd *cmd, struct json_object *params)
{
	struct json_object *parent, *driver;
	const char *args = verb_args(cmd);
	const struct uvdpa *u = tables();
	int r;

	if (!u)
		return -1;
	json_object_object_get_ex(params, "mgmtdev", &parent);
	json_object_object_get_ex(params, "driver", &driver);
	r = all_known(parent ? words_parent_opts(u, json_object_get_string(parent)) : NULL, params,
		      "attrs", args);
	if (!r && driver)
		r = all_known(words_driver_opts(u, json_object_get_string(driver)), params,
			      "driver_attrs", args);
	return r;
}
