/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of the gate's eventfds: what is kept, what is replaced, and what a hostile peer does. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/fd.h"
#include "core/fake.h"

static struct uvdpa *u;
static struct fake *f;
static struct uvdpa_dev *dev;
static unsigned int fds_before;

static int setup(void **state)
{
	(void)state;
	u = fake_context();
	f = fake_add(u, "d0", NULL, NULL, "a");
	dev = &f->dev;
	fds_before = open_fds();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	f->quiesce = FAKE_AT_ONCE;
	fake_answer(f);
	assert_int_equal(uvdpa_dev_reset(dev, NULL), 0);
	assert_int_equal(open_fds(), fds_before);
	uvdpa_destroy(u);
	assert_int_equal(fakes, 0);
	return 0;
}

static int event(void)
{
	int fd = vd_eventfd();

	assert_true(fd >= 0);
	return fd;
}

/* Anything else could do anything when it is written to. */
static void only_what_can_notify(void **state)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), gone = event();
	struct uvdpa_vq vq = *uvdpa_dev_vq(dev, 0);

	(void)state;
	close(gone);
	for (int i = 0; i < 2; i++) {
		int bad = i ? gone : null;

		assert_int_equal(uvdpa_dev_set_vq_kick(dev, 0, bad), -EINVAL);
		assert_int_equal(uvdpa_dev_set_vq_call(dev, 0, bad), -EINVAL);
		assert_int_equal(uvdpa_dev_set_vq_err(dev, 0, bad), -EINVAL);
		vq.kick = bad;
		assert_int_equal(uvdpa_dev_set_vq(dev, 0, &vq), -EINVAL);
		vq.kick = -1;
		vq.call = bad;
		assert_int_equal(uvdpa_dev_set_vq(dev, 0, &vq), -EINVAL);
		vq.call = -1;
	}
	close(null);
	assert_int_equal(uvdpa_dev_vq(dev, 0)->kick, -1);
	assert_int_equal(uvdpa_dev_vq(dev, 0)->call, -1);
}

/* CVE-2019-14818: what is set again and again must not pile up. */
static void descriptors_do_not_pile_up(void **state)
{
	int fd = event();
	unsigned int fds;
	struct uvdpa_vq vq;

	(void)state;
	for (int run = 0; run < 2; run++) {
		fds = 0;
		for (unsigned int i = 0; i < 3000; i++) {
			assert_int_equal(uvdpa_dev_set_vq_kick(dev, i % 2, fd), 0);
			assert_int_equal(uvdpa_dev_set_vq_call(dev, i % 2, fd), 0);
			assert_int_equal(uvdpa_dev_set_vq_err(dev, i % 2, fd), 0);
			vq = *uvdpa_dev_vq(dev, i % 2);
			assert_int_equal(uvdpa_dev_set_vq(dev, i % 2, &vq), 0);
			if (i == 10)
				fds = open_fds();
		}
		assert_int_equal(open_fds(), fds);
		for (unsigned int i = 0; i < 2; i++) {
			assert_int_equal(uvdpa_dev_set_vq_kick(dev, i, -1), 0);
			assert_int_equal(uvdpa_dev_set_vq_call(dev, i, -1), 0);
			assert_int_equal(uvdpa_dev_set_vq_err(dev, i, -1), 0);
		}
		if (!run)
			fake_run(f);
	}
	close(fd);
}

