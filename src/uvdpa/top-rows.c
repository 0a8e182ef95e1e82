/* SPDX-License-Identifier: BSD-2-Clause */
/* top-rows.c - what two samples say of each device */
#include <linux/virtio_blk.h>
#include <stdlib.h>
#include <string.h>

#include "uvdpa/top.h"

void top_sample_free(struct top_sample *s)
{
	json_object_put(s->dev);
	json_object_put(s->stats);
	json_object_put(s->describe);
	*s = (struct top_sample){ 0 };
}

/* ---- times --------------------------------------------------------------------------------- */

/* Where the bucket that ends at @end_ns is, or shall be. */
static unsigned int bucket(const struct top_hist *h, uint64_t end_ns)
{
	unsigned int i = 0;

	while (i < h->len && h->end_ns[i] < end_ns)
		i++;
	return i;
}

static void add_bucket(struct top_hist *h, uint64_t end_ns, uint64_t n)
{
	unsigned int i = bucket(h, end_ns);

	if (i == h->len || h->end_ns[i] != end_ns) {
		if (h->len == TOP_HIST)
			return;
		memmove(&h->end_ns[i + 1], &h->end_ns[i], (h->len - i) * sizeof(*h->end_ns));
		memmove(&h->n[i + 1], &h->n[i], (h->len - i) * sizeof(*h->n));
		h->end_ns[i] = end_ns;
		h->n[i] = 0;
		h->len++;
	}
	h->n[i] += n;
}

void top_hist_add(struct top_hist *h, const char *text, int sign)
{
	while (*text == '<') {
		char *end;
		uint64_t end_ns = strtoull(text + 1, &end, 10), n;

		if (*end != ':')
			return;
		n = strtoull(end + 1, &end, 10);
		add_bucket(h, end_ns, sign < 0 ? -n : n);
		text = end + strspn(end, " ");
	}
}

/* Of a device that was made anew in between, what is taken away is more than what is there. */
static uint64_t count(uint64_t n)
{
	return n > INT64_MAX ? 0 : n;
}

uint64_t top_hist_part(const struct top_hist *h, double part)
{
	uint64_t all = 0, seen = 0;

	for (unsigned int i = 0; i < h->len; i++)
		all += count(h->n[i]);
	for (unsigned int i = 0; i < h->len; i++) {
		seen += count(h->n[i]);
		if (all && (double)seen >= (double)all * part)
			return h->end_ns[i];
	}
	return 0;
}

/* ---- one queue ------------------------------------------------------------------------------ */

static struct json_object *get(struct json_object *o, const char *key)
{
	struct json_object *v;

	return o && json_object_object_get_ex(o, key, &v) ? v : NULL;
}

static double rate(struct json_object *now, struct json_object *before, const char *key,
		   double seconds)
{
	uint64_t a = json_object_get_uint64(get(now, key));
	uint64_t b = json_object_get_uint64(get(before, key));

	return before && seconds > 0 && a > b ? (double)(a - b) / seconds : 0;
}

static bool is_took(const char *key)
{
	static const char end[] = "_took_ns";
	size_t n = strlen(key);

	return n >= sizeof(end) && !strcmp(key + n - (sizeof(end) - 1), end);
}

static void add_times(struct json_object *o, int sign, struct top_hist *h)
{
	json_object_object_foreach(o, key, value)
	{
		if (is_took(key))
			top_hist_add(h, json_object_get_string(value), sign);
	}
}

/* A network says how many frames, and how long they are without the headers of the ring. */
void top_queue_rates(struct json_object *now, struct json_object *before, double seconds, bool disk,
		     struct top_rates *r)
{
	const char *type = json_object_get_string(get(now, "queue_type"));
	bool rx = type && !strcmp(type, "rx"), tx = type && !strcmp(type, "tx");

	*r = (struct top_rates){ 0 };
	r->requests = rate(now, before, rx ? "rx packets" : tx ? "tx packets" : "requests", seconds);
	r->in = tx ? 0 : rate(now, before, rx ? "rx bytes" : "bytes_in", seconds);
	r->out = rx ? 0 : rate(now, before, tx ? "tx bytes" : "bytes_out", seconds);
	r->errors = rate(now, before, rx ? "rx errors" : tx ? "tx errors" : "errors", seconds);
	if (disk) {
		r->in = vd_max(r->in - r->requests, 0.); /* the status */
		r->out = vd_max(r->out - r->requests * sizeof(struct virtio_blk_outhdr), 0.);
	}
	r->kicks = rate(now, before, "kicks", seconds);
	r->calls = rate(now, before, "calls", seconds);
	r->sleeps = rate(now, before, "sleeps", seconds);
	if (!before)
		return;
	add_times(now, 1, &r->took);
	add_times(before, -1, &r->took);
}

/* ---- one device ------------------------------------------------------------------------------ */

/* The first thing that its driver offers to attach to. */
static const char *where(struct json_object *describe)
{
	if (!describe)
		return NULL;
	json_object_object_foreach(describe, key, value)
	{
		(void)key;
		return json_object_get_string(value);
	}
	return NULL;
}

static void set_state(struct top_row *row)
{
	static const char *const wrong[] = { "FAILED", "NEEDS_RESET" };
	static const char *const says[] = { "writes_lost", "paused" };
	struct json_object *status = get(row->dev, "status");
	size_t n = status ? json_object_array_length(status) : 0;

	row->state = n ? json_object_get_string(json_object_array_get_idx(status, n - 1)) : NULL;
	for (size_t i = 0; i < VD_ARRAY_SIZE(wrong); i++)
		row->wrong |= row->state && !strcmp(row->state, wrong[i]);
	for (size_t i = 0; i < VD_ARRAY_SIZE(says); i++)
		if (get(row->dev, says[i])) {
			row->state = says[i];
			row->wrong = true;
		}
	if (get(row->dev, "ready") && !json_object_get_boolean(get(row->dev, "ready"))) {
		row->state = "away";
		row->wrong = true;
	}
}

