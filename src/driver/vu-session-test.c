/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of one front-end's messages: what they end in, in which order, and what is refused. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver/vu-fx.h"

static void features_change_with_the_guest(void **state)
{
	struct bed *b = *state;

	fe_start(b, NO_STATUS);
	assert_int_equal(fe_set(b, VD_VU_SET_FEATURES, V1 | F_PF, -1), 0);
	assert_int_equal(fe_set(b, VD_VU_SET_FEATURES, V1 | F_PF | 1u << 6, -1), 1);	/* it runs */
	assert_int_equal(fe_set(b, VD_VU_SET_FEATURES, 1ull << 63, -1), 1);
	fe_get(b, VD_VU_GET_VRING_BASE, 0, 8);
	assert_int_equal(fe_set(b, VD_VU_SET_FEATURES, V1 | F_PF | 1u << 6, -1), 0);
	assert_true(b->f->features & 1u << 6);
	assert_int_equal(fe_set_fd(b, VD_VU_SET_VRING_KICK, 0), 0);
	assert_true(b->f->vqs[0].running);
}

/* No reply before the last request is home; what comes in between waits. */
static void requests_come_home_first(void **state)
{
	struct bed *b = *state;
	struct vd_vu_msg m;

	fe_start(b, NO_STATUS);
	b->f->quiesce = FAKE_NEVER;
	vd_vu_msg_init(&m, VD_VU_GET_VRING_BASE, 8);
	assert_int_equal(fe_ask(b, &m), NONE);
	vd_vu_msg_init(&m, VD_VU_GET_FEATURES, 0);
	assert_int_equal(fe_ask(b, &m), NONE);
	fake_answer(b->f);
	assert_int_equal(fe_reply(b, &m), 1);
	assert_int_equal(m.request, VD_VU_GET_VRING_BASE);
	assert_int_equal(fe_reply(b, &m), 1);
	assert_int_equal(m.request, VD_VU_GET_FEATURES);
}

/* It dies after each message of the handshake, and in the middle of one; the next is served. */
static void a_front_end_dies_anywhere(void **state)
{
	static const uint8_t part[] = { VD_VU_SET_MEM_TABLE, 0, 0, 0, 1, 0, 0, 0, 40 };
	struct bed *b = *state;

	for (int i = 0; i < 9; i++) {
		fe_connect(b);
		if (i > 0)
			fe_get(b, VD_VU_GET_FEATURES, 0, 0);
		if (i > 1)
			(void)fe_set(b, VD_VU_SET_PROTOCOL_FEATURES, NO_STATUS, -1);
		if (i > 2)
			assert_int_equal(fe_set(b, VD_VU_SET_FEATURES, V1 | F_PF, -1), 0);
		if (i > 3)
			assert_int_equal(fe_set_mem(b, GPA, MEM_SIZE, UVA, 0), 0);
		if (i > 4)
			fe_ring(b, 0, 0);
		if (i > 5)
			fe_set_fd(b, VD_VU_SET_VRING_CALL, 0);
		if (i > 6)
			fe_set_fd(b, VD_VU_SET_VRING_KICK, 0);
		if (i > 7)
			fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(0, 1), -1);
		assert_int_equal(write(b->c.fd, part, (size_t)(i % 9) + 1), i % 9 + 1);
		fe_pump(b);
		fe_close(b);
		assert_int_equal(uvdpa_dev_status(&b->f->dev), 0);
		assert_int_equal(open_fds(), b->fds);
	}
}

