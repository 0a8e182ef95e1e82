/* SPDX-License-Identifier: BSD-2-Clause */
/* net-ctrl.c - the control queue of a network device, and what it counts; see net.h */
#include "net.h"

/* ---- commands ------------------------------------------------------------------------------ */

/* What makes no sense is refused, and the queue goes on. */
void case_net_commands(struct cf *c)
{
	static const struct {
		uint8_t class, cmd;
		uint32_t len;
		uint8_t data[4];
	} bad[] = {
		{ 0xff, 0, 0, { 0 } },
		{ VIRTIO_NET_CTRL_MQ, 0xff, 2, { 1 } },
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 0, { 0 } },
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 1, { 1 } },
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, { 0, 0 } },
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, { NET_PAIRS + 1, 0 } },
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, { 0, 0x80 } },
	};

	cf_map(c);
	cf_start(c, &c->mode);
	if (!net_ctrl_queue(c))
		cf_skip("no control queue");
	for (size_t i = 0; i < VD_ARRAY_SIZE(bad); i++) {
		uint8_t ack = net_command(c, bad[i].class, bad[i].cmd, bad[i].data, bad[i].len);

		if (ack != VIRTIO_NET_ERR)
			cf_fail(__FILE__, __LINE__, "command %zu: ack %u", i, ack);
		net_ping(net_ctrl_queue(c));
	}
	net_ping(&c->q[1]);
	cf_is(uvdpa_dev_status(c->dev), 15);
}

static void use(struct cf *c, uint8_t pairs)
{
	uint8_t le[2] = { pairs, 0 };

	cf_is(net_command(c, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, le, 2),
	      VIRTIO_NET_OK);
}

/* As many as the driver says, at any time; one after a reset. */
void case_net_pairs(struct cf *c)
{
	cf_map(c);
	cf_start(c, &c->mode);
	if (!net_ctrl_queue(c) || net_pairs(c) < 2)
		cf_skip("one pair");
	net_use_pairs(c);
	net_any_order(c);
	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int p = 0; p < net_pairs(c); p++)
			net_post(&c->q[2 * p]);
		use(c, round & 1 ? (uint8_t)net_pairs(c) : 1);
		for (unsigned int i = 0; i < 16; i++)
			net_arrives(&c->q[1]);
	}
	cf_reset(c);
	cf_start(c, &c->mode);
	net_post(&c->q[0]);
	for (unsigned int i = 0; i < 16; i++)
		net_arrives(&c->q[1]);
}

/* ---- counters ------------------------------------------------------------------------------ */

struct find {
	struct uvdpa_emit e;
	const char *name;
	bool found;
	uint64_t value;
};

static void find_str(struct uvdpa_emit *e, const char *key, const char *value)
{
	(void)e, (void)key, (void)value;
}

static void find_num(struct uvdpa_emit *e, const char *key, uint64_t value)
{
	struct find *f = container_of(e, struct find, e);

	if (strcmp(key, f->name))
		return;
	cf_check(!f->found);
	f->found = true;
	f->value = value;
}

static void find_flag(struct uvdpa_emit *e, const char *key, bool value)
{
	(void)e, (void)key, (void)value;
}

uint64_t net_stat(struct cf *c, unsigned int idx, const char *name)
{
	struct find f = { { .str = find_str, .num = find_num, .flag = find_flag }, name, false, 0 };

	cf_is(uvdpa_dev_stats(c->dev, idx, &f.e), 0);
	if (!f.found)
		cf_fail(__FILE__, __LINE__, "queue %u does not count %s", idx, name);
	return f.value;
}

#define SENT 24u
#define ROOM 8u /* buffers */

/* What was sent, what came, and what found no buffer: each frame is counted once. */
void case_net_counters(struct cf *c)
{
	struct cf_queue *rx = &c->q[0], *tx = &c->q[1];
	uint64_t bytes = 0, sum = 0;
	uint32_t len;

	cf_map(c);
	cf_start(c, &c->mode);
	net_settle(c);
	for (unsigned int i = 0; i < ROOM; i++) {
		struct vd_buf b = { rx->data_iova + i * 2048, 2048 };

		cf_check(vd_virtq_drv_add(rx->drv, &b, 0, 1) >= 0);
	}
	cf_publish(rx);
	for (unsigned int i = 0; i < SENT; i++) {
		len = NET_NUMBERED + net_rnd(1000);
		cf_check(net_send(tx, len));
		sum += len;
		bytes += i < ROOM ? len : 0;
	}
	cf_publish(tx);
	net_sent(tx);
	cf_until(c, net_stat(c, 0, "rx packets") >= ROOM);
	if (!c->f.variant->wire->keeps)
		cf_until(c, net_stat(c, 0, "rx overruns") == SENT - ROOM);
	cf_is(net_stat(c, 1, "tx packets"), SENT);
	cf_is(net_stat(c, 1, "tx bytes"), sum);
	cf_is(net_stat(c, 1, "tx errors"), 2);	/* of net_settle() */
	cf_is(net_stat(c, 1, "tx drops"), 0);
	cf_is(net_stat(c, 0, "rx packets"), ROOM);
	cf_is(net_stat(c, 0, "rx bytes"), bytes);
	cf_is(net_stat(c, 0, "rx errors"), 0);
	cf_is(net_stat(c, 0, "rx drops"), 0);
	if (net_ctrl_queue(c) && net_has(c, VIRTIO_NET_F_MQ)) {
		unsigned int idx = net_ctrl_queue(c)->idx;

		net_ping(net_ctrl_queue(c));
		use(c, 1);
		cf_is(net_stat(c, idx, "cvq requests"), 2);
		cf_is(net_stat(c, idx, "cvq successes"), 1);
		cf_is(net_stat(c, idx, "cvq errors"), 1);
	}
}
