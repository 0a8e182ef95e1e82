/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server.c - JSON-RPC 2.0 on a unix socket, one object in each line
 *
 *	bytes -> in[] -> lines -> vd_call_start() -> ... call ends -> out[] -> bytes
 *
 * A client is read only while few of its calls are in progress and it takes its answers, so what
 * it can make us keep is bounded without throwing anything away. Output is written from the
 * client's own descriptor callback alone: an answer that is ready elsewhere is put into out[]
 * and asks for EPOLLOUT, so a client never disappears under somebody's feet.
 */
#include "uvdpad/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "control/control.h"
#include "control/request.h"

#define READ_CHUNK (16u << 10)
#define TICK_MS    500

struct buf {
	char *p;
	size_t len; /* bytes in it */
	size_t cap;
};

struct client {
	struct server *s;
	struct vd_fd fd;
	unsigned int number; /* of the connection, for the record */
	struct vd_list node; /* in s->clients */
	struct vd_list requests;
	unsigned int nrequests;
	struct buf in, out;
	size_t scanned;     /* bytes of in that hold no newline */
	uint64_t active_ns; /* of the last request or byte that was taken */
	bool watches;       /* it wants events, and */
	uint64_t seen;      /* has had all up to this one */
	bool skip;          /* a line was too long: wait for its end */
	bool eof;           /* read no more; close when all is answered */
};

struct request {
	struct vd_call call;
	struct client *client;  /* NULL: it went */
	struct vd_list node;    /* in client->requests */
	struct json_object *id; /* of a notification, too: NULL then */
	bool notification;
};

/* ---- buffers ---------------------------------------------------------------------------- */

static bool buf_reserve(struct buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 1024;
	char *p;

	while (cap - b->len < more)
		cap *= 2;
	if (cap == b->cap)
		return true;
	p = realloc(b->p, cap);
	if (!p)
		return false;
	b->p = p;
	b->cap = cap;
	return true;
}

static bool buf_add(struct buf *b, const char *p, size_t len)
{
	if (!buf_reserve(b, len))
		return false;
	memcpy(b->p + b->len, p, len);
	b->len += len;
	return true;
}

/* Forget the first @n bytes; a buffer that a long line had blown up shrinks again. */
static void buf_eat(struct buf *b, size_t n)
{
	b->len -= n;
	memmove(b->p, b->p + n, b->len);
	if (!b->len && b->cap > SERVER_OUT_HIGH) {
		free(b->p);
		*b = (struct buf){ 0 };
	}
}

/* ---- clients ---------------------------------------------------------------------------- */

static bool client_busy(const struct client *c)
{
	return c->nrequests >= SERVER_CALLS_MAX || c->out.len > SERVER_OUT_HIGH;
}

static void client_close(struct client *c)
{
	struct server *s = c->s;
	struct request *rq, *tmp;

	vd_list_for_each_safe(rq, tmp, &c->requests, node) {
		vd_list_del(&rq->node);
		rq->client = NULL;
	}
	vd_list_del(&c->node);
	vd_fd_del(&c->fd);
	close(c->fd.fd);
	free(c->in.p);
	free(c->out.p);
	s->nwatchers -= c->watches;
	free(c);
	s->nclients--;
	if (!s->stopping)
		vd_accept_start(&s->accept, s->loop, s->listen->fd);
}

/* Lines may be there that were not handled while it was busy. */
static bool client_pending(const struct client *c)
{
	return c->scanned < c->in.len && !c->s->stopping;
}

/* Are there events that it has not had? */
static bool client_behind(const struct client *c)
{
	return c->watches && c->seen + 1 < c->s->events.next;
}

/* What it is watched for follows from its state. Return: false if it is of no use any more. */
static bool client_rearm(struct client *c)
{
	uint32_t events = 0;

	if (c->out.len || client_behind(c) || (client_pending(c) && !client_busy(c)))
		events |= EPOLLOUT;
	if (!c->eof && !client_busy(c))
		events |= EPOLLIN;
	if (c->eof && !c->nrequests && !c->out.len && !client_behind(c) && !client_pending(c))
		return false;
	return !vd_fd_mod(&c->fd, events);
}

