/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dev.c - devices: making, naming, finding, and what is told of them
 */
#include "core/dev.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/sized.h"
#include "core/opt.h"

#define OVERRIDE_MAX 255u

struct uvdpa *uvdpa_dev_context(const struct uvdpa_dev *dev)
{
	return dev->core->u;
}

struct uvdpa_binding *vd_dev_binding(const struct uvdpa_dev *dev)
{
	return dev->core->bind.b;
}

/* ---- events -------------------------------------------------------------------------------- */

void vd_dev_raise(struct vd_dev *d, enum uvdpa_event ev)
{
	d->to_tell |= 1u << ev;
	vd_loop_post(&d->u->loop, &d->tell_post);
}

void vd_dev_raise_driver(struct vd_dev *d, enum uvdpa_event ev)
{
	d->to_driver |= 1u << ev;
	vd_loop_post(&d->u->loop, &d->tell_post);
}

/* One event, if it was noted; it changes what observers believe. */
static void tell(struct vd_dev *d, enum uvdpa_event ev)
{
	static const struct {
		unsigned int set, clear;
	} change[] = {
		[UVDPA_DEV_ADDED] = { 1u << UVDPA_DEV_ADDED, 0 },
		[UVDPA_DEV_READY] = { 1u << UVDPA_DEV_READY, 0 },
		[UVDPA_DEV_LOST] = { 0, 1u << UVDPA_DEV_READY },
		[UVDPA_DEV_BOUND] = { 1u << UVDPA_DEV_BOUND, 0 },
		[UVDPA_DEV_UNBOUND] = { 0, 1u << UVDPA_DEV_BOUND },
		[UVDPA_DEV_STATUS] = { 0, 0 },
		[UVDPA_DEV_CONFIG] = { 0, 0 },
		[UVDPA_DEV_REMOVED] = { 0, ~0u },
		[UVDPA_DEV_ATTRS] = { 0, 0 },
	};

	if (!(d->to_tell & 1u << ev))
		return;
	d->to_tell &= ~(1u << ev);
	d->told = (d->told & ~change[ev].clear) | change[ev].set;
	vd_watch_tell(d, ev);
}

/* Of a pair that was noted together, the one that fits what is believed comes first. */
static void tell_pair(struct vd_dev *d, enum uvdpa_event on, enum uvdpa_event off)
{
	if (d->told & 1u << on) {
		tell(d, off);
		tell(d, on);
	} else {
		tell(d, on);
		tell(d, off);
	}
}

static void tell_driver(struct vd_dev *d)
{
	static const enum uvdpa_event order[] = { UVDPA_DEV_LOST, UVDPA_DEV_READY,
						  UVDPA_DEV_STATUS, UVDPA_DEV_CONFIG };

	for (unsigned int i = 0; i < VD_ARRAY_SIZE(order); i++) {
		if (!(d->to_driver & 1u << order[i]))
			continue;
		d->to_driver &= ~(1u << order[i]);
		if (d->bind.b)
			d->bind.now.driver->changed(d->bind.b, order[i]);
	}
}

void vd_dev_tell(struct vd_dev *d)
{
	tell_driver(d);
	tell(d, UVDPA_DEV_ADDED);
	tell_pair(d, UVDPA_DEV_READY, UVDPA_DEV_LOST);
	tell_pair(d, UVDPA_DEV_BOUND, UVDPA_DEV_UNBOUND);
	tell(d, UVDPA_DEV_STATUS);
	tell(d, UVDPA_DEV_CONFIG);
	tell(d, UVDPA_DEV_ATTRS);
	tell(d, UVDPA_DEV_REMOVED);
}

static void tell_later(struct vd_post *p)
{
	vd_dev_tell(container_of(p, struct vd_dev, tell_post));
}

/* ---- making -------------------------------------------------------------------------------- */

/* The opposite of create(): of the bus's part alone. */
static void release(struct vd_dev *d)
{
	vd_post_del(&d->u->loop, &d->tell_post);
	vd_bind_fini(d);
	vd_gate_fini(d);
	vd_opts_free(d->parent->opts, d->conf);
	vd_attrs_fini(&d->attrs);
	free(d->override);
	free(d);
}