/* CVE-2019-14818: many times the same message; CVE-2022-0669: descriptors of refused ones. */
static void repeated_messages_cost_nothing(void **state)
{
	struct bed *b = *state;
	struct vd_vu_msg m;
	unsigned int fds;

	fe_start(b, NO_STATUS);
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
	fe_pump(b);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(fe_set_fd(b, VD_VU_SET_VRING_CALL, i % FAKE_VQS), 0);
		assert_int_equal(fe_set_fd(b, VD_VU_SET_VRING_KICK, 0), 0);
		assert_int_equal(fe_set_fd(b, VD_VU_SET_VRING_CALL, 200), 1);
		assert_int_equal(fe_set(b, VD_VU_SET_VRING_CALL, 0, b->mem), 1);	/* not an eventfd */
		assert_int_equal(fe_set_mem(b, GPA, MEM_SIZE + 1, UVA, 0), 1);
	}
	assert_true(open_fds() <= fds + FAKE_VQS);
	fe_close(b);
	assert_int_equal(open_fds(), b->fds);
}

/* CVE-2022-0998: offset and size whose sum wraps; and lengths beyond the device's. */
static void configuration_space(void **state)
{
	static const uint32_t edges[] = { 0, 1, FAKE_CONFIG - 1, FAKE_CONFIG, FAKE_CONFIG + 1, 255,
					  256, 0x7fffffff, UINT32_MAX - 255, UINT32_MAX };
	struct bed *b = *state;
	struct vd_vu_msg m;

	fe_hello(b, NO_STATUS);
	for (size_t i = 0; i < VD_ARRAY_SIZE(edges); i++)
		for (size_t k = 0; k < VD_ARRAY_SIZE(edges) && edges[k] <= 256; k++) {
			uint32_t off = edges[i], size = edges[k];

			memset(b->f->config, 0x5a, sizeof(b->f->config));
			vd_vu_msg_init(&m, VD_VU_GET_CONFIG, sizeof(m.config));
			m.config.offset = off;
			m.config.size = size;
			memset(m.config.data, 0xff, sizeof(m.config.data));
			assert_int_equal(fe_ask(b, &m), 1);
			assert_int_equal(m.size, 12 + size);
			for (uint32_t n = 0; n < size; n++)
				assert_int_equal(m.config.data[n],
						 (uint64_t)off + n < FAKE_CONFIG ? 0x5a : 0);

			vd_vu_msg_init(&m, VD_VU_SET_CONFIG, 12 + size);
			m.flags |= VD_VU_NEED_REPLY;
			m.config.offset = off;
			m.config.size = size;
			assert_int_equal(fe_ask(b, &m), 1);
			assert_int_equal(m.u64, !size || (uint64_t)off + size > FAKE_CONFIG);
		}
}

static int set_config(struct bed *b, uint32_t off, const uint8_t *data, uint32_t size)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, VD_VU_SET_CONFIG, 12 + size);
	m.config.offset = off;
	m.config.size = size;
	memcpy(m.config.data, data, size);
	return fe_ack(b, &m);
}

