/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "mem/sigbus.h"

static struct vd_mem *mem_alloc(unsigned int n)
{
	struct vd_mem *mem = malloc(sizeof(*mem) + n * sizeof(mem->regions[0]));

	if (!mem)
		vd_err(-ENOMEM, "no memory for a table of %u mappings", n);
	else
		mem->n = 0;
	return mem;
}

struct vd_mem *vd_mem_create(void)
{
	return mem_alloc(0);
}

struct vd_mem *vd_mem_copy(const struct vd_mem *from)
{
	struct vd_mem *mem = mem_alloc(from->n);

	if (!mem)
		return NULL;
	mem->n = from->n;
	memcpy(mem->regions, from->regions, from->n * sizeof(mem->regions[0]));
	for (unsigned int i = 0; i < mem->n; i++)
		mem->regions[i].mapping->refs++;
	return mem;
}

static void mapping_put(struct vd_mapping *m)
{
	if (--m->refs)
		return;
	if (m->mapped_here) {
		vd_sigbus_del(m->map.addr);
		munmap(m->map.addr, m->map.len);
	}
	vd_close(&m->map.fd);
	free(m);
}

void vd_mem_destroy(struct vd_mem *mem)
{
	if (!mem)
		return;
	for (unsigned int i = 0; i < mem->n; i++)
		mapping_put(mem->regions[i].mapping);
	free(mem);
}

/* Refuse what would give SIGBUS at the first touch. */
static int file_covers(const struct uvdpa_map *map)
{
	struct stat st;
	uint64_t end;

	if (fstat(map->fd, &st))
		return vd_err(-errno, "memory descriptor %d: %m", map->fd);
	if (!S_ISREG(st.st_mode))
		return vd_err(-EINVAL, "memory descriptor %d is not a file", map->fd);
	if (__builtin_add_overflow(map->offset, map->len, &end) || end > (uint64_t)st.st_size)
		return vd_err(-EINVAL,
			      "memory at offset %#" PRIx64 " of %#" PRIx64
			      " bytes: the file has %#" PRIx64,
			      map->offset, map->len, (uint64_t)st.st_size);
	return 0;
}

static int mapping_local(struct vd_mapping *m)
{
	struct uvdpa_map *map = &m->map;
	int prot = 0;
	void *addr;

	if (map->prot & UVDPA_MAP_RO)
		prot |= PROT_READ;
	if (map->prot & UVDPA_MAP_WO)
		prot |= PROT_READ | PROT_WRITE;	/* no machine has memory that is only written */
	addr = mmap(NULL, map->len, prot, MAP_SHARED | MAP_NORESERVE, map->fd, (off_t)map->offset);
	if (addr == MAP_FAILED)
		return vd_err(-errno, "map %#" PRIx64 " bytes of memory at offset %#" PRIx64 ": %m",
			      map->len, map->offset);
	map->addr = addr;
	m->mapped_here = true;
	vd_sigbus_add(addr, map->len);
	return 0;
}

static int mapping_create(const struct uvdpa_map *map, bool local, struct vd_mapping **ret_m)
{
	struct vd_mapping *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return vd_err(-ENOMEM, "no memory for a mapping");
	m->refs = 1;
	m->map = *map;
	m->map.fd = -1;
	if (map->fd >= 0) {
		r = file_covers(map);
		if (r)
			goto err_put;
		r = m->map.fd = vd_dup(map->fd);
		if (r < 0)
			goto err_put;
	}
	if (local && !map->addr) {
		r = mapping_local(m);
		if (r)
			goto err_put;
	}
	*ret_m = m;
	return 0;

err_put:
	mapping_put(m);
	return r;
}

