/* SPDX-License-Identifier: BSD-2-Clause */
/* console-upset-test.c - ports as terminals, when one side does not do what it should */
#include "virtio/fake-console.h"

#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/open-fds.h"
#include "mem/sg.h"

#define BIG (300u << 10)

/* ---- who does not do what he should ---------------------------------------------------------- */

/* A user who never reads holds up his port, and no other. */
static void test_user_hangs(void **state)
{
	static uint8_t sent[BIG], got[1000];
	struct fake *f = fake_begin_ports(3);
	int fd1 = fake_open(f, ".1"), fd2 = fake_open(f, ".2");
	size_t taken = 0;

	(void)state;
	fake_fill(sent, BIG, 1);
	for (unsigned int i = 0; i < 50; i++) {
		while (taken < BIG) {
			size_t n = fake_send(f, 1, sent + taken, vd_min(BIG - taken, 4096));

			taken += n;
			if (!n)
				break;
		}
		fake_send_all(f, 2, sent + i, sizeof(got));
		fake_read(f, fd2, got, sizeof(got));
		assert_memory_equal(got, sent + i, sizeof(got));
	}
	/* The buffers and what a terminal holds; the rest waits in the device. */
	assert_true(taken >= (size_t)VD_HVC_BUFS * VD_HVC_BUF && taken < BIG);
	/* Nothing of it is lost when he reads after all. */
	for (size_t off = 0; off < BIG; off += 1024) {
		if (taken < BIG)
			taken += fake_send(f, 1, sent + taken, BIG - taken);
		fake_read(f, fd1, got, vd_min(1000, BIG - off));
		assert_memory_equal(got, sent + off, vd_min(1000, BIG - off));
		off -= 24;
	}
	taken = 0;
	while (fake_send(f, 1, sent, BIG))
		fake_dispatch(f);
	fake_end(f);
	close(fd1);
	close(fd2);
}

/* What he did not read goes with the port: who opens the next one of that number sees nothing of
 * it. */
static void test_user_hangs_port_goes(void **state)
{
	static uint8_t sent[BIG];
	struct fake *f = fake_begin_ports(2);
	int fd = fake_open(f, ".1"), next;
	char got[3];

	(void)state;
	fake_hears(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	while (fake_send(f, 1, sent, BIG))
		fake_dispatch(f);
	fake_control(f, 1, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL, 0);
	fake_wait_link(f, ".1", false);
	fake_add_port(f, 1);
	next = fake_open(f, ".1");
	fake_send_all(f, 1, "new", 3);
	fake_read(f, next, got, 3);
	assert_memory_equal(got, "new", 3);
	close(fd);
	close(next);
	fake_end(f);
}

/* Buffers that come back empty, between those that do not: nothing waits behind them. */
static void test_empty_buffers(void **state)
{
	static uint8_t sent[BIG], got[BIG];
	struct fake *f = fake_begin(0);
	int fd = fake_open(f, "");
	size_t len = 24 * VD_HVC_BUF;

	(void)state;
	fake_fill(sent, BIG, 9);
	/* More than a terminal holds. */
	fake_send_all(f, 0, sent, len);
	fake_dispatch(f);
	fake_send_empty(f, 0, 40);
	len += fake_send(f, 0, sent + len, 1000);
	fake_dispatch(f);
	fake_read(f, fd, got, len);
	assert_memory_equal(got, sent, len);
	close(fd);
	fake_end(f);
}

/* A device that takes nothing of what is typed: neither its user nor unbind waits for it. */
static void test_device_hangs(void **state)
{
	static const uint8_t text[4096];
	struct fake *f = fake_begin(0);
	int fd = fake_open(f, "");
	unsigned int idle = 0;
	char got[4];

	(void)state;
	while (idle < 3) {
		if (write(fd, text, sizeof(text)) > 0) {
			idle = 0;
		} else {
			fake_dispatch(f);
			idle++;
		}
	}
	/* What it says is seen all the same. */
	fake_send_all(f, 0, "says", 4);
	fake_read(f, fd, got, 4);
	close(fd);
	fake_dispatch(f);
	fake_send_all(f, 0, "more", 4);
	fd = fake_open(f, "");
	fake_read(f, fd, got, 4);
	assert_memory_equal(got, "more", 4);
	fake_end(f);
	close(fd);
}

static void test_nonsense(void **state)
{
	static const struct {
		struct virtio_console_control m;
		size_t len;
	} cases[] = {
		{ { 0, VIRTIO_CONSOLE_PORT_ADD, 1 }, 0 },
		{ { 0, VIRTIO_CONSOLE_PORT_ADD, 1 }, 7 },
		{ { 3, VIRTIO_CONSOLE_PORT_ADD, 1 }, 8 },
		{ { 0xffffffff, VIRTIO_CONSOLE_PORT_ADD, 1 }, 8 },
		{ { 0xffffffff, VIRTIO_CONSOLE_DEVICE_READY, 1 }, 8 },
		{ { 2, VIRTIO_CONSOLE_PORT_REMOVE, 1 }, 8 },
		{ { 2, VIRTIO_CONSOLE_PORT_OPEN, 1 }, 8 },
		{ { 2, VIRTIO_CONSOLE_PORT_NAME, 1 }, 256 },
		{ { 0, 8, 0 }, 8 },
		{ { 0, 0xffff, 0xffff }, 256 },
		{ { 0, VIRTIO_CONSOLE_PORT_READY, 1 }, 8 },
		{ { 0, VIRTIO_CONSOLE_RESIZE, 0 }, 8 },
		{ { 0, VIRTIO_CONSOLE_RESIZE, 0 }, 11 },
		{ { 1, VIRTIO_CONSOLE_PORT_NAME, 0 }, 8 },
	};
	struct fake *f = fake_begin_ports(2);
	unsigned int fds = open_fds();
	uint8_t msg[256];

	(void)state;
	for (unsigned int i = 0; i < 20 * VD_ARRAY_SIZE(cases); i++) {
		unsigned int c = i % VD_ARRAY_SIZE(cases);

		memset(msg, (int)(i / 3), sizeof(msg));
		memcpy(msg, &cases[c].m, sizeof(cases[c].m));
		fake_message(f, msg, cases[c].len);
	}
	assert_false(fake_says(f));
	assert_int_equal(access(fake_path(".1"), F_OK), 0);
	assert_int_equal(open_fds(), fds);
	fake_end(f);
}

/* Ports without end; the driver is told nothing of them that it keeps. */
static void test_endless_ports(void **state)
{
	struct fake *f = fake_begin_ports(1);
	unsigned int fds = open_fds();

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		fake_control(f, 1 + i % 2, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 0);
		fake_control(f, 1 + i % 2, VIRTIO_CONSOLE_PORT_NAME, 1, &i, sizeof(i));
		fake_control(f, 1 + i % 2, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL, 0);
	}
	fake_dispatch(f);
	assert_int_equal(open_fds(), fds);
	fake_end(f);
}

