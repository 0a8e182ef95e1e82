/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-error-test.c - what is wrong with an image is the answer of the request that met it
 *
 * And of no other: after each the disk is used again.
 */
#include <endian.h>
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

#include "config.h"
#include "parent/blk-fx.h"

#define OK     VIRTIO_BLK_S_OK
#define IOERR  VIRTIO_BLK_S_IOERR
#define UNMAP  VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP
#define BIT(n) (1ull << (n))

static uint8_t range(struct bed *b, uint32_t type, uint64_t sector, uint32_t n, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes seg = { .sector = htole64(sector),
						       .num_sectors = htole32(n),
						       .flags = htole32(flags) };

	return bed_io(b, 0, &(struct bed_io){ type, 0, &seg, sizeof(seg), 0 });
}

static uint8_t rw(struct bed *b, uint32_t type, uint64_t sector, void *data, uint32_t len)
{
	return bed_io(b, 0, &(struct bed_io){ type, sector, data, len, 0 });
}

static uint8_t flush(struct bed *b)
{
	return bed_io(b, 0, &(struct bed_io){ VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0 });
}

/* A device of a kind with another image. Return: as uvdpa_dev_add(). */
static int add_other(struct bed *b, const struct fx_kind *k, const char *path)
{
	const char *attrs[] = { "image", path, "engine", k->engine, "cache", k->cache, NULL };

	memset(&fx_fake, 0, sizeof(fx_fake));
	return bed_add(b, k->mgmtdev, attrs);
}

/* 100 GiB of which next to nothing is there: the far end, and the largest ranges. */
static void test_sparse(void **state)
{
	const uint64_t sectors = 100ull << 21;
	char path[] = "/tmp/blk-test-sparse-XXXXXX";
	static uint8_t out[65536], in[65536];
	int fd = mkstemp(path), r;
	struct stat st;
	struct bed b;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(sectors * 512)), 0);
	r = add_other(&b, *state, path);
	unlink(path); /* it needs no name from here on */
	assert_int_equal(r, 0);
	bed_start(&b, NULL);
	fx_pattern(out, sizeof(out), 50);
	assert_int_equal(rw(&b, VIRTIO_BLK_T_OUT, sectors - 128, out, sizeof(out)), OK);
	assert_int_equal(rw(&b, VIRTIO_BLK_T_IN, sectors - 128, in, sizeof(in)), OK);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(rw(&b, VIRTIO_BLK_T_IN, sectors - 127, in, sizeof(in)), IOERR);
	for (uint64_t at = 0; at < sectors; at += sectors / 8) {
		assert_int_equal(range(&b, VIRTIO_BLK_T_DISCARD, at, 1u << 22, 0), OK);
		assert_int_equal(range(&b, VIRTIO_BLK_T_WRITE_ZEROES, at, 1u << 22, UNMAP), OK);
	}
	assert_int_equal(flush(&b), OK);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_blocks <= 1024);
	assert_int_equal(range(&b, VIRTIO_BLK_T_DISCARD, sectors - 128, 64, 0), OK);
	assert_int_equal(rw(&b, VIRTIO_BLK_T_IN, sectors - 64, in, 32768), OK);
	assert_memory_equal(in, out + 32768, 32768);
	bed_end(&b);
	close(fd);
}

/* A full file system: zeroes that need space find none, until what is discarded gives some. */
static void test_full(void **state)
{
	char dir[] = "/tmp/blk-test-full-XXXXXX", path[64];
	static uint8_t data[262144], zero[4096], in[4096];
	struct bed b;
	int r;

	if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS))
		skip();
	assert_non_null(mkdtemp(dir));
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", dir, "tmpfs", 0, "size=1M")) {
		rmdir(dir);
		skip();
	}
	snprintf(path, sizeof(path), "%s/img", dir);
	r = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(r >= 0);
	assert_int_equal(ftruncate(r, 4 << 20), 0);
	close(r);
	r = add_other(&b, *state, path);
	if (r == -EOPNOTSUPP) { /* a tmpfs without direct I/O */
		umount2(dir, MNT_DETACH);
		rmdir(dir);
		skip();
	}
	assert_int_equal(r, 0);
	bed_start(&b, NULL);
	fx_pattern(data, sizeof(data), 51);
	assert_int_equal(rw(&b, VIRTIO_BLK_T_OUT, 0, data, sizeof(data)), OK);
	/* tmpfs has no unwritten zeroes: these are written, as far as there is space. */
	assert_int_equal(range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 1024, 4096, 0), IOERR);
	assert_int_equal(rw(&b, VIRTIO_BLK_T_IN, 0, in, sizeof(in)), OK);
	assert_memory_equal(in, data, sizeof(in));
	assert_int_equal(rw(&b, VIRTIO_BLK_T_OUT, 6144, data, sizeof(data)), IOERR);
	assert_int_equal(range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 4096, 4096, UNMAP), OK);
	assert_int_equal(range(&b, VIRTIO_BLK_T_DISCARD, 1024, 7168, 0), OK);
	assert_int_equal(rw(&b, VIRTIO_BLK_T_OUT, 6144, data, sizeof(data)), OK);
	assert_int_equal(rw(&b, VIRTIO_BLK_T_IN, 1024, in, sizeof(in)), OK);
	assert_memory_equal(in, zero, sizeof(in));
	bed_end(&b);
	unlink(path);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
}

