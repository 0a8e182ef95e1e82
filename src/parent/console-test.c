/* SPDX-License-Identifier: BSD-2-Clause */
/* console-test.c - the parent "console", with a driver and somebody at the other end that are ours
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/open-fds.h"
#include "base/unix.h"
#include "parent/console.h"
#include "softdev/console-bed.h"

static char dir[64];
static unsigned int fds_before;

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/uvdpa-console-XXXXXX");
	assert_non_null(mkdtemp(dir));
	fds_before = open_fds();
	alarm(100);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	alarm(0);
	assert_int_equal(open_fds(), fds_before);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

/* %s in @port is a folder of the test. */
static int add(struct bed *b, const char *port, const char *key, const char *value)
{
	char text[512], *to = text;
	const char *attrs[] = { "port", text, key, value, NULL };

	for (; *port; port++) {
		if (*port == '@')
			to += sprintf(to, "%s", dir);
		else
			*to++ = *port;
	}
	*to = '\0';
	return bed_add(b, "console", attrs);
}

static void start(struct bed *b, const char *port, const char *key, const char *value)
{
	if (add(b, port, key, value))
		fail_msg("%s", uvdpa_error());
	cb_start(b, NULL);
}

static int visitor(const char *name)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = vd_unix_connect(path, 0);
	assert_true(fd >= 0);
	return fd;
}

/* Let control work until what is shown says so. */
static void until_shown(struct bed *b, const char *key, const char *value)
{
	uint64_t due = vd_now_ns() + 10000000000ull;

	while (strcmp(bed_shown(b, key), value) != 0) {
		if (vd_now_ns() > due)
			fail_msg("%s is %s, not %s", key, bed_shown(b, key), value);
		uvdpa_dispatch(b->u, 5);
	}
}

static void expect_at(struct bed *b, int fd, const char *text, size_t len)
{
	char buf[65536];
	uint64_t due = vd_now_ns() + 10000000000ull;
	size_t n;

	for (size_t at = 0; at < len; at += n) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t r;

		n = 0;
		uvdpa_dispatch(b->u, 0);
		assert_true(vd_now_ns() < due);
		if (!poll(&p, 1, 5))
			continue;
		r = read(fd, buf, vd_min(len - at, sizeof(buf)));
		assert_true(r > 0);
		n = (size_t)r;
		assert_memory_equal(buf, text + at, n);
	}
}

static void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void expect_driver(struct bed *b, unsigned int port, const char *text)
{
	char buf[CB_SLOT] = "";

	assert_int_equal(cb_get(b, cb_rx(port), buf, 5000), strlen(text));
	assert_memory_equal(buf, text, strlen(text));
}

/* ---- the list -------------------------------------------------------------------------------- */

static void list(void **state)
{
	static const struct {
		const char *ports, *terminals, *says;
	} bad[] = {
		{ "", NULL, "\"\"" },
		{ "pty,", NULL, "\"\"" },
		{ "=pty", NULL, "0 bytes" },
		{ "a=pty,a=null", NULL, "ports 0 and 1 are both called a" },
		{ "a b=pty", NULL, "\"a b=pty\"" },
		{ "pty,telnet:x", NULL, "telnet:x" },
		{ "pty,null", "2", "\"2\" is none of the 2 ports" },
		{ "pty,null", "a", "\"a\"" },
		{ "a=pty", "a,", "\"\"" },
	};
	struct vd_con_list l;
	char many[1024] = "null";

	(void)state;
	for (size_t i = 0; i < VD_ARRAY_SIZE(bad); i++) {
		assert_int_equal(vd_con_list_parse(&l, bad[i].ports, bad[i].terminals), -EINVAL);
		if (!strstr(vd_err_text(), bad[i].says))
			fail_msg("%s: %s", bad[i].ports, vd_err_text());
	}
	assert_int_equal(vd_con_list_parse(&l, "pty:/a=b,x.1_y-2=unix:/c=d,null", "x.1_y-2,2"), 0);
	assert_int_equal(l.n, 3);
	assert_null(l.items[0].name);
	assert_string_equal(l.items[0].address, "pty:/a=b");
	assert_string_equal(l.items[1].name, "x.1_y-2");
	assert_string_equal(l.items[1].address, "unix:/c=d");
	assert_false(l.items[0].terminal);
	assert_true(l.items[1].terminal);
	assert_true(l.items[2].terminal);
	vd_con_list_fini(&l);
	for (unsigned int i = 1; i < VD_CONSOLE_PORTS_MAX; i++)
		strcat(many, ",null");
	assert_int_equal(vd_con_list_parse(&l, many, NULL), 0);
	assert_true(l.items[0].terminal);
	assert_false(l.items[1].terminal);
	vd_con_list_fini(&l);
	strcat(many, ",null");
	assert_int_equal(vd_con_list_parse(&l, many, "all"), -EINVAL);
}

