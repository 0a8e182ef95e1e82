/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fifo-console.c - a console at a FIFO
 *
 * What the driver writes goes in messages of a size that a TmFIFO has room for. While nobody is at
 * the other end, or has not read anything for long, it is dropped: a guest's kernel waits for its
 * console with interrupts off.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "parent/fifo.h"

static struct vd_fifo_console *to_fcon(struct vd_console *con)
{
	return container_of(con, struct vd_fifo_console, con);
}

static struct vd_fifo_console *port_to_fcon(struct vd_fifo_port *p)
{
	return container_of(p, struct vd_fifo_console, port);
}

/* ---- the worker ----------------------------------------------------------------------------- */

static size_t fcon_send(struct vd_console *con, struct vd_console_port *port, struct vd_iov *iov,
			unsigned int niov, size_t len)
{
	struct vd_fifo_link *l = to_fcon(con)->port.link;
	struct vd_fifo_stage *s = &l->tx.stages[VD_FIFO_DEV_CONSOLE];
	struct vd_sg sg = vd_sg(iov, niov);
	size_t done = 0;

	(void)port;
	if (!__atomic_load_n(&l->tx.open, __ATOMIC_RELAXED) &&
	    !__atomic_load_n(&l->tx.coming, __ATOMIC_RELAXED)) {
		vd_fifo_count(&to_fcon(con)->dropped, len);
		return len;
	}
	while (done < len) {
		size_t n = vd_min(len - done, VD_FIFO_CHUNK), at = 0;

		if (vd_likely(vd_fifo_stage_ready(l, VD_FIFO_DEV_CONSOLE))) {
			vd_sg_read(&sg, vd_fifo_stage_put(s, &at, VD_FIFO_CONSOLE, (uint16_t)n), n);
			vd_fifo_stage_send(l, VD_FIFO_DEV_CONSOLE, at);
			done += n;
		} else if (__atomic_load_n(&l->tx.stalled, __ATOMIC_RELAXED)) {
			vd_fifo_count(&to_fcon(con)->dropped, len - done);
			done = len;
		} else {
			break;
		}
	}
	return done;
}

static size_t fcon_receive(struct vd_console *con, struct vd_console_port *port, struct vd_iov *iov,
			   unsigned int niov, size_t len)
{
	struct vd_fifo_link *l = to_fcon(con)->port.link;
	struct vd_sg sg = vd_sg(iov, niov);
	const uint8_t *from;
	size_t done = 0, n;

	(void)port;
	while (done < len && (n = vd_fifo_inbox_peek(l, &from))) {
		n = vd_sg_write(&sg, from, vd_min(n, len - done));
		vd_fifo_inbox_take(l, n);
		done += n;
	}
	return done;
}

/* ---- what the link calls -------------------------------------------------------------------- */

static unsigned int port_deliver(struct vd_fifo_port *p, const struct vd_fifo_frame *frames,
				 unsigned int n)
{
	(void)p, (void)frames;
	return n;
}

static void port_wake(struct vd_fifo_port *p)
{
	vd_console_wake(&port_to_fcon(p)->con);
}

static void port_carrier(struct vd_fifo_port *p, bool up)
{
	vd_console_set_connected(&port_to_fcon(p)->con.ports[0], up);
}

static const struct vd_fifo_port_ops port_ops = {
	.deliver = port_deliver,
	.wake = port_wake,
	.carrier = port_carrier,
};

/* ---- the device ----------------------------------------------------------------------------- */

static void fcon_opened(struct vd_console *con, struct vd_console_port *port, bool open)
{
	(void)port;
	if (open)
		vd_fifo_port_attach(&to_fcon(con)->port);
	else
		vd_fifo_port_detach(&to_fcon(con)->port);
}

static void fcon_reset(struct vd_console *con)
{
	vd_fifo_port_detach(&to_fcon(con)->port);
}

static void fcon_show(struct vd_console *con, struct uvdpa_emit *e)
{
	struct vd_fifo_console *c = to_fcon(con);

	vd_fifo_link_show(c->port.link, VD_FIFO_DEV_CONSOLE, e);
	e->num(e, "dropped", __atomic_load_n(&c->dropped, __ATOMIC_RELAXED));
}

static void fcon_destroy(struct vd_console *con)
{
	vd_fifo_port_del(&to_fcon(con)->port);
	free(to_fcon(con));
}

static const struct vd_console_ops fcon_ops = {
	.send = fcon_send,
	.receive = fcon_receive,
	.woken = vd_console_any_woken,
	.opened = fcon_opened,
	.show = fcon_show,
	.reset = fcon_reset,
	.destroy = fcon_destroy,
};

int vd_fifo_console_add(struct uvdpa *u, struct vd_fifo_link *l, const char *name,
			const struct vd_fifo_conf *c, struct uvdpa_dev **ret_dev)
{
	const struct vd_console_port_conf port = { .console = true, .connected = l->up };
	const struct vd_console_conf cc = { .nports = 1,
					    .ports = &port,
					    .queue_size = (unsigned int)c->queue_size,
					    .soft = { .name = name,
						      .poll_us = (unsigned int)c->poll_us } };
	struct vd_fifo_console *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return vd_err(-ENOMEM, "%s: no memory", name);
	f->port.ops = &port_ops;
	r = vd_fifo_port_add(&f->port, l, VD_FIFO_DEV_CONSOLE, name);
	if (!r)
		r = vd_console_init(&f->con, u, &fcon_ops, &cc);
	if (r) {
		vd_fifo_port_del(&f->port);
		free(f);
		return r;
	}
	*ret_dev = &f->con.sd.dev;
	return 0;
}