/* @dir: '>' it said this, '<' it is told this; without the newline. */
static void client_record(const struct client *c, char dir, const char *line, size_t len)
{
	FILE *f = c->s->record;

	if (!f)
		return;
	fprintf(f, "%u%c ", c->number, dir);
	fwrite(line, 1, len, f);
	putc('\n', f);
}

static void client_put(struct client *c, struct json_object *o)
{
	const char *text;
	size_t len;

	text = json_object_to_json_string_length(
		o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	if (!buf_add(&c->out, text, len) || !buf_add(&c->out, "\n", 1))
		c->eof = true; /* no memory: half an answer is worse than none */
	client_record(c, '<', text, len);
	json_object_put(o);
}

/* Takes @id and @body. */
static void client_answer(struct client *c, struct json_object *id, const char *key,
			  struct json_object *body)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "jsonrpc", json_object_new_string("2.0"));
	json_object_object_add(o, key, body);
	json_object_object_add(o, "id", id);
	client_put(c, o);
}

static void client_error(struct client *c, int code, int err, const char *text)
{
	client_answer(c, NULL, "error", vd_rpc_error(code, err, text));
}

/* ---- events ----------------------------------------------------------------------------- */

/* Some are not there any more, or never were, for want of memory. */
static void client_lost(struct client *c, uint64_t count)
{
	struct json_object *o = json_object_new_object(), *p = json_object_new_object();

	json_object_object_add(o, "jsonrpc", json_object_new_string("2.0"));
	json_object_object_add(o, "method", json_object_new_string("events.lost"));
	json_object_object_add(p, "count", json_object_new_uint64(count));
	json_object_object_add(o, "params", p);
	client_put(c, o);
}

/* As many as it may have waiting; the others stay in the log. */
static void client_events(struct client *c)
{
	const struct events *log = &c->s->events;
	uint64_t lost = 0;

	while (client_behind(c) && c->out.len < SERVER_OUT_HIGH) {
		const struct event *e = events_at(log, c->seen + 1);

		if (e && lost)
			client_lost(c, lost);
		if (e) {
			lost = 0;
			c->seen++;
			if (!buf_add(&c->out, e->line, e->len))
				c->eof = true;
			client_record(c, '<', e->line, e->len - 1);
		} else {
			uint64_t seen = vd_max(c->seen + 1, log->first - 1);

			lost += seen - c->seen;
			c->seen = seen;
		}
	}
	if (lost)
		client_lost(c, lost);
}

static void events_added(struct events *log)
{
	struct server *s = container_of(log, struct server, events);
	struct client *c;

	vd_list_for_each(c, &s->clients, node) {
		if (!c->watches || c->seen + 2 != log->next)
			continue;
		/* The first that it has not had: from now on it is for the client to do something. */
		c->active_ns = vd_now_ns();
		vd_fd_mod(&c->fd, EPOLLOUT);
	}
}

/* A number that is not ours yet is another daemon's: who has it has had none of ours. */
static void client_watch(struct client *c, struct vd_call *call)
{
	struct server *s = c->s;
	uint64_t last = s->events.next - 1;

	if (!c->watches && s->nwatchers >= SERVER_WATCHERS_MAX) {
		vd_err(-EBUSY, "%u clients have events already, no more do", s->nwatchers);
		json_object_put(call->result);
		call->result = NULL;
		call->error = vd_rpc_error(VD_RPC_FAILED, -EBUSY, vd_err_text());
		return;
	}
	s->nwatchers += !c->watches;
	c->watches = true;
	c->seen = call->since <= last ? call->since : call->since == UINT64_MAX ? last : 0;
	json_object_object_add(call->result, "seq", json_object_new_uint64(last));
	json_object_object_add(call->result, "daemon", json_object_new_string(s->events.daemon));
}

/* ---- requests --------------------------------------------------------------------------- */

/* The call has ended: answer it, unless nobody wants to know. Frees @rq. */
static void request_end(struct request *rq)
{
	struct client *c = rq->client;
	struct json_object *result = rq->call.result, *error = rq->call.error;

	if (c) {
		vd_list_del(&rq->node);
		c->nrequests--;
	}
	if (c && !rq->notification) {
		client_answer(c, json_object_get(rq->id), error ? "error" : "result",
			      json_object_get(error ? error : result));
	}
	json_object_put(result);
	json_object_put(error);
	json_object_put(rq->id);
	free(rq);
}

