/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd-link.c - makes the connections of an nbd device
 *
 * Looking up a name may wait for ever, and a handshake with TLS takes its time, so each attempt is
 * a job. It ends with a handle that is ready for requests, which goes to the worker that wants one:
 *
 *	worker			control thread				job
 *	want ----- post ----->	a slot is wanted -- start ---------->	connect, shake hands
 *	take <---- eventfd ---	the same disk? into the slot <-------	done
 *				no: again, later
 *
 * The first job of all loads libnbd. One attempt at a time, and after one that failed a pause that
 * grows. There is no limit to the number: a server that is away for a day is there on the next.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "parent/nbd.h"

/* Control thread's, but for what the job uses: lib, h, stop_fd, uri, socket, where, export. */
struct vd_nbd_link {
	struct vd_nbd *nbd; /* NULL: closed while a job was running, which frees it */
	struct vd_nbd_lib lib;
	struct uvdpa *u;
	struct vd_job job;
	struct vd_post wanted;
	struct vd_timer pause;
	bool running, pausing;
	unsigned int pause_ms;
	int stop_fd;
	char *uri, *socket, *where;
	struct nbd_handle *h;
	struct vd_nbd_export export;
	struct vd_nbd_slot *slot; /* for which the attempt is */
	struct vd_ratelimit log;
};

/* ---- one attempt: in the job's thread -------------------------------------------------------- */

/* libnbd's sentence, but for one that repeats a URI, which may have a password in it. */
static int nbd_err(const struct vd_nbd_link *l)
{
	const char *text = l->lib.nbd_get_error();
	int err = l->lib.nbd_get_errno();

	if (!text || (l->uri && strstr(text, l->uri)))
		text = "the uri makes no sense";
	return vd_err(err ? -err : -EIO, "%s: %s", l->where, text);
}

/* A server whose machine has gone says nothing: the system is to ask, and to give up. */
static void watch_peer(int fd)
{
	static const int on = 1, idle_s = 10, every_s = 5, times = 4, unanswered_ms = 30000;
	socklen_t len = sizeof(int);
	int domain = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) ||
	    (domain != AF_INET && domain != AF_INET6))
		return;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof(every_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(times));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof(unanswered_ms));
}