void vd_dev_free(struct vd_dev *d)
{
	struct uvdpa_dev *dev = d->dev;

	/* Its threads end in there, so what they may still look at goes afterwards. */
	vd_trace(&d->u->log, d->name, "destroy");
	dev->ops->destroy(dev);
	release(d);
}

static int name_check(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	size_t n;

	if (!name)
		return vd_err(-EINVAL, "a device needs a name");
	n = strlen(name);
	if (n < 1 || n > UVDPA_NAME_MAX)
		return vd_err(-EINVAL, "name of %zu characters, not 1 to %d", n, UVDPA_NAME_MAX);
	if (name[0] == '.' || name[0] == '-')
		return vd_err(-EINVAL, "name %s begins with \"%c\"", name, name[0]);
	if (strspn(name, allowed) != n)
		return vd_err(-EINVAL, "name %s: only A-Z a-z 0-9 . _ - are allowed", name);
	return 0;
}

static int opts_take(const struct uvdpa_dev_opts *given, struct uvdpa_dev_opts *o)
{
	int r = VD_SIZED_TAKE("options of a device", given, o, driver_override);

	if (!r && !o->mgmtdev)
		r = vd_err(-EINVAL, "a device needs a mgmtdev");
	return r;
}

/* Info is complete: is it sound, and may it be what was asked for? */
static int take_info(struct vd_dev *d)
{
	struct uvdpa_dev_info *info = &d->dev->info;
	const uint64_t version_1 = 1ull << VIRTIO_F_VERSION_1;
	int r;

	/* What a simple parent leaves zero. */
	info->ngroups = vd_max(info->ngroups, 1u);
	info->nas = vd_max(info->nas, 1u);
	info->vq_num_min = vd_max(info->vq_num_min, 1u);
	if (!info->iova_last)
		info->iova_last = UINT64_MAX;

	if (d->features_mask & ~info->features)
		return vd_err(-EOPNOTSUPP, "%s: features 0x%llx are not offered", d->name,
			      (unsigned long long)(d->features_mask & ~info->features));
	/* Nothing here speaks the legacy interface (virtio 1.3, 7.4). */
	if (d->features_mask && (info->features & ~d->features_mask & version_1))
		return vd_err(-EINVAL, "%s: features without VERSION_1", d->name);
	if (d->features_mask)
		info->features &= d->features_mask;
	r = vd_gate_open(d);
	if (r)
		return r;
	if (d->dev->set)
		r = vd_opts_check(d->name, d->dev->set->opts, d->dev->set->conf_size);
	if (r)
		return r;
	d->known = true;
	d->ready = true;
	return 0;
}

static bool ops_complete(const struct uvdpa_dev *dev)
{
	const struct uvdpa_dev_ops *o = dev->ops;

	return o && o->reset && o->set_features && o->set_status && o->get_config &&
	       o->set_config && o->set_vq && o->set_call && o->enable_vq && o->quiesce &&
	       o->get_vq && o->kick && o->destroy &&
	       (!dev->mem || (dev->mem->map && dev->mem->unmap && dev->mem->commit)) &&
	       (!dev->stats || dev->stats->get) &&
	       (!dev->set || (dev->set->opts && dev->set->set)) && (!dev->show || dev->show->show);
}

static int set_override(struct vd_dev *d, const char *driver)
{
	char *copy = NULL;
	size_t len = driver ? strlen(driver) : 0;

	if (len > OVERRIDE_MAX)
		return vd_err(-EINVAL, "%s: driver_override of %zu bytes, at most %u", d->name, len,
			      OVERRIDE_MAX);
	for (size_t i = 0; i < len; i++)
		if (driver[i] < ' ' || driver[i] > '~')
			return vd_err(-EINVAL, "%s: byte %#x in driver_override", d->name,
				      (unsigned char)driver[i]);
	if (len) {
		copy = strdup(driver);
		if (!copy)
			return vd_err(-ENOMEM, "%s: override: out of memory", d->name);
	}
	free(d->override);
	d->override = copy;
	return 0;
}

