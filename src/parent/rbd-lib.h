/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rbd-lib.h - the functions of librbd and librados that are used
 *
 * librbd brings three dozen libraries with it, and most who have uvdpa have no cluster. So it is not
 * linked, but loaded when the first image is opened. What it declares is taken from its own headers.
 */
#ifndef VD_PARENT_RBD_LIB_H
#define VD_PARENT_RBD_LIB_H

#include <rados/librados.h>
#include <rbd/librbd.h>

#include "base/dl.h"

#define VD_RBD_LIB(X)                                                                              \
	X(rados_conf_get)                                                                          \
	X(rados_conf_read_file)                                                                    \
	X(rados_conf_set)                                                                          \
	X(rados_connect)                                                                           \
	X(rados_create2)                                                                           \
	X(rados_ioctx_create)                                                                      \
	X(rados_ioctx_destroy)                                                                     \
	X(rados_ioctx_set_namespace)                                                               \
	X(rados_shutdown)                                                                          \
	X(rbd_aio_create_completion)                                                               \
	X(rbd_aio_discard)                                                                         \
	X(rbd_aio_flush)                                                                           \
	X(rbd_aio_get_return_value)                                                                \
	X(rbd_aio_readv)                                                                           \
	X(rbd_aio_release)                                                                         \
	X(rbd_aio_write_zeroes)                                                                    \
	X(rbd_aio_writev)                                                                          \
	X(rbd_close)                                                                               \
	X(rbd_config_image_list)                                                                   \
	X(rbd_config_image_list_cleanup)                                                           \
	X(rbd_get_features)                                                                        \
	X(rbd_get_size)                                                                            \
	X(rbd_get_stripe_count)                                                                    \
	X(rbd_get_stripe_unit)                                                                     \
	X(rbd_lock_acquire)                                                                        \
	X(rbd_lock_get_owners)                                                                     \
	X(rbd_lock_get_owners_cleanup)                                                             \
	X(rbd_open)                                                                                \
	X(rbd_open_read_only)                                                                      \
	X(rbd_snap_set)                                                                            \
	X(rbd_stat)                                                                                \
	X(rbd_update_unwatch)                                                                      \
	X(rbd_update_watch)

struct vd_rbd_lib {
	VD_RBD_LIB(VD_DL_MEMBER)
};

/* As vd_dl_load(). */
int vd_rbd_lib_load(struct vd_rbd_lib *lib);

#endif
