/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - uvdpad, the daemon: its options */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/err.h"
#include "base/fd.h"
#include "config.h"
#include "control/control.h"
#include "control/offer.h"
#include "uvdpad/daemon.h"

#define HELP_COLUMN 24 /* of what an option does, in the usage */

static int take_socket(struct daemon *d, const char *arg)
{
	d->path = arg;
	return 0;
}

static int take_fd(struct daemon *d, const char *arg)
{
	char *end;
	long fd = strtol(arg, &end, 10);

	if (!*arg || *end || fd < 3 || fd > INT_MAX)
		return vd_err(-EINVAL, "--fd \"%s\" is not a number from 3 on", arg);
	d->fd = (int)fd;
	return 0;
}

static int take_sysfs(struct daemon *d, const char *arg)
{
	d->sysfs_at = arg;
	return 0;
}

static int take_metrics(struct daemon *d, const char *arg)
{
	return metrics_address(arg, &d->metrics_at);
}

static int take_record(struct daemon *d, const char *arg)
{
	int fd = open(arg, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "a");

	if (!f) {
		int r = vd_err(-errno, "--record %s: %m", arg);

		vd_close(&fd);
		return r;
	}
	setlinebuf(f);
	if (d->record)
		fclose(d->record);
	d->record = f;
	return 0;
}

static int take_config(struct daemon *d, const char *arg)
{
	d->config = arg;
	d->config_must = true;
	return 0;
}

static int take_check(struct daemon *d, const char *arg)
{
	(void)arg;
	d->check = true;
	return 0;
}

static int take_state(struct daemon *d, const char *arg)
{
	d->state.path = arg;
	return 0;
}

static int take_log_level(struct daemon *d, const char *arg)
{
	return vd_levels_parse(&d->logger.levels, arg);
}

static int take_version(struct daemon *d, const char *arg);
static int take_help(struct daemon *d, const char *arg);

/*
 * What there is; usage, completion and the parser are made from these rows. @take stores the
 * argument: 0; 1 all is done, exit; -errno with a sentence.
 */
static const struct row {
	const char *name;
	char letter;     /* 0: none */
	const char *arg; /* what to call the argument; NULL: it takes none */
	const char *help;
	int (*take)(struct daemon *d, const char *arg);
} rows[] = {
	{ "socket", 's', "PATH", "control socket (" VD_CONTROL_SOCKET ")", take_socket },
	{ "fd", 0, "N", "the control socket listens already: this descriptor", take_fd },
	{ "config", 'c', "FILE", "devices to make (" DAEMON_CONFIG ", if it is there)",
	  take_config },
	{ "check", 0, NULL, "say what is wrong with that file, and exit", take_check },
	{ "state", 0, "FILE", "keep here what clients make, for the next start", take_state },
	{ "log-level", 'l', "LEVEL[,PART=LEVEL]", "error, warning, info or debug (warning)",
	  take_log_level },
	{ "metrics", 0, "[ADDRESS:]PORT", "metrics for Prometheus, on a loopback address (off)",
	  take_metrics },
	{ "sysfs", 0, "DIR", "show the bus as files there, as /sys does (nowhere)", take_sysfs },
	{ "record", 0, "FILE", "append each line of the control socket to a file", take_record },
	{ "version", 'V', NULL, "print the version", take_version },
	{ "help", 'h', NULL, "print this", take_help },
};

static void usage(FILE *f)
{
	fputs("Usage: uvdpad [ OPTIONS ]\n", f);
	for (const struct row *o = rows; o < rows + VD_ARRAY_SIZE(rows); o++) {
		int n = fprintf(f, "  %c%c%c --%s %s", o->letter ? '-' : ' ',
				o->letter ? o->letter : ' ', o->letter ? ',' : ' ', o->name,
				o->arg ? o->arg : "");

		if (n >= HELP_COLUMN) {
			fputc('\n', f);
			n = 0;
		}
		fprintf(f, "%*s%s\n", HELP_COLUMN - n, "", o->help);
	}
	fputs("\"man uvdpad\" has all of it, \"man uvdpad.conf\" the language of files.\n", f);
}

static int take_version(struct daemon *d, const char *arg)
{
	(void)d;
	(void)arg;
	puts("uvdpad " UVDPA_VERSION);
	return 1;
}

static int take_help(struct daemon *d, const char *arg)
{
	(void)d;
	(void)arg;
	usage(stdout);
	return 1;
}

