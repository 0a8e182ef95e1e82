/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * method.c - the table of methods
 *
 * A method's parameters are a table, too, checked before it runs (params.h). It returns as the
 * library's functions do: 0, -EINPROGRESS, or -errno with a sentence.
 */
#include "control/control.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/guess.h"
#include "config.h"
#include "control/params.h"

#define PARAMS_MAX 8

struct method {
	const char *name;
	int (*fn)(struct uvdpa *u, struct json_object *params, struct vd_call *call);
	struct vd_param params[PARAMS_MAX]; /* the last is empty */
};

struct json_object *vd_rpc_error(int code, int err, const char *text)
{
	struct json_object *o = json_object_new_object();
	struct json_object *data;
	const char *name;

	json_object_object_add(o, "code", json_object_new_int(code));
	json_object_object_add(o, "message", json_object_new_string(text));
	if (!err)
		return o;
	data = json_object_new_object();
	json_object_object_add(data, "errno", json_object_new_int(err));
	name = strerrorname_np(-err);
	json_object_object_add(data, "name", json_object_new_string(name ? name : "?"));
	json_object_object_add(o, "data", data);
	return o;
}

/* ---- methods ---------------------------------------------------------------------------- */

/* The library keeps its sentence where only uvdpa_error() finds it; take it over. */
static int lib(int r)
{
	return r < 0 && r != -EINPROGRESS ? vd_err(r, "%s", uvdpa_error()) : r;
}

static int find_dev(struct uvdpa *u, struct json_object *params, struct uvdpa_dev **ret_dev)
{
	const char *name = vd_param_str(params, "name"), *best = NULL;

	*ret_dev = uvdpa_dev_find(u, name);
	if (*ret_dev)
		return 0;
	for (struct uvdpa_dev *d = NULL; (d = uvdpa_dev_next(u, d));)
		best = vd_guess(name, best, uvdpa_dev_name(d));
	return vd_err_guess(vd_err(-ENODEV, "device not found: \"%s\"", name), best);
}

/* {"OUTER": {"NAME": INNER}} */
static struct json_object *nest(const char *outer, const char *name, struct json_object *inner)
{
	struct json_object *top = json_object_new_object();
	struct json_object *map = json_object_new_object();

	if (name)
		json_object_object_add(map, name, inner);
	json_object_object_add(top, outer, map);
	return top;
}

static int version(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	(void)u, (void)params;
	call->result = json_object_new_object();
	json_object_object_add(call->result, "version", json_object_new_string(UVDPA_VERSION));
	json_object_object_add(call->result, "protocol", json_object_new_int(VD_CONTROL_VERSION));
	return 0;
}

static int mgmtdev_show(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	const char *name = vd_param_str(params, "name");
	const struct uvdpa_parent *p = NULL;
	struct json_object *map = json_object_new_object();
	const char *best = NULL;

	while ((p = uvdpa_parent_next(u, p))) {
		if (name)
			best = vd_guess(name, best, uvdpa_parent_name(p));
		if (!name || !strcmp(name, uvdpa_parent_name(p)))
			json_object_object_add(map, uvdpa_parent_name(p), vd_show_parent(p));
	}
	if (name && !json_object_object_length(map)) {
		json_object_put(map);
		return vd_err_guess(
			vd_err(-ENODEV, "Fail to find the specified mgmt device: \"%s\"", name),
			best);
	}
	call->result = json_object_new_object();
	json_object_object_add(call->result, "mgmtdev", map);
	return 0;
}

static int driver_show(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	const char *name = vd_param_str(params, "name");
	const struct uvdpa_driver *d = NULL;
	struct json_object *map = json_object_new_object();
	const char *best = NULL;

	while ((d = uvdpa_driver_next(u, d))) {
		if (name)
			best = vd_guess(name, best, uvdpa_driver_name(d));
		if (name && uvdpa_driver_alias(d))
			best = vd_guess(name, best, uvdpa_driver_alias(d));
		if (!name || d == uvdpa_driver_find(u, name))
			json_object_object_add(map, uvdpa_driver_name(d), vd_show_driver(d));
	}
	if (name && !json_object_object_length(map)) {
		json_object_put(map);
		return vd_err_guess(vd_err(-ENODEV, "bus driver \"%s\" not found", name), best);
	}
	call->result = json_object_new_object();
	json_object_object_add(call->result, "driver", map);
	return 0;
}

/* Parameters of dev.add as the library takes them; all is borrowed from them. */
struct add_opts {
	struct uvdpa_dev_opts o;
	struct vd_attrs attrs, driver_attrs;
};

