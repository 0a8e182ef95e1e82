/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-image-test.c - the blk parent and its image: adding, durability, space, what others do to it */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "config.h"
#include "parent/blk-fx.h"

static void make_file(const char *path, long long size)
{
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static void test_add_errors(void **state)
{
	char dir[] = "/tmp/blk-test-dir-XXXXXX", path[128];
	static const struct {
		const char *name;
		long long size;	/* -1: not made; -2: a FIFO; -3: a directory; -4: a character device */
		int err;
		const char *says;
	} cases[] = {
		{ "none", -1, -ENOENT, "none" },     { "fifo", -2, -EINVAL, "neither" },
		{ "dir", -3, -EISDIR, "directory" }, { "empty", 0, -EINVAL, "empty" },
		{ "odd", 1025, -EINVAL, "1025" },    { "less", 511, -EINVAL, "511" },
		{ "/dev/null", -4, -EINVAL, "neither" },
	};

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		const char *attrs[] = { "image", path, NULL };
		struct bed b;

		snprintf(path, sizeof(path), "%s/%s", dir, cases[i].name);
		if (cases[i].size == -4)
			snprintf(path, sizeof(path), "%s", cases[i].name);
		else if (cases[i].size == -2)
			assert_int_equal(mkfifo(path, 0600), 0);
		else if (cases[i].size == -3)
			assert_int_equal(mkdir(path, 0700), 0);
		else if (cases[i].size >= 0)
			make_file(path, cases[i].size);
		assert_int_equal(bed_add(&b, "blk", attrs), cases[i].err);
		assert_non_null(strstr(uvdpa_error(), cases[i].says));
		if (cases[i].size != -4)
			remove(path);
	}
	rmdir(dir);
}

static void test_block_device(void **state)
{
	char path[64];
	const char *attrs[] = { "image", path, NULL };
	static uint8_t out[4096], in[4096];
	struct bed_io wr = { VIRTIO_BLK_T_OUT, FX_SECTORS - 8, out, sizeof(out), 0 };
	struct bed_io rd = { VIRTIO_BLK_T_IN, FX_SECTORS - 8, in, sizeof(in), 0 };
	struct bed_io fl = { VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0 };
	int loop = fx_loop_open(path, sizeof(path), 0),
	    image = open(fx_image, O_RDONLY | O_CLOEXEC);
	int claim;
	struct bed b;

	(void)state;
	memset(&fx_fake, 0, sizeof(fx_fake));
	if (loop < 0) {
		vd_close(&image);
		skip();
	}
	assert_int_equal(bed_add(&b, "blk", attrs), 0);
	bed_start(&b, NULL);
	fx_pattern(out, sizeof(out), 11);
	assert_int_equal(bed_io(&b, 0, &wr), VIRTIO_BLK_S_OK);
	assert_int_equal(bed_io(&b, 0, &rd), VIRTIO_BLK_S_OK);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(bed_io(&b, 0, &fl), VIRTIO_BLK_S_OK);
	assert_int_equal(pread(image, in, sizeof(in), FX_DISK - sizeof(in)), sizeof(in));
	assert_memory_equal(in, out, sizeof(in));
	rd.sector = FX_SECTORS;
	assert_int_equal(bed_io(&b, 0, &rd), VIRTIO_BLK_S_IOERR);
	bed_end(&b);

	claim = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);	/* as mount does */
	assert_true(claim >= 0);
	assert_int_equal(bed_add(&b, "blk", attrs), -EBUSY);
	close(claim);
	close(loop);
	close(image);
}