/* Return: as a row's take; of what getopt does not know, it has said so itself. */
static int parse(struct daemon *d, int argc, char **argv)
{
	struct option options[VD_ARRAY_SIZE(rows) + 1] = { 0 };
	char letters[2 * VD_ARRAY_SIZE(rows) + 1], *p = letters;
	int opt, at, r = 0;

	/* A row is known by its letter, or by its place in options[]. */
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(rows); i++) {
		options[i].name = rows[i].name;
		options[i].has_arg = rows[i].arg ? required_argument : no_argument;
		if (!rows[i].letter)
			continue;
		*p++ = rows[i].letter;
		if (rows[i].arg)
			*p++ = ':';
	}
	*p = '\0';
	while (!r && (opt = getopt_long(argc, argv, letters, options, &at)) != -1) {
		if (opt == '?') {
			usage(stderr);
			return -EINVAL;
		}
		for (unsigned int i = 0; opt && i < VD_ARRAY_SIZE(rows); i++)
			if (rows[i].letter == opt)
				at = (int)i;
		if (rows[at].arg && !*optarg)
			r = vd_err(-EINVAL, "--%s is empty, not %s", rows[at].name, rows[at].arg);
		else
			r = rows[at].take(d, optarg);
		if (r < 0)
			fprintf(stderr, "uvdpad: %s\n", vd_err_text());
	}
	if (!r && optind < argc) {
		fprintf(stderr, "uvdpad: \"%s\" is no option\n", argv[optind]);
		return -EINVAL;
	}
	return r;
}

static bool is_option(const struct row *row, const char *word)
{
	return word[0] == '-' && ((word[1] == '-' && !strcmp(word + 2, row->name)) ||
				  (row->letter && word[1] == row->letter && !word[2]));
}

/* Of --log-level: what has been written, and a level behind it. */
static void offer_levels(const char *word)
{
	const char *last = word;
	char text[256];

	for (const char *p = word; *p; p++)
		if (*p == ',' || *p == '=')
			last = p + 1;
	for (int i = UVDPA_LOG_ERR; i <= UVDPA_LOG_DEBUG; i++) {
		int n = snprintf(text, sizeof(text), "%.*s%s", (int)(last - word), word,
				 vd_level_name((enum uvdpa_log_level)i));

		if (n < (int)sizeof(text))
			vd_offer(word, text, (size_t)n, NULL);
	}
}

/* "complete -- WORD...", for shells: what the last word may become. */
static int complete(int argc, char **argv)
{
	const char *word = argc ? argv[argc - 1] : "", *before = argc > 1 ? argv[argc - 2] : "";
	char option[32];

	for (unsigned int i = 0; i < VD_ARRAY_SIZE(rows); i++)
		if (rows[i].arg && is_option(&rows[i], before)) {
			if (rows[i].take == take_log_level)
				offer_levels(word);
			else
				vd_offer_kind(word, rows[i].arg, strlen(rows[i].arg));
			return EXIT_SUCCESS;
		}
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(rows); i++) {
		int n = snprintf(option, sizeof(option), "--%s", rows[i].name);

		vd_offer(word, option, (size_t)n, rows[i].help);
	}
	return EXIT_SUCCESS;
}

/*
 * Peers bring descriptors, and of those for which there is no number the kernel closes the last by
 * itself, in the control thread (base/foreign.h). What is low for select() is not what we need.
 */
static void raise_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l))
		return;
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
}

int main(int argc, char **argv)
{
	/* What could not be drained may have something to say until the very end. */
	static struct daemon d = { .path = VD_CONTROL_SOCKET,
				   .config = DAEMON_CONFIG,
				   .fd = -1,
				   .logger = { .levels = { .all = UVDPA_LOG_WARN } },
				   .signals = { .fd = -1 },
				   .listen = { .fd = -1 } };
	int r;

	vd_std_fds();
	if (argc > 1 && !strcmp(argv[1], "complete"))
		return complete(argc - 2, argv + 2);
	r = parse(&d, argc, argv);
	if (r)
		return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	if (d.check)
		return conf_check(d.config);
	vd_log_init(&d.log);
	logger_init(&d.logger);
	vd_log_set(&d.log, &d.logger.log, vd_levels_max(&d.logger.levels));
	raise_limit();
	r = vd_loop_init(&d.loop);
	if (r) {
		fprintf(stderr, "uvdpad: %s\n", vd_err_text());
		return EXIT_FAILURE;
	}
	r = daemon_run(&d);
	vd_loop_fini(&d.loop);
	vd_log_fini(&d.log);
	if (d.record)
		fclose(d.record);
	return r;
}
