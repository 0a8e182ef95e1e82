/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of a front-end's memory: regions that cannot be, and rings whose memory goes and comes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver/vu-fx.h"

/* CVE-2020-10722 and its like: sums that wrap, files that are shorter. Nothing changes by them. */
static void memory_regions(void **state)
{
	static const struct {
		uint64_t gpa, size, uva, off;
		int r;
	} cases[] = {
		{ 0, 0, 0, 0, 1 },
		{ 0, MEM_SIZE + 1, 0, 0, 1 },
		{ 0, MEM_SIZE, 0, 1, 1 },
		{ 0, 4096, 0, UINT64_MAX - 4095, 1 },
		{ 0, UINT64_MAX, 0, 0, 1 },
		{ 0, 1ull << 63, 0, 1ull << 63, 1 },
		{ UINT64_MAX - 4095, 4096, 0, 0, 1 },
		{ UINT64_MAX, 4096, 0, 0, 1 },
		{ 0, 4096, UINT64_MAX - 4094, 0, 1 },
		{ 0, 4096, UINT64_MAX, 0, 1 },
		{ GPA, 4096, 0, MEM_SIZE - 4096, 0 },
		{ GPA, MEM_SIZE, 0, 0, 0 },
		{ 1ull << 30, 4096, 1ull << 46, 4096, 0 },
		{ GPA, MEM_SIZE, UVA, 0, 0 },
	};
	struct bed *b = *state;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), mem = b->mem;

	fe_start(b, NO_STATUS);
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		int r = fe_set_mem(b, cases[i].gpa, cases[i].size, cases[i].uva, cases[i].off);

		if (r != cases[i].r)
			fail_msg("case %zu: %d", i, r);
		if (r)
			assert_true(b->f->vqs[0].running);
	}
	assert_true(b->f->vqs[0].running);	/* its memory is back */
	b->mem = null;
	assert_int_equal(fe_set_mem(b, GPA, 4096, UVA, 0), 1);
	b->mem = mem;
	close(null);
	assert_true(b->f->vqs[0].running);
}

static void memory_slots(void **state)
{
	struct bed *b = *state;

	fe_start(b, NO_STATUS);
	assert_int_equal(fe_get(b, VD_VU_GET_MAX_MEM_SLOTS, 0, 0), VD_VU_SLOTS_MAX);
	assert_int_equal(fe_slot(b, VD_VU_ADD_MEM_REG, GPA + 4096, 4096, 4096, 0), 1);	/* gpa */
	assert_int_equal(fe_slot(b, VD_VU_ADD_MEM_REG, 0, 4096, UVA + 4096, 0), 1);	/* uva */
	assert_int_equal(fe_slot(b, VD_VU_REM_MEM_REG, GPA, MEM_SIZE, UVA + 1, 0), 1);
	assert_int_equal(fe_slot(b, VD_VU_REM_MEM_REG, GPA, MEM_SIZE - 1, UVA, 0), 1);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(fe_slot(b, VD_VU_ADD_MEM_REG, 1ull << 30, 4096, 4096, 4096), 0);
		assert_int_equal(fe_slot(b, VD_VU_REM_MEM_REG, 1ull << 30, 4096, 4096, 0), 0);
	}
	/* What a ring runs in may go and come back; the ring waits for it. */
	b->f->vqs[0].at.avail = 21;
	assert_int_equal(fe_slot(b, VD_VU_REM_MEM_REG, GPA, MEM_SIZE, UVA, 0), 0);
	assert_false(b->f->vqs[0].running);
	assert_int_equal(fe_slot(b, VD_VU_ADD_MEM_REG, GPA, MEM_SIZE / 2, UVA, 0), 0);
	assert_true(b->f->vqs[0].running);
	assert_int_equal(b->f->vqs[0].vq.state.avail, 21);
	for (uint64_t i = 1; i < VD_VU_SLOTS_MAX; i++)
		assert_int_equal(fe_slot(b, VD_VU_ADD_MEM_REG, (i + 1) << 30, 4096, i << 12, 0), 0);
	assert_int_equal(fe_slot(b, VD_VU_ADD_MEM_REG, 1ull << 50, 4096, 1ull << 50, 0), 1);
	assert_true(b->f->vqs[0].running);
}

/* QEMU 7.2 adds each region as often as a network device has pairs, and removes it as often. */
static void the_same_slot_again(void **state)
{
	struct bed *b = *state;

	fe_start(b, NO_STATUS);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fe_slot(b, VD_VU_ADD_MEM_REG, GPA, MEM_SIZE, UVA, 0), 0);
	assert_int_equal(fe_slot(b, VD_VU_ADD_MEM_REG, GPA, MEM_SIZE, UVA, 4096), 1);
	assert_int_equal(fe_slot(b, VD_VU_ADD_MEM_REG, GPA, MEM_SIZE, UVA + MEM_SIZE, 0), 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fe_slot(b, VD_VU_REM_MEM_REG, GPA, MEM_SIZE, UVA, 0), 0);
		assert_true(b->f->vqs[0].running);
	}
	assert_int_equal(fe_slot(b, VD_VU_REM_MEM_REG, GPA, MEM_SIZE, UVA, 0), 0);
	assert_false(b->f->vqs[0].running);
	assert_int_equal(fe_slot(b, VD_VU_REM_MEM_REG, GPA, MEM_SIZE, UVA, 0), 1);
	for (int i = 0; i < VD_VU_SLOTS_MAX; i++)
		assert_int_equal(fe_slot(b, VD_VU_ADD_MEM_REG, GPA, MEM_SIZE, UVA, 0), 0);
	assert_int_equal(fe_slot(b, VD_VU_ADD_MEM_REG, GPA, MEM_SIZE, UVA, 0), 1);
}

