/* SPDX-License-Identifier: BSD-2-Clause */
#include "uvdpad/plan.h"

#include <string.h>

static struct json_object *text(const char *s)
{
	return json_object_new_string(s);
}

static struct json_object *name_of(const struct conf_dev *d)
{
	struct json_object *params = json_object_new_object();

	json_object_object_add(params, "name", text(d->name));
	return params;
}

/* Add a call to a row of them. Takes @params. */
static void plan(struct json_object **row, const char *method, struct json_object *params)
{
	struct json_object *call = json_object_new_array();

	json_object_array_add(call, text(method));
	json_object_array_add(call, params);
	if (!*row)
		*row = json_object_new_array();
	json_object_array_add(*row, call);
}

void plan_new(struct conf_dev *d)
{
	plan(&d->come, "dev.add", json_object_get(d->params));
}

void plan_gone(struct conf_dev *d)
{
	plan(&d->away, "dev.del", name_of(d));
}

static bool same(struct json_object *a, struct json_object *b, const char *key)
{
	struct json_object *x = NULL, *y = NULL;

	json_object_object_get_ex(a, key, &x);
	json_object_object_get_ex(b, key, &y);
	return json_object_equal(x, y);
}

/* The option of what can be set that changes this one of the parent's, or NULL. */
static const struct uvdpa_opt *setter(const struct uvdpa_dev *dev, const char *key)
{
	for (const struct uvdpa_opt *o = uvdpa_dev_settable(dev); o->key; o++)
		if (o->changes && !strcmp(o->changes, key))
			return o;
	return NULL;
}

/* What an option of the parent's is if nobody gives it; NULL: not to be written. */
static const char *unset(const struct uvdpa_dev *dev, const char *key)
{
	const struct uvdpa_opt *o = uvdpa_parent_opts(uvdpa_dev_parent(dev));

	while (o->key && strcmp(o->key, key))
		o++;
	if (!o->key || o->def)
		return o->def;
	if (o->type == UVDPA_OPT_BOOL)
		return "off";
	return o->type == UVDPA_OPT_STRING || o->type == UVDPA_OPT_PATH || o->min ? NULL : "0";
}

/* Add one to what shall be set. Return: whether it can be. */
static bool set_one(const struct uvdpa_dev *dev, const char *key, const char *value,
		    struct json_object *set)
{
	const struct uvdpa_opt *o = setter(dev, key);

	if (!value)
		value = unset(dev, key);
	if (!o || !value)
		return false;
	json_object_object_add(set, o->key, text(value));
	return true;
}

/* Options that differ. Return: what to set, perhaps nothing; NULL: it cannot be done in place. */
static struct json_object *difference(const struct uvdpa_dev *dev, const struct conf_dev *d)
{
	struct json_object *set = json_object_new_object(), *was = NULL, *is = NULL;
	bool can = true;

	json_object_object_get_ex(d->made, "attrs", &was);
	json_object_object_get_ex(d->params, "attrs", &is);
	json_object_object_foreach(is, key, value)
	{
		if (!same(was, is, key))
			can = can && set_one(dev, key, json_object_get_string(value), set);
	}
	json_object_object_foreach(was, old, unused)
	{
		(void)unused;
		if (!json_object_object_get_ex(is, old, NULL))
			can = can && set_one(dev, old, NULL, set);
	}
	if (can)
		return set;
	json_object_put(set);
	return NULL;
}

static struct json_object *bind_params(const struct conf_dev *d)
{
	struct json_object *params = name_of(d), *driver, *attrs;

	json_object_object_get_ex(d->params, "driver", &driver);
	json_object_object_add(params, "driver", json_object_get(driver));
	if (json_object_object_get_ex(d->params, "driver_attrs", &attrs))
		json_object_object_add(params, "attrs", json_object_get(attrs));
	return params;
}

static void plan_override(struct conf_dev *d, const char *driver)
{
	struct json_object *params = name_of(d);

	json_object_object_add(params, "driver", text(driver));
	plan(&d->come, "dev.override", params);
}

/* Another driver: from the present one first; an override is in the way of the next. */
static void plan_move(struct conf_dev *d, bool move)
{
	bool next = json_object_object_get_ex(d->params, "driver", NULL);
	struct json_object *override = NULL;

	json_object_object_get_ex(d->params, "driver_override", &override);
	if (move) {
		plan(&d->away, "dev.unbind", name_of(d));
		if (next) {
			plan_override(d, "");
			plan(&d->come, "dev.bind", bind_params(d));
		}
	}
	if ((move && next && override) || !same(d->made, d->params, "driver_override"))
		plan_override(d, override ? json_object_get_string(override) : "");
}

/* What can be refused is tried while the device has all that it had. Takes @attrs. Return: whether it was
 * taken; else that is told, and what the line says beside it is left undone, too. */
static bool set_now(struct provision *p, struct conf_dev *d, struct json_object *attrs)
{
	struct json_object *params = name_of(d);
	bool ok;

	json_object_object_add(params, "attrs", attrs);
	d->call = (struct vd_call){ 0 };
	vd_call_start(p->u, "dev.set", params, &d->call); /* takes no time */
	json_object_put(params);
	ok = !d->call.error;
	if (!ok) {
		provision_failed(p, d, "; nothing of this line is done");
	} else if (json_object_object_get_ex(d->params, "attrs", &attrs)) {
		json_object_object_add(d->made, "attrs", json_object_get(attrs));
	}
	json_object_put(d->call.result);
	json_object_put(d->call.error);
	return ok;
}

/* A device that is there, and whose line is another: by the least that does it. Return: whether there is
 * a way. */
static bool plan_change(struct provision *p, struct conf_dev *d, const struct uvdpa_dev *dev)
{
	bool move = d->odd || !same(d->made, d->params, "driver") ||
		    !same(d->made, d->params, "driver_attrs");
	struct json_object *attrs = NULL;

	if (same(d->made, d->params, "mgmtdev") && same(d->made, d->params, "features"))
		attrs = difference(dev, d);
	if (!attrs) {
		plan_gone(d);
		plan_new(d);
		return true;
	}
	if (!json_object_object_length(attrs))
		json_object_put(attrs);
	else if (!set_now(p, d, attrs))
		return false;
	plan_move(d, move);
	return true;
}

void plan_dev(struct provision *p, struct conf_dev *d)
{
	struct uvdpa_dev *dev = d->made ? uvdpa_dev_find(p->u, d->name) : NULL;

	if (!dev) {
		plan_new(d);
		d->counts = &p->added;
	} else if (!d->odd && json_object_equal(d->made, d->params)) {
		p->same++;
	} else if (plan_change(p, d, dev)) {
		d->counts = &p->changed;
	}
}