/* Index of the first region that ends at or after @iova; n if there is none. */
static unsigned int region_at(const struct vd_mem *mem, uint64_t iova)
{
	unsigned int lo = 0, hi = mem->n;

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;

		if (mem->regions[mid].last < iova)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int vd_mem_map(struct vd_mem **pmem, const struct uvdpa_map *map, bool local)
{
	struct vd_mem *mem = *pmem;
	struct vd_mapping *m = NULL;
	uint64_t last;
	unsigned int i;
	int r;

	if (!map->len || __builtin_add_overflow(map->iova, map->len - 1, &last))
		return vd_err(-EINVAL, "mapping of %#" PRIx64 " bytes at %#" PRIx64, map->len,
			      map->iova);
	if (!map->prot || map->prot & ~UVDPA_MAP_RW)
		return vd_err(-EINVAL, "mapping at %#" PRIx64 ": access %#x", map->iova, map->prot);
	if (map->fd < 0 && !map->addr)
		return vd_err(-EINVAL, "mapping at %#" PRIx64 " has neither a file nor an address",
			      map->iova);
	i = region_at(mem, map->iova);
	if (i < mem->n && mem->regions[i].first <= last)
		return vd_err(-EEXIST,
			      "mapping of %#" PRIx64 " bytes at %#" PRIx64
			      " overlaps the one at %#" PRIx64,
			      map->len, map->iova, mem->regions[i].first);
	if (mem->n == VD_MEM_REGIONS_MAX)
		return vd_err(-ENOSPC, "%u mappings, the most there can be", mem->n);

	r = mapping_create(map, local, &m);
	if (r)
		return r;
	mem = realloc(mem, sizeof(*mem) + (mem->n + 1) * sizeof(mem->regions[0]));
	if (!mem) {
		mapping_put(m);
		return vd_err(-ENOMEM, "no memory for a mapping");
	}
	memmove(&mem->regions[i + 1], &mem->regions[i], (mem->n - i) * sizeof(mem->regions[0]));
	mem->regions[i] = (struct vd_region){
		.first = map->iova,
		.last = last,
		.addr = vd_guest_wrap(uint8_t, m->map.addr),
		.prot = map->prot,
		.mapping = m,
	};
	mem->n++;
	*pmem = mem;
	return 0;
}

int vd_mem_unmap(struct vd_mem *mem, uint64_t iova, uint64_t len)
{
	unsigned int i, end;
	uint64_t last;

	if (!len || __builtin_add_overflow(iova, len - 1, &last))
		return vd_err(-EINVAL, "unmap of %#" PRIx64 " bytes at %#" PRIx64, len, iova);
	i = region_at(mem, iova);
	for (end = i; end < mem->n && mem->regions[end].first <= last; end++)
		if (mem->regions[end].first < iova || mem->regions[end].last > last)
			return vd_err(-EINVAL,
				      "unmap of %#" PRIx64 " bytes at %#" PRIx64
				      " cuts the mapping at %#" PRIx64,
				      len, iova, mem->regions[end].first);
	for (unsigned int j = i; j < end; j++)
		mapping_put(mem->regions[j].mapping);
	memmove(&mem->regions[i], &mem->regions[end], (mem->n - end) * sizeof(mem->regions[0]));
	mem->n -= end - i;
	return 0;
}

int vd_mem_iov(const struct vd_mem *mem, uint64_t iova, uint64_t len, unsigned int prot,
	       struct vd_iov *iov, unsigned int max)
{
	unsigned int n = 0, i;

	if (!len)
		return 0;
	for (i = region_at(mem, iova); i < mem->n; i++) {
		const struct vd_region *r = &mem->regions[i];
		uint64_t room, take;

		if (r->first > iova || (r->prot & prot) != prot || !r->addr)
			return -EFAULT;
		if (n == max)
			return -E2BIG;
		room = r->last - iova;	/* one less than the bytes to the end: that may be 2^64 */
		take = len - 1 <= room ? len : room + 1;
		iov[n].base = r->addr + (iova - r->first);
		iov[n++].len = take;
		len -= take;
		if (!len)
			return (int)n;
		if (__builtin_add_overflow(iova, take, &iova))
			return -EFAULT;
	}
	return -EFAULT;
}

const struct vd_region *vd_mem_find(const struct vd_mem *mem, uint64_t iova, uint64_t len)
{
	unsigned int i = region_at(mem, iova);
	const struct vd_region *r = &mem->regions[i];

	if (i == mem->n || r->first > iova || !len || r->last - iova < len - 1)
		return NULL;
	return r;
}

void vd_guest *vd_mem_at(const struct vd_mem *mem, uint64_t iova, uint64_t len, unsigned int prot)
{
	const struct vd_region *r = vd_mem_find(mem, iova, len);

	if (!r || (r->prot & prot) != prot || !r->addr)
		return NULL;
	return r->addr + (iova - r->first);
}
