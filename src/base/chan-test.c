/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of chan: who comes, who goes, and what they said. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/chan-fx.h"
#include "base/fd.h"

/* ---- addresses ------------------------------------------------------------------------------- */

static void addresses(void **state)
{
	static const struct {
		const char *address;
		int r;
	} cases[] = {
		{ "pty", 0 },
		{ "pty:", -EINVAL },
		{ "pty:/run/c0", 0 },
		{ "tty:/dev/ttyS0", 0 },
		{ "tty:/dev/ttyS0:115200", 0 },
		{ "tty:/dev/ttyS0:115201", -EINVAL },
		{ "tty:/dev/ttyS0:", -EINVAL },
		{ "tty", -EINVAL },
		{ "unix:/run/s", 0 },
		{ "unix:", -EINVAL },
		{ "unix-listen:/run/s", 0 },
		{ "tcp:127.0.0.1:23", 0 },
		{ "tcp::23", -EINVAL },
		{ "tcp:23", -EINVAL },
		{ "tcp:127.0.0.1:0", -EINVAL },
		{ "tcp:127.0.0.1:65536", -EINVAL },
		{ "tcp:localhost:23", -EINVAL },
		{ "tcp:[::1]:23", 0 },
		{ "tcp:::1:23", -EINVAL },
		{ "tcp:[127.0.0.1]:x", -EINVAL },
		{ "tcp-listen:23", 0 },
		{ "tcp-listen:0", 0 },
		{ "tcp-listen:0.0.0.0:23", 0 },
		{ "tcp-listen::23", 0 },
		{ "tcp-listen:[::]:23", 0 },
		{ "tcp-listen:", -EINVAL },
		{ "file:/var/log/x", 0 },
		{ "file:", -EINVAL },
		{ "stdio", 0 },
		{ "stdio:x", -EINVAL },
		{ "null", 0 },
		{ "null:x", -EINVAL },
		{ "null:", -EINVAL },
		{ "", -EINVAL },
		{ "/dev/ttyS0", -EINVAL },
		{ "ptyx", -EINVAL },
		{ "unix-listen", -EINVAL },
	};
	char path[200] = "unix:/";

	(void)state;
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++)
		if (vd_chan_check(cases[i].address) != cases[i].r)
			fail_msg("%s: not %d; %s", cases[i].address, cases[i].r, vd_err_text());
	memset(path + 6, 'x', 120);
	assert_int_equal(vd_chan_check(path), -ENAMETOOLONG);
	vd_chan_check("telnet:x");
	assert_non_null(strstr(vd_err_text(), "\"telnet:x\""));
}

/* ---- sockets --------------------------------------------------------------------------------- */

static int unix_client(const char *name)
{
	int fd = vd_unix_connect(in_dir("%s", name), 0);

	assert_true(fd >= 0);
	return fd;
}

static void unix_one_at_a_time(void **state)
{
	int a, b;

	(void)state;
	open_chan(&rig.chan, in_dir("unix-listen:%s", "s"));
	a = unix_client("s");
	b = unix_client("s");
	say(b, "second");
	say(a, "first");
	until(rig.ups == 1);
	expect_from(&rig.chan, "first");
	assert_int_equal(put(&rig.chan, "for a"), 5);
	expect_at(a, "for a");
	close(a);
	until(!get(&rig.chan, (char[1]){ 0 }, 1) && rig.downs == 1);
	until(rig.ups == 2);
	expect_from(&rig.chan, "second");
	close(b);
	until(!get(&rig.chan, (char[1]){ 0 }, 1) && rig.downs == 2);
}

/* Who has said all still gets what is written, until it goes. */
static void unix_half_closed(void **state)
{
	int a;

	(void)state;
	open_chan(&rig.chan, in_dir("unix-listen:%s", "s"));
	a = unix_client("s");
	say(a, "question");
	shutdown(a, SHUT_WR);
	until(rig.ups == 1);
	expect_from(&rig.chan, "question");
	until(!get(&rig.chan, (char[1]){ 0 }, 1) && !vd_chan_brings(&rig.chan));
	for (int i = 0; i < 10; i++)
		turn(5);
	assert_true(vd_chan_takes(&rig.chan));
	assert_int_equal(put(&rig.chan, "answer"), 6);
	expect_at(a, "answer");
	close(a);
	until(rig.downs == 1);
}

static void hang_up_ends_it(void **state)
{
	char c;
	int a;

	(void)state;
	open_chan(&rig.chan, in_dir("unix-listen:%s", "s"));
	a = unix_client("s");
	until(rig.ups == 1);
	vd_chan_hang_up(&rig.chan);
	assert_int_equal(vd_chan_fd(&rig.chan), -1);
	assert_int_equal(put(&rig.chan, "x"), 0);
	until(rig.downs == 1);
	assert_int_equal(read(a, &c, 1), 0);
	close(a);
}

