/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/params.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static bool is_text(struct json_object *v)
{
	return json_object_is_type(v, json_type_string);
}

bool vd_param_bits(struct json_object *v, uint64_t *ret_bits)
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

static int check_attrs(const struct vd_param *p, struct json_object *v)
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

static int check(const struct vd_param *p, struct json_object *v)
{
	uint64_t bits;

	switch (p->type) {
	case VD_PARAM_TEXT:
		if (!is_text(v))
			return vd_err(-EINVAL, "parameter \"%s\": not a string", p->name);
		return 0;
	case VD_PARAM_BITS:
		if (!vd_param_bits(v, &bits))
			return vd_err(
				-EINVAL,
				"parameter \"%s\": %s, not a string of 64 bits in decimal or 0x",
				p->name, json_object_to_json_string(v));
		return 0;
	case VD_PARAM_INDEX:
		if (!json_object_is_type(v, json_type_int) || json_object_get_int64(v) < 0 ||
		    json_object_get_int64(v) > UINT16_MAX)
			return vd_err(-EINVAL, "parameter \"%s\": not a number 0 to %u", p->name,
				      UINT16_MAX);
		return 0;
	case VD_PARAM_COUNT:
		if (!json_object_is_type(v, json_type_int) || json_object_get_int64(v) < 0 ||
		    json_object_get_uint64(v) > INT64_MAX)
			return vd_err(-EINVAL, "parameter \"%s\": not a number 0 to %" PRIu64,
				      p->name, (uint64_t)INT64_MAX);
		return 0;
	case VD_PARAM_ATTRS:
		return check_attrs(p, v);
	}
	return -EINVAL;
}

int vd_params_check(const char *method, const struct vd_param *table, struct json_object *params)
{
	if (params && !json_object_is_type(params, json_type_object))
		return vd_err(-EINVAL, "%s: parameters are not an object", method);
	for (const struct vd_param *p = table; p->name; p++)
		if (p->required && !json_object_object_get_ex(params, p->name, NULL))
			return vd_err(-EINVAL, "%s: parameter \"%s\" is missing", method, p->name);
	if (!params)
		return 0;
	json_object_object_foreach(params, key, value)
	{
		const struct vd_param *p = table;
		int r;

		while (p->name && strcmp(p->name, key))
			p++;
		if (!p->name)
			return vd_err(-EINVAL, "%s: no parameter \"%s\"", method, key);
		r = check(p, value);
		if (r)
			return vd_err_prefix(r, "%s: ", method);
	}
	return 0;
}

const char *vd_param_str(struct json_object *params, const char *name)
{
	struct json_object *v;

	return json_object_object_get_ex(params, name, &v) ? json_object_get_string(v) : NULL;
}

void vd_attrs_free(struct vd_attrs *a)
{
	free(a->v);
}

int vd_attrs_get(struct vd_attrs *a, struct json_object *params, const char *name)
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
