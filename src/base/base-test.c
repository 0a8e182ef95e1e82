/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of err, dl, fd, bell, unix, loop, sized. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bell.h"
#include "base/dl.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/foreign.h"
#include "base/loop.h"
#include "base/sized.h"
#include "base/unix.h"
#include "base/utf8.h"

static void err_keeps_errno_and_text(void **state)
{
	(void)state;
	errno = ENOENT;
	assert_int_equal(vd_err(-EINVAL, "image %s: %m", "a"), -EINVAL);
	assert_int_equal(errno, ENOENT);
	assert_string_equal(vd_err_text(), "image a: No such file or directory");
	vd_err_prefix(-EINVAL, "%s: ", "d0");
	assert_string_equal(vd_err_text(), "d0: image a: No such file or directory");
	vd_err(-EINVAL, "again: %s", vd_err_text());
	assert_string_equal(vd_err_text(), "again: d0: image a: No such file or directory");
}

/* Whatever is quoted, and wherever it is cut. */
static void err_is_utf8(void **state)
{
	char name[600];

	(void)state;
	vd_err(-EINVAL, "image \xc3\xa4\xe4\xed\xa0\x80: no");
	assert_string_equal(vd_err_text(), "image \xc3\xa4????: no");
	for (unsigned int i = 0; i < sizeof(name) - 2; i += 2)
		memcpy(name + i, "\xc3\xa4", 3);
	vd_err(-EINVAL, "%s", name);
	assert_true(strlen(vd_err_text()) > 500);
	assert_null(vd_utf8_bad(vd_err_text()));
	vd_err_prefix(-EINVAL, "%.*s", 301, name);
	assert_null(vd_utf8_bad(vd_err_text()));
}

/* A peer that owns the eventfd too can make it blocking; draining an empty one must not wait. */
static void drain_never_blocks(void **state)
{
	int fd = eventfd(0, 0);

	(void)state;
	assert_true(fd >= 0);
	alarm(5);
	assert_false(vd_eventfd_drain(fd));
	vd_eventfd_signal(fd);
	assert_true(vd_eventfd_drain(fd));
	assert_false(vd_eventfd_drain(fd));
	alarm(0);
	close(fd);
}

/* What is said where a library is not, or is another; and that one is found. */
static void dl_says_what_is_missing(void **state)
{
	struct lib {
		typeof(strlen) *strlen;
		typeof(strlen) *other;
	} lib = { 0 };
	static const struct vd_dl_name names[] = {
		{ "strlen", offsetof(struct lib, strlen) },
		{ "vd_no_such_function", offsetof(struct lib, other) },
	};

	(void)state;
	assert_int_equal(vd_dl_load("libuvdpa-none.so.7", "none7", names, 2, &lib), -EOPNOTSUPP);
	assert_string_equal(vd_err_text(), "libuvdpa-none.so.7: cannot open shared object file: "
					   "No such file or directory; install none7");
	assert_int_equal(vd_dl_load("libc.so.6", "libc6", names, 2, &lib), -EOPNOTSUPP);
	assert_non_null(strstr(vd_err_text(), "vd_no_such_function; install a later libc6"));
	assert_int_equal(vd_dl_load("libc.so.6", "libc6", names, 1, &lib), 0);
	assert_int_equal(lib.strlen("four"), 4);
	assert_null(lib.other);
}

static void closes(const struct vd_foreign *f)
{
	for (int i = 0; i < 5000 && vd_foreign_closing(f); i++)
		usleep(1000);
	assert_int_equal(vd_foreign_closing(f), 0);
}

/* A TCP connection that closes when *@ret_reader does, and not before. */
static int lingering(int *ret_reader)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	static const struct linger wait = { .l_onoff = 1, .l_linger = 1000 };
	static const char bytes[65536];
	socklen_t len = sizeof(sa);

	assert_int_equal(bind(listener, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	*ret_reader = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(*ret_reader >= 0);
	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &wait, sizeof(wait)), 0);
	close(listener);
	return fd;
}

