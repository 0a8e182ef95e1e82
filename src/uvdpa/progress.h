/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * progress.h - how far it is, for whoever sits at the terminal
 *
 * A line on standard error, from the first second on: how much of how much, the rate of the last
 * seconds, and the time left. There is none with -j or -q, without a terminal or on a dumb one, nor
 * while the command is in the background.
 */
#ifndef VD_UVDPA_PROGRESS_H
#define VD_UVDPA_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "uvdpa/cmd.h"

/**
 * struct progress - Zero it but for what is said before progress_begin()
 * @what: what is waited for, if there is no amount to tell; borrowed
 * @is_ms: the amount is milliseconds; or it is bytes
 * @total: when it is done; 0: not known, or there is no amount
 * @at: how far it is; may be told at any time
 *
 * @since_ns: when it began
 */
struct progress {
	const char *what;
	bool is_ms;
	uint64_t total, at;
	uint64_t since_ns;

	bool on;
	uint64_t shown_ns, shown_at;
	double rate; /* of the last seconds */
};

/* It begins now. */
void progress_begin(struct progress *p, const struct cmd *cmd);

/* Show it, if it is time to; @now_ns of vd_now_ns(). Cheap enough for any turn of a loop, but not for each request. */
void progress_show(struct progress *p, uint64_t now_ns);

/* How long a poll(2) may wait until there is something new to show, ms; -1: any time. */
int progress_wait_ms(const struct progress *p);

/* Take the line away. */
void progress_end(struct progress *p);

/* @bytes for people: "1.2 GiB". Return: @text. */
const char *progress_bytes(uint64_t bytes, char text[16]);

#endif
