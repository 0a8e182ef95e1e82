/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * settle.c - the gate: what makes queues start and stop
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

#include "base/err.h"
#include "base/probe.h"
#include "core/dev.h"

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
		vd_probe(gate, d->name, "quiesce", i, 0);
		ops->quiesce(d->dev, i);
	}
	if (!others) {
		vd_trace(&d->u->log, d->name, "quiesce all");
		vd_probe(gate, d->name, "quiesce", UVDPA_VQ_ALL, 0);
		ops->quiesce(d->dev, UVDPA_VQ_ALL);
	}
}

static void reset_now(struct vd_dev *d)
{
	struct vd_gate *g = &d->gate;
	bool changed = g->status != 0;

	vd_trace(&d->u->log, d->name, "reset");
	vd_probe(gate, d->name, "reset", 0, 0);
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
		reset_now(d);
		op_end(d, &g->reset, 0);
		vd_bind_home(d);
	}
}

void vd_gate_break(struct vd_dev *d, unsigned int idx, const char *why)
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
			vd_gate_break(d, i, vd_err_text());
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
		       g->quiescing_since_ns + d->u->drain_ms / 2 * 1000000ull : 0;
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

static bool is_late(const struct vd_op *op, uint64_t now, bool all)
{
	return op->due_ns && (all || op->due_ns <= now);
}

void vd_gate_timer(struct vd_timer *t)
{
	struct vd_dev *d = container_of(t, struct vd_dev, gate.timer);
	struct vd_gate *g = &d->gate;
	uint64_t now = vd_now_ns(), due = unblock_ns(d);
	bool all;

	if (due && due <= now) {
		g->unblocked = true;
		vd_gate_vq_unblock(d);
	}
	/* A reset that is given up takes with it what waits for the same; that is told first. */
	all = is_late(&g->reset, now, false);
	for (unsigned int i = 0; i < d->gate.nvqs; i++)
		if (is_late(&g->vqs[i].disable, now, all))
			op_late(d, &g->vqs[i].disable, "disable a queue");
	if (is_late(&g->suspend, now, all))
		op_late(d, &g->suspend, "suspend");
	if (is_late(&g->commit, now, all))
		op_late(d, &g->commit, "change memory");
	if (all)
		op_late(d, &g->reset, "reset");
	vd_gate_settle(d);
}
