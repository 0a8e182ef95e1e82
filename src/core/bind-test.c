/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of binding, moving and removing, and of what observers are told meanwhile. */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/fake.h"

static struct uvdpa *u;

/* Writes down what it is told, as words. */
struct scribe {
	struct uvdpa_watch w;
	char log[1024];
	struct uvdpa_watch *also_remove;	/* when it is told of BOUND */
};

static void scribe_event(struct uvdpa_watch *w, enum uvdpa_event ev, struct uvdpa_dev *dev)
{
	static const char *const names[] = { "added",	"ready",  "lost",   "bound",
					     "unbound", "status", "config", "removed",
					     "attrs" };
	struct scribe *s = container_of(w, struct scribe, w);
	size_t n = strlen(s->log);

	snprintf(s->log + n, sizeof(s->log) - n, "%s%s:%s", n ? " " : "", uvdpa_dev_name(dev),
		 names[ev]);
	if (ev == UVDPA_DEV_BOUND && s->also_remove)
		uvdpa_watch_del(s->also_remove);
}

static struct scribe scribe;

static const char *told(void)
{
	static char copy[sizeof(scribe.log)];

	while (uvdpa_dispatch(u, 0) > 0)
		;
	memcpy(copy, scribe.log, sizeof(copy));
	scribe.log[0] = '\0';
	return copy;
}

static int setup(void **state)
{
	(void)state;
	u = fake_context();
	memset(&scribe, 0, sizeof(scribe));
	scribe.w.event = scribe_event;
	uvdpa_watch_add(u, &scribe.w);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	uvdpa_watch_del(&scribe.w);
	uvdpa_destroy(u);
	assert_int_equal(fakes, 0);
	assert_int_equal(fake_bindings, 0);
	return 0;
}

static int bind_wait(struct fake *f, const char *driver)
{
	struct uvdpa_wait w = { 0 };

	return uvdpa_await(u, &w, uvdpa_dev_bind(&f->dev, driver, NULL, 0, &w));
}

static int unbind_wait(struct fake *f)
{
	struct uvdpa_wait w = { 0 };

	return uvdpa_await(u, &w, uvdpa_dev_unbind(&f->dev, &w));
}

static int del_wait(struct fake *f)
{
	struct uvdpa_wait w = { 0 };

	return uvdpa_await(u, &w, uvdpa_dev_del(&f->dev, &w));
}

static const char *driver_of(struct fake *f)
{
	const struct uvdpa_driver *d = uvdpa_dev_driver(&f->dev);

	return d ? uvdpa_driver_name(d) : "-";
}

static void match_and_override(void **state)
{
	/* id 1 is no block device; "" clears */
	static const struct {
		const char *override, *bind;
		int err;
	} cases[] = {
		{ NULL, "a", 0 },	    { NULL, "b", 0 },
		{ NULL, "blk", -EOPNOTSUPP }, { NULL, "c", -ENODEV },
		{ "a", "a", 0 },	    { "a", "b", -ENODEV },
		{ "none", "a", -ENODEV },   { "none", "b", -ENODEV },
		{ "none", "none", -ENODEV }, { "", "b", 0 },
		{ "blk", "blk", -EOPNOTSUPP }, { "a_vdpa", "a", 0 },
		{ "a", "a_vdpa", 0 },	    { "a_vdpa", "a_vdpa", 0 },
		{ "a_vdpa", "b", -ENODEV }, { "a_vdpa", "b_vdpa", -ENODEV },
		{ NULL, "blk_vdpa", -EOPNOTSUPP },
	};
	struct fake *f = fake_add(u, "d0", "id", "1", NULL);

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		assert_int_equal(uvdpa_dev_set_override(&f->dev, cases[i].override), 0);
		assert_string_equal(driver_of(f), "-");	/* it does not bind by itself */
		assert_int_equal(bind_wait(f, cases[i].bind), cases[i].err);
		if (cases[i].err)
			continue;
		assert_ptr_equal(uvdpa_dev_driver(&f->dev), uvdpa_driver_find(u, cases[i].bind));
		/* nor does it unbind */
		assert_int_equal(uvdpa_dev_set_override(&f->dev, "none"), 0);
		assert_string_equal(uvdpa_dev_override(&f->dev), "none");
		assert_ptr_equal(uvdpa_dev_driver(&f->dev), uvdpa_driver_find(u, cases[i].bind));
		assert_int_equal(unbind_wait(f), 0);
	}
	assert_int_equal(uvdpa_dev_set_override(&f->dev, NULL), 0);
	assert_null(uvdpa_dev_override(&f->dev));
	assert_int_equal(unbind_wait(f), -ENODEV);
}

