/* SPDX-License-Identifier: BSD-2-Clause */
#include "parent/vhost-user-link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/unix.h"

#define PF(bit) (1ull << VD_VU_PF_##bit)
#define PROTOCOL_WANTED                                                                \
	(PF(MQ) | PF(REPLY_ACK) | PF(BACKEND_REQ) | PF(CONFIG) | PF(RESET_DEVICE) |    \
	 PF(CONFIGURE_MEM_SLOTS) | PF(STATUS) | PF(INFLIGHT_SHMFD))
#define MSGS_PER_TURN 32	/* then the loop's others have theirs */

/* Requests with an answer of their own; the others may be acknowledged. */
static bool has_answer(uint32_t request)
{
	switch (request) {
	case VD_VU_GET_FEATURES:
	case VD_VU_GET_PROTOCOL_FEATURES:
	case VD_VU_GET_QUEUE_NUM:
	case VD_VU_GET_CONFIG:
	case VD_VU_GET_MAX_MEM_SLOTS:
	case VD_VU_GET_VRING_BASE:
	case VD_VU_GET_INFLIGHT_FD:
		return true;
	default:
		return false;
	}
}

void vd_vulink_end(struct vd_vulink *l, int err)
{
	if (l->end_err)
		return;
	l->end_err = err;
	snprintf(l->end_text, sizeof(l->end_text), "%s", vd_err_text());
	vd_fd_del(&l->conn_fd);
	vd_fd_del(&l->back_fd);
	vd_loop_post(vd_ctx_loop(l->u), &l->end_post);
}

void vd_vulink_send(struct vd_vulink *l, struct vd_vu_msg *m, unsigned int idx)
{
	int r;

	if (l->phase < VD_VULINK_HANDSHAKE || l->end_err)
		return;
	if (!has_answer(m->request) && vd_vulink_has(l, VD_VU_PF_REPLY_ACK))
		m->flags |= VD_VU_NEED_REPLY;
	if (has_answer(m->request) || m->flags & VD_VU_NEED_REPLY) {
		if (l->due_n == VD_VULINK_DUE_MAX) {
			vd_vulink_end(l, vd_err(-ETIMEDOUT, "%s: %u requests are not answered",
						l->path, l->due_n));
			return;
		}
		l->due[(l->due_first + l->due_n++) % VD_VULINK_DUE_MAX] =
			(struct vd_vulink_due){ (uint16_t)m->request, (uint16_t)idx };
	}
	r = vd_vu_send(&l->conn, m);
	if (r < 0)
		vd_vulink_end(l, vd_err_prefix(r, "%s: %s: ", l->path, vd_vu_name(m->request)));
	else if (r)
		vd_fd_mod(&l->conn_fd, EPOLLIN | EPOLLOUT);
}

void vd_vulink_send_u64(struct vd_vulink *l, uint32_t request, uint64_t v)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, request, sizeof(m.u64));
	m.u64 = v;
	vd_vulink_send(l, &m, 0);
}

static void send_empty(struct vd_vulink *l, uint32_t request)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, request, 0);
	vd_vulink_send(l, &m, 0);
}

/* ---- the configuration space ----------------------------------------------------------------- */

static void config_ask(struct vd_vulink *l)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, VD_VU_GET_CONFIG,
		       (uint32_t)offsetof(struct vd_vu_config, data) + l->config_size);
	m.config = (struct vd_vu_config){ .size = l->config_size };
	l->config_due = true;
	l->config_again = l->config_old = false;
	vd_vulink_send(l, &m, 0);
}

/* One question at a time, however often the back-end says that something has changed. */
static void config_refresh(struct vd_vulink *l)
{
	if (l->config_due)
		l->config_again = true;
	else if (l->phase == VD_VULINK_UP && l->config_size)
		config_ask(l);
}

/* What is in the cache is newer than any answer that is under way. */
static void config_was_written(struct vd_vulink *l)
{
	l->config_old = l->config_due;
	config_refresh(l);
}

static int config_answer(struct vd_vulink *l, const struct vd_vu_msg *m)
{
	if (m->size != offsetof(struct vd_vu_config, data) + l->config_size || m->config.offset ||
	    m->config.size != l->config_size)
		return vd_err(-EPROTO, "%u bytes of configuration at %u, asked for %u at 0",
			      m->config.size, m->config.offset, l->config_size);
	l->config_due = false;
	memcpy(l->config, m->config.data, l->config_size);
	return 0;
}