/* What a process may make of a file is limited, for zeroes that are written, too. */
static void test_limit(void **state)
{
	struct rlimit old, low;
	uint8_t data[4096] = { 1 };
	struct bed b;

	getrlimit(RLIMIT_FSIZE, &old);
	low = (struct rlimit){ FX_DISK / 2, old.rlim_max };
	fx_begin(&b, *state, NULL, NULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	assert_int_equal(rw(&b, VIRTIO_BLK_T_OUT, FX_SECTORS / 2 + 8, data, 4096), IOERR);
	assert_int_equal(range(&b, VIRTIO_BLK_T_WRITE_ZEROES, FX_SECTORS / 2 + 8, 8, 0), IOERR);
	assert_int_equal(range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 8, 8, 0), OK);
	assert_int_equal(rw(&b, VIRTIO_BLK_T_OUT, 0, data, 4096), OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(rw(&b, VIRTIO_BLK_T_OUT, FX_SECTORS / 2 + 8, data, 4096), OK);
	bed_end(&b);
}

/* A sync that fails is the end of all promises until reset, whoever needed it; all else goes on. */
static void test_sync_failed(void **state)
{
	const struct bed_conf no_flush = { .features_off = BIT(VIRTIO_BLK_F_FLUSH) };
	uint8_t data[4096] = { 1 };
	struct bed b;

	fx_begin(&b, *state, NULL, NULL);
	FAKE_SET(sync_err, EIO);
	assert_int_equal(flush(&b), IOERR);
	FAKE_SET(sync_err, 0);
	assert_int_equal(flush(&b), IOERR);
	assert_int_equal(rw(&b, VIRTIO_BLK_T_OUT, 0, data, 4096), OK);
	bed_reset(&b);
	bed_start(&b, NULL);
	assert_int_equal(flush(&b), OK);
	bed_end(&b);

	fx_begin(&b, *state, NULL, &no_flush);
	FAKE_SET(sync_err, EIO);
	assert_int_equal(range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, UNMAP), IOERR);
	FAKE_SET(sync_err, 0);
	assert_int_equal(range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, UNMAP), OK);
	bed_end(&b);

	fx_begin(&b, *state, NULL, NULL);
	assert_int_equal(uvdpa_dev_set_config(b.dev, offsetof(struct virtio_blk_config, wce),
					      &(uint8_t){ 0 }, 1),
			 0);
	FAKE_SET(sync_err, EIO);
	assert_int_equal(range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, UNMAP), IOERR);
	FAKE_SET(sync_err, 0);
	assert_int_equal(flush(&b), IOERR);
	bed_end(&b);
}

static void test_write_failed(void **state)
{
	uint8_t data[4096] = { 1 };
	struct bed b;

	fx_begin(&b, *state, NULL, NULL);
	FAKE_SET(write_err, EIO);
	assert_int_equal(rw(&b, VIRTIO_BLK_T_OUT, 0, data, 4096), IOERR);
	assert_int_equal(rw(&b, VIRTIO_BLK_T_IN, 0, data, 4096), OK);
	FAKE_SET(write_err, 0);
	assert_int_equal(rw(&b, VIRTIO_BLK_T_OUT, 0, data, 4096), OK);
	assert_int_equal(flush(&b), OK);
	assert_int_equal(bed_stat(&b, 0, "errors"), 1);
	bed_end(&b);
}

#define EACH(k)                                                           \
	cmocka_unit_test_prestate(test_sparse, (void *)(k)),              \
		cmocka_unit_test_prestate(test_full, (void *)(k)),        \
		cmocka_unit_test_prestate(test_sync_failed, (void *)(k)), \
		cmocka_unit_test_prestate(test_write_failed, (void *)(k))

int main(void)
{
	static struct fx_kind kinds[] = {
		{ .mgmtdev = "blk", .engine = "auto", .cache = "writeback" },
		{ .mgmtdev = "blk",
		  .engine = "threads",
		  .cache = "writeback",
		  .engine_only = true },
		{ .mgmtdev = "blk", .engine = "threads", .cache = "none" },
		{ .mgmtdev = "blk",
		  .engine = "io_uring",
		  .cache = "writeback",
		  .engine_only = true },
		{ .mgmtdev = "blk", .engine = "io_uring", .cache = "none" },
	};
	/* Where zeroes are written. */
	static struct fx_kind memory[] = {
		{ .mgmtdev = "blk", .engine = "threads", .memory = true, .engine_only = true },
		{ .mgmtdev = "blk", .engine = "io_uring", .memory = true, .engine_only = true },
	};
	const struct CMUnitTest tests[] = {
		EACH(&kinds[0]),
		EACH(&kinds[1]),
		EACH(&kinds[2]),
		cmocka_unit_test_prestate(test_limit, &memory[0]),
#if HAVE_LIBURING
		EACH(&kinds[3]),
		EACH(&kinds[4]),
		cmocka_unit_test_prestate(test_limit, &memory[1]),
#endif
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, fx_image_make, fx_image_remove);
}
