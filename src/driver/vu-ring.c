/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vu-ring.c - one ring, as a front-end sets it up, starts and stops it
 *
 *	size, addresses, base	come piece by piece and are kept here
 *	SET_VRING_KICK		starts it; GET_VRING_BASE stops it
 *	SET_VRING_ENABLE	lets it run; not needed without VD_VU_F_PROTOCOL_FEATURES
 *
 * A ring is handed to the gate when it shall run, and taken back with its state when not: what is
 * here survives resets of the device, as a front-end expects it. A front-end that does not speak
 * of the status byte means DRIVER_OK when it starts the first ring.
 */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/foreign.h"
#include "driver/vu.h"

#define PACKED (1ull << VIRTIO_F_RING_PACKED)

void vd_vus_ring_init(struct vd_vus_session *s, unsigned int idx)
{
	struct vd_vus_ring *r = &s->rings[idx];

	r->kick = r->call = r->err = -1;
	r->enabled = -1;
	r->call_note.s = r->err_note.s = s;
	r->call_note.socket = r->err_note.socket = -1;
}

static void note_fini(struct vd_vus_note *n)
{
	vd_fd_del(&n->watch);
	vd_foreign_drop(n->s->owner->closing, &n->socket);
	n->due = false;
}

void vd_vus_ring_fini(struct vd_vus_ring *r)
{
	note_fini(&r->call_note);
	note_fini(&r->err_note);
	vd_close(&r->kick);
	vd_close(&r->call);
	vd_close(&r->err);
}

bool vd_vus_rings_running(const struct vd_vus_session *s)
{
	for (unsigned int i = 0; i < s->nrings; i++)
		if (s->rings[i].running)
			return true;
	return false;
}

/* ---- notifications in messages --------------------------------------------------------------- */

static void note_event(struct vd_fd *f, uint32_t events)
{
	struct vd_vus_note *n = container_of(f, struct vd_vus_note, watch);
	uint64_t one = 1;

	(void)events;
	if (!vd_eventfd_drain(f->fd))
		return;
	if (n->socket >= 0) {	/* full: it has been told; closed: it will be dropped */
		send(n->socket, &one, sizeof(one), MSG_DONTWAIT | MSG_NOSIGNAL);
		return;
	}
	n->due = true;
	vd_vus_back_push(n->s);
}

/* Make @n's eventfd. Takes @socket on success. */
static int note_init(struct vd_vus_note *n, int socket, int *ret_fd)
{
	int e, fd = vd_eventfd();

	if (fd < 0)
		return fd;
	n->watch.fn = note_event;
	e = vd_fd_add(n->s->loop, &n->watch, fd, EPOLLIN);
	if (e) {
		close(fd);
		return e;
	}
	n->socket = socket;
	*ret_fd = fd;
	return 0;
}

/* ---- running -------------------------------------------------------------------------------- */

static bool ring_shall_run(const struct vd_vus_session *s, const struct vd_vus_ring *r)
{
	bool enabled = r->enabled < 0 ? !(s->features >> VD_VU_F_PROTOCOL_FEATURES & 1) : r->enabled;

	return r->started && enabled && r->num && r->addr.desc;
}

/*
 * User Mode Linux begins a packed ring with base 0, though both wrap counters begin with 1 (virtio
 * 1.3, 2.8.1). A ring that has come to this base has been once around, so the device has written
 * USED somewhere, and the driver leaves it set for this time around; in a new ring it is nowhere.
 */
static bool packed_ring_is_new(const struct vd_vus_session *s, unsigned int idx, uint64_t desc)
{
	uint32_t num = s->rings[idx].num;
	const struct vring_packed_desc vd_guest *d =
		vd_mem_at(vd_dev_mem(s->dev, idx), desc, num * sizeof(*d), UVDPA_MAP_RO);

	if ((uintptr_t)vd_guest_expose(d) % 16)	/* the device will refuse it */
		return false;
	for (uint32_t i = 0; d && i < num; i++)
		if (vd_read16((const uint16_t vd_guest *)&d[i].flags) &
		    1u << VRING_PACKED_DESC_F_USED)
			return false;
	return d;
}