static int config_reread(struct vd_vulink *l, const struct vd_vu_msg *m)
{
	uint8_t old[VD_VU_CONFIG_MAX];
	bool tell;
	int r;

	memcpy(old, l->config, sizeof(old));
	r = config_answer(l, m);
	if (r)
		return r;
	if (l->config_old) {
		memcpy(l->config, old, sizeof(old));
		config_ask(l);
		return 0;
	}
	tell = l->config_told || memcmp(old, l->config, sizeof(old));
	l->config_told = false;
	if (l->config_again)
		config_ask(l);
	if (tell)
		l->ops->config_changed(l);
	return 0;
}

static void config_write(struct vd_vulink *l, uint32_t off, uint32_t len)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, VD_VU_SET_CONFIG,
		       (uint32_t)offsetof(struct vd_vu_config, data) + len);
	m.config = (struct vd_vu_config){ .offset = off, .size = len };
	memcpy(m.config.data, l->config + off, len);
	vd_vulink_send(l, &m, 0);
	config_was_written(l);
}

void vd_vulink_set_config(struct vd_vulink *l, uint32_t off, const void *buf, uint32_t len)
{
	if (l->written_from == l->written_to) {
		memcpy(l->config_unwritten, l->config, sizeof(l->config));
		l->written_from = off;
		l->written_to = off + len;
	}
	l->written_from = vd_min(l->written_from, off);
	l->written_to = vd_max(l->written_to, off + len);
	memcpy(l->config + off, buf, len);
	config_write(l, off, len);
}

void vd_vulink_config_reset(struct vd_vulink *l)
{
	uint32_t from = l->written_from, len = l->written_to - from;

	l->written_from = l->written_to = 0;
	if (!len)
		return;
	/* The next driver reads it at once, and would believe in a cache that is off. */
	memcpy(l->config + from, l->config_unwritten + from, len);
	config_was_written(l);
}

void vd_vulink_config_again(struct vd_vulink *l)
{
	if (l->written_from < l->written_to)
		config_write(l, l->written_from, l->written_to - l->written_from);
}

/* ---- the handshake: one step for each answer ------------------------------------------------- */

static int answer_u64(const struct vd_vu_msg *m, uint64_t *ret_v)
{
	if (m->size != sizeof(m->u64))
		return vd_err(-EPROTO, "answer of %u bytes, not 8", m->size);
	*ret_v = m->u64;
	return 0;
}

static void owner_ask(struct vd_vulink *l)
{
	send_empty(l, VD_VU_SET_OWNER);
}

static void features_ask(struct vd_vulink *l)
{
	send_empty(l, VD_VU_GET_FEATURES);
}

static int features_answer(struct vd_vulink *l, const struct vd_vu_msg *m)
{
	int r = answer_u64(m, &l->features);

	if (!r)
		l->ops->offered(l);
	return r;
}

static bool has_protocol_features(const struct vd_vulink *l)
{
	return l->features & 1ull << VD_VU_F_PROTOCOL_FEATURES;
}

static void protocol_ask(struct vd_vulink *l)
{
	if (has_protocol_features(l))
		send_empty(l, VD_VU_GET_PROTOCOL_FEATURES);
}

/* In force from here on, so this message is the last that is not acknowledged. */
static int protocol_answer(struct vd_vulink *l, const struct vd_vu_msg *m)
{
	uint64_t offered = 0;
	int r = answer_u64(m, &offered);

	if (r)
		return r;
	vd_vulink_send_u64(l, VD_VU_SET_PROTOCOL_FEATURES, offered & PROTOCOL_WANTED);
	l->protocol = offered & PROTOCOL_WANTED;
	return 0;
}

static void queue_num_ask(struct vd_vulink *l)
{
	if (vd_vulink_has(l, VD_VU_PF_MQ))
		send_empty(l, VD_VU_GET_QUEUE_NUM);
}

static int queue_num_answer(struct vd_vulink *l, const struct vd_vu_msg *m)
{
	int r = answer_u64(m, &l->queue_num);

	if (!r && !l->queue_num)
		return vd_err(-EPROTO, "it has no queues");
	return r;
}

static void slots_ask(struct vd_vulink *l)
{
	if (vd_vulink_has(l, VD_VU_PF_CONFIGURE_MEM_SLOTS))
		send_empty(l, VD_VU_GET_MAX_MEM_SLOTS);
}