static void what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *port, *key, *value;
		int r;
		const char *says;
	} cases[] = {
		{ "unix-listen:@/no/s", NULL, NULL, -ENOENT, "@/no" },
		{ "a=null,b=unix-listen:@/no/s", NULL, NULL, -ENOENT, "port b: " },
		{ "null,unix-listen:@/no/s", NULL, NULL, -ENOENT, "port 1: " },
		{ "unix-listen:@/s,unix-listen:@/s", NULL, NULL, -EADDRINUSE, "port 1: " },
		{ "null", "mode", "999", -EINVAL, "mode 999" },
		{ "null", "queue_size", "3", -EINVAL, "queue size 3" },
		{ "null", "keep", "2G", -EINVAL, "keep" },
		{ "unix:@/s", "reconnect_ms", "0", -ENOENT, "connect to" },
	};

	(void)state;
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct bed b;
		char says[256] = "";

		assert_int_equal(add(&b, cases[i].port, cases[i].key, cases[i].value), cases[i].r);
		snprintf(says, sizeof(says), "%s%s", *cases[i].says == '@' ? dir : "",
			 cases[i].says + (*cases[i].says == '@'));
		if (!strstr(uvdpa_error(), says))
			fail_msg("%s: %s", cases[i].port, uvdpa_error());
	}
}

/* ---- one port -------------------------------------------------------------------------------- */

static void both_ways(void **state)
{
	struct bed b;
	int fd;

	(void)state;
	start(&b, "unix-listen:@/s", NULL, NULL);
	assert_int_equal(uvdpa_dev_info(b.dev)->nvqs, 2);
	for (unsigned int i = 0; i < 3; i++) {
		fd = visitor("s");
		until_shown(&b, "port0", "console connected open");
		cb_send(&b, cb_tx(0), "to the host", 11, 4);
		expect_at(&b, fd, "to the host", 11);
		cb_post(&b, cb_rx(0), 0, 1, CB_SLOT);
		say(fd, "to the guest");
		expect_driver(&b, 0, "to the guest");
		close(fd);
		until_shown(&b, "port0", "console open");
	}
	assert_string_equal(bed_shown(&b, "port0_visits"), "3");
	bed_end(&b);
}

static void the_newest_is_kept(void **state)
{
	struct bed b;
	int fd;

	(void)state;
	start(&b, "unix-listen:@/s", "keep", "8");
	cb_send(&b, cb_tx(0), "abc", 3, 0);
	cb_send(&b, cb_tx(0), "defgh", 5, 2);
	until_shown(&b, "port0_kept", "8");
	assert_string_equal(bed_shown(&b, "port0_dropped"), "0");
	cb_send(&b, cb_tx(0), "ij", 2, 0);
	until_shown(&b, "port0_dropped", "2");
	fd = visitor("s");
	expect_at(&b, fd, "cdefghij", 8);
	until_shown(&b, "port0_kept", "0");
	cb_send(&b, cb_tx(0), "kl", 2, 0);
	expect_at(&b, fd, "kl", 2);
	close(fd);
	until_shown(&b, "port0", "console open");
	cb_send(&b, cb_tx(0), "0123456789abcdef0123", 20, 7); /* more than all of it at once */
	until_shown(&b, "port0_dropped", "14");
	fd = visitor("s");
	expect_at(&b, fd, "cdef0123", 8);
	close(fd);
	bed_end(&b);
}

static void nothing_is_kept(void **state)
{
	struct bed b;
	int fd;

	(void)state;
	start(&b, "unix-listen:@/s", "keep", "0");
	cb_send(&b, cb_tx(0), "gone", 4, 0);
	until_shown(&b, "port0_dropped", "4");
	fd = visitor("s");
	cb_post(&b, cb_rx(0), 0, 1, CB_SLOT);
	say(fd, "here");
	expect_driver(&b, 0, "here");
	cb_send(&b, cb_tx(0), "seen", 4, 0);
	expect_at(&b, fd, "seen", 4);
	close(fd);
	bed_end(&b);
}

