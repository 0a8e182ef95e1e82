/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of a ring: when it runs, where it goes on, and indices that are none. */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <unistd.h>

#include "driver/vu-fx.h"

static void a_ring_runs_without_status(void **state)
{
	struct bed *b = *state;
	const struct uvdpa_vq *vq = &b->f->vqs[0].vq;

	fe_start(b, NO_STATUS);
	assert_true(b->f->vqs[0].running);
	assert_int_equal(uvdpa_dev_status(&b->f->dev), 0xf);
	assert_int_equal(vq->num, 128);
	assert_true(vq->desc == GPA && vq->driver == GPA + 0x1000 && vq->device == GPA + 0x2000);
	assert_int_equal(vq->state.avail, 7);
	assert_true(vq->kick >= 0 && vq->call >= 0 && !vq->poll);
	/* The others by and by. */
	fe_ring(b, 1, 0);
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(1, 1), -1), 0);
	assert_false(b->f->vqs[1].running);
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_KICK, 1 | VD_VU_VRING_NOFD, -1), 0);
	assert_true(b->f->vqs[1].running && b->f->vqs[1].vq.poll);
	fe_close(b);
	assert_int_equal(uvdpa_dev_status(&b->f->dev), 0);
	assert_int_equal(open_fds(), b->fds);
}

static void a_ring_runs_with_status(void **state)
{
	struct bed *b = *state;

	fe_hello(b, ALL_PF);
	assert_int_equal(fe_get(b, VD_VU_GET_STATUS, 0, 0), 0);
	assert_int_equal(fe_set(b, VD_VU_SET_STATUS, VIRTIO_CONFIG_S_FEATURES_OK, -1), 0);
	assert_int_equal(fe_set_mem(b, GPA, MEM_SIZE, UVA, 0), 0);
	fe_ring(b, 0, 0);
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(0, 1), -1), 0);
	assert_int_equal(fe_set_fd(b, VD_VU_SET_VRING_KICK, 0), 0);
	assert_false(b->f->vqs[0].running);
	assert_int_equal(fe_set(b, VD_VU_SET_STATUS, 0xf, -1), 0);
	assert_true(b->f->vqs[0].running);
	assert_int_equal(fe_set(b, VD_VU_SET_STATUS, 0x100, -1), 1);
	assert_int_equal(fe_set(b, VD_VU_SET_STATUS, 1, -1), 1);	/* takes bits away */
	assert_int_equal(fe_get(b, VD_VU_GET_STATUS, 0, 0), 0xf);

	/* QEMU resets first and asks for the base then. */
	b->f->vqs[0].at.avail = 99;
	assert_int_equal(fe_set(b, VD_VU_SET_STATUS, 0, -1), 0);
	assert_int_equal(fe_get(b, VD_VU_GET_STATUS, 0, 0), 0);
	assert_true(fe_get(b, VD_VU_GET_VRING_BASE, 0, 8) == fe_pair(0, 99));
	assert_int_equal(fe_set(b, VD_VU_SET_FEATURES, V1 | F_PF, -1), 0);
	assert_int_equal(fe_set(b, VD_VU_SET_STATUS, 0xf, -1), 0);
	assert_false(b->f->vqs[0].running);	/* until it is started again */
}

/* A front-end takes STATUS when it is offered, and then must say DRIVER_OK: QEMU's for these types does
 * not. */
static void no_status_of_some_types(void **state)
{
	static const uint32_t ids[] = { VIRTIO_ID_RNG, VIRTIO_ID_CONSOLE };
	struct bed *b = *state;

	for (size_t i = 0; i < VD_ARRAY_SIZE(ids); i++) {
		b->f->dev.info.device_id = ids[i];
		fe_hello(b, NO_STATUS);
		assert_false(fe_get(b, VD_VU_GET_PROTOCOL_FEATURES, 0, 0) & PF(STATUS));
		assert_int_equal(fe_set(b, VD_VU_SET_PROTOCOL_FEATURES, ALL_PF, -1), 1);
		fe_close(b);
	}
}

static void a_ring_stops_and_starts(void **state)
{
	struct bed *b = *state;

	fe_start(b, NO_STATUS);
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_NUM, fe_pair(0, 64), -1), 1);	/* it runs */
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_BASE, fe_pair(0, 1), -1), 1);
	assert_int_equal(fe_set_addr(b, 0, UVA), 1);
	b->f->vqs[0].at.avail = 55;
	assert_true(fe_get(b, VD_VU_GET_VRING_BASE, 0, 8) == fe_pair(0, 55));
	assert_false(b->f->vqs[0].running);
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_NUM, fe_pair(0, 64), -1), 0);
	assert_int_equal(fe_set_fd(b, VD_VU_SET_VRING_KICK, 0), 0);
	assert_true(b->f->vqs[0].running);
	assert_int_equal(b->f->vqs[0].vq.num, 64);
	assert_int_equal(b->f->vqs[0].vq.state.avail, 55);
	b->f->vqs[0].at.avail = 56;
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(0, 0), -1), 0);
	assert_false(b->f->vqs[0].running);
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(0, 1), -1), 0);
	assert_true(b->f->vqs[0].running);
	assert_int_equal(b->f->vqs[0].vq.state.avail, 56);
}

