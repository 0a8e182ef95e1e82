/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * console.c - the virtio console device: what it is, offers, counts, and can be told while in use
 *
 *	queue	0, 1	   2, 3		 2n + 2, 2n + 3
 *	of	port 0	   control	 port n
 *
 * A driver without MULTIPORT uses the first two. What it puts into others is given back, as is what
 * is sent to a port that is not there.
 */
#include "softdev/console.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/size.h"
#include "softdev/worker.h"

#define EMERG_OFF offsetof(struct virtio_console_config, emerg_wr)

static struct vd_console *to_con(struct vd_softdev *sd)
{
	return container_of(sd, struct vd_console, sd);
}

/* ---- for parents that need nothing of it -------------------------------------------------- */

void vd_console_any_woken(struct vd_console *con)
{
	(void)con;
}

void vd_console_any_opened(struct vd_console *con, struct vd_console_port *port, bool open)
{
	(void)con, (void)port, (void)open;
}

void vd_console_show_nothing(struct vd_console *con, struct uvdpa_emit *e)
{
	(void)con, (void)e;
}

void vd_console_reset_nothing(struct vd_console *con)
{
	(void)con;
}

/* ---- queues ------------------------------------------------------------------------------- */

static bool is_ctrl(unsigned int idx)
{
	return idx == VD_CONSOLE_CTRL_RX || idx == VD_CONSOLE_CTRL_TX;
}

/* Of a queue that is none of control's. */
static struct vd_console_port *port_of(struct vd_console *con, unsigned int idx)
{
	return &con->ports[idx < VD_CONSOLE_CTRL_RX ? 0 : idx / 2 - 1];
}

static void give_unused(struct vd_softq *q, struct vd_chain **chains, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		vd_softq_done(q, chains[i], 0, false);
}

static void console_handle(struct vd_softq *q, struct vd_chain **chains, unsigned int n)
{
	struct vd_console *con = to_con(vd_softq_dev(q));
	unsigned int idx = vd_softq_index(q);
	struct vd_console_port *port = is_ctrl(idx) ? NULL : port_of(con, idx);

	if (vd_unlikely(idx >= VD_CONSOLE_CTRL_RX && !con->multiport)) {
		give_unused(q, chains, n);
	} else if (!port) {
		vd_console_asked(con, chains, n);
	} else if (vd_unlikely(!__atomic_load_n(&port->present, __ATOMIC_RELAXED))) {
		vd_console_count(&port->sent.errors, n);
		give_unused(q, chains, n);
	} else {
		vd_console_transmit(port, chains, n);
	}
}

/* ---- the control thread ------------------------------------------------------------------- */

/* What the worker has posted: which ports are open now, for the driver. */
static void settle_opens(struct vd_post *post)
{
	struct vd_console *con = container_of(post, struct vd_console, post);

	for (unsigned int i = 0; i < con->nports; i++) {
		struct vd_console_port *p = &con->ports[i];
		unsigned int opens = __atomic_load_n(&p->opens, __ATOMIC_ACQUIRE);
		bool open = opens & 1, was = p->opens_seen & 1;

		if (opens == p->opens_seen)
			continue;
		p->opens_seen = opens;
		if (open == was) /* it was otherwise for a while */
			con->ops->opened(con, p, !open);
		con->ops->opened(con, p, open);
	}
}

static int console_set_features(struct vd_softdev *sd, uint64_t features)
{
	to_con(sd)->multiport = features & VD_CONSOLE_F(MULTIPORT);
	return 0;
}

static int console_get_config(struct vd_softdev *sd, uint32_t off, void *buf, uint32_t len)
{
	const struct vd_console *con = to_con(sd);
	uint32_t size = __atomic_load_n(&con->ports->size, __ATOMIC_RELAXED);
	struct virtio_console_config c = {
		.cols = htole16((uint16_t)(size >> 16)),
		.rows = htole16((uint16_t)size),
		.max_nr_ports = htole32(con->nports),
	};

	memcpy(buf, (const char *)&c + off, len);
	return 0;
}

