/* SPDX-License-Identifier: BSD-2-Clause */
/* <uvdpa/blk.h> and bus driver "virtio" as an application has them: real core, real disks. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uvdpa/blk.h>

#include <cmocka.h>

#include "base/open-fds.h"
#include "base/util.h"
#include "config.h"

#define SECTORS 2048u

struct bed {
	struct uvdpa *u;
	struct uvdpa_dev *dev;
	char dir[32];
	char path[48];		/* in dir, not there */
	unsigned int fds;
};

static void settle(struct uvdpa *u)
{
	while (uvdpa_dispatch(u, 0) > 0)
		;
}

static void begin(struct bed *b)
{
	struct uvdpa_attr attr = { "capacity", "1M" };
	struct uvdpa_wait w = { 0 };

	strcpy(b->dir, "/tmp/virtio-test-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/d0", b->dir);
	b->fds = open_fds();
	assert_int_equal(uvdpa_create(&b->u), 0);
	assert_int_equal(uvdpa_await(b->u, &w, uvdpa_dev_add(b->u, &(struct uvdpa_dev_opts){
		.size = sizeof(struct uvdpa_dev_opts), .name = "d0", .mgmtdev = "sim-blk",
		.attrs = &attr, .nattrs = 1 }, &b->dev, &w)), 0);
}

/* Nothing is left: no descriptor, no file. */
static void end(struct bed *b)
{
	uvdpa_destroy(b->u);
	assert_int_equal(open_fds(), b->fds);
	assert_int_equal(rmdir(b->dir), 0);
}

static int bind(struct bed *b, const char *driver, const char *key, const char *value)
{
	struct uvdpa_attr attr = { key, value };
	struct uvdpa_wait w = { 0 };

	return uvdpa_await(b->u, &w, uvdpa_dev_bind(b->dev, driver, &attr, key ? 1 : 0, &w));
}

static void unbind(struct bed *b)
{
	struct uvdpa_wait w = { 0 };

	assert_int_equal(uvdpa_await(b->u, &w, uvdpa_dev_unbind(b->dev, &w)), 0);
}

static int io(struct uvdpa_blkq *q, enum uvdpa_blk_op op, uint64_t sector, void *buf, size_t len)
{
	struct iovec iov = { buf, len };
	struct uvdpa_blk_req r = { .op = op, .sector = sector, .nsectors = buf ? 0 : len / 512,
				   .iov = &iov, .niov = buf != NULL };
	struct uvdpa_blk_req *p = &r, *done;
	int n = uvdpa_blkq_submit(q, &p, 1);

	if (n < 0)
		return n;
	assert_int_equal(n, 1);
	while (!uvdpa_blkq_poll(q, &done, 1))
		assert_int_equal(uvdpa_blkq_wait(q, 10000), 0);
	assert_ptr_equal(done, &r);
	return r.res;
}

static void test_round_trip(void **state)
{
	static const struct uvdpa_blk_opts cases[] = {
		{ .size = sizeof(cases[0]) },
		{ .size = sizeof(cases[0]), .packed = true },
		{ .size = sizeof(cases[0]), .queue_size = 4, .features_off = 1ull << 28 },
		{ .size = sizeof(cases[0]), .packed = true, .features_off = 1ull << 28 | 1ull << 29 },
	};
	struct bed b;

	(void)state;
	begin(&b);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct uvdpa_blk *blk, *other;
		struct uvdpa_blkq *q;
		uint8_t *m;

		assert_int_equal(uvdpa_blk_open(b.dev, &cases[i], &blk), 0);
		assert_int_equal(uvdpa_blk_open(b.dev, &cases[i], &other), -EBUSY);
		assert_int_equal(uvdpa_dev_features(b.dev) & cases[i].features_off, 0);
		assert_int_equal(uvdpa_dev_features(b.dev) >> 34 & 1, cases[i].packed);
		assert_int_equal(uvdpa_blk_info(blk)->capacity_sectors, SECTORS);
		q = uvdpa_blk_queue(blk, 0);
		m = uvdpa_blk_alloc(blk, 65536);
		for (unsigned int s = 0; s < 200; s++) {
			memset(m, (int)(s + i), 1024);
			assert_int_equal(io(q, UVDPA_BLK_WRITE, s * 5, m, 1024), 0);
		}
		assert_int_equal(io(q, UVDPA_BLK_FLUSH, 0, NULL, 0),
				 uvdpa_blk_info(blk)->flush ? 0 : -EOPNOTSUPP);
		for (unsigned int s = 0; s < 200; s++) {
			assert_int_equal(io(q, UVDPA_BLK_READ, s * 5, m, 1024), 0);
			assert_int_equal(m[0], (s + i) & 0xff);
			assert_memory_equal(m, m + 1, 1023);
		}
		assert_int_equal(io(q, UVDPA_BLK_READ, SECTORS - 1, m, 1024), -EIO);
		uvdpa_blk_close(blk);
	}
	end(&b);
}

