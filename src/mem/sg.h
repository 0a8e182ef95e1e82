/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sg.h - the checked reader and writer of scattered guest memory
 *
 * All devices use these; a length that a guest gave never reaches memcpy unchecked. A cursor
 * moves on as it is used and does not own what it points at.
 */
#ifndef VD_MEM_SG_H
#define VD_MEM_SG_H

#include "mem/guest.h"

struct vd_sg {
	struct vd_iov *iov;	/* the piece the cursor is in */
	unsigned int n;		/* pieces from there */
	size_t off;		/* bytes of the first piece that are behind */
};

static inline struct vd_sg vd_sg(struct vd_iov *iov, unsigned int n)
{
	return (struct vd_sg){ iov, n, 0 };
}

/* Bytes from the cursor to the end. */
size_t vd_sg_len(const struct vd_sg *sg);

/* Copy and move on. Return: bytes copied, less than @len at the end. */
size_t vd_sg_read(struct vd_sg *sg, void *to, size_t len);
size_t vd_sg_write(struct vd_sg *sg, const void *from, size_t len);
size_t vd_sg_fill(struct vd_sg *sg, int byte, size_t len);

/* From one to the other, both moving on; each byte is read once. Return: bytes copied. */
size_t vd_sg_copy(struct vd_sg *to, struct vd_sg *from, size_t len);

/* Move on. Return: bytes skipped. */
size_t vd_sg_skip(struct vd_sg *sg, size_t len);

#endif
