/* SPDX-License-Identifier: BSD-2-Clause */
/* console-message.c - the control queues of a console, as a driver uses them; see console.h */
#include <poll.h>

#include "base/fd.h"
#include "console.h"

#define CTRL_RX 2u
#define CTRL_TX 3u

void con_put_message(struct cf *c, uint32_t id, uint16_t event, uint16_t value, uint32_t len)
{
	struct virtio_console_control m = { htole32(id), htole16(event), htole16(value) };
	struct cf_queue *q = &c->q[CTRL_TX];

	memcpy(con_next(q, len), &m, sizeof(m));
	cf_check(con_add(q, len, true));
}

void con_said(struct cf *c)
{
	struct cf_queue *q = &c->q[CTRL_TX];
	struct vd_done d[32];

	while (vd_virtq_drv_inflight(q->drv))
		for (unsigned int n = cf_get(q, d, 32); n--;) {
			cf_is(d[n].len, 0);
			con_take_back(q, &d[n]);
		}
}

void con_say(struct cf *c, uint32_t id, uint16_t event, uint16_t value)
{
	con_put_message(c, id, event, value, sizeof(struct virtio_console_control));
	cf_publish(&c->q[CTRL_TX]);
	con_said(c);
}

void con_listen(struct cf *c)
{
	con_post(&c->q[CTRL_RX], CON_MESSAGE);
}

static bool await_message(struct cf_queue *q, struct vd_done *d, int ms)
{
	struct pollfd p[] = { { q->call, POLLIN, 0 }, { uvdpa_fd(q->c->u), POLLIN, 0 } };
	uint64_t due = cf_now_ms() + (uint64_t)ms;
	bool waited = false; /* for nothing */
	int n;

	while (!(n = vd_virtq_drv_get(q->drv, d, 1)) && cf_now_ms() < due) {
		waited = !vd_virtq_drv_calls_on(q->drv) && poll(p, 2, ms) == 0;
		vd_virtq_drv_calls_off(q->drv);
		if (!waited)
			vd_eventfd_drain(q->call);
		cf_turn(q->c, 0);
	}
	cf_check(n >= 0);
	if (n && waited && poll(p, 1, 200) == 0)
		cf_fail(__FILE__, __LINE__, "told, and not notified");
	return n;
}

bool con_hear(struct cf *c, struct con_message *m, int ms)
{
	struct cf_queue *q = &c->q[CTRL_RX];
	struct virtio_console_control h;
	struct vd_done d;
	const uint8_t *p;

	if (!await_message(q, &d, ms))
		return false;
	p = con_take_back(q, &d);
	cf_check(d.len >= sizeof(h) && d.len <= CON_MESSAGE);
	memcpy(&h, p, sizeof(h));
	*m = (struct con_message){ .id = le32toh(h.id),
				   .event = le16toh(h.event),
				   .value = le16toh(h.value),
				   .len = d.len - (uint32_t)sizeof(h) };
	memcpy(m->more, p + sizeof(h), m->len);
	con_listen(c);
	return true;
}
