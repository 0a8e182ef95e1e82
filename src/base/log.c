/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

void vd_log_init(struct vd_log *log)
{
	*log = (struct vd_log){ .level = UVDPA_LOG_WARN };
	pthread_mutex_init(&log->lock, NULL);
}

void vd_log_fini(struct vd_log *log)
{
	pthread_mutex_destroy(&log->lock);
}

void vd_log_set(struct vd_log *log, struct uvdpa_log *to, enum uvdpa_log_level level)
{
	pthread_mutex_lock(&log->lock);
	log->to = to;
	pthread_mutex_unlock(&log->lock);
	__atomic_store_n(&log->level, level, __ATOMIC_RELAXED);
}

void vd_log_print(struct vd_log *log, enum uvdpa_log_level level, const char *who, const char *fmt,
		  ...)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	int saved = errno;
	char line[1024];
	va_list ap;
	size_t n;

	if (level > __atomic_load_n(&log->level, __ATOMIC_RELAXED))
		return;
	n = (size_t)snprintf(line, sizeof(line), "%s%s", who ? who : "", who ? ": " : "");
	if (n >= sizeof(line))
		n = sizeof(line) - 1;
	errno = saved;
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);

	pthread_mutex_lock(&log->lock);
	if (log->to)
		log->to->line(log->to, level, line);
	else
		fprintf(stderr, "uvdpa: %s: %s\n", names[level], line);
	pthread_mutex_unlock(&log->lock);
	errno = saved;
}

bool vd_ratelimit_ok(struct vd_ratelimit *rl, unsigned int *ret_missed)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if ((uint64_t)now.tv_sec != rl->window_s) {
		rl->window_s = (uint64_t)now.tv_sec;
		rl->printed = 0;
	}
	if (rl->printed >= 10) {
		rl->missed++;
		return false;
	}
	rl->printed++;
	*ret_missed = rl->missed;
	rl->missed = 0;
	return true;
}
