/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * console-ctrl.c - the control queues (virtio 1.3, 5.3.6.2); control thread
 *
 *	driver				device
 *	DEVICE_READY		->
 *				<-	PORT_ADD
 *	PORT_READY		->
 *				<-	CONSOLE_PORT, PORT_NAME, RESIZE, PORT_OPEN
 *	PORT_OPEN		->
 *
 * What the device is to be told is state of the ports, so nothing is queued here: a device that
 *does not listen costs nothing, and is told how it is when it does. Of what it says, so much is
 *heeded in a turn of the loop as there are buffers.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bell.h"
#include "base/err.h"
#include "base/fd.h"
#include "virtio/console.h"

static_assert(VD_HVC_CTRL_NUM <= VD_HVC_BUFS, "a buffer for each entry");

static struct vd_virtio_dev *vdev_of(struct vd_hvc_ctrl *c)
{
	return c->con->bound.vdev;
}

/* ---- to the device --------------------------------------------------------------------------- */

/* Return: false if there is no room now. */
static bool say(struct vd_hvc_ctrl *c, uint32_t id, uint16_t event, uint16_t value)
{
	struct virtio_console_control m = { htole32(id), htole16(event), htole16(value) };
	struct vd_hvc_queue *q = &c->tx;
	unsigned int buf;

	if (!q->nfree)
		return false;
	buf = q->free[--q->nfree];
	vd_guest_write(vd_guest_wrap(uint8_t, q->mem + (size_t)buf * q->buf_size), &m, sizeof(m));
	/* Of a broken ring the other direction's reader hears. */
	return !vd_hvc_queue_add(q, buf, sizeof(m));
}

static void say_port(struct vd_hvc_ctrl *c, struct vd_hvc_port *p)
{
	bool open = vd_hvc_port_is_open(p);

	if (p->ready_due)
		p->ready_due = !say(c, p->idx, VIRTIO_CONSOLE_PORT_READY, p->has_chan);
	if (!p->ready_due && p->has_chan && open != p->told_open &&
	    say(c, p->idx, VIRTIO_CONSOLE_PORT_OPEN, open))
		p->told_open = open;
}

static void publish(struct vd_hvc_queue *q)
{
	if (vd_hvc_queue_publish(q))
		vd_bell_ring(NULL, q->kick);
}

