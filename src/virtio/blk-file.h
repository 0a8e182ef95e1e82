/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-file.h - the disk as one file, by FUSE: what its parts share
 *
 *	blk-file.c	path, mount, and the life of the thread; control thread
 *	blk-file-io.c	requests of the kernel to requests of the disk; data thread
 *	blk-file-zero.c	fallocate: holes and zeros; data thread
 *
 *	kernel			data thread				device
 *	------			-----------				------
 *	READ, WRITE, FSYNC -->	read /dev/fuse into a free slot
 *				one submit for all that was there -->	ring
 *				poll <--------------------------------	ring
 *	<-- reply
 *
 * The root of the mount is the file itself, as in qemu's fuse export, so it is mounted over a
 * regular file. A request is read into memory that the device may use, at a place where the
 * bytes of a WRITE come to lie on a page: they go to the disk from there, and those of a READ
 * come to the same place, so nothing is copied but by the kernel.
 *
 * The file is direct: no second copy in the page cache, and what a block device promises
 * (fsync, O_DSYNC) is FLUSH. Bytes that do not fill a block are read, changed and written back;
 * a write that touches such a block waits for those before it.
 *
 * A slot:	| head block | tail block | fuse header | data, and room to the next blocks |
 *
 * Threads: struct vd_blk_file is the data thread's from its start to its end but for what is
 * marked. Control says what it wants by an atomic and an eventfd, and is answered by a post.
 */
#ifndef VD_VIRTIO_BLK_FILE_H
#define VD_VIRTIO_BLK_FILE_H

#define FUSE_USE_VERSION 314

#include <fuse3/fuse_lowlevel.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <time.h>

#include "virtio/blk.h"

#define SLOTS 32u
#define PAGE 4096u
#define IO_MAX (1u << 20)	/* the kernel's limit of a request with libfuse 3.14 */
#define WRITE_HEADER (sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))

/* Offsets in a slot's memory. */
#define SLOT_HEAD 0u
#define SLOT_TAIL PAGE
#define SLOT_DATA (3 * PAGE)
#define SLOT_SIZE (SLOT_DATA + IO_MAX + PAGE)
#define SLOT_MESSAGE (SLOT_DATA - WRITE_HEADER)
#define SLOT_MESSAGE_MAX (SLOT_SIZE - SLOT_MESSAGE)

static_assert(WRITE_HEADER == 80, "linux/fuse.h: 7.9 and later");
static_assert(SLOT_MESSAGE_MAX >= WRITE_HEADER + IO_MAX, "a WRITE fits");

enum step { READ, READ_HEAD, READ_TAIL, WRITE, FLUSH, ZERO_READ, ZERO_WRITE, ZERO };

/* One request of the kernel. */
struct slot {
	struct uvdpa_blk_req blk;	/* first step to the device */
	struct iovec iov;
	uint8_t *mem;			/* SLOT_SIZE */
	fuse_req_t req;			/* NULL: the slot is free */
	enum step step;
	uint64_t off;			/* what the kernel asked, cut at the end of the disk */
	size_t len;
	uint64_t first, last;		/* of WRITE: blocks */
	bool partial;			/* of WRITE: some block is not written as a whole */
	bool started;			/* of WRITE: does not wait for another any more */
	bool sync;			/* of WRITE: durable before it returns */
	uint64_t zero_end;		/* not 0: the bytes from off to here become zeros */
	bool unmap;			/* they may lose their space */
	struct vd_list node;		/* of WRITE and zeros: in file->writes */
};

enum want { RUN, QUIESCE, EXIT };

struct vd_blk_file {
	/* Control's. */
	struct vd_virtio_dev *vdev;
	char *path;
	bool created;
	pthread_t thread;
	struct vd_post post;
	struct vd_log *log;		/* both threads' */

	/* Between them. */
	int want;			/* enum want; atomic */
	bool quiet, unmounted;		/* atomic; told by post */
	uint64_t capacity;		/* bytes; atomic */
	int wake;			/* eventfd */

	/* The data thread's. */
	struct uvdpa_blk *blk;
	struct uvdpa_blkq *q;
	struct fuse_session *se;
	uint32_t block;			/* bytes: unit of every request to the device */
	uint32_t io_max;
	uint64_t zero_max;		/* bytes of one WRITE_ZEROES; 0: it cannot */
	uint32_t grain;			/* bytes: holes had best be multiples of it */
	bool readonly, flush;
	bool ended;			/* somebody unmounted it */
	uint64_t known_capacity;
	unsigned int opens;
	time_t since;
	struct slot slots[SLOTS];
	struct slot *free[SLOTS];
	unsigned int nfree;
	struct slot *cur;		/* holds the message that is being handled */
	struct vd_list writes;		/* in order of arrival */
	struct uvdpa_blk_req *todo[SLOTS];	/* to be submitted */
	unsigned int ntodo;
};

/* The thread: serves until file->want is EXIT. @arg: the file. */
void *vd_blk_file_run(void *arg);

/* What the kernel can ask; answered in the thread. */
extern const struct fuse_lowlevel_ops vd_blk_file_ops;

/* ---- blk-file-io.c, for blk-file-zero.c; data thread ----------------------------------------- */

/* The request keeps the slot that its message is in, which is returned. */
struct slot *vd_blk_file_keep(struct vd_blk_file *f, fuse_req_t req, uint64_t off, size_t len);

/* It changes bytes from s->off to @end: begin when what came before allows. */
void vd_blk_file_begin(struct vd_blk_file *f, struct slot *s, uint64_t end);

/* Have s->blk, filled in, go to the device; @step is what it will have been. */
void vd_blk_file_issue(struct vd_blk_file *f, struct slot *s, enum step step);

/* ---- blk-file-zero.c; data thread, but for the grain ----------------------------------------- */

/* s->zero_end is set, and it may begin. */
void vd_blk_file_zero(struct vd_blk_file *f, struct slot *s);

/* A step of it came back well. Return: whether it was the last; s->blk.res is the result then. */
bool vd_blk_file_zeroed(struct vd_blk_file *f, struct slot *s);

void vd_blk_file_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t length,
			   struct fuse_file_info *fi);
void vd_blk_file_statfs(fuse_req_t req, fuse_ino_t ino);

/* Bytes that holes had best be multiples of: what a loop device makes of statfs. */
uint32_t vd_blk_file_grain(const struct uvdpa_blk_info *info);

#endif
