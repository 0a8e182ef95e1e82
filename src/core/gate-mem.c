/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gate-mem.c - the gate: memory
 *
 * An address space has a table in force and, while changes are staged, a second one. Commit puts
 * the second in the place of the first when every queue is quiet. A parent whose datapath is
 * elsewhere is told the difference; if it refuses, it is told the way back.
 */
#include <errno.h>
#include <linux/virtio_config.h>

#include "base/err.h"
#include "core/dev.h"

const struct vd_mem *vd_dev_mem(const struct uvdpa_dev *dev, unsigned int idx)
{
	const struct vd_gate *g = &dev->core->gate;
	unsigned int group = dev->vq_groups ? dev->vq_groups[idx] : 0;

	return g->as[g->group_asid[group]].live;
}

/* ---- telling a parent ---------------------------------------------------------------------- */

static bool has(const struct vd_mem *mem, const struct vd_region *r)
{
	const struct vd_region *there = vd_mem_find(mem, r->first, 1);

	return there && there->mapping == r->mapping;
}

static int tell_unmap(struct vd_dev *d, unsigned int asid, const struct uvdpa_map *m)
{
	vd_trace(&d->u->log, d->name, "unmap %u 0x%llx+0x%llx", asid, (unsigned long long)m->iova,
		 (unsigned long long)m->len);
	return d->dev->mem->unmap(d->dev, asid, m->iova, m->len);
}

static int tell_map(struct vd_dev *d, unsigned int asid, const struct uvdpa_map *m)
{
	vd_trace(&d->u->log, d->name, "map %u 0x%llx+0x%llx", asid, (unsigned long long)m->iova,
		 (unsigned long long)m->len);
	return d->dev->mem->map(d->dev, asid, m);
}

/* The first @unmaps and @maps steps of a change were told; tell the way back. */
static int tell_undo(struct vd_dev *d, unsigned int asid, const struct vd_mem *from,
		     const struct vd_mem *to, unsigned int unmaps, unsigned int maps)
{
	int r = 0;

	for (unsigned int i = 0; !r && i < maps; i++)
		if (!has(from, &to->regions[i]))
			r = tell_unmap(d, asid, &to->regions[i].mapping->map);
	for (unsigned int i = 0; !r && i < unmaps; i++)
		if (!has(to, &from->regions[i]))
			r = tell_map(d, asid, &from->regions[i].mapping->map);
	return r ? r : d->dev->mem->commit(d->dev, asid);
}

static void tell_failed_back(struct vd_dev *d, int r)
{
	if (!r)
		return;
	vd_log_error(&d->u->log, d->name, "memory is not as it was: %s", vd_err_text());
	d->gate.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	vd_dev_raise(d, UVDPA_DEV_STATUS);
	vd_dev_raise_driver(d, UVDPA_DEV_STATUS);
}

/* Make of table @from the table @to; tables share the mappings that they have in common. */
static int tell_change(struct vd_dev *d, unsigned int asid, const struct vd_mem *from,
		       const struct vd_mem *to)
{
	unsigned int unmaps, maps = 0;
	int r = 0;

	for (unmaps = 0; unmaps < from->n; unmaps++) {
		if (has(to, &from->regions[unmaps]))
			continue;
		r = tell_unmap(d, asid, &from->regions[unmaps].mapping->map);
		if (r)
			goto err_undo;
	}
	for (maps = 0; maps < to->n; maps++) {
		if (has(from, &to->regions[maps]))
			continue;
		r = tell_map(d, asid, &to->regions[maps].mapping->map);
		if (r)
			goto err_undo;
	}
	return d->dev->mem->commit(d->dev, asid);

err_undo:
	tell_failed_back(d, tell_undo(d, asid, from, to, unmaps, maps));
	return r;
}

/* ---- commit -------------------------------------------------------------------------------- */

static bool is_staged(const struct vd_dev *d)
{
	for (unsigned int i = 0; i < d->gate.nas; i++)
		if (d->gate.as[i].staged)
			return true;
	return false;
}

int vd_gate_mem_commit(struct vd_dev *d)
{
	unsigned int n = d->gate.nas, asid;
	struct vd_as *as = d->gate.as;
	int r;

	for (asid = 0; d->dev->mem && asid < n; asid++) {
		if (!as[asid].staged)
			continue;
		r = tell_change(d, asid, as[asid].live, as[asid].staged);
		if (r)
			goto err_back;
	}
	for (asid = 0; asid < n; asid++) {
		if (!as[asid].staged)
			continue;
		vd_mem_destroy(as[asid].live);
		as[asid].live = as[asid].staged;
		as[asid].staged = NULL;
	}
	return 0;

err_back:
	while (asid--)
		if (as[asid].staged)
			tell_failed_back(d, tell_change(d, asid, as[asid].staged, as[asid].live));
	return r;
}

