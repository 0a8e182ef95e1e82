/* SPDX-License-Identifier: BSD-2-Clause */
/* sized.h - structures of a caller that begin with their size, so that they can grow */
#ifndef VD_BASE_SIZED_H
#define VD_BASE_SIZED_H

#include <stddef.h>

/**
 * vd_sized_take() - Copy a caller's structure, be it of an earlier or of a later version
 * @what: it is, for the sentence
 * @from: the caller's; begins with a size_t, its size
 * @to: receives it, zero where the caller's ends
 * @known: bytes of @to
 * @least: bytes that every version has
 *
 * Return: 0; -EINVAL it is shorter than @least, or something is set beyond @known.
 */
int vd_sized_take(const char *what, const void *from, void *to, size_t known, size_t least);

/* The same; @last is the last member that the first release had. */
#define VD_SIZED_TAKE(what, from, to, last)             \
	vd_sized_take(what, from, to, sizeof(*(to)),    \
		      offsetof(__typeof__(*(to)), last) + sizeof((to)->last) + \
			      0 * sizeof((from) == (to)))

#endif
