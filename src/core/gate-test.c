/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of the gate: what it refuses, with which errno, and what it tells a parent in which order. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/fd.h"
#include "core/fake.h"

static void whole_life(void **state)
{
	struct uvdpa *u = fake_context();
	struct fake *f = fake_add(u, "d0", NULL, NULL, "a");
	struct uvdpa_wait w = { 0 };

	(void)state;
	fake_run(f);
	assert_int_equal(uvdpa_dev_status(&f->dev), 15);
	assert_int_equal(uvdpa_dev_features(&f->dev), 1ull << 32);
	assert_true(f->vqs[0].running && f->vqs[1].running && !f->vqs[2].running);
	assert_int_equal(uvdpa_dev_reset(&f->dev, &w), 0);
	assert_string_equal(fake_log(f), "quiesce* get0 get1 reset");
	assert_int_equal(uvdpa_dev_status(&f->dev), 0);
	fake_run(f);
	f->quiesce = FAKE_LATER;
	assert_int_equal(uvdpa_await(u, &w, uvdpa_dev_del(&f->dev, &w)), 0);
	assert_int_equal(fakes, 0);
	assert_int_equal(fake_bindings, 0);
	uvdpa_destroy(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
