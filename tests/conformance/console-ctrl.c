/* SPDX-License-Identifier: BSD-2-Clause */
/* console-ctrl.c - what driver and console tell each other of ports; see console.h */
#include "console.h"

#define NOBODY VIRTIO_CONSOLE_BAD_ID

static void start_many(struct cf *c)
{
	cf_map(c);
	cf_start(c, &c->mode);
	if (!con_multiport(c))
		cf_skip("one port");
}

static struct con_message hear(struct cf *c, uint32_t id, uint16_t event)
{
	struct con_message m;

	cf_check(con_hear(c, &m, 10000));
	cf_is(m.id, id);
	cf_is(m.event, event);
	return m;
}

static void hear_nothing(struct cf *c)
{
	struct con_message m;

	cf_check(!con_hear(c, &m, 20));
}

/* All that there is to hear of a port that is ready; what its names are is the fixture's. */
static void hear_all(struct cf *c, uint32_t id, bool connected)
{
	bool named = false, open = false;
	struct con_message m;

	while (!named || open != connected) {
		cf_check(con_hear(c, &m, 10000));
		cf_is(m.id, id);
		named |= m.event == VIRTIO_CONSOLE_PORT_NAME;
		if (m.event == VIRTIO_CONSOLE_PORT_NAME)
			cf_check(m.len && !memchr(m.more, 0, m.len));
		if (m.event == VIRTIO_CONSOLE_PORT_OPEN)
			open = m.value;
		if (m.event == VIRTIO_CONSOLE_RESIZE)
			cf_is(m.len, sizeof(struct vd_console_resize));
	}
	hear_nothing(c);
}

void case_con_greeting(struct cf *c)
{
	start_many(c);
	for (unsigned int life = 0; life < 3; life++) {
		con_listen(c);
		hear_nothing(c); /* before it is asked */
		con_say(c, NOBODY, VIRTIO_CONSOLE_DEVICE_READY, 1);
		for (unsigned int i = 0; i < con_ports(c); i++)
			hear(c, i, VIRTIO_CONSOLE_PORT_ADD);
		hear_nothing(c);
		for (unsigned int i = 0; i < con_ports(c); i++) {
			con_say(c, i, VIRTIO_CONSOLE_PORT_READY, 1);
			hear_all(c, i, life);
		}
		for (unsigned int i = 0; !life && i < con_ports(c); i++) { /* somebody comes */
			con_far(c, i);
			cf_is(hear(c, i, VIRTIO_CONSOLE_PORT_OPEN).value, 1);
		}
		cf_reset(c);
		cf_start(c, &c->mode);
	}
}

/* What makes no sense changes nothing, and the queue goes on. */
void case_con_messages(struct cf *c)
{
	static const struct {
		uint32_t id, len;
		uint16_t event, value;
	} bad[] = {
		{ 0, 1, VIRTIO_CONSOLE_PORT_OPEN, 0 },
		{ 0, 7, VIRTIO_CONSOLE_PORT_OPEN, 0 },
		{ 0, 8, VIRTIO_CONSOLE_PORT_OPEN, 2 },
		{ 0, 8, VIRTIO_CONSOLE_PORT_OPEN, 0xffff },
		{ 2, 8, VIRTIO_CONSOLE_PORT_OPEN, 0 },
		{ 63, 8, VIRTIO_CONSOLE_PORT_READY, 1 },
		{ NOBODY, 8, VIRTIO_CONSOLE_PORT_OPEN, 0 },
		{ 0x80000000, 8, VIRTIO_CONSOLE_PORT_READY, 1 },
		{ 0, 8, VIRTIO_CONSOLE_PORT_ADD, 0 },
		{ 0, 8, VIRTIO_CONSOLE_PORT_REMOVE, 0 },
		{ 0, 8, VIRTIO_CONSOLE_CONSOLE_PORT, 1 },
		{ 0, 8, VIRTIO_CONSOLE_RESIZE, 0 },
		{ 0, 8, VIRTIO_CONSOLE_PORT_NAME, 0 },
		{ 0, 8, 8, 0 },
		{ 0, 8, 0xffff, 0xffff },
	};
	struct con_message m;

	start_many(c);
	con_sync(c, 0);
	while (con_hear(c, &m, 50))
		;
	for (size_t i = 0; i < VD_ARRAY_SIZE(bad); i++) {
		con_put_message(c, bad[i].id, bad[i].event, bad[i].value, bad[i].len);
		cf_publish(&c->q[3]);
		con_said(c);
	}
	hear_nothing(c);
	con_ping(&c->q[0]);
	con_ping(&c->q[1]);
	/* One that is longer than it need be. */
	con_put_message(c, 0, VIRTIO_CONSOLE_PORT_READY, 1, 64);
	cf_publish(&c->q[3]);
	con_said(c);
	cf_check(con_hear(c, &m, 10000));
	cf_is(uvdpa_dev_status(c->dev), 15);
}