static void a_move(void **state)
{
	struct fake *f = fake_add(u, "d0", NULL, NULL, "a");
	struct uvdpa_attr bad = { "sting", "x" };

	(void)state;
	assert_string_equal(told(), "d0:added d0:ready d0:bound");
	fake_run(f);
	f->config[3] = 42;
	assert_string_equal(told(), "d0:status");

	/* Options first: the present driver keeps it. */
	assert_int_equal(uvdpa_dev_bind(&f->dev, "b", &bad, 1, NULL), -EINVAL);
	assert_string_equal(uvdpa_error(), "b: Unknown option \"sting\"; did you mean \"string\"?");
	assert_string_equal(driver_of(f), "a");

	assert_int_equal(bind_wait(f, "b"), 0);
	assert_string_equal(driver_of(f), "b");
	assert_string_equal(fake_log(f), "quiesce* get0 get1 reset");
	assert_int_equal(uvdpa_dev_status(&f->dev), 0);
	assert_int_equal(f->config[3], 42);
	assert_string_equal(told(), "d0:status d0:unbound d0:bound");
	assert_int_equal(fake_bindings, 1);
	/* To where it is already: anew. */
	assert_int_equal(bind_wait(f, "b"), 0);
	assert_string_equal(told(), "d0:unbound d0:bound");
	assert_int_equal(del_wait(f), 0);
	assert_string_equal(told(), "d0:unbound d0:removed");
	assert_null(uvdpa_dev_find(u, "d0"));
}

static void a_probe_that_fails(void **state)
{
	struct fake *f = fake_add(u, "d0", NULL, NULL, "a");
	struct uvdpa_attr fail = { "fail", "17" };
	struct uvdpa_wait w = { 0 };
	struct uvdpa_dev *dev = NULL;
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "d1", .mgmtdev = "fake",
				    .driver = "a", .driver_attrs = &fail, .ndriver_attrs = 1 };
	struct uvdpa_attr late = { "late", "on" };

	(void)state;
	told();
	/* Moved: it is left unbound. */
	assert_int_equal(uvdpa_await(u, &w, uvdpa_dev_bind(&f->dev, "b", &fail, 1, &w)), -17);
	assert_string_equal(uvdpa_error(), "fake probe");
	assert_string_equal(driver_of(f), "-");
	assert_string_equal(told(), "d0:unbound");
	/* Added: it is removed again, and nobody has seen it. */
	assert_int_equal(uvdpa_dev_add(u, &o, &dev, &w), -17);
	assert_null(dev);
	assert_int_equal(fakes, 1);
	assert_string_equal(told(), "");
	/* Added, and not ready at once: it was seen. */
	o.attrs = &late;
	o.nattrs = 1;
	assert_int_equal(uvdpa_dev_add(u, &o, &dev, &w), -EINPROGRESS);
	assert_string_equal(told(), "d1:added");
	uvdpa_dev_arrived(dev, 0);
	assert_int_equal(uvdpa_await(u, &w, -EINPROGRESS), -17);
	assert_string_equal(told(), "d1:ready d1:removed");
	assert_int_equal(fakes, 1);
}

