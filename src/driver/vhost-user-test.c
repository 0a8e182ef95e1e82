/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of the vhost-user server: a scripted front-end against a device that is told how to behave. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/virtio_config.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/unix.h"
#include "core/fake.h"
#include "wire/vhost-user.h"

#define PF(name) (1ull << VD_VU_PF_##name)
#define ALL_PF (PF(MQ) | PF(REPLY_ACK) | PF(BACKEND_REQ) | PF(CONFIG) | PF(RESET_DEVICE) | \
		PF(CONFIGURE_MEM_SLOTS) | PF(STATUS))
#define NO_STATUS (ALL_PF & ~PF(STATUS))
#define F_PF (1ull << VD_VU_F_PROTOCOL_FEATURES)
#define V1 (1ull << VIRTIO_F_VERSION_1)

#define MEM_SIZE (1u << 20)
#define UVA 0x7f0000000000ull
#define GPA 0x100000ull

struct bed {
	struct uvdpa *u;
	struct fake *f;
	char path[64];
	struct vd_vu_conn c;	/* the front-end's end */
	int mem;
	unsigned int fds;	/* open before a front-end came */
};

static void pump(struct bed *b)
{
	for (int idle = 0; idle < 3;)
		idle = uvdpa_dispatch(b->u, 0) ? 0 : idle + 1;
}

static int fe_socket(const struct bed *b)
{
	int s = vd_unix_connect(b->path, 0);

	assert_true(s >= 0);
	return s;
}

static void fe_connect(struct bed *b)
{
	vd_vu_conn_init(&b->c, fe_socket(b), false);
	pump(b);
}

static void fe_close(struct bed *b)
{
	vd_vu_conn_fini(&b->c);
	pump(b);
}

static void bind_with(struct bed *b, const char *key, const char *value)
{
	struct uvdpa_attr a[] = { { "socket", b->path }, { key, value } };
	struct uvdpa_wait w = { 0 };
	int r = uvdpa_dev_bind(&b->f->dev, "vhost-user", a, key ? 2 : 1, &w);

	assert_int_equal(uvdpa_await(b->u, &w, r), 0);
}

static int setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	snprintf(b->path, sizeof(b->path), "/tmp/uvdpa-vu-test.%d", (int)getpid());
	unlink(b->path);
	b->u = fake_context();
	uvdpa_set_log(b->u, NULL, UVDPA_LOG_ERR);
	b->f = fake_add(b->u, "d0", NULL, NULL, NULL);
	b->mem = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(b->mem, MEM_SIZE), 0);
	bind_with(b, NULL, NULL);
	pump(b);
	b->fds = open_fds();
	b->c.fd = -1;
	vd_list_init(&b->c.out);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	vd_vu_conn_fini(&b->c);
	fake_answer(b->f);
	uvdpa_destroy(b->u);
	assert_int_equal(access(b->path, F_OK), -1);
	assert_int_equal(fakes, 0);
	close(b->mem);
	free(b);
	return 0;
}

/* What a message ends in, seen from the front-end. */
enum { NONE = 2, GONE = -1 };	/* else the reply, whose u64 is in *ret if not NULL */

static int read_reply(struct bed *b, struct vd_vu_msg *m)
{
	int r;

	pump(b);
	r = vd_vu_recv(&b->c, m);
	return r == 1 ? 1 : r == 0 ? NONE : GONE;
}

/* Send @m; with its descriptors, which stay the caller's. */
static int ask_msg(struct bed *b, struct vd_vu_msg *m)
{
	if (vd_vu_send(&b->c, m) < 0)
		return GONE;
	return read_reply(b, m);
}

/* A message of one u64, or of two u32, to be acknowledged. Return: 0, 1, NONE, GONE. */
static int set(struct bed *b, uint32_t request, uint64_t v, int fd)
{
	struct vd_vu_msg m;
	int r;

	vd_vu_msg_init(&m, request, 8);
	m.flags |= VD_VU_NEED_REPLY;
	m.u64 = v;
	if (fd >= 0)
		m.fds[m.nfds++] = fd;
	r = ask_msg(b, &m);
	if (r != 1)
		return r;
	assert_int_equal(m.request, request);
	assert_int_equal(m.size, 8);
	return m.u64 != 0;
}

