/* SPDX-License-Identifier: BSD-2-Clause */
/* client.c - one request to the daemon, and its answer */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/err.h"
#include "base/loop.h"
#include "uvdpa/cmd.h"
#include "uvdpa/link.h"
#include "uvdpa/progress.h"

/* A daemon that takes nothing for @ms (0: as long as it likes) takes no request. */
static void client_hurry(int fd, int ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

/* Return: the answer, or NULL and an error was printed. */
static struct json_object *client_receive(struct link *l, const struct cmd *cmd,
					  struct progress *progress)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };
	struct json_object *o;
	int r;

	while (!(r = link_next(l, &o))) {
		progress_show(progress, vd_now_ns());
		r = poll(&p, 1, cmd->timeout_ms ? cmd->timeout_ms : progress_wait_ms(progress));
		if (!r && cmd->timeout_ms) {
			print_error("uvdpad has not answered for %d ms", cmd->timeout_ms);
			return NULL;
		}
	}
	if (r == -EPROTO)
		print_error("%s", vd_err_text());
	else if (r < 0)
		print_error("%s: no answer", vd_err_text());
	return r < 0 ? NULL : o;
}

/* Takes @answer. */
static int client_result(struct json_object *answer, struct json_object **ret_result)
{
	struct json_object *error, *text, *data, *err;
	int r = -1;

	if (json_object_object_get_ex(answer, "result", ret_result)) {
		json_object_get(*ret_result);
		r = 0;
	} else if (json_object_object_get_ex(answer, "error", &error) &&
		   json_object_object_get_ex(error, "message", &text) &&
		   json_object_is_type(text, json_type_string)) {
		print_error("%s", json_object_get_string(text));
		if (json_object_object_get_ex(error, "data", &data) &&
		    json_object_object_get_ex(data, "errno", &err))
			fprintf(stderr, "uvdpad answers: %s\n",
				strerror(-json_object_get_int(err)));
		r = CLIENT_REFUSED;
	} else {
		print_error("uvdpad's answer has neither result nor error");
	}
	json_object_put(answer);
	return r;
}

/* "dev.add d0" */
static char *request_text(const char *method, struct json_object *params)
{
	struct json_object *name;
	char *text;

	if (!json_object_object_get_ex(params, "name", &name))
		return strdup(method);
	return asprintf(&text, "%s %s", method, json_object_get_string(name)) < 0 ? NULL : text;
}

int client_call(const struct cmd *cmd, const char *method, struct json_object *params,
		struct json_object **ret_result)
{
	char *text = request_text(method, params);
	struct progress progress = { .what = text };
	struct json_object *answer = NULL;
	struct link l;

	progress_begin(&progress, cmd);
	if (link_open(&l, cmd->socket, true)) {
		print_error("%s", vd_err_text());
		json_object_put(params);
	} else {
		client_hurry(l.fd, cmd->timeout_ms);
		if (link_send(&l, method, params, 1))
			print_error("%s", vd_err_text());
		else
			answer = client_receive(&l, cmd, &progress);
	}
	progress_end(&progress);
	link_close(&l);
	free(text);
	return answer ? client_result(answer, ret_result) : -1;
}

int client_do(const struct cmd *cmd, const char *method, struct json_object *params)
{
	struct json_object *result;
	int r = client_call(cmd, method, params, &result);

	if (!r)
		json_object_put(result);
	return r;
}

/* {"dev":{}} for "dev.show", {"config":{}} for "dev.config.show", {"export":{}} for "dev.export". */
static struct json_object *nothing(const char *method)
{
	const char *end = strrchr(method, '.'), *begin;
	struct json_object *o = json_object_new_object();
	char what[32];

	if (strcmp(end, ".show") != 0)
		end = method + strlen(method);
	begin = end;
	while (begin > method && begin[-1] != '.')
		begin--;
	snprintf(what, sizeof(what), "%.*s", (int)(end - begin), begin);
	json_object_object_add(o, what, json_object_new_object());
	return o;
}

/* {"WHAT": {"NAME": {...}, ...}} */
static bool is_list(struct json_object *result)
{
	if (!json_object_is_type(result, json_type_object))
		return false;
	json_object_object_foreach(result, what, map)
	{
		(void)what;
		if (!json_object_is_type(map, json_type_object))
			return false;
		json_object_object_foreach(map, name, o)
		{
			(void)name;
			if (!json_object_is_type(o, json_type_object))
				return false;
		}
	}
	return true;
}

int client_list(const struct cmd *cmd, const char *method, struct json_object *params,
		struct json_object **ret_result)
{
	struct json_object *result;
	int r = client_call(cmd, method, params, &result);

	if (!r && !is_list(result)) {
		json_object_put(result);
		return print_error("uvdpad's answer to %s is no list", method);
	}
	if (!r)
		*ret_result = result;
	return r;
}

int client_print(const struct cmd *cmd, const char *method, int r, struct json_object *result,
		 enum print_layout layout)
{
	if (!r)
		print_result(cmd, result, layout);
	else if (r == CLIENT_REFUSED && cmd->json)
		print_result(cmd, nothing(method), layout);
	return r;
}

int client_tell(const struct cmd *cmd, const char *method, const char *name,
		enum print_layout layout)
{
	struct json_object *result = NULL;
	int r = client_list(cmd, method, words_param("name", name), &result);

	return client_print(cmd, method, r, result, layout);
}
