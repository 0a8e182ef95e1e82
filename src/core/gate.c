/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gate.c - the one place that calls a parent's operations: status, features, configuration, and
 * what makes queues start and stop
 *
 * No call changes a running queue by itself. Each records what is wanted and settles: queues that
 * shall not run any more are quiesced, what waited for them is done once they are quiet, and
 * queues that shall run are started. Whether a queue shall run is one expression,
 * vd_gate_vq_should_run().
 *
 *	  wanted        quiesce                quiesced          nobody waits any more
 *	----------> should not run ... running ---------> quiet: end the operations ---> start
 *
 * So it does not matter in which order a driver asks, a parent answers, or a limit passes, and
 * what comes too late is still done, by whoever was last to wish it.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/dev.h"

#define STATUS_BITS                                                                              \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK |     \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)
#define VQS_MAX 65536u	/* a queue's index is 16 bits (virtio 1.3, 2.9) */

int vd_gate_usable(const struct uvdpa_dev *dev)
{
	const struct vd_dev *d = dev->core;

	if (!d->known || d->bind.gone)
		return vd_err(-ENODEV, "%s is %s", d->name, d->known ? "gone" : "not ready");
	if (d->gate.reset.pending)
		return vd_err(-EBUSY, "%s: a reset is under way", d->name);
	return 0;
}

bool vd_gate_quiet(const struct vd_dev *d)
{
	for (unsigned int i = 0; i < d->gate.nvqs; i++)
		if (d->gate.vqs[i].running)
			return false;
	return true;
}

/* ---- operations that wait for queues ------------------------------------------------------- */

static void op_end(struct vd_dev *d, struct vd_op *op, int err)
{
	op->pending = false;
	op->err = err;
	op->due_ns = 0;
	while (!vd_list_empty(&op->waiters))
		vd_wait_end(d->u, vd_wait_of(op->waiters.next), err);
}

/* Its limit has passed; a reset goes on without anybody who waits. */
static void op_late(struct vd_dev *d, struct vd_op *op, const char *what)
{
	bool goes_on = op == &d->gate.reset;

	op_end(d, op, vd_err(-ETIMEDOUT, "%s: %s: requests are not home yet", d->name, what));
	op->pending = goes_on;
}

static void timer_update(struct vd_dev *d);

/*
 * Also joins one that is under way; its limit is not put off by that, unless nobody else waits
 * for it any more.
 */
int vd_gate_op(struct vd_dev *d, struct vd_op *op, unsigned int ms, struct uvdpa_wait *w)
{
	uint64_t due;

	op->pending = true;
	vd_gate_settle(d);
	if (!op->pending)
		return op->err;
	due = vd_now_ns() + ms * 1000000ull;
	if (!op->due_ns || due < op->due_ns)
		op->due_ns = due;
	if (w) {
		vd_wait_begin(w);
		vd_list_add(&op->waiters, vd_wait_node(w));
	}
	timer_update(d);
	return -EINPROGRESS;
}

/* ---- settling ------------------------------------------------------------------------------ */

/* One call for all of them if it is all of them: a proxy has one message for that. */
static void stop_queues(struct vd_dev *d)
{
	const struct uvdpa_dev_ops *ops = d->dev->ops;
	unsigned int n = d->gate.nvqs, stop = 0, others = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct vd_gate_vq *q = &d->gate.vqs[i];

		if (!q->running)
			continue;
		if (!q->quiescing && !vd_gate_vq_should_run(d, q))
			stop++;
		else
			others++;
	}
	if (!stop)
		return;
	if (!d->gate.quiescing_since_ns) {
		d->gate.quiescing_since_ns = vd_now_ns();
		d->gate.unblocked = false;
	}
	for (unsigned int i = 0; i < n; i++) {
		struct vd_gate_vq *q = &d->gate.vqs[i];

		if (!q->running || q->quiescing || vd_gate_vq_should_run(d, q))
			continue;
		q->quiescing = true;
		if (!others)
			continue;
		vd_trace(&d->u->log, d->name, "quiesce %u", i);
		ops->quiesce(d->dev, i);
	}
	if (!others) {
		vd_trace(&d->u->log, d->name, "quiesce all");
		ops->quiesce(d->dev, UVDPA_VQ_ALL);
	}
}