static void devices_that_come_late(void **state)
{
	struct uvdpa_attr late = { "late", "on" };
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "d0", .mgmtdev = "fake",
				    .driver = "a", .attrs = &late, .nattrs = 1 };
	struct uvdpa_dev *dev;
	struct uvdpa_wait w = { 0 };

	(void)state;
	assert_int_equal(uvdpa_dev_add(u, &o, &dev, &w), -EINPROGRESS);
	assert_false(uvdpa_dev_ready(dev));
	assert_int_equal(uvdpa_dev_set_status(dev, 1), -ENODEV);
	assert_int_equal(uvdpa_dev_reset(dev, NULL), -ENODEV);
	assert_int_equal(uvdpa_dev_get_config(dev, 0, &(char){ 0 }, 1), -ENODEV);
	assert_int_equal(uvdpa_dev_map(dev, 0, &(struct uvdpa_map){ 0 }), -ENODEV);
	assert_null(uvdpa_dev_vq(dev, 0));
	assert_int_equal(uvdpa_dev_bind(dev, "b", NULL, 0, NULL), -EBUSY);
	assert_int_equal(uvdpa_dev_unbind(dev, NULL), -EBUSY);
	assert_string_equal(told(), "d0:added");
	uvdpa_dev_arrived(dev, 0);
	assert_int_equal(uvdpa_await(u, &w, -EINPROGRESS), 0);
	assert_string_equal(told(), "d0:ready d0:bound");

	/* It will not come. */
	o.name = "d1";
	assert_int_equal(uvdpa_dev_add(u, &o, &dev, &w), -EINPROGRESS);
	told();
	uvdpa_dev_arrived(dev, vd_err(-ECONNREFUSED, "nobody there"));
	assert_int_equal(uvdpa_await(u, &w, -EINPROGRESS), -ECONNREFUSED);
	assert_string_equal(uvdpa_error(), "nobody there");
	assert_string_equal(told(), "d1:removed");

	/* It is removed before it came. */
	o.name = "d2";
	assert_int_equal(uvdpa_dev_add(u, &o, &dev, &w), -EINPROGRESS);
	assert_int_equal(del_wait(to_fake(dev)), 0);
	assert_int_equal(uvdpa_await(u, &w, -EINPROGRESS), -ENODEV);
	assert_int_equal(fakes, 1);
}

static void one_at_a_time(void **state)
{
	struct fake *f = fake_add(u, "d0", NULL, NULL, "a");
	struct uvdpa_wait move = { 0 }, del = { 0 };

	(void)state;
	told();
	assert_int_equal(uvdpa_dev_bind(&f->dev, "b", NULL, 0, &move), -EINPROGRESS);
	assert_int_equal(uvdpa_dev_bind(&f->dev, "a", NULL, 0, NULL), -EBUSY);
	assert_int_equal(uvdpa_dev_unbind(&f->dev, NULL), -EBUSY);
	/* Only del comes in between. */
	assert_int_equal(uvdpa_dev_del(&f->dev, &del), -EINPROGRESS);
	assert_int_equal(uvdpa_dev_del(&f->dev, NULL), -EALREADY);
	assert_int_equal(uvdpa_dev_bind(&f->dev, "a", NULL, 0, NULL), -ENODEV);
	assert_int_equal(uvdpa_dev_unbind(&f->dev, NULL), -EBUSY);
	assert_int_equal(uvdpa_await(u, &move, -EINPROGRESS), -ENODEV);
	assert_int_equal(uvdpa_await(u, &del, -EINPROGRESS), 0);
	assert_string_equal(told(), "d0:unbound d0:removed");

	/* In each state of leaving. */
	for (int i = 0; i < 3; i++) {
		f = fake_add(u, "d0", NULL, NULL, "a");
		fake_run(f);
		f->quiesce = FAKE_NEVER;
		fake_bound->hold = i == 1;
		assert_int_equal(uvdpa_dev_unbind(&f->dev, &move), -EINPROGRESS);
		if (i > 0)
			told();
		assert_int_equal(f->asked_all, i == 2);
		assert_int_equal(uvdpa_dev_del(&f->dev, &del), -EINPROGRESS);
		if (i == 1)
			uvdpa_binding_quiesced(&fake_bound->b);
		told();
		fake_answer(f);
		assert_int_equal(uvdpa_await(u, &move, -EINPROGRESS), 0);
		assert_int_equal(uvdpa_await(u, &del, -EINPROGRESS), 0);
		assert_int_equal(fakes, 0);
		told();
	}
}

