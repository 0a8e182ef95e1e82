/* SPDX-License-Identifier: BSD-2-Clause */
/* console-io.c - bytes through the ports of a console, and what each must be; see console.h */
#include <poll.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/noise.h"
#include "console.h"

#define SLOTS    512u
#define SLOT_MAX 2048u
#define MARK     32u   /* bytes that nobody sees by chance */
#define BEGIN    8u    /* chains that con_begin() sends */
#define SOME     8192u /* bytes that are read or written at once */
#define WAIT_MS  10000u

struct io {
	uint32_t stride, len;
	unsigned int nfree;
	uint16_t free[SLOTS], slot_of[SLOTS]; /* by the ring's id */
	bool synced;
	uint8_t last[MARK]; /* that came, while it is not */
};

struct model {
	unsigned int greeted; /* in this life of the driver */
	uint16_t cols;
	struct {
		uint64_t sent, read;   /* driver to the other end */
		uint64_t written, got; /* and back */
		uint8_t last[MARK];
		bool reads_anything; /* until the mark comes */
	} port[CON_PORTS];
};

/* ---- what there is ------------------------------------------------------------------------ */

bool con_multiport(const struct cf *c)
{
	return c->features & CF_F(VIRTIO_CONSOLE_F_MULTIPORT);
}

unsigned int con_ports(const struct cf *c)
{
	return con_multiport(c) ? c->info->nvqs / 2 - 1 : 1;
}

enum con_kind con_kind(const struct cf_queue *q)
{
	if (q->idx >= 2 && !con_multiport(q->c))
		return CON_NONE;
	if (q->idx / 2 == 1)
		return q->idx & 1 ? CON_CTRL_TX : CON_CTRL_RX;
	return q->idx & 1 ? CON_TX : CON_RX;
}

unsigned int con_port(const struct cf_queue *q)
{
	return q->idx < 2 ? 0 : q->idx / 2 - 1;
}

struct cf_queue *con_rx(struct cf *c, unsigned int port)
{
	return &c->q[port ? 2 * port + 2 : 0];
}

struct cf_queue *con_tx(struct cf *c, unsigned int port)
{
	return con_rx(c, port) + 1;
}

uint32_t con_rnd(uint32_t below)
{
	static uint64_t i;

	return (uint32_t)(vd_noise(1, i++) % below);
}

static struct model *model(struct cf *c)
{
	if (!c->model)
		c->model = calloc(1, sizeof(struct model));
	cf_check(c->model);
	return c->model;
}

static struct io *io(struct cf_queue *q)
{
	struct io *x = q->io;

	if (x)
		return x;
	x = q->io = calloc(1, sizeof(*x));
	cf_check(x && q->num <= SLOTS);
	x->stride = vd_min(q->data_len / q->num & ~63u, SLOT_MAX);
	while (x->nfree < q->num) {
		x->free[x->nfree] = (uint16_t)x->nfree;
		x->nfree++;
	}
	return x;
}

/* The two ways of a port are different streams. */
static uint8_t byte_at(unsigned int stream, uint64_t at)
{
	return (uint8_t)(vd_noise(stream + 100, at / 8) >> at % 8 * 8);
}

static unsigned int stream_of(unsigned int port, bool back)
{
	return 2 * port + back;
}

static void check(unsigned int stream, uint64_t at, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != byte_at(stream, at + i))
			cf_fail(__FILE__, __LINE__, "port %u, %s: another byte at %llu", stream / 2,
				stream & 1 ? "received" : "sent", (unsigned long long)at + i);
}

/* The last bytes before @end; what came before them may be anything. Return: whether they came. */
static bool is_mark(unsigned int stream, uint64_t end, uint8_t *last, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		memmove(last, last + 1, MARK - 1);
		last[MARK - 1] = p[i];
	}
	for (unsigned int i = 0; i < MARK; i++)
		if (last[i] != byte_at(stream, end - MARK + i))
			return false;
	return true;
}

/* ---- the other end ------------------------------------------------------------------------ */

int con_far(struct cf *c, unsigned int port)
{
	cf_check(port < CF_FAR_MAX);
	if (c->f.far[port] < 0) {
		c->f.far[port] = c->f.variant->far->connect(&c->f, port);
		cf_check(c->f.far[port] >= 0);
	}
	return c->f.far[port];
}

