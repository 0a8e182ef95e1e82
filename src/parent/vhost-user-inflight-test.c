/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of the front-end's keeping of a back-end's region for requests in flight. */
#include "parent/vhost-user-fx.h"

#include <sys/mman.h>
#include <sys/stat.h>

#define TRACKED (PROTOCOL_ALL | PF(INFLIGHT_SHMFD))

static int setup_tracked(void **state)
{
	int r = setup(state);
	struct fx *t = *state;

	t->be.protocol = TRACKED;
	t->be.features |= F_PACKED;
	t->be.region = memfd_create("region", MFD_CLOEXEC);
	t->be.region_size = 4096;
	assert_int_equal(ftruncate(t->be.region, 4096), 0);
	return r;
}

static int teardown_tracked(void **state)
{
	struct fx *t = *state;

	vd_close(&t->be.region);
	return teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_tracked, teardown_tracked)

static unsigned int when(const struct be *b, uint32_t request)
{
	for (unsigned int i = 0; i < b->norder; i++)
		if (b->order[i] == request)
			return i;
	fail_msg("%s was not sent", vd_vu_name(request));
	return 0;
}

static bool has_region(const struct be *b)
{
	struct stat a, c;

	return b->inflight >= 0 && !fstat(b->inflight, &a) && !fstat(b->region, &c) &&
	       a.st_ino == c.st_ino;
}

static void lose(struct fx *t)
{
	be_hangup(&t->be);
	be_forget(&t->be);
	t->be.deaf = true;
	wait_until(t, !uvdpa_dev_ready(t->dev));
}

static void come_back(struct fx *t)
{
	t->be.deaf = false;
	wait_until(t, uvdpa_dev_ready(t->dev));
}

/* Features, then the region, then the queues, and only then DRIVER_OK. */
static void test_order(void **state)
{
	struct fx *t = *state;
	struct be *b = &t->be;

	assert_int_equal(add(t, NULL, NULL), 0);
	be_forget(b);
	start(t, F_V1);
	wait_until(t, b->n[VD_VU_SET_STATUS] == 4);
	assert_int_equal(b->last[VD_VU_GET_INFLIGHT_FD].inflight.queues, NQ);
	assert_int_equal(b->last[VD_VU_GET_INFLIGHT_FD].inflight.queue_size, 256);
	assert_true(has_region(b));
	assert_int_equal(b->last[VD_VU_SET_INFLIGHT_FD].inflight.size, 4096);
	assert_int_equal(b->last[VD_VU_SET_INFLIGHT_FD].inflight.queues, NQ);
	assert_true(when(b, VD_VU_SET_FEATURES) < when(b, VD_VU_GET_INFLIGHT_FD));
	assert_true(when(b, VD_VU_SET_INFLIGHT_FD) < when(b, VD_VU_SET_VRING_NUM));
	assert_true(when(b, VD_VU_SET_INFLIGHT_FD) < when(b, VD_VU_SET_VRING_KICK));
	assert_int_equal(b->order[b->norder - 1], VD_VU_SET_STATUS);
	assert_int_equal(b->last[VD_VU_SET_STATUS].u64, 15);
}

/* The next back-end gets what the last one left, and goes on: nobody has to reset anything. */
static void test_left_to_the_next(void **state)
{
	static const uint64_t sets[] = { F_V1, F_V1 | F_PACKED };
	struct fx *t = *state;
	unsigned int fds = 0;

	assert_int_equal(add(t, NULL, NULL), 0);
	for (size_t i = 0; i < VD_ARRAY_SIZE(sets); i++) {
		be_forget(&t->be);
		start(t, sets[i]);
		for (unsigned int k = 0; k < 10; k++) {
			set_idx(t, DRIVER, 510);
			set_idx(t, DEVICE, 500);
			lose(t);
			assert_int_equal(uvdpa_dev_status(t->dev), 15);
			come_back(t);
			wait_until(t, t->be.n[VD_VU_SET_VRING_ENABLE]);
			wait_until(t, t->be.last[VD_VU_SET_STATUS].u64 == 15);
			assert_true(has_region(&t->be));
			assert_int_equal(t->be.n[VD_VU_GET_INFLIGHT_FD], 0);
			assert_true(when(&t->be, VD_VU_SET_INFLIGHT_FD) <
				    when(&t->be, VD_VU_SET_VRING_KICK));
			if (sets[i] == F_V1)
				assert_int_equal(t->be.last[VD_VU_SET_VRING_BASE].state.num, 500);
			if (!fds)
				fds = open_fds();
		}
		assert_int_equal(open_fds(), fds);
		/* After a reset it is another one's. */
		assert_int_equal(ended(t, uvdpa_dev_reset(t->dev, &t->w)), 0);
		be_forget(&t->be);
		start(t, sets[i]);
		assert_int_equal(t->be.n[VD_VU_GET_INFLIGHT_FD], 1);
		assert_int_equal(ended(t, uvdpa_dev_reset(t->dev, &t->w)), 0);
	}
}

