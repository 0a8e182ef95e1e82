/* SPDX-License-Identifier: BSD-2-Clause */
/* link.c - lines of JSON to and from the daemon */
#include "uvdpa/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/unix.h"
#include "base/utf8.h"

#define CHUNK (64u << 10)

int link_open(struct link *l, const char *path, bool block)
{
	*l = (struct link){ .fd = vd_unix_connect(path, block ? 0 : SOCK_NONBLOCK) };
	if (l->fd == -ENAMETOOLONG)
		return l->fd;
	if (l->fd == -ENOENT || l->fd == -ECONNREFUSED)
		return vd_err(l->fd,
			      "cannot reach uvdpad at %s: %s; is it running? (uvdpad --socket %s)",
			      path, strerror(-l->fd), path);
	if (l->fd < 0)
		return vd_err(l->fd, "cannot reach uvdpad at %s: %s", path, strerror(-l->fd));
	l->tok = json_tokener_new();
	l->buf = malloc(CHUNK);
	return l->tok && l->buf ? 0 : vd_err(-ENOMEM, "no memory");
}

void link_close(struct link *l)
{
	vd_close(&l->fd);
	if (l->tok)
		json_tokener_free(l->tok);
	free(l->buf);
	*l = (struct link){ .fd = -1 };
}

static int send_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return vd_err(-errno, "send to uvdpad: %m");
		text += vd_max(n, 0);
		len -= (size_t)vd_max(n, 0);
	}
	return 0;
}

int link_send(struct link *l, const char *method, struct json_object *params, int id)
{
	struct json_object *o = json_object_new_object();
	const char *text, *bad;
	size_t len;
	int r;

	json_object_object_add(o, "jsonrpc", json_object_new_string("2.0"));
	json_object_object_add(o, "method", json_object_new_string(method));
	if (params)
		json_object_object_add(o, "params", params);
	json_object_object_add(o, "id", json_object_new_int(id));
	text = json_object_to_json_string_length(
		o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	bad = vd_utf8_bad(text);
	r = bad ? vd_err(-EINVAL, "byte 0x%02x is not UTF-8, which all words for uvdpad are",
			 (unsigned char)*bad)
		: send_all(l->fd, text, len);
	if (!r)
		r = send_all(l->fd, "\n", 1);
	json_object_put(o);
	return r;
}

/* More bytes. Return: 1; as link_next(). */
static int receive(struct link *l)
{
	ssize_t n;

	do
		n = recv(l->fd, l->buf, CHUNK, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		l->at = 0;
		l->len = (size_t)n;
		return 1;
	}
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0)
		return vd_err(-errno, "receive from uvdpad: %m");
	return vd_err(-ECONNRESET, "uvdpad closed the connection");
}

int link_next(struct link *l, struct json_object **ret_o)
{
	for (;;) {
		struct json_object *o;
		int r;

		while (l->at < l->len && strchr("\n\r\t ", l->buf[l->at]))
			l->at++;
		if (l->at == l->len) {
			r = receive(l);
			if (r < 1)
				return r;
			continue;
		}
		/* A line is an object, so it ends itself. */
		o = json_tokener_parse_ex(l->tok, l->buf + l->at, (int)(l->len - l->at));
		l->at += json_tokener_get_parse_end(l->tok);
		if (o) {
			*ret_o = o;
			return 1;
		}
		if (json_tokener_get_error(l->tok) != json_tokener_continue)
			return vd_err(-EPROTO, "uvdpad's answer is not JSON");
		l->at = l->len;
	}
}

const char *link_error(struct json_object *o)
{
	struct json_object *error, *text;

	if (!json_object_object_get_ex(o, "error", &error))
		return NULL;
	return json_object_object_get_ex(error, "message", &text) ? json_object_get_string(text)
								  : "uvdpad refused without a reason";
}
