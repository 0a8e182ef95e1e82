/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-range.c - the blk parent's ranges: DISCARD, WRITE_ZEROES, SECURE_ERASE
 *
 * A range takes one step or more, each of them one call:
 *
 *	a file		DISCARD, WRITE_ZEROES with unmap	punch a hole
 *			WRITE_ZEROES				zero the range, which keeps its space
 *			where fallocate() cannot		write zeroes, a piece at a time
 *	a block device	WRITE_ZEROES with unmap			punch a hole, if it can
 *			all else				an ioctl, a piece at a time
 *			WRITE_ZEROES, not of whole blocks	write zeroes
 *	durable, and it was not written				and fdatasync()
 *
 * What fallocate() cannot do is learned when it says so, but for holes in a file: these are tried
 * when the image is opened, because it depends on them whether DISCARD is offered.
 */
#include "parent/blk-file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/err.h"

#define ZEROES (1u << 20)	/* bytes written at once */
#define PIECE  (64u << 20)	/* of an ioctl: some disks write the zeroes themselves, slowly */

enum vd_file_step vd_file_range_step(const struct vd_file *f, struct vd_blk_req *req)
{
	bool punch = __atomic_load_n(&f->punch, __ATOMIC_RELAXED);

	if (req->done == req->len)
		req->step = VD_FILE_SYNC;
	else if (req->op != VD_BLK_WRITE_ZEROES)
		req->step = f->is_block ? VD_FILE_IOCTL : VD_FILE_PUNCH;
	else if (f->is_block && (req->off | req->len) & (f->block_size - 1))
		req->step = VD_FILE_WRITE;
	else if (req->unmap && punch)
		req->step = VD_FILE_PUNCH;
	else if (f->is_block)
		req->step = VD_FILE_IOCTL;
	else
		req->step = __atomic_load_n(&f->zero_range, __ATOMIC_RELAXED) ? VD_FILE_ZERO :
										 VD_FILE_WRITE;
	return req->step;
}

int vd_file_range_mode(enum vd_file_step step)
{
	return step == VD_FILE_PUNCH ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE :
				       FALLOC_FL_ZERO_RANGE;
}

size_t vd_file_zeroes(const struct vd_blk_req *req)
{
	return vd_min(req->len - req->done, ZEROES);
}

/* Return: whether there is another way. */
static bool cannot(struct vd_file *f, const struct vd_blk_req *req)
{
	bool *can = req->step == VD_FILE_PUNCH ? &f->punch : &f->zero_range;

	if (req->op != VD_BLK_WRITE_ZEROES ||
	    (req->step != VD_FILE_PUNCH && req->step != VD_FILE_ZERO))
		return false;
	__atomic_store_n(can, false, __ATOMIC_RELAXED);
	return true;
}

int vd_file_range_advance(struct vd_file *f, struct vd_blk_req *req, int64_t res)
{
	if (res == -EOPNOTSUPP && cannot(f, req))
		return 0;
	if (res < 0)
		return (int)res;
	switch ((enum vd_file_step)req->step) {
	case VD_FILE_SYNC:
		return 1;
	case VD_FILE_PUNCH:
	case VD_FILE_ZERO:
		req->done = req->len;
		break;
	case VD_FILE_WRITE:
		if (!res)
			return -EIO;
		req->done += (uint64_t)res;
		return req->done == req->len;
	case VD_FILE_IOCTL:
		req->done += (uint64_t)res;
		break;
	}
	return req->done == req->len && !(req->durable && req->op == VD_BLK_WRITE_ZEROES);
}

/* Return: bytes, or -errno. */
static int64_t call_ioctl(const struct vd_file *f, const struct vd_blk_req *req)
{
	uint64_t range[2] = { req->off + req->done, vd_min(req->len - req->done, PIECE) };
	unsigned long nr = req->op == VD_BLK_DISCARD	  ? BLKDISCARD :
			   req->op == VD_BLK_SECURE_ERASE ? BLKSECDISCARD :
							    BLKZEROOUT;

	return ioctl(f->fd, nr, range) ? -errno : (int64_t)range[1];
}

