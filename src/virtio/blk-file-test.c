/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-file-test.c - a disk as a file, when the disk does not do what disks should */
#include "virtio/fake-disk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"

static char dir[] = "/tmp/virtio-file-XXXXXX";
static char path[sizeof(dir) + 8];

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/d0", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

struct server {
	struct disk *d;
	pthread_t thread;
	bool running;
};

static void begin(struct server *s, void (*spoil)(struct disk *d), int err)
{
	static char file[sizeof(path)];
	static struct vd_virtio_conf conf = { .file = file };

	if (access("/dev/fuse", R_OK | W_OK)) {
		print_message("/dev/fuse cannot be opened\n");
		skip();
	}
	strcpy(file, path);
	*s = (struct server){ .d = disk_create() };
	if (spoil)
		spoil(s->d);
	assert_int_equal(disk_bind(s->d, &conf), err);
}

static void serve(struct server *s)
{
	assert_int_equal(pthread_create(&s->thread, NULL, disk_thread, s->d), 0);
	s->running = true;
}

/* Nobody serves any more; also the point from which on the disk's memory may be looked at. */
static void stop(struct server *s)
{
	if (!s->running)
		return;
	__atomic_store_n(&s->d->stop, 1, __ATOMIC_RELEASE);
	pthread_join(s->thread, NULL);
	s->running = false;
}

static void end(struct server *s)
{
	stop(s);
	disk_destroy(s->d);
	assert_int_equal(access(path, F_OK), -1);
}

/* A read that the disk never answers. */
static void *reader(void *arg)
{
	char c;
	int fd = *(int *)arg;

	return (void *)(intptr_t)(pread(fd, &c, 1, 0) < 0 ? errno : 0);
}

static void test_disk_hangs(void **state)
{
	struct server s;
	pthread_t t;
	uint64_t before;
	void *err;
	int fd;

	(void)state;
	begin(&s, NULL, 0);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(pthread_create(&t, NULL, reader, &fd), 0);
	while (!vd_virtq_pending(s.d->dev.dq[0]))
		usleep(1000);
	/* It cannot become quiet; and is taken away nevertheless, at once. */
	s.d->dev.vdev.bound->driver->quiesce(s.d->dev.vdev.bound);
	vd_loop_dispatch(&s.d->dev.loop, 50);
	assert_int_equal(s.d->dev.quiesced, 0);
	before = vd_now_ns();
	end(&s);
	assert_true(vd_now_ns() - before < 1000000000u);
	pthread_join(t, &err);
	assert_true((intptr_t)err == ENODEV || (intptr_t)err == ENOTCONN ||
		    (intptr_t)err == ECONNABORTED);
	close(fd);
}

static void test_quiesce(void **state)
{
	struct server s;

	(void)state;
	begin(&s, NULL, 0);
	serve(&s);
	s.d->dev.vdev.bound->driver->quiesce(s.d->dev.vdev.bound);
	while (!s.d->dev.quiesced)
		assert_true(vd_loop_dispatch(&s.d->dev.loop, 10000) > 0);
	end(&s);
}

static void test_disk_errors(void **state)
{
	static const struct {
		int status, err;
	} cases[] = {
		{ VIRTIO_BLK_S_IOERR, EIO }, { VIRTIO_BLK_S_UNSUPP, EOPNOTSUPP }, { 77, EIO },
	};
	struct server s;
	char buf[1000] = "";
	int fd;

	(void)state;
	begin(&s, NULL, 0);
	serve(&s);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		__atomic_store_n(&s.d->force_status, cases[i].status, __ATOMIC_RELAXED);
		assert_int_equal(pread(fd, buf, 1000, 0), -1);
		assert_int_equal(errno, cases[i].err);
		assert_int_equal(pwrite(fd, buf, 512, 0), -1);
		assert_int_equal(errno, cases[i].err);
		assert_int_equal(pwrite(fd, buf, 1000, 100), -1);	/* head, tail */
		assert_int_equal(errno, cases[i].err);
		assert_int_equal(fsync(fd), -1);
		assert_int_equal(errno, cases[i].err);
	}
	__atomic_store_n(&s.d->force_status, -1, __ATOMIC_RELAXED);
	assert_int_equal(pwrite(fd, buf, 1000, 100), 1000);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	end(&s);
}

/* O_DSYNC and fsync reach the disk as FLUSH, each. */
static void test_durable(void **state)
{
	struct server s;
	char buf[512] = "";
	unsigned int before;
	int fd;

	(void)state;
	begin(&s, NULL, 0);
	serve(&s);
	fd = open(path, O_RDWR | O_DSYNC);
	assert_true(fd >= 0);
	for (unsigned int i = 0; i < 3; i++) {
		before = __atomic_load_n(&s.d->flushes, __ATOMIC_RELAXED);
		assert_int_equal(pwrite(fd, buf, 512, 512), 512);
		assert_int_equal(__atomic_load_n(&s.d->flushes, __ATOMIC_RELAXED), before + 1);
		assert_int_equal(fdatasync(fd), 0);
		assert_int_equal(__atomic_load_n(&s.d->flushes, __ATOMIC_RELAXED), before + 2);
	}
	close(fd);
	end(&s);
}

