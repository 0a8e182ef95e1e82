/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bind.c - which bus driver has a device: bind, unbind, move, remove
 *
 *	REST --bind--> [READY] --> probe --> REST, bound
 *	REST --unbind, release, bind, del--> LEAVE --> DRIVER --> DRAIN --> remove --> probe the next,
 *	                                               |           |                   or end
 *	                                           its consumers   the gate resets
 *
 * One at a time; only del comes in between, and takes over. The time in DRIVER and DRAIN together
 * is UVDPA_DRAIN_MS: a driver gets half of it, the device the rest. After that the driver loses the
 * device whatever happens, and the device keeps its memory until its last request is home: unbound
 * and busy, or, when it is being removed, nameless in the context's list of dying.
 *
 * A driver loses its device from the loop only, so never under a function of its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/dev.h"
#include "core/opt.h"

static void run(struct vd_dev *d);

static struct vd_dev *dev_of(struct uvdpa_binding *b)
{
	return b->dev->core;
}

int vd_choice_make(const struct uvdpa *u, const char *who, const char *name,
		   const struct uvdpa_attr *attrs, unsigned int n, struct vd_choice *ret)
{
	struct vd_choice c = { .driver = uvdpa_driver_find(u, name) };
	int r;

	if (!c.driver) {
		vd_driver_unknown(u, name);
		return vd_err_prefix(-ENODEV, "%s: ", who);
	}
	r = vd_opts_parse(c.driver->name, c.driver->opts, c.driver->conf_size, attrs, n, &c.conf);
	if (!r)
		r = vd_attrs_copy(&c.attrs, attrs, n);
	if (r) {
		vd_choice_fini(&c);
		return r;
	}
	*ret = c;
	return 0;
}

void vd_choice_fini(struct vd_choice *c)
{
	if (c->driver)
		vd_opts_free(c->driver->opts, c->conf);
	vd_attrs_fini(&c->attrs);
	*c = (struct vd_choice){ 0 };
}

/* Move what is chosen from one place to another, which holds none. */
static void choice_move(struct vd_choice *to, struct vd_choice *from)
{
	*to = *from;
	*from = (struct vd_choice){ 0 };
}

/* The operation that @w waits for is over. */
static void end(struct vd_dev *d, int err)
{
	struct uvdpa_wait *w = d->bind.w;

	d->bind.step = VD_BIND_REST;
	d->bind.w = NULL;
	vd_timer_del(&d->u->loop, &d->bind.timer);
	vd_wait_end(d->u, w, err);
}

/* ---- binding ------------------------------------------------------------------------------- */

/* Asked when a driver is chosen, as Linux does: what is on its way to one, or has it, stays so. */
static int allowed(const struct vd_dev *d, const struct uvdpa_driver *driver)
{
	if (d->override && uvdpa_driver_find(d->u, d->override) != driver)
		return vd_err(-ENODEV, "%s: driver_override is \"%s\", not \"%s\"", d->name,
			      d->override, driver->name);
	return 0;
}

static int match(const struct vd_dev *d, const struct uvdpa_driver *driver)
{
	if (d->known && driver->match && !driver->match(&d->dev->info))
		return vd_err(-EOPNOTSUPP, "%s: driver %s does not serve its type", d->name,
			      driver->name);
	return 0;
}

/* What a driver that failed to take it may have left. The thread's sentence stays the driver's. */
static void abandon(struct vd_dev *d)
{
	if (uvdpa_dev_status(d->dev))
		vd_gate_reset(d, UVDPA_DRAIN_MS, NULL);
	vd_gate_forget_maps(d);
}

static int probe(struct vd_dev *d)
{
	struct vd_bind *bind = &d->bind;
	const struct uvdpa_driver *driver = bind->next.driver;
	struct uvdpa_binding *b = NULL;
	int r;

	bind->step = VD_BIND_PROBE;
	r = match(d, driver);
	if (!r) {
		vd_trace(&d->u->log, d->name, "probe by %s", driver->name);
		r = driver->probe(d->dev, bind->next.conf, &b);
	}
	if (r) {
		vd_choice_fini(&bind->next);
		abandon(d);
		return r;
	}
	b->dev = d->dev;
	b->driver = driver;
	bind->b = b;
	choice_move(&bind->now, &bind->next);
	d->to_driver = 0;
	vd_dev_raise(d, UVDPA_DEV_BOUND);
	vd_log_info(&d->u->log, d->name, "bound to %s", driver->name);
	return 0;
}

static void start_leaving(struct vd_dev *d)
{
	d->bind.step = VD_BIND_LEAVE;
	vd_loop_post(&d->u->loop, &d->bind.post);
}

/* There may have been a probe, with success or not: what then? */
static void probed(struct vd_dev *d, int r)
{
	bool adding = d->bind.adding;

	d->bind.adding = false;
	end(d, r);
	if (d->bind.deleting)	/* meanwhile */
		start_leaving(d);
	else if (r && adding)
		uvdpa_dev_del(d->dev, NULL);
}

