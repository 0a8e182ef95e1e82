/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gate-vq.c - the gate: queues and their eventfds
 *
 * Every descriptor is a duplicate of the driver's. A kick is changed by stopping the queue for a
 * moment. A call keeps its number for as long as the queue runs, and another eventfd is put behind
 * it: a data thread that writes to it in the same moment reaches the old one or the new one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/probe.h"
#include "core/dev.h"

/*
 * A descriptor of our own for what a driver gave. Of a pipe it has flags of its own too, so nobody
 * can make it block; an eventfd cannot be opened again.
 */
static int take_fd(int fd, int flags)
{
	char path[32];
	struct stat st;
	int own;

	if (!fstat(fd, &st) && S_ISFIFO(st.st_mode)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		own = open(path, flags | O_NONBLOCK | O_CLOEXEC);
		if (own >= 0)
			return own;
	}
	return vd_dup(fd);
}

void vd_gate_vq_init(struct vd_gate_vq *q, const struct uvdpa_dev_info *info)
{
	q->vq = (struct uvdpa_vq){ .num = (uint16_t)info->vq_num_max, .kick = -1, .call = -1 };
	q->call_slot = q->err_fd = q->next_kick = -1;
}

void vd_gate_vq_fini(struct vd_gate_vq *q)
{
	vd_close(&q->vq.kick);
	vd_close(&q->call_slot);
	vd_close(&q->err_fd);
	vd_close(&q->next_kick);
}

void vd_gate_vq_reset(struct vd_dev *d, unsigned int idx)
{
	struct vd_gate_vq *q = &d->gate.vqs[idx];

	vd_gate_vq_fini(q);
	vd_gate_vq_init(q, &d->dev->info);
	q->enabled = q->broken = q->restart = q->kicked = false;
	q->state_err = 0;
}

bool vd_gate_vq_should_run(const struct vd_dev *d, const struct vd_gate_vq *q)
{
	const struct vd_gate *g = &d->gate;

	return q->enabled && !q->broken && !q->restart && !q->disable.pending &&
	       (g->status & VIRTIO_CONFIG_S_DRIVER_OK) && !g->suspended && !g->commit.pending &&
	       !g->reset.pending;
}

/* Where it stands: what the device said when it stopped, or what the driver has set since. */
static int check_state(const struct vd_dev *d, unsigned int idx)
{
	int err = d->gate.vqs[idx].state_err;

	return err ? vd_err(err, "%s: queue %u: its state could not be read", d->name, idx) : 0;
}

int vd_gate_vq_start(struct vd_dev *d, unsigned int idx)
{
	const struct uvdpa_dev_ops *ops = d->dev->ops;
	struct vd_gate_vq *q = &d->gate.vqs[idx];
	int r = check_state(d, idx);

	if (r)	/* requests that are done would be done again, or some never */
		return r;
	vd_trace(&d->u->log, d->name,
		 "set_vq %u: num %u desc 0x%llx driver 0x%llx device 0x%llx state %u,%u", idx,
		 q->vq.num, (unsigned long long)q->vq.desc, (unsigned long long)q->vq.driver,
		 (unsigned long long)q->vq.device, q->vq.state.avail, q->vq.state.used);
	vd_probe(gate, d->name, "set_vq", idx, q->vq.num);
	r = vd_gate_inflight(d, idx, &q->vq);
	if (!r)
		r = ops->set_vq(d->dev, idx, &q->vq);
	if (r)
		return r;
	/* Before the call: the parent may find the ring broken from within. */
	q->running = true;
	q->quiescing = false;
	vd_trace(&d->u->log, d->name, "enable_vq %u", idx);
	vd_probe(gate, d->name, "enable_vq", idx, 0);
	r = ops->enable_vq(d->dev, idx);
	if (r) {
		q->running = false;
		return r;
	}
	if (q->kicked) {
		q->kicked = false;
		ops->kick(d->dev, idx, q->kick_data);
	}
	return 0;
}

void vd_gate_vq_stopped(struct vd_dev *d, unsigned int idx)
{
	struct vd_gate_vq *q = &d->gate.vqs[idx];
	struct uvdpa_vq_state state;

	if (!q->running || !q->quiescing)
		return;
	q->running = q->quiescing = false;
	q->state_err = d->dev->ops->get_vq(d->dev, idx, &state);
	if (!q->state_err)
		q->vq.state = state;
	vd_trace(&d->u->log, d->name, "queue %u is quiet at %u,%u", idx, q->vq.state.avail,
		 q->vq.state.used);
	if (q->restart) {
		q->restart = false;
		vd_close(&q->vq.kick);
		q->vq.kick = q->next_kick;
		q->next_kick = -1;
		q->vq.poll = q->next_poll;
	}
	if (q->vq.call < 0)
		vd_close(&q->call_slot);
}

void vd_gate_vq_unblock(struct vd_dev *d)
{
	for (unsigned int i = 0; i < d->gate.nvqs; i++) {
		struct vd_gate_vq *q = &d->gate.vqs[i];
		struct pollfd p = { q->call_slot, POLLOUT, 0 };

		/* A counter that is full was filled on purpose, so nothing is lost with it. */
		if (q->quiescing && q->call_slot >= 0 && poll(&p, 1, 0) == 0)
			vd_eventfd_drain(q->call_slot);
	}
}

