/* SPDX-License-Identifier: BSD-2-Clause */
/* none.c - the bus as files, where there is no FUSE to build with */
#include <errno.h>

#include "base/err.h"
#include "sysfs/sysfs.h"

int vd_sysfs_start(const struct vd_sysfs_opts *o, struct vd_sysfs **ret_fs)
{
	(void)ret_fs;
	return vd_err(-EOPNOTSUPP, "%s: built without FUSE", o->dir);
}

void vd_sysfs_stop(struct vd_sysfs *fs)
{
	(void)fs;
}

void vd_sysfs_fini(struct vd_sysfs *fs)
{
	(void)fs;
}
