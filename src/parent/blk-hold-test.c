/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-hold-test.c - disks that take no new work for a while: rate limits, and no space */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/loop.h"
#include "parent/blk-fx.h"

#define MS 1000000ull

static const struct fx_kind sim = { .mgmtdev = "sim-blk" };
static const struct fx_kind threads = {
	.mgmtdev = "blk",
	.engine = "threads",
	.engine_only = true,
};

/* A request of @sectors that nobody waits for, as number @i. */
static void begin(struct bed *b, unsigned int q, unsigned int i, uint32_t type, uint32_t sectors)
{
	uint64_t at = BED_RINGS + i * 65536u;
	struct virtio_blk_outhdr hdr = { .type = htole32(type), .sector = htole64(i * 8) };
	struct vd_buf bufs[3] = {
		{ bed_iova(at), sizeof(hdr) },
		{ bed_iova(at + 512), sectors * 512 },
		{ bed_iova(at + 16), 1 },
	};
	bool out = type == VIRTIO_BLK_T_OUT;

	memcpy(b->mem + at, &hdr, sizeof(hdr));
	b->mem[at + 16] = 0xff;
	bed_add_req(b, q, bufs, out ? 2 : 1, out ? 1 : 2);
}

static uint8_t status_of(const struct bed *b, unsigned int i)
{
	return b->mem[BED_RINGS + i * 65536u + 16];
}

/* Wait for @n requests of a queue, at most @ms. Return: how many came. */
static unsigned int get(struct bed *b, unsigned int q, unsigned int n, unsigned int ms)
{
	uint64_t end = vd_now_ns() + ms * MS;
	struct vd_done done[32];
	unsigned int got = 0;

	while (got < n && vd_now_ns() < end) {
		int r = bed_get(b, q, done, 32, 20);

		assert_true(r >= 0);
		got += (unsigned int)r;
	}
	return got;
}