/*
 * DPDK's virtio_user begins every split ring with base 0, also one that it goes on with when the
 * device was away. Where that one had come to is in the ring: a new one is all zero.
 */
static uint16_t split_ring_used(const struct vd_vus_session *s, unsigned int idx)
{
	const struct vring_used vd_guest *u =
		vd_mem_at(vd_dev_mem(s->dev, idx), s->rings[idx].device, sizeof(*u), UVDPA_MAP_RO);

	if (!u || (uintptr_t)vd_guest_expose(u) % 4)	/* the device will refuse it */
		return 0;
	return vd_read16((const uint16_t vd_guest *)&u->idx);
}

static struct uvdpa_vq_state state_of(const struct vd_vus_session *s, unsigned int idx)
{
	uint32_t base = s->rings[idx].base;

	if (!(s->features & PACKED))
		return (struct uvdpa_vq_state){ .avail = base ? (uint16_t)base :
								split_ring_used(s, idx) };
	if (!base && packed_ring_is_new(s, idx, s->rings[idx].desc))
		return (struct uvdpa_vq_state){ .avail = 0x8000, .used = 0x8000 };
	/* DPDK tells of the available side only. The other one is at the same place: a queue that
	 * stops has nothing in flight, and if it was a crash, the in-flight region knows. */
	if (!(base >> 16))
		return (struct uvdpa_vq_state){ .avail = (uint16_t)base, .used = (uint16_t)base };
	return (struct uvdpa_vq_state){ .avail = (uint16_t)base, .used = (uint16_t)(base >> 16) };
}

int vd_vus_add_status(struct vd_vus_session *s, uint8_t bits)
{
	uint8_t status = uvdpa_dev_status(s->dev);

	return (status & bits) == bits ? 0 : uvdpa_dev_set_status(s->dev, status | bits);
}

static int base_known(const struct vd_vus_session *s, unsigned int idx)
{
	int err = s->rings[idx].base_err;

	return err ? vd_err(err, "queue %u: nobody knows where it stopped", idx) : 0;
}

/* Hand the ring to the gate. */
static int ring_start(struct vd_vus_session *s, unsigned int idx)
{
	struct vd_vus_ring *r = &s->rings[idx];
	struct uvdpa_vq vq = { .num = (uint16_t)r->num, .kick = r->kick, .poll = r->poll };
	uint64_t gpa[3];
	int e = base_known(s, idx);

	if (!e)
		e = vd_vus_ring_gpa(&s->mem, r, gpa);
	/* User Mode Linux never sends SET_VRING_CALL then. */
	if (!e && r->call < 0 && vd_vus_has(s, VD_VU_PF_INBAND_NOTIFICATIONS))
		e = note_init(&r->call_note, -1, &r->call);
	if (e)
		return vd_err_prefix(e, "queue %u: ", idx);
	vq.call = r->call;
	vq.desc = r->desc = gpa[0];
	vq.driver = r->driver = gpa[1];
	vq.device = r->device = gpa[2];
	vq.state = state_of(s, idx);
	e = uvdpa_dev_set_vq(s->dev, idx, &vq);
	if (!e)
		e = uvdpa_dev_set_vq_err(s->dev, idx, r->err);
	if (!e)
		e = uvdpa_dev_enable_vq(s->dev, idx);
	r->running = !e;
	return e;
}

int vd_vus_ring_run(struct vd_vus_session *s, unsigned int idx)
{
	const uint8_t begun = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			      VIRTIO_CONFIG_S_FEATURES_OK;
	struct vd_vus_ring *r = &s->rings[idx];
	bool own = !vd_vus_has(s, VD_VU_PF_STATUS);	/* the status byte is ours to make up */
	int e = 0;

	if (r->running || !ring_shall_run(s, r))
		return 0;
	if (own)
		e = vd_vus_add_status(s, begun);
	else if (!(uvdpa_dev_status(s->dev) & VIRTIO_CONFIG_S_FEATURES_OK))
		return 0;	/* SET_STATUS will run it */
	if (!e)
		e = ring_start(s, idx);
	if (!e && own)
		e = vd_vus_add_status(s, VIRTIO_CONFIG_S_DRIVER_OK);
	return e;
}

