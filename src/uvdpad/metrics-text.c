/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics-text.c - devices, queues and the process in Prometheus's text format
 *
 * The format wants the samples of a metric together, the devices give theirs together: each metric
 * has a text of its own, to which samples are added on one walk over devices and queues.
 */
#include "uvdpad/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <linux/virtio_config.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/utf8.h"
#include "base/util.h"
#include "config.h"
#include "uvdpad/events.h"

/* Upper bounds of a histogram's buckets: powers of two from 2 us to 8.6 s, in ns. */
#define LE_FIRST 11
#define LE_LAST  33
#define NS       1000000000ull /* in a second */

enum metric {
	BUILD,
	DEVICES,
	INFO,
	READY,
	RUNNING,
	BROKEN,
	EVENTS,
	CLIENTS,
	CPU,
	RSS,
	VSIZE,
	FDS,
	MAX_FDS,
	THREADS,
	START,
	TOOK,
	QUEUE, /* the first of those that a queue counts */
};

/* @key: as the parent counts it (uvdpa_dev_stats()) */
static const struct row {
	const char *key, *name, *type, *help;
} rows[] = {
	[BUILD] = { NULL, "uvdpa_build_info", "gauge", "Version of the daemon." },
	[DEVICES] = { NULL, "uvdpa_devices", "gauge", "Devices on the bus." },
	[INFO] = { NULL, "uvdpa_device_info", "gauge",
		   "What a device is, which bus driver has it, and where it is to be found." },
	[READY] = { NULL, "uvdpa_device_ready", "gauge",
		    "1 if it is there; 0 while its peer is away." },
	[RUNNING] = { NULL, "uvdpa_device_running", "gauge",
		      "1 if its driver has said DRIVER_OK." },
	[BROKEN] = { NULL, "uvdpa_device_broken", "gauge",
		     "1 if it needs a reset, or its driver gave up." },
	[EVENTS] = { NULL, "uvdpa_device_events_total", "counter", "Changes of devices, by kind." },
	[CLIENTS] = { NULL, "uvdpa_control_clients", "gauge",
		      "Connections to the control socket." },
	[CPU] = { NULL, "process_cpu_seconds_total", "counter",
		  "User and system CPU time, in seconds." },
	[RSS] = { NULL, "process_resident_memory_bytes", "gauge", "Resident memory, in bytes." },
	[VSIZE] = { NULL, "process_virtual_memory_bytes", "gauge", "Virtual memory, in bytes." },
	[FDS] = { NULL, "process_open_fds", "gauge", "Open file descriptors." },
	[MAX_FDS] = { NULL, "process_max_fds", "gauge", "File descriptors at most." },
	[THREADS] = { NULL, "process_threads", "gauge", "Threads." },
	[START] = { NULL, "process_start_time_seconds", "gauge",
		    "When it began, in seconds since 1970." },
	[TOOK] = { NULL, "uvdpa_queue_request_duration_seconds", "histogram",
		   "From when a request was taken from the ring to when it was given back." },
	{ "requests", "uvdpa_queue_requests_total", "counter", "Requests taken." },
	{ "bytes_in", "uvdpa_queue_in_bytes_total", "counter", "Bytes written for the driver." },
	{ "bytes_out", "uvdpa_queue_out_bytes_total", "counter", "Bytes read from the driver." },
	{ "errors", "uvdpa_queue_errors_total", "counter", "Requests that failed." },
	{ "kicks", "uvdpa_queue_kicks_total", "counter", "Notifications by the driver." },
	{ "calls", "uvdpa_queue_calls_total", "counter", "Notifications to the driver." },
	{ "bursts", "uvdpa_queue_bursts_total", "counter",
	  "Looks at the ring that found requests." },
	{ "sleeps", "uvdpa_queue_sleeps_total", "counter", "Waits for a notification." },
	{ "rx packets", "uvdpa_queue_rx_packets_total", "counter", "Frames to the driver." },
	{ "rx bytes", "uvdpa_queue_rx_bytes_total", "counter", "Bytes of data to the driver." },
	{ "rx errors", "uvdpa_queue_rx_errors_total", "counter", "What could not be received." },
	{ "rx overruns", "uvdpa_queue_rx_overruns_total", "counter", "Frames without a buffer." },
	{ "rx drops", "uvdpa_queue_rx_drops_total", "counter", "Frames not meant for the driver." },
	{ "rx waits", "uvdpa_queue_rx_waits_total", "counter", "Waits for a buffer." },
	{ "tx packets", "uvdpa_queue_tx_packets_total", "counter", "Frames from the driver." },
	{ "tx bytes", "uvdpa_queue_tx_bytes_total", "counter", "Bytes of data from the driver." },
	{ "tx errors", "uvdpa_queue_tx_errors_total", "counter", "What could not be sent." },
	{ "tx drops", "uvdpa_queue_tx_drops_total", "counter", "Frames that nobody took." },
	{ "tx waits", "uvdpa_queue_tx_waits_total", "counter", "Waits for who takes it." },
	{ "cvq requests", "uvdpa_queue_control_requests_total", "counter",
	  "Commands of the driver." },
	{ "cvq successes", "uvdpa_queue_control_successes_total", "counter",
	  "Commands that succeeded." },
	{ "cvq errors", "uvdpa_queue_control_errors_total", "counter", "Commands that failed." },
};