int64_t vd_file_range_call(const struct vd_file *f, struct vd_blk_req *req)
{
	enum vd_file_step step = vd_file_range_step(f, req);
	struct iovec iov = { f->zeroes, vd_file_zeroes(req) };
	ssize_t n;

	switch (step) {
	case VD_FILE_IOCTL:
		return call_ioctl(f, req);
	case VD_FILE_SYNC:
		n = fdatasync(f->fd);
		break;
	case VD_FILE_WRITE:
		n = pwritev2(f->fd, &iov, 1, (off_t)(req->off + req->done),
			     vd_file_write_flags(req));
		break;
	default:
		n = fallocate(f->fd, vd_file_range_mode(step), (off_t)req->off, (off_t)req->len);
		break;
	}
	return n < 0 ? -errno : n;
}

/* ---- what the image can --------------------------------------------------------------------- */

/* A number in the queue's folder of a block device, or of the one that it is a part of; 0: none. */
static unsigned long long queue_limit(const struct stat *st, const char *name)
{
	static const char *const where[] = { "", "/.." };
	unsigned long long v = 0;
	bool found = false;

	for (unsigned int i = 0; i < VD_ARRAY_SIZE(where) && !found; i++) {
		char path[128];
		FILE *file;

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u%s/queue/%s", major(st->st_rdev),
			 minor(st->st_rdev), where[i], name);
		file = fopen(path, "re");
		if (!file)
			continue;
		found = fscanf(file, "%llu", &v) == 1;
		fclose(file);
	}
	return found ? v : 0;
}

static void probe_device(struct vd_file *f, const struct stat *st, struct vd_blk_conf *bc)
{
	unsigned long long align = queue_limit(st, "discard_granularity");
	bool whole = bc->block_size >= f->block_size;

	bc->discard = whole && queue_limit(st, "discard_max_bytes");
	bc->unmap = bc->discard;
	/* A device that cannot says so before it looks where the range is (Linux 5.19). */
	bc->secure_erase = whole && ioctl(f->fd, BLKSECDISCARD, NULL) && errno == EFAULT;
	if (align >= VD_BLK_SECTOR && align <= UINT32_MAX)
		bc->discard_align = (uint32_t)align;
	f->punch = true;
}

static void probe_file(struct vd_file *f, const struct stat *st, struct vd_blk_conf *bc)
{
	uint64_t block = (uint64_t)st->st_blksize;

	if (block < VD_BLK_SECTOR || block > VD_BLK_BLOCK_SIZE_MAX || block & (block - 1))
		block = 4096;
	/* Behind the end, where there is nothing to lose. */
	f->punch = !fallocate(f->fd, vd_file_range_mode(VD_FILE_PUNCH),
			      (off_t)vd_align_up((uint64_t)st->st_size, block), (off_t)block);
	f->zero_range = true;
	bc->discard = bc->unmap = f->punch;
	bc->discard_align = (uint32_t)block;
}

int vd_file_range_init(struct vd_file *f, const struct stat *st, struct vd_blk_conf *bc)
{
	/* Only ever read, so all of it is the one page of zeroes that the system has. */
	f->zeroes = mmap(NULL, ZEROES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (f->zeroes == MAP_FAILED) {
		f->zeroes = NULL;
		return vd_err(-errno, "%s: memory for zeroes: %m", bc->soft.name);
	}
	bc->write_zeroes = true;
	if (bc->readonly)
		return 0;
	if (f->is_block)
		probe_device(f, st, bc);
	else
		probe_file(f, st, bc);
	return 0;
}

void vd_file_range_fini(struct vd_file *f)
{
	if (f->zeroes)
		munmap(f->zeroes, ZEROES);
}