static void add_opts_free(struct add_opts *a)
{
	vd_attrs_free(&a->attrs);
	vd_attrs_free(&a->driver_attrs);
}

static int add_opts_get(struct add_opts *a, struct json_object *params)
{
	struct uvdpa_dev_opts *o = &a->o;
	struct json_object *bits;
	int r;

	*a = (struct add_opts){ .o = {
					.size = sizeof(*o),
					.name = vd_param_str(params, "name"),
					.mgmtdev = vd_param_str(params, "mgmtdev"),
					.driver = vd_param_str(params, "driver"),
					.driver_override = vd_param_str(params, "driver_override"),
				} };
	if (json_object_object_get_ex(params, "features", &bits))
		vd_param_bits(bits, &o->features);
	if (!o->driver && json_object_object_get_ex(params, "driver_attrs", NULL))
		return vd_err(-EINVAL, "%s: options for a bus driver, but no driver", o->name);
	r = vd_attrs_get(&a->attrs, params, "attrs");
	if (!r)
		r = vd_attrs_get(&a->driver_attrs, params, "driver_attrs");
	o->attrs = a->attrs.v;
	o->nattrs = a->attrs.n;
	o->driver_attrs = a->driver_attrs.v;
	o->ndriver_attrs = a->driver_attrs.n;
	return r;
}

static int dev_add(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	vd_cleanup(add_opts_free) struct add_opts a = { 0 };
	struct uvdpa_dev *dev;
	int r = add_opts_get(&a, params);

	return r ? r : lib(uvdpa_dev_add(u, &a.o, &dev, &call->wait));
}

static int dev_del(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	struct uvdpa_dev *dev;
	int r = find_dev(u, params, &dev);

	return r ? r : lib(uvdpa_dev_del(dev, &call->wait));
}

static int dev_show(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	struct uvdpa_dev *dev = NULL;
	struct json_object *map;
	int r;

	if (vd_param_str(params, "name")) {
		r = find_dev(u, params, &dev);
		if (!r)
			call->result = nest("dev", uvdpa_dev_name(dev), vd_show_dev(dev));
		return r;
	}
	map = json_object_new_object();
	while ((dev = uvdpa_dev_next(u, dev)))
		json_object_object_add(map, uvdpa_dev_name(dev), vd_show_dev(dev));
	call->result = json_object_new_object();
	json_object_object_add(call->result, "dev", map);
	return 0;
}

static int dev_bind(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	vd_cleanup(vd_attrs_free) struct vd_attrs attrs = { 0 };
	struct uvdpa_dev *dev;
	int r = find_dev(u, params, &dev);

	if (!r)
		r = vd_attrs_get(&attrs, params, "attrs");
	return r ? r
		 : lib(uvdpa_dev_bind(dev, vd_param_str(params, "driver"), attrs.v, attrs.n,
				      &call->wait));
}

static int dev_unbind(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	struct uvdpa_dev *dev;
	int r = find_dev(u, params, &dev);

	return r ? r : lib(uvdpa_dev_unbind(dev, &call->wait));
}

static int dev_set(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	struct vd_attrs attrs = { 0 };
	struct uvdpa_dev *dev;
	int r = find_dev(u, params, &dev);

	(void)call;
	if (!r)
		r = vd_attrs_get(&attrs, params, "attrs");
	if (!r)
		r = lib(uvdpa_dev_set(dev, attrs.v, attrs.n));
	vd_attrs_free(&attrs);
	return r;
}

static int dev_override(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	struct uvdpa_dev *dev;
	int r = find_dev(u, params, &dev);

	(void)call;
	return r ? r : lib(uvdpa_dev_set_override(dev, vd_param_str(params, "driver")));
}

static int describe_of(struct uvdpa_dev *dev, struct json_object *map)
{
	struct vd_emit_json e;
	int r;

	vd_emit_json_init(&e, json_object_new_object());
	r = lib(uvdpa_dev_describe(dev, &e.emit));
	if (r)
		json_object_put(e.obj);
	else
		json_object_object_add(map, uvdpa_dev_name(dev), e.obj);
	return r;
}

static int config_of(struct uvdpa_dev *dev, struct json_object *map)
{
	uint64_t features = uvdpa_dev_features(dev);
	struct vd_emit_json e;
	int r;

	vd_emit_json_init(&e, json_object_new_object());
	r = lib(uvdpa_dev_config_show(dev, &e.emit));
	if (r && r != -EOPNOTSUPP) { /* a type without words for it is shown, with none */
		json_object_put(e.obj);
		return r;
	}
	if (features)
		json_object_object_add(e.obj, "negotiated_features",
				       vd_show_features(uvdpa_dev_info(dev)->device_id, features));
	json_object_object_add(map, uvdpa_dev_name(dev), e.obj);
	return 0;
}