int vd_bind_begin(struct vd_dev *d, struct vd_choice *c, struct uvdpa_wait *w)
{
	struct vd_bind *bind = &d->bind;
	int r = 0;

	choice_move(&bind->next, c);
	if (!d->known) {
		bind->step = VD_BIND_READY;
		bind->w = w;
		vd_wait_begin(w);
		return -EINPROGRESS;
	}
	if (bind->next.driver)
		r = probe(d);
	bind->adding = false;	/* add() sees to a failure itself */
	probed(d, r);
	return r;
}

void vd_bind_ready(struct vd_dev *d, int err)
{
	struct vd_bind *bind = &d->bind;

	if (bind->deleting)
		return;
	if (bind->step == VD_BIND_READY && !err) {
		vd_loop_post(&d->u->loop, &bind->post);
		return;
	}
	if (!err)
		return;
	vd_log_error(&d->u->log, d->name, "%s", vd_err_text());
	vd_choice_fini(&bind->next);
	bind->adding = false;
	end(d, err);
	uvdpa_dev_del(d->dev, NULL);
}

int uvdpa_dev_bind(struct uvdpa_dev *dev, const char *name, const struct uvdpa_attr *attrs,
		   unsigned int nattrs, struct uvdpa_wait *w)
{
	struct vd_dev *d = dev->core;
	struct vd_bind *bind = &d->bind;
	struct vd_choice c = { 0 };
	int r = vd_ctx_mine(d->u);

	if (r)
		return r;
	if (bind->deleting)
		return vd_err(-ENODEV, "%s is being removed", d->name);
	r = vd_choice_make(d->u, d->name, name ? name : "", attrs, nattrs, &c);
	if (r)
		return r;
	r = allowed(d, c.driver);
	if (!r)
		r = match(d, c.driver);
	if (!r && bind->step != VD_BIND_REST)
		r = vd_err(-EBUSY, "%s: a bind or unbind is under way", d->name);
	if (!r && !bind->b && d->gate.reset.pending)
		r = vd_err(-EBUSY, "%s: requests of its last driver are not home yet", d->name);
	if (r) {
		vd_choice_fini(&c);
		return r;
	}
	if (!bind->b)
		return vd_bind_begin(d, &c, w);
	choice_move(&bind->next, &c);
	bind->w = w;
	vd_wait_begin(w);
	start_leaving(d);
	return -EINPROGRESS;
}

/* ---- unbinding ----------------------------------------------------------------------------- */

int uvdpa_dev_unbind(struct uvdpa_dev *dev, struct uvdpa_wait *w)
{
	struct vd_dev *d = dev->core;
	int r = vd_ctx_mine(d->u);

	if (r)
		return r;
	if (d->bind.deleting || d->bind.step != VD_BIND_REST)
		return vd_err(-EBUSY, "%s: a bind or unbind is under way", d->name);
	if (!d->bind.b)
		return vd_err(-ENODEV, "%s is not bound", d->name);
	d->bind.w = w;
	vd_wait_begin(w);
	start_leaving(d);
	return -EINPROGRESS;
}

void uvdpa_binding_release(struct uvdpa_binding *b)
{
	struct vd_dev *d = dev_of(b);

	if (vd_ctx_admits(d->u, __func__) && d->bind.step == VD_BIND_REST)
		start_leaving(d);
}

static void enter_driver(struct vd_dev *d)
{
	struct vd_bind *bind = &d->bind;

	bind->step = VD_BIND_DRIVER;
	bind->answered = false;
	bind->due_ns = vd_now_ns() + d->u->drain_ms * 1000000ull;
	vd_timer_set(&d->u->loop, &bind->timer, d->u->drain_ms / 2);
	vd_trace(&d->u->log, d->name, "quiesce driver %s", bind->now.driver->name);
	bind->now.driver->quiesce(bind->b);
}

void uvdpa_binding_quiesced(struct uvdpa_binding *b)
{
	struct vd_dev *d = dev_of(b);

	if (!vd_ctx_admits(d->u, __func__) || d->bind.step != VD_BIND_DRIVER)
		return;
	d->bind.answered = true;
	vd_loop_post(&d->u->loop, &d->bind.post);
}

static void driver_late(struct vd_timer *t)
{
	struct vd_dev *d = container_of(t, struct vd_dev, bind.timer);

	vd_log_warn(&d->u->log, d->name, "driver %s is not quiet after %u ms",
		    d->bind.now.driver->name, d->u->drain_ms / 2);
	d->bind.answered = true;
	run(d);
}

static void detach(struct vd_dev *d, int err)
{
	struct vd_bind *bind = &d->bind;
	const struct uvdpa_driver *driver = bind->now.driver;
	struct uvdpa_binding *b = bind->b;

	if (err)
		vd_log_warn(&d->u->log, d->name, "%s",
			    "requests are not home; its memory is kept until they are");
	vd_trace(&d->u->log, d->name, "remove from %s", driver->name);
	bind->b = NULL;
	d->to_driver = 0;
	driver->remove(b);
	vd_choice_fini(&bind->now);
	vd_gate_forget_maps(d);
	vd_dev_raise(d, UVDPA_DEV_UNBOUND);
	vd_log_info(&d->u->log, d->name, "unbound from %s", driver->name);
}

