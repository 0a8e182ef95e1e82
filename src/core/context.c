/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * context.c - one bus: loop, log, registries and lists; and the end of operations that take time
 */
#include "core/context.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "config.h"
#include "core/dev.h"

/* So that a program that ends has ended within UVDPA_DRAIN_MS, with what it does besides. */
#define END_MS (UVDPA_DRAIN_MS * 7 / 10)

struct vd_loop *vd_ctx_loop(struct uvdpa *u)
{
	return &u->loop;
}

struct vd_log *vd_ctx_log(struct uvdpa *u)
{
	return &u->log;
}

struct vd_bell *vd_ctx_bell(struct uvdpa *u)
{
	return &u->bell;
}

/* ---- who may call ---------------------------------------------------------------------------- */

/* @in: who dispatches. A thread is told from others by where its sentence is. */
static int mine(const struct uvdpa *u, const char *in)
{
	if (!vd_loop_is_ours(&u->loop))
		return vd_err(-EPERM, "the context is of process %d, not of its child %d",
			      (int)u->loop.pid, (int)getpid());
	if (in && in != vd_err_text())
		return vd_err(-EPERM, "another thread waits for events, and alone may call");
	return 0;
}

static const char *inside(const struct uvdpa *u)
{
	return __atomic_load_n(&u->inside, __ATOMIC_RELAXED);
}

int vd_ctx_mine(const struct uvdpa *u)
{
	return mine(u, inside(u));
}

bool vd_ctx_admits(struct uvdpa *u, const char *call)
{
	if (!vd_ctx_mine(u))
		return true;
	/* A thread that the child has not may have held the log's lock. */
	if (vd_loop_is_ours(&u->loop))
		vd_log_error(&u->log, NULL, "%s: %s: nothing is done", call, vd_err_text());
	return false;
}

/* Waiting needs more than that. @in: who dispatches. Return: 0; -EPERM, -EDEADLK. */
static int may_wait(const struct uvdpa *u, const char *in)
{
	int r = mine(u, in);

	if (!r && in)
		r = vd_err(-EDEADLK, "a callback cannot wait for events");
	return r;
}

/* ---- for who is not in this library ---------------------------------------------------------- */

int uvdpa_set_error(int err, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return vd_err(err, "%s", text);
}

static struct vd_fd *poll_fd(struct uvdpa_poll *p)
{
	static_assert(sizeof(struct vd_fd) <= sizeof(p->reserved), "it has room");

	return (struct vd_fd *)(void *)&p->reserved[0];
}

static void poll_ready(struct vd_fd *f, uint32_t events)
{
	struct uvdpa_poll *p = container_of((void **)(void *)f, struct uvdpa_poll, reserved[0]);

	p->ready(p, events);
}

int uvdpa_poll_add(struct uvdpa *u, struct uvdpa_poll *p, int fd, uint32_t events)
{
	int r = vd_ctx_mine(u);

	if (r)
		return r;
	poll_fd(p)->fn = poll_ready;
	return vd_fd_add(&u->loop, poll_fd(p), fd, events);
}

void uvdpa_poll_del(struct uvdpa_poll *p)
{
	vd_fd_del(poll_fd(p));
}

static void tell_ended(struct vd_post *p);

static int register_all(struct uvdpa *u)
{
	int r = 0;

	for (unsigned int i = 0; !r && vd_parents[i]; i++)
		r = uvdpa_parent_register(u, vd_parents[i]);
	for (unsigned int i = 0; !r && vd_drivers[i]; i++)
		r = uvdpa_driver_register(u, vd_drivers[i]);
	return r;
}

int uvdpa_create(struct uvdpa **ret_u)
{
	struct uvdpa *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return vd_err(-ENOMEM, "context: out of memory");
	vd_log_init(&u->log);
	vd_list_init(&u->devs);
	vd_list_init(&u->dying);
	vd_list_init(&u->watches);
	vd_list_init(&u->ended);
	u->ended_post.fn = tell_ended;
	u->drain_ms = UVDPA_DRAIN_MS;

	r = vd_loop_init(&u->loop);
	if (r)
		goto err_fini_log;
	r = u->nowhere = vd_eventfd();
	if (r < 0)
		goto err_fini_loop;
	vd_bell_init(&u->bell);
	r = register_all(u);
	if (r)
		goto err_close;
	*ret_u = u;
	return 0;

err_close:
	free(u->parents);
	free(u->drivers);
	vd_bell_fini(&u->bell);
	vd_close(&u->nowhere);
err_fini_loop:
	vd_loop_fini(&u->loop);
err_fini_log:
	vd_log_fini(&u->log);
	free(u);
	return r;
}

/* Something posts to the context, or writes into memory that a device was given. */
static bool in_use(const struct uvdpa *u)
{
	return !vd_list_empty(&u->devs) || !vd_list_empty(&u->dying) || u->njobs;
}

/*
 * What will not come home in time stays behind, with the context that it posts to: its memory
 * cannot be given back while a disk or a network still writes into it.
 */
