/* SPDX-License-Identifier: BSD-2-Clause */
/* metrics.c - HTTP for Prometheus, by libmicrohttpd in the control loop */
#include "uvdpad/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "config.h"

/* ---- where --------------------------------------------------------------------------------- */

static int bad(const char *text, const char *why)
{
	return vd_err(-EINVAL, "--metrics \"%s\": %s", text, why);
}

static bool take_in(const char *host, uint16_t port, struct sockaddr_storage *sa,
		    bool *ret_loopback)
{
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)sa;

	*sa = (struct sockaddr_storage){ 0 };
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		*ret_loopback = ntohl(in->sin_addr.s_addr) >> 24 == 127;
		return true;
	}
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		*ret_loopback = IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
		return true;
	}
	return false;
}

int metrics_address(const char *text, struct sockaddr_storage *ret_sa)
{
	const char *colon = strrchr(text, ':'), *digits = colon ? colon + 1 : text, *from = text;
	size_t len = colon ? (size_t)(colon - text) : 0;
	char host[INET6_ADDRSTRLEN] = "127.0.0.1", *end;
	unsigned long port = strtoul(digits, &end, 10);
	bool loopback;

	if (*digits < '0' || *digits > '9' || *end || !port || port > UINT16_MAX)
		return bad(text, "not [ADDRESS:]PORT with a port of 1 to 65535");
	if (len > 2 && *from == '[' && from[len - 1] == ']') {
		from++;
		len -= 2;
	} else if (colon && memchr(text, ':', len)) {
		return bad(text, "an IPv6 address is written in brackets: [::1]:9100");
	}
	if (len >= sizeof(host))
		return bad(text, "no address is that long");
	if (colon && !(len == 9 && !strncmp(from, "localhost", 9))) {
		memcpy(host, from, len);
		host[len] = '\0';
	}
	if (!take_in(host, (uint16_t)port, ret_sa, &loopback))
		return bad(text, "not an address in numbers");
	if (!loopback)
		return bad(
			text,
			"only loopback addresses, 127.0.0.0/8 and ::1: there is no authentication");
	return 0;
}

#if HAVE_MICROHTTPD

#include <microhttpd.h>

#include "base/dl.h"

/* It brings GnuTLS with it, which only who serves metrics shall have: base/dl.h. */
#define LIB(X)                             \
	X(MHD_add_connection)              \
	X(MHD_add_response_header)         \
	X(MHD_create_response_from_buffer) \
	X(MHD_destroy_response)            \
	X(MHD_get_daemon_info)             \
	X(MHD_get_timeout)                 \
	X(MHD_queue_response)              \
	X(MHD_run)                         \
	X(MHD_start_daemon)                \
	X(MHD_stop_daemon)

struct metrics_lib {
	LIB(VD_DL_MEMBER)
};

static int load(struct metrics *m)
{
#define NAME(fn) VD_DL_NAME(struct metrics_lib, fn)
	static const struct vd_dl_name names[] = { LIB(NAME) };
	int r;

	m->lib = calloc(1, sizeof(*m->lib));
	if (!m->lib)
		return vd_err(-ENOMEM, "metrics: %m");
	r = vd_dl_load("libmicrohttpd.so.12", "libmicrohttpd12", names, VD_ARRAY_SIZE(names),
		       m->lib);
	return r ? vd_err(r, "--metrics: %s", vd_err_text()) : 0;
}

#define CONNECTIONS_MAX 8
#define TIMEOUT_S       2 /* of a connection on which nothing happens, for which others wait */
#define BACKLOG         16

/* ---- answers --------------------------------------------------------------------------------- */

