/* SPDX-License-Identifier: BSD-2-Clause */
/* net-csum-test.c - checksums, against slower ones */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "softdev/net-csum.h"
#include "softdev/net-pkt-fx.h"

/* Against a sum that is made byte by byte, over pieces of every length, at every address. */
static void test_csum(void **state)
{
	static uint8_t b[2000];
	struct vd_iov iov[64];

	(void)state;
	srandom(1);
	for (unsigned int i = 0; i < sizeof(b); i++)
		b[i] = i % 3 ? (uint8_t)random() : 0xff;
	for (unsigned int run = 0; run < 3000; run++) {
		size_t at = (size_t)random() % 8, len = 0, n = 1 + (size_t)random() % 64, most;
		struct vd_sg sg;
		uint64_t sum = 0;
		uint16_t be;

		for (size_t i = 0; i < n; i++) {
			iov[i] = (struct vd_iov){ vd_guest_wrap(uint8_t, b + at + len),
						  (size_t)random() % (run % 2 ? 8 : 30) };
			len += iov[i].len;
		}
		most = run % 5 ? len : (size_t)random() % (len + 1);
		sg = vd_sg(iov, (unsigned int)n);
		vd_csum_put((uint8_t *)&be, (uint16_t)~vd_csum_fold(vd_csum_add_sg(0, &sg, most)));
		assert_int_equal(be16toh(be), pkt_fold(pkt_sum(0, b + at, most)));
		assert_int_equal(vd_sg_len(&sg), len - most);
		sum = vd_csum_add16(vd_csum_add(0, b + at, most), 0x1234);
		assert_int_equal(be16toh((uint16_t)~vd_csum_fold(sum)),
				 pkt_fold(pkt_sum(0, b + at, most) + 0x1234));
	}
	/* No carry is lost. */
	memset(b, 0xff, sizeof(b));
	assert_int_equal(vd_csum_fold(vd_csum_add(0, b, sizeof(b))), 0xffff);
	assert_int_equal(vd_csum_fold(UINT64_MAX), 0xffff);
	assert_int_equal(vd_csum_fold(0xffffffff0000ffffull), 0xffff);
	assert_int_equal(vd_csum_fold(0x1ffffffffull), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_csum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