/* One turn of the handshake. Return: 0; -errno. */
static int handshake_turn(struct vd_nbd_link *l, uint64_t deadline_ns)
{
	unsigned int dir = l->lib.nbd_aio_get_direction(l->h);
	struct pollfd p[] = {
		{ .fd = l->lib.nbd_aio_get_fd(l->h),
		  .events = (short)((dir & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
				    (dir & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0)) },
		{ .fd = l->stop_fd, .events = POLLIN },
	};
	uint64_t now = vd_now_ns();
	int n = 0;

	if (now < deadline_ns)
		n = poll(p, 2, (int)((deadline_ns - now) / 1000000) + 1);
	if (p[1].revents)
		return vd_err(-ECANCELED, "%s: given up", l->where);
	if (!n)
		return vd_err(-ETIMEDOUT, "%s: no connection within %u ms", l->where,
			      VD_NBD_CONNECT_MS);
	if (n < 0)
		return errno == EINTR ? 0 : vd_err(-errno, "%s: poll: %m", l->where);
	if (dir & LIBNBD_AIO_DIRECTION_READ && p[0].revents & ~POLLOUT)
		return l->lib.nbd_aio_notify_read(l->h) ? nbd_err(l) : 0;
	if (dir & LIBNBD_AIO_DIRECTION_WRITE && p[0].revents)
		return l->lib.nbd_aio_notify_write(l->h) ? nbd_err(l) : 0;
	return 0;
}

static int block_size(const struct vd_nbd_link *l, int which)
{
	int64_t n = l->lib.nbd_get_block_size(l->h, which);

	return n > 0 && n <= INT32_MAX ? (int)n : 0;
}

static int read_export(struct vd_nbd_link *l)
{
	struct nbd_handle *h = l->h;
	int64_t size = l->lib.nbd_get_size(h);

	if (size < 0)
		return nbd_err(l);
	l->export = (struct vd_nbd_export){
		.size = (uint64_t)size,
		.block_min = (uint32_t)block_size(l, LIBNBD_SIZE_MINIMUM),
		.block_best = (uint32_t)block_size(l, LIBNBD_SIZE_PREFERRED),
		.payload_max = (uint32_t)block_size(l, LIBNBD_SIZE_MAXIMUM),
		.readonly = l->lib.nbd_is_read_only(h) != 0,
		.flush = l->lib.nbd_can_flush(h) == 1,
		.fua = l->lib.nbd_can_fua(h) == 1,
		.trim = l->lib.nbd_can_trim(h) == 1,
		.zero = l->lib.nbd_can_zero(h) == 1,
		.multi_conn = l->lib.nbd_can_multi_conn(h) == 1,
		.tls = l->lib.nbd_get_tls_negotiated(h) == 1,
	};
	return 0;
}

static int attempt(struct vd_job *j)
{
	struct vd_nbd_link *l = container_of(j, struct vd_nbd_link, job);
	uint64_t deadline_ns = vd_now_ns() + VD_NBD_CONNECT_MS * 1000000ull;
	int r = l->uri ? l->lib.nbd_aio_connect_uri(l->h, l->uri)
		       : l->lib.nbd_aio_connect_unix(l->h, l->socket);

	if (r)
		return nbd_err(l);
	while (!l->lib.nbd_aio_is_ready(l->h)) {
		if (l->lib.nbd_aio_is_dead(l->h) || l->lib.nbd_aio_is_closed(l->h))
			return nbd_err(l);
		r = handshake_turn(l, deadline_ns);
		if (r)
			return r;
	}
	watch_peer(l->lib.nbd_aio_get_fd(l->h));
	return read_export(l);
}

/* ---- from attempt to attempt: control thread ------------------------------------------------- */

static void link_free(struct vd_nbd_link *l)
{
	if (l->h)
		l->lib.nbd_close(l->h);
	vd_close(&l->stop_fd);
	free(l->uri);
	free(l->socket);
	free(l->where);
	free(l);
}

/* A handle with all that it needs to know. Return: NULL with libnbd's sentence. */
static struct nbd_handle *new_handle(const struct vd_nbd_link *l)
{
	static const int tls[] = { LIBNBD_TLS_DISABLE, LIBNBD_TLS_ALLOW, LIBNBD_TLS_REQUIRE };
	const struct vd_nbd_lib *lib = &l->lib;
	const struct vd_nbd_conf *c = l->nbd->conf;
	struct nbd_handle *h = lib->nbd_create();

	if (!h)
		return NULL;
	if (lib->nbd_set_handle_name(h, l->nbd->name) || lib->nbd_set_pread_initialize(h, false) ||
	    lib->nbd_set_uri_allow_local_file(h, true) ||
	    (c->export && lib->nbd_set_export_name(h, c->export)) ||
	    (c->tls_certificates && lib->nbd_set_tls_certificates(h, c->tls_certificates)) ||
	    (c->tls_username && lib->nbd_set_tls_username(h, c->tls_username)) ||
	    (c->tls_psk_file && lib->nbd_set_tls_psk_file(h, c->tls_psk_file)) ||
	    lib->nbd_set_tls_verify_peer(h, c->tls_verify) || lib->nbd_set_tls(h, tls[c->tls])) {
		lib->nbd_close(h);
		return NULL;
	}
	return h;
}

static struct vd_nbd_slot *wanted_slot(struct vd_nbd *nbd)
{
	for (unsigned int i = 0; i < nbd->nslots; i++)
		if (__atomic_load_n(&nbd->slots[i].wanted, __ATOMIC_ACQUIRE))
			return &nbd->slots[i];
	return NULL;
}

static int start(struct vd_nbd_link *l)
{
	int r;

	l->slot->losses = __atomic_load_n(&l->nbd->losses, __ATOMIC_SEQ_CST);
	l->h = new_handle(l);
	if (!l->h)
		return nbd_err(l);
	r = vd_job_start(&l->job, l->u, "uvdpa/nbd");
	l->running = !r;
	return r;
}

static void failed(struct vd_nbd_link *l, int err)
{
	struct vd_nbd *nbd = l->nbd;
	uint64_t max = nbd->conf->reconnect_ms;
	unsigned int missed;

	l->lib.nbd_close(l->h);
	l->h = NULL;
	if (!nbd->known) {
		vd_nbd_found(nbd, NULL, err);
		return;
	}
	/* Told once for each time away, and again when there is something else to say. */
	if (!l->pause_ms && vd_ratelimit_ok(&l->log, &missed))
		vd_log_warn(vd_ctx_log(l->u), nbd->name, "%s", vd_err_text());
	l->pause_ms =
		(unsigned int)vd_min(l->pause_ms ? 2ull * l->pause_ms : VD_NBD_BACKOFF_MIN_MS, max);
	l->pausing = true;
	vd_timer_set(vd_ctx_loop(l->u), &l->pause, l->pause_ms);
}

/* Somebody wants a connection, or an attempt has ended, or the pause. */
static void go_on(struct vd_nbd_link *l)
{
	int r;

	if (l->running || l->pausing)
		return;
	l->slot = wanted_slot(l->nbd);
	r = l->slot ? start(l) : 0;
	if (r)
		failed(l, r);
}

static void deliver(struct vd_nbd_link *l)
{
	struct vd_nbd_slot *slot = l->slot;

	if (l->nbd->known)
		vd_log_info(vd_ctx_log(l->u), l->nbd->name, "%s: connected", l->where);
	l->pause_ms = 0;
	slot->export = l->export;
	__atomic_store_n(&slot->wanted, false, __ATOMIC_RELAXED);
	/* Release: the handle and what is said of it. Pairs with take() in nbd-engine.c. */
	__atomic_store_n(&slot->h, l->h, __ATOMIC_RELEASE);
	l->h = NULL;
	vd_eventfd_signal(slot->fd);
}

static void attempted(struct vd_job *j, int err)
{
	struct vd_nbd_link *l = container_of(j, struct vd_nbd_link, job);

	l->running = false;
	if (!l->nbd) {
		link_free(l);
		return;
	}
	if (!err && l->nbd->known)
		err = vd_nbd_same(l->nbd, &l->export);
	if (err) {
		failed(l, err);
		return;
	}
	deliver(l);
	if (!l->nbd->known)
		vd_nbd_found(l->nbd, &l->export, 0);
	go_on(l);
}

/* In the job's thread. */
static int load(struct vd_job *j)
{
	struct vd_nbd_link *l = container_of(j, struct vd_nbd_link, job);
	int r = vd_nbd_lib_load(&l->lib);

	return r ? vd_err_prefix(r, "%s: ", l->where) : 0;
}

static void loaded(struct vd_job *j, int err)
{
	struct vd_nbd_link *l = container_of(j, struct vd_nbd_link, job);

	l->running = false;
	if (!l->nbd) {
		link_free(l);
		return;
	}
	if (err) {
		vd_nbd_found(l->nbd, NULL, err);
		return;
	}
	l->nbd->lib = &l->lib;
	l->job.run = attempt;
	l->job.done = attempted;
	go_on(l);
}

static void paused(struct vd_timer *t)
{
	struct vd_nbd_link *l = container_of(t, struct vd_nbd_link, pause);

	l->pausing = false;
	go_on(l);
}

static void wanted_posted(struct vd_post *p)
{
	go_on(container_of(p, struct vd_nbd_link, wanted));
}

void vd_nbd_link_want(struct vd_nbd *nbd, struct vd_nbd_slot *slot)
{
	/* Release: the worker does not look at the slot any more. Pairs with wanted_slot(). */
	__atomic_store_n(&slot->wanted, true, __ATOMIC_RELEASE);
	vd_loop_post(vd_ctx_loop(nbd->u), &nbd->link->wanted);
}

static char *copy(const char *s, bool *ok)
{
	char *c = s ? strdup(s) : NULL;

	*ok &= !s || c;
	return c;
}

int vd_nbd_link_open(struct vd_nbd *nbd)
{
	struct vd_nbd_link *l = calloc(1, sizeof(*l));
	bool ok = true;
	int r;

	if (!l)
		return vd_err(-ENOMEM, "%s: no memory", nbd->name);
	l->nbd = nbd;
	l->u = nbd->u;
	l->job.run = load;
	l->job.done = loaded;
	l->wanted.fn = wanted_posted;
	l->pause.fn = paused;
	l->uri = copy(nbd->conf->uri, &ok);
	l->socket = copy(nbd->conf->socket, &ok);
	l->where = copy(nbd->where, &ok);
	r = l->stop_fd = vd_eventfd();
	if (r >= 0 && !ok)
		r = vd_err(-ENOMEM, "%s: no memory", nbd->name);
	if (r >= 0) {
		nbd->slots[0].wanted = true;
		r = vd_job_start(&l->job, l->u, "uvdpa/nbd-load");
	}
	if (r) {
		link_free(l);
		return r;
	}
	l->running = true;
	nbd->link = l;
	return 0;
}

void vd_nbd_link_close(struct vd_nbd_link *l)
{
	if (!l)
		return;
	vd_post_del(vd_ctx_loop(l->u), &l->wanted);
	vd_timer_del(vd_ctx_loop(l->u), &l->pause);
	l->nbd = NULL;
	if (l->running)
		vd_eventfd_signal(l->stop_fd);
	else
		link_free(l);
}
