/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - uvdpa, the command: the grammar of iproute2's vdpa, and what this bus has beyond it */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "config.h"
#include "control/control.h"
#include "uvdpa/cmd.h"

#define OPTIONS_MAX 8

/* The order decides what a beginning means: iproute2's come first, then what was here first. */
static const struct cmd_verb verbs[] = {
	{ .name = "mgmtdev",
	  .help = "parents, which make devices, and their options",
	  .fn = mgmtdev_show,
	  .sub = mgmtdev_verbs },
	{ .name = "dev",
	  .help = "devices: make them, hand them to a driver, look at them",
	  .fn = dev_show,
	  .sub = dev_verbs },
	{ .name = "driver",
	  .help = "bus drivers, which have devices, and their options",
	  .fn = driver_show,
	  .sub = driver_verbs },
	{ .name = "run",
	  .args = "mgmtdev MGMTDEV [ device_features BITS ] [ KEY VALUE ]... "
		  "driver DRIVER [ KEY VALUE ]... [ name NAME ]",
	  .help = "one device, without the daemon",
	  .fn = cmd_run,
	  .note = add_note },
	{ .name = "monitor",
	  .args = "[ DEV ]... [ -t ] [ --since NUMBER ]",
	  .help = "what happens to devices, as it happens",
	  .fn = cmd_monitor },
	{ .name = "top",
	  .args = "[ DEV ]... [ -b ] [ -n COUNT ] [ -d SECONDS ] [ -i ] "
		  "[ -o name|type|parent|driver|state|req/s|in/s|out/s|p50|p99|err/s|where ]",
	  .help = "what the devices do, live",
	  .fn = cmd_top },
	{ .name = "log",
	  .help = "how much the daemon says, and of what",
	  .fn = log_show,
	  .sub = log_verbs },
	{ .name = "blk",
	  .help = "copy, compare, fill and measure disks",
	  .sub = blk_verbs,
	  .note = blk_note },
	{ .name = "rng",
	  .help = "read random bytes, and feed them to the kernel",
	  .sub = rng_verbs,
	  .note = rng_note },
	{ .sub = bind_verbs },
};

const struct cmd_verb cmd_root = {
	.name = "uvdpa",
	.sub = verbs,
	.note = "\"uvdpa dev help\", \"uvdpa dev add help\" and so on tell more; \"man uvdpa\"\n"
		"has all of it. Words may be abbreviated.\n",
};

const struct cmd_option cmd_options[] = {
	{ 'V', "version", NULL, "the version" },
	{ 'V', "Version", NULL, NULL },
	{ 'j', "json", NULL, "print JSON" },
	{ 'p', "pretty", NULL, "with -j: in several lines" },
	{ 'q', "quiet", NULL, "show no progress on a terminal" },
	{ 's', "socket", "PATH", "of uvdpad (" VD_CONTROL_SOCKET ")" },
	{ 'b', "batch", "FILE", "commands of a file, one in each line; -: standard input" },
	{ 'h', "help", NULL, "this text" },
	{ 0 },
};

/* getopt's form of cmd_options. */
static void make_options(struct option *options, char *letters)
{
	*letters++ = '+';
	for (const struct cmd_option *o = cmd_options; o->name; o++) {
		*options++ = (struct option){ o->name, o->arg ? required_argument : no_argument,
					      NULL, o->letter };
		if (!o->help)
			continue;
		*letters++ = o->letter;
		if (o->arg)
			*letters++ = ':';
	}
	*options = (struct option){ 0 };
	*letters = '\0';
}

/* -j and -p may stand behind the words, too, as with iproute2's. Return: how many words are left. */
static int late_options(struct cmd *cmd, int argc, char **argv)
{
	int n = 0;

	for (int i = 0; i < argc; i++) {
		const char *w = argv[i];
		bool json = !strcmp(w, "--json"), pretty = !strcmp(w, "--pretty");

		if (w[0] == '-' && w[1] && !w[1 + strspn(w + 1, "jp")]) {
			json = strchr(w, 'j');
			pretty = strchr(w, 'p');
		}
		cmd->json |= json;
		cmd->pretty |= pretty;
		if (!json && !pretty)
			argv[n++] = argv[i];
	}
	return n;
}

int cmd_words(struct cmd *cmd, int argc, char **argv)
{
	return verb_run(&cmd_root, cmd, late_options(cmd, argc, argv), argv);
}

/* What was not written is a failure. Return: the exit status. */
static int finish(int r)
{
	if ((fflush(stdout) || ferror(stdout)) && !r)
		r = print_error("standard output: %m");
	return r < 0 ? EXIT_FAILURE : r;
}

int main(int argc, char **argv)
{
	struct cmd cmd = { .socket = VD_CONTROL_SOCKET }, bare = { 0 };
	struct option options[OPTIONS_MAX + 1];
	char letters[2 * OPTIONS_MAX + 2];
	const char *batch = NULL;
	int opt, r;

	vd_std_fds();
	bare.path[0] = &cmd_root;
	make_options(options, letters);
	while ((opt = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		switch (opt) {
		case 'V':
			puts("uvdpa " UVDPA_VERSION);
			return finish(0);
		case 'j':
			cmd.json = true;
			break;
		case 'p':
			cmd.pretty = true;
			break;
		case 'q':
			cmd.quiet = true;
			break;
		case 's':
			cmd.socket = optarg;
			break;
		case 'b':
			batch = optarg;
			break;
		case 'h':
			return finish(verb_help(&bare));
		default:
			verb_print(&bare, stderr);
			return EXIT_FAILURE;
		}
	}
	argc -= optind;
	argv += optind;
	/* It has any words behind it, so it is no verb. */
	if (batch)
		r = argc ? print_error("commands are in %s: what is \"%s\"?", batch, argv[0])
			 : cmd_batch(&cmd, batch);
	else if (argc && !strcmp(argv[0], "complete"))
		r = cmd_complete(&cmd, argc - 1, argv + 1);
	else
		r = cmd_words(&cmd, argc, argv);
	return finish(r);
}