void vd_hvc_ctrl_flush(struct vd_hvc_ctrl *c)
{
	if (!c->running)
		return;
	if (c->ready_due)
		c->ready_due = !say(c, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	for (unsigned int i = 0; i < c->con->nports; i++)
		if (c->con->ports[i].state == VD_HVC_PRESENT)
			say_port(c, &c->con->ports[i]);
	publish(&c->tx);
}

static void broke(struct vd_hvc_ctrl *c)
{
	struct vd_virtio_dev *vdev = vdev_of(c);

	vd_hvc_ctrl_stop(c);
	vd_log_warn(vdev->log, vdev->name,
		    "a control queue is broken; its ports stay as they are until it is bound anew");
}

static void reap(struct vd_hvc_ctrl *c)
{
	struct vd_hvc_done d;
	int r;

	while ((r = vd_hvc_queue_get(&c->tx, &d)) > 0)
		c->tx.free[c->tx.nfree++] = d.buf;
	if (r < 0)
		broke(c);
}

/* ---- from the device ------------------------------------------------------------------------- */

static void nonsense(struct vd_hvc_ctrl *c, const char *what, uint32_t id, uint32_t value)
{
	struct vd_virtio_dev *vdev = vdev_of(c);
	unsigned int missed;

	if (vd_ratelimit_ok(&c->con->limit, &missed))
		vd_log_warn(vdev->log, vdev->name,
			    "control message that makes no sense: %s, "
			    "port %" PRIu32 ", %" PRIu32 "; %u more were not told",
			    what, id, value, missed);
}

static void resize(struct vd_hvc_ctrl *c, struct vd_hvc_port *p, const uint8_t *more, size_t len)
{
	struct vd_console_resize size;

	if (len < sizeof(size)) {
		nonsense(c, "length of a size", p->idx, (uint32_t)len);
		return;
	}
	memcpy(&size, more, sizeof(size));
	vd_hvc_port_resized(p, le16toh(size.cols), le16toh(size.rows));
}

/* A message of a port that is there. @more: what is behind the header. */
static void heed_port(struct vd_hvc_ctrl *c, struct vd_hvc_port *p,
		      const struct virtio_console_control *m, const uint8_t *more, size_t len)
{
	switch (le16toh(m->event)) {
	case VIRTIO_CONSOLE_PORT_REMOVE:
		vd_hvc_port_remove(p);
		return;
	case VIRTIO_CONSOLE_CONSOLE_PORT:
		vd_hvc_port_is_console(p);
		return;
	case VIRTIO_CONSOLE_RESIZE:
		resize(c, p, more, len);
		return;
	case VIRTIO_CONSOLE_PORT_OPEN:
		vd_hvc_port_connected(p, m->value != 0);
		return;
	case VIRTIO_CONSOLE_PORT_NAME:
		vd_hvc_port_named(p, (const char *)more, len);
		return;
	}
	nonsense(c, "event", p->idx, le16toh(m->event));
}

static void heed(struct vd_hvc_ctrl *c, const uint8_t *msg, size_t len)
{
	struct virtio_console_control m;
	struct vd_hvc *con = c->con;
	uint32_t id;

	if (len < sizeof(m)) {
		nonsense(c, "length", VIRTIO_CONSOLE_BAD_ID, (uint32_t)len);
		return;
	}
	memcpy(&m, msg, sizeof(m));
	id = le32toh(m.id);
	if (id >= con->nports)
		nonsense(c, "there is no such port", id, le16toh(m.event));
	else if (le16toh(m.event) == VIRTIO_CONSOLE_PORT_ADD)
		vd_hvc_port_add(&con->ports[id]);
	else if (con->ports[id].state == VD_HVC_PRESENT)
		heed_port(c, &con->ports[id], &m, msg + sizeof(m), len - sizeof(m));
	else if (con->ports[id].state == VD_HVC_LEAVING)
		con->ports[id].again &= le16toh(m.event) != VIRTIO_CONSOLE_PORT_REMOVE;
	else
		nonsense(c, "the port was not added", id, le16toh(m.event));
}

/* Return: true if there may be more. */
static bool hear(struct vd_hvc_ctrl *c)
{
	struct vd_hvc_queue *q = &c->rx;
	uint8_t msg[VD_HVC_CTRL_BUF];
	struct vd_hvc_done d;
	int r = 1;

	for (unsigned int i = 0; i < VD_HVC_CTRL_NUM; i++) {
		r = vd_hvc_queue_get(q, &d);
		if (r <= 0)
			break;
		/* The device may change it under us: this copy counts. */
		vd_guest_read(msg, vd_guest_wrap(uint8_t, q->mem + (size_t)d.buf * q->buf_size),
			      d.len);
		heed(c, msg, d.len);
		r = vd_hvc_queue_add(q, d.buf, 0);
		if (r)
			break;
	}
	if (r < 0) {
		broke(c);
		return false;
	}
	publish(q);
	return r > 0 || vd_virtq_drv_calls_on(q->vq);
}

static void look(struct vd_hvc_ctrl *c)
{
	bool more;

	if (!c->running)
		return;
	do
		reap(c);
	while (c->running && vd_virtq_drv_calls_on(c->tx.vq));
	more = c->running && hear(c);
	vd_hvc_ctrl_flush(c);
	if (more)
		vd_loop_post(vdev_of(c)->loop, &c->more);
}

static void called(struct vd_fd *f, uint32_t events)
{
	struct vd_hvc_ctrl *c = container_of(f, struct vd_hvc_ctrl, call_fd);

	(void)events;
	vd_eventfd_drain(c->call);
	look(c);
}

static void look_again(struct vd_post *post)
{
	look(container_of(post, struct vd_hvc_ctrl, more));
}

/* ---- life ------------------------------------------------------------------------------------ */

void vd_hvc_ctrl_zero(struct vd_hvc_ctrl *c)
{
	*c = (struct vd_hvc_ctrl){ .call = -1 };
	vd_hvc_queue_zero(&c->rx);
	vd_hvc_queue_zero(&c->tx);
}

size_t vd_hvc_ctrl_size(struct vd_hvc_ctrl *c, uint64_t features)
{
	c->rx.num = c->rx.nbufs = c->tx.num = c->tx.nbufs = VD_HVC_CTRL_NUM;
	c->rx.buf_size = VD_HVC_CTRL_BUF;
	c->tx.buf_size = sizeof(struct virtio_console_control);
	c->tx.ring = vd_hvc_queue_size(features, &c->rx);
	return c->tx.ring + vd_hvc_queue_size(features, &c->tx);
}

int vd_hvc_ctrl_init(struct vd_hvc_ctrl *c, struct vd_hvc *con, struct uvdpa_vq *ret_rx,
		     struct uvdpa_vq *ret_tx)
{
	struct vd_virtio_dev *vdev = con->bound.vdev;
	int r;

	c->con = con;
	c->call_fd.fn = called;
	c->more.fn = look_again;
	r = c->call = vd_eventfd();
	if (r >= 0)
		r = vd_hvc_queue_init(&c->rx, vdev->features, &con->dma, c->call, ret_rx);
	if (!r)
		r = vd_hvc_queue_init(&c->tx, vdev->features, &con->dma, c->call, ret_tx);
	while (!r && c->rx.nfree)
		r = vd_hvc_queue_add(&c->rx, c->rx.free[--c->rx.nfree], 0);
	return r ? r : vd_fd_add(vdev->loop, &c->call_fd, c->call, EPOLLIN);
}

void vd_hvc_ctrl_begin(struct vd_hvc_ctrl *c)
{
	c->running = true;
	c->ready_due = true;
	publish(&c->rx);
	vd_hvc_ctrl_flush(c);
	/* Ask for calls, and see what may have come. */
	vd_loop_post(vdev_of(c)->loop, &c->more);
}

void vd_hvc_ctrl_stop(struct vd_hvc_ctrl *c)
{
	if (!c->con)
		return;
	c->running = false;
	vd_fd_del(&c->call_fd);
	vd_post_del(vdev_of(c)->loop, &c->more);
}

void vd_hvc_ctrl_fini(struct vd_hvc_ctrl *c)
{
	vd_hvc_ctrl_stop(c);
	vd_hvc_queue_fini(&c->rx);
	vd_hvc_queue_fini(&c->tx);
	vd_close(&c->call);
	vd_hvc_ctrl_zero(c);
}