struct text {
	char *p;
	size_t len, cap;
};

struct page {
	struct text of[VD_ARRAY_SIZE(rows)];
	bool failed; /* no memory */
};

/* ---- text -------------------------------------------------------------------------------- */

static bool reserve(struct page *page, struct text *t, size_t more)
{
	size_t cap = t->cap ? t->cap : 512;
	char *p;

	while (cap - t->len < more)
		cap *= 2;
	if (cap == t->cap)
		return true;
	p = page->failed ? NULL : realloc(t->p, cap);
	if (!p) {
		page->failed = true;
		return false;
	}
	t->p = p;
	t->cap = cap;
	return true;
}

static void add(struct page *page, struct text *t, const char *p, size_t len)
{
	if (!reserve(page, t, len + 1))
		return;
	memcpy(t->p + t->len, p, len);
	t->len += len;
	t->p[t->len] = '\0';
}

static void print(struct page *page, enum metric i, const char *fmt, ...) vd_printf(3, 4);
static void print(struct page *page, enum metric i, const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(line))
		add(page, &page->of[i], line, (size_t)n);
}

/* A decimal is most of what there is to write, and snprintf() most of the time it takes. */
static void sample(struct page *page, unsigned int i, const char *labels, uint64_t value)
{
	struct text *t = &page->of[i];
	char digits[24], *p = digits + sizeof(digits);

	*--p = '\n';
	do
		*--p = (char)('0' + value % 10);
	while (value /= 10);
	add(page, t, rows[i].name, strlen(rows[i].name));
	add(page, t, "{", 1);
	add(page, t, labels, strlen(labels));
	add(page, t, "} ", 2);
	add(page, t, p, (size_t)(digits + sizeof(digits) - p));
}

/* A value of a label: a path may have anything in it, the format wants UTF-8, and three escapes. */
static const char *escape(const char *from, char *to, size_t size)
{
	size_t left = strlen(from), len = 0;

	while (left && len + 5 < size) {
		size_t n = vd_utf8_len(from, left);

		if (!n) {
			to[len++] = '?';
			from++;
			left--;
			continue;
		}
		if (*from == '\\' || *from == '"' || *from == '\n')
			to[len++] = '\\';
		memcpy(to + len, *from == '\n' ? "n" : from, n);
		len += n;
		from += n;
		left -= n;
	}
	to[len] = '\0';
	return to;
}

/* ---- queues ------------------------------------------------------------------------------- */

struct stats {
	struct uvdpa_emit emit;
	struct page *page;
	char labels[UVDPA_NAME_MAX + 64];
	uint64_t sum_ns; /* of the kind that comes next */
};

static bool ends_with(const char *s, const char *end, size_t *ret_len)
{
	size_t len = strlen(s), n = strlen(end);

	*ret_len = len - n;
	return len > n && !strcmp(s + len - n, end);
}

