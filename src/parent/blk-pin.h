/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-pin.h - between blk-uring.c and the guest's memory as a ring knows it */
#ifndef VD_PARENT_BLK_PIN_H
#define VD_PARENT_BLK_PIN_H

#include <liburing.h>

#include "parent/blk-file.h"

/* Linux 6.15; not in the headers of Debian 12. */
#define VD_FILE_READV_FIXED  60
#define VD_FILE_WRITEV_FIXED 61

/* Of one worker's ring. Zero it; all in the worker, but for the end. */
struct vd_file_pins {
	unsigned int epoch; /* for which it was tried; 0: for none */
	unsigned int n;
	struct iovec *chunks; /* as the ring has them, by address */
	uint64_t bytes;
	bool vectors; /* this kernel has the calls with several pieces */
};

/**
 * vd_file_pins_renew() - Let the ring know the memory of a queue, in place of what it knew
 * @q: of the worker
 *
 * It may take long, for all of the memory has to be there. Where it is not allowed requests do
 * without.
 */
void vd_file_pins_renew(struct vd_file_pins *p, struct io_uring *ring, struct vd_file *f,
			struct vd_softq *q);
/* Let go of it; harmless if there is none. */
void vd_file_pins_drop(struct vd_file_pins *p, struct io_uring *ring, struct vd_file *f);

/* Return: the number of the ring's buffer that all the pieces are in; -1: there is none. */
int vd_file_pins_find(const struct vd_file_pins *p, const struct iovec *iov, unsigned int niov);

#endif
