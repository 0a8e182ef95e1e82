/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * console-ctrl.c - the control queues of a console with many ports (virtio 1.3, 5.3.6.2)
 *
 *	driver				device
 *	------				------
 *	DEVICE_READY 1	------------->
 *			<-------------	PORT_ADD		for each port that is there
 *	PORT_READY 1	------------->
 *			<-------------	CONSOLE_PORT, PORT_NAME, RESIZE, PORT_OPEN
 *	PORT_OPEN	------------->				as programs come and go
 *			<-------------	RESIZE, PORT_OPEN, PORT_REMOVE, PORT_ADD
 *
 * What the driver is told is the difference between what there is and what it knows. It is told
 * when it has given a buffer, and then what is true at that time: so what came and went in between
 * it does not hear of, and nothing is kept for it.
 */
#include <errno.h>
#include <string.h>

#include "softdev/console.h"

/* ---- what the driver says ----------------------------------------------------------------- */

/* It begins, perhaps once more: it may not know of any port. */
static int device_ready(struct vd_console *con, bool ready)
{
	con->driver_ready = ready;
	for (unsigned int i = 0; i < con->nports; i++)
		con->ports[i].added = false;
	return 0;
}

/* It can be told more of the port. */
static int port_ready(struct vd_console_port *port, bool ready)
{
	port->ready = ready;
	port->told = 0;
	return 0;
}

static int port_open(struct vd_console_port *port, bool open)
{
	vd_console_opens(port, open);
	return 0;
}

int vd_console_message(struct vd_console *con, const struct vd_chain *chain)
{
	struct vd_sg sg = vd_sg(chain->iov, chain->nout);
	struct virtio_console_control m;
	struct vd_console_port *port;
	uint32_t id;
	uint16_t event, value;

	if (vd_sg_read(&sg, &m, sizeof(m)) < sizeof(m))
		return -EBADMSG;
	id = le32toh(m.id);
	event = le16toh(m.event);
	value = le16toh(m.value);
	if (event != VIRTIO_CONSOLE_DEVICE_READY && event != VIRTIO_CONSOLE_PORT_READY &&
	    event != VIRTIO_CONSOLE_PORT_OPEN)
		return -EOPNOTSUPP;
	if (value > 1)
		return -EINVAL;
	if (event == VIRTIO_CONSOLE_DEVICE_READY) /* its id means nothing */
		return device_ready(con, value);
	if (id >= con->nports)
		return -EINVAL;
	port = &con->ports[id];
	if (!__atomic_load_n(&port->present, __ATOMIC_RELAXED))
		return -EINVAL;
	return event == VIRTIO_CONSOLE_PORT_READY ? port_ready(port, value)
						  : port_open(port, value);
}

void vd_console_asked(struct vd_console *con, struct vd_chain **chains, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		bool ok = !vd_console_message(con, chains[i]);

		vd_console_count(&con->asked.messages, 1);
		vd_console_count(&con->asked.errors, !ok);
		vd_softq_done(con->ctrl_tx, chains[i], 0, ok);
	}
	__atomic_store_n(&con->tell, true, __ATOMIC_RELAXED);
}

/* ---- what it is told ---------------------------------------------------------------------- */

/* One message about a port. */
struct news {
	int event; /* -1: there are none */
	bool value;
	uint32_t size;
};

static struct news next_news(const struct vd_console_port *p)
{
	bool present = __atomic_load_n(&p->present, __ATOMIC_RELAXED);
	bool connected = __atomic_load_n(&p->connected, __ATOMIC_RELAXED);
	uint32_t size = __atomic_load_n(&p->size, __ATOMIC_RELAXED);

	if (!present)
		return (struct news){ .event = p->added ? VIRTIO_CONSOLE_PORT_REMOVE : -1 };
	if (!p->added)
		return (struct news){ .event = VIRTIO_CONSOLE_PORT_ADD };
	if (!p->ready)
		return (struct news){ .event = -1 };
	if (p->console && !(p->told & VD_CONSOLE_TOLD_CONSOLE))
		return (struct news){ .event = VIRTIO_CONSOLE_CONSOLE_PORT, .value = true };
	if (p->name[0] && !(p->told & VD_CONSOLE_TOLD_NAME))
		return (struct news){ .event = VIRTIO_CONSOLE_PORT_NAME, .value = true };
	if (p->console && size != (p->told & VD_CONSOLE_TOLD_SIZE ? p->told_size : 0))
		return (struct news){ .event = VIRTIO_CONSOLE_RESIZE, .size = size };
	if (connected != !!(p->told & VD_CONSOLE_TOLD_OPEN))
		return (struct news){ .event = VIRTIO_CONSOLE_PORT_OPEN, .value = connected };
	return (struct news){ .event = -1 };
}

