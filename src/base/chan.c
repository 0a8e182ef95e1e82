/* SPDX-License-Identifier: BSD-2-Clause */
/* chan.c - who is at the other end, and the data thread's calls; see chan.h */
#include "base/chan.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/chan-kind.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/foreign.h"

#define NO_CHANGE UINT64_MAX /* of c->next */
#define LEAVE_MS  1000       /* for what somebody said before they went */
#define SIZE_MS   500        /* the kernel tells of another size only those who use the terminal */

static const struct vd_chan_kind *const kinds[] = {
	&vd_chan_pty,        &vd_chan_tty,  &vd_chan_unix,  &vd_chan_unix_listen, &vd_chan_tcp,
	&vd_chan_tcp_listen, &vd_chan_file, &vd_chan_stdio, &vd_chan_null,
};

/* ---- addresses ------------------------------------------------------------------------------- */

static int parse(struct vd_chan_addr *a, const char *address)
{
	size_t len = strcspn(address, ":");
	bool empty = address[len] && !address[len + 1];
	int r;

	*a = (struct vd_chan_addr){ 0 };
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(kinds); i++) {
		const struct vd_chan_kind *k = kinds[i];

		if (strlen(k->name) != len || strncmp(k->name, address, len) != 0)
			continue;
		a->kind = k;
		r = k->parse(a, address[len] ? address + len + 1 : "");
		return r || !empty ? r
				   : vd_err(-EINVAL, "address %s: nothing is behind the colon",
					    k->form);
	}
	return vd_err(
		-EINVAL,
		"address \"%s\": it begins with none of pty, tty:, unix:, unix-listen:, tcp:, "
		"tcp-listen:, file:, stdio, null",
		address);
}

int vd_chan_check(const char *address)
{
	struct vd_chan_addr a;

	return parse(&a, address);
}

int vd_chan_path(struct vd_chan_addr *a, const char *path, size_t len)
{
	if (!len)
		return vd_err(-EINVAL, "address %s: it has no path", a->kind->form);
	if (len >= sizeof(a->path))
		return vd_err(-ENAMETOOLONG, "a path of %zu bytes: up to %zu are possible", len,
			      sizeof(a->path) - 1);
	memcpy(a->path, path, len);
	a->path[len] = '\0';
	return 0;
}

void vd_chan_nothing(struct vd_chan *c)
{
	(void)c;
}

void vd_chan_any_size(struct vd_chan *c, uint16_t cols, uint16_t rows)
{
	(void)c, (void)cols, (void)rows;
}

int vd_chan_no_rest(struct vd_chan_addr *a, const char *rest)
{
	return *rest ? vd_err(-EINVAL, "address %s: nothing follows, \"%s\" does", a->kind->form,
			      rest)
		     : 0;
}

/* ---- who is there ---------------------------------------------------------------------------- */

/* Sequentially consistent: who looks for nobody having come must see what was done before. */
static void publish(struct vd_chan *c, int fd)
{
	uint64_t old = (uint64_t)++c->gen << 32 | (uint32_t)fd;

	old = __atomic_exchange_n(&c->next, old, __ATOMIC_SEQ_CST);
	fd = (int)(uint32_t)old;
	if (old != NO_CHANGE) /* nobody has asked for it */
		vd_foreign_drop(NULL, &fd);
}

/* What the data thread told of the descriptor that it has, if that is the latest. */
static uint32_t told(const struct vd_chan *c)
{
	uint64_t word = __atomic_load_n(&c->told, __ATOMIC_ACQUIRE);

	return word >> 32 == c->gen ? (uint32_t)word : 0;
}

void vd_chan_warn(struct vd_chan *c)
{
	unsigned int missed;

	if (vd_ratelimit_ok(&c->rl, &missed))
		vd_log_warn(c->log, c->name, "%s", vd_err_text());
}

void vd_chan_look_again(struct vd_chan *c)
{
	if (c->conf.reconnect_ms)
		vd_timer_set(c->loop, &c->again, c->conf.reconnect_ms);
}

int vd_chan_replace(struct vd_chan *c, int fd)
{
	int dup = vd_dup(fd);

	if (dup < 0) {
		vd_foreign_drop(NULL, &fd);
		return dup;
	}
	vd_foreign_drop(NULL, &c->fd);
	c->fd = fd;
	publish(c, dup);
	c->ops->up(c);
	return 0;
}

int vd_chan_came(struct vd_chan *c, int fd, uint32_t events, bool watch)
{
	int r = watch ? vd_fd_add(c->loop, &c->peer_fd, fd, events) : 0;

	if (r) {
		vd_foreign_drop(NULL, &fd);
		return r;
	}
	c->state = VD_CHAN_UP;
	r = vd_chan_replace(c, fd);
	if (r) {
		vd_fd_del(&c->peer_fd);
		c->state = VD_CHAN_AWAY;
	} else {
		c->visits++;
	}
	return r;
}

