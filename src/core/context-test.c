/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of contexts: their end, whatever is under way, and two side by side. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/fd.h"
#include "core/fake.h"

static uint64_t start_ns;

static void begin(void)
{
	start_ns = vd_now_ns();
}

static unsigned int elapsed_ms(void)
{
	return (unsigned int)((vd_now_ns() - start_ns) / 1000000);
}

static void destroy_with_things_under_way(void **state)
{
	struct uvdpa *v = fake_context();
	struct uvdpa_wait w[3] = { { 0 } };
	struct uvdpa_attr late = { "late", "on" };
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "l", .mgmtdev = "fake",
				    .attrs = &late, .nattrs = 1 };
	struct fake *a = fake_add(v, "a", NULL, NULL, "a"), *b = fake_add(v, "b", NULL, NULL, "b");
	struct uvdpa_dev *dev;

	(void)state;
	fake_run(a);
	fake_run(b);
	a->quiesce = b->quiesce = FAKE_LATER;
	assert_int_equal(uvdpa_dev_bind(&a->dev, "b", NULL, 0, &w[0]), -EINPROGRESS);
	assert_int_equal(uvdpa_dev_reset(&b->dev, &w[1]), -EINPROGRESS);
	assert_int_equal(uvdpa_dev_add(v, &o, &dev, &w[2]), -EINPROGRESS);
	begin();
	uvdpa_destroy(v);
	assert_in_range(elapsed_ms(), 0, 500);
	for (unsigned int i = 0; i < 3; i++)
		assert_false(w[i].pending);
	assert_int_equal(fakes, 0);
	uvdpa_destroy(NULL);
}

static void a_context_that_cannot_be_drained(void **state)
{
	static struct uvdpa *v;		/* reachable: it is left behind on purpose */
	static struct fake *f;

	(void)state;
	v = fake_context();
	f = fake_add(v, "d0", NULL, NULL, "a");
	fake_run(f);
	f->quiesce = FAKE_NEVER;
	begin();
	uvdpa_destroy(v);
	assert_in_range(elapsed_ms(), UVDPA_DRAIN_MS / 2, UVDPA_DRAIN_MS);
	assert_int_equal(fakes, 1);
	assert_int_equal(fake_bindings, 0);
	/* For this test's sake it comes home. */
	fake_answer(f);
	while (vd_loop_dispatch(vd_ctx_loop(v), 0) > 0)
		;
	assert_int_equal(fakes, 0);
}

struct call {
	struct vd_job job;
	unsigned int ms;
	int ret;
	pthread_t in;
};

static unsigned int calls_ended;

static int make_call(struct vd_job *j)
{
	struct call *c = container_of(j, struct call, job);

	c->in = pthread_self();
	usleep(c->ms * 1000);
	return c->ret ? vd_err(c->ret, "after %u ms", c->ms) : 0;
}

static void call_ended(struct vd_job *j, int err)
{
	struct call *c = container_of(j, struct call, job);

	assert_int_equal(err, c->ret);
	if (err)
		assert_string_equal(uvdpa_error(), "after 1 ms");
	assert_false(pthread_equal(c->in, pthread_self()));
	calls_ended++;
	free(c);
}

static void call_start(struct uvdpa *u, unsigned int ms, int ret)
{
	struct call *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->job.run = make_call;
	c->job.done = call_ended;
	c->ms = ms;
	c->ret = ret;
	assert_int_equal(vd_job_start(&c->job, u, "test"), 0);
}

static void jobs(void **state)
{
	struct uvdpa *u = fake_context();

	(void)state;
	calls_ended = 0;
	call_start(u, 1, -EIO);
	while (!calls_ended)
		uvdpa_dispatch(u, 100);
	/* One that is under way at the end. */
	call_start(u, 100, 0);
	uvdpa_destroy(u);
	assert_int_equal(calls_ended, 2);
}

static void a_job_that_does_not_end(void **state)
{
	static struct uvdpa *u;		/* reachable: it is left behind on purpose */

	(void)state;
	u = fake_context();
	calls_ended = 0;
	call_start(u, UVDPA_DRAIN_MS + 1000, 0);
	begin();
	uvdpa_destroy(u);
	assert_in_range(elapsed_ms(), UVDPA_DRAIN_MS / 2, UVDPA_DRAIN_MS);
	assert_int_equal(calls_ended, 0);
	/* For this test's sake it ends. */
	while (!calls_ended)
		vd_loop_dispatch(vd_ctx_loop(u), 100);
}

static unsigned int seen;

