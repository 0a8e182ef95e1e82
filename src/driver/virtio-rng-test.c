/* SPDX-License-Identifier: BSD-2-Clause */
/* <uvdpa/rng.h> as an application has it: real core, the rng parent, one after the other's use. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uvdpa/rng.h>

#include <cmocka.h>

#include "base/noise.h"
#include "base/open-fds.h"
#include "base/util.h"


static char pipe_path[64], socket_path[64]; /* this process's own */

struct bed {
	struct uvdpa *u;
	struct uvdpa_dev *dev;
	unsigned int fds;
};

static void log_nothing(struct uvdpa_log *l, enum uvdpa_log_level level, const char *line)
{
	(void)l, (void)level, (void)line;
}

static struct uvdpa_log nowhere = { .line = log_nothing };

static struct uvdpa_dev *add(struct bed *b, const char *name, const char *mgmtdev, const char *key,
			     const char *value)
{
	struct uvdpa_attr attrs[] = { { key, value }, { "device_id", "rng" } };
	struct uvdpa_dev_opts o = { .size = sizeof(o),
				    .name = name,
				    .mgmtdev = mgmtdev,
				    .attrs = attrs,
				    .nattrs = *mgmtdev == 'v' ? 2 : 1 };
	struct uvdpa_wait w = { 0 };
	struct uvdpa_dev *dev;

	assert_int_equal(uvdpa_await(b->u, &w, uvdpa_dev_add(b->u, &o, &dev, &w)), 0);
	return dev;
}

static void begin(struct bed *b, const char *key, const char *value)
{
	b->fds = open_fds();
	assert_int_equal(uvdpa_create(&b->u), 0);
	uvdpa_set_log(b->u, &nowhere, UVDPA_LOG_ERR);
	b->dev = add(b, "r0", "rng", key, value);
}

static void end(struct bed *b)
{
	uvdpa_destroy(b->u);
	assert_int_equal(open_fds(), b->fds);
}

static int bind(struct bed *b, struct uvdpa_dev *dev, const char *driver, const char *key,
		const char *value)
{
	struct uvdpa_attr attr = { key, value };
	struct uvdpa_wait w = { 0 };

	return uvdpa_await(b->u, &w, uvdpa_dev_bind(dev, driver, &attr, key ? 1 : 0, &w));
}

static void unbind(struct bed *b)
{
	struct uvdpa_wait w = { 0 };

	assert_int_equal(uvdpa_await(b->u, &w, uvdpa_dev_unbind(b->dev, &w)), 0);
}

static bool is_noise(const uint8_t *p, size_t len, uint64_t seed, uint64_t at)
{
	for (size_t i = 0; i < len; i++, at++) {
		uint64_t word = htole64(vd_noise(seed, at / 8));

		if (p[i] != ((uint8_t *)&word)[at % 8])
			return false;
	}
	return true;
}

static void read_seed(struct uvdpa_rng *rng, size_t len, uint64_t at)
{
	uint8_t *buf = malloc(len);

	assert_non_null(buf);
	assert_int_equal(uvdpa_rng_read(rng, buf, len, 10000), len);
	assert_true(is_noise(buf, len, 5, at));
	free(buf);
}

static void test_read(void **state)
{
	struct uvdpa_rng *rng, *second;
	struct bed b;

	(void)state;
	begin(&b, "seed", "5");
	assert_int_equal(uvdpa_rng_open(b.dev, NULL, &rng), 0);
	assert_int_equal(uvdpa_rng_open(b.dev, NULL, &second), -EBUSY);
	read_seed(rng, 1, 0);
	read_seed(rng, 1000000, 1);
	read_seed(rng, 65536, 1000001);
	uvdpa_rng_close(rng);
	/* It stays bound, and the next begins anew. */
	assert_non_null(uvdpa_dev_driver(b.dev));
	assert_int_equal(
		uvdpa_rng_open(b.dev,
			       &(struct uvdpa_rng_opts){ .size = sizeof(struct uvdpa_rng_opts),
							 .packed = true,
							 .queue_size = 2 },
			       &rng),
		0);
	read_seed(rng, 300000, 0);
	uvdpa_rng_close(rng);
	end(&b);
}

