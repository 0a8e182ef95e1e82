/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * console-io.c - bytes to and from the ports of a console, and how the worker serves all of them
 *
 * Chains are cut as the driver likes, and what they hold is one stream: many of them are one call
 * of send, or of receive. A stream has no frames either, so send may stop in the middle of a chain,
 * which stays in the ring then. It is read anew when it goes on, and the driver may have changed
 * it.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "softdev/console.h"
#include "softdev/worker.h"

#define EVENTS 16

/* What is behind @skip bytes, as far as there is room. Return: bytes. */
static size_t add_pieces(struct vd_iov *to, unsigned int *n, const struct vd_iov *from,
			 unsigned int nfrom, size_t skip)
{
	size_t len = 0;

	for (unsigned int i = 0; i < nfrom && *n < VD_CONSOLE_PIECES; i++) {
		if (skip >= from[i].len) {
			skip -= from[i].len;
			continue;
		}
		to[*n] = (struct vd_iov){ from[i].base + skip, from[i].len - skip };
		len += to[(*n)++].len;
		skip = 0;
	}
	return len;
}

/* ---- transmit ----------------------------------------------------------------------------- */

static void block(struct vd_console_port *port, bool blocked)
{
	if (blocked)
		vd_console_count(&port->sent.waits, 1);
	port->tx_blocked = blocked;
	vd_softq_pause(port->tx, blocked);
}

void vd_console_tx_retry(struct vd_console_port *port)
{
	block(port, false);
}

void vd_console_tx_wait(struct vd_console_port *port)
{
	if (!port->tx_blocked)
		block(port, true);
	port->tx_owes = true;
}

void vd_console_rx_end(struct vd_console_port *port)
{
	port->rx_ended = true;
}

/* Return: how many of the chains are sent whole; *@gone: bytes of the next one that are. */
static unsigned int send_chains(struct vd_console_port *port, struct vd_chain **chains,
				unsigned int n, size_t *gone)
{
	struct vd_console *con = port->con;
	struct vd_iov pieces[VD_CONSOLE_PIECES];
	size_t len, sent;
	unsigned int i = 0;

	do {
		unsigned int niov = 0;

		len = 0;
		for (unsigned int k = i; k < n && niov < VD_CONSOLE_PIECES; k++)
			len += add_pieces(pieces, &niov, chains[k]->iov, chains[k]->nout,
					  k == i ? *gone : 0);
		sent = len ? con->ops->send(con, port, pieces, niov, len) : 0;
		assert(sent <= len);
		vd_console_count(&port->sent.bytes, sent);
		*gone += sent;
		while (i < n && *gone >= chains[i]->out_len)
			*gone -= chains[i++]->out_len;
	} while (i < n && sent == len);
	return i;
}

/* What control has left, which goes before all that is in a ring, and needs none. */
static void send_emergency(struct vd_console *con)
{
	/* Acquire: the characters. Pairs with the release in console.c. */
	unsigned int in = __atomic_load_n(&con->emerg_in, __ATOMIC_ACQUIRE), out = con->emerg_out;
	struct vd_console_port *port = con->ports;

	while (in != out && !port->tx_blocked) {
		unsigned int at = out % VD_CONSOLE_EMERG;
		unsigned int len = vd_min(in - out, VD_CONSOLE_EMERG - at);
		struct vd_iov iov = { vd_guest_wrap(uint8_t, con->emerg + at), len };
		size_t sent = con->ops->send(con, port, &iov, 1, len);

		if (sent < len)
			block(port, true);
		vd_console_count(&port->sent.bytes, sent);
		out += (unsigned int)sent;
		/* Release: they have been read. Pairs with the acquire in console.c. */
		__atomic_store_n(&con->emerg_out, out, __ATOMIC_RELEASE);
	}
}

