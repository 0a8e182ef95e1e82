/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mem.h - guest memory: the mappings of one address space
 *
 * A struct vd_mem is a table that never changes once it is in force: the gate makes a new one
 * from it (vd_mem_copy, vd_mem_map, vd_mem_unmap), quiesces whoever reads the old one, and puts the
 * new one in its place. So translation takes no lock and no reference. Mappings are shared by
 * the tables that hold them, and go with the last one.
 */
#ifndef VD_MEM_MEM_H
#define VD_MEM_MEM_H

#include <stdbool.h>
#include <uvdpa/parent.h>

#include "mem/guest.h"

#define VD_MEM_REGIONS_MAX 2048	/* as vhost-vdpa's max_iotlb_entries */

/* One mapping, shared by tables; control thread only, but for addr. */
struct vd_mapping {
	unsigned int refs;
	struct uvdpa_map map;	/* fd is ours, or -1; addr is the local address, or NULL */
	bool mapped_here;	/* addr is an mmap of ours */
};

struct vd_region {
	uint64_t first, last;		/* iova, inclusive, so that 2^64-1 can be in it */
	uint8_t vd_guest *addr;		/* of first; NULL: not accessible here */
	unsigned int prot;		/* UVDPA_MAP_RO, _WO, _RW */
	struct vd_mapping *mapping;
};

struct vd_mem {
	unsigned int n;
	struct vd_region regions[];	/* sorted by first, disjoint */
};

/* An empty table, or one like @from. Return: NULL without memory. */
struct vd_mem *vd_mem_create(void);
struct vd_mem *vd_mem_copy(const struct vd_mem *from);
void vd_mem_destroy(struct vd_mem *mem);

/**
 * vd_mem_map() - Add a mapping to a table that is not in force
 * @pmem: the table; replaced when it grows
 * @map: borrowed; its descriptor is duplicated
 * @local: make it accessible here: mmap the file if @map->addr is NULL. The file must be as long
 *         as the mapping says (virtio says nothing, SIGBUS would).
 *
 * Return: 0; -EINVAL length 0, wrap, prot, neither descriptor nor address, file too short;
 * -EEXIST overlap; -ENOSPC VD_MEM_REGIONS_MAX; -ENOMEM; what mmap says.
 */
int vd_mem_map(struct vd_mem **pmem, const struct uvdpa_map *map, bool local);

/* Remove all mappings inside [iova, iova+len). Of one half inside: -EINVAL. Of none: 0. */
int vd_mem_unmap(struct vd_mem *mem, uint64_t iova, uint64_t len);

/**
 * vd_mem_iov() - Translate a buffer
 * @mem: table in force
 * @iova: first byte
 * @len: bytes; 0 gives no pieces
 * @prot: UVDPA_MAP_RO or _WO, what will be done with it
 * @iov: receives one piece for each mapping that the buffer crosses
 * @max: room in @iov
 *
 * Return: number of pieces; -EFAULT not mapped, or not for @prot; -E2BIG more than @max.
 * Context: any thread while the table is in force. Sets no sentence.
 */
int vd_mem_iov(const struct vd_mem *mem, uint64_t iova, uint64_t len, unsigned int prot,
	       struct vd_iov *iov, unsigned int max);

/* The region that holds all of [iova, iova+len), or NULL. For rings, and for fast paths. */
const struct vd_region *vd_mem_find(const struct vd_mem *mem, uint64_t iova, uint64_t len);

/* The local address of a range that must be in one mapping with @prot; NULL if it is not. */
void vd_guest *vd_mem_at(const struct vd_mem *mem, uint64_t iova, uint64_t len, unsigned int prot);

#endif