/* A device that writes what none may into the used ring of queue @idx. */
static void lie(struct fake *f, unsigned int idx)
{
	struct vd_hvc *con = container_of(f->dev.vdev.bound, struct vd_hvc, bound);
	uint16_t *used =
		(uint16_t *)(void *)(con->dma.base + f->dev.vqs[idx].device - con->dma.iova);

	__atomic_store_n(&used[1], htole16(999), __ATOMIC_RELEASE);
	vd_eventfd_signal(f->dev.vqs[idx].call);
	fake_dispatch(f);
}

/* A broken ring is the end of its port, or of the control queue, and of nothing else. */
static void test_broken(void **state)
{
	for (unsigned int idx = 0; idx < 4; idx++) {
		struct fake *f = fake_begin_ports(2);
		int fd0 = fake_open(f, ""), fd1 = fake_open(f, ".1");
		char got[5];

		(void)state;
		fake_hears(f, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
		fake_hears(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
		fake_control(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
		fake_dispatch(f);
		lie(f, idx);
		fake_send_all(f, 1, "hello", 5);
		fake_read(f, fd1, got, 5);
		fake_write(f, fd1, "world", 5);
		fake_receive(f, 1, got, 5);
		assert_memory_equal(got, "world", 5);
		fake_end(f);
		close(fd0);
		close(fd1);
	}
}

/* One that says itself that it is broken. */
static void test_needs_reset(void **state)
{
	struct fake *f = fake_begin(0);
	int fd = fake_open(f, "");

	(void)state;
	f->dev.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	f->dev.vdev.bound->driver->changed(f->dev.vdev.bound, UVDPA_DEV_STATUS);
	fake_dispatch(f);
	fake_send(f, 0, "lost", 4);
	fake_silent(f, fd);
	assert_int_equal(f->dev.released, 0);
	fake_end(f);
	close(fd);
}

/* The configuration says what cannot be. */
static void test_config(void **state)
{
	struct vd_virtio_conf conf = { .pty = fake_link };
	struct fake *f = fake_create(MULTI);

	(void)state;
	f->config.max_nr_ports = 0;
	assert_int_equal(vd_virtio_bind(&f->dev.vdev, &conf), -EBADMSG);
	/* More ports than queues: those for which there are queues. */
	f->config.max_nr_ports = htole32(UINT32_MAX);
	assert_int_equal(vd_virtio_bind(&f->dev.vdev, &conf), 0);
	fake_hears(f, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	fake_add_port(f, 2);
	fake_destroy(f);
	/* Fewer queues than MULTIPORT needs. */
	f = fake_create(MULTI);
	f->dev.vdev.nvqs = 2;
	assert_int_equal(vd_virtio_bind(&f->dev.vdev, &conf), 0);
	assert_false(f->dev.features & MULTI);
	fake_end(f);
	f = fake_create(0);
	f->dev.vdev.nvqs = 1;
	assert_int_equal(vd_virtio_bind(&f->dev.vdev, &conf), -EBADMSG);
	fake_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_hangs),    cmocka_unit_test(test_user_hangs_port_goes),
		cmocka_unit_test(test_empty_buffers), cmocka_unit_test(test_device_hangs),
		cmocka_unit_test(test_nonsense),      cmocka_unit_test(test_endless_ports),
		cmocka_unit_test(test_broken),        cmocka_unit_test(test_needs_reset),
		cmocka_unit_test(test_config),
	};

	return cmocka_run_group_tests(tests, fake_enter, fake_leave);
}