static uint64_t pair(uint32_t index, uint32_t num)
{
	return index | (uint64_t)num << 32;
}

static uint64_t get(struct bed *b, uint32_t request, uint64_t v, uint32_t size)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, request, size);
	m.u64 = v;
	assert_int_equal(ask_msg(b, &m), 1);
	assert_int_equal(m.request, request);
	assert_int_equal(m.size, 8);
	return m.u64;
}

static int set_mem(struct bed *b, uint64_t gpa, uint64_t size, uint64_t uva, uint64_t off)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, VD_VU_SET_MEM_TABLE, 8 + 32);
	m.flags |= VD_VU_NEED_REPLY;
	m.mem.n = 1;
	m.mem.regions[0] = (struct vd_vu_region){ gpa, size, uva, off };
	m.fds[m.nfds++] = b->mem;
	return ask_msg(b, &m) == 1 ? m.u64 != 0 : GONE;
}

static int slot(struct bed *b, uint32_t request, uint64_t gpa, uint64_t size, uint64_t uva,
		uint64_t off)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, request, 40);
	m.flags |= VD_VU_NEED_REPLY;
	m.slot.region = (struct vd_vu_region){ gpa, size, uva, off };
	if (request == VD_VU_ADD_MEM_REG)
		m.fds[m.nfds++] = b->mem;
	return ask_msg(b, &m) == 1 ? m.u64 != 0 : GONE;
}

static int set_addr(struct bed *b, uint32_t idx, uint64_t desc)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, VD_VU_SET_VRING_ADDR, 40);
	m.flags |= VD_VU_NEED_REPLY;
	m.addr = (struct vd_vu_vring_addr){ .index = idx, .desc = desc, .avail = desc + 0x1000,
					    .used = desc + 0x2000 };
	return ask_msg(b, &m) == 1 ? m.u64 != 0 : GONE;
}

/* Up to agreed features. */
static void hello(struct bed *b, uint64_t pf)
{
	struct vd_vu_msg m;

	fe_connect(b);
	assert_true(get(b, VD_VU_GET_FEATURES, 0, 0) & F_PF);
	assert_true((get(b, VD_VU_GET_PROTOCOL_FEATURES, 0, 0) & pf) == pf);
	vd_vu_msg_init(&m, VD_VU_SET_PROTOCOL_FEATURES, 8);
	m.u64 = pf;
	assert_int_equal(ask_msg(b, &m), NONE);
	assert_int_equal(set(b, VD_VU_SET_FEATURES, V1 | F_PF, -1), 0);
}

/* A ring, ready to be started. */
static void ring(struct bed *b, uint32_t idx, uint32_t base)
{
	assert_int_equal(set(b, VD_VU_SET_VRING_NUM, pair(idx, 128), -1), 0);
	assert_int_equal(set(b, VD_VU_SET_VRING_BASE, pair(idx, base), -1), 0);
	assert_int_equal(set_addr(b, idx, UVA + 0x10000u * idx), 0);
}

static int set_fd(struct bed *b, uint32_t request, uint64_t v)
{
	int fd = vd_eventfd(), r = set(b, request, v, fd);

	close(fd);
	return r;
}

/* Up to a running ring 0. */
static void start(struct bed *b, uint64_t pf)
{
	hello(b, pf);
	assert_int_equal(set_mem(b, GPA, MEM_SIZE, UVA, 0), 0);
	ring(b, 0, 7);
	assert_int_equal(set_fd(b, VD_VU_SET_VRING_CALL, 0), 0);
	assert_int_equal(set(b, VD_VU_SET_VRING_ENABLE, pair(0, 1), -1), 0);
	assert_int_equal(set_fd(b, VD_VU_SET_VRING_KICK, 0), 0);
}

/* ---- the life of a front-end ------------------------------------------------------------------ */

