/* SPDX-License-Identifier: BSD-2-Clause */
/* chan-socket.c - Unix sockets and TCP, either way round; see chan-kind.h */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/chan-kind.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/size.h"

#define BACKLOG         1
#define CONNECT_MS      10000 /* a host that does not answer */
#define TCP_HALF_MS     2000  /* nobody can know of TCP whether who has said all still listens */
#define TCP_IDLE_S      60    /* then the kernel asks whether they are there */

/* ---- addresses ------------------------------------------------------------------------------- */

static int parse_unix(struct vd_chan_addr *a, const char *rest)
{
	int r = vd_chan_path(a, rest, strlen(rest));

	/* Of struct sockaddr_un, which it is in. */
	return r ? r : vd_unix_address(rest, (struct sockaddr_un *)&a->sa);
}

static int parse_port(const char *text, const char *form, uint16_t *ret_port)
{
	uint64_t port;

	if (vd_number_parse(text, false, &port) || port > UINT16_MAX)
		return vd_err(-EINVAL, "address %s: port \"%s\": 0 to 65535", form, text);
	*ret_port = htons((uint16_t)port);
	return 0;
}

/* No name: to find what it stands for would have to be waited for. */
static int parse_host(struct vd_chan_addr *a, const char *host, uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&a->sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a->sa;

	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = port;
		a->sa_len = sizeof(*in);
	} else if (strchr(host, ':') && inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = port;
		a->sa_len = sizeof(*in6);
	} else {
		return vd_err(-EINVAL, "address %s: host \"%s\": a number as 127.0.0.1 or [::1]",
			      a->kind->form, host);
	}
	return 0;
}

static int parse_tcp(struct vd_chan_addr *a, const char *rest)
{
	const char *colon = strrchr(rest, ':');
	char host[INET6_ADDRSTRLEN + 2] = "127.0.0.1";
	size_t len = colon ? (size_t)(colon - rest) : 0;
	uint16_t port = 0;
	int r;

	if (!colon && a->kind == &vd_chan_tcp)
		return vd_err(-EINVAL, "address %s: \"%s\" has no port", a->kind->form, rest);
	r = parse_port(colon ? colon + 1 : rest, a->kind->form, &port);
	if (r)
		return r;
	if (len && rest[0] == '[' && rest[len - 1] == ']') {
		rest++;
		len -= 2;
	} else if (memchr(rest, ':', len)) {
		return vd_err(-EINVAL, "address %s: \"%s\": IPv6 goes in brackets", a->kind->form,
			      rest);
	}
	if (len >= sizeof(host))
		return vd_err(-EINVAL, "address %s: host \"%s\": a number as 127.0.0.1 or [::1]",
			      a->kind->form, rest);
	if (colon && (len || a->kind == &vd_chan_tcp)) {
		memcpy(host, rest, len);
		host[len] = '\0';
	}
	if (!port && a->kind == &vd_chan_tcp)
		return vd_err(-EINVAL, "address %s: port 0: nobody is there", a->kind->form);
	return parse_host(a, host, port);
}

