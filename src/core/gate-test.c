/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of the gate: what it refuses, with which errno, and what it tells a parent in which order
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/fake.h"

#define F_VERSION_1 (1ull << 32)
#define F_PACKED (1ull << 34)

static struct uvdpa *u;
static struct fake *f;
static struct uvdpa_dev *dev;

static int setup(void **state)
{
	(void)state;
	u = fake_context();
	f = fake_add(u, "d0", NULL, NULL, "a");
	dev = &f->dev;
	while (uvdpa_dispatch(u, 0) > 0)
		;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	f->quiesce = FAKE_AT_ONCE;
	fake_answer(f);
	uvdpa_destroy(u);
	assert_int_equal(fakes, 0);
	assert_int_equal(fake_bindings, 0);
	return 0;
}

static void turn(void)
{
	while (uvdpa_dispatch(u, 0) > 0)
		;
}

/* ---- status and features: the sentences of linux-vdpa, and of virtio 1.3, 2.1 and 3.1 -------- */

static void status_machine(void **state)
{
	static const struct {
		uint8_t set;
		int err;
		uint8_t after;
	} steps[] = {
		{ 0, -EINVAL, 0 },	/* that is reset */
		{ 1, 0, 1 },
		{ 1, 0, 1 },		/* nothing new */
		{ 2, -EINVAL, 1 },	/* clears 1 */
		{ 3, 0, 3 },
		{ 7, -EINVAL, 3 },	/* DRIVER_OK without FEATURES_OK */
		{ 0x13, -EINVAL, 3 },	/* no such bit */
		{ 0x43, -EINVAL, 3 },	/* NEEDS_RESET is the device's */
		{ 11, 0, 11 },
		{ 3, -EINVAL, 11 },
		{ 15, 0, 15 },
		{ 11, -EINVAL, 15 },
		{ 0x8f, 0, 0x8f },	/* FAILED */
		{ 15, -EINVAL, 0x8f },
	};

	(void)state;
	assert_int_equal(uvdpa_dev_set_features(dev, F_VERSION_1), 0);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(steps); i++) {
		assert_int_equal(uvdpa_dev_set_status(dev, steps[i].set), steps[i].err);
		assert_int_equal(uvdpa_dev_status(dev), steps[i].after);
	}
	assert_string_equal(fake_log(f), "features=100000000 status=1 status=3 status=b status=f "
					 "status=8f");
	assert_int_equal(uvdpa_dev_reset(dev, NULL), 0);
	assert_int_equal(uvdpa_dev_status(dev), 0);
}

static void features_are_fixed_at_features_ok(void **state)
{
	(void)state;
	assert_int_equal(uvdpa_dev_set_features(dev, F_VERSION_1 | 1), -EOPNOTSUPP);
	assert_non_null(strstr(uvdpa_error(), "0x1 are not offered"));
	assert_int_equal(uvdpa_dev_set_features(dev, 1ull << 6), 0);
	assert_int_equal(uvdpa_dev_driver_features(dev), 1ull << 6);
	assert_int_equal(uvdpa_dev_features(dev), 0);
	assert_int_equal(uvdpa_dev_set_status(dev, 3), 0);
	assert_int_equal(uvdpa_dev_set_status(dev, 11), -EINVAL);	/* no VERSION_1 */
	assert_int_equal(uvdpa_dev_status(dev), 3);

	f->fail = "features";
	f->fail_err = -EINVAL;
	assert_int_equal(uvdpa_dev_set_features(dev, F_VERSION_1), -EINVAL);
	assert_int_equal(uvdpa_dev_driver_features(dev), 1ull << 6);
	assert_int_equal(uvdpa_dev_set_features(dev, F_VERSION_1), 0);

	f->fail = "status";
	assert_int_equal(uvdpa_dev_set_status(dev, 11), -EINVAL);	/* the device refuses */
	assert_int_equal(uvdpa_dev_status(dev), 3);
	assert_int_equal(uvdpa_dev_features(dev), 0);
	assert_int_equal(uvdpa_dev_set_status(dev, 11), 0);
	assert_int_equal(uvdpa_dev_features(dev), F_VERSION_1);
	assert_int_equal(uvdpa_dev_set_features(dev, F_VERSION_1), -EBUSY);
	assert_int_equal(uvdpa_dev_reset(dev, NULL), 0);
	assert_int_equal(uvdpa_dev_driver_features(dev), 0);
	assert_int_equal(uvdpa_dev_set_features(dev, F_VERSION_1), 0);
}

