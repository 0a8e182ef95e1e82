/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd-lib.h - the functions of libnbd that are used
 *
 * libnbd brings GnuTLS and libxml2 with it, which cost each start of a program more than all else,
 * so it is not linked, but loaded when the first disk of the kind is added.
 */
#ifndef VD_PARENT_NBD_LIB_H
#define VD_PARENT_NBD_LIB_H

#include <libnbd.h>

#include "base/dl.h"

#define VD_NBD_LIB(X)                                                                              \
	X(nbd_aio_command_completed)                                                               \
	X(nbd_aio_connect_unix)                                                                    \
	X(nbd_aio_connect_uri)                                                                     \
	X(nbd_aio_disconnect)                                                                      \
	X(nbd_aio_flush)                                                                           \
	X(nbd_aio_get_direction)                                                                   \
	X(nbd_aio_get_fd)                                                                          \
	X(nbd_aio_is_closed)                                                                       \
	X(nbd_aio_is_dead)                                                                         \
	X(nbd_aio_is_ready)                                                                        \
	X(nbd_aio_notify_read)                                                                     \
	X(nbd_aio_notify_write)                                                                    \
	X(nbd_aio_pread)                                                                           \
	X(nbd_aio_pwrite)                                                                          \
	X(nbd_aio_trim)                                                                            \
	X(nbd_aio_zero)                                                                            \
	X(nbd_can_flush)                                                                           \
	X(nbd_can_fua)                                                                             \
	X(nbd_can_multi_conn)                                                                      \
	X(nbd_can_trim)                                                                            \
	X(nbd_can_zero)                                                                            \
	X(nbd_close)                                                                               \
	X(nbd_create)                                                                              \
	X(nbd_get_block_size)                                                                      \
	X(nbd_get_errno)                                                                           \
	X(nbd_get_error)                                                                           \
	X(nbd_get_size)                                                                            \
	X(nbd_get_tls_negotiated)                                                                  \
	X(nbd_is_read_only)                                                                        \
	X(nbd_set_export_name)                                                                     \
	X(nbd_set_handle_name)                                                                     \
	X(nbd_set_pread_initialize)                                                                \
	X(nbd_set_tls)                                                                             \
	X(nbd_set_tls_certificates)                                                                \
	X(nbd_set_tls_psk_file)                                                                    \
	X(nbd_set_tls_username)                                                                    \
	X(nbd_set_tls_verify_peer)                                                                 \
	X(nbd_set_uri_allow_local_file)

struct vd_nbd_lib {
	VD_NBD_LIB(VD_DL_MEMBER)
};

/* As vd_dl_load(). */
int vd_nbd_lib_load(struct vd_nbd_lib *lib);

#endif