/* It has not answered when the driver stops a queue, resets, or when it goes. */
static void test_no_answer(void **state)
{
	struct uvdpa_vq vq = { .num = 64, .desc = DESC, .driver = DRIVER, .device = DEVICE,
			       .kick = -1, .call = -1, .state = { 7, 0 } };
	struct uvdpa_vq_state st;
	struct fx *t = *state;

	assert_int_equal(add(t, NULL, NULL), 0);
	t->be.at = VD_VU_GET_INFLIGHT_FD;
	t->be.how = SILENT;
	map_all(t);
	assert_int_equal(uvdpa_dev_set_status(t->dev, 1), 0);
	assert_int_equal(uvdpa_dev_set_status(t->dev, 3), 0);
	assert_int_equal(uvdpa_dev_set_features(t->dev, F_V1), 0);
	assert_int_equal(uvdpa_dev_set_status(t->dev, 11), 0);
	assert_int_equal(uvdpa_dev_set_vq(t->dev, 0, &vq), 0);
	assert_int_equal(uvdpa_dev_enable_vq(t->dev, 0), 0);
	assert_int_equal(uvdpa_dev_set_status(t->dev, 15), 0);
	wait_until(t, t->be.n[VD_VU_GET_INFLIGHT_FD]);
	for (unsigned int i = 0; i < 20; i++)
		turn(t);
	assert_int_equal(t->be.n[VD_VU_SET_VRING_KICK], 0);
	assert_int_equal(t->be.last[VD_VU_SET_STATUS].u64, 11);
	assert_int_equal(ended(t, uvdpa_dev_disable_vq(t->dev, 0, &t->w)), 0);
	assert_int_equal(uvdpa_dev_get_vq_state(t->dev, 0, &st), 0);
	assert_int_equal(st.avail, 7);
	assert_int_equal(t->be.n[VD_VU_GET_VRING_BASE], 0);
	assert_int_equal(uvdpa_dev_enable_vq(t->dev, 0), 0);
	assert_int_equal(uvdpa_dev_set_vq_call(t->dev, 0, t->call), 0);
	assert_int_equal(uvdpa_dev_kick(t->dev, 0, 0), 0);
	/* Another one answers: as if nothing had been. */
	lose(t);
	assert_int_equal(uvdpa_dev_status(t->dev), 15);
	t->be.at = 0;
	come_back(t);
	wait_until(t, t->be.n[VD_VU_SET_VRING_KICK]);
	assert_int_equal(t->be.last[VD_VU_SET_VRING_BASE].state.num, 7);
	wait_until(t, t->be.last[VD_VU_SET_STATUS].u64 == 15);
	/* Not, and a reset. */
	assert_int_equal(ended(t, uvdpa_dev_reset(t->dev, &t->w)), 0);
	be_forget(&t->be);
	t->be.at = VD_VU_GET_INFLIGHT_FD;
	assert_int_equal(uvdpa_dev_set_features(t->dev, F_V1), 0);
	assert_int_equal(ended(t, uvdpa_dev_reset(t->dev, &t->w)), 0);
	wait_until(t, t->be.n[VD_VU_GET_INFLIGHT_FD]);
}