static void driver_ok_that_is_refused_stops_the_queues(void **state)
{
	struct uvdpa_vq vq = *uvdpa_dev_vq(dev, 0);

	(void)state;
	assert_int_equal(uvdpa_dev_set_features(dev, F_VERSION_1), 0);
	assert_int_equal(uvdpa_dev_set_status(dev, 11), 0);
	assert_int_equal(uvdpa_dev_set_vq(dev, 0, &vq), 0);
	assert_int_equal(uvdpa_dev_enable_vq(dev, 0), 0);
	fake_log(f);
	f->fail = "status";
	f->fail_err = -EIO;
	assert_int_equal(uvdpa_dev_set_status(dev, 15), -EIO);
	assert_string_equal(fake_log(f), "set_vq0 enable0 status=f quiesce* get0");
	assert_int_equal(uvdpa_dev_status(dev), 11);
	assert_int_equal(uvdpa_dev_set_status(dev, 15), 0);
	assert_string_equal(fake_log(f), "set_vq0 enable0 status=f");
}

/* ---- configuration space --------------------------------------------------------------------- */

/* CVE-2022-0998: the sum of offset and length wraps. */
static void config_limits(void **state)
{
	static const struct {
		uint32_t off, len;
		int err;
	} cases[] = {
		{ 0, 0, -EINVAL },	    { 0, 16, 0 },
		{ 0, 17, -EINVAL },	    { 15, 1, 0 },
		{ 16, 1, -EINVAL },	    { 16, 0, -EINVAL },
		{ 8, 8, 0 },		    { 8, 9, -EINVAL },
		{ UINT32_MAX, 1, -EINVAL }, { UINT32_MAX, 2, -EINVAL },
		{ 1, UINT32_MAX, -EINVAL }, { UINT32_MAX, UINT32_MAX, -EINVAL },
	};
	uint8_t buf[16] = { 0 };

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		assert_int_equal(uvdpa_dev_get_config(dev, cases[i].off, buf, cases[i].len),
				 cases[i].err);
		assert_int_equal(uvdpa_dev_set_config(dev, cases[i].off, buf, cases[i].len),
				 cases[i].err);
	}
	f->fail = "set_config";
	f->fail_err = -EOPNOTSUPP;
	assert_int_equal(uvdpa_dev_set_config(dev, 0, buf, 1), -EOPNOTSUPP);
}

static void generation_counts_changes_and_resets(void **state)
{
	uint32_t g = uvdpa_dev_generation(dev);

	(void)state;
	uvdpa_dev_config_changed(dev);
	assert_int_equal(uvdpa_dev_generation(dev), g + 1);
	assert_int_equal(fake_bound->changed[UVDPA_DEV_CONFIG], 0);	/* not from within */
	turn();
	assert_int_equal(fake_bound->changed[UVDPA_DEV_CONFIG], 1);
	assert_int_equal(uvdpa_dev_reset(dev, NULL), 0);
	assert_int_equal(uvdpa_dev_generation(dev), g + 2);
}

/* ---- queues ---------------------------------------------------------------------------------- */

