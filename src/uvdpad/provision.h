/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * provision.h - devices that files ask for: made at the start, changed by difference at a reload
 *
 * There are two files. What the configuration says is its own: its devices are made, changed and
 * removed as it is. The state file holds the others, which clients made, from one start to the
 * next; see state.h. Context of everything here: control thread.
 */
#ifndef VD_UVDPAD_PROVISION_H
#define VD_UVDPAD_PROVISION_H

#include <stdio.h>

#include "base/log.h"
#include "base/loop.h"
#include "uvdpad/conf.h"

/* What is in use: the kernel may take a moment until it has closed what a process had that died. */
#define PROVISION_RETRY_MS 100
#define PROVISION_TRIES    20
#define PROVISION_SLOW_MS  1000 /* of a load; then what it waits for is told */

/**
 * struct provision - All zero but the first of these
 * @loop, @log: the daemon's; the latter is told of what fails
 * @u: where the devices are
 * @done: a load has ended, and was summed up on standard output; may be NULL
 * @conf: the configuration as it was read last
 * @kept: of the state file: what could not be made again yet
 * @gone: devices of an earlier configuration that are being removed
 * @watch: sees what clients take away
 * @busy: calls that are under way
 * @step: read: the file; away: what goes; come: what comes
 * @next, @text, @len, @read_err, @sentence: what @thread reads, until it posts @read
 * @retry, @tries: what is in use is looked at again, so often so far
 * @again: another load was asked for meanwhile
 */
struct provision {
	struct vd_loop *loop;
	struct vd_log *log;
	struct uvdpa *u;
	void (*done)(struct provision *p);
	struct conf conf, kept, gone;
	struct uvdpa_watch watch;
	unsigned int busy;
	struct conf next;
	char *text;
	size_t len;
	int read_err;
	char sentence[256];
	pthread_t thread;
	struct vd_post read;
	struct vd_timer retry, slow;
	unsigned int tries;
	enum { PROVISION_REST, PROVISION_READ, PROVISION_AWAY, PROVISION_COME } step;
	bool again;
	bool stopping;
	bool known; /* there was a file once */
	unsigned int added, changed, removed, same, failed;
};

/**
 * provision_init() - Before anything else
 * @p: its first fields set
 * @path: of the configuration; borrowed for life
 */
void provision_init(struct provision *p, const char *path);

/**
 * provision_load() - Read the configuration and make it so; the first time
 * @must: the file must be there
 *
 * A file with a fault changes nothing.
 *
 * Return: 0, perhaps not done yet; -EINVAL faults were logged; -errno with a sentence.
 */
int provision_load(struct provision *p, bool must);

/* The same once more, when somebody asks for it; nobody waits for the file. What fails is logged. */
void provision_reload(struct provision *p);

/**
 * provision_restore() - Take what a state file says, before the first load
 * @path: borrowed for life
 *
 * Return: 0; -EINVAL there were faults, they are logged and the rest is taken; another -errno with a
 * sentence.
 */
int provision_restore(struct provision *p, const char *path);

/* The last call for a device was refused: tell it, and @then what it means. */
void provision_failed(struct provision *p, struct conf_dev *d, const char *then);

/* Write the lines that make what the configuration does not. */
void provision_put(struct provision *p, FILE *f);

/* A client does not want the device of this name. Return: whether the state file had one to be made yet. */
bool provision_forget(struct provision *p, const char *name);

/* Before the context goes. */
void provision_stop(struct provision *p);
/* After it. */
void provision_fini(struct provision *p);

#endif
