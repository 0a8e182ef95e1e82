/* SPDX-License-Identifier: BSD-2-Clause */
/* context.h - core's own: all that a context holds */
#ifndef VD_CORE_CONTEXT_H
#define VD_CORE_CONTEXT_H

#include "base/bell.h"
#include "core/core.h"

struct vd_dev;
struct vd_watch_iter;

/* Context of all fields: control thread. */
struct uvdpa {
	const char *inside;		/* whose uvdpa_error() it is that dispatches; atomic */
	struct vd_loop loop;
	struct vd_log log;
	const struct uvdpa_parent **parents;
	unsigned int nparents;
	const struct uvdpa_driver **drivers;
	unsigned int ndrivers;
	struct vd_list devs;		/* struct vd_dev, as added */
	struct vd_list dying;		/* without a name, kept until their requests are home */
	unsigned int njobs;		/* struct vd_job, that have not ended */
	struct vd_list watches;		/* struct uvdpa_watch */
	struct vd_watch_iter *iters;	/* walks over watches that are under way */
	struct vd_list ended;		/* struct uvdpa_wait, to be told */
	struct vd_post ended_post;
	struct uvdpa_wait *awaited;	/* by uvdpa_await(), which wants its sentence: */
	char *awaited_text;		/* ours, or NULL */
	int nowhere;			/* an eventfd that nobody reads */
	struct vd_bell bell;
	unsigned int drain_ms;		/* UVDPA_DRAIN_MS; less once the context ends */
	bool ending;			/* uvdpa_destroy() was called */
	struct uvdpa_keeper *keeper;	/* of sockets, or NULL */
};

/* Say that there is none of this name, and which one may have been meant. Return: -ENODEV. */
int vd_parent_unknown(const struct uvdpa *u, const char *name);
int vd_driver_unknown(const struct uvdpa *u, const char *name);

/* Both: @w may be NULL. */
void vd_wait_begin(struct uvdpa_wait *w);
/* The operation has ended; @w is told from the loop, with the thread's sentence as it is now. */
void vd_wait_end(struct uvdpa *u, struct uvdpa_wait *w, int err);

/* Links @w while it waits. */
struct vd_list *vd_wait_node(struct uvdpa_wait *w);
struct uvdpa_wait *vd_wait_of(struct vd_list *node);

/* Tell every observer. From the loop only, so that it never nests. */
void vd_watch_tell(struct vd_dev *d, enum uvdpa_event ev);

#endif
