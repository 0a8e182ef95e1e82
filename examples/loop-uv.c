/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop-uv.c - a disk in a program whose events are libuv's
 *
 * usage: loop-uv [SIZE]
 *
 * What loop-glib.c does, with libuv: a uv_poll_t for the context, and one for the queue.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>
#include <uvdpa/blk.h>

#define DEPTH 8u          /* requests at a time */
#define PIECE (64u << 10) /* bytes of each */

struct app {
	struct uvdpa *u;
	struct uvdpa_dev *dev;
	struct uvdpa_wait added;
	struct uvdpa_blk *blk;
	struct uvdpa_blkq *q;
	struct slot {
		struct uvdpa_blk_req req;
		struct iovec iov;
	} slots[DEPTH];
	unsigned int busy;
	uint64_t next; /* byte that the next request begins at */
	uint64_t size;
	bool reading; /* what was written in a first round */
	unsigned int nreqs;
	int err;
	uv_loop_t loop;
	uv_poll_t bus_poll, queue_poll;
};

static void fail(struct app *a, int err)
{
	a->err = err;
	uv_stop(&a->loop);
}

/* Each 8 bytes are the number of their place. */
static void fill(uint64_t *words, uint64_t at)
{
	for (unsigned int i = 0; i < PIECE / 8; i++)
		words[i] = at / 8 + i;
}

static bool is_right(const uint64_t *words, uint64_t at)
{
	for (unsigned int i = 0; i < PIECE / 8; i++)
		if (words[i] != at / 8 + i)
			return false;
	return true;
}

static void submit(struct app *a, struct slot *s)
{
	struct uvdpa_blk_req *req = &s->req;
	int r;

	if (a->next == a->size)
		return;
	req->op = a->reading ? UVDPA_BLK_READ : UVDPA_BLK_WRITE;
	req->sector = a->next / UVDPA_BLK_SECTOR;
	if (!a->reading)
		fill(s->iov.iov_base, a->next);
	r = uvdpa_blkq_submit(a->q, &req, 1);
	if (r != 1) {
		fail(a, r);
		return;
	}
	a->next += PIECE;
	a->nreqs++;
	a->busy++;
}

static void came_back(struct app *a, struct uvdpa_blk_req *req)
{
	struct slot *s = (struct slot *)req; /* its first member */

	a->busy--;
	if (req->res)
		fail(a, req->res);
	else if (a->reading && !is_right(s->iov.iov_base, req->sector * UVDPA_BLK_SECTOR))
		fail(a, -EIO);
	else
		submit(a, s);
}

/* Take what came back, and say when we want to be woken. */
static void serve(struct app *a)
{
	struct uvdpa_blk_req *done[DEPTH];
	unsigned int n;

	do {
		while ((n = uvdpa_blkq_poll(a->q, done, DEPTH)))
			for (unsigned int i = 0; i < n; i++)
				came_back(a, done[i]);
		if (a->err)
			return;
		if (!a->busy && a->reading) {
			uv_stop(&a->loop);
			return;
		}
		if (!a->busy) {
			a->reading = true;
			a->next = 0;
			for (unsigned int i = 0; i < DEPTH; i++)
				submit(a, &a->slots[i]);
		}
	} while (uvdpa_blkq_arm(a->q));
}

static void on_queue(uv_poll_t *p, int status, int events)
{
	(void)status, (void)events;
	serve(p->data);
}

/* The device is there. Not called by uvdpa_dispatch(), so it may wait for a moment. */
static void begin(struct app *a)
{
	char *mem;
	int r = a->added.err ? a->added.err : uvdpa_blk_open(a->dev, NULL, &a->blk);

	if (r) {
		fail(a, r);
		return;
	}
	a->q = uvdpa_blk_queue(a->blk, 0);
	a->size = uvdpa_blk_info(a->blk)->capacity_sectors * UVDPA_BLK_SECTOR / PIECE * PIECE;
	mem = uvdpa_blk_alloc(a->blk, (size_t)DEPTH * PIECE);
	a->queue_poll.data = a;
	uv_poll_init(&a->loop, &a->queue_poll, uvdpa_blkq_fd(a->q));
	uv_poll_start(&a->queue_poll, UV_READABLE, on_queue);
	for (unsigned int i = 0; i < DEPTH; i++) {
		struct slot *s = &a->slots[i];

		s->iov = (struct iovec){ mem + i * PIECE, PIECE };
		s->req.iov = &s->iov;
		s->req.niov = 1;
		submit(a, s);
	}
	serve(a);
}

/* Whatever the bus has to do: devices that come, sockets, timers. */
static void on_bus(uv_poll_t *p, int status, int events)
{
	struct app *a = p->data;

	(void)status, (void)events;
	uvdpa_dispatch(a->u, 0);
	if (!a->added.pending && !a->blk && !a->err)
		begin(a);
}

static void close_handle(uv_handle_t *h, void *arg)
{
	(void)arg;
	uv_close(h, NULL);
}

int main(int argc, char **argv)
{
	struct uvdpa_attr size = { "capacity", argc > 1 ? argv[1] : "16M" };
	struct uvdpa_dev_opts o = {
		.size = sizeof(o),
		.name = "d0",
		.mgmtdev = "sim-blk",
		.attrs = &size,
		.nattrs = 1,
		.driver = "virtio",
	};
	static struct app a;
	int r = uvdpa_create(&a.u);

	uv_loop_init(&a.loop);
	if (!r)
		r = uvdpa_dev_add(a.u, &o, &a.dev, &a.added);
	if (r && r != -EINPROGRESS)
		fail(&a, r);
	if (!a.err) {
		a.bus_poll.data = &a;
		uv_poll_init(&a.loop, &a.bus_poll, uvdpa_fd(a.u));
		uv_poll_start(&a.bus_poll, UV_READABLE, on_bus);
		uv_run(&a.loop, UV_RUN_DEFAULT);
	}
	if (a.err)
		fprintf(stderr, "loop-uv: %s: %s\n", strerror(-a.err), uvdpa_error());
	else
		printf("%llu bytes written and read in %u requests\n", (unsigned long long)a.size,
		       a.nreqs);
	/* libuv lets go of descriptors a turn later: before they are closed. */
	uv_walk(&a.loop, close_handle, NULL);
	uv_run(&a.loop, UV_RUN_DEFAULT);
	uv_loop_close(&a.loop);
	uvdpa_blk_close(a.blk);
	uvdpa_destroy(a.u);
	return a.err ? 1 : 0;
}
