/* SPDX-License-Identifier: BSD-2-Clause */
#include "parent/nbd-lib.h"

int vd_nbd_lib_load(struct vd_nbd_lib *lib)
{
#define NAME(fn) VD_DL_NAME(struct vd_nbd_lib, fn)
	static const struct vd_dl_name names[] = { VD_NBD_LIB(NAME) };

	return vd_dl_load("libnbd.so.0", "libnbd0", names, VD_ARRAY_SIZE(names), lib);
}