/* Emergency writes need no driver and no negotiation (virtio 1.3, 5.3.5). The worker sends them. */
static void put_emergency(struct vd_console *con, uint8_t c)
{
	/* Acquire: what is sent has been read. Pairs with the release in console-io.c. */
	unsigned int out = __atomic_load_n(&con->emerg_out, __ATOMIC_ACQUIRE), in = con->emerg_in;

	if (in - out == VD_CONSOLE_EMERG) {
		con->emerg_lost++;
		return;
	}
	con->emerg[in % VD_CONSOLE_EMERG] = c;
	/* Release: the character. Pairs with the acquire in console-io.c. */
	__atomic_store_n(&con->emerg_in, in + 1, __ATOMIC_RELEASE);
	vd_worker_wake(con->sd.workers);
}

/*
 * A virtual machine monitor may write all of the configuration space for each byte that its guest
 * writes: what is not for us to take is ignored, and so is a character of zero, which is what was
 * there.
 */
static int console_set_config(struct vd_softdev *sd, uint32_t off, const void *buf, uint32_t len)
{
	uint8_t c;

	if (off + len <= EMERG_OFF)
		return vd_err(-EOPNOTSUPP, "%s: configuration bytes %u to %u: not writable",
			      sd->name, off, off + len - 1);
	if (off > EMERG_OFF)
		return 0;
	c = ((const uint8_t *)buf)[EMERG_OFF - off];
	if (c)
		put_emergency(to_con(sd), c);
	return 0;
}

static void console_held(struct vd_softdev *sd, struct vd_worker *w)
{
	(void)sd, (void)w;
}

static void console_reset(struct vd_softdev *sd)
{
	struct vd_console *con = to_con(sd);

	vd_console_forget(con);
	settle_opens(&con->post);
	con->multiport = false;
	con->ops->reset(con);
}

static void console_fini(struct vd_console *con)
{
	vd_post_del(vd_ctx_loop(con->sd.u), &con->post);
	free(con->ports);
	con->ports = NULL;
	con->nports = 0;
}

static void console_destroy(struct vd_softdev *sd)
{
	console_fini(to_con(sd));
	to_con(sd)->ops->destroy(to_con(sd));
}

void vd_console_wake(struct vd_console *con)
{
	__atomic_store_n(&con->woken, true, __ATOMIC_RELEASE);
	vd_worker_wake(con->sd.workers);
}

static void tell(struct vd_console *con)
{
	/* Release: what has changed. Pairs with the acquire in console-ctrl.c. */
	__atomic_store_n(&con->tell, true, __ATOMIC_RELEASE);
	vd_worker_wake(con->sd.workers);
}

void vd_console_set_connected(struct vd_console_port *port, bool connected)
{
	if (__atomic_exchange_n(&port->connected, connected, __ATOMIC_RELAXED) != connected)
		tell(port->con);
}

void vd_console_set_size(struct vd_console_port *port, uint16_t cols, uint16_t rows)
{
	struct vd_console *con = port->con;
	uint32_t size = (uint32_t)cols << 16 | rows;

	if (__atomic_exchange_n(&port->size, size, __ATOMIC_RELAXED) == size)
		return;
	if (con->multiport)
		tell(con);
	else if (!port->idx)
		uvdpa_dev_config_changed(&con->sd.dev);
}

void vd_console_set_present(struct vd_console_port *port, bool present)
{
	assert(port->idx);
	if (__atomic_exchange_n(&port->present, present, __ATOMIC_RELAXED) != present)
		tell(port->con);
}

/* ---- what can be changed, and is told ----------------------------------------------------- */

struct set_conf {
	char *port;
	uint64_t cols, rows;
	bool present;
};

enum { PORT, COLS, ROWS, PRESENT };

static const struct uvdpa_opt set_opts[] = {
	[PORT] = { .key = "port",
		   .type = UVDPA_OPT_STRING,
		   .offset = offsetof(struct set_conf, port),
		   .help = "name or number of the port that the others are about; the first" },
	[COLS] = { .key = "cols",
		   .type = UVDPA_OPT_UINT,
		   .offset = offsetof(struct set_conf, cols),
		   .max = UINT16_MAX,
		   .help = "columns of its terminal; 0: unknown" },
	[ROWS] = { .key = "rows",
		   .type = UVDPA_OPT_UINT,
		   .offset = offsetof(struct set_conf, rows),
		   .max = UINT16_MAX,
		   .help = "rows of it" },
	[PRESENT] = { .key = "present",
		      .type = UVDPA_OPT_BOOL,
		      .offset = offsetof(struct set_conf, present),
		      .help = "off: it is taken away from the driver" },
	{ 0 },
};

static struct vd_console *from_dev(struct uvdpa_dev *dev)
{
	return to_con(container_of(dev, struct vd_softdev, dev));
}