/* What comes to a port that nobody has open waits. */
void case_con_open(struct cf *c)
{
	unsigned int port = 1;
	struct vd_done d;

	start_many(c);
	for (unsigned int round = 0; round < 10; round++) {
		con_sync(c, port);
		con_say(c, port, VIRTIO_CONSOLE_PORT_OPEN, 0);
		con_ping(con_tx(c, 0));
		cf_check(con_write(c, port, 500) == 500);
		for (unsigned int i = 0; i < 5; i++)
			cf_turn(c, 1);
		cf_is(vd_virtq_drv_get(con_rx(c, port)->drv, &d, 1), 0);
		con_say(c, port, VIRTIO_CONSOLE_PORT_OPEN, 1);
		con_settle(c, port);
	}
}

/* A port is taken away and comes back, with what waited for it. */
void case_con_absent(struct cf *c)
{
	struct uvdpa_attr set[] = { { "port", "1" }, { "present", "off" } };
	struct con_message m;
	struct vd_done d;

	start_many(c);
	for (unsigned int round = 0; round < 5; round++) {
		con_sync(c, 1);
		while (con_hear(c, &m, 20))
			;
		set[1].value = "off";
		cf_is(uvdpa_dev_set(c->dev, set, 2), 0);
		hear(c, 1, VIRTIO_CONSOLE_PORT_REMOVE);
		cf_check(con_write(c, 1, 500) == 500);
		con_ping(con_tx(c, 0));
		hear_nothing(c);
		cf_is(vd_virtq_drv_get(con_rx(c, 1)->drv, &d, 1), 0);
		set[1].value = "on";
		cf_is(uvdpa_dev_set(c->dev, set, 2), 0);
		hear(c, 1, VIRTIO_CONSOLE_PORT_ADD);
		con_say(c, 1, VIRTIO_CONSOLE_PORT_READY, 1);
		con_say(c, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
		con_settle(c, 1);
		con_ping(con_rx(c, 1));
		con_ping(con_tx(c, 1));
	}
}

/* A driver without MULTIPORT has the first port, and the queues of the others are dead. */
void case_con_one_of_many(struct cf *c)
{
	struct virtio_console_control m = { 0, htole16(VIRTIO_CONSOLE_DEVICE_READY), htole16(1) };
	struct vd_buf b;
	struct vd_done d;

	c->features_off = CF_F(VIRTIO_CONSOLE_F_MULTIPORT);
	cf_map(c);
	cf_start(c, &c->mode);
	if (c->nq < 4)
		cf_skip("one port");
	b = (struct vd_buf){ c->q[2].data_iova, 100 };
	cf_check(vd_virtq_drv_add(c->q[2].drv, &b, 0, 1) >= 0);
	cf_publish(&c->q[2]);
	b = (struct vd_buf){ c->q[3].data_iova, sizeof(m) };
	memcpy(cf_at(c, b.iova), &m, sizeof(m));
	for (unsigned int i = 3; i < c->nq; i += 2) {
		cf_check(vd_virtq_drv_add(c->q[i].drv, &b, 1, 0) >= 0);
		cf_publish(&c->q[i]);
		cf_is(cf_get(&c->q[i], &d, 1), 1);
	}
	con_ping(&c->q[0]);
	con_ping(&c->q[1]);
	cf_is(vd_virtq_drv_get(c->q[2].drv, &d, 1), 0);
}