static void stats_num(struct uvdpa_emit *e, const char *key, uint64_t value)
{
	struct stats *s = container_of(e, struct stats, emit);
	size_t len;

	for (unsigned int i = QUEUE; i < VD_ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].key, key)) {
			sample(s->page, i, s->labels, value);
			return;
		}
	if (ends_with(key, "_took_sum_ns", &len))
		s->sum_ns = value;
}

/* "read_took_ns" is "<256:3 <320:10 ...": a bound in ns, and how many took less, but not less than
 * the one before. */
static void stats_str(struct uvdpa_emit *e, const char *key, const char *value)
{
	struct stats *s = container_of(e, struct stats, emit);
	uint64_t buckets[LE_LAST + 1] = { 0 }, count = 0;
	char labels[sizeof(s->labels) + 64];
	size_t kind;

	if (!ends_with(key, "_took_ns", &kind))
		return;
	while (*value == '<' || *value == ' ') {
		char *end;
		uint64_t bound = strtoull(value + (*value == ' ') + 1, &end, 10), many;
		unsigned int i = bound > 1 ? 64 - (unsigned int)__builtin_clzll(bound - 1) : 0;

		if (*end != ':')
			return;
		many = strtoull(end + 1, &end, 10);
		value = end;
		count += many;
		if (i <= LE_LAST)
			buckets[vd_max(i, (unsigned int)LE_FIRST)] += many;
	}
	snprintf(labels, sizeof(labels), "%s,kind=\"%.*s\"", s->labels, (int)kind, key);
	for (unsigned int i = LE_FIRST; i <= LE_LAST; i++) {
		if (i > LE_FIRST)
			buckets[i] += buckets[i - 1];
		print(s->page, TOOK, "%s_bucket{%s,le=\"%llu.%09llu\"} %" PRIu64 "\n",
		      rows[TOOK].name, labels, (1ull << i) / NS, (1ull << i) % NS, buckets[i]);
	}
	print(s->page, TOOK, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", rows[TOOK].name, labels,
	      count);
	print(s->page, TOOK, "%s_sum{%s} %.9f\n", rows[TOOK].name, labels, (double)s->sum_ns / 1e9);
	print(s->page, TOOK, "%s_count{%s} %" PRIu64 "\n", rows[TOOK].name, labels, count);
}

static void stats_flag(struct uvdpa_emit *e, const char *key, bool value)
{
	(void)e;
	(void)key;
	(void)value;
}

static void add_queues(struct page *page, struct uvdpa_dev *dev)
{
	struct stats s = { .emit = { .str = stats_str, .num = stats_num, .flag = stats_flag },
			   .page = page };

	for (unsigned int i = 0; i < uvdpa_dev_info(dev)->nvqs; i++) {
		snprintf(s.labels, sizeof(s.labels), "device=\"%s\",queue=\"%u\"",
			 uvdpa_dev_name(dev), i);
		if (uvdpa_dev_stats(dev, i, &s.emit))
			return; /* it counts nothing */
	}
}

/* ---- devices ------------------------------------------------------------------------------ */

/* The first thing that a bus driver has to say of where the device is. */
struct place {
	struct uvdpa_emit emit;
	char text[512];
};

static void place_str(struct uvdpa_emit *e, const char *key, const char *value)
{
	struct place *p = container_of(e, struct place, emit);

	(void)key;
	if (!*p->text)
		escape(value, p->text, sizeof(p->text));
}

static void place_num(struct uvdpa_emit *e, const char *key, uint64_t value)
{
	(void)e;
	(void)key;
	(void)value;
}

static void add_dev(struct page *page, struct uvdpa_dev *dev)
{
	struct place at = { .emit = { .str = place_str, .num = place_num, .flag = stats_flag } };
	const struct uvdpa_driver *driver = uvdpa_dev_driver(dev);
	const char *type = uvdpa_type_name(uvdpa_dev_info(dev)->device_id);
	uint8_t status = uvdpa_dev_status(dev);
	char labels[UVDPA_NAME_MAX + 16];

	if (driver)
		uvdpa_dev_describe(dev, &at.emit);
	print(page, INFO,
	      "%s{device=\"%s\",type=\"%s\",mgmtdev=\"%s\",driver=\"%s\",endpoint=\"%s\"} 1\n",
	      rows[INFO].name, uvdpa_dev_name(dev), type ? type : "",
	      uvdpa_parent_name(uvdpa_dev_parent(dev)), driver ? uvdpa_driver_name(driver) : "",
	      at.text);
	snprintf(labels, sizeof(labels), "device=\"%s\"", uvdpa_dev_name(dev));
	sample(page, READY, labels, uvdpa_dev_ready(dev));
	sample(page, RUNNING, labels, !!(status & VIRTIO_CONFIG_S_DRIVER_OK));
	sample(page, BROKEN, labels,
	       !!(status & (VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)));
	add_queues(page, dev);
}