static int create(struct uvdpa *u, const struct uvdpa_dev_opts *o,
		  const struct uvdpa_parent *parent, struct vd_dev **ret_d)
{
	struct vd_dev *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return vd_err(-ENOMEM, "%s: out of memory", o->name);
	d->u = u;
	d->parent = parent;
	d->features_mask = o->features;
	d->tell_post.fn = tell_later;
	vd_list_init(&d->node);
	memcpy(d->name, o->name, strlen(o->name) + 1);
	vd_gate_init(d);
	vd_bind_init(d);
	r = vd_opts_parse(parent->name, parent->opts, parent->conf_size, o->attrs, o->nattrs,
			  &d->conf);
	if (!r && o->features)
		r = vd_opts_allow(parent->name, parent->opts, o->attrs, o->nattrs, o->features);
	if (!r)
		r = vd_attrs_copy(&d->attrs, o->attrs, o->nattrs);
	if (!r)
		r = set_override(d, o->driver_override);
	if (r) {
		release(d);
		return r;
	}
	*ret_d = d;
	return 0;
}

/* Let the parent make it. Return: 0; -EINPROGRESS; -errno, nothing is left of the parent's. */
static int make(struct vd_dev *d)
{
	struct uvdpa_dev *dev = NULL;
	int r, made;

	vd_trace(&d->u->log, d->name, "add by %s", d->parent->name);
	made = d->parent->add(d->u, d->name, d->conf, &dev);
	if (made && made != -EINPROGRESS)
		return made;
	d->dev = dev;
	dev->core = d;
	if (!ops_complete(dev)) {
		/* destroy may be what is missing; its author sees this the first time. */
		r = vd_err(-EINVAL, "%s: the operations of parent %s are incomplete", d->name,
			   d->parent->name);
	} else {
		r = made ? 0 : take_info(d);
	}
	if (r && dev->ops && dev->ops->destroy)
		dev->ops->destroy(dev);
	return r ? r : made;
}

/* All that can be known before the parent is asked. On success both are the caller's. */
static int prepare(struct uvdpa *u, const struct uvdpa_dev_opts *given, struct vd_choice *choice,
		   struct vd_dev **ret_d)
{
	const struct uvdpa_parent *parent;
	struct uvdpa_dev_opts o;
	int r = vd_ctx_mine(u);

	if (!r)
		r = opts_take(given, &o);
	if (!r)
		r = name_check(o.name);
	if (!r && u->ending)
		r = vd_err(-ENODEV, "%s: its context is being destroyed", o.name);
	if (r)
		return r;
	parent = uvdpa_parent_find(u, o.mgmtdev);
	if (!parent) {
		vd_parent_unknown(u, o.mgmtdev);
		return vd_err_prefix(-ENODEV, "%s: ", o.name);
	}
	if (o.driver)
		r = vd_choice_make(u, o.name, o.driver, o.driver_attrs, o.ndriver_attrs, choice);
	else if (o.ndriver_attrs)
		r = vd_err(-EINVAL, "%s: options for a bus driver, but no bus driver", o.name);
	if (!r)
		r = create(u, &o, parent, ret_d);
	if (r)
		vd_choice_fini(choice);
	return r;
}

int uvdpa_dev_check(struct uvdpa *u, const struct uvdpa_dev_opts *o)
{
	struct vd_choice choice = { 0 };
	struct vd_dev *d;
	int r = prepare(u, o, &choice, &d);

	if (!r)
		release(d);
	vd_choice_fini(&choice);
	return r;
}

int uvdpa_dev_add(struct uvdpa *u, const struct uvdpa_dev_opts *o, struct uvdpa_dev **ret_dev,
		  struct uvdpa_wait *w)
{
	struct vd_choice choice = { 0 };
	struct vd_dev *d;
	int r = prepare(u, o, &choice, &d);

	if (r)
		return r;
	r = uvdpa_dev_find(u, d->name) ? vd_err(-EEXIST, "name %s is taken", d->name) : make(d);
	if (r && r != -EINPROGRESS) {
		vd_choice_fini(&choice);
		release(d);
		return r;
	}
	vd_list_add(&u->devs, &d->node);
	vd_dev_raise(d, UVDPA_DEV_ADDED);
	if (!r)
		vd_dev_raise(d, UVDPA_DEV_READY);
	d->bind.adding = true;
	r = vd_bind_begin(d, &choice, w);
	if (r && r != -EINPROGRESS) {
		/* Nobody has heard of it yet. */
		vd_bind_bury(d);
		return r;
	}
	*ret_dev = d->dev;
	return r;
}

