/* SPDX-License-Identifier: BSD-2-Clause */
/* dma.c - the file in memory that a device may touch; see dma.h */
#include "virtio/dma.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"

/* One piece that was handed out. */
struct alloc {
	struct vd_list node;
	size_t off, len;	/* in the region, whole pages */
};

void vd_dma_init(struct vd_dma *r)
{
	*r = (struct vd_dma){ .memfd = -1 };
	vd_list_init(&r->allocs);
}

static int create_file(struct vd_dma *r, const char *name)
{
	int fd, err;

	fd = memfd_create("uvdpa", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return vd_err(-errno, "%s: memory: %m", name);
	if (ftruncate(fd, (off_t)r->size)) {
		err = vd_err(-errno, "%s: memory of %zu bytes: %m", name, r->size);
		goto err_close;
	}
	/* Whoever gets it may rely on its length; see fcntl(2). */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		err = vd_err(-errno, "%s: seals: %m", name);
		goto err_close;
	}
	r->base = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r->base == MAP_FAILED) {
		r->base = NULL;
		err = vd_err(-errno, "%s: mapping of %zu bytes: %m", name, r->size);
		goto err_close;
	}
	r->memfd = fd;
	return 0;

err_close:
	vd_close(&fd);
	return err;
}

/* The device's view. Not identical to ours, so that a device which confuses the two is found. */
static int map(struct vd_dma *r, struct vd_virtio_dev *vdev)
{
	uint64_t iova = vd_align_up(vd_max(vdev->iova_first, (uint64_t)VD_DMA_PAGE),
				    VD_DMA_PAGE);

	if (iova > vdev->iova_last || r->size - 1 > vdev->iova_last - iova)
		return vd_err(-EINVAL, "%s: %zu bytes do not fit into its address space 0x%" PRIx64
			      "-0x%" PRIx64, vdev->name, r->size, vdev->iova_first,
			      vdev->iova_last);
	r->iova = iova;
	return vdev->config->map(vdev, &(struct uvdpa_map){ .iova = iova, .len = r->size,
			.fd = r->memfd, .prot = UVDPA_MAP_RW });
}

int vd_dma_create(struct vd_dma *r, struct vd_virtio_dev *vdev, size_t arena, size_t mem)
{
	int err;

	assert(arena % VD_DMA_PAGE == 0);
	if (mem > SIZE_MAX / 2)
		return vd_err(-EINVAL, "%s: mem of %zu bytes", vdev->name, mem);
	r->arena = arena;
	r->size = arena + vd_align_up(mem, VD_DMA_PAGE);
	err = create_file(r, vdev->name);
	return err ? err : map(r, vdev);
}

void vd_dma_fini(struct vd_dma *r)
{
	struct alloc *a, *tmp;

	vd_list_for_each_safe(a, tmp, &r->allocs, node)
		free(a);
	if (r->base)
		munmap(r->base, r->size);
	vd_close(&r->memfd);
	vd_dma_init(r);
}

/* First fit. */
void *vd_dma_alloc(struct vd_dma *r, size_t len)
{
	size_t off = r->arena;
	struct alloc *a, *pos;

	if (!len || len > r->size - r->arena) {
		vd_err(-ENOMEM, "%zu bytes of %zu; see mem of the options", len,
		       r->size - r->arena);
		return NULL;
	}
	len = vd_align_up(len, VD_DMA_PAGE);
	vd_list_for_each(pos, &r->allocs, node) {
		if (pos->off - off >= len)
			break;
		off = pos->off + pos->len;
	}
	if (len > r->size - off) {
		vd_err(-ENOMEM, "no %zu bytes left of %zu; see mem of the options", len,
		       r->size - r->arena);
		return NULL;
	}
	a = malloc(sizeof(*a));
	if (!a) {
		vd_err(-ENOMEM, "no memory");
		return NULL;
	}
	a->off = off;
	a->len = len;
	vd_list_add(&pos->node, &a->node);	/* before pos, or at the end */
	return r->base + off;
}

void vd_dma_free(struct vd_dma *r, void *p)
{
	struct alloc *a;

	vd_list_for_each(a, &r->allocs, node) {
		if (r->base + a->off != p)
			continue;
		/* Zero for the next, and nobody's memory until then. */
		if (fallocate(r->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      (off_t)a->off, (off_t)a->len))
			memset(p, 0, a->len);
		vd_list_del(&a->node);
		free(a);
		return;
	}
	assert(!p);
}
