/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-file-zero.c - fallocate(2) of the disk as a file; see blk-file.h
 *
 *	| part      | whole blocks | whole blocks | part      |
 *	  READ,       WRITE_ZEROES   WRITE_ZEROES   READ,
 *	  WRITE                                     WRITE
 *
 * A hole reads as zeros, which a DISCARD does not promise; so it is a WRITE_ZEROES that may give
 * the space back, and FALLOC_FL_ZERO_RANGE is one that may not. One piece after another, each as
 * long as the device lets it be. Among the writes it is one that has parts of blocks if it has,
 * and waits as they do.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>

#include "virtio/blk-file.h"

#define GRAIN_MAX (1u << 20)

/* Bytes at s->off that are one piece: of one block, or of as many as the device zeroes at once. */
static uint64_t piece(const struct vd_blk_file *f, const struct slot *s)
{
	uint64_t left = s->zero_end - s->off, in_block = s->off % f->block;

	if (in_block || left < f->block)
		return vd_min(left, f->block - in_block);
	return vd_min(left - left % f->block, f->zero_max);
}

static void issue_block(struct vd_blk_file *f, struct slot *s, enum step step)
{
	s->iov = (struct iovec){ s->mem + SLOT_HEAD, f->block };
	s->blk = (struct uvdpa_blk_req){
		.op = step == ZERO_READ ? UVDPA_BLK_READ : UVDPA_BLK_WRITE,
		.sector = (s->off - s->off % f->block) / UVDPA_BLK_SECTOR,
		.iov = &s->iov,
		.niov = 1,
	};
	vd_blk_file_issue(f, s, step);
}

void vd_blk_file_zero(struct vd_blk_file *f, struct slot *s)
{
	uint64_t len = piece(f, s);

	if (len % f->block) {
		issue_block(f, s, ZERO_READ);
		return;
	}
	s->blk = (struct uvdpa_blk_req){
		.op = UVDPA_BLK_WRITE_ZEROES,
		.sector = s->off / UVDPA_BLK_SECTOR,
		.nsectors = len / UVDPA_BLK_SECTOR,
		.unmap = s->unmap,
	};
	vd_blk_file_issue(f, s, ZERO);
}

bool vd_blk_file_zeroed(struct vd_blk_file *f, struct slot *s)
{
	uint64_t len = piece(f, s);

	if (s->step == ZERO_READ) {
		memset(s->mem + SLOT_HEAD + s->off % f->block, 0, len);
		issue_block(f, s, ZERO_WRITE);
		return false;
	}
	s->off += len;
	if (s->off == s->zero_end)
		return true;
	/* Whoever wants the disk does not wait for all of a terabyte. */
	if (__atomic_load_n(&f->want, __ATOMIC_ACQUIRE) != RUN) {
		s->blk.res = -ENOTCONN;
		return true;
	}
	vd_blk_file_zero(f, s);
	return false;
}

void vd_blk_file_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t length,
			   struct fuse_file_info *fi)
{
	const int zeros = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
	struct vd_blk_file *f = fuse_req_userdata(req);
	uint64_t pos = (uint64_t)off, len = (uint64_t)length, capacity = f->known_capacity;
	struct slot *s;

	(void)ino, (void)fi;
	if (f->readonly || off < 0 || length <= 0) {
		fuse_reply_err(req, f->readonly ? EROFS : EINVAL);
		return;
	}
	if (mode & ~(zeros | FALLOC_FL_KEEP_SIZE) || (mode & zeros && !f->zero_max)) {
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	if (pos > capacity || len > capacity - pos) {
		/* There is nothing behind the end that could become a hole, and nothing to get. */
		if (!(mode & zeros) || !(mode & FALLOC_FL_KEEP_SIZE)) {
			fuse_reply_err(req, ENOSPC);
			return;
		}
		len = capacity - vd_min(pos, capacity);
	}
	/* What is inside the disk is there already, as far as anybody can tell. */
	if (!(mode & zeros) || !len) {
		fuse_reply_err(req, 0);
		return;
	}
	s = vd_blk_file_keep(f, req, pos, 0);
	s->zero_end = pos + len;
	s->unmap = mode & FALLOC_FL_PUNCH_HOLE;
	vd_blk_file_begin(f, s, s->zero_end);
}

void vd_blk_file_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct vd_blk_file *f = fuse_req_userdata(req);
	/* A file system of no size: nobody shall warn that it is full. */
	struct statvfs st = {
		.f_bsize = f->grain,
		.f_frsize = f->grain,
		.f_namemax = 255,
	};

	(void)ino;
	fuse_reply_statfs(req, &st);
}

uint32_t vd_blk_file_grain(const struct uvdpa_blk_info *info)
{
	uint64_t align = (uint64_t)info->discard_align * UVDPA_BLK_SECTOR;

	if (align > GRAIN_MAX || align & (align - 1))
		align = 0;
	return vd_max((uint32_t)align, PAGE);
}