/* QEMU's generic device writes all of it when the guest writes a byte; only the byte is written. */
static void what_has_not_changed_is_not_written(void **state)
{
	static const struct {
		uint32_t off, size;
		uint8_t data[FAKE_CONFIG];
		const char *asked;
	} cases[] = {
		{ 0, 16, { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 }, "" },
		{ 0, 16, { 99, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 }, "set_config=0+1" },
		{ 0, 16, { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 99 }, "set_config=15+1" },
		{ 0, 16, { 0, 1, 99, 3, 98, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 }, "set_config=2+3" },
		{ 4, 4, { 4, 99, 6, 7 }, "set_config=5+1" },
		{ 4, 1, { 99 }, "set_config=4+1" },
		{ 4, 1, { 4 }, "" },
	};
	struct bed *b = *state;

	fe_hello(b, NO_STATUS);
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		char log[256];

		for (uint8_t n = 0; n < FAKE_CONFIG; n++)
			b->f->config[n] = n;
		fake_log(b->f);
		assert_int_equal(set_config(b, cases[i].off, cases[i].data, cases[i].size), 0);
		snprintf(log, sizeof(log), "get_config=%u+%u%s%s", cases[i].off, cases[i].size,
			 *cases[i].asked ? " " : "", cases[i].asked);
		assert_string_equal(fake_log(b->f), log);
		assert_memory_equal(b->f->config + cases[i].off, cases[i].data, cases[i].size);
	}
	/* One that takes nothing: only what changes is refused. */
	b->f->fail_always = "set_config";
	b->f->fail_err = -EOPNOTSUPP;
	assert_int_equal(set_config(b, 0, b->f->config, FAKE_CONFIG), 0);
	assert_int_equal(set_config(b, 3, (const uint8_t[]){ 77 }, 1), 1);
	b->f->fail_always = NULL;
	b->f->fail = "get_config";
	b->f->fail_err = -EIO;
	assert_int_equal(set_config(b, 3, (const uint8_t[]){ 77 }, 1), 1);
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
		assert_int_equal(fe_ask(b, &m), GONE);
		fe_close(b);
	}
	fe_hello(b, NO_STATUS);
	assert_int_equal(fe_set(b, VD_VU_SET_STATUS, 1, -1), 1);
	assert_int_equal(fe_set(b, VD_VU_SET_PROTOCOL_FEATURES, 1ull << 40, -1), 1);
	vd_vu_msg_init(&m, VD_VU_GET_FEATURES, 8);
	m.flags |= VD_VU_REPLY;
	assert_int_equal(fe_ask(b, &m), GONE);
}

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
	fe_pump(b);
	assert_int_equal(uvdpa_dispatch(b->u, 50), 0);	/* and sleep */
	assert_int_equal(fe_reply(b, &m), 1);
	fe_close(b);
	fe_hello(b, NO_STATUS);
}

static void the_backend_channel(void **state)
{
	struct bed *b = *state;
	struct vd_vu_conn back;
	struct vd_vu_msg m;
	int sv[2];

	fe_hello(b, NO_STATUS);
	assert_int_equal(fe_set(b, VD_VU_SET_BACKEND_REQ_FD, 0, b->mem), 1);	/* no socket */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	assert_int_equal(fe_set(b, VD_VU_SET_BACKEND_REQ_FD, 0, sv[1]), 0);
	close(sv[1]);
	/* Never read: at most what the socket holds, then one more that stands for all. */
	for (int i = 0; i < 2000; i++) {
		uvdpa_dev_config_changed(&b->f->dev);
		uvdpa_dispatch(b->u, 0);
	}
	assert_int_equal(fe_get(b, VD_VU_GET_QUEUE_NUM, 0, 0), FAKE_VQS);
	vd_vu_conn_init(&back, sv[0], true);
	for (unsigned int n = 0;; n++) {
		int r = vd_vu_recv(&back, &m);

		fe_pump(b);
		if (r == 0 && n > 1)
			break;
		assert_int_equal(r, 1);
		assert_int_equal(m.request, VD_VU_BACKEND_CONFIG_CHANGE);
	}
	/* Replies are thrown away; nonsense closes the channel only. */
	vd_vu_msg_init(&m, VD_VU_BACKEND_CONFIG_CHANGE, 8);
	m.flags |= VD_VU_REPLY;
	assert_int_equal(vd_vu_send(&back, &m), 0);
	fe_pump(b);
	assert_int_equal(vd_vu_recv(&back, &m), 0);
	assert_int_equal(write(sv[0], "nonsense, nonsense", 18), 18);
	fe_pump(b);
	assert_int_equal(vd_vu_recv(&back, &m), -ENOTCONN);
	uvdpa_dev_config_changed(&b->f->dev);
	assert_int_equal(fe_get(b, VD_VU_GET_QUEUE_NUM, 0, 0), FAKE_VQS);
	vd_vu_conn_fini(&back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FE_TEST(features_change_with_the_guest),
		FE_TEST(requests_come_home_first),
		FE_TEST(a_front_end_dies_anywhere),
		FE_TEST(repeated_messages_cost_nothing),
		FE_TEST(configuration_space),
		FE_TEST(what_has_not_changed_is_not_written),
		FE_TEST(what_was_not_agreed),
		FE_TEST(a_front_end_that_never_reads),
		FE_TEST(the_backend_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
