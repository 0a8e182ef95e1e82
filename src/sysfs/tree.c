/* SPDX-License-Identifier: BSD-2-Clause */
/* tree.c - the bus as files: directories, links and files, and what the kernel asks of them */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "sysfs/view.h"

#define FILE_SIZE 4096 /* as sysfs says of each */

enum {
	ROOT = FUSE_ROOT_ID,
	BUS,
	BUS_VDPA,
	AUTOPROBE,
	PROBE,
	BUS_DEVS,
	BUS_DEV,
	DRIVERS,
	DRIVER,
	BIND,
	UNBIND,
	DRIVER_DEV,
	CLASS,
	CLASS_VDPA,
	CLASS_DEV,
	DEVS,
	DEV,
	DEV_DRIVER,
	SUBSYSTEM,
	OVERRIDE,
	UEVENT,
	TYPE,
	MGMTDEV,
	READY,
	STATUS,
	FEATURES,
	NEGOTIATED,
	ENDPOINT,
	CONFIG,
	ATTRS,
	DRIVER_ATTRS,
	NROWS,
};

#define DIRECTORY(p, n, e)                                                      \
	{                                                                       \
		.parent = (p), .name = (n), .each = (e), .mode = S_IFDIR | 0755 \
	}
#define LINK(p, n, e, to)                                                                       \
	{                                                                                       \
		.parent = (p), .name = (n), .each = (e), .mode = S_IFLNK | 0777, .target = (to) \
	}
#define READS  (S_IFREG | 0444)
#define WRITES (S_IFREG | 0200)
#define BOTH   (S_IFREG | 0644)

static const struct row rows[NROWS] = {
	[ROOT] = DIRECTORY(0, "/", ONCE),
	[BUS] = DIRECTORY(ROOT, "bus", ONCE),
	[BUS_VDPA] = DIRECTORY(BUS, "vdpa", ONCE),
	[AUTOPROBE] = { BUS_VDPA, "drivers_autoprobe", ONCE, BOTH, .show = vd_sysfs_show_autoprobe,
			.store = vd_sysfs_store_autoprobe },
	[PROBE] = { BUS_VDPA, "drivers_probe", ONCE, WRITES, .store = vd_sysfs_store_probe },
	[BUS_DEVS] = DIRECTORY(BUS_VDPA, "devices", ONCE),
	[BUS_DEV] = LINK(BUS_DEVS, NULL, EACH_DEV, "../../../devices/"),
	[DRIVERS] = DIRECTORY(BUS_VDPA, "drivers", ONCE),
	[DRIVER] = DIRECTORY(DRIVERS, NULL, EACH_DRIVER),
	[BIND] = { DRIVER, "bind", ONCE, WRITES, .store = vd_sysfs_store_bind },
	[UNBIND] = { DRIVER, "unbind", ONCE, WRITES, .store = vd_sysfs_store_unbind },
	[DRIVER_DEV] = LINK(DRIVER, NULL, EACH_BOUND, "../../../../devices/"),
	[CLASS] = DIRECTORY(ROOT, "class", ONCE),
	[CLASS_VDPA] = DIRECTORY(CLASS, "vdpa", ONCE),
	[CLASS_DEV] = LINK(CLASS_VDPA, NULL, EACH_DEV, "../../devices/"),
	[DEVS] = DIRECTORY(ROOT, "devices", ONCE),
	[DEV] = DIRECTORY(DEVS, NULL, EACH_DEV),
	[DEV_DRIVER] = LINK(DEV, "driver", ONCE, "../../bus/vdpa/drivers/"),
	[SUBSYSTEM] = LINK(DEV, "subsystem", ONCE, "../../bus/vdpa"),
	[OVERRIDE] = { DEV, "driver_override", ONCE, BOTH, .show = vd_sysfs_show_override,
		       .store = vd_sysfs_store_override },
	[UEVENT] = { DEV, "uevent", ONCE, READS, .show = vd_sysfs_show_uevent },
	[TYPE] = { DEV, "type", ONCE, READS, .show = vd_sysfs_show_type },
	[MGMTDEV] = { DEV, "mgmtdev", ONCE, READS, .show = vd_sysfs_show_mgmtdev },
	[READY] = { DEV, "ready", ONCE, READS, .show = vd_sysfs_show_ready },
	[STATUS] = { DEV, "status", ONCE, READS, .show = vd_sysfs_show_status },
	[FEATURES] = { DEV, "features", ONCE, READS, .show = vd_sysfs_show_features },
	[NEGOTIATED] = { DEV, "negotiated_features", ONCE, READS,
			 .show = vd_sysfs_show_negotiated },
	[ENDPOINT] = { DEV, "endpoint", ONCE, READS, .show = vd_sysfs_show_endpoint },
	[CONFIG] = { DEV, "config", ONCE, READS, .show = vd_sysfs_show_config },
	[ATTRS] = { DEV, "attrs", ONCE, READS, .show = vd_sysfs_show_attrs },
	[DRIVER_ATTRS] = { DEV, "driver_attrs", ONCE, BOTH, .show = vd_sysfs_show_driver_attrs,
			   .store = vd_sysfs_store_driver_attrs },
};