void vd_chan_over(struct vd_chan *c)
{
	if (c->state != VD_CHAN_UP && c->state != VD_CHAN_LEAVING)
		return;
	vd_timer_del(c->loop, &c->linger);
	vd_timer_del(c->loop, &c->tick);
	vd_fd_del(&c->peer_fd);
	vd_foreign_drop(NULL, &c->fd);
	c->state = VD_CHAN_AWAY;
	publish(c, -1);
	c->ops->down(c);
	c->addr.kind->gone(c);
}

/* They have gone, and what they said may not be read yet. */
static void leaving(struct vd_chan *c)
{
	if (c->state == VD_CHAN_LEAVING)
		return;
	vd_fd_del(&c->peer_fd);
	c->state = VD_CHAN_LEAVING;
	vd_timer_set(c->loop, &c->linger, LEAVE_MS);
}

static void peer_event(struct vd_fd *f, uint32_t events)
{
	struct vd_chan *c = container_of(f, struct vd_chan, peer_fd);

	if (events & (EPOLLHUP | EPOLLERR)) {
		leaving(c);
		if (told(c) & VD_CHAN_TOLD_EOF)
			vd_chan_over(c);
	} else {
		vd_fd_mod(f, 0);
		if (c->addr.kind->half_ms)
			vd_timer_set(c->loop, &c->linger, c->addr.kind->half_ms);
	}
}

static void linger_fired(struct vd_timer *t)
{
	vd_chan_over(container_of(t, struct vd_chan, linger));
}

static void again_fired(struct vd_timer *t)
{
	struct vd_chan *c = container_of(t, struct vd_chan, again);

	c->addr.kind->again(c);
}

/* Of a file: what it does not take is no end. */
static void note_full(struct vd_chan *c, uint32_t word)
{
	bool full = word & VD_CHAN_TOLD_FULL;

	if (full == c->full)
		return;
	c->full = full;
	if (full)
		vd_log_warn(c->log, c->name, "%s: %s: what does not fit is dropped", c->where,
			    strerror((int)(word >> 8)));
	else
		vd_log_warn(c->log, c->name, "%s: goes on; %llu bytes were dropped so far",
			    c->where, (unsigned long long)vd_chan_lost(c));
}

