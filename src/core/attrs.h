/* SPDX-License-Identifier: BSD-2-Clause */
/* attrs.h - options that are kept as they were written, to be read back */
#ifndef VD_CORE_ATTRS_H
#define VD_CORE_ATTRS_H

#include <uvdpa/uvdpa.h>

/* Zero it: none. The strings are its own. */
struct vd_attrs {
	struct uvdpa_attr *v;
	unsigned int n;
};

/**
 * vd_attrs_copy() - Keep what was written
 * @a: none yet; to be given to vd_attrs_fini(), also on failure
 * @attrs: borrowed; no string is NULL
 *
 * Return: 0; -ENOMEM.
 */
int vd_attrs_copy(struct vd_attrs *a, const struct uvdpa_attr *attrs, unsigned int n);

/* A key has another value, or is new. Return: 0; -ENOMEM, nothing has changed. */
int vd_attrs_put(struct vd_attrs *a, const char *key, const char *value);

/* Tell all, in the order in which they were written. */
void vd_attrs_emit(const struct vd_attrs *a, struct uvdpa_emit *e);

void vd_attrs_fini(struct vd_attrs *a);

#endif
