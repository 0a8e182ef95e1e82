/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd-engine.c - requests over NBD: one connection for each worker
 *
 *	todo --> commands --> sent --> home		a request; its parts are commands
 *	  ^                    |
 *	  +---- the connection is lost ----+		all again, in order, on the next one
 *
 * All of libnbd's part happens in the worker. It touches guest memory only while it has a command,
 * and has none any more when its handle is closed, so requests can be ended at any time.
 *
 * Lost writes. A server that is gone may have taken with it what it had answered and not yet
 * flushed, and NBD has no way to tell. So when a connection is lost and there are such writes, all
 * flushes fail from then on, until reset, as they do after an fsync that failed; unless the user
 * says that the server keeps its cache. To know: a flush has a number, a write notes the number of
 * flushes that had begun when it was answered, plus one. A flush covers the writes with a note of
 *at most its own number.
 *
 * Several connections of one device are to one server. When one is lost, the others cannot be
 * trusted, so each worker looks at the number of losses before it believes an answer.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "parent/nbd-cmd.h"

/* The worker's. */
struct conn {
	struct vd_engine e;
	struct vd_nbd *nbd;
	const struct vd_nbd_lib *lib;
	struct vd_worker *w;
	struct vd_nbd_slot *slot;
	struct nbd_handle *h;        /* NULL: there is no connection */
	struct vd_nbd_export export; /* of this connection */
	uint32_t losses;             /* nbd->losses that it has seen */
	uint32_t events;             /* of h, that are waited for */
	bool stale;                  /* the connection is to be given up */
	struct vd_list todo, sent;   /* not all commands were given to libnbd; all were */
	unsigned int ended;          /* requests, in this round */
	int timer;
	bool timed; /* the timer runs */
	struct vd_ratelimit log;
	struct vd_nbd_cmds cmds;
};

static struct conn *to_conn(struct vd_engine *e)
{
	return container_of(e, struct conn, e);
}

/* ---- the end of a request -------------------------------------------------------------------- */

static bool changes(const struct vd_blk_req *req)
{
	return req->op == VD_BLK_WRITE || req->op == VD_BLK_WRITE_ZEROES;
}

/* Note that what is about to be answered is in nobody's flush yet. */
static void note_write(struct conn *c)
{
	uint64_t n = __atomic_load_n(&c->nbd->flushes, __ATOMIC_RELAXED) + 1;

	/* Before losses is read: whoever counts a loss either sees this, or is seen. */
	__atomic_store_n(&c->slot->wrote, n, __ATOMIC_SEQ_CST);
}

static bool is_stale(struct conn *c)
{
	if (c->losses != __atomic_load_n(&c->nbd->losses, __ATOMIC_SEQ_CST))
		c->stale = true;
	return c->stale;
}

static void end(struct conn *c, struct vd_blk_req *req, int err)
{
	if (vd_unlikely(err))
		vd_blk_tell(req, err, c->nbd->where, &c->log);
	vd_list_del(&req->node);
	c->ended++;
	vd_blk_done(req, err == -EOPNOTSUPP ? -EIO : err);
}

/* What is to follow the data: bytes and flush together are the steps of a request. */
static uint64_t steps(const struct conn *c, const struct vd_blk_req *req)
{
	bool flush = req->op == VD_BLK_FLUSH ||
		     (req->durable && changes(req) && !c->export.fua && c->export.flush);

	return req->len + flush;
}

/* No command of this one is with the server. */
static void settle(struct conn *c, struct vd_blk_req *req)
{
	if (!req->err && req->done < steps(c, req)) {
		vd_list_del(&req->node);
		vd_list_add(&c->todo, &req->node);
		return;
	}
	if (!req->err && changes(req) && !req->durable && c->export.flush) {
		note_write(c);
		if (is_stale(c))
			return; /* it is done again */
	}
	end(c, req, req->err);
}

/* ---- connections that come and go ------------------------------------------------------------ */

static bool is_dead(const struct conn *c)
{
	return c->lib->nbd_aio_is_dead(c->h) || c->lib->nbd_aio_is_closed(c->h);
}

