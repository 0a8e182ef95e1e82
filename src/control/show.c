/* SPDX-License-Identifier: BSD-2-Clause */
/* show.c - devices, parents and drivers as JSON; keys are iproute2's where it has them */
#include "control/control.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/util.h"

/* What a file system, a peer or the kernel calls something, may be any bytes; JSON is UTF-8. */
static struct json_object *new_string(const char *value)
{
	struct json_object *o;
	char *mended;

	if (!vd_utf8_bad(value))
		return json_object_new_string(value);
	mended = strdup(value);
	if (mended)
		vd_utf8_mend(mended);
	o = json_object_new_string(mended ? mended : "?");
	free(mended);
	return o;
}

static void add_str(struct json_object *obj, const char *key, const char *value)
{
	json_object_object_add(obj, key, new_string(value));
}

static void add_num(struct json_object *obj, const char *key, uint64_t value)
{
	json_object_object_add(obj, key, json_object_new_uint64(value));
}

static void emit_str(struct uvdpa_emit *e, const char *key, const char *value)
{
	add_str(container_of(e, struct vd_emit_json, emit)->obj, key, value);
}

static void emit_num(struct uvdpa_emit *e, const char *key, uint64_t value)
{
	add_num(container_of(e, struct vd_emit_json, emit)->obj, key, value);
}

static void emit_flag(struct uvdpa_emit *e, const char *key, bool value)
{
	json_object_object_add(container_of(e, struct vd_emit_json, emit)->obj, key,
			       json_object_new_boolean(value));
}

void vd_emit_json_init(struct vd_emit_json *e, struct json_object *obj)
{
	*e = (struct vd_emit_json){
		.emit = { .str = emit_str, .num = emit_num, .flag = emit_flag },
		.obj = obj,
	};
}

struct json_object *vd_show_features(uint32_t device_id, uint64_t features)
{
	struct json_object *list = json_object_new_array();

	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name;
		char text[8];

		if (!(features >> bit & 1))
			continue;
		name = uvdpa_feature_name(device_id, bit);
		if (!name)
			snprintf(text, sizeof(text), "bit_%u", bit);
		json_object_array_add(list, json_object_new_string(name ? name : text));
	}
	return list;
}

struct json_object *vd_show_status(uint8_t status)
{
	struct json_object *list = json_object_new_array();
	const char *name;

	for (unsigned int n = 0; (name = uvdpa_status_name(status, n)); n++)
		json_object_array_add(list, json_object_new_string(name));
	return list;
}

/* Options as parameters have them: those of a device, or of its driver. */
static struct vd_emit_json *begin_attrs(struct vd_emit_json *e)
{
	vd_emit_json_init(e, json_object_new_object());
	return e;
}

/* Where the device is now: what it is described by, without the commands that are made of that. */
static struct json_object *show_end_point(struct uvdpa_dev *dev)
{
	static const char *const commands[] = { "qemu", "uml", "losetup", "mount" };
	struct vd_emit_json e;

	uvdpa_dev_describe(dev, &begin_attrs(&e)->emit);
	for (size_t i = 0; i < VD_ARRAY_SIZE(commands); i++)
		json_object_object_del(e.obj, commands[i]);
	return e.obj;
}

static void add_features(struct json_object *o, const char *key, struct uvdpa_dev *dev,
			 uint64_t features)
{
	json_object_object_add(o, key,
			       vd_show_features(uvdpa_dev_info(dev)->device_id, features));
}

struct json_object *vd_show_dev(struct uvdpa_dev *dev)
{
	const struct uvdpa_dev_info *info = uvdpa_dev_info(dev);
	const struct uvdpa_driver *driver = uvdpa_dev_driver(dev);
	const char *override = uvdpa_dev_override(dev);
	const char *type = uvdpa_type_name(info->device_id);
	struct json_object *o = json_object_new_object();
	struct vd_emit_json e, attrs;

	add_str(o, "type", type ? type : "<unknown type>");
	add_str(o, "mgmtdev", uvdpa_parent_name(uvdpa_dev_parent(dev)));
	add_num(o, "vendor_id", info->vendor_id);
	add_num(o, "max_vqs", info->nvqs);
	add_num(o, "max_vq_size", info->vq_num_max);
	json_object_object_add(o, "ready", json_object_new_boolean(uvdpa_dev_ready(dev)));
	if (driver)
		add_str(o, "driver", uvdpa_driver_name(driver));
	if (override)
		add_str(o, "driver_override", override);
	json_object_object_add(o, "status", vd_show_status(uvdpa_dev_status(dev)));
	add_features(o, "device_features", dev, info->features);
	add_features(o, "negotiated_features", dev, uvdpa_dev_features(dev));
	uvdpa_dev_attrs(dev, &begin_attrs(&attrs)->emit);
	json_object_object_add(o, "attrs", attrs.obj);
	uvdpa_dev_driver_attrs(dev, &begin_attrs(&attrs)->emit);
	json_object_object_add(o, "driver_attrs", attrs.obj);
	json_object_object_add(o, "end_point", show_end_point(dev));
	vd_emit_json_init(&e, o);
	uvdpa_dev_show(dev, &e.emit);
	return o;
}

