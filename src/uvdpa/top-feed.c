/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top-feed.c - samples of what the daemon says
 *
 * Three requests are sent together, and nothing is waited for: a daemon that takes its time keeps
 * the screen as it is, and gets no further request meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/loop.h"
#include "uvdpa/top.h"

enum { DEV = 1, STATS, DESCRIBE };

void top_feed_begin(struct top_feed *f, const char *path)
{
	*f = (struct top_feed){ .path = path, .link.fd = -1 };
}

void top_feed_end(struct top_feed *f)
{
	link_close(&f->link);
	top_sample_free(&f->now);
	top_sample_free(&f->before);
	top_sample_free(&f->next);
}

/* What the daemon counted belongs to it: another one begins from nothing. */
static void fail(struct top_feed *f, const char *text)
{
	snprintf(f->trouble, sizeof(f->trouble), "%s", text);
	link_close(&f->link);
	top_sample_free(&f->before);
	top_sample_free(&f->next);
	f->waits = 0;
}

void top_feed_ask(struct top_feed *f)
{
	struct link *l = &f->link;

	if (f->waits)
		return;
	if (l->fd < 0 && link_open(l, f->path, false)) {
		fail(f, vd_err_text());
		return;
	}
	f->asked_ns = vd_now_ns();
	if (link_send(l, "dev.show", NULL, DEV) || link_send(l, "dev.vstats.show", NULL, STATS) ||
	    link_send(l, "dev.describe", NULL, DESCRIBE)) {
		fail(f, vd_err_text());
		return;
	}
	f->waits = 3;
}

static void shift(struct top_feed *f)
{
	bool fresh = f->trouble[0];

	top_sample_free(&f->before);
	if (fresh)
		top_sample_free(&f->now);
	f->before = f->now;
	f->now = f->next;
	f->next = (struct top_sample){ 0 };
	f->trouble[0] = '\0';
}

/* {"id":ID,"result":{WHAT:MAP}} */
static int keep(struct top_feed *f, struct json_object *o)
{
	static const char *const names[] = { [DEV] = "dev", [STATS] = "vstats",
					     [DESCRIBE] = "describe" };
	struct json_object **to[] = { [DEV] = &f->next.dev, [STATS] = &f->next.stats,
				      [DESCRIBE] = &f->next.describe };
	struct json_object *v;
	int id;

	if (link_error(o))
		return vd_err(-EPROTO, "uvdpad: %s", link_error(o));
	id = json_object_object_get_ex(o, "id", &v) ? json_object_get_int(v) : 0;
	if (id < DEV || id > DESCRIBE || *to[id] || !json_object_object_get_ex(o, "result", &v) ||
	    !json_object_object_get_ex(v, names[id], &v))
		return vd_err(-EPROTO, "uvdpad's answer is none to what was asked");
	*to[id] = json_object_get(v);
	if (id == STATS)
		f->next.at_ns = vd_now_ns();
	f->waits--;
	return 0;
}

bool top_feed_take(struct top_feed *f)
{
	struct json_object *o;
	int r;

	while ((r = link_next(&f->link, &o)) > 0) {
		r = f->waits ? keep(f, o) : vd_err(-EPROTO, "uvdpad said what nobody asked");
		json_object_put(o);
		if (r)
			break;
		if (!f->waits) {
			shift(f);
			return true;
		}
	}
	if (r < 0)
		fail(f, vd_err_text());
	return r < 0;
}

double top_feed_seconds(const struct top_feed *f)
{
	return f->before.at_ns ? (double)(f->now.at_ns - f->before.at_ns) / 1e9 : 0;
}
