/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * place.h - a device by its word, and what a parent here is told to get at it
 *
 *	NAME				a device of the daemon, bound to vhost-user for us by then,
 *					and unbound at the end
 *	vhost-user:socket=...		a back-end
 *	MGMTDEV:KEY=VALUE,...		made in this process, as it says
 *
 * Paths are for the caller: they mean something else for each type.
 * A function that returns an int returns 0, or a negative number after it has printed why.
 */
#ifndef VD_UVDPA_PLACE_H
#define VD_UVDPA_PLACE_H

#include <uvdpa/uvdpa.h>

#include "uvdpa/cmd.h"

#define PLACE_ATTRS_MAX 32u

/**
 * struct place - Zero it but for the first three
 * @cmd: where the daemon is
 * @word: borrowed, also for messages
 * @type: that it shall have, as uvdpa_type_name() says it
 *
 * @mgmtdev: the parent
 * @attrs: its options; @n of them
 * @bound: where the daemon's device is that we have bound, or NULL
 * @fixed: the daemon says that its bytes are not random
 * @queue_size: the daemon says that this is the largest of its queues; or empty
 * @text: where some of these strings are
 */
struct place {
	const struct cmd *cmd;
	const char *word, *type;

	const char *mgmtdev;
	struct uvdpa_attr attrs[PLACE_ATTRS_MAX];
	unsigned int n;
	char *bound;
	bool fixed;
	char queue_size[24];
	char *text;
};

int place_add(struct place *p, const char *key, const char *value);
/* NULL: it was not given. */
const char *place_get(const struct place *p, const char *key);

/* Of a word "MGMTDEV:KEY=VALUE,...". */
int place_of_options(struct place *p);
/* Of a device of the daemon. */
int place_of_name(struct place *p);
/* Of the socket of a back-end; borrowed. */
int place_of_socket(struct place *p, const char *path);

/* Give back what is the daemon's. */
int place_end(struct place *p);

#endif
