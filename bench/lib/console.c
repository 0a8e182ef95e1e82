/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/console.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/proc.h"

#define ANSWER_MS 15000

/* Read until the prompt is the last that was said. */
static int listen_for(struct console *c)
{
	size_t plen = strlen(c->prompt);
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	ssize_t n;

	while (poll(&p, 1, ANSWER_MS) == 1) {
		if (c->len + 1 == sizeof(c->text)) { /* the end is what counts */
			c->len /= 2;
			memmove(c->text, c->text + c->len, c->len + 1);
		}
		n = read(c->fd, c->text + c->len, sizeof(c->text) - c->len - 1);
		if (n <= 0)
			break;
		c->len += (size_t)n;
		c->text[c->len] = 0;
		if (c->len >= plen && !strcmp(c->text + c->len - plen, c->prompt))
			return 0;
	}
	return -1;
}

int console_start(struct console *c, const char *const *argv, int cpu, const char *prompt)
{
	char name[64];
	int fd = -1;

	c->prompt = prompt;
	c->len = 0;
	c->pid = 0;
	c->fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (c->fd >= 0 && !grantpt(c->fd) && !unlockpt(c->fd) &&
	    !ptsname_r(c->fd, name, sizeof(name)))
		fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "%s: no terminal: %m\n", argv[0]);
		return -1;
	}
	c->pid = proc_spawn(argv, cpu, fd);
	close(fd);
	if (c->pid > 0 && !listen_for(c))
		return 0;
	fprintf(stderr, "%s does not start:\n%s\n", argv[0], c->text);
	return -1;
}

const char *console_say(struct console *c, const char *line)
{
	c->len = 0;
	if (write(c->fd, line, strlen(line)) > 0 && write(c->fd, "\n", 1) == 1 && !listen_for(c))
		return c->text;
	fprintf(stderr, "no answer to \"%s\": %s\n", line, c->len ? c->text : "");
	return NULL;
}

void console_stop(struct console *c)
{
	proc_stop(c->pid);
	if (c->pid)
		close(c->fd);
	c->pid = 0;
}
