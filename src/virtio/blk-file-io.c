/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-file-io.c - requests of the kernel to requests of the disk and back; see blk-file.h */
#include "virtio/blk-file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

/* ---- steps to the device ------------------------------------------------------------------ */

static uint8_t *data_of(struct slot *s)
{
	return s->mem + SLOT_DATA;
}

void vd_blk_file_issue(struct vd_blk_file *f, struct slot *s, enum step step)
{
	s->step = step;
	f->todo[f->ntodo++] = &s->blk;
}

static void issue(struct vd_blk_file *f, struct slot *s, enum step step)
{
	uint64_t first = s->off / f->block * f->block;
	uint64_t end = vd_align_up(s->off + s->len, f->block);

	s->blk = (struct uvdpa_blk_req){ .op = UVDPA_BLK_READ, .iov = &s->iov, .niov = 1 };
	switch (step) {
	case READ_HEAD:
		s->iov = (struct iovec){ s->mem + SLOT_HEAD, f->block };
		break;
	case READ_TAIL:
		first = end - f->block;
		s->iov = (struct iovec){ s->mem + SLOT_TAIL, f->block };
		break;
	case READ:
		s->iov = (struct iovec){ data_of(s), end - first };
		break;
	case WRITE:
		s->iov = (struct iovec){ data_of(s), end - first };
		s->blk.op = UVDPA_BLK_WRITE;
		break;
	case FLUSH:
		s->blk = (struct uvdpa_blk_req){ .op = UVDPA_BLK_FLUSH };
		first = 0;
		break;
	case ZERO_READ:
	case ZERO_WRITE:
	case ZERO:
		assert(false);	/* blk-file-zero.c fills those in */
	}
	s->blk.sector = first / UVDPA_BLK_SECTOR;
	vd_blk_file_issue(f, s, step);
}

/* Does anything that came before and is not done forbid to begin? */
static bool must_wait(struct vd_blk_file *f, const struct slot *s)
{
	struct slot *t;

	vd_list_for_each(t, &f->writes, node) {
		if (t == s)
			return false;
		if ((s->partial || t->partial) && s->first <= t->last && t->first <= s->last)
			return true;
	}
	return false;
}

static void start_writes(struct vd_blk_file *f)
{
	struct slot *s;

	vd_list_for_each(s, &f->writes, node) {
		if (s->started || must_wait(f, s))
			continue;
		s->started = true;
		if (s->zero_end)
			vd_blk_file_zero(f, s);
		else if (s->off % f->block)
			issue(f, s, READ_HEAD);
		else
			issue(f, s, s->partial ? READ_TAIL : WRITE);
	}
}

/* Take the slot from the kernel's request: it is answered. */
static void finish(struct vd_blk_file *f, struct slot *s)
{
	s->req = NULL;
	f->free[f->nfree++] = s;
	if (!vd_list_empty(&s->node)) {
		vd_list_del(&s->node);
		start_writes(f);
	}
}

static void head_is_there(struct vd_blk_file *f, struct slot *s)
{
	size_t head = s->off % f->block, end = head + s->len;

	memcpy(data_of(s), s->mem + SLOT_HEAD, head);
	if (end % f->block == 0)
		issue(f, s, WRITE);
	else if (s->first != s->last)
		issue(f, s, READ_TAIL);
	else {
		memcpy(data_of(s) + end, s->mem + SLOT_HEAD + end, f->block - end);
		issue(f, s, WRITE);
	}
}

static void tail_is_there(struct vd_blk_file *f, struct slot *s)
{
	size_t end = s->off % f->block + s->len, part = end % f->block;

	memcpy(data_of(s) + end, s->mem + SLOT_TAIL + part, f->block - part);
	issue(f, s, WRITE);
}

/* A step came back from the device. */
static void stepped(struct vd_blk_file *f, struct slot *s)
{
	if (s->blk.res) {
		fuse_reply_err(s->req, -s->blk.res);
		finish(f, s);
		return;
	}
	switch (s->step) {
	case READ_HEAD:
		head_is_there(f, s);
		return;
	case READ_TAIL:
		tail_is_there(f, s);
		return;
	case WRITE:
		if (s->sync && f->flush) {
			issue(f, s, FLUSH);
			return;
		}
		fuse_reply_write(s->req, s->len);
		break;
	case READ:
		fuse_reply_buf(s->req, (char *)data_of(s) + s->off % f->block, s->len);
		break;
	case FLUSH:
		if (s->len)
			fuse_reply_write(s->req, s->len);
		else
			fuse_reply_err(s->req, 0);
		break;
	case ZERO_READ:
	case ZERO_WRITE:
	case ZERO:
		if (!vd_blk_file_zeroed(f, s))
			return;
		fuse_reply_err(s->req, -s->blk.res);
		break;
	}
	finish(f, s);
}

