/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user-vq.c - the queues that a vhost-user back-end serves
 *
 *	set_vq		noted
 *	enable_vq	SET_VRING_NUM, _BASE, _ADDR, _ERR, _CALL, _KICK (it starts), _ENABLE
 *	quiesce		GET_VRING_BASE; in there until its answer: the back-end, with its requests
 *
 * When the back-end goes, each running queue's position is read from the rings' indices while
 * their memory is still known. If the back-end noted what it had (vhost-user-inflight.c) the next
 * one finds out where to go on. Else a split queue with nothing in flight, or whose requests end in
 * order, goes on from there in the next back-end; those of a network device do, whatever was
 * negotiated, and QEMU relies on that too. Of another nobody can tell which requests were done, as
 * the back-end kept that to itself: it is broken, and its driver has to reset the device.
 */
#include "parent/vhost-user.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/fd.h"

static bool is_packed(const struct vd_vuf *f)
{
	return f->features & VD_BIT(VIRTIO_F_RING_PACKED);
}

/* ---- messages about a queue ------------------------------------------------------------------ */

static void send_state(struct vd_vuf *f, uint32_t request, unsigned int idx, uint32_t num)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, request, sizeof(m.state));
	m.state = (struct vd_vu_vring_state){ .index = idx, .num = num };
	vd_vulink_send(&f->link, &m, idx);
}

static void send_fd(struct vd_vuf *f, uint32_t request, unsigned int idx, int fd)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, request, sizeof(m.u64));
	m.u64 = idx;
	if (fd < 0)
		m.u64 |= VD_VU_VRING_NOFD;
	else
		m.fds[m.nfds++] = fd;
	vd_vulink_send(&f->link, &m, idx);
}

static void send_addr(struct vd_vuf *f, unsigned int idx, const struct uvdpa_vq *vq)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, VD_VU_SET_VRING_ADDR, sizeof(m.addr));
	m.addr = (struct vd_vu_vring_addr){ .index = idx, .desc = vq->desc, .avail = vq->driver,
					    .used = vq->device };
	vd_vulink_send(&f->link, &m, idx);
}

static int kick_fd(const struct vd_vuf_queue *q)
{
	return q->vq.kick >= 0 ? q->vq.kick : q->own_kick;
}

/* ---- create, reset, destroy ------------------------------------------------------------------ */

int vd_vuf_queues_create(struct vd_vuf *f)
{
	f->queues = calloc(f->dev.info.nvqs, sizeof(*f->queues));
	if (!f->queues)
		return vd_err(-ENOMEM, "%s: %u queues", f->name, f->dev.info.nvqs);
	for (unsigned int i = 0; i < f->dev.info.nvqs; i++)
		f->queues[i] = (struct vd_vuf_queue){ .f = f, .vq = { .kick = -1, .call = -1 },
						   .own_kick = -1, .err = { .fd = -1 } };
	return 0;
}

void vd_vuf_queues_destroy(struct vd_vuf *f)
{
	for (unsigned int i = 0; f->queues && i < f->dev.info.nvqs; i++) {
		vd_fd_del(&f->queues[i].err);
		vd_close(&f->queues[i].err.fd);
		vd_close(&f->queues[i].own_kick);
	}
	free(f->queues);
}

void vd_vuf_queues_reset(struct vd_vuf *f)
{
	for (unsigned int i = 0; i < f->dev.info.nvqs; i++) {
		f->queues[i].unknown = false;
		f->queues[i].vq.state = (struct uvdpa_vq_state){ 0 };
	}
}

/* ---- stop ------------------------------------------------------------------------------------ */

static void queue_stopped(struct vd_vuf_queue *q)
{
	vd_fd_del(&q->err);
	q->run = VD_VUF_OFF;
}

/* Whoever waits for a queue that is quiet has it now. */
static void answer(struct vd_vuf *f)
{
	bool all = f->all_asked;

	for (unsigned int i = 0; i < f->dev.info.nvqs; i++) {
		struct vd_vuf_queue *q = &f->queues[i];

		if (q->run != VD_VUF_OFF) {
			all = false;
		} else if (q->asked) {
			q->asked = false;
			uvdpa_dev_quiesced(&f->dev, i);
		}
	}
	if (all) {
		f->all_asked = false;
		uvdpa_dev_quiesced(&f->dev, UVDPA_VQ_ALL);
	}
}

