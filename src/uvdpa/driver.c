/* SPDX-License-Identifier: BSD-2-Clause */
/* driver.c - bus drivers */
#include "uvdpa/cmd.h"

int driver_show(const struct cmd *cmd, int argc, char **argv)
{
	return client_tell(cmd, "driver.show", argc ? argv[0] : NULL, PRINT_BLOCK);
}

static int help(const struct cmd *cmd, int argc, char **argv)
{
	if (!argc && !cmd->json)
		return verb_help(cmd);
	return local_options(cmd, "driver.show", words_param("name", argc ? argv[0] : NULL));
}

const struct cmd_verb driver_verbs[] = {
	{ .name = "show",
	  .args = "[ DRIVER ]",
	  .help = "the bus drivers, or one",
	  .fn = driver_show },
	{ .name = "list", .args = "[ DRIVER ]", .fn = driver_show },
	{ .name = "help",
	  .args = "[ DRIVER ]",
	  .help = "the options that it takes; needs no daemon",
	  .fn = help },
	{ 0 },
};
