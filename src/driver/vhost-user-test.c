/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of the server: its socket, front-ends one after another, and the end of the binding. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unix.h"
#include "driver/vu-fx.h"

/* Taken away in every state; with a message half handled, too. */
static void unbind_at_any_time(void **state)
{
	struct bed *b = *state;

	for (int i = 0; i < 4; i++) {
		struct uvdpa_wait w = { 0 };
		struct vd_vu_msg m;

		if (i == 1)
			fe_connect(b);
		if (i >= 2)
			fe_start(b, NO_STATUS);
		if (i == 3) {
			b->f->quiesce = FAKE_LATER;
			vd_vu_msg_init(&m, VD_VU_RESET_DEVICE, 0);
			vd_vu_send(&b->c, &m);
			uvdpa_dispatch(b->u, 0);
		}
		assert_int_equal(uvdpa_await(b->u, &w, uvdpa_dev_unbind(&b->f->dev, &w)), 0);
		assert_int_equal(access(b->path, F_OK), -1);
		assert_int_equal(uvdpa_dev_status(&b->f->dev), 0);
		if (i) {
			while (vd_vu_recv(&b->c, &m) == 1)
				vd_vu_msg_fini(&m);
			assert_int_equal(vd_vu_recv(&b->c, &m), -ENOTCONN);
			fe_close(b);
		}
		fe_bind(b, NULL, NULL);
		assert_int_equal(open_fds(), b->fds);
	}
}

/* The device is late for the one front-end; the next one is served as soon as it is not. */
static void the_next_one_waits_for_the_reset(void **state)
{
	struct bed *b = *state;
	struct vd_vu_msg m;

	fe_start(b, NO_STATUS);
	b->f->quiesce = FAKE_NEVER;
	fe_close(b);
	fe_connect(b);
	vd_vu_msg_init(&m, VD_VU_GET_FEATURES, 0);
	assert_int_equal(fe_ask(b, &m), NONE);
	assert_int_equal(uvdpa_dev_status(&b->f->dev), 0xf);
	b->f->quiesce = FAKE_AT_ONCE;
	fake_answer(b->f);
	assert_int_equal(fe_reply(b, &m), 1);
	assert_int_equal(uvdpa_dev_status(&b->f->dev), 0);
}

static void one_at_a_time(void **state)
{
	struct bed *b = *state;
	int flood[12];
	struct vd_vu_msg m;

	fe_hello(b, NO_STATUS);
	for (size_t i = 0; i < VD_ARRAY_SIZE(flood); i++)
		flood[i] = fe_socket(b);
	fe_pump(b);
	assert_int_equal(open_fds(), b->fds + 2 + VD_ARRAY_SIZE(flood));
	for (size_t i = 0; i + 1 < VD_ARRAY_SIZE(flood); i++)
		close(flood[i]);
	fe_close(b);
	vd_vu_conn_init(&b->c, flood[VD_ARRAY_SIZE(flood) - 1], false);
	vd_vu_msg_init(&m, VD_VU_GET_FEATURES, 0);
	assert_int_equal(fe_ask(b, &m), 1);	/* those before it came and went */
}

static int try_bind(struct bed *b, const char *key, const char *value)
{
	struct uvdpa_attr a[] = { { key, value } };
	struct uvdpa_wait w = { 0 };

	return uvdpa_await(b->u, &w, uvdpa_dev_bind(&b->f->dev, "vhost-user", a, 1, &w));
}

