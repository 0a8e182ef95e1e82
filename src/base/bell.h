/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bell.h - signal an eventfd of a peer without ever waiting for the peer
 *
 * Who shares an eventfd can fill its counter and make it blocking between any check of ours and
 * the write after it. The kernel's own signal of an eventfd never waits, and the completion of an
 * asynchronous read is one way to ask for it. For the control thread: it costs two system calls.
 */
#ifndef VD_BASE_BELL_H
#define VD_BASE_BELL_H

#include <linux/aio_abi.h>

struct vd_bell {
	aio_context_t ctx;	/* 0: none yet, or this kernel has none */
	int null;
};

/* Cannot fail: without asynchronous reads, ringing falls back to a write that it checks first. */
void vd_bell_init(struct vd_bell *b);
void vd_bell_fini(struct vd_bell *b);

/* Add one to an eventfd; a pipe gets a write, unless it is full. Never blocks on an eventfd.
 * @b: NULL: one of ours, to which nobody else has reason to write; a write checked first will do. */
void vd_bell_ring(struct vd_bell *b, int fd);

#endif
