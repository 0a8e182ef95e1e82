/* SPDX-License-Identifier: BSD-2-Clause */
/* mount.h - what processes that were killed leave mounted */
#ifndef VD_BASE_MOUNT_H
#define VD_BASE_MOUNT_H

/**
 * vd_unmount_dead() - Remove a FUSE mount that nobody is behind any more
 * @path: may be anything, also a mount that is alive
 *
 * By fusermount3 where this process may not: that is a program, and waited for, as libfuse does to
 * mount.
 *
 * Return: 1 it was one, and is gone; 0 it is none; -ENOTCONN with a sentence: it is one, and stays.
 */
int vd_unmount_dead(const char *path);

#endif