static void a_ring_runs_without_status(void **state)
{
	struct bed *b = *state;
	const struct uvdpa_vq *vq = &b->f->vqs[0].vq;

	start(b, NO_STATUS);
	assert_true(b->f->vqs[0].running);
	assert_int_equal(uvdpa_dev_status(&b->f->dev), 0xf);
	assert_int_equal(vq->num, 128);
	assert_true(vq->desc == GPA && vq->driver == GPA + 0x1000 && vq->device == GPA + 0x2000);
	assert_int_equal(vq->state.avail, 7);
	assert_true(vq->kick >= 0 && vq->call >= 0 && !vq->poll);
	/* The others by and by. */
	ring(b, 1, 0);
	assert_int_equal(set(b, VD_VU_SET_VRING_ENABLE, pair(1, 1), -1), 0);
	assert_false(b->f->vqs[1].running);
	assert_int_equal(set(b, VD_VU_SET_VRING_KICK, 1 | VD_VU_VRING_NOFD, -1), 0);
	assert_true(b->f->vqs[1].running && b->f->vqs[1].vq.poll);
	fe_close(b);
	assert_int_equal(uvdpa_dev_status(&b->f->dev), 0);
	assert_int_equal(open_fds(), b->fds);
}

static void a_ring_runs_with_status(void **state)
{
	struct bed *b = *state;

	hello(b, ALL_PF);
	assert_int_equal(get(b, VD_VU_GET_STATUS, 0, 0), 0);
	assert_int_equal(set(b, VD_VU_SET_STATUS, VIRTIO_CONFIG_S_FEATURES_OK, -1), 0);
	assert_int_equal(set_mem(b, GPA, MEM_SIZE, UVA, 0), 0);
	ring(b, 0, 0);
	assert_int_equal(set(b, VD_VU_SET_VRING_ENABLE, pair(0, 1), -1), 0);
	assert_int_equal(set_fd(b, VD_VU_SET_VRING_KICK, 0), 0);
	assert_false(b->f->vqs[0].running);
	assert_int_equal(set(b, VD_VU_SET_STATUS, 0xf, -1), 0);
	assert_true(b->f->vqs[0].running);
	assert_int_equal(set(b, VD_VU_SET_STATUS, 0x100, -1), 1);
	assert_int_equal(set(b, VD_VU_SET_STATUS, 1, -1), 1);	/* takes bits away */
	assert_int_equal(get(b, VD_VU_GET_STATUS, 0, 0), 0xf);

	/* QEMU resets first and asks for the base then. */
	b->f->vqs[0].at.avail = 99;
	assert_int_equal(set(b, VD_VU_SET_STATUS, 0, -1), 0);
	assert_int_equal(get(b, VD_VU_GET_STATUS, 0, 0), 0);
	assert_true(get(b, VD_VU_GET_VRING_BASE, 0, 8) == pair(0, 99));
	assert_int_equal(set(b, VD_VU_SET_FEATURES, V1 | F_PF, -1), 0);
	assert_int_equal(set(b, VD_VU_SET_STATUS, 0xf, -1), 0);
	assert_false(b->f->vqs[0].running);	/* until it is started again */
}

static void a_ring_stops_and_starts(void **state)
{
	struct bed *b = *state;

	start(b, NO_STATUS);
	assert_int_equal(set(b, VD_VU_SET_VRING_NUM, pair(0, 64), -1), 1);	/* it runs */
	assert_int_equal(set(b, VD_VU_SET_VRING_BASE, pair(0, 1), -1), 1);
	assert_int_equal(set_addr(b, 0, UVA), 1);
	b->f->vqs[0].at.avail = 55;
	assert_true(get(b, VD_VU_GET_VRING_BASE, 0, 8) == pair(0, 55));
	assert_false(b->f->vqs[0].running);
	assert_int_equal(set(b, VD_VU_SET_VRING_NUM, pair(0, 64), -1), 0);
	assert_int_equal(set_fd(b, VD_VU_SET_VRING_KICK, 0), 0);
	assert_true(b->f->vqs[0].running);
	assert_int_equal(b->f->vqs[0].vq.num, 64);
	assert_int_equal(b->f->vqs[0].vq.state.avail, 55);
	b->f->vqs[0].at.avail = 56;
	assert_int_equal(set(b, VD_VU_SET_VRING_ENABLE, pair(0, 0), -1), 0);
	assert_false(b->f->vqs[0].running);
	assert_int_equal(set(b, VD_VU_SET_VRING_ENABLE, pair(0, 1), -1), 0);
	assert_true(b->f->vqs[0].running);
	assert_int_equal(b->f->vqs[0].vq.state.avail, 56);
}

