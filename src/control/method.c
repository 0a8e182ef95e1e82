/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * method.c - the table of methods
 *
 * A method's parameters are a table, too, checked before it runs: an unknown name, a missing
 * one and one of a wrong type are refused alike everywhere. A method returns as the library's
 * functions do: 0, -EINPROGRESS, or -errno with a sentence.
 */
#include "control/control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/guess.h"
#include "config.h"

#define PARAMS_MAX 8

struct param {
	const char *name;
	enum { NAME = 1, BITS, INDEX, COUNT, ATTRS } type;
	bool required;
};

struct method {
	const char *name;
	int (*fn)(struct uvdpa *u, struct json_object *params, struct vd_call *call);
	struct param params[PARAMS_MAX];
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

/* ---- parameters ------------------------------------------------------------------------- */

/* A string without a NUL inside, which C would take for its end. */
static bool is_text(struct json_object *v)
{
	return json_object_is_type(v, json_type_string) &&
	       strlen(json_object_get_string(v)) == (size_t)json_object_get_string_len(v);
}

/* Feature bits are a string in decimal or 0x: not every JSON number has 64 bits. */
static bool get_bits(struct json_object *v, uint64_t *ret_bits)
{
	const char *s;
	char *end;

	if (!is_text(v))
		return false;
	s = json_object_get_string(v);
	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	*ret_bits = strtoull(s, &end, s[0] == '0' && (s[1] | 0x20) == 'x' ? 16 : 10);
	return !errno && !*end;
}

static int check_attrs(const struct param *p, struct json_object *v)
{
	if (!json_object_is_type(v, json_type_object))
		return vd_err(-EINVAL, "parameter \"%s\": not an object", p->name);
	json_object_object_foreach(v, key, value)
	{
		if (!is_text(value))
			return vd_err(-EINVAL, "parameter \"%s\": value of \"%s\" is not a string",
				      p->name, key);
	}
	return 0;
}

static int check_param(const struct param *p, struct json_object *v)
{
	uint64_t bits;

	switch (p->type) {
	case NAME:
		if (!is_text(v))
			return vd_err(-EINVAL, "parameter \"%s\": not a string", p->name);
		return 0;
	case BITS:
		if (!get_bits(v, &bits))
			return vd_err(-EINVAL,
				      "parameter \"%s\": %s, not a string of 64 bits in decimal or 0x",
				      p->name, json_object_to_json_string(v));
		return 0;
	case INDEX:
		if (!json_object_is_type(v, json_type_int) || json_object_get_int64(v) < 0 ||
		    json_object_get_int64(v) > UINT16_MAX)
			return vd_err(-EINVAL, "parameter \"%s\": not a number 0 to %u", p->name,
				      UINT16_MAX);
		return 0;
	case COUNT:
		if (!json_object_is_type(v, json_type_int) || json_object_get_int64(v) < 0)
			return vd_err(-EINVAL, "parameter \"%s\": not a number 0 to %" PRIu64, p->name,
				      (uint64_t)INT64_MAX);
		return 0;
	case ATTRS:
		return check_attrs(p, v);
	}
	return -EINVAL;
}

static int check_params(const struct method *m, struct json_object *params)
{
	if (params && !json_object_is_type(params, json_type_object))
		return vd_err(-EINVAL, "%s: parameters are not an object", m->name);
	for (const struct param *p = m->params; p->name; p++)
		if (p->required && !json_object_object_get_ex(params, p->name, NULL))
			return vd_err(-EINVAL, "%s: parameter \"%s\" is missing", m->name, p->name);
	if (!params)
		return 0;
	json_object_object_foreach(params, key, value)
	{
		const struct param *p = m->params;
		int r;

		while (p->name && strcmp(p->name, key))
			p++;
		if (!p->name)
			return vd_err(-EINVAL, "%s: no parameter \"%s\"", m->name, key);
		r = check_param(p, value);
		if (r)
			return vd_err_prefix(r, "%s: ", m->name);
	}
	return 0;
}

static const char *param_str(struct json_object *params, const char *name)
{
	struct json_object *v;

	return json_object_object_get_ex(params, name, &v) ? json_object_get_string(v) : NULL;
}

/* Options as the library takes them; they borrow from @params. */
struct attrs {
	struct uvdpa_attr *v;
	unsigned int n;
};

static void attrs_free(struct attrs *a)
{
	free(a->v);
}

static int attrs_get(struct attrs *a, struct json_object *params, const char *name)
{
	struct json_object *obj;

	if (!json_object_object_get_ex(params, name, &obj) || !json_object_object_length(obj))
		return 0;
	a->v = calloc((size_t)json_object_object_length(obj), sizeof(*a->v));
	if (!a->v)
		return vd_err(-ENOMEM, "no memory for options");
	json_object_object_foreach(obj, key, value)
	{
		a->v[a->n++] = (struct uvdpa_attr){ key, json_object_get_string(value) };
	}
	return 0;
}

/* ---- methods ---------------------------------------------------------------------------- */

/* The library keeps its sentence where only uvdpa_error() finds it; take it over. */
static int lib(int r)
{
	return r < 0 && r != -EINPROGRESS ? vd_err(r, "%s", uvdpa_error()) : r;
}

static int find_dev(struct uvdpa *u, struct json_object *params, struct uvdpa_dev **ret_dev)
{
	const char *name = param_str(params, "name"), *best = NULL;

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
	const char *name = param_str(params, "name");
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
	const char *name = param_str(params, "name");
	const struct uvdpa_driver *d = NULL;
	struct json_object *map = json_object_new_object();
	const char *best = NULL;

	while ((d = uvdpa_driver_next(u, d))) {
		if (name)
			best = vd_guess(name, best, uvdpa_driver_name(d));
		if (!name || !strcmp(name, uvdpa_driver_name(d)))
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
	struct attrs attrs, driver_attrs;
};

static void add_opts_free(struct add_opts *a)
{
	attrs_free(&a->attrs);
	attrs_free(&a->driver_attrs);
}

static int add_opts_get(struct add_opts *a, struct json_object *params)
{
	struct uvdpa_dev_opts *o = &a->o;
	struct json_object *bits;
	int r;

	*a = (struct add_opts){ .o = {
		.size = sizeof(*o),
		.name = param_str(params, "name"),
		.mgmtdev = param_str(params, "mgmtdev"),
		.driver = param_str(params, "driver"),
		.driver_override = param_str(params, "driver_override"),
	} };
	if (json_object_object_get_ex(params, "features", &bits))
		get_bits(bits, &o->features);
	if (!o->driver && json_object_object_get_ex(params, "driver_attrs", NULL))
		return vd_err(-EINVAL, "%s: options for a bus driver, but no driver", o->name);
	r = attrs_get(&a->attrs, params, "attrs");
	if (!r)
		r = attrs_get(&a->driver_attrs, params, "driver_attrs");
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

	if (param_str(params, "name")) {
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
	vd_cleanup(attrs_free) struct attrs attrs = { 0 };
	struct uvdpa_dev *dev;
	int r = find_dev(u, params, &dev);

	if (!r)
		r = attrs_get(&attrs, params, "attrs");
	return r ? r
		 : lib(uvdpa_dev_bind(dev, param_str(params, "driver"), attrs.v, attrs.n,
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
	struct attrs attrs = { 0 };
	struct uvdpa_dev *dev;
	int r = find_dev(u, params, &dev);

	(void)call;
	if (!r)
		r = attrs_get(&attrs, params, "attrs");
	if (!r)
		r = lib(uvdpa_dev_set(dev, attrs.v, attrs.n));
	attrs_free(&attrs);
	return r;
}

static int dev_override(struct uvdpa *u, struct json_object *params, struct vd_call *call)
{
	struct uvdpa_dev *dev;
	int r = find_dev(u, params, &dev);

	(void)call;
	return r ? r : lib(uvdpa_dev_set_override(dev, param_str(params, "driver")));
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
	if (r && r != -EOPNOTSUPP) {	/* a type without words for it is shown, with none */
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

	if (param_str(params, "name"))
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

	json_object_object_add(o, "options", vd_show_opts(uvdpa_dev_set_opts(dev)));
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
	if (!param_str(params, "name"))
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

static const struct method methods[] = {
	{ "version", version, { { 0 } } },
	{ "mgmtdev.show", mgmtdev_show, { { "name", NAME, false } } },
	{ "driver.show", driver_show, { { "name", NAME, false } } },
	{ "dev.add",
	  dev_add,
	  { { "name", NAME, true },
	    { "mgmtdev", NAME, true },
	    { "attrs", ATTRS, false },
	    { "features", BITS, false },
	    { "driver", NAME, false },
	    { "driver_attrs", ATTRS, false },
	    { "driver_override", NAME, false } } },
	{ "dev.del", dev_del, { { "name", NAME, true } } },
	{ "dev.show", dev_show, { { "name", NAME, false } } },
	{ "dev.bind",
	  dev_bind,
	  { { "name", NAME, true }, { "driver", NAME, true }, { "attrs", ATTRS, false } } },
	{ "dev.unbind", dev_unbind, { { "name", NAME, true } } },
	{ "dev.set", dev_set, { { "name", NAME, true }, { "attrs", ATTRS, true } } },
	{ "dev.override", dev_override, { { "name", NAME, true }, { "driver", NAME, true } } },
	{ "dev.describe", dev_describe, { { "name", NAME, false } } },
	{ "dev.settable", dev_settable, { { "name", NAME, false } } },
	{ "dev.config.show", dev_config_show, { { "name", NAME, false } } },
	{ "dev.export", dev_export, { { "name", NAME, false } } },
	{ "dev.vstats.show",
	  dev_vstats_show,
	  { { "name", NAME, false }, { "qidx", INDEX, false } } },
	{ "events.subscribe", events_subscribe, { { "since", COUNT, false } } },
};

int vd_control_check(struct uvdpa *u, struct json_object *params)
{
	struct add_opts a = { 0 };
	const struct method *m = methods;
	int r;

	while (m->fn != dev_add)
		m++;
	r = check_params(m, params);
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
	r = check_params(m, params);
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
