/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * levels.h - of which part of the daemon how many messages come
 *
 * A part is who says something: a device by its name, a parent or a bus driver for all devices that
 * it has, "control", "manager", "uvdpad". What has no level of its own has that of all.
 */
#ifndef VD_CONTROL_LEVELS_H
#define VD_CONTROL_LEVELS_H

#include <json-c/json.h>
#include <uvdpa/uvdpa.h>

#define VD_LEVELS_PARTS_MAX 64

struct vd_level {
	char part[UVDPA_NAME_MAX + 1];
	enum uvdpa_log_level level;
};

struct vd_levels {
	enum uvdpa_log_level all;
	struct vd_level parts[VD_LEVELS_PARTS_MAX];
	unsigned int nparts;
};

/**
 * vd_levels_set() - Set the level of a part
 * @part: NULL: of all
 * @level: "error", "warning", "info", "debug"; "default": the part has none of its own any more
 *
 * Return: 0; -EINVAL with a sentence, and nothing is changed.
 */
int vd_levels_set(struct vd_levels *l, const char *part, const char *level);

/**
 * vd_levels_parse() - Read "LEVEL,PART=LEVEL,..."
 *
 * Each word is as vd_levels_set(); a later one goes before an earlier one. Return: 0; -EINVAL with
 * a sentence, and what stands before the fault is set.
 */
int vd_levels_parse(struct vd_levels *l, const char *text);

/* The level that a part has of its own; NULL if it has none, or if @part is NULL. */
const struct vd_level *vd_levels_find(const struct vd_levels *l, const char *part);

/* The highest that anything has. */
enum uvdpa_log_level vd_levels_max(const struct vd_levels *l);

/* "error", "warning", "info", "debug" */
const char *vd_level_name(enum uvdpa_log_level level);

/* As log.show has them. Return: an object, the caller's. */
struct json_object *vd_show_levels(const struct vd_levels *l);

#endif