static void ring_programming(void **state)
{
	static const struct {
		uint16_t num;
		int split, packed;
	} sizes[] = {
		{ 0, -EINVAL, -EINVAL }, { 1, -EINVAL, -EINVAL },   { 2, 0, 0 },
		{ 3, -EINVAL, 0 },	 { 255, -EINVAL, 0 },	    { 256, 0, 0 },
		{ 257, -EINVAL, -EINVAL }, { 512, -EINVAL, -EINVAL }, { 32768, -EINVAL, -EINVAL },
		{ 65535, -EINVAL, -EINVAL },
	};
	struct uvdpa_vq vq = { .kick = -1, .call = -1 };
	struct uvdpa_vq_state st;

	(void)state;
	assert_int_equal(uvdpa_dev_vq(dev, 0)->num, FAKE_NUM_MAX);	/* before it was set */
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(sizes); i++) {
		vq.num = sizes[i].num;
		assert_int_equal(uvdpa_dev_set_features(dev, F_VERSION_1), 0);
		assert_int_equal(uvdpa_dev_set_vq(dev, 0, &vq), sizes[i].split);
		assert_int_equal(uvdpa_dev_set_features(dev, F_VERSION_1 | F_PACKED), 0);
		assert_int_equal(uvdpa_dev_set_vq(dev, 0, &vq), sizes[i].packed);
	}
	/* A size that was right for packed rings is looked at again. */
	vq.num = 3;
	assert_int_equal(uvdpa_dev_set_vq(dev, 1, &vq), 0);
	assert_int_equal(uvdpa_dev_set_features(dev, F_VERSION_1), 0);
	assert_int_equal(uvdpa_dev_enable_vq(dev, 1), -EINVAL);

	/* CVE-2020-10723: an index that is right in its lower 16 bits. */
	for (unsigned int i = 0; i < 3; i++) {
		unsigned int idx = i == 0 ? FAKE_VQS : i == 1 ? 0x10000 : UINT32_MAX;

		assert_int_equal(uvdpa_dev_set_vq(dev, idx, &vq), -ENOBUFS);
		assert_int_equal(uvdpa_dev_enable_vq(dev, idx), -ENOBUFS);
		assert_int_equal(uvdpa_dev_disable_vq(dev, idx, NULL), -ENOBUFS);
		assert_int_equal(uvdpa_dev_set_vq_kick(dev, idx, -1), -ENOBUFS);
		assert_int_equal(uvdpa_dev_set_vq_call(dev, idx, -1), -ENOBUFS);
		assert_int_equal(uvdpa_dev_set_vq_err(dev, idx, -1), -ENOBUFS);
		assert_int_equal(uvdpa_dev_get_vq_state(dev, idx, &st), -ENOBUFS);
		assert_int_equal(uvdpa_dev_kick(dev, idx, 0), -ENOBUFS);
		assert_null(uvdpa_dev_vq(dev, idx));
		assert_false(uvdpa_dev_vq_enabled(dev, idx));
	}
}

/* CVE-2026-5747: what a ring is made of, changed after it was checked and put to use. */
static void ring_is_fixed_while_it_runs(void **state)
{
	struct uvdpa_vq vq;
	struct uvdpa_wait w = { 0 };

	(void)state;
	fake_run(f);
	for (unsigned int i = 0; i < 5; i++) {
		vq = *uvdpa_dev_vq(dev, 0);
		vq.num = i == 0 ? 32 : vq.num;
		vq.desc += i == 1 ? 16 : 0;
		vq.driver += i == 2 ? 16 : 0;
		vq.device += i == 3 ? 16 : 0;
		vq.state.avail += i == 4 ? 1 : 0;
		assert_int_equal(uvdpa_dev_set_vq(dev, 0, &vq), -EINVAL);
	}
	vq = *uvdpa_dev_vq(dev, 0);
	assert_int_equal(uvdpa_dev_set_vq(dev, 0, &vq), 0);	/* nothing but what is */
	assert_string_equal(fake_log(f), "");

	/* Suspended it may change, and counts from resume. */
	assert_int_equal(uvdpa_dev_suspend(dev, &w), 0);
	vq.desc = 0x9000;
	vq.state.avail = 7;
	assert_int_equal(uvdpa_dev_set_vq(dev, 0, &vq), 0);
	assert_int_equal(uvdpa_dev_resume(dev), 0);
	assert_string_equal(fake_log(f), "quiesce* get0 get1 set_vq0 enable0 set_vq1 enable1");
	assert_int_equal(f->vqs[0].vq.desc, 0x9000);
	assert_int_equal(f->vqs[0].at.avail, 7);

	/* So may a queue that is not enabled, whatever the others do. */
	vq = *uvdpa_dev_vq(dev, 2);
	vq.desc = 0x5000;
	assert_int_equal(uvdpa_dev_set_vq(dev, 2, &vq), 0);
	assert_int_equal(uvdpa_dev_enable_vq(dev, 2), 0);
	assert_string_equal(fake_log(f), "set_vq2 enable2");
}

