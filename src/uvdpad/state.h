/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state.h - a file that has the devices of clients, for the next start
 *
 * A change is written STATE_MS after the first of those that are not written yet, so a thousand are
 * a few files. Each is a new file that takes the place of the last one when all of it is on the
 * disk; a thread does that, as a disk may take its time.
 *
 * Who writes the file has a lock on another beside it, FILE.lock, which stays there: what is replaced
 * cannot be what is locked. It is a lock of fcntl(2), which tells who has it and ends with its process.
 */
#ifndef VD_UVDPAD_STATE_H
#define VD_UVDPAD_STATE_H

#include <pthread.h>
#include <uvdpa/uvdpa.h>

#include "base/log.h"
#include "base/loop.h"

#define STATE_MS       100
#define STATE_RETRY_MS 2000 /* after a failure */
#define STATE_END_MS   500  /* that the end of the daemon waits for the last one */

struct provision;

/**
 * struct state - All zero but the first of these
 * @path: the file
 * @provision: has what is to be written
 * @lock_fd: the lock is had; 0: not yet
 * @text: that is being written, or was written last
 * @busy: a thread writes it
 * @dirty: there was a change since
 * @err: how the last attempt ended
 * @post: the thread's end
 * @end_fd: the same, for who waits
 */
struct state {
	const char *path;
	struct vd_loop *loop;
	struct vd_log *log;
	struct uvdpa *u;
	struct provision *provision;
	struct uvdpa_watch watch;
	struct vd_timer timer;
	int lock_fd;
	char *text;
	bool busy, dirty;
	int err, result;
	char sentence[256];
	pthread_t thread;
	struct vd_post post;
	int end_fd;
};

/* What is there would be replaced; it is not @config, a path. Return: 0: a file, or nothing; -EINVAL with a sentence. */
int state_check(const char *path, const char *config);

/* Before the file is read. Return: 0 nobody else writes it; -EBUSY with a sentence: another does; another
 * -errno with a sentence: that is not known yet, and will be before it is written. */
int state_lock(struct state *s);

/* Write each change from now on. Return: 0; -errno with a sentence. */
int state_start(struct state *s);

/* What is to be written is another now, and no device says so. */
void state_changed(struct state *s);

/* Before the context goes: what there is now is the last to be written. */
void state_stop(struct state *s);

/* After it: wait for it to be written, if that takes no more than STATE_END_MS. */
void state_fini(struct state *s);

#endif
