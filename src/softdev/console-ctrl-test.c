/* SPDX-License-Identifier: BSD-2-Clause */
/* console-ctrl-test.c - what driver and console tell each other of ports */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "softdev/console-bed.h"

#define NOBODY VIRTIO_CONSOLE_BAD_ID

static const struct vd_console_port_conf ports[CB_PORTS] = {
	{ .name = "boot", .console = true, .connected = true, .cols = 80, .rows = 24 },
	{ .name = "org.example.agent.0" },
	{ .console = true },
};
static const struct vd_console_conf named = { .nports = CB_PORTS,
					      .ports = ports,
					      .queue_size = 256 };

static void ready(struct bed *b)
{
	cb_say(b, NOBODY, VIRTIO_CONSOLE_DEVICE_READY, 1);
}

static void expect_text(struct bed *b, uint32_t id, const char *name)
{
	struct cb_message m;

	assert_true(cb_hear(b, &m, 5000));
	assert_int_equal(m.id, id);
	assert_int_equal(m.event, VIRTIO_CONSOLE_PORT_NAME);
	assert_int_equal(m.len, strlen(name));
	assert_memory_equal(m.more, name, m.len);
}

static void expect_size(struct bed *b, uint32_t id, unsigned int cols, unsigned int rows)
{
	struct cb_message m;

	assert_true(cb_hear(b, &m, 5000));
	assert_int_equal(m.id, id);
	assert_int_equal(m.event, VIRTIO_CONSOLE_RESIZE);
	assert_int_equal(m.len, 4);
	/* As Linux has them. */
	assert_int_equal(m.more[0] | m.more[1] << 8, rows);
	assert_int_equal(m.more[2] | m.more[3] << 8, cols);
}

static void expect_nothing(struct bed *b)
{
	struct cb_message m;

	assert_false(cb_hear(b, &m, 30));
}

static void begin(struct bed *b, unsigned int buffers, bool packed)
{
	cb_add(b, &named);
	cb_start(b, &(struct bed_conf){ .packed = packed, .num = 256 });
	cb_post(b, VD_CONSOLE_CTRL_RX, 0, buffers, CB_SLOT);
}

