/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * notice.h - another program has changed a file, or opened one
 *
 * Told of a change (IN_CLOSE_WRITE) when somebody who had it open for writing closes it, which
 * every tool that changes the size of a file does when it is done. Who writes to it meanwhile pays
 * nothing for that. There is one inotify of a loop, as a user may have few of them.
 */
#ifndef VD_BASE_NOTICE_H
#define VD_BASE_NOTICE_H

#include "base/loop.h"

/* Zero it, set fn. */
struct vd_notice {
	void (*fn)(struct vd_notice *n); /* may delete itself, no other */
	struct vd_loop *loop;            /* NULL: it was not added */
	struct vd_list node;
	uint32_t mask;
	int wd; /* two of one file have the same */
};

/**
 * vd_notice_add() - Be told of a file
 * @n: embedded in who wants to know
 * @fd: the file, whatever its name is by now; not needed afterwards
 * @mask: IN_CLOSE_WRITE or IN_OPEN
 *
 * Return: 0; -errno with a sentence: there are no more, or /proc is not there. Control thread.
 */
int vd_notice_add(struct vd_loop *loop, struct vd_notice *n, int fd, uint32_t mask);
void vd_notice_del(struct vd_notice *n); /* harmless if it was not added */

#endif