static void kick_of_a_running_queue(void **state)
{
	int one = event(), two = event(), three = event();
	struct uvdpa_vq vq;
	int old;

	(void)state;
	assert_int_equal(uvdpa_dev_set_vq_kick(dev, 0, one), 0);
	vq = *uvdpa_dev_vq(dev, 0);
	assert_int_not_equal(vq.kick, one);	/* a duplicate */
	fake_run(f);				/* sets -1 */
	vq = *uvdpa_dev_vq(dev, 0);
	vq.kick = one;
	f->vqs[0].at.avail = 9;
	assert_int_equal(uvdpa_dev_set_vq(dev, 0, &vq), 0);
	assert_string_equal(fake_log(f), "quiesce0 get0 set_vq0 enable0");
	assert_int_equal(f->vqs[0].vq.state.avail, 9);
	old = f->vqs[0].vq.kick;

	/* The old one stays open for as long as the device may look at it. */
	f->quiesce = FAKE_NEVER;
	assert_int_equal(uvdpa_dev_set_vq_kick(dev, 0, two), 0);
	assert_int_equal(uvdpa_dev_set_vq_kick(dev, 0, three), 0);	/* it changes its mind */
	assert_int_equal(fcntl(old, F_GETFD), FD_CLOEXEC);
	assert_string_equal(fake_log(f), "quiesce0");
	fake_answer(f);
	assert_string_equal(fake_log(f), "get0 set_vq0 enable0");
	vd_eventfd_signal(three);
	assert_true(vd_eventfd_drain(f->vqs[0].vq.kick));

	/* No eventfd at all, and a ring that is to be polled. */
	f->quiesce = FAKE_AT_ONCE;
	vq = *uvdpa_dev_vq(dev, 0);
	vq.kick = -1;
	vq.poll = true;
	assert_int_equal(uvdpa_dev_set_vq(dev, 0, &vq), 0);
	assert_int_equal(f->vqs[0].vq.kick, -1);
	assert_true(f->vqs[0].vq.poll);
	assert_int_equal(uvdpa_dev_set_vq_kick(dev, 0, one), 0);
	assert_true(f->vqs[0].vq.kick >= 0);
	close(one);
	close(two);
	close(three);
}

static void call_of_a_running_queue(void **state)
{
	int one = event(), two = event(), slot;

	(void)state;
	fake_run(f);
	assert_int_equal(uvdpa_dev_set_vq_call(dev, 0, one), 0);
	assert_string_equal(fake_log(f), "call0");
	slot = f->vqs[0].vq.call;
	assert_int_equal(uvdpa_dev_vq(dev, 0)->call, slot);
	/* What was completed before may have been told to nobody. */
	assert_true(vd_eventfd_drain(one));

	assert_int_equal(uvdpa_dev_set_vq_call(dev, 0, two), 0);
	assert_int_equal(f->vqs[0].vq.call, slot);	/* the same number */
	assert_true(vd_eventfd_drain(two));
	assert_false(vd_eventfd_drain(one));
	vd_eventfd_signal(slot);
	assert_true(vd_eventfd_drain(two));
	assert_false(vd_eventfd_drain(one));

	/* Taken away: a thread that still has the number writes to nobody. */
	fake_log(f);
	assert_int_equal(uvdpa_dev_set_vq_call(dev, 0, -1), 0);
	assert_string_equal(fake_log(f), "call0=none");
	assert_int_equal(uvdpa_dev_vq(dev, 0)->call, -1);
	vd_eventfd_signal(slot);
	assert_false(vd_eventfd_drain(two));
	assert_int_equal(uvdpa_dev_set_vq_call(dev, 0, one), 0);
	assert_int_equal(f->vqs[0].vq.call, slot);
	/* Stopped, it is closed. */
	assert_int_equal(uvdpa_dev_set_vq_call(dev, 0, -1), 0);
	assert_int_equal(uvdpa_dev_disable_vq(dev, 0, NULL), 0);
	assert_int_equal(fcntl(slot, F_GETFD), -1);
	close(one);
	close(two);
}

static bool stop;

static void *hammer(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		vd_eventfd_signal(*(int *)arg);
	return NULL;
}