static void set(struct bed *b, const char *key, const char *value)
{
	assert_int_equal(uvdpa_dev_set(b->dev, &(struct uvdpa_attr){ key, value }, 1), 0);
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* 30 requests, 5 at once and 100 in a second, take a quarter of a second or more; and all come. */
static void test_iops(void **state)
{
	static const char *const attrs[] = { "iops", "100",     "iops_burst", "5", "num_queues",
					     "2",    "workers", "2",          NULL };
	uint64_t since = vd_now_ns();
	struct bed b;

	(void)state;
	fx_begin(&b, &sim, attrs, &(struct bed_conf){ .queues = 2, .num = 128 });
	assert_string_equal(bed_shown(&b, "iops"), "100");
	assert_string_equal(bed_shown(&b, "bps"), "");
	for (unsigned int i = 0; i < 30; i++)
		begin(&b, i % 2, i, VIRTIO_BLK_T_IN, 8);
	assert_int_equal(get(&b, 0, 15, 5000), 15);
	assert_int_equal(get(&b, 1, 15, 5000), 15);
	assert_true(vd_now_ns() - since >= 240 * MS);
	bed_end(&b);
}

static void test_bps(void **state)
{
	static const char *const attrs[] = { "bps", "1M", "bps_burst", "64K", NULL };
	uint64_t since = vd_now_ns();
	struct bed b;

	(void)state;
	fx_begin(&b, &sim, attrs, &(struct bed_conf){ .num = 128 });
	/* What moves no data is not counted. */
	for (unsigned int i = 0; i < 20; i++)
		begin(&b, 0, i, VIRTIO_BLK_T_OUT, 32);
	assert_int_equal(get(&b, 0, 20, 5000), 20);
	/* 320 KiB, of which 64 are free, and one request is paid for later. */
	assert_true(vd_now_ns() - since >= 230 * MS);
	bed_end(&b);
}

/* One request in a second, and thirty wait; then there is no limit. And back. */
static void test_other_limit(void **state)
{
	static const char *const attrs[] = { "iops", "1", NULL };
	unsigned int n;
	struct bed b;

	(void)state;
	fx_begin(&b, &sim, attrs, &(struct bed_conf){ .num = 128 });
	for (unsigned int i = 0; i < 30; i++)
		begin(&b, 0, i, VIRTIO_BLK_T_IN, 8);
	n = get(&b, 0, 30, 100);
	assert_in_range(n, 1, 9);
	set(&b, "iops", "0");
	assert_int_equal(get(&b, 0, 30 - n, 5000), 30 - n);
	set(&b, "iops", "1");
	for (unsigned int i = 0; i < 30; i++)
		begin(&b, 0, i, VIRTIO_BLK_T_IN, 8);
	assert_in_range(get(&b, 0, 30, 100), 0, 9);
	/* What waits in the ring does not hold up the end. */
	bed_end(&b);
}

/* A queue that waits for its limit is quiet at once: nothing of it was taken. */
static void test_limited_quiesce(void **state)
{
	static const char *const attrs[] = { "iops", "1", NULL };
	unsigned int n;
	uint64_t since;
	struct bed b;

	(void)state;
	fx_begin(&b, &sim, attrs, &(struct bed_conf){ .num = 128 });
	for (unsigned int i = 0; i < 30; i++)
		begin(&b, 0, i, VIRTIO_BLK_T_IN, 8);
	n = get(&b, 0, 30, 100);
	since = vd_now_ns();
	bed_suspend(&b);
	assert_true(vd_now_ns() - since < 10000 * MS);
	n += get(&b, 0, 30, 1);
	assert_in_range(n, 1, 12);
	set(&b, "iops", "0");
	bed_resume(&b);
	assert_int_equal(get(&b, 0, 30 - n, 5000), 30 - n);
	bed_end(&b);
}

/* ---- no space -------------------------------------------------------------------------------- */

static void test_report(void **state)
{
	struct bed b;

	(void)state;
	fx_begin(&b, &threads, NULL, NULL);
	FAKE_SET(write_err, ENOSPC);
	begin(&b, 0, 0, VIRTIO_BLK_T_OUT, 8);
	assert_int_equal(get(&b, 0, 1, 5000), 1);
	assert_int_equal(status_of(&b, 0), VIRTIO_BLK_S_IOERR);
	bed_end(&b);
}

static void test_pause(void **state)
{
	static const char *const attrs[] = { "on_enospc", "pause", "num_queues", "2", NULL };
	static uint8_t buf[4096];
	struct bed_io in = { VIRTIO_BLK_T_IN, 24, buf, sizeof(buf), 0 };
	struct bed b;

	(void)state;
	fx_begin(&b, &threads, attrs, &(struct bed_conf){ .queues = 2, .num = 128 });
	assert_string_equal(bed_shown(&b, "paused"), "");
	FAKE_SET(write_err, EDQUOT);
	for (unsigned int i = 0; i < 8; i++) {
		memset(b.mem + BED_RINGS + i * 65536u + 512, 'a' + (int)i, 4096);
		begin(&b, i % 2, i, VIRTIO_BLK_T_OUT, 8);
	}
	assert_int_equal(get(&b, 0, 1, 300), 0);
	assert_int_equal(get(&b, 1, 1, 300), 0);
	assert_string_equal(bed_shown(&b, "paused"), "no space");
	/* Some find space, some not yet. */
	FAKE_SET(write_err, 0);
	assert_int_equal(get(&b, 0, 4, 5000), 4);
	assert_int_equal(get(&b, 1, 4, 5000), 4);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(status_of(&b, i), VIRTIO_BLK_S_OK);
	assert_string_equal(bed_shown(&b, "paused"), "");
	assert_int_equal(bed_io(&b, 0, &in), VIRTIO_BLK_S_OK);
	assert_int_equal(buf[0], 'd');
	/* Another error is not waited for. */
	FAKE_SET(write_err, EIO);
	begin(&b, 0, 0, VIRTIO_BLK_T_OUT, 8);
	assert_int_equal(get(&b, 0, 1, 5000), 1);
	assert_int_equal(status_of(&b, 0), VIRTIO_BLK_S_IOERR);
	bed_end(&b);
}

/* A paused queue that is to become quiet does so, and says that its writes failed. */
static void test_paused_quiesce(void **state)
{
	static const char *const attrs[] = { "on_enospc", "pause", NULL };
	unsigned int n;
	struct bed b;

	(void)state;
	fx_begin(&b, &threads, attrs, NULL);
	FAKE_SET(write_err, ENOSPC);
	for (unsigned int i = 0; i < 3; i++)
		begin(&b, 0, i, VIRTIO_BLK_T_OUT, 8);
	assert_int_equal(get(&b, 0, 1, 300), 0);
	bed_suspend(&b);
	/* The first, and what was taken from the ring before it was known that there is no space. */
	n = get(&b, 0, 3, 100);
	assert_in_range(n, 1, 3);
	FAKE_SET(write_err, 0);
	bed_resume(&b);
	assert_int_equal(get(&b, 0, 3 - n, 5000), 3 - n);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(status_of(&b, i), i < n ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
	bed_end(&b);
}

/* What was to be written where the disk ends before by now fails: it would make the image larger. */
static void test_paused_shrink(void **state)
{
	static const char *const attrs[] = { "on_enospc", "pause", NULL };
	static const struct uvdpa_attr less[] = { { "size", "64K" }, { "shrink", "on" } };
	struct stat st;
	struct bed b;

	(void)state;
	fx_begin(&b, &threads, attrs, NULL);
	FAKE_SET(write_err, ENOSPC);
	begin(&b, 0, 1, VIRTIO_BLK_T_OUT, 8);
	begin(&b, 0, 20, VIRTIO_BLK_T_OUT, 8);
	assert_int_equal(get(&b, 0, 1, 300), 0);
	assert_int_equal(uvdpa_dev_set(b.dev, less, 2), 0);
	FAKE_SET(write_err, 0);
	assert_int_equal(get(&b, 0, 2, 5000), 2);
	assert_int_equal(status_of(&b, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(status_of(&b, 20), VIRTIO_BLK_S_IOERR);
	assert_int_equal(stat(fx_image, &st), 0);
	assert_int_equal(st.st_size, 65536);
	assert_string_equal(bed_shown(&b, "paused"), "");
	bed_end(&b);
	assert_int_equal(truncate(fx_image, FX_DISK), 0);
}

/* ---- how long it took ------------------------------------------------------------------------ */

static void test_times(void **state)
{
	struct bed b;

	(void)state;
	fx_begin(&b, &sim, NULL, &(struct bed_conf){ .num = 128 });
	for (unsigned int i = 0; i < 20; i++)
		begin(&b, 0, i, i % 4 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT, 8);
	assert_int_equal(get(&b, 0, 20, 5000), 20);
	assert_int_equal(bed_stat(&b, 0, "read_requests"), 15);
	assert_int_equal(bed_stat(&b, 0, "write_requests"), 5);
	assert_true(bed_stat(&b, 0, "read_took_p50_ns") > 0);
	assert_true(bed_stat(&b, 0, "read_took_p50_ns") <= bed_stat(&b, 0, "read_took_max_ns"));
	assert_int_equal(bed_stat(&b, 0, "requests"), 20);
	bed_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_iops),           cmocka_unit_test(test_bps),
		cmocka_unit_test(test_other_limit),    cmocka_unit_test(test_limited_quiesce),
		cmocka_unit_test(test_report),         cmocka_unit_test(test_pause),
		cmocka_unit_test(test_paused_quiesce), cmocka_unit_test(test_paused_shrink),
		cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests(tests, fx_image_make, fx_image_remove);
}