static enum MHD_Result answer(const struct metrics *m, struct MHD_Connection *c, unsigned int code,
			      const char *type, char *text, size_t len)
{
	struct MHD_Response *r =
		m->lib->MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result ok;

	if (!r) {
		free(text);
		return MHD_NO;
	}
	m->lib->MHD_add_response_header(r, "Content-Type", type);
	if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
		m->lib->MHD_add_response_header(r, "Allow", "GET, HEAD");
	ok = m->lib->MHD_queue_response(c, code, r);
	m->lib->MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result answer_plain(const struct metrics *m, struct MHD_Connection *c,
				    unsigned int code, const char *text)
{
	char *copy = strdup(text);

	return copy ? answer(m, c, code, "text/plain", copy, strlen(copy)) : MHD_NO;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *data_len, void **state)
{
	static int known;
	const struct metrics *m = arg;
	size_t len;
	char *text;

	(void)version;
	(void)data;
	/* It comes twice at least: an answer at once would be before the request's end. */
	if (*state != &known) {
		*state = &known;
		return MHD_YES;
	}
	if (*data_len) { /* a body, which nobody reads */
		*data_len = 0;
		return MHD_YES;
	}
	if (strcmp(method, "GET") && strcmp(method, "HEAD"))
		return answer_plain(m, c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
	if (strcmp(url, "/metrics"))
		return answer_plain(m, c, MHD_HTTP_NOT_FOUND, "there is /metrics\n");
	text = metrics_text(m, &len);
	if (!text)
		return answer_plain(m, c, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory\n");
	return answer(m, c, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text, len);
}

/* ---- in the loop -------------------------------------------------------------------------------
 */

static unsigned int connections(const struct metrics *m)
{
	return m->lib->MHD_get_daemon_info(m->http, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)
		->num_connections;
}

static void turn(struct metrics *m)
{
	MHD_UNSIGNED_LONG_LONG ms;

	m->lib->MHD_run(m->http);
	if (connections(m) < CONNECTIONS_MAX)
		vd_accept_start(&m->accept, m->fd.loop, m->listen);
	if (m->lib->MHD_get_timeout(m->http, &ms) == MHD_YES)
		vd_timer_set(m->fd.loop, &m->timer, ms);
	else
		vd_timer_del(m->fd.loop, &m->timer);
}

/* It would accept by itself, but without descriptors it tries for ever. */
static void came(struct vd_accept *a, int fd)
{
	struct metrics *m = container_of(a, struct metrics, accept);
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getpeername(fd, (struct sockaddr *)&sa, &len)) {
		close(fd); /* it has gone */
		return;
	}
	m->lib->MHD_add_connection(m->http, fd, (struct sockaddr *)&sa, len);
	if (connections(m) >= CONNECTIONS_MAX)
		vd_accept_stop(a);
	turn(m);
}

static void on_ready(struct vd_fd *f, uint32_t events)
{
	(void)events;
	turn(container_of(f, struct metrics, fd));
}

static void on_time(struct vd_timer *t)
{
	turn(container_of(t, struct metrics, timer));
}

static void on_event(struct uvdpa_watch *w, enum uvdpa_event ev, struct uvdpa_dev *dev)
{
	struct metrics *m = container_of(w, struct metrics, watch);

	(void)dev;
	if ((unsigned int)ev < METRICS_EVENTS)
		m->events[ev]++;
}

static int serve(struct metrics *m)
{
	m->http = m->lib->MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_request, m,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)TIMEOUT_S, MHD_OPTION_END);
	return m->http ? 0 : vd_err(-EIO, "metrics: libmicrohttpd does not start");
}

static int listen_at(struct metrics *m, const struct sockaddr_storage *sa)
{
	socklen_t len = sa->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						  : sizeof(struct sockaddr_in);
	char host[INET6_ADDRSTRLEN], port[8];
	int on = 1;

	getnameinfo((const struct sockaddr *)sa, len, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(m->where, sizeof(m->where), sa->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
		 port);
	m->listen = socket(sa->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (m->listen < 0)
		return vd_err(-errno, "metrics: socket: %m");
	setsockopt(m->listen, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(m->listen, (const struct sockaddr *)sa, len) || listen(m->listen, BACKLOG))
		return vd_err(-errno, "metrics: listen on %s: %m", m->where);
	return 0;
}

int metrics_start(struct metrics *m, struct vd_loop *loop, const struct sockaddr_storage *sa)
{
	int r = load(m);

	m->listen = -1;
	if (!r)
		r = listen_at(m, sa);
	if (!r)
		r = serve(m);
	m->fd.fn = on_ready;
	m->timer.fn = on_time;
	m->watch.event = on_event;
	if (!r)
		r = vd_fd_add(
			loop, &m->fd,
			m->lib->MHD_get_daemon_info(m->http, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
			EPOLLIN);
	if (r) {
		metrics_stop(m);
		return r;
	}
	uvdpa_watch_add(m->u, &m->watch);
	m->accept = (struct vd_accept){
		.came = came, .log = m->log, .who = "metrics", .where = m->where
	};
	vd_accept_start(&m->accept, loop, m->listen);
	return 0;
}

void metrics_stop(struct metrics *m)
{
	if (!m->lib)
		return;
	uvdpa_watch_del(&m->watch);
	vd_accept_stop(&m->accept);
	vd_close(&m->listen);
	if (m->fd.loop)
		vd_timer_del(m->fd.loop, &m->timer);
	vd_fd_del(&m->fd);
	if (m->http)
		m->lib->MHD_stop_daemon(m->http);
	m->http = NULL;
	free(m->lib);
	m->lib = NULL;
}

#else

int metrics_start(struct metrics *m, struct vd_loop *loop, const struct sockaddr_storage *sa)
{
	(void)m;
	(void)loop;
	(void)sa;
	return vd_err(-EOPNOTSUPP, "--metrics: built without libmicrohttpd");
}

void metrics_stop(struct metrics *m)
{
	(void)m;
}

#endif