/* ---- what the parent tells ----------------------------------------------------------------- */

void uvdpa_dev_arrived(struct uvdpa_dev *dev, int err)
{
	struct vd_dev *d = dev->core;

	if (!vd_ctx_admits(d->u, __func__) || d->bind.gone)
		return;
	if (!d->known) {
		if (!err)
			err = take_info(d);
		if (!err)
			vd_dev_raise(d, UVDPA_DEV_READY);
		vd_bind_ready(d, err);
		return;
	}
	if (d->ready || err)
		return;
	d->ready = true;
	err = vd_gate_replay(d);
	if (err)
		vd_log_error(&d->u->log, d->name, "came back, but: %s", vd_err_text());
	vd_dev_raise(d, UVDPA_DEV_READY);
	vd_dev_raise_driver(d, UVDPA_DEV_READY);
}

void uvdpa_dev_lost(struct uvdpa_dev *dev)
{
	struct vd_dev *d = dev->core;

	if (!vd_ctx_admits(d->u, __func__) || !d->ready)
		return;
	vd_trace(&d->u->log, d->name, "lost");
	d->ready = false;
	vd_dev_raise(d, UVDPA_DEV_LOST);
	vd_dev_raise_driver(d, UVDPA_DEV_LOST);
}

/* ---- finding and reading ------------------------------------------------------------------- */

struct uvdpa_dev *uvdpa_dev_find(const struct uvdpa *u, const char *name)
{
	struct vd_dev *d;

	vd_list_for_each(d, &u->devs, node)
		if (!strcmp(d->name, name))
			return d->dev;
	return NULL;
}

struct uvdpa_dev *uvdpa_dev_next(const struct uvdpa *u, const struct uvdpa_dev *prev)
{
	struct vd_list *next = prev ? prev->core->node.next : u->devs.next;

	/* One that is being told as removed is in no list. */
	if (next == &u->devs || (prev && next == &prev->core->node))
		return NULL;
	return container_of(next, struct vd_dev, node)->dev;
}

const char *uvdpa_dev_name(const struct uvdpa_dev *dev)
{
	return dev->core->name;
}

const struct uvdpa_dev_info *uvdpa_dev_info(const struct uvdpa_dev *dev)
{
	return &dev->info;
}

const struct uvdpa_parent *uvdpa_dev_parent(const struct uvdpa_dev *dev)
{
	return dev->core->parent;
}

const struct uvdpa_driver *uvdpa_dev_driver(const struct uvdpa_dev *dev)
{
	return dev->core->bind.now.driver;
}

const char *uvdpa_dev_override(const struct uvdpa_dev *dev)
{
	return dev->core->override;
}

bool uvdpa_dev_ready(const struct uvdpa_dev *dev)
{
	return dev->core->ready;
}

int uvdpa_dev_set_override(struct uvdpa_dev *dev, const char *driver)
{
	int r = vd_ctx_mine(dev->core->u);

	if (!r)
		r = set_override(dev->core, driver);
	if (!r)
		vd_dev_raise(dev->core, UVDPA_DEV_ATTRS);
	return r;
}

static uint64_t given(const struct uvdpa_opt *opts, const struct uvdpa_attr *attrs, unsigned int n)
{
	uint64_t bits = 0;

	for (unsigned int i = 0; opts[i].key; i++)
		for (unsigned int k = 0; k < n; k++)
			if (!strcmp(opts[i].key, attrs[k].key))
				bits |= 1ull << i;
	return bits;
}

/* May the parent be given this, when the device is made again? */
static bool takes(const struct vd_dev *d, const struct uvdpa_attr *a)
{
	const struct uvdpa_parent *p = d->parent;
	const struct uvdpa_opt *o = vd_opts_find(p->opts, a->key);

	return o && !vd_opts_takes(p->name, o, a->value) &&
	       (!d->features_mask || !vd_opts_allow(p->name, p->opts, a, 1, d->features_mask));
}

