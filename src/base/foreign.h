/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * foreign.h - descriptors that came from a peer, before anything else looks at them
 *
 * fstat(), mmap() and even close() of a file on FUSE wait for whoever serves it, which may be the
 * peer; so does the close() of a TCP socket that lingers. The control thread must do none of these.
 *
 * Nor may it close a unix socket with descriptors in its queue, which the kernel then closes, and
 * some of them are the last of their kind perhaps. So whoever hangs up on a peer does it with
 * vd_foreign_drop(), and who receives has room for all that a message may bring; what does not fit,
 * and what is out of band and not read, the kernel closes likewise.
 */
#ifndef VD_BASE_FOREIGN_H
#define VD_BASE_FOREIGN_H

#include <stdbool.h>

/**
 * vd_foreign_ok() - Can it be used and closed without waiting for anybody?
 * @fd: from a peer, who may change its flags at any time; or an image of ours, wherever it is
 *
 * Return: true for an eventfd and its like, an unnamed pipe, a connected unix stream socket, a file
 * in memory, and what is on a local file system that is mounted here. Does not wait to find it out.
 */
bool vd_foreign_ok(int fd);

/* As many come with a message at most: Linux has this limit. */
#define VD_FOREIGN_MAX 253

/* What comes out of band by this unix socket is read as anything else. */
void vd_foreign_inline(int fd);

/* What is being closed of one source of descriptors. */
struct vd_foreign;

/* Return: of nothing yet; NULL: no memory. vd_foreign_destroy() is the caller's. */
struct vd_foreign *vd_foreign_create(void);
/* Nobody wants to know any more; what is being closed goes on. */
void vd_foreign_destroy(struct vd_foreign *f);
/* Return: how many are not closed yet. */
unsigned int vd_foreign_closing(const struct vd_foreign *f);

/**
 * vd_foreign_close() - Close what is not ok, where it may take its time
 * @f: whose it was, or NULL
 * @fd: taken
 */
void vd_foreign_close(struct vd_foreign *f, int fd);

/**
 * vd_foreign_drop() - Close what was ok, or our end of a connection
 * @f: whose it was, or NULL
 * @fd: -1: nothing; set to -1. A socket's other end can send no more, from now on.
 *
 * At once, but for what is in a socket's queue and may take its time: as by vd_foreign_close().
 */
void vd_foreign_drop(struct vd_foreign *f, int *fd);

#endif
