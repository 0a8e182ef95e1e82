/* SPDX-License-Identifier: BSD-2-Clause */
#include "parent/vhost-user-mem.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/err.h"

static int stage(struct vd_vumem *m)
{
	if (!m->staged)
		m->staged = m->now ? vd_mem_copy(m->now) : vd_mem_create();
	return m->staged ? 0 : vd_err(-ENOMEM, "memory table");
}

static void unstage(struct vd_vumem *m)
{
	vd_mem_destroy(m->staged);
	m->staged = NULL;
}

void vd_vumem_forget(struct vd_vumem *m)
{
	unstage(m);
	vd_mem_destroy(m->now);
	m->now = NULL;
}

int vd_vumem_map(struct vd_vumem *m, struct vd_vulink *l, const struct uvdpa_map *map)
{
	int r;

	if (map->fd < 0)
		return vd_err(-EINVAL, "%s: memory at %#" PRIx64 " is in no file, so the back-end "
			      "cannot have it", l->name, map->iova);
	if (!vd_vulink_up(l))
		return 0;
	r = stage(m);
	return r ? r : vd_mem_map(&m->staged, map, false);
}

int vd_vumem_unmap(struct vd_vumem *m, struct vd_vulink *l, uint64_t iova, uint64_t len)
{
	int r;

	if (!vd_vulink_up(l))
		return 0;
	r = stage(m);
	return r ? r : vd_mem_unmap(m->staged, iova, len);
}

static struct vd_vu_region region(const struct vd_region *r)
{
	const struct uvdpa_map *map = &r->mapping->map;

	return (struct vd_vu_region){ .gpa = map->iova, .size = map->len, .uva = map->iova,
				      .mmap_offset = map->offset };
}

static void send_region(struct vd_vulink *l, uint32_t request, const struct vd_region *r)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, request, sizeof(m.slot));
	m.slot.region = region(r);
	if (request == VD_VU_ADD_MEM_REG) {
		m.fds[0] = r->mapping->map.fd;
		m.nfds = 1;
	}
	vd_vulink_send(l, &m, 0);
}

/* Tables share the mappings that they have in common, so equal means the same one. */
static bool has_mapping(const struct vd_mem *mem, const struct vd_region *r)
{
	const struct vd_region *has = mem ? vd_mem_find(mem, r->first, 1) : NULL;

	return has && has->mapping == r->mapping;
}

static void send_difference(struct vd_vumem *m, struct vd_vulink *l)
{
	for (unsigned int i = 0; m->now && i < m->now->n; i++)
		if (!has_mapping(m->staged, &m->now->regions[i]))
			send_region(l, VD_VU_REM_MEM_REG, &m->now->regions[i]);
	for (unsigned int i = 0; i < m->staged->n; i++)
		if (!has_mapping(m->now, &m->staged->regions[i]))
			send_region(l, VD_VU_ADD_MEM_REG, &m->staged->regions[i]);
}

/* A table of nothing is refused by some; what it had before does no harm until there is another. */
static void send_table(const struct vd_mem *mem, struct vd_vulink *l)
{
	struct vd_vu_msg m;

	if (!mem->n)
		return;
	vd_vu_msg_init(&m, VD_VU_SET_MEM_TABLE,
		       (uint32_t)(sizeof(uint64_t) + mem->n * sizeof(struct vd_vu_region)));
	m.mem.n = mem->n;
	for (unsigned int i = 0; i < mem->n; i++) {
		m.mem.regions[i] = region(&mem->regions[i]);
		m.fds[m.nfds++] = mem->regions[i].mapping->map.fd;
	}
	vd_vulink_send(l, &m, 0);
}

int vd_vumem_commit(struct vd_vumem *m, struct vd_vulink *l)
{
	bool slots = vd_vulink_has(l, VD_VU_PF_CONFIGURE_MEM_SLOTS);
	uint64_t max = slots ? l->mem_slots : VD_VU_REGIONS_MAX;
	int r;

	if (!vd_vulink_up(l) || !m->staged) {
		unstage(m);
		return 0;
	}
	if (m->staged->n > max) {
		r = vd_err(-ENOSPC, "%s: %u pieces of memory, the back-end takes %" PRIu64,
			   l->name, m->staged->n, max);
		unstage(m);
		return r;
	}
	if (slots)
		send_difference(m, l);
	else
		send_table(m->staged, l);
	vd_mem_destroy(m->now);
	m->now = m->staged;
	m->staged = NULL;
	return 0;
}

bool vd_vumem_has(const struct vd_vumem *m, uint64_t iova, uint64_t len)
{
	return m->now && vd_mem_find(m->now, iova, len);
}

int vd_vumem_read16(const struct vd_vumem *m, uint64_t iova, uint16_t *ret_v)
{
	const struct vd_region *r = m->now ? vd_mem_find(m->now, iova, sizeof(*ret_v)) : NULL;
	const struct uvdpa_map *map;
	uint16_t v;

	if (!r)
		return -EFAULT;
	map = &r->mapping->map;
	if (pread(map->fd, &v, sizeof(v), (off_t)(map->offset + (iova - map->iova))) != sizeof(v))
		return -EIO;
	*ret_v = le16toh(v);
	return 0;
}
