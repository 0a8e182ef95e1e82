/* SPDX-License-Identifier: BSD-2-Clause */
/* console-conf-test.c - the configuration of a console: what it is made of, sizes, emergency writes */
#include <errno.h>

#include "softdev/console-bed.h"

#define EMERG_OFF offsetof(struct virtio_console_config, emerg_wr)

static const struct vd_console_conf one = { .nports = 1, .queue_size = 256 };
static const struct vd_console_conf many = { .nports = CB_PORTS };

static void test_conf(void **state)
{
	static const char name64[] =
		"0123456789012345678901234567890123456789012345678901234567890123";
	static const struct vd_console_port_conf bad_name = { .name = name64 },
						 none = { .name = "" }, absent = { .absent = true };
	static const struct vd_console_conf bad[] = {
		{ .nports = VD_CONSOLE_PORTS_MAX + 1 },
		{ .queue_size = 1 },
		{ .queue_size = 3 },
		{ .queue_size = 2 * VD_CONSOLE_QUEUE_SIZE_MAX },
		{ .ports = &bad_name },
		{ .ports = &none },
		{ .ports = &absent },
	};
	struct bed b;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(bad); i++)
		assert_int_equal(cb_try(&b, &bad[i]), -EINVAL);
	cb_add(&b, &(struct vd_console_conf){ .multiport = true });
	assert_int_equal(uvdpa_dev_info(b.dev)->nvqs, 4);
	assert_int_equal(uvdpa_dev_info(b.dev)->vq_num_max, 256);
	assert_true(uvdpa_dev_info(b.dev)->features & VD_CONSOLE_F(MULTIPORT));
	cb_end(&b);
	cb_add(&b, &one);
	assert_false(uvdpa_dev_info(b.dev)->features & VD_CONSOLE_F(MULTIPORT));
	cb_end(&b);
}

static void test_size(void **state)
{
	static const struct vd_console_port_conf port = { .console = true, .cols = 80, .rows = 24 };
	static const struct uvdpa_attr size[] = { { "cols", "132" }, { "rows", "43" } };
	struct virtio_console_config c;
	struct bed b;

	(void)state;
	cb_add(&b, &(struct vd_console_conf){ .nports = 1, .ports = &port });
	assert_int_equal(uvdpa_dev_get_config(b.dev, 0, &c, sizeof(c)), 0);
	assert_int_equal(le16toh(c.cols), 80);
	assert_int_equal(le16toh(c.rows), 24);
	assert_int_equal(le32toh(c.max_nr_ports), 1);
	assert_string_equal(bed_shown(&b, "port0"), "console 80x24");
	cb_start(&b, NULL);
	assert_int_equal(uvdpa_dev_set(b.dev, size, 2), 0);
	assert_int_equal(uvdpa_dev_generation(b.dev), 1);
	assert_int_equal(uvdpa_dev_get_config(b.dev, 0, &c, sizeof(c)), 0);
	assert_int_equal(le16toh(c.cols), 132);
	assert_int_equal(le16toh(c.rows), 43);
	assert_int_equal(uvdpa_dev_set(b.dev, size, 1), 0); /* the same: nothing to tell */
	assert_int_equal(uvdpa_dev_generation(b.dev), 1);
	assert_int_equal(uvdpa_dev_set(b.dev, &(struct uvdpa_attr){ "cols", "65536" }, 1), -EINVAL);
	cb_until(&b, cb.opened[0]);
	assert_string_equal(bed_shown(&b, "port0"), "console 132x43 open");
	cb_end(&b);
}

static void test_emergency(void **state)
{
	struct virtio_console_config all = { .emerg_wr = htole32('!') };
	const uint8_t word[4] = { 'w', 0xff, 0xff, 0xff };
	char text[] = "panic";
	struct bed b;

	(void)state;
	cb_add(&b, &many);
	/* Nobody has even said that he is there. */
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(uvdpa_dev_set_config(b.dev, EMERG_OFF, text + i, 1), 0);
	assert_int_equal(uvdpa_dev_set_config(b.dev, EMERG_OFF, word, 4), 0);
	assert_int_equal(uvdpa_dev_set_config(b.dev, EMERG_OFF + 1, word + 1, 3), 0);
	assert_int_equal(uvdpa_dev_set_config(b.dev, 0, &all, sizeof(all)), 0);
	all.emerg_wr = 0;
	assert_int_equal(uvdpa_dev_set_config(b.dev, 0, &all, sizeof(all)), 0);
	assert_int_equal(uvdpa_dev_set_config(b.dev, 0, &all, 8), -EOPNOTSUPP);
	assert_int_equal(uvdpa_dev_set_config(b.dev, EMERG_OFF, word, 5), -EINVAL);
	cb_peer_reads(&b, 0, "panicw!", 7);
	assert_int_equal(uvdpa_dev_get_config(b.dev, 0, &all, sizeof(all)), 0);
	assert_int_equal(all.emerg_wr, 0);
	/* And in the middle of the rest. */
	cb_start(&b, NULL);
	cb_send(&b, cb_tx(0), "fine", 4, 0);
	cb_peer_reads(&b, 0, "fine", 4);
	assert_int_equal(uvdpa_dev_set_config(b.dev, EMERG_OFF, text, 1), 0);
	cb_peer_reads(&b, 0, "p", 1);
	cb_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conf),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_emergency),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