void vd_console_transmit(struct vd_console_port *port, struct vd_chain **chains, unsigned int n)
{
	/* The first may have been cut shorter since. */
	size_t gone = vd_min(port->tx_gone, chains[0]->out_len);
	unsigned int whole;

	if (port->tx_life != vd_softq_life(port->tx))
		gone = 0;
	if (!port->idx)
		send_emergency(port->con);
	whole = port->tx_blocked ? 0 : send_chains(port, chains, n, &gone);
	for (unsigned int i = 0; i < whole; i++) {
		chains[i]->written = 0;
		if (vd_unlikely(!chains[i]->out_len))
			vd_console_count(&port->sent.errors, 1);
	}
	if (whole)
		vd_softq_give(port->tx, chains, whole);
	if (whole < n) {
		vd_softq_untake(port->tx, chains + whole, n - whole);
		block(port, true);
	}
	port->tx_gone = (uint32_t)gone;
	port->tx_life = vd_softq_life(port->tx);
}

/* ---- receive ------------------------------------------------------------------------------ */

/* Does the driver want what comes? */
static bool takes(const struct vd_console_port *p)
{
	return vd_console_is_open(p) && __atomic_load_n(&p->present, __ATOMIC_RELAXED);
}

/* The first of the chains hold @len bytes now. Return: how many are used up, those with no room
 * too. */
static unsigned int fill(struct vd_console_port *port, struct vd_chain **chains, unsigned int n,
			 size_t len)
{
	unsigned int i;

	for (i = 0; i < n && (len || !chains[i]->in_len); i++) {
		chains[i]->written = (uint32_t)vd_min(len, chains[i]->in_len);
		len -= chains[i]->written;
		vd_console_count(&port->received.bytes, chains[i]->written);
		if (vd_unlikely(!chains[i]->in_len))
			vd_console_count(&port->received.errors, 1);
	}
	return i;
}

static size_t receive(struct vd_console_port *port)
{
	struct vd_console *con = port->con;
	struct vd_chain *chains[VD_SOFTQ_BURST];
	struct vd_iov pieces[VD_CONSOLE_PIECES];
	unsigned int n, used, niov = 0;
	size_t len = 0, got = 0;

	if (!vd_softq_lock(port->rx))
		return 0;
	n = vd_softq_take(port->rx, chains, VD_SOFTQ_BURST);
	for (unsigned int i = 0; i < n; i++)
		len += add_pieces(pieces, &niov, chains[i]->iov + chains[i]->nout, chains[i]->nin,
				  0);
	if (len)
		got = con->ops->receive(con, port, pieces, niov, len);
	else
		vd_console_count(&port->received.waits, 1);
	assert(got <= len);
	used = fill(port, chains, n, got);
	vd_softq_untake(port->rx, chains + used, n - used);
	if (used)
		vd_softq_give(port->rx, chains, used);
	vd_softq_publish(port->rx, vd_softq_worker(port->rx));
	vd_softq_unlock(port->rx);
	return got;
}

/* ---- the worker --------------------------------------------------------------------------- */

static struct vd_console *to_con(struct vd_engine *e)
{
	return container_of(e, struct vd_console, engine);
}

void vd_console_opens(struct vd_console_port *port, bool open)
{
	if (vd_console_is_open(port) == open)
		return;
	__atomic_store_n(&port->opens, port->opens + 1, __ATOMIC_RELEASE);
	vd_loop_post(vd_ctx_loop(port->con->sd.u), &port->con->post);
}

static void watch(struct vd_console_port *p, uint32_t events)
{
	if (p->fd >= 0 && vd_epoll_set(p->con->engine.fd, p->fd, &p->watched, events, p))
		p->fd = -1; /* a file: it cannot be waited for */
}

void vd_console_port_set_fd(struct vd_console_port *port, int fd)
{
	watch(port, 0);
	port->fd = fd;
	port->watched = 0;
	port->rx_ended = false;
}

/* Has it buffers for what comes? */
static bool receives(struct vd_console_port *p)
{
	return takes(p) && vd_softq_fed(p->rx);
}

/* Wait for what can be done something about. Return: whether it receives. */
static bool watch_wanted(struct vd_console_port *p)
{
	bool fed = !p->rx_ended && receives(p);

	watch(p, (fed ? (uint32_t)EPOLLIN : 0) | (p->tx_blocked ? (uint32_t)EPOLLOUT : 0));
	return fed;
}

