/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/request.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "base/utf8.h"
#include "control/control.h"

#define DEPTH 8

/* json-c's own look at UTF-8 lets surrogates and what is too long pass. */
static bool is_utf8(const char *p, size_t left)
{
	while (left) {
		size_t n = vd_utf8_len(p, left);

		if (!n)
			return false;
		p += n;
		left -= n;
	}
	return true;
}

/* Of keys json-c keeps what stands before it. */
static bool has_nul(const char *p, size_t len)
{
	for (size_t i = 0; i + 6 <= len; i++) {
		if (p[i] != '\\')
			continue;
		if (!memcmp(p + i, "\\u0000", 6))
			return true;
		i++;
	}
	return false;
}

/* Numbers that json-c cannot keep are the last that it can. */
static bool is_id(struct json_object *v)
{
	switch (json_object_get_type(v)) {
	case json_type_null:
	case json_type_string:
		return true;
	case json_type_int:
		return json_object_get_int64(v) != INT64_MIN &&
		       json_object_get_uint64(v) != UINT64_MAX;
	case json_type_double:
		return isfinite(json_object_get_double(v));
	default:
		return false;
	}
}

static const char *why_none(struct json_object *o)
{
	struct json_object *v;

	if (!json_object_is_type(o, json_type_object))
		return "a request is an object; send one in each line instead of a batch";
	if (!json_object_object_get_ex(o, "jsonrpc", &v) ||
	    !json_object_is_type(v, json_type_string) || strcmp(json_object_get_string(v), "2.0"))
		return "\"jsonrpc\" is not \"2.0\"";
	if (!json_object_object_get_ex(o, "method", &v) ||
	    !json_object_is_type(v, json_type_string))
		return "\"method\" is not a string";
	if (json_object_object_get_ex(o, "id", &v) && !is_id(v))
		return "\"id\" is not a string or a number of 64 bits";
	return NULL;
}

static int not_json(const char *why)
{
	vd_err(-EBADMSG, "not JSON: %s", why);
	return VD_RPC_PARSE;
}

static int invalid(const char *why)
{
	vd_err(-EBADMSG, "%s", why);
	return VD_RPC_INVALID;
}

/* With the byte behind it, so that a number has its end. */
static int parse(struct json_tokener *tok, const char *line, size_t len, struct json_object **ret)
{
	enum json_tokener_error err;

	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	*ret = json_tokener_parse_ex(tok, line, (int)len + 1);
	err = json_tokener_get_error(tok);
	if (err == json_tokener_continue)
		return not_json("it ends too early");
	if (err != json_tokener_success)
		return not_json(json_tokener_error_desc(err));
	return json_tokener_get_parse_end(tok) < len ? not_json("more follows") : 0;
}

int vd_request_parse(const char *line, size_t len, struct json_object **ret_request)
{
	struct json_object *o = NULL;
	struct json_tokener *tok;
	const char *why = NULL;
	int r;

	if (!is_utf8(line, len))
		return not_json("it is no UTF-8");
	tok = json_tokener_new_ex(DEPTH);
	r = tok ? parse(tok, line, len, &o) : invalid("no memory");
	if (tok)
		json_tokener_free(tok);
	if (!r)
		why = has_nul(line, len) ? "a string has a NUL in it, \\u0000" : why_none(o);
	if (why)
		r = invalid(why);
	if (r)
		json_object_put(o);
	else
		*ret_request = o;
	return r;
}
