/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * provision.c - devices that files ask for
 *
 *	read -> plan, device by device -> everything that goes, goes -> everything that comes, comes
 *
 * What goes comes first, for all devices, because a name, a socket or an image may pass from one to
 * another. Devices do not wait for each other beyond that: each has its row of calls.
 */
#include "uvdpad/provision.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/thread.h"
#include "control/words.h"
#include "uvdpad/plan.h"

#define SOON_NS 50000000 /* the daemon's end has two seconds for all */

static void run_next(struct provision *p);

/* ---- calls ---------------------------------------------------------------------------------- */

void provision_failed(struct provision *p, struct conf_dev *d, const char *then)
{
	struct json_object *message = NULL;

	json_object_object_get_ex(d->call.error, "message", &message);
	vd_log_error(p->log, NULL, "%s:%u: %s%s", d->c->path, d->line,
		     json_object_get_string(message), then);
	p->failed++;
	d->counts = NULL; /* nobody takes it for done */
}

/* Something that it needs is in use. Of what we have just taken away ourselves, or a killed daemon had,
 * it may be so for a moment yet. */
static bool in_use(const struct conf_dev *d)
{
	struct json_object *data, *err;
	int r;

	if (!json_object_object_get_ex(d->call.error, "data", &data) ||
	    !json_object_object_get_ex(data, "errno", &err))
		return false;
	r = json_object_get_int(err);
	return r == -EBUSY || r == -EADDRINUSE;
}

/* What was moved has lost its bus driver before it can be known whether the next takes it. */
static bool unbound(const struct provision *p, const struct conf_dev *d)
{
	const struct uvdpa_dev *dev = d->made ? uvdpa_dev_find(p->u, d->name) : NULL;

	return dev && !uvdpa_dev_driver(dev);
}

/* One call of a row has ended. What cannot go is not in the way: what comes will say so. */
static void took(struct provision *p, struct conf_dev *d)
{
	bool failed = d->call.error && p->step == PROVISION_COME && !d->forgotten && !p->stopping;

	d->wait = failed && p->tries < PROVISION_TRIES && in_use(d);
	if (d->wait) {
		d->at--;
	} else if (failed) {
		d->odd = d->made != NULL;
		provision_failed(p, d, unbound(p, d) ? "; it has no bus driver now" : "");
		json_object_put(d->come);
		d->come = NULL;
	}
	json_object_put(d->call.result);
	json_object_put(d->call.error);
}

/* A row has come to its end: the device is as its line says, and by this file. */
static void ended(struct provision *p, struct conf_dev *d)
{
	if (p->step != PROVISION_COME || !d->counts || d->forgotten)
		return;
	json_object_put(d->made);
	d->made = json_object_get(d->params);
	d->odd = false;
	++*d->counts;
	d->counts = NULL;
}

static void call_done(struct vd_call *call);

/* Make the calls of a row that are left, up to one that takes time. */
static void run(struct provision *p, struct conf_dev *d)
{
	for (;;) {
		struct json_object *row = p->step == PROVISION_AWAY ? d->away : d->come, *call;

		if (p->stopping)
			return;
		if (!row || d->at == json_object_array_length(row)) {
			ended(p, d);
			return;
		}
		call = json_object_array_get_idx(row, d->at++);
		d->call = (struct vd_call){ .done = call_done };
		if (!vd_call_start(p->u, json_object_get_string(json_object_array_get_idx(call, 0)),
				   json_object_array_get_idx(call, 1), &d->call)) {
			d->busy = true;
			p->busy++;
			return;
		}
		took(p, d);
		if (d->wait)
			return;
	}
}

static void call_done(struct vd_call *call)
{
	struct conf_dev *d = container_of(call, struct conf_dev, call);
	struct provision *p = d->c->p;

	d->busy = false;
	p->busy--;
	took(p, d);
	if (!d->wait)
		run(p, d);
	if (!p->busy)
		run_next(p);
}