static void features_change_with_the_guest(void **state)
{
	struct bed *b = *state;

	start(b, NO_STATUS);
	assert_int_equal(set(b, VD_VU_SET_FEATURES, V1 | F_PF, -1), 0);
	assert_int_equal(set(b, VD_VU_SET_FEATURES, V1 | F_PF | 1u << 6, -1), 1);	/* it runs */
	assert_int_equal(set(b, VD_VU_SET_FEATURES, 1ull << 63, -1), 1);
	get(b, VD_VU_GET_VRING_BASE, 0, 8);
	assert_int_equal(set(b, VD_VU_SET_FEATURES, V1 | F_PF | 1u << 6, -1), 0);
	assert_true(b->f->features & 1u << 6);
	assert_int_equal(set_fd(b, VD_VU_SET_VRING_KICK, 0), 0);
	assert_true(b->f->vqs[0].running);
}

/* No reply before the last request is home; what comes in between waits. */
static void requests_come_home_first(void **state)
{
	struct bed *b = *state;
	struct vd_vu_msg m;

	start(b, NO_STATUS);
	b->f->quiesce = FAKE_NEVER;
	vd_vu_msg_init(&m, VD_VU_GET_VRING_BASE, 8);
	assert_int_equal(ask_msg(b, &m), NONE);
	vd_vu_msg_init(&m, VD_VU_GET_FEATURES, 0);
	assert_int_equal(ask_msg(b, &m), NONE);
	fake_answer(b->f);
	assert_int_equal(read_reply(b, &m), 1);
	assert_int_equal(m.request, VD_VU_GET_VRING_BASE);
	assert_int_equal(read_reply(b, &m), 1);
	assert_int_equal(m.request, VD_VU_GET_FEATURES);
}

/* The device is late for the one front-end; the next one is served as soon as it is not. */
static void the_next_one_waits_for_the_reset(void **state)
{
	struct bed *b = *state;
	struct vd_vu_msg m;

	start(b, NO_STATUS);
	b->f->quiesce = FAKE_NEVER;
	fe_close(b);
	fe_connect(b);
	vd_vu_msg_init(&m, VD_VU_GET_FEATURES, 0);
	assert_int_equal(ask_msg(b, &m), NONE);
	assert_int_equal(uvdpa_dev_status(&b->f->dev), 0xf);
	b->f->quiesce = FAKE_AT_ONCE;
	fake_answer(b->f);
	assert_int_equal(read_reply(b, &m), 1);
	assert_int_equal(uvdpa_dev_status(&b->f->dev), 0);
}

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
			start(b, NO_STATUS);
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
		bind_with(b, NULL, NULL);
		assert_int_equal(open_fds(), b->fds);
	}
}

/* It dies after each message of the handshake, and in the middle of one; the next is served. */
static void a_front_end_dies_anywhere(void **state)
{
	static const uint8_t part[] = { VD_VU_SET_MEM_TABLE, 0, 0, 0, 1, 0, 0, 0, 40 };
	struct bed *b = *state;

	for (int i = 0; i < 9; i++) {
		fe_connect(b);
		if (i > 0)
			get(b, VD_VU_GET_FEATURES, 0, 0);
		if (i > 1)
			(void)set(b, VD_VU_SET_PROTOCOL_FEATURES, NO_STATUS, -1);
		if (i > 2)
			assert_int_equal(set(b, VD_VU_SET_FEATURES, V1 | F_PF, -1), 0);
		if (i > 3)
			assert_int_equal(set_mem(b, GPA, MEM_SIZE, UVA, 0), 0);
		if (i > 4)
			ring(b, 0, 0);
		if (i > 5)
			set_fd(b, VD_VU_SET_VRING_CALL, 0);
		if (i > 6)
			set_fd(b, VD_VU_SET_VRING_KICK, 0);
		if (i > 7)
			set(b, VD_VU_SET_VRING_ENABLE, pair(0, 1), -1);
		assert_int_equal(write(b->c.fd, part, (size_t)(i % 9) + 1), i % 9 + 1);
		pump(b);
		fe_close(b);
		assert_int_equal(uvdpa_dev_status(&b->f->dev), 0);
		assert_int_equal(open_fds(), b->fds);
	}
}

/* ---- what is refused ------------------------------------------------------------------------------ */