static void flush_done(struct conn *c, uint64_t number)
{
	uint64_t was = __atomic_load_n(&c->nbd->flushed, __ATOMIC_RELAXED);

	while (was < number && !__atomic_compare_exchange_n(&c->nbd->flushed, &was, number, true,
							    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

static const char *why_dead(const struct conn *c)
{
	const char *text = c->lib->nbd_aio_is_closed(c->h) ? NULL : c->lib->nbd_get_error();

	return text ? text : "closed by the server";
}

/* Guest memory that is not there any more: the next connection would end the same way. */
static bool is_fault(const struct conn *c)
{
	return c->lib->nbd_aio_is_dead(c->h) && c->lib->nbd_get_errno() == EFAULT;
}

/* The first to see that a server is gone says what is lost with it. */
static void count_loss(struct conn *c)
{
	struct vd_nbd *nbd = c->nbd;
	bool lost = false;
	uint64_t flushed;

	if (c->losses != __atomic_load_n(&nbd->losses, __ATOMIC_SEQ_CST))
		return;
	__atomic_add_fetch(&nbd->losses, 1, __ATOMIC_SEQ_CST);
	if (nbd->conf->server_cache == VD_NBD_KEEPS)
		return;
	flushed = __atomic_load_n(&nbd->flushed, __ATOMIC_ACQUIRE);
	for (unsigned int i = 0; i < nbd->nslots; i++)
		lost |= __atomic_load_n(&nbd->slots[i].wrote, __ATOMIC_SEQ_CST) > flushed;
	if (!lost)
		return;
	/* With nobody there who believes in them, they are only gone. */
	if (__atomic_load_n(&nbd->used, __ATOMIC_RELAXED) && vd_blk_writes_lost(&nbd->blk))
		vd_log_warn(vd_ctx_log(nbd->u), nbd->name,
			    "%s: answered writes were not flushed and may be lost: flushes fail "
			    "until reset",
			    nbd->where);
	/* They are accounted for: the next loss is not theirs. */
	flush_done(c, __atomic_add_fetch(&nbd->flushes, 1, __ATOMIC_ACQ_REL));
}

/* Give the connection up, and ask for the next. @fault: what is sent cannot be sent. */
static void lose(struct conn *c, const char *why, bool fault)
{
	struct vd_blk_req *req, *tmp;
	unsigned int missed;

	if (vd_ratelimit_ok(&c->log, &missed))
		vd_log_warn(vd_ctx_log(c->nbd->u), c->nbd->name, "%s: connection lost: %s",
			    c->nbd->where, why);
	__atomic_store_n(&c->slot->up, false, __ATOMIC_RELAXED);
	c->lib->nbd_close(c->h);
	c->h = NULL;
	c->stale = false;
	count_loss(c);
	vd_nbd_cmds_reset(&c->cmds);

	/* Those that wait to be sent follow those that were, partly sent ones among them. */
	vd_list_for_each_safe(req, tmp, &c->todo, node) {
		vd_list_del(&req->node);
		vd_list_add(&c->sent, &req->node);
	}
	vd_list_for_each_safe(req, tmp, &c->sent, node) {
		bool was_sent = req->parts > 0;

		vd_list_del(&req->node);
		vd_list_add(&c->todo, &req->node);
		req->parts = 0;
		req->done = 0;
		req->err = 0;
		if (fault && was_sent)
			end(c, req, -EFAULT);
	}
	vd_nbd_link_want(c->nbd, c->slot);
}

/* Take what the slot has. */
static void take(struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	struct nbd_handle *h;
	uint32_t max, block = c->nbd->blk.conf.block_size;

	vd_eventfd_drain(c->slot->fd);
	/* Acquire: the slot. Pairs with deliver() in nbd-link.c. */
	h = __atomic_exchange_n(&c->slot->h, NULL, __ATOMIC_ACQUIRE);
	if (!h)
		return;
	c->h = h;
	c->export = c->slot->export;
	c->losses = c->slot->losses;
	c->stale = false;
	c->events = ev.events;
	max = c->export.payload_max ? c->export.payload_max : VD_NBD_PAYLOAD_MAX;
	max = vd_min(max, VD_NBD_PAYLOAD_MAX);
	c->cmds.h = h;
	c->cmds.fua = c->export.fua;
	c->cmds.block_size = block;
	c->cmds.payload_max = vd_max(max - max % block, block);
	__atomic_store_n(&c->slot->up, true, __ATOMIC_RELAXED);
	if (epoll_ctl(c->e.fd, EPOLL_CTL_ADD, c->lib->nbd_aio_get_fd(h), &ev))
		lose(c, strerror(errno), false);
	else if (is_stale(c))
		lose(c, "it is older than the loss of another", false);
}

/* Give libnbd as much as there is, and room for. */
static void issue(struct conn *c)
{
	while (c->h && c->cmds.free && !vd_list_empty(&c->todo)) {
		struct vd_blk_req *req = vd_list_entry(c->todo.next, struct vd_blk_req, node);

		/* Something that was no answer came by TLS: see move(). */
		if (c->cmds.nfree == VD_NBD_CMDS && !c->lib->nbd_aio_is_ready(c->h)) {
			lose(c, "it is not ready for requests", false);
			return;
		}
		req->err = vd_nbd_cmd_issue(&c->cmds, req);
		if (req->err || req->done >= req->len) {
			vd_list_del(&req->node);
			vd_list_add(&c->sent, &req->node);
		}
		if (is_dead(c))
			lose(c, why_dead(c), is_fault(c));
		else if (req->err && !req->parts)
			end(c, req, req->err);
	}
}

/* Wait for what libnbd waits for. */
static void watch(struct conn *c)
{
	struct epoll_event ev = { .data.ptr = c };
	unsigned int dir;

	if (!c->h)
		return;
	dir = c->lib->nbd_aio_get_direction(c->h);
	ev.events = (dir & LIBNBD_AIO_DIRECTION_READ ? EPOLLIN : 0) |
		    (dir & LIBNBD_AIO_DIRECTION_WRITE ? EPOLLOUT : 0);
	if (ev.events == c->events)
		return;
	c->events = ev.events;
	epoll_ctl(c->e.fd, EPOLL_CTL_MOD, c->lib->nbd_aio_get_fd(c->h), &ev);
}

/* ---- what has come --------------------------------------------------------------------------- */

static bool more(const struct conn *c)
{
	struct pollfd p = { .events = POLLIN };

	if (is_dead(c) || !(c->lib->nbd_aio_get_direction(c->h) & LIBNBD_AIO_DIRECTION_READ))
		return false;
	p.fd = c->lib->nbd_aio_get_fd(c->h);
	return poll(&p, 1, 0) == 1;
}

/*
 * Let libnbd read and write. A call handles one answer, so go on while there are some; but not
 * further: a handle that found nothing to read sends no command before it has.
 */
static void move(struct conn *c, uint32_t events)
{
	unsigned int dir = c->lib->nbd_aio_get_direction(c->h);

	if (events & ~EPOLLOUT && dir & LIBNBD_AIO_DIRECTION_READ) {
		do
			c->lib->nbd_aio_notify_read(c->h);
		while (more(c));
	} else if (dir & LIBNBD_AIO_DIRECTION_WRITE) {
		c->lib->nbd_aio_notify_write(c->h);
	}
}

static void harvest_one(struct conn *c, struct vd_nbd_cmd *cmd)
{
	struct vd_blk_req *req = cmd->req;

	if (cmd->error == ENOTCONN)
		return; /* libnbd's: it was not answered */
	if (cmd->error == ESHUTDOWN) {
		c->stale = true; /* the server's: it will not answer any more */
		return;
	}
	if (cmd->error && !req->err)
		req->err = -cmd->error;
	if (cmd->error && cmd->flush) /* also one that follows a write */
		vd_blk_writes_lost(&c->nbd->blk);
	/* One that a dead server gave counts for nothing. */
	if (!cmd->error && cmd->flush && !is_stale(c))
		flush_done(c, cmd->flush);
	vd_nbd_cmd_put(cmd);
	if (--req->parts == 0 && (req->err || req->done >= req->len))
		settle(c, req);
}

/* The answers of a connection that is dead meanwhile count as well. */
static void harvest(struct conn *c)
{
	struct vd_nbd_cmd *cmd;

	while (!is_stale(c) && (cmd = vd_nbd_cmd_take(&c->cmds)))
		harvest_one(c, cmd);
	if (c->h && is_dead(c))
		lose(c, why_dead(c), is_fault(c));
	else if (c->h && c->stale)
		lose(c, "another was lost, or the server shuts down", false);
}

/* The queues that are to be quiet have waited long enough. */
static void give_up(struct conn *c)
{
	struct vd_blk_req *req, *tmp;
	uint64_t n;

	if (read(c->timer, &n, sizeof(n)) != sizeof(n) || !c->timed)
		return;
	c->timed = false;
	if (c->h)
		lose(c, "its answers are not here in time", false);
	vd_list_for_each_safe(req, tmp, &c->todo, node)
		if (vd_softq_stopping(req->q))
			end(c, req, -ETIMEDOUT);
}

static bool must_be_quiet(struct vd_list *l)
{
	struct vd_blk_req *req;

	vd_list_for_each(req, l, node)
		if (vd_softq_stopping(req->q))
			return true;
	return false;
}

/* Does a queue that is to become quiet wait for us? Then not without end. */
static void watch_time(struct conn *c)
{
	bool must =
		vd_worker_stopping(c->w) && (must_be_quiet(&c->sent) || must_be_quiet(&c->todo));
	struct itimerspec t = { 0 };

	if (vd_likely(must == c->timed))
		return;
	if (must)
		t.it_value.tv_nsec = VD_NBD_QUIET_MS * 1000000L;
	c->timed = must;
	timerfd_settime(c->timer, 0, &t, NULL);
}

/* ---- the engine ------------------------------------------------------------------------------ */

void vd_nbd_submit(struct vd_blk *blk, struct vd_worker *w, struct vd_blk_req **reqs,
		   unsigned int n)
{
	struct conn *c = to_conn(vd_worker_engine(w));

	if (vd_unlikely(!__atomic_load_n(&c->nbd->used, __ATOMIC_RELAXED)))
		__atomic_store_n(&c->nbd->used, true, __ATOMIC_RELAXED);
	(void)blk;
	for (unsigned int i = 0; i < n; i++) {
		if (!reqs[i]->len && reqs[i]->op != VD_BLK_FLUSH) {
			vd_blk_done(reqs[i], 0);
			continue;
		}
		reqs[i]->done = 0;
		reqs[i]->err = 0;
		reqs[i]->parts = 0;
		vd_list_add(&c->todo, &reqs[i]->node);
	}
}

static void conn_submit(struct vd_engine *e)
{
	struct conn *c = to_conn(e);

	issue(c);
	watch(c);
	watch_time(c);
}

static unsigned int conn_reap(struct vd_engine *e)
{
	struct conn *c = to_conn(e);
	struct epoll_event ev[4];
	int n = epoll_wait(e->fd, ev, VD_ARRAY_SIZE(ev), 0);

	c->ended = 0;
	for (int i = 0; i < n; i++) {
		if (ev[i].data.ptr == c->slot) {
			take(c);
		} else if (ev[i].data.ptr == &c->timer) {
			give_up(c);
		} else if (c->h) {
			move(c, ev[i].events);
		}
	}
	harvest(c);
	issue(c);
	watch(c);
	return c->ended;
}

static bool conn_arm(struct vd_engine *e)
{
	return to_conn(e)->cmds.answered;
}

static void conn_destroy(struct vd_engine *e)
{
	struct conn *c = to_conn(e);

	if (c->h && c->lib->nbd_aio_is_ready(c->h))
		c->lib->nbd_aio_disconnect(c->h, 0);
	c->lib->nbd_close(c->h);
	__atomic_store_n(&c->slot->up, false, __ATOMIC_RELAXED);
	vd_nbd_cmds_fini(&c->cmds);
	vd_close(&c->timer);
	vd_close(&c->e.fd);
	free(c);
}

static const struct vd_engine_ops conn_ops = {
	.submit = conn_submit,
	.reap = conn_reap,
	.arm = conn_arm,
	.destroy = conn_destroy,
};

static int add_fd(struct conn *c, int fd, void *ptr)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = ptr };

	if (epoll_ctl(c->e.fd, EPOLL_CTL_ADD, fd, &ev))
		return vd_err(-errno, "%s: watch descriptor %d: %m", c->nbd->name, fd);
	return 0;
}

static int open_fds(struct conn *c)
{
	const char *name = c->nbd->name;
	int r;

	c->e.fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->e.fd < 0)
		return vd_err(-errno, "%s: epoll: %m", name);
	c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (c->timer < 0)
		return vd_err(-errno, "%s: timer: %m", name);
	r = add_fd(c, c->timer, &c->timer);
	return r ? r : add_fd(c, c->slot->fd, c->slot);
}

int vd_nbd_worker_start(struct vd_blk *blk, struct vd_worker *w, struct vd_engine **ret_engine)
{
	struct vd_nbd *nbd = vd_nbd(blk);
	unsigned int idx = vd_worker_index(w);
	struct conn *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return vd_err(-ENOMEM, "%s: no memory", nbd->name);
	c->nbd = nbd;
	c->lib = c->cmds.lib = nbd->lib;
	c->w = w;
	c->slot = &nbd->slots[idx];
	c->e = (struct vd_engine){ .ops = &conn_ops, .fd = -1 };
	c->timer = -1;
	vd_list_init(&c->todo);
	vd_list_init(&c->sent);
	r = vd_nbd_cmds_init(&c->cmds);
	if (r) {
		free(c);
		return vd_err_prefix(r, "%s: ", nbd->name);
	}
	c->cmds.flushes = &nbd->flushes;
	r = open_fds(c);
	if (r) {
		conn_destroy(&c->e);
		return r;
	}
	if (idx > 0)
		vd_nbd_link_want(nbd, c->slot);
	*ret_engine = &c->e;
	return 0;
}
