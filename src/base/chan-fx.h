/* SPDX-License-Identifier: BSD-2-Clause */
/* chan-fx.h - for tests of chan: two of them on a loop, and a folder; control and data are one
 * thread */
#ifndef VD_BASE_CHAN_FX_H
#define VD_BASE_CHAN_FX_H

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/chan.h"
#include "base/err.h"
#include "base/open-fds.h"

struct rig {
	struct vd_loop loop;
	struct vd_log log;
	struct vd_chan chan, other;
	char dir[32];
	unsigned int ups, downs, sizes;
	uint16_t cols, rows;
	unsigned int fds;
};

/* One at a time. */
static struct rig rig;

static inline void up(struct vd_chan *c)
{
	if (c == &rig.chan)
		rig.ups++;
}

static inline void down(struct vd_chan *c)
{
	if (c == &rig.chan)
		rig.downs++;
}

static inline void resized(struct vd_chan *c, uint16_t cols, uint16_t rows)
{
	if (c != &rig.chan)
		return;
	rig.sizes++;
	rig.cols = cols;
	rig.rows = rows;
}

static const struct vd_chan_ops ops = { .up = up, .down = down, .resized = resized };

static inline int setup(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof(rig));
	strcpy(rig.dir, "/tmp/uvdpa-chan-XXXXXX");
	assert_non_null(mkdtemp(rig.dir));
	rig.fds = open_fds();
	assert_int_equal(vd_loop_init(&rig.loop), 0);
	vd_log_init(&rig.log);
	vd_log_set(&rig.log, NULL, UVDPA_LOG_ERR);
	alarm(100);
	return 0;
}

#define SOON_MS 30000 /* what is sure to come has come by then, even if the machine is busy */

static inline uint64_t soon(void)
{
	return vd_now_ns() + SOON_MS * 1000000ull;
}

/* And nothing stays open, nor in the folder. */
static inline int teardown(void **state)
{
	uint64_t end = soon();

	(void)state;
	alarm(0);
	vd_chan_close(&rig.chan);
	vd_chan_close(&rig.other);
	vd_loop_fini(&rig.loop);
	vd_log_fini(&rig.log);
	while (open_fds() != rig.fds && vd_now_ns() < end)
		usleep(1000); /* a thread that was left to itself has one */
	assert_int_equal(open_fds(), rig.fds);
	assert_int_equal(rmdir(rig.dir), 0);
	return 0;
}

static inline const char *in_dir(const char *fmt, const char *name)
{
	static char text[4][256];
	static unsigned int turn;
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", rig.dir, name);
	turn = (turn + 1) % 4;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text[turn], sizeof(text[0]), fmt, path);
#pragma GCC diagnostic pop
	return text[turn];
}

static inline int try_open(struct vd_chan *c, const char *address)
{
	struct vd_chan_conf conf = { .address = address, .mode = 0600, .reconnect_ms = 20 };

	return vd_chan_open(c, &rig.loop, &rig.log, "test", &ops, &conf);
}

static inline void open_chan(struct vd_chan *c, const char *address)
{
	int r = try_open(c, address);

	if (r)
		fail_msg("%s: %s", address, vd_err_text());
}

static inline void turn(int ms)
{
	assert_true(vd_loop_dispatch(&rig.loop, ms) >= 0);
	if (rig.chan.open && vd_chan_changed(&rig.chan))
		vd_chan_take(&rig.chan);
	if (rig.other.open && vd_chan_changed(&rig.other))
		vd_chan_take(&rig.other);
}

#define until(cond)                                   \
	do {                                          \
		uint64_t end_ = soon();               \
		while (!(cond) && vd_now_ns() < end_) \
			turn(20);                     \
		assert_true(cond);                    \
	} while (0)

/* As a worker does: bytes, as long as there are some. */
static inline size_t get(struct vd_chan *c, char *buf, size_t len)
{
	struct iovec iov = { buf, len };

	return vd_chan_readv(c, &iov, 1);
}

static inline size_t put(struct vd_chan *c, const char *text)
{
	struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };

	return vd_chan_writev(c, &iov, 1);
}

static inline void expect_from(struct vd_chan *c, const char *text)
{
	char buf[4096];
	uint64_t end = soon();
	size_t n = 0;

	while (n < strlen(text) && vd_now_ns() < end) {
		n += get(c, buf + n, sizeof(buf) - 1 - n);
		if (n < strlen(text))
			turn(10);
	}
	buf[n] = '\0';
	assert_string_equal(buf, text);
}

static inline void expect_at(int fd, const char *text)
{
	char buf[4096];
	size_t n = 0;

	while (n < strlen(text)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t r;

		assert_int_equal(poll(&p, 1, SOON_MS), 1);
		r = read(fd, buf + n, sizeof(buf) - 1 - n);
		assert_true(r > 0);
		n += (size_t)r;
	}
	buf[n] = '\0';
	assert_string_equal(buf, text);
}

static inline void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

#endif
