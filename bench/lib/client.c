/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/bench.h"

#define BURST 32

int client_open(struct client *c, const char *socket, uint32_t len)
{
	const struct uvdpa_attr attr = { "socket", socket };
	struct uvdpa_dev_opts o = {
		.size = sizeof(o),
		.name = "bench",
		.mgmtdev = "vhost-user",
		.attrs = &attr,
		.nattrs = 1,
	};
	struct uvdpa_blk_opts bo = { .size = sizeof(bo), .mem = (size_t)CLIENT_DEPTH_MAX * len };
	struct uvdpa_wait w = { 0 };
	struct uvdpa_dev *dev;
	uint8_t *mem;

	if (uvdpa_create(&c->u))
		goto err;
	uvdpa_set_log(c->u, NULL, UVDPA_LOG_ERR);
	if (uvdpa_await(c->u, &w, uvdpa_dev_add(c->u, &o, &dev, &w)) ||
	    uvdpa_blk_open(dev, &bo, &c->blk))
		goto err;
	mem = uvdpa_blk_alloc(c->blk, bo.mem);
	if (!mem)
		goto err;
	c->q = uvdpa_blk_queue(c->blk, 0);
	c->len = len;
	c->seed = 88172645463325252u;
	for (unsigned int i = 0; i < CLIENT_DEPTH_MAX; i++) {
		c->iov[i].iov_base = mem + (size_t)i * len;
		for (uint32_t k = 0; k < len; k += 4096) /* not the first time it is used */
			mem[(size_t)i * len + k] = 0;
	}
	/* The queue runs when the other end has answered, which somebody must see. */
	c->depth = 1;
	c->dispatches = true;
	client_run(c, bench_now_ns());
	c->dispatches = false;
	return 0;

err:
	fprintf(stderr, "%s: %s\n", socket, uvdpa_error());
	return -1;
}

void client_close(struct client *c)
{
	uvdpa_blk_close(c->blk);
	uvdpa_destroy(c->u);
	c->blk = NULL;
	c->u = NULL;
}

/* Marsaglia's xorshift64. */
static uint64_t chance(struct client *c)
{
	c->seed ^= c->seed << 13;
	c->seed ^= c->seed >> 7;
	return c->seed ^= c->seed << 17;
}

static void aim(struct client *c, struct uvdpa_blk_req *req)
{
	uint64_t at = c->in_order ? c->next++ : chance(c);

	req->sector = at % c->span * (c->len / UVDPA_BLK_SECTOR);
}

/* Return: how many the disk takes: all, or fewer once it is gone. */
static unsigned int submit(struct client *c, struct uvdpa_blk_req **reqs, unsigned int n)
{
	for (unsigned int i = 0; i < n;) {
		int r = uvdpa_blkq_submit(c->q, reqs + i, n - i);

		if (r < 0) {
			c->gone = true;
			return i;
		}
		i += (unsigned int)r;
	}
	return n;
}

static unsigned int poll_some(struct client *c, struct uvdpa_blk_req **done)
{
	unsigned int n = uvdpa_blkq_poll(c->q, done, BURST);

	if (!n && c->dispatches)
		uvdpa_dispatch(c->u, 0);
	if (!n && c->sleeps && uvdpa_blkq_wait(c->q, 2000) == -ETIMEDOUT) {
		fprintf(stderr, "no answer in two seconds\n");
		exit(1);
	}
	for (unsigned int i = 0; i < n; i++)
		c->errors += done[i]->res != 0;
	return n;
}

uint64_t client_run(struct client *c, uint64_t until_ns)
{
	struct uvdpa_blk_req *reqs[CLIENT_DEPTH_MAX];
	unsigned int count = 0, n, left;
	uint64_t ops = 0;

	c->span = uvdpa_blk_info(c->blk)->capacity_sectors / (c->len / UVDPA_BLK_SECTOR);
	for (unsigned int i = 0; i < c->depth; i++) {
		c->iov[i].iov_len = c->len;
		c->reqs[i] = (struct uvdpa_blk_req){ .op = UVDPA_BLK_READ,
						     .iov = &c->iov[i],
						     .niov = 1 };
		reqs[i] = &c->reqs[i];
		aim(c, reqs[i]);
	}
	left = submit(c, reqs, c->depth);
	while (!c->gone && !bench_over(until_ns, &count)) {
		n = poll_some(c, reqs);
		for (unsigned int i = 0; i < n; i++)
			aim(c, reqs[i]);
		left -= n;
		left += submit(c, reqs, n);
		ops += n;
	}
	for (; left; left -= n, ops += n)
		n = poll_some(c, reqs);
	return ops;
}
