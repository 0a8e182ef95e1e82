/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * events.h - what happened to devices, kept for clients that watch
 *
 * One log for all of them, bounded; a client is a number in it, so one that does not read costs its
 * own connection and no more.
 */
#ifndef VD_UVDPAD_EVENTS_H
#define VD_UVDPAD_EVENTS_H

#include <stddef.h>
#include <stdint.h>
#include <uvdpa/uvdpa.h>

#define EVENTS_MAX   65536u
#define EVENTS_BYTES (16u << 20)

struct event {
	char *line; /* as it is sent, with its newline */
	size_t len;
};

/**
 * struct events - The log; control thread
 * @added: called for each, after it is there
 * @next: sequence number of the next one; the first there ever was is 1
 * @first: of the oldest that is kept
 * @daemon: whose numbers these are: no two daemons have the same
 */
struct events {
	struct uvdpa_watch watch;
	void (*added)(struct events *log);
	uint64_t first, next;
	size_t bytes;
	char daemon[17];
	struct event *ring; /* EVENTS_MAX, by the number's remainder */
};

/**
 * events_start() - Begin to keep what happens
 * @log: all zero but @added
 *
 * Return: 0; -ENOMEM.
 */
int events_start(struct events *log, struct uvdpa *u);
/* Before the context goes: nothing happens any more. What has happened is kept. */
void events_stop(struct events *log);
void events_fini(struct events *log);

/* "added", "ready", ...: what the protocol calls it. */
const char *events_name(enum uvdpa_event ev);

/* Return: event @seq, borrowed until the next is added; NULL: it is not there, or no more. */
const struct event *events_at(const struct events *log, uint64_t seq);

#endif