/* CVE-2020-10723: an index that is right in its low 16 bits only. */
static void queue_indices(void **state)
{
	static const uint32_t indices[] = { FAKE_VQS, 255, 256, 0x10000, 0x10001, 0x80000000,
					    UINT32_MAX };
	struct bed *b = *state;

	hello(b, NO_STATUS);
	for (size_t i = 0; i < VD_ARRAY_SIZE(indices); i++) {
		uint32_t idx = indices[i];
		struct vd_vu_msg m;

		assert_int_equal(set(b, VD_VU_SET_VRING_NUM, pair(idx, 8), -1), 1);
		assert_int_equal(set(b, VD_VU_SET_VRING_BASE, pair(idx, 0), -1), 1);
		assert_int_equal(set(b, VD_VU_SET_VRING_ENABLE, pair(idx, 1), -1), 1);
		assert_int_equal(set_addr(b, idx, UVA), 1);
		if (!(idx & VD_VU_VRING_NOFD)) {
			assert_int_equal(set_fd(b, VD_VU_SET_VRING_KICK, idx), 1);
			assert_int_equal(set_fd(b, VD_VU_SET_VRING_CALL, idx), 1);
			assert_int_equal(set_fd(b, VD_VU_SET_VRING_ERR, idx), 1);
		}
		assert_int_equal(set_fd(b, VD_VU_SET_VRING_CALL, 1ull << 32), 1);
		vd_vu_msg_init(&m, VD_VU_GET_VRING_BASE, 8);
		m.state.index = idx;
		assert_int_equal(ask_msg(b, &m), GONE);	/* its reply could not say so */
		fe_close(b);
		hello(b, NO_STATUS);
	}
	assert_int_equal(set(b, VD_VU_SET_VRING_NUM, pair(0, 0), -1), 1);
	assert_int_equal(set(b, VD_VU_SET_VRING_NUM, pair(0, FAKE_NUM_MAX + 1), -1), 1);
	assert_int_equal(set(b, VD_VU_SET_VRING_NUM, pair(0, 0x10080), -1), 1);
}

/* CVE-2019-14818: many times the same message; CVE-2022-0669: descriptors of refused ones. */
static void repeated_messages_cost_nothing(void **state)
{
	struct bed *b = *state;
	struct vd_vu_msg m;
	unsigned int fds;

	start(b, NO_STATUS);
	fds = open_fds();
	vd_vu_msg_init(&m, VD_VU_SET_VRING_NUM, 8);
	m.state = (struct vd_vu_vring_state){ 1, 8 };
	for (int i = 0; i < 100000; i++) {
		while (vd_vu_send(&b->c, &m) == 1)
			while (vd_vu_flush(&b->c) == 1)
				uvdpa_dispatch(b->u, 0);
		if (i % 64 == 0)
			uvdpa_dispatch(b->u, 0);
	}
	pump(b);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(set_fd(b, VD_VU_SET_VRING_CALL, i % FAKE_VQS), 0);
		assert_int_equal(set_fd(b, VD_VU_SET_VRING_KICK, 0), 0);
		assert_int_equal(set_fd(b, VD_VU_SET_VRING_CALL, 200), 1);
		assert_int_equal(set(b, VD_VU_SET_VRING_CALL, 0, b->mem), 1);	/* not an eventfd */
		assert_int_equal(set_mem(b, GPA, MEM_SIZE + 1, UVA, 0), 1);
	}
	assert_true(open_fds() <= fds + FAKE_VQS);
	fe_close(b);
	assert_int_equal(open_fds(), b->fds);
}

