/* SPDX-License-Identifier: BSD-2-Clause */
/* rng-test.c - the rng parent: what a slow, an ended and a wrong source do to who waits for bytes
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/noise.h"
#include "mem/sigbus.h"
#include "softdev/blk-bed.h"

#define CANARY 0xa5
#define MAX    65536u /* bytes of one request */

static unsigned int warnings; /* that are about what was asked for */
static const char *about;
static char path[64]; /* of the source; this process's own */

static void count(struct uvdpa_log *l, enum uvdpa_log_level level, const char *line)
{
	(void)l;
	if (level == UVDPA_LOG_WARN && about && strstr(line, about))
		__atomic_fetch_add(&warnings, 1, __ATOMIC_RELAXED);
}

static struct uvdpa_log counter = { .line = count };

/* @pages from the start of the data, that requests of this test use, in their order. */
static uint8_t *data(struct bed *b, unsigned int page)
{
	return b->mem + BED_RINGS + page * 4096;
}

static void want(struct bed *b, unsigned int page, uint32_t len)
{
	struct vd_buf buf = { bed_iova(BED_RINGS + page * 4096), len };

	memset(data(b, page), CANARY, len);
	bed_add_req(b, 0, &buf, 0, 1);
}

/* The next that comes back, within @ms. Return: its length; 0: none. */
static uint32_t get(struct bed *b, int ms)
{
	struct vd_done d;
	int n = bed_get(b, 0, &d, 1, ms);

	assert_in_range(n, 0, 1);
	return n ? d.len : 0;
}

static void begin(struct bed *b, const char *key, const char *value)
{
	const char *const attrs[] = { key, value, NULL };

	assert_int_equal(bed_add(b, "rng", attrs), 0);
	bed_start(b, &(struct bed_conf){ 0 });
}

static bool is(const uint8_t *p, uint8_t byte, size_t n)
{
	while (n && *p == byte)
		p++, n--;
	return !n;
}

static void test_getrandom(void **state)
{
	static const uint32_t lens[] = { 1, 15, 16, 64, 255, 256, 257, 4096, 65535, 65536, 200000 };
	struct bed b;

	(void)state;
	begin(&b, "source", "getrandom");
	for (size_t i = 0; i < VD_ARRAY_SIZE(lens); i++) {
		uint32_t len = vd_min(lens[i], MAX);

		want(&b, 0, lens[i]);
		assert_int_equal(get(&b, 5000), len);
		assert_true(len < 16 || !is(data(&b, 0), CANARY, 16));
		assert_true(len < 16 || !is(data(&b, 0) + len - 16, CANARY, 16));
		assert_true(is(data(&b, 0) + len, CANARY, lens[i] - len));
	}
	assert_string_equal(bed_shown(&b, "source"), "getrandom");
	assert_int_equal(bed_stat(&b, 0, "requests"), VD_ARRAY_SIZE(lens));
	bed_end(&b);
}

static void check_noise(struct bed *b, uint64_t seed, uint64_t at, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++, at++) {
		uint64_t word = htole64(vd_noise(seed, at / 8));

		assert_int_equal(data(b, 0)[i], ((uint8_t *)&word)[at % 8]);
	}
}

static void one_of_seed(struct bed *b, uint64_t *at, uint32_t len)
{
	want(b, 0, len);
	assert_int_equal(get(b, 5000), len);
	check_noise(b, 42, *at, len);
	*at += len;
}

/* The same bytes for each driver; and who set it up is told with each. */
static void test_seed(void **state)
{
	static const char *const attrs[] = { "seed", "42", NULL };
	struct bed b;

	(void)state;
	assert_int_equal(bed_add(&b, "rng", attrs), 0);
	about = "seed 42";
	uvdpa_set_log(b.u, &counter, UVDPA_LOG_WARN);
	warnings = 0;
	for (unsigned int i = 0; i < 3; i++) {
		uint64_t at = 0;

		bed_start(&b, &(struct bed_conf){ 0 });
		assert_int_equal(__atomic_load_n(&warnings, __ATOMIC_RELAXED), i + 1);
		one_of_seed(&b, &at, 1);
		one_of_seed(&b, &at, 3);
		one_of_seed(&b, &at, 64);
		one_of_seed(&b, &at, 4099);
		bed_reset(&b);
	}
	assert_string_equal(bed_shown(&b, "source"), "seed");
	assert_string_equal(bed_shown(&b, "seed"), "42");
	assert_string_equal(bed_shown(&b, "random"), "false");
	bed_end(&b);
}

/* ---- a pipe --------------------------------------------------------------------------------- */

