/* SPDX-License-Identifier: BSD-2-Clause */
/* top.c - "uvdpa top": its words, and what it prints with -b */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/guess.h"
#include "base/loop.h"
#include "base/size.h"
#include "uvdpa/top.h"

#define INTERVAL_MS 1000u
#define LEAST_MS    100.
#define MOST_MS     100000.

/* ---- one interval, as text or JSON ------------------------------------------------------------ */

static void add_word(struct json_object *o, const char *key, const char *word)
{
	if (word)
		json_object_object_add(o, key, json_object_new_string(word));
}

static void add_number(struct json_object *o, const char *key, double n)
{
	char text[32];

	snprintf(text, sizeof(text), "%.1f", n);
	json_object_object_add(o, key, json_object_new_double_s(n, text));
}

static struct json_object *row_json(const struct top_row *row)
{
	struct json_object *o = json_object_new_object();

	add_word(o, "type", row->type);
	add_word(o, "mgmtdev", row->parent);
	add_word(o, "driver", row->driver);
	add_word(o, "where", row->where);
	add_word(o, "state", row->state);
	add_number(o, "requests_per_second", row->requests);
	add_number(o, "bytes_in_per_second", row->in);
	add_number(o, "bytes_out_per_second", row->out);
	add_number(o, "errors_per_second", row->errors);
	if (row->p50_ns) {
		json_object_object_add(o, "took_p50_ns", json_object_new_uint64(row->p50_ns));
		json_object_object_add(o, "took_p99_ns", json_object_new_uint64(row->p99_ns));
	}
	return o;
}

static struct tm local_time(void)
{
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	return tm;
}

