/* SPDX-License-Identifier: BSD-2-Clause */
/* console.c - a console whose ports are terminals, sockets and files of the host; see console.h */
#include "parent/console.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

struct con_conf {
	char *port, *terminals, *mode;
	uint64_t keep, reconnect_ms, rotate, rotate_keep, cols, rows, queue_size;
};

static struct vd_con *to_con(struct vd_console *dev)
{
	return container_of(dev, struct vd_con, dev);
}

static size_t con_send(struct vd_console *dev, struct vd_console_port *port, struct vd_iov *iov,
		       unsigned int niov, size_t len)
{
	return vd_con_port_send(&to_con(dev)->ports[port->idx], iov, niov, len);
}

static size_t con_receive(struct vd_console *dev, struct vd_console_port *port, struct vd_iov *iov,
			  unsigned int niov, size_t len)
{
	(void)len;
	return vd_con_port_receive(&to_con(dev)->ports[port->idx], iov, niov);
}

static void con_woken(struct vd_console *dev)
{
	struct vd_con *con = to_con(dev);

	for (unsigned int i = 0; i < con->nports; i++)
		vd_con_port_woken(&con->ports[i]);
}

static void con_show(struct vd_console *dev, struct uvdpa_emit *e)
{
	struct vd_con *con = to_con(dev);

	for (unsigned int i = 0; i < con->nports; i++)
		vd_con_port_show(&con->ports[i], e);
}

static void con_free(struct vd_con *con)
{
	for (unsigned int i = 0; i < con->nports; i++)
		vd_con_port_close(&con->ports[i]);
	free(con->ports);
	free(con);
}

static void con_destroy(struct vd_console *dev)
{
	con_free(to_con(dev));
}

static const struct vd_console_ops con_ops = {
	.send = con_send,
	.receive = con_receive,
	.woken = con_woken,
	.opened = vd_console_any_opened,
	.show = con_show,
	.reset = vd_console_reset_nothing,
	.destroy = con_destroy,
};

static int open_ports(struct vd_con *con, struct uvdpa *u, const struct vd_con_list *list,
		      const struct con_conf *c)
{
	mode_t mode;
	int r = vd_unix_mode(c->mode, &mode);

	con->ports = calloc(list->n, sizeof(*con->ports));
	if (!con->ports)
		return vd_err(-ENOMEM, "no memory for %u ports", list->n);
	while (!r && con->nports < list->n) {
		const struct vd_con_item *item = &list->items[con->nports];
		char suffix[VD_CONSOLE_NAME_MAX + 16] = "";
		struct vd_con_port_conf pc = {
			.name = suffix,
			.keep = c->keep,
			.chan = {
				.address = item->address,
				.mode = mode,
				.reconnect_ms = (unsigned int)c->reconnect_ms,
				.rotate = c->rotate,
				.rotate_keep = (unsigned int)c->rotate_keep,
				.cols = item->terminal ? (uint16_t)c->cols : 0,
				.rows = item->terminal ? (uint16_t)c->rows : 0,
			},
		};

		if (item->name)
			snprintf(suffix, sizeof(suffix), " port %s", item->name);
		else if (list->n > 1)
			snprintf(suffix, sizeof(suffix), " port %u", con->nports);
		r = vd_con_port_open(&con->ports[con->nports], con, u, &pc);
		if (r && suffix[0])
			vd_err_prefix(r, "%s: ", suffix + 1);
		con->nports += !r;
	}
	return r;
}

static int init(struct vd_con *con, struct uvdpa *u, const char *name,
		const struct vd_con_list *list, const struct con_conf *c)
{
	struct vd_console_port_conf ports[VD_CONSOLE_PORTS_MAX] = { 0 };
	struct vd_console_conf conf = {
		.nports = list->n,
		.multiport = list->items[0].name != NULL,
		.ports = ports,
		.queue_size = (unsigned int)c->queue_size,
		.soft = { .name = name },
	};

	for (unsigned int i = 0; i < list->n; i++)
		ports[i] = (struct vd_console_port_conf){
			.name = list->items[i].name,
			.console = list->items[i].terminal,
			.connected = vd_chan_is_up(&con->ports[i].chan),
			.cols = con->ports[i].cols,
			.rows = con->ports[i].rows,
		};
	return vd_console_init(&con->dev, u, &con_ops, &conf);
}

static int con_add(struct uvdpa *u, const char *name, const void *arg, struct uvdpa_dev **ret_dev)
{
	const struct con_conf *c = arg;
	struct vd_con *con = calloc(1, sizeof(*con));
	struct vd_con_list list;
	int r;

	if (!con)
		return vd_err(-ENOMEM, "%s: no memory", name);
	r = vd_con_list_parse(&list, c->port, c->terminals);
	if (r) {
		free(con);
		return vd_err_prefix(r, "%s: ", name);
	}
	snprintf(con->dev.sd.name, sizeof(con->dev.sd.name), "%s", name);
	r = open_ports(con, u, &list, c);
	if (r)
		vd_err_prefix(r, "%s: ", name);
	else
		r = init(con, u, name, &list, c);
	if (r) {
		con_free(con);
	} else {
		con->started = true;
		*ret_dev = &con->dev.sd.dev;
	}
	vd_con_list_fini(&list);
	return r;
}

#define OPT(k, t, f, ...)                                                                  \
	{                                                                                  \
		.key = (k), .type = UVDPA_OPT_##t, .offset = offsetof(struct con_conf, f), \
		__VA_ARGS__                                                                \
	}

static const struct uvdpa_opt con_opts[] = {
	OPT("port", STRING, port, .required = true,
	    .help = "what is at the other end: [NAME=]ADDRESS, or several with commas between"),
	OPT("terminals", STRING, terminals,
	    .help = "ports that are terminals: names or numbers, all, none; else the first"),
	OPT("keep", SIZE, keep, .def = "64K", .max = 1u << 30,
	    .help = "of each port, what is kept while nobody is there"),
	OPT("mode", STRING, mode, .def = "0600",
	    .help = "permissions of what is made, octal, up to 0777"),
	OPT("reconnect_ms", UINT, reconnect_ms, .def = "1000", .max = 3600000,
	    .help = "look so often for who is away, milliseconds; 0: never"),
	OPT("rotate", SIZE, rotate, .help = "a file of so many bytes becomes PATH.1; 0: never"),
	OPT("rotate_keep", UINT, rotate_keep, .def = "3", .max = 1000,
	    .help = "so many of these are kept"),
	OPT("cols", UINT, cols, .max = UINT16_MAX, .help = "columns of the terminals; 0: unknown"),
	OPT("rows", UINT, rows, .max = UINT16_MAX, .help = "rows of them"),
	OPT("queue_size", UINT, queue_size, .def = "256", .min = 2,
	    .max = VD_CONSOLE_QUEUE_SIZE_MAX, .help = "entries of each queue, a power of two"),
	{ 0 },
};

static const uint32_t con_ids[] = { VIRTIO_ID_CONSOLE, 0 };

extern const struct uvdpa_parent vd_parent_console;
const struct uvdpa_parent vd_parent_console = {
	.name = "console",
	.help = "a console on a pseudo terminal, socket, or file of the host",
	.device_ids = con_ids,
	.features = VD_CONSOLE_FEATURES,
	.max_vqs = VD_CONSOLE_VQS_MAX,
	.opts = con_opts,
	.conf_size = sizeof(struct con_conf),
	.add = con_add,
};