static void enable_that_fails(void **state)
{
	(void)state;
	fake_run(f);
	f->fail = "enable";
	f->fail_err = -EBADMSG;
	assert_int_equal(uvdpa_dev_enable_vq(dev, 2), -EBADMSG);
	assert_false(uvdpa_dev_vq_enabled(dev, 2));
	assert_int_equal(uvdpa_dev_status(dev), 15);
	assert_int_equal(uvdpa_dev_enable_vq(dev, 2), 0);
	assert_true(uvdpa_dev_vq_enabled(dev, 2));

	/* At DRIVER_OK it is that queue alone that breaks. */
	assert_int_equal(uvdpa_dev_reset(dev, NULL), 0);
	turn();
	f->fail = "enable";
	assert_int_equal(uvdpa_dev_set_features(dev, F_VERSION_1), 0);
	assert_int_equal(uvdpa_dev_set_status(dev, 11), 0);
	assert_int_equal(uvdpa_dev_enable_vq(dev, 0), 0);
	assert_int_equal(uvdpa_dev_enable_vq(dev, 1), 0);
	fake_log(f);
	assert_int_equal(uvdpa_dev_set_status(dev, 15), 0);
	assert_string_equal(fake_log(f), "set_vq0 enable0 set_vq1 enable1 status=f");
	assert_int_equal(uvdpa_dev_status(dev), 0x4f);
	assert_true(f->vqs[1].running && !f->vqs[0].running);
	turn();
	assert_int_equal(fake_bound->changed[UVDPA_DEV_STATUS], 1);
}

static void state_round_trip(void **state)
{
	struct uvdpa_vq vq = *uvdpa_dev_vq(dev, 0);
	struct uvdpa_vq_state st;
	struct uvdpa_wait w = { 0 };

	(void)state;
	vq.state = (struct uvdpa_vq_state){ 0x8005, 0x8003 };
	assert_int_equal(uvdpa_dev_set_vq(dev, 2, &vq), 0);
	assert_int_equal(uvdpa_dev_get_vq_state(dev, 2, &st), 0);
	assert_int_equal(st.avail, 0x8005);
	assert_int_equal(st.used, 0x8003);

	fake_run(f);
	assert_int_equal(uvdpa_dev_get_vq_state(dev, 0, &st), -EBUSY);
	f->quiesce = FAKE_LATER;
	f->vqs[0].at = (struct uvdpa_vq_state){ 42, 41 };
	assert_int_equal(uvdpa_dev_disable_vq(dev, 0, &w), -EINPROGRESS);
	assert_true(w.pending);
	assert_int_equal(uvdpa_dev_get_vq_state(dev, 0, &st), -EBUSY);
	assert_int_equal(uvdpa_dev_enable_vq(dev, 0), -EBUSY);
	vq = *uvdpa_dev_vq(dev, 0);
	vq.desc += 16;
	assert_int_equal(uvdpa_dev_set_vq(dev, 0, &vq), -EBUSY);
	assert_int_equal(uvdpa_await(u, &w, -EINPROGRESS), 0);
	assert_int_equal(uvdpa_dev_get_vq_state(dev, 0, &st), 0);
	assert_int_equal(st.avail, 42);
	assert_int_equal(st.used, 41);

	/* It goes on from there. */
	assert_int_equal(uvdpa_dev_enable_vq(dev, 0), 0);
	assert_int_equal(f->vqs[0].vq.state.avail, 42);
	assert_string_equal(fake_log(f), "quiesce0 get0 set_vq0 enable0");

	/* What cannot be read is said, until it is set again. */
	f->quiesce = FAKE_AT_ONCE;
	f->fail = "get";
	f->fail_err = -EIO;
	assert_int_equal(uvdpa_dev_disable_vq(dev, 0, &w), 0);
	assert_int_equal(uvdpa_dev_get_vq_state(dev, 0, &st), -EIO);
	vq.state.avail = 1;
	assert_int_equal(uvdpa_dev_set_vq(dev, 0, &vq), 0);
	assert_int_equal(uvdpa_dev_get_vq_state(dev, 0, &st), 0);
	assert_int_equal(st.avail, 1);
}

