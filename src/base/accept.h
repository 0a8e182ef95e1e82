/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * accept.h - a socket that listens, and who comes
 *
 * Who cannot be let in, as there is no descriptor left, stays in the socket's queue and would wake
 * the loop for ever. So it looks away for a while then, and says so once until somebody got in.
 * Context of all: control thread.
 */
#ifndef VD_BASE_ACCEPT_H
#define VD_BASE_ACCEPT_H

#include "base/log.h"
#include "base/loop.h"

/**
 * struct vd_accept - Zero it; set @came, @log, @who and @where
 * @came: somebody is there, at @fd, which is its own then: it closes on exec and does not block
 * @who: says so in the log
 * @where: they wait
 */
struct vd_accept {
	void (*came)(struct vd_accept *a, int fd);
	struct vd_log *log;
	const char *who, *where;
	struct vd_loop *loop; /* NULL: it was not started */
	int listen;
	struct vd_fd fd;       /* in the loop while it looks */
	struct vd_timer again; /* armed after a failure */
	bool failed;           /* and it was said */
};

/**
 * vd_accept_start() - Let them in, as soon as it can be; harmless if it does already
 * @listen: the socket; it does not block; borrowed until vd_accept_stop()
 */
void vd_accept_start(struct vd_accept *a, struct vd_loop *loop, int listen);

/* Let nobody in, who comes waits. Harmless if it was not started, and within @came. */
void vd_accept_stop(struct vd_accept *a);

#endif
