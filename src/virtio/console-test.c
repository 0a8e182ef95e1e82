/* SPDX-License-Identifier: BSD-2-Clause */
/* console-test.c - ports as terminals: what both sides see */
#include "virtio/fake-console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/open-fds.h"
#include "mem/sg.h"

#define BIG (300u << 10)

static void is_size(int fd, unsigned int cols, unsigned int rows)
{
	struct winsize ws;

	assert_int_equal(ioctl(fd, TIOCGWINSZ, &ws), 0);
	assert_int_equal(ws.ws_col, cols);
	assert_int_equal(ws.ws_row, rows);
}

/* ---- one port -------------------------------------------------------------------------------- */

/* Bytes both ways, whatever the rings are like; more than there are buffers. */
static void test_bytes(void **state)
{
	static const struct {
		uint64_t features;
		struct vd_virtio_conf conf;
	} cases[] = {
		{ 0, { 0 } },
		{ F(VIRTIO_RING_F_EVENT_IDX), { 0 } },
		{ F(VIRTIO_F_RING_PACKED), { .packed = true } },
		{ F(VIRTIO_F_RING_PACKED) | F(VIRTIO_RING_F_EVENT_IDX),
		  { .packed = true, .queue_size = 7 } },
		{ 0, { .queue_size = 2 } },
		{ 0, { .queue_size = 256 } },
	};
	static uint8_t sent[BIG], got[BIG];
	unsigned int before = open_fds();

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct fake *f = fake_begin_with(cases[i].features, cases[i].conf);
		int fd = fake_open(f, "");

		for (unsigned int k = 0; k < 300; k++) {
			uint8_t c = (uint8_t)k, d;

			fake_write(f, fd, &c, 1);
			fake_receive(f, 0, &d, 1);
			assert_int_equal(d, c);
			fake_send_all(f, 0, &d, 1);
			fake_read(f, fd, &d, 1);
			assert_int_equal(d, c);
		}
		fake_fill(sent, BIG, i);
		for (size_t off = 0; off < BIG; off += 1024) {
			fake_write(f, fd, sent + off, 1024);
			fake_receive(f, 0, got + off, 1024);
		}
		assert_memory_equal(got, sent, BIG);
		memset(got, 0, BIG);
		for (size_t off = 0; off < BIG; off += 3072) {
			fake_send_all(f, 0, sent + off, 3072);
			fake_read(f, fd, got + off, 3072);
		}
		assert_memory_equal(got, sent, BIG);
		close(fd);
		fake_end(f);
	}
	assert_int_equal(open_fds(), before);
}

/* While nobody looks the newest is kept; then it comes first. */
static void test_kept(void **state)
{
	static uint8_t sent[BIG], got[BIG];
	struct fake *f = fake_begin(0);
	const struct vd_hvc_port *p;
	int fd;

	(void)state;
	p = &container_of(f->dev.vdev.bound, struct vd_hvc, bound)->ports[0];
	fake_fill(sent, BIG, 3);
	fake_send_all(f, 0, sent, BIG);
	fake_dispatch(f);
	fd = fake_open(f, "");
	fake_send_all(f, 0, "end", 3);
	fake_read(f, fd, got, VD_HVC_KEEP + 3);
	assert_memory_equal(got, sent + BIG - VD_HVC_KEEP, VD_HVC_KEEP);
	assert_memory_equal(got + VD_HVC_KEEP, "end", 3);
	assert_int_equal(vd_keep_dropped(&p->kept), BIG - VD_HVC_KEEP);
	fake_silent(f, fd);
	close(fd);
	fake_dispatch(f);
	fake_send_all(f, 0, "again", 5);
	fd = fake_open(f, "");
	fake_read(f, fd, got, 5);
	assert_memory_equal(got, "again", 5);
	close(fd);
	fake_end(f);
}

static void test_size(void **state)
{
	struct fake *f = fake_create(F(VIRTIO_CONSOLE_F_SIZE));
	struct vd_virtio_conf conf = { .pty = fake_link };
	int fd;

	(void)state;
	f->config.cols = htole16(132);
	f->config.rows = htole16(43);
	assert_int_equal(vd_virtio_bind(&f->dev.vdev, &conf), 0);
	fd = fake_open(f, "");
	is_size(fd, 132, 43);
	f->config.cols = htole16(80);
	f->config.rows = htole16(25);
	f->dev.vdev.bound->driver->changed(f->dev.vdev.bound, UVDPA_DEV_CONFIG);
	is_size(fd, 80, 25);
	/* Not known is no size. */
	f->config.cols = f->config.rows = 0;
	f->dev.vdev.bound->driver->changed(f->dev.vdev.bound, UVDPA_DEV_CONFIG);
	is_size(fd, 80, 25);
	close(fd);
	fake_end(f);
}

