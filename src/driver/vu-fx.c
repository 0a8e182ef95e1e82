/* SPDX-License-Identifier: BSD-2-Clause */
#include "driver/vu-fx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/unix.h"

void fe_pump(struct bed *b)
{
	for (int idle = 0; idle < 3;)
		idle = uvdpa_dispatch(b->u, 0) ? 0 : idle + 1;
}

int fe_socket(const struct bed *b)
{
	int s = vd_unix_connect(b->path, 0);

	assert_true(s >= 0);
	return s;
}

void fe_connect(struct bed *b)
{
	vd_vu_conn_init(&b->c, fe_socket(b), false);
	fe_pump(b);
}

void fe_close(struct bed *b)
{
	vd_vu_conn_fini(&b->c);
	fe_pump(b);
}

void fe_bind(struct bed *b, const char *key, const char *value)
{
	struct uvdpa_attr a[] = { { "socket", b->path }, { key, value } };
	struct uvdpa_wait w = { 0 };
	int r = uvdpa_dev_bind(&b->f->dev, "vhost-user", a, key ? 2 : 1, &w);

	assert_int_equal(uvdpa_await(b->u, &w, r), 0);
}

int fe_setup(void **state)
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
	fe_bind(b, NULL, NULL);
	fe_pump(b);
	b->fds = open_fds();
	b->c.fd = -1;
	vd_list_init(&b->c.out);
	*state = b;
	return 0;
}

int fe_teardown(void **state)
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

int fe_reply(struct bed *b, struct vd_vu_msg *m)
{
	int r;

	fe_pump(b);
	r = vd_vu_recv(&b->c, m);
	return r == 1 ? 1 : r == 0 ? NONE : GONE;
}

int fe_ask(struct bed *b, struct vd_vu_msg *m)
{
	if (vd_vu_send(&b->c, m) < 0)
		return GONE;
	return fe_reply(b, m);
}

int fe_ack(struct bed *b, struct vd_vu_msg *m)
{
	uint32_t request = m->request;
	int r;

	m->flags |= VD_VU_NEED_REPLY;
	r = fe_ask(b, m);
	if (r != 1)
		return r;
	assert_int_equal(m->request, request);
	assert_int_equal(m->size, 8);
	return m->u64 != 0;
}

uint64_t fe_pair(uint32_t index, uint32_t num)
{
	return index | (uint64_t)num << 32;
}

int fe_set(struct bed *b, uint32_t request, uint64_t v, int fd)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, request, 8);
	m.u64 = v;
	if (fd >= 0)
		m.fds[m.nfds++] = fd;
	return fe_ack(b, &m);
}

uint64_t fe_get(struct bed *b, uint32_t request, uint64_t v, uint32_t size)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, request, size);
	m.u64 = v;
	assert_int_equal(fe_ask(b, &m), 1);
	assert_int_equal(m.request, request);
	assert_int_equal(m.size, 8);
	return m.u64;
}

int fe_set_mem(struct bed *b, uint64_t gpa, uint64_t size, uint64_t uva, uint64_t off)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, VD_VU_SET_MEM_TABLE, 8 + 32);
	m.mem.n = 1;
	m.mem.regions[0] = (struct vd_vu_region){ gpa, size, uva, off };
	m.fds[m.nfds++] = b->mem;
	return fe_ack(b, &m);
}

int fe_slot(struct bed *b, uint32_t request, uint64_t gpa, uint64_t size, uint64_t uva,
	    uint64_t off)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, request, 40);
	m.slot.region = (struct vd_vu_region){ gpa, size, uva, off };
	if (request == VD_VU_ADD_MEM_REG)
		m.fds[m.nfds++] = b->mem;
	return fe_ack(b, &m);
}

int fe_set_addr(struct bed *b, uint32_t idx, uint64_t desc)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, VD_VU_SET_VRING_ADDR, 40);
	m.addr = (struct vd_vu_vring_addr){ .index = idx, .desc = desc, .avail = desc + 0x1000,
					    .used = desc + 0x2000 };
	return fe_ack(b, &m);
}

void fe_hello(struct bed *b, uint64_t pf)
{
	struct vd_vu_msg m;

	fe_connect(b);
	assert_true(fe_get(b, VD_VU_GET_FEATURES, 0, 0) & F_PF);
	assert_true((fe_get(b, VD_VU_GET_PROTOCOL_FEATURES, 0, 0) & pf) == pf);
	vd_vu_msg_init(&m, VD_VU_SET_PROTOCOL_FEATURES, 8);
	m.u64 = pf;
	assert_int_equal(fe_ask(b, &m), NONE);
	assert_int_equal(fe_set(b, VD_VU_SET_FEATURES, V1 | F_PF, -1), 0);
}

void fe_ring(struct bed *b, uint32_t idx, uint32_t base)
{
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_NUM, fe_pair(idx, 128), -1), 0);
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_BASE, fe_pair(idx, base), -1), 0);
	assert_int_equal(fe_set_addr(b, idx, UVA + 0x10000u * idx), 0);
}

int fe_set_fd(struct bed *b, uint32_t request, uint64_t v)
{
	int fd = vd_eventfd(), r = fe_set(b, request, v, fd);

	close(fd);
	return r;
}

void fe_start(struct bed *b, uint64_t pf)
{
	fe_hello(b, pf);
	assert_int_equal(fe_set_mem(b, GPA, MEM_SIZE, UVA, 0), 0);
	fe_ring(b, 0, 7);
	assert_int_equal(fe_set_fd(b, VD_VU_SET_VRING_CALL, 0), 0);
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(0, 1), -1), 0);
	assert_int_equal(fe_set_fd(b, VD_VU_SET_VRING_KICK, 0), 0);
}
