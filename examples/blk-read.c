/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-read.c - read a whole disk, many requests at once, through the C API
 *
 *	cc blk-read.c $(pkg-config --cflags --libs uvdpa) -o blk-read
 *	./blk-read disk.img		an image: read it
 *	./blk-read d0.sock		what a vhost-user back-end serves: read it
 *	./blk-read			a RAM disk: fill it with a pattern, read it, compare
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <uvdpa/blk.h>

#define DEPTH 16u		/* requests in flight */
#define CHUNK (256u << 10)	/* bytes of each */
#define RAM_DISK "64M"

struct request {
	struct uvdpa_blk_req r;	/* first: what comes back is this */
	struct iovec iov;
};

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, uvdpa_error());
	exit(1);
}

/* The pattern: each sector is full of its own number. */
static void fill(uint64_t *p, uint64_t sector, size_t len)
{
	for (size_t i = 0; i < len / 8; i++)
		p[i] = sector + i / 64;
}

static int is_pattern(const uint64_t *p, uint64_t sector, size_t len)
{
	for (size_t i = 0; i < len / 8; i++)
		if (p[i] != sector + i / 64)
			return 0;
	return 1;
}

/* All of the disk with one kind of request. Return: how many bytes were the pattern. */
static uint64_t pass(struct uvdpa_blkq *q, struct request *all, enum uvdpa_blk_op op,
		     uint64_t capacity_sectors)
{
	struct uvdpa_blk_req *todo[DEPTH], *done[DEPTH];
	unsigned int n = DEPTH, busy = 0;
	uint64_t next = 0, good = 0;

	for (unsigned int i = 0; i < DEPTH; i++)
		done[i] = &all[i].r;
	for (;;) {
		unsigned int ntodo = 0;

		/* What is idle gets the next piece of the disk... */
		for (unsigned int i = 0; i < n && next < capacity_sectors; i++) {
			struct request *rq = (struct request *)done[i];
			uint64_t left = (capacity_sectors - next) * UVDPA_BLK_SECTOR;

			rq->iov.iov_len = left < CHUNK ? left : CHUNK;
			rq->r = (struct uvdpa_blk_req){ .op = op, .sector = next, .iov = &rq->iov,
							.niov = 1 };
			if (op == UVDPA_BLK_WRITE)
				fill(rq->iov.iov_base, next, rq->iov.iov_len);
			next += rq->iov.iov_len / UVDPA_BLK_SECTOR;
			todo[ntodo++] = &rq->r;
		}
		/* ...and all go to the device with one notification. */
		if (ntodo && uvdpa_blkq_submit(q, todo, ntodo) != (int)ntodo)
			die("submit");
		busy += ntodo;
		if (!busy)
			return good;
		while (!(n = uvdpa_blkq_poll(q, done, DEPTH)))
			uvdpa_blkq_wait(q, -1);
		busy -= n;
		for (unsigned int i = 0; i < n; i++) {
			struct request *rq = (struct request *)done[i];

			if (rq->r.res)
				die("a request failed");
			if (is_pattern(rq->iov.iov_base, rq->r.sector, rq->iov.iov_len))
				good += rq->iov.iov_len;
		}
	}
}

int main(int argc, char **argv)
{
	struct uvdpa_attr attr = { "capacity", RAM_DISK };
	struct uvdpa_dev_opts opts = {
		.size = sizeof(opts), .name = "disk", .mgmtdev = "sim-blk", .attrs = &attr, .nattrs = 1,
	};
	struct uvdpa_wait w = { 0 };
	struct request all[DEPTH] = { 0 };
	const struct uvdpa_blk_info *info;
	struct uvdpa_dev *dev;
	struct uvdpa_blk *blk;
	struct uvdpa_blkq *q;
	struct uvdpa *u;
	uint64_t bytes, good;
	struct stat st;

	if (argc > 1) {
		int socket = !stat(argv[1], &st) && S_ISSOCK(st.st_mode);

		attr = (struct uvdpa_attr){ socket ? "socket" : "image", argv[1] };
		opts.mgmtdev = socket ? "vhost-user" : "blk";
	}
	if (uvdpa_create(&u))
		die("context");
	if (uvdpa_await(u, &w, uvdpa_dev_add(u, &opts, &dev, &w)))
		die("disk");
	if (uvdpa_blk_open(dev, NULL, &blk))
		die("open");
	info = uvdpa_blk_info(blk);
	bytes = info->capacity_sectors * UVDPA_BLK_SECTOR;
	printf("%llu bytes, %u queues of %u%s\n", (unsigned long long)bytes, info->queues,
	       info->queue_size, info->readonly ? ", read-only" : "");

	for (unsigned int i = 0; i < DEPTH; i++) {
		all[i].iov.iov_base = uvdpa_blk_alloc(blk, CHUNK);
		if (!all[i].iov.iov_base)
			die("memory");
	}
	q = uvdpa_blk_queue(blk, 0);
	if (argc == 1)
		pass(q, all, UVDPA_BLK_WRITE, info->capacity_sectors);
	good = pass(q, all, UVDPA_BLK_READ, info->capacity_sectors);
	printf("read all, %llu bytes are the pattern\n", (unsigned long long)good);

	uvdpa_blk_close(blk);
	uvdpa_destroy(u);
	return argc == 1 && good != bytes;
}
