/* SPDX-License-Identifier: BSD-2-Clause */
/* net-socket-peer-test.c - who is at the other end of a stream comes and goes; options */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/unix.h"
#include "parent/net-socket-fx.h"

/* It goes in the middle of a frame, either way, and the next one begins with a new frame. */
static void peer_goes_and_comes(void **state)
{
	static uint8_t buf[VD_NET_FRAME_MAX];
	struct vd_done done[SF_FRAMES];
	uint8_t part[128];
	struct bed b;
	int fd;

	(void)state;
	fd = sf_begin_server(&b);
	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < 20; i++)
			sf_send_frame(&b, i, 50000);
		usleep(round * 500);
		sf_wire(part, 1, 100);
		send(fd, part, 50, MSG_NOSIGNAL);
		close(fd);
		sf_wait_link(&b, false);
		sf_come_home(&b, 1, done, 20);
		fd = vd_unix_connect(sf_path, 0);
		assert_true(fd >= 0);
		sf_wait_link(&b, true);
		sf_add_buffer(&b, 30, 2000);
		sf_send_wire(fd, 2, 1400);
		sf_come_home(&b, 0, done, 1);
		sf_expect(b.mem + sf_slot(30) + SF_HDR, 2, 1400);
		sf_send_frame(&b, 31, 333);
		assert_int_equal(sf_next_frame(fd, buf), 333);
		sf_expect(buf, 31, 333);
		sf_come_home(&b, 1, done, 1);
	}
	assert_string_equal(bed_shown(&b, "connections"), "21");
	close(fd);
	bed_end(&b);
}

/* The second one waits until the first has gone. */
static void one_at_a_time(void **state)
{
	uint8_t buf[128];
	struct bed b;
	int fd, second;

	(void)state;
	fd = sf_begin_server(&b);
	second = vd_unix_connect(sf_path, SOCK_NONBLOCK);
	assert_true(second >= 0);
	sf_send_frame(&b, 1, 60);
	assert_int_equal(sf_next_frame(fd, buf), 60);
	assert_int_equal(recv(second, buf, 1, 0), -1);
	close(fd);
	for (int i = 0; i < 20; i++)
		uvdpa_dispatch(b.u, 5);
	assert_true(sf_link_up(&b));
	sf_send_frame(&b, 2, 60);
	assert_int_equal(sf_next_frame(second, buf), 60);
	sf_expect(buf, 2, 60);
	close(second);
	bed_end(&b);
}

static int accept_one(struct bed *b, struct vd_unix *u)
{
	int fd = -1;

	for (int i = 0; i < 500 && fd < 0; i++) {
		uvdpa_dispatch(b->u, 10);
		fd = accept4(u->fd, NULL, NULL, SOCK_CLOEXEC);
	}
	assert_true(fd >= 0);
	return fd;
}

/* The device may be there first; and connects again. */
static void connects_when_it_can(void **state)
{
	struct vd_unix u = { .fd = -1 };
	uint8_t buf[128];
	struct vd_done done;
	struct bed b;

	(void)state;
	sf_begin(&b, sf_client);
	assert_false(sf_link_up(&b));
	assert_string_equal(bed_shown(&b, "connected"), "false");
	/* Nobody hears it. */
	sf_send_frame(&b, 0, 60);
	sf_come_home(&b, 1, &done, 1);
	assert_int_equal(bed_stat(&b, 1, "tx drops"), 1);
	for (unsigned int round = 0; round < 3; round++) {
		int fd;

		assert_int_equal(vd_unix_listen(&u, sf_path, 0600, 1), 0);
		fd = accept_one(&b, &u);
		sf_wait_link(&b, true);
		assert_string_equal(bed_shown(&b, "connected"), "true");
		sf_send_frame(&b, round, 70);
		assert_int_equal(sf_next_frame(fd, buf), 70);
		sf_expect(buf, round, 70);
		sf_come_home(&b, 1, &done, 1);
		vd_unix_close(&u);
		close(fd);
		sf_wait_link(&b, false);
	}
	bed_end(&b);
}

/* What the user wants of the link, and whether there is one, are two things. */
static void link_is_taken_down(void **state)
{
	const struct uvdpa_attr off = { "link", "off" }, on = { "link", "on" };
	struct vd_done done;
	struct bed b;
	int fd;

	(void)state;
	fd = sf_begin_server(&b);
	assert_int_equal(uvdpa_dev_set(b.dev, &off, 1), 0);
	assert_false(sf_link_up(&b));
	sf_add_buffer(&b, 0, 128);
	sf_send_wire(fd, 0, 60);
	sf_wait_stat(&b, 0, "rx drops", 1);
	close(fd);
	for (int i = 0; i < 10; i++)
		uvdpa_dispatch(b.u, 5);
	fd = vd_unix_connect(sf_path, 0);
	for (int i = 0; i < 10; i++)
		uvdpa_dispatch(b.u, 5);
	assert_false(sf_link_up(&b));
	assert_int_equal(uvdpa_dev_set(b.dev, &on, 1), 0);
	assert_true(sf_link_up(&b));
	sf_send_wire(fd, 4, 60);
	sf_come_home(&b, 0, &done, 1);
	sf_expect(b.mem + sf_slot(0) + SF_HDR, 4, 60);
	close(fd);
	bed_end(&b);
}

static void options(void **state)
{
	static const struct {
		const char *attrs[10];
		int err;
	} cases[] = {
		{ { NULL }, -EINVAL },
		{ { "type", "dgram" }, -EINVAL },
		{ { "path", sf_path, "local", sf_other }, -EINVAL },
		{ { "type", "dgram", "local", sf_path }, -EINVAL },
		{ { "type", "dgram", "local", sf_path, "remote", sf_other, "listen", "on" }, -EINVAL },
		{ { "type", "dgram", "local", sf_path, "remote", sf_other, "path", sf_path }, -EINVAL },
		{ { "path", sf_path, "max_vqp", "2" }, -EINVAL },
		{ { "path", sf_path, "listen", "on", "mode", "9" }, -EINVAL },
		{ { "path", sf_path, "reconnect_ms", "0" }, -ENOENT },
		{ { "path", "/tmp/no/such/folder/s", "listen", "on" }, -ENOENT },
		{ { "path", sf_dir, "reconnect_ms", "0" }, -ECONNREFUSED },
		{ { "path", sf_dir, "listen", "on" }, -EEXIST },
		{ { "type", "dgram", "local", sf_path, "remote", sf_other, "reconnect_ms", "0" },
		  -ENOENT },
	};
	struct bed b;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		assert_int_equal(bed_add(&b, "net-socket", cases[i].attrs), cases[i].err);
		assert_int_equal(access(sf_path, F_OK), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(peer_goes_and_comes, sf_clean),
		cmocka_unit_test_teardown(one_at_a_time, sf_clean),
		cmocka_unit_test_teardown(connects_when_it_can, sf_clean),
		cmocka_unit_test_teardown(link_is_taken_down, sf_clean),
		cmocka_unit_test_teardown(options, sf_clean),
	};

	return cmocka_run_group_tests(tests, sf_dir_make, sf_dir_remove);
}