static void run_all(struct provision *p, struct conf *c)
{
	struct conf_dev *d, *tmp;

	vd_list_for_each_safe(d, tmp, &c->devs, node) {
		d->at = 0;
		run(p, d);
	}
}

/* Return: whether there is something to be made again, after a while. */
static bool wait_more(struct provision *p)
{
	struct conf *const confs[] = { &p->conf, &p->kept };
	struct conf_dev *d;

	for (unsigned int i = 0; i < VD_ARRAY_SIZE(confs); i++)
		vd_list_for_each(d, &confs[i]->devs, node)
			if (d->wait) {
				vd_timer_set(p->loop, &p->retry, PROVISION_RETRY_MS);
				return true;
			}
	return false;
}

static void on_retry(struct vd_timer *t)
{
	struct provision *p = container_of(t, struct provision, retry);
	struct conf *const confs[] = { &p->conf, &p->kept };
	struct conf_dev *d;

	p->tries++;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(confs); i++)
		vd_list_for_each(d, &confs[i]->devs, node)
			if (d->wait) {
				d->wait = false;
				run(p, d);
			}
	run_next(p);
}

static void settle(struct conf_dev *d)
{
	json_object_put(d->away);
	json_object_put(d->come);
	d->away = d->come = NULL;
}

static void settle_all(struct provision *p)
{
	struct conf_dev *d, *tmp;

	vd_list_for_each(d, &p->conf.devs, node)
		settle(d);
	/* From here on it is a client's, as before. */
	vd_list_for_each_safe(d, tmp, &p->kept.devs, node) {
		settle(d);
		if (d->made || d->forgotten)
			conf_dev_free(d);
	}
}

static void sum_up(struct provision *p)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };

	/* A configuration that nobody asked for need not be there; nor somebody who reads this. */
	if ((!p->known && !p->added && !p->failed) || poll(&out, 1, 0) < 1)
		return;
	printf("uvdpad: %s: %u devices added, %u changed, %u removed, %u as before; %u failed\n",
	       p->known ? p->conf.path : p->kept.path, p->added, p->changed, p->removed, p->same,
	       p->failed);
	fflush(stdout);
}

static void finish(struct provision *p)
{
	p->step = PROVISION_REST;
	vd_timer_del(p->loop, &p->slow);
	if (p->again)
		provision_reload(p);
	else if (p->done)
		p->done(p);
}

/* Nothing is under way: the next step. */
static void run_next(struct provision *p)
{
	while (!p->busy && !p->stopping &&
	       (p->step == PROVISION_AWAY || p->step == PROVISION_COME)) {
		if (p->step == PROVISION_AWAY) {
			conf_fini(&p->gone);
			p->step = PROVISION_COME;
			run_all(p, &p->conf);
			run_all(p, &p->kept);
			continue;
		}
		if (wait_more(p))
			return;
		settle_all(p);
		sum_up(p);
		finish(p);
	}
}

/* ---- loads ---------------------------------------------------------------------------------- */

static void conf_fault(struct conf *c, unsigned int line, const char *sentence)
{
	struct provision *p = c->p;

	if (line)
		vd_log_error(p->log, NULL, "%s:%u: %s", c->path, line, sentence);
	else
		vd_log_error(p->log, NULL, "%s: %s", c->path, sentence);
}

/* Into the place of the present one, which gives what it made to the new lines of the same name. */
static void replace(struct provision *p, struct conf *now)
{
	struct conf_dev *d, *tmp, *next;

	vd_list_for_each_safe(d, tmp, &p->conf.devs, node) {
		next = conf_find(now, d->name);
		if (next) {
			next->made = json_object_get(d->made);
			next->odd = d->odd;
		} else if (d->made) {
			plan_gone(d);
			p->removed++;
			vd_list_del(&d->node);
			vd_list_add(&p->gone.devs, &d->node);
			d->c->n--;
			d->c = &p->gone;
			p->gone.n++;
			continue;
		}
		conf_dev_free(d);
	}
	vd_list_for_each_safe(d, tmp, &now->devs, node) {
		vd_list_del(&d->node);
		vd_list_add(&p->conf.devs, &d->node);
		d->c = &p->conf;
		p->conf.n++;
	}
}