static void reset_now(struct vd_dev *d)
{
	struct vd_gate *g = &d->gate;
	bool changed = g->status != 0;

	vd_trace(&d->u->log, d->name, "reset");
	d->dev->ops->reset(d->dev);
	for (unsigned int i = 0; i < d->gate.nvqs; i++)
		vd_gate_vq_reset(d, i);
	g->status = 0;
	g->features = 0;
	g->features_set = false;
	g->suspended = false;
	g->generation++;
	if (changed)
		vd_dev_raise(d, UVDPA_DEV_STATUS);
	if (g->forget_maps) {
		g->forget_maps = false;
		vd_gate_mem_forget(d);
	}
}

static void end_ops(struct vd_dev *d)
{
	struct vd_gate *g = &d->gate;
	bool late;

	for (unsigned int i = 0; i < d->gate.nvqs; i++)
		if (g->vqs[i].disable.pending && !g->vqs[i].running)
			op_end(d, &g->vqs[i].disable, 0);
	if (!vd_gate_quiet(d))
		return;
	g->quiescing_since_ns = 0;
	if (g->suspend.pending)
		op_end(d, &g->suspend, 0);
	if (g->commit.pending)
		op_end(d, &g->commit, vd_gate_mem_commit(d));
	if (g->reset.pending) {
		late = !g->reset.due_ns && vd_list_empty(&g->reset.waiters);
		reset_now(d);
		op_end(d, &g->reset, 0);
		if (late)
			vd_bind_home(d);
	}
}

/* A queue that the driver may not use any more, for a reason that is not its wish. */
static void break_queue(struct vd_dev *d, unsigned int idx, const char *why)
{
	struct vd_gate_vq *q = &d->gate.vqs[idx];
	unsigned int missed;

	if (q->broken)
		return;
	q->broken = true;
	if (vd_ratelimit_ok(&d->gate.broken_log, &missed))
		vd_log_warn(&d->u->log, d->name, "queue %u: broken: %s", idx, why);
	d->gate.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	vd_bell_ring(&d->u->bell, q->err_fd);
	vd_dev_raise(d, UVDPA_DEV_STATUS);
	vd_dev_raise_driver(d, UVDPA_DEV_STATUS);
}

static void start_queues(struct vd_dev *d)
{
	int r;

	for (unsigned int i = 0; i < d->gate.nvqs; i++) {
		struct vd_gate_vq *q = &d->gate.vqs[i];

		if (q->running || !vd_gate_vq_should_run(d, q))
			continue;
		r = vd_gate_vq_start(d, i);
		if (r)
			break_queue(d, i, vd_err_text());
	}
}

