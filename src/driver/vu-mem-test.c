/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of a front-end's memory: regions that cannot be, and rings whose memory goes and comes. */
#include <fcntl.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		FE_TEST(memory_regions),
		FE_TEST(memory_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