/* ---- checks -------------------------------------------------------------------------------- */

static int check_idx(const struct uvdpa_dev *dev, unsigned int idx)
{
	if (!dev->core->known)
		return vd_gate_present(dev);
	if (idx >= dev->info.nvqs)
		return vd_err(-ENOBUFS, "%s: queue %u of %u", dev->core->name, idx, dev->info.nvqs);
	return 0;
}

static int check(const struct uvdpa_dev *dev, unsigned int idx)
{
	int r = vd_gate_usable(dev);

	return r ? r : check_idx(dev, idx);
}

/* Return: the descriptor if it can notify, or is -1. */
static int check_fd(const struct vd_dev *d, unsigned int idx, const char *what, int fd)
{
	if (fd >= 0 && !vd_fd_is_eventfd(fd))
		return vd_err(-EINVAL, "%s: queue %u: %s is not an eventfd", d->name, idx, what);
	return 0;
}

static int check_num(const struct vd_dev *d, unsigned int idx, unsigned int num)
{
	const struct uvdpa_dev_info *info = &d->dev->info;
	bool packed = d->gate.features & 1ull << VIRTIO_F_RING_PACKED;

	if (!num || num < info->vq_num_min || num > info->vq_num_max)
		return vd_err(-EINVAL, "%s: queue %u: size %u, not %u to %u", d->name, idx, num,
			      info->vq_num_min, info->vq_num_max);
	if (!packed && (num & (num - 1)))
		return vd_err(-EINVAL, "%s: queue %u: size %u is no power of two", d->name, idx,
			      num);
	return 0;
}

/* ---- eventfds ------------------------------------------------------------------------------ */

/* Takes @fd, which is a duplicate already, or -1. */
static void kick_take(struct vd_dev *d, struct vd_gate_vq *q, int fd, bool poll_ring)
{
	if (q->running) {
		vd_close(&q->next_kick);
		q->next_kick = fd;
		q->next_poll = poll_ring;
		q->restart = true;
		vd_gate_settle(d);
		return;
	}
	vd_close(&q->vq.kick);
	q->vq.kick = fd;
	q->vq.poll = poll_ring;
}

static int kick_set(struct vd_dev *d, unsigned int idx, int fd, bool poll_ring)
{
	struct vd_gate_vq *q = &d->gate.vqs[idx];
	int r = check_fd(d, idx, "kick", fd), dup = -1;

	if (r)
		return r;
	if (fd >= 0) {
		r = dup = take_fd(fd, O_RDONLY);
		if (r < 0)
			return r;
	}
	kick_take(d, q, dup, poll_ring);
	return 0;
}

/* Put @fd, or nothing (-1), behind the number that the device may be writing to right now. */
static int call_put(struct vd_dev *d, struct vd_gate_vq *q, int fd)
{
	int own = -1, r = 0;

	if (fd < 0 && !q->running) {
		vd_close(&q->call_slot);
		return 0;
	}
	if (fd >= 0) {
		r = own = take_fd(fd, O_WRONLY);
		if (r < 0)
			return r;
	}
	if (q->call_slot < 0) {
		q->call_slot = own;
		return 0;
	}
	/* By syscall(): ThreadSanitizer takes dup3() for the end of the number's use. */
	if (syscall(SYS_dup3, own < 0 ? d->u->nowhere : own, q->call_slot, O_CLOEXEC) < 0)
		r = vd_err(-errno, "%s: call: %m", d->name);
	vd_close(&own);
	return r < 0 ? r : 0;
}

static int call_set(struct vd_dev *d, unsigned int idx, int fd)
{
	struct vd_gate_vq *q = &d->gate.vqs[idx];
	int r = check_fd(d, idx, "call", fd);

	if (r || (fd < 0 && q->vq.call < 0))
		return r;
	r = call_put(d, q, fd);
	if (r)
		return r;
	q->vq.call = fd >= 0 ? q->call_slot : -1;
	/* What the device completed may have been told to the eventfd that is gone. */
	vd_bell_ring(&d->u->bell, q->vq.call);
	if (!q->running)
		return 0;
	vd_trace(&d->u->log, d->name, "set_call %u", idx);
	return d->dev->ops->set_call(d->dev, idx, q->vq.call);
}

int uvdpa_dev_set_vq_kick(struct uvdpa_dev *dev, unsigned int idx, int fd)
{
	int r = check(dev, idx);

	return r ? r : kick_set(dev->core, idx, fd, dev->core->gate.vqs[idx].vq.poll);
}

int uvdpa_dev_set_vq_call(struct uvdpa_dev *dev, unsigned int idx, int fd)
{
	int r = check(dev, idx);

	return r ? r : call_set(dev->core, idx, fd);
}