/* A data thread writes all the while; every write reaches one of them. */
static void call_is_replaced_under_a_writer(void **state)
{
	int fd[2] = { event(), event() }, slot;
	pthread_t t;

	(void)state;
	fake_run(f);
	assert_int_equal(uvdpa_dev_set_vq_call(dev, 0, fd[0]), 0);
	slot = f->vqs[0].vq.call;
	stop = false;
	assert_int_equal(pthread_create(&t, NULL, hammer, &slot), 0);
	for (unsigned int i = 0; i < 2000; i++) {
		assert_int_equal(uvdpa_dev_set_vq_call(dev, 0, fd[i & 1]), 0);
		if (i % 8 == 7)
			assert_int_equal(uvdpa_dev_set_vq_call(dev, 0, -1), 0);
		vd_eventfd_drain(fd[0]);
		vd_eventfd_drain(fd[1]);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	f->log[0] = '\0';
	close(fd[0]);
	close(fd[1]);
}

/* A worker that has completed its last request, and tells the driver: for ever. */
struct worker {
	struct vd_post home;
	int call;
};

static void worker_home(struct vd_post *p)
{
	(void)p;
	fake_answer(f);
}

static void *worker_run(void *arg)
{
	struct worker *w = arg;

	vd_eventfd_signal(w->call);
	vd_loop_post(f->loop, &w->home);
	return NULL;
}

/* The peer fills the counter and makes it blocking; a reset must still come to its end in time. */
static void a_full_call_eventfd_that_blocks(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	struct worker w = { .home.fn = worker_home };
	struct uvdpa_wait wait = { 0 };
	uint64_t full = UINT64_MAX - 1, start, ms;
	pthread_t t;

	(void)state;
	alarm(20);
	fake_run(f);
	assert_int_equal(uvdpa_dev_set_vq_call(dev, 0, fd), 0);
	w.call = f->vqs[0].vq.call;
	assert_true(vd_eventfd_drain(fd));
	assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
	assert_int_equal(vd_set_nonblock(fd, false), 0);
	f->quiesce = FAKE_NEVER;
	assert_int_equal(pthread_create(&t, NULL, worker_run, &w), 0);
	start = vd_now_ns();
	assert_int_equal(uvdpa_await(u, &wait, uvdpa_dev_reset(dev, &wait)), 0);
	ms = (vd_now_ns() - start) / 1000000;
	assert_in_range(ms, UVDPA_DRAIN_MS / 2 - 10, UVDPA_DRAIN_MS - 200);
	pthread_join(t, NULL);

	/* Nor does control wait, when it has something to say there itself. */
	vd_eventfd_drain(fd);
	assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
	f->quiesce = FAKE_AT_ONCE;
	fake_run(f);
	start = vd_now_ns();
	assert_int_equal(uvdpa_dev_set_vq_call(dev, 1, fd), 0);
	assert_int_equal(vd_set_nonblock(fd, false), 0);
	assert_int_equal(uvdpa_dev_set_vq_call(dev, 1, fd), 0);
	assert_int_equal(uvdpa_dev_set_vq_err(dev, 1, fd), 0);
	uvdpa_dev_vq_broken(dev, 1);
	assert_in_range((vd_now_ns() - start) / 1000000, 0, 500);
	alarm(0);
	close(fd);
}

/* Of a pipe, the gate has flags of its own; what the peer does to its end does not matter. */
static void a_pipe_that_blocks(void **state)
{
	char page[4096] = { 0 };
	int p[2];
	uint64_t n;

	(void)state;
	alarm(20);
	fake_run(f);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(uvdpa_dev_set_vq_call(dev, 0, p[1]), 0);
	assert_int_equal(read(p[0], &n, sizeof(n)), sizeof(n));
	assert_int_equal(uvdpa_dev_set_vq_kick(dev, 0, p[0]), 0);
	assert_false(vd_eventfd_drain(f->vqs[0].vq.kick));
	assert_int_equal(vd_set_nonblock(p[1], true), 0);
	while (write(p[1], page, sizeof(page)) > 0)
		;
	assert_int_equal(vd_set_nonblock(p[1], false), 0);
	vd_eventfd_signal(f->vqs[0].vq.call);
	assert_true(vd_eventfd_drain(f->vqs[0].vq.kick));
	alarm(0);
	close(p[0]);
	close(p[1]);
}

static void err_tells_of_a_broken_queue(void **state)
{
	int fd = event();

	(void)state;
	assert_int_equal(uvdpa_dev_set_vq_err(dev, 1, fd), 0);
	fake_run(f);
	uvdpa_dev_vq_broken(dev, 0);
	assert_false(vd_eventfd_drain(fd));
	uvdpa_dev_vq_broken(dev, 1);
	assert_true(vd_eventfd_drain(fd));
	close(fd);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(only_what_can_notify),
		TEST(descriptors_do_not_pile_up),
		TEST(kick_of_a_running_queue),
		TEST(call_of_a_running_queue),
		TEST(call_is_replaced_under_a_writer),
		TEST(a_full_call_eventfd_that_blocks),
		TEST(a_pipe_that_blocks),
		TEST(err_tells_of_a_broken_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