static void see(struct uvdpa_watch *w, enum uvdpa_event ev, struct uvdpa_dev *dev)
{
	(void)w;
	(void)ev;
	assert_string_equal(uvdpa_dev_name(dev), "d0");
	seen++;
}

/* ---- misuse ---------------------------------------------------------------------------------- */

/* Who logs in these tests, and the last that was said. */
struct listener {
	struct uvdpa_log log;
	char last[128];
};

static void hear(struct uvdpa_log *log, enum uvdpa_log_level level, const char *line)
{
	struct listener *l = container_of(log, struct listener, log);

	(void)level;
	snprintf(l->last, sizeof(l->last), "%s", line);
}

struct misuse {
	struct uvdpa_poll poll;
	struct uvdpa_wait wait;
	struct uvdpa *u;
	struct fake *fake;
	int fd;
	bool saw;
	struct listener log;
};

/* Each of these would wait for what only who called us can do. */
static void from_a_callback(struct uvdpa_poll *p, uint32_t events)
{
	struct misuse *m = container_of(p, struct misuse, poll);

	(void)events;
	assert_int_equal(uvdpa_dispatch(m->u, 0), -EDEADLK);
	assert_string_equal(uvdpa_error(), "a callback cannot wait for events");
	m->wait.pending = true;
	assert_int_equal(uvdpa_await(m->u, &m->wait, -EINPROGRESS), -EDEADLK);
	m->wait.pending = false;
	uvdpa_destroy(m->u);	/* does nothing, says so */
	uvdpa_poll_del(p);
	m->saw = true;
}

static void drained(struct uvdpa_poll *p, uint32_t events)
{
	(void)events;
	vd_eventfd_drain(container_of(p, struct misuse, poll)->fd);
}

static void *from_another_thread(void *arg)
{
	static const char why[] = "another thread waits for events, and alone may call";
	struct misuse *m = arg;
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "e", .mgmtdev = "fake" };
	struct uvdpa_wait w = { .pending = true };
	struct uvdpa_dev *dev = &m->fake->dev, *added;
	struct uvdpa_watch watch = { 0 };
	struct uvdpa_poll poll = { 0 };

	/* Not before the other waits: until then it is this thread that may. */
	while (uvdpa_dispatch(m->u, 0) != -EPERM)
		;
	assert_string_equal(uvdpa_error(), why);
	assert_int_equal(uvdpa_await(m->u, &w, -EINPROGRESS), -EPERM);
	assert_int_equal(uvdpa_dev_add(m->u, &o, &added, NULL), -EPERM);
	assert_string_equal(uvdpa_error(), why);
	assert_int_equal(uvdpa_dev_check(m->u, &o), -EPERM);
	assert_int_equal(uvdpa_parent_register(m->u, &fake_parent), -EPERM);
	assert_int_equal(uvdpa_driver_register(m->u, &fake_a), -EPERM);
	assert_int_equal(uvdpa_dev_del(dev, NULL), -EPERM);
	assert_int_equal(uvdpa_dev_bind(dev, "b", NULL, 0, NULL), -EPERM);
	assert_int_equal(uvdpa_dev_unbind(dev, NULL), -EPERM);
	assert_int_equal(uvdpa_dev_set(dev, NULL, 0), -EPERM);
	assert_int_equal(uvdpa_dev_set_override(dev, "b"), -EPERM);
	assert_int_equal(uvdpa_dev_set_status(dev, 1), -EPERM);
	assert_int_equal(uvdpa_dev_reset(dev, NULL), -EPERM);
	assert_int_equal(uvdpa_dev_kick(dev, 0, 0), -EPERM);
	assert_int_equal(uvdpa_poll_add(m->u, &poll, m->fd, EPOLLIN), -EPERM);
	/* What cannot say so itself. */
	uvdpa_watch_add(m->u, &watch);
	assert_string_equal(
		m->log.last,
		"uvdpa_watch_add: another thread waits for events, and alone may call: nothing is done");
	uvdpa_dev_lost(dev);
	assert_non_null(strstr(m->log.last, "uvdpa_dev_lost: another thread"));
	uvdpa_destroy(m->u);
	assert_non_null(strstr(m->log.last, "uvdpa_destroy: another thread"));
	__atomic_store_n(&m->saw, true, __ATOMIC_RELEASE);
	vd_eventfd_signal(m->fd);
	return NULL;
}

