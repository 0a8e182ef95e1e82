/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of the vhost-user front-end: the handshake, with good and with hostile back-ends. */
#include "parent/vhost-user-fx.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_net.h>

#define F_SECURE_ERASE VD_BIT(VIRTIO_BLK_F_SECURE_ERASE)

static void test_handshake(void **state)
{
	static const struct {
		const char *name, *key, *value;
		uint64_t features, protocol, queue_num;
		uint32_t config_size;
		int err;
		uint32_t nvqs, want_config;
		uint64_t want_features;
	} cases[] = {
		{ "everything", NULL, NULL, F_V1 | F_PROTOCOL, PROTOCOL_ALL, 4, 60, 0, 4, 60,
		  F_V1 },
		{ "more than we know", NULL, NULL, F_V1 | F_PROTOCOL, UINT64_MAX, 4, 60, 0, 4, 60,
		  F_V1 },
		{ "one queue without MQ", NULL, NULL, F_V1 | F_PROTOCOL, PF(CONFIG), 7, 60, 0, 1,
		  60, F_V1 },
		{ "queues asked for", "num_queues", "3", F_V1 | F_PROTOCOL, PROTOCOL_ALL, 4, 60, 0,
		  3, 60, F_V1 },
		{ "more than it has", "num_queues", "5", F_V1 | F_PROTOCOL, PROTOCOL_ALL, 4, 60,
		  -ERANGE, 0, 0, 0 },
		{ "no queues", NULL, NULL, F_V1 | F_PROTOCOL, PROTOCOL_ALL, 0, 60, -EPROTO, 0, 0,
		  0 },
		{ "2^64-1 queues", NULL, NULL, F_V1 | F_PROTOCOL, PROTOCOL_ALL, UINT64_MAX, 60, 0,
		  256, 60, F_V1 },
		{ "2^64-1 pairs", "device_id", "net", F_V1 | F_PROTOCOL, PROTOCOL_ALL, UINT64_MAX,
		  60, 0, 256, 12, F_V1 },
		{ "three pairs", "device_id", "1", F_V1 | F_PROTOCOL, PROTOCOL_ALL, 3, 60, 0, 6, 12,
		  F_V1 },
		{ "net without configuration", "device_id", "net",
		  F_V1 | F_PROTOCOL | VD_BIT(VIRTIO_NET_F_MAC), PF(MQ), 1, 0, 0, 2, 0, F_V1 },
		{ "no protocol features", "device_id", "4", F_V1, 0, 0, 0, 0, 1, 0, F_V1 },
		{ "block without configuration", NULL, NULL, F_V1 | F_PROTOCOL, PF(MQ), 4, 60,
		  -EOPNOTSUPP, 0, 0, 0 },
		{ "a smaller structure", NULL, NULL, F_V1 | F_PROTOCOL, PROTOCOL_ALL, 4, 56,
		  -EPROTO, 0, 0, 0 },
		{ "which was said", "config_size", "56", F_V1 | F_PROTOCOL, PROTOCOL_ALL, 4, 56, 0,
		  4, 56, F_V1 },
		{ "fields of SECURE_ERASE", NULL, NULL, F_V1 | F_PROTOCOL | F_SECURE_ERASE,
		  PROTOCOL_ALL, 4, 72, 0, 4, 72, F_V1 | F_SECURE_ERASE },
		{ "without them", NULL, NULL, F_V1 | F_PROTOCOL | F_SECURE_ERASE, PROTOCOL_ALL, 4,
		  60, -EPROTO, 0, 0, 0 },
		{ "as was said", "config_size", "60", F_V1 | F_PROTOCOL | F_SECURE_ERASE,
		  PROTOCOL_ALL, 4, 60, 0, 4, 60, F_V1 | F_SECURE_ERASE },
		{ "features that cannot be", NULL, NULL,
		  F_V1 | F_PROTOCOL | VD_BIT(26) | VD_BIT(33) | VD_BIT(38), PROTOCOL_ALL, 4, 60, 0,
		  4, 60, F_V1 },
		{ "no such type", "device_id", "blocks", F_V1 | F_PROTOCOL, PROTOCOL_ALL, 4, 60,
		  -EINVAL, 0, 0, 0 },
		{ "queue size", "queue_size", "100", F_V1 | F_PROTOCOL, PROTOCOL_ALL, 4, 60,
		  -EINVAL, 0, 0, 0 },
	};
	struct fx *t = *state;

	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		const struct uvdpa_dev_info *info;
		int r;

		t->be.features = cases[i].features;
		t->be.protocol = cases[i].protocol;
		t->be.queue_num = cases[i].queue_num;
		t->be.config_size = cases[i].config_size;
		r = add(t, cases[i].key, cases[i].value);
		if (r != cases[i].err)
			fail_msg("%s: %d %s", cases[i].name, r, uvdpa_error());
		if (r)
			continue;
		info = uvdpa_dev_info(t->dev);
		if (info->nvqs != cases[i].nvqs || info->config_size != cases[i].want_config ||
		    info->features != cases[i].want_features)
			fail_msg("%s: %u queues, %u bytes, features %#llx", cases[i].name, info->nvqs,
				 info->config_size, (unsigned long long)info->features);
		assert_int_equal(ended(t, uvdpa_dev_del(t->dev, &t->w)), 0);
		wait_until(t, !t->be.connected);
	}
}

