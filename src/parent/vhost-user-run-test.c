/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of the vhost-user front-end: a device that runs, is refused, is told lies, and is lost. */
#include "parent/vhost-user-fx.h"

#include <sys/eventfd.h>

static uint64_t count_of(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static unsigned int when(const struct be *b, uint32_t request)
{
	for (unsigned int i = 0; i < b->norder; i++)
		if (b->order[i] == request)
			return i;
	fail_msg("%s was not sent", vd_vu_name(request));
	return 0;
}

/* What a driver does is what the back-end hears; the eventfds are the driver's own. */
static void test_life(void **state)
{
	struct uvdpa_vq_state st;
	struct fx *t = *state;
	struct be *b = &t->be;
	int call = vd_eventfd();

	assert_int_equal(add(t, NULL, NULL), 0);
	b->base[0] = 77;
	start(t, F_V1);
	assert_int_equal(b->last[VD_VU_SET_FEATURES].u64, F_V1 | F_PROTOCOL);
	assert_int_equal(b->last[VD_VU_SET_STATUS].u64, 15);
	assert_int_equal(b->last[VD_VU_ADD_MEM_REG].slot.region.uva, IOVA);
	assert_int_equal(b->last[VD_VU_ADD_MEM_REG].slot.region.size, MEM_LEN);
	assert_int_equal(b->last[VD_VU_SET_VRING_NUM].state.num, 64);
	assert_int_equal(b->last[VD_VU_SET_VRING_ADDR].addr.avail, DRIVER);
	assert_int_equal(b->last[VD_VU_SET_VRING_ADDR].addr.used, DEVICE);
	assert_true(when(b, VD_VU_ADD_MEM_REG) < when(b, VD_VU_SET_VRING_ADDR));
	assert_true(when(b, VD_VU_SET_VRING_CALL) < when(b, VD_VU_SET_VRING_KICK));

	count_of(b->kick[0]);	/* one comes with the start */
	vd_eventfd_signal(t->kick);
	assert_int_equal(count_of(b->kick[0]), 1);
	count_of(t->call);
	vd_eventfd_signal(b->call[0]);
	assert_int_equal(count_of(t->call), 1);

	assert_int_equal(uvdpa_dev_set_vq_call(t->dev, 0, call), 0);
	wait_until(t, b->n[VD_VU_SET_VRING_CALL] == 2);
	count_of(call);
	vd_eventfd_signal(b->call[0]);
	assert_int_equal(count_of(call), 1);
	close(call);

	assert_int_equal(ended(t, uvdpa_dev_disable_vq(t->dev, 0, &t->w)), 0);
	assert_int_equal(uvdpa_dev_get_vq_state(t->dev, 0, &st), 0);
	assert_int_equal(st.avail, 77);
	assert_int_equal(uvdpa_dev_enable_vq(t->dev, 0), 0);
	wait_until(t, b->n[VD_VU_SET_VRING_ENABLE] == 2);
	assert_int_equal(b->last[VD_VU_SET_VRING_BASE].state.num, 77);

	assert_int_equal(ended(t, uvdpa_dev_suspend(t->dev, &t->w)), 0);
	assert_int_equal(uvdpa_dev_resume(t->dev), 0);
	wait_until(t, b->n[VD_VU_SET_VRING_ENABLE] == 3);
	assert_int_equal(ended(t, uvdpa_dev_reset(t->dev, &t->w)), 0);
	wait_until(t, b->last[VD_VU_SET_STATUS].u64 == 0);
	assert_int_equal(b->n[VD_VU_REM_MEM_REG], 0);
	start(t, F_V1);
}

static void test_packed_base(void **state)
{
	struct uvdpa_vq_state st;
	struct fx *t = *state;

	t->be.features |= F_PACKED;
	assert_int_equal(add(t, NULL, NULL), 0);
	t->be.base[0] = 0x8005 | 0x0007u << 16;
	start(t, F_V1 | F_PACKED);
	assert_int_equal(t->be.last[VD_VU_SET_VRING_BASE].state.num, 0x80008000u);
	assert_int_equal(ended(t, uvdpa_dev_suspend(t->dev, &t->w)), 0);
	assert_int_equal(uvdpa_dev_get_vq_state(t->dev, 0, &st), 0);
	assert_int_equal(st.avail, 0x8005);
	assert_int_equal(st.used, 0x0007);
	assert_int_equal(uvdpa_dev_resume(t->dev), 0);
	wait_until(t, t->be.n[VD_VU_SET_VRING_ENABLE] == 2);
	assert_int_equal(t->be.last[VD_VU_SET_VRING_BASE].state.num, t->be.base[0]);
}

/* Without STATUS, and with nothing at all: a reset says what can be said. */
static void test_reset_device(void **state)
{
	struct fx *t = *state;

	t->be.protocol = PROTOCOL_ALL & ~PF(STATUS);
	assert_int_equal(add(t, NULL, NULL), 0);
	start(t, F_V1);
	assert_int_equal(ended(t, uvdpa_dev_reset(t->dev, &t->w)), 0);
	wait_until(t, t->be.n[VD_VU_RESET_DEVICE]);
	assert_int_equal(t->be.n[VD_VU_SET_STATUS], 0);
}

/* A driver with no eventfds kicks through the gate; one that wants none is told so. */
static void test_no_eventfds(void **state)
{
	struct uvdpa_vq vq = { .num = 64, .desc = DESC, .driver = DRIVER, .device = DEVICE,
			       .kick = -1, .call = -1 };
	struct fx *t = *state;

	assert_int_equal(add(t, NULL, NULL), 0);
	start(t, F_V1);
	assert_int_equal(ended(t, uvdpa_dev_disable_vq(t->dev, 0, &t->w)), 0);
	assert_int_equal(uvdpa_dev_set_vq(t->dev, 0, &vq), 0);
	assert_int_equal(uvdpa_dev_enable_vq(t->dev, 0), 0);
	wait_until(t, t->be.n[VD_VU_SET_VRING_ENABLE] == 2);
	assert_true(t->be.kick[0] >= 0);
	count_of(t->be.kick[0]);
	assert_int_equal(uvdpa_dev_kick(t->dev, 0, 0), 0);
	wait_until(t, count_of(t->be.kick[0]));
}

/* As many queues as there can be, all at once: it need not read as fast as we write. */
static void test_many_queues(void **state)
{
	struct uvdpa_vq vq = { .num = 64, .desc = DESC, .driver = DRIVER, .device = DEVICE,
			       .kick = -1, .call = -1 };
	struct fx *t = *state;

	t->be.queue_num = 256;
	assert_int_equal(add(t, NULL, NULL), 0);
	vq.call = t->call;
	map_all(t);
	assert_int_equal(uvdpa_dev_set_status(t->dev, 3), 0);
	assert_int_equal(uvdpa_dev_set_features(t->dev, F_V1), 0);
	assert_int_equal(uvdpa_dev_set_status(t->dev, 11), 0);
	for (unsigned int i = 0; i < 256; i++) {
		assert_int_equal(uvdpa_dev_set_vq(t->dev, i, &vq), 0);
		assert_int_equal(uvdpa_dev_enable_vq(t->dev, i), 0);
	}
	assert_int_equal(uvdpa_dev_set_status(t->dev, 15), 0);
	wait_until(t, t->be.n[VD_VU_SET_VRING_ENABLE] == 256);
	assert_int_equal(ended(t, uvdpa_dev_suspend(t->dev, &t->w)), 0);
	assert_int_equal(t->be.n[VD_VU_GET_VRING_BASE], 256);
	assert_int_equal(t->be.connections, 1);
	assert_int_equal(uvdpa_dev_status(t->dev), 15);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static int map_page(struct fx *t, unsigned int i)
{
	struct uvdpa_map map = { .iova = 0x100000 + 0x10000ull * i, .len = 0x1000, .fd = t->memfd,
				 .offset = 0x1000ull * i, .prot = UVDPA_MAP_RW };

	return uvdpa_dev_map(t->dev, 0, &map);
}

static void test_mem_slots(void **state)
{
	struct fx *t = *state;

	t->be.slots = 3;
	assert_int_equal(add(t, NULL, NULL), 0);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(map_page(t, i), 0);
	assert_int_equal(ended(t, uvdpa_dev_commit(t->dev, &t->w)), 0);
	wait_until(t, t->be.n[VD_VU_ADD_MEM_REG] == 3);
	assert_int_equal(t->be.last[VD_VU_ADD_MEM_REG].slot.region.mmap_offset, 0x2000);
	assert_int_equal(uvdpa_dev_unmap(t->dev, 0, 0x110000, 0x1000), 0);
	assert_int_equal(map_page(t, 3), 0);
	assert_int_equal(ended(t, uvdpa_dev_commit(t->dev, &t->w)), 0);
	wait_until(t, t->be.n[VD_VU_ADD_MEM_REG] == 4);
	assert_int_equal(t->be.n[VD_VU_REM_MEM_REG], 1);
	assert_int_equal(t->be.last[VD_VU_REM_MEM_REG].slot.region.gpa, 0x110000);
	/* One too many: nothing has changed. */
	assert_int_equal(map_page(t, 4), 0);
	assert_int_equal(ended(t, uvdpa_dev_commit(t->dev, &t->w)), -ENOSPC);
	uvdpa_dev_rollback(t->dev);
	assert_int_equal(uvdpa_dev_unmap(t->dev, 0, 0x120000, 0x1000), 0);
	assert_int_equal(ended(t, uvdpa_dev_commit(t->dev, &t->w)), 0);
	wait_until(t, t->be.n[VD_VU_REM_MEM_REG] == 2);
	assert_int_equal(t->be.n[VD_VU_ADD_MEM_REG], 4);
}

static void test_mem_table(void **state)
{
	struct uvdpa_map no_fd = { .iova = 0x900000, .len = 0x1000, .fd = -1, .prot = UVDPA_MAP_RW };
	struct fx *t = *state;
	int r;

	no_fd.addr = t->mem;
	t->be.protocol = PROTOCOL_ALL & ~PF(CONFIGURE_MEM_SLOTS);
	assert_int_equal(add(t, NULL, NULL), 0);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(map_page(t, i), 0);
	assert_int_equal(ended(t, uvdpa_dev_commit(t->dev, &t->w)), 0);
	wait_until(t, t->be.n[VD_VU_SET_MEM_TABLE] == 1);
	assert_int_equal(t->be.last[VD_VU_SET_MEM_TABLE].mem.n, 8);
	assert_int_equal(map_page(t, 8), 0);
	assert_int_equal(ended(t, uvdpa_dev_commit(t->dev, &t->w)), -ENOSPC);
	r = uvdpa_dev_map(t->dev, 0, &no_fd);
	assert_int_equal(r ? r : ended(t, uvdpa_dev_commit(t->dev, &t->w)), -EINVAL);
	assert_non_null(strstr(uvdpa_error(), "0x900000"));
}

/* ---- the configuration space ----------------------------------------------------------------- */

static void back_says(struct fx *t, uint32_t request, uint32_t flags)
{
	uint32_t m[3] = { request, VD_VU_VERSION | flags, 0 };

	assert_int_equal(send(t->be.back, m, sizeof(m), MSG_NOSIGNAL), sizeof(m));
}

static void test_config(void **state)
{
	uint32_t answer[5] = { 0 };
	uint8_t c[4] = { 0 };
	struct fx *t = *state;

	t->be.config[0] = 1;
	assert_int_equal(add(t, NULL, NULL), 0);
	assert_int_equal(uvdpa_dev_get_config(t->dev, 0, c, 4), 0);
	assert_int_equal(c[0], 1);
	t->be.config[0] = 2;
	back_says(t, VD_VU_BACKEND_CONFIG_CHANGE, VD_VU_NEED_REPLY);
	wait_until(t, changed[UVDPA_DEV_CONFIG] == 1);
	assert_int_equal(uvdpa_dev_get_config(t->dev, 0, c, 4), 0);
	assert_int_equal(c[0], 2);
	assert_int_equal(recv(t->be.back, answer, sizeof(answer), MSG_DONTWAIT), sizeof(answer));
	assert_int_equal(answer[1], VD_VU_VERSION | VD_VU_REPLY);
	assert_int_equal(answer[3] | answer[4], 0);

	/* However often it says so, one question at a time. */
	be_forget(&t->be);
	for (unsigned int i = 0; i < 100; i++)
		back_says(t, VD_VU_BACKEND_CONFIG_CHANGE, 0);
	wait_until(t, changed[UVDPA_DEV_CONFIG] >= 2);
	for (unsigned int i = 0; i < 20; i++)
		turn(t);
	assert_in_range(t->be.n[VD_VU_GET_CONFIG], 1, 10);

	c[0] = 9;
	assert_int_equal(uvdpa_dev_set_config(t->dev, 1, c, 1), 0);
	wait_until(t, t->be.n[VD_VU_SET_CONFIG] == 1);
	assert_int_equal(t->be.last[VD_VU_SET_CONFIG].config.offset, 1);
	assert_int_equal(t->be.last[VD_VU_SET_CONFIG].config.data[0], 9);

	/* Nonsense costs the channel, not the device. */
	back_says(t, 99, 0);
	wait_until(t, send(t->be.back, c, 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0);
	assert_true(uvdpa_dev_ready(t->dev));
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void test_refused_vring(void **state)
{
	static const uint32_t requests[] = { VD_VU_SET_VRING_NUM, VD_VU_SET_VRING_BASE,
					     VD_VU_SET_VRING_ADDR, VD_VU_SET_VRING_CALL,
					     VD_VU_SET_VRING_KICK, VD_VU_SET_VRING_ENABLE };
	struct fx *t = *state;

	assert_int_equal(add(t, NULL, NULL), 0);
	for (size_t i = 0; i < VD_ARRAY_SIZE(requests); i++) {
		t->be.at = requests[i];
		t->be.how = NACK;
		be_forget(&t->be);
		start(t, F_V1);
		wait_until(t, uvdpa_dev_status(t->dev) & VIRTIO_CONFIG_S_NEEDS_RESET);
		t->be.how = WELL;
		assert_int_equal(ended(t, uvdpa_dev_reset(t->dev, &t->w)), 0);
	}
	be_forget(&t->be);
	start(t, F_V1);	/* it works again */
	assert_int_equal(uvdpa_dev_status(t->dev), 15);
	assert_int_equal(t->be.connections, 1);
}

static void test_refused_memory(void **state)
{
	struct fx *t = *state;

	assert_int_equal(add(t, "reconnect", "off"), 0);
	t->be.at = VD_VU_ADD_MEM_REG;
	t->be.how = NACK;
	map_all(t);
	wait_until(t, !uvdpa_dev_ready(t->dev));
}

static void test_queue_error(void **state)
{
	struct fx *t = *state;

	assert_int_equal(add(t, NULL, NULL), 0);
	start(t, F_V1);
	vd_eventfd_signal(t->be.err[0]);
	wait_until(t, uvdpa_dev_status(t->dev) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_true(uvdpa_dev_ready(t->dev));
}

/* GET_VRING_BASE is never answered: whoever waits is told in time, and the device can go. */
static void test_base_never(void **state)
{
	struct fx *t = *state;
	uint64_t began;

	assert_int_equal(add(t, NULL, NULL), 0);
	start(t, F_V1);
	t->be.at = VD_VU_GET_VRING_BASE;
	t->be.how = SILENT;
	began = vd_now_ns();
	assert_int_equal(ended(t, uvdpa_dev_disable_vq(t->dev, 0, &t->w)), -ETIMEDOUT);
	assert_true(vd_now_ns() - began < (UVDPA_DRAIN_MS + 1000) * 1000000ull);
	be_hangup(&t->be);
}

static void test_base_hostile(void **state)
{
	struct fx *t = *state;

	for (enum how how = WRONG_ID; how <= CLOSE; how++) {
		t->be.at = 0;
		assert_int_equal(add(t, "reconnect", "off"), 0);
		be_forget(&t->be);
		start(t, F_V1);
		t->be.at = VD_VU_GET_VRING_BASE;
		t->be.how = how;
		assert_int_equal(ended(t, uvdpa_dev_disable_vq(t->dev, 0, &t->w)), 0);
		wait_until(t, !uvdpa_dev_ready(t->dev));
		assert_int_equal(ended(t, uvdpa_dev_del(t->dev, &t->w)), 0);
		wait_until(t, !t->be.connected);
	}
}

/* ---- lost and found -------------------------------------------------------------------------- */

static void lose(struct fx *t)
{
	be_hangup(&t->be);
	be_forget(&t->be);
	t->be.deaf = true;
	wait_until(t, !uvdpa_dev_ready(t->dev));
}

/* Nothing was in flight: everything is said again, and it goes on where it was. */
static void test_reconnect(void **state)
{
	struct fx *t = *state;
	unsigned int fds = 0;

	assert_int_equal(add(t, NULL, NULL), 0);
	start(t, F_V1);
	set_idx(t, DRIVER, 500);
	set_idx(t, DEVICE, 500);
	for (unsigned int i = 0; i < 20; i++) {
		lose(t);
		count_of(t->kick);
		t->be.deaf = false;
		wait_until(t, uvdpa_dev_ready(t->dev) && t->be.n[VD_VU_SET_VRING_ENABLE]);
		assert_int_equal(t->be.last[VD_VU_SET_VRING_BASE].state.num, 500);
		assert_int_equal(t->be.last[VD_VU_SET_FEATURES].u64, F_V1 | F_PROTOCOL);
		assert_int_equal(t->be.last[VD_VU_SET_STATUS].u64, 15);
		assert_int_equal(t->be.n[VD_VU_ADD_MEM_REG], 1);
		assert_true(count_of(t->be.kick[0]));	/* a kick may have been lost with it */
		assert_int_equal(uvdpa_dev_status(t->dev), 15);
		if (i == 0)
			fds = open_fds();
	}
	assert_int_equal(open_fds(), fds);
}

/* Requests were in flight, and end in order: so all before the used index are done. */
static void reconnect_in_order(struct fx *t, uint64_t features)
{
	start(t, features);
	set_idx(t, DRIVER, 510);
	set_idx(t, DEVICE, 500);
	lose(t);
	t->be.deaf = false;
	wait_until(t, uvdpa_dev_ready(t->dev) && t->be.n[VD_VU_SET_VRING_ENABLE]);
	assert_int_equal(t->be.last[VD_VU_SET_VRING_BASE].state.num, 500);
}

static void test_reconnect_in_order(void **state)
{
	struct fx *t = *state;

	t->be.features |= F_IN_ORDER;
	assert_int_equal(add(t, NULL, NULL), 0);
	reconnect_in_order(t, F_V1 | F_IN_ORDER);
}

/* As frames do, without saying so: a queue for them has buffers in flight nearly always. */
static void test_reconnect_network(void **state)
{
	struct fx *t = *state;

	assert_int_equal(add(t, "device_id", "net"), 0);
	reconnect_in_order(t, F_V1);
}

/* Which of them were done nobody knows: not run again by guess. After a reset all is well. */
static void test_reconnect_in_flight(void **state)
{
	static const uint64_t sets[] = { F_V1, F_V1 | F_PACKED };
	struct fx *t = *state;

	t->be.features |= F_PACKED;
	assert_int_equal(add(t, NULL, NULL), 0);
	for (size_t i = 0; i < VD_ARRAY_SIZE(sets); i++) {
		start(t, sets[i]);
		set_idx(t, DRIVER, 510);
		set_idx(t, DEVICE, 500);
		lose(t);
		assert_true(uvdpa_dev_status(t->dev) & VIRTIO_CONFIG_S_NEEDS_RESET);
		t->be.deaf = false;
		wait_until(t, uvdpa_dev_ready(t->dev));
		assert_int_equal(t->be.n[VD_VU_SET_VRING_ENABLE], 0);
		assert_int_equal(ended(t, uvdpa_dev_reset(t->dev, &t->w)), 0);
	}
	start(t, F_V1);
}

/* It went while a queue was being stopped: that is an answer. */
static void test_lost_quiescing(void **state)
{
	struct uvdpa_vq_state st;
	struct fx *t = *state;

	assert_int_equal(add(t, NULL, NULL), 0);
	start(t, F_V1);
	set_idx(t, DRIVER, 9);
	set_idx(t, DEVICE, 9);
	t->be.at = VD_VU_GET_VRING_BASE;
	t->be.how = CLOSE;
	t->be.deaf = false;
	assert_int_equal(ended(t, uvdpa_dev_disable_vq(t->dev, 0, &t->w)), 0);
	assert_int_equal(uvdpa_dev_get_vq_state(t->dev, 0, &st), 0);
	assert_int_equal(st.avail, 9);
}

/* While it is away the driver goes on as if it were not. */
static void test_ops_while_lost(void **state)
{
	struct fx *t = *state;

	assert_int_equal(add(t, NULL, NULL), 0);
	start(t, F_V1);
	lose(t);
	assert_int_equal(ended(t, uvdpa_dev_suspend(t->dev, &t->w)), 0);
	assert_int_equal(ended(t, uvdpa_dev_reset(t->dev, &t->w)), 0);
	assert_int_equal(uvdpa_dev_unmap(t->dev, 0, 0, UINT64_MAX), 0);
	assert_int_equal(ended(t, uvdpa_dev_commit(t->dev, &t->w)), 0);
	t->mapped = false;
	t->be.deaf = false;
	wait_until(t, uvdpa_dev_ready(t->dev));
	assert_int_equal(t->be.n[VD_VU_ADD_MEM_REG], 0);
	start(t, F_V1);
}

/* What the driver wrote into the configuration space is there until the reset, whoever serves. */
static void test_config_written(void **state)
{
	struct fx *t = *state;
	uint8_t c[4];

	memcpy(t->be.config, (uint8_t[]){ 1, 2, 3, 4 }, 4);
	assert_int_equal(add(t, NULL, NULL), 0);
	start(t, F_V1);
	assert_int_equal(uvdpa_dev_set_config(t->dev, 1, (uint8_t[]){ 9 }, 1), 0);
	wait_until(t, t->be.n[VD_VU_SET_CONFIG] == 1);

	/* The answer to a question that is older than what was written says nothing. */
	for (unsigned int i = 0; i < 50; i++)
		turn(t);
	be_forget(&t->be);
	for (uint8_t v = 5; v <= 9; v += 4)
		assert_int_equal(uvdpa_dev_set_config(t->dev, 1, &v, 1), 0);
	for (unsigned int i = 0; i < 50; i++) {
		turn(t);
		assert_int_equal(uvdpa_dev_get_config(t->dev, 1, c, 1), 0);
		assert_int_equal(c[0], 9);
	}
	assert_int_equal(t->be.n[VD_VU_SET_CONFIG], 2);

	/* Another back-end, of another size, which was not told yet. */
	lose(t);
	be_forget(&t->be);
	memset(changed, 0, sizeof(changed));
	memcpy(t->be.config, (uint8_t[]){ 7, 2, 3, 4 }, 4);
	t->be.deaf = false;
	wait_until(t, t->be.n[VD_VU_SET_CONFIG] == 1 && changed[UVDPA_DEV_CONFIG]);
	assert_int_equal(t->be.last[VD_VU_SET_CONFIG].config.offset, 1);
	assert_int_equal(t->be.last[VD_VU_SET_CONFIG].config.size, 1);
	assert_int_equal(t->be.last[VD_VU_SET_CONFIG].config.data[0], 9);
	assert_int_equal(uvdpa_dev_get_config(t->dev, 0, c, 4), 0);
	assert_memory_equal(c, ((uint8_t[]){ 7, 9, 3, 4 }), 4);

	/* The next driver must not find what this one wrote, not even for a moment. */
	t->be.config[1] = 2;
	assert_int_equal(ended(t, uvdpa_dev_reset(t->dev, &t->w)), 0);
	assert_int_equal(uvdpa_dev_get_config(t->dev, 0, c, 4), 0);
	assert_memory_equal(c, ((uint8_t[]){ 7, 2, 3, 4 }), 4);
	be_forget(&t->be);
	start(t, F_V1);
	assert_int_equal(t->be.n[VD_VU_SET_CONFIG], 0);
}

/* What came back is less than what was: it stays lost until the right one comes. */
static void test_reconnect_other(void **state)
{
	struct be *b;
	struct be good;
	struct fx *t = *state;

	b = &t->be;
	b->features |= VD_BIT(6);
	assert_int_equal(add(t, NULL, NULL), 0);
	good = *b;
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int conns;

		lose(t);
		b->features = i == 0 ? F_V1 | F_PROTOCOL : good.features;
		b->queue_num = i == 1 ? 2 : NQ;
		b->protocol = i == 2 ? PROTOCOL_ALL & ~PF(CONFIG) : PROTOCOL_ALL;
		b->config_size = i == 3 ? 20 : 60;
		b->deaf = false;
		conns = b->connections;
		wait_until(t, b->connections == conns + 2);
		assert_false(uvdpa_dev_ready(t->dev));
		b->features = good.features;
		b->queue_num = NQ;
		b->protocol = PROTOCOL_ALL;
		b->config_size = 60;
		wait_until(t, uvdpa_dev_ready(t->dev));
	}
}

/* Dead at each step of coming back. */
static void test_reconnect_hostile(void **state)
{
	static const uint32_t steps[] = { VD_VU_GET_FEATURES, VD_VU_GET_PROTOCOL_FEATURES,
					  VD_VU_GET_QUEUE_NUM, VD_VU_GET_CONFIG,
					  VD_VU_SET_BACKEND_REQ_FD, VD_VU_SET_FEATURES,
					  VD_VU_ADD_MEM_REG, VD_VU_SET_VRING_NUM,
					  VD_VU_SET_VRING_ADDR, VD_VU_SET_VRING_KICK };
	struct fx *t = *state;

	assert_int_equal(add(t, NULL, NULL), 0);
	start(t, F_V1);
	for (size_t i = 0; i < VD_ARRAY_SIZE(steps); i++) {
		lose(t);
		t->be.at = steps[i];
		t->be.how = CLOSE;
		t->be.deaf = false;
		wait_until(t, t->be.n[steps[i]]);
		t->be.at = 0;
		wait_until(t, uvdpa_dev_ready(t->dev) && t->be.n[VD_VU_SET_VRING_ENABLE]);
	}
}

/* A back-end that talks while the device goes. */
static void test_talk_in_teardown(void **state)
{
	struct fx *t = *state;

	assert_int_equal(add(t, NULL, NULL), 0);
	start(t, F_V1);
	for (unsigned int i = 0; i < 50; i++)
		back_says(t, VD_VU_BACKEND_CONFIG_CHANGE, VD_VU_NEED_REPLY);
	assert_int_equal(ended(t, uvdpa_dev_del(t->dev, &t->w)), 0);
	wait_until(t, !t->be.connected);
}

int run_tests_of_running(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_life), T(test_packed_base), T(test_reset_device), T(test_no_eventfds),
		T(test_many_queues),
		T(test_mem_slots), T(test_mem_table), T(test_config), T(test_config_written),
		T(test_refused_vring),
		T(test_refused_memory), T(test_queue_error), T(test_base_never),
		T(test_base_hostile), T(test_reconnect), T(test_reconnect_in_order),
		T(test_reconnect_network),
		T(test_reconnect_in_flight), T(test_lost_quiescing), T(test_ops_while_lost),
		T(test_reconnect_other), T(test_reconnect_hostile), T(test_talk_in_teardown),
	};

	return cmocka_run_group_tests_name("running", tests, NULL, NULL);
}