static void request_done(struct vd_call *call)
{
	struct request *rq = container_of(call, struct request, call);
	struct client *c = rq->client;

	request_end(rq);
	if (c)
		vd_fd_mod(&c->fd, EPOLLOUT);
}

/* "dev.del" of what is not there yet: then that it will not come is all there is to do. */
static bool forgotten(struct server *s, const char *method, struct json_object *params)
{
	struct json_object *name;

	return s->forget && !strcmp(method, "dev.del") &&
	       json_object_is_type(params, json_type_object) &&
	       json_object_object_get_ex(params, "name", &name) &&
	       json_object_is_type(name, json_type_string) &&
	       s->forget(s, json_object_get_string(name)) &&
	       !uvdpa_dev_find(s->u, json_object_get_string(name));
}

static void client_request(struct client *c, struct json_object *o)
{
	struct json_object *method, *params = NULL;
	struct request *rq = calloc(1, sizeof(*rq));

	if (!rq) {
		client_error(c, VD_RPC_FAILED, -ENOMEM, "no memory");
		return;
	}
	rq->call.done = request_done;
	rq->call.levels = c->s->levels;
	rq->client = c;
	rq->notification = !json_object_object_get_ex(o, "id", &rq->id);
	json_object_get(rq->id);
	vd_list_add(&c->requests, &rq->node);
	c->nrequests++;
	json_object_object_get_ex(o, "method", &method);
	json_object_object_get_ex(o, "params", &params);
	vd_log_debug(c->s->log, "control", "%s", json_object_get_string(method));
	if (forgotten(c->s, json_object_get_string(method), params))
		rq->call.result = json_object_new_object();
	else if (!vd_call_start(c->s->u, json_object_get_string(method), params, &rq->call))
		return;
	if (rq->call.watch && !rq->call.error)
		client_watch(c, &rq->call);
	request_end(rq);
}

static bool is_space(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r';
}

/* Behind @line there is a newline. */
static void client_line(struct client *c, const char *line, size_t len)
{
	struct json_object *o;
	int code;

	while (len && is_space(line[len - 1]))
		len--;
	if (!len)
		return;
	client_record(c, '>', line, len);
	code = vd_request_parse(line, len, &o);
	if (code) {
		client_error(c, code, 0, vd_err_text());
		return;
	}
	client_request(c, o);
	json_object_put(o);
}

/* What is there holds no newline. A line that is too long is skipped, up to its end. */
static void client_no_line(struct client *c)
{
	c->scanned = c->in.len;
	if (!c->skip && c->in.len < SERVER_LINE_MAX)
		return;
	if (!c->skip) {
		vd_err(-EMSGSIZE, "a request is longer than %u bytes", SERVER_LINE_MAX);
		client_error(c, VD_RPC_INVALID, 0, vd_err_text());
	}
	c->skip = true;
	buf_eat(&c->in, c->in.len);
	c->scanned = 0;
}

/* Handle the lines that are there, as far as the client may ask. */
static void client_lines(struct client *c)
{
	size_t done = 0;
	char *nl = NULL;

	while (!client_busy(c)) {
		nl = memchr(c->in.p + c->scanned, '\n', c->in.len - c->scanned);
		if (!nl)
			break;
		c->active_ns = vd_now_ns();
		if (!c->skip)
			client_line(c, c->in.p + done, (size_t)(nl - c->in.p) - done);
		c->skip = false;
		done = c->scanned = (size_t)(nl - c->in.p) + 1;
	}
	buf_eat(&c->in, done);
	c->scanned -= done;
	if (!client_busy(c))
		client_no_line(c);
}

/* ---- bytes ------------------------------------------------------------------------------ */