bool top_is_disk(const struct top_row *row)
{
	return row->type && !strcmp(row->type, "block");
}

/* The queue of control is not what it does. */
static void add_queue(struct top_row *row, size_t i, double seconds, struct top_hist *took)
{
	struct json_object *now = json_object_array_get_idx(row->queues, i);
	struct json_object *before =
		row->queues_before ? json_object_array_get_idx(row->queues_before, i) : NULL;
	struct top_rates r;

	top_queue_rates(now, before, seconds, top_is_disk(row), &r);
	if (!get(now, "cvq requests")) {
		row->requests += r.requests;
		row->in += r.in;
		row->out += r.out;
	}
	row->errors += r.errors;
	for (unsigned int k = 0; k < r.took.len; k++)
		add_bucket(took, r.took.end_ns[k], r.took.n[k]);
}

static void make_row(struct top_row *row, const char *name, struct json_object *dev,
		     const struct top_sample *now, const struct top_sample *before)
{
	double seconds = before->at_ns ? (double)(now->at_ns - before->at_ns) / 1e9 : 0;
	struct top_hist took = { 0 };

	*row = (struct top_row){
		.name = name,
		.dev = dev,
		.type = json_object_get_string(get(dev, "type")),
		.parent = json_object_get_string(get(dev, "mgmtdev")),
		.driver = json_object_get_string(get(dev, "driver")),
		.where = where(get(now->describe, name)),
		.queues = get(get(now->stats, name), "queues"),
		.queues_before = get(get(before->stats, name), "queues"),
	};
	set_state(row);
	for (size_t i = 0; row->queues && i < json_object_array_length(row->queues); i++)
		add_queue(row, i, seconds, &took);
	row->p50_ns = top_hist_part(&took, .5);
	row->p99_ns = top_hist_part(&took, .99);
}

/* ---- all of them ------------------------------------------------------------------------------ */

static bool has(const char *text, const char *part)
{
	return text && strcasestr(text, part);
}

static bool named(const struct top_view *view, const char *name)
{
	for (int i = 0; i < view->nnames; i++)
		if (!strcmp(view->names[i], name))
			return true;
	return !view->nnames;
}

static bool wanted(const struct top_row *row, const struct top_view *view)
{
	const char *part = view->filter ? view->filter : "";

	if (view->busy_only && !row->requests)
		return false;
	return !*part || has(row->name, part) || has(row->type, part) || has(row->parent, part) ||
	       has(row->driver, part) || has(row->state, part) || has(row->where, part);
}

static int by_number(double a, double b)
{
	return (a < b) - (a > b);
}

/* What is not there comes last. */
static int by_word(const char *a, const char *b)
{
	if (!a || !b)
		return !a - !b;
	return strverscmp(a, b);
}

static int compare_by(const struct top_row *a, const struct top_row *b, enum top_sort sort)
{
	switch (sort) {
	case TOP_TYPE:
		return by_word(a->type, b->type);
	case TOP_PARENT:
		return by_word(a->parent, b->parent);
	case TOP_DRIVER:
		return by_word(a->driver, b->driver);
	case TOP_STATE:
		return by_word(a->state, b->state);
	case TOP_WHERE:
		return by_word(a->where, b->where);
	case TOP_REQUESTS:
		return by_number(a->requests, b->requests);
	case TOP_IN:
		return by_number(a->in, b->in);
	case TOP_OUT:
		return by_number(a->out, b->out);
	case TOP_P50:
		return by_number((double)a->p50_ns, (double)b->p50_ns);
	case TOP_P99:
		return by_number((double)a->p99_ns, (double)b->p99_ns);
	case TOP_ERRORS:
		return by_number(a->errors, b->errors);
	default:
		return 0;
	}
}

/* Equal ones stand in the order of their names, so that they stay where they are. */
static int compare(const void *pa, const void *pb, void *arg)
{
	const struct top_row *a = pa, *b = pb;
	const struct top_view *view = arg;
	int r = compare_by(a, b, view->sort);

	if (!r)
		r = strverscmp(a->name, b->name);
	return view->reverse ? -r : r;
}

static struct top_row *new_row(struct top_rows *rows)
{
	if (rows->n == rows->cap) {
		size_t cap = rows->cap ? 2 * rows->cap : 64;
		struct top_row *row = reallocarray(rows->row, cap, sizeof(*row));

		if (!row)
			return NULL;
		rows->row = row;
		rows->cap = cap;
	}
	return &rows->row[rows->n];
}

int top_rows_make(struct top_rows *rows, const struct top_sample *now,
		  const struct top_sample *before, const struct top_view *view)
{
	struct top_view order = *view;

	*rows = (struct top_rows){ .row = rows->row, .cap = rows->cap };
	if (!now->dev)
		return 0;
	json_object_object_foreach(now->dev, name, dev)
	{
		struct top_row *row;

		if (!named(view, name))
			continue;
		row = new_row(rows);
		if (!row) {
			top_rows_free(rows);
			return print_error("no memory");
		}
		make_row(row, name, dev, now, before);
		rows->all++;
		rows->bound += row->driver != NULL;
		rows->away += row->wrong;
		rows->requests += row->requests;
		rows->in += row->in;
		rows->out += row->out;
		rows->n += wanted(row, view);
	}
	if (rows->n)
		qsort_r(rows->row, rows->n, sizeof(*rows->row), compare, &order);
	return 0;
}

void top_rows_free(struct top_rows *rows)
{
	free(rows->row);
	*rows = (struct top_rows){ 0 };
}