static void told_event(struct vd_post *p)
{
	struct vd_chan *c = container_of(p, struct vd_chan, post);
	uint32_t word = told(c);

	if (!vd_chan_is_up(c) || __atomic_load_n(&c->told, __ATOMIC_RELAXED) >> 32 != c->gen)
		return;
	if (word & VD_CHAN_TOLD_DEAF)
		leaving(c);
	if (word & VD_CHAN_TOLD_EOF && c->state == VD_CHAN_LEAVING)
		vd_chan_over(c);
	else if (word & VD_CHAN_TOLD_EOF)
		c->addr.kind->said_all(c);
	else if (c->addr.kind->how == VD_CHAN_FILE)
		note_full(c, word);
	if (word & VD_CHAN_TOLD_ROTATE)
		c->addr.kind->rotate(c);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

void vd_chan_sizes(struct vd_chan *c, int fd)
{
	struct winsize ws;
	bool other;

	if (ioctl(fd, TIOCGWINSZ, &ws))
		return;
	other = ws.ws_col != c->cols || ws.ws_row != c->rows;
	c->cols = ws.ws_col;
	c->rows = ws.ws_row;
	if (other)
		c->ops->resized(c, c->cols, c->rows);
	vd_timer_set(c->loop, &c->tick, SIZE_MS);
}

static void tick_fired(struct vd_timer *t)
{
	struct vd_chan *c = container_of(t, struct vd_chan, tick);

	vd_chan_sizes(c, c->own.fd);
}

void vd_chan_set_size(struct vd_chan *c, uint16_t cols, uint16_t rows)
{
	struct winsize ws = { .ws_col = cols, .ws_row = rows };

	c->conf.cols = cols;
	c->conf.rows = rows;
	if (!c->open || c->addr.kind != &vd_chan_pty)
		return;
	ioctl(c->own.fd, TIOCSWINSZ, &ws);
	if (c->state != VD_CHAN_AWAY)
		vd_chan_sizes(c, c->own.fd);
}

/* ---- its life -------------------------------------------------------------------------------- */

int vd_chan_open(struct vd_chan *c, struct vd_loop *loop, struct vd_log *log, const char *name,
		 const struct vd_chan_ops *ops, const struct vd_chan_conf *conf)
{
	int r;

	assert(!c->open);
	*c = (struct vd_chan){ .ops = ops,
			       .loop = loop,
			       .log = log,
			       .name = name,
			       .conf = *conf,
			       .next = NO_CHANGE,
			       .fd = -1,
			       .own.fd = -1,
			       .lock = -1,
			       .conn = -1,
			       .peer_fd.fn = peer_event,
			       .again.fn = again_fired,
			       .linger.fn = linger_fired,
			       .tick.fn = tick_fired,
			       .post.fn = told_event };
	c->conf.address = NULL;
	r = parse(&c->addr, conf->address);
	if (r)
		return r;
	snprintf(c->where, sizeof(c->where), "%s", c->addr.path);
	c->open = true;
	r = c->addr.kind->open(c);
	if (r)
		vd_chan_close(c);
	return r;
}

void vd_chan_close(struct vd_chan *c)
{
	if (!c->open)
		return;
	vd_timer_del(c->loop, &c->again);
	vd_timer_del(c->loop, &c->linger);
	vd_timer_del(c->loop, &c->tick);
	vd_post_del(c->loop, &c->post);
	vd_fd_del(&c->peer_fd);
	vd_fd_del(&c->own_fd);
	vd_accept_stop(&c->accept);
	vd_notice_del(&c->opened);
	c->addr.kind->close(c);
	publish(c, -1);
	vd_foreign_drop(NULL, &c->conn);
	vd_foreign_drop(NULL, &c->fd);
	vd_close(&c->lock);
	vd_unix_close(&c->own);
	c->state = VD_CHAN_AWAY;
	c->open = false;
}

bool vd_chan_is_up(const struct vd_chan *c)
{
	return c->state == VD_CHAN_UP || c->state == VD_CHAN_LEAVING;
}

const char *vd_chan_where(const struct vd_chan *c)
{
	return c->where;
}

uint64_t vd_chan_visits(const struct vd_chan *c)
{
	return c->visits;
}

uint64_t vd_chan_lost(const struct vd_chan *c)
{
	return __atomic_load_n(&c->lost, __ATOMIC_RELAXED);
}

/* ---- the data thread ------------------------------------------------------------------------- */

static void tell(struct vd_chan *c, uint32_t flags, int err)
{
	c->conn_told = flags;
	/* Release: with it comes what c->lost is by then. */
	__atomic_store_n(&c->told, (uint64_t)c->conn_gen << 32 | (uint32_t)err << 8 | flags,
			 __ATOMIC_RELEASE);
	vd_loop_post(c->loop, &c->post);
}

bool vd_chan_changed(const struct vd_chan *c)
{
	return __atomic_load_n(&c->next, __ATOMIC_RELAXED) != NO_CHANGE;
}

/* Of a file. One that could not be rotated is asked for again when it is twice as long. */
static uint64_t room(const struct vd_chan *c)
{
	off_t size = lseek(c->conn, 0, SEEK_END);

	if (!c->conf.rotate)
		return UINT64_MAX;
	return size > 0 && (uint64_t)size < c->conf.rotate ? c->conf.rotate - (uint64_t)size
							   : c->conf.rotate;
}

int vd_chan_take(struct vd_chan *c)
{
	uint64_t next = __atomic_exchange_n(&c->next, NO_CHANGE, __ATOMIC_SEQ_CST);

	if (next != NO_CHANGE) {
		vd_foreign_drop(NULL, &c->conn);
		c->conn = (int)(uint32_t)next;
		c->conn_gen = next >> 32;
		c->conn_eof = c->conn_broken = c->conn < 0;
		if (c->addr.kind->how == VD_CHAN_FILE && c->conn >= 0) {
			c->conn_eof = true;
			c->room = room(c);
			if (c->conn_told) /* of the former one */
				tell(c, c->conn_told & VD_CHAN_TOLD_FULL, c->conn_err);
		} else {
			c->conn_told = 0;
		}
	}
	return vd_chan_fd(c);
}

int vd_chan_fd(const struct vd_chan *c)
{
	bool used = vd_chan_brings(c) || vd_chan_takes(c);

	return used && c->addr.kind->how != VD_CHAN_FILE ? c->conn : -1;
}

bool vd_chan_brings(const struct vd_chan *c)
{
	return c->conn >= 0 && !c->conn_eof;
}

bool vd_chan_takes(const struct vd_chan *c)
{
	return c->conn >= 0 && !c->conn_broken;
}

/* Nothing comes, or nothing goes, or both. */
static void note_end(struct vd_chan *c, uint32_t flags)
{
	c->conn_eof = c->conn_eof || flags & VD_CHAN_TOLD_EOF;
	c->conn_broken = c->conn_broken || flags & VD_CHAN_TOLD_DEAF;
	tell(c, c->conn_told | flags, 0);
}

void vd_chan_hang_up(struct vd_chan *c)
{
	if (vd_chan_fd(c) >= 0)
		note_end(c, VD_CHAN_TOLD_EOF | VD_CHAN_TOLD_DEAF);
}

size_t vd_chan_readv(struct vd_chan *c, const struct iovec *iov, unsigned int n)
{
	char junk[4096];
	ssize_t r;

	if (!vd_chan_brings(c))
		return 0;
	do {
		r = readv(c->conn, iov, (int)n);
	} while (vd_unlikely(r < 0 && errno == EINTR));
	if (vd_likely(r > 0))
		return (size_t)r;
	if (r < 0 && errno == EAGAIN)
		return 0;
	if (r < 0 && errno == EFAULT) {
		/* The memory is no more. What cannot be put anywhere must not wait for ever. */
		(void)!read(c->conn, junk, sizeof(junk));
		return 0;
	}
	/* The other end of a terminal is closed: EIO. */
	if (!r || (errno == EIO && c->addr.kind->how == VD_CHAN_TTY))
		note_end(c, VD_CHAN_TOLD_EOF);
	else
		note_end(c, VD_CHAN_TOLD_EOF | VD_CHAN_TOLD_DEAF);
	return 0;
}

static size_t total(const struct iovec *iov, unsigned int n)
{
	size_t len = 0;

	while (n--)
		len += iov++->iov_len;
	return len;
}

/* What has no space is dropped: nobody would be helped if it waited. */
static vd_noinline void no_space(struct vd_chan *c, size_t bytes, int err)
{
	__atomic_store_n(&c->lost, c->lost + bytes, __ATOMIC_RELAXED);
	c->conn_err = err;
	if (!(c->conn_told & VD_CHAN_TOLD_FULL))
		tell(c, c->conn_told | VD_CHAN_TOLD_FULL, err);
}

/* Return: bytes that went, or were dropped; less than @len if the file is to be rotated. */
static size_t write_piece(struct vd_chan *c, const char *at, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t part = vd_min(len - done, c->room);
		ssize_t r = part ? write(c->conn, at + done, part) : 0;

		if (!part)
			break;
		if (r < 0 && errno == EINTR)
			continue;
		if (vd_unlikely(r < 0)) {
			if (errno != EFAULT)
				no_space(c, len - done, errno);
			return len;
		}
		if (vd_unlikely(c->conn_told & VD_CHAN_TOLD_FULL))
			tell(c, c->conn_told & ~VD_CHAN_TOLD_FULL, 0);
		done += (size_t)r;
		if (c->conf.rotate)
			c->room -= (size_t)r;
	}
	return done;
}