int vd_vus_ring_stopped(struct vd_vus_session *s, unsigned int idx)
{
	struct vd_vus_ring *r = &s->rings[idx];
	struct uvdpa_vq_state state;
	int e;

	if (!r->running)
		return 0;
	r->running = false;
	e = r->base_err = uvdpa_dev_get_vq_state(s->dev, idx, &state);
	if (e)
		return e;
	r->base = state.avail;
	if (s->features & PACKED)
		r->base |= (uint32_t)state.used << 16;
	return 0;
}

/* ---- messages ------------------------------------------------------------------------------- */

static int ring_of(struct vd_vus_session *s, uint64_t idx, struct vd_vus_ring **ret_r)
{
	*ret_r = idx < s->nrings ? &s->rings[idx] : NULL;
	if (!*ret_r)
		return vd_err(-ENOBUFS, "queue %llu of %u", (unsigned long long)idx, s->nrings);
	return 0;
}

/* One that may be changed. */
static int idle_ring_of(struct vd_vus_session *s, uint32_t idx, struct vd_vus_ring **ret_r)
{
	int e = ring_of(s, idx, ret_r);

	if (!e && (*ret_r)->running)
		return vd_err(-EBUSY, "queue %u runs", idx);
	return e;
}

int vd_vus_set_vring_num(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	const struct uvdpa_dev_info *info = uvdpa_dev_info(s->dev);
	struct vd_vus_ring *r;
	int e = idle_ring_of(s, m->state.index, &r);

	(void)reply;
	if (e)
		return e;
	if (!m->state.num || m->state.num > info->vq_num_max)
		return vd_err(-EINVAL, "queue %u: size %u, at most %u", m->state.index,
			      m->state.num, info->vq_num_max);
	r->num = m->state.num;
	return 0;
}

int vd_vus_set_vring_addr(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	struct vd_vus_ring *r;
	int e = idle_ring_of(s, m->addr.index, &r);

	(void)reply;
	if (!e)
		r->addr = m->addr;
	return e;
}

int vd_vus_set_vring_base(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	struct vd_vus_ring *r;
	int e = idle_ring_of(s, m->state.index, &r);

	(void)reply;
	if (!e) {
		r->base = m->state.num;
		r->base_err = 0;
	}
	return e;
}

static int base_asked(struct vd_vus_session *s, int err)
{
	unsigned int idx = s->msg.state.index;

	if (!err)
		err = vd_vus_ring_stopped(s, idx);
	if (!err)
		err = base_known(s, idx);
	if (!err)	/* the front-end has it, and may begin elsewhere as well */
		vd_dev_inflight_forget(s->dev, idx);
	s->reply.state = (struct vd_vu_vring_state){ .index = idx, .num = s->rings[idx].base };
	return err;
}

int vd_vus_get_vring_base(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	struct vd_vus_ring *r;
	int e = ring_of(s, m->state.index, &r);

	(void)reply;
	if (e)
		return e;
	r->started = false;
	if (!r->running)
		return base_asked(s, 0);
	return vd_vus_then(s, uvdpa_dev_disable_vq(s->dev, m->state.index, &s->wait), base_asked);
}

static int disabled(struct vd_vus_session *s, int err)
{
	return err ? err : vd_vus_ring_stopped(s, s->msg.state.index);
}

int vd_vus_set_vring_enable(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	struct vd_vus_ring *r;
	int e = ring_of(s, m->state.index, &r);

	(void)reply;
	if (e)
		return e;
	if (m->state.num > 1)
		return vd_err(-EINVAL, "queue %u: enable with %u", m->state.index, m->state.num);
	r->enabled = (int)m->state.num;
	if (r->enabled)
		return vd_vus_ring_run(s, m->state.index);
	if (!r->running)
		return 0;
	return vd_vus_then(s, uvdpa_dev_disable_vq(s->dev, m->state.index, &s->wait), disabled);
}