/* What is kept of the state file is made unless the configuration, or a client, has the name. */
static void plan_kept(struct provision *p)
{
	struct conf_dev *d, *tmp;

	vd_list_for_each_safe(d, tmp, &p->kept.devs, node) {
		if (conf_find(&p->conf, d->name) || uvdpa_dev_find(p->u, d->name)) {
			vd_log_warn(p->log, NULL, "%s:%u: %s is another's now; forgotten",
				    d->c->path, d->line, d->name);
			conf_dev_free(d);
			continue;
		}
		plan_new(d);
		d->counts = &p->added;
	}
}

static void load(struct provision *p, struct conf *now)
{
	struct conf_dev *d;

	p->tries = 0;
	p->added = p->changed = p->removed = p->same = p->failed = 0;
	p->step = PROVISION_AWAY;
	replace(p, now);
	vd_list_for_each(d, &p->conf.devs, node)
		plan_dev(p, d);
	plan_kept(p);
	vd_timer_set(p->loop, &p->slow, PROVISION_SLOW_MS);
	run_all(p, &p->gone);
	run_all(p, &p->conf);
	run_next(p);
}

static void next_init(struct provision *p)
{
	p->next = (struct conf){ .path = p->conf.path, .fault = conf_fault, .p = p };
	vd_list_init(&p->next.devs);
}

/* The next configuration has been read and parsed, or @r says why not. Return: 0; @r */
static int take_next(struct provision *p, int r, bool must)
{
	if (r && !(r == -ENOENT && !must && !p->known)) {
		conf_fini(&p->next);
		return r;
	}
	p->known = p->known || !r;
	load(p, &p->next);
	return 0;
}

int provision_load(struct provision *p, bool must)
{
	next_init(p);
	return take_next(p, conf_read(&p->next, p->u), must);
}

/* The thread's: the file may lie where nobody answers. */
static void *reader(void *arg)
{
	struct provision *p = arg;

	p->read_err = conf_text(&p->next, &p->text, &p->len);
	snprintf(p->sentence, sizeof(p->sentence), "%s", p->read_err ? vd_err_text() : "");
	vd_loop_post(p->loop, &p->read);
	return NULL;
}

static void not_loaded(struct provision *p)
{
	vd_log_error(p->log, NULL, "%s; nothing has changed", vd_err_text());
	finish(p);
}

static void on_read(struct vd_post *post)
{
	struct provision *p = container_of(post, struct provision, read);
	int r = p->read_err;

	pthread_join(p->thread, NULL);
	if (r)
		vd_err(r, "%s", p->sentence);
	else
		r = conf_parse(&p->next, p->u, p->text, p->len);
	free(p->text);
	p->text = NULL;
	if (take_next(p, r, false))
		not_loaded(p);
}

void provision_reload(struct provision *p)
{
	p->again = p->step != PROVISION_REST;
	if (p->again)
		return;
	next_init(p);
	p->len = 0;
	p->step = PROVISION_READ;
	vd_timer_set(p->loop, &p->slow, PROVISION_SLOW_MS);
	if (vd_thread_start(&p->thread, reader, p, "configuration"))
		not_loaded(p);
}

/* Return: a device that a call is under way for. */
static const struct conf_dev *first_busy(struct provision *p)
{
	struct conf *const confs[] = { &p->gone, &p->conf, &p->kept };
	struct conf_dev *d;

	for (unsigned int i = 0; i < VD_ARRAY_SIZE(confs); i++)
		vd_list_for_each(d, &confs[i]->devs, node)
			if (d->busy)
				return d;
	return NULL;
}

static void on_slow(struct vd_timer *t)
{
	struct provision *p = container_of(t, struct provision, slow);
	const struct conf_dev *d = first_busy(p);

	if (p->step == PROVISION_READ)
		vd_log_warn(p->log, NULL, "%s is still being read", p->conf.path);
	else if (d && p->busy > 1)
		vd_log_warn(p->log, NULL, "%s:%u: %s takes its time, and so do %u more", d->c->path, d->line,
			    d->name, p->busy - 1);
	else if (d)
		vd_log_warn(p->log, NULL, "%s:%u: %s takes its time", d->c->path, d->line, d->name);
}

