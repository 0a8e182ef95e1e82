/* SPDX-License-Identifier: BSD-2-Clause */
/* limit-test.c - rate limits and histograms, by numbers */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "softdev/hist.h"
#include "softdev/limit.h"

#define MS 1000000ull
#define S  (1000 * MS)

/* Take all that there is room for, @step at a time, at each of the moments until @end. */
static uint64_t take_all(struct vd_limit *l, uint64_t step, uint64_t from, uint64_t end)
{
	uint64_t taken = 0, until;

	for (uint64_t now = from; now < end; now += MS)
		while (vd_limit_room(l, now, &until)) {
			vd_limit_take(l, step, now);
			taken += step;
		}
	return taken;
}

static void test_rates(void **state)
{
	static const struct {
		uint64_t rate, burst, step, least, most; /* of 10 seconds */
	} cases[] = {
		{ 1, 0, 1, 10, 11 },
		{ 100, 0, 1, 1000, 1010 },
		{ 100, 1, 1, 990, 1001 },
		{ 100, 500, 1, 1490, 1500 },
		{ 1000000, 0, 1, 9990000, 10100000 },
		{ 1000, 10, 100, 9900, 10200 }, /* larger than the burst */
		{ 1u << 30, 0, 4096, 10ull << 30, (10ull << 30) + (108u << 20) },
		{ 3, 0, 1, 29, 31 }, /* no whole number of ns */
	};

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct vd_limit l = { 0 };
		uint64_t n;

		vd_limit_set(&l, cases[i].rate, cases[i].burst);
		n = take_all(&l, cases[i].step, 100 * S, 110 * S);
		if (n < cases[i].least || n > cases[i].most)
			fail_msg("case %u: %llu, not %llu to %llu", i, (unsigned long long)n,
				 (unsigned long long)cases[i].least,
				 (unsigned long long)cases[i].most);
	}
}

static void test_until(void **state)
{
	struct vd_limit l = { 0 };
	uint64_t until = 0;

	(void)state;
	assert_true(vd_limit_room(&l, S, &until) == UINT64_MAX);
	vd_limit_set(&l, 10, 1);
	assert_int_equal(vd_limit_room(&l, S, &until), 1);
	vd_limit_take(&l, 1, S);
	assert_int_equal(vd_limit_room(&l, S, &until), 0);
	assert_int_equal(until, S + 100 * MS);
	assert_int_equal(vd_limit_room(&l, until - 1, &until), 0);
	assert_int_equal(vd_limit_room(&l, until, &until), 1);
	/* What is not used is kept, but not more than the burst. */
	assert_int_equal(vd_limit_room(&l, 1000 * S, &until), 1);
	/* A debt. */
	vd_limit_take(&l, 50, 1000 * S);
	assert_int_equal(vd_limit_room(&l, 1004 * S, &until), 0);
	assert_int_equal(until, 1005 * S);
	/* Another rate forgets it; none has no limit. */
	vd_limit_set(&l, 20, 2);
	assert_int_equal(vd_limit_room(&l, 1004 * S, &until), 2);
	vd_limit_set(&l, 0, 2);
	assert_true(vd_limit_room(&l, 1004 * S, &until) == UINT64_MAX);
}

static void test_buckets(void **state)
{
	unsigned int last = 0;

	(void)state;
	for (unsigned int i = 0; i < VD_HIST_BUCKETS; i++) {
		assert_int_equal(vd_hist_bucket(vd_hist_end(i) - 1), i);
		if (i + 1 < VD_HIST_BUCKETS)
			assert_int_equal(vd_hist_bucket(vd_hist_end(i)), i + 1);
	}
	for (uint64_t ns = 1; ns < 1ull << 40; ns += ns / 3 + 1) {
		unsigned int b = vd_hist_bucket(ns);

		assert_true(b >= last && b < VD_HIST_BUCKETS);
		last = b;
	}
	assert_int_equal(vd_hist_bucket(0), 0);
	assert_int_equal(vd_hist_bucket(UINT64_MAX), VD_HIST_BUCKETS - 1);
}

static void test_sum(void **state)
{
	struct vd_hist h = { 0 };
	struct vd_hist_sum s = vd_hist_sum(&h);
	char text[VD_HIST_TEXT];

	(void)state;
	assert_true(!s.count && !s.p50 && !s.max);
	vd_hist_text(&h, text, sizeof(text));
	assert_string_equal(text, "");
	for (unsigned int i = 0; i < 990; i++)
		vd_hist_add(&h, 1000);
	for (unsigned int i = 0; i < 9; i++)
		vd_hist_add(&h, 100000);
	vd_hist_add(&h, 10000000);
	s = vd_hist_sum(&h);
	assert_int_equal(s.count, 1000);
	assert_int_equal(s.sum, 990 * 1000 + 9 * 100000 + 10000000);
	assert_int_equal(s.p50, 1024);
	assert_int_equal(s.p99, 1024);
	assert_int_equal(s.p999, 114688);
	assert_in_range(s.max, 10000000, 12500000);
	vd_hist_text(&h, text, sizeof(text));
	assert_ptr_equal(strstr(text, "<1024:990 <114688:9 <"), text);
	vd_hist_text(&h, text, 12);
	assert_string_equal(text, "<1024:990");
	for (unsigned int i = 0; i < VD_HIST_BUCKETS; i++)
		h.n[i] = UINT64_MAX / VD_HIST_BUCKETS;
	vd_hist_text(&h, text, sizeof(text));
	assert_int_equal(text[strlen(text) - 1], (char)('0' + UINT64_MAX / VD_HIST_BUCKETS % 10));
	s = vd_hist_sum(&h);
	assert_int_equal(s.max, vd_hist_end(VD_HIST_BUCKETS - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_until),
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
