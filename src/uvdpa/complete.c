/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * complete.c - "uvdpa complete -- WORD...": what the last word may become
 *
 * Shells call it (control/offer.h has what they are told). The tree of verbs and the tables of
 * options are those of this program, devices are the daemon's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uvdpa/uvdpa.h>

#include "control/offer.h"
#include "uvdpa/cmd.h"
#include "uvdpa/usage.h"

#define ON_OFF	   "on|off"
#define LEVELS	   "error|warning|info|debug|default"
#define PARTS	   "control|manager|uvdpad"
#define TIMEOUT_MS 1000 /* a daemon that is busy for longer has no candidates */

struct ask {
	const struct cmd *cmd;
	struct uvdpa *u;
	const char *word; /* what there is of it */
};

static void offer_word(const struct ask *a, const char *word, const char *help)
{
	vd_offer(a->word, word, strlen(word), help);
}

/* ---- options ---------------------------------------------------------------------------- */

/* NULL: nothing here says which. */
static const struct uvdpa_opt *table_of(const struct ask *a, const struct usage_at *at)
{
	if (at->driver)
		return words_driver_opts(a->u, at->driver);
	return at->parent ? words_parent_opts(a->u, at->parent) : NULL;
}

/* What can be set of a device, only its daemon knows. */
static void offer_settable(const struct ask *a, const struct usage_at *at)
{
	struct json_object *result, *all = NULL, *dev, *options, *opt, *v;

	if (client_list(a->cmd, "dev.settable", words_param("name", at->dev), &result))
		return;
	json_object_object_get_ex(result, "settable", &all);
	if (json_object_object_get_ex(all, at->dev, &dev) &&
	    json_object_object_get_ex(dev, "options", &options) &&
	    json_object_is_type(options, json_type_object)) {
		if (!at->option) {
			json_object_object_foreach(options, key, o)
			{
				offer_word(a, key,
					   json_object_object_get_ex(o, "help", &v)
						   ? json_object_get_string(v)
						   : NULL);
			}
		} else if (json_object_object_get_ex(options, at->option, &opt) &&
			   json_object_object_get_ex(opt, "type", &v) &&
			   !strcmp(json_object_get_string(v), "bool")) {
			vd_offer_kind(a->word, ON_OFF, strlen(ON_OFF));
		}
	}
	json_object_put(result);
}

static void offer_options(const struct ask *a, const struct usage_at *at)
{
	if (at->dev && !at->parent && !at->driver)
		offer_settable(a, at);
	for (const struct uvdpa_opt *o = table_of(a, at); o && o->key; o++)
		offer_word(a, o->key, o->help);
}

static void offer_choices(const struct ask *a, const struct usage_at *at)
{
	const struct uvdpa_opt *o = table_of(a, at);

	if (at->dev && !at->parent && !at->driver)
		offer_settable(a, at);
	while (o && o->key && strcmp(o->key, at->option) != 0)
		o++;
	if (!o || !o->key)
		return;
	if (o->type == UVDPA_OPT_PATH)
		vd_offer_kind(a->word, "PATH", 4);
	if (o->type == UVDPA_OPT_BOOL)
		vd_offer_kind(a->word, ON_OFF, strlen(ON_OFF));
	for (unsigned int i = 0; o->type == UVDPA_OPT_ENUM && o->choices[i]; i++)
		offer_word(a, o->choices[i], o->help);
}

/* ---- words of a kind -------------------------------------------------------------------- */

static void offer_devices(const struct ask *a)
{
	struct json_object *result, *map;

	if (client_list(a->cmd, "dev.show", NULL, &result))
		return;
	if (json_object_object_get_ex(result, "dev", &map)) {
		json_object_object_foreach(map, name, dev)
		{
			struct json_object *mgmtdev;

			offer_word(a, name,
				   json_object_object_get_ex(dev, "mgmtdev", &mgmtdev)
					   ? json_object_get_string(mgmtdev)
					   : NULL);
		}
	}
	json_object_put(result);
}

static void offer_parents(const struct ask *a)
{
	const struct uvdpa_parent *p = NULL;

	while ((p = uvdpa_parent_next(a->u, p)))
		offer_word(a, uvdpa_parent_name(p), uvdpa_parent_help(p));
}

