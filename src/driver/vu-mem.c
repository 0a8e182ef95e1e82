/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vu-mem.c - memory regions of a front-end
 *
 * A change is staged in the gate first, so that a table which cannot be has no effect. Rings that
 * run in memory which goes or moves are stopped for the change, and run again when a later table
 * has their memory: QEMU takes a region away and brings it back larger.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "driver/vu.h"

/* From an address of the front-end to the guest's. */
static int gpa_of(const struct vd_vus_mem *mem, uint64_t uva, uint64_t *ret_gpa)
{
	for (unsigned int i = 0; i < mem->n; i++) {
		const struct vd_vu_region *r = &mem->regions[i];

		if (uva - r->uva < r->size) {	/* below it: wraps, and is larger */
			*ret_gpa = r->gpa + (uva - r->uva);
			return 0;
		}
	}
	return vd_err(-EFAULT, "address 0x%llx of the front-end is in none of %u regions",
		      (unsigned long long)uva, mem->n);
}

int vd_vus_ring_gpa(const struct vd_vus_mem *mem, const struct vd_vus_ring *r, uint64_t ret_gpa[3])
{
	int e = gpa_of(mem, r->addr.desc, &ret_gpa[0]);

	if (!e)
		e = gpa_of(mem, r->addr.avail, &ret_gpa[1]);
	if (!e)
		e = gpa_of(mem, r->addr.used, &ret_gpa[2]);
	return e;
}

/* Neither wraps. */
static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a - b < b_len || b - a < a_len;
}

/* Room in the table to come for @n regions, as far as there may be so many. */
static int reserve(struct vd_vus_session *s, unsigned int n)
{
	size_t size = vd_min(n, (unsigned int)VD_VU_SLOTS_MAX) * sizeof(struct vd_vu_region);
	struct vd_vu_region *regions = realloc(s->next.regions, vd_max(size, (size_t)1));

	if (!regions)
		return vd_err(-ENOMEM, "no memory for a table of %u regions", n);
	s->next.regions = regions;
	return 0;
}

/* The table to come begins as the one that is, with room for one more. */
static int begin_with_mine(struct vd_vus_session *s)
{
	int err = reserve(s, s->mem.n + 1);

	if (err)
		return err;
	s->next.n = s->mem.n;
	for (unsigned int i = 0; i < s->mem.n; i++)
		s->next.regions[i] = s->mem.regions[i];
	return 0;
}

/* Stage one more region, for which there is room. Overlaps of guest addresses and the file's length are the gate's to see. */
static int stage_region(struct vd_vus_session *s, const struct vd_vu_region *r, int fd)
{
	struct uvdpa_map map = { .iova = r->gpa, .len = r->size, .fd = fd,
				 .offset = r->mmap_offset, .prot = UVDPA_MAP_RW };
	unsigned long long size = r->size;
	uint64_t end;
	struct stat st;

	if (s->next.n == VD_VU_SLOTS_MAX)
		return vd_err(-ENOSPC, "more than %d regions", VD_VU_SLOTS_MAX);
	if (!size || __builtin_add_overflow(r->gpa, size, &end) ||
	    __builtin_add_overflow(r->uva, size, &end) ||
	    __builtin_add_overflow(r->mmap_offset, size, &end))
		return vd_err(-EINVAL, "region 0x%llx: 0x%llx bytes: empty, or over the end",
			      (unsigned long long)r->gpa, size);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return vd_err(-EINVAL, "region 0x%llx: its descriptor is not a file",
			      (unsigned long long)r->gpa);
	for (unsigned int i = 0; i < s->next.n; i++)
		if (overlap(r->uva, r->size, s->next.regions[i].uva, s->next.regions[i].size))
			return vd_err(-EEXIST, "region 0x%llx: overlaps another in the front-end",
				      (unsigned long long)r->gpa);
	s->next.regions[s->next.n++] = *r;
	return uvdpa_dev_map(s->dev, 0, &map);
}