static void a_driver_lets_go(void **state)
{
	struct fake *f = fake_add(u, "d0", NULL, NULL, "a");

	(void)state;
	fake_run(f);
	told();
	uvdpa_binding_release(&fake_bound->b);
	uvdpa_binding_release(&fake_bound->b);
	assert_string_equal(driver_of(f), "a");		/* not under its feet */
	assert_string_equal(told(), "d0:status d0:unbound");
	assert_string_equal(driver_of(f), "-");
	assert_string_equal(fake_log(f), "quiesce* get0 get1 reset");
	/* While it is taken away already, and while another is awaited. */
	assert_int_equal(bind_wait(f, "a"), 0);
	fake_bound->hold = true;
	assert_int_equal(uvdpa_dev_bind(&f->dev, "b", NULL, 0, NULL), -EINPROGRESS);
	told();
	uvdpa_binding_release(&fake_bound->b);
	uvdpa_binding_quiesced(&fake_bound->b);
	uvdpa_binding_quiesced(&fake_bound->b);
	told();
	assert_string_equal(driver_of(f), "b");
	uvdpa_binding_quiesced(&fake_bound->b);		/* nobody asked */
	told();
	assert_string_equal(driver_of(f), "b");
}

/* What a driver waits for lies in its binding: it is told before that goes. */
static void waits_end_before_remove(void **state)
{
	struct fake *f = fake_add(u, "d0", NULL, NULL, "a");
	struct fake_binding *fb = fake_bound;

	(void)state;
	fake_run(f);
	f->quiesce = FAKE_NEVER;
	fb->hold = true;
	assert_int_equal(uvdpa_dev_disable_vq(&f->dev, 0, &fb->w[0]), -EINPROGRESS);
	assert_int_equal(uvdpa_dev_suspend(&f->dev, &fb->w[1]), -EINPROGRESS);
	assert_int_equal(uvdpa_dev_unbind(&f->dev, NULL), -EINPROGRESS);
	told();
	uvdpa_binding_quiesced(&fb->b);
	fake_answer(f);		/* so the end of both is told after the bus goes on */
	assert_true(fb->w[0].pending && fb->w[1].pending);
	told();
	assert_string_equal(driver_of(f), "-");
}

static void a_driver_that_is_losing_begins_nothing(void **state)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct uvdpa_map map = { 0x10000, sizeof(page), -1, 0, page, UVDPA_MAP_RW, { 0 } };
	struct fake *f = fake_add(u, "d0", NULL, NULL, "a");
	struct fake_binding *fb = fake_bound;
	struct uvdpa_wait w = { 0 };

	(void)state;
	fake_run(f);
	f->quiesce = FAKE_NEVER;
	assert_int_equal(uvdpa_dev_map(&f->dev, 0, &map), 0);
	assert_int_equal(uvdpa_dev_commit(&f->dev, &fb->w[0]), -EINPROGRESS);
	assert_int_equal(uvdpa_dev_disable_vq(&f->dev, 0, &fb->w[1]), -EINPROGRESS);
	assert_int_equal(uvdpa_dev_suspend(&f->dev, &fb->w[2]), -EINPROGRESS);
	assert_int_equal(uvdpa_dev_reset(&f->dev, &fb->w[3]), -EINPROGRESS);
	assert_int_equal(uvdpa_dev_unbind(&f->dev, &w), -EINPROGRESS);
	told();
	assert_true(f->asked || f->asked_all);
	assert_int_equal(uvdpa_dev_reset(&f->dev, &w), -ENODEV);
	assert_int_equal(uvdpa_dev_commit(&f->dev, &w), -ENODEV);
	assert_int_equal(uvdpa_dev_suspend(&f->dev, &w), -ENODEV);
	assert_int_equal(uvdpa_dev_disable_vq(&f->dev, 1, &w), -ENODEV);
	assert_int_equal(uvdpa_await(u, &w, -EINPROGRESS), -ETIMEDOUT);
	assert_string_equal(driver_of(f), "-");
	fake_answer(f);
	f->quiesce = FAKE_AT_ONCE;
	assert_int_equal(bind_wait(f, "b"), 0);
	fake_run(f);
}