/* The device cannot say where it stopped: not even the same ring goes on from an old base. */
static void a_ring_that_stopped_nobody_knows_where(void **state)
{
	struct bed *b = *state;
	struct vd_vu_msg m;

	fe_start(b, ALL_PF);
	assert_int_equal(fe_set(b, VD_VU_SET_STATUS, 0xf, -1), 0);
	assert_true(b->f->vqs[0].running);
	b->f->fail = "get";
	b->f->fail_err = -EIO;
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(0, 0), -1), 1);
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(0, 1), -1), 1);
	assert_false(b->f->vqs[0].running);
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_BASE, fe_pair(0, 7), -1), 0);
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(0, 1), -1), 0);
	assert_true(b->f->vqs[0].running);
	/* Stopped for a change of memory. */
	b->f->fail = "get";
	assert_int_equal(fe_set_mem(b, GPA + MEM_SIZE, MEM_SIZE, UVA, 0), 1);
	assert_false(b->f->vqs[0].running);
	/* A reset; QEMU asks then, and must not be told an old base. */
	assert_int_equal(fe_set(b, VD_VU_SET_STATUS, 0, -1), 0);
	vd_vu_msg_init(&m, VD_VU_GET_VRING_BASE, 8);
	assert_int_equal(fe_ask(b, &m), GONE);
}

/* DPDK gives the available side's place alone; others both. */
static void a_packed_ring_goes_on(void **state)
{
	static const struct {
		uint32_t base;
		uint16_t avail, used;
	} bases[] = {
		{ 0x8000, 0x8000, 0x8000 },
		{ 0x8007, 0x8007, 0x8007 },
		{ 0x80078007, 0x8007, 0x8007 },
		{ 0x00058007, 0x8007, 5 },
	};
	struct bed *b = *state;

	for (size_t i = 0; i < VD_ARRAY_SIZE(bases); i++) {
		fe_hello(b, NO_STATUS);
		assert_int_equal(fe_set(b, VD_VU_SET_FEATURES,
					V1 | F_PF | 1ull << VIRTIO_F_RING_PACKED, -1), 0);
		assert_int_equal(fe_set_mem(b, GPA, MEM_SIZE, UVA, 0), 0);
		fe_ring(b, 0, bases[i].base);
		assert_int_equal(fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(0, 1), -1), 0);
		assert_int_equal(fe_set_fd(b, VD_VU_SET_VRING_KICK, 0), 0);
		assert_true(b->f->vqs[0].running);
		assert_int_equal(b->f->vqs[0].vq.state.avail, bases[i].avail);
		assert_int_equal(b->f->vqs[0].vq.state.used, bases[i].used);
		fe_close(b);
	}
}

/* DPDK gives base 0 always; where a ring that was in use stands is in its used index. */
static void a_split_ring_goes_on(void **state)
{
	static const struct {
		uint32_t base;
		uint16_t used, at;
	} bases[] = { { 0, 0, 0 }, { 0, 7, 7 }, { 0, 65535, 65535 }, { 7, 7, 7 }, { 7, 5, 7 } };
	struct bed *b = *state;

	for (size_t i = 0; i < VD_ARRAY_SIZE(bases); i++) {
		uint16_t used[2] = { 0, htole16(bases[i].used) };

		assert_int_equal(pwrite(b->mem, used, sizeof(used), 0x2000), sizeof(used));
		fe_hello(b, NO_STATUS);
		assert_int_equal(fe_set_mem(b, GPA, MEM_SIZE, UVA, 0), 0);
		fe_ring(b, 0, bases[i].base);
		assert_int_equal(fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(0, 1), -1), 0);
		assert_int_equal(fe_set_fd(b, VD_VU_SET_VRING_KICK, 0), 0);
		assert_true(b->f->vqs[0].running);
		assert_int_equal(b->f->vqs[0].vq.state.avail, bases[i].at);
		fe_close(b);
	}
}

/* CVE-2020-10723: an index that is right in its low 16 bits only. */
static void queue_indices(void **state)
{
	static const uint32_t indices[] = { FAKE_VQS, 255, 256, 0x10000, 0x10001, 0x80000000,
					    UINT32_MAX };
	struct bed *b = *state;

	fe_hello(b, NO_STATUS);
	for (size_t i = 0; i < VD_ARRAY_SIZE(indices); i++) {
		uint32_t idx = indices[i];
		struct vd_vu_msg m;

		assert_int_equal(fe_set(b, VD_VU_SET_VRING_NUM, fe_pair(idx, 8), -1), 1);
		assert_int_equal(fe_set(b, VD_VU_SET_VRING_BASE, fe_pair(idx, 0), -1), 1);
		assert_int_equal(fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(idx, 1), -1), 1);
		assert_int_equal(fe_set_addr(b, idx, UVA), 1);
		if (!(idx & VD_VU_VRING_NOFD)) {
			assert_int_equal(fe_set_fd(b, VD_VU_SET_VRING_KICK, idx), 1);
			assert_int_equal(fe_set_fd(b, VD_VU_SET_VRING_CALL, idx), 1);
			assert_int_equal(fe_set_fd(b, VD_VU_SET_VRING_ERR, idx), 1);
		}
		assert_int_equal(fe_set_fd(b, VD_VU_SET_VRING_CALL, 1ull << 32), 1);
		vd_vu_msg_init(&m, VD_VU_GET_VRING_BASE, 8);
		m.state.index = idx;
		assert_int_equal(fe_ask(b, &m), GONE);	/* its reply could not say so */
		fe_close(b);
		fe_hello(b, NO_STATUS);
	}
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_NUM, fe_pair(0, 0), -1), 1);
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_NUM, fe_pair(0, FAKE_NUM_MAX + 1), -1), 1);
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_NUM, fe_pair(0, 0x10080), -1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FE_TEST(a_ring_runs_without_status),
		FE_TEST(a_ring_runs_with_status),
		FE_TEST(no_status_of_some_types),
		FE_TEST(a_ring_stops_and_starts),
		FE_TEST(a_ring_that_stopped_nobody_knows_where),
		FE_TEST(a_packed_ring_goes_on),
		FE_TEST(a_split_ring_goes_on),
		FE_TEST(queue_indices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
