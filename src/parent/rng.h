/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rng.h - the files of the rng parent
 *
 *	rng.c		options, the device, requests
 *	rng-source.c	bytes from a file, a pipe, a hardware generator
 */
#ifndef VD_PARENT_RNG_H
#define VD_PARENT_RNG_H

#include "mem/sg.h"
#include "softdev/softdev.h"

/**
 * vd_rng_source_open() - Read bytes from a path, in a thread of its own
 * @sd: whose it is; borrowed until the engine is destroyed
 * @w: the worker that takes the bytes
 * @path: copied; reading begins when bytes are wanted for the first time
 * @ret_engine: the worker's
 *
 * The worker holds while there are none. Return: 0; -EISDIR, -ENOENT, ... with a sentence.
 * Context: control thread.
 */
int vd_rng_source_open(struct vd_softdev *sd, struct vd_worker *w, const char *path,
		       struct vd_engine **ret_engine);

/* Up to @len bytes of those that are there. Return: how many; 0: the worker holds. The worker. */
uint32_t vd_rng_source_take(struct vd_engine *e, struct vd_sg *to, uint32_t len);

/* For vd_softdev_ops.held: hold on if there are none. The worker. */
void vd_rng_source_held(struct vd_engine *e);

/* Why nothing comes, "" if that is not known. Control thread. */
const char *vd_rng_source_trouble(struct vd_engine *e);

#endif
