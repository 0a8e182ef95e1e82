/* SPDX-License-Identifier: BSD-2-Clause */
/* opt.h - the one reader of option tables */
#ifndef VD_CORE_OPT_H
#define VD_CORE_OPT_H

#include <uvdpa/uvdpa.h>

/**
 * vd_opts_check() - Is a table of options complete?
 * @who: whose it is, for the sentence
 * @table: ends with a NULL key
 * @conf_size: bytes of the structure it describes
 *
 * Return: 0; -EINVAL with a sentence.
 */
int vd_opts_check(const char *who, const struct uvdpa_opt *table, size_t conf_size);

/**
 * vd_opts_parse() - Make a configuration
 * @who: "blk: " stands in front of every sentence
 * @table: checked
 * @conf_size: bytes of the configuration
 * @attrs: as they were written
 * @n: how many
 * @ret_conf: the caller's, to be given to vd_opts_free()
 *
 * Return: 0; -EINVAL an unknown or doubled key, a bad value or one beyond its limits, a required
 * key that is missing; -ENOMEM.
 */
int vd_opts_parse(const char *who, const struct uvdpa_opt *table, size_t conf_size,
		  const struct uvdpa_attr *attrs, unsigned int n, void **ret_conf);

/**
 * vd_opts_allow() - Does what was given go with the features that a device may offer?
 * @features: a mask, not 0; the rest as was parsed
 *
 * A value that is the default does. Return: 0; -EINVAL.
 */
int vd_opts_allow(const char *who, const struct uvdpa_opt *table, const struct uvdpa_attr *attrs,
		  unsigned int n, uint64_t features);

/* One of a table; NULL: it has none of this key. */
const struct uvdpa_opt *vd_opts_find(const struct uvdpa_opt *table, const char *key);

/* May the option have this value? Return: 0; -EINVAL; -ENOMEM. */
int vd_opts_takes(const char *who, const struct uvdpa_opt *o, const char *value);

/* Frees the strings too. NULL is fine. */
void vd_opts_free(const struct uvdpa_opt *table, void *conf);

#endif