size_t con_write(struct cf *c, unsigned int port, size_t len)
{
	uint64_t *written = &model(c)->port[port].written;
	uint32_t room = c->f.variant->far->room;
	uint8_t buf[SOME];
	size_t done = 0;

	if (room)
		len = vd_min(len, room - vd_min(con_to_get(c, port), room));
	while (done < len) {
		size_t part = vd_min(len - done, sizeof(buf));
		ssize_t n;

		for (size_t i = 0; i < part; i++)
			buf[i] = byte_at(stream_of(port, true), *written + i);
		n = send(con_far(c, port), buf, part, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			break;
		*written += (uint64_t)n;
		done += (size_t)n;
	}
	return done;
}

size_t con_read(struct cf *c, unsigned int port, size_t max)
{
	struct model *m = model(c);
	unsigned int stream = stream_of(port, false);
	uint8_t buf[SOME];
	size_t done = 0;

	while (done < max) {
		ssize_t n =
			recv(con_far(c, port), buf, vd_min(max - done, sizeof(buf)), MSG_DONTWAIT);

		if (n <= 0)
			break;
		done += (size_t)n;
		if (m->port[port].reads_anything) {
			if (is_mark(stream, m->port[port].sent, m->port[port].last, buf,
				    (size_t)n)) {
				m->port[port].reads_anything = false;
				m->port[port].read = m->port[port].sent;
			}
			continue;
		}
		check(stream, m->port[port].read, buf, (size_t)n);
		m->port[port].read += (uint64_t)n;
		cf_check(m->port[port].read <= m->port[port].sent);
	}
	return done;
}

uint64_t con_to_read(struct cf *c, unsigned int port)
{
	return model(c)->port[port].sent - model(c)->port[port].read;
}

uint64_t con_to_get(struct cf *c, unsigned int port)
{
	return model(c)->port[port].written - model(c)->port[port].got;
}

/* ---- the driver --------------------------------------------------------------------------- */

static uint64_t slot_iova(struct cf_queue *q, unsigned int slot)
{
	return q->data_iova + (uint64_t)slot * io(q)->stride;
}

uint8_t *con_next(struct cf_queue *q, uint32_t len)
{
	const struct io *x = io(q);

	cf_check(x->nfree && len <= x->stride);
	return cf_at(q->c, slot_iova(q, x->free[x->nfree - 1]));
}

bool con_add(struct cf_queue *q, uint32_t len, bool out)
{
	struct io *x = io(q);
	struct vd_buf b;
	uint16_t slot;
	int id;

	if (!x->nfree)
		return false;
	slot = x->free[x->nfree - 1];
	b = (struct vd_buf){ slot_iova(q, slot), len };
	id = vd_virtq_drv_add(q->drv, &b, out, !out);
	if (id == -ENOSPC)
		return false;
	cf_check(id >= 0);
	x->nfree--;
	x->slot_of[id] = slot;
	return true;
}

uint8_t *con_take_back(struct cf_queue *q, const struct vd_done *d)
{
	struct io *x = io(q);
	uint16_t slot = x->slot_of[d->id];

	x->free[x->nfree++] = slot;
	return cf_at(q->c, slot_iova(q, slot));
}

void con_make(struct cf_queue *tx, uint8_t *to, uint32_t len)
{
	unsigned int port = con_port(tx);
	uint64_t *sent = &model(tx->c)->port[port].sent;

	for (uint32_t i = 0; i < len; i++)
		to[i] = byte_at(stream_of(port, false), *sent + i);
	*sent += len;
}

bool con_send(struct cf_queue *tx, uint32_t len)
{
	struct io *x = io(tx);

	len = vd_min(len, x->stride);
	if (!x->nfree || vd_virtq_drv_inflight(tx->drv) == tx->num)
		return false;
	con_make(tx, cf_at(tx->c, slot_iova(tx, x->free[x->nfree - 1])), len);
	cf_check(con_add(tx, len, true));
	return true;
}

void con_post(struct cf_queue *rx, uint32_t len)
{
	io(rx)->len = len ? len : io(rx)->stride;
	while (con_add(rx, io(rx)->len, false))
		;
	cf_publish(rx);
}

static void got(struct cf_queue *rx, const uint8_t *p, uint32_t len)
{
	unsigned int port = con_port(rx), stream = stream_of(port, true);
	struct model *m = model(rx->c);
	struct io *x = io(rx);

	if (!x->synced) {
		x->synced = is_mark(stream, m->port[port].written, x->last, p, len);
		if (x->synced)
			m->port[port].got = m->port[port].written;
		return;
	}
	check(stream, m->port[port].got, p, len);
	m->port[port].got += len;
	cf_check(m->port[port].got <= m->port[port].written);
}

/* Return: whether any came; buffers are given again. */
static bool take_rx(struct cf_queue *rx)
{
	struct vd_done d[32];
	bool any = false;
	int n;

	while (!rx->off && (n = vd_virtq_drv_get(rx->drv, d, 32)) > 0) {
		for (int i = 0; i < n; i++) {
			cf_check(d[i].len);
			got(rx, con_take_back(rx, &d[i]), d[i].len);
		}
		any = true;
	}
	if (any)
		con_post(rx, io(rx)->len);
	return any;
}

bool con_take_sent(struct cf_queue *tx)
{
	struct vd_done d[32];
	int n, total = 0;

	while (!tx->off && (n = vd_virtq_drv_get(tx->drv, d, 32)) > 0)
		for (total += n; n--;) {
			cf_is(d[n].len, 0);
			con_take_back(tx, &d[n]);
		}
	return total;
}

bool con_pump(struct cf *c)
{
	bool moved = false;

	for (unsigned int i = 0; i < con_ports(c); i++) {
		moved |= con_read(c, i, SIZE_MAX) > 0;
		moved |= con_take_sent(con_tx(c, i));
		moved |= take_rx(con_rx(c, i));
	}
	cf_turn(c, 0);
	return moved;
}

/* Sleep until a port may have something. What came without a notification is a failure. */
static void doze(struct cf *c, unsigned int port)
{
	struct cf_queue *q[2] = { con_rx(c, port), con_tx(c, port) };
	struct pollfd p[] = { { q[0]->off ? -1 : q[0]->call, POLLIN, 0 },
			      { q[1]->off ? -1 : q[1]->call, POLLIN, 0 },
			      { con_far(c, port), POLLIN, 0 },
			      { uvdpa_fd(c->u), POLLIN, 0 } };
	bool found = false;

	for (unsigned int i = 0; i < 2; i++)
		found |= !q[i]->off && vd_virtq_drv_calls_on(q[i]->drv);
	if (!found && poll(p, 4, 1000) > 0)
		found = true;
	for (unsigned int i = 0; i < 2; i++) {
		if (q[i]->off)
			continue;
		if (!found && vd_virtq_drv_calls_on(q[i]->drv) && poll(&p[i], 1, 200) == 0)
			cf_fail(__FILE__, __LINE__, "queue %u: done, and not notified", q[i]->idx);
		vd_virtq_drv_calls_off(q[i]->drv);
		vd_eventfd_drain(q[i]->call);
	}
}

/* May bytes come to the driver? */
static bool receives(struct cf *c, unsigned int port)
{
	return !con_rx(c, port)->off && (!con_multiport(c) || model(c)->greeted == c->lives);
}

static bool settled(struct cf *c, unsigned int port)
{
	struct cf_queue *tx = con_tx(c, port);

	return (tx->off || (!vd_virtq_drv_inflight(tx->drv) && !con_to_read(c, port))) &&
	       (!receives(c, port) || !con_to_get(c, port));
}

void con_settle(struct cf *c, unsigned int port)
{
	uint64_t due = cf_now_ms() + WAIT_MS;

	while (!settled(c, port)) {
		if (!con_pump(c))
			doze(c, port);
		if (cf_now_ms() > due)
			cf_fail(__FILE__, __LINE__,
				"port %u: %llu bytes do not come out, %llu not in, %u chains", port,
				(unsigned long long)con_to_read(c, port),
				(unsigned long long)con_to_get(c, port),
				vd_virtq_drv_inflight(con_tx(c, port)->drv));
	}
}

static void sync_tx(struct cf *c, unsigned int port)
{
	struct cf_queue *tx = con_tx(c, port);

	if (tx->off || io(tx)->synced)
		return;
	io(tx)->synced = true;
	model(c)->port[port].reads_anything = true;
	cf_check(con_send(tx, MARK));
	cf_publish(tx);
}

static void sync_rx(struct cf *c, unsigned int port)
{
	struct cf_queue *rx = con_rx(c, port);
	uint64_t due = cf_now_ms() + WAIT_MS;

	if (io(rx)->synced || !receives(c, port))
		return;
	con_post(rx, 0);
	while (con_write(c, port, MARK) != MARK) {
		if (!con_pump(c))
			doze(c, port);
		cf_check(cf_now_ms() < due);
	}
}

static bool is_synced(struct cf *c, unsigned int port)
{
	struct cf_queue *rx = con_rx(c, port), *tx = con_tx(c, port);

	return (tx->off || io(tx)->synced) && (!receives(c, port) || io(rx)->synced);
}

void con_sync(struct cf *c, unsigned int port)
{
	con_greet(c);
	if (is_synced(c, port))
		return;
	sync_tx(c, port);
	sync_rx(c, port);
	con_settle(c, port);
}

/* ---- greetings, and sizes -------------------------------------------------------------------- */

#define CTRL_RX 2u
#define CTRL_TX 3u

void con_greet(struct cf *c)
{
	struct model *m = model(c);

	if (!con_multiport(c) || m->greeted == c->lives || c->q[CTRL_RX].off || c->q[CTRL_TX].off)
		return;
	m->greeted = c->lives;
	con_listen(c);
	con_say(c, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	for (unsigned int i = 0; i < con_ports(c); i++) {
		con_say(c, i, VIRTIO_CONSOLE_PORT_READY, 1);
		con_say(c, i, VIRTIO_CONSOLE_PORT_OPEN, 1);
	}
}

/* Something is told: the size is another one. */
static void resize(struct cf *c)
{
	struct uvdpa_attr cols = { "cols", ++model(c)->cols % 2 ? "80" : "132" };

	cf_is(uvdpa_dev_set(c->dev, &cols, 1), 0);
}

static void hear_resize(struct cf *c)
{
	uint64_t due = cf_now_ms() + WAIT_MS;
	unsigned int cols = model(c)->cols % 2 ? 80 : 132;
	struct con_message m = { 0 };

	if (model(c)->greeted != c->lives)
		return;
	while (m.event != VIRTIO_CONSOLE_RESIZE || (m.more[2] | m.more[3] << 8) != (int)cols) {
		cf_check(cf_now_ms() < due);
		con_hear(c, &m, 1000);
	}
	while (con_hear(c, &m, 0)) /* what was told with it */
		;
}

/* ---- for generic.c ------------------------------------------------------------------------ */

void con_ping(struct cf_queue *q)
{
	struct cf *c = q->c;

	con_greet(c);
	switch (con_kind(q)) {
	case CON_RX:
		con_sync(c, con_port(q));
		if (receives(c, con_port(q)))
			con_write(c, con_port(q), 1 + con_rnd(200));
		con_settle(c, con_port(q));
		break;
	case CON_TX:
		con_sync(c, con_port(q));
		cf_check(con_send(q, 1 + con_rnd(200)));
		cf_publish(q);
		con_settle(c, con_port(q));
		break;
	case CON_CTRL_RX:
		if (model(c)->greeted != c->lives)
			break;
		resize(c);
		hear_resize(c);
		break;
	case CON_CTRL_TX:
		con_said(c);
		con_say(c, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_PORT_READY, 1);
		break;
	case CON_NONE:
		break;
	}
}

void con_begin(struct cf_queue *q)
{
	struct cf *c = q->c;

	switch (con_kind(q)) {
	case CON_RX:
		con_sync(c, con_port(q));
		con_post(q, 0);
		if (receives(c, con_port(q)))
			con_write(c, con_port(q), 1 + con_rnd(5000));
		break;
	case CON_TX:
		con_sync(c, con_port(q));
		for (unsigned int i = 0; i < BEGIN && con_send(q, 1 + con_rnd(SLOT_MAX)); i++)
			;
		cf_publish(q);
		break;
	case CON_CTRL_RX:
		con_listen(c);
		resize(c);
		break;
	case CON_CTRL_TX:
		if (vd_virtq_drv_inflight(q->drv))
			break;
		for (unsigned int i = 0; i < 2; i++)
			con_put_message(c, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_PORT_READY, 1,
					sizeof(struct virtio_console_control));
		cf_publish(q);
		break;
	case CON_NONE:
		break;
	}
}

void con_end(struct cf_queue *q)
{
	struct cf *c = q->c;

	con_greet(c);
	switch (con_kind(q)) {
	case CON_RX:
	case CON_TX:
		con_settle(c, con_port(q));
		break;
	case CON_CTRL_RX:
		hear_resize(c);
		break;
	case CON_CTRL_TX:
		con_said(c);
		break;
	case CON_NONE:
		break;
	}
}