/* Return: false if the client is gone. */
static bool client_read(struct client *c)
{
	size_t room = vd_min(READ_CHUNK, SERVER_LINE_MAX - c->in.len);
	ssize_t n;

	if (!room)
		return true;
	if (!buf_reserve(&c->in, room))
		return false;
	n = recv(c->fd.fd, c->in.p + c->in.len, room, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (!n)
		c->eof = true; /* what has no newline is not a request */
	c->in.len += (size_t)n;
	return true;
}

static bool client_write(struct client *c)
{
	ssize_t n = send(c->fd.fd, c->out.p, c->out.len, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->active_ns = vd_now_ns();
	buf_eat(&c->out, (size_t)n);
	return true;
}

static void client_event(struct vd_fd *f, uint32_t events)
{
	struct client *c = container_of(f, struct client, fd);
	bool ok = true;

	if ((events & EPOLLIN) && !c->eof)
		ok = client_read(c);
	if (ok && client_pending(c))
		client_lines(c);
	if (ok && client_behind(c))
		client_events(c);
	if (ok && c->out.len)
		ok = client_write(c);
	/* Hung up: nobody takes an answer, but what it asked for goes on. */
	if (!ok || (events & (EPOLLHUP | EPOLLERR)) || !client_rearm(c))
		client_close(c);
}

/* ---- the server ------------------------------------------------------------------------- */

static void server_came(struct vd_accept *a, int fd)
{
	struct server *s = container_of(a, struct server, accept);
	struct client *c;

	if (!s->tick.armed)
		vd_timer_set(s->loop, &s->tick, TICK_MS);
	c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	c->s = s;
	c->number = ++s->naccepted;
	c->fd.fn = client_event;
	c->active_ns = vd_now_ns();
	vd_list_init(&c->requests);
	if (vd_fd_add(s->loop, &c->fd, fd, EPOLLIN)) {
		vd_log_warn(s->log, "control", "%s", vd_err_text());
		close(fd);
		free(c);
		return;
	}
	vd_list_add(&s->clients, &c->node);
	if (++s->nclients == SERVER_CLIENTS_MAX)
		vd_accept_stop(a);
}

/*
 * A client with a call in progress, or that wants events, waits for us, so it is not idle; the others
 * are measured, and so is who does not take what there is. That may not be in out[] yet, as a socket
 * counts as writable only when most of what was in it was taken.
 */
static bool client_waits(const struct client *c)
{
	return (c->nrequests || c->watches) && !c->out.len && !client_behind(c);
}

static void server_tick(struct vd_timer *t)
{
	struct server *s = container_of(t, struct server, tick);
	bool full = s->nclients >= SERVER_CLIENTS_MAX;
	uint64_t limit_ns = (full ? SERVER_IDLE_FULL_MS : SERVER_IDLE_MS) * UINT64_C(1000000);
	struct client *c, *tmp;
	uint64_t now = vd_now_ns();

	vd_list_for_each_safe(c, tmp, &s->clients, node) {
		if (client_waits(c) || now - c->active_ns < limit_ns)
			continue;
		vd_log_info(s->log, "control", "client dropped: idle for %u ms",
			    (unsigned int)((now - c->active_ns) / 1000000));
		client_close(c);
	}
	if (s->nclients)
		vd_timer_set(s->loop, &s->tick, TICK_MS);
}

int server_start(struct server *s)
{
	int r;

	vd_list_init(&s->clients);
	s->tick.fn = server_tick;
	s->events.added = events_added;
	r = events_start(&s->events, s->u);
	if (r)
		return r;
	s->accept = (struct vd_accept){ .came = server_came,
					.log = s->log,
					.who = "control",
					.where = s->listen->sa.sun_path };
	vd_accept_start(&s->accept, s->loop, s->listen->fd);
	return 0;
}

void server_stop(struct server *s)
{
	struct client *c, *tmp;

	if (!s->loop)
		return;
	s->stopping = true;
	events_stop(&s->events);
	vd_accept_stop(&s->accept);
	vd_list_for_each_safe(c, tmp, &s->clients, node) {
		c->eof = true;
		if (!client_rearm(c))
			client_close(c);
	}
}

void server_fini(struct server *s)
{
	struct client *c, *tmp;

	if (!s->loop)
		return;
	vd_timer_del(s->loop, &s->tick);
	vd_list_for_each_safe(c, tmp, &s->clients, node) {
		if (client_behind(c))
			client_events(c);
		if (c->out.len)
			client_write(c);
		client_close(c);
	}
	events_fini(&s->events);
}