/* ---- what the kernel asks -------------------------------------------------------------------- */

static struct vd_blk_file *file_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

struct slot *vd_blk_file_keep(struct vd_blk_file *f, fuse_req_t req, uint64_t off, size_t len)
{
	struct slot *s = f->cur;

	s->req = req;
	s->off = off;
	s->len = len;
	s->sync = false;
	s->zero_end = 0;
	return s;
}

void vd_blk_file_begin(struct vd_blk_file *f, struct slot *s, uint64_t end)
{
	s->first = s->off / f->block;
	s->last = (end - 1) / f->block;
	s->partial = s->off % f->block || end % f->block;
	s->started = false;
	vd_list_add(&f->writes, &s->node);
	start_writes(f);
}

static void fill_attr(const struct vd_blk_file *f, struct stat *st)
{
	*st = (struct stat){
		.st_ino = FUSE_ROOT_ID,
		.st_mode = S_IFREG | (f->readonly ? 0400 : 0600),
		.st_nlink = 1,
		.st_uid = geteuid(),
		.st_gid = getegid(),
		.st_size = (off_t)f->known_capacity,
		.st_blocks = (blkcnt_t)(f->known_capacity / 512),
		.st_blksize = (blksize_t)vd_max(f->block, PAGE),
		.st_atime = f->since, .st_mtime = f->since, .st_ctime = f->since,
	};
}

static void do_init(void *arg, struct fuse_conn_info *conn)
{
	struct vd_blk_file *f = arg;

	conn->max_write = f->io_max;
	conn->max_background = SLOTS;
	conn->congestion_threshold = SLOTS;
	conn->want &= ~(unsigned int)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
				      FUSE_CAP_SPLICE_MOVE);
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)ino, (void)fi;
	fill_attr(file_of(req), &st);
	fuse_reply_attr(req, &st, 1.0);
}

/* As a block device, it has one size. Times may be set, and stay what they are. */
static void do_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	const int fixed = FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID;

	if (to_set & fixed || (to_set & FUSE_SET_ATTR_SIZE &&
			       (uint64_t)attr->st_size != file_of(req)->known_capacity)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	do_getattr(req, ino, fi);
}

/* Answered by hand: libfuse 3.14 has no word for parallel writes. O_TRUNC is nothing, as on a
 * block device. */
static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fuse_open_out out = { .open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES };
	struct vd_blk_file *f = file_of(req);

	(void)ino;
	if (f->readonly && (fi->flags & O_ACCMODE) != O_RDONLY) {
		fuse_reply_err(req, EROFS);
		return;
	}
	if (!fuse_reply_buf(req, (char *)&out, sizeof(out)))
		f->opens++;
}

static void do_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino, (void)fi;
	file_of(req)->opens--;
	fuse_reply_err(req, 0);
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct vd_blk_file *f = file_of(req);
	uint64_t pos = (uint64_t)off;

	(void)ino, (void)fi;
	if (off < 0 || pos >= f->known_capacity) {
		fuse_reply_buf(req, NULL, 0);
		return;
	}
	size = vd_min(size, (size_t)f->io_max);
	size = vd_min(size, (size_t)(f->known_capacity - pos));
	issue(f, vd_blk_file_keep(f, req, pos, size), READ);
}

static void do_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	struct vd_blk_file *f = file_of(req);
	uint64_t pos = (uint64_t)off;
	struct slot *s;

	(void)ino;
	if (f->readonly || off < 0 || pos >= f->known_capacity) {
		fuse_reply_err(req, f->readonly ? EROFS : ENOSPC);
		return;
	}
	size = vd_min(size, (size_t)f->io_max);
	size = vd_min(size, (size_t)(f->known_capacity - pos));
	if (!size) {
		fuse_reply_write(req, 0);
		return;
	}
	s = vd_blk_file_keep(f, req, pos, size);
	s->sync = fi->flags & O_DSYNC;	/* O_SYNC has that bit, too */
	/* Where it is already, if it begins with a block. */
	memmove(data_of(s) + pos % f->block, buf, size);
	vd_blk_file_begin(f, s, pos + size);
}

static void do_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct vd_blk_file *f = file_of(req);

	(void)ino, (void)datasync, (void)fi;
	if (!f->flush || f->readonly)
		fuse_reply_err(req, 0);
	else
		issue(f, vd_blk_file_keep(f, req, 0, 0), FLUSH);
}

/* close(2) */
static void do_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	do_fsync(req, ino, 0, fi);
}