/* {"WHAT": {"NAME": {...}}} of one device, or of all that have something to tell. */
static int tell(struct uvdpa *u, struct json_object *params, struct vd_call *call, const char *what,
		int (*of)(struct uvdpa_dev *dev, struct json_object *map))
{
	struct uvdpa_dev *dev = NULL;
	struct json_object *map;
	int r = 0;

	if (vd_param_str(params, "name"))
		r = find_dev(u, params, &dev);
	if (r)
		return r;
	map = json_object_new_object();
	if (dev)
		r = of(dev, map);
	else
		while ((dev = uvdpa_dev_next(u, dev)))
			of(dev, map);
	if (r) {
		json_object_put(map);
		return r;
	}
	call->result = json_object_new_object();
	json_object_object_add(call->result, what, map);
	return 0;
}

static int dev_describe(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	return tell(u, params, call, "describe", describe_of);
}

static int dev_config_show(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	return tell(u, params, call, "config", config_of);
}

static int export_of(struct uvdpa_dev *dev, struct json_object *map)
{
	json_object_object_add(map, uvdpa_dev_name(dev), vd_show_provision(dev));
	return 0;
}

static int dev_export(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	return tell(u, params, call, "export", export_of);
}

static int settable_of(struct uvdpa_dev *dev, struct json_object *map)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "options", vd_show_opts(uvdpa_dev_settable(dev)));
	json_object_object_add(map, uvdpa_dev_name(dev), o);
	return 0;
}

static int dev_settable(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	return tell(u, params, call, "settable", settable_of);
}

static int stats_of(struct uvdpa_dev *dev, unsigned int idx, struct json_object *obj)
{
	struct vd_emit_json e;

	vd_emit_json_init(&e, obj);
	return lib(uvdpa_dev_stats(dev, idx, &e.emit));
}

/* {"queues": [...]}, each with its qidx. */
static int all_stats_of(struct uvdpa_dev *dev, struct json_object *map)
{
	struct json_object *obj = json_object_new_object(), *list = json_object_new_array();
	int r = 0;

	json_object_object_add(obj, "queues", list);
	for (unsigned int i = 0; !r && i < uvdpa_dev_info(dev)->nvqs; i++) {
		struct json_object *q = json_object_new_object();

		json_object_object_add(q, "qidx", json_object_new_int((int)i));
		json_object_array_add(list, q);
		r = stats_of(dev, i, q);
	}
	if (r)
		json_object_put(obj);
	else
		json_object_object_add(map, uvdpa_dev_name(dev), obj);
	return r;
}

/* With an index: its counters, as iproute2 has them. Without: a list of all. */
static int dev_vstats_show(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	struct json_object *idx, *obj;
	struct uvdpa_dev *dev;
	int r;

	if (!json_object_object_get_ex(params, "qidx", &idx))
		return tell(u, params, call, "vstats", all_stats_of);
	if (!vd_param_str(params, "name"))
		return vd_err(-EINVAL, "qidx %d, but of no device", json_object_get_int(idx));
	r = find_dev(u, params, &dev);
	if (r)
		return r;
	obj = json_object_new_object();
	r = stats_of(dev, (unsigned int)json_object_get_int(idx), obj);
	if (r)
		json_object_put(obj);
	else
		call->result = nest("vstats", uvdpa_dev_name(dev), obj);
	return r;
}

/* Events go to a connection, which is whoever's that started the call. */
static int events_subscribe(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	struct json_object *since;

	(void)u;
	call->watch = true;
	call->since = UINT64_MAX;
	if (json_object_object_get_ex(params, "since", &since))
		call->since = json_object_get_uint64(since);
	return 0;
}

static int no_log(void)
{
	return vd_err(-EOPNOTSUPP, "there is no log of which levels could be set");
}

static int log_show(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	(void)u, (void)params;
	if (!call->levels)
		return no_log();
	call->result = json_object_new_object();
	json_object_object_add(call->result, "log", vd_show_levels(call->levels->now));
	return 0;
}

