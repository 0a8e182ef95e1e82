/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - uvdpa, the command: the grammar of iproute2's vdpa, and what this bus has beyond it */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "config.h"
#include "control/control.h"
#include "uvdpa/cmd.h"

static void usage(FILE *f)
{
	fputs("Usage: uvdpa [ OPTIONS ] { dev | mgmtdev | driver | run | blk | rng } COMMAND\n"
	      "       dev       devices: make them, hand them to a driver, look at them\n"
	      "       mgmtdev   parents, which make devices, and their options\n"
	      "       driver    bus drivers, which have devices, and their options\n"
	      "       run       one device, without the daemon\n"
	      "       blk       copy, compare, fill and measure disks\n"
	      "       rng       read random bytes, and feed them to the kernel\n"
	      "OPTIONS are\n"
	      "       -V  --version\n"
	      "       -j  --json\n"
	      "       -p  --pretty          with -j: in several lines\n"
	      "       -s  --socket PATH     of uvdpad (" VD_CONTROL_SOCKET ")\n"
	      "       -h  --help\n"
	      "\"uvdpa dev help\" and so on list the commands; \"man uvdpa\" has all of it.\n"
	      "Words may be abbreviated.\n",
	      f);
}

static int help(const struct cmd *cmd, int argc, char **argv);

static const struct cmd_verb verbs[] = {
	{ "help", help },         { "mgmtdev", cmd_mgmtdev }, { "dev", cmd_dev },
	{ "driver", cmd_driver }, { "run", cmd_run },         { "blk", cmd_blk },
	{ "rng", cmd_rng },
	{ 0 },
};

/* "help dev" is "dev help". */
static int help(const struct cmd *cmd, int argc, char **argv)
{
	char word[] = "help", *words[] = { argc ? argv[0] : NULL, word };

	if (argc)
		return word_run(verbs, "uvdpa", cmd, word_is(argv[0], "help") ? 1 : 2, words);
	usage(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "version", no_argument, NULL, 'V' },
		{ "Version", no_argument, NULL, 'V' },
		{ "json", no_argument, NULL, 'j' },
		{ "pretty", no_argument, NULL, 'p' },
		{ "socket", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct cmd cmd = { .socket = VD_CONTROL_SOCKET };
	int opt, r;

	vd_std_fds();
	while ((opt = getopt_long(argc, argv, "+Vjps:h", options, NULL)) != -1) {
		switch (opt) {
		case 'V':
			puts("uvdpa " UVDPA_VERSION);
			return EXIT_SUCCESS;
		case 'j':
			cmd.json = true;
			break;
		case 'p':
			cmd.pretty = true;
			break;
		case 's':
			cmd.socket = optarg;
			break;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		default:
			usage(stderr);
			return EXIT_FAILURE;
		}
	}
	r = word_run(verbs, "uvdpa", &cmd, argc - optind, argv + optind);
	if ((fflush(stdout) || ferror(stdout)) && !r)
		r = print_error("standard output: %m");
	return r < 0 ? EXIT_FAILURE : r;
}
