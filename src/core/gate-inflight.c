/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gate-inflight.c - the gate: where a device notes which requests it has
 *
 * The region belongs to the driver's peer and outlives this process. It is the gate's as long as a
 * queue may write to it, as guest memory is: a driver may be gone before the last request is home.
 */
#include <errno.h>
#include <linux/virtio_config.h>

#include "base/err.h"
#include "core/dev.h"
#include "virtq/virtq.h"

static uint64_t part_size(const struct vd_dev *d, unsigned int num)
{
	return vd_virtq_inflight_size(d->gate.features & 1ull << VIRTIO_F_RING_PACKED, num);
}

int vd_gate_inflight(const struct vd_dev *d, unsigned int idx, struct uvdpa_vq *vq)
{
	const struct vd_gate *g = &d->gate;
	uint64_t size = part_size(d, g->inflight_num);

	vq->inflight = NULL;
	vq->inflight_num = 0;
	if (!g->inflight || idx >= g->inflight_vqs)
		return 0;
	vq->inflight = vd_guest_expose(vd_mem_at(g->inflight, idx * size, size, UVDPA_MAP_RW));
	vq->inflight_num = (uint16_t)g->inflight_num;
	/* It was taken before it was known whether rings are packed, say. */
	return vq->inflight ? 0 : vd_err(-EINVAL, "%s: queue %u: the in-flight region ends before",
					 d->name, idx);
}

void vd_gate_inflight_forget(struct vd_dev *d)
{
	vd_mem_destroy(d->gate.inflight);
	d->gate.inflight = NULL;
}

void vd_dev_inflight_forget(struct uvdpa_dev *dev, unsigned int idx)
{
	struct vd_dev *d = dev->core;
	struct uvdpa_vq vq;

	if (d->known && idx < d->gate.nvqs && !d->gate.vqs[idx].running &&
	    !vd_gate_inflight(d, idx, &vq) && vq.inflight)
		vd_virtq_inflight_forget(vd_guest_wrap(void, vq.inflight));
}

static int check_region(struct vd_dev *d, const struct uvdpa_map *map, unsigned int nvqs,
			unsigned int num)
{
	const struct uvdpa_dev_info *info = &d->dev->info;

	if (!nvqs || nvqs > info->nvqs || !num || num > VD_VIRTQ_NUM_MAX)
		return vd_err(-EINVAL, "%s: in-flight region for %u queues of %u, not %u of %u",
			      d->name, nvqs, num, info->nvqs, VD_VIRTQ_NUM_MAX);
	if (map->len < nvqs * part_size(d, num))
		return vd_err(-EINVAL, "%s: in-flight region of %llu bytes for %u queues of %u",
			      d->name, (unsigned long long)map->len, nvqs, num);
	return 0;
}

int vd_dev_set_inflight(struct uvdpa_dev *dev, const struct uvdpa_map *map, unsigned int nvqs,
			unsigned int num)
{
	struct vd_dev *d = dev->core;
	struct vd_mem *mem = NULL;
	int r = vd_gate_usable(dev);

	if (!r && !vd_gate_quiet(d))
		r = vd_err(-EBUSY, "%s: in-flight region, and queues run", d->name);
	if (!r && map && !dev->inflight)
		r = vd_err(-EOPNOTSUPP, "%s: does not tell which requests it has", d->name);
	if (!r && map)
		r = check_region(d, map, nvqs, num);
	if (r)
		return r;
	if (map) {
		mem = vd_mem_create();
		if (!mem)
			return vd_err(-ENOMEM, "%s: out of memory", d->name);
		r = vd_mem_map(&mem, map, true);
		if (r) {
			vd_mem_destroy(mem);
			return vd_err_prefix(r, "in-flight region: ");
		}
	}
	vd_gate_inflight_forget(d);
	d->gate.inflight = mem;
	d->gate.inflight_vqs = nvqs;
	d->gate.inflight_num = num;
	return 0;
}