/* Send it away: the last one is in the queue of @socket's other end. Takes @fd. */
static void send_away(int socket, int fd)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} ctl = { .h = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec iov = { (char[]){ "x" }, 1 };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = ctl.room,
			     .msg_controllen = sizeof(ctl.room) };

	memcpy(CMSG_DATA(&ctl.h), &fd, sizeof(fd));
	assert_int_equal(sendmsg(socket, &mh, MSG_NOSIGNAL), 1);
	close(fd);
}

/* With a socket goes what is in its queue, and a close() in there waits as any other. */
static void foreign_descriptors_in_a_queue(void **state)
{
	struct vd_foreign *f = vd_foreign_create();
	char path[] = "/tmp/uvdpa-base-XXXXXX";
	int sv[2], reader = -1;
	struct vd_unix u;

	(void)state;
	assert_non_null(f);
	for (int full = 0; full < 2; full++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
		if (full)
			send_away(sv[1], lingering(&reader));
		vd_foreign_drop(f, &sv[0]);
		assert_int_equal(sv[0], -1);
		assert_int_equal(vd_foreign_closing(f), full);
		close(sv[1]);
	}
	close(reader);
	closes(f);
	vd_foreign_destroy(f);

	/* Nobody has let this one in. */
	assert_non_null(mkdtemp(path));
	assert_int_equal(chdir(path), 0);
	assert_int_equal(vd_unix_listen(&u, "s", 0600, 1), 0);
	sv[0] = vd_unix_connect("s", 0);
	assert_true(sv[0] >= 0);
	send_away(sv[0], lingering(&reader));
	vd_unix_close(&u);
	assert_int_equal(access("s", F_OK), -1);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(path), 0);
	close(sv[0]);
	close(reader);
}

/* What may be touched without waiting for a peer. FUSE is in an integration test. */
static void foreign_descriptors(void **state)
{
	int sv[2], pipefd[2], tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int mem = memfd_create("ram", MFD_CLOEXEC), ev = eventfd(0, EFD_CLOEXEC);
	struct vd_foreign *f = vd_foreign_create();
	FILE *file = tmpfile();

	(void)state;
	assert_non_null(f);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	assert_int_equal(pipe(pipefd), 0);
	assert_non_null(file);
	assert_true(vd_foreign_ok(sv[0]));
	assert_true(vd_foreign_ok(pipefd[0]));
	assert_true(vd_foreign_ok(mem));
	assert_true(vd_foreign_ok(ev));
	assert_true(vd_foreign_ok(fileno(file)));
	assert_false(vd_foreign_ok(tcp));	/* it may linger */
	assert_false(vd_foreign_ok(-1));
	vd_foreign_close(f, tcp);
	closes(f);
	vd_foreign_destroy(f);
	assert_int_equal(fcntl(tcp, F_GETFD), -1);
	fclose(file);
	close(mem);
	close(ev);
	for (int i = 0; i < 2; i++) {
		close(sv[i]);
		close(pipefd[i]);
	}
}

