/* SPDX-License-Identifier: BSD-2-Clause */
/* events.c - see events.h; doc/control-protocol.md has the lines */
#include "uvdpad/events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/util.h"
#include "control/control.h"

static void add_str(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

static void add_time(struct json_object *o)
{
	struct timespec ts;
	struct tm tm;
	char day[32], text[64];

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof(text), "%s.%06ldZ", day, ts.tv_nsec / 1000);
	add_str(o, "time", text);
}

/* What has changed, as it is now. */
/* Of what the device is made of, what can change without a bind. */
static void add_provision(struct json_object *o, struct uvdpa_dev *dev)
{
	static const char *const keys[] = { "attrs", "driver_override" };
	struct json_object *p = vd_show_provision(dev), *v;

	for (size_t i = 0; i < VD_ARRAY_SIZE(keys); i++)
		if (json_object_object_get_ex(p, keys[i], &v))
			json_object_object_add(o, keys[i], json_object_get(v));
	json_object_put(p);
}

static void add_news(struct json_object *o, enum uvdpa_event ev, struct uvdpa_dev *dev)
{
	const struct uvdpa_driver *driver = uvdpa_dev_driver(dev);
	const char *type;

	switch (ev) {
	case UVDPA_DEV_ADDED:
		add_str(o, "mgmtdev", uvdpa_parent_name(uvdpa_dev_parent(dev)));
		break;
	case UVDPA_DEV_READY:
		type = uvdpa_type_name(uvdpa_dev_info(dev)->device_id);
		add_str(o, "type", type ? type : "<unknown type>");
		break;
	case UVDPA_DEV_BOUND:
		if (driver)
			add_str(o, "driver", uvdpa_driver_name(driver));
		break;
	case UVDPA_DEV_STATUS:
		json_object_object_add(o, "status", vd_show_status(uvdpa_dev_status(dev)));
		break;
	case UVDPA_DEV_ATTRS:
		add_provision(o, dev);
		break;
	case UVDPA_DEV_LOST:
	case UVDPA_DEV_UNBOUND:
	case UVDPA_DEV_CONFIG:
	case UVDPA_DEV_REMOVED:
		break;
	}
}

const char *events_name(enum uvdpa_event ev)
{
	static const char *const names[] = {
		[UVDPA_DEV_ADDED] = "added",     [UVDPA_DEV_READY] = "ready",
		[UVDPA_DEV_LOST] = "lost",       [UVDPA_DEV_BOUND] = "bound",
		[UVDPA_DEV_UNBOUND] = "unbound", [UVDPA_DEV_STATUS] = "status",
		[UVDPA_DEV_CONFIG] = "config",   [UVDPA_DEV_REMOVED] = "removed",
		[UVDPA_DEV_ATTRS] = "attrs",
	};

	return names[ev];
}

static struct json_object *tell(uint64_t seq, enum uvdpa_event ev, struct uvdpa_dev *dev)
{
	struct json_object *o = json_object_new_object(), *p = json_object_new_object();

	add_str(o, "jsonrpc", "2.0");
	add_str(o, "method", "event");
	json_object_object_add(o, "params", p);
	json_object_object_add(p, "seq", json_object_new_uint64(seq));
	add_time(p);
	add_str(p, "event", events_name(ev));
	add_str(p, "dev", uvdpa_dev_name(dev));
	add_news(p, ev, dev);
	return o;
}

static void drop_first(struct events *log)
{
	struct event *e = &log->ring[log->first++ % EVENTS_MAX];

	log->bytes -= e->len;
	free(e->line);
	*e = (struct event){ 0 };
}

static void keep(struct events *log, enum uvdpa_event ev, struct uvdpa_dev *dev)
{
	struct json_object *o = tell(log->next, ev, dev);
	struct event e = { 0 };
	const char *text = json_object_to_json_string_length(
		o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &e.len);

	while (log->next - log->first >= EVENTS_MAX ||
	       (log->next > log->first && log->bytes + e.len >= EVENTS_BYTES))
		drop_first(log);
	e.line = malloc(e.len + 1);
	if (e.line) {
		memcpy(e.line, text, e.len);
		e.line[e.len++] = '\n';
		log->bytes += e.len;
	} else {
		e.len = 0; /* it counts as lost */
	}
	json_object_put(o);
	log->ring[log->next++ % EVENTS_MAX] = e;
	log->added(log);
}

static void on_event(struct uvdpa_watch *w, enum uvdpa_event ev, struct uvdpa_dev *dev)
{
	if (ev <= UVDPA_DEV_ATTRS) /* a newer library may have others */
		keep(container_of(w, struct events, watch), ev, dev);
}

const struct event *events_at(const struct events *log, uint64_t seq)
{
	const struct event *e;

	if (seq < log->first || seq >= log->next)
		return NULL;
	e = &log->ring[seq % EVENTS_MAX];
	return e->line ? e : NULL;
}

int events_start(struct events *log, struct uvdpa *u)
{
	struct timespec ts;

	/* Daemons of one socket follow each other, so the time tells them apart. */
	clock_gettime(CLOCK_REALTIME, &ts);
	snprintf(log->daemon, sizeof(log->daemon), "%08" PRIx64 "%08lx",
		 (uint64_t)ts.tv_sec & UINT32_MAX, (unsigned long)ts.tv_nsec);
	log->ring = calloc(EVENTS_MAX, sizeof(*log->ring));
	if (!log->ring)
		return vd_err(-ENOMEM, "no memory for %u events", EVENTS_MAX);
	log->first = log->next = 1;
	log->watch.event = on_event;
	uvdpa_watch_add(u, &log->watch);
	return 0;
}

void events_stop(struct events *log)
{
	uvdpa_watch_del(&log->watch);
}

void events_fini(struct events *log)
{
	while (log->first < log->next)
		drop_first(log);
	free(log->ring);
	log->ring = NULL;
}