/* A child closes what it has a copy of, and the parent's disk goes on. */
static void test_closed_by_a_child(void **state)
{
	struct uvdpa_blk *blk;
	struct uvdpa_blkq *q;
	struct bed b;
	uint8_t *m;
	int status;
	pid_t pid;

	(void)state;
	begin(&b);
	assert_int_equal(uvdpa_blk_open(b.dev, NULL, &blk), 0);
	q = uvdpa_blk_queue(blk, 0);
	m = uvdpa_blk_alloc(blk, 512);
	memset(m, 1, 512);
	assert_int_equal(io(q, UVDPA_BLK_WRITE, 0, m, 512), 0);
	pid = fork();
	if (!pid) {
		struct uvdpa_blk *second;
		int r = uvdpa_blk_open(b.dev, NULL, &second);

		uvdpa_blk_close(blk);
		uvdpa_destroy(b.u);
		_exit(r == -EPERM ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	memset(m, 0, 512);
	assert_int_equal(io(q, UVDPA_BLK_READ, 0, m, 512), 0);
	assert_int_equal(m[511], 1);
	uvdpa_blk_close(blk);
	end(&b);
}

/* Zeros where a range was, and nowhere else; a cache that is off is off until the next open. */
static void test_ranges(void **state)
{
	static const enum uvdpa_blk_op ops[] = { UVDPA_BLK_DISCARD, UVDPA_BLK_WRITE_ZEROES,
						 UVDPA_BLK_SECURE_ERASE };
	struct uvdpa_blk *blk;
	struct uvdpa_blkq *q;
	struct bed b;
	uint8_t *m;

	(void)state;
	begin(&b);
	assert_int_equal(uvdpa_blk_open(b.dev, NULL, &blk), 0);
	q = uvdpa_blk_queue(blk, 0);
	m = uvdpa_blk_alloc(blk, 16384);
	assert_true(uvdpa_blk_info(blk)->discard_max_sectors >= SECTORS);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(ops); i++) {
		memset(m, 0xee, 16384);
		assert_int_equal(io(q, UVDPA_BLK_WRITE, 8, m, 16384), 0);
		assert_int_equal(io(q, ops[i], 11, NULL, 20 * 512), 0);
		assert_int_equal(io(q, UVDPA_BLK_READ, 8, m, 16384), 0);
		for (unsigned int k = 0; k < 32; k++)
			assert_int_equal(m[k * 512], k >= 3 && k < 23 ? 0 : 0xee);
		assert_int_equal(io(q, ops[i], SECTORS - 1, NULL, 2 * 512), -EIO);
	}
	assert_true(uvdpa_blk_info(blk)->writeback);
	assert_int_equal(uvdpa_blk_set_writeback(blk, false), 0);
	assert_false(uvdpa_blk_info(blk)->writeback);
	uvdpa_blk_close(blk);
	assert_int_equal(uvdpa_blk_open(b.dev, NULL, &blk), 0);
	assert_true(uvdpa_blk_info(blk)->writeback);
	uvdpa_blk_close(blk);
	end(&b);
}

struct user {
	struct uvdpa_blkq *q;
	void *mem;
	unsigned int ok, gone, wrong;
};

/* Eight in flight, in a thread of its own, until the device goes. */
static void *user(void *arg)
{
	struct uvdpa_blk_req reqs[8], *idle[8], *done[8];
	struct user *u = arg;
	struct iovec iov = { u->mem, 8192 };
	unsigned int nidle = 8;
	bool gone = false;

	for (unsigned int i = 0; i < 8; i++) {
		reqs[i] = (struct uvdpa_blk_req){ .iov = &iov, .niov = 1, .sector = i };
		idle[i] = &reqs[i];
	}
	while (!gone || nidle < 8) {
		int r = nidle && !gone ? uvdpa_blkq_submit(u->q, idle, nidle) : 0;
		unsigned int n;

		if (r < 0) {
			u->wrong += r != -ENODEV;
			gone = true;
			r = 0;
		}
		nidle -= (unsigned int)r;
		memmove(idle, idle + r, nidle * sizeof(idle[0]));
		n = uvdpa_blkq_poll(u->q, done, 8);
		for (unsigned int i = 0; i < n; i++) {
			if (!done[i]->res)
				u->ok++;
			else if (done[i]->res == -ENODEV)
				u->gone++;
			else
				u->wrong++;
			idle[nidle++] = done[i];
		}
		if (!n && nidle < 8 && uvdpa_blkq_wait(u->q, 10000)) {
			u->wrong++;
			break;
		}
	}
	return NULL;
}

/* Unbound, deleted or destroyed under a thread that uses it: everything comes back. */
static void test_taken_away(void **state)
{
	unsigned int ok = 0;

	(void)state;
	for (unsigned int round = 0; round < 30; round++) {
		struct uvdpa_blk_opts o = { .size = sizeof(o), .packed = round & 1 };
		struct uvdpa_wait w = { 0 };
		struct uvdpa_blk *blk, *again;
		struct user usr = { 0 };
		pthread_t t;
		struct bed b;

		begin(&b);
		assert_int_equal(uvdpa_blk_open(b.dev, &o, &blk), 0);
		usr.q = uvdpa_blk_queue(blk, 0);
		usr.mem = uvdpa_blk_alloc(blk, 8192);
		assert_int_equal(pthread_create(&t, NULL, user, &usr), 0);
		usleep(round * 100);
		switch (round / 2 % 4) {
		case 0:
			unbind(&b);
			break;
		case 1:
			assert_int_equal(uvdpa_await(b.u, &w, uvdpa_dev_del(b.dev, &w)), 0);
			break;
		case 2:
			uvdpa_destroy(b.u);
			b.u = NULL;
			break;
		case 3:		/* the next user does not wait for the last one's thread */
			unbind(&b);
			assert_int_equal(uvdpa_blk_open(b.dev, &o, &again), 0);
			assert_int_equal(io(uvdpa_blk_queue(again, 0), UVDPA_BLK_READ, 0,
					    uvdpa_blk_alloc(again, 512), 512), 0);
			uvdpa_blk_close(again);
			break;
		}
		pthread_join(t, NULL);
		assert_int_equal(usr.wrong, 0);
		ok += usr.ok;
		uvdpa_blk_close(blk);
		end(&b);
	}
	assert_true(ok > 0);
}

/* Closing with requests in flight: the device ends them in memory that is nobody's any more. */
static void test_close_in_flight(void **state)
{
	struct bed b;

	(void)state;
	begin(&b);
	for (unsigned int round = 0; round < 50; round++) {
		struct uvdpa_blk_req reqs[64], *p[64];
		struct iovec iov;
		struct uvdpa_blk *blk;
		struct uvdpa_blkq *q;

		assert_int_equal(uvdpa_blk_open(b.dev, NULL, &blk), 0);
		q = uvdpa_blk_queue(blk, 0);
		iov = (struct iovec){ uvdpa_blk_alloc(blk, 65536), 65536 };
		for (unsigned int i = 0; i < 64; i++) {
			reqs[i] = (struct uvdpa_blk_req){ .iov = &iov, .niov = 1 };
			p[i] = &reqs[i];
		}
		assert_true(uvdpa_blkq_submit(q, p, 64) > 0);
		uvdpa_blk_close(blk);
	}
	end(&b);
}

static void test_move(void **state)
{
	char sock[64];
	struct bed b;

	(void)state;
	begin(&b);
	snprintf(sock, sizeof(sock), "%s/sock", b.dir);
	for (unsigned int round = 0; round < 20; round++) {
		struct uvdpa_blk *blk;
		uint8_t *m;

		assert_int_equal(bind(&b, "vhost-user", "socket", sock), 0);
		assert_int_equal(uvdpa_blk_open(b.dev, NULL, &blk), -EBUSY);
		assert_int_equal(bind(&b, "virtio", NULL, NULL), 0);
		assert_int_equal(uvdpa_dev_status(b.dev), 0);
		assert_int_equal(uvdpa_blk_open(b.dev, NULL, &blk), 0);
		m = uvdpa_blk_alloc(blk, 512);
		if (round) {
			assert_int_equal(io(uvdpa_blk_queue(blk, 0), UVDPA_BLK_READ, 1, m, 512), 0);
			assert_int_equal(m[511], round - 1);
		}
		memset(m, (int)round, 512);
		assert_int_equal(io(uvdpa_blk_queue(blk, 0), UVDPA_BLK_WRITE, 1, m, 512), 0);
		if (round & 1)
			uvdpa_blk_close(blk);
		unbind(&b);
		if (!(round & 1))
			uvdpa_blk_close(blk);
	}
	end(&b);
}

/* ---- the file; what it does with a whole system on it is tests/virtio/ ----------------------- */

static void need_fuse(void)
{
	if (!HAVE_FUSE) {
		print_message("built without FUSE\n");
		skip();
	}
	if (access("/dev/fuse", R_OK | W_OK)) {
		print_message("/dev/fuse cannot be opened\n");
		skip();
	}
}

static void test_file(void **state)
{
	struct uvdpa_blk *blk;
	struct stat st;
	char buf[600], back[600], *m;
	struct bed b;
	int fd;

	(void)state;
	need_fuse();
	begin(&b);
	for (unsigned int round = 0; round < 5; round++) {
		assert_int_equal(bind(&b, "virtio", "file", b.path), 0);
		assert_int_equal(stat(b.path, &st), 0);
		assert_true(S_ISREG(st.st_mode));
		assert_int_equal(st.st_size, SECTORS * 512);
		assert_int_equal(uvdpa_blk_open(b.dev, NULL, &blk), -EBUSY);
		fd = open(b.path, O_RDWR);
		assert_true(fd >= 0);
		memset(buf, 'a' + (int)round, sizeof(buf));
		assert_int_equal(pwrite(fd, buf, sizeof(buf), 1000), sizeof(buf));
		assert_int_equal(fsync(fd), 0);
		assert_int_equal(pread(fd, back, sizeof(back), 1000), sizeof(back));
		assert_memory_equal(buf, back, sizeof(buf));
		assert_int_equal(ftruncate(fd, 4096), -1);
		assert_int_equal(errno, EPERM);
		assert_int_equal(ftruncate(fd, SECTORS * 512), 0);
		/* Taken away from who has it open. */
		unbind(&b);
		assert_int_equal(pread(fd, back, 1, 0), -1);
		assert_int_equal(errno, ENOTCONN);
		close(fd);
		assert_int_equal(access(b.path, F_OK), -1);
		/* And what was written is on the disk. */
		assert_int_equal(uvdpa_blk_open(b.dev, NULL, &blk), 0);
		m = uvdpa_blk_alloc(blk, 512);
		assert_int_equal(io(uvdpa_blk_queue(blk, 0), UVDPA_BLK_READ, 2, m, 512), 0);
		assert_memory_equal(m, buf, 512);
		uvdpa_blk_close(blk);
		unbind(&b);
	}
	end(&b);
}

/* A file that is there stays there; anything but an empty file is not touched. */
static void test_file_paths(void **state)
{
	static const struct {
		mode_t type;
		const char *text;
		int err;
	} cases[] = {
		{ 0, NULL, 0 }, { S_IFREG, "", 0 }, { S_IFREG, "x", -EEXIST },
		{ S_IFDIR, NULL, -EEXIST }, { S_IFLNK, NULL, -EEXIST }, { S_IFIFO, NULL, -EEXIST },
	};
	struct stat st;
	struct bed b;

	(void)state;
	need_fuse();
	begin(&b);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		int fd = -1;

		if (cases[i].type == S_IFREG) {
			fd = open(b.path, O_WRONLY | O_CREAT, 0600);
			assert_int_equal(write(fd, cases[i].text, strlen(cases[i].text)),
					 strlen(cases[i].text));
			close(fd);
		} else if (cases[i].type == S_IFDIR) {
			assert_int_equal(mkdir(b.path, 0700), 0);
		} else if (cases[i].type == S_IFLNK) {
			assert_int_equal(symlink("nowhere", b.path), 0);
		} else if (cases[i].type == S_IFIFO) {
			assert_int_equal(mkfifo(b.path, 0600), 0);
		}
		assert_int_equal(bind(&b, "virtio", "file", b.path), cases[i].err);
		if (cases[i].err)
			assert_non_null(strstr(uvdpa_error(), b.path));
		else
			unbind(&b);
		assert_int_equal(lstat(b.path, &st), cases[i].type ? 0 : -1);
		if (cases[i].type) {
			assert_int_equal(st.st_mode & S_IFMT, cases[i].type);
			assert_int_equal(remove(b.path), 0);
		}
	}
	assert_int_equal(bind(&b, "virtio", "file", "/nowhere/at/all"), -ENOENT);
	assert_null(uvdpa_dev_driver(b.dev));
	settle(b.u);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_closed_by_a_child),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_taken_away),
		cmocka_unit_test(test_close_in_flight),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
