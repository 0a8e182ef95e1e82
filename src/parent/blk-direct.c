/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-direct.c - the blk parent's direct I/O: what it wants to be aligned, and what is not
 *
 * The kernel takes data from where the guest has it, if address and length are multiples of what
 * the disk wants. A guest need not know of that: its buffers may lie anywhere. What does not fit
 * goes through a buffer of ours, a bounded piece at a time.
 */
#include "parent/blk-file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/err.h"

int vd_file_bounce_init(const struct vd_file *f, struct vd_file_bounce *b, unsigned int n)
{
	*b = (struct vd_file_bounce){ 0 };
	if (f->cache != VD_FILE_NONE)
		return 0;
	b->mem = mmap(NULL, (size_t)n * VD_FILE_BOUNCE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (b->mem == MAP_FAILED) {
		b->mem = NULL;
		return vd_err(-errno, "%s: %u buffers of %u bytes: %m", f->blk.sd.name, n,
			      VD_FILE_BOUNCE);
	}
	b->n = n;
	b->free = UINT64_MAX >> (64 - n);
	return 0;
}

void vd_file_bounce_fini(struct vd_file_bounce *b)
{
	if (b->mem)
		munmap(b->mem, (size_t)b->n * VD_FILE_BOUNCE);
	b->mem = NULL;
}

void *vd_file_bounce_take(struct vd_file_bounce *b)
{
	unsigned int i;

	if (!b->free)
		return NULL;
	i = (unsigned int)__builtin_ctzll(b->free);
	b->free &= b->free - 1;
	return b->mem + (size_t)i * VD_FILE_BOUNCE;
}

void vd_file_bounce_give(struct vd_file_bounce *b, void *buf)
{
	b->free |= 1ull << (size_t)((uint8_t *)buf - b->mem) / VD_FILE_BOUNCE;
}

bool vd_file_must_bounce(const struct vd_file *f, const struct vd_blk_req *req)
{
	uintptr_t where = 0, size = 0;

	if (f->cache != VD_FILE_NONE)
		return false;
	for (unsigned int i = 0; i < req->niov; i++) {
		where |= (uintptr_t)req->iov[i].base;
		size |= req->iov[i].len;
	}
	return where & (f->align_mem - 1) || size & (f->align - 1);
}

struct iovec vd_file_bounce_next(const struct vd_blk_req *req)
{
	struct iovec piece = { req->bounce, vd_min(req->len - req->done, VD_FILE_BOUNCE) };
	struct vd_sg sg = vd_sg(req->iov, req->niov);

	if (req->op == VD_BLK_WRITE)
		vd_sg_read(&sg, piece.iov_base, piece.iov_len);
	return piece;
}

void vd_file_bounce_back(const struct vd_blk_req *req, size_t len)
{
	struct vd_sg sg = vd_sg(req->iov, req->niov);

	vd_sg_write(&sg, req->bounce, len);
}

/* A system that cannot be asked is tried: reading less than a block at a time is refused. */
static unsigned int try_align(int fd)
{
	unsigned int align = VD_BLK_SECTOR;
	void *buf = aligned_alloc(VD_BLK_BLOCK_SIZE_MAX, VD_BLK_BLOCK_SIZE_MAX);

	while (buf && align <= VD_BLK_BLOCK_SIZE_MAX && pread(fd, buf, align, 0) < 0)
		align *= 2;
	free(buf);
	return buf ? align : 0;
}

int vd_file_direct_probe(struct vd_file *f, const char *name)
{
	struct statx sx = { 0 };

	f->align = f->align_mem = 0;
	if (!statx(f->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) && sx.stx_mask & STATX_DIOALIGN) {
		f->align_mem = sx.stx_dio_mem_align;
		f->align = sx.stx_dio_offset_align;
	} else if (!f->is_block || ioctl(f->fd, BLKSSZGET, &f->align)) {
		f->align = try_align(f->fd);
	}
	f->align = vd_max(f->align, f->align_mem ? VD_BLK_SECTOR : 0);
	if (!f->align_mem)
		f->align_mem = f->align;
	if (!f->align || f->align > VD_BLK_BLOCK_SIZE_MAX || f->align & (f->align - 1) ||
	    f->align_mem > VD_FILE_BOUNCE || f->align_mem & (f->align_mem - 1))
		return vd_err(-EOPNOTSUPP,
			      "%s: image %s: no direct I/O here; another cache than none", name,
			      f->path);
	return 0;
}
