/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * registry.c - the parents and bus drivers of a context
 *
 * A table is checked once, here, so nobody asks for a NULL slot later.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/guess.h"
#include "core/context.h"
#include "core/opt.h"

const struct uvdpa_parent *uvdpa_parent_find(const struct uvdpa *u, const char *name)
{
	for (unsigned int i = 0; i < u->nparents; i++)
		if (!strcmp(u->parents[i]->name, name))
			return u->parents[i];
	return NULL;
}

const struct uvdpa_driver *uvdpa_driver_find(const struct uvdpa *u, const char *name)
{
	for (unsigned int i = 0; i < u->ndrivers; i++)
		if (!strcmp(u->drivers[i]->name, name) ||
		    (u->drivers[i]->alias && !strcmp(u->drivers[i]->alias, name)))
			return u->drivers[i];
	return NULL;
}

int vd_parent_unknown(const struct uvdpa *u, const char *name)
{
	const char *best = NULL;

	for (unsigned int i = 0; i < u->nparents; i++)
		best = vd_guess(name, best, u->parents[i]->name);
	return vd_err_guess(
		vd_err(-ENODEV, "Fail to find the specified management device: \"%s\"", name),
		best);
}

int vd_driver_unknown(const struct uvdpa *u, const char *name)
{
	const char *best = NULL;

	for (unsigned int i = 0; i < u->ndrivers; i++) {
		best = vd_guess(name, best, u->drivers[i]->name);
		if (u->drivers[i]->alias)
			best = vd_guess(name, best, u->drivers[i]->alias);
	}
	return vd_err_guess(vd_err(-ENODEV, "no bus driver \"%s\"", name), best);
}

int uvdpa_parent_register(struct uvdpa *u, const struct uvdpa_parent *p)
{
	const struct uvdpa_parent **more;
	int r = vd_ctx_mine(u);

	if (r)
		return r;
	if (!p->name || !p->help || !p->device_ids || !p->opts || !p->add)
		return vd_err(-EINVAL, "parent %s: its table is incomplete",
			      p->name ? p->name : "without a name");
	r = vd_opts_check(p->name, p->opts, p->conf_size);
	if (r)
		return r;
	if (uvdpa_parent_find(u, p->name))
		return vd_err(-EEXIST, "parent %s is registered already", p->name);
	more = reallocarray(u->parents, u->nparents + 1, sizeof(*more));
	if (!more)
		return vd_err(-ENOMEM, "parent %s: out of memory", p->name);
	u->parents = more;
	more[u->nparents++] = p;
	return 0;
}

int uvdpa_driver_register(struct uvdpa *u, const struct uvdpa_driver *d)
{
	const struct uvdpa_driver **more;
	int r = vd_ctx_mine(u);

	if (r)
		return r;
	if (!d->name || !d->help || !d->opts || !d->probe || !d->quiesce || !d->remove ||
	    !d->changed || !d->describe)
		return vd_err(-EINVAL, "driver %s: its table is incomplete",
			      d->name ? d->name : "without a name");
	r = vd_opts_check(d->name, d->opts, d->conf_size);
	if (r)
		return r;
	if (uvdpa_driver_find(u, d->name))
		return vd_err(-EEXIST, "driver %s is registered already", d->name);
	if (d->alias && uvdpa_driver_find(u, d->alias))
		return vd_err(-EEXIST, "driver %s: %s is registered already", d->name, d->alias);
	more = reallocarray(u->drivers, u->ndrivers + 1, sizeof(*more));
	if (!more)
		return vd_err(-ENOMEM, "driver %s: out of memory", d->name);
	u->drivers = more;
	more[u->ndrivers++] = d;
	return 0;
}

const struct uvdpa_parent *uvdpa_parent_next(const struct uvdpa *u,
					     const struct uvdpa_parent *prev)
{
	unsigned int i = 0;

	while (prev && i < u->nparents && u->parents[i++] != prev)
		;
	return i < u->nparents ? u->parents[i] : NULL;
}

const struct uvdpa_driver *uvdpa_driver_next(const struct uvdpa *u,
					     const struct uvdpa_driver *prev)
{
	unsigned int i = 0;

	while (prev && i < u->ndrivers && u->drivers[i++] != prev)
		;
	return i < u->ndrivers ? u->drivers[i] : NULL;
}

const char *uvdpa_parent_name(const struct uvdpa_parent *p)
{
	return p->name;
}

const char *uvdpa_parent_help(const struct uvdpa_parent *p)
{
	return p->help;
}

const struct uvdpa_opt *uvdpa_parent_opts(const struct uvdpa_parent *p)
{
	return p->opts;
}

const uint32_t *uvdpa_parent_device_ids(const struct uvdpa_parent *p)
{
	return p->device_ids;
}

uint64_t uvdpa_parent_features(const struct uvdpa_parent *p)
{
	return p->features;
}

unsigned int uvdpa_parent_max_vqs(const struct uvdpa_parent *p)
{
	return p->max_vqs;
}

const char *uvdpa_driver_name(const struct uvdpa_driver *d)
{
	return d->name;
}

const char *uvdpa_driver_alias(const struct uvdpa_driver *d)
{
	return d->alias;
}

const char *uvdpa_driver_help(const struct uvdpa_driver *d)
{
	return d->help;
}

const struct uvdpa_opt *uvdpa_driver_opts(const struct uvdpa_driver *d)
{
	return d->opts;
}