static void offer_drivers(const struct ask *a)
{
	const struct uvdpa_driver *d = NULL;

	while ((d = uvdpa_driver_next(a->u, d)))
		offer_word(a, uvdpa_driver_name(d), uvdpa_driver_help(d));
}

static void offer_kind(const struct ask *a, const struct usage_word *kind)
{
	if (usage_is(kind, "MGMTDEV")) {
		offer_parents(a);
	} else if (usage_is(kind, "DRIVER")) {
		offer_drivers(a);
	} else if (usage_is(kind, "DEV")) {
		offer_devices(a);
	} else if (usage_is(kind, "LEVEL")) {
		vd_offer_kind(a->word, LEVELS, strlen(LEVELS));
	} else if (usage_is(kind, "PART")) {
		vd_offer_kind(a->word, PARTS, strlen(PARTS));
		offer_devices(a);
		offer_drivers(a);
		offer_parents(a);
	} else if (usage_is(kind, "DISK") || usage_is(kind, "FROM") || usage_is(kind, "TO")) {
		offer_devices(a);
		vd_offer_kind(a->word, "PATH", 4);
	} else {
		vd_offer_kind(a->word, kind->s, kind->len);
	}
}

/* ---- where we are ----------------------------------------------------------------------- */

static void offer_below(const struct ask *a, const struct cmd_verb *table)
{
	for (const struct cmd_verb *v = verb_first(table); v; v = verb_next(v))
		if (v->help)
			offer_word(a, v->name, v->help);
	offer_word(a, "help", "how they are used");
}

static bool is_used(const struct usage_word *key, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (usage_is(key, argv[i]))
			return true;
	return false;
}

/* Behind @argc words that follow a verb. */
static void offer_args(const struct ask *a, const char *args, int argc, char **argv)
{
	struct usage_word key, value;
	struct usage_at at;

	usage_find(args, argc, argv, &at);
	if (at.option) {
		offer_choices(a, &at);
		return;
	}
	if (at.value.s)
		offer_kind(a, &at.value);
	while (at.key && usage_next_key(&args, &key, &value))
		if (!usage_is(&key, "KEY") && !is_used(&key, argc, argv))
			vd_offer(a->word, key.s, key.len, NULL);
	if (at.options)
		offer_options(a, &at);
}

static const struct cmd_option *find_option(const char *word)
{
	for (const struct cmd_option *o = cmd_options; o->name; o++)
		if (word[0] == '-' && ((word[1] == o->letter && !word[2]) ||
				       (word[1] == '-' && !strcmp(word + 2, o->name))))
			return o;
	return NULL;
}

static void offer_own_options(const struct ask *a)
{
	char word[32];

	for (const struct cmd_option *o = cmd_options; o->name; o++) {
		snprintf(word, sizeof(word), "--%s", o->name);
		if (o->help)
			offer_word(a, word, o->help);
	}
}

/* @argc words, the last of which is not complete. */
static void complete(struct ask *a, struct cmd *cmd, int argc, char **argv)
{
	const struct cmd_verb *v = &cmd_root;
	const struct cmd_option *o;
	int i = 0, last = argc - 1;

	for (; i < last && argv[i][0] == '-'; i++) {
		o = find_option(argv[i]);
		if (!o || !o->arg)
			continue;
		if (i + 1 == last) {
			vd_offer_kind(a->word, o->arg, strlen(o->arg));
			return;
		}
		i++;
		if (o->letter == 's')
			cmd->socket = argv[i];
	}
	if (i == last && argv[i][0] == '-') {
		offer_own_options(a);
		return;
	}
	for (; i < last && v && v->sub; i++)
		v = word_is(argv[i], "help") && !verb_find(v->sub, argv[i])
			    ? v
			    : verb_find(v->sub, argv[i]);
	if (v && v->sub)
		offer_below(a, v->sub);
	else if (v)
		offer_args(a, v->args, last - i, argv + i);
}

int cmd_complete(const struct cmd *cmd, int argc, char **argv)
{
	struct cmd quick = *cmd;
	struct ask a = { .cmd = &quick };

	if (argc && !strcmp(argv[0], "--")) {
		argc--;
		argv++;
	}
	if (!argc || uvdpa_create(&a.u))
		return EXIT_FAILURE;
	quick.timeout_ms = TIMEOUT_MS;
	a.word = argv[argc - 1];
	complete(&a, &quick, argc, argv);
	uvdpa_destroy(a.u);
	return 0;
}