static int slots_answer(struct vd_vulink *l, const struct vd_vu_msg *m)
{
	return answer_u64(m, &l->mem_slots);
}

static void first_config_ask(struct vd_vulink *l)
{
	if (vd_vulink_has(l, VD_VU_PF_CONFIG) && l->config_size)
		config_ask(l);
}

/* What the driver wrote into that of the former back-end it will write again. */
static int first_config_answer(struct vd_vulink *l, const struct vd_vu_msg *m)
{
	uint32_t from = l->written_from, len = l->written_to - from;
	uint8_t old[VD_VU_CONFIG_MAX];
	int r;

	memcpy(old, l->config, sizeof(old));
	r = config_answer(l, m);
	if (r || !l->was_up)
		return r;
	memcpy(l->config_unwritten, l->config, sizeof(l->config));
	memcpy(l->config + from, old + from, len);
	l->config_new = memcmp(old, l->config, sizeof(old)) != 0;
	return 0;
}

static void back_event(struct vd_fd *f, uint32_t events);

static void back_ask(struct vd_vulink *l)
{
	struct vd_vu_msg m;
	int fds[2], r;

	if (!vd_vulink_has(l, VD_VU_PF_BACKEND_REQ) || !vd_vulink_has(l, VD_VU_PF_CONFIG))
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) {
		vd_vulink_end(l, vd_err(-errno, "socket for the back-end's requests: %m"));
		return;
	}
	vd_vu_conn_init(&l->back, fds[0], true);
	l->back_fd.fn = back_event;
	r = vd_fd_add(vd_ctx_loop(l->u), &l->back_fd, fds[0], EPOLLIN);
	if (r) {
		vd_vulink_end(l, r);
	} else {
		vd_vu_msg_init(&m, VD_VU_SET_BACKEND_REQ_FD, 0);
		m.fds[0] = fds[1];
		m.nfds = 1;
		vd_vulink_send(l, &m, 0);
	}
	close(fds[1]);
}

static const struct step {
	uint32_t request;			/* for messages */
	void (*ask)(struct vd_vulink *l);	/* sends, or does not if it is not for this one */
	int (*answer)(struct vd_vulink *l, const struct vd_vu_msg *m);
} steps[] = {
	{ VD_VU_SET_OWNER, owner_ask, NULL },
	{ VD_VU_GET_FEATURES, features_ask, features_answer },
	{ VD_VU_GET_PROTOCOL_FEATURES, protocol_ask, protocol_answer },
	{ VD_VU_GET_QUEUE_NUM, queue_num_ask, queue_num_answer },
	{ VD_VU_GET_MAX_MEM_SLOTS, slots_ask, slots_answer },
	{ VD_VU_GET_CONFIG, first_config_ask, first_config_answer },
	{ VD_VU_SET_BACKEND_REQ_FD, back_ask, NULL },
};

static void handshake_done(struct vd_vulink *l)
{
	int r = l->ops->check(l);

	if (r) {
		vd_vulink_end(l, r);
		return;
	}
	l->phase = VD_VULINK_UP;
	l->was_up = true;
	l->backoff_ms = 0;
	vd_timer_del(vd_ctx_loop(l->u), &l->timer);
	if (l->config_told)
		config_refresh(l);
	l->ops->up(l, 0);
	if (l->config_new)
		l->ops->config_changed(l);
}

/* Ask until an answer is due; it calls again. */
static void handshake_go_on(struct vd_vulink *l)
{
	while (l->step < VD_ARRAY_SIZE(steps) && !l->due_n && !l->end_err) {
		steps[l->step].ask(l);
		if (!l->due_n)
			l->step++;
	}
	if (!l->due_n && !l->end_err)
		handshake_done(l);
}

/* ---- what comes in --------------------------------------------------------------------------- */

/* An acknowledgement. Return: 0; 1 it says that the request failed; -EPROTO. */
static int ack_failed(const struct vd_vu_msg *m)
{
	uint64_t v = 0;
	int r = answer_u64(m, &v);

	return r ? r : v != 0;
}

static int handshake_answer(struct vd_vulink *l, const struct vd_vu_msg *m)
{
	const struct step *s = &steps[l->step];
	int r;

	if (has_answer(m->request)) {
		r = s->answer(l, m);
	} else {
		r = ack_failed(m);
		if (r > 0)
			r = vd_err(-EPROTO, "refused");
	}
	if (r)
		return r;
	l->step++;
	handshake_go_on(l);
	return 0;
}

