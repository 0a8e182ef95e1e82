/* SPDX-License-Identifier: BSD-2-Clause */
/* console-port.c - a port is a pty: how it is called, who has it open; control thread */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "virtio/console.h"

static struct vd_virtio_dev *vdev_of(const struct vd_hvc_port *p)
{
	return p->con->bound.vdev;
}

/* The device can cause it as often as it likes. */
static void warn(const struct vd_hvc_port *p, const char *what)
{
	struct vd_virtio_dev *vdev = vdev_of(p);
	unsigned int missed;

	if (vd_ratelimit_ok(&p->con->limit, &missed))
		vd_log_warn(vdev->log, vdev->name, "port %u: %s", p->idx, what);
}

/* The thread shall serve the port, or let it go; it says when it has heard it. */
static void ask(struct vd_hvc_port *p)
{
	__atomic_store_n(&p->asked, p->asked + 1, __ATOMIC_RELEASE);
	vd_hvc_wake(p->con);
}

static bool is_heard(const struct vd_hvc_port *p)
{
	return __atomic_load_n(&p->heard, __ATOMIC_ACQUIRE) == p->asked;
}

/* ---- the link -------------------------------------------------------------------------------- */

static bool named(const struct vd_hvc_port *p)
{
	return p->name[0];
}

/* PATH, PATH.NAME, PATH.NUMBER. Return: false: there are no links. */
static bool link_of(const struct vd_hvc_port *p, char link[static PATH_MAX])
{
	const char *path = p->con->path;
	int n = 0;

	if (!path)
		return false;
	if (!p->idx)
		n = snprintf(link, PATH_MAX, "%s", path);
	else if (named(p))
		n = snprintf(link, PATH_MAX, "%s.%s", path, p->name);
	else
		n = snprintf(link, PATH_MAX, "%s.%u", path, p->idx);
	assert(n < PATH_MAX);
	return true;
}

/* A part of a file's name that is harmless everywhere. Return: false: nothing is left of it. */
static bool clean_name(char to[static VD_HVC_NAME_MAX + 1], const char *from, size_t len)
{
	bool dots = true, digits = true;

	len = strnlen(from, vd_min(len, VD_HVC_NAME_MAX));
	for (size_t i = 0; i < len; i++) {
		char c = from[i];

		to[i] = c;
		/* ASCII alone, whatever the locale is. */
		if (!(c > 0 && isalnum((unsigned char)c)) && !strchr("+-.:=@", c))
			to[i] = '_';
		dots &= c == '.';
		digits &= c >= '0' && c <= '9';
	}
	to[len] = '\0';
	/* Digits alone are what ports without a name are called. */
	return !dots && !digits;
}

static bool is_taken(const struct vd_hvc_port *p, const char *name)
{
	const struct vd_hvc *con = p->con;

	for (unsigned int i = 1; i < con->nports; i++)
		if (&con->ports[i] != p && con->ports[i].state != VD_HVC_ABSENT &&
		    !strcmp(con->ports[i].name, name))
			return true;
	return false;
}

/* ---- who has it open ------------------------------------------------------------------------- */

static struct vd_hvc_port *of_chan(struct vd_chan *c)
{
	return container_of(c, struct vd_hvc_port, chan);
}

static void user(struct vd_hvc_port *p, bool there)
{
	p->user = there;
	vd_hvc_wake(p->con);
	vd_hvc_ctrl_flush(&p->con->ctrl);
}

static void chan_up(struct vd_chan *c)
{
	user(of_chan(c), true);
}

static void chan_down(struct vd_chan *c)
{
	user(of_chan(c), false);
}

static const struct vd_chan_ops chan_ops = {
	.up = chan_up,
	.down = chan_down,
	.resized = vd_chan_any_size, /* the size is the device's to say */
};

bool vd_hvc_port_is_open(const struct vd_hvc_port *p)
{
	/* A console always has its terminal, whether somebody looks or not: what it says is kept.
	 */
	return p->has_chan && (p->user || p->console);
}

/* Shall what is typed go? Linux sends what a console has to say whether somebody listens or not. */
static void set_attached(struct vd_hvc_port *p)
{
	/* Of one port alone the device does not say whether somebody is there. */
	bool v = p->connected || p->console || !p->con->multiport;

	__atomic_store_n(&p->attached, v, __ATOMIC_RELAXED);
	vd_hvc_wake(p->con);
}

/* ---- life ------------------------------------------------------------------------------------ */

static int open_pty(struct vd_hvc_port *p)
{
	struct vd_virtio_dev *vdev = vdev_of(p);
	struct vd_chan_conf conf = { .mode = p->con->mode };
	char address[PATH_MAX + 4] = "pty:";

	conf.address = link_of(p, address + 4) ? address : "pty";
	return vd_chan_open(&p->chan, vdev->loop, vdev->log, vdev->name, &chan_ops, &conf);
}

