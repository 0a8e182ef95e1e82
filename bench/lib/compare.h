/* SPDX-License-Identifier: BSD-2-Clause */
/* compare.h - what programs that set us beside a peer share: a place, a daemon, and their lines */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

#include "lib/bench.h"
#include "lib/proc.h"

#define PATH_ROOM 128

extern char tmp[];           /* a directory, between compare_begin() and compare_end() */
extern unsigned int repeats; /* times the rounds that a cell has by itself */

/* Read the options, be important, make the directory. Return: the patterns of argv; NULL with a
 * message. */
char **compare_begin(int argc, char **argv);
/* Is this cell one of those that were asked for? */
bool compare_wants(char *const *patterns, const char *name);
/* Return: @failed, or that the directory is still there. */
int compare_end(int failed);

/* A daemon of ours, and the connection that controls it. */
struct uvdpad {
	pid_t pid;
	int ctl;
	char path[PATH_ROOM];
};

int daemon_start(struct uvdpad *d, unsigned int cpu);
/* The same from another build. */
int daemon_start_other(struct uvdpad *d, const char *program, unsigned int cpu);
void daemon_stop(struct uvdpad *d);

/* A path in the temporary directory, where nothing is. @buf: PATH_ROOM bytes. */
char *at(char *buf, const char *name);
/* How long a device of ours looks for requests before it sleeps. */
const char *poll_us(void);
bool has(const char *program);

void print_head(void);
/* A line for each distance. @scale: ns in the unit; for rates, minus what one a ns would be. */
void print_pair(const char *cell, const struct bench_case *ours, const struct bench_case *theirs,
		const char *unit, double scale);

#endif
