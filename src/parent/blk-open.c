/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-open.c - the blk parent's image: opening, locking, and what it is like */
#include "parent/blk-file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/foreign.h"

/* Regular file or block device; nothing else is opened, which alone can have effects. */
static int check_type(const char *name, const char *path, mode_t mode)
{
	if (S_ISDIR(mode))
		return vd_err(-EISDIR, "%s: image %s is a directory", name, path);
	if (!S_ISREG(mode) && !S_ISBLK(mode))
		return vd_err(-EINVAL, "%s: image %s is neither a file nor a block device", name,
			      path);
	return 0;
}

static int open_image(const char *name, const char *path, bool readonly, bool direct)
{
	int flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (readonly ? O_RDONLY : O_RDWR) |
		    (direct ? O_DIRECT : 0);
	struct stat st;
	int fd, r;

	if (stat(path, &st))
		return vd_err(-errno, "%s: image %s: %m", name, path);
	r = check_type(name, path, st.st_mode);
	if (r)
		return r;
	if (S_ISBLK(st.st_mode) && !readonly)
		flags |= O_EXCL;	/* not one that is mounted */
	fd = open(path, flags);
	if (fd < 0 && !readonly && (errno == EACCES || errno == EROFS || errno == EPERM))
		return vd_err(-errno, "%s: image %s: %m; readonly=on needs no right to write", name,
			      path);
	if (fd < 0 && direct && errno == EINVAL)
		return vd_err(-EOPNOTSUPP,
			      "%s: image %s: no direct I/O here; another cache than none", name,
			      path);
	if (fd < 0)
		return vd_err(-errno, "%s: image %s: %m", name, path);
	/* Opened without waiting, so that a FIFO put in its place could not hold us. */
	r = fstat(fd, &st) ? vd_err(-errno, "%s: image %s: %m", name, path) :
			     check_type(name, path, st.st_mode);
	if (!r)
		r = vd_set_nonblock(fd, false);
	if (r) {
		close(fd);
		return r;
	}
	return fd;
}

/*
 * One who writes, or any who read, among us and QEMU, whose convention this is: who uses the image
 * in some way has a shared lock on byte 100 + the way, who does not let others do so has one on
 * byte 200 + the way; and who is held already is seen by asking for an exclusive lock.
 */
enum { USE_BASE = 100, DENY_BASE = 200 };
#define USE_READ 1u
#define USE_WRITE 2u
#define USE_RESIZE 8u

static struct flock byte_lock(short type, off_t byte)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
}

static int lock_bytes(int fd, off_t base, unsigned int ways)
{
	for (unsigned int i = 0; ways >> i; i++) {
		struct flock fl = byte_lock(F_RDLCK, base + i);

		if (ways >> i & 1 && fcntl(fd, F_OFD_SETLK, &fl))
			return errno == EACCES ? -EAGAIN : -errno;
	}
	return 0;
}

static int check_bytes(int fd, off_t base, unsigned int ways)
{
	for (unsigned int i = 0; ways >> i; i++) {
		struct flock fl = byte_lock(F_WRLCK, base + i);

		if (!(ways >> i & 1))
			continue;
		if (fcntl(fd, F_OFD_GETLK, &fl))
			return -errno;
		if (fl.l_type != F_UNLCK)
			return -EAGAIN;
	}
	return 0;
}

static int lock_image(const char *name, const char *path, int fd, bool readonly)
{
	unsigned int use = readonly ? USE_READ : USE_READ | USE_WRITE;
	unsigned int deny = USE_WRITE | USE_RESIZE;
	int r = lock_bytes(fd, USE_BASE, use);

	if (!r)
		r = lock_bytes(fd, DENY_BASE, deny);
	if (!r)
		r = check_bytes(fd, USE_BASE, deny);
	if (!r)
		r = check_bytes(fd, DENY_BASE, use);
	if (r == -EAGAIN)
		return vd_err(-EBUSY, "%s: image %s is in use by another", name, path);
	return r ? vd_err(r, "%s: lock image %s: %s", name, path, strerror(-r)) : 0;
}

