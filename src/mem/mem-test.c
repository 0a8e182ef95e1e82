/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of mem and sg. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/thread.h"
#include "mem/mem.h"
#include "mem/sg.h"

#define PAGE 4096u

static uint8_t ram[8 * PAGE] __attribute__((aligned(4096)));

static struct uvdpa_map at(uint64_t iova, uint64_t len, void *addr)
{
	return (struct uvdpa_map){ .iova = iova, .len = len, .fd = -1, .addr = addr, .prot = UVDPA_MAP_RW };
}

static int add(struct vd_mem **mem, uint64_t iova, uint64_t len, void *addr)
{
	struct uvdpa_map m = at(iova, len, addr);

	return vd_mem_map(mem, &m, true);
}

static void map_refuses(void **state)
{
	static const struct {
		uint64_t iova, len;
		int r;
	} cases[] = {
		{ 0x1000, 0, -EINVAL },
		{ UINT64_MAX, 2, -EINVAL },
		{ 1, UINT64_MAX, -EEXIST },
		{ 0x10000, 0x1000, -EEXIST },	/* the same again */
		{ 0xf001, 0x1000, -EEXIST },	/* its first byte */
		{ 0x10fff, 1, -EEXIST },	/* its last byte */
		{ 0x11000, 0x1000, 0 },		/* right behind */
		{ 0xf000, 0x1000, 0 },		/* right before */
		{ UINT64_MAX, 1, 0 },		/* the last byte there is */
		{ UINT64_MAX, 1, -EEXIST },
		{ 0, 1, 0 },
	};
	struct vd_mem *mem = vd_mem_create();
	struct uvdpa_map m = at(0x50000, 1, NULL);

	(void)state;
	assert_int_equal(add(&mem, 0x10000, 0x1000, ram), 0);
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++)
		assert_int_equal(add(&mem, cases[i].iova, cases[i].len, ram), cases[i].r);
	assert_int_equal(mem->n, 5);
	for (unsigned int i = 1; i < mem->n; i++)
		assert_true(mem->regions[i - 1].last < mem->regions[i].first);

	assert_int_equal(vd_mem_map(&mem, &m, true), -EINVAL);	/* neither file nor address */
	m.addr = ram;
	m.prot = 0;
	assert_int_equal(vd_mem_map(&mem, &m, true), -EINVAL);
	m.prot = 4;
	assert_int_equal(vd_mem_map(&mem, &m, true), -EINVAL);
	vd_mem_destroy(mem);
}

static void a_file_must_be_as_long_as_its_mapping(void **state)
{
	static const struct {
		uint64_t offset, len;
		int r;
	} cases[] = {
		{ 0, 2 * PAGE, 0 },
		{ PAGE, PAGE, 0 },
		{ 0, 2 * PAGE + 1, -EINVAL },
		{ PAGE, 2 * PAGE, -EINVAL },
		{ UINT64_MAX - PAGE + 1, 2 * PAGE, -EINVAL },
		{ 1, PAGE, -EINVAL },	/* mmap wants pages */
	};
	int fd = memfd_create("ram", MFD_CLOEXEC), p[2];

	(void)state;
	assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct vd_mem *mem = vd_mem_create();
		struct uvdpa_map m = { .iova = 0, .len = cases[i].len, .fd = fd,
				       .offset = cases[i].offset, .prot = UVDPA_MAP_RW };

		assert_int_equal(vd_mem_map(&mem, &m, true), cases[i].r);
		vd_mem_destroy(mem);
	}
	assert_int_equal(pipe(p), 0);
	for (int i = 0; i < 2; i++) {
		struct vd_mem *mem = vd_mem_create();
		struct uvdpa_map m = { .len = PAGE, .fd = p[i], .prot = UVDPA_MAP_RW };

		assert_int_equal(vd_mem_map(&mem, &m, true), -EINVAL);
		vd_mem_destroy(mem);
		close(p[i]);
	}
	close(fd);
}

