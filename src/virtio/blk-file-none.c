/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-file-none.c - in place of blk-file.c without libfuse3: nothing can be created */
#include <errno.h>

#include "base/err.h"
#include "virtio/blk.h"

int vd_blk_file_create(struct vd_blkdrv *drv, const struct vd_virtio_conf *conf,
		       struct vd_blk_file **ret_file)
{
	(void)conf, (void)ret_file;
	return vd_err(-EOPNOTSUPP, "%s: built without FUSE", drv->bound.vdev->name);
}

void vd_blk_file_quiesce(struct vd_blk_file *file)
{
	(void)file;
}

void vd_blk_file_destroy(struct vd_blk_file *file)
{
	(void)file;
}

void vd_blk_file_resized(struct vd_blk_file *file, uint64_t capacity_sectors)
{
	(void)file, (void)capacity_sectors;
}

void vd_blk_file_describe(struct vd_blk_file *file, struct uvdpa_emit *e)
{
	(void)file, (void)e;
}