/* Programs see a terminal: not a line discipline that changes what the guest said. */
static void test_terminal(void **state)
{
	static const char text[] = "a\nb\r\n\x03\x04\x11\x13\x7f\xff";
	struct fake *f = fake_begin_with(0, (struct vd_virtio_conf){ .mode = (char[]){ "0640" } });
	char got[sizeof(text)];
	struct stat st;
	int fd = fake_open(f, "");

	(void)state;
	assert_int_equal(isatty(fd), 1);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	fake_send_all(f, 0, text, sizeof(text));
	fake_read(f, fd, got, sizeof(text));
	assert_memory_equal(got, text, sizeof(text));
	fake_write(f, fd, text, sizeof(text));
	fake_receive(f, 0, got, sizeof(text));
	assert_memory_equal(got, text, sizeof(text));
	fake_silent(f, fd);
	close(fd);
	fake_end(f);
}

/* Its path is nobody else's; one that is left over is replaced. */
static void test_link(void **state)
{
	struct vd_virtio_conf conf = { .pty = fake_link };
	struct fake *f = fake_create(0);
	unsigned int before;
	struct stat st;

	(void)state;
	before = open_fds();
	assert_int_equal(close(open(fake_link, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	assert_int_equal(vd_virtio_bind(&f->dev.vdev, &conf), -EEXIST);
	assert_int_equal(lstat(fake_link, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(unlink(fake_link), 0);
	assert_int_equal(symlink("/tmp", fake_link), 0);
	assert_int_equal(vd_virtio_bind(&f->dev.vdev, &conf), -EEXIST);
	assert_int_equal(unlink(fake_link), 0);
	assert_int_equal(symlink("/dev/pts/4000000", fake_link), 0);
	assert_int_equal(open_fds(), before);
	assert_int_equal(vd_virtio_bind(&f->dev.vdev, &conf), 0);
	close(fake_open(f, ""));
	/* Somebody has put something else there. */
	assert_int_equal(unlink(fake_link), 0);
	assert_int_equal(symlink("/tmp", fake_link), 0);
	fake_quiesce(f);
	assert_int_equal(lstat(fake_link, &st), 0);
	assert_int_equal(unlink(fake_link), 0);
	fake_destroy(f);
}

static void test_options(void **state)
{
	static char word[] = "x", bad[] = "0999", none[] = "";
	const struct {
		struct vd_virtio_conf conf;
		int err;
	} cases[] = {
		{ { .pty = fake_link, .file = word }, -EINVAL },
		{ { .pty = fake_link, .tap = word }, -EINVAL },
		{ { .mode = word }, -EINVAL },
		{ { .pty = fake_link, .mode = bad }, -EINVAL },
		{ { .pty = none }, -ENAMETOOLONG },
		{ { .pty = fake_link, .queue_size = 3 }, -EINVAL },
		{ { .pty = fake_link, .queue_size = 1 }, -EINVAL },
		{ { .pty = fake_link, .queue_size = 512 }, -EINVAL },
		{ { .queues = 0 }, 0 },
	};
	unsigned int before = open_fds();

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct fake *f = fake_create(0);

		assert_int_equal(vd_virtio_bind(&f->dev.vdev, &cases[i].conf), cases[i].err);
		assert_int_equal(access(fake_link, F_OK), -1);
		fake_destroy(f);
	}
	assert_int_equal(open_fds(), before);
}

/* ---- ports ----------------------------------------------------------------------------------- */

static void test_ports(void **state)
{
	static const uint8_t size[] = { 30, 0, 100, 0 };
	struct fake *f = fake_begin_ports(3);
	int fd[3];
	char got[8];

	(void)state;
	fake_control(f, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "agent", 6);
	fake_control(f, 0, VIRTIO_CONSOLE_PORT_NAME, 1, "boot", 4);
	fake_wait_link(f, ".agent", true);
	fake_wait_link(f, ".1", false);
	fake_wait_link(f, ".boot", false);
	fd[0] = fake_open(f, "");
	fake_hears(f, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	fd[1] = fake_open(f, ".agent");
	fake_hears(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	fd[2] = fake_open(f, ".2");
	fake_hears(f, 2, VIRTIO_CONSOLE_PORT_OPEN, 1);
	for (unsigned int i = 0; i < 3; i++) {
		snprintf(got, sizeof(got), "port %u", i);
		fake_send_all(f, i, got, 6);
	}
	for (unsigned int i = 0; i < 3; i++) {
		char want[8];

		snprintf(want, sizeof(want), "port %u", i);
		fake_read(f, fd[i], got, 6);
		assert_memory_equal(got, want, 6);
	}
	fake_control(f, 2, VIRTIO_CONSOLE_RESIZE, 0, size, sizeof(size));
	fake_dispatch(f);
	is_size(fd[2], 100, 30);
	is_size(fd[1], 0, 0);

	/* What is typed waits for the device's other side. */
	fake_write(f, fd[1], "typed", 5);
	fake_dispatch(f);
	assert_false(vd_virtq_pending(f->dev.dq[5]));
	fake_control(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	fake_receive(f, 1, got, 5);
	assert_memory_equal(got, "typed", 5);
	close(fd[1]);
	fake_hears(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	close(fd[0]);
	fake_hears(f, 0, VIRTIO_CONSOLE_PORT_OPEN, 0);
	close(fd[2]);
	fake_hears(f, 2, VIRTIO_CONSOLE_PORT_OPEN, 0);
	fake_end(f);
}

/* A console is open as long as it is there, and what is typed does not wait. */
static void test_console_port(void **state)
{
	struct fake *f = fake_begin_ports(2);
	char got[4];
	int fd;

	(void)state;
	fake_control(f, 1, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL, 0);
	fake_hears(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	fake_send_all(f, 1, "boot", 4);
	fd = fake_open(f, ".1");
	fake_read(f, fd, got, 4);
	assert_memory_equal(got, "boot", 4);
	fake_write(f, fd, "user", 4);
	fake_receive(f, 1, got, 4);
	assert_memory_equal(got, "user", 4);
	close(fd);
	assert_false(fake_says(f));
	fake_end(f);
}

/* Ports go and come while somebody has them open. */
static void test_hotplug(void **state)
{
	struct fake *f = fake_begin_ports(2);

	(void)state;
	for (unsigned int i = 0; i < 20; i++) {
		int fd = fake_open(f, ".1");

		fake_hears(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
		fake_send_all(f, 1, "last", 4);
		fake_control(f, 1, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL, 0);
		if (i & 1) {
			fake_add_port(f, 1); /* before it has gone, perhaps */
		} else {
			fake_wait_link(f, ".1", false);
			fake_add_port(f, 1);
		}
		fake_hung_up(f, fd);
		close(fd);
		assert_false(fake_says(f));
	}
	fake_control(f, 0, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL, 0);
	fake_wait_link(f, "", false);
	assert_int_equal(access(fake_path(".1"), F_OK), 0);
	fake_end(f);
	assert_int_equal(access(fake_path(".1"), F_OK), -1);
}

/* What the other side calls a port is part of a file's name, no more. */
static void test_names(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		const char *suffix;
	} cases[] = {
		{ "org.qemu.guest_agent.0", 22, ".org.qemu.guest_agent.0" },
		{ "../../etc/passwd", 16, "..._.._etc_passwd" },
		{ "/", 1, "._" },
		{ "a\0b", 3, ".a" },
		{ "new\nline\x1b[2J", 12, ".new_line__2J" },
		{ "\xc3\xa4", 2, ".__" },
		{ ".", 1, ".1" },
		{ "..", 2, ".1" },
		{ "", 0, ".1" },
		{ "2", 1, ".1" },
		{ "0123456789012345678901234567890123456789012345678901234567890123456789a", 71,
		  ".1" },
		{ "a123456789012345678901234567890123456789012345678901234567890123456789", 70,
		  ".a12345678901234567890123456789012345678901234567890123456789012" },
	};

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct fake *f = fake_begin_ports(2);

		fake_control(f, 1, VIRTIO_CONSOLE_PORT_NAME, 1, cases[i].name, cases[i].len);
		fake_dispatch(f);
		fake_wait_link(f, cases[i].suffix, true);
		fake_end(f);
		assert_int_equal(access(fake_path(cases[i].suffix), F_OK), -1);
	}
}

/* Two of one name; a name that a file has; a name that changes. */
static void test_names_taken(void **state)
{
	struct fake *f = fake_begin_ports(3);
	char file[256];

	(void)state;
	fake_control(f, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "one", 3);
	fake_control(f, 2, VIRTIO_CONSOLE_PORT_NAME, 1, "one", 3);
	fake_wait_link(f, ".one", true);
	fake_wait_link(f, ".2", true);
	strcpy(file, fake_path(".file"));
	assert_int_equal(close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	fake_control(f, 2, VIRTIO_CONSOLE_PORT_NAME, 1, "file", 4);
	fake_dispatch(f);
	assert_int_equal(access(fake_path(".2"), F_OK), 0);
	assert_int_equal(unlink(file), 0);
	fake_control(f, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "other", 5);
	fake_control(f, 2, VIRTIO_CONSOLE_PORT_NAME, 1, "one", 3);
	fake_wait_link(f, ".other", true);
	fake_wait_link(f, ".one", true);
	fake_wait_link(f, ".2", false);
	fake_end(f);
	assert_int_equal(access(fake_path(".one"), F_OK), -1);
	assert_int_equal(access(fake_path(".other"), F_OK), -1);
}

/* A device that was away is told all anew when it asks. */
static void test_back(void **state)
{
	struct fake *f = fake_begin_ports(1);
	int fd = fake_open(f, "");

	(void)state;
	fake_hears(f, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	f->dev.vdev.bound->driver->changed(f->dev.vdev.bound, UVDPA_DEV_READY);
	fake_hears(f, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	fake_add_port(f, 0);
	fake_hears(f, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	close(fd);
	fake_end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),       cmocka_unit_test(test_kept),
		cmocka_unit_test(test_size),        cmocka_unit_test(test_terminal),
		cmocka_unit_test(test_link),        cmocka_unit_test(test_options),
		cmocka_unit_test(test_ports),       cmocka_unit_test(test_console_port),
		cmocka_unit_test(test_hotplug),     cmocka_unit_test(test_names),
		cmocka_unit_test(test_names_taken), cmocka_unit_test(test_back),
	};

	return cmocka_run_group_tests(tests, fake_enter, fake_leave);
}