/* More than fits at once goes all the same, though the driver writes nothing more. */
static void what_is_kept_goes_in_pieces(void **state)
{
	struct bed b;
	static char all[1 << 20];
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)cb_byte(i);
	start(&b, "unix-listen:@/s", "keep", "1M");
	for (size_t at = 0; at < sizeof(all); at += 65536)
		cb_send(&b, cb_tx(0), all + at, 65536, 32768);
	fd = visitor("s");
	usleep(50000);
	expect_at(&b, fd, all, sizeof(all));
	until_shown(&b, "port0_kept", "0");
	assert_string_equal(bed_shown(&b, "port0_dropped"), "0");
	close(fd);
	bed_end(&b);
}

/* Who has said all and listens gets the answer; and waiting for it costs no time. */
static void half_closed(void **state)
{
	struct rusage before, after;
	struct bed b;
	int fd;

	(void)state;
	start(&b, "unix-listen:@/s", NULL, NULL);
	cb_post(&b, cb_rx(0), 0, 2, CB_SLOT);
	fd = visitor("s");
	say(fd, "date\n");
	shutdown(fd, SHUT_WR);
	expect_driver(&b, 0, "date\n");
	getrusage(RUSAGE_SELF, &before);
	for (uint64_t end = vd_now_ns() + 500000000; vd_now_ns() < end;)
		uvdpa_dispatch(b.u, 100);
	getrusage(RUSAGE_SELF, &after);
	assert_true((after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec -
		     before.ru_stime.tv_sec) *
				    1000000 +
			    after.ru_utime.tv_usec - before.ru_utime.tv_usec +
			    after.ru_stime.tv_usec - before.ru_stime.tv_usec <
		    200000);
	cb_send(&b, cb_tx(0), "noon\n", 5, 0);
	expect_at(&b, fd, "noon\n", 5);
	close(fd);
	until_shown(&b, "port0", "console open");
	fd = visitor("s");
	say(fd, "again");
	expect_driver(&b, 0, "again");
	close(fd);
	bed_end(&b);
}

/* Many who come and go at once, and say something or not: the next one is served, and nothing
 * stays. */
static void flood_of_visitors(void **state)
{
	char path[96];
	struct bed b;
	bool last;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/s", dir);
	start(&b, "unix-listen:@/s", NULL, NULL);
	cb_post(&b, cb_rx(0), 0, 64, CB_SLOT);
	for (unsigned int i = 0; i < 300; i++) {
		fd = vd_unix_connect(path, SOCK_NONBLOCK);
		if (fd >= 0 && i % 7 == 0)
			say(fd, "x");
		if (fd >= 0)
			close(fd);
		if (i % 3 == 0)
			uvdpa_dispatch(b.u, 0);
	}
	/* Those that wait before us are let in first. */
	while ((fd = vd_unix_connect(path, SOCK_NONBLOCK)) < 0)
		uvdpa_dispatch(b.u, 5);
	until_shown(&b, "port0", "console connected open");
	say(fd, "at last");
	do {
		char buf[CB_SLOT];
		int n = cb_get(&b, cb_rx(0), buf, 5000);

		assert_true(n > 0);
		last = n == 7 && !memcmp(buf, "at last", 7);
	} while (!last);
	cb_send(&b, cb_tx(0), "hello", 5, 0);
	expect_at(&b, fd, "hello", 5);
	close(fd);
	bed_end(&b);
}

static void pty_size(void **state)
{
	struct winsize ws = { .ws_col = 132, .ws_row = 50 };
	struct virtio_console_config conf;
	char path[96];
	struct bed b;
	int fd;

	(void)state;
	start(&b, "pty:@/c0", "cols", "90");
	assert_int_equal(uvdpa_dev_get_config(b.dev, 0, &conf, sizeof(conf)), 0);
	assert_int_equal(le16toh(conf.cols), 90);
	snprintf(path, sizeof(path), "%s/c0", dir);
	fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd >= 0);
	until_shown(&b, "port0", "console 90x0 connected open");
	assert_int_equal(ioctl(fd, TIOCSWINSZ, &ws), 0);
	until_shown(&b, "port0", "console 132x50 connected open");
	assert_int_equal(uvdpa_dev_get_config(b.dev, 0, &conf, sizeof(conf)), 0);
	assert_int_equal(le16toh(conf.cols), 132);
	assert_int_equal(le16toh(conf.rows), 50);
	cb_send(&b, cb_tx(0), "hello", 5, 0);
	expect_at(&b, fd, "hello", 5);
	close(fd);
	bed_end(&b);
}