static void test_resize(void **state)
{
	struct server s;
	struct stat st;

	(void)state;
	begin(&s, NULL, 0);
	serve(&s);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, SECTORS * 512);
	s.d->config.capacity = htole64(SECTORS / 2);
	s.d->dev.vdev.bound->driver->changed(s.d->dev.vdev.bound, UVDPA_DEV_CONFIG);
	for (int i = 0; i < 500 && st.st_size != SECTORS / 2 * 512; i++) {
		usleep(1000);	/* far below the second that attributes are kept for */
		assert_int_equal(stat(path, &st), 0);
	}
	assert_int_equal(st.st_size, SECTORS / 2 * 512);
	end(&s);
}

static void zeroing(struct disk *d)
{
	d->dev.vdev.offered |= F(VIRTIO_BLK_F_WRITE_ZEROES);
	d->config.max_write_zeroes_sectors = htole32(20);	/* in 4 KiB blocks: 16 */
	d->config.write_zeroes_may_unmap = 1;
	memset(d->bytes, 0xee, sizeof(d->bytes));
}

static void zeroing_4k(struct disk *d)
{
	zeroing(d);
	d->config.blk_size = htole32(4096);
}

/* Zeros are where they were asked for, to the byte, and no request is larger than the limit. */
static void test_fallocate(void **state)
{
	static const int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	static const int zero = FALLOC_FL_ZERO_RANGE, keep = FALLOC_FL_KEEP_SIZE;
	static const off_t size = SECTORS * 512;
	static const struct {
		int mode;
		off_t off, len;
		int err;
		uint32_t requests[2];	/* of WRITE_ZEROES, by block size */
		uint32_t flags;
	} cases[] = {
		{ hole, 0, size, 0, { 205, 256 }, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP },
		{ zero, 4096, 8192, 0, { 1, 1 }, 0 },
		{ zero | keep, 8192, 10240 + 512, 0, { 2, 1 }, 0 },
		{ hole, 100, 50, 0, { 0, 0 }, 0 },
		{ hole, 100, 412, 0, { 0, 0 }, 0 },
		{ hole, 4000, 200, 0, { 0, 0 }, 0 },
		{ zero, 4095, 4098, 0, { 1, 1 }, 0 },
		{ zero, 5000, 1, 0, { 0, 0 }, 0 },
		{ hole, 777, 100001, 0, { 10, 12 }, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP },
		{ hole, size - 700, 5000, 0, { 1, 0 }, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP },
		{ hole, size, 1 << 20, 0, { 0, 0 }, 0 },
		{ hole, size + 10, 10, 0, { 0, 0 }, 0 },
		{ zero, size - 512, 513, ENOSPC, { 0, 0 }, 0 },
		{ 0, 512, 4096, 0, { 0, 0 }, 0 },
		{ 0, size - 1, 2, ENOSPC, { 0, 0 }, 0 },
		{ keep, size, 1, ENOSPC, { 0, 0 }, 0 },
		{ FALLOC_FL_COLLAPSE_RANGE, 0, 4096, EOPNOTSUPP, { 0, 0 }, 0 },
	};

	(void)state;
	for (unsigned int i = 0; i < 2 * VD_ARRAY_SIZE(cases); i++) {
		unsigned int c = i / 2, big = i & 1;
		bool zeros = !cases[c].err && cases[c].mode & ~keep;
		struct server s;
		int fd;

		begin(&s, big ? zeroing_4k : zeroing, 0);
		serve(&s);
		fd = open(path, O_RDWR);
		assert_true(fd >= 0);
		errno = 0;
		assert_int_equal(fallocate(fd, cases[c].mode, cases[c].off, cases[c].len),
				 cases[c].err ? -1 : 0);
		assert_int_equal(errno, cases[c].err);
		assert_int_equal(lseek(fd, 0, SEEK_END), size);
		close(fd);
		stop(&s);
		for (off_t at = 0; at < size; at++)
			if (s.d->bytes[at] != (zeros && at >= cases[c].off &&
					       at < cases[c].off + cases[c].len ? 0 : 0xee))
				fail_msg("case %u, blocks %u: byte %jd is %u", c, big, (intmax_t)at,
					 s.d->bytes[at]);
		assert_int_equal(s.d->nranges, cases[c].requests[big]);
		if (s.d->nranges)
			assert_int_equal(le32toh(s.d->range.flags), cases[c].flags);
		end(&s);
	}
}

