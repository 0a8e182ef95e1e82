/* SPDX-License-Identifier: BSD-2-Clause */
/* dev.c - devices, as iproute2's "vdpa dev", and which bus driver has them */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uvdpa/cmd.h"

/* Call a method with the device's name, or without, and print what it tells. */
static int tell(const struct cmd *cmd, const char *method, const char *name,
		enum print_layout layout)
{
	struct json_object *result;
	int r = client_call(cmd, method, words_param("name", name), &result);

	if (!r)
		print_result(cmd, result, layout);
	return r;
}

static int show(const struct cmd *cmd, int argc, char **argv)
{
	if (argc > 1)
		return words_count(argc, 1, "dev show [ DEV ]");
	return tell(cmd, "dev.show", argc ? argv[0] : NULL, PRINT_LINE);
}

static int add(const struct cmd *cmd, int argc, char **argv)
{
	struct json_object *params;
	int r = words_dev(argc, argv, &params);

	if (r)
		return r;
	if (!json_object_object_get_ex(params, "name", NULL) ||
	    !json_object_object_get_ex(params, "mgmtdev", NULL))
		r = words_count(-1, 0,
				"dev add name NAME mgmtdev MGMTDEV [ device_features BITS ] "
				"[ KEY VALUE ]... [ driver DRIVER [ KEY VALUE ]... ]");
	else
		r = words_paths(params, "attrs", "driver_attrs");
	if (!r)
		return client_do(cmd, "dev.add", params);
	json_object_put(params);
	return r;
}

static int del(const struct cmd *cmd, int argc, char **argv)
{
	int r = words_count(argc, 1, "dev del DEV");

	return r ? r : client_do(cmd, "dev.del", words_param("name", argv[0]));
}

static int bind_driver(const struct cmd *cmd, int argc, char **argv)
{
	struct json_object *params, *attrs;
	int r;

	if (argc < 2)
		return words_count(argc, 2, "dev bind DEV DRIVER [ KEY VALUE ]...");
	r = words_attrs(argc - 2, argv + 2, &attrs);
	if (r)
		return r;
	params = words_param("name", argv[0]);
	json_object_object_add(params, "driver", json_object_new_string(argv[1]));
	json_object_object_add(params, "attrs", attrs);
	r = words_paths(params, NULL, "attrs");
	if (!r)
		return client_do(cmd, "dev.bind", params);
	json_object_put(params);
	return r;
}

/* "name" before the device is iproute2's. */
static int set(const struct cmd *cmd, int argc, char **argv)
{
	struct json_object *params, *attrs;

	if (argc && word_is(argv[0], "name")) {
		argc--;
		argv++;
	}
	if (argc < 3)
		return words_count(argc, 3, "dev set DEV KEY VALUE [ KEY VALUE ]...");
	if (words_attrs(argc - 1, argv + 1, &attrs))
		return -1;
	params = words_param("name", argv[0]);
	json_object_object_add(params, "attrs", attrs);
	return client_do(cmd, "dev.set", params);
}

static int unbind(const struct cmd *cmd, int argc, char **argv)
{
	int r = words_count(argc, 1, "dev unbind DEV");

	return r ? r : client_do(cmd, "dev.unbind", words_param("name", argv[0]));
}

static int override(const struct cmd *cmd, int argc, char **argv)
{
	struct json_object *params;
	int r = words_count(argc, 2, "dev override DEV DRIVER");

	if (r)
		return r;
	params = words_param("name", argv[0]);
	json_object_object_add(params, "driver", json_object_new_string(argv[1]));
	return client_do(cmd, "dev.override", params);
}

static int describe(const struct cmd *cmd, int argc, char **argv)
{
	if (argc > 1)
		return words_count(argc, 1, "dev describe [ DEV ]");
	return tell(cmd, "dev.describe", argc ? argv[0] : NULL, PRINT_BLOCK);
}

static int config_show(const struct cmd *cmd, int argc, char **argv)
{
	if (argc > 1)
		return words_count(argc, 1, "dev config show [ DEV ]");
	return tell(cmd, "dev.config.show", argc ? argv[0] : NULL, PRINT_CONFIG);
}

static int vstats_show(const struct cmd *cmd, int argc, char **argv)
{
	struct json_object *params, *result;
	char *end;
	long idx;
	int r;

	if (argc != 1 && (argc != 3 || !word_is(argv[1], "qidx")))
		return words_count(-1, 0, "dev vstats show DEV [ qidx QUEUE ]");
	params = words_param("name", argv[0]);
	if (argc == 3) {
		idx = strtol(argv[2], &end, 0);
		if (end == argv[2] || *end) {
			json_object_put(params);
			return print_error("qidx \"%s\" is not a number", argv[2]);
		}
		json_object_object_add(params, "qidx", json_object_new_int64(idx));
	}
	r = client_call(cmd, "dev.vstats.show", params, &result);
	if (!r)
		print_result(cmd, result, PRINT_STATS);
	return r;
}

static int help(const struct cmd *cmd, int argc, char **argv)
{
	(void)cmd, (void)argc, (void)argv;
	fputs("Usage: uvdpa dev show [ DEV ]\n"
	      "       uvdpa dev add name NAME mgmtdev MGMTDEV [ device_features BITS ]\n"
	      "                     [ KEY VALUE ]... [ driver DRIVER [ KEY VALUE ]... ]\n"
	      "       uvdpa dev del DEV\n"
	      "       uvdpa dev set DEV KEY VALUE [ KEY VALUE ]...\n"
	      "       uvdpa dev bind DEV DRIVER [ KEY VALUE ]...\n"
	      "       uvdpa dev unbind DEV\n"
	      "       uvdpa dev override DEV DRIVER       \"\" for none\n"
	      "       uvdpa dev describe [ DEV ]          how to attach to it\n"
	      "       uvdpa dev config show [ DEV ]\n"
	      "       uvdpa dev vstats show DEV [ qidx QUEUE ]\n"
	      "\"uvdpa mgmtdev help MGMTDEV\" and \"uvdpa driver help DRIVER\" list the keys; what\n"
	      "can be set while a device is used is in \"man uvdpa-disk\".\n",
	      stdout);
	return 0;
}

static int config(const struct cmd *cmd, int argc, char **argv)
{
	static const struct cmd_verb verbs[] = {
		{ "show", config_show },
		{ "help", help },
		{ 0 },
	};

	return word_run(verbs, "uvdpa dev config", cmd, argc, argv);
}

static int vstats(const struct cmd *cmd, int argc, char **argv)
{
	static const struct cmd_verb verbs[] = {
		{ "show", vstats_show },
		{ "help", help },
		{ 0 },
	};

	return word_run(verbs, "uvdpa dev vstats", cmd, argc, argv);
}

int cmd_dev(const struct cmd *cmd, int argc, char **argv)
{
	static const struct cmd_verb verbs[] = {
		{ "show", show },
		{ "list", show },
		{ "add", add },
		{ "del", del },
		{ "bind", bind_driver },
		{ "unbind", unbind },
		{ "override", override },
		{ "describe", describe },
		{ "config", config },
		{ "vstats", vstats },
		{ "set", set },
		{ "help", help },
		{ 0 },
	};

	return word_run(verbs, "uvdpa dev", cmd, argc, argv);
}
