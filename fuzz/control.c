/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.c - what a client says to the control socket, in pieces whose length its first byte is
 *
 * What must hold: no access outside (the sanitizers); all that the client is told is JSON, one
 * object in each line; and whatever it said, its next request is answered. The context has the
 * simulated parents and no bus driver, so that what is said makes no file, socket or connection.
 */
#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/utf8.h"
#include "core/context.h"
#include "fuzz.h"
#include "uvdpad/server.h"

#define must(cond) ((cond) ? (void)0 : abort())
#define TURNS      100000 /* of the loop: more than any input can need */
#define LAST       "\n{\"jsonrpc\":\"2.0\",\"method\":\"version\",\"id\":\"last\"}\n"

struct bench {
	struct vd_loop loop;
	struct vd_log log;
	struct vd_fd bus;
	struct uvdpa *u;
	struct server server;
	struct vd_unix listen;
	int client;
	char *told; /* not a whole line yet */
	size_t len;
	bool answered;
};

static void on_bus(struct vd_fd *f, uint32_t events)
{
	(void)events;
	uvdpa_dispatch(container_of(f, struct bench, bus)->u, 0);
}

static void keep_simulated(struct uvdpa *u)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < u->nparents; i++)
		if (!strncmp(u->parents[i]->name, "sim-", 4))
			u->parents[n++] = u->parents[i];
	must(n);
	u->nparents = n;
	u->ndrivers = 0;
}

static void begin(struct bench *b)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sa);

	must(!vd_loop_init(&b->loop));
	vd_log_init(&b->log);
	must(!uvdpa_create(&b->u));
	keep_simulated(b->u);
	uvdpa_set_log(b->u, NULL, UVDPA_LOG_ERR);
	b->bus.fn = on_bus;
	must(!vd_fd_add(&b->loop, &b->bus, uvdpa_fd(b->u), EPOLLIN));
	b->listen.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Without a name: the kernel finds one, which is no file. */
	must(b->listen.fd >= 0 && !bind(b->listen.fd, (void *)&sa, sizeof(sa.sun_family)));
	must(!listen(b->listen.fd, 1) && !getsockname(b->listen.fd, (void *)&sa, &len));
	b->server = (struct server){
		.loop = &b->loop, .log = &b->log, .u = b->u, .listen = &b->listen
	};
	must(!server_start(&b->server));
	b->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(b->client >= 0 && !connect(b->client, (void *)&sa, len));
}

static void look(struct bench *b, const char *line, size_t len)
{
	struct json_tokener *tok = json_tokener_new();
	struct json_object *o = json_tokener_parse_ex(tok, line, (int)len), *v;

	/* What json-c takes for JSON, and others do not. */
	for (size_t i = 0, n; i < len; i += n)
		must((n = vd_utf8_len(line + i, len - i)));
	must(!json_object_object_get_ex(o, "id", &v) ||
	     !json_object_is_type(v, json_type_double) || isfinite(json_object_get_double(v)));
	must(json_tokener_get_error(tok) == json_tokener_success);
	must(json_tokener_get_parse_end(tok) == len);
	must(json_object_object_get_ex(o, "jsonrpc", &v));
	must(json_object_object_get_ex(o, "result", &v) +
		     json_object_object_get_ex(o, "error", &v) +
		     json_object_object_get_ex(o, "method", &v) ==
	     1);
	if (json_object_object_get_ex(o, "id", &v) && json_object_is_type(v, json_type_string) &&
	    !strcmp(json_object_get_string(v), "last"))
		b->answered = true;
	json_object_put(o);
	json_tokener_free(tok);
}

static void take(struct bench *b)
{
	char buf[4096], *nl;
	ssize_t n = recv(b->client, buf, sizeof(buf), MSG_DONTWAIT);

	if (n <= 0)
		return;
	b->told = realloc(b->told, b->len + (size_t)n);
	must(b->told);
	memcpy(b->told + b->len, buf, (size_t)n);
	b->len += (size_t)n;
	while ((nl = memchr(b->told, '\n', b->len))) {
		size_t line = (size_t)(nl - b->told);

		look(b, b->told, line);
		b->len -= line + 1;
		memmove(b->told, nl + 1, b->len);
	}
}

static void say(struct bench *b, const void *data, size_t size, size_t piece)
{
	const char *p = data;

	for (unsigned int turn = 0; size; turn++) {
		ssize_t n = send(b->client, p, vd_min(size, piece), MSG_DONTWAIT | MSG_NOSIGNAL);

		must(turn < TURNS);
		if (n > 0) {
			p += n;
			size -= (size_t)n;
		}
		vd_loop_dispatch(&b->loop, 0);
		take(b);
	}
}

static void end(struct bench *b)
{
	close(b->client);
	server_stop(&b->server);
	vd_fd_del(&b->bus);
	uvdpa_destroy(b->u);
	server_fini(&b->server);
	close(b->listen.fd);
	vd_log_fini(&b->log);
	vd_loop_fini(&b->loop);
	free(b->told);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bench b = { 0 };

	if (!size)
		return 0;
	begin(&b);
	say(&b, data + 1, size - 1, data[0] ? data[0] : SIZE_MAX);
	say(&b, LAST, strlen(LAST), SIZE_MAX);
	for (unsigned int turn = 0; !b.answered; turn++) {
		must(turn < TURNS);
		vd_loop_dispatch(&b.loop, 1);
		take(&b);
	}
	end(&b);
	return 0;
}