/* One writer, or many readers. */
static void test_lock(void **state)
{
	const char *rw[] = { "image", fx_image, NULL };
	const char *ro[] = { "image", fx_image, "readonly", "on", NULL };
	struct uvdpa_attr rwa = { "image", fx_image }, roa[] = { { "image", fx_image }, { "readonly", "on" } };
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "d1", .mgmtdev = "blk" };
	struct uvdpa_dev *dev;
	struct bed b;

	(void)state;
	assert_int_equal(bed_add(&b, "blk", rw), 0);
	o.attrs = &rwa;
	o.nattrs = 1;
	assert_int_equal(uvdpa_dev_add(b.u, &o, &dev, NULL), -EBUSY);
	assert_non_null(strstr(uvdpa_error(), fx_image));
	o.attrs = roa;
	o.nattrs = 2;
	assert_int_equal(uvdpa_dev_add(b.u, &o, &dev, NULL), -EBUSY);
	bed_end(&b);

	assert_int_equal(bed_add(&b, "blk", ro), 0);
	assert_int_equal(uvdpa_dev_add(b.u, &o, &dev, NULL), 0);
	o.name = "d2";
	o.attrs = &rwa;
	o.nattrs = 1;
	assert_int_equal(uvdpa_dev_add(b.u, &o, &dev, NULL), -EBUSY);
	bed_end(&b);
}

/* Somebody truncates the image: reads behind its end fail, the rest goes on. */
static void test_truncated(void **state)
{
	static uint8_t data[4096];
	struct bed_io wr = { VIRTIO_BLK_T_OUT, 0, data, 4096, 0 };
	struct bed_io low = { VIRTIO_BLK_T_IN, 0, data, 4096, 0 };
	struct bed_io high = { VIRTIO_BLK_T_IN, FX_SECTORS - 8, data, 4096, 0 };
	struct bed_io half = { VIRTIO_BLK_T_IN, FX_SECTORS / 2 - 4, data, 4096, 0 };
	struct bed b;

	fx_begin(&b, *state, NULL, NULL);
	fx_pattern(data, sizeof(data), 5);
	assert_int_equal(bed_io(&b, 0, &wr), VIRTIO_BLK_S_OK);
	assert_int_equal(truncate(fx_image, FX_DISK / 2), 0);
	assert_int_equal(bed_io(&b, 0, &high), VIRTIO_BLK_S_IOERR);
	assert_int_equal(high.used, 4097);
	assert_int_equal(bed_io(&b, 0, &half), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bed_io(&b, 0, &low), VIRTIO_BLK_S_OK);
	assert_int_equal(truncate(fx_image, FX_DISK), 0);
	assert_int_equal(bed_io(&b, 0, &high), VIRTIO_BLK_S_OK);
	bed_end(&b);
}

/* CH 1216, SPDK 3572, Firecracker 2172: what is acknowledged, and how it was made durable. */
static void test_durable(void **state)
{
	static const struct {
		bool flush;
		unsigned int dsyncs, syncs;	/* of three writes and a flush */
		uint8_t status;
	} cases[] = { { true, 0, 1, VIRTIO_BLK_S_OK }, { false, 3, 0, VIRTIO_BLK_S_UNSUPP } };
	uint8_t data[512] = { 3 };
	struct bed b;

	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct bed_io wr = { VIRTIO_BLK_T_OUT, 1, data, 512, 0 };
		struct bed_io fl = { VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0 };

		fx_begin(&b, *state, NULL, &(struct bed_conf){
			.features_off = cases[i].flush ? 0 : 1ull << VIRTIO_BLK_F_FLUSH });
		for (unsigned int j = 0; j < 3; j++)
			assert_int_equal(bed_io(&b, 0, &wr), VIRTIO_BLK_S_OK);
		assert_int_equal(bed_io(&b, 0, &fl), cases[i].status);
		assert_int_equal(FAKE(dsyncs), cases[i].dsyncs);
		assert_int_equal(FAKE(syncs), cases[i].syncs);
		bed_end(&b);
	}
}

/* The kernel tells of a lost write once; the driver is told until it resets the device. */
static void test_flush_failed(void **state)
{
	uint8_t data[512] = { 4 };
	struct bed_io wr = { VIRTIO_BLK_T_OUT, 1, data, 512, 0 };
	struct bed_io fl = { VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0 };
	struct bed b;

	fx_begin(&b, *state, NULL, NULL);
	FAKE_SET(sync_err, EIO);
	assert_int_equal(bed_io(&b, 0, &fl), VIRTIO_BLK_S_IOERR);
	FAKE_SET(sync_err, 0);
	assert_int_equal(bed_io(&b, 0, &fl), VIRTIO_BLK_S_IOERR);
	assert_int_equal(FAKE(syncs), 1);
	assert_int_equal(bed_io(&b, 0, &wr), VIRTIO_BLK_S_OK);
	bed_suspend(&b);
	bed_resume(&b);
	assert_int_equal(bed_io(&b, 0, &fl), VIRTIO_BLK_S_IOERR);
	bed_reset(&b);
	bed_start(&b, NULL);
	assert_int_equal(bed_io(&b, 0, &fl), VIRTIO_BLK_S_OK);
	bed_end(&b);
}