static uint64_t start_ns;

static unsigned int elapsed_ms(void)
{
	return (unsigned int)((vd_now_ns() - start_ns) / 1000000);
}

static void begin(void)
{
	start_ns = vd_now_ns();
}

/* Linux: del waits for whoever holds the device open, and with it every other command. */
static void del_while_busy_is_bounded(void **state)
{
	struct fake *held = fake_add(u, "held", NULL, NULL, "a");
	struct fake *stuck = fake_add(u, "stuck", NULL, NULL, "b");
	struct fake *other;
	struct uvdpa_wait w1 = { 0 }, w2 = { 0 };
	struct uvdpa_dev *found;

	(void)state;
	fake_run(held);
	fake_run(stuck);
	stuck->quiesce = FAKE_NEVER;
	fake_bound->hold = true;	/* of stuck: neither it nor its driver answers */
	told();
	begin();
	assert_int_equal(uvdpa_dev_del(&stuck->dev, &w1), -EINPROGRESS);
	assert_int_equal(uvdpa_dev_del(&held->dev, &w2), -EINPROGRESS);
	/* Meanwhile the bus goes on. */
	other = fake_add(u, "other", NULL, NULL, "a");
	assert_int_equal(del_wait(other), 0);
	assert_int_equal(uvdpa_await(u, &w2, -EINPROGRESS), 0);
	assert_in_range(elapsed_ms(), 0, 500);
	assert_int_equal(uvdpa_await(u, &w1, -EINPROGRESS), 0);
	assert_in_range(elapsed_ms(), UVDPA_DRAIN_MS - 10, UVDPA_DRAIN_MS + 500);
	assert_int_equal(fake_bindings, 0);	/* the peer was told */
	assert_null(uvdpa_dev_find(u, "stuck"));
	assert_non_null(strstr(told(), "stuck:unbound stuck:removed"));

	/* The name is free, the memory is kept. */
	assert_int_equal(fakes, 1);
	found = &fake_add(u, "stuck", NULL, NULL, NULL)->dev;
	assert_ptr_equal(uvdpa_dev_find(u, "stuck"), found);
	assert_int_equal(fakes, 2);
	assert_int_equal(uvdpa_dev_set_status(&stuck->dev, 15), -ENODEV);
	assert_int_equal(uvdpa_dev_reset(&stuck->dev, NULL), -ENODEV);
	fake_log(stuck);
	fake_answer(stuck);
	assert_string_equal(fake_log(stuck), "get0 get1 reset");
	told();
	assert_int_equal(fakes, 1);
}

static void a_move_that_cannot_be_drained(void **state)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct uvdpa_map map = { 0x10000, sizeof(page), -1, 0, page, UVDPA_MAP_RW, { 0 } };
	struct fake *f = fake_add(u, "d0", NULL, NULL, "a");
	struct uvdpa_wait w = { 0 };

	(void)state;
	assert_int_equal(uvdpa_dev_map(&f->dev, 0, &map), 0);
	assert_int_equal(uvdpa_dev_commit(&f->dev, NULL), 0);
	fake_run(f);
	f->quiesce = FAKE_NEVER;
	told();
	begin();
	assert_int_equal(uvdpa_await(u, &w, uvdpa_dev_bind(&f->dev, "b", NULL, 0, &w)),
			 -ETIMEDOUT);
	assert_in_range(elapsed_ms(), UVDPA_DRAIN_MS - 10, UVDPA_DRAIN_MS + 500);
	assert_string_equal(driver_of(f), "-");
	assert_string_equal(told(), "d0:unbound");
	assert_int_equal(uvdpa_dev_bind(&f->dev, "b", NULL, 0, NULL), -EBUSY);
	assert_int_equal(vd_dev_mem(&f->dev, 0)->n, 1);	/* it may still be written to */
	fake_answer(f);
	assert_int_equal(vd_dev_mem(&f->dev, 0)->n, 0);
	assert_int_equal(bind_wait(f, "b"), 0);
	assert_string_equal(told(), "d0:bound d0:status");
	f->quiesce = FAKE_AT_ONCE;
	fake_run(f);
}