/* ---- several --------------------------------------------------------------------------------- */

/* DEVICE_READY and all that follows. */
static void greet(struct bed *b, unsigned int nports)
{
	struct cb_message m;

	cb_post(b, VD_CONSOLE_CTRL_RX, 0, 16, CB_SLOT);
	cb_say(b, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	for (unsigned int i = 0; i < nports; i++) {
		cb_say(b, i, VIRTIO_CONSOLE_PORT_READY, 1);
		cb_say(b, i, VIRTIO_CONSOLE_PORT_OPEN, 1);
	}
	while (cb_hear(b, &m, 50))
		;
}

static void slow_reader_holds_up_itself(void **state)
{
	static char big[65536];
	struct vd_done d;
	unsigned int n = 0;
	size_t held;
	struct bed b;
	int slow, fast;

	(void)state;
	start(&b, "a=unix-listen:@/a,b=unix-listen:@/b", NULL, NULL);
	assert_int_equal(uvdpa_dev_info(b.dev)->nvqs, 6);
	greet(&b, 2);
	slow = visitor("a");
	fast = visitor("b");
	until_shown(&b, "port0", "a console connected open");
	until_shown(&b, "port1", "b serial connected open");
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)cb_byte(i);
	do {
		cb_put(&b, cb_tx(0), 0, big, sizeof(big), 0);
		n++;
		assert_true(n < 64);
	} while (bed_get(&b, cb_tx(0), &d, 1, 300) == 1);
	for (unsigned int i = 0; i < 100; i++) {
		cb_send(&b, cb_tx(1), "goes on", 7, 0);
		expect_at(&b, fast, "goes on", 7);
	}
	assert_string_equal(bed_shown(&b, "port0_dropped"), "0");
	assert_string_equal(bed_shown(&b, "port0_kept"), "0");
	for (unsigned int i = 0; i < n; i++)
		expect_at(&b, slow, big, sizeof(big));
	assert_int_equal(bed_get(&b, cb_tx(0), &d, 1, 5000), 1);

	/* It goes instead: what it did not take waits for the next. */
	do {
		cb_put(&b, cb_tx(0), 0, big, sizeof(big), 0);
	} while (bed_get(&b, cb_tx(0), &d, 1, 300) == 1);
	close(slow);
	uvdpa_dispatch(b.u, 10);
	assert_int_equal(bed_get(&b, cb_tx(0), &d, 1, 5000), 1);
	until_shown(&b, "port0", "a console open");
	held = strtoul(bed_shown(&b, "port0_kept"), NULL, 10);
	assert_in_range(held, 1, sizeof(big));
	slow = visitor("a");
	expect_at(&b, slow, big + sizeof(big) - held, held);
	close(slow);
	close(fast);
	bed_end(&b);
}

static void driver_is_told_who_comes(void **state)
{
	struct bed b;
	int fd;

	(void)state;
	start(&b, "null,agent=unix-listen:@/s", "terminals", "none");
	greet(&b, 2);
	until_shown(&b, "port0", "serial connected open");
	for (unsigned int i = 0; i < 2; i++) {
		fd = visitor("s");
		cb_expect(&b, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
		close(fd);
		cb_post(&b, cb_rx(1), i, 1, CB_SLOT);
		cb_expect(&b, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	}
	bed_end(&b);
}

/* A program in the guest has not opened the port: what comes waits, and is not lost. */
static void closed_port_waits(void **state)
{
	struct cb_message m;
	struct bed b;
	int fd;

	(void)state;
	start(&b, "a=unix-listen:@/s", "terminals", "none");
	cb_post(&b, VD_CONSOLE_CTRL_RX, 0, 16, CB_SLOT);
	cb_post(&b, cb_rx(0), 0, 1, CB_SLOT);
	cb_say(&b, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	cb_say(&b, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	fd = visitor("s");
	say(fd, "early");
	until_shown(&b, "port0", "a serial connected");
	while (cb_hear(&b, &m, 100))
		;
	cb_say(&b, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	expect_driver(&b, 0, "early");
	close(fd);
	bed_end(&b);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(list),
		test(what_is_wrong_is_said),
		test(both_ways),
		test(the_newest_is_kept),
		test(nothing_is_kept),
		test(what_is_kept_goes_in_pieces),
		test(half_closed),
		test(flood_of_visitors),
		test(pty_size),
		test(slow_reader_holds_up_itself),
		test(driver_is_told_who_comes),
		test(closed_port_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