/* ---- removing ------------------------------------------------------------------------------ */

int uvdpa_dev_del(struct uvdpa_dev *dev, struct uvdpa_wait *w)
{
	struct vd_dev *d = dev->core;
	struct vd_bind *bind = &d->bind;
	int r = vd_ctx_mine(d->u);

	if (r)
		return r;
	if (bind->deleting)
		return vd_err(-EALREADY, "%s is being removed", d->name);
	bind->deleting = true;
	bind->del_w = w;
	vd_wait_begin(w);
	/* A bind ends here; that it was leaving its driver is just right. */
	if (bind->next.driver) {
		vd_choice_fini(&bind->next);
		vd_wait_end(d->u, bind->w, vd_err(-ENODEV, "%s is being removed", d->name));
		bind->w = NULL;
	}
	if (bind->step == VD_BIND_REST || bind->step == VD_BIND_READY)
		start_leaving(d);
	return -EINPROGRESS;
}

void vd_bind_bury(struct vd_dev *d)
{
	d->bind.gone = true;
	d->to_tell = d->to_driver = 0;
	vd_post_del(&d->u->loop, &d->tell_post);
	vd_list_del(&d->node);
	if (vd_gate_quiet(d) && !d->gate.reset.pending)
		vd_dev_free(d);
	else
		vd_list_add(&d->u->dying, &d->node);
}

static void remove_dev(struct vd_dev *d)
{
	struct uvdpa *u = d->u;
	struct uvdpa_wait *w = d->bind.del_w;

	d->bind.gone = true;	/* to those who are told, too */
	d->bind.del_w = NULL;
	if (d->told & 1u << UVDPA_DEV_ADDED)
		vd_dev_raise(d, UVDPA_DEV_REMOVED);
	else
		d->to_tell = 0;
	vd_list_del(&d->node);	/* its name is free */
	vd_dev_tell(d);
	vd_log_info(&u->log, d->name, "removed");
	vd_bind_bury(d);
	vd_wait_end(u, w, 0);
}

void vd_bind_home(struct vd_dev *d)
{
	if (d->bind.gone)
		vd_loop_post(&d->u->loop, &d->bind.post);
}

/* ---- the machine; from the loop ------------------------------------------------------------ */

/* The gate has reset the device, or has given up waiting. */
static void drained(struct vd_dev *d, int err)
{
	struct vd_bind *bind = &d->bind;
	int r = err;

	detach(d, err);
	if (bind->deleting) {
		end(d, err);
		remove_dev(d);
		return;
	}
	if (err)
		vd_choice_fini(&bind->next);
	else if (bind->next.driver)
		r = probe(d);
	probed(d, r);
}

static void reset_done(struct uvdpa_wait *w, int err)
{
	drained(container_of(w, struct vd_dev, bind.reset), err);
}

static void enter_drain(struct vd_dev *d)
{
	struct vd_bind *bind = &d->bind;
	uint64_t now = vd_now_ns();
	uint64_t ms = bind->due_ns > now ? (bind->due_ns - now) / 1000000 : 0;
	int r;

	bind->step = VD_BIND_DRAIN;
	vd_timer_del(&d->u->loop, &bind->timer);
	bind->reset.done = reset_done;
	r = vd_gate_reset(d, (unsigned int)vd_max(ms, (uint64_t)1), &bind->reset);
	/* Not at once: what ended before it, the driver must be told before it loses the device. */
	if (r != -EINPROGRESS) {
		vd_wait_begin(&bind->reset);
		vd_wait_end(d->u, &bind->reset, r);
	}
}

static void leave(struct vd_dev *d)
{
	struct vd_bind *bind = &d->bind;

	if (bind->b) {
		enter_driver(d);
	} else if (bind->deleting) {
		end(d, vd_err(-ENODEV, "%s is being removed", d->name));
		remove_dev(d);
	} else {
		end(d, 0);	/* asked for twice */
	}
}

static void run(struct vd_dev *d)
{
	struct vd_bind *bind = &d->bind;

	if (bind->gone) {
		vd_list_del(&d->node);
		vd_dev_free(d);
		return;
	}
	switch (bind->step) {
	case VD_BIND_READY:
		probed(d, bind->next.driver ? probe(d) : 0);
		break;
	case VD_BIND_LEAVE:
		leave(d);
		break;
	case VD_BIND_DRIVER:
		if (bind->answered)
			enter_drain(d);
		break;
	case VD_BIND_DRAIN:
	case VD_BIND_PROBE:
	case VD_BIND_REST:
		break;
	}
}

static void posted(struct vd_post *p)
{
	run(container_of(p, struct vd_dev, bind.post));
}

void vd_bind_init(struct vd_dev *d)
{
	d->bind.timer.fn = driver_late;
	d->bind.post.fn = posted;
}

void vd_bind_fini(struct vd_dev *d)
{
	vd_post_del(&d->u->loop, &d->bind.post);
	vd_timer_del(&d->u->loop, &d->bind.timer);
	vd_choice_fini(&d->bind.next);
}
