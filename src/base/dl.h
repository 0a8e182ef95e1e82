/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dl.h - a library that is loaded when it is wanted
 *
 * For those that bring much with them and that few need. What a user of one has:
 *
 *	#define VD_X_LIB(X) X(x_open) X(x_close)	the names, once
 *	struct vd_x_lib { VD_X_LIB(VD_DL_MEMBER) };	a pointer for each, of its type in <x.h>
 *	static const struct vd_dl_name names[] = { VD_X_LIB(NAME) };	NAME(fn): VD_DL_NAME()
 */
#ifndef VD_BASE_DL_H
#define VD_BASE_DL_H

#include "base/util.h"

struct vd_dl_name {
	const char *name;
	size_t at;	/* of its pointer in the table, bytes */
};

#define VD_DL_MEMBER(fn) typeof(fn) *fn;
#define VD_DL_NAME(table, fn) { #fn, offsetof(table, fn) },

/**
 * vd_dl_load() - Load a library, if this process does not have it yet, and find functions of it
 * @soname: the library; those that it depends on are searched too
 * @package: what to install, for messages
 * @names: what is looked for; @n of them
 * @table: the struct that they are pointers of; of no use after a failure
 *
 * What is loaded stays until the process ends: it may have threads.
 *
 * Return: 0; -EOPNOTSUPP: it is not installed, or too old.
 * Context: any thread, best a job's: it reads files, and runs what the library begins with.
 */
int vd_dl_load(const char *soname, const char *package, const struct vd_dl_name *names,
	       unsigned int n, void *table);

#endif
