/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user-mem.h - the memory that a vhost-user back-end has from us
 *
 * A user address is the I/O virtual address: the front-end may choose, and this needs no table.
 */
#ifndef VD_PARENT_VHOST_USER_MEM_H
#define VD_PARENT_VHOST_USER_MEM_H

#include "parent/vhost-user-link.h"

/* Embedded, zeroed; what is said of the link goes to it. Control thread. */
struct vd_vumem {
	struct vd_mem *now;	/* what the back-end has; NULL: nothing */
	struct vd_mem *staged;	/* what it will have from commit; NULL: the same */
};

/* As in struct uvdpa_mem_ops. While the link is down nothing is kept: all is said again later. */
int vd_vumem_map(struct vd_vumem *m, struct vd_vulink *l, const struct uvdpa_map *map);
int vd_vumem_unmap(struct vd_vumem *m, struct vd_vulink *l, uint64_t iova, uint64_t len);
int vd_vumem_commit(struct vd_vumem *m, struct vd_vulink *l);
void vd_vumem_forget(struct vd_vumem *m);

/* Is all of it in one mapping? */
bool vd_vumem_has(const struct vd_vumem *m, uint64_t iova, uint64_t len);

/**
 * vd_vumem_read16() - A word of a ring, from the file that it lies in
 *
 * Nothing needs to be mapped here for it. Return: 0; -EFAULT not mapped; -EIO.
 */
int vd_vumem_read16(const struct vd_vumem *m, uint64_t iova, uint16_t *ret_v);

#endif