/* Any name may be a part's: of a device that comes later, say. */
static int log_set(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	struct vd_levels levels;
	int r;

	(void)u;
	if (!call->levels)
		return no_log();
	levels = *call->levels->now;
	r = vd_levels_set(&levels, vd_param_str(params, "part"), vd_param_str(params, "level"));
	if (!r)
		call->levels->set(call->levels, &levels);
	return r;
}

static const struct method methods[] = {
	{ "version", version, { { 0 } } },
	{ "mgmtdev.show", mgmtdev_show, { { "name", VD_PARAM_TEXT, false } } },
	{ "driver.show", driver_show, { { "name", VD_PARAM_TEXT, false } } },
	{ "dev.add",
	  dev_add,
	  { { "name", VD_PARAM_TEXT, true },
	    { "mgmtdev", VD_PARAM_TEXT, true },
	    { "attrs", VD_PARAM_ATTRS, false },
	    { "features", VD_PARAM_BITS, false },
	    { "driver", VD_PARAM_TEXT, false },
	    { "driver_attrs", VD_PARAM_ATTRS, false },
	    { "driver_override", VD_PARAM_TEXT, false } } },
	{ "dev.del", dev_del, { { "name", VD_PARAM_TEXT, true } } },
	{ "dev.show", dev_show, { { "name", VD_PARAM_TEXT, false } } },
	{ "dev.bind",
	  dev_bind,
	  { { "name", VD_PARAM_TEXT, true },
	    { "driver", VD_PARAM_TEXT, true },
	    { "attrs", VD_PARAM_ATTRS, false } } },
	{ "dev.unbind", dev_unbind, { { "name", VD_PARAM_TEXT, true } } },
	{ "dev.set",
	  dev_set,
	  { { "name", VD_PARAM_TEXT, true }, { "attrs", VD_PARAM_ATTRS, true } } },
	{ "dev.override",
	  dev_override,
	  { { "name", VD_PARAM_TEXT, true }, { "driver", VD_PARAM_TEXT, true } } },
	{ "dev.describe", dev_describe, { { "name", VD_PARAM_TEXT, false } } },
	{ "dev.settable", dev_settable, { { "name", VD_PARAM_TEXT, false } } },
	{ "dev.config.show", dev_config_show, { { "name", VD_PARAM_TEXT, false } } },
	{ "dev.export", dev_export, { { "name", VD_PARAM_TEXT, false } } },
	{ "dev.vstats.show",
	  dev_vstats_show,
	  { { "name", VD_PARAM_TEXT, false }, { "qidx", VD_PARAM_INDEX, false } } },
	{ "events.subscribe", events_subscribe, { { "since", VD_PARAM_COUNT, false } } },
	{ "log.show", log_show, { { 0 } } },
	{ "log.set",
	  log_set,
	  { { "level", VD_PARAM_TEXT, true }, { "part", VD_PARAM_TEXT, false } } },
};

int vd_control_check(struct uvdpa *u, struct json_object *params)
{
	struct add_opts a = { 0 };
	const struct method *m = methods;
	int r;

	while (m->fn != dev_add)
		m++;
	r = vd_params_check(m->name, m->params, params);
	if (!r)
		r = add_opts_get(&a, params);
	if (!r)
		r = lib(uvdpa_dev_check(u, &a.o));
	add_opts_free(&a);
	return r;
}

/* ---- calls ------------------------------------------------------------------------------ */

static void call_ended(struct vd_call *call, int err)
{
	if (err)
		call->error = vd_rpc_error(VD_RPC_FAILED, err, vd_err_text());
	else if (!call->result)
		call->result = json_object_new_object();
}

static void wait_done(struct uvdpa_wait *w, int err)
{
	struct vd_call *call = container_of(w, struct vd_call, wait);

	call_ended(call, lib(err));
	call->done(call);
}

bool vd_call_start(struct uvdpa *u, const char *method, struct json_object *params,
		   struct vd_call *call)
{
	const struct method *m = NULL;
	int r;

	for (size_t i = 0; i < VD_ARRAY_SIZE(methods); i++)
		if (!strcmp(methods[i].name, method))
			m = &methods[i];
	if (!m) {
		vd_err(-ENOSYS, "no method \"%s\"", method);
		call->error = vd_rpc_error(VD_RPC_NO_METHOD, 0, vd_err_text());
		return true;
	}
	r = vd_params_check(m->name, m->params, params);
	if (r) {
		call->error = vd_rpc_error(VD_RPC_BAD_PARAMS, r, vd_err_text());
		return true;
	}
	call->wait.done = wait_done;
	r = m->fn(u, params, call);
	if (r == -EINPROGRESS)
		return false;
	call_ended(call, r);
	return true;
}