/* ---- inode numbers ----------------------------------------------------------------------- */

/* From the low bits on: the row, 1 + the driver's place in its list, the device's serial. */

#define INO_DRIVER 8
#define INO_SERIAL 16

static fuse_ino_t ino_of(struct vd_sysfs *fs, const struct ref *r)
{
	fuse_ino_t ino = (fuse_ino_t)(r->row - rows);
	fuse_ino_t n = 1;

	if (r->driver) {
		const struct uvdpa_driver *d = NULL;

		while ((d = uvdpa_driver_next(fs->u, d)) && d != r->driver)
			n++;
		ino |= n << INO_DRIVER;
	}
	if (r->seen)
		ino |= (fuse_ino_t)r->seen->serial << INO_SERIAL;
	return ino;
}

/* Return: false if what it stood for is gone. */
static bool resolve(struct vd_sysfs *fs, fuse_ino_t ino, struct ref *r)
{
	unsigned int row = ino & 0xff, n = ino >> INO_DRIVER & 0xff;
	uint64_t serial = ino >> INO_SERIAL;
	struct seen *s;

	if (!row || row >= NROWS)
		return false;
	*r = (struct ref){ .row = &rows[row] };
	while (n--)
		r->driver = uvdpa_driver_next(fs->u, r->driver);
	if (!serial)
		return true;
	vd_list_for_each(s, &fs->devs, node)
		if (s->serial == serial) {
			r->seen = s;
			return true;
		}
	return false;
}

/* ---- what is in a directory -------------------------------------------------------------- */

/* Is it there, of this device or driver? */
static bool there(const struct ref *r)
{
	if (r->row == &rows[DEV_DRIVER])
		return uvdpa_dev_driver(r->seen->dev) != NULL;
	return r->row->each != EACH_BOUND || uvdpa_dev_driver(r->seen->dev) == r->driver;
}

/* What @r is called in its directory. */
static const char *name_of(const struct ref *r)
{
	if (r->row->name)
		return r->row->name;
	return r->seen ? uvdpa_dev_name(r->seen->dev) : uvdpa_driver_name(r->driver);
}

/* Return: true to go on no further. @off: of the entry, later than those before it. */
typedef bool entry_fn(void *arg, const struct ref *r, off_t off);

/*
 * Call @fn for what is in a directory: row by row, and of a row the devices in their order, which
 * stays. So who reads a directory in pieces sees what stays there, once.
 */
static void each_entry(struct vd_sysfs *fs, const struct ref *dir, entry_fn *fn, void *arg)
{
	vd_sysfs_look(fs);
	for (unsigned int row = ROOT + 1; row < NROWS; row++) {
		struct ref r = { &rows[row], dir->driver, dir->seen };
		off_t off = (off_t)row << 40;
		struct seen *s;

		if (r.row->parent != (unsigned int)(dir->row - rows))
			continue;
		switch (r.row->each) {
		case ONCE:
			if (there(&r) && fn(arg, &r, off))
				return;
			break;
		case EACH_DRIVER:
			while ((r.driver = uvdpa_driver_next(fs->u, r.driver)))
				if (fn(arg, &r, ++off))
					return;
			break;
		case EACH_DEV:
		case EACH_BOUND:
			vd_list_for_each(s, &fs->devs, node) {
				r.seen = s;
				if (there(&r) && fn(arg, &r, off + (off_t)s->serial))
					return;
			}
			break;
		}
	}
}

static struct stat stat_of(struct vd_sysfs *fs, const struct ref *r)
{
	return (struct stat){
		.st_ino = ino_of(fs, r),
		.st_mode = r->row->mode,
		.st_nlink = S_ISDIR(r->row->mode) ? 2 : 1,
		.st_uid = geteuid(),
		.st_gid = getegid(),
		.st_size = S_ISREG(r->row->mode) ? FILE_SIZE : 0,
		.st_blksize = FILE_SIZE,
		.st_atim.tv_sec = fs->since,
		.st_mtim.tv_sec = fs->since,
		.st_ctim.tv_sec = fs->since,
	};
}

/* ---- requests ---------------------------------------------------------------------------- */

struct lookup {
	const char *name;
	struct ref found; /* its row: NULL if it is not there */
};

static bool is_it(void *arg, const struct ref *r, off_t off)
{
	struct lookup *l = arg;

	(void)off;
	if (strcmp(name_of(r), l->name))
		return false;
	l->found = *r;
	return true;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct vd_sysfs *fs = fuse_req_userdata(req);
	struct lookup l = { .name = name };
	struct fuse_entry_param e = { 0 }; /* valid for no time: nothing is cached */
	struct ref dir;

	if (resolve(fs, parent, &dir))
		each_entry(fs, &dir, is_it, &l);
	if (!l.found.row) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	e.attr = stat_of(fs, &l.found);
	e.ino = e.attr.st_ino;
	fuse_reply_entry(req, &e);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct vd_sysfs *fs = fuse_req_userdata(req);
	struct stat st;
	struct ref r;

	(void)fi;
	if (!resolve(fs, ino, &r)) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	st = stat_of(fs, &r);
	fuse_reply_attr(req, &st, 0);
}

