/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of the messages of network devices: who is offered them, and what the device is told. */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>

#include "driver/vu-fx.h"

#define NET_PF (PF(NET_MTU) | PF(RARP))

struct set_conf {
	char *rarp;
};

static const struct uvdpa_opt set_opts[] = {
	{ .key = "rarp",
	  .type = UVDPA_OPT_STRING,
	  .offset = offsetof(struct set_conf, rarp),
	  .help = "an address" },
	{ 0 },
};

static char announced[32];

static int set(struct uvdpa_dev *dev, const void *conf, uint64_t given)
{
	const struct set_conf *c = conf;

	(void)dev;
	assert_int_equal(given, 1);
	snprintf(announced, sizeof(announced), "%s", c->rarp);
	return announced[1] == 'f' ? -EINVAL : 0;
}

static const struct uvdpa_set_ops set_ops = { set_opts, sizeof(struct set_conf), set };

static void become_net(struct bed *b, const struct uvdpa_set_ops *ops, uint16_t mtu)
{
	b->f->dev.info.device_id = VIRTIO_ID_NET;
	if (mtu)
		b->f->dev.info.features |= 1ull << VIRTIO_NET_F_MTU;
	b->f->dev.set = ops;
	memcpy(b->f->config + offsetof(struct virtio_net_config, mtu), &mtu, sizeof(mtu));
}

static void offered_to_those_that_have_it(void **state)
{
	struct bed *b = *state;

	fe_hello(b, ALL_PF);
	assert_int_equal(fe_get(b, VD_VU_GET_PROTOCOL_FEATURES, 0, 0) & NET_PF, 0);
	assert_int_equal(fe_set(b, VD_VU_NET_SET_MTU, 1500, -1), 1);
	assert_int_equal(fe_set(b, VD_VU_SEND_RARP, 2, -1), 1);
	become_net(b, NULL, 0);
	assert_int_equal(fe_get(b, VD_VU_GET_PROTOCOL_FEATURES, 0, 0) & NET_PF, PF(NET_MTU));
	become_net(b, &set_ops, 0);
	assert_int_equal(fe_get(b, VD_VU_GET_PROTOCOL_FEATURES, 0, 0) & NET_PF, NET_PF);
	assert_int_equal(fe_set(b, VD_VU_NET_SET_MTU, 1500, -1), 1); /* not agreed */
	assert_int_equal(fe_set(b, VD_VU_SEND_RARP, 2, -1), 1);
	assert_string_equal(announced, "");
}

static void mtu(void **state)
{
	static const struct {
		uint16_t device; /* 0: says nothing of it */
		uint64_t mtu;
		int refused;
	} cases[] = {
		{ 0, 67, 1 },      { 0, 68, 0 },      { 0, 65535, 0 },         { 0, 65536, 1 },
		{ 1500, 1500, 0 }, { 1500, 1501, 1 }, { 1500, 68, 0 },         { 9000, 9000, 0 },
		{ 9000, 0, 1 },    { 9000, 1500, 0 }, { 1500, UINT64_MAX, 1 }, { 65535, 65535, 0 },
	};
	struct bed *b = *state;

	become_net(b, &set_ops, 0);
	fe_hello(b, ALL_PF | NET_PF);
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		become_net(b, &set_ops, cases[i].device);
		if (fe_set(b, VD_VU_NET_SET_MTU, cases[i].mtu, -1) != cases[i].refused)
			fail_msg("case %zu", i);
	}
}

static void rarp(void **state)
{
	static const uint8_t mac[8] = { 0x52, 0x54, 0, 0x12, 0x34, 0xfe, 0xaa, 0xbb };
	struct bed *b = *state;
	uint64_t v;

	become_net(b, &set_ops, 0);
	fe_hello(b, ALL_PF | NET_PF);
	memcpy(&v, mac, sizeof(v));
	assert_int_equal(fe_set(b, VD_VU_SEND_RARP, v, -1), 0);
	assert_string_equal(announced, "52:54:00:12:34:fe");
	assert_int_equal(fe_set(b, VD_VU_SEND_RARP, UINT64_MAX, -1), 1); /* the device refuses */
	assert_string_equal(announced, "ff:ff:ff:ff:ff:ff");
	announced[0] = '\0';
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FE_TEST(offered_to_those_that_have_it),
		FE_TEST(mtu),
		FE_TEST(rarp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