/* ---- descriptors of a ring ------------------------------------------------------------------ */

static bool is_socket(int fd)
{
	socklen_t len = sizeof(int);
	int type;

	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_STREAM;
}

/* The index and the descriptor of a message. Return: 0, with *@ret_fd the caller's or -1. */
static int ring_fd_of(struct vd_vus_session *s, struct vd_vu_msg *m, unsigned int *ret_idx,
		      int *ret_fd)
{
	struct vd_vus_ring *r;
	int e = ring_of(s, m->u64 & ~(uint64_t)VD_VU_VRING_NOFD, &r);

	if (e)
		return e;
	*ret_idx = (unsigned int)(m->u64 & VD_VU_VRING_IDX_MASK);
	if (m->nfds && !vd_fd_is_eventfd(m->fds[0]) &&
	    (m->request == VD_VU_SET_VRING_KICK || !is_socket(m->fds[0])))
		return vd_err(-EINVAL, "queue %u: the descriptor cannot notify", *ret_idx);
	*ret_fd = vd_vu_msg_take_fd(m, 0);
	return 0;
}

static void replace(int *fd, int with)
{
	vd_close(fd);
	*fd = with;
}

int vd_vus_set_vring_kick(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	struct vd_vus_ring *r;
	unsigned int idx = 0;
	int fd = -1, e = ring_fd_of(s, m, &idx, &fd);

	(void)reply;
	if (e)
		return e;
	r = &s->rings[idx];
	replace(&r->kick, fd);
	r->poll = fd < 0 && !vd_vus_has(s, VD_VU_PF_INBAND_NOTIFICATIONS);
	r->started = true;
	return r->running ? uvdpa_dev_set_vq_kick(s->dev, idx, fd) : vd_vus_ring_run(s, idx);
}

/* The descriptor for used buffers, or the one for a broken ring. */
static int set_sink(struct vd_vus_session *s, struct vd_vu_msg *m, bool broken)
{
	int (*set)(struct uvdpa_dev *, unsigned int, int) = broken ? uvdpa_dev_set_vq_err :
								     uvdpa_dev_set_vq_call;
	struct vd_vus_note *n;
	struct vd_vus_ring *r;
	unsigned int idx = 0;
	int fd = -1, e = ring_fd_of(s, m, &idx, &fd);

	if (e)
		return e;
	r = &s->rings[idx];
	n = broken ? &r->err_note : &r->call_note;
	note_fini(n);
	if (fd >= 0 && !vd_fd_is_eventfd(fd)) {
		int socket = fd;

		fd = -1;
		e = note_init(n, socket, &fd);
		if (e)
			vd_foreign_drop(s->owner->closing, &socket);
	} else if (fd >= 0) {	/* what we write must not wait */
		vd_set_nonblock(fd, true);
	} else if (vd_vus_has(s, VD_VU_PF_INBAND_NOTIFICATIONS)) {
		e = note_init(n, -1, &fd);
	}
	replace(broken ? &r->err : &r->call, fd);
	return !e && r->running ? set(s->dev, idx, fd) : e;
}

int vd_vus_set_vring_call(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	(void)reply;
	return set_sink(s, m, false);
}

int vd_vus_set_vring_err(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	(void)reply;
	return set_sink(s, m, true);
}

/* A kick in a message; the first one starts a ring that has no descriptor for it. */
int vd_vus_vring_kick(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	struct vd_vus_ring *r;
	int e = ring_of(s, m->state.index, &r);

	(void)reply;
	if (e)
		return e;
	r->started = true;
	e = vd_vus_ring_run(s, m->state.index);
	return e || !r->running ? e : uvdpa_dev_kick(s->dev, m->state.index, m->state.index);
}
