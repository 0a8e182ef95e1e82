/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vu-back.c - the back-end channel: what we tell the front-end unasked
 *
 * What is due is a mark, not a message: however often something happens to a front-end that does
 * not read, one message tells of it when it does.
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/foreign.h"
#include "driver/vu.h"

#define BURST 64	/* messages before others have their turn */

void vd_vus_back_close(struct vd_vus_session *s)
{
	vd_fd_del(&s->back_watch);
	vd_vu_conn_fini(&s->back);
}

/* Return: true if it was sent, so that it is due no more. */
static bool back_send(struct vd_vus_session *s, uint32_t request, uint32_t size, uint32_t idx)
{
	struct vd_vu_msg m;
	int r;

	vd_vu_msg_init(&m, request, size);
	m.state.index = idx;
	r = vd_vu_send(&s->back, &m);
	if (r < 0) {
		vd_log_info(s->log, uvdpa_dev_name(s->dev), "back-end channel closed: %s", vd_err_text());
		vd_vus_back_close(s);
	} else if (r == 1) {
		vd_fd_mod(&s->back_watch, EPOLLIN | EPOLLOUT);
	}
	return r >= 0;
}

static bool back_ready(const struct vd_vus_session *s)
{
	return s->back.fd >= 0 && vd_list_empty(&s->back.out);
}

void vd_vus_back_push(struct vd_vus_session *s)
{
	if (back_ready(s) && s->config_due)
		s->config_due = !back_send(s, VD_VU_BACKEND_CONFIG_CHANGE, 0, 0);
	for (unsigned int i = 0; i < s->nrings && back_ready(s); i++) {
		struct vd_vus_ring *r = &s->rings[i];

		if (r->call_note.due)
			r->call_note.due = !back_send(s, VD_VU_BACKEND_VRING_CALL, 8, i);
		if (r->err_note.due && back_ready(s))
			r->err_note.due = !back_send(s, VD_VU_BACKEND_VRING_ERR, 8, i);
	}
}

void vd_vus_back_config_changed(struct vd_vus_session *s)
{
	if (s->back.fd < 0 || !vd_vus_has(s, VD_VU_PF_CONFIG))
		return;
	s->config_due = true;
	vd_vus_back_push(s);
}

/* Replies are read and thrown away: we never wait for one, nor ask. */
static void back_event(struct vd_fd *f, uint32_t events)
{
	struct vd_vus_session *s = container_of(f, struct vd_vus_session, back_watch);
	struct vd_vu_msg m;
	int r = 1;

	(void)events;
	for (int i = 0; i < BURST && r == 1; i++) {
		r = vd_vu_recv(&s->back, &m);
		if (r == 1)
			vd_vu_msg_fini(&m);
	}
	if (r >= 0)
		r = vd_vu_flush(&s->back);
	if (r < 0) {
		vd_log_info(s->log, uvdpa_dev_name(s->dev), "back-end channel closed: %s", vd_err_text());
		vd_vus_back_close(s);
		return;
	}
	if (r == 0) {
		vd_fd_mod(f, EPOLLIN);
		vd_vus_back_push(s);
	}
}

int vd_vus_set_backend_req_fd(struct vd_vus_session *s, struct vd_vu_msg *m,
			      struct vd_vu_msg *reply)
{
	socklen_t len = sizeof(int);
	int type, e;

	(void)reply;
	if (vd_foreign_closing(s->owner->closing))
		return vd_err(-EPERM,
			      "the last back-end channel brought what somebody else serves");
	if (getsockopt(m->fds[0], SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_STREAM)
		return vd_err(-EINVAL, "the back-end channel is not a stream socket");
	vd_vus_back_close(s);
	vd_vu_conn_init(&s->back, vd_vu_msg_take_fd(m, 0), true);
	s->back.closing = s->owner->closing;
	e = vd_fd_add(s->loop, &s->back_watch, s->back.fd, EPOLLIN);
	if (e)
		vd_vus_back_close(s);
	else
		vd_vus_back_push(s);	/* what waited for a channel */
	return e;
}

void vd_vus_back_init(struct vd_vus_session *s)
{
	s->back_watch.fn = back_event;
	vd_vu_conn_init(&s->back, -1, true);
}
