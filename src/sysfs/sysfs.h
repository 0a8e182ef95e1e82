/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sysfs.h - the bus as files, where scripts that know /sys/bus/vdpa look for them
 *
 * An observer of the context, on the public API alone. It mounts by FUSE and answers in the control
 * thread: every request is answered at once, but for binding and unbinding, which are answered when
 * they have ended. So nobody who reads, or does not, holds up anything. doc/uvdpa-sysfs.7.scd says
 * what there is.
 */
#ifndef VD_SYSFS_SYSFS_H
#define VD_SYSFS_SYSFS_H

#include <uvdpa/uvdpa.h>

#include "base/log.h"
#include "base/loop.h"

struct vd_sysfs;

/**
 * struct vd_sysfs_opts - What it shows, and where
 * @loop: of the control thread
 * @log: gets the reason of what a writer is only told the errno of
 * @u: whose devices
 * @dir: to mount over; made if it is not there, else it must be empty
 * @folder: where a bus driver's file is whose path nobody gave
 */
struct vd_sysfs_opts {
	struct vd_loop *loop;
	struct vd_log *log;
	struct uvdpa *u;
	const char *dir;
	const char *folder;
};

/**
 * vd_sysfs_start() - Mount it
 * @o: its strings are copied
 * @ret_fs: the caller's; see vd_sysfs_stop()
 *
 * A mount that a daemon left that is no more, is replaced.
 *
 * Return: 0; -EOPNOTSUPP built without FUSE; -ENOTEMPTY, -ENOTDIR; -errno, with a sentence.
 */
int vd_sysfs_start(const struct vd_sysfs_opts *o, struct vd_sysfs **ret_fs);

/* Unmount it: whoever waits for an answer is told -ENOTCONN. Before the context is destroyed; NULL
 * is allowed. */
void vd_sysfs_stop(struct vd_sysfs *fs);

/* Free it. After the context is destroyed, which ends the calls that were under way; NULL is
 * allowed. */
void vd_sysfs_fini(struct vd_sysfs *fs);

#endif
