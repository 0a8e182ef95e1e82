/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sigbus.h - a peer that truncates its memory file takes nothing but its own data away
 *
 * A page that is mapped but no longer in the file gives SIGBUS at the next touch, and would end
 * the process with every device in it. A program that asked for uvdpa_sigbus_guard() gets a zero
 * page in its place instead. A signal's handler belongs to the whole process, so this is the one
 * table that contexts share; a library that was not asked touches no signal.
 */
#ifndef VD_MEM_SIGBUS_H
#define VD_MEM_SIGBUS_H

#include <stddef.h>

/* A mapping of a peer's file begins, or ends, to be in use. Any thread. */
void vd_sigbus_add(void *addr, size_t len);
void vd_sigbus_del(void *addr);

#endif