/* ---- the process, as other programs call it ------------------------------------------------ */

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n > 3 ? n - 3 : 0; /* two dots, and the folder itself */
}

/* When this machine was started, in seconds since 1970; 0: unknown. */
static double boot_time(void)
{
	FILE *f = fopen("/proc/stat", "re");
	unsigned long long at = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "btime %llu", &at) == 1)
			break;
	if (f)
		fclose(f);
	return (double)at;
}

static void add_process(struct page *page)
{
	double hz = (double)sysconf(_SC_CLK_TCK);
	unsigned long long user, sys, start, vsize;
	struct rlimit limit = { 0 };
	FILE *f = fopen("/proc/self/stat", "re");
	char line[1024] = "", *p;
	long threads, rss;

	if (f && !fgets(line, sizeof(line), f))
		*line = '\0';
	if (f)
		fclose(f);
	p = strrchr(line, ')'); /* of the name, which may have anything in it */
	/* proc(5): 14 utime, 15 stime, 20 num_threads, 22 starttime, 23 vsize, 24 rss */
	if (!p ||
	    sscanf(p + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %ld %*d "
		   "%llu %llu %ld",
		   &user, &sys, &threads, &start, &vsize, &rss) != 6)
		return;
	getrlimit(RLIMIT_NOFILE, &limit);
	print(page, CPU, "%s %.2f\n", rows[CPU].name, (double)(user + sys) / hz);
	print(page, RSS, "%s %ld\n", rows[RSS].name, rss * sysconf(_SC_PAGESIZE));
	print(page, VSIZE, "%s %llu\n", rows[VSIZE].name, vsize);
	print(page, FDS, "%s %u\n", rows[FDS].name, count_fds());
	print(page, MAX_FDS, "%s %llu\n", rows[MAX_FDS].name, (unsigned long long)limit.rlim_cur);
	print(page, THREADS, "%s %ld\n", rows[THREADS].name, threads);
	print(page, START, "%s %.2f\n", rows[START].name, boot_time() + (double)start / hz);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void add_daemon(struct page *page, const struct metrics *m)
{
	unsigned int devices = 0;
	char labels[32];

	for (struct uvdpa_dev *dev = uvdpa_dev_next(m->u, NULL); dev;
	     dev = uvdpa_dev_next(m->u, dev)) {
		add_dev(page, dev);
		devices++;
	}
	print(page, BUILD, "%s{version=\"" UVDPA_VERSION "\"} 1\n", rows[BUILD].name);
	print(page, DEVICES, "%s %u\n", rows[DEVICES].name, devices);
	print(page, CLIENTS, "%s %u\n", rows[CLIENTS].name, m->server->nclients);
	for (unsigned int i = 0; i < METRICS_EVENTS; i++) {
		snprintf(labels, sizeof(labels), "event=\"%s\"", events_name(i));
		sample(page, EVENTS, labels, m->events[i]);
	}
}

char *metrics_text(const struct metrics *m, size_t *ret_len)
{
	struct page page = { 0 };
	struct text all = { 0 };

	add_daemon(&page, m);
	add_process(&page);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(rows); i++) {
		char head[512];
		int n = snprintf(head, sizeof(head), "# HELP %s %s\n# TYPE %s %s\n", rows[i].name,
				 rows[i].help, rows[i].name, rows[i].type);

		if (page.of[i].len) {
			add(&page, &all, head, (size_t)n);
			add(&page, &all, page.of[i].p, page.of[i].len);
		}
		free(page.of[i].p);
	}
	if (page.failed) {
		free(all.p);
		return NULL;
	}
	*ret_len = all.len;
	return all.p;
}