/* CVE-2018-1059: every byte of a buffer is translated, not just its first. */
static void buffers_cross_mappings(void **state)
{
	static const struct {
		uint64_t iova, len;
		int r;
		size_t first;	/* bytes of the first piece */
	} cases[] = {
		{ 0x1000, 0, 0, 0 },
		{ 0x1000, 1, 1, 1 },
		{ 0x1fff, 1, 1, 1 },
		{ 0x1fff, 2, 2, 1 },
		{ 0x1001, 0x2fff, 3, 0xfff },
		{ 0x1000, 0x3001, -EFAULT, 0 },	/* one byte too many */
		{ 0x0fff, 2, -EFAULT, 0 },	/* one before */
		{ 0x4000, 1, -EFAULT, 0 },	/* the hole */
		{ 0x5000, 1, -EFAULT, 0 },	/* read only */
		{ UINT64_MAX - 0xfff, 0x1000, 1, 0x1000 },
		{ UINT64_MAX - 0xfff, 0x1001, -EFAULT, 0 },
		{ UINT64_MAX, UINT64_MAX, -EFAULT, 0 },
		{ 0x1000, UINT64_MAX, -EFAULT, 0 },
	};
	struct vd_mem *mem = vd_mem_create();
	struct uvdpa_map ro = at(0x5000, PAGE, ram + 4 * PAGE);
	struct vd_iov iov[4];

	(void)state;
	assert_int_equal(add(&mem, 0x2000, PAGE, ram + 2 * PAGE), 0);
	assert_int_equal(add(&mem, 0x1000, PAGE, ram), 0);
	assert_int_equal(add(&mem, 0x3000, PAGE, ram + PAGE), 0);
	assert_int_equal(add(&mem, UINT64_MAX - 0xfff, PAGE, ram + 3 * PAGE), 0);
	ro.prot = UVDPA_MAP_RO;
	assert_int_equal(vd_mem_map(&mem, &ro, true), 0);
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		assert_int_equal(vd_mem_iov(mem, cases[i].iova, cases[i].len, UVDPA_MAP_WO, iov, 4),
				 cases[i].r);
		if (cases[i].r > 0)
			assert_int_equal(iov[0].len, cases[i].first);
	}
	assert_int_equal(vd_mem_iov(mem, 0x1000, 0x3000, UVDPA_MAP_WO, iov, 2), -E2BIG);
	assert_int_equal(vd_mem_iov(mem, 0x1fff, 0x1002, UVDPA_MAP_RO, iov, 4), 3);
	assert_ptr_equal(vd_guest_expose(iov[0].base), ram + 0xfff);
	assert_ptr_equal(vd_guest_expose(iov[1].base), ram + 2 * PAGE);
	assert_ptr_equal(vd_guest_expose(iov[2].base), ram + PAGE);

	assert_null(vd_guest_expose(vd_mem_at(mem, 0x1fff, 2, UVDPA_MAP_RO)));	/* rings lie in one */
	assert_ptr_equal(vd_guest_expose(vd_mem_at(mem, 0x1ffe, 2, UVDPA_MAP_WO)), ram + 0xffe);
	assert_null(vd_guest_expose(vd_mem_at(mem, 0x5000, 2, UVDPA_MAP_WO)));
	assert_null(vd_guest_expose(vd_mem_at(mem, 0x1000, 0, UVDPA_MAP_RO)));
	assert_null(vd_guest_expose(vd_mem_at(mem, UINT64_MAX, 2, UVDPA_MAP_RO)));
	vd_mem_destroy(mem);
}

static void unmap_takes_whole_mappings(void **state)
{
	struct vd_mem *mem = vd_mem_create(), *old;
	struct vd_iov iov;

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(add(&mem, i * 0x2000, 0x1000, ram + i * PAGE), 0);
	old = vd_mem_copy(mem);
	assert_int_equal(vd_mem_unmap(mem, 0x2001, 0x1000), -EINVAL);
	assert_int_equal(vd_mem_unmap(mem, 0x1fff, 0x1000), -EINVAL);
	assert_int_equal(vd_mem_unmap(mem, 0, 0), -EINVAL);
	assert_int_equal(vd_mem_unmap(mem, 2, UINT64_MAX), -EINVAL);
	assert_int_equal(mem->n, 4);
	assert_int_equal(vd_mem_unmap(mem, 0x9000, 0x1000), 0);	/* of none */
	assert_int_equal(vd_mem_unmap(mem, 0x1800, 0x3800), 0);	/* two, and holes */
	assert_int_equal(mem->n, 2);
	assert_int_equal(vd_mem_iov(mem, 0x2000, 1, UVDPA_MAP_RO, &iov, 1), -EFAULT);
	assert_int_equal(vd_mem_iov(old, 0x2000, 1, UVDPA_MAP_RO, &iov, 1), 1);
	assert_int_equal(vd_mem_iov(mem, 0x6000, 1, UVDPA_MAP_RO, &iov, 1), 1);
	vd_mem_destroy(mem);
	vd_mem_destroy(old);
}

static void the_number_of_mappings_is_bounded(void **state)
{
	struct vd_mem *mem = vd_mem_create();

	(void)state;
	for (unsigned int i = 0; i < VD_MEM_REGIONS_MAX; i++)
		assert_int_equal(add(&mem, (VD_MEM_REGIONS_MAX - i) * 16, 16, ram), 0);
	assert_int_equal(add(&mem, 0, 1, ram), -ENOSPC);
	vd_mem_destroy(mem);
}