int vd_hvc_port_begin(struct vd_hvc_port *p)
{
	int r;

	r = vd_keep_init(&p->kept, VD_HVC_KEEP);
	if (r)
		return r;
	r = open_pty(p);
	if (r) {
		vd_keep_fini(&p->kept);
		return r;
	}
	p->has_chan = true;
	set_attached(p);
	ask(p);
	return 0;
}

void vd_hvc_port_add(struct vd_hvc_port *p)
{
	if (p->state == VD_HVC_LEAVING) {
		p->again = true;
		return;
	}
	p->state = VD_HVC_PRESENT;
	/* It may be another device than before: it is told anew. */
	p->ready_due = true;
	p->told_open = false;
	if (!p->has_chan && vd_hvc_port_begin(p))
		warn(p, vd_err_text());
}

/* The thread does not use it any more. */
static void gone(struct vd_hvc_port *p)
{
	vd_chan_close(&p->chan);
	vd_keep_fini(&p->kept);
	p->has_chan = p->user = p->console = p->connected = false;
	p->cols = p->rows = 0;
	p->name[0] = 0;
	p->state = VD_HVC_ABSENT;
	if (p->again) {
		p->again = false;
		vd_hvc_port_add(p);
		vd_hvc_ctrl_flush(&p->con->ctrl);
	}
}

void vd_hvc_port_remove(struct vd_hvc_port *p)
{
	p->again = false;
	p->state = VD_HVC_LEAVING;
	if (p->has_chan)
		ask(p);
	else
		gone(p);
}

void vd_hvc_port_fini(struct vd_hvc_port *p)
{
	p->again = false;
	gone(p);
}

void vd_hvc_port_look(struct vd_hvc_port *p)
{
	if (__atomic_load_n(&p->broken, __ATOMIC_ACQUIRE) && !p->complained) {
		p->complained = true;
		warn(p, "is broken; its terminal waits until the device is bound anew");
	}
	if (p->state == VD_HVC_LEAVING && is_heard(p))
		gone(p);
}

/* ---- what the device says -------------------------------------------------------------------- */

void vd_hvc_port_named(struct vd_hvc_port *p, const char *name, size_t len)
{
	char clean[VD_HVC_NAME_MAX + 1], link[PATH_MAX];

	if (!clean_name(clean, name, len) || !strcmp(clean, p->name))
		return;
	if (is_taken(p, clean)) {
		warn(p, "another port has its name");
		return;
	}
	strcpy(p->name, clean);
	if (p->idx && p->has_chan && link_of(p, link) && vd_chan_move_link(&p->chan, link)) {
		warn(p, vd_err_text());
		p->name[0] = 0;
	}
}

void vd_hvc_port_resized(struct vd_hvc_port *p, uint16_t cols, uint16_t rows)
{
	if (!cols || !rows || !p->has_chan)
		return;
	p->cols = cols;
	p->rows = rows;
	vd_chan_set_size(&p->chan, cols, rows);
}

void vd_hvc_port_is_console(struct vd_hvc_port *p)
{
	p->console = true;
	set_attached(p);
}

void vd_hvc_port_connected(struct vd_hvc_port *p, bool connected)
{
	p->connected = connected;
	set_attached(p);
}

/* ---- what there is to tell ------------------------------------------------------------------- */

static const char *key(const struct vd_hvc_port *p, const char *word, char buf[static 32])
{
	snprintf(buf, 32, "port%u_%s", p->idx, word);
	return buf;
}

void vd_hvc_port_describe(const struct vd_hvc_port *p, struct uvdpa_emit *e)
{
	uint64_t dropped =
		vd_keep_dropped(&p->kept) + __atomic_load_n(&p->dropped, __ATOMIC_RELAXED);
	char text[PATH_MAX], k[32];

	if (!p->has_chan)
		return;
	if (link_of(p, text))
		e->str(e, key(p, "pty", k), text);
	e->str(e, key(p, "at", k), vd_chan_where(&p->chan));
	if (named(p))
		e->str(e, key(p, "name", k), p->name);
	e->flag(e, key(p, "open", k), p->user);
	if (p->con->multiport) {
		e->flag(e, key(p, "console", k), p->console);
		e->flag(e, key(p, "connected", k), p->connected);
	}
	if (p->cols) {
		snprintf(text, sizeof(text), "%ux%u", p->cols, p->rows);
		e->str(e, key(p, "size", k), text);
	}
	if (dropped)
		e->num(e, key(p, "dropped", k), dropped);
}
