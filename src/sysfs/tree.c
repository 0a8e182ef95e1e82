/* SPDX-License-Identifier: BSD-2-Clause */
/* tree.c - the bus as files: directories and links, and what the kernel asks of them */
#include <errno.h>
#include <limits.h>
#include <linux/virtio_ids.h>
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
	DRIVER_ALIAS,
	BIND,
	UNBIND,
	DRIVER_MODULE,
	DRIVER_DEV,
	MODULES,
	MODULE,
	CLASS,
	CLASS_VDPA,
	CLASS_DEV,
	CLASS_NET,
	CLASS_NETDEV,
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
	VIRTIO,
	NET,
	NETDEV,
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
	[DRIVER_ALIAS] = LINK(DRIVERS, NULL, EACH_DRIVER, ""),
	[BIND] = { DRIVER, "bind", ONCE, WRITES, .store = vd_sysfs_store_bind },
	[UNBIND] = { DRIVER, "unbind", ONCE, WRITES, .store = vd_sysfs_store_unbind },
	[DRIVER_MODULE] = LINK(DRIVER, "module", ONCE, "../../../../module/"),
	[DRIVER_DEV] = LINK(DRIVER, NULL, EACH_BOUND, "../../../../devices/"),
	[MODULES] = DIRECTORY(ROOT, "module", ONCE),
	[MODULE] = DIRECTORY(MODULES, NULL, EACH_DRIVER),
	[CLASS] = DIRECTORY(ROOT, "class", ONCE),
	[CLASS_VDPA] = DIRECTORY(CLASS, "vdpa", ONCE),
	[CLASS_DEV] = LINK(CLASS_VDPA, NULL, EACH_DEV, "../../devices/"),
	[CLASS_NET] = DIRECTORY(CLASS, "net", ONCE),
	[CLASS_NETDEV] = LINK(CLASS_NET, NULL, EACH_DEV, "../../devices/"),
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
	[VIRTIO] = DIRECTORY(DEV, NULL, ONCE),
	[NET] = DIRECTORY(VIRTIO, "net", ONCE),
	[NETDEV] = LINK(NET, NULL, ONCE, "/sys/class/net/"),
};

/* ---- names ------------------------------------------------------------------------------- */

const char *vd_sysfs_driver(const struct uvdpa_driver *d)
{
	return uvdpa_driver_alias(d) ? uvdpa_driver_alias(d) : uvdpa_driver_name(d);
}

/* What a driver says of where a device is: its interface, if it is not in another namespace. */
struct interface {
	struct uvdpa_emit emit;
	struct seen *seen;
};

static void interface_str(struct uvdpa_emit *e, const char *key, const char *value)
{
	struct seen *s = container_of(e, struct interface, emit)->seen;

	if (!strcmp(key, "interface"))
		snprintf(s->interface, sizeof(s->interface), "%s", value);
	else if (!strcmp(key, "netns"))
		*s->interface = '\0';
}

static void interface_num(struct uvdpa_emit *e, const char *key, uint64_t value)
{
	(void)e;
	(void)key;
	(void)value;
}

static void interface_flag(struct uvdpa_emit *e, const char *key, bool value)
{
	(void)e;
	(void)key;
	(void)value;
}

/* Has the device become a network interface here? Its name is in @s->interface then. */
static bool has_interface(struct seen *s)
{
	struct interface i = {
		.emit = { .str = interface_str, .num = interface_num, .flag = interface_flag },
		.seen = s,
	};

	*s->interface = '\0';
	if (uvdpa_dev_info(s->dev)->device_id == VIRTIO_ID_NET && uvdpa_dev_driver(s->dev))
		uvdpa_dev_describe(s->dev, &i.emit);
	return *s->interface;
}

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

bool vd_sysfs_resolve(struct vd_sysfs *fs, fuse_ino_t ino, struct ref *r)
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
	switch (r->row - rows) {
	case DEV_DRIVER:
		return uvdpa_dev_driver(r->seen->dev) != NULL;
	case DRIVER_ALIAS:
		return uvdpa_driver_alias(r->driver) != NULL;
	case DRIVER_DEV:
		return uvdpa_dev_driver(r->seen->dev) == r->driver;
	case VIRTIO:
	case NETDEV:
	case CLASS_NETDEV:
		return has_interface(r->seen);
	default:
		return true;
	}
}

/* What @r, which is there, is called in its directory. */
static const char *name_of(const struct ref *r)
{
	switch (r->row - rows) {
	case DRIVER:
	case MODULE:
		return vd_sysfs_driver(r->driver);
	case DRIVER_ALIAS:
		return uvdpa_driver_name(r->driver);
	case VIRTIO:
		return r->seen->virtio;
	case NETDEV:
	case CLASS_NETDEV:
		return r->seen->interface;
	default:
		return r->seen && !r->row->name ? uvdpa_dev_name(r->seen->dev) : r->row->name;
	}
}

/* Where a link leads that is there. */
static void target_of(const struct ref *r, char *to, size_t size)
{
	const struct seen *s = r->seen;
	const char *name = "";

	switch (r->row - rows) {
	case DEV_DRIVER:
		name = vd_sysfs_driver(uvdpa_dev_driver(s->dev));
		break;
	case DRIVER_ALIAS:
	case DRIVER_MODULE:
		name = vd_sysfs_driver(r->driver);
		break;
	case NETDEV:
		name = s->interface;
		break;
	case CLASS_NETDEV:
		snprintf(to, size, "%s%s/%s/net/%s", r->row->target, uvdpa_dev_name(s->dev),
			 s->virtio, s->interface);
		return;
	default:
		if (r->row->each != ONCE)
			name = uvdpa_dev_name(s->dev);
	}
	snprintf(to, size, "%s%s", r->row->target, name);
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
			while ((r.driver = uvdpa_driver_next(fs->u, r.driver))) {
				off++;
				if (there(&r) && fn(arg, &r, off))
					return;
			}
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

	if (vd_sysfs_resolve(fs, parent, &dir))
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
	if (!vd_sysfs_resolve(fs, ino, &r)) {
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
	struct ref r;

	if (!vd_sysfs_resolve(fs, ino, &r) || !r.row->target || !there(&r)) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	target_of(&r, target, sizeof(target));
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
	if (!vd_sysfs_resolve(fs, ino, &dir)) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	if (!list(&l, ".", &dots, 1) && !list(&l, "..", &dots, 2))
		each_entry(fs, &dir, list_entry, &l);
	fuse_reply_buf(req, l.buf, l.len);
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
	.open = vd_sysfs_open,
	.release = vd_sysfs_release,
	.read = vd_sysfs_read,
	.write = vd_sysfs_write,
	.poll = vd_sysfs_poll,
	.create = op_create,
	.mkdir = op_mkdir,
	.rmdir = op_remove,
	.unlink = op_remove,
	.symlink = op_symlink,
	.rename = op_rename,
};
