/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * logger.c - messages to standard error, or with their fields to the journal
 *
 * What has a device, a part or a priority is a field there, in the journal's native protocol: a
 * datagram of lines NAME=value. Who cannot be reached by it has lines with a priority in front.
 */
#include "uvdpad/logger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"

#define JOURNAL "/run/systemd/journal/socket"

/* Of syslog(3). */
static const int priorities[] = {
	[UVDPA_LOG_ERR] = 3,
	[UVDPA_LOG_WARN] = 4,
	[UVDPA_LOG_INFO] = 6,
	[UVDPA_LOG_DEBUG] = 7,
};

struct known {
	struct vd_list node;
	char name[UVDPA_NAME_MAX + 1];
	const char *parent, *driver; /* NULL: none */
};

/* ---- levels --------------------------------------------------------------------------------- */

/* Context: l->lock. */
static struct known *find(struct logger *l, const char *name)
{
	struct known *k;

	vd_list_for_each(k, &l->devs, node)
		if (!strcmp(k->name, name))
			return k;
	return NULL;
}

/* Context: l->lock. */
static bool wanted(const struct logger *l, enum uvdpa_log_level level, const char *who,
		   const struct known *dev)
{
	const struct vd_level *own = vd_levels_find(&l->levels, who);

	if (!own && dev)
		own = vd_levels_find(&l->levels, dev->driver);
	if (!own && dev)
		own = vd_levels_find(&l->levels, dev->parent);
	return level <= (own ? own->level : l->levels.all);
}

/* ---- messages ------------------------------------------------------------------------------- */

/* One line stays one line: names of files may have anything in them. */
static const char *one_line(const char *from, char *to, size_t size)
{
	size_t len = 0;

	for (; *from && len + 5 < size; from++) {
		unsigned char c = (unsigned char)*from;

		if (c < ' ' || c == 0x7f)
			len += (size_t)snprintf(to + len, size - len, "\\x%02x", c);
		else
			to[len++] = *from;
	}
	to[len] = '\0';
	return to;
}

/* "d0: ..." -> d0; "" if it does not begin with a part. */
static void part_of(const char *line, char *to, size_t size)
{
	size_t len = strcspn(line, ": \n");

	*to = '\0';
	if (!len || len >= size || strncmp(line + len, ": ", 2))
		return;
	memcpy(to, line, len);
	to[len] = '\0';
}

/* Return: false if the journal did not take it. */
static bool to_journal(struct logger *l, enum uvdpa_log_level level, const char *who,
		       const struct known *dev, const char *text)
{
	char data[4096];
	int n = snprintf(data, sizeof(data), "PRIORITY=%d\nSYSLOG_IDENTIFIER=uvdpad\nMESSAGE=%s\n",
			 priorities[level], text);

	if (*who && n > 0 && (size_t)n < sizeof(data))
		n += snprintf(data + n, sizeof(data) - (size_t)n, "UVDPA_PART=%s\n", who);
	if (dev && n > 0 && (size_t)n < sizeof(data))
		n += snprintf(data + n, sizeof(data) - (size_t)n,
			      "UVDPA_DEV=%s\nUVDPA_MGMTDEV=%s\nUVDPA_DRIVER=%s\n", dev->name,
			      dev->parent, dev->driver ? dev->driver : "");
	return n > 0 && (size_t)n < sizeof(data) &&
	       send(l->journal, data, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) == n;
}

/* Two logs come here, the context's and the daemon's, so there is a lock. Context: any thread. */
static void on_line(struct uvdpa_log *log, enum uvdpa_log_level level, const char *line)
{
	struct logger *l = container_of(log, struct logger, log);
	char who[UVDPA_NAME_MAX + 1], text[2048];
	const struct known *dev;
	int saved = errno;

	part_of(line, who, sizeof(who));
	one_line(line, text, sizeof(text));
	pthread_mutex_lock(&l->lock);
	dev = find(l, who);
	if (wanted(l, level, who, dev) &&
	    (l->journal < 0 || !to_journal(l, level, who, dev, text))) {
		if (l->prefix)
			fprintf(stderr, "<%d>", priorities[level]);
		fprintf(stderr, "uvdpa: %s: %s\n", vd_level_name(level), text);
	}
	pthread_mutex_unlock(&l->lock);
	errno = saved;
}

/* ---- devices -------------------------------------------------------------------------------- */

static void on_event(struct uvdpa_watch *w, enum uvdpa_event ev, struct uvdpa_dev *dev)
{
	struct logger *l = container_of(w, struct logger, watch);
	const struct uvdpa_driver *driver = uvdpa_dev_driver(dev);
	struct known *k;

	pthread_mutex_lock(&l->lock);
	k = find(l, uvdpa_dev_name(dev));
	if (!k && ev != UVDPA_DEV_REMOVED) {
		k = calloc(1, sizeof(*k));
		if (k) {
			snprintf(k->name, sizeof(k->name), "%s", uvdpa_dev_name(dev));
			k->parent = uvdpa_parent_name(uvdpa_dev_parent(dev));
			vd_list_add(&l->devs, &k->node);
		}
	}
	if (k)
		k->driver = driver ? uvdpa_driver_name(driver) : NULL;
	if (k && ev == UVDPA_DEV_REMOVED) {
		vd_list_del(&k->node);
		free(k);
	}
	pthread_mutex_unlock(&l->lock);
}

void logger_set(struct logger *l, const struct vd_levels *levels)
{
	pthread_mutex_lock(&l->lock);
	l->levels = *levels;
	pthread_mutex_unlock(&l->lock);
}

void logger_watch(struct logger *l, struct uvdpa *u)
{
	if (l->watch.event || (!l->levels.nparts && l->journal < 0))
		return; /* a thousand devices are a thousand comparisons for each line */
	l->watch.event = on_event;
	uvdpa_watch_add(u, &l->watch);
}

void logger_unwatch(struct logger *l)
{
	struct known *k, *tmp;

	if (l->watch.event)
		uvdpa_watch_del(&l->watch);
	l->watch.event = NULL;
	pthread_mutex_lock(&l->lock);
	vd_list_for_each_safe(k, tmp, &l->devs, node) {
		vd_list_del(&k->node);
		free(k);
	}
	pthread_mutex_unlock(&l->lock);
}

/* ---- the journal ---------------------------------------------------------------------------- */

/* JOURNAL_STREAM names the open file that goes there; ours may have been put elsewhere since. */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       !fstat(STDERR_FILENO, &st) && st.st_dev == dev && st.st_ino == ino;
}

void logger_init(struct logger *l)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = JOURNAL };

	l->log.line = on_line;
	l->journal = -1;
	vd_list_init(&l->devs);
	pthread_mutex_init(&l->lock, NULL);
	l->prefix = is_journal();
	if (!l->prefix)
		return;
	l->journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (l->journal >= 0 && connect(l->journal, (struct sockaddr *)&addr, sizeof(addr)))
		vd_close(&l->journal);
}