/* Of what a shell's ">" does, nothing remains; owners and permissions are what they are. */
static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int set,
		       struct fuse_file_info *fi)
{
	(void)attr;
	if (set & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		fuse_reply_err(req, EPERM);
	else
		op_getattr(req, ino, fi);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct vd_sysfs *fs = fuse_req_userdata(req);
	char target[PATH_MAX];
	const char *name = "";
	struct ref r;

	if (!resolve(fs, ino, &r) || !r.row->target || !there(&r)) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	if (r.row->each != ONCE)
		name = uvdpa_dev_name(r.seen->dev);
	else if (r.row == &rows[DEV_DRIVER])
		name = uvdpa_driver_name(uvdpa_dev_driver(r.seen->dev));
	snprintf(target, sizeof(target), "%s%s", r.row->target, name);
	fuse_reply_readlink(req, target);
}

struct listing {
	struct vd_sysfs *fs;
	fuse_req_t req;
	char buf[4096];
	size_t len, max;
	off_t after;
};

/* Return: true if there is no room for it. */
static bool list(struct listing *l, const char *name, const struct stat *st, off_t off)
{
	size_t n;

	if (off <= l->after)
		return false;
	n = fuse_add_direntry(l->req, l->buf + l->len, l->max - l->len, name, st, off);
	if (n > l->max - l->len)
		return true;
	l->len += n;
	return false;
}

static bool list_entry(void *arg, const struct ref *r, off_t off)
{
	struct listing *l = arg;
	struct stat st = stat_of(l->fs, r);

	return list(l, name_of(r), &st, off);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	struct vd_sysfs *fs = fuse_req_userdata(req);
	struct listing l = {
		.fs = fs, .req = req, .max = vd_min(size, sizeof(l.buf)), .after = off
	};
	struct stat dots = { .st_mode = S_IFDIR };
	struct ref dir;

	(void)fi;
	if (!resolve(fs, ino, &dir)) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	if (!list(&l, ".", &dots, 1) && !list(&l, "..", &dots, 2))
		each_entry(fs, &dir, list_entry, &l);
	fuse_reply_buf(req, l.buf, l.len);
}

/* ---- files ------------------------------------------------------------------------------- */

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

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct vd_sysfs *fs = fuse_req_userdata(req);
	int how = fi->flags & O_ACCMODE;
	struct file *file;
	struct ref r;

	if (!resolve(fs, ino, &r)) {
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
		vd_sysfs_close(file); /* interrupted: nobody will */
}

void vd_sysfs_close(struct file *file)
{
	if (file->poll)
		fuse_pollhandle_destroy(file->poll);
	vd_list_del(&file->node);
	free(file->text);
	free(file);
}

void vd_sysfs_close_all(struct vd_sysfs *fs)
{
	struct file *file, *tmp;

	vd_list_for_each_safe(file, tmp, &fs->files, node)
		vd_sysfs_close(file);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	vd_sysfs_close(file_of(fi));
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

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct vd_sysfs *fs = fuse_req_userdata(req);
	struct file *file = file_of(fi);
	struct ref r;
	int err = resolve(fs, ino, &r) ? 0 : -ENODEV;

	if (!err && (!off || !file->text))
		err = refresh(fs, &r, file);
	if (err)
		fuse_reply_err(req, -err);
	else if ((size_t)off >= file->len)
		fuse_reply_buf(req, NULL, 0);
	else
		fuse_reply_buf(req, file->text + off, vd_min(size, file->len - (size_t)off));
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
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
	if (!resolve(fs, ino, &r))
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

static void op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
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
	if (!resolve(fs, ino, &r) || (r.seen && r.seen->changes != file->changes))
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

/* ---- what nobody can do ------------------------------------------------------------------ */

static void op_create(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	(void)dir;
	(void)name;
	(void)mode;
	(void)fi;
	fuse_reply_err(req, EACCES);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode)
{
	(void)dir;
	(void)name;
	(void)mode;
	fuse_reply_err(req, EPERM);
}

static void op_remove(fuse_req_t req, fuse_ino_t dir, const char *name)
{
	(void)dir;
	(void)name;
	fuse_reply_err(req, EPERM);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t dir, const char *name)
{
	(void)target;
	op_remove(req, dir, name);
}

static void op_rename(fuse_req_t req, fuse_ino_t dir, const char *name, fuse_ino_t to,
		      const char *new_name, unsigned int flags)
{
	(void)to;
	(void)new_name;
	(void)flags;
	op_remove(req, dir, name);
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->max_write = 2 * WORD_MAX; /* a word may lie across two pages */
	conn->want &= ~(unsigned int)FUSE_CAP_SPLICE_READ;
}

const struct fuse_lowlevel_ops vd_sysfs_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.readdir = op_readdir,
	.open = op_open,
	.release = op_release,
	.read = op_read,
	.write = op_write,
	.poll = op_poll,
	.create = op_create,
	.mkdir = op_mkdir,
	.rmdir = op_remove,
	.unlink = op_remove,
	.symlink = op_symlink,
	.rename = op_rename,
};
