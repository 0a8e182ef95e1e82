/* SPDX-License-Identifier: BSD-2-Clause */
/* mount.c - the bus as files: the mount, its place in the loop, and the devices that are seen */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mount.h"
#include "sysfs/view.h"

#define BATCH 32u /* requests before others of the loop have their turn */
#define BUF \
	(16u << 10) /* more than FUSE_MIN_READ_BUFFER, and a write of WORD_MAX with its header */

/* ---- devices ----------------------------------------------------------------------------- */

static struct seen *seen_of(struct vd_sysfs *fs, const struct uvdpa_dev *dev)
{
	struct seen *s;

	vd_list_for_each(s, &fs->devs, node)
		if (s->dev == dev)
			return s;
	return NULL;
}

static void see(struct vd_sysfs *fs, struct uvdpa_dev *dev)
{
	struct seen *s = calloc(1, sizeof(*s));

	if (!s) {
		vd_log_warn(fs->log, "sysfs", "%s is not shown: no memory", uvdpa_dev_name(dev));
		return;
	}
	s->dev = dev;
	s->serial = ++fs->serials;
	snprintf(s->virtio, sizeof(s->virtio), "virtio%" PRIu64, s->serial - 1);
	vd_list_init(&s->kept);
	vd_list_add(&fs->devs, &s->node);
}

void vd_sysfs_look(struct vd_sysfs *fs)
{
	struct uvdpa_dev *dev = NULL;
	struct vd_list *at = fs->devs.next;

	while ((dev = uvdpa_dev_next(fs->u, dev))) {
		if (at != &fs->devs && vd_list_entry(at, struct seen, node)->dev == dev)
			at = at->next;
		else if (!seen_of(fs, dev))
			see(fs, dev);
	}
}

struct seen *vd_sysfs_find(struct vd_sysfs *fs, const char *name)
{
	struct seen *s;

	vd_sysfs_look(fs);
	vd_list_for_each(s, &fs->devs, node)
		if (!strcmp(uvdpa_dev_name(s->dev), name))
			return s;
	return NULL;
}

static void see_no_more(struct seen *s)
{
	struct kept *k, *tmp;

	vd_list_for_each_safe(k, tmp, &s->kept, node)
		vd_sysfs_forget(k);
	vd_list_del(&s->node);
	free(s);
}

static void on_event(struct uvdpa_watch *w, enum uvdpa_event ev, struct uvdpa_dev *dev)
{
	struct vd_sysfs *fs = container_of(w, struct vd_sysfs, watch);
	struct seen *s;

	if (ev == UVDPA_DEV_ADDED)
		vd_sysfs_look(fs);
	s = seen_of(fs, dev);
	if (!s)
		return;
	if (ev == UVDPA_DEV_BOUND)
		vd_sysfs_bound(s);
	if (ev == UVDPA_DEV_READY && fs->autoprobe)
		vd_sysfs_probe(fs, s);
	vd_sysfs_changed(fs, s);
	if (ev == UVDPA_DEV_REMOVED)
		see_no_more(s);
}

/* ---- requests ---------------------------------------------------------------------------- */

static void on_request(struct vd_fd *f, uint32_t events)
{
	struct vd_sysfs *fs = container_of(f, struct vd_sysfs, fd);
	_Alignas(uint64_t) char mem[BUF];

	(void)events;
	for (unsigned int i = 0; i < BATCH; i++) {
		struct fuse_buf buf = { .mem = mem };
		ssize_t n = read(f->fd, mem, sizeof(mem));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0 && errno == ENOENT)
			continue; /* who asked has given up */
		if (n <= 0) {
			vd_log_warn(fs->log, "sysfs", "%s: was unmounted", fs->dir);
			vd_fd_del(f);
			return;
		}
		buf.size = (size_t)n;
		fuse_session_process_buf(fs->se, &buf);
	}
}

/* ---- the mount --------------------------------------------------------------------------- */

