/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-file.h - between blk.c and its engines, which do the reading and writing
 *
 * An engine belongs to one worker. Whatever it does, a request is with the kernel at most once
 * at a time, and is done only when the kernel has let go of its buffers.
 */
#ifndef VD_PARENT_BLK_FILE_H
#define VD_PARENT_BLK_FILE_H

#include <sys/stat.h>

#include "base/notice.h"
#include "softdev/blk.h"

#define VD_FILE_THREADS_MAX 64

enum vd_file_engine_kind { VD_FILE_AUTO, VD_FILE_IO_URING, VD_FILE_THREADS };

enum vd_file_cache {
	VD_FILE_WRITEBACK,    /* the system's cache, until the driver flushes */
	VD_FILE_WRITETHROUGH, /* the same, but what is answered is on the disk */
	VD_FILE_NONE,         /* direct I/O: only what the disk itself has */
};

/* What a worker may do by itself, at once, in place of the engine. */
enum vd_file_now {
	VD_FILE_NOW_NOWAIT,	/* whatever the kernel can do without waiting, which it is asked */
	VD_FILE_NOW_PLAIN,	/* it cannot be asked; but it hardly ever waits */
	VD_FILE_NOW_NEVER,
};

struct vd_file {
	struct vd_blk blk;
	int fd;
	char *path;
	enum vd_file_engine_kind kind;
	unsigned int threads; /* of that engine, for each worker */
	enum vd_file_cache cache;
	bool pin;                      /* keep the guest's memory known to the kernel */
	uint64_t pinned;               /* atomic: bytes that are */
	unsigned int align_mem, align; /* of direct I/O: of addresses, of offsets and lengths */
	enum vd_file_now read_now, write_now;	/* atomic */
	bool is_block;
	bool in_memory;		/* tmpfs, and the like */
	bool served;		/* by somebody who is told when it is closed, and waited for */
	bool punch, zero_range; /* atomic: what fallocate() can do, as far as is known */
	unsigned int block_size; /* of a block device: what its ioctls want multiples of */
	uint64_t size; /* bytes that the image had when it was last looked at; control's */
	struct vd_notice notice; /* others may change the size of a file */
	void *zeroes;            /* as many as are written at once; they take no memory */
};

struct vd_file_engine {
	struct vd_engine e;
	struct vd_file *f;
	/* Take a request; it goes to the kernel with the next e.ops->submit. */
	void (*queue)(struct vd_file_engine *fe, struct vd_blk_req *req);
	/* The worker's. */
	struct vd_ratelimit log;
	bool slow;			/* the last plain call took too long */
	uint64_t pause_until_ns;	/* no plain calls before this time */
};

/* A list of requests, in order; zeroed it is empty. */
struct vd_file_fifo {
	struct vd_blk_req *first, *last;
};

static inline void vd_file_fifo_add(struct vd_file_fifo *l, struct vd_blk_req *req)
{
	req->next = NULL;
	*(l->first ? &l->last->next : &l->first) = req;
	l->last = req;
}

static inline struct vd_blk_req *vd_file_fifo_take(struct vd_file_fifo *l)
{
	struct vd_blk_req *req = l->first;

	if (req)
		l->first = req->next;
	return req;
}

/**
 * vd_file_advance() - The kernel has answered
 * @res: bytes, or -errno
 *
 * Return: 1 the request is complete; 0 go on from req->done, req->iov, req->niov; -errno.
 * Context: any thread that has the request.
 */
int vd_file_advance(struct vd_file *f, struct vd_blk_req *req, int64_t res);

/* The request has ended: note and log what failed, answer. @err: 0 or -errno. The worker. */
void vd_file_done(struct vd_file_engine *fe, struct vd_blk_req *req, int err);

/* Flags of a write for pwritev2(). */
int vd_file_write_flags(const struct vd_blk_req *req);

/* ---- direct I/O; blk-direct.c ---------------------------------------------------------------- */

#define VD_FILE_BOUNCE 131072u /* bytes of a buffer */