/* What does not fit waits with who writes. */
static void slow_reader(void **state)
{
	char big[65536];
	struct iovec iov = { big, sizeof(big) };
	size_t n, sent = 0, got = 0;
	int a;

	(void)state;
	memset(big, 'x', sizeof(big));
	open_chan(&rig.chan, in_dir("unix-listen:%s", "s"));
	a = unix_client("s");
	until(rig.ups == 1);
	while ((n = vd_chan_writev(&rig.chan, &iov, 1)))
		sent += n;
	assert_true(sent > 0);
	assert_true(vd_chan_takes(&rig.chan));
	while (got < sent) {
		ssize_t r = read(a, big, sizeof(big));

		assert_true(r > 0);
		got += (size_t)r;
	}
	assert_int_equal(put(&rig.chan, "more"), 4);
	close(a);
}

static void unix_connects_again(void **state)
{
	(void)state;
	open_chan(&rig.other, in_dir("unix:%s", "s"));
	turn(0);
	assert_false(vd_chan_is_up(&rig.other));
	for (unsigned int i = 1; i <= 3; i++) {
		open_chan(&rig.chan, in_dir("unix-listen:%s", "s"));
		until(rig.ups == i && vd_chan_takes(&rig.other));
		assert_int_equal(put(&rig.other, "here"), 4);
		expect_from(&rig.chan, "here");
		vd_chan_close(&rig.chan);
		until(!get(&rig.other, (char[1]){ 0 }, 1) && !vd_chan_is_up(&rig.other));
	}
	assert_int_equal(vd_chan_visits(&rig.other), 3);
}

static void not_there_is_an_error_without_reconnect(void **state)
{
	struct vd_chan_conf conf = { .mode = 0600 };

	(void)state;
	conf.address = in_dir("unix:%s", "s");
	assert_int_equal(vd_chan_open(&rig.chan, &rig.loop, &rig.log, "t", &ops, &conf), -ENOENT);
	conf.address = in_dir("tty:%s", "s");
	assert_int_equal(vd_chan_open(&rig.chan, &rig.loop, &rig.log, "t", &ops, &conf), -ENOENT);
}

static void tcp_both_ways(void **state)
{
	static const char *const hosts[] = { "", "127.0.0.1:", "[::1]:" };
	char address[128];

	(void)state;
	for (size_t i = 0; i < VD_ARRAY_SIZE(hosts); i++) {
		rig.ups = rig.downs = 0;
		snprintf(address, sizeof(address), "tcp-listen:%s0", hosts[i]);
		open_chan(&rig.chan, address);
		snprintf(address, sizeof(address), "tcp:%s", vd_chan_where(&rig.chan));
		assert_null(strstr(address, ":0:"));
		open_chan(&rig.other, address);
		until(rig.ups == 1 && vd_chan_takes(&rig.other));
		assert_int_equal(put(&rig.other, "there"), 5);
		expect_from(&rig.chan, "there");
		assert_int_equal(put(&rig.chan, "and back"), 8);
		expect_from(&rig.other, "and back");
		vd_chan_close(&rig.other);
		/* Nobody can tell whether it still listens: for two seconds it may. */
		until(!get(&rig.chan, (char[1]){ 0 }, 1) && rig.downs == 1);
		/* And the other way round, where somebody comes after a while. */
		snprintf(address, sizeof(address), "tcp:%s", vd_chan_where(&rig.chan));
		vd_chan_close(&rig.chan);
		open_chan(&rig.other, address);
		turn(30);
		turn(30);
		assert_false(vd_chan_is_up(&rig.other));
		snprintf(address, sizeof(address), "tcp-listen:%s", vd_chan_where(&rig.other));
		open_chan(&rig.chan, address);
		until(rig.ups == 2 && vd_chan_takes(&rig.other));
		vd_chan_close(&rig.chan);
		vd_chan_close(&rig.other);
	}
}

/* ---- files ----------------------------------------------------------------------------------- */

static void expect_file(const char *name, const char *text)
{
	vd_cleanup(vd_closep) int fd = open(in_dir("%s", name), O_RDONLY | O_CLOEXEC);
	char buf[256] = "";
	ssize_t r;

	assert_true(fd >= 0);
	r = read(fd, buf, sizeof(buf) - 1);
	assert_int_equal(r, strlen(text));
	assert_string_equal(buf, text);
}

static void put_all(const char *text)
{
	while (*text) {
		size_t n = put(&rig.chan, text);

		text += n;
		if (!n)
			turn(10);
	}
}

static void file_appends(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		open_chan(&rig.chan, in_dir("file:%s", "f"));
		turn(0);
		assert_true(vd_chan_takes(&rig.chan));
		assert_false(vd_chan_brings(&rig.chan));
		assert_int_equal(vd_chan_fd(&rig.chan), -1);
		assert_int_equal(put(&rig.chan, "line\n"), 5);
		vd_chan_close(&rig.chan);
	}
	expect_file("f", "line\nline\n");
	unlink(in_dir("%s", "f"));
	assert_int_equal(try_open(&rig.chan, "file:/dev/null"), -EINVAL);
	assert_int_equal(try_open(&rig.chan, in_dir("file:%s/x", "none")), -ENOENT);
}