int vd_file_size(const struct vd_file *f, const char *name, uint64_t *ret_size)
{
	struct stat st;

	if (f->is_block ? ioctl(f->fd, BLKGETSIZE64, ret_size) : fstat(f->fd, &st))
		return vd_err(-errno, "%s: size of %s: %m", name, f->path);
	if (!f->is_block)
		*ret_size = (uint64_t)st.st_size;
	return 0;
}

/* A hint that is none (a stripe, a huge page) is left out. */
static uint32_t sane(uint64_t block)
{
	bool ok =
		block >= VD_BLK_SECTOR && block <= VD_BLK_BLOCK_SIZE_MAX && !(block & (block - 1));

	return ok ? (uint32_t)block : 0;
}

static void measure_blocks(struct vd_file *f, const struct stat *st, struct vd_blk_conf *bc)
{
	unsigned int phys = (unsigned int)st->st_blksize, opt = 0;

	if (f->is_block) {
		if (ioctl(f->fd, BLKPBSZGET, &phys))
			phys = 0;
		if (ioctl(f->fd, BLKSSZGET, &f->block_size) || !sane(f->block_size))
			f->block_size = VD_BLK_SECTOR;
		if (!ioctl(f->fd, BLKIOOPT, &opt))
			bc->opt_io_size = opt;
	}
	if (!bc->phys_block_size)
		bc->phys_block_size = sane(phys);
}

/* What the disk has, if nothing was chosen; the system's cache makes any other of it, if asked. */
static int choose_block_size(const char *name, struct vd_file *f, struct vd_blk_conf *bc)
{
	int r;

	if (!bc->block_size && f->is_block)
		bc->block_size = f->block_size;
	if (f->cache != VD_FILE_NONE)
		return 0;
	r = vd_file_direct_probe(f, name);
	if (r)
		return r;
	if (!bc->block_size)
		bc->block_size = f->align;
	if (bc->block_size < f->align)
		return vd_err(-EINVAL,
			      "%s: logical_block_size %u, direct I/O on %s wants at least %u", name,
			      bc->block_size, f->path, f->align);
	return 0;
}

static int measure(const char *name, struct vd_file *f, struct vd_blk_conf *bc)
{
	struct stat st;
	uint64_t size = 0;
	int r;

	if (fstat(f->fd, &st))
		return vd_err(-errno, "%s: image %s: %m", name, f->path);
	f->is_block = S_ISBLK(st.st_mode);
	r = vd_file_size(f, name, &size);
	if (r)
		return r;
	if (!size)
		return vd_err(-EINVAL, "%s: image %s is empty", name, f->path);
	if (size % VD_BLK_SECTOR)
		return vd_err(-EINVAL, "%s: image %s has %llu bytes, not a multiple of %u", name,
			      f->path, (unsigned long long)size, VD_BLK_SECTOR);
	bc->capacity_sectors = size / VD_BLK_SECTOR;
	measure_blocks(f, &st, bc);
	r = choose_block_size(name, f, bc);
	if (r)
		return r;
	return vd_file_range_init(f, &st, bc);
}

void vd_file_close(struct vd_file *f)
{
	struct flock fl = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	/* Not left to close: the kernel may hold the file for an io_uring that is ending. */
	if (f->fd >= 0)
		fcntl(f->fd, F_OFD_SETLK, &fl);
	if (f->served)
		vd_foreign_close(NULL, f->fd);
	else
		vd_close(&f->fd);
	f->fd = -1;
	vd_file_range_fini(f);
}

int vd_file_open(struct vd_file *f, struct vd_blk_conf *bc)
{
	const char *name = bc->soft.name;
	struct statfs fs;
	int r;

	r = open_image(name, f->path, bc->readonly, f->cache == VD_FILE_NONE);
	if (r < 0)
		return r;
	f->fd = r;
	r = lock_image(name, f->path, f->fd, bc->readonly);
	if (!r)
		r = measure(name, f, bc);
	if (r)
		return r;
	f->served = !vd_foreign_ok(f->fd);
	if (fstatfs(f->fd, &fs))
		return 0;
	f->in_memory = fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
	return 0;
}