static struct vd_console_port *find_port(struct vd_console *con, const char *word)
{
	uint64_t idx;

	for (unsigned int i = 0; i < con->nports; i++)
		if (con->ports[i].name[0] && !strcmp(con->ports[i].name, word))
			return &con->ports[i];
	return vd_number_parse(word, false, &idx) || idx >= con->nports ? NULL : &con->ports[idx];
}

static int console_set(struct uvdpa_dev *dev, const void *conf, uint64_t given)
{
	const struct set_conf *c = conf;
	struct vd_console *con = from_dev(dev);
	struct vd_console_port *p = con->ports;
	uint16_t cols, rows;

	if (given >> PORT & 1)
		p = find_port(con, c->port);
	if (!p)
		return vd_err(-EINVAL, "%s: port \"%s\" is none of the %u", con->sd.name, c->port,
			      con->nports);
	if (given >> PRESENT & 1 && !c->present && !p->idx)
		return vd_err(-EINVAL, "%s: port 0 is always there", con->sd.name);
	cols = given >> COLS & 1 ? (uint16_t)c->cols : (uint16_t)(p->size >> 16);
	rows = given >> ROWS & 1 ? (uint16_t)c->rows : (uint16_t)p->size;
	vd_console_set_size(p, cols, rows);
	if (given >> PRESENT & 1 && p->idx)
		vd_console_set_present(p, c->present);
	return 0;
}

static const struct uvdpa_set_ops set_ops = {
	.opts = set_opts,
	.conf_size = sizeof(struct set_conf),
	.set = console_set,
};

static void show_port(const struct vd_console_port *p, struct uvdpa_emit *e)
{
	uint32_t size = p->size;
	char key[16], text[VD_CONSOLE_NAME_MAX + 64], dims[16] = "";

	if (size)
		snprintf(dims, sizeof(dims), " %ux%u", size >> 16, size & 0xffff);
	snprintf(key, sizeof(key), "port%u", p->idx);
	snprintf(text, sizeof(text), "%s%s%s%s%s%s%s", p->name, p->name[0] ? " " : "",
		 p->console ? "console" : "serial", dims, p->present ? "" : " absent",
		 p->connected ? " connected" : "", vd_console_is_open(p) ? " open" : "");
	e->str(e, key, text);
}

static void console_show(struct uvdpa_dev *dev, struct uvdpa_emit *e)
{
	struct vd_console *con = from_dev(dev);

	for (unsigned int i = 0; i < con->nports; i++)
		show_port(&con->ports[i], e);
	if (con->emerg_lost)
		e->num(e, "emergency_lost", con->emerg_lost);
	con->ops->show(con, e);
}

static const struct uvdpa_show_ops show_ops = { .show = console_show };

static void emit(struct uvdpa_emit *e, const char *name, const uint64_t *value)
{
	e->num(e, name, __atomic_load_n(value, __ATOMIC_RELAXED));
}

static void emit_ctrl(struct uvdpa_emit *e, const char *type,
		      const struct vd_console_ctrl_counts *c)
{
	e->str(e, "queue_type", type);
	emit(e, "messages", &c->messages);
	emit(e, "message errors", &c->errors);
}

static void emit_port(struct uvdpa_emit *e, const struct vd_console_port *p, bool sent)
{
	const struct vd_console_counts *c = sent ? &p->sent : &p->received;

	e->str(e, "queue_type", sent ? "tx" : "rx");
	e->num(e, "port", p->idx);
	emit(e, sent ? "tx bytes" : "rx bytes", &c->bytes);
	emit(e, sent ? "tx errors" : "rx errors", &c->errors);
	emit(e, sent ? "tx waits" : "rx waits", &c->waits);
}

static int console_stats(struct vd_softdev *sd, unsigned int idx, struct uvdpa_emit *e)
{
	struct vd_console *con = to_con(sd);

	if (is_ctrl(idx))
		emit_ctrl(e, idx == VD_CONSOLE_CTRL_RX ? "control_rx" : "control_tx",
			  idx == VD_CONSOLE_CTRL_RX ? &con->told : &con->asked);
	else
		emit_port(e, port_of(con, idx), idx % 2);
	return vd_softq_emit(sd, idx, e);
}

/* ---- the device --------------------------------------------------------------------------- */