/* What a driver hears that does as the specification says. */
static void greeting(struct bed *b)
{
	ready(b);
	for (unsigned int i = 0; i < CB_PORTS; i++)
		cb_expect(b, i, VIRTIO_CONSOLE_PORT_ADD, 0);
	cb_say(b, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	cb_expect(b, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
	expect_text(b, 0, "boot");
	expect_size(b, 0, 80, 24);
	cb_expect(b, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	cb_say(b, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_text(b, 1, "org.example.agent.0");
	cb_say(b, 2, VIRTIO_CONSOLE_PORT_READY, 1);
	cb_expect(b, 2, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
	expect_nothing(b);
}

static void test_greeting(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct bed b;

		begin(&b, 4, packed);
		expect_nothing(&b);
		greeting(&b);
		assert_int_equal(bed_stat(&b, VD_CONSOLE_CTRL_RX, "messages"), 9);
		assert_int_equal(bed_stat(&b, VD_CONSOLE_CTRL_TX, "messages"), 4);
		assert_int_equal(bed_stat(&b, VD_CONSOLE_CTRL_TX, "message errors"), 0);
		bed_reset(&b);
		cb_start(&b, &(struct bed_conf){ .packed = packed });
		cb_post(&b, VD_CONSOLE_CTRL_RX, 0, 4, CB_SLOT);
		greeting(&b);
		cb_end(&b);
	}
}

static void test_changes(void **state)
{
	struct bed b;

	(void)state;
	begin(&b, 4, false);
	greeting(&b);
	vd_console_set_size(cb_port(0), 132, 43);
	expect_size(&b, 0, 132, 43);
	vd_console_set_size(cb_port(0), 132, 43);
	vd_console_set_size(cb_port(1), 10, 10); /* no terminal */
	expect_nothing(&b);
	vd_console_set_size(cb_port(0), 0, 0);
	expect_size(&b, 0, 0, 0);
	vd_console_set_size(cb_port(2), 1, UINT16_MAX);
	expect_size(&b, 2, 1, UINT16_MAX);
	for (unsigned int i = 0; i < CB_PORTS; i++) {
		vd_console_set_connected(cb_port(i), i);
		cb_expect(&b, i, VIRTIO_CONSOLE_PORT_OPEN, !!i);
	}
	vd_console_set_connected(cb_port(0), false);
	expect_nothing(&b);
	assert_int_equal(uvdpa_dev_generation(b.dev),
			 0); /* with MULTIPORT it is told by messages */
	cb_end(&b);
}

/* A driver that begins again, or a port that does. */
static void test_again(void **state)
{
	struct bed b;

	(void)state;
	begin(&b, 8, false);
	greeting(&b);
	greeting(&b);
	cb_say(&b, 1, VIRTIO_CONSOLE_PORT_READY, 0);
	vd_console_set_connected(cb_port(1), true);
	expect_nothing(&b);
	cb_say(&b, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_text(&b, 1, "org.example.agent.0");
	cb_expect(&b, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	cb_say(&b, NOBODY, VIRTIO_CONSOLE_DEVICE_READY, 0);
	vd_console_set_connected(cb_port(1), false);
	expect_nothing(&b);
	ready(&b);
	for (unsigned int i = 0; i < CB_PORTS; i++) {
		cb_expect(&b, i, VIRTIO_CONSOLE_PORT_ADD, 0);
		if (i == 1)
			cb_expect(&b, i, VIRTIO_CONSOLE_PORT_OPEN, 0);
	}
	expect_nothing(&b);
	cb_end(&b);
}

/* A port goes, with all that is its, and comes back. */
static void test_absent(void **state)
{
	uint8_t buf[CB_SLOT];
	struct bed b;

	(void)state;
	begin(&b, 4, false);
	greeting(&b);
	cb_say(&b, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	cb_until(&b, cb.opened[1] == 1);
	cb_post(&b, cb_rx(1), 0, 4, 16);
	vd_console_set_present(cb_port(1), false);
	cb_expect(&b, 1, VIRTIO_CONSOLE_PORT_REMOVE, 0);
	cb_until(&b, cb.closed[1] == 1);
	assert_string_equal(bed_shown(&b, "port1"), "org.example.agent.0 serial absent");
	cb_peer_writes(1, "x", 1);
	assert_int_equal(cb_get(&b, cb_rx(1), buf, 30), -1);
	cb_send(&b, cb_tx(1), "hello", 5, 0);
	cb_peer_nothing(1);
	assert_int_equal(bed_stat(&b, cb_tx(1), "tx errors"), 1);
	/* What the driver says of it is an error. */
	cb_say(&b, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	cb_say(&b, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_nothing(&b);
	assert_int_equal(bed_stat(&b, VD_CONSOLE_CTRL_TX, "message errors"), 2);
	assert_int_equal(cb.opened[1], 1);

	vd_console_set_present(cb_port(1), true);
	cb_expect(&b, 1, VIRTIO_CONSOLE_PORT_ADD, 0);
	cb_say(&b, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_text(&b, 1, "org.example.agent.0");
	cb_say(&b, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(cb_get(&b, cb_rx(1), buf, 5000), 1);
	cb_send(&b, cb_tx(1), "hello", 5, 0);
	cb_peer_reads(&b, 1, "hello", 5);
	cb_end(&b);
}

/* What a user can change, and of which port. */
static void test_set(void **state)
{
	static const struct uvdpa_attr bad[][2] = { { { "port", "nobody" }, { "cols", "1" } },
						    { { "port", "3" }, { "cols", "1" } },
						    { { "port", "-1" }, { "cols", "1" } },
						    { { "port", "0" }, { "present", "off" } },
						    { { "cols", "1" }, { "present", "off" } } };
	static const struct uvdpa_attr size[] = { { "port", "2" },
						  { "cols", "90" },
						  { "rows", "7" } };
	static const struct uvdpa_attr off[] = { { "port", "org.example.agent.0" },
						 { "present", "off" } };
	static const struct uvdpa_attr on[] = { { "port", "1" }, { "present", "on" } };
	struct bed b;

	(void)state;
	begin(&b, 4, false);
	greeting(&b);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(bad); i++)
		assert_int_equal(uvdpa_dev_set(b.dev, bad[i], 2), -EINVAL);
	expect_nothing(&b);
	assert_int_equal(uvdpa_dev_set(b.dev, size, 3), 0);
	expect_size(&b, 2, 90, 7);
	assert_int_equal(uvdpa_dev_set(b.dev, off, 2), 0);
	cb_expect(&b, 1, VIRTIO_CONSOLE_PORT_REMOVE, 0);
	assert_int_equal(uvdpa_dev_set(b.dev, on, 2), 0);
	cb_expect(&b, 1, VIRTIO_CONSOLE_PORT_ADD, 0);
	expect_nothing(&b);
	cb_end(&b);
}

/* ---- open --------------------------------------------------------------------------------- */

/* Nothing comes to a port that no program has; what the driver sends goes. */
static void test_closed(void **state)
{
	uint8_t buf[CB_SLOT];
	struct bed b;

	(void)state;
	begin(&b, 4, false);
	greeting(&b);
	cb_post(&b, cb_rx(1), 0, 4, 16);
	cb_peer_writes(1, "1", 1);
	assert_int_equal(cb_get(&b, cb_rx(1), buf, 30), -1);
	cb_send(&b, cb_tx(1), "hello", 5, 0);
	cb_peer_reads(&b, 1, "hello", 5);
	cb_say(&b, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(cb_get(&b, cb_rx(1), buf, 5000), 1);
	cb_say(&b, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	cb_say(&b, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	cb_until(&b, cb.closed[1] == 1);
	assert_int_equal(cb.opened[1], 1);
	cb_peer_writes(1, "2", 1);
	assert_int_equal(cb_get(&b, cb_rx(1), buf, 30), -1);
	cb_end(&b);
}

/* Opened, closed and opened before anybody looked: whoever was there before has gone. */
static void test_reopened(void **state)
{
	static const uint16_t values[] = { 0, 1, 0, 1, 0 };
	unsigned int q = VD_CONSOLE_CTRL_TX;
	struct bed b;

	(void)state;
	begin(&b, 4, false);
	greeting(&b);
	cb_say(&b, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	cb_until(&b, cb.opened[1] == 1);
	for (unsigned int n = 4; n < 6; n++) {
		unsigned int opened = cb.opened[1], closed = cb.closed[1];
		struct vd_done d[5];

		for (unsigned int i = 0; i < n; i++) {
			struct virtio_console_control m = { htole32(1),
							    htole16(VIRTIO_CONSOLE_PORT_OPEN),
							    htole16(values[i]) };

			cb_put(&b, q, 16 * i, &m, sizeof(m), 0);
		}
		for (unsigned int got = 0; got < n;) { /* without a turn of the loop */
			int r = vd_virtq_drv_get(b.q[q].drv, d, 5);

			assert_true(r >= 0);
			got += (unsigned int)r;
			usleep(100);
		}
		assert_int_equal(cb.opened[1], opened);
		cb_until(&b, cb.closed[1] == closed + 1);
		assert_int_equal(cb.opened[1], opened + (n == 4));
		assert_int_equal(vd_console_is_open(cb_port(1)), n == 4);
	}
	cb_end(&b);
}

/* ---- drivers that give nothing, or nonsense ----------------------------------------------- */

static void test_no_buffers(void **state)
{
	struct cb_message m;
	struct bed b;

	(void)state;
	begin(&b, 0, false);
	ready(&b);
	for (unsigned int i = 0; i < CB_PORTS; i++)
		cb_say(&b, i, VIRTIO_CONSOLE_PORT_READY, 1);
	for (unsigned int i = 0; i < 100000; i++) {
		vd_console_set_connected(cb_port(i % CB_PORTS), i % 2);
		vd_console_set_size(cb_port(0), (uint16_t)i, 24);
	}
	for (unsigned int i = 0; i < CB_PORTS; i++)
		vd_console_set_connected(cb_port(i), i != 1);
	/* Bytes go on meanwhile. */
	cb_send(&b, cb_tx(1), "hello", 5, 0);
	cb_peer_reads(&b, 1, "hello", 5);
	/* One buffer, again and again, and it hears how things are now. */
	cb_post(&b, VD_CONSOLE_CTRL_RX, 0, 1, CB_SLOT);
	for (unsigned int i = 0; i < CB_PORTS; i++) {
		cb_expect(&b, i, VIRTIO_CONSOLE_PORT_ADD, 0);
		if (ports[i].console)
			cb_expect(&b, i, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
		if (ports[i].name)
			expect_text(&b, i, ports[i].name);
		if (i == 0)
			expect_size(&b, i, (uint16_t)99999, 24);
		if (i != 1)
			cb_expect(&b, i, VIRTIO_CONSOLE_PORT_OPEN, 1);
	}
	assert_false(cb_hear(&b, &m, 30));
	cb_end(&b);
}

/* A buffer in which a message has no room comes back empty, and the message waits for the next. */
static void test_small_buffers(void **state)
{
	struct vd_buf buf = { cb_iova(VD_CONSOLE_CTRL_RX), 4 };
	uint8_t got[CB_SLOT];
	struct bed b;

	(void)state;
	begin(&b, 0, false);
	ready(&b);
	for (uint32_t len = 1; len < 8; len++) {
		cb_post(&b, VD_CONSOLE_CTRL_RX, 0, 1, len);
		assert_int_equal(cb_get(&b, VD_CONSOLE_CTRL_RX, got, 5000), 0);
	}
	/* One that is not for writing at all. */
	b.slots[VD_CONSOLE_CTRL_RX][bed_add_req(&b, VD_CONSOLE_CTRL_RX, &buf, 1, 0)] = 0;
	assert_int_equal(cb_get(&b, VD_CONSOLE_CTRL_RX, got, 5000), 0);
	assert_int_equal(bed_stat(&b, VD_CONSOLE_CTRL_RX, "message errors"), 8);
	cb_post(&b, VD_CONSOLE_CTRL_RX, 0, 3, 8);
	for (unsigned int i = 0; i < CB_PORTS; i++)
		assert_int_equal(cb_get(&b, VD_CONSOLE_CTRL_RX, got, 5000), 8);
	cb_say(&b, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	cb_post(&b, VD_CONSOLE_CTRL_RX, 0, 1, 8 + 18);
	assert_int_equal(cb_get(&b, VD_CONSOLE_CTRL_RX, got, 5000), 0);
	cb_post(&b, VD_CONSOLE_CTRL_RX, 0, 1, 8 + 19);
	assert_int_equal(cb_get(&b, VD_CONSOLE_CTRL_RX, got, 5000), 8 + 19);
	assert_memory_equal(got + 8, "org.example.agent.0", 19);
	cb_end(&b);
}

/* Messages of any size, cut anyhow: what is shorter than a header is none, what is behind it is
 * nothing. */
static void test_sizes(void **state)
{
	struct virtio_console_control m = { 0, htole16(VIRTIO_CONSOLE_PORT_READY), htole16(1) };
	uint8_t buf[200] = { 0 };
	struct vd_buf bufs[256];
	uint64_t errors = 0;
	struct vd_done d;
	struct bed b;

	(void)state;
	begin(&b, 4, false);
	memcpy(buf, &m, sizeof(m));
	for (uint32_t len = 1; len < sizeof(buf); len++) {
		for (uint32_t each = 1 + len / 60; each <= len && each < 10; each++) {
			cb_send(&b, VD_CONSOLE_CTRL_TX, buf, len, each);
			errors += len < sizeof(m);
			assert_int_equal(bed_stat(&b, VD_CONSOLE_CTRL_TX, "message errors"),
					 errors);
		}
	}
	/* None at all. */
	bufs[0] = (struct vd_buf){ cb_iova(VD_CONSOLE_CTRL_TX), 100 };
	bed_add_req(&b, VD_CONSOLE_CTRL_TX, bufs, 0, 1);
	assert_int_equal(bed_get(&b, VD_CONSOLE_CTRL_TX, &d, 1, 5000), 1);
	assert_int_equal(d.len, 0);
	/* Powers of two and one less, and nearly 4 GiB, of the same memory again and again. */
	for (unsigned int bit = 8; bit < 33; bit++) {
		uint64_t left = vd_min((1ull << bit) - bit % 2, 255ull * BED_SIZE);
		unsigned int n = 1;

		memcpy(cb_mem(&b, VD_CONSOLE_CTRL_TX), &m, sizeof(m));
		bufs[0] = (struct vd_buf){ cb_iova(VD_CONSOLE_CTRL_TX), sizeof(m) };
		for (left -= sizeof(m); left; left -= bufs[n++].len)
			bufs[n] = (struct vd_buf){ BED_IOVA, (uint32_t)vd_min(left, BED_SIZE) };
		bed_add_req(&b, VD_CONSOLE_CTRL_TX, bufs, n, 0);
		assert_int_equal(bed_get(&b, VD_CONSOLE_CTRL_TX, &d, 1, 5000), 1);
	}
	assert_int_equal(bed_stat(&b, VD_CONSOLE_CTRL_TX, "message errors"), errors + 1);
	cb_say(&b, 0, VIRTIO_CONSOLE_PORT_READY, 0);
	greeting(&b);
	cb_end(&b);
}

/* Whatever they say, the ports there are work. */
static void test_nonsense(void **state)
{
	static const uint32_t sent_by_us =
		1u << VIRTIO_CONSOLE_PORT_ADD | 1u << VIRTIO_CONSOLE_PORT_REMOVE |
		1u << VIRTIO_CONSOLE_CONSOLE_PORT | 1u << VIRTIO_CONSOLE_RESIZE |
		1u << VIRTIO_CONSOLE_PORT_NAME;
	static const uint32_t strange[] = { CB_PORTS,   4,          63,         64,
					    65,         0x7fffffff, 0x80000000, 0x80000001,
					    0xfffffffe, 0xffffffff };
	uint64_t errors = 0;
	struct bed b;

	(void)state;
	begin(&b, 4, false);
	greeting(&b);
	for (uint16_t event = 0; event < 32; event++) {
		if (event >= 8 || sent_by_us >> event & 1) {
			cb_say(&b, 0, event, 1);
			errors++;
		}
		cb_say(&b, 0, event, 2);
		cb_say(&b, 0, (uint16_t)(event << 8 | 0x80), 1);
		cb_say(&b, 0, event, UINT16_MAX);
		errors += 3;
	}
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(strange); i++) {
		cb_say(&b, strange[i], VIRTIO_CONSOLE_PORT_READY, 1);
		cb_say(&b, strange[i], VIRTIO_CONSOLE_PORT_OPEN, 1);
		errors += 2;
	}
	assert_int_equal(bed_stat(&b, VD_CONSOLE_CTRL_TX, "message errors"), errors);
	expect_nothing(&b);
	for (unsigned int i = 0; i < 3000; i++) {
		uint8_t buf[24];

		for (unsigned int k = 0; k < sizeof(buf); k++)
			buf[k] = (uint8_t)(random() % 3 ? random() % 8 : random());
		cb_send(&b, VD_CONSOLE_CTRL_TX, buf, 1 + (uint32_t)random() % 24, 0);
	}
	bed_reset(&b);
	cb_start(&b, NULL);
	cb_post(&b, VD_CONSOLE_CTRL_RX, 0, 4, CB_SLOT);
	greeting(&b);
	cb_end(&b);
}

/* A control queue that makes no sense stops alone. */
static void test_broken(void **state)
{
	(void)state;
	for (unsigned int q = VD_CONSOLE_CTRL_RX; q <= VD_CONSOLE_CTRL_TX; q++) {
		struct vd_buf outside = { BED_IOVA + BED_SIZE, 8 };
		struct bed b;

		begin(&b, q == VD_CONSOLE_CTRL_TX ? 4 : 0, false);
		if (q == VD_CONSOLE_CTRL_RX)
			ready(&b);
		bed_add_req(&b, q, &outside, q == VD_CONSOLE_CTRL_TX, q != VD_CONSOLE_CTRL_TX);
		cb_until(&b, uvdpa_dev_status(b.dev) & VIRTIO_CONFIG_S_NEEDS_RESET);
		cb_send(&b, cb_tx(2), "hello", 5, 0);
		cb_peer_reads(&b, 2, "hello", 5);
		if (q == VD_CONSOLE_CTRL_RX)
			cb_say(&b, 0, VIRTIO_CONSOLE_PORT_READY, 1);
		bed_reset(&b);
		cb_start(&b, NULL);
		cb_post(&b, VD_CONSOLE_CTRL_RX, 0, 4, CB_SLOT);
		greeting(&b);
		cb_end(&b);
	}
}

/* ---- reset -------------------------------------------------------------------------------- */

/* The @n-th step of what a driver does. Return: false: there is none. */
static bool step(struct bed *b, unsigned int n)
{
	switch (n) {
	case 0:
		cb_post(b, VD_CONSOLE_CTRL_RX, 0, 2, CB_SLOT);
		return true;
	case 1:
		ready(b);
		return true;
	case 2:
	case 3:
	case 4:
		cb_say(b, n - 2, VIRTIO_CONSOLE_PORT_READY, 1);
		return true;
	case 5:
	case 6:
	case 7:
		cb_say(b, n - 5, VIRTIO_CONSOLE_PORT_OPEN, 1);
		return true;
	case 8:
		cb_post(b, cb_rx(1), 0, 4, 16);
		return true;
	case 9:
		vd_console_set_connected(cb_port(1), !cb_port(1)->connected);
		vd_console_set_size(cb_port(0), (uint16_t)random(), 24);
		return true;
	case 10:
		cb_put(b, cb_tx(1), 0, "hello", 5, 1);
		return true;
	case 11:
		vd_console_set_present(cb_port(2), !cb_port(2)->present);
		return true;
	case 12:
		cb_say(b, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
		return true;
	}
	return false;
}

/* Whenever it was, who comes next finds a device as new. */
static void test_reset(void **state)
{
	bool more = true;
	struct bed b;

	(void)state;
	cb_add(&b, &named);
	for (unsigned int steps = 0; more; steps++) {
		for (unsigned int wait = 0; wait < 2; wait++) {
			cb_start(&b, &(struct bed_conf){ .packed = wait });
			for (unsigned int n = 0; n < steps && more; n++)
				more = step(&b, n);
			if (wait)
				usleep(2000);
			bed_reset(&b);
			for (unsigned int i = 0; i < CB_PORTS; i++) {
				assert_int_equal(cb.opened[i], cb.closed[i]);
				assert_false(vd_console_is_open(cb_port(i)));
			}
		}
		vd_console_set_present(cb_port(2), true);
		vd_console_set_size(cb_port(0), 80, 24);
		vd_console_set_connected(cb_port(1), false);
		cb_start(&b, NULL);
		cb_post(&b, VD_CONSOLE_CTRL_RX, 0, 4, CB_SLOT);
		greeting(&b);
		bed_reset(&b);
	}
	cb_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greeting),      cmocka_unit_test(test_changes),
		cmocka_unit_test(test_again),         cmocka_unit_test(test_absent),
		cmocka_unit_test(test_set),           cmocka_unit_test(test_closed),
		cmocka_unit_test(test_reopened),      cmocka_unit_test(test_no_buffers),
		cmocka_unit_test(test_small_buffers), cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_nonsense),      cmocka_unit_test(test_broken),
		cmocka_unit_test(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