/* One that cannot, or will not. */
static void test_fallocate_fails(void **state)
{
	struct server s;
	int fd;

	(void)state;
	begin(&s, NULL, 0);
	serve(&s);
	fd = open(path, O_RDWR);
	assert_int_equal(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4096), -1);
	assert_int_equal(errno, EOPNOTSUPP);
	assert_int_equal(fallocate(fd, 0, 0, 4096), 0);
	close(fd);
	end(&s);

	begin(&s, zeroing, 0);
	serve(&s);
	fd = open(path, O_RDWR);
	__atomic_store_n(&s.d->force_status, VIRTIO_BLK_S_IOERR, __ATOMIC_RELAXED);
	assert_int_equal(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4096), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(fallocate(fd, FALLOC_FL_ZERO_RANGE, 10, 4096), -1);
	assert_int_equal(errno, EIO);
	__atomic_store_n(&s.d->force_status, -1, __ATOMIC_RELAXED);
	assert_int_equal(fallocate(fd, FALLOC_FL_ZERO_RANGE, 10, 4096), 0);
	close(fd);
	end(&s);
}

static void *zero_all(void *arg)
{
	int fd = *(int *)arg;

	return (void *)(intptr_t)(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, SECTORS * 512) < 0 ? errno
											      : 0);
}

/* A long one does not keep the disk from who shall have it next. */
static void test_quiesce_fallocate(void **state)
{
	struct server s;
	pthread_t t;
	void *err;
	int fd;

	(void)state;
	begin(&s, zeroing, 0);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pthread_create(&t, NULL, zero_all, &fd), 0);
	while (!vd_virtq_pending(s.d->dev.dq[0]))
		usleep(1000);
	s.d->dev.vdev.bound->driver->quiesce(s.d->dev.vdev.bound);
	serve(&s);
	while (!s.d->dev.quiesced)
		assert_true(vd_loop_dispatch(&s.d->dev.loop, 10000) > 0);
	pthread_join(t, &err);
	assert_int_equal((intptr_t)err, ENOTCONN);
	stop(&s);
	assert_int_equal(s.d->nranges, 1);
	end(&s);
	close(fd);	/* before, it would wait for an answer to its FLUSH */
}

static void readonly(struct disk *d)
{
	d->dev.vdev.offered |= F(VIRTIO_BLK_F_RO);
}

static void test_readonly(void **state)
{
	struct server s;
	struct stat st;
	char c;
	int fd;

	(void)state;
	begin(&s, readonly, 0);
	serve(&s);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0400);
	assert_int_equal(open(path, O_RDWR), -1);
	assert_int_equal(errno, EROFS);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &c, 1, 5), 1);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	end(&s);
}

/* Small segments: requests of the kernel are cut to what the disk takes. */
static void small(struct disk *d)
{
	d->dev.vdev.offered |= F(VIRTIO_BLK_F_SIZE_MAX);
	d->config.size_max = htole32(4096);
	d->config.blk_size = htole32(4096);
}

static void test_small_requests(void **state)
{
	static uint8_t out[300000], in[300000];
	struct server s;
	int fd;

	(void)state;
	begin(&s, small, 0);
	serve(&s);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	for (unsigned int i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7 + i / 4096);
	assert_int_equal(pwrite(fd, out, sizeof(out), 777), sizeof(out));
	assert_int_equal(pread(fd, in, sizeof(in), 777), sizeof(in));
	assert_memory_equal(in, out, sizeof(in));
	close(fd);
	stop(&s);
	assert_memory_equal(s.d->bytes + 777, out, sizeof(out));
	assert_in_range(s.d->largest, 512, 4096);
	end(&s);
}

static void tiny(struct disk *d)
{
	small(d);
	d->config.size_max = htole32(512);
}

static void huge_blocks(struct disk *d)
{
	d->config.blk_size = htole32(65536);
}

static void legacy(struct disk *d)
{
	d->dev.vdev.offered &= ~F(VIRTIO_F_VERSION_1);
}

/* What cannot be a file leaves none behind. */
static void test_refused(void **state)
{
	void (*const spoil[])(struct disk *d) = { tiny, huge_blocks, legacy };
	struct server s;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(spoil); i++) {
		begin(&s, spoil[i], -EOPNOTSUPP);
		assert_null(s.d->dev.vdev.bound);
		end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disk_hangs),
		cmocka_unit_test(test_quiesce),
		cmocka_unit_test(test_disk_errors),
		cmocka_unit_test(test_durable),
		cmocka_unit_test(test_resize),
		cmocka_unit_test(test_fallocate),
		cmocka_unit_test(test_fallocate_fails),
		cmocka_unit_test(test_quiesce_fallocate),
		cmocka_unit_test(test_readonly),
		cmocka_unit_test(test_small_requests),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
