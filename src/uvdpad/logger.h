/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * logger.h - where messages go, and of which part how many
 *
 * A part is who says something: a device by its name, a parent or a bus driver for all devices that
 * it has, "control", "manager", "uvdpad". A device's own level goes before that of its bus driver,
 * that before its parent's, and that before the level of all.
 */
#ifndef VD_UVDPAD_LOGGER_H
#define VD_UVDPAD_LOGGER_H

#include <pthread.h>
#include <uvdpa/uvdpa.h>

#include "base/list.h"

#define LOGGER_RULES_MAX 64

struct logger_rule {
	char part[UVDPA_NAME_MAX + 1];
	enum uvdpa_log_level level;
};

/**
 * struct logger - Receives messages of a context, and of the daemon itself; zero it
 * @log: for uvdpa_set_log() and vd_log_set()
 * @level: of all that has none of its own
 * @devs: names of devices, with who made and who has each; protected by lock
 * @journal: its socket, -1: none
 * @prefix: standard error is the journal's: a line begins with its priority, <4>
 */
struct logger {
	struct uvdpa_log log;
	enum uvdpa_log_level level;
	struct logger_rule rules[LOGGER_RULES_MAX];
	unsigned int nrules;
	struct uvdpa_watch watch;
	struct vd_list devs;
	pthread_mutex_t lock;
	int journal;
	bool prefix;
};

/**
 * logger_parse() - Read "LEVEL,PART=LEVEL,..."
 *
 * A later word goes before an earlier one. Return: 0; -EINVAL with a sentence.
 */
int logger_parse(struct logger *l, const char *text);

/* Find the journal, if standard error is its. Before the first message; there is no end of it. */
void logger_init(struct logger *l);

/* Know the devices of @u; only needed if a part has a level of its own. Context: control thread. */
void logger_watch(struct logger *l, struct uvdpa *u);

/* Before the context is destroyed: devices are forgotten, messages still come. */
void logger_unwatch(struct logger *l);

/* The highest level that anything has: more need not come here. */
enum uvdpa_log_level logger_max(const struct logger *l);

#endif