static void test_requests(void **state)
{
	enum { N = 16, LEN = 5000 };
	struct uvdpa_rng_req r[N], *p[N], *done[N];
	unsigned int back = 0, n, put = 0;
	struct uvdpa_rng *rng;
	uint64_t at = 0;
	struct bed b;
	uint8_t *mem;

	(void)state;
	begin(&b, "seed", "5");
	assert_int_equal(uvdpa_rng_open(b.dev, NULL, &rng), 0);
	mem = uvdpa_rng_alloc(rng, N * LEN);
	for (unsigned int i = 0; i < N; i++) {
		r[i] = (struct uvdpa_rng_req){ .buf = mem + i * LEN, .len = LEN - i };
		p[i] = &r[i];
	}
	put = (unsigned int)uvdpa_rng_submit(rng, p, N);
	assert_int_equal(put, N);
	while (back < 1000) {
		while (!(n = uvdpa_rng_poll(rng, done, N)))
			assert_int_equal(uvdpa_rng_wait(rng, 10000), 0);
		for (unsigned int i = 0; i < n; i++) {
			assert_int_equal(done[i]->res, done[i]->len);
			assert_true(is_noise(done[i]->buf, done[i]->len, 5, at));
			at += done[i]->len;
		}
		assert_int_equal(uvdpa_rng_submit(rng, done, n), n);
		back += n;
	}
	uvdpa_rng_close(rng); /* with all of them out */
	end(&b);
}

static void test_refused(void **state)
{
	struct uvdpa_dev *disk;
	struct uvdpa_rng *rng;
	struct bed b;

	(void)state;
	begin(&b, "source", "getrandom");
	disk = add(&b, "d0", "sim-blk", "capacity", "1M");
	assert_int_equal(uvdpa_rng_open(disk, NULL, &rng), -ENODEV);
	assert_int_equal(bind(&b, b.dev, "virtio", "file", "/tmp/nowhere"), -EINVAL);
	assert_int_equal(bind(&b, b.dev, "vhost-user", "socket", socket_path), 0);
	assert_int_equal(uvdpa_rng_open(b.dev, NULL, &rng), -EBUSY);
	end(&b);
}

/* The source gives nothing; the device goes all the same, and with it who waits. */
static void *read_for_ever(void *arg)
{
	uint8_t buf[8];

	return (void *)(intptr_t)uvdpa_rng_read(arg, buf, sizeof(buf), -1);
}

static void test_taken_away(void **state)
{
	struct uvdpa_rng *rng;
	pthread_t thread;
	struct bed b;
	char buf[8];
	void *res;
	int fd;

	(void)state;
	unlink(pipe_path);
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	fd = open(pipe_path, O_RDWR | O_CLOEXEC);
	begin(&b, "source", pipe_path);
	assert_int_equal(uvdpa_rng_open(b.dev, NULL, &rng), 0);
	assert_int_equal(uvdpa_rng_read(rng, buf, 8, 20), -ETIMEDOUT);
	assert_int_equal(write(fd, "abcde", 5), 5);
	assert_int_equal(uvdpa_rng_read(rng, buf, 5, 10000), 5);
	assert_memory_equal(buf, "abcde", 5);
	assert_int_equal(pthread_create(&thread, NULL, read_for_ever, rng), 0);
	usleep(10000);
	unbind(&b);
	pthread_join(thread, &res);
	assert_int_equal((intptr_t)res, -ENODEV);
	uvdpa_rng_close(rng);
	assert_int_equal(uvdpa_rng_open(b.dev, NULL, &rng), 0);
	assert_int_equal(write(fd, "f", 1), 1);
	assert_int_equal(uvdpa_rng_read(rng, buf, 1, 10000), 1);
	assert_int_equal(*buf, 'f');
	uvdpa_rng_close(rng);
	end(&b);
	close(fd);
	unlink(pipe_path);
}

/* Through another process's socket, as it seems. */
static void test_proxy(void **state)
{
	struct uvdpa_dev *proxy;
	struct uvdpa_rng *rng;
	struct bed b;
	uint8_t *buf = malloc(200000);
	size_t got = 0;

	(void)state;
	begin(&b, "seed", "5");
	assert_int_equal(bind(&b, b.dev, "vhost-user", "socket", socket_path), 0);
	proxy = add(&b, "p0", "vhost-user", "socket", socket_path);
	assert_int_equal(uvdpa_rng_open(proxy, NULL, &rng), 0);
	while (got < 200000) {
		ssize_t n = uvdpa_rng_read(rng, buf + got, 200000 - got, 1);

		assert_true(n > 0 || n == -ETIMEDOUT);
		got += n > 0 ? (size_t)n : 0;
		uvdpa_dispatch(b.u, 0); /* both are ours */
	}
	assert_true(is_noise(buf, 200000, 5, 0));
	free(buf);
	uvdpa_rng_close(rng);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),    cmocka_unit_test(test_requests),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_taken_away),
		cmocka_unit_test(test_proxy),
	};

	snprintf(pipe_path, sizeof(pipe_path), "/tmp/uvdpa-rng-api.%d", (int)getpid());
	snprintf(socket_path, sizeof(socket_path), "/tmp/uvdpa-rng-api.%d.sock", (int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