/* Short and interrupted system calls are gone on with. */
static void test_bits(void **state)
{
	static uint8_t out[65536], in[65536];
	struct bed_io wr = { VIRTIO_BLK_T_OUT, 5, out, sizeof(out), 0 };
	struct bed_io rd = { VIRTIO_BLK_T_IN, 5, in, sizeof(in), 0 };
	struct bed b;

	fx_begin(&b, *state, NULL, NULL);
	FAKE_SET(bits, true);
	fx_pattern(out, sizeof(out), 9);
	assert_int_equal(bed_io(&b, 0, &wr), VIRTIO_BLK_S_OK);
	assert_int_equal(bed_io(&b, 0, &rd), VIRTIO_BLK_S_OK);
	assert_memory_equal(in, out, sizeof(in));
	FAKE_SET(bits, false);
	memset(in, 0, sizeof(in));
	assert_int_equal(bed_io(&b, 0, &rd), VIRTIO_BLK_S_OK);
	assert_memory_equal(in, out, sizeof(in));
	bed_end(&b);
}

static unsigned int said_threads;

static void hear(struct uvdpa_log *l, enum uvdpa_log_level level, const char *line)
{
	(void)l;
	(void)level;
	if (strstr(line, "threads instead"))
		said_threads++;
}

static struct uvdpa_log listener = { .line = hear };

/* A container that forbids io_uring. */
static void test_no_uring(void **state)
{
	const char *attrs[] = { "image", fx_image, "engine", "auto", NULL };
	uint8_t data[512] = { 6 };
	struct bed_io wr = { VIRTIO_BLK_T_OUT, 1, data, 512, 0 };
	struct uvdpa_attr a[] = { { "image", fx_image },
				  { "engine", "auto" },
				  { "workers", "2" },
				  { "num_queues", "2" } };
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "d1", .mgmtdev = "blk",
				    .attrs = a, .nattrs = 4 };
	struct uvdpa_dev *dev;
	struct uvdpa *u;
	struct bed b;

	(void)state;
	memset(&fx_fake, 0, sizeof(fx_fake));
	FAKE_SET(uring_err, -EPERM);
	FAKE_SET(no_nowait, true);
	assert_int_equal(bed_add(&b, "blk", attrs), 0);
	assert_string_equal(bed_shown(&b, "engine"), "threads");
	assert_string_equal(bed_shown(&b, "threads"), "4");
	assert_string_equal(bed_shown(&b, "cache"), "writeback");
	assert_string_equal(bed_shown(&b, "image"), fx_image);
	bed_start(&b, NULL);
	assert_int_equal(bed_io(&b, 0, &wr), VIRTIO_BLK_S_OK);
	bed_end(&b);

#if HAVE_LIBURING
	FAKE_SET(uring_err, 0);
	assert_int_equal(bed_add(&b, "blk", attrs), 0);
	assert_string_equal(bed_shown(&b, "engine"), "io_uring");
	assert_string_equal(bed_shown(&b, "threads"), "");
	bed_end(&b);
	FAKE_SET(uring_err, -EPERM);
#endif

	assert_int_equal(uvdpa_create(&u), 0);
	uvdpa_set_log(u, &listener, UVDPA_LOG_INFO);
	assert_int_equal(uvdpa_dev_add(u, &o, &dev, NULL), 0);
	assert_int_equal(said_threads, 1);	/* not for each worker */
	uvdpa_destroy(u);
	attrs[3] = "io_uring";
	assert_int_equal(bed_add(&b, "blk", attrs), HAVE_LIBURING ? -EPERM : -ENOSYS);
	FAKE_SET(uring_err, 0);
}

