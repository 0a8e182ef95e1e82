/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-move.c - a disk that is used in this process, then by a VM, then in this process again
 *
 * usage: blk-move IMAGE [FEATURES]
 *
 * Takes commands from standard input, and answers each with "ok MILLISECONDS", or "failed: WHY":
 *
 *	get FILE	copy the disk to a file
 *	put FILE	copy a file over the disk
 *	vm SOCKET	hand the disk to the vhost-user server
 *	host		take it back
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uvdpa/blk.h>

#define PIECE (1u << 20)	/* bytes of one request */

static int failed(const char *what)
{
	printf("failed: %s: %s\n", what, strerror(errno));
	return -1;
}

static int failed_bus(void)
{
	printf("failed: %s\n", uvdpa_error());
	return -1;
}

/* One request, waited for. */
static int request(struct uvdpa_blkq *q, enum uvdpa_blk_op op, uint64_t sector, void *buf, size_t len)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	struct uvdpa_blk_req req = { .op = op, .sector = sector, .iov = &iov, .niov = len ? 1 : 0 };
	struct uvdpa_blk_req *p = &req;
	int n = uvdpa_blkq_submit(q, &p, 1);

	if (n != 1)
		return n < 0 ? n : -EAGAIN;
	while (!uvdpa_blkq_poll(q, &p, 1))
		uvdpa_blkq_wait(q, -1);
	return req.res;
}

/* The whole disk to @f, or @f over it. */
static int copy(struct uvdpa_blk *blk, FILE *f, bool put)
{
	uint64_t left = uvdpa_blk_info(blk)->capacity_sectors * UVDPA_BLK_SECTOR, at = 0;
	struct uvdpa_blkq *q = uvdpa_blk_queue(blk, 0);
	void *buf = uvdpa_blk_alloc(blk, PIECE);
	int r = buf ? 0 : -ENOMEM;

	while (left && !r) {
		size_t len = left < PIECE ? (size_t)left : PIECE;

		if (put && fread(buf, 1, len, f) != len)
			r = -EIO;
		if (!r)
			r = request(q, put ? UVDPA_BLK_WRITE : UVDPA_BLK_READ,
				    at / UVDPA_BLK_SECTOR, buf, len);
		if (!r && !put && fwrite(buf, 1, len, f) != len)
			r = -EIO;
		at += len;
		left -= len;
	}
	if (!r && put && uvdpa_blk_info(blk)->flush)
		r = request(q, UVDPA_BLK_FLUSH, 0, NULL, 0);
	return r;
}

static int transfer(struct uvdpa_dev *dev, const char *path, bool put)
{
	struct uvdpa_blk *blk;
	FILE *f = fopen(path, put ? "rb" : "wb");
	int r;

	if (!f)
		return failed(path);
	if (uvdpa_blk_open(dev, NULL, &blk)) {
		fclose(f);
		return failed_bus();
	}
	r = copy(blk, f, put);
	uvdpa_blk_close(blk);
	if (fclose(f) && !r)
		r = -errno;
	errno = -r;
	return r ? failed(path) : 0;
}

static int move(struct uvdpa *u, struct uvdpa_dev *dev, const char *driver, const char *socket)
{
	struct uvdpa_attr attr = { .key = "socket", .value = socket };
	struct uvdpa_wait w = { 0 };
	int r = uvdpa_dev_bind(dev, driver, &attr, socket ? 1 : 0, &w);

	return uvdpa_await(u, &w, r) ? failed_bus() : 0;
}

static int command(struct uvdpa *u, struct uvdpa_dev *dev, char *line)
{
	const char *verb = strtok(line, " \n"), *arg = strtok(NULL, "\n");

	if (verb && arg && !strcmp(verb, "get"))
		return transfer(dev, arg, false);
	if (verb && arg && !strcmp(verb, "put"))
		return transfer(dev, arg, true);
	if (verb && arg && !strcmp(verb, "vm"))
		return move(u, dev, "vhost-user", arg);
	if (verb && !arg && !strcmp(verb, "host"))
		return move(u, dev, "virtio", NULL);
	puts("failed: get FILE, put FILE, vm SOCKET or host");
	return -1;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Commands and the bus, until standard input ends. */
static void loop(struct uvdpa *u, struct uvdpa_dev *dev)
{
	struct pollfd fds[2] = { { .fd = 0, .events = POLLIN },
				 { .fd = uvdpa_fd(u), .events = POLLIN } };
	char line[4096];

	setvbuf(stdin, NULL, _IONBF, 0);	/* poll() must know of every line */
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (;;) {
		double begin;

		poll(fds, 2, -1);
		uvdpa_dispatch(u, 0);
		if (!fds[0].revents)
			continue;
		if (!fgets(line, sizeof(line), stdin))
			return;
		begin = now_ms();
		if (!command(u, dev, line))
			printf("ok %.1f\n", now_ms() - begin);
	}
}

int main(int argc, char **argv)
{
	struct uvdpa_attr image = { .key = "image", .value = argv[1] };
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "d0", .mgmtdev = "blk",
				    .attrs = &image, .nattrs = 1, .driver = "virtio" };
	struct uvdpa_wait w = { 0 };
	struct uvdpa_dev *dev;
	struct uvdpa *u;
	int r;

	if (argc < 2) {
		fputs("usage: blk-move IMAGE [FEATURES]\n", stderr);
		return 2;
	}
	if (argc > 2)
		o.features = strtoull(argv[2], NULL, 0);
	r = uvdpa_create(&u);
	if (r) {
		fprintf(stderr, "blk-move: %s\n", uvdpa_error());
		return 1;
	}
	uvdpa_set_log(u, NULL, UVDPA_LOG_INFO);
	r = uvdpa_await(u, &w, uvdpa_dev_add(u, &o, &dev, &w));
	if (!r)
		loop(u, dev);
	else
		fprintf(stderr, "blk-move: %s\n", uvdpa_error());
	uvdpa_destroy(u);
	return r ? 1 : 0;
}
