/* SPDX-License-Identifier: BSD-2-Clause */
/* console-test.c - bytes through the ports of a console */
#include <errno.h>
#include <string.h>

#include "softdev/console-bed.h"

static const struct vd_console_conf one = { .nports = 1 };
static const struct vd_console_conf many = { .nports = CB_PORTS };

static void test_one_port(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		uint8_t buf[CB_SLOT];
		struct bed b;

		cb_add(&b, &one);
		assert_int_equal(uvdpa_dev_info(b.dev)->nvqs, 2);
		cb_start(&b, &(struct bed_conf){ .packed = packed });
		cb_until(&b, cb.opened[0] == 1);
		cb_send(&b, cb_tx(0), "login: ", 7, 0);
		cb_peer_reads(&b, 0, "login: ", 7);
		cb_peer_writes(0, "root\n", 5); /* there is no buffer yet */
		cb_post(&b, cb_rx(0), 0, 4, 16);
		assert_int_equal(cb_get(&b, cb_rx(0), buf, 5000), 5);
		assert_memory_equal(buf, "root\n", 5);
		cb_peer_writes(0, "0123456789abcdefghij", 20);
		assert_int_equal(cb_get(&b, cb_rx(0), buf, 5000), 16);
		assert_int_equal(cb_get(&b, cb_rx(0), buf + 16, 5000), 4);
		assert_memory_equal(buf, "0123456789abcdefghij", 20);
		assert_int_equal(bed_stat(&b, cb_rx(0), "rx bytes"), 25);
		assert_int_equal(bed_stat(&b, cb_tx(0), "tx bytes"), 7);
		bed_reset(&b);
		assert_int_equal(cb.closed[0], 1);
		cb_end(&b);
	}
}

static void test_many_ports(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		uint8_t buf[CB_SLOT];
		struct bed b;

		cb_add(&b, &many);
		cb_start(&b, &(struct bed_conf){ .packed = packed });
		cb_greet(&b);
		for (unsigned int i = 0; i < CB_PORTS; i++) {
			cb_until(&b, cb.opened[i] == 1);
			cb_send(&b, cb_tx(i), "hello", 5, 2);
			cb_peer_reads(&b, i, "hello", 5);
			cb_post(&b, cb_rx(i), 0, 4, 16);
			cb_peer_writes(i, "world", 5);
			assert_int_equal(cb_get(&b, cb_rx(i), buf, 5000), 5);
			assert_memory_equal(buf, "world", 5);
		}
		cb_end(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_port),
		cmocka_unit_test(test_many_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