void vd_vuf_queue_base(struct vd_vuf *f, unsigned int idx, uint32_t num)
{
	struct vd_vuf_queue *q = &f->queues[idx];

	q->vq.state = (struct uvdpa_vq_state){ .avail = (uint16_t)num };
	if (is_packed(f))
		q->vq.state.used = (uint16_t)(num >> 16);
	queue_stopped(q);
	answer(f);
}

static void stop(struct vd_vuf *f, unsigned int idx)
{
	struct vd_vuf_queue *q = &f->queues[idx];

	if (q->run == VD_VUF_WAITING)
		queue_stopped(q);
	if (q->run != VD_VUF_RUNNING)
		return;
	q->run = VD_VUF_STOPPING;
	send_state(f, VD_VU_GET_VRING_BASE, idx, 0);
}

void vd_vuf_quiesce(struct uvdpa_dev *dev, unsigned int idx)
{
	struct vd_vuf *f = vd_vuf(dev);

	if (idx != UVDPA_VQ_ALL) {
		f->queues[idx].asked = true;
		stop(f, idx);
	} else {
		f->all_asked = true;
		for (unsigned int i = 0; i < dev->info.nvqs; i++)
			stop(f, i);
	}
	answer(f);
}

/* Requests end in the order in which they were made. */
static bool in_order(const struct vd_vuf *f)
{
	return f->features & VD_BIT(VIRTIO_F_IN_ORDER) ||
	       f->dev.info.device_id == VIRTIO_ID_NET;
}

/* From both rings' indices (virtio 1.3, 2.7.6, 2.7.8), read once. */
static void find_state(struct vd_vuf *f, struct vd_vuf_queue *q)
{
	uint16_t avail, used;
	bool noted = f->inflight.fd >= 0;

	if (q->run == VD_VUF_WAITING)
		return;
	q->unknown = !noted;
	if (is_packed(f) || vd_vumem_read16(&f->mem, q->vq.driver + 2, &avail) ||
	    vd_vumem_read16(&f->mem, q->vq.device + 2, &used))
		return;
	if (avail != used && !noted && !in_order(f))
		return;
	q->vq.state = (struct uvdpa_vq_state){ .avail = used };
	q->unknown = false;
}

void vd_vuf_queues_lost(struct vd_vuf *f)
{
	for (unsigned int i = 0; i < f->dev.info.nvqs; i++) {
		struct vd_vuf_queue *q = &f->queues[i];

		if (q->run == VD_VUF_OFF)
			continue;
		find_state(f, q);
		queue_stopped(q);
		vd_bell_ring(vd_ctx_bell(f->u), q->vq.call);	/* its last one may have gone with it */
		if (!q->unknown)
			continue;
		vd_err(-EBADMSG, "the back-end went with requests that may be done or not");
		uvdpa_dev_vq_broken(&f->dev, i);
	}
	uvdpa_dev_lost(&f->dev);
	answer(f);
}

/* ---- start ----------------------------------------------------------------------------------- */

static void err_event(struct vd_fd *e, uint32_t events)
{
	struct vd_vuf_queue *q = container_of(e, struct vd_vuf_queue, err);

	(void)events;
	vd_fd_del(e);	/* once is enough */
	vd_err(-EBADMSG, "says the back-end");
	uvdpa_dev_vq_broken(&q->f->dev, (unsigned int)(q - q->f->queues));
}

int vd_vuf_set_vq(struct uvdpa_dev *dev, unsigned int idx, const struct uvdpa_vq *vq)
{
	struct vd_vuf_queue *q = &vd_vuf(dev)->queues[idx];
	int r;

	if (vq->kick < 0 && !vq->poll && q->own_kick < 0) {
		r = vd_eventfd();
		if (r < 0)
			return r;
		q->own_kick = r;
	}
	q->vq = *vq;
	return 0;
}

int vd_vuf_set_call(struct uvdpa_dev *dev, unsigned int idx, int call)
{
	struct vd_vuf *f = vd_vuf(dev);
	struct vd_vuf_queue *q = &f->queues[idx];

	q->vq.call = call;
	if (q->run > VD_VUF_WAITING)
		send_fd(f, VD_VU_SET_VRING_CALL, idx, call);
	return 0;
}