static int answer(struct vd_vulink *l, struct vd_vu_msg *m)
{
	struct vd_vulink_due due = l->due[l->due_first];
	int r;

	if (!(m->flags & VD_VU_REPLY))
		return vd_err(-EPROTO, "a request, not an answer");
	if (!l->due_n)
		return vd_err(-EPROTO, "an answer that nobody asked for");
	if (m->request != due.request)
		return vd_err(-EPROTO, "an answer, when that of %s was due",
			      vd_vu_name(due.request));
	l->due_first = (l->due_first + 1) % VD_VULINK_DUE_MAX;
	l->due_n--;

	if (l->phase == VD_VULINK_HANDSHAKE)
		return handshake_answer(l, m);
	if (m->request == VD_VU_GET_CONFIG)
		return config_reread(l, m);
	if (m->request == VD_VU_GET_VRING_BASE) {
		if (m->size != sizeof(m->state) || m->state.index != due.idx)
			return vd_err(-EPROTO, "answer for queue %u, not %u", m->state.index,
				      due.idx);
		l->ops->base(l, due.idx, m->state.num);
		return 0;
	}
	if (m->request == VD_VU_GET_INFLIGHT_FD)
		return l->ops->inflight(l, m);
	r = ack_failed(m);
	if (r > 0)
		l->ops->refused(l, due.request, due.idx);
	return r < 0 ? r : 0;
}

static void conn_event(struct vd_fd *f, uint32_t events)
{
	struct vd_vulink *l = container_of(f, struct vd_vulink, conn_fd);
	int r = 0;

	if (events & EPOLLOUT) {
		r = vd_vu_flush(&l->conn);
		if (!r)
			vd_fd_mod(f, EPOLLIN);
	}
	for (int i = 0; i < MSGS_PER_TURN && r >= 0 && !l->end_err; i++) {
		struct vd_vu_msg m;

		r = vd_vu_recv(&l->conn, &m);
		if (r <= 0)
			break;
		r = answer(l, &m);
		if (r < 0)
			vd_err_prefix(r, "%s: ", vd_vu_name(m.request));
		vd_vu_msg_fini(&m);
	}
	if (r < 0 && l->phase == VD_VULINK_HANDSHAKE)
		vd_err_prefix(r, "when %s was due: ", vd_vu_name(steps[l->step].request));
	if (r < 0)
		vd_vulink_end(l, vd_err_prefix(r, "%s: ", l->path));
}

static int back_request(struct vd_vulink *l, struct vd_vu_msg *m)
{
	struct vd_vu_msg reply;
	int r = 0;

	if (m->request == VD_VU_BACKEND_CONFIG_CHANGE && !(m->flags & VD_VU_REPLY)) {
		l->config_told = true;
		config_refresh(l);
	} else {
		r = 1;
	}
	if (!(m->flags & VD_VU_NEED_REPLY))
		return 0;
	vd_vu_msg_init(&reply, m->request, sizeof(reply.u64));
	reply.flags |= VD_VU_REPLY;
	reply.u64 = (uint64_t)r;
	return vd_vu_send(&l->back, &reply);
}

/* Its faults cost it this channel only. */
static void back_event(struct vd_fd *f, uint32_t events)
{
	struct vd_vulink *l = container_of(f, struct vd_vulink, back_fd);
	struct vd_vu_msg m;
	int r = 0;

	if (events & EPOLLOUT) {
		r = vd_vu_flush(&l->back);
		if (!r)
			vd_fd_mod(f, EPOLLIN);
	}
	for (int i = 0; i < MSGS_PER_TURN && r >= 0; i++) {
		r = vd_vu_recv(&l->back, &m);
		if (r <= 0)
			break;
		r = back_request(l, &m);
		vd_vu_msg_fini(&m);
		if (r == 1)
			vd_fd_mod(f, EPOLLIN | EPOLLOUT);
	}
	if (r >= 0)
		return;
	vd_log_info(vd_ctx_log(l->u), l->name, "%s: requests of the back-end: %s", l->path,
		    r == -ENOTCONN ? "closed" : vd_err_text());
	vd_fd_del(&l->back_fd);
	vd_vu_conn_fini(&l->back);
	l->back.fd = -1;
}

/* ---- connect, end, and come back ------------------------------------------------------------- */

