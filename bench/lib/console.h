/* SPDX-License-Identifier: BSD-2-Clause */
/* console.h - a program that is spoken with on its terminal, as dpdk-testpmd is */
#ifndef BENCH_CONSOLE_H
#define BENCH_CONSOLE_H

#include <stddef.h>
#include <sys/types.h>

struct console {
	pid_t pid;
	int fd;
	const char *prompt;
	size_t len;
	char text[1 << 15]; /* since the last line that was said */
};

/* Start it on one CPU and wait for its prompt. Return: 0; -1 with a message. */
int console_start(struct console *c, const char *const *argv, int cpu, const char *prompt);

/* Say a line. Return: the answer, up to the prompt and until the next line; NULL with a message. */
const char *console_say(struct console *c, const char *line);

/* End it; one that was never started is zero. */
void console_stop(struct console *c);

#endif