/* Buffers for data of guests whose own are not aligned; those that are not used take no memory. */
struct vd_file_bounce {
	uint8_t *mem;
	uint64_t free; /* bit for each */
	unsigned int n;
};

/* @n: at most 64; none if direct I/O is not used. Return: 0; -ENOMEM with a sentence. */
int vd_file_bounce_init(const struct vd_file *f, struct vd_file_bounce *b, unsigned int n);
void vd_file_bounce_fini(struct vd_file_bounce *b);

/* One at a time. Return: a buffer; NULL if there is none for now. */
void *vd_file_bounce_take(struct vd_file_bounce *b);
void vd_file_bounce_give(struct vd_file_bounce *b, void *buf);

/* Does the rest of the request need a buffer? */
bool vd_file_must_bounce(const struct vd_file *f, const struct vd_blk_req *req);

/* The next piece of a request that has one; of a write, filled. */
struct iovec vd_file_bounce_next(const struct vd_blk_req *req);
/* @len bytes of a read have come. */
void vd_file_bounce_back(const struct vd_blk_req *req, size_t len);

/* Find out how direct I/O on f->fd wants to be aligned. Return: 0; -EOPNOTSUPP with a sentence. */
int vd_file_direct_probe(struct vd_file *f, const char *name);

/**
 * vd_file_open() - Open, lock and measure the image at f->path
 * @bc: soft.name and readonly in; the rest is filled in where nothing was chosen
 *
 * Return: 0; -errno with a sentence. vd_file_close() follows either way. Context: control thread.
 */
int vd_file_open(struct vd_file *f, struct vd_blk_conf *bc);
void vd_file_close(struct vd_file *f);

/* Bytes that the image has now. Return: 0; -errno with a sentence. Control thread. */
int vd_file_size(const struct vd_file *f, const char *name, uint64_t *ret_size);

/* As vd_blk_ops.resize; blk-size.c. */
int vd_file_resize(struct vd_blk *blk, uint64_t bytes, uint64_t *ret_bytes);
/* Notice when somebody else changes the size of the image; the device is there. Control thread. */
void vd_file_watch(struct vd_file *f);

/* ---- DISCARD, WRITE_ZEROES, SECURE_ERASE; blk-range.c ---------------------------------------- */

static inline bool vd_file_is_range(const struct vd_blk_req *req)
{
	return req->op >= VD_BLK_DISCARD;
}

/* What a range takes next; vd_blk_req.step. */
enum vd_file_step {
	VD_FILE_PUNCH = 1, /* fallocate(): give the space back */
	VD_FILE_ZERO,      /* fallocate(): zeroes, and the space is kept */
	VD_FILE_WRITE,     /* write zeroes */
	VD_FILE_SYNC,      /* fdatasync() */
	VD_FILE_IOCTL,     /* of a block device */
};

/* Decide the next step, and note it in @req. Context: any thread that has the request. */
enum vd_file_step vd_file_range_step(const struct vd_file *f, struct vd_blk_req *req);

/* The kernel has answered to the step. Return: as vd_file_advance(). */
int vd_file_range_advance(struct vd_file *f, struct vd_blk_req *req, int64_t res);

/* fallocate()'s mode of a step. */
int vd_file_range_mode(enum vd_file_step step);

/* Bytes of f->zeroes that VD_FILE_WRITE writes next. */
size_t vd_file_zeroes(const struct vd_blk_req *req);

/* Do the step, and wait for it. Return: what the kernel said, or -errno. */
int64_t vd_file_range_call(const struct vd_file *f, struct vd_blk_req *req);

/* See what the image can, and put it into @bc. Return: 0; -ENOMEM. Control thread. */
int vd_file_range_init(struct vd_file *f, const struct stat *st, struct vd_blk_conf *bc);
void vd_file_range_fini(struct vd_file *f);

/* Engines. @n: threads. Return: 0; -errno with a sentence. Control thread. */
int vd_file_uring_create(struct vd_file *f, struct vd_worker *w, struct vd_file_engine **ret_fe);
int vd_file_threads_create(struct vd_file *f, unsigned int n, struct vd_file_engine **ret_fe);

#endif