void vd_gate_settle(struct vd_dev *d)
{
	struct vd_gate *g = &d->gate;

	if (!g->vqs)
		return;
	g->again = true;
	if (g->settling)	/* a parent answered from within quiesce, say */
		return;
	g->settling = true;
	while (g->again) {
		g->again = false;
		stop_queues(d);
		end_ops(d);
		start_queues(d);
	}
	g->settling = false;
	timer_update(d);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

/* A write to a full eventfd is let go half way, so that there is time left to come home. */
static uint64_t unblock_ns(const struct vd_dev *d)
{
	const struct vd_gate *g = &d->gate;

	return g->quiescing_since_ns && !g->unblocked ?
		       g->quiescing_since_ns + UVDPA_DRAIN_MS / 2 * 1000000ull : 0;
}

static void timer_update(struct vd_dev *d)
{
	struct vd_gate *g = &d->gate;
	uint64_t due = unblock_ns(d), now;

	due = earlier(due, g->reset.due_ns);
	due = earlier(due, g->suspend.due_ns);
	due = earlier(due, g->commit.due_ns);
	for (unsigned int i = 0; i < d->gate.nvqs; i++)
		due = earlier(due, g->vqs[i].disable.due_ns);
	if (!due) {
		vd_timer_del(&d->u->loop, &g->timer);
		return;
	}
	now = vd_now_ns();
	vd_timer_set(&d->u->loop, &g->timer, due > now ? (due - now + 999999) / 1000000 : 0);
}

static void timer_fired(struct vd_timer *t)
{
	struct vd_dev *d = container_of(t, struct vd_dev, gate.timer);
	struct vd_gate *g = &d->gate;
	uint64_t now = vd_now_ns(), due = unblock_ns(d);

	if (due && due <= now) {
		g->unblocked = true;
		vd_gate_vq_unblock(d);
	}
	for (unsigned int i = 0; i < d->gate.nvqs; i++)
		if (g->vqs[i].disable.due_ns && g->vqs[i].disable.due_ns <= now)
			op_late(d, &g->vqs[i].disable, "disable a queue");
	if (g->suspend.due_ns && g->suspend.due_ns <= now)
		op_late(d, &g->suspend, "suspend");
	if (g->commit.due_ns && g->commit.due_ns <= now)
		op_late(d, &g->commit, "change memory");
	if (g->reset.due_ns && g->reset.due_ns <= now)
		op_late(d, &g->reset, "reset");
	vd_gate_settle(d);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void op_init(struct vd_op *op)
{
	*op = (struct vd_op){ 0 };
	vd_list_init(&op->waiters);
}

void vd_gate_init(struct vd_dev *d)
{
	op_init(&d->gate.reset);
	op_init(&d->gate.suspend);
	op_init(&d->gate.commit);
	d->gate.timer.fn = timer_fired;
}

int vd_gate_open(struct vd_dev *d)
{
	const struct uvdpa_dev_info *info = &d->dev->info;
	struct vd_gate *g = &d->gate;

	if (!info->nvqs || info->nvqs > VQS_MAX)
		return vd_err(-EINVAL, "%s: %u queues, not 1 to %u", d->name, info->nvqs, VQS_MAX);
	if (!info->vq_num_max || info->vq_num_max > 32768 ||
	    (info->vq_num_max & (info->vq_num_max - 1)) || info->vq_num_min > info->vq_num_max)
		return vd_err(-EINVAL, "%s: queues of %u to %u entries", d->name, info->vq_num_min,
			      info->vq_num_max);
	for (unsigned int i = 0; d->dev->vq_groups && i < info->nvqs; i++)
		if (d->dev->vq_groups[i] >= info->ngroups)
			return vd_err(-EINVAL, "%s: queue %u is in group %u of %u", d->name, i,
				      d->dev->vq_groups[i], info->ngroups);

	g->as = calloc(info->nas, sizeof(*g->as));
	g->group_asid = calloc(info->ngroups, sizeof(*g->group_asid));
	g->vqs = calloc(info->nvqs, sizeof(*g->vqs));
	g->nvqs = g->vqs ? info->nvqs : 0;
	g->nas = g->as ? info->nas : 0;
	for (unsigned int i = 0; i < g->nvqs; i++) {
		vd_gate_vq_init(&g->vqs[i], info);
		op_init(&g->vqs[i].disable);
	}
	for (unsigned int i = 0; i < g->nas; i++) {
		g->as[i].live = vd_mem_create();
		if (!g->as[i].live)
			return vd_err(-ENOMEM, "%s: out of memory", d->name);
	}
	if (!g->as || !g->group_asid || !g->vqs)
		return vd_err(-ENOMEM, "%s: out of memory", d->name);
	return 0;
}

void vd_gate_fini(struct vd_dev *d)
{
	struct vd_gate *g = &d->gate;

	vd_timer_del(&d->u->loop, &g->timer);
	for (unsigned int i = 0; i < g->nvqs; i++)
		vd_gate_vq_fini(&g->vqs[i]);
	for (unsigned int i = 0; i < g->nas; i++) {
		vd_mem_destroy(g->as[i].live);
		vd_mem_destroy(g->as[i].staged);
	}
	free(g->vqs);
	free(g->as);
	free(g->group_asid);
}

/* ---- reset and status ---------------------------------------------------------------------- */

int vd_gate_reset(struct vd_dev *d, unsigned int ms, struct uvdpa_wait *w)
{
	return vd_gate_op(d, &d->gate.reset, ms, w);
}

int uvdpa_dev_reset(struct uvdpa_dev *dev, struct uvdpa_wait *w)
{
	struct vd_dev *d = dev->core;

	if (!d->known || d->bind.gone)
		return vd_gate_usable(dev);
	return vd_gate_reset(d, UVDPA_DRAIN_MS, w);
}

void vd_gate_forget_maps(struct vd_dev *d)
{
	if (d->gate.reset.pending)
		d->gate.forget_maps = true;
	else if (d->known)
		vd_gate_mem_forget(d);
}

/* What a driver could not know to be there, so must not be seen to have cleared. */
#define DEVICE_BITS VIRTIO_CONFIG_S_NEEDS_RESET

static int set_driver_ok(struct vd_dev *d, uint8_t status)
{
	struct vd_gate *g = &d->gate;
	uint8_t old = g->status;
	int r;

	/* The queues are told first, as Linux's drivers do: not every device takes them later. */
	g->status |= VIRTIO_CONFIG_S_DRIVER_OK;
	vd_gate_settle(d);
	r = d->dev->ops->set_status(d->dev, status);
	if (r) {
		g->status = (old & ~DEVICE_BITS) | (g->status & DEVICE_BITS);
		vd_gate_settle(d);
	}
	return r;
}

static int check_status(struct vd_dev *d, uint8_t status)
{
	uint8_t old = d->gate.status & ~DEVICE_BITS;
	uint64_t offered = d->dev->info.features;

	if (!status || (old & ~status))
		return vd_err(-EINVAL, "%s: status 0x%02x after 0x%02x clears bits", d->name,
			      status, d->gate.status);
	if (status & ~STATUS_BITS || (status & DEVICE_BITS & ~d->gate.status))
		return vd_err(-EINVAL, "%s: status 0x%02x has bits that are not the driver's",
			      d->name, status);
	if ((status & VIRTIO_CONFIG_S_DRIVER_OK) && !(status & VIRTIO_CONFIG_S_FEATURES_OK))
		return vd_err(-EINVAL, "%s: status 0x%02x: DRIVER_OK without FEATURES_OK", d->name,
			      status);
	/* virtio 1.3, 6.2: a device may refuse a driver that is not of version 1 */
	if ((status & ~old & VIRTIO_CONFIG_S_FEATURES_OK) &&
	    (offered & ~d->gate.features & 1ull << VIRTIO_F_VERSION_1))
		return vd_err(-EINVAL, "%s: the driver does not take VERSION_1", d->name);
	return 0;
}

int uvdpa_dev_set_status(struct uvdpa_dev *dev, uint8_t status)
{
	struct vd_dev *d = dev->core;
	struct vd_gate *g = &d->gate;
	uint8_t added;
	int r = vd_gate_usable(dev);

	if (!r)
		r = check_status(d, status);
	if (r)
		return r;
	status &= ~DEVICE_BITS;
	added = status & ~g->status;
	if (!added)
		return 0;
	vd_trace(&d->u->log, d->name, "set_status 0x%02x", status);
	if (added & VIRTIO_CONFIG_S_DRIVER_OK)
		r = set_driver_ok(d, status);
	else
		r = dev->ops->set_status(dev, status);
	if (r)
		return r;
	g->status |= status;
	vd_dev_raise(d, UVDPA_DEV_STATUS);
	return 0;
}

uint8_t uvdpa_dev_status(const struct uvdpa_dev *dev)
{
	return dev->core->gate.status;
}

/* ---- features ------------------------------------------------------------------------------ */

int uvdpa_dev_set_features(struct uvdpa_dev *dev, uint64_t features)
{
	struct vd_dev *d = dev->core;
	int r = vd_gate_usable(dev);

	if (r)
		return r;
	if (d->gate.status & VIRTIO_CONFIG_S_FEATURES_OK)
		return vd_err(-EBUSY, "%s: features after FEATURES_OK", d->name);
	if (features & ~dev->info.features)
		return vd_err(-EOPNOTSUPP, "%s: features 0x%llx are not offered", d->name,
			      (unsigned long long)(features & ~dev->info.features));
	vd_trace(&d->u->log, d->name, "set_features 0x%llx", (unsigned long long)features);
	r = dev->ops->set_features(dev, features);
	if (r)
		return r;
	d->gate.features = features;
	d->gate.features_set = true;
	return 0;
}

uint64_t uvdpa_dev_driver_features(const struct uvdpa_dev *dev)
{
	return dev->core->gate.features;
}

uint64_t uvdpa_dev_features(const struct uvdpa_dev *dev)
{
	const struct vd_gate *g = &dev->core->gate;

	return g->status & VIRTIO_CONFIG_S_FEATURES_OK ? g->features : 0;
}

/* ---- configuration space ------------------------------------------------------------------- */

static int check_config(struct uvdpa_dev *dev, uint32_t off, uint32_t len)
{
	uint32_t size = dev->info.config_size;

	if (!len || off > size || len > size - off)
		return vd_err(-EINVAL, "%s: %u bytes at %u of a configuration of %u",
			      dev->core->name, len, off, size);
	return 0;
}

int uvdpa_dev_get_config(struct uvdpa_dev *dev, uint32_t off, void *buf, uint32_t len)
{
	struct vd_dev *d = dev->core;
	int r;

	if (!d->known || d->bind.gone)
		return vd_gate_usable(dev);
	r = check_config(dev, off, len);
	return r ? r : dev->ops->get_config(dev, off, buf, len);
}

int uvdpa_dev_set_config(struct uvdpa_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
	int r = vd_gate_usable(dev);

	if (!r)
		r = check_config(dev, off, len);
	if (r)
		return r;
	vd_trace(&dev->core->u->log, dev->core->name, "set_config %u+%u", off, len);
	return dev->ops->set_config(dev, off, buf, len);
}

uint32_t uvdpa_dev_generation(const struct uvdpa_dev *dev)
{
	return dev->core->gate.generation;
}

/* ---- suspend ------------------------------------------------------------------------------- */

int uvdpa_dev_suspend(struct uvdpa_dev *dev, struct uvdpa_wait *w)
{
	struct vd_dev *d = dev->core;
	int r = vd_gate_usable(dev);

	if (r || !(d->gate.status & VIRTIO_CONFIG_S_DRIVER_OK))
		return r;
	d->gate.suspended = true;
	return vd_gate_op(d, &d->gate.suspend, UVDPA_DRAIN_MS, w);
}

int uvdpa_dev_resume(struct uvdpa_dev *dev)
{
	struct vd_dev *d = dev->core;
	int r = vd_gate_usable(dev);

	if (r)
		return r;
	if (d->gate.suspend.pending)
		return vd_err(-EBUSY, "%s: a suspend is under way", d->name);
	d->gate.suspended = false;
	vd_gate_settle(d);
	return 0;
}

/* ---- what the parent tells ----------------------------------------------------------------- */

void uvdpa_dev_quiesced(struct uvdpa_dev *dev, unsigned int idx)
{
	struct vd_dev *d = dev->core;

	vd_trace(&d->u->log, d->name, "quiesced %d", (int)idx);
	if (idx != UVDPA_VQ_ALL) {
		vd_gate_vq_stopped(d, idx);
	} else {
		for (unsigned int i = 0; i < dev->info.nvqs; i++)
			vd_gate_vq_stopped(d, i);
	}
	vd_gate_settle(d);
}

void uvdpa_dev_config_changed(struct uvdpa_dev *dev)
{
	struct vd_dev *d = dev->core;

	d->gate.generation++;
	vd_dev_raise(d, UVDPA_DEV_CONFIG);
	vd_dev_raise_driver(d, UVDPA_DEV_CONFIG);
}

void uvdpa_dev_vq_broken(struct uvdpa_dev *dev, unsigned int idx, int err)
{
	/* The sentence, if there is one, is the data thread's. */
	break_queue(dev->core, idx, strerror(-err));
	vd_gate_settle(dev->core);
}

int vd_gate_replay(struct vd_dev *d)
{
	const struct uvdpa_dev_ops *ops = d->dev->ops;
	struct vd_gate *g = &d->gate;
	uint8_t status = g->status & ~(DEVICE_BITS | VIRTIO_CONFIG_S_DRIVER_OK);
	int r = 0;

	/* Whatever ran there does not run any more; where it stood, only the parent can know. */
	for (unsigned int i = 0; i < d->gate.nvqs; i++)
		if (g->vqs[i].running) {
			g->vqs[i].quiescing = true;
			vd_gate_vq_stopped(d, i);
		}
	if (g->features_set)
		r = ops->set_features(d->dev, g->features);
	if (!r && status)
		r = ops->set_status(d->dev, status);
	if (!r)
		r = vd_gate_mem_replay(d);
	if (!r) {
		vd_gate_settle(d);
		if (g->status & VIRTIO_CONFIG_S_DRIVER_OK)
			r = ops->set_status(d->dev, g->status & ~DEVICE_BITS);
	}
	/* Nothing runs on what is there by half. */
	for (unsigned int i = 0; r && i < g->nvqs; i++)
		if (g->vqs[i].enabled)
			break_queue(d, i, vd_err_text());
	return r;
}
