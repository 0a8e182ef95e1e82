/* SPDX-License-Identifier: BSD-2-Clause */
/* monitor.c - "uvdpa monitor": what happens to devices, a line for each thing */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/size.h"
#include "control/line.h"
#include "uvdpa/cmd.h"
#include "uvdpa/link.h"

#define SUBSCRIBE 1 /* the id of our one request */

struct monitor {
	const struct cmd *cmd;
	struct link link;
	int signals;
	bool stamp;
	uint64_t since; /* UINT64_MAX: what happens from now on */
	char *const *names;
	int nnames;
	bool stop;
};

static struct json_object *get(struct json_object *o, const char *key)
{
	struct json_object *v;

	return o && json_object_object_get_ex(o, key, &v) ? v : NULL;
}

static const char *get_str(struct json_object *o, const char *key)
{
	const char *s = json_object_get_string(get(o, key));

	return s ? s : "";
}

/* ---- printing ------------------------------------------------------------------------------- */

/* "2026-01-31T09:05:07.000123Z" as the clock on the wall has it; as it is, if it is something else. */
static void print_stamp(const char *text)
{
	struct tm tm = { 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	char local[32];
	time_t t = rest ? timegm(&tm) : 0;

	if (!rest || !localtime_r(&t, &tm) || !strftime(local, sizeof(local), "%FT%T", &tm)) {
		printf("%s ", text);
		return;
	}
	printf("%s%.*s", local, (int)strcspn(rest, "Z"), rest);
	strftime(local, sizeof(local), "%z", &tm);
	printf("%s ", local);
}

static void print_value(struct json_object *v)
{
	putchar(' ');
	if (!json_object_is_type(v, json_type_array)) {
		fputs(json_object_get_string(v), stdout);
		return;
	}
	if (!json_object_array_length(v))
		putchar('-');
	for (size_t i = 0; i < json_object_array_length(v); i++)
		printf("%s%s", i ? "," : "",
		       json_object_get_string(json_object_array_get_idx(v, i)));
}

/* As they would be written. */
static void print_words(struct json_object *options)
{
	json_object_object_foreach(options, key, value)
	{
		printf(" %s ", key);
		vd_line_put(stdout, json_object_get_string(value));
	}
}

/* "d0: bound driver vhost-user", "d0: attrs capacity 1M iops 100" */
static void print_event(const struct monitor *m, struct json_object *o)
{
	static const char *const told[] = { "seq", "time", "event", "dev" };

	if (m->stamp)
		print_stamp(get_str(o, "time"));
	printf("%s: %s", get_str(o, "dev"), get_str(o, "event"));
	json_object_object_foreach(o, key, value)
	{
		bool done = false;

		for (size_t i = 0; i < VD_ARRAY_SIZE(told); i++)
			done |= !strcmp(told[i], key);
		if (done || !value)
			continue;
		if (json_object_is_type(value, json_type_object)) {
			print_words(value);
			continue;
		}
		printf(" %s", key);
		print_value(value);
	}
	putchar('\n');
}

static bool wanted(const struct monitor *m, const char *dev)
{
	for (int i = 0; i < m->nnames; i++)
		if (!strcmp(m->names[i], dev))
			return true;
	return !m->nnames;
}

static void print_json(const struct cmd *cmd, struct json_object *o)
{
	puts(json_object_to_json_string_ext(
		o, JSON_C_TO_STRING_NOSLASHESCAPE |
			   (cmd->pretty ? JSON_C_TO_STRING_PRETTY : JSON_C_TO_STRING_PLAIN)));
}

/* That something is missing belongs where it is missing, whatever devices are asked for. */
static void print_missed(const struct monitor *m, struct json_object *params)
{
	struct json_object *o;

	if (!m->cmd->json) {
		printf("events.lost count %s\n", get_str(params, "count"));
		return;
	}
	o = json_object_new_object();
	json_object_object_add(o, "event", json_object_new_string("events.lost"));
	json_object_object_add(o, "count", json_object_get(get(params, "count")));
	print_json(m->cmd, o);
	json_object_put(o);
}

static int handle(struct monitor *m, struct json_object *o)
{
	const char *method = get_str(o, "method");
	struct json_object *params = get(o, "params");

	if (link_error(o))
		return print_error("%s", link_error(o));
	if (!strcmp(method, "events.lost"))
		print_missed(m, params);
	else if (strcmp(method, "event") != 0 || !wanted(m, get_str(params, "dev")))
		return 0;
	else if (m->cmd->json)
		print_json(m->cmd, params);
	else
		print_event(m, params);
	return 0;
}

/* ---- the loop --------------------------------------------------------------------------------- */

/* All that has come, and then the reader gets it. */
static int take(struct monitor *m)
{
	struct json_object *o;
	int r = 0, bad = 0;

	while (!bad && (r = link_next(&m->link, &o)) > 0) {
		bad = handle(m, o);
		json_object_put(o);
	}
	if (fflush(stdout) || ferror(stdout)) {
		if (errno != EPIPE)
			return print_error("standard output: %s", strerror(errno));
		m->stop = true;
		return 0;
	}
	if (bad)
		return bad;
	return r < 0 ? print_error("%s", vd_err_text()) : 0;
}

/* Nobody reads any more: that is seen without an event, too. */
static int turn(struct monitor *m)
{
	struct pollfd fds[] = {
		{ .fd = m->signals, .events = POLLIN },
		{ .fd = m->link.fd, .events = POLLIN },
		{ .fd = STDOUT_FILENO, .events = 0 },
	};

	if (poll(fds, VD_ARRAY_SIZE(fds), -1) < 0)
		return errno == EINTR ? 0 : print_error("poll: %s", strerror(errno));
	if ((fds[0].revents && signals_take(m->signals)) || fds[2].revents & POLLERR) {
		m->stop = true;
		return 0;
	}
	return fds[1].revents ? take(m) : 0;
}

static int monitor(struct monitor *m)
{
	struct json_object *params = json_object_new_object();
	int r;

	if (m->since != UINT64_MAX)
		json_object_object_add(params, "since", json_object_new_uint64(m->since));
	r = link_open(&m->link, m->cmd->socket, true);
	if (r)
		json_object_put(params);
	else
		r = link_send(&m->link, "events.subscribe", params, SUBSCRIBE);
	if (r)
		return print_error("%s", vd_err_text());
	while (!r && !m->stop)
		r = turn(m);
	return r;
}

int cmd_monitor(const struct cmd *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		{ "timestamp", no_argument, NULL, 't' },
		{ "since", required_argument, NULL, 'S' },
		{ 0 },
	};
	struct monitor m = { .cmd = cmd, .link.fd = -1, .since = UINT64_MAX };
	int opt, r;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc + 1, argv - 1, "tS:", options, NULL)) != -1) {
		if (opt == 't')
			m.stamp = true;
		else if (opt != 'S')
			return verb_wrong(cmd, NULL);
		else if (vd_number_parse(optarg, false, &m.since) || m.since > INT64_MAX)
			return print_error("--since %s: not the number of an event", optarg);
	}
	m.names = argv - 1 + optind;
	m.nnames = argc + 1 - optind;
	m.signals = signals_catch();
	if (m.signals < 0)
		return -1;
	r = monitor(&m);
	link_close(&m.link);
	vd_close(&m.signals);
	return r;
}
