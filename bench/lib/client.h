/* SPDX-License-Identifier: BSD-2-Clause */
/* client.h - reads a disk that another process serves, by <uvdpa/blk.h> over the vhost-user parent
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include <uvdpa/blk.h>

#define CLIENT_DEPTH_MAX 64

struct client {
	/* For the one who measures; may be changed between calls. */
	unsigned int depth;
	uint32_t len;    /* bytes of a request */
	bool in_order;   /* one after the other, not at random */
	bool dispatches; /* looks whether the other end is there, when nothing comes back */
	bool sleeps;     /* waits for a call; else it polls */

	struct uvdpa *u;
	struct uvdpa_blk *blk;
	struct uvdpa_blkq *q;
	uint64_t span; /* requests that the disk has room for */
	uint64_t next, seed;
	uint64_t errors;
	bool gone; /* the disk takes no requests any more */
	struct iovec iov[CLIENT_DEPTH_MAX];
	struct uvdpa_blk_req reqs[CLIENT_DEPTH_MAX];
};

/* Connect to @socket; requests of @len bytes at most. Return: 0; -1 with a message. */
int client_open(struct client *c, const char *socket, uint32_t len);
void client_close(struct client *c);

/* Keep depth requests under way until it is time. Return: how many came back. */
uint64_t client_run(struct client *c, uint64_t until_ns);

#endif
