/* SPDX-License-Identifier: BSD-2-Clause */
/* mgmtdev.c - parents, as iproute2's "vdpa mgmtdev" */
#include "uvdpa/cmd.h"

int mgmtdev_show(const struct cmd *cmd, int argc, char **argv)
{
	return client_tell(cmd, "mgmtdev.show", argc ? argv[0] : NULL, PRINT_BLOCK);
}

static int help(const struct cmd *cmd, int argc, char **argv)
{
	if (!argc && !cmd->json)
		return verb_help(cmd);
	return local_options(cmd, "mgmtdev.show", words_param("name", argc ? argv[0] : NULL));
}

const struct cmd_verb mgmtdev_verbs[] = {
	{ .name = "show",
	  .args = "[ MGMTDEV ]",
	  .help = "the parents, or one",
	  .fn = mgmtdev_show },
	{ .name = "list", .args = "[ MGMTDEV ]", .fn = mgmtdev_show },
	{ .name = "help",
	  .args = "[ MGMTDEV ]",
	  .help = "the options that it takes; needs no daemon",
	  .fn = help },
	{ 0 },
};