/* A directory to mount over: empty, or made. */
static int make_dir(struct vd_sysfs *fs, const char *path)
{
	int r = vd_unmount_dead(path);
	struct dirent *e;
	DIR *d;

	if (r < 0)
		return r;
	if (r)
		vd_log_info(fs->log, "sysfs", "%s: removed a dead mount", path);
	if (!mkdir(path, 0755))
		fs->created = true;
	else if (errno != EEXIST)
		return vd_err(-errno, "%s: %m", path);
	d = opendir(path);
	if (!d)
		return vd_err(-errno, "%s: %m", path);
	r = 0;
	while (!r && (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			r = vd_err(-ENOTEMPTY, "%s: only an empty directory is mounted over", path);
	closedir(d);
	if (r)
		return r;
	fs->dir = realpath(path, NULL);
	return fs->dir ? 0 : vd_err(-errno, "%s: %m", path);
}

static int mount_dir(struct vd_sysfs *fs)
{
	char *argv[] = { (char[]){ "uvdpad" }, (char[]){ "-o" },
			 (char[]){ "fsname=uvdpa,subtype=uvdpa-sysfs,default_permissions,nosuid,"
				   "nodev,noexec" },
			 NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	int r;

	fs->se = fuse_session_new(&args, &vd_sysfs_ops, sizeof(vd_sysfs_ops), fs);
	fuse_opt_free_args(&args);
	if (!fs->se)
		return vd_err(-ENOMEM, "%s: no FUSE session", fs->dir);
	if (fuse_session_mount(fs->se, fs->dir))
		return vd_err(-EPERM, "%s: cannot be mounted over; root or fusermount3 can",
			      fs->dir);
	r = vd_set_nonblock(fuse_session_fd(fs->se), true);
	fs->fd.fn = on_request;
	return r ? r : vd_fd_add(fs->loop, &fs->fd, fuse_session_fd(fs->se), EPOLLIN);
}

int vd_sysfs_start(const struct vd_sysfs_opts *o, struct vd_sysfs **ret_fs)
{
	struct vd_sysfs *fs;
	int r;

	if (access("/dev/fuse", R_OK | W_OK))
		return vd_err(-ENODEV, "%s: /dev/fuse: %m", o->dir);
	fs = calloc(1, sizeof(*fs));
	if (!fs)
		return vd_err(-ENOMEM, "%s: no memory", o->dir);
	fs->loop = o->loop;
	fs->log = o->log;
	fs->u = o->u;
	fs->since = time(NULL);
	vd_list_init(&fs->devs);
	vd_list_init(&fs->files);
	fs->folder = strdup(o->folder);
	r = fs->folder ? make_dir(fs, o->dir) : vd_err(-ENOMEM, "%s: no memory", o->dir);
	if (!r)
		r = mount_dir(fs);
	if (r) {
		vd_sysfs_stop(fs);
		vd_sysfs_fini(fs);
		return r;
	}
	fs->watch.event = on_event;
	uvdpa_watch_add(fs->u, &fs->watch);
	*ret_fs = fs;
	return 0;
}

void vd_sysfs_stop(struct vd_sysfs *fs)
{
	struct seen *s, *tmp;

	if (!fs)
		return;
	uvdpa_watch_del(&fs->watch);
	vd_fd_del(&fs->fd);
	/* Closing the descriptor ends what anybody waits for, so this waits for nobody. */
	if (fs->se)
		fuse_session_unmount(fs->se);
	vd_list_for_each_safe(s, tmp, &fs->devs, node)
		see_no_more(s);
	if (fs->created && rmdir(fs->dir))
		vd_log_warn(fs->log, "sysfs", "%s: not removed: %s", fs->dir, strerror(errno));
}

void vd_sysfs_fini(struct vd_sysfs *fs)
{
	if (!fs)
		return;
	vd_sysfs_close_all(fs);
	if (fs->se)
		fuse_session_destroy(fs->se);
	free(fs->dir);
	free(fs->folder);
	free(fs);
}
