/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-file.c - the disk as one file: path, mount, and the life of its thread; see blk-file.h */
#include "virtio/blk-file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mount.h"
#include "base/thread.h"

/* The data thread has something to say. */
static void said(struct vd_post *p)
{
	struct vd_blk_file *f = container_of(p, struct vd_blk_file, post);
	struct vd_virtio_dev *vdev = f->vdev;

	if (__atomic_exchange_n(&f->unmounted, false, __ATOMIC_ACQUIRE)) {
		vd_log_warn(vdev->log, vdev->name, "%s: was unmounted", f->path);
		vdev->config->release(vdev);
	}
	if (f->want == QUIESCE && __atomic_load_n(&f->quiet, __ATOMIC_ACQUIRE))
		vdev->config->quiesced(vdev);
}

static void tell(struct vd_blk_file *f, enum want want)
{
	__atomic_store_n(&f->want, want, __ATOMIC_RELEASE);
	vd_eventfd_signal(f->wake);
}

void vd_blk_file_quiesce(struct vd_blk_file *f)
{
	tell(f, QUIESCE);
}

void vd_blk_file_resized(struct vd_blk_file *f, uint64_t capacity_sectors)
{
	__atomic_store_n(&f->capacity, capacity_sectors * UVDPA_BLK_SECTOR, __ATOMIC_RELAXED);
	vd_eventfd_signal(f->wake);
}

void vd_blk_file_describe(struct vd_blk_file *f, struct uvdpa_emit *e)
{
	char cmd[PATH_MAX + 32];

	e->str(e, "file", f->path);
	snprintf(cmd, sizeof(cmd), "losetup --find --show %s", f->path);
	e->str(e, "losetup", cmd);
	snprintf(cmd, sizeof(cmd), "mount -o loop %s /mnt", f->path);
	e->str(e, "mount", cmd);
}

/* An empty regular file to mount over; made if it is not there. *f->path becomes absolute. */
static int make_path(struct vd_blk_file *f, const char *path)
{
	struct stat st;
	int fd, r = vd_unmount_dead(path);

	if (r < 0)
		return r;
	if (r)
		vd_log_info(f->log, f->vdev->name, "%s: removed a dead mount", path);
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 && errno != EEXIST)
		return vd_err(-errno, "%s: %m", path);
	if (fd >= 0) {
		f->created = true;
		close(fd);
	} else if (lstat(path, &st)) {
		return vd_err(-errno, "%s: %m", path);
	} else if (!S_ISREG(st.st_mode)) {
		return vd_err(-EEXIST, "%s: is there and no regular file", path);
	} else if (st.st_size) {
		return vd_err(-EEXIST, "%s: is there and has %jd bytes; only an empty file is mounted"
			      " over", path, (intmax_t)st.st_size);
	}
	f->path = realpath(path, NULL);
	if (!f->path) {
		r = vd_err(-errno, "%s: %m", path);
		if (f->created)
			unlink(path);
		return r;
	}
	return 0;
}

static void drop_path(struct vd_blk_file *f)
{
	if (f->created && unlink(f->path))
		vd_log_warn(f->log, f->vdev->name, "%s: not removed: %s", f->path,
			    strerror(errno));
	free(f->path);
}