struct json_object *vd_show_provision(struct uvdpa_dev *dev)
{
	struct json_object *o = json_object_new_object();
	uint64_t features = uvdpa_dev_features_mask(dev);
	const char *override = uvdpa_dev_override(dev);
	const struct uvdpa_driver *driver;
	struct vd_emit_json attrs;
	char text[24];

	add_str(o, "name", uvdpa_dev_name(dev));
	add_str(o, "mgmtdev", uvdpa_parent_name(uvdpa_dev_parent(dev)));
	if (features) {
		snprintf(text, sizeof(text), "0x%" PRIx64, features);
		add_str(o, "features", text);
	}
	uvdpa_dev_attrs(dev, &begin_attrs(&attrs)->emit);
	json_object_object_add(o, "attrs", attrs.obj);
	driver = uvdpa_dev_driver_attrs(dev, &begin_attrs(&attrs)->emit);
	if (driver) {
		add_str(o, "driver", uvdpa_driver_name(driver));
		json_object_object_add(o, "driver_attrs", attrs.obj);
	} else {
		json_object_put(attrs.obj);
	}
	if (override)
		add_str(o, "driver_override", override);
	return o;
}

static void add_limit(struct json_object *o, const struct uvdpa_opt *opt)
{
	if (opt->type != UVDPA_OPT_UINT && opt->type != UVDPA_OPT_SIZE)
		return;
	add_num(o, "min", opt->min);
	if (opt->max)
		add_num(o, "max", opt->max);
}

/* NULL: nothing that the user could write as well. */
static const char *default_of(const struct uvdpa_opt *opt)
{
	if (opt->def || opt->required)
		return opt->def;
	switch (opt->type) {
	case UVDPA_OPT_BOOL:
		return "off";
	case UVDPA_OPT_UINT:
	case UVDPA_OPT_SIZE:
		return opt->min ? NULL : "0";
	case UVDPA_OPT_ENUM:
		return opt->choices[0];
	default:
		return NULL;
	}
}

static struct json_object *show_opt(const struct uvdpa_opt *opt)
{
	static const char *const types[] = {
		[UVDPA_OPT_STRING] = "string", [UVDPA_OPT_BOOL] = "bool", [UVDPA_OPT_UINT] = "uint",
		[UVDPA_OPT_SIZE] = "size",     [UVDPA_OPT_ENUM] = "enum",
		[UVDPA_OPT_PATH] = "path",
	};
	struct json_object *o = json_object_new_object();

	add_str(o, "type", types[opt->type]);
	json_object_object_add(o, "required", json_object_new_boolean(opt->required));
	if (default_of(opt))
		add_str(o, "default", default_of(opt));
	add_limit(o, opt);
	if (opt->type == UVDPA_OPT_ENUM) {
		struct json_object *choices = json_object_new_array();

		for (const char *const *c = opt->choices; *c; c++)
			json_object_array_add(choices, json_object_new_string(*c));
		json_object_object_add(o, "choices", choices);
	}
	add_str(o, "help", opt->help);
	return o;
}

struct json_object *vd_show_opts(const struct uvdpa_opt *opts)
{
	struct json_object *o = json_object_new_object();

	for (; opts && opts->key; opts++)
		json_object_object_add(o, opts->key, show_opt(opts));
	return o;
}

struct json_object *vd_show_parent(const struct uvdpa_parent *p)
{
	const uint32_t *ids = uvdpa_parent_device_ids(p);
	struct json_object *o = json_object_new_object();
	struct json_object *classes = json_object_new_array();

	for (const uint32_t *id = ids; *id; id++) {
		const char *name = uvdpa_class_name(*id);

		json_object_array_add(classes,
				      json_object_new_string(name ? name : "<unknown class>"));
	}
	json_object_object_add(o, "supported_classes", classes);
	add_num(o, "max_supported_vqs", uvdpa_parent_max_vqs(p));
	json_object_object_add(o, "dev_features",
			       vd_show_features(ids[0], uvdpa_parent_features(p)));
	add_str(o, "help", uvdpa_parent_help(p));
	json_object_object_add(o, "options", vd_show_opts(uvdpa_parent_opts(p)));
	return o;
}

struct json_object *vd_show_driver(const struct uvdpa_driver *d)
{
	struct json_object *o = json_object_new_object();

	if (uvdpa_driver_alias(d))
		add_str(o, "alias", uvdpa_driver_alias(d));
	add_str(o, "help", uvdpa_driver_help(d));
	json_object_object_add(o, "options", vd_show_opts(uvdpa_driver_opts(d)));
	return o;
}
