/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * foreign.h - descriptors that came from a peer, before anything else looks at them
 *
 * fstat(), mmap() and even close() of a file on FUSE wait for whoever serves it, which may be the
 * peer; so does the close() of a TCP socket that lingers. The control thread must do none of these.
 */
#ifndef VD_BASE_FOREIGN_H
#define VD_BASE_FOREIGN_H

#include <stdbool.h>

/**
 * vd_foreign_ok() - Can it be used and closed without waiting for anybody?
 * @fd: from a peer, who may change its flags at any time
 *
 * Return: true for an eventfd and its like, an unnamed pipe, a unix socket, a file in memory, and
 * what is on a local file system that is mounted here. Does not wait to find it out.
 */
bool vd_foreign_ok(int fd);

/**
 * vd_foreign_close() - Close what is not ok, where it may take its time
 * @fd: taken
 */
void vd_foreign_close(int fd);

/* Return: how many of them are not closed yet. Any thread. */
unsigned int vd_foreign_closing(void);

#endif