int provision_restore(struct provision *p, const char *path)
{
	int r;

	p->kept.path = path;
	p->kept.clients = true;
	r = conf_read(&p->kept, p->u);
	return r == -ENOENT ? 0 : r;
}

/* The line that has made, or is making, the device of this name. */
static struct conf_dev *maker(struct provision *p, const char *name)
{
	struct conf *const confs[] = { &p->conf, &p->gone };

	for (unsigned int i = 0; i < VD_ARRAY_SIZE(confs); i++) {
		struct conf_dev *d = conf_find(confs[i], name);

		if (d && (d->made || d->busy))
			return d;
	}
	return NULL;
}

void provision_put(struct provision *p, FILE *f)
{
	struct uvdpa_dev *dev = NULL;
	struct json_object *params;
	struct conf_dev *d;

	while ((dev = uvdpa_dev_next(p->u, dev))) {
		if (maker(p, uvdpa_dev_name(dev)))
			continue;
		params = vd_show_provision(dev);
		vd_words_put_dev(f, params);
		json_object_put(params);
	}
	vd_list_for_each(d, &p->kept.devs, node)
		if (!d->made && !d->forgotten && !uvdpa_dev_find(p->u, d->name))
			vd_words_put_dev(f, d->params);
}

bool provision_forget(struct provision *p, const char *name)
{
	struct conf_dev *d = conf_find(&p->kept, name);

	if (!d || d->made)
		return false;
	vd_log_info(p->log, NULL, "%s:%u: %s is forgotten", d->c->path, d->line, d->name);
	d->forgotten = true;
	if (!d->busy)
		conf_dev_free(d);
	return true;
}

/* ---- from the start to the end ------------------------------------------------------------------ */

/* What a client takes away is made again at the next load, if the file still has it. */
static void on_event(struct uvdpa_watch *w, enum uvdpa_event ev, struct uvdpa_dev *dev)
{
	struct conf_dev *d = NULL;

	if (ev == UVDPA_DEV_REMOVED)
		d = maker(container_of(w, struct provision, watch), uvdpa_dev_name(dev));
	if (!d)
		return;
	json_object_put(d->made);
	d->made = NULL;
}

static void conf_init(struct conf *c, struct provision *p)
{
	c->p = p;
	c->fault = conf_fault;
	vd_list_init(&c->devs);
}

void provision_init(struct provision *p, const char *path)
{
	conf_init(&p->conf, p);
	conf_init(&p->kept, p);
	conf_init(&p->gone, p);
	p->conf.path = p->gone.path = path;
	p->watch.event = on_event;
	p->retry.fn = on_retry;
	p->slow.fn = on_slow;
	p->read.fn = on_read;
	uvdpa_watch_add(p->u, &p->watch);
}

void provision_stop(struct provision *p)
{
	p->stopping = true;
	p->done = NULL;
	if (p->loop) {
		vd_timer_del(p->loop, &p->retry);
		vd_timer_del(p->loop, &p->slow);
	}
	uvdpa_watch_del(&p->watch);
}

/* One that has read is at its end; one that hangs ends with the process. */
static bool reader_ends(struct provision *p)
{
	struct timespec soon;

	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec += SOON_NS;
	if (soon.tv_nsec >= 1000000000) {
		soon.tv_sec++;
		soon.tv_nsec -= 1000000000;
	}
	return !pthread_timedjoin_np(p->thread, NULL, &soon);
}

void provision_fini(struct provision *p)
{
	if (p->step == PROVISION_READ && reader_ends(p)) {
		vd_post_del(p->loop, &p->read);
		free(p->text);
	}
	conf_fini(&p->conf);
	conf_fini(&p->kept);
	conf_fini(&p->gone);
}
