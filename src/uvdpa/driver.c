/* SPDX-License-Identifier: BSD-2-Clause */
/* driver.c - bus drivers */
#include <stdio.h>

#include "uvdpa/cmd.h"

static int show(const struct cmd *cmd, int argc, char **argv)
{
	struct json_object *result;
	int r;

	if (argc > 1)
		return words_count(argc, 1, "driver show [ DRIVER ]");
	r = client_call(cmd, "driver.show", words_param("name", argc ? argv[0] : NULL), &result);
	if (!r)
		print_result(cmd, result, PRINT_BLOCK);
	return r;
}

static int help(const struct cmd *cmd, int argc, char **argv)
{
	if (argc > 1)
		return words_count(argc, 1, "driver help [ DRIVER ]");
	if (argc || cmd->json)
		return local_options(cmd, "driver.show",
				     words_param("name", argc ? argv[0] : NULL));
	fputs("Usage: uvdpa driver show [ DRIVER ]\n"
	      "       uvdpa driver help DRIVER          its options\n",
	      stdout);
	return 0;
}

int cmd_driver(const struct cmd *cmd, int argc, char **argv)
{
	static const struct cmd_verb verbs[] = {
		{ "show", show },
		{ "list", show },
		{ "help", help },
		{ 0 },
	};

	return word_run(verbs, "uvdpa driver", cmd, argc, argv);
}