/* A full disk: a tmpfs of our own where that is allowed. */
static void test_disk_full(void **state)
{
	const struct fx_kind *k = *state;
	char dir[] = "/tmp/blk-test-full-XXXXXX", path[64];
	const char *attrs[] = { "image", path, "engine", k->engine, NULL };
	static uint8_t data[262144];
	unsigned int failed = 0;
	struct bed b;

	if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS))
		skip();
	assert_non_null(mkdtemp(dir));
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", dir, "tmpfs", 0, "size=1M")) {
		rmdir(dir);
		skip();
	}
	snprintf(path, sizeof(path), "%s/img", dir);
	make_file(path, 4 << 20);
	memset(&fx_fake, 0, sizeof(fx_fake));
	FAKE_SET(no_nowait, k->engine_only);
	assert_int_equal(bed_add(&b, "blk", attrs), 0);
	bed_start(&b, NULL);
	for (uint64_t i = 0; i < 16; i++) {
		struct bed_io wr = { VIRTIO_BLK_T_OUT, i * 512, data, sizeof(data), 0 };

		failed += bed_io(&b, 0, &wr) == VIRTIO_BLK_S_IOERR;
	}
	assert_in_range(failed, 12, 13);	/* of 16, 3 or 4 fit */
	for (uint64_t i = 0; i < 3; i++) {
		struct bed_io wr = { VIRTIO_BLK_T_OUT, i * 512, data, sizeof(data), 0 };
		struct bed_io rd = { VIRTIO_BLK_T_IN, i * 512, data, sizeof(data), 0 };

		assert_int_equal(bed_io(&b, 0, &wr), VIRTIO_BLK_S_OK);
		assert_int_equal(bed_io(&b, 0, &rd), VIRTIO_BLK_S_OK);
	}
	bed_end(&b);
	unlink(path);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
}

/* What a file may grow to is limited for us as a full disk limits it: EFBIG in place of ENOSPC. */
static void test_no_space(void **state)
{
	static uint8_t data[4096];
	struct rlimit old, low = { FX_DISK / 2, FX_DISK };
	struct bed_io ok = { VIRTIO_BLK_T_OUT, 0, data, 4096, 0 };
	struct bed_io full = { VIRTIO_BLK_T_OUT, FX_SECTORS / 2 + 8, data, 4096, 0 };
	struct bed b;

	getrlimit(RLIMIT_FSIZE, &old);
	low.rlim_max = old.rlim_max;
	fx_begin(&b, *state, NULL, NULL);
	assert_int_equal(bed_io(&b, 0, &full), VIRTIO_BLK_S_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	assert_int_equal(bed_io(&b, 0, &full), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bed_io(&b, 0, &ok), VIRTIO_BLK_S_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(bed_io(&b, 0, &full), VIRTIO_BLK_S_OK);
	bed_end(&b);
}

#define FILE_ONLY(k)                                                                       \
	cmocka_unit_test_prestate(test_disk_full, (void *)(k)),                            \
	cmocka_unit_test_prestate(test_truncated, (void *)(k)),                            \
	cmocka_unit_test_prestate(test_no_space, (void *)(k))

int main(void)
{
	static struct fx_kind at_once = { .mgmtdev = "blk", .engine = "auto" };
	static struct fx_kind threads = { .mgmtdev = "blk",
					  .engine = "threads",
					  .engine_only = true };
#if HAVE_LIBURING
	static struct fx_kind uring = { .mgmtdev = "blk",
					.engine = "io_uring",
					.engine_only = true };
#endif
	const struct CMUnitTest tests[] = {
		FILE_ONLY(&at_once),
		FILE_ONLY(&threads),
#if HAVE_LIBURING
		FILE_ONLY(&uring),
#endif
		cmocka_unit_test_prestate(test_durable, &threads),
		cmocka_unit_test_prestate(test_flush_failed, &threads),
		cmocka_unit_test_prestate(test_bits, &at_once),
		cmocka_unit_test_prestate(test_bits, &threads),
		cmocka_unit_test(test_no_uring),
		cmocka_unit_test(test_add_errors),
		cmocka_unit_test(test_block_device),
		cmocka_unit_test(test_lock),
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, fx_image_make, fx_image_remove);
}
