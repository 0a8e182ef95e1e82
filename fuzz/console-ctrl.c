/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * console-ctrl.c - the control queues of a console that the input drives, and the other end of it
 *
 * Each step is a byte that says what it is, and a few more: a message of the driver, of any bytes
 * or of sense; a buffer for the device, of any size; somebody comes to a port or goes, its size,
 * the port itself; a reset. Messages and buffers are cut into pieces.
 *
 * What must hold: no access outside (the sanitizers); each message is one that a driver can make
 * something of at that moment; and a driver that gives buffers in the end knows how everything is.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "softdev/console.h"

#define PORTS      3u
#define BUFFER_MAX 128u
#define must(cond) ((cond) ? (void)0 : abort())

/* ---- a console without anybody at its ports ----------------------------------------------- */

static size_t no_bytes(struct vd_console *con, struct vd_console_port *port, struct vd_iov *iov,
		       unsigned int niov, size_t len)
{
	(void)con, (void)port, (void)iov, (void)niov, (void)len;
	return 0;
}

static void console_destroy(struct vd_console *con)
{
	free(con);
}

static const struct vd_console_ops console_ops = {
	.send = no_bytes,
	.receive = no_bytes,
	.woken = vd_console_any_woken,
	.opened = vd_console_any_opened,
	.show = vd_console_show_nothing,
	.reset = vd_console_reset_nothing,
	.destroy = console_destroy,
};

static int console_add(struct uvdpa *u, const char *name, const void *conf,
		       struct uvdpa_dev **ret_dev)
{
	static const struct vd_console_port_conf ports[PORTS] = {
		{ .console = true, .connected = true, .cols = 80, .rows = 24 },
		{ .name = "agent" },
		{ .name = "boot", .console = true },
	};
	struct vd_console_conf c = { .nports = PORTS, .ports = ports, .soft = { .name = name } };
	struct vd_console *con = calloc(1, sizeof(*con));

	(void)conf;
	must(con && !vd_console_init(con, u, &console_ops, &c));
	*ret_dev = &con->sd.dev;
	return 0;
}

static struct vd_console *the_console(void)
{
	static const struct uvdpa_opt no_opts[] = { { 0 } };
	static const uint32_t ids[] = { VIRTIO_ID_CONSOLE, 0 };
	static const struct uvdpa_parent parent = {
		.name = "fuzz-console",
		.help = "for tests",
		.device_ids = ids,
		.features = VD_CONSOLE_FEATURES,
		.max_vqs = VD_CONSOLE_VQS_MAX,
		.opts = no_opts,
		.add = console_add,
	};
	static struct uvdpa_dev_opts o = { .size = sizeof(o),
					   .name = "c0",
					   .mgmtdev = "fuzz-console" };
	static struct uvdpa *u;
	static struct uvdpa_dev *dev;
	struct uvdpa_wait w = { 0 };

	if (!u) {
		must(!uvdpa_create(&u));
		must(!uvdpa_parent_register(u, &parent));
		must(!uvdpa_await(u, &w, uvdpa_dev_add(u, &o, &dev, &w)));
	}
	uvdpa_dispatch(u, 0);
	return container_of(container_of(dev, struct vd_softdev, dev), struct vd_console, sd);
}

/* ---- what a driver knows ------------------------------------------------------------------ */

struct driver {
	bool ready;
	struct {
		bool added, ready, console, named, open;
		uint32_t size;
	} port[PORTS];
};

/* It said this, and the device took it. */
static void driver_said(struct driver *d, const uint8_t *b)
{
	uint32_t id = b[0] | b[1] << 8 | b[2] << 16 | (uint32_t)b[3] << 24;

	if (b[4] == VIRTIO_CONSOLE_DEVICE_READY) {
		d->ready = b[6];
		for (unsigned int i = 0; i < PORTS; i++)
			d->port[i].added = false;
		return;
	}
	must(id < PORTS);
	if (b[4] != VIRTIO_CONSOLE_PORT_READY)
		return;
	d->port[id].ready = b[6];
	d->port[id].console = d->port[id].named = d->port[id].open = false;
	d->port[id].size = 0;
}

/* It hears that of a port that it knows. */
static void driver_heard_of(struct driver *d, unsigned int id, unsigned int event, const uint8_t *b,
			    size_t len)
{
	bool console = id != 1;

	must(d->port[id].added && d->port[id].ready);
	switch (event) {
	case VIRTIO_CONSOLE_CONSOLE_PORT:
		must(console && !d->port[id].console && len == 8);
		d->port[id].console = true;
		break;
	case VIRTIO_CONSOLE_PORT_NAME:
		must(id && !d->port[id].named && len == 8 + (id == 1 ? strlen("agent") : 4));
		must(!memcmp(b + 8, id == 1 ? "agent" : "boot", len - 8));
		d->port[id].named = true;
		break;
	case VIRTIO_CONSOLE_RESIZE:
		must(d->port[id].console && len == 12);
		d->port[id].size = b[8] | b[9] << 8 | b[10] << 16 | (uint32_t)b[11] << 24;
		break;
	case VIRTIO_CONSOLE_PORT_OPEN:
		must(d->port[id].open == !b[6] && len == 8);
		d->port[id].open = b[6];
		break;
	default:
		abort();
	}
}

