/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * view.h - the bus as files: what its parts share
 *
 *	mount.c		the mount, its place in the loop, and the devices that are seen
 *	tree.c		directories and links: what the kernel asks
 *	file.c		files that are open
 *	attr.c		what is read from a file, and what writing to it does
 *
 * The tree is a table of rows; some are there once, some for each device or driver. An inode number
 * says the row and of what, so there is nothing to keep for what somebody looked at, and one of a
 * device that is gone is found to be so. Nothing is cached by the kernel, so nothing can be stale
 * there.
 *
 * Context of everything: control thread.
 */
#ifndef VD_SYSFS_VIEW_H
#define VD_SYSFS_VIEW_H

#define FUSE_USE_VERSION 314

#include <fuse3/fuse_lowlevel.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "sysfs/sysfs.h"

#define WORD_MAX 4096u /* of one write, as in Linux: a page */

/* Options that a device had with a driver, or shall have with the next: "KEY VALUE\n"... */
struct kept {
	struct vd_list node;
	const struct uvdpa_driver *driver; /* NULL: with whichever is next */
	char *text;
};

/* A device that is seen. */
struct seen {
	struct vd_list node; /* in fs->devs, by serial */
	uint64_t serial;     /* never used again, as names are */
	struct uvdpa_dev *dev;
	const struct uvdpa_driver
		*last;        /* the driver that has it, or had it last; NULL: none yet */
	unsigned int changes; /* events of it so far */
	struct vd_list kept;
	char virtio[24];           /* what it is called on the virtio bus */
	char interface[IFNAMSIZ]; /* that it has become, when last looked at */
};

struct file;

struct vd_sysfs {
	struct vd_loop *loop;
	struct vd_log *log;
	struct uvdpa *u;
	char *dir, *folder;
	bool created; /* dir was made here */
	bool autoprobe;
	time_t since;
	struct fuse_session *se;
	struct vd_fd fd;
	struct uvdpa_watch watch;
	struct vd_list devs;
	uint64_t serials;
	struct vd_list files; /* struct file: open, of a device */
};

/* What an inode number stands for. */
struct ref {
	const struct row *row;
	const struct uvdpa_driver *driver; /* of one that is there for each driver */
	struct seen *seen;                 /* of one that is there for each device */
};

/**
 * struct row - A directory, link or file of the tree
 * @parent: the directory's row
 * @name: NULL: named after the device or driver
 * @each: what it is there for each of
 * @mode: type and permissions
 * @target: of a link: what it points to, up to the name of a device or driver
 * @show: writes what a file has to say; NULL: it cannot be read. Return: 0 or -errno
 * @store: takes what was written, without the newline at its end; NULL: it cannot be written.
 * Return: 0 or -errno with a sentence; -EINPROGRESS: @req is answered by it, with @len bytes taken
 */
struct row {
	unsigned int parent;
	const char *name;
	enum { ONCE, EACH_DRIVER, EACH_DEV, EACH_BOUND } each;
	mode_t mode;
	const char *target;
	int (*show)(struct vd_sysfs *fs, const struct ref *r, FILE *f);
	int (*store)(struct vd_sysfs *fs, const struct ref *r, char *text, size_t len,
		     fuse_req_t req);
};

/* ---- mount.c */

/* See those of which the bus has not told yet: who made one may look for it at once. */
void vd_sysfs_look(struct vd_sysfs *fs);
struct seen *vd_sysfs_find(struct vd_sysfs *fs, const char *name);

/* ---- tree.c */

extern const struct fuse_lowlevel_ops vd_sysfs_ops;

/* What an inode number stands for. Return: false: it is gone. */
bool vd_sysfs_resolve(struct vd_sysfs *fs, fuse_ino_t ino, struct ref *r);
/* What a driver is called here: as in Linux, if that has one of the kind. */
const char *vd_sysfs_driver(const struct uvdpa_driver *d);

/* ---- file.c; see struct fuse_lowlevel_ops */

void vd_sysfs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void vd_sysfs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void vd_sysfs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		   struct fuse_file_info *fi);
void vd_sysfs_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		    struct fuse_file_info *fi);
void vd_sysfs_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		   struct fuse_pollhandle *ph);

/* Something of a device changed: whoever polls its files is told. */
void vd_sysfs_changed(struct vd_sysfs *fs, struct seen *s);
/* Forget all open files, which nobody will close any more. */
void vd_sysfs_close_all(struct vd_sysfs *fs);

/* ---- attr.c; see struct row */

int vd_sysfs_show_autoprobe(struct vd_sysfs *fs, const struct ref *r, FILE *f);
int vd_sysfs_show_override(struct vd_sysfs *fs, const struct ref *r, FILE *f);
int vd_sysfs_show_uevent(struct vd_sysfs *fs, const struct ref *r, FILE *f);
int vd_sysfs_show_type(struct vd_sysfs *fs, const struct ref *r, FILE *f);
int vd_sysfs_show_mgmtdev(struct vd_sysfs *fs, const struct ref *r, FILE *f);
int vd_sysfs_show_ready(struct vd_sysfs *fs, const struct ref *r, FILE *f);
int vd_sysfs_show_status(struct vd_sysfs *fs, const struct ref *r, FILE *f);
int vd_sysfs_show_features(struct vd_sysfs *fs, const struct ref *r, FILE *f);
int vd_sysfs_show_negotiated(struct vd_sysfs *fs, const struct ref *r, FILE *f);
int vd_sysfs_show_endpoint(struct vd_sysfs *fs, const struct ref *r, FILE *f);
int vd_sysfs_show_config(struct vd_sysfs *fs, const struct ref *r, FILE *f);
int vd_sysfs_show_attrs(struct vd_sysfs *fs, const struct ref *r, FILE *f);
int vd_sysfs_show_driver_attrs(struct vd_sysfs *fs, const struct ref *r, FILE *f);

int vd_sysfs_store_autoprobe(struct vd_sysfs *fs, const struct ref *r, char *text, size_t len,
			     fuse_req_t req);
int vd_sysfs_store_probe(struct vd_sysfs *fs, const struct ref *r, char *text, size_t len,
			 fuse_req_t req);
int vd_sysfs_store_bind(struct vd_sysfs *fs, const struct ref *r, char *text, size_t len,
			fuse_req_t req);
int vd_sysfs_store_unbind(struct vd_sysfs *fs, const struct ref *r, char *text, size_t len,
			  fuse_req_t req);
int vd_sysfs_store_override(struct vd_sysfs *fs, const struct ref *r, char *text, size_t len,
			    fuse_req_t req);
int vd_sysfs_store_driver_attrs(struct vd_sysfs *fs, const struct ref *r, char *text, size_t len,
				fuse_req_t req);

/* A driver has it: its options are kept, for when it comes back. */
void vd_sysfs_bound(struct seen *s);
/* It is there and nobody has it: give it to whom it shall have, as a write to drivers_probe. */
void vd_sysfs_probe(struct vd_sysfs *fs, struct seen *s);
void vd_sysfs_forget(struct kept *k);

#endif