static int check_rings(struct vd_vuf *f, unsigned int idx, const struct uvdpa_vq *vq)
{
	const struct { uint64_t iova, len; } areas[] = {
		{ vq->desc, 16ull * vq->num },
		{ vq->driver, is_packed(f) ? 4 : 6 + 2ull * vq->num },
		{ vq->device, is_packed(f) ? 4 : 6 + 8ull * vq->num },
	};

	for (size_t i = 0; i < VD_ARRAY_SIZE(areas); i++)
		if (!vd_vumem_has(&f->mem, areas[i].iova, areas[i].len))
			return vd_err(-EBADMSG, "%s: queue %u: ring at %#" PRIx64 " is not mapped",
				      f->name, idx, areas[i].iova);
	return 0;
}

/* For the back-end to tell of a broken queue; it can do without. */
static void watch_err(struct vd_vuf *f, unsigned int idx)
{
	struct vd_vuf_queue *q = &f->queues[idx];

	vd_close(&q->err.fd);
	q->err = (struct vd_fd){ .fn = err_event, .fd = vd_eventfd() };
	if (q->err.fd >= 0 && !vd_fd_add(vd_ctx_loop(f->u), &q->err, q->err.fd, EPOLLIN))
		send_fd(f, VD_VU_SET_VRING_ERR, idx, q->err.fd);
}

static void start(struct vd_vuf *f, unsigned int idx)
{
	struct vd_vuf_queue *q = &f->queues[idx];
	const struct uvdpa_vq *vq = &q->vq;

	send_state(f, VD_VU_SET_VRING_NUM, idx, vq->num);
	send_state(f, VD_VU_SET_VRING_BASE, idx,
		   is_packed(f) ? vq->state.avail | (uint32_t)vq->state.used << 16 :
				  vq->state.avail);
	send_addr(f, idx, vq);
	watch_err(f, idx);
	send_fd(f, VD_VU_SET_VRING_CALL, idx, vq->call);
	send_fd(f, VD_VU_SET_VRING_KICK, idx, vq->poll ? -1 : kick_fd(q));	/* starts it */
	if (f->link.features & VD_BIT(VD_VU_F_PROTOCOL_FEATURES))
		send_state(f, VD_VU_SET_VRING_ENABLE, idx, 1);
	if (!vq->poll)	/* a kick may have been eaten while it stood still */
		vd_bell_ring(vd_ctx_bell(f->u), kick_fd(q));
	q->run = VD_VUF_RUNNING;
}

void vd_vuf_queues_start(struct vd_vuf *f)
{
	f->dev.starting = false;
	for (unsigned int i = 0; i < f->dev.info.nvqs; i++)
		if (f->queues[i].run == VD_VUF_WAITING)
			start(f, i);
}

int vd_vuf_enable_vq(struct uvdpa_dev *dev, unsigned int idx)
{
	struct vd_vuf *f = vd_vuf(dev);
	struct vd_vuf_queue *q = &f->queues[idx];
	int r;

	if (!vd_vulink_up(&f->link))
		return 0;
	r = q->unknown ? vd_err(-EBADMSG, "%s: queue %u: reset the device first", f->name, idx) :
			 check_rings(f, idx, &q->vq);
	if (r)
		return r;
	f->dev.starting = f->inflight.due;
	if (f->dev.starting)
		q->run = VD_VUF_WAITING;
	else
		start(f, idx);
	return 0;
}

int vd_vuf_get_vq(struct uvdpa_dev *dev, unsigned int idx, struct uvdpa_vq_state *ret_state)
{
	struct vd_vuf *f = vd_vuf(dev);

	if (f->queues[idx].unknown)
		return vd_err(-EBADMSG, "%s: queue %u: the back-end took its state with it",
			      f->name, idx);
	*ret_state = f->queues[idx].vq.state;
	return 0;
}

void vd_vuf_kick(struct uvdpa_dev *dev, unsigned int idx, uint32_t data)
{
	struct vd_vuf *f = vd_vuf(dev);

	(void)data;	/* it cannot travel in an eventfd; NOTIFICATION_DATA is not offered */
	vd_bell_ring(vd_ctx_bell(f->u), kick_fd(&f->queues[idx]));
}