static int connect_now(struct vd_vulink *l)
{
	int r, fd = vd_unix_connect(l->path, SOCK_NONBLOCK);

	if (fd < 0)
		return fd;
	vd_vu_conn_init(&l->conn, fd, false);
	r = vd_fd_add(vd_ctx_loop(l->u), &l->conn_fd, fd, EPOLLIN);
	if (r) {
		vd_vu_conn_fini(&l->conn);
		l->conn.fd = -1;
		return r;
	}
	l->phase = VD_VULINK_HANDSHAKE;
	l->step = 0;
	l->features = l->protocol = l->queue_num = l->mem_slots = 0;
	l->due_first = l->due_n = 0;
	l->config_due = l->config_again = l->config_old = false;
	l->config_told = l->config_new = false;
	vd_timer_set(vd_ctx_loop(l->u), &l->timer, VD_VULINK_DEADLINE_MS);
	handshake_go_on(l);
	return 0;
}

static int attempt(struct vd_vulink *l)
{
	int r = connect_now(l);

	/* Its listen queue is full, and nothing tells us when it is not. */
	if (r == -EAGAIN && vd_now_ns() < l->deadline_ns) {
		l->phase = VD_VULINK_WAIT;
		vd_timer_set(vd_ctx_loop(l->u), &l->timer, VD_VULINK_BACKOFF_MIN_MS);
		return 0;
	}
	return r;
}

static void disconnect(struct vd_vulink *l)
{
	vd_timer_del(vd_ctx_loop(l->u), &l->timer);
	vd_fd_del(&l->conn_fd);
	vd_fd_del(&l->back_fd);
	if (l->conn.fd >= 0)
		vd_vu_conn_fini(&l->conn);
	if (l->back.fd >= 0)
		vd_vu_conn_fini(&l->back);
	l->conn.fd = l->back.fd = -1;
	l->phase = VD_VULINK_DOWN;
	l->end_err = 0;
}

static void retry_later(struct vd_vulink *l)
{
	l->backoff_ms = l->backoff_ms ? vd_min(2 * l->backoff_ms, VD_VULINK_BACKOFF_MAX_MS) :
					VD_VULINK_BACKOFF_MIN_MS;
	l->phase = VD_VULINK_WAIT;
	vd_timer_set(vd_ctx_loop(l->u), &l->timer, l->backoff_ms);
}

/* An attempt or a connection has ended with @err and its sentence. Last thing to be called. */
static void ended(struct vd_vulink *l, int err, const char *text)
{
	bool was_up = l->phase == VD_VULINK_UP;
	unsigned int missed;

	disconnect(l);
	if (!l->was_up) {
		l->ops->up(l, vd_err(err, "%s", text));
		return;
	}
	if (vd_ratelimit_ok(&l->warn_rl, &missed))
		vd_log_warn(vd_ctx_log(l->u), l->name, "%s", text);
	if (l->reconnect)
		retry_later(l);
	if (was_up)
		l->ops->down(l);
}

static void end_posted(struct vd_post *p)
{
	struct vd_vulink *l = container_of(p, struct vd_vulink, end_post);
	char text[sizeof(l->end_text)];

	memcpy(text, l->end_text, sizeof(text));
	ended(l, l->end_err, text);
}

static void timer_fired(struct vd_timer *t)
{
	struct vd_vulink *l = container_of(t, struct vd_vulink, timer);
	int r;

	if (l->phase == VD_VULINK_HANDSHAKE) {
		vd_vulink_end(l, vd_err(-ETIMEDOUT, "%s: no answer to %s within %u ms", l->path,
					vd_vu_name(steps[l->step].request), VD_VULINK_DEADLINE_MS));
		return;
	}
	if (l->was_up)
		l->deadline_ns = 0;	/* the backoff is its patience */
	r = attempt(l);
	if (!r)
		return;
	if (l->was_up) {
		retry_later(l);	/* nobody there yet: not worth a line each time */
		return;
	}
	ended(l, r, vd_err_text());
}

int vd_vulink_open(struct vd_vulink *l)
{
	int r;

	l->conn.fd = l->back.fd = -1;
	l->conn_fd.fn = conn_event;
	l->timer.fn = timer_fired;
	l->end_post.fn = end_posted;
	l->deadline_ns = vd_now_ns() + VD_VULINK_DEADLINE_MS * 1000000ull;
	r = attempt(l);
	if (r)
		disconnect(l);
	return r ? r : -EINPROGRESS;
}

void vd_vulink_close(struct vd_vulink *l)
{
	disconnect(l);
	vd_post_del(vd_ctx_loop(l->u), &l->end_post);
}