static void file_rotates(void **state)
{
	struct vd_chan_conf conf = { .mode = 0600, .rotate = 8, .rotate_keep = 2 };

	(void)state;
	conf.address = in_dir("file:%s", "f");
	assert_int_equal(vd_chan_open(&rig.chan, &rig.loop, &rig.log, "t", &ops, &conf), 0);
	turn(0);
	put_all("00000000111111112222222233333333");
	until(!access(in_dir("%s", "f.2"), F_OK));
	put_all("4");
	expect_file("f", "4");
	expect_file("f.1", "33333333");
	expect_file("f.2", "22222222");
	assert_int_equal(access(in_dir("%s", "f.3"), F_OK), -1);

	/* It cannot be: it goes on to grow. */
	unlink(in_dir("%s", "f.2"));
	unlink(in_dir("%s", "f.1"));
	assert_int_equal(mkdir(in_dir("%s", "f.1"), 0700), 0);
	assert_int_equal(mkdir(in_dir("%s", "f.1/x"), 0700), 0);
	assert_int_equal(mkdir(in_dir("%s", "f.2"), 0700), 0);
	assert_int_equal(mkdir(in_dir("%s", "f.2/x"), 0700), 0);
	put_all("4444444455555555");
	expect_file("f", "44444444455555555");
	rmdir(in_dir("%s", "f.1/x"));
	rmdir(in_dir("%s", "f.1"));
	rmdir(in_dir("%s", "f.2/x"));
	rmdir(in_dir("%s", "f.2"));
	unlink(in_dir("%s", "f"));
}

/* The limit of the process takes the place of a disk's. */
static void file_full(void **state)
{
	struct rlimit old, lim;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	lim = (struct rlimit){ 10, old.rlim_max };
	open_chan(&rig.chan, in_dir("file:%s", "f"));
	turn(0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
	assert_int_equal(put(&rig.chan, "12345678"), 8);
	assert_int_equal(put(&rig.chan, "12345678"), 8);
	assert_int_equal(put(&rig.chan, "12345678"), 8);
	turn(0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(vd_chan_lost(&rig.chan), 14);
	assert_true(rig.chan.full);
	assert_true(vd_chan_is_up(&rig.chan));
	assert_int_equal(put(&rig.chan, "more"), 4);
	turn(0);
	assert_false(rig.chan.full);
	expect_file("f", "1234567812more");
	unlink(in_dir("%s", "f"));
}

static void null_takes_all(void **state)
{
	(void)state;
	open_chan(&rig.chan, "null");
	turn(0);
	assert_int_equal(put(&rig.chan, "away"), 4);
	assert_true(vd_chan_is_up(&rig.chan));
	assert_false(vd_chan_brings(&rig.chan));
}

/* ---- standard input and output --------------------------------------------------------------- */

static void stdio_talks(void **state)
{
	int in[2], out[2], saved[2] = { dup(0), dup(1) };

	(void)state;
	assert_true(saved[0] >= 0 && saved[1] >= 0);
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	dup2(in[0], 0);
	dup2(out[1], 1);
	open_chan(&rig.chan, "stdio");
	assert_int_equal(try_open(&rig.other, "stdio"), -EBUSY);
	turn(0);
	say(in[1], "typed");
	expect_from(&rig.chan, "typed");
	close(in[1]);
	until(!get(&rig.chan, (char[1]){ 0 }, 1) && !vd_chan_brings(&rig.chan));
	assert_true(vd_chan_takes(&rig.chan));
	assert_int_equal(put(&rig.chan, "shown"), 5);
	expect_at(out[0], "shown");
	assert_int_equal(put(&rig.chan, "last words"), 10);
	vd_chan_close(&rig.chan);
	expect_at(out[0], "last words");
	dup2(saved[0], 0);
	dup2(saved[1], 1);
	close(saved[0]);
	close(saved[1]);
	close(in[0]);
	close(out[0]);
	close(out[1]);
}

/* Nobody reads what it writes: then it ends all the same, and soon. */
static void stdio_stuck(void **state)
{
	char big[65536];
	struct iovec iov = { big, sizeof(big) };
	int out[2], saved = dup(1);
	uint64_t begin;

	(void)state;
	memset(big, 'x', sizeof(big));
	assert_int_equal(pipe(out), 0);
	dup2(out[1], 1);
	open_chan(&rig.chan, "stdio");
	turn(0);
	for (int i = 0; i < 20; i++) {
		vd_chan_writev(&rig.chan, &iov, 1);
		usleep(1000);
	}
	begin = vd_now_ns();
	vd_chan_close(&rig.chan);
	assert_true(vd_now_ns() - begin < 20000000000u);
	dup2(saved, 1);
	close(saved);
	close(out[0]);
	close(out[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		test(addresses),
		test(unix_one_at_a_time),
		test(unix_half_closed),
		test(hang_up_ends_it),
		test(slow_reader),
		test(unix_connects_again),
		test(not_there_is_an_error_without_reconnect),
		test(tcp_both_ways),
		test(file_appends),
		test(file_rotates),
		test(file_full),
		test(null_takes_all),
		test(stdio_talks),
		test(stdio_stuck),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