static void print_json(const struct top *t, const struct top_rows *rows)
{
	struct json_object *o = json_object_new_object(), *top = json_object_new_object();
	struct json_object *map = json_object_new_object();
	int flags = t->cmd->pretty ? JSON_C_TO_STRING_PRETTY : JSON_C_TO_STRING_PLAIN;
	struct tm tm = local_time();
	char text[32];

	strftime(text, sizeof(text), "%FT%T%z", &tm);
	add_word(top, "time", text);
	add_number(top, "seconds", top_feed_seconds(&t->feed));
	for (size_t i = 0; i < rows->n; i++)
		json_object_object_add(map, rows->row[i].name, row_json(&rows->row[i]));
	json_object_object_add(top, "dev", map);
	json_object_object_add(o, "top", top);
	puts(json_object_to_json_string_ext(o, flags | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

void top_head(FILE *f, const struct top *t, const struct top_rows *rows)
{
	struct tm tm = local_time();
	char text[32];

	strftime(text, sizeof(text), "%T", &tm);
	fprintf(f, "%s, %zu devices, %zu bound, %zu to look after; each %g s", text, rows->all,
		rows->bound, rows->away, t->interval_ms / 1e3);
}

void top_totals(FILE *f, const struct top_rows *rows)
{
	char requests[16], in[16], out[16];

	fprintf(f, "%s requests/s, %sB/s in, %sB/s out", top_number(rows->requests, 1000, requests),
		top_number(rows->in, 1024, in), top_number(rows->out, 1024, out));
}

static void print_text(const struct top *t, const struct top_rows *rows)
{
	struct top_layout layout;

	fputs("top - ", stdout);
	top_head(stdout, t, rows);
	fputs("\n      ", stdout);
	top_totals(stdout, rows);
	fputs("\n\n", stdout);
	top_fit(rows, 0, &layout);
	top_line(stdout, NULL, &layout, true);
	putchar('\n');
	for (size_t i = 0; i < rows->n; i++) {
		top_line(stdout, &rows->row[i], &layout, true);
		putchar('\n');
	}
}

static int print_round(struct top *t, bool first)
{
	struct top_rows rows = { 0 };

	if (top_rows_make(&rows, &t->feed.now, &t->feed.before, &t->view))
		return -1;
	if (t->cmd->json) {
		print_json(t, &rows);
	} else {
		if (!first)
			putchar('\n');
		print_text(t, &rows);
	}
	top_rows_free(&rows);
	return fflush(stdout) ? print_error("standard output: %s", strerror(errno)) : 0;
}

/* Until @due_ns, or a sample is there. Return: 1 a signal came; 0; -1. */
static int turn(struct top *t, uint64_t due_ns, bool *ret_sample)
{
	struct pollfd fds[] = {
		{ .fd = t->signals, .events = POLLIN },
		{ .fd = t->feed.link.fd, .events = POLLIN },
		{ .fd = STDOUT_FILENO, .events = 0 },
	};
	uint64_t now = vd_now_ns();
	int wait_ms = t->feed.waits ? -1 : (int)((vd_max(due_ns, now) - now + 999999) / 1000000);

	*ret_sample = false;
	if (poll(fds, VD_ARRAY_SIZE(fds), wait_ms) < 0 && errno != EINTR)
		return print_error("poll: %s", strerror(errno));
	if (fds[0].revents && signals_take(t->signals))
		return 1;
	if (fds[2].revents & (POLLERR | POLLNVAL)) /* nobody reads any more */
		return 1;
	if (fds[1].revents)
		*ret_sample = top_feed_take(&t->feed);
	return 0;
}

/* Nothing is printed of the first sample: it takes two for what happened in between. */
static int batch(struct top *t)
{
	uint64_t due_ns = 0, done = 0;
	int r;

	while (!t->rounds || done < t->rounds) {
		uint64_t now = vd_now_ns();
		bool sample;

		if (!t->feed.waits && now >= due_ns) {
			top_feed_ask(&t->feed);
			due_ns = now + t->interval_ms * UINT64_C(1000000);
		}
		if (t->feed.trouble[0])
			return print_error("%s", t->feed.trouble);
		r = turn(t, due_ns, &sample);
		if (r)
			return vd_min(r, 0);
		if (!sample || !t->feed.before.at_ns)
			continue;
		if (print_round(t, !done++))
			return -1;
	}
	return 0;
}

/* ---- the words --------------------------------------------------------------------------------- */

static int read_sort(const char *word, enum top_sort *ret_sort)
{
	const char *best = NULL;

	for (int i = 0; i < TOP_SORTS; i++) {
		if (!strcasecmp(top_columns[i].name, word)) {
			*ret_sort = (enum top_sort)i;
			return 0;
		}
		best = vd_guess(word, best, top_columns[i].name);
	}
	if (best)
		return print_error("\"%s\" is no column; did you mean \"%s\"?", word, best);
	return print_error("\"%s\" is no column; there are name, type, parent, driver, state, req/s, "
			   "in/s, out/s, p50, p99, err/s and where", word);
}

int top_read_interval(const char *word, unsigned int *ret_ms)
{
	char *end;
	double ms = strtod(word, &end) * 1000;

	if (end == word || *end || !(ms >= LEAST_MS && ms <= MOST_MS))
		return -ERANGE;
	*ret_ms = (unsigned int)(ms + .5);
	return 0;
}

static int read_option(struct top *t, bool *batch_mode, int opt)
{
	switch (opt) {
	case 'b':
		*batch_mode = true;
		return 0;
	case 'i':
		t->view.busy_only = true;
		return 0;
	case 'o':
		return read_sort(optarg, &t->view.sort);
	case 'd':
		return top_read_interval(optarg, &t->interval_ms)
			       ? print_error("-d %s: not 0.1 to 100 seconds", optarg)
			       : 0;
	case 'n':
		return vd_number_parse(optarg, false, &t->rounds) || !t->rounds
			       ? print_error("-n %s: not a number of rounds", optarg)
			       : 0;
	default:
		return verb_wrong(t->cmd, NULL);
	}
}

int cmd_top(const struct cmd *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "batch", no_argument, NULL, 'b' },
		{ "iterations", required_argument, NULL, 'n' },
		{ "delay", required_argument, NULL, 'd' },
		{ "sort", required_argument, NULL, 'o' },
		{ "idle", no_argument, NULL, 'i' },
		{ 0 },
	};
	struct top t = {
		.cmd = cmd,
		.interval_ms = INTERVAL_MS,
		.view.sort = TOP_REQUESTS,
	};
	bool batch_mode = cmd->json;
	int opt, r;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc + 1, argv - 1, "bn:d:o:i", options, NULL)) != -1)
		if (read_option(&t, &batch_mode, opt))
			return -1;
	t.view.names = argv - 1 + optind;
	t.view.nnames = argc + 1 - optind;
	setlocale(LC_CTYPE, "");
	t.signals = signals_catch();
	if (t.signals < 0)
		return -1;
	top_feed_begin(&t.feed, cmd->socket);
	r = batch_mode ? batch(&t) : top_screen(&t);
	top_feed_end(&t.feed);
	vd_close(&t.signals);
	return r;
}
