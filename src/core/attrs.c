/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/attrs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static int no_memory(void)
{
	return vd_err(-ENOMEM, "options: out of memory");
}

int vd_attrs_put(struct vd_attrs *a, const char *key, const char *value)
{
	char *copy = strdup(value);
	struct uvdpa_attr *grown;
	unsigned int i = 0;

	if (!copy)
		return no_memory();
	while (i < a->n && strcmp(a->v[i].key, key))
		i++;
	if (i < a->n) {
		free((char *)(uintptr_t)a->v[i].value);
		a->v[i].value = copy;
		return 0;
	}
	grown = reallocarray(a->v, a->n + 1, sizeof(*a->v));
	if (grown) {
		a->v = grown;
		a->v[a->n].key = strdup(key);
		a->v[a->n].value = copy;
	}
	if (!grown || !a->v[a->n].key) {
		free(copy);
		return no_memory();
	}
	a->n++;
	return 0;
}

int vd_attrs_copy(struct vd_attrs *a, const struct uvdpa_attr *attrs, unsigned int n)
{
	int r = 0;

	for (unsigned int i = 0; !r && i < n; i++)
		r = vd_attrs_put(a, attrs[i].key, attrs[i].value);
	return r;
}

void vd_attrs_emit(const struct vd_attrs *a, struct uvdpa_emit *e)
{
	for (unsigned int i = 0; i < a->n; i++)
		e->str(e, a->v[i].key, a->v[i].value);
}

void vd_attrs_fini(struct vd_attrs *a)
{
	for (unsigned int i = 0; i < a->n; i++) {
		free((char *)(uintptr_t)a->v[i].key);
		free((char *)(uintptr_t)a->v[i].value);
	}
	free(a->v);
	*a = (struct vd_attrs){ 0 };
}