/* A parent that cannot tell where a queue stood: it does not go on from a guess. */
static void a_state_that_is_not_known(void **state)
{
	struct uvdpa_vq_state st;
	struct uvdpa_wait w = { 0 };
	struct uvdpa_vq vq;

	(void)state;
	fake_run(f);
	f->fail = "get";
	f->fail_err = -EIO;
	assert_int_equal(uvdpa_dev_disable_vq(dev, 0, NULL), 0);
	fake_log(f);
	assert_int_equal(uvdpa_dev_enable_vq(dev, 0), -EIO);
	assert_non_null(strstr(uvdpa_error(), "queue 0: its state could not be read"));
	assert_false(uvdpa_dev_vq_enabled(dev, 0));
	assert_string_equal(fake_log(f), "");
	/* Set anew, be it to what it was before, it runs. */
	vq = *uvdpa_dev_vq(dev, 0);
	assert_int_equal(uvdpa_dev_set_vq(dev, 0, &vq), 0);
	assert_int_equal(uvdpa_dev_enable_vq(dev, 0), 0);
	assert_string_equal(fake_log(f), "set_vq0 enable0");

	/* What the gate itself had stopped for a moment breaks, and its neighbour goes on. */
	f->fail = "get";
	assert_int_equal(uvdpa_dev_suspend(dev, NULL), 0);
	assert_int_equal(uvdpa_dev_get_vq_state(dev, 0, &st), -EIO);
	assert_int_equal(uvdpa_dev_get_vq_state(dev, 1, &st), 0);
	fake_log(f);
	assert_int_equal(uvdpa_dev_resume(dev), 0);
	assert_string_equal(fake_log(f), "set_vq1 enable1");
	assert_int_equal(uvdpa_dev_status(dev), 0x4f);
	/* A set while it is being stopped is too early to count. */
	f->quiesce = FAKE_LATER;
	vq = *uvdpa_dev_vq(dev, 1);
	assert_int_equal(uvdpa_dev_disable_vq(dev, 1, &w), -EINPROGRESS);
	assert_int_equal(uvdpa_dev_set_vq(dev, 1, &vq), 0);
	f->fail = "get";
	assert_int_equal(uvdpa_await(u, &w, -EINPROGRESS), 0);
	assert_int_equal(uvdpa_dev_enable_vq(dev, 1), -EIO);
	f->quiesce = FAKE_AT_ONCE;
	assert_int_equal(uvdpa_dev_reset(dev, NULL), 0);
	fake_run(f);
	assert_true(f->vqs[0].running && f->vqs[1].running);
}

/* ---- suspend --------------------------------------------------------------------------------- */

static void suspend_and_resume(void **state)
{
	struct uvdpa_wait w = { 0 }, w2 = { 0 };
	struct uvdpa_vq_state st;

	(void)state;
	assert_int_equal(uvdpa_dev_suspend(dev, &w), 0);	/* before DRIVER_OK: nothing */
	assert_string_equal(fake_log(f), "");
	fake_run(f);
	assert_true(f->vqs[0].running);

	f->quiesce = FAKE_LATER;
	assert_int_equal(uvdpa_dev_suspend(dev, &w), -EINPROGRESS);
	assert_int_equal(uvdpa_dev_suspend(dev, &w2), -EINPROGRESS);	/* two wait for one */
	assert_int_equal(uvdpa_dev_resume(dev), -EBUSY);
	assert_int_equal(uvdpa_await(u, &w, -EINPROGRESS), 0);
	assert_int_equal(uvdpa_await(u, &w2, -EINPROGRESS), 0);
	assert_int_equal(uvdpa_dev_get_vq_state(dev, 0, &st), 0);
	assert_int_equal(uvdpa_dev_status(dev), 15);

	/* Kicks and new queues wait for resume; the last kick of a queue stands for all. */
	assert_int_equal(uvdpa_dev_kick(dev, 0, 0x10000), 0);
	assert_int_equal(uvdpa_dev_kick(dev, 0, 0x20000), 0);
	assert_int_equal(uvdpa_dev_enable_vq(dev, 3), 0);
	assert_string_equal(fake_log(f), "quiesce* get0 get1");
	assert_int_equal(uvdpa_dev_resume(dev), 0);
	assert_string_equal(fake_log(f), "set_vq0 enable0 kick0=20000 set_vq1 enable1 set_vq3 enable3");
	assert_int_equal(uvdpa_dev_kick(dev, 1, 1), 0);
	assert_string_equal(fake_log(f), "kick1=1");
}

/* ---- quiet, late, or never ------------------------------------------------------------------- */

static unsigned int dones;

static void count(struct uvdpa_wait *w, int err)
{
	assert_false(w->pending);
	assert_int_equal(w->err, err);
	dones++;
}

