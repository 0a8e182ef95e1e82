/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fifo-link.c - links come and go, and devices at them; control thread
 *
 * A device that has no driver is nothing to a link's thread: it is attached when there is one, and
 * detached at reset, which waits for the moment that somebody may be within it.
 */
#include "parent/fifo-link.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/thread.h"

static const char *const roles[] = { [VD_FIFO_CARD] = "card", [VD_FIFO_HOST] = "host" };
static const char *const devices[] = {
	[VD_FIFO_DEV_NET] = "net", [VD_FIFO_DEV_CONSOLE] = "console"
};

/* ---- devices -------------------------------------------------------------------------------- */

int vd_fifo_port_add(struct vd_fifo_port *p, struct vd_fifo_link *l, unsigned int idx,
		     const char *name)
{
	if (l->slots[idx].owner)
		return vd_err(-EEXIST, "%s: link %s has a %s already, as %s", name, l->address,
			      devices[idx], roles[l->role]);
	p->link = l;
	p->idx = idx;
	l->refs++;
	__atomic_store_n(&l->slots[idx].owner, p, __ATOMIC_RELAXED);
	return 0;
}

void vd_fifo_port_del(struct vd_fifo_port *p)
{
	if (!p->link)
		return;
	vd_fifo_port_detach(p);
	__atomic_store_n(&p->link->slots[p->idx].owner, NULL, __ATOMIC_RELAXED);
	vd_fifo_link_put(p->link);
	p->link = NULL;
}

void vd_fifo_port_attach(struct vd_fifo_port *p)
{
	if (p->attached)
		return;
	p->attached = true;
	__atomic_store_n(&p->link->slots[p->idx].port, p, __ATOMIC_SEQ_CST);
	p->ops->wake(p); /* what was meant for it before went nowhere */
	vd_fifo_link_wake(p->link);
}

void vd_fifo_port_detach(struct vd_fifo_port *p)
{
	struct vd_fifo_slot *s = &p->link->slots[p->idx];

	if (!p->attached)
		return;
	p->attached = false;
	__atomic_store_n(&s->port, NULL, __ATOMIC_SEQ_CST);
	/* Not for long: its queues are quiet, so nobody in there is at a guest's memory. */
	while (__atomic_load_n(&s->users, __ATOMIC_SEQ_CST))
		sched_yield();
}

struct vd_fifo_port *vd_fifo_slot_get(struct vd_fifo_link *l, unsigned int idx)
{
	/* Pairs with detach: either it sees a user, or we see that nobody is there. */
	__atomic_fetch_add(&l->slots[idx].users, 1, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&l->slots[idx].port, __ATOMIC_SEQ_CST);
}

void vd_fifo_slot_put(struct vd_fifo_link *l, unsigned int idx)
{
	__atomic_fetch_sub(&l->slots[idx].users, 1, __ATOMIC_RELEASE);
}

/* ---- links ---------------------------------------------------------------------------------- */

void vd_fifo_link_wake(struct vd_fifo_link *l)
{
	vd_eventfd_signal(l->wakefd);
}

void vd_fifo_link_carrier(struct vd_fifo_link *l, bool up)
{
	__atomic_store_n(&l->tx.coming, up, __ATOMIC_RELEASE);
	vd_fifo_link_wake(l);
	l->visits += up && !l->up;
	if (l->up == up)
		return;
	l->up = up;
	for (unsigned int i = 0; i < VD_FIFO_DEVS; i++)
		if (l->slots[i].owner)
			l->slots[i].owner->ops->carrier(l->slots[i].owner, up);
}

static int start(struct vd_fifo_link *l)
{
	struct epoll_event ev = { .events = EPOLLIN };

	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd < 0)
		return vd_err(-errno, "link %s: epoll: %m", l->address);
	l->wakefd = vd_eventfd();
	if (l->wakefd < 0)
		return l->wakefd;
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->wakefd, &ev))
		return vd_err(-errno, "link %s: epoll: %m", l->address);
	return 0;
}

static void link_free(struct vd_fifo_link *l)
{
	vd_fifo_tx_fini(l);
	vd_fifo_rx_fini(l);
	vd_close(&l->epfd);
	vd_close(&l->wakefd);
	free(l->address);
	free(l);
}

int vd_fifo_link_open(struct uvdpa *u, const struct vd_fifo_link_conf *c,
		      struct vd_fifo_link **ret_link)
{
	struct vd_fifo_link *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return vd_err(-ENOMEM, "link %s: no memory", c->address);
	l->u = u;
	l->epfd = l->wakefd = -1;
	l->role = c->role;
	l->conf = *c;
	l->conf.address = NULL; /* the caller's */
	l->mtu = 1500;
	l->address = strdup(c->address);
	l->wire = strncmp(c->address, "window:", 7) != 0 ? &vd_fifo_stream : &vd_fifo_window;
	vd_fifo_decoder_init(&l->rx.decoder, l->mtu, false);
	r = l->address ? vd_fifo_tx_init(l) : vd_err(-ENOMEM, "link %s: no memory", c->address);
	if (!r)
		r = vd_fifo_rx_init(l);
	if (!r)
		r = start(l);
	if (r)
		goto err_free;
	r = l->wire->open(l, c);
	if (r)
		goto err_free;
	r = vd_thread_start(&l->thread, vd_fifo_main, l, "uvdpa/fifo");
	if (r)
		goto err_close;
	l->refs = 1;
	*ret_link = l;
	return 0;

err_close:
	l->wire->close(l);
err_free:
	link_free(l);
	return r;
}

void vd_fifo_link_put(struct vd_fifo_link *l)
{
	if (--l->refs)
		return;
	__atomic_store_n(&l->stop, true, __ATOMIC_RELEASE);
	vd_fifo_link_wake(l);
	pthread_join(l->thread, NULL);
	l->wire->close(l);
	link_free(l);
}

/* ---- what there is to tell ------------------------------------------------------------------ */

static uint64_t get(const uint64_t *c)
{
	return __atomic_load_n(c, __ATOMIC_RELAXED);
}

void vd_fifo_link_show(struct vd_fifo_link *l, unsigned int idx, struct uvdpa_emit *e)
{
	const struct vd_fifo_counts *d = &l->rx.decoder.counts;
	const struct {
		const char *name;
		const uint64_t *value;
	} counters[] = {
		{ "link_sent", &l->tx.messages[idx] },
		{ "link_sent_dropped", &l->tx.dropped[idx] },
		{ "link_writes", &l->tx.writes },
		{ "link_waits", &l->tx.waits },
		{ "link_received", idx == VD_FIFO_DEV_NET ? &d->net : &d->console },
		{ "link_no_driver", &l->rx.no_driver[idx] },
		{ "link_no_room", &l->rx.full[idx] },
		{ "link_reads", &l->rx.reads },
		{ "link_control", &d->control },
		{ "link_oversize", &d->oversize },
		{ "link_runts", &d->runts },
		{ "link_unknown", &d->unknown },
		{ "link_resyncs", &d->resyncs },
		{ "link_lost_bytes", &d->lost_bytes },
		{ "link_cut", &d->cut },
		{ "link_stalls", &l->rx.stalls },
	};

	e->str(e, "link", l->address);
	e->str(e, "where", l->wire->where(l));
	e->str(e, "role", roles[l->role]);
	e->flag(e, "connected", l->up);
	e->num(e, "connections", l->visits);
	e->flag(e, "stalled", __atomic_load_n(&l->tx.stalled, __ATOMIC_RELAXED));
	for (size_t i = 0; i < VD_ARRAY_SIZE(counters); i++)
		e->num(e, counters[i].name, get(counters[i].value));
}
