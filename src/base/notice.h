/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * notice.h - another program has changed a file
 *
 * Told when somebody who had it open for writing closes it, which every tool that changes the
 * size of a file does when it is done. Who writes to it meanwhile pays nothing for that.
 */
#ifndef VD_BASE_NOTICE_H
#define VD_BASE_NOTICE_H

#include "base/loop.h"

/* One for all files of a loop, as a user may have few of what is behind it. */
struct vd_notices {
	struct vd_loop *loop;
	struct vd_list all; /* struct vd_notice */
	struct vd_fd inotify;
	int fd; /* -1: nobody has asked yet */
};

/* Zero it, set fn. */
struct vd_notice {
	void (*fn)(struct vd_notice *n); /* may delete itself, no other */
	struct vd_notices *in;           /* NULL: it was not added */
	struct vd_list node;
	int wd; /* two of one file have the same */
};

void vd_notices_init(struct vd_notices *ns, struct vd_loop *loop);
void vd_notices_fini(struct vd_notices *ns);

/**
 * vd_notice_add() - Be told of a file
 * @n: embedded in who wants to know
 * @fd: the file, whatever its name is by now; not needed afterwards
 *
 * Return: 0; -errno with a sentence: there are no more, or /proc is not there. Control thread.
 */
int vd_notice_add(struct vd_notices *ns, struct vd_notice *n, int fd);
void vd_notice_del(struct vd_notice *n); /* harmless if it was not added */

#endif
