/* SPDX-License-Identifier: BSD-2-Clause */
/* bind.c - which bus driver has a device; iproute2 has no words for it, so they stand alone, too */
#include "uvdpa/cmd.h"

static int bind_driver(const struct cmd *cmd, int argc, char **argv)
{
	struct json_object *params, *attrs;
	int r;

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

static int unbind(const struct cmd *cmd, int argc, char **argv)
{
	(void)argc;
	return client_do(cmd, "dev.unbind", words_param("name", argv[0]));
}

static int override(const struct cmd *cmd, int argc, char **argv)
{
	struct json_object *params = words_param("name", argv[0]);

	(void)argc;
	json_object_object_add(params, "driver", json_object_new_string(argv[1]));
	return client_do(cmd, "dev.override", params);
}

static int describe(const struct cmd *cmd, int argc, char **argv)
{
	return client_tell(cmd, "dev.describe", argc ? argv[0] : NULL, PRINT_BLOCK);
}

const struct cmd_verb bind_verbs[] = {
	{ .name = "bind",
	  .args = "DEV DRIVER [ KEY VALUE ]...",
	  .help = "hand a device to a bus driver",
	  .fn = bind_driver,
	  .note = "KEY is  what \"uvdpa driver help DRIVER\" lists\n" },
	{ .name = "unbind",
	  .args = "DEV",
	  .help = "take a device from its bus driver",
	  .fn = unbind },
	{ .name = "override",
	  .args = "DEV DRIVER",
	  .help = "which driver alone may have it; \"\": any",
	  .fn = override },
	{ .name = "describe",
	  .args = "[ DEV ]",
	  .help = "how to attach to it where it is",
	  .fn = describe },
	{ 0 },
};