static void operations_that_wait_for_one_quiet(void **state)
{
	struct uvdpa_wait reset = { .done = count }, again = { .done = count },
			  disable = { .done = count }, suspend = { .done = count };

	(void)state;
	fake_run(f);
	f->quiesce = FAKE_NEVER;
	dones = 0;
	assert_int_equal(uvdpa_dev_disable_vq(dev, 0, &disable), -EINPROGRESS);
	assert_int_equal(uvdpa_dev_suspend(dev, &suspend), -EINPROGRESS);
	assert_int_equal(uvdpa_dev_reset(dev, &reset), -EINPROGRESS);
	assert_int_equal(uvdpa_dev_reset(dev, &again), -EINPROGRESS);
	/* The rest is refused until that is over. */
	assert_int_equal(uvdpa_dev_set_status(dev, 15), -EBUSY);
	assert_int_equal(uvdpa_dev_set_features(dev, 0), -EBUSY);
	assert_int_equal(uvdpa_dev_enable_vq(dev, 1), -EBUSY);
	assert_int_equal(uvdpa_dev_resume(dev), -EBUSY);
	assert_string_equal(fake_log(f), "quiesce0 quiesce1");
	fake_answer(f);
	assert_int_equal(dones, 0);	/* from the loop only */
	turn();
	assert_int_equal(dones, 4);
	assert_int_equal(disable.err | suspend.err | reset.err | again.err, 0);
	assert_string_equal(fake_log(f), "get0 get1 reset");
	assert_int_equal(uvdpa_dev_status(dev), 0);
	uvdpa_dev_quiesced(dev, 0);	/* nobody asked */
	uvdpa_dev_quiesced(dev, UVDPA_VQ_ALL);
	assert_string_equal(fake_log(f), "");
}

static void a_device_that_never_answers(void **state)
{
	struct uvdpa_wait reset = { 0 }, again = { 0 }, disable = { 0 }, commit = { 0 };
	static char page[4096] __attribute__((aligned(4096)));
	struct uvdpa_map map = { 0x10000, sizeof(page), -1, 0, page, UVDPA_MAP_RW, { 0 } };
	uint64_t start = vd_now_ns(), ms;

	(void)state;
	fake_run(f);
	f->quiesce = FAKE_NEVER;
	assert_int_equal(uvdpa_dev_map(dev, 0, &map), 0);
	assert_int_equal(uvdpa_dev_disable_vq(dev, 1, &disable), -EINPROGRESS);
	assert_int_equal(uvdpa_dev_commit(dev, &commit), -EINPROGRESS);
	assert_int_equal(uvdpa_dev_map(dev, 0, &map), -EBUSY);
	assert_int_equal(uvdpa_dev_commit(dev, &again), -EBUSY);
	assert_int_equal(uvdpa_await(u, &commit, -EINPROGRESS), -ETIMEDOUT);
	assert_int_equal(uvdpa_await(u, &disable, -EINPROGRESS), -ETIMEDOUT);
	assert_non_null(strstr(uvdpa_error(), "d0: "));
	ms = (vd_now_ns() - start) / 1000000;
	assert_in_range(ms, UVDPA_DRAIN_MS - 1, UVDPA_DRAIN_MS + 500);
	assert_int_equal(vd_dev_mem(dev, 0)->n, 0);	/* nothing has changed */
	assert_int_equal(uvdpa_dev_get_vq_state(dev, 1, &(struct uvdpa_vq_state){ 0 }), -EBUSY);

	/* When it comes to its senses, queue 0 goes on, and queue 1 stays disabled. */
	fake_log(f);
	fake_answer(f);
	assert_string_equal(fake_log(f), "get0 set_vq0 enable0 get1");
	assert_int_equal(uvdpa_dev_enable_vq(dev, 1), 0);

	start = vd_now_ns();
	assert_int_equal(uvdpa_dev_reset(dev, &reset), -EINPROGRESS);
	assert_int_equal(uvdpa_await(u, &reset, -EINPROGRESS), -ETIMEDOUT);
	ms = (vd_now_ns() - start) / 1000000;
	assert_in_range(ms, UVDPA_DRAIN_MS - 1, UVDPA_DRAIN_MS + 500);
	assert_int_equal(uvdpa_dev_set_status(dev, 15), -EBUSY);
	/* Who asks again waits for the same; then it is done. */
	assert_int_equal(uvdpa_dev_reset(dev, &again), -EINPROGRESS);
	fake_answer(f);
	assert_int_equal(uvdpa_await(u, &again, -EINPROGRESS), 0);
	assert_int_equal(uvdpa_dev_status(dev), 0);
	fake_run(f);
}