/* CVE-2020-10722 and its like: sums that wrap, files that are shorter. Nothing changes by them. */
static void memory_regions(void **state)
{
	static const struct {
		uint64_t gpa, size, uva, off;
		int r;
	} cases[] = {
		{ 0, 0, 0, 0, 1 },
		{ 0, MEM_SIZE + 1, 0, 0, 1 },
		{ 0, MEM_SIZE, 0, 1, 1 },
		{ 0, 4096, 0, UINT64_MAX - 4095, 1 },
		{ 0, UINT64_MAX, 0, 0, 1 },
		{ 0, 1ull << 63, 0, 1ull << 63, 1 },
		{ UINT64_MAX - 4095, 4096, 0, 0, 1 },
		{ UINT64_MAX, 4096, 0, 0, 1 },
		{ 0, 4096, UINT64_MAX - 4094, 0, 1 },
		{ 0, 4096, UINT64_MAX, 0, 1 },
		{ GPA, 4096, 0, MEM_SIZE - 4096, 0 },
		{ GPA, MEM_SIZE, 0, 0, 0 },
		{ 1ull << 30, 4096, 1ull << 46, 4096, 0 },
		{ GPA, MEM_SIZE, UVA, 0, 0 },
	};
	struct bed *b = *state;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), mem = b->mem;

	start(b, NO_STATUS);
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		int r = set_mem(b, cases[i].gpa, cases[i].size, cases[i].uva, cases[i].off);

		if (r != cases[i].r)
			fail_msg("case %zu: %d", i, r);
		if (r)
			assert_true(b->f->vqs[0].running);
	}
	assert_true(b->f->vqs[0].running);	/* its memory is back */
	b->mem = null;
	assert_int_equal(set_mem(b, GPA, 4096, UVA, 0), 1);
	b->mem = mem;
	close(null);
	assert_true(b->f->vqs[0].running);
}

static void memory_slots(void **state)
{
	struct bed *b = *state;

	start(b, NO_STATUS);
	assert_int_equal(get(b, VD_VU_GET_MAX_MEM_SLOTS, 0, 0), VD_VU_SLOTS_MAX);
	assert_int_equal(slot(b, VD_VU_ADD_MEM_REG, GPA + 4096, 4096, 4096, 0), 1);	/* gpa */
	assert_int_equal(slot(b, VD_VU_ADD_MEM_REG, 0, 4096, UVA + 4096, 0), 1);	/* uva */
	assert_int_equal(slot(b, VD_VU_REM_MEM_REG, GPA, MEM_SIZE, UVA + 1, 0), 1);
	assert_int_equal(slot(b, VD_VU_REM_MEM_REG, GPA, MEM_SIZE - 1, UVA, 0), 1);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(slot(b, VD_VU_ADD_MEM_REG, 1ull << 30, 4096, 4096, 4096), 0);
		assert_int_equal(slot(b, VD_VU_REM_MEM_REG, 1ull << 30, 4096, 4096, 0), 0);
	}
	/* What a ring runs in may go and come back; the ring waits for it. */
	b->f->vqs[0].at.avail = 21;
	assert_int_equal(slot(b, VD_VU_REM_MEM_REG, GPA, MEM_SIZE, UVA, 0), 0);
	assert_false(b->f->vqs[0].running);
	assert_int_equal(slot(b, VD_VU_ADD_MEM_REG, GPA, MEM_SIZE / 2, UVA, 0), 0);
	assert_true(b->f->vqs[0].running);
	assert_int_equal(b->f->vqs[0].vq.state.avail, 21);
	for (uint64_t i = 1; i < VD_VU_SLOTS_MAX; i++)
		assert_int_equal(slot(b, VD_VU_ADD_MEM_REG, (i + 1) << 30, 4096, i << 12, 0), 0);
	assert_int_equal(slot(b, VD_VU_ADD_MEM_REG, 1ull << 50, 4096, 1ull << 50, 0), 1);
	assert_true(b->f->vqs[0].running);
}

/* CVE-2022-0998: offset and size whose sum wraps; and lengths beyond the device's. */
static void configuration_space(void **state)
{
	static const uint32_t edges[] = { 0, 1, FAKE_CONFIG - 1, FAKE_CONFIG, FAKE_CONFIG + 1, 255,
					  256, 0x7fffffff, UINT32_MAX - 255, UINT32_MAX };
	struct bed *b = *state;
	struct vd_vu_msg m;

	hello(b, NO_STATUS);
	for (size_t i = 0; i < VD_ARRAY_SIZE(edges); i++)
		for (size_t k = 0; k < VD_ARRAY_SIZE(edges) && edges[k] <= 256; k++) {
			uint32_t off = edges[i], size = edges[k];

			memset(b->f->config, 0x5a, sizeof(b->f->config));
			vd_vu_msg_init(&m, VD_VU_GET_CONFIG, sizeof(m.config));
			m.config.offset = off;
			m.config.size = size;
			memset(m.config.data, 0xff, sizeof(m.config.data));
			assert_int_equal(ask_msg(b, &m), 1);
			assert_int_equal(m.size, 12 + size);
			for (uint32_t n = 0; n < size; n++)
				assert_int_equal(m.config.data[n],
						 (uint64_t)off + n < FAKE_CONFIG ? 0x5a : 0);

			vd_vu_msg_init(&m, VD_VU_SET_CONFIG, 12 + size);
			m.flags |= VD_VU_NEED_REPLY;
			m.config.offset = off;
			m.config.size = size;
			assert_int_equal(ask_msg(b, &m), 1);
			assert_int_equal(m.u64, !size || (uint64_t)off + size > FAKE_CONFIG);
		}
}