static void dispatch_by_two(void **state)
{
	struct misuse m = { .poll.ready = from_a_callback, .log.log.line = hear };
	int fd = m.fd = vd_eventfd();
	pthread_t t;

	(void)state;
	m.u = fake_context();
	uvdpa_set_log(m.u, &m.log.log, UVDPA_LOG_WARN);
	m.fake = fake_add(m.u, "d0", NULL, NULL, "a");
	assert_int_equal(uvdpa_poll_add(m.u, &m.poll, fd, EPOLLIN), 0);
	vd_eventfd_signal(fd);
	while (!m.saw)
		assert_in_range(uvdpa_dispatch(m.u, -1), 0, 8);
	assert_string_equal(m.log.last, "uvdpa_destroy: from a callback: nothing is done");
	vd_eventfd_drain(fd);

	/* One thread at a time, but it need not be the same for ever. */
	m.saw = false;
	m.poll.ready = drained;
	assert_int_equal(uvdpa_poll_add(m.u, &m.poll, fd, EPOLLIN), 0);
	assert_int_equal(pthread_create(&t, NULL, from_another_thread, &m), 0);
	while (!__atomic_load_n(&m.saw, __ATOMIC_ACQUIRE))
		uvdpa_dispatch(m.u, 1000);
	pthread_join(t, NULL);
	uvdpa_poll_del(&m.poll);
	close(fd);
	assert_ptr_equal(uvdpa_dev_find(m.u, "d0"), &m.fake->dev);
	assert_true(uvdpa_dev_ready(&m.fake->dev));
	assert_null(uvdpa_dev_override(&m.fake->dev));
	uvdpa_destroy(m.u);
	assert_int_equal(fakes, 0);
}

/* Who is told of the end of something while its context is destroyed. */
struct late {
	struct uvdpa_wait w;
	struct uvdpa_watch watch;
	struct uvdpa *u;
	unsigned int calls;
};

static void late_calls(struct late *l)
{
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "late", .mgmtdev = "fake" };
	struct uvdpa_wait w = { .pending = true };
	struct uvdpa_dev *dev;

	l->calls++;
	uvdpa_destroy(l->u);	/* a second time */
	assert_int_equal(uvdpa_dispatch(l->u, 0), -EDEADLK);
	assert_int_equal(uvdpa_await(l->u, &w, -EINPROGRESS), -EDEADLK);
	assert_int_equal(uvdpa_dev_add(l->u, &o, &dev, NULL), -ENODEV);
	assert_string_equal(uvdpa_error(), "late: its context is being destroyed");
}

static void late_done(struct uvdpa_wait *w, int err)
{
	assert_int_equal(err, 0);
	late_calls(container_of(w, struct late, w));
}

static void late_event(struct uvdpa_watch *w, enum uvdpa_event ev, struct uvdpa_dev *dev)
{
	(void)dev;
	if (ev == UVDPA_DEV_REMOVED)
		late_calls(container_of(w, struct late, watch));
}

static void calls_while_it_is_destroyed(void **state)
{
	struct listener heard = { .log.line = hear };
	struct late l = { .w.done = late_done, .watch.event = late_event };
	struct fake *f;

	(void)state;
	l.u = fake_context();
	uvdpa_set_log(l.u, &heard.log, UVDPA_LOG_WARN);
	f = fake_add(l.u, "d0", NULL, NULL, "a");
	fake_add(l.u, "d1", NULL, NULL, "b");
	uvdpa_watch_add(l.u, &l.watch);
	while (uvdpa_dispatch(l.u, 0) > 0)
		;
	assert_int_equal(uvdpa_dev_del(&f->dev, &l.w), -EINPROGRESS);
	begin();
	uvdpa_destroy(l.u);
	assert_in_range(elapsed_ms(), 0, 500);
	assert_int_equal(l.calls, 3);
	assert_string_equal(heard.last, "uvdpa_destroy: from a callback: nothing is done");
	assert_int_equal(fakes, 0);
}

/* ---- fork ------------------------------------------------------------------------------------ */

static void fires(struct vd_timer *t)
{
	(void)t;
	seen++;
}

/* Return: the exit status; each bit is something that went wrong. */
static int in_a_child(struct misuse *m, struct vd_timer *timer)
{
	int wrong = 0;

	wrong |= (uvdpa_dispatch(m->u, 0) != -EPERM) << 0;
	wrong |= !strstr(uvdpa_error(), "not of its child") << 1;
	wrong |= (uvdpa_dev_del(&m->fake->dev, NULL) != -EPERM) << 2;
	wrong |= (uvdpa_dev_reset(&m->fake->dev, NULL) != -EPERM) << 3;
	uvdpa_poll_del(&m->poll);
	vd_timer_del(vd_ctx_loop(m->u), timer);
	uvdpa_dev_lost(&m->fake->dev);
	uvdpa_destroy(m->u);
	wrong |= (fakes != 1) << 4;	/* nothing is done, and nothing is said */
	wrong |= (*m->log.last != '\0') << 5;
	return wrong;
}

