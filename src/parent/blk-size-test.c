/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-size-test.c - the image of the blk parent gets another size while it is used */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "parent/blk-fx.h"

#define OK    VIRTIO_BLK_S_OK
#define IOERR VIRTIO_BLK_S_IOERR

static uint64_t capacity(const struct bed *b)
{
	uint64_t v;

	assert_int_equal(uvdpa_dev_get_config(b->dev, 0, &v, sizeof(v)), 0);
	return le64toh(v);
}

static uint64_t file_size(void)
{
	struct stat st;

	assert_int_equal(stat(fx_image, &st), 0);
	return (uint64_t)st.st_size;
}

static int set_size(struct bed *b, const char *size, const char *shrink)
{
	struct uvdpa_attr a[] = { { "size", size }, { "shrink", shrink } };

	return uvdpa_dev_set(b->dev, a, shrink ? 2 : 1);
}

/* As truncate(1) and qemu-img do it. */
static void other_program(uint64_t size)
{
	int fd = open(fx_image, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

/* Let the loop see it, for two seconds at most. */
static void wait_capacity(struct bed *b, uint64_t sectors)
{
	for (unsigned int i = 0; capacity(b) != sectors && i < 200; i++)
		uvdpa_dispatch(b->u, 10);
	assert_int_equal(capacity(b), sectors);
}

static uint8_t io(struct bed *b, uint32_t type, uint64_t sector, uint8_t *data)
{
	return bed_io(b, 0, &(struct bed_io){ type, sector, data, 4096, 0 });
}

static int restore(void **state)
{
	(void)state;
	other_program(FX_DISK);
	return 0;
}

static void test_set(void **state)
{
	static uint8_t out[4096], in[4096], zero[4096];
	uint32_t generation;
	struct bed b;

	fx_begin(&b, *state, NULL, NULL);
	fx_pattern(out, sizeof(out), 1);
	generation = uvdpa_dev_generation(b.dev);
	assert_int_equal(set_size(&b, "3M", NULL), 0);
	assert_int_equal(file_size(), 3 * FX_DISK);
	assert_int_equal(capacity(&b), 3 * FX_SECTORS);
	assert_int_not_equal(uvdpa_dev_generation(b.dev), generation);
	assert_int_equal(io(&b, VIRTIO_BLK_T_IN, 3 * FX_SECTORS - 8, in), OK);
	assert_memory_equal(in, zero, sizeof(in));
	assert_int_equal(io(&b, VIRTIO_BLK_T_OUT, 3 * FX_SECTORS - 8, out), OK);
	assert_int_equal(io(&b, VIRTIO_BLK_T_IN, 3 * FX_SECTORS - 8, in), OK);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(io(&b, VIRTIO_BLK_T_IN, 3 * FX_SECTORS, in), IOERR);

	assert_int_equal(set_size(&b, "1M", NULL), -EINVAL);
	assert_int_equal(file_size(), 3 * FX_DISK);
	assert_int_equal(set_size(&b, "1M", "on"), 0);
	assert_int_equal(file_size(), FX_DISK);
	assert_int_equal(capacity(&b), FX_SECTORS);
	assert_int_equal(io(&b, VIRTIO_BLK_T_IN, FX_SECTORS, in), IOERR);
	assert_int_equal(io(&b, VIRTIO_BLK_T_IN, FX_SECTORS - 8, in), OK);
	/* What was cut does not come back. */
	assert_int_equal(set_size(&b, "3M", NULL), 0);
	assert_int_equal(io(&b, VIRTIO_BLK_T_IN, 3 * FX_SECTORS - 8, in), OK);
	assert_memory_equal(in, zero, sizeof(in));
	/* More than a file can have. */
	assert_true(set_size(&b, "8388607T", NULL) < 0);
	assert_int_equal(capacity(&b), 3 * FX_SECTORS);
	bed_end(&b);
}

static void test_noticed(void **state)
{
	static uint8_t data[4096];
	struct bed b;

	fx_begin(&b, *state, NULL, NULL);
	other_program(2 * FX_DISK);
	wait_capacity(&b, 2 * FX_SECTORS);
	assert_int_equal(io(&b, VIRTIO_BLK_T_OUT, 2 * FX_SECTORS - 8, data), OK);
	/* The part that is no block cannot be used. */
	other_program(3 * FX_DISK + 700);
	wait_capacity(&b, 3 * FX_SECTORS + 1);
	other_program(FX_DISK);
	wait_capacity(&b, FX_SECTORS);
	assert_int_equal(io(&b, VIRTIO_BLK_T_IN, FX_SECTORS, data), IOERR);
	assert_int_equal(io(&b, VIRTIO_BLK_T_IN, FX_SECTORS - 8, data), OK);
	other_program(0);
	wait_capacity(&b, 0);
	assert_int_equal(io(&b, VIRTIO_BLK_T_IN, 0, data), IOERR);
	other_program(FX_DISK);
	wait_capacity(&b, FX_SECTORS);
	assert_int_equal(io(&b, VIRTIO_BLK_T_IN, 0, data), OK);
	bed_end(&b);
}

/* Somebody made it larger and was not noticed: nobody is cut off who did not say so. */
static void test_not_noticed(void **state)
{
	struct bed b;

	fx_begin(&b, *state, NULL, NULL);
	assert_int_equal(truncate(fx_image, 4 * FX_DISK), 0); /* opens nothing, closes nothing */
	assert_int_equal(set_size(&b, "1M", NULL), 0);
	assert_int_equal(set_size(&b, "2M", NULL), 0);
	assert_int_equal(capacity(&b), 2 * FX_SECTORS);
	assert_int_equal(file_size(), 4 * FX_DISK);
	assert_int_equal(set_size(&b, "0", NULL), 0);
	assert_int_equal(capacity(&b), 4 * FX_SECTORS);
	/* And smaller. */
	assert_int_equal(truncate(fx_image, FX_DISK), 0);
	assert_int_equal(set_size(&b, "4M", NULL), 0);
	assert_int_equal(file_size(), 4 * FX_DISK);
	bed_end(&b);
}

/* Two that read one image are both told; and the second still is when the first has gone. */
static void test_two(void **state)
{
	const char *attrs[] = { "image", fx_image, "readonly", "on", NULL };
	struct uvdpa_attr a[] = { { "image", fx_image }, { "readonly", "on" } };
	struct uvdpa_dev_opts o = {
		.size = sizeof(o), .name = "d1", .mgmtdev = "blk", .attrs = a, .nattrs = 2
	};
	struct uvdpa_wait w = { 0 };
	struct uvdpa_dev *first;
	struct bed b;

	(void)state;
	memset(&fx_fake, 0, sizeof(fx_fake));
	assert_int_equal(bed_add(&b, "blk", attrs), 0);
	first = b.dev;
	assert_int_equal(uvdpa_dev_add(b.u, &o, &b.dev, NULL), 0);
	other_program(2 * FX_DISK);
	wait_capacity(&b, 2 * FX_SECTORS);
	assert_int_equal(uvdpa_await(b.u, &w, uvdpa_dev_del(first, &w)), 0);
	other_program(FX_DISK);
	wait_capacity(&b, FX_SECTORS);
	assert_int_equal(set_size(&b, "2M", NULL), -EROFS);
	bed_end(&b);
}

static void test_block_device(void **state)
{
	char path[64];
	int loop = fx_loop_open(path, sizeof(path), 0);
	const char *attrs[] = { "image", path, NULL };
	struct bed b;

	(void)state;
	if (loop < 0)
		skip();
	memset(&fx_fake, 0, sizeof(fx_fake));
	assert_int_equal(bed_add(&b, "blk", attrs), 0);
	assert_int_equal(capacity(&b), FX_SECTORS);
	other_program(2 * FX_DISK);
	assert_int_equal(ioctl(loop, LOOP_SET_CAPACITY, 0), 0);
	assert_int_equal(set_size(&b, "0", NULL), 0);
	assert_int_equal(capacity(&b), 2 * FX_SECTORS);
	assert_int_equal(set_size(&b, "3M", NULL), -ENOSPC);
	/* It is as large as it is; but the driver need not know. */
	assert_int_equal(set_size(&b, "1M", "on"), 0);
	assert_int_equal(capacity(&b), FX_SECTORS);
	assert_int_equal(set_size(&b, "2M", NULL), 0);
	assert_int_equal(capacity(&b), 2 * FX_SECTORS);
	bed_end(&b);
	close(loop);
}

#define EACH(k)                                                                           \
	cmocka_unit_test_prestate_setup_teardown(test_set, NULL, restore, (void *)(k)),   \
		cmocka_unit_test_prestate_setup_teardown(test_noticed, NULL, restore,     \
							 (void *)(k)),                    \
		cmocka_unit_test_prestate_setup_teardown(test_not_noticed, NULL, restore, \
							 (void *)(k))

int main(void)
{
	static struct fx_kind kinds[] = {
		{ .mgmtdev = "blk", .engine = "auto" },
		{ .mgmtdev = "blk", .engine = "threads", .cache = "none" },
		{ .mgmtdev = "blk", .engine = "io_uring", .engine_only = true, .packed = true },
	};
	const struct CMUnitTest tests[] = {
		EACH(&kinds[0]),
		EACH(&kinds[1]),
#if HAVE_LIBURING
		EACH(&kinds[2]),
#endif
		cmocka_unit_test_teardown(test_two, restore),
		cmocka_unit_test_teardown(test_block_device, restore),
	};

	return cmocka_run_group_tests(tests, fx_image_make, fx_image_remove);
}