void uvdpa_destroy(struct uvdpa *u)
{
	struct vd_dev *d;
	uint64_t due;

	if (!u || !vd_ctx_admits(u, __func__))
		return;
	if (inside(u)) {
		vd_log_error(&u->log, NULL, "%s: from a callback: nothing is done", __func__);
		return;
	}
	/* Its callbacks may neither wait nor destroy it once more, nor add anything. */
	__atomic_store_n(&u->inside, vd_err_text(), __ATOMIC_RELAXED);
	u->ending = true;
	u->drain_ms = END_MS;
	vd_list_for_each(d, &u->devs, node)
		uvdpa_dev_del(d->dev, NULL);
	/* del() itself ends by then; the rest is for what it had to leave to the loop. */
	due = vd_now_ns() + (END_MS + 100) * 1000000ull;
	while (in_use(u) && vd_now_ns() < due)
		vd_loop_dispatch(&u->loop, 50);
	tell_ended(&u->ended_post);

	if (in_use(u)) {
		vd_log_error(&u->log, NULL, "%s after %d ms; its memory is left",
			     u->njobs ? "a call for a device has not returned" :
					"requests of a device are not home",
			     END_MS);
		return;
	}
	free(u->parents);
	free(u->drivers);
	vd_bell_fini(&u->bell);
	vd_close(&u->nowhere);
	vd_loop_fini(&u->loop);
	vd_log_fini(&u->log);
	free(u);
}

int uvdpa_fd(const struct uvdpa *u)
{
	return u->loop.epfd;
}

int uvdpa_dispatch(struct uvdpa *u, int timeout_ms)
{
	const char *in = NULL;
	int r = vd_ctx_mine(u);

	if (r)
		return r;
	if (!__atomic_compare_exchange_n(&u->inside, &in, vd_err_text(), false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return may_wait(u, in);
	r = vd_loop_dispatch(&u->loop, timeout_ms);
	__atomic_store_n(&u->inside, NULL, __ATOMIC_RELEASE);
	return r;
}

const char *uvdpa_version(void)
{
	return UVDPA_VERSION;
}

const char *uvdpa_error(void)
{
	return vd_err_text();
}

void uvdpa_set_log(struct uvdpa *u, struct uvdpa_log *log, enum uvdpa_log_level level)
{
	vd_log_set(&u->log, log, level);
}

/* ---- operations that take time ------------------------------------------------------------- */

/*
 * While one waits, reserved[] holds a list node and a copy of the sentence: what happens between
 * the end of an operation and the telling of it may fail too, and overwrite the thread's.
 */
static_assert(sizeof(struct vd_list) == 2 * sizeof(void *), "fits uvdpa_wait.reserved");

struct vd_list *vd_wait_node(struct uvdpa_wait *w)
{
	return (struct vd_list *)(void *)&w->reserved[0];
}

struct uvdpa_wait *vd_wait_of(struct vd_list *node)
{
	return container_of((void **)(void *)node, struct uvdpa_wait, reserved[0]);
}

void vd_wait_begin(struct uvdpa_wait *w)
{
	if (!w)
		return;
	w->pending = true;
	w->err = -EINPROGRESS;
	w->reserved[2] = NULL;
	vd_list_init(vd_wait_node(w));
}

void vd_wait_end(struct uvdpa *u, struct uvdpa_wait *w, int err)
{
	if (!w)
		return;
	w->err = err;
	w->reserved[2] = err ? strdup(vd_err_text()) : NULL;
	vd_list_del(vd_wait_node(w));
	vd_list_add(&u->ended, vd_wait_node(w));
	vd_loop_post(&u->loop, &u->ended_post);
}

static void tell_ended(struct vd_post *p)
{
	struct uvdpa *u = container_of(p, struct uvdpa, ended_post);

	while (!vd_list_empty(&u->ended)) {
		struct uvdpa_wait *w = vd_wait_of(u->ended.next);
		char *text = w->reserved[2];
		int err = w->err;

		vd_list_del(vd_wait_node(w));
		memset(w->reserved, 0, sizeof(w->reserved));
		if (err)
			vd_err(err, "%s", text ? text : strerror(-err));
		if (w == u->awaited)
			u->awaited_text = text;
		else
			free(text);
		w->pending = false;	/* from here on it is the caller's again */
		if (w->done)
			w->done(w, err);
	}
}

int uvdpa_await(struct uvdpa *u, struct uvdpa_wait *w, int r)
{
	int refused;

	if (r != -EINPROGRESS)
		return r;
	/* What another waits for stays what it is. */
	refused = may_wait(u, inside(u));
	if (refused)
		return refused;
	u->awaited = w;
	while (w->pending && (r >= 0 || r == -EINPROGRESS || r == -EINTR))
		r = uvdpa_dispatch(u, -1);
	u->awaited = NULL;
	if (w->pending)
		return r;
	/* What came after it in the same turn may have failed as well. */
	if (w->err && u->awaited_text)
		vd_err(w->err, "%s", u->awaited_text);
	free(u->awaited_text);
	u->awaited_text = NULL;
	return w->err;
}
