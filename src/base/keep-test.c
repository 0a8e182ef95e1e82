/* SPDX-License-Identifier: BSD-2-Clause */
/* keep-test.c - the newest bytes that nobody has taken */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/keep.h"

static void put(struct vd_keep *k, const char *text)
{
	struct iovec iov[2];

	text += vd_keep_put(k, strlen(text), iov);
	for (unsigned int i = 0; i < 2 && iov[i].iov_len; text += iov[i++].iov_len)
		memcpy(iov[i].iov_base, text, iov[i].iov_len);
	assert_int_equal(*text, 0);
}

static void holds(const struct vd_keep *k, const char *wanted)
{
	struct iovec iov[2];
	char text[16] = "";

	for (unsigned int i = 0, n = vd_keep_get(k, iov); i < n; i++)
		strncat(text, iov[i].iov_base, iov[i].iov_len);
	assert_string_equal(text, wanted);
	assert_int_equal(vd_keep_len(k), strlen(wanted));
}

static void the_newest_stays(void **state)
{
	struct vd_keep k;

	(void)state;
	assert_int_equal(vd_keep_init(&k, 5), 0);
	holds(&k, "");
	put(&k, "abc");
	holds(&k, "abc");
	vd_keep_took(&k, 2);
	holds(&k, "c");
	put(&k, "defg");
	holds(&k, "cdefg");
	assert_int_equal(vd_keep_dropped(&k), 0);
	put(&k, "hi");
	holds(&k, "efghi");
	assert_int_equal(vd_keep_dropped(&k), 2);
	put(&k, "0123456");
	holds(&k, "23456");
	assert_int_equal(vd_keep_dropped(&k), 2 + 5 + 2);
	vd_keep_took(&k, 5);
	holds(&k, "");
	vd_keep_fini(&k);
}

static void nothing_stays(void **state)
{
	struct iovec iov[2];
	struct vd_keep k;

	(void)state;
	assert_int_equal(vd_keep_init(&k, 0), 0);
	put(&k, "");
	assert_int_equal(vd_keep_dropped(&k), 0);
	assert_int_equal(vd_keep_put(&k, 7, iov), 7);
	assert_int_equal(iov[0].iov_len + iov[1].iov_len, 0);
	assert_int_equal(vd_keep_dropped(&k), 7);
	holds(&k, "");
	vd_keep_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_newest_stays),
		cmocka_unit_test(nothing_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