/* What the device is made of once @attrs, which can be set, are set. */
static int provisioned(const struct vd_dev *d, const struct uvdpa_attr *attrs, unsigned int n,
		       struct vd_attrs *ret_now)
{
	int r = vd_attrs_copy(ret_now, d->attrs.v, d->attrs.n);

	for (unsigned int i = 0; !r && i < n; i++) {
		const struct uvdpa_opt *o = vd_opts_find(d->dev->set->opts, attrs[i].key);
		const struct uvdpa_attr a = { o->changes, attrs[i].value };

		if (a.key && takes(d, &a))
			r = vd_attrs_put(ret_now, a.key, a.value);
	}
	return r;
}

int uvdpa_dev_set(struct uvdpa_dev *dev, const struct uvdpa_attr *attrs, unsigned int nattrs)
{
	struct vd_dev *d = dev->core;
	const struct uvdpa_set_ops *set = dev->set;
	struct vd_attrs now = { 0 };
	void *conf;
	int r = vd_ctx_mine(d->u);

	if (r)
		return r;
	if (!d->known || d->bind.deleting)
		return vd_err(-ENODEV, "%s: not ready", d->name);
	if (!set)
		return vd_err(-EOPNOTSUPP, "%s: its parent %s changes nothing", d->name,
			      d->parent->name);
	if (!nattrs)
		return vd_err(-EINVAL, "%s: nothing to set", d->name);
	r = vd_opts_parse(d->name, set->opts, set->conf_size, attrs, nattrs, &conf);
	if (r)
		return r;
	/* What it is made of then comes first: the change itself cannot be undone. */
	r = provisioned(d, attrs, nattrs, &now);
	if (!r)
		r = set->set(dev, conf, given(set->opts, attrs, nattrs));
	if (!r) {
		struct vd_attrs before = d->attrs;

		d->attrs = now;
		now = before;
		vd_dev_raise(d, UVDPA_DEV_ATTRS);
	}
	vd_attrs_fini(&now);
	vd_opts_free(set->opts, conf);
	return r;
}

void uvdpa_dev_attrs(const struct uvdpa_dev *dev, struct uvdpa_emit *e)
{
	vd_attrs_emit(&dev->core->attrs, e);
}

const struct uvdpa_driver *uvdpa_dev_driver_attrs(const struct uvdpa_dev *dev, struct uvdpa_emit *e)
{
	const struct vd_bind *bind = &dev->core->bind;
	const struct vd_choice *c = bind->next.driver ? &bind->next : &bind->now;

	vd_attrs_emit(&c->attrs, e);
	return c->driver;
}

uint64_t uvdpa_dev_features_mask(const struct uvdpa_dev *dev)
{
	return dev->core->features_mask;
}

const struct uvdpa_opt *uvdpa_dev_settable(const struct uvdpa_dev *dev)
{
	static const struct uvdpa_opt none;

	return dev->set ? dev->set->opts : &none;
}

void uvdpa_dev_show(struct uvdpa_dev *dev, struct uvdpa_emit *e)
{
	if (dev->core->known && dev->show)
		dev->show->show(dev, e);
}

int uvdpa_dev_describe(struct uvdpa_dev *dev, struct uvdpa_emit *e)
{
	struct vd_bind *bind = &dev->core->bind;
	int r = vd_ctx_mine(dev->core->u);

	if (r)
		return r;
	if (!bind->b)
		return vd_err(-ENODEV, "%s is not bound", dev->core->name);
	bind->now.driver->describe(bind->b, e);
	return 0;
}

int uvdpa_dev_stats(struct uvdpa_dev *dev, unsigned int idx, struct uvdpa_emit *e)
{
	struct vd_dev *d = dev->core;
	int r = vd_ctx_mine(d->u);

	if (r)
		return r;
	if (!dev->stats)
		return vd_err(-EOPNOTSUPP, "%s: its parent counts nothing", d->name);
	if (!d->known || idx >= dev->info.nvqs)
		return vd_err(-EINVAL, "%s: queue index exceeds max value: %u of %u", d->name, idx,
			      dev->info.nvqs);
	return dev->stats->get(dev, idx, e);
}