/* ---- files of all kinds ---------------------------------------------------------------------- */

/* A file system that is one file of MEM_SIZE. No page of it would ever come. */
struct fuse_file {
	int dev;
	pthread_t thread;
};

static void fuse_answer(struct fuse_file *ff, const struct fuse_in_header *in)
{
	struct {
		struct fuse_out_header h;
		union {
			struct fuse_init_out init;
			struct fuse_attr_out attr;
			struct fuse_open_out open;
			struct fuse_statfs_out statfs;
		};
	} out = { .h.unique = in->unique };
	uint32_t len = 0;

	switch (in->opcode) {
	case FUSE_INIT:
		out.init = (struct fuse_init_out){ .major = FUSE_KERNEL_VERSION,
						   .minor = FUSE_KERNEL_MINOR_VERSION,
						   .max_write = 4096 };
		len = sizeof(out.init);
		break;
	case FUSE_GETATTR:
		out.attr.attr.ino = in->nodeid;
		out.attr.attr.mode = S_IFREG | 0600;
		out.attr.attr.nlink = 1;
		out.attr.attr.size = MEM_SIZE;
		len = sizeof(out.attr);
		break;
	case FUSE_OPEN:
		len = sizeof(out.open);
		break;
	case FUSE_STATFS:
		len = sizeof(out.statfs);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return;
	default:
		out.h.error = -ENOSYS;
	}
	out.h.len = (uint32_t)sizeof(out.h) + len;
	/* Nobody may wait for it any more, at the end. */
	if (write(ff->dev, &out, out.h.len) != out.h.len)
		assert_true(errno == ENOENT || errno == ENODEV);
}

static void *fuse_serve(void *arg)
{
	static char buf[1 << 17] __attribute__((aligned(8)));
	struct fuse_file *ff = arg;

	while (read(ff->dev, buf, sizeof(buf)) > 0 || errno == EINTR || errno == ENOENT)
		fuse_answer(ff, (const struct fuse_in_header *)(const void *)buf);
	return NULL;
}

static bool fuse_mount(struct fuse_file *ff, const char *path, const char **ret_why)
{
	char opts[80];

	*ret_why = "open /dev/fuse";
	ff->dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (ff->dev < 0)
		return false;
	*ret_why = "mount";
	snprintf(opts, sizeof(opts), "fd=%d,rootmode=100000,user_id=%u,group_id=%u", ff->dev,
		 getuid(), getgid());
	if (mount("uvdpa-test", path, "fuse", MS_NOSUID | MS_NODEV, opts)) {
		close(ff->dev);
		return false;
	}
	assert_int_equal(pthread_create(&ff->thread, NULL, fuse_serve, ff), 0);
	return true;
}

/* A page that is not there would stop a data thread; one process could do that to another. */
static void memory_on_fuse(void **state)
{
	struct bed *b = *state;
	struct fuse_file ff = { 0 };
	char path[] = "/tmp/uvdpa-vu-mem.XXXXXX";
	int file = mkstemp(path), memfd = b->mem;
	const char *why;

	assert_true(file >= 0);
	close(file);
	if (!fuse_mount(&ff, path, &why)) {
		print_message("skipped: no FUSE here: %s: %s\n", why, strerror(errno));
		unlink(path);
		skip();
	}
	fe_start(b, NO_STATUS);
	file = open(path, O_RDWR | O_CLOEXEC);
	assert_true(file >= 0);
	b->mem = file;
	assert_int_equal(fe_set_mem(b, GPA, MEM_SIZE, UVA, 0), GONE);
	assert_false(b->f->vqs[0].running);
	b->mem = memfd;
	close(file);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
	pthread_join(ff.thread, NULL);
	close(ff.dev);
	unlink(path);
}

/* memory-backend-file on a disk: slow, but nobody's to hold back. */
static void memory_on_a_disk(void **state)
{
	struct bed *b = *state;
	char path[] = "/var/tmp/uvdpa-vu-mem.XXXXXX";
	int file = mkstemp(path), memfd = b->mem;

	assert_true(file >= 0);
	unlink(path);
	assert_int_equal(ftruncate(file, MEM_SIZE), 0);
	b->mem = file;
	fe_start(b, NO_STATUS);
	assert_true(b->f->vqs[0].running);
	b->mem = memfd;
	close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FE_TEST(memory_regions),
		FE_TEST(memory_slots),
		FE_TEST(the_same_slot_again),
		FE_TEST(memory_on_fuse),
		FE_TEST(memory_on_a_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