/* A peer fills the counter of an eventfd that blocks; the bell must not wait for it. */
static void bell_never_blocks(void **state)
{
	struct vd_bell bell;
	int fd = eventfd(0, 0), p[2];
	uint64_t n = UINT64_MAX - 1;
	char page[4096] = { 0 };
	sigset_t set;

	(void)state;
	vd_bell_init(&bell);
	assert_int_equal(bell.ctx, 0);	/* costs much at the end, so not before it is needed */
	alarm(5);
	vd_bell_ring(&bell, fd);
	assert_int_not_equal(bell.ctx, 0);
	vd_bell_ring(&bell, fd);
	assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
	assert_int_equal(n, 2);
	n = UINT64_MAX - 1;
	assert_int_equal(write(fd, &n, sizeof(n)), sizeof(n));
	for (int i = 0; i < 10; i++)
		vd_bell_ring(&bell, fd);
	assert_true(vd_eventfd_drain(fd));

	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	vd_bell_ring(&bell, p[1]);
	assert_int_equal(read(p[0], &n, sizeof(n)), sizeof(n));
	while (write(p[1], page, sizeof(page)) > 0)
		;
	assert_int_equal(vd_set_nonblock(p[1], false), 0);
	vd_bell_ring(&bell, p[1]);
	vd_bell_ring(&bell, -1);
	/* Without a bell the same, by writes. */
	vd_bell_ring(NULL, fd);
	assert_true(vd_eventfd_drain(fd));
	vd_bell_ring(NULL, p[1]);
	vd_bell_ring(NULL, -1);
	/* Whose reader is gone sends no signal, now or later. */
	close(p[0]);
	close(p[1]);
	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	close(p[0]);
	errno = ENOTTY;
	vd_bell_ring(&bell, p[1]);
	vd_bell_ring(NULL, p[1]);
	assert_int_equal(errno, ENOTTY); /* nobody looks for a system call in here */
	assert_int_equal(sigpending(&set), 0);
	assert_false(sigismember(&set, SIGPIPE));
	alarm(0);
	vd_bell_fini(&bell);
	close(p[1]);
	close(fd);
}

static void only_eventfds_and_pipes_notify(void **state)
{
	int p[2], e = vd_eventfd(), f = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_true(vd_fd_is_eventfd(e));
	assert_true(vd_fd_is_eventfd(p[1]));
	assert_false(vd_fd_is_eventfd(f));
	assert_false(vd_fd_is_eventfd(-1));
	close(e);
	close(f);
	close(p[0]);
	close(p[1]);
}

