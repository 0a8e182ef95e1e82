/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.h - messages of one context
 *
 * Nothing on the data path but vd_trace(), which is compiled out. What a guest or a peer can
 * trigger goes through a struct vd_ratelimit.
 */
#ifndef VD_BASE_LOG_H
#define VD_BASE_LOG_H

#include <pthread.h>
#include <stdbool.h>
#include <uvdpa/uvdpa.h>

#include "base/util.h"

struct vd_log {
	struct uvdpa_log *to;		/* NULL: standard error; protected by lock */
	enum uvdpa_log_level level;	/* read without the lock, atomically */
	pthread_mutex_t lock;
};

void vd_log_init(struct vd_log *log);
void vd_log_fini(struct vd_log *log);
void vd_log_set(struct vd_log *log, struct uvdpa_log *to, enum uvdpa_log_level level);

/* One line, lower case, no newline; @who is put in front with a colon. Any thread. */
void vd_log_print(struct vd_log *log, enum uvdpa_log_level level, const char *who,
		  const char *fmt, ...) vd_printf(4, 5);

#define vd_log_error(log, who, ...) vd_log_print(log, UVDPA_LOG_ERR, who, __VA_ARGS__)
#define vd_log_warn(log, who, ...) vd_log_print(log, UVDPA_LOG_WARN, who, __VA_ARGS__)
#define vd_log_info(log, who, ...) vd_log_print(log, UVDPA_LOG_INFO, who, __VA_ARGS__)
#define vd_log_debug(log, who, ...) vd_log_print(log, UVDPA_LOG_DEBUG, who, __VA_ARGS__)

#ifdef VD_TRACE
#define vd_trace(log, who, ...) vd_log_print(log, UVDPA_LOG_DEBUG, who, __VA_ARGS__)
#else
#define vd_trace(log, who, ...) ((void)0)
#endif

/* Ten messages a second, then silence and a count. Zero it. One thread. */
struct vd_ratelimit {
	uint64_t window_s;
	unsigned int printed;
	unsigned int missed;
};

/* True if the message may be printed. *ret_missed: how many were not since the last that was. */
bool vd_ratelimit_ok(struct vd_ratelimit *rl, unsigned int *ret_missed);

#endif
