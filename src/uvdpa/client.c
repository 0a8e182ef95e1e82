/* SPDX-License-Identifier: BSD-2-Clause */
/* client.c - one request to the daemon, and its answer */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/unix.h"
#include "uvdpa/cmd.h"

#define ANSWER_CHUNK (64u << 10)

/* Return: a descriptor. */
static int client_connect(const char *path)
{
	int fd = vd_unix_connect(path, 0);

	if (fd == -ENAMETOOLONG)
		print_error("%s", vd_err_text());
	else if (fd == -ENOENT || fd == -ECONNREFUSED)
		print_error("cannot reach uvdpad at %s: %s; is it running? (uvdpad --socket %s)",
			    path, strerror(-fd), path);
	else if (fd < 0)
		print_error("cannot reach uvdpad at %s: %s", path, strerror(-fd));
	return fd;
}

/* A daemon that takes longer than @ms (0: as long as it likes) has not answered. */
static void client_hurry(int fd, int ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static int client_send(int fd, struct json_object *request)
{
	size_t len;
	const char *text = json_object_to_json_string_length(
		request, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);

	/* The text is terminated by a NUL, the line by a newline. */
	for (bool newline = false;;) {
		ssize_t n = send(fd, newline ? "\n" : text, newline ? 1 : len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return print_error("send to uvdpad: %s", strerror(errno));
		if (newline)
			return 0;
		text += n;
		len -= (size_t)n;
		newline = !len;
	}
}

/* Read until the end of the line; it parses itself. */
static struct json_object *client_receive(int fd)
{
	struct json_tokener *tok = json_tokener_new();
	struct json_object *o = NULL;
	char *buf = malloc(ANSWER_CHUNK);
	ssize_t n;

	if (!tok || !buf) {
		print_error("no memory");
		goto out;
	}
	do {
		n = recv(fd, buf, ANSWER_CHUNK, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			print_error("uvdpad closed the connection: %s",
				    n ? strerror(errno) : "no answer");
			goto out;
		}
		o = json_tokener_parse_ex(tok, buf, (int)n);
	} while (!o && json_tokener_get_error(tok) == json_tokener_continue);
	if (!o)
		print_error("uvdpad's answer is not JSON");
out:
	free(buf);
	json_tokener_free(tok);
	return o;
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

int client_call(const struct cmd *cmd, const char *method, struct json_object *params,
		struct json_object **ret_result)
{
	struct json_object *request = json_object_new_object();
	vd_cleanup(vd_closep) int fd = -1;
	struct json_object *answer = NULL;

	json_object_object_add(request, "jsonrpc", json_object_new_string("2.0"));
	json_object_object_add(request, "method", json_object_new_string(method));
	json_object_object_add(request, "params", params);
	json_object_object_add(request, "id", json_object_new_int(1));
	fd = client_connect(cmd->socket);
	client_hurry(fd, cmd->timeout_ms);
	if (fd >= 0 && !client_send(fd, request))
		answer = client_receive(fd);
	json_object_put(request);
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

/* {"dev":{}} for "dev.show", {"config":{}} for "dev.config.show". */
static struct json_object *nothing(const char *method)
{
	const char *end = strrchr(method, '.'), *begin = end;
	struct json_object *o = json_object_new_object();
	char what[32];

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