static void what_was_not_agreed(void **state)
{
	static const uint32_t requests[] = { VD_VU_RESET_DEVICE, VD_VU_SET_LOG_BASE,
					     VD_VU_SET_VRING_ENDIAN, VD_VU_SET_STATUS };
	struct bed *b = *state;
	struct vd_vu_msg m;

	for (size_t i = 0; i < VD_ARRAY_SIZE(requests); i++) {
		fe_connect(b);
		vd_vu_msg_init(&m, requests[i], requests[i] == VD_VU_RESET_DEVICE ? 0 : 8);
		m.flags |= VD_VU_NEED_REPLY;	/* which was not agreed either */
		assert_int_equal(ask_msg(b, &m), GONE);
		fe_close(b);
	}
	hello(b, NO_STATUS);
	assert_int_equal(set(b, VD_VU_SET_STATUS, 1, -1), 1);
	assert_int_equal(set(b, VD_VU_SET_PROTOCOL_FEATURES, 1ull << 40, -1), 1);
	vd_vu_msg_init(&m, VD_VU_GET_FEATURES, 8);
	m.flags |= VD_VU_REPLY;
	assert_int_equal(ask_msg(b, &m), GONE);
}

/* ---- peers that do not read --------------------------------------------------------------------- */

static void a_front_end_that_never_reads(void **state)
{
	struct bed *b = *state;
	struct vd_vu_msg m;
	unsigned int n = 0;

	fe_connect(b);
	vd_vu_msg_init(&m, VD_VU_GET_CONFIG, sizeof(m.config));
	m.config.size = 256;
	while (vd_vu_send(&b->c, &m) == 0 && n < 100000) {
		n++;
		uvdpa_dispatch(b->u, 0);
	}
	assert_true(n < 100000);	/* we do not read from it either then */
	pump(b);
	assert_int_equal(uvdpa_dispatch(b->u, 50), 0);	/* and sleep */
	assert_int_equal(read_reply(b, &m), 1);
	fe_close(b);
	hello(b, NO_STATUS);
}

static void the_backend_channel(void **state)
{
	struct bed *b = *state;
	struct vd_vu_conn back;
	struct vd_vu_msg m;
	int sv[2];

	hello(b, NO_STATUS);
	assert_int_equal(set(b, VD_VU_SET_BACKEND_REQ_FD, 0, b->mem), 1);	/* no socket */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	assert_int_equal(set(b, VD_VU_SET_BACKEND_REQ_FD, 0, sv[1]), 0);
	close(sv[1]);
	/* Never read: at most what the socket holds, then one more that stands for all. */
	for (int i = 0; i < 2000; i++) {
		uvdpa_dev_config_changed(&b->f->dev);
		uvdpa_dispatch(b->u, 0);
	}
	assert_int_equal(get(b, VD_VU_GET_QUEUE_NUM, 0, 0), FAKE_VQS);
	vd_vu_conn_init(&back, sv[0], true);
	for (unsigned int n = 0;; n++) {
		int r = vd_vu_recv(&back, &m);

		pump(b);
		if (r == 0 && n > 1)
			break;
		assert_int_equal(r, 1);
		assert_int_equal(m.request, VD_VU_BACKEND_CONFIG_CHANGE);
	}
	/* Replies are thrown away; nonsense closes the channel only. */
	vd_vu_msg_init(&m, VD_VU_BACKEND_CONFIG_CHANGE, 8);
	m.flags |= VD_VU_REPLY;
	assert_int_equal(vd_vu_send(&back, &m), 0);
	pump(b);
	assert_int_equal(vd_vu_recv(&back, &m), 0);
	assert_int_equal(write(sv[0], "nonsense, nonsense", 18), 18);
	pump(b);
	assert_int_equal(vd_vu_recv(&back, &m), -ENOTCONN);
	uvdpa_dev_config_changed(&b->f->dev);
	assert_int_equal(get(b, VD_VU_GET_QUEUE_NUM, 0, 0), FAKE_VQS);
	vd_vu_conn_fini(&back);
}