static void socket_files(void **state)
{
	struct bed *b = *state;
	char other[80], number[16], longer[200];
	struct vd_unix s;
	struct stat st;

	snprintf(other, sizeof(other), "%s.other", b->path);
	unlink(other);
	assert_int_equal(stat(b->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	close(open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(try_bind(b, "socket", other), -EEXIST);	/* a file of somebody's */
	assert_int_equal(unlink(other), 0);
	assert_int_equal(vd_unix_listen(&s, other, 0600, 1), 0);
	assert_int_equal(try_bind(b, "socket", other), -EADDRINUSE);
	snprintf(number, sizeof(number), "%d", s.fd);
	assert_int_equal(try_bind(b, "fd", number), -EINVAL);	/* one of the process's own */
	assert_int_equal(fcntl(s.fd, F_SETFD, 0), 0);
	assert_int_equal(try_bind(b, "fd", number), 0);
	assert_int_equal(try_bind(b, "fd", "0x7ffffff"), -EINVAL);
	close(s.fd);
	assert_int_equal(access(other, F_OK), 0);
	assert_int_equal(try_bind(b, "socket", other), 0);	/* stale now */
	/* Ours is replaced by another's: that stays. */
	assert_int_equal(unlink(other), 0);
	close(open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	memset(longer, 'x', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(try_bind(b, "socket", longer), -ENAMETOOLONG);
	assert_int_equal(access(other, F_OK), 0);
	unlink(other);
	fe_bind(b, "mode", "0666");
	assert_int_equal(stat(b->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
}

#define MANY 5

/* A process that binds a device to @path when @go closes, says how it went, and waits for @end. */
static void bind_in_a_child(const char *path, int go, int say, int end)
{
	struct uvdpa_attr a = { "socket", path };
	struct uvdpa_wait w = { 0 };
	struct uvdpa *u = fake_context();
	struct fake *f;
	char c;
	int r;

	uvdpa_set_log(u, NULL, UVDPA_LOG_ERR);
	f = fake_add(u, "d0", NULL, NULL, NULL);
	if (read(go, &c, 1) != 0)
		_exit(1);
	r = uvdpa_await(u, &w, uvdpa_dev_bind(&f->dev, "vhost-user", &a, 1, &w));
	if (write(say, &r, sizeof(r)) != sizeof(r) || read(end, &c, 1) != 0)
		_exit(1);
	uvdpa_destroy(u);
	_exit(0);
}

/* They find the same stale socket; whoever is late must not remove what the first has made. */
static void one_of_many_gets_a_stale_socket(void **state)
{
	struct bed *b = *state;
	struct vd_unix s;
	char other[80];

	snprintf(other, sizeof(other), "%s.other", b->path);
	for (int round = 0; round < 20; round++) {
		int go[2], say[2], end[2], won = 0, status;

		assert_int_equal(vd_unix_listen(&s, other, 0600, 1), 0);
		close(s.fd);
		assert_int_equal(pipe2(go, O_CLOEXEC), 0);
		assert_int_equal(pipe2(say, O_CLOEXEC), 0);
		assert_int_equal(pipe2(end, O_CLOEXEC), 0);
		for (int i = 0; i < MANY; i++)
			if (fork() == 0) {
				close(go[1]);
				close(end[1]);
				bind_in_a_child(other, go[0], say[1], end[0]);
			}
		close(go[1]);
		for (int i = 0; i < MANY; i++) {
			int r;

			assert_int_equal(read(say[0], &r, sizeof(r)), sizeof(r));
			assert_true(r == 0 || r == -EADDRINUSE);
			won += r == 0;
		}
		assert_int_equal(won, 1);
		s.fd = vd_unix_connect(other, 0);
		assert_true(s.fd >= 0);
		close(s.fd);
		close(end[1]);
		for (int i = 0; i < MANY; i++) {
			assert_true(wait(&status) > 0);
			assert_int_equal(status, 0);
		}
		assert_int_equal(access(other, F_OK), -1);
		close(go[0]);
		close(say[0]);
		close(say[1]);
		close(end[0]);
	}
}

/* The other way round: the front-end listens, and comes and goes. */
static void connect_to_a_front_end(void **state)
{
	struct bed *b = *state;
	struct uvdpa_wait w = { 0 };
	struct vd_unix s;

	assert_int_equal(uvdpa_await(b->u, &w, uvdpa_dev_unbind(&b->f->dev, &w)), 0);
	fe_bind(b, "connect", "on");	/* nobody is there */
	assert_int_equal(vd_unix_listen(&s, b->path, 0600, 1), 0);
	for (int i = 0; i < 2; i++) {
		int fd = -1;

		for (int n = 0; fd < 0 && n < 50; n++) {
			uvdpa_dispatch(b->u, 50);
			fd = accept4(s.fd, NULL, NULL, SOCK_CLOEXEC);
		}
		assert_true(fd >= 0);
		vd_vu_conn_init(&b->c, fd, false);
		assert_true(fe_get(b, VD_VU_GET_FEATURES, 0, 0) & F_PF);
		fe_close(b);
	}
	vd_unix_close(&s);
}

static void see_num(struct uvdpa_emit *e, const char *key, uint64_t value)
{
	(void)e;
	(void)key;
	(void)value;
}

static void see_flag(struct uvdpa_emit *e, const char *key, bool value)
{
	(void)e;
	(void)key;
	(void)value;
}

static unsigned int seen;

static void see(struct uvdpa_emit *e, const char *key, const char *value)
{
	(void)e;
	seen += !strcmp(key, "socket") && strstr(value, "uvdpa-vu-test");
	seen += !strcmp(key, "qemu") && strstr(value, "-device ") && strstr(value, "id=uvdpa-d0");
	seen += !strcmp(key, "uml") && !strncmp(value, "virtio_uml.device=/tmp/", 23);
}

static void describe(void **state)
{
	struct bed *b = *state;
	struct uvdpa_emit e = { .str = see, .num = see_num, .flag = see_flag };

	seen = 0;
	assert_int_equal(uvdpa_dev_describe(&b->f->dev, &e), 0);
	assert_int_equal(seen, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FE_TEST(unbind_at_any_time),
		FE_TEST(the_next_one_waits_for_the_reset),
		FE_TEST(one_at_a_time),
		FE_TEST(socket_files),
		FE_TEST(one_of_many_gets_a_stale_socket),
		FE_TEST(connect_to_a_front_end),
		FE_TEST(describe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
