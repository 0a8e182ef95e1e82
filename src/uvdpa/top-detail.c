/* SPDX-License-Identifier: BSD-2-Clause */
/* top-detail.c - one device: its queues, what its requests took, and what the daemon tells of it */
#include <inttypes.h>
#include <string.h>

#include "uvdpa/top.h"

#define KINDS 16
#define TOOK  "_took_ns"

static struct json_object *get(struct json_object *o, const char *key)
{
	struct json_object *v;

	return o && json_object_object_get_ex(o, key, &v) ? v : NULL;
}

static struct json_object *queue(struct json_object *queues, size_t i)
{
	return queues ? json_object_array_get_idx(queues, i) : NULL;
}

static void put_time(FILE *f, uint64_t ns)
{
	char text[16];

	fprintf(f, " %6s", ns ? top_time(ns, text) : "-");
}

static void put_queue(FILE *f, struct json_object *now, struct json_object *before, double seconds,
		      bool disk)
{
	const char *type = json_object_get_string(get(now, "queue_type"));
	struct top_rates r;
	char text[16];

	top_queue_rates(now, before, seconds, disk, &r);
	fprintf(f, "%5d %-10s", json_object_get_int(get(now, "qidx")), type ? type : "-");
	fprintf(f, " %6s", top_number(r.requests, 1000, text));
	fprintf(f, " %6s", top_number(r.in, 1024, text));
	fprintf(f, " %6s", top_number(r.out, 1024, text));
	fprintf(f, " %6s", top_number(r.errors, 1000, text));
	fprintf(f, " %6s", top_number(r.kicks, 1000, text));
	fprintf(f, " %6s", top_number(r.calls, 1000, text));
	fprintf(f, " %7s", top_number(r.sleeps, 1000, text));
	put_time(f, top_hist_part(&r.took, .5));
	put_time(f, top_hist_part(&r.took, .99));
	fputc('\n', f);
}

static void put_queues(FILE *f, const struct top_row *row, double seconds)
{
	if (!row->queues) {
		fputs("\nIt counts nothing.\n", f);
		return;
	}
	fputs("\nQUEUE TYPE        REQ/S   IN/S  OUT/S  ERR/S KICK/S CALL/S SLEEP/S    P50    P99\n", f);
	for (size_t i = 0; i < json_object_array_length(row->queues); i++)
		put_queue(f, queue(row->queues, i), queue(row->queues_before, i), seconds,
			  top_is_disk(row));
}

/* ---- kinds of requests ------------------------------------------------------------------------- */

struct kind {
	const char *key; /* "read_took_ns" */
	struct top_hist took;
};

static struct kind *kind_of(struct kind *kinds, unsigned int *n, const char *key)
{
	for (unsigned int i = 0; i < *n; i++)
		if (!strcmp(kinds[i].key, key))
			return &kinds[i];
	if (*n == KINDS)
		return NULL;
	kinds[*n] = (struct kind){ .key = key };
	return &kinds[(*n)++];
}

static void add_kinds(struct kind *kinds, unsigned int *n, struct json_object *o, int sign)
{
	const size_t end = sizeof(TOOK) - 1;

	if (!o)
		return;
	json_object_object_foreach(o, key, value)
	{
		size_t len = strlen(key);
		struct kind *k = NULL;

		if (len > end && !strcmp(key + len - end, TOOK))
			k = kind_of(kinds, n, key);
		if (k)
			top_hist_add(&k->took, json_object_get_string(value), sign);
	}
}

static uint64_t all(const struct top_hist *h)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < h->len; i++)
		n += h->n[i];
	return n;
}

static void put_kinds(FILE *f, const struct top_row *row, double seconds)
{
	struct kind kinds[KINDS];
	unsigned int n = 0;
	char text[16];

	for (size_t i = 0; row->queues_before && i < json_object_array_length(row->queues); i++) {
		add_kinds(kinds, &n, queue(row->queues, i), 1);
		add_kinds(kinds, &n, queue(row->queues_before, i), -1);
	}
	if (n)
		fputs("\nREQUESTS           REQ/S    P50    P99  P99.9    MAX\n", f);
	for (unsigned int i = 0; i < n; i++) {
		const struct top_hist *h = &kinds[i].took;

		fprintf(f, "%-16.*s %7s", (int)(strlen(kinds[i].key) - (sizeof(TOOK) - 1)),
			kinds[i].key, top_number((double)all(h) / seconds, 1000, text));
		put_time(f, top_hist_part(h, .5));
		put_time(f, top_hist_part(h, .99));
		put_time(f, top_hist_part(h, .999));
		put_time(f, top_hist_part(h, 1));
		fputc('\n', f);
	}
}

/* ---- words --------------------------------------------------------------------------------------- */

static void put_value(FILE *f, struct json_object *v)
{
	if (json_object_is_type(v, json_type_object)) {
		const char *blank = "";

		json_object_object_foreach(v, key, value)
		{
			fprintf(f, "%s%s %s", blank, key, json_object_get_string(value));
			blank = " ";
		}
		return;
	}
	if (!json_object_is_type(v, json_type_array)) {
		fputs(json_object_get_string(v), f);
		return;
	}
	for (size_t i = 0; i < json_object_array_length(v); i++)
		fprintf(f, "%s%s", i ? "," : "",
			json_object_get_string(json_object_array_get_idx(v, i)));
}

static void put_words(FILE *f, const char *title, struct json_object *o)
{
	if (!o || !json_object_object_length(o))
		return;
	fprintf(f, "\n%s\n", title);
	json_object_object_foreach(o, key, value)
	{
		if (!value || (json_object_is_type(value, json_type_array) &&
			       !json_object_array_length(value)))
			continue;
		if (json_object_is_type(value, json_type_object) && !json_object_object_length(value))
			continue;
		fprintf(f, "%-20s ", key);
		put_value(f, value);
		fputc('\n', f);
	}
}

void top_detail(FILE *f, const struct top_feed *feed, const struct top_row *row)
{
	double seconds = top_feed_seconds(feed);

	fprintf(f, "%s: %s of %s, %s, %s\n", row->name, row->type ? row->type : "?",
		row->parent ? row->parent : "?", row->driver ? row->driver : "not bound",
		row->state ? row->state : "not in use");
	if (row->where)
		fprintf(f, "at %s\n", row->where);
	put_queues(f, row, seconds);
	if (seconds > 0)
		put_kinds(f, row, seconds);
	put_words(f, "DEVICE", row->dev);
	put_words(f, "ATTACH", get(feed->now.describe, row->name));
}