static int make_pipe(void)
{
	int fd;

	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* A request that waits takes what comes, however little it is; the next one waits on. */
static void test_slow(void **state)
{
	int fd = make_pipe();
	struct bed b;

	(void)state;
	begin(&b, "source", path);
	for (unsigned int i = 0; i < 10; i++)
		want(&b, i, 64);
	assert_int_equal(get(&b, 50), 0);
	for (unsigned int i = 0; i < 10; i++) {
		char text[] = "0abcdefg";
		uint32_t len = 1 + i % 8;

		text[0] = (char)('0' + i);
		assert_int_equal(write(fd, text, len), len);
		assert_int_equal(get(&b, 5000), len);
		assert_memory_equal(data(&b, i), text, len);
		assert_true(is(data(&b, i) + len, CANARY, 64 - len));
		assert_int_equal(get(&b, 0), 0);
	}
	assert_int_equal(bed_stat(&b, 0, "errors"), 0);
	bed_end(&b);
	close(fd);
	unlink(path);
}

/* As fast as it comes, and none is lost. */
static void test_stream(void **state)
{
	int fd = make_pipe();
	uint32_t sent = 0, got = 0;
	struct bed b;

	(void)state;
	begin(&b, "source", path);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	want(&b, 0, 3000);
	while (got < 4 << 20) {
		uint32_t words[512], len;

		for (unsigned int i = 0; i < 512; i++)
			words[i] = sent / 4 + i;
		if (write(fd, words, sizeof(words)) == sizeof(words))
			sent += sizeof(words);
		len = get(&b, 0);
		if (!len)
			continue;
		for (uint32_t i = 0; i < len; i++) {
			uint32_t word = (got + i) / 4;

			assert_int_equal(data(&b, 0)[i], ((uint8_t *)&word)[(got + i) % 4]);
		}
		got += len;
		want(&b, 0, 3000);
	}
	bed_end(&b);
	close(fd);
	unlink(path);
}

/* Who waits for bytes is in nobody's way, and is not written to when he has gone. */
static void test_reset_pending(void **state)
{
	int fd = make_pipe();
	struct bed b;

	(void)state;
	begin(&b, "source", path);
	for (unsigned int round = 0; round < 20; round++) {
		uint64_t since = vd_now_ns();
		char c = (char)round;

		want(&b, 0, 64);
		want(&b, 1, 64);
		assert_int_equal(get(&b, round % 4), 0);
		bed_suspend(&b);
		bed_resume(&b);
		bed_reset(&b);
		assert_true(vd_now_ns() - since < 1000000000);
		/* It comes late: for the next who asks. */
		assert_int_equal(write(fd, &c, 1), 1);
		usleep(1000);
		assert_true(is(data(&b, 0), CANARY, 64) && is(data(&b, 1), CANARY, 64));
		bed_start(&b, &(struct bed_conf){ .packed = round % 2 });
		want(&b, 2, 64);
		assert_int_equal(get(&b, 5000), 1);
		assert_int_equal(*data(&b, 2), c);
	}
	want(&b, 0, 64);
	assert_int_equal(get(&b, 10), 0);
	bed_end(&b); /* also while one waits */
	close(fd);
	unlink(path);
}

/* Without a writer it has an end, until one comes. */
static void test_no_writer(void **state)
{
	struct bed b;
	int fd = make_pipe();

	(void)state;
	close(fd);
	begin(&b, "source", path);
	for (unsigned int i = 0; i < 3; i++) {
		want(&b, 0, 8);
		assert_int_equal(get(&b, 20), 0);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		assert_int_equal(write(fd, "abc", 3), 3);
		close(fd);
		assert_int_equal(get(&b, 5000), 3);
	}
	bed_end(&b);
	unlink(path);
}

/* ---- a file --------------------------------------------------------------------------------- */

static void append(const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* At its end it waits for more, says so once, and makes up nothing. */
static void test_file_end(void **state)
{
	const char *const attrs[] = { "source", path, NULL };
	struct bed b;

	(void)state;
	unlink(path);
	append("bytes");
	assert_int_equal(bed_add(&b, "rng", attrs), 0);
	about = "nothing more to read";
	warnings = 0;
	uvdpa_set_log(b.u, &counter, UVDPA_LOG_WARN);
	bed_start(&b, &(struct bed_conf){ 0 });
	assert_string_equal(bed_shown(&b, "waiting"), "");
	want(&b, 0, 3);
	want(&b, 1, 64);
	want(&b, 2, 64);
	assert_int_equal(get(&b, 5000), 3);
	assert_memory_equal(data(&b, 0), "byt", 3);
	assert_int_equal(get(&b, 5000), 2);
	assert_memory_equal(data(&b, 1), "es", 2);
	assert_int_equal(get(&b, 700), 0);
	assert_int_equal(__atomic_load_n(&warnings, __ATOMIC_RELAXED), 1);
	assert_string_equal(bed_shown(&b, "waiting"), "nothing more to read");
	append(" again");
	assert_int_equal(get(&b, 5000), 6);
	assert_memory_equal(data(&b, 2), " again", 6);
	assert_true(is(data(&b, 2) + 6, CANARY, 58));
	bed_end(&b);
	unlink(path);
}

static void test_refused(void **state)
{
	static const struct {
		const char *attrs[5];
		int err;
	} cases[] = {
		{ { "source", "/tmp" }, -EISDIR },
		{ { "source", "/nowhere/at/all" }, -ENOENT },
		{ { "source", "hwrng" }, -EINVAL },
		{ { "source", "/dev/random", "seed", "1" }, -EINVAL },
		{ { "seed", "0" }, -EINVAL },
		{ { "queue_size", "3" }, -EINVAL },
		{ { "queue_size", "2048" }, -EINVAL },
	};
	struct bed b;

	(void)state;
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		assert_int_equal(bed_add(&b, "rng", cases[i].attrs), cases[i].err);
		assert_string_not_equal(uvdpa_error(), "");
	}
}

/* ---- limits --------------------------------------------------------------------------------- */

/* With little room a request gets little, and never nothing. */
static void test_limit(void **state)
{
	static const char *const attrs[] = { "bps", "2000", "bps_burst", "100", NULL };
	static const struct uvdpa_attr any = { "bps", "0" };
	uint64_t since, sum = 0;
	struct bed b;

	(void)state;
	assert_int_equal(bed_add(&b, "rng", attrs), 0);
	bed_start(&b, &(struct bed_conf){ 0 });
	since = vd_now_ns();
	want(&b, 0, 4096);
	assert_int_equal(get(&b, 5000), 100);
	while (sum < 400) {
		uint32_t len;

		want(&b, 0, 4096);
		len = get(&b, 5000);
		assert_in_range(len, 1, 100);
		sum += len;
	}
	assert_true(vd_now_ns() - since > 190000000);
	assert_int_equal(uvdpa_dev_set(b.dev, &any, 1), 0);
	want(&b, 0, 4096);
	assert_int_equal(get(&b, 5000), 4096);
	assert_string_equal(bed_shown(&b, "bps_burst"), "100");
	assert_string_equal(bed_shown(&b, "bps"), "");
	bed_end(&b);
}

/* ---- what a driver may do ------------------------------------------------------------------- */

static void test_hostile(void **state)
{
	struct vd_buf huge[60], out = { bed_iova(BED_RINGS), 64 }, tiny[2] = { out, out };
	struct vd_done d;
	struct bed b;

	(void)state;
	begin(&b, "source", "getrandom");
	/* Nothing to write to: back, as an error, and the queue goes on. */
	memset(data(&b, 0), CANARY, 64);
	bed_add_req(&b, 0, &out, 1, 0);
	assert_int_equal(bed_get(&b, 0, &d, 1, 5000), 1);
	assert_int_equal(d.len, 0);
	assert_true(is(data(&b, 0), CANARY, 64));
	assert_int_equal(bed_stat(&b, 0, "errors"), 1);
	/* What there is to read beside it is nobody's business. */
	tiny[1].iova += 4096;
	tiny[1].len = 3;
	bed_add_req(&b, 0, tiny, 1, 1);
	assert_int_equal(get(&b, 5000), 3);
	assert_true(is(data(&b, 0), CANARY, 64));
	/* Hundreds of megabytes in one request: a piece of it, at once. */
	for (size_t i = 0; i < VD_ARRAY_SIZE(huge); i++)
		huge[i] = (struct vd_buf){ bed_iova(BED_RINGS), BED_SIZE - BED_RINGS };
	bed_add_req(&b, 0, huge, 0, VD_ARRAY_SIZE(huge));
	assert_int_equal(get(&b, 5000), MAX);
	bed_end(&b);
}

/* Memory that its owner takes away costs its owner the bytes. */
static void test_memory_vanishes(void **state)
{
	static const char *const keys[] = { "source", "seed", "source" };
	static const char *const values[] = { "getrandom", "7", "/dev/random" };
	struct bed b;

	(void)state;
	assert_int_equal(uvdpa_sigbus_guard(), 0);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(keys); i++) {
		begin(&b, keys[i], values[i]);
		vd_sigbus_add(b.mem, BED_SIZE);	/* as if it were a peer's */
		want(&b, 0, 3 * 4096);
		assert_true(get(&b, 5000) > 0);
		want(&b, 0, 1);
		assert_int_equal(get(&b, 5000), 1);
		assert_int_equal(ftruncate(b.fd, BED_RINGS + 4096), 0);
		for (unsigned int page = 0; page < 3; page++) {
			struct vd_buf buf = { bed_iova(BED_RINGS + page * 4096), 2 * 4096 };

			bed_add_req(&b, 0, &buf, 0, 1);
			assert_true(get(&b, 5000) > 0);
		}
		want(&b, 0, 64);
		assert_true(get(&b, 5000) > 0);
		vd_sigbus_del(b.mem);
		bed_end(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_getrandom),
		cmocka_unit_test(test_seed),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_reset_pending),
		cmocka_unit_test(test_no_writer),
		cmocka_unit_test(test_file_end),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_memory_vanishes),
	};

	snprintf(path, sizeof(path), "/tmp/uvdpa-rng-test.%d", (int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