static size_t write_file(struct vd_chan *c, const struct iovec *iov, unsigned int n)
{
	size_t done = 0;

	for (unsigned int i = 0; i < n; i++) {
		size_t r = write_piece(c, iov[i].iov_base, iov[i].iov_len);

		done += r;
		if (r < iov[i].iov_len)
			break;
	}
	if (!c->room && !(c->conn_told & VD_CHAN_TOLD_ROTATE))
		tell(c, c->conn_told | VD_CHAN_TOLD_ROTATE, 0);
	return done;
}

/* Its buffer is full: for now, or because nobody has it open any more? */
static bool is_left(const struct vd_chan *c)
{
	struct pollfd p = { .fd = c->conn };

	return c->addr.kind->how == VD_CHAN_TTY && poll(&p, 1, 0) == 1 && p.revents & POLLHUP;
}

size_t vd_chan_writev(struct vd_chan *c, const struct iovec *iov, unsigned int n)
{
	struct msghdr msg = { .msg_iovlen = n };
	ssize_t r;

	if (!vd_chan_takes(c))
		return 0;
	if (c->addr.kind->how == VD_CHAN_FILE)
		return write_file(c, iov, n);
	memcpy(&msg.msg_iov, &iov, sizeof(iov)); /* it is not written to */
	do {
		r = c->addr.kind->how == VD_CHAN_SOCKET ? sendmsg(c->conn, &msg, MSG_NOSIGNAL)
							: writev(c->conn, iov, (int)n);
	} while (vd_unlikely(r < 0 && errno == EINTR));
	if (vd_likely(r >= 0))
		return (size_t)r;
	if (errno == EFAULT) /* of memory that is no more, and nothing of it has gone */
		return total(iov, n);
	/* What they said before they went can be read yet. */
	if (errno != EAGAIN || is_left(c))
		note_end(c, VD_CHAN_TOLD_DEAF);
	return 0;
}