/* Rings that could not run, or had to stop for the change, may run now. */
static void run_rings(struct vd_vus_session *s)
{
	for (unsigned int i = 0; i < s->nrings; i++)
		if (vd_vus_ring_run(s, i))
			vd_vus_complain(s, "a queue waits");
}

static int committed(struct vd_vus_session *s, int err)
{
	struct vd_vus_mem was = s->mem;

	if (err) {
		uvdpa_dev_rollback(s->dev);
	} else {
		s->mem = s->next;
		s->next = was;
	}
	if (err != -ETIMEDOUT)
		run_rings(s);
	return err;
}

/* Does the table to come have the ring elsewhere than where it runs? */
static bool ring_moves(const struct vd_vus_session *s, const struct vd_vus_ring *r)
{
	uint64_t gpa[3] = { 0 };

	return vd_vus_ring_gpa(&s->next, r, gpa) || gpa[0] != r->desc || gpa[1] != r->driver ||
	       gpa[2] != r->device;
}

static int parked(struct vd_vus_session *s, int err);

/* Stop the rings that would lose their memory, one after another; then commit. */
static int park_next(struct vd_vus_session *s)
{
	for (unsigned int i = 0; i < s->nrings; i++)
		if (s->rings[i].running && ring_moves(s, &s->rings[i])) {
			s->cursor = i;
			return vd_vus_then(s, uvdpa_dev_disable_vq(s->dev, i, &s->wait), parked);
		}
	return vd_vus_then(s, uvdpa_dev_commit(s->dev, &s->wait), committed);
}

static int parked(struct vd_vus_session *s, int err)
{
	if (!err)
		err = vd_vus_ring_stopped(s, s->cursor);
	return err ? committed(s, err) : park_next(s);
}

/* What was staged counts, or, if @err, nothing of it. */
static int change(struct vd_vus_session *s, int err)
{
	if (!err)
		return park_next(s);
	uvdpa_dev_rollback(s->dev);
	return err;
}

int vd_vus_set_mem_table(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	int err = uvdpa_dev_unmap(s->dev, 0, 0, UINT64_MAX);

	(void)reply;
	if (!err)
		err = reserve(s, m->mem.n);
	s->next.n = 0;
	for (unsigned int i = 0; i < m->mem.n && !err; i++)
		err = stage_region(s, &m->mem.regions[i], m->fds[i]);
	return change(s, err);
}

/* Return: the place in the table to come of a region like @r; its length: there is none. */
static unsigned int find(const struct vd_vus_mem *t, const struct vd_vu_region *r)
{
	unsigned int i = 0;

	while (i < t->n && (t->regions[i].gpa != r->gpa || t->regions[i].uva != r->uva ||
			    t->regions[i].size != r->size))
		i++;
	return i;
}

/*
 * QEMU 7.2 adds and removes each region once for each pair of a network device. So the same one
 * may be there several times; it is mapped with the first and unmapped with the last of them.
 */
int vd_vus_add_mem_reg(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	const struct vd_vu_region *r = &m->slot.region;
	struct vd_vus_mem *t = &s->next;
	int err = begin_with_mine(s);
	unsigned int same;

	(void)reply;
	if (err)
		return change(s, err);
	same = find(t, r);
	if (same == t->n || t->n == VD_VU_SLOTS_MAX ||
	    t->regions[same].mmap_offset != r->mmap_offset)
		return change(s, stage_region(s, r, m->fds[0]));
	t->regions[t->n++] = *r;
	return committed(s, 0);
}

int vd_vus_rem_mem_reg(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	const struct vd_vu_region *r = &m->slot.region;
	struct vd_vus_mem *t = &s->next;
	int err = begin_with_mine(s);
	unsigned int i;

	(void)reply;
	if (err)
		return err;
	i = find(t, r);
	if (i == t->n)
		return vd_err(-ENOENT, "region 0x%llx: none of %u is like it",
			      (unsigned long long)r->gpa, t->n);
	t->regions[i] = t->regions[--t->n];
	if (find(t, r) < t->n)
		return committed(s, 0);
	return change(s, uvdpa_dev_unmap(s->dev, 0, r->gpa, r->size));
}
