/* SPDX-License-Identifier: BSD-2-Clause */
/* dev.c - devices, as iproute2's "vdpa dev", and which bus driver has them */
#include <stdlib.h>

#include "control/words.h"
#include "uvdpa/cmd.h"

int dev_show(const struct cmd *cmd, int argc, char **argv)
{
	return client_tell(cmd, "dev.show", argc ? argv[0] : NULL, PRINT_DEV);
}

static int add(const struct cmd *cmd, int argc, char **argv)
{
	struct json_object *params;
	int r = words_dev(argc, argv, &params);

	if (r)
		return r;
	r = words_known(cmd, params);
	if (!r && !json_object_object_get_ex(params, "mgmtdev", NULL))
		r = verb_wrong(cmd, "management device handle not set");
	if (!r && !json_object_object_get_ex(params, "name", NULL))
		r = verb_wrong(cmd, "device name is not set");
	if (!r)
		r = words_paths(params, "attrs", "driver_attrs");
	if (!r)
		return client_do(cmd, "dev.add", params);
	json_object_put(params);
	return r;
}

static int del(const struct cmd *cmd, int argc, char **argv)
{
	(void)argc;
	return client_do(cmd, "dev.del", words_param("name", argv[0]));
}

/* "name" before the device is iproute2's; the words behind the device are pairs. */
static int set(const struct cmd *cmd, int argc, char **argv)
{
	struct json_object *params, *attrs;

	if (argc % 2 == 0 && word_is(argv[0], "name")) {
		argc--;
		argv++;
	}
	if (argc < 3)
		return verb_wrong(cmd, NULL);
	if (words_attrs(argc - 1, argv + 1, &attrs))
		return -1;
	params = words_param("name", argv[0]);
	json_object_object_add(params, "attrs", attrs);
	return client_do(cmd, "dev.set", params);
}

/* Each device as the commands that make it; they are lines for -b, and for the daemon's file. */
static int export(const struct cmd *cmd, int argc, char **argv)
{
	struct json_object *result = NULL;
	int r = client_list(cmd, "dev.export", words_param("name", argc ? argv[0] : NULL), &result);

	if (r || cmd->json)
		return client_print(cmd, "dev.export", r, result, PRINT_LINE);
	json_object_object_foreach(result, what, map)
	{
		(void)what;
		json_object_object_foreach(map, name, params)
		{
			(void)name;
			vd_words_put_dev(stdout, params);
		}
	}
	json_object_put(result);
	return 0;
}

static int config_show(const struct cmd *cmd, int argc, char **argv)
{
	return client_tell(cmd, "dev.config.show", argc ? argv[0] : NULL, PRINT_CONFIG);
}

static int vstats_show(const struct cmd *cmd, int argc, char **argv)
{
	struct json_object *params, *result = NULL;
	char *end;
	long idx;
	int r;

	if (argc != 1 && (argc != 3 || !word_is(argv[1], "qidx")))
		return verb_wrong(cmd, NULL);
	params = words_param("name", argv[0]);
	if (argc == 3) {
		idx = strtol(argv[2], &end, 0);
		if (end == argv[2] || *end) {
			json_object_put(params);
			return print_error("qidx \"%s\" is not a number", argv[2]);
		}
		json_object_object_add(params, "qidx", json_object_new_int64(idx));
	}
	r = client_list(cmd, "dev.vstats.show", params, &result);
	return client_print(cmd, "dev.vstats.show", r, result, PRINT_STATS);
}

static const struct cmd_verb config_verbs[] = {
	{ .name = "show",
	  .args = "[ DEV ]",
	  .help = "the configuration space, and what was negotiated",
	  .fn = config_show },
	{ 0 },
};

static const struct cmd_verb vstats_verbs[] = {
	{ .name = "show",
	  .args = "DEV [ qidx QUEUE ]",
	  .help = "counters of all queues, or of one",
	  .fn = vstats_show },
	{ 0 },
};

const char add_note[] = "KEY is  before driver, what \"uvdpa mgmtdev help MGMTDEV\" lists\n"
			"        behind it, what \"uvdpa driver help DRIVER\" lists\n";

const struct cmd_verb dev_verbs[] = {
	{ .name = "show", .args = "[ DEV ]", .help = "the devices, or one", .fn = dev_show },
	{ .name = "list", .args = "[ DEV ]", .fn = dev_show },
	{ .name = "add",
	  .args = "name NAME mgmtdev MGMTDEV [ device_features BITS ] [ KEY VALUE ]... "
		  "[ driver DRIVER [ KEY VALUE ]... ]",
	  .help = "make a device, and bind it",
	  .fn = add,
	  .note = add_note },
	{ .name = "del", .args = "DEV", .help = "take a device away, and end it", .fn = del },
	{ .name = "config", .help = "its configuration", .fn = config_show, .sub = config_verbs },
	{ .name = "vstats", .help = "its counters", .fn = vstats_show, .sub = vstats_verbs },
	{ .name = "set",
	  .args = "DEV KEY VALUE [ KEY VALUE ]...",
	  .help = "change it while it is used",
	  .fn = set,
	  .note = "KEY is  what \"uvdpa dev set DEV help\" lists\n" },
	{ .name = "export",
	  .args = "[ DEV ]",
	  .help = "the commands that make it again",
	  .fn = export },
	{ .sub = bind_verbs },
};