static void engine_submit(struct vd_engine *e)
{
	(void)e;
}

/* What the parent holds back goes even if there is nothing in the ring. */
static void send_owed(struct vd_console_port *p)
{
	bool owes = p->tx_owes;

	p->tx_owes = false;
	if (owes)
		p->con->ops->send(p->con, p, NULL, 0, 0);
}

static unsigned int look(struct vd_console *con)
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(con->engine.fd, ev, EVENTS, 0);
	unsigned int found = 0;

	for (int i = 0; i < n; i++) {
		struct vd_console_port *p = ev[i].data.ptr;

		if (p->tx_blocked && ev[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
			vd_console_tx_retry(p);
			send_owed(p);
			found++;
		}
		if (p->watched & EPOLLIN && ev[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
			found += receive(p) > 0;
	}
	return found;
}

static unsigned int wake_up(struct vd_console *con)
{
	for (unsigned int i = 0; i < con->nports; i++)
		if (con->ports[i].tx_blocked)
			vd_console_tx_retry(&con->ports[i]);
	con->ops->woken(con);
	return 1;
}

/* Without MULTIPORT there is nobody who says so. */
static void open_first(struct vd_console *con)
{
	struct vd_console_port *p = con->ports;

	if (vd_unlikely(!vd_console_is_open(p)) && (vd_softq_runs(p->rx) || vd_softq_runs(p->tx)) &&
	    !con->multiport)
		vd_console_opens(p, true);
}

static unsigned int engine_reap(struct vd_engine *e)
{
	struct vd_console *con = to_con(e);
	unsigned int n = 0;
	bool watched = false;

	if (vd_unlikely(__atomic_load_n(&con->woken, __ATOMIC_RELAXED)) &&
	    __atomic_exchange_n(&con->woken, false, __ATOMIC_ACQ_REL))
		n += wake_up(con);
	send_emergency(con);
	open_first(con);
	if (vd_unlikely(__atomic_load_n(&con->tell, __ATOMIC_RELAXED)))
		n += vd_console_tell(con);
	for (unsigned int i = 0; i < con->nports; i++) {
		struct vd_console_port *p = &con->ports[i];

		if (watch_wanted(p) && p->fd < 0)
			n += receive(p) > 0;
		watched |= p->watched != 0;
	}
	return watched ? n + look(con) : n;
}

static bool engine_arm(struct vd_engine *e)
{
	struct vd_console *con = to_con(e);

	for (unsigned int i = 0; i < con->nports; i++)
		watch_wanted(&con->ports[i]);
	return false;
}

static void engine_destroy(struct vd_engine *e)
{
	close(e->fd);
}

static const struct vd_engine_ops engine_ops = {
	.submit = engine_submit,
	.reap = engine_reap,
	.arm = engine_arm,
	.destroy = engine_destroy,
};

int vd_console_worker_start(struct vd_softdev *sd, struct vd_worker *w,
			    struct vd_engine **ret_engine)
{
	struct vd_console *con = container_of(sd, struct vd_console, sd);
	int fd = epoll_create1(EPOLL_CLOEXEC);

	(void)w;
	if (fd < 0)
		return vd_err(-errno, "%s: epoll: %m", sd->name);
	for (unsigned int i = 0; i < con->nports; i++) {
		struct vd_console_port *p = &con->ports[i];
		unsigned int rx = i ? 2 * i + 2 : 0;

		p->rx = vd_softdev_queue(sd, rx);
		p->tx = vd_softdev_queue(sd, rx + 1);
		vd_softq_set_pulled(sd, rx, true);
	}
	if (sd->dev.info.nvqs > VD_CONSOLE_CTRL_TX) {
		con->ctrl_rx = vd_softdev_queue(sd, VD_CONSOLE_CTRL_RX);
		con->ctrl_tx = vd_softdev_queue(sd, VD_CONSOLE_CTRL_TX);
		vd_softq_set_pulled(sd, VD_CONSOLE_CTRL_RX, true);
	}
	con->engine = (struct vd_engine){ &engine_ops, fd };
	*ret_engine = &con->engine;
	return 0;
}