static const uint32_t handshake[] = {
	VD_VU_GET_FEATURES, VD_VU_GET_PROTOCOL_FEATURES, VD_VU_GET_QUEUE_NUM,
	VD_VU_GET_MAX_MEM_SLOTS, VD_VU_GET_CONFIG, VD_VU_SET_BACKEND_REQ_FD,
};

/* A hostile back-end, at each step, in each way: the device does not come, and nothing is left. */
static void test_handshake_hostile(void **state)
{
	struct fx *t = *state;
	unsigned int fds = open_fds();

	for (size_t i = 0; i < VD_ARRAY_SIZE(handshake); i++) {
		for (enum how how = WRONG_ID; how <= CLOSE; how++) {
			int r;

			if (how == TWICE)	/* seen by whoever reads the second */
				continue;
			t->be.at = handshake[i];
			t->be.how = how;
			r = add(t, NULL, NULL);
			if (r != -EPROTO && r != -ENOTCONN)
				fail_msg("%s, %d: %d %s", vd_vu_name(handshake[i]), how, r,
					 t->error);
			assert_non_null(strstr(t->error, t->be.path));
			wait_until(t, !t->be.connected);
			assert_null(uvdpa_dev_find(t->u, "d0"));
		}
	}
	assert_int_equal(open_fds(), fds);
}

/* An answer that nobody asked for ends the connection, in whatever step it is seen. */
static void test_handshake_twice(void **state)
{
	struct fx *t = *state;

	for (size_t i = 0; i < VD_ARRAY_SIZE(handshake); i++) {
		t->be.at = handshake[i];
		t->be.how = TWICE;
		if (add(t, "reconnect", "off") == 0) {
			wait_until(t, !uvdpa_dev_ready(t->dev));
			assert_int_equal(ended(t, uvdpa_dev_del(t->dev, &t->w)), 0);
		}
		wait_until(t, !t->be.connected);
	}
}

static void test_handshake_silent(void **state)
{
	struct fx *t = *state;

	t->be.at = VD_VU_GET_QUEUE_NUM;
	t->be.how = SILENT;
	assert_int_equal(add(t, NULL, NULL), -ETIMEDOUT);
	assert_non_null(strstr(t->error, t->be.path));
	assert_non_null(strstr(t->error, "GET_QUEUE_NUM"));
}

static void test_nobody_there(void **state)
{
	struct fx *t = *state;

	vd_close(&t->be.listener);
	assert_int_equal(add(t, NULL, NULL), -ECONNREFUSED);
	unlink(t->be.path);
	assert_int_equal(add(t, NULL, NULL), -ENOENT);
	be_listen(&t->be);
}

/* Its listen queue is full for a while. */
static void test_listener_full(void **state)
{
	struct uvdpa_attr attr = { "socket", NULL };
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "d0", .mgmtdev = "vhost-user",
				    .attrs = &attr, .nattrs = 1, .driver = "hold" };
	struct fx *t = *state;
	int fds[4], n = 0;

	attr.value = t->be.path;
	while ((fds[n] = vd_unix_connect(t->be.path, SOCK_NONBLOCK)) >= 0)
		assert_true(++n < 4);
	assert_int_equal(fds[n], -EAGAIN);
	t->be.deaf = true;
	assert_int_equal(uvdpa_dev_add(t->u, &o, &t->dev, &t->w), -EINPROGRESS);
	for (int i = 0; i < 50; i++)
		turn(t);
	assert_true(t->w.pending);
	while (n > 0)
		close(fds[--n]);
	t->be.deaf = false;
	wait_until(t, !t->w.pending);
	assert_int_equal(t->w.err, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_handshake, setup, teardown),
		cmocka_unit_test_setup_teardown(test_handshake_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_handshake_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_handshake_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listener_full, setup, teardown),
	};

	return cmocka_run_group_tests_name("handshake", tests, NULL, NULL) + run_tests_of_running();
}