static const struct vd_softdev_ops console_ops = {
	.chain_size = sizeof(struct vd_chain),
	.iov_max = VD_CONSOLE_PIECES,
	.handle = console_handle,
	.held = console_held,
	.worker_start = vd_console_worker_start,
	.stats = console_stats,
	.set_features = console_set_features,
	.get_config = console_get_config,
	.set_config = console_set_config,
	.reset = console_reset,
	.destroy = console_destroy,
};

/* Replace the zeros that mean a default, and check the rest. */
static int complete(struct vd_console_conf *c)
{
	const char *who = c->soft.name;

	if (!c->nports)
		c->nports = 1;
	if (!c->queue_size)
		c->queue_size = 256; /* User Mode Linux takes no other */
	if (c->nports > VD_CONSOLE_PORTS_MAX)
		return vd_err(-EINVAL, "%s: %u ports, at most %u", who, c->nports,
			      VD_CONSOLE_PORTS_MAX);
	if (c->queue_size < 2 || c->queue_size > VD_CONSOLE_QUEUE_SIZE_MAX ||
	    c->queue_size & (c->queue_size - 1))
		return vd_err(-EINVAL, "%s: queue size %u, not a power of two from 2 to %u", who,
			      c->queue_size, VD_CONSOLE_QUEUE_SIZE_MAX);
	for (unsigned int i = 0; i < c->nports && c->ports; i++) {
		const char *name = c->ports[i].name;

		if (name && (!name[0] || strlen(name) > VD_CONSOLE_NAME_MAX))
			return vd_err(-EINVAL, "%s: port %u: a name of %zu bytes, not 1 to %u", who,
				      i, strlen(name), VD_CONSOLE_NAME_MAX);
	}
	if (c->ports && c->ports->absent)
		return vd_err(-EINVAL, "%s: port 0 is always there", who);
	c->multiport |= c->nports > 1;
	c->soft.workers = 1;
	return 0;
}

static int init_ports(struct vd_console *con, const struct vd_console_conf *c)
{
	static const struct vd_console_port_conf terminal = { .console = true };

	con->ports = calloc(c->nports, sizeof(*con->ports));
	if (!con->ports)
		return vd_err(-ENOMEM, "%s: no memory for %u ports", c->soft.name, c->nports);
	con->nports = c->nports;
	for (unsigned int i = 0; i < c->nports; i++) {
		const struct vd_console_port_conf *pc = c->ports ? &c->ports[i] : &terminal;
		struct vd_console_port *p = &con->ports[i];

		p->con = con;
		p->idx = i;
		p->fd = -1;
		snprintf(p->name, sizeof(p->name), "%s", pc->name ? pc->name : "");
		p->console = pc->console;
		p->connected = pc->connected;
		p->present = !pc->absent;
		p->size = (uint32_t)pc->cols << 16 | pc->rows;
	}
	return 0;
}

void vd_console_begin(struct vd_console *con, struct uvdpa *u, const struct vd_console_ops *ops)
{
	con->ops = ops;
	con->sd.dev.info.device_id = VIRTIO_ID_CONSOLE;
	vd_softdev_begin(&con->sd, u, &console_ops);
}

int vd_console_init(struct vd_console *con, struct uvdpa *u, const struct vd_console_ops *ops,
		    const struct vd_console_conf *conf)
{
	struct vd_console_conf c = *conf;
	uint64_t features = VD_CONSOLE_FEATURES;
	int r;

	r = complete(&c);
	if (r)
		return r;
	if (!c.multiport)
		features &= ~VD_CONSOLE_F(MULTIPORT);
	vd_console_begin(con, u, ops);
	con->post.fn = settle_opens;
	con->woken = true;
	con->sd.dev.info = (struct uvdpa_dev_info){
		.device_id = VIRTIO_ID_CONSOLE,
		.features = features,
		.nvqs = c.multiport ? 2 * c.nports + 2 : 2,
		.vq_num_max = c.queue_size,
		.vq_num_min = 1,
		.config_size = sizeof(struct virtio_console_config),
		.ngroups = 1,
		.nas = 1,
		.iova_last = UINT64_MAX,
	};
	con->sd.dev.set = &set_ops;
	con->sd.dev.show = &show_ops;
	r = init_ports(con, &c);
	if (r)
		return r;
	r = vd_softdev_init(&con->sd, u, &console_ops, &c.soft);
	if (r) {
		console_fini(con);
		return r;
	}
	con->sd.dev.inflight = false; /* nothing is in flight for long */
	return 0;
}
