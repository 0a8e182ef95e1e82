/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/levels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"

static const char *const names[] = {
	[UVDPA_LOG_ERR] = "error",
	[UVDPA_LOG_WARN] = "warning",
	[UVDPA_LOG_INFO] = "info",
	[UVDPA_LOG_DEBUG] = "debug",
};

const char *vd_level_name(enum uvdpa_log_level level)
{
	return names[level];
}

/* l->nparts: it has none of its own. */
static unsigned int find(const struct vd_levels *l, const char *part)
{
	unsigned int i = 0;

	while (i < l->nparts && strcmp(l->parts[i].part, part))
		i++;
	return i;
}

const struct vd_level *vd_levels_find(const struct vd_levels *l, const char *part)
{
	unsigned int i = part ? find(l, part) : l->nparts;

	return i < l->nparts ? &l->parts[i] : NULL;
}

static void forget(struct vd_levels *l, unsigned int i)
{
	if (i < l->nparts)
		memmove(&l->parts[i], &l->parts[i + 1], (--l->nparts - i) * sizeof(l->parts[0]));
}

static int set_part(struct vd_levels *l, const char *part, size_t len, enum uvdpa_log_level level)
{
	unsigned int i = find(l, part);

	if (i == VD_LEVELS_PARTS_MAX)
		return vd_err(-EINVAL, "log levels of more than %d parts", VD_LEVELS_PARTS_MAX);
	memcpy(l->parts[i].part, part, len + 1);
	l->parts[i].level = level;
	l->nparts += i == l->nparts;
	return 0;
}

int vd_levels_set(struct vd_levels *l, const char *part, const char *level)
{
	size_t len = part ? strlen(part) : 0, word = 0;

	if (part && (!len || len > UVDPA_NAME_MAX || part[strcspn(part, "=,")]))
		return vd_err(-EINVAL,
			      "log level of \"%s\": a part has 1 to %d bytes, no = and no ,", part,
			      UVDPA_NAME_MAX);
	if (part && !strcmp(level, "default")) {
		forget(l, find(l, part));
		return 0;
	}
	while (word < VD_ARRAY_SIZE(names) && strcmp(names[word], level))
		word++;
	if (word == VD_ARRAY_SIZE(names))
		return vd_err(-EINVAL, "log level \"%s\" is none of error, warning, info, debug",
			      level);
	if (part)
		return set_part(l, part, len, word);
	l->all = word;
	return 0;
}

int vd_levels_parse(struct vd_levels *l, const char *text)
{
	char *words = strdup(text), *next = words, *word;
	int r = words ? 0 : vd_err(-ENOMEM, "no memory");

	while (!r && (word = strsep(&next, ","))) {
		char *level = strchr(word, '=');

		if (level)
			*level++ = '\0';
		r = vd_levels_set(l, level ? word : NULL, level ? level : word);
	}
	free(words);
	return r;
}

enum uvdpa_log_level vd_levels_max(const struct vd_levels *l)
{
	enum uvdpa_log_level max = l->all;

	for (unsigned int i = 0; i < l->nparts; i++)
		max = vd_max(max, l->parts[i].level);
	return max;
}

struct json_object *vd_show_levels(const struct vd_levels *l)
{
	struct json_object *o = json_object_new_object(), *parts = json_object_new_object();

	json_object_object_add(o, "level", json_object_new_string(names[l->all]));
	for (unsigned int i = 0; i < l->nparts; i++)
		json_object_object_add(parts, l->parts[i].part,
				       json_object_new_string(names[l->parts[i].level]));
	json_object_object_add(o, "parts", parts);
	return o;
}
