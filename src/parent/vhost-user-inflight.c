/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user-inflight.c - requests that a back-end which goes has in flight (INFLIGHT_SHMFD)
 *
 * The back-end notes them in a region that it made and that is kept here, unread, for the one
 * that comes after it:
 *
 *	SET_FEATURES	GET_INFLIGHT_FD; what is to start waits for the answer
 *	the answer	SET_INFLIGHT_FD, then the queues, then DRIVER_OK
 *	it went		the region stays
 *	SET_FEATURES	of the next: SET_INFLIGHT_FD with the same
 *	reset		the region goes
 */
#include <errno.h>

#include "base/err.h"
#include "base/fd.h"
#include "parent/vhost-user.h"

static void send_region(struct vd_vuf *f)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, VD_VU_SET_INFLIGHT_FD, sizeof(m.inflight));
	m.inflight = f->inflight.in;
	m.fds[m.nfds++] = f->inflight.fd;
	vd_vulink_send(&f->link, &m, 0);
}

static void forget_region(struct vd_vuf_inflight *in)
{
	vd_close(&in->fd);
	in->left = false;
}

void vd_vuf_inflight_begin(struct vd_vuf *f, bool changed)
{
	struct vd_vuf_inflight *in = &f->inflight;
	struct vd_vu_msg m;

	in->wanted = true;
	if (changed)	/* it may be of another layout */
		forget_region(in);
	if (!vd_vulink_up(&f->link) || !vd_vulink_has(&f->link, VD_VU_PF_INFLIGHT_SHMFD))
		return;
	if (in->fd >= 0) {
		send_region(f);
	} else if (!in->refused) {
		vd_vu_msg_init(&m, VD_VU_GET_INFLIGHT_FD, sizeof(m.inflight));
		m.inflight.queues = (uint16_t)f->dev.info.nvqs;
		m.inflight.queue_size = (uint16_t)f->dev.info.vq_num_max;
		in->due++;
		vd_vulink_send(&f->link, &m, 0);
	}
}

/* Without a region it does without. */
int vd_vuf_inflight_answer(struct vd_vuf *f, struct vd_vu_msg *m)
{
	struct vd_vuf_inflight *in = &f->inflight;
	uint8_t status = in->status_due;

	if (m->size < offsetof(struct vd_vu_inflight, padding))
		return vd_err(-EPROTO, "answer of %u bytes", m->size);
	if (m->nfds != (m->inflight.size > 0))
		return vd_err(-EPROTO, "%llu bytes of memory in %u descriptors",
			      (unsigned long long)m->inflight.size, m->nfds);
	if (--in->due || !in->wanted)
		return 0;
	if (m->nfds) {
		in->in = m->inflight;
		in->fd = vd_vu_msg_take_fd(m, 0);
		send_region(f);
	}
	vd_vuf_queues_start(f);
	in->status_due = 0;
	if (status && vd_vulink_has(&f->link, VD_VU_PF_STATUS))
		vd_vulink_send_u64(&f->link, VD_VU_SET_STATUS, status);
	return 0;
}

/* One that has what another left and cannot read it does not know where the queues stand. */
void vd_vuf_inflight_refused(struct vd_vuf *f)
{
	bool left = f->inflight.left;

	f->inflight.refused = true;
	forget_region(&f->inflight);
	for (unsigned int i = 0; left && i < f->dev.info.nvqs; i++)
		if (f->queues[i].run == VD_VUF_RUNNING) {
			f->queues[i].unknown = true;
			vd_err(-EBADMSG, "%s: SET_INFLIGHT_FD refused", f->conf->socket);
			uvdpa_dev_vq_broken(&f->dev, i);
		}
}

void vd_vuf_inflight_lost(struct vd_vuf *f)
{
	f->inflight.left = f->inflight.fd >= 0;
	f->inflight.due = 0;
	f->inflight.status_due = 0;
	f->dev.starting = false;
}

void vd_vuf_inflight_forget(struct vd_vuf *f)
{
	f->inflight.wanted = false;
	f->inflight.status_due = 0;
	f->dev.starting = false;
	forget_region(&f->inflight);
}