/* ---- broken, lost ---------------------------------------------------------------------------- */

static void a_broken_queue_is_quiesced_and_told(void **state)
{
	(void)state;
	fake_run(f);
	f->quiesce = FAKE_NEVER;
	uvdpa_dev_vq_broken(dev, 0);
	uvdpa_dev_vq_broken(dev, 0);
	assert_int_equal(uvdpa_dev_status(dev), 0x4f);
	assert_string_equal(fake_log(f), "quiesce0");
	assert_true(f->vqs[1].running);
	turn();
	assert_int_equal(fake_bound->changed[UVDPA_DEV_STATUS], 1);
	/* A driver that has not seen NEEDS_RESET yet clears nothing by not writing it. */
	assert_int_equal(uvdpa_dev_set_status(dev, 15), 0);
	assert_int_equal(uvdpa_dev_set_status(dev, 0x4f), 0);
	assert_int_equal(uvdpa_dev_status(dev), 0x4f);
	fake_answer(f);
	f->quiesce = FAKE_AT_ONCE;
	assert_int_equal(uvdpa_dev_reset(dev, NULL), 0);
	assert_string_equal(fake_log(f), "get0 quiesce* get1 reset");
	fake_run(f);
	assert_int_equal(uvdpa_dev_status(dev), 15);
}

static void what_was_lost_is_told_again(void **state)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct uvdpa_map map = { 0x10000, sizeof(page), -1, 0, page, UVDPA_MAP_RW, { 0 } };
	struct fake *p = fake_add(u, "p0", "proxy", "on", "b");

	(void)state;
	map.addr = page;
	assert_int_equal(uvdpa_dev_map(&p->dev, 0, &map), 0);
	assert_int_equal(uvdpa_dev_commit(&p->dev, NULL), 0);
	assert_string_equal(fake_log(p), "map0=10000 commit0");
	fake_run(p);
	turn();
	p->vqs[0].at.avail = 5;

	uvdpa_dev_lost(&p->dev);
	uvdpa_dev_lost(&p->dev);
	assert_false(uvdpa_dev_ready(&p->dev));
	turn();
	assert_int_equal(fake_bound->changed[UVDPA_DEV_LOST], 1);
	assert_int_equal(uvdpa_dev_enable_vq(&p->dev, 2), 0);	/* must not fail for it */
	fake_log(p);
	for (unsigned int i = 0; i < FAKE_VQS; i++)
		p->vqs[i].running = false;	/* it is a new one */
	uvdpa_dev_arrived(&p->dev, -ECONNREFUSED);
	assert_false(uvdpa_dev_ready(&p->dev));
	uvdpa_dev_arrived(&p->dev, 0);
	assert_true(uvdpa_dev_ready(&p->dev));
	assert_string_equal(fake_log(p),
			    "get0 get1 get2 features=100000000 status=b map0=10000 commit0 set_vq0 "
			    "enable0 set_vq1 enable1 set_vq2 enable2 status=f");
	assert_int_equal(p->vqs[0].vq.state.avail, 5);
	turn();
	assert_int_equal(fake_bound->changed[UVDPA_DEV_READY], 1);
	assert_int_equal(uvdpa_dev_status(&p->dev), 15);

	/* It comes back without what was negotiated. */
	uvdpa_dev_lost(&p->dev);
	for (unsigned int i = 0; i < FAKE_VQS; i++)
		p->vqs[i].running = false;
	p->fail = "features";
	p->fail_err = -EINVAL;
	uvdpa_dev_arrived(&p->dev, 0);
	assert_int_equal(uvdpa_dev_status(&p->dev), 0x4f);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(status_machine),
		TEST(features_are_fixed_at_features_ok),
		TEST(driver_ok_that_is_refused_stops_the_queues),
		TEST(config_limits),
		TEST(generation_counts_changes_and_resets),
		TEST(ring_programming),
		TEST(ring_is_fixed_while_it_runs),
		TEST(enable_that_fails),
		TEST(state_round_trip),
		TEST(a_state_that_is_not_known),
		TEST(suspend_and_resume),
		TEST(operations_that_wait_for_one_quiet),
		TEST(a_device_that_never_answers),
		TEST(a_broken_queue_is_quiesced_and_told),
		TEST(what_was_lost_is_told_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