/* Only what nobody listens at any more is replaced; only what we have made is removed. */
static void unix_sockets_are_replaced_when_stale(void **state)
{
	struct vd_unix a, b = { .fd = -1 };
	char path[64];
	struct stat st;
	mode_t mask = umask(0077);

	(void)state;
	snprintf(path, sizeof(path), "/tmp/uvdpa-base-test.%d", (int)getpid());
	assert_int_equal(vd_unix_connect(path, 0), -ENOENT);
	assert_int_equal(vd_unix_connect("", 0), -ENAMETOOLONG);
	assert_int_equal(vd_unix_listen(&b, "/tmp/no/such/folder", 0600, 0), -ENOENT);
	assert_int_equal(vd_unix_listen(&a, path, 0666, 0), 0);
	umask(mask);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	assert_int_equal(vd_unix_listen(&b, path, 0600, 0), -EADDRINUSE);
	/* That it was asked fills its queue. */
	assert_int_equal(vd_unix_connect(path, SOCK_NONBLOCK), -EAGAIN);
	assert_int_equal(vd_unix_listen(&b, path, 0600, 0), -EADDRINUSE);
	assert_int_equal(b.fd, -1);
	close(a.fd);
	assert_int_equal(vd_unix_connect(path, 0), -ECONNREFUSED);
	assert_int_equal(vd_unix_listen(&b, path, 0600, 0), 0);
	/* Somebody puts another in its place. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(vd_unix_listen(&a, path, 0600, 0), 0);
	vd_unix_close(&b);
	assert_int_equal(access(path, F_OK), 0);
	vd_unix_close(&a);
	assert_int_equal(access(path, F_OK), -1);
	vd_unix_close(&a);

	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(vd_unix_listen(&b, path, 0600, 0), -EEXIST);
	assert_int_equal(unlink(path), 0);
}

/* However few descriptors there are: it listens, or leaves nothing behind. */
static void unix_sockets_without_descriptors(void **state)
{
	struct rlimit limit, few;
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "/tmp/uvdpa-base-test.%d", (int)getpid());
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (unsigned int n = 0; n < 5; n++) {
		struct vd_unix u = { .fd = -1 };
		int next = dup(0), r;

		assert_true(next >= 0);
		close(next);
		few = (struct rlimit){ (rlim_t)next + n, limit.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		r = vd_unix_listen(&u, path, 0600, 0);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_int_equal(r, n < 2 ? -EMFILE : 0);
		vd_unix_close(&u);
		assert_int_equal(access(path, F_OK), -1);
	}
}

static void unix_sockets_of_datagrams(void **state)
{
	struct vd_unix a, b = { .fd = -1 };
	char dir[] = "/tmp/uvdpa-dgram-XXXXXX", path[64], got[8];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	assert_int_equal(vd_unix_bind(&a, path, 0600), 0);
	assert_int_equal(vd_unix_bind(&b, path, 0600), -EADDRINUSE);
	assert_int_equal(vd_unix_listen(&b, path, 0600, 0), -EADDRINUSE);
	assert_int_equal(connect(fd, (struct sockaddr *)&a.sa, sizeof(a.sa)), 0);
	assert_int_equal(send(fd, "one", 3, 0), 3);
	assert_int_equal(recv(a.fd, got, sizeof(got), 0), 3);
	assert_int_equal(recv(a.fd, got, sizeof(got), 0), -1);	/* does not block */

	close(a.fd);	/* as by a crash */
	assert_int_equal(vd_unix_bind(&b, path, 0600), 0);
	vd_unix_close(&b);
	assert_int_equal(access(path, F_OK), -1);
	close(fd);
	rmdir(dir);
}

/* Who locks the folder on purpose stops nobody for long. */
static void unix_folder_is_locked(void **state)
{
	char dir[] = "/tmp/uvdpa-base-test.XXXXXX", path[64];
	struct vd_unix u = { .fd = -1 };
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	alarm(10);
	assert_int_equal(vd_unix_listen(&u, path, 0600, 0), -EBUSY);
	alarm(0);
	close(fd);
	assert_int_equal(vd_unix_listen(&u, path, 0600, 0), 0);
	vd_unix_close(&u);
	assert_int_equal(rmdir(dir), 0);
}

struct counter {
	struct vd_loop *loop;
	struct vd_timer t[3];
	struct vd_post p;
	struct vd_fd a, b;
	int order[3], n, posts, reads;
};

static void t0(struct vd_timer *t)
{
	struct counter *c = container_of(t, struct counter, t[0]);

	c->order[c->n++] = 0;
}

static void t1(struct vd_timer *t)
{
	struct counter *c = container_of(t, struct counter, t[1]);

	c->order[c->n++] = 1;
	vd_timer_del(c->loop, &c->t[2]);
}

static void t2(struct vd_timer *t)
{
	struct counter *c = container_of(t, struct counter, t[2]);

	c->order[c->n++] = 2;
}

static void posted(struct vd_post *p)
{
	struct counter *c = container_of(p, struct counter, p);

	if (++c->posts < 3)
		vd_loop_post(c->loop, p);
}

static void a_removes_b(struct vd_fd *f, uint32_t events)
{
	struct counter *c = container_of(f, struct counter, a);

	(void)events;
	vd_eventfd_drain(f->fd);
	vd_fd_del(&c->b);
	c->reads++;
}

static void b_removes_a(struct vd_fd *f, uint32_t events)
{
	struct counter *c = container_of(f, struct counter, b);

	(void)events;
	vd_eventfd_drain(f->fd);
	vd_fd_del(&c->a);
	c->reads++;
}

static void loop_timers_posts_and_removal(void **state)
{
	struct vd_loop loop;
	struct counter c = { .loop = &loop };
	struct pollfd pfd;
	int ea = vd_eventfd(), eb = vd_eventfd();

	(void)state;
	assert_int_equal(vd_loop_init(&loop), 0);
	c.t[0].fn = t0;
	c.t[1].fn = t1;
	c.t[2].fn = t2;
	vd_timer_set(&loop, &c.t[1], 20);
	vd_timer_set(&loop, &c.t[0], 5);
	vd_timer_set(&loop, &c.t[2], 40);	/* removed by the second */
	while (c.n < 2)
		assert_true(vd_loop_dispatch(&loop, 1000) > 0);
	assert_int_equal(vd_loop_dispatch(&loop, 60), 0);
	assert_int_equal(c.order[0], 0);
	assert_int_equal(c.order[1], 1);
	assert_int_equal(c.n, 2);

	c.p.fn = posted;
	vd_loop_post(&loop, &c.p);
	vd_loop_post(&loop, &c.p);	/* queued once */
	vd_loop_dispatch(&loop, 0);
	assert_int_equal(c.posts, 3);
	vd_loop_post(&loop, &c.p);
	vd_post_del(&loop, &c.p);
	vd_loop_dispatch(&loop, 0);
	assert_int_equal(c.posts, 3);

	/* Whoever is first removes the other from the batch that is being handled. */
	c.a.fn = a_removes_b;
	c.b.fn = b_removes_a;
	assert_int_equal(vd_fd_add(&loop, &c.a, ea, EPOLLIN), 0);
	assert_int_equal(vd_fd_add(&loop, &c.b, eb, EPOLLIN), 0);
	vd_eventfd_signal(ea);
	vd_eventfd_signal(eb);
	pfd = (struct pollfd){ loop.epfd, POLLIN, 0 };
	assert_int_equal(poll(&pfd, 1, 0), 1);	/* sits in another loop */
	vd_loop_dispatch(&loop, 0);
	assert_int_equal(c.reads, 1);
	vd_fd_del(&c.a);
	vd_fd_del(&c.b);
	vd_loop_fini(&loop);
	close(ea);
	close(eb);
}

static unsigned int asked;

static unsigned int ask(void)
{
	return ++asked;
}

static void min_and_max_ask_once(void **state)
{
	(void)state;
	assert_int_equal(vd_min(ask(), 2u), 1);
	assert_int_equal(vd_max(ask(), 1u), 2);
	assert_int_equal(vd_min(vd_max(ask(), 1u), 9u), 3);
	assert_int_equal(asked, 3);
}

struct grown {
	size_t size;
	uint32_t first, later;
};

static void structures_that_grow(void **state)
{
	struct {
		struct grown known;
		uint64_t newer;
	} next = { { sizeof(next), 1, 2 }, 0 };
	struct grown old = { offsetof(struct grown, later), 1, 2 }, to;

	(void)state;
	/* A program older than the library: what it does not have is zero. */
	assert_int_equal(VD_SIZED_TAKE("it", &old, &to, first), 0);
	assert_int_equal(to.first, 1);
	assert_int_equal(to.later, 0);
	/* A newer one, whether it uses what is new or not. */
	assert_int_equal(VD_SIZED_TAKE("it", &next.known, &to, first), 0);
	assert_int_equal(to.later, 2);
	next.newer = 1;
	assert_int_equal(VD_SIZED_TAKE("it", &next.known, &to, first), -EINVAL);
	assert_non_null(strstr(vd_err_text(), "it: byte 16 is set"));
	/* One that says no size. */
	old.size = 0;
	assert_int_equal(VD_SIZED_TAKE("it", &old, &to, first), -EINVAL);
	assert_string_equal(vd_err_text(), "it: size is 0, not 12 at least");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(err_keeps_errno_and_text),
		cmocka_unit_test(err_is_utf8),
		cmocka_unit_test(dl_says_what_is_missing),
		cmocka_unit_test(drain_never_blocks),
		cmocka_unit_test(bell_never_blocks),
		cmocka_unit_test(foreign_descriptors),
		cmocka_unit_test(foreign_descriptors_in_a_queue),
		cmocka_unit_test(only_eventfds_and_pipes_notify),
		cmocka_unit_test(unix_sockets_are_replaced_when_stale),
		cmocka_unit_test(unix_folder_is_locked),
		cmocka_unit_test(unix_sockets_without_descriptors),
		cmocka_unit_test(unix_sockets_of_datagrams),
		cmocka_unit_test(loop_timers_posts_and_removal),
		cmocka_unit_test(min_and_max_ask_once),
		cmocka_unit_test(structures_that_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