static void *read_byte(void *at)
{
	uint8_t b;

	vd_guest_read(&b, vd_guest_wrap(uint8_t, at), 1);
	return (void *)(uintptr_t)b;
}

static void a_truncated_file_reads_as_zeros(void **state)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	struct vd_mem *mem = vd_mem_create();
	struct uvdpa_map m = { .len = 5 * PAGE, .fd = fd, .prot = UVDPA_MAP_RW };
	struct vd_iov iov;
	struct vd_sg sg;
	uint8_t b[2 * PAGE];
	pthread_t thread;
	void *byte;

	(void)state;
	assert_int_equal(uvdpa_sigbus_guard(), 0);
	assert_int_equal(uvdpa_sigbus_guard(), 0);
	assert_int_equal(ftruncate(fd, 5 * PAGE), 0);
	assert_int_equal(vd_mem_map(&mem, &m, true), 0);
	assert_int_equal(vd_mem_iov(mem, 0, 5 * PAGE, UVDPA_MAP_RW, &iov, 1), 1);
	sg = vd_sg(&iov, 1);
	assert_int_equal(vd_sg_fill(&sg, 0xaa, 5 * PAGE), 5 * PAGE);
	assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
	sg = vd_sg(&iov, 1);
	vd_sg_skip(&sg, PAGE);
	assert_int_equal(vd_sg_read(&sg, b, sizeof(b)), sizeof(b));
	assert_int_equal(b[0], 0xaa);
	assert_int_equal(b[PAGE], 0);
	assert_int_equal(vd_sg_fill(&sg, 0xbb, PAGE), PAGE);
	/* Data threads have their own mask of signals. */
	assert_int_equal(vd_thread_start(&thread, read_byte, vd_guest_expose(iov.base + 4 * PAGE),
					 "reader"), 0);
	assert_int_equal(pthread_join(thread, &byte), 0);
	assert_ptr_equal(byte, NULL);
	vd_mem_destroy(mem);
	close(fd);
}

static void sg_reads_and_writes_across_pieces(void **state)
{
	uint8_t a[3], b[1], c[8], out[12], in[12];
	struct vd_iov iov[] = { { vd_guest_wrap(uint8_t, a), 3 }, { vd_guest_wrap(uint8_t, a), 0 },
				{ vd_guest_wrap(uint8_t, b), 1 }, { vd_guest_wrap(uint8_t, c), 8 } };
	struct vd_sg sg;

	(void)state;
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i + 1);
	for (size_t at_byte = 0; at_byte <= 12; at_byte++) {	/* the cursor stops everywhere */
		sg = vd_sg(iov, 4);
		assert_int_equal(vd_sg_len(&sg), 12);
		assert_int_equal(vd_sg_write(&sg, out, at_byte), at_byte);
		assert_int_equal(vd_sg_len(&sg), 12 - at_byte);
		assert_int_equal(vd_sg_write(&sg, out + at_byte, 100), 12 - at_byte);
		sg = vd_sg(iov, 4);
		memset(in, 0, sizeof(in));
		assert_int_equal(vd_sg_skip(&sg, at_byte), at_byte);
		assert_int_equal(vd_sg_read(&sg, in + at_byte, 100), 12 - at_byte);
		assert_memory_equal(in + at_byte, out + at_byte, 12 - at_byte);
	}
	sg = vd_sg(iov, 4);
	assert_int_equal(vd_sg_fill(&sg, 0xaa, 100), 12);
	assert_int_equal(a[0] & b[0] & c[7], 0xaa);
}

/* Short ones are not left to memcpy(). */
static void copies_of_every_length(void **state)
{
	uint8_t from[160], to[160];

	(void)state;
	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i * 7 + 1);
	for (size_t len = 0; len <= 130; len++) {
		memset(to, 0, sizeof(to));
		vd_guest_copy(vd_guest_wrap(void, to + 9), vd_guest_wrap(void, from + 5), len);
		for (size_t i = 0; i < sizeof(to); i++)
			assert_int_equal(to[i], i >= 9 && i < 9 + len ? from[i - 4] : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_refuses),
		cmocka_unit_test(a_file_must_be_as_long_as_its_mapping),
		cmocka_unit_test(buffers_cross_mappings),
		cmocka_unit_test(unmap_takes_whole_mappings),
		cmocka_unit_test(the_number_of_mappings_is_bounded),
		cmocka_unit_test(a_truncated_file_reads_as_zeros),
		cmocka_unit_test(sg_reads_and_writes_across_pieces),
		cmocka_unit_test(copies_of_every_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
