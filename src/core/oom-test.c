/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device's whole life, again and again: each time the next allocation fails, or the next
 * descriptor is one too many. Whatever the failure, nothing is left behind.
 *
 * The allocator is wrapped by the linker, so sanitizers still see what is below it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/fd.h"
#include "core/fake.h"

static unsigned long count, fail_at;	/* 0: none fails */
static long live;

static bool fails(void)
{
	return ++count == fail_at;
}

#define WRAP(type, fn, proto, args)                                                       \
	type __real_##fn proto;                                                           \
	type __wrap_##fn proto;                                                           \
	type __wrap_##fn proto                                                            \
	{                                                                                 \
		type p = fails() ? NULL : __real_##fn args;                               \
                                                                                          \
		live += p != NULL;                                                        \
		return p;                                                                 \
	}

WRAP(void *, malloc, (size_t n), (n))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(char *, strdup, (const char *s), (s))

void __real_free(void *p);
void __wrap_free(void *p);
void __wrap_free(void *p)
{
	live -= p != NULL;
	__real_free(p);
}

#define REWRAP(fn, proto, args)                                                           \
	void *__real_##fn proto;                                                          \
	void *__wrap_##fn proto;                                                          \
	void *__wrap_##fn proto                                                           \
	{                                                                                 \
		bool fresh = !old;                                                        \
		void *p = fails() ? NULL : __real_##fn args;                              \
                                                                                          \
		live += fresh && p;                                                       \
		return p;                                                                 \
	}

REWRAP(realloc, (void *old, size_t n), (old, n))
REWRAP(reallocarray, (void *old, size_t n, size_t size), (old, n, size))

/* A driver's work; stops where it fails. */
static int use(struct uvdpa *u, struct uvdpa_dev *dev, int mem, int event)
{
	struct uvdpa_map map = { 0x1000, 0x1000, mem, 0, NULL, UVDPA_MAP_RW, { 0 } };
	struct uvdpa_vq vq = { .num = 16, .kick = event, .call = event };
	struct uvdpa_wait w = { 0 };
	int r;

	r = uvdpa_dev_map(dev, 0, &map);
	if (!r)
		r = uvdpa_await(u, &w, uvdpa_dev_commit(dev, &w));
	if (!r)
		r = uvdpa_dev_set_features(dev, 1ull << 32);
	if (!r)
		r = uvdpa_dev_set_status(dev, 11);
	if (!r)
		r = uvdpa_dev_set_vq(dev, 0, &vq);
	if (!r)
		r = uvdpa_dev_set_vq_err(dev, 0, event);
	if (!r)
		r = uvdpa_dev_enable_vq(dev, 0);
	if (!r)
		r = uvdpa_dev_set_status(dev, 15);
	map.iova = 0x8000;
	if (!r)
		r = uvdpa_dev_map(dev, 0, &map);
	if (!r)
		r = uvdpa_await(u, &w, uvdpa_dev_commit(dev, &w));
	if (!r)
		r = uvdpa_dev_set_vq_kick(dev, 0, event);
	if (!r)
		r = uvdpa_dev_set_vq_call(dev, 0, event);
	return r;
}

static int life_in(struct uvdpa *u, int mem, int event)
{
	struct uvdpa_attr attr = { "string", "value" }, late[] = { attr, { "late", "on" } };
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "d0", .mgmtdev = "fake",
				    .attrs = &attr, .nattrs = 1, .driver = "a" };
	struct uvdpa_wait w = { 0 };
	struct uvdpa_dev *dev = NULL;
	int r;

	r = uvdpa_parent_register(u, &fake_parent);
	if (!r)
		r = uvdpa_driver_register(u, &fake_a);
	if (!r)
		r = uvdpa_driver_register(u, &fake_b);
	if (!r)
		r = uvdpa_dev_add(u, &o, &dev, &w);
	if (r)
		return r;
	to_fake(dev)->quiesce = FAKE_LATER;
	r = use(u, dev, mem, event);
	if (!r)
		r = uvdpa_dev_set_override(dev, "b");
	if (!r)
		r = uvdpa_await(u, &w, uvdpa_dev_bind(dev, "b", NULL, 0, &w));
	if (!r)
		r = use(u, dev, mem, event);
	if (!r)
		r = uvdpa_await(u, &w, uvdpa_dev_unbind(dev, &w));
	if (r)
		return r;
	r = uvdpa_await(u, &w, uvdpa_dev_del(dev, &w));
	if (r)
		return r;

	o.attrs = late;
	o.nattrs = 2;
	r = uvdpa_dev_add(u, &o, &dev, &w);
	if (r != -EINPROGRESS)
		return r;
	uvdpa_dev_arrived(dev, 0);
	return uvdpa_await(u, &w, r);
}

/* Return: 0 if everything worked. */
static int life(int mem, int event)
{
	struct uvdpa *u = NULL;
	int r = uvdpa_create(&u);

	if (r) {
		assert_null(u);
		return r;
	}
	r = life_in(u, mem, event);
	uvdpa_destroy(u);
	return r;
}

static void every_allocation_fails_in_turn(void **state)
{
	int mem = memfd_create("mem", MFD_CLOEXEC), event = vd_eventfd(), r;
	unsigned int failed = 0, fds;
	long before;

	(void)state;
	assert_int_equal(ftruncate(mem, 0x1000), 0);
	assert_int_equal(life(mem, event), 0);
	fds = open_fds();
	before = live;
	for (fail_at = 1;; fail_at++) {
		count = 0;
		r = life(mem, event);
		/* What fails is said, but for a sentence that is lost itself. */
		assert_true(r == 0 || r == -ENOMEM);
		failed += r != 0;
		assert_int_equal(live, before);
		assert_int_equal(fakes, 0);
		assert_int_equal(fake_bindings, 0);
		assert_int_equal(open_fds(), fds);
		if (count < fail_at)
			break;
	}
	fail_at = 0;
	assert_int_equal(r, 0);
	print_message("%u of %lu allocations were fatal to what asked for them\n", failed, count);
	assert_in_range(failed, 20, count);
	close(mem);
	close(event);
}

static void every_descriptor_is_one_too_many(void **state)
{
	int mem = memfd_create("mem", MFD_CLOEXEC), event = vd_eventfd(), last, r;
	struct rlimit old, limit;
	unsigned int failed = 0, fds = open_fds();
	long before = live;

	(void)state;
	assert_int_equal(ftruncate(mem, 0x1000), 0);
	fds = open_fds();
	last = dup(event);
	close(last);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	limit = old;
	for (limit.rlim_cur = (rlim_t)last;; limit.rlim_cur++) {
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		r = life(mem, event);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_int_equal(live, before);
		assert_int_equal(fakes, 0);
		assert_int_equal(fake_bindings, 0);
		assert_int_equal(open_fds(), fds);
		if (!r)
			break;
		assert_int_equal(r, -EMFILE);
		failed++;
	}
	print_message("%u limits were too low\n", failed);
	assert_in_range(failed, 5, 100);
	close(mem);
	close(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_fails_in_turn),
		cmocka_unit_test(every_descriptor_is_one_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
