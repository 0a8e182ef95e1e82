/* SPDX-License-Identifier: BSD-2-Clause */
/* file.c - the bus as files: files that are open, read, written and waited for */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sysfs/view.h"

/* An open file: what it said when it was read from its beginning. */
struct file {
	struct vd_list node;  /* in fs->files */
	uint64_t serial;      /* of its device; 0: of none */
	unsigned int changes; /* of the device, that it told of */
	char *text;
	size_t len;
	struct fuse_pollhandle *poll; /* somebody waits for a change; or NULL */
};

static struct file *file_of(const struct fuse_file_info *fi)
{
	return (struct file *)(uintptr_t)
		fi->fh; // NOLINT(performance-no-int-to-ptr): the kernel keeps it for us
}

static void close_file(struct file *file)
{
	if (file->poll)
		fuse_pollhandle_destroy(file->poll);
	vd_list_del(&file->node);
	free(file->text);
	free(file);
}

void vd_sysfs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct vd_sysfs *fs = fuse_req_userdata(req);
	int how = fi->flags & O_ACCMODE;
	struct file *file;
	struct ref r;

	if (!vd_sysfs_resolve(fs, ino, &r)) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	/* Whoever it is: there is nothing to read, or nothing takes it. */
	if ((how != O_WRONLY && !r.row->show) || (how != O_RDONLY && !r.row->store)) {
		fuse_reply_err(req, EACCES);
		return;
	}
	file = calloc(1, sizeof(*file));
	if (!file) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	if (r.seen) {
		file->serial = r.seen->serial;
		file->changes = r.seen->changes;
	}
	vd_list_add(&fs->files, &file->node);
	fi->fh = (uintptr_t)file;
	fi->direct_io = 1;
	if (fuse_reply_open(req, fi) == -ENOENT)
		close_file(file); /* interrupted: nobody will */
}

void vd_sysfs_close_all(struct vd_sysfs *fs)
{
	struct file *file, *tmp;

	vd_list_for_each_safe(file, tmp, &fs->files, node)
		close_file(file);
}

void vd_sysfs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	close_file(file_of(fi));
	fuse_reply_err(req, 0);
}

/* What it says now. */
static int refresh(struct vd_sysfs *fs, const struct ref *r, struct file *file)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int err;

	if (!f)
		return -ENOMEM;
	err = r->row->show(fs, r, f);
	if (fclose(f) && !err)
		err = -ENOMEM;
	if (err) {
		free(text);
		return err;
	}
	free(file->text);
	file->text = text;
	file->len = len;
	if (r->seen)
		file->changes = r->seen->changes;
	return 0;
}

void vd_sysfs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct vd_sysfs *fs = fuse_req_userdata(req);
	struct file *file = file_of(fi);
	struct ref r;
	int err = vd_sysfs_resolve(fs, ino, &r) ? 0 : -ENODEV;

	if (!err && (!off || !file->text))
		err = refresh(fs, &r, file);
	if (err)
		fuse_reply_err(req, -err);
	else if ((size_t)off >= file->len)
		fuse_reply_buf(req, NULL, 0);
	else
		fuse_reply_buf(req, file->text + off, vd_min(size, file->len - (size_t)off));
}

void vd_sysfs_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	struct vd_sysfs *fs = fuse_req_userdata(req);
	char text[WORD_MAX + 1];
	struct ref r;
	int err;

	(void)off; /* each write is one of its own, as in sysfs */
	(void)fi;
	if (size > WORD_MAX) {
		fuse_reply_err(req, EFBIG);
		return;
	}
	memcpy(text, buf, size);
	text[size] = '\0';
	if (!vd_sysfs_resolve(fs, ino, &r))
		err = -ENODEV;
	else if (strlen(text) != size)
		err = vd_err(-EINVAL, "a NUL is written");
	else
		err = r.row->store(fs, &r, text, size, req);
	if (err == -EINPROGRESS)
		return;
	if (err)
		fuse_reply_err(req, -err);
	else
		fuse_reply_write(req, size);
}

void vd_sysfs_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		    struct fuse_pollhandle *ph)
{
	struct vd_sysfs *fs = fuse_req_userdata(req);
	struct file *file = file_of(fi);
	unsigned int events = POLLIN | POLLOUT;
	struct ref r;

	if (ph) {
		if (file->poll)
			fuse_pollhandle_destroy(file->poll);
		file->poll = ph;
	}
	if (!vd_sysfs_resolve(fs, ino, &r) || (r.seen && r.seen->changes != file->changes))
		events |= POLLPRI | POLLERR;
	fuse_reply_poll(req, events);
}

void vd_sysfs_changed(struct vd_sysfs *fs, struct seen *s)
{
	struct file *file;

	s->changes++;
	vd_list_for_each(file, &fs->files, node) {
		if (file->serial != s->serial || !file->poll)
			continue;
		fuse_lowlevel_notify_poll(file->poll);
		fuse_pollhandle_destroy(file->poll);
		file->poll = NULL;
	}
}