/* The driver knows it now. */
static void note(struct vd_console_port *p, const struct news *news)
{
	switch (news->event) {
	case VIRTIO_CONSOLE_PORT_ADD:
		p->added = true;
		break;
	case VIRTIO_CONSOLE_PORT_REMOVE:
		p->added = p->ready = false;
		p->told = 0;
		vd_console_opens(p, false);
		break;
	case VIRTIO_CONSOLE_CONSOLE_PORT:
		p->told |= VD_CONSOLE_TOLD_CONSOLE;
		break;
	case VIRTIO_CONSOLE_PORT_NAME:
		p->told |= VD_CONSOLE_TOLD_NAME;
		break;
	case VIRTIO_CONSOLE_RESIZE:
		p->told |= VD_CONSOLE_TOLD_SIZE;
		p->told_size = news->size;
		break;
	case VIRTIO_CONSOLE_PORT_OPEN:
		p->told ^= VD_CONSOLE_TOLD_OPEN;
		break;
	}
}

/* Return: whether it has room. */
static bool write_news(struct vd_chain *c, const struct vd_console_port *p, const struct news *news)
{
	struct virtio_console_control m = {
		.id = htole32(p->idx),
		.event = htole16((uint16_t)news->event),
		.value = htole16(news->value),
	};
	struct vd_console_resize size = {
		.cols = htole16((uint16_t)(news->size >> 16)),
		.rows = htole16((uint16_t)news->size),
	};
	struct vd_sg sg = vd_sg(c->iov + c->nout, c->nin);
	const void *more = NULL;
	size_t nmore = 0;

	if (news->event == VIRTIO_CONSOLE_PORT_NAME) {
		more = p->name;
		nmore = strlen(p->name); /* without its end */
	} else if (news->event == VIRTIO_CONSOLE_RESIZE) {
		more = &size;
		nmore = sizeof(size);
	}
	c->written = 0;
	if (c->in_len < sizeof(m) + nmore)
		return false;
	c->written = (uint32_t)(vd_sg_write(&sg, &m, sizeof(m)) + vd_sg_write(&sg, more, nmore));
	return true;
}

/* What the driver does not know yet. Return: the port it is about; NULL: it knows all. */
static struct vd_console_port *find_news(struct vd_console *con, struct news *ret_news)
{
	for (unsigned int i = 0; i < con->nports && con->driver_ready; i++) {
		*ret_news = next_news(&con->ports[i]);
		if (ret_news->event >= 0)
			return &con->ports[i];
	}
	return NULL;
}

static void tell(struct vd_console_port *p, const struct news *news, struct vd_chain *c)
{
	struct vd_console *con = p->con;
	bool ok = write_news(c, p, news);

	vd_console_count(&con->told.messages, ok);
	vd_console_count(&con->told.errors, !ok);
	if (ok)
		note(p, news);
}

bool vd_console_tell_one(struct vd_console *con, struct vd_chain *chain)
{
	struct news news;
	struct vd_console_port *p = find_news(con, &news);

	if (p)
		tell(p, &news, chain);
	return p;
}

/* Return: of how much, at most a burst: a driver can give buffers that are too small as fast as we.
 */
static unsigned int tell_all(struct vd_console *con)
{
	struct vd_console_port *p;
	struct vd_chain *c;
	struct news news;
	unsigned int n;

	for (n = 0; (p = find_news(con, &news)); n++) {
		if (n == VD_SOFTQ_BURST || !vd_softq_take(con->ctrl_rx, &c, 1)) {
			__atomic_store_n(&con->tell, true, __ATOMIC_RELAXED);
			break;
		}
		tell(p, &news, c);
		vd_softq_give(con->ctrl_rx, &c, 1);
	}
	return n;
}

unsigned int vd_console_tell(struct vd_console *con)
{
	unsigned int n;

	if (!con->ctrl_rx || !vd_softq_runs(con->ctrl_rx) || !con->multiport ||
	    !vd_softq_lock(con->ctrl_rx))
		return 0;
	/* Acquire: what there is to tell. Pairs with the release in console.c. */
	n = __atomic_exchange_n(&con->tell, false, __ATOMIC_ACQUIRE) ? tell_all(con) : 0;
	vd_softq_publish(con->ctrl_rx, vd_softq_worker(con->ctrl_rx));
	vd_softq_unlock(con->ctrl_rx);
	return n;
}

void vd_console_forget(struct vd_console *con)
{
	con->driver_ready = false;
	for (unsigned int i = 0; i < con->nports; i++) {
		struct vd_console_port *p = &con->ports[i];

		p->added = p->ready = false;
		p->told = 0;
		vd_console_opens(p, false);
	}
}