int uvdpa_dev_set_vq_err(struct uvdpa_dev *dev, unsigned int idx, int fd)
{
	struct vd_dev *d = dev->core;
	int r = check(dev, idx), dup = -1;

	if (!r)
		r = check_fd(d, idx, "err", fd);
	if (r)
		return r;
	if (fd >= 0) {
		r = dup = take_fd(fd, O_WRONLY);
		if (r < 0)
			return r;
	}
	vd_close(&d->gate.vqs[idx].err_fd);
	d->gate.vqs[idx].err_fd = dup;
	return 0;
}

/* ---- queues -------------------------------------------------------------------------------- */

static bool same_ring(const struct uvdpa_vq *a, const struct uvdpa_vq *b)
{
	return a->num == b->num && a->desc == b->desc && a->driver == b->driver &&
	       a->device == b->device && a->state.avail == b->state.avail &&
	       a->state.used == b->state.used;
}

int uvdpa_dev_set_vq(struct uvdpa_dev *dev, unsigned int idx, const struct uvdpa_vq *vq)
{
	struct vd_dev *d = dev->core;
	struct vd_gate_vq *q;
	int r = check(dev, idx), kick, call;

	if (r)
		return r;
	q = &d->gate.vqs[idx];
	if (!same_ring(&q->vq, vq)) {
		if (q->quiescing)
			return vd_err(-EBUSY, "%s: queue %u is still being stopped", d->name, idx);
		if (q->running)
			return vd_err(-EINVAL, "%s: queue %u runs", d->name, idx);
		r = check_num(d, idx, vq->num);
		if (r)
			return r;
	}
	/* The gate's own numbers, from uvdpa_dev_vq(), mean no change. */
	kick = q->restart ? q->next_kick : q->vq.kick;
	call = q->vq.call;
	r = check_fd(d, idx, "kick", vq->kick);
	if (!r && vq->call != call)
		r = call_set(d, idx, vq->call);
	if (r)
		return r;
	q->vq.num = vq->num;
	q->vq.desc = vq->desc;
	q->vq.driver = vq->driver;
	q->vq.device = vq->device;
	if (!q->running)
		q->state_err = 0;
	q->vq.state = vq->state;
	if (vq->kick == kick || vq->kick == q->vq.kick) {
		if (vq->poll == q->vq.poll)
			return 0;
	}
	return kick_set(d, idx, vq->kick, vq->poll);
}

const struct uvdpa_vq *uvdpa_dev_vq(const struct uvdpa_dev *dev, unsigned int idx)
{
	return check_idx(dev, idx) ? NULL : &dev->core->gate.vqs[idx].vq;
}

int uvdpa_dev_enable_vq(struct uvdpa_dev *dev, unsigned int idx)
{
	struct vd_dev *d = dev->core;
	struct vd_gate_vq *q;
	int r = check(dev, idx);

	if (r)
		return r;
	q = &d->gate.vqs[idx];
	if (q->enabled && !q->disable.pending)
		return 0;
	if (q->quiescing)
		return vd_err(-EBUSY, "%s: queue %u is still being stopped", d->name, idx);
	r = check_num(d, idx, q->vq.num);
	if (!r)
		r = check_state(d, idx);
	if (r)
		return r;
	q->enabled = true;
	if (!vd_gate_vq_should_run(d, q))
		return 0;
	/* What the parent says from within must not call it again from within. */
	d->gate.settling = true;
	r = vd_gate_vq_start(d, idx);
	d->gate.settling = false;
	if (r)
		q->enabled = false;
	vd_gate_settle(d);
	return r;
}

bool uvdpa_dev_vq_enabled(const struct uvdpa_dev *dev, unsigned int idx)
{
	return !check_idx(dev, idx) && dev->core->gate.vqs[idx].enabled;
}

int uvdpa_dev_disable_vq(struct uvdpa_dev *dev, unsigned int idx, struct uvdpa_wait *w)
{
	struct vd_dev *d = dev->core;
	struct vd_gate_vq *q;
	int r = check(dev, idx);

	if (r)
		return r;
	q = &d->gate.vqs[idx];
	q->enabled = false;
	q->broken = false;	/* enabling it again is a new beginning (virtio 1.3, 2.6.1) */
	return vd_gate_op(d, &q->disable, UVDPA_DRAIN_MS, w);
}

int uvdpa_dev_get_vq_state(struct uvdpa_dev *dev, unsigned int idx,
			   struct uvdpa_vq_state *ret_state)
{
	struct vd_gate_vq *q;
	int r = check(dev, idx);

	if (r)
		return r;
	q = &dev->core->gate.vqs[idx];
	if (q->running)
		return vd_err(-EBUSY, "%s: queue %u runs", dev->core->name, idx);
	r = check_state(dev->core, idx);
	if (!r)
		*ret_state = q->vq.state;
	return r;
}

int uvdpa_dev_kick(struct uvdpa_dev *dev, unsigned int idx, uint32_t data)
{
	struct vd_gate_vq *q;
	int r = check(dev, idx);

	if (r)
		return r;
	q = &dev->core->gate.vqs[idx];
	if (q->running && !q->quiescing) {
		dev->ops->kick(dev, idx, data);
		return 0;
	}
	q->kicked = true;
	q->kick_data = data;
	return 0;
}