/* The next driver begins with nothing of the last one's. */
/* As a probe leaves it that fails when the device runs already. */
static void removed_while_it_is_being_reset(void **state)
{
	struct fake *f = fake_add(u, "d0", NULL, NULL, NULL);
	struct uvdpa_wait w = { 0 };

	(void)state;
	fake_run(f);
	f->quiesce = FAKE_NEVER;
	assert_int_equal(uvdpa_dev_reset(&f->dev, &w), -EINPROGRESS);
	assert_int_equal(del_wait(f), 0);
	assert_true(w.pending);
	fake_answer(f);
	while (uvdpa_dispatch(u, 0) > 0)
		;
	assert_false(w.pending);
	assert_int_equal(fakes, 0);
}

static void unbinding_drops_mappings(void **state)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct uvdpa_map map = { 0x10000, sizeof(page), -1, 0, page, UVDPA_MAP_RW, { 0 } };
	struct fake *f = fake_add(u, "d0", "proxy", "on", "a");

	(void)state;
	assert_int_equal(uvdpa_dev_map(&f->dev, 0, &map), 0);
	assert_int_equal(uvdpa_dev_set_group_asid(&f->dev, 1, 0), 0);
	assert_int_equal(uvdpa_dev_commit(&f->dev, NULL), 0);
	map.iova = 0x20000;
	assert_int_equal(uvdpa_dev_map(&f->dev, 1, &map), 0);	/* staged only */
	fake_run(f);
	assert_int_equal(uvdpa_dev_reset(&f->dev, NULL), 0);	/* reset keeps them */
	assert_int_equal(f->maps, 1);
	fake_log(f);
	assert_int_equal(bind_wait(f, "b"), 0);
	assert_string_equal(fake_log(f), "reset unmap0=10000 commit0");
	assert_int_equal(f->maps, 0);
	assert_int_equal(uvdpa_dev_commit(&f->dev, NULL), 0);
	assert_string_equal(fake_log(f), "");
}

#ifdef __has_feature
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static void a_hundred_moves_leave_nothing(void **state)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct uvdpa_map map = { 0x10000, sizeof(page), -1, 0, page, UVDPA_MAP_RW, { 0 } };
	struct fake *f = fake_add(u, "d0", NULL, NULL, "a");
	unsigned int fds = 0;
	size_t bytes = 0;

	(void)state;
	f->quiesce = FAKE_LATER;
	for (unsigned int i = 0; i < 120; i++) {
		if (i == 20) {
			fds = open_fds();
			bytes = mallinfo2().uordblks;
		}
		assert_int_equal(uvdpa_dev_map(&f->dev, 0, &map), 0);
		assert_int_equal(uvdpa_dev_commit(&f->dev, NULL), 0);
		fake_run(f);
		assert_int_equal(bind_wait(f, i & 1 ? "a" : "b"), 0);
		assert_int_equal(uvdpa_dev_status(&f->dev), 0);
		told();
	}
	assert_int_equal(open_fds(), fds);
	if (!SANITIZED)	/* their allocator counts otherwise, and looks for leaks itself */
		assert_int_equal(mallinfo2().uordblks, bytes);
}

/* ---- observers ------------------------------------------------------------------------------- */