/* A child has all descriptors of a context, and must not be able to change what is behind them. */
static void a_child_by_fork(void **state)
{
	struct misuse m = { .poll.ready = drained, .log.log.line = hear };
	struct vd_timer timer = { .fn = fires };
	int status;
	pid_t pid;

	(void)state;
	m.u = fake_context();
	m.fd = vd_eventfd();
	uvdpa_set_log(m.u, &m.log.log, UVDPA_LOG_WARN);
	m.fake = fake_add(m.u, "d0", NULL, NULL, "a");
	fake_run(m.fake);
	assert_int_equal(uvdpa_poll_add(m.u, &m.poll, m.fd, EPOLLIN), 0);
	seen = 0;
	vd_timer_set(vd_ctx_loop(m.u), &timer, 1);

	pid = fork();
	if (!pid)
		_exit(in_a_child(&m, &timer));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);

	vd_eventfd_signal(m.fd);
	alarm(60);	/* what was taken away would never come */
	while (!seen)
		assert_true(uvdpa_dispatch(m.u, -1) >= 0);
	while (uvdpa_dispatch(m.u, 0) > 0)
		;
	alarm(0);
	assert_int_equal(uvdpa_dev_status(&m.fake->dev), 15);
	uvdpa_poll_del(&m.poll);
	/* Its ready() came: nothing is left to be read. */
	assert_false(vd_eventfd_drain(m.fd));
	close(m.fd);
	uvdpa_destroy(m.u);
	assert_int_equal(fakes, 0);
}

/* ---- two of them ----------------------------------------------------------------------------- */

/* Each context has its own, and the sentence of a failure belongs to the thread. */
static void logs_of_two_contexts(void **state)
{
	struct uvdpa *u = fake_context(), *v = fake_context();
	struct listener a = { .log.line = hear }, b = { .log.line = hear };

	(void)state;
	uvdpa_set_log(u, &a.log, UVDPA_LOG_INFO);
	uvdpa_set_log(v, &b.log, UVDPA_LOG_WARN);
	vd_log_info(vd_ctx_log(u), "d0", "to a");
	vd_log_warn(vd_ctx_log(v), NULL, "to b");
	vd_log_info(vd_ctx_log(v), NULL, "to nobody");
	assert_string_equal(a.last, "d0: to a");
	assert_string_equal(b.last, "to b");
	uvdpa_destroy(u);
	uvdpa_destroy(v);
}

static void two_contexts(void **state)
{
	struct uvdpa *u = fake_context(), *v = fake_context();
	struct uvdpa_watch watch = { .event = see };
	struct fake *f = fake_add(u, "d0", NULL, NULL, "a"), *g = fake_add(v, "d0", NULL, NULL, "b");

	(void)state;
	seen = 0;
	uvdpa_watch_add(u, &watch);
	assert_ptr_equal(uvdpa_dev_find(u, "d0"), &f->dev);
	assert_ptr_equal(uvdpa_dev_find(v, "d0"), &g->dev);
	fake_run(f);
	fake_run(g);
	while (uvdpa_dispatch(u, 0) > 0)
		;
	assert_int_equal(seen, 4);	/* added, ready, bound, status: of its own alone */
	assert_int_not_equal(uvdpa_fd(u), uvdpa_fd(v));
	uvdpa_destroy(v);
	assert_int_equal(fakes, 1);
	assert_int_equal(uvdpa_dev_status(&f->dev), 15);
	assert_true(f->vqs[0].running);
	uvdpa_watch_del(&watch);
	uvdpa_watch_del(&watch);	/* harmless */
	uvdpa_destroy(u);
	assert_int_equal(fakes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(destroy_with_things_under_way),
		cmocka_unit_test(a_context_that_cannot_be_drained),
		cmocka_unit_test(jobs),
		cmocka_unit_test(a_job_that_does_not_end),
		cmocka_unit_test(dispatch_by_two),
		cmocka_unit_test(calls_while_it_is_destroyed),
		cmocka_unit_test(a_child_by_fork),
		cmocka_unit_test(two_contexts),
		cmocka_unit_test(logs_of_two_contexts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