static void driver_heard(struct driver *d, const uint8_t *b, size_t len)
{
	must(d->ready && len >= 8 && b[0] < PORTS && !b[1] && !b[2] && !b[3]);
	must(b[5] == 0 && b[6] <= 1 && b[7] == 0);
	switch (b[4]) {
	case VIRTIO_CONSOLE_PORT_ADD:
		must(!d->port[b[0]].added && len == 8);
		d->port[b[0]].added = true;
		break;
	case VIRTIO_CONSOLE_PORT_REMOVE:
		must(d->port[b[0]].added && len == 8);
		memset(&d->port[b[0]], 0, sizeof(d->port[b[0]]));
		break;
	default:
		driver_heard_of(d, b[0], b[4], b, len);
	}
}

/* Give buffers until there is no more to hear. */
static void hear_all(struct vd_console *con, struct driver *d)
{
	uint8_t buf[BUFFER_MAX];
	struct vd_iov iov = { vd_guest_wrap(uint8_t, buf), sizeof(buf) };
	struct vd_chain c = { .iov = &iov, .nin = 1, .in_len = sizeof(buf) };

	for (unsigned int n = 0; vd_console_tell_one(con, &c); n++) {
		must(n < 6 * PORTS);
		driver_heard(d, buf, c.written);
	}
	for (unsigned int i = 0; i < PORTS && d->ready; i++) {
		const struct vd_console_port *p = &con->ports[i];

		must(d->port[i].added == p->present);
		if (!p->present || !d->port[i].ready)
			continue;
		must(d->port[i].console == p->console && d->port[i].named == !!p->name[0]);
		must(d->port[i].open == p->connected);
		must(!p->console || d->port[i].size == p->size); /* the rows come first */
	}
}

/* ---- steps -------------------------------------------------------------------------------- */

/* Each piece is an allocation of its own. Return: how many. */
static unsigned int cut(struct vd_iov *iov, const uint8_t *b, size_t len, size_t each)
{
	unsigned int n = 0;

	for (size_t at = 0; at < len; at += each, n++) {
		iov[n].len = vd_min(each, len - at);
		iov[n].base = vd_guest_wrap(uint8_t, malloc(iov[n].len));
		if (b)
			vd_guest_write(iov[n].base, b + at, iov[n].len);
	}
	return n;
}

static void free_pieces(struct vd_iov *iov, unsigned int n)
{
	while (n)
		free(vd_guest_expose(iov[--n].base));
}

static void say(struct vd_console *con, struct driver *d, const uint8_t *b, size_t len, size_t each)
{
	struct vd_iov iov[BUFFER_MAX];
	struct vd_chain c = { .iov = iov, .out_len = (uint32_t)len };

	c.nout = (uint16_t)cut(iov, b, len, each);
	if (!vd_console_message(con, &c)) {
		must(len >= 8);
		driver_said(d, b);
	}
	free_pieces(iov, c.nout);
}

static void hear(struct vd_console *con, struct driver *d, size_t len, size_t each)
{
	uint8_t buf[BUFFER_MAX];
	struct vd_iov iov[BUFFER_MAX];
	struct vd_chain c = { .iov = iov, .in_len = (uint32_t)len };
	struct vd_sg sg;

	c.nin = (uint16_t)cut(iov, NULL, len, each);
	if (vd_console_tell_one(con, &c)) {
		must(c.written <= len);
		sg = vd_sg(iov, c.nin);
		if (c.written) {
			must(vd_sg_read(&sg, buf, c.written) == c.written);
			driver_heard(d, buf, c.written);
		}
	}
	free_pieces(iov, c.nin);
}

static void reset(struct vd_console *con, struct driver *d)
{
	vd_console_forget(con);
	memset(d, 0, sizeof(*d));
}

static void step(struct vd_console *con, struct driver *d, const uint8_t *b)
{
	const uint8_t sense[8] = { b[1] % (PORTS + 1), 0, 0, 0, b[2] % 8, 0, b[3] % 3, 0 };
	struct vd_console_port *port = &con->ports[b[1] % PORTS];
	size_t each = 1 + b[3] % 16;

	switch (b[0] % 8) {
	case 0:
		say(con, d, b + 4, b[1] % 13, each);
		break;
	case 1:
	case 2:
		say(con, d, sense, sizeof(sense), 1 + b[0] / 8 % 8);
		break;
	case 3:
		hear(con, d, b[1] % BUFFER_MAX, each);
		break;
	case 4:
		hear(con, d, BUFFER_MAX, each);
		break;
	case 5:
		vd_console_set_connected(port, b[2] & 1);
		break;
	case 6:
		vd_console_set_size(port, b[2], b[3]);
		break;
	case 7:
		if (b[2] % 8 == 0)
			reset(con, d);
		else if (port->idx)
			vd_console_set_present(port, b[2] & 1);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vd_console *con = the_console();
	struct driver d;

	con->multiport = true;
	reset(con, &d);
	for (unsigned int i = 0; i < PORTS; i++) {
		vd_console_set_connected(&con->ports[i], !i);
		vd_console_set_size(&con->ports[i], i ? 0 : 80, i ? 0 : 24);
		if (i)
			vd_console_set_present(&con->ports[i], true);
	}
	for (size_t at = 0; at + 16 <= size && size <= 4096; at += 16)
		step(con, &d, data + at);
	hear_all(con, &d);
	return 0;
}
