/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of chan at terminals: who opens one, closes it, and in which state it is then. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/chan-fx.h"

/* ---- pseudo terminals ------------------------------------------------------------------------ */

static int open_link(const char *name)
{
	int fd = open(in_dir("%s", name), O_RDWR | O_NOCTTY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void pty_talks(void **state)
{
	int fd;

	(void)state;
	open_chan(&rig.chan, in_dir("pty:%s", "c0"));
	turn(0);
	assert_false(vd_chan_is_up(&rig.chan));
	assert_int_equal(vd_chan_fd(&rig.chan), -1);
	assert_int_equal(put(&rig.chan, "nobody"), 0);
	for (unsigned int i = 1; i <= 3; i++) {
		fd = open_link("c0");
		until(rig.ups == i);
		assert_true(vd_chan_is_up(&rig.chan));
		assert_int_equal(put(&rig.chan, "hello\n"), 6);
		expect_at(fd, "hello\n");
		say(fd, "\x03\r"); /* and nothing of it is echoed */
		expect_from(&rig.chan, "\x03\r");
		close(fd);
		until(!get(&rig.chan, (char[1]){ 0 }, 1) && rig.downs == i);
		assert_false(vd_chan_takes(&rig.chan));
	}
	assert_int_equal(vd_chan_visits(&rig.chan), 3);
}

/* Who opens, speaks and closes before anybody looks is heard. */
static void pty_hears_the_hasty(void **state)
{
	int fd;

	(void)state;
	open_chan(&rig.chan, in_dir("pty:%s", "c0"));
	for (unsigned int i = 1; i <= 3; i++) {
		fd = open_link("c0");
		say(fd, "hasty");
		close(fd);
		until(rig.ups == i);
		expect_from(&rig.chan, "hasty");
		until(!get(&rig.chan, (char[1]){ 0 }, 1) && rig.downs == i);
	}
}

/* The loop sleeps while nobody is there, after somebody was. */
static void pty_does_not_spin(void **state)
{
	int fd, n = 0;

	(void)state;
	open_chan(&rig.chan, in_dir("pty:%s", "c0"));
	fd = open_link("c0");
	until(rig.ups == 1);
	close(fd);
	until(!get(&rig.chan, (char[1]){ 0 }, 1) && rig.downs == 1);
	for (uint64_t end = vd_now_ns() + 200000000; vd_now_ns() < end;)
		n += vd_loop_dispatch(&rig.loop, 50);
	assert_int_equal(n, 0);
}

/* What is said and not read does not keep the next one out for longer than a second. */
static void pty_lets_the_next_in(void **state)
{
	int fd;

	(void)state;
	open_chan(&rig.chan, in_dir("pty:%s", "c0"));
	fd = open_link("c0");
	until(rig.ups == 1);
	say(fd, "never read");
	close(fd);
	until(rig.downs == 1);
	fd = open_link("c0");
	until(rig.ups == 2);
	assert_int_equal(put(&rig.chan, "hello\n"), 6);
	expect_at(fd, "hello\n");
	close(fd);
}

/* One that has left the terminal with echo does not do so to the next. */
static void pty_is_raw_again(void **state)
{
	struct termios t;
	int fd;

	(void)state;
	open_chan(&rig.chan, in_dir("pty:%s", "c0"));
	fd = open_link("c0");
	until(rig.ups == 1);
	assert_int_equal(tcgetattr(fd, &t), 0);
	assert_false(t.c_lflag & (ECHO | ICANON | ISIG));
	t.c_lflag |= ECHO | ICANON;
	assert_int_equal(tcsetattr(fd, TCSANOW, &t), 0);
	close(fd);
	until(!get(&rig.chan, (char[1]){ 0 }, 1) && rig.downs == 1);
	fd = open_link("c0");
	assert_int_equal(tcgetattr(fd, &t), 0);
	assert_false(t.c_lflag & (ECHO | ICANON | ISIG));
	close(fd);
}

static void pty_has_a_size(void **state)
{
	struct winsize ws = { .ws_col = 132, .ws_row = 50 };
	int fd;

	(void)state;
	open_chan(&rig.chan, in_dir("pty:%s", "c0"));
	vd_chan_set_size(&rig.chan, 80, 24);
	fd = open_link("c0");
	until(rig.sizes == 1);
	assert_int_equal(rig.cols, 80);
	assert_int_equal(ioctl(fd, TIOCSWINSZ, &ws), 0);
	until(rig.sizes == 2);
	assert_int_equal(rig.cols, 132);
	assert_int_equal(rig.rows, 50);
	close(fd);
}

static void pty_links(void **state)
{
	char target[64] = "";
	char link[64];
	struct vd_chan_conf conf = { .address = "pty", .mode = 0620 };
	struct stat st;
	ssize_t n;

	(void)state;
	snprintf(link, sizeof(link), "%s/c0", rig.dir);
	open_chan(&rig.chan, in_dir("pty:%s", "c0"));
	n = readlink(link, target, sizeof(target));
	assert_true(n > 0);
	assert_string_equal(target, vd_chan_where(&rig.chan));
	assert_int_equal(stat(link, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* One that is in use stays. */
	assert_int_equal(try_open(&rig.other, in_dir("pty:%s", "c0")), -EEXIST);
	vd_chan_close(&rig.chan);
	assert_int_equal(lstat(link, &st), -1);

	/* Left behind, and what it led to is no more; or is there anew. */
	assert_int_equal(symlink("/dev/pts/9999999", link), 0);
	open_chan(&rig.chan, in_dir("pty:%s", "c0"));
	vd_chan_close(&rig.chan);
	assert_int_equal(vd_chan_open(&rig.other, &rig.loop, &rig.log, "o", &ops, &conf), 0);
	assert_int_equal(symlink(vd_chan_where(&rig.other), link), 0);
	usleep(20000);
	assert_int_equal(chmod(vd_chan_where(&rig.other), 0600), 0); /* as if made now */
	open_chan(&rig.chan, in_dir("pty:%s", "c0"));

	/* Somebody else has put their own there. */
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("/dev/null", link), 0);
	vd_chan_close(&rig.chan);
	assert_int_equal(try_open(&rig.chan, in_dir("pty:%s", "c0")), -EEXIST);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(close(open(link, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	assert_int_equal(try_open(&rig.chan, in_dir("pty:%s", "c0")), -EEXIST);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(try_open(&rig.chan, "pty:/no/such/folder/c0"), -ENOENT);
}

/* Its user does not notice that it is found elsewhere now; where it cannot be, it stays. */
static void pty_link_moves(void **state)
{
	char link[64], other[64];
	int fd;

	(void)state;
	snprintf(link, sizeof(link), "%s/c0", rig.dir);
	snprintf(other, sizeof(other), "%s/c1", rig.dir);
	open_chan(&rig.chan, in_dir("pty:%s", "c0"));
	fd = open_link("c0");
	until(rig.ups == 1);
	assert_int_equal(close(open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	assert_int_equal(vd_chan_move_link(&rig.chan, other), -EEXIST);
	close(open_link("c0"));
	assert_int_equal(unlink(other), 0);
	assert_int_equal(vd_chan_move_link(&rig.chan, other), 0);
	assert_int_equal(access(link, F_OK), -1);
	close(open_link("c1"));
	assert_int_equal(put(&rig.chan, "hello\n"), 6);
	expect_at(fd, "hello\n");
	close(fd);
	until(!get(&rig.chan, (char[1]){ 0 }, 1) && rig.downs == 1);
	vd_chan_close(&rig.chan);
	assert_int_equal(access(other, F_OK), -1);
}

/* A user may have 128 of what tells that a terminal is opened. */
static void ptys_are_many(void **state)
{
	struct vd_chan *c = calloc(150, sizeof(*c));
	char slave[64];
	int fd;

	(void)state;
	assert_non_null(c);
	for (unsigned int i = 0; i < 150; i++)
		open_chan(&c[i], "pty");
	open_chan(&rig.chan, "pty");
	snprintf(slave, sizeof(slave), "%s", vd_chan_where(&rig.chan));
	fd = open(slave, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd >= 0);
	until(rig.ups == 1);
	for (unsigned int i = 0; i < 150; i++) {
		assert_false(vd_chan_is_up(&c[i]));
		vd_chan_close(&c[i]);
	}
	close(fd);
	until(!get(&rig.chan, (char[1]){ 0 }, 1) && rig.downs == 1);
	free(c);
}

/* A terminal of somebody else's: here the other end is a pseudo terminal of the test. */
static void tty_comes_back(void **state)
{
	char address[64];

	(void)state;
	open_chan(&rig.chan, in_dir("pty:%s", "t"));
	open_chan(&rig.other, in_dir("tty:%s:9600", "t"));
	until(rig.ups == 1 && vd_chan_takes(&rig.other));
	assert_int_equal(put(&rig.chan, "ping"), 4);
	expect_from(&rig.other, "ping");
	assert_int_equal(put(&rig.other, "pong"), 4);
	expect_from(&rig.chan, "pong");
	snprintf(address, sizeof(address), "tty:%s", vd_chan_where(&rig.chan));
	vd_chan_close(&rig.chan);
	until(!get(&rig.other, (char[1]){ 0 }, 1) && !vd_chan_is_up(&rig.other));
	open_chan(&rig.chan, in_dir("pty:%s", "t"));
	until(vd_chan_is_up(&rig.other));
	vd_chan_close(&rig.other);
	assert_int_equal(try_open(&rig.other, "tty:/dev/null"), -ENOTTY);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		test(pty_talks),         test(pty_hears_the_hasty),
		test(pty_does_not_spin), test(pty_lets_the_next_in),
		test(pty_is_raw_again),  test(pty_has_a_size),
		test(pty_links),         test(pty_link_moves),
		test(ptys_are_many),     test(tty_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
