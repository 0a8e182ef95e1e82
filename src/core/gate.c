/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gate.c - the one place that calls a parent's operations: life, status, features, configuration
 *
 * Everything is checked and recorded here, and in gate-vq.c and gate-mem.c; settle.c does what
 * takes time.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/probe.h"
#include "core/dev.h"

#define STATUS_BITS                                                                              \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK |     \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)
#define VQS_MAX 65536u	/* a queue's index is 16 bits (virtio 1.3, 2.9) */

int vd_gate_present(const struct uvdpa_dev *dev)
{
	const struct vd_dev *d = dev->core;
	int r = vd_ctx_mine(d->u);

	if (r)
		return r;
	if (!d->known || d->bind.gone)
		return vd_err(-ENODEV, "%s is %s", d->name, d->known ? "gone" : "not ready");
	/* What a driver began before is told to it before remove; nothing may come after. */
	if (d->bind.step == VD_BIND_DRAIN)
		return vd_err(-ENODEV, "%s is being taken from its driver", d->name);
	return 0;
}

int vd_gate_usable(const struct uvdpa_dev *dev)
{
	int r = vd_gate_present(dev);

	if (!r && dev->core->gate.reset.pending)
		return vd_err(-EBUSY, "%s: a reset is under way", dev->core->name);
	return r;
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
	d->gate.timer.fn = vd_gate_timer;
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
	vd_gate_inflight_forget(d);
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
	int r = vd_gate_present(dev);

	return r ? r : vd_gate_reset(dev->core, UVDPA_DRAIN_MS, w);
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
	vd_probe(gate, d->name, "set_status", status, 0);
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
	vd_probe(gate, d->name, "set_features", features, 0);
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
	int r = vd_gate_present(dev);

	if (!r)
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
	vd_probe(gate, dev->core->name, "set_config", off, len);
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

	if (!vd_ctx_admits(d->u, __func__))
		return;
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

	if (!vd_ctx_admits(d->u, __func__))
		return;
	d->gate.generation++;
	vd_dev_raise(d, UVDPA_DEV_CONFIG);
	vd_dev_raise_driver(d, UVDPA_DEV_CONFIG);
}

void uvdpa_dev_vq_broken(struct uvdpa_dev *dev, unsigned int idx)
{
	if (!vd_ctx_admits(dev->core->u, __func__))
		return;
	vd_gate_break(dev->core, idx, vd_err_text());
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
			vd_gate_break(d, i, vd_err_text());
	return r;
}