const struct fuse_lowlevel_ops vd_blk_file_ops = {
	.init = do_init,
	.getattr = do_getattr,
	.setattr = do_setattr,
	.open = do_open,
	.release = do_release,
	.read = do_read,
	.write = do_write,
	.flush = do_flush,
	.fsync = do_fsync,
	.fallocate = vd_blk_file_fallocate,
	.statfs = vd_blk_file_statfs,
};

/* ---- the data thread ------------------------------------------------------------------------- */

/* Read what the kernel has for us. */
static void take(struct vd_blk_file *f)
{
	while (f->nfree && !f->ended && __atomic_load_n(&f->want, __ATOMIC_ACQUIRE) == RUN) {
		struct slot *s = f->free[f->nfree - 1];
		struct fuse_buf buf = { .mem = s->mem + SLOT_MESSAGE };
		ssize_t n = read(fuse_session_fd(f->se), buf.mem, SLOT_MESSAGE_MAX);

		if (n < 0 && (errno == ENOENT || errno == EINTR))
			continue;	/* the asker was interrupted, or we */
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			f->ended = true;
			__atomic_store_n(&f->unmounted, true, __ATOMIC_RELEASE);
			vd_loop_post(f->vdev->loop, &f->post);
			return;
		}
		buf.size = (size_t)n;
		/* The message may be answered at once, and the slot is free again then. */
		f->nfree--;
		f->cur = s;
		fuse_session_process_buf(f->se, &buf);
		if (!s->req)
			f->free[f->nfree++] = s;
	}
}

static struct slot *slot_of(struct uvdpa_blk_req *r)
{
	return container_of(r, struct slot, blk);
}

/* Hand over what the ring takes; the rest later. */
static void submit(struct vd_blk_file *f)
{
	while (f->ntodo) {
		struct slot *first = slot_of(f->todo[0]);
		int n = uvdpa_blkq_submit(f->q, f->todo, f->ntodo);
		unsigned int out = n < 0 ? 1 : (unsigned int)n;

		if (!n)
			return;
		f->ntodo -= out;
		memmove(f->todo, f->todo + out, f->ntodo * sizeof(f->todo[0]));
		if (n < 0) {
			first->blk.res = n;
			stepped(f, first);	/* can add to todo */
		}
	}
}

static unsigned int reap(struct vd_blk_file *f)
{
	struct uvdpa_blk_req *done[SLOTS];
	unsigned int n = uvdpa_blkq_poll(f->q, done, SLOTS);

	for (unsigned int i = 0; i < n; i++)
		stepped(f, slot_of(done[i]));
	return n;
}

static void check_capacity(struct vd_blk_file *f)
{
	uint64_t capacity = __atomic_load_n(&f->capacity, __ATOMIC_RELAXED);

	if (capacity == f->known_capacity)
		return;
	f->known_capacity = capacity;
	if (!f->ended)	/* attributes only, so nobody is waited for */
		fuse_lowlevel_notify_inval_inode(f->se, FUSE_ROOT_ID, -1, 0);
}

static void check_quiet(struct vd_blk_file *f)
{
	if (f->nfree < SLOTS || f->quiet ||
	    __atomic_load_n(&f->want, __ATOMIC_ACQUIRE) != QUIESCE)
		return;
	__atomic_store_n(&f->quiet, true, __ATOMIC_RELEASE);
	vd_loop_post(f->vdev->loop, &f->post);
}

static void sleep_until_something(struct vd_blk_file *f)
{
	bool take_more = f->nfree && !f->ended &&
			 __atomic_load_n(&f->want, __ATOMIC_ACQUIRE) == RUN;
	struct pollfd p[] = {
		{ .fd = f->wake, .events = POLLIN },
		{ .fd = f->nfree < SLOTS ? uvdpa_blkq_fd(f->q) : -1, .events = POLLIN },
		{ .fd = take_more ? fuse_session_fd(f->se) : -1, .events = POLLIN },
	};

	if (p[1].fd >= 0 && uvdpa_blkq_arm(f->q))
		return;
	poll(p, VD_ARRAY_SIZE(p), -1);
	if (p[0].revents)
		vd_eventfd_drain(f->wake);
}

void *vd_blk_file_run(void *arg)
{
	struct vd_blk_file *f = arg;

	/* Dirty pages of a file system on this very file may be what has to be written before
	 * there is memory for us again. Needs CAP_SYS_RESOURCE; without it is a wish. */
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	while (__atomic_load_n(&f->want, __ATOMIC_ACQUIRE) != EXIT) {
		check_capacity(f);
		take(f);
		submit(f);
		if (reap(f))
			continue;
		check_quiet(f);
		sleep_until_something(f);
	}
	for (unsigned int i = 0; i < SLOTS; i++)
		if (f->slots[i].req)
			fuse_reply_err(f->slots[i].req, ENODEV);
	return NULL;
}
