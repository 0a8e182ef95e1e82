/* SPDX-License-Identifier: BSD-2-Clause */
/* console-port.c - a port and who is at its other end; see console.h */
#include <stdio.h>

#include "base/err.h"
#include "parent/console.h"

static struct vd_console_port *port_of(struct vd_con_port *p)
{
	return &p->con->dev.ports[p->idx];
}

/* ---- what is kept; the worker ---------------------------------------------------------------- */

/* All of it but the first @skip bytes; the newest, if there is no place for all. */
static void keep(struct vd_con_port *p, struct vd_iov *iov, unsigned int niov, size_t skip,
		 size_t len)
{
	struct vd_sg sg = vd_sg(iov, niov);
	struct iovec to[2];

	vd_sg_skip(&sg, skip + vd_keep_put(&p->kept, len, to));
	for (unsigned int i = 0; i < 2 && to[i].iov_len; i++)
		vd_sg_read(&sg, to[i].iov_base, to[i].iov_len);
}

/* The end may have come, on either way. */
static void look_at_end(struct vd_con_port *p)
{
	if (vd_unlikely(!vd_chan_takes(&p->chan) && !vd_chan_brings(&p->chan))) {
		vd_console_port_set_fd(port_of(p), -1);
	} else if (vd_unlikely(!vd_chan_brings(&p->chan) && !p->ended)) {
		p->ended = true;
		vd_console_rx_end(port_of(p));
	}
}

/* Return: whether all is gone that was kept. */
static bool send_kept(struct vd_con_port *p)
{
	struct iovec iov[2];
	unsigned int pieces;

	while ((pieces = vd_keep_get(&p->kept, iov)) && vd_chan_takes(&p->chan)) {
		size_t n = vd_chan_writev(&p->chan, iov, pieces);

		if (!n)
			break;
		vd_keep_took(&p->kept, n);
	}
	return !vd_keep_len(&p->kept);
}

size_t vd_con_port_send(struct vd_con_port *p, struct vd_iov *iov, unsigned int niov, size_t len)
{
	size_t n = 0;

	if (vd_unlikely(vd_keep_len(&p->kept)) && !send_kept(p) && vd_chan_takes(&p->chan)) {
		vd_console_tx_wait(port_of(p));
		return 0;
	}
	if (vd_likely(vd_chan_takes(&p->chan) && len))
		n = vd_chan_writev(&p->chan, vd_iov_kernel(iov), niov);
	if (vd_likely(n == len))
		return n;
	look_at_end(p);
	if (vd_chan_takes(&p->chan))
		return n;
	keep(p, iov, niov, n, len - n);
	return len;
}

size_t vd_con_port_receive(struct vd_con_port *p, struct vd_iov *iov, unsigned int niov)
{
	size_t n = vd_chan_readv(&p->chan, vd_iov_kernel(iov), niov);

	if (vd_unlikely(!n))
		look_at_end(p);
	return n;
}

void vd_con_port_woken(struct vd_con_port *p)
{
	if (vd_chan_changed(&p->chan)) {
		vd_console_port_set_fd(port_of(p), -1);
		p->ended = false;
		vd_console_port_set_fd(port_of(p), vd_chan_take(&p->chan));
	}
	look_at_end(p);
	if (!send_kept(p) && vd_chan_takes(&p->chan))
		vd_console_tx_wait(port_of(p));
}

/* ---- who comes and goes; control ------------------------------------------------------------- */

static struct vd_con_port *of_chan(struct vd_chan *c)
{
	return container_of(c, struct vd_con_port, chan);
}

static void note(struct vd_con_port *p, bool up)
{
	if (!p->con->started)
		return;
	vd_console_set_connected(port_of(p), up);
	vd_console_wake(&p->con->dev);
}

static void chan_up(struct vd_chan *c)
{
	note(of_chan(c), true);
}

static void chan_down(struct vd_chan *c)
{
	note(of_chan(c), false);
}

static void chan_resized(struct vd_chan *c, uint16_t cols, uint16_t rows)
{
	struct vd_con_port *p = of_chan(c);

	p->cols = cols;
	p->rows = rows;
	if (p->con->started)
		vd_console_set_size(port_of(p), cols, rows);
}

static const struct vd_chan_ops chan_ops = {
	.up = chan_up,
	.down = chan_down,
	.resized = chan_resized,
};

int vd_con_port_open(struct vd_con_port *p, struct vd_con *con, struct uvdpa *u,
		     const struct vd_con_port_conf *conf)
{
	int r;

	p->con = con;
	p->idx = (unsigned int)(p - con->ports);
	p->cols = conf->chan.cols;
	p->rows = conf->chan.rows;
	snprintf(p->label, sizeof(p->label), "%s%s", con->dev.sd.name,
		 conf->name ? conf->name : "");
	r = vd_keep_init(&p->kept, conf->keep);
	if (r)
		return r;
	r = vd_chan_open(&p->chan, vd_ctx_loop(u), vd_ctx_log(u), p->label, &chan_ops, &conf->chan);
	if (r)
		vd_con_port_close(p);
	return r;
}

void vd_con_port_close(struct vd_con_port *p)
{
	vd_chan_close(&p->chan);
	vd_keep_fini(&p->kept);
}

static void show_num(const struct vd_con_port *p, struct uvdpa_emit *e, const char *what,
		     uint64_t value)
{
	char key[32];

	snprintf(key, sizeof(key), "port%u_%s", p->idx, what);
	e->num(e, key, value);
}

void vd_con_port_show(const struct vd_con_port *p, struct uvdpa_emit *e)
{
	char key[32];

	snprintf(key, sizeof(key), "port%u_at", p->idx);
	e->str(e, key, vd_chan_where(&p->chan));
	show_num(p, e, "visits", vd_chan_visits(&p->chan));
	show_num(p, e, "kept", vd_keep_len(&p->kept));
	show_num(p, e, "dropped", vd_keep_dropped(&p->kept) + vd_chan_lost(&p->chan));
}
