/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run.c - what needs no daemon: one device in this process, and the options of parents and drivers
 *
 * The same methods that the daemon offers are called in a context of our own.
 */
#include <poll.h>
#include <stdio.h>
#include <uvdpa/uvdpa.h>

#include "base/fd.h"
#include "control/control.h"
#include "uvdpa/cmd.h"

struct run {
	struct uvdpa *u;
	struct uvdpa_watch watch;
	struct vd_call call;
	int signals;
	bool ended; /* the call has */
	bool stop;  /* a signal came */
	bool gone;  /* the device is not bound any more */
};

/* Of a call that has ended. Takes its result or its error. */
static int call_result(struct vd_call *call, struct json_object **ret_result)
{
	struct json_object *text;

	if (!call->error) {
		*ret_result = call->result;
		call->result = NULL;
		return 0;
	}
	json_object_object_get_ex(call->error, "message", &text);
	print_error("%s", json_object_get_string(text));
	json_object_put(call->error);
	call->error = NULL;
	return -1;
}

/* Call a method that ends at once. Takes @params. */
static int call_now(struct uvdpa *u, const char *method, struct json_object *params,
		    struct json_object **ret_result)
{
	struct vd_call call = { 0 };

	vd_call_start(u, method, params, &call);
	json_object_put(params);
	return call_result(&call, ret_result);
}

int local_options(const struct cmd *cmd, const char *method, struct json_object *params)
{
	struct json_object *result;
	struct uvdpa *u;
	int r;

	if (uvdpa_create(&u)) {
		json_object_put(params);
		return print_error("%s", uvdpa_error());
	}
	r = call_now(u, method, params, &result);
	if (!r)
		print_options(cmd, result);
	uvdpa_destroy(u);
	return r;
}

/* ---- run -------------------------------------------------------------------------------- */

static void added(struct vd_call *call)
{
	container_of(call, struct run, call)->ended = true;
}

/* There is one device. */
static void event(struct uvdpa_watch *w, enum uvdpa_event ev, struct uvdpa_dev *dev)
{
	struct run *run = container_of(w, struct run, watch);

	(void)dev;
	if (ev == UVDPA_DEV_UNBOUND || ev == UVDPA_DEV_REMOVED)
		run->gone = true;
}

static void turn(struct run *run)
{
	struct pollfd fds[] = {
		{ .fd = uvdpa_fd(run->u), .events = POLLIN },
		{ .fd = run->signals, .events = POLLIN },
	};

	if (poll(fds, VD_ARRAY_SIZE(fds), -1) < 0)
		return;
	if (fds[0].revents)
		uvdpa_dispatch(run->u, 0);
	if (fds[1].revents && signals_take(run->signals))
		run->stop = true;
}

/* Make the device, tell how to attach to it, and serve until something ends it. */
static int serve(struct run *run, const struct cmd *cmd, struct json_object *params)
{
	struct json_object *name, *result;
	int r;

	run->call.done = added;
	run->ended = vd_call_start(run->u, "dev.add", params, &run->call);
	while (!run->ended && !run->stop)
		turn(run);
	if (!run->ended)
		return 0;
	r = call_result(&run->call, &result);
	if (r)
		return r;
	json_object_put(result);
	json_object_object_get_ex(params, "name", &name);
	r = call_now(run->u, "dev.describe", words_param("name", json_object_get_string(name)),
		     &result);
	if (r)
		return r;
	print_result(cmd, result, PRINT_BLOCK);
	fflush(stdout);
	run->watch.event = event;
	uvdpa_watch_add(run->u, &run->watch);
	while (!run->stop && !run->gone)
		turn(run);
	uvdpa_watch_del(&run->watch);
	return run->stop
		       ? 0
		       : print_error("%s: the bus driver gave it up", json_object_get_string(name));
}

static int run_params(const struct cmd *cmd, struct json_object *params)
{
	struct json_object *mgmtdev;

	if (!json_object_object_get_ex(params, "mgmtdev", &mgmtdev) ||
	    !json_object_object_get_ex(params, "driver", NULL))
		return verb_wrong(cmd, NULL);
	if (!json_object_object_get_ex(params, "name", NULL))
		json_object_object_add(params, "name", json_object_get(mgmtdev));
	return 0;
}

static int run_device(const struct cmd *cmd, struct json_object *params)
{
	struct run run = { .signals = signals_catch() };
	int r = run.signals < 0 ? -1 : 0;

	if (!r && (uvdpa_sigbus_guard() || uvdpa_create(&run.u)))
		r = print_error("%s", uvdpa_error());
	if (!r)
		r = serve(&run, cmd, params);
	uvdpa_destroy(run.u);
	/* Of a call that was under way when the signal came. */
	json_object_put(run.call.result);
	json_object_put(run.call.error);
	vd_close(&run.signals);
	return r;
}

int cmd_run(const struct cmd *cmd, int argc, char **argv)
{
	struct json_object *params;
	int r;

	r = words_dev(argc, argv, &params);
	if (r)
		return r;
	r = words_known(cmd, params);
	if (!r)
		r = run_params(cmd, params);
	if (!r)
		r = run_device(cmd, params);
	json_object_put(params);
	return r;
}