/* ---- sockets -------------------------------------------------------------------------------------- */

static void one_at_a_time(void **state)
{
	struct bed *b = *state;
	int flood[12];
	struct vd_vu_msg m;

	hello(b, NO_STATUS);
	for (size_t i = 0; i < VD_ARRAY_SIZE(flood); i++)
		flood[i] = fe_socket(b);
	pump(b);
	assert_int_equal(open_fds(), b->fds + 2 + VD_ARRAY_SIZE(flood));
	for (size_t i = 0; i + 1 < VD_ARRAY_SIZE(flood); i++)
		close(flood[i]);
	fe_close(b);
	vd_vu_conn_init(&b->c, flood[VD_ARRAY_SIZE(flood) - 1], false);
	vd_vu_msg_init(&m, VD_VU_GET_FEATURES, 0);
	assert_int_equal(ask_msg(b, &m), 1);	/* those before it came and went */
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
	struct stat st;
	int s;

	snprintf(other, sizeof(other), "%s.other", b->path);
	unlink(other);
	assert_int_equal(stat(b->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	close(open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(try_bind(b, "socket", other), -EEXIST);	/* a file of somebody's */
	assert_int_equal(unlink(other), 0);
	s = vd_unix_bind(other, 0600);
	assert_int_equal(listen(s, 1), 0);
	assert_int_equal(try_bind(b, "socket", other), -EADDRINUSE);
	snprintf(number, sizeof(number), "%d", s);
	assert_int_equal(try_bind(b, "fd", number), -EINVAL);	/* one of the process's own */
	assert_int_equal(fcntl(s, F_SETFD, 0), 0);
	assert_int_equal(try_bind(b, "fd", number), 0);
	assert_int_equal(try_bind(b, "fd", "0x7ffffff"), -EINVAL);
	close(s);
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
	bind_with(b, "mode", "0666");
	assert_int_equal(stat(b->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
}

/* The other way round: the front-end listens, and comes and goes. */
static void connect_to_a_front_end(void **state)
{
	struct bed *b = *state;
	struct uvdpa_wait w = { 0 };
	int s;

	assert_int_equal(uvdpa_await(b->u, &w, uvdpa_dev_unbind(&b->f->dev, &w)), 0);
	bind_with(b, "connect", "on");	/* nobody is there */
	s = vd_unix_bind(b->path, 0600);
	assert_int_equal(listen(s, 1), 0);
	for (int i = 0; i < 2; i++) {
		int fd = -1;

		for (int n = 0; fd < 0 && n < 50; n++) {
			uvdpa_dispatch(b->u, 50);
			fd = accept4(s, NULL, NULL, SOCK_CLOEXEC);
		}
		assert_true(fd >= 0);
		vd_vu_conn_init(&b->c, fd, false);
		assert_true(get(b, VD_VU_GET_FEATURES, 0, 0) & F_PF);
		fe_close(b);
	}
	close(s);
	unlink(b->path);
}

static void see(struct uvdpa_emit *e, const char *key, const char *value);
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
	struct uvdpa_emit e = { see, see_num, see_flag };

	seen = 0;
	assert_int_equal(uvdpa_dev_describe(&b->f->dev, &e), 0);
	assert_int_equal(seen, 3);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_ring_runs_without_status),
		T(a_ring_runs_with_status),
		T(a_ring_stops_and_starts),
		T(features_change_with_the_guest),
		T(requests_come_home_first),
		T(the_next_one_waits_for_the_reset),
		T(unbind_at_any_time),
		T(a_front_end_dies_anywhere),
		T(queue_indices),
		T(repeated_messages_cost_nothing),
		T(memory_regions),
		T(memory_slots),
		T(configuration_space),
		T(what_was_not_agreed),
		T(a_front_end_that_never_reads),
		T(the_backend_channel),
		T(one_at_a_time),
		T(socket_files),
		T(connect_to_a_front_end),
		T(describe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