static void set_where(struct vd_chan *c, const struct sockaddr_storage *sa, socklen_t len)
{
	char host[INET6_ADDRSTRLEN], port[8];

	if (getnameinfo((const struct sockaddr *)sa, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return;
	snprintf(c->where, sizeof(c->where), sa->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
		 port);
}

/* ---- connections ----------------------------------------------------------------------------- */

/* What makes a keystroke travel at once, and a peer whose machine has gone noticed. */
static void set_tcp(const struct vd_chan *c, int fd)
{
	int on = 1, idle = TCP_IDLE_S, interval = 10, count = 6;

	if (!c->addr.sa_len)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

/* Return: 0; -errno with a sentence. */
static int connected(struct vd_chan *c, int fd)
{
	set_tcp(c, fd);
	return vd_chan_came(c, fd, EPOLLRDHUP, true);
}

/* One at a time; the next waits in the queue of the socket. */
static void came(struct vd_accept *a, int fd)
{
	struct vd_chan *c = container_of(a, struct vd_chan, accept);

	if (connected(c, fd))
		vd_chan_warn(c);
	else
		vd_accept_stop(a);
}

static void let_in(struct vd_chan *c)
{
	c->accept.came = came;
	c->accept.log = c->log;
	c->accept.who = c->name;
	c->accept.where = c->where;
	vd_accept_start(&c->accept, c->loop, c->own.fd);
}

static int unix_listen_open(struct vd_chan *c)
{
	int r = vd_unix_listen(&c->own, c->addr.path, c->conf.mode, BACKLOG);

	if (!r)
		let_in(c);
	return r;
}

static int tcp_listen_open(struct vd_chan *c)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	int on = 1;

	set_where(c, &c->addr.sa, c->addr.sa_len);
	c->own.fd = socket(c->addr.sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->own.fd < 0)
		return vd_err(-errno, "socket: %m");
	setsockopt(c->own.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(c->own.fd, (struct sockaddr *)&c->addr.sa, c->addr.sa_len) ||
	    listen(c->own.fd, BACKLOG))
		return vd_err(-errno, "listen on %s: %m", c->where);
	if (!getsockname(c->own.fd, (struct sockaddr *)&sa, &len))
		set_where(c, &sa, len); /* the kernel may have chosen the port */
	let_in(c);
	return 0;
}

/* ---- to connect ------------------------------------------------------------------------------ */

/* Somebody may come; who is not there is nothing that anybody must be told of. */
static bool may_come(const struct vd_chan *c, int err)
{
	if (!c->conf.reconnect_ms)
		return false;
	switch (-err) {
	case ENOENT:
	case ECONNREFUSED:
	case EAGAIN:
		return true;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
	case ETIMEDOUT:
	case EADDRNOTAVAIL:
	case ECONNRESET:
		return c->addr.sa_len;
	}
	return false;
}

static int unix_connect(struct vd_chan *c)
{
	int fd = vd_unix_connect(c->addr.path, SOCK_NONBLOCK);

	return fd < 0 ? fd : connected(c, fd);
}

static void give_up_trying(struct vd_chan *c)
{
	vd_timer_del(c->loop, &c->again);
	vd_fd_del(&c->own_fd);
	vd_close(&c->own.fd);
	c->state = VD_CHAN_AWAY;
}

/* A connection that was begun is there, or will not be. */
static void trying_event(struct vd_fd *f, uint32_t events)
{
	struct vd_chan *c = container_of(f, struct vd_chan, own_fd);
	int err = 0, fd = c->own.fd;
	socklen_t len = sizeof(err);

	(void)events;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	if (!err) {
		vd_fd_del(f);
		c->own.fd = -1;
	}
	give_up_trying(c);
	if (!err && !connected(c, fd))
		return;
	if (err && !may_come(c, -err))
		vd_err(-err, "connect to %s: %s", c->where, strerror(err));
	if (!err || !may_come(c, -err))
		vd_chan_warn(c);
	vd_chan_look_again(c);
}

static int tcp_connect(struct vd_chan *c)
{
	int fd = socket(c->addr.sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return vd_err(-errno, "socket: %m");
	if (!connect(fd, (struct sockaddr *)&c->addr.sa, c->addr.sa_len))
		return connected(c, fd);
	if (errno != EINPROGRESS) {
		r = vd_err(-errno, "connect to %s: %m", c->where);
		close(fd);
		return r;
	}
	c->own_fd.fn = trying_event;
	c->own.fd = fd; /* closed with the channel */
	c->state = VD_CHAN_TRYING;
	r = vd_fd_add(c->loop, &c->own_fd, fd, EPOLLOUT);
	if (r)
		give_up_trying(c);
	else
		vd_timer_set(c->loop, &c->again, CONNECT_MS);
	return r;
}

static int try_connect(struct vd_chan *c)
{
	return c->addr.sa_len ? tcp_connect(c) : unix_connect(c);
}

static int connect_open(struct vd_chan *c)
{
	int r;

	if (c->addr.sa_len)
		set_where(c, &c->addr.sa, c->addr.sa_len);
	r = try_connect(c);
	if (!r || !may_come(c, r))
		return r;
	vd_chan_look_again(c);
	return 0;
}

static void connect_again(struct vd_chan *c)
{
	int r;

	if (c->state == VD_CHAN_TRYING) { /* for CONNECT_MS */
		give_up_trying(c);
		vd_chan_look_again(c);
		return;
	}
	r = try_connect(c);
	if (r && !may_come(c, r))
		vd_chan_warn(c);
	if (r)
		vd_chan_look_again(c);
}

const struct vd_chan_kind vd_chan_unix = {
	.name = "unix",
	.form = "unix:PATH",
	.parse = parse_unix,
	.how = VD_CHAN_SOCKET,
	.open = connect_open,
	.again = connect_again,
	.said_all = vd_chan_nothing,
	.gone = vd_chan_look_again,
	.rotate = vd_chan_nothing,
	.close = vd_chan_nothing,
};

const struct vd_chan_kind vd_chan_unix_listen = {
	.name = "unix-listen",
	.form = "unix-listen:PATH",
	.parse = parse_unix,
	.how = VD_CHAN_SOCKET,
	.open = unix_listen_open,
	.again = vd_chan_nothing,
	.said_all = vd_chan_nothing,
	.gone = let_in,
	.rotate = vd_chan_nothing,
	.close = vd_chan_nothing,
};

const struct vd_chan_kind vd_chan_tcp = {
	.name = "tcp",
	.form = "tcp:HOST:PORT",
	.half_ms = TCP_HALF_MS,
	.parse = parse_tcp,
	.how = VD_CHAN_SOCKET,
	.open = connect_open,
	.again = connect_again,
	.said_all = vd_chan_nothing,
	.gone = vd_chan_look_again,
	.rotate = vd_chan_nothing,
	.close = vd_chan_nothing,
};

const struct vd_chan_kind vd_chan_tcp_listen = {
	.name = "tcp-listen",
	.form = "tcp-listen:[HOST:]PORT",
	.half_ms = TCP_HALF_MS,
	.parse = parse_tcp,
	.how = VD_CHAN_SOCKET,
	.open = tcp_listen_open,
	.again = vd_chan_nothing,
	.said_all = vd_chan_nothing,
	.gone = let_in,
	.rotate = vd_chan_nothing,
	.close = vd_chan_nothing,
};
