/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * params.h - the parameters of a method
 *
 * They are a table, checked before the method runs: an unknown name, a missing one and one of a
 * wrong type are refused alike everywhere, and what takes one needs no checks.
 */
#ifndef VD_CONTROL_PARAMS_H
#define VD_CONTROL_PARAMS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <uvdpa/uvdpa.h>

struct vd_param {
	const char *name; /* NULL: the end of the table */
	enum {
		VD_PARAM_TEXT = 1, /* a string */
		VD_PARAM_BITS,     /* a string in decimal or 0x: not every JSON number has 64 bits */
		VD_PARAM_INDEX,    /* 0 to 65535 */
		VD_PARAM_COUNT,    /* 0 to INT64_MAX */
		VD_PARAM_ATTRS,    /* an object of texts */
	} type;
	bool required;
};

/**
 * vd_params_check() - Are these the parameters that a method takes?
 * @method: its name, for the sentence
 * @table: what it takes
 * @params: an object, or NULL for none
 *
 * Return: 0; -EINVAL with a sentence.
 */
int vd_params_check(const char *method, const struct vd_param *table, struct json_object *params);

/* A text; NULL if it is not there. Borrowed from @params. */
const char *vd_param_str(struct json_object *params, const char *name);

/* Read feature bits. Return: false if @v is none of that. */
bool vd_param_bits(struct json_object *v, uint64_t *ret_bits);

/* Options as the library takes them; they borrow from the parameters. */
struct vd_attrs {
	struct uvdpa_attr *v;
	unsigned int n;
};

/* Return: 0, with none if it is not there; -ENOMEM with a sentence. @a: all zero. */
int vd_attrs_get(struct vd_attrs *a, struct json_object *params, const char *name);
void vd_attrs_free(struct vd_attrs *a);

#endif
