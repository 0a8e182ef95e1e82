/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dma.h - all memory that a device may touch: one file, one mapping of the device
 *
 *	+----------------------------------------+------------------------------------+
 *	| the driver's: rings and what they need | arena, handed out to who uses it   |
 *	+----------------------------------------+------------------------------------+
 *	base (va), iova				  arena				   size
 *
 * The device's side maps it for itself. So whatever a device still does after we have let it go
 * is done to a file that nobody else reads, and nothing here waits for it. Control thread.
 */
#ifndef VD_VIRTIO_DMA_H
#define VD_VIRTIO_DMA_H

#include "base/list.h"
#include "virtio/virtio.h"

#define VD_DMA_PAGE 4096u

struct vd_dma {
	uint8_t *base;
	size_t size;
	size_t arena;		/* offset */
	uint64_t iova;
	int memfd;
	struct vd_list allocs;	/* by offset */
};

/* Nothing is there yet; vd_dma_fini() does nothing. */
void vd_dma_init(struct vd_dma *r);

/**
 * vd_dma_create() - Make it, zeroed, and let the device use it
 * @r: initialised
 * @arena: bytes of the driver's part, a multiple of pages
 * @mem: bytes that can be handed out; rounded up to pages, which are used only when touched
 *
 * Return: 0; -EINVAL it does not fit into the device's address space; -ENOMEM, -EMFILE. On failure
 * the caller still calls vd_dma_fini().
 */
int vd_dma_create(struct vd_dma *r, struct vd_virtio_dev *vdev, size_t arena, size_t mem);
void vd_dma_fini(struct vd_dma *r);

/* @len bytes, rounded up to pages. Return: page-aligned, zeroed; NULL with a sentence. */
void *vd_dma_alloc(struct vd_dma *r, size_t len);
void vd_dma_free(struct vd_dma *r, void *p);	/* NULL is fine */

#endif
