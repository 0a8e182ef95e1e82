/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * logger.h - where messages go, and of which part how many
 *
 * A device's own level goes before that of its bus driver, that before its parent's, and that before
 * the level of all (control/levels.h).
 */
#ifndef VD_UVDPAD_LOGGER_H
#define VD_UVDPAD_LOGGER_H

#include <pthread.h>
#include <uvdpa/uvdpa.h>

#include "base/list.h"
#include "control/levels.h"

/**
 * struct logger - Receives messages of a context, and of the daemon itself; zero it
 * @log: for uvdpa_set_log() and vd_log_set()
 * @levels: of messages that are printed; protected by lock once there are other threads, which only
 *          read them
 * @devs: names of devices, with who made and who has each; protected by lock
 * @journal: its socket, -1: none
 * @prefix: standard error is the journal's: a line begins with its priority, <4>
 */
struct logger {
	struct uvdpa_log log;
	struct vd_levels levels;
	struct uvdpa_watch watch;
	struct vd_list devs;
	pthread_mutex_t lock;
	int journal;
	bool prefix;
};

/* Find the journal, if standard error is its. Before the first message; there is no end of it. */
void logger_init(struct logger *l);

/*
 * Know the devices of @u, if a part has a level of its own; harmless if it does already.
 * Context: control thread.
 */
void logger_watch(struct logger *l, struct uvdpa *u);

/* Other levels from now on. Context: control thread. */
void logger_set(struct logger *l, const struct vd_levels *levels);

/* Before the context is destroyed: devices are forgotten, messages still come. */
void logger_unwatch(struct logger *l);

#endif