static int mount_path(struct vd_blk_file *f)
{
	char name[UVDPA_NAME_MAX + 32];
	char *argv[] = { (char[]){ "uvdpa" }, (char[]){ "-o" }, name, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	int r;

	snprintf(name, sizeof(name), "fsname=%s,subtype=uvdpa", f->vdev->name);
	f->se = fuse_session_new(&args, &vd_blk_file_ops, sizeof(vd_blk_file_ops), f);
	fuse_opt_free_args(&args);
	if (!f->se)
		return vd_err(-ENOMEM, "%s: no FUSE session", f->vdev->name);
	if (fuse_session_mount(f->se, f->path)) {
		r = vd_err(-EPERM, "%s: cannot be mounted over; root or fusermount3 can", f->path);
		goto err_destroy;
	}
	r = vd_set_nonblock(fuse_session_fd(f->se), true);
	if (r)
		goto err_unmount;
	return 0;

err_unmount:
	fuse_session_unmount(f->se);
err_destroy:
	fuse_session_destroy(f->se);
	return r;
}

/* Also ends what users of the file wait for: closing the descriptor aborts the connection. So
 * this waits for nobody, and the mount goes when its last user does. */
static void unmount_path(struct vd_blk_file *f)
{
	fuse_session_unmount(f->se);
	fuse_session_destroy(f->se);
}

static int open_disk(struct vd_blk_file *f, struct vd_blkdrv *drv,
		     const struct vd_virtio_conf *conf)
{
	struct uvdpa_blk_opts o = {
		.size = sizeof(o), .queues = 1, .queue_size = (unsigned int)conf->queue_size,
		.mem = SLOTS * (size_t)SLOT_SIZE, .packed = conf->packed,
	};
	const struct uvdpa_blk_info *info;
	uint64_t limit;
	uint8_t *mem;
	int r;

	r = vd_blk_open(&drv->bound, &o, &f->blk);
	if (r)
		return r;
	info = uvdpa_blk_info(f->blk);
	limit = info->size_max ? (uint64_t)info->size_max * info->seg_max : UINT32_MAX;
	if (info->block_size > PAGE || limit < PAGE + info->block_size) {
		r = vd_err(-EOPNOTSUPP, "%s: blocks of %" PRIu32 " bytes, requests of %" PRIu64
			   ": a file needs at most %u, at least %u", f->vdev->name,
			   info->block_size, limit, PAGE, PAGE + info->block_size);
		goto err_close;
	}
	limit = (limit - info->block_size) / PAGE * PAGE;
	f->io_max = (uint32_t)vd_min(limit, (uint64_t)IO_MAX);
	f->block = info->block_size;
	f->zero_max = (uint64_t)info->write_zeroes_max_sectors * UVDPA_BLK_SECTOR;
	f->grain = vd_blk_file_grain(info);
	f->readonly = info->readonly;
	f->flush = info->flush;
	f->capacity = f->known_capacity = info->capacity_sectors * UVDPA_BLK_SECTOR;
	f->q = uvdpa_blk_queue(f->blk, 0);
	mem = uvdpa_blk_alloc(f->blk, SLOTS * (size_t)SLOT_SIZE);
	if (!mem) {
		r = -ENOMEM;
		goto err_close;
	}
	for (f->nfree = 0; f->nfree < SLOTS; f->nfree++) {
		struct slot *s = &f->slots[f->nfree];

		s->mem = mem + f->nfree * (size_t)SLOT_SIZE;
		vd_list_init(&s->node);
		f->free[f->nfree] = s;
	}
	return 0;

err_close:
	uvdpa_blk_close(f->blk);
	return r;
}

int vd_blk_file_create(struct vd_blkdrv *drv, const struct vd_virtio_conf *conf,
		       struct vd_blk_file **ret_file)
{
	struct vd_virtio_dev *vdev = drv->bound.vdev;
	struct vd_blk_file *f;
	int r;

	if (access("/dev/fuse", R_OK | W_OK))
		return vd_err(-ENODEV, "%s: /dev/fuse: %m; the C API works without", vdev->name);
	f = calloc(1, sizeof(*f));
	if (!f)
		return vd_err(-ENOMEM, "%s: no memory", vdev->name);
	f->vdev = vdev;
	f->log = vdev->log;
	f->post.fn = said;
	f->since = time(NULL);
	vd_list_init(&f->writes);
	r = f->wake = vd_eventfd();
	if (r < 0)
		goto err_free;
	r = make_path(f, conf->file);
	if (r)
		goto err_close_wake;
	r = mount_path(f);
	if (r)
		goto err_drop_path;
	r = open_disk(f, drv, conf);
	if (r)
		goto err_unmount;
	r = vd_thread_start(&f->thread, vd_blk_file_run, f, "uvdpa/file");
	if (r) {
		vd_err_prefix(r, "%s: ", vdev->name);
		goto err_close_disk;
	}
	*ret_file = f;
	return 0;

err_close_disk:
	uvdpa_blk_close(f->blk);
err_unmount:
	unmount_path(f);
err_drop_path:
	drop_path(f);
err_close_wake:
	vd_close(&f->wake);
err_free:
	free(f);
	return r;
}

void vd_blk_file_destroy(struct vd_blk_file *f)
{
	tell(f, EXIT);
	pthread_join(f->thread, NULL);
	vd_post_del(f->vdev->loop, &f->post);
	if (f->opens)
		vd_log_warn(f->log, f->vdev->name, "%s: taken away from %u who have it open",
			    f->path, f->opens);
	unmount_path(f);
	drop_path(f);
	uvdpa_blk_close(f->blk);
	vd_close(&f->wake);
	free(f);
}