int vd_gate_mem_replay(struct vd_dev *d)
{
	int r = 0;

	for (unsigned int asid = 0; d->dev->mem && !r && asid < d->gate.nas; asid++) {
		const struct vd_mem *live = d->gate.as[asid].live;

		if (!live->n)
			continue;
		for (unsigned int i = 0; !r && i < live->n; i++)
			r = tell_map(d, asid, &live->regions[i].mapping->map);
		if (!r)
			r = d->dev->mem->commit(d->dev, asid);
	}
	return r;
}

void vd_gate_mem_forget(struct vd_dev *d)
{
	for (unsigned int asid = 0; asid < d->gate.nas; asid++) {
		struct vd_as *as = &d->gate.as[asid];
		int r = 0;

		vd_mem_destroy(as->staged);
		as->staged = NULL;
		if (d->dev->mem && as->live->n) {
			for (unsigned int i = 0; !r && i < as->live->n; i++)
				r = tell_unmap(d, asid, &as->live->regions[i].mapping->map);
			if (!r)
				r = d->dev->mem->commit(d->dev, asid);
			tell_failed_back(d, r);
		}
		/* Needs no memory, so it cannot fail: nothing is half inside of everything. */
		vd_mem_unmap(as->live, 0, UINT64_MAX);
		vd_mem_unmap(as->live, UINT64_MAX, 1);
	}
	for (unsigned int i = 0; i < d->dev->info.ngroups; i++)
		d->gate.group_asid[i] = 0;
	vd_gate_inflight_forget(d);
}

/* ---- what a driver calls ------------------------------------------------------------------- */

/* Known, not gone, and no commit reads what would be changed. A reset does not matter here. */
static int check(const struct uvdpa_dev *dev, unsigned int asid)
{
	const struct vd_dev *d = dev->core;
	int r = vd_gate_present(dev);

	if (r)
		return r;
	if (asid >= dev->info.nas)
		return vd_err(-EINVAL, "%s: address space %u of %u", d->name, asid, dev->info.nas);
	if (d->gate.commit.pending)
		return vd_err(-EBUSY, "%s: a change of memory is under way", d->name);
	return 0;
}

static int stage(struct vd_dev *d, unsigned int asid)
{
	struct vd_as *as = &d->gate.as[asid];

	if (!as->staged)
		as->staged = vd_mem_copy(as->live);
	return as->staged ? 0 : vd_err(-ENOMEM, "%s: out of memory", d->name);
}

int uvdpa_dev_map(struct uvdpa_dev *dev, unsigned int asid, const struct uvdpa_map *map)
{
	const struct uvdpa_dev_info *info = &dev->info;
	struct vd_dev *d = dev->core;
	uint64_t last = map->iova + map->len - 1;
	int r = check(dev, asid);

	if (r)
		return r;
	if (!map->len || last < map->iova || map->iova < info->iova_first ||
	    last > info->iova_last)
		return vd_err(-EINVAL, "%s: mapping 0x%llx+0x%llx, not inside 0x%llx-0x%llx",
			      d->name, (unsigned long long)map->iova, (unsigned long long)map->len,
			      (unsigned long long)info->iova_first,
			      (unsigned long long)info->iova_last);
	r = stage(d, asid);
	return r ? r : vd_mem_map(&d->gate.as[asid].staged, map, !dev->mem);
}

int uvdpa_dev_unmap(struct uvdpa_dev *dev, unsigned int asid, uint64_t iova, uint64_t len)
{
	int r = check(dev, asid);

	if (!r)
		r = stage(dev->core, asid);
	return r ? r : vd_mem_unmap(dev->core->gate.as[asid].staged, iova, len);
}

int uvdpa_dev_commit(struct uvdpa_dev *dev, struct uvdpa_wait *w)
{
	struct vd_dev *d = dev->core;
	int r = check(dev, 0);

	if (r || !is_staged(d))
		return r;
	return vd_gate_op(d, &d->gate.commit, UVDPA_DRAIN_MS, w);
}

void uvdpa_dev_rollback(struct uvdpa_dev *dev)
{
	if (check(dev, 0))
		return;
	for (unsigned int i = 0; i < dev->info.nas; i++) {
		vd_mem_destroy(dev->core->gate.as[i].staged);
		dev->core->gate.as[i].staged = NULL;
	}
}

int uvdpa_dev_set_group_asid(struct uvdpa_dev *dev, unsigned int group, unsigned int asid)
{
	struct vd_dev *d = dev->core;
	int r = check(dev, asid);

	if (r)
		return r;
	if (group >= dev->info.ngroups)
		return vd_err(-EINVAL, "%s: group %u of %u", d->name, group, dev->info.ngroups);
	if (d->gate.status & VIRTIO_CONFIG_S_DRIVER_OK)
		return vd_err(-EBUSY, "%s: address space of a group after DRIVER_OK", d->name);
	/* No operation tells a datapath elsewhere. */
	if (dev->mem && asid != d->gate.group_asid[group])
		return vd_err(-EOPNOTSUPP, "%s: its groups stay where they are", d->name);
	d->gate.group_asid[group] = asid;
	return 0;
}