static void observers_come_and_go_in_their_callbacks(void **state)
{
	struct scribe first = { .w.event = scribe_event }, second = { .w.event = scribe_event };
	struct fake *f;

	(void)state;
	uvdpa_watch_add(u, &first.w);
	uvdpa_watch_add(u, &second.w);
	first.also_remove = &second.w;
	f = fake_add(u, "d0", NULL, NULL, "a");
	told();
	assert_string_equal(first.log, "d0:added d0:ready d0:bound");
	assert_string_equal(second.log, "d0:added d0:ready");

	/* Who comes later is told what there is. */
	first.also_remove = &first.w;
	second.log[0] = '\0';
	uvdpa_watch_add(u, &second.w);
	assert_string_equal(second.log, "d0:added d0:ready d0:bound");
	assert_int_equal(bind_wait(f, "b"), 0);
	told();
	assert_string_equal(first.log, "d0:added d0:ready d0:bound d0:unbound d0:bound");
	assert_string_equal(second.log, "d0:added d0:ready d0:bound d0:unbound d0:bound");
	uvdpa_watch_del(&second.w);
	uvdpa_watch_del(&second.w);

	/* Out of its own first callback. */
	second.also_remove = &second.w;
	uvdpa_watch_add(u, &second.w);
	uvdpa_dev_config_changed(&f->dev);
	assert_string_equal(told(), "d0:config");
	assert_null(strstr(second.log, "config"));
}

struct meddler {
	struct uvdpa_watch w;
	unsigned int removed;
	struct scribe late;
};

static void meddler_event(struct uvdpa_watch *w, enum uvdpa_event ev, struct uvdpa_dev *dev)
{
	struct meddler *m = container_of(w, struct meddler, w);

	switch (ev) {
	case UVDPA_DEV_READY:
		if (!m->late.w.event) {
			m->late.w.event = scribe_event;
			uvdpa_watch_add(u, &m->late.w);
		}
		assert_int_equal(uvdpa_dev_bind(dev, "a", NULL, 0, NULL), 0);
		break;
	case UVDPA_DEV_BOUND:
		assert_int_equal(uvdpa_dev_del(dev, NULL), -EINPROGRESS);
		break;
	case UVDPA_DEV_REMOVED:
		assert_null(uvdpa_dev_find(u, "d0"));
		assert_null(uvdpa_dev_next(u, dev));
		assert_int_equal(uvdpa_dev_del(dev, NULL), -EALREADY);
		m->removed++;
		break;
	default:
		break;
	}
}

/* An observer binds and removes from its callbacks; all see each event once and in order. */
static void an_observer_that_meddles(void **state)
{
	struct meddler m = { .w.event = meddler_event };

	(void)state;
	uvdpa_watch_del(&scribe.w);
	uvdpa_watch_add(u, &m.w);
	uvdpa_watch_add(u, &scribe.w);
	fake_add(u, "d0", NULL, NULL, NULL);
	assert_string_equal(told(), "d0:added d0:ready d0:bound d0:unbound d0:removed");
	assert_string_equal(m.late.log, "d0:added d0:ready d0:bound d0:unbound d0:removed");
	assert_int_equal(m.removed, 1);
	assert_int_equal(fakes, 0);
	uvdpa_watch_del(&m.w);
	uvdpa_watch_del(&m.late.w);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(match_and_override),
		TEST(a_move),
		TEST(a_probe_that_fails),
		TEST(devices_that_come_late),
		TEST(one_at_a_time),
		TEST(a_driver_lets_go),
		TEST(waits_end_before_remove),
		TEST(a_driver_that_is_losing_begins_nothing),
		TEST(del_while_busy_is_bounded),
		TEST(a_move_that_cannot_be_drained),
		TEST(removed_while_it_is_being_reset),
		TEST(unbinding_drops_mappings),
		TEST(a_hundred_moves_leave_nothing),
		TEST(observers_come_and_go_in_their_callbacks),
		TEST(an_observer_that_meddles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
