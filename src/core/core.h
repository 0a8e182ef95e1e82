/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core.h - what core offers to parents, drivers and softdev beyond the public headers
 */
#ifndef VD_CORE_CORE_H
#define VD_CORE_CORE_H

#include <uvdpa/driver.h>

#include "base/bell.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/unix.h"
#include "mem/mem.h"

struct vd_loop *vd_ctx_loop(struct uvdpa *u);
struct vd_log *vd_ctx_log(struct uvdpa *u);
/* For eventfds that a peer has as well. */
struct vd_bell *vd_ctx_bell(struct uvdpa *u);

/**
 * vd_ctx_mine() - May the calling thread make a call of the control thread?
 *
 * Not while another thread is in uvdpa_dispatch(): that one is it. Nor in a child by fork(). Costs
 * a system call, so it is for control alone.
 *
 * Return: 0; -EPERM with a sentence. Context: any thread.
 */
int vd_ctx_mine(const struct uvdpa *u);

/* The same for @call, which returns nothing: if it may not, the log says so. Return: it may. */
bool vd_ctx_admits(struct uvdpa *u, const char *call);

/* The driver's end of a device that is bound; NULL if it is not. Control thread. */
struct uvdpa_binding *vd_dev_binding(const struct uvdpa_dev *dev);

/**
 * vd_dev_mem() - The table in force for a queue's address space
 *
 * Changes only while every queue is quiesced. Control thread; a data thread may use what was read
 * at enable_vq until its queue is quiet.
 */
const struct vd_mem *vd_dev_mem(const struct uvdpa_dev *dev, unsigned int idx);

/**
 * vd_dev_listen() - Listen at a path, for a device
 * @dev: for its name, and whoever keeps sockets for its context (uvdpa_set_keeper())
 * @s: set on success; to be closed by vd_dev_unlisten()
 *
 * The rest, and what it returns, as vd_unix_listen(). Control thread.
 */
int vd_dev_listen(struct uvdpa_dev *dev, struct vd_unix *s, const char *path, mode_t mode,
		  int backlog);
void vd_dev_unlisten(struct uvdpa_dev *dev, struct vd_unix *s);

/**
 * struct vd_job - A call that may take long, or for ever, and its end
 * @run: makes the call, in a thread of the job's own, which takes no signals. What it uses must
 *       last until @done. Return: 0; -errno with a sentence.
 * @done: control thread; the sentence of @run is the thread's. May free the job.
 *
 * Zero it, set both, embed it in what the call is about. A job cannot be cancelled: who has lost
 * interest says so to @done in a field of his own. uvdpa_destroy() waits for jobs as for requests,
 * and no longer.
 */
struct vd_job {
	int (*run)(struct vd_job *j);
	void (*done)(struct vd_job *j, int err);
	struct uvdpa *u;
	pthread_t thread;
	struct vd_post post;
	int err;
	char text[256];
};

/* @name: of the thread. Return: 0; -EAGAIN, ... with a sentence. Context: control thread. */
int vd_job_start(struct vd_job *j, struct uvdpa *u, const char *name);

/**
 * vd_dev_set_inflight() - Where the device notes which requests it has (uvdpa_vq.inflight)
 * @map: a file's part: fd, offset, len, prot UVDPA_MAP_RW; mapped by the gate, which duplicates the
 *       descriptor and keeps it until told otherwise, or its driver is gone. NULL: nowhere
 * @nvqs: queues for which it has room, one after the other
 * @num: descriptors of each
 *
 * As mappings, it stays when the device is reset. Control thread.
 *
 * Return: 0; -EOPNOTSUPP the device does not note anything; -EBUSY queues run; -EINVAL numbers
 * that the device has not, too short for them, or what mapping a file says.
 */
int vd_dev_set_inflight(struct uvdpa_dev *dev, const struct uvdpa_map *map, unsigned int nvqs,
			unsigned int num);

/* The driver has been told where the queue stands: it begins there, whatever was noted. */
void vd_dev_inflight_forget(struct uvdpa_dev *dev, unsigned int idx);

/* Tables that the build makes from src/parent/meson.build and src/driver/meson.build; NULL-ended. */
extern const struct uvdpa_parent *const vd_parents[];
extern const struct uvdpa_driver *const vd_drivers[];

#endif
