/* SPDX-License-Identifier: BSD-2-Clause */
#include "parent/rbd-lib.h"

int vd_rbd_lib_load(struct vd_rbd_lib *lib)
{
#define NAME(fn) VD_DL_NAME(struct vd_rbd_lib, fn)
	static const struct vd_dl_name names[] = { VD_RBD_LIB(NAME) };

	/* The functions of librados are those of the one that this librbd has. */
	return vd_dl_load("librbd.so.1", "librbd1", names, VD_ARRAY_SIZE(names), lib);
}