/* It offers what it then has not, or refuses what it gave: a device without, as any other. */
static void test_without(void **state)
{
	struct fx *t = *state;
	int region = t->be.region;

	t->be.region = -1;
	t->be.region_size = 0;
	assert_int_equal(add(t, NULL, NULL), 0);
	start(t, F_V1);
	assert_int_equal(t->be.n[VD_VU_SET_INFLIGHT_FD], 0);
	assert_int_equal(ended(t, uvdpa_dev_reset(t->dev, &t->w)), 0);
	t->be.region = region;
	t->be.region_size = 4096;
	t->be.at = VD_VU_SET_INFLIGHT_FD;
	t->be.how = NACK;
	for (unsigned int i = 0; i < 2; i++) {
		be_forget(&t->be);
		start(t, F_V1);
		for (unsigned int k = 0; k < 20; k++)
			turn(t);
		assert_int_equal(uvdpa_dev_status(t->dev), 15);
		assert_int_equal(t->be.n[VD_VU_GET_INFLIGHT_FD], !i);	/* once is enough */
		assert_int_equal(ended(t, uvdpa_dev_reset(t->dev, &t->w)), 0);
	}
	start(t, F_V1);
	set_idx(t, DRIVER, 510);
	set_idx(t, DEVICE, 500);
	lose(t);
	assert_true(uvdpa_dev_status(t->dev) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* What another left, and the next cannot take: where the queues stand nobody knows. */
static void test_left_and_refused(void **state)
{
	struct fx *t = *state;
	unsigned int conns;

	assert_int_equal(add(t, NULL, NULL), 0);
	start(t, F_V1);
	set_idx(t, DRIVER, 510);
	set_idx(t, DEVICE, 500);
	lose(t);
	t->be.protocol = PROTOCOL_ALL;	/* cannot at all */
	t->be.deaf = false;
	conns = t->be.connections;
	wait_until(t, t->be.connections == conns + 2);
	assert_false(uvdpa_dev_ready(t->dev));
	t->be.protocol = TRACKED;
	t->be.at = VD_VU_SET_INFLIGHT_FD;
	t->be.how = NACK;
	wait_until(t, uvdpa_dev_status(t->dev) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(ended(t, uvdpa_dev_reset(t->dev, &t->w)), 0);
	be_forget(&t->be);
	start(t, F_V1);
	assert_int_equal(uvdpa_dev_status(t->dev), 15);
}

/* Answers that cannot be end the connection, and leave no descriptor. */
static void test_hostile(void **state)
{
	static const enum how hows[] = { WRONG_ID, NOT_A_REPLY, WRONG_VERSION, TWICE, HALF, CLOSE,
					 WELL, WELL };	/* a size alone, a descriptor alone */
	struct fx *t = *state;
	int region = t->be.region;
	unsigned int fds = 0;

	assert_int_equal(add(t, NULL, NULL), 0);
	start(t, F_V1);
	assert_int_equal(ended(t, uvdpa_dev_reset(t->dev, &t->w)), 0);
	for (size_t i = 0; i < VD_ARRAY_SIZE(hows); i++) {
		unsigned int conns = t->be.connections;

		be_forget(&t->be);
		t->be.at = VD_VU_GET_INFLIGHT_FD;
		t->be.how = hows[i];
		if (i == 6)
			t->be.region = -1;
		if (i == 7)
			t->be.region_size = 0;
		assert_int_equal(uvdpa_dev_set_features(t->dev, F_V1), 0);
		wait_until(t, t->be.n[VD_VU_GET_INFLIGHT_FD]);
		t->be.at = 0;
		t->be.region = region;
		t->be.region_size = 4096;
		wait_until(t, t->be.connections == conns + 1 && uvdpa_dev_ready(t->dev));
		assert_int_equal(ended(t, uvdpa_dev_reset(t->dev, &t->w)), 0);
		start(t, F_V1);
		assert_int_equal(ended(t, uvdpa_dev_reset(t->dev, &t->w)), 0);
		if (!fds)
			fds = open_fds();
		assert_int_equal(open_fds(), fds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_order),	   TEST(test_left_to_the_next), TEST(test_no_answer),
		TEST(test_without),	   TEST(test_left_and_refused), TEST(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
