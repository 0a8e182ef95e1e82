/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rbd.h - an image of a Ceph cluster as a disk
 *
 *	rbd.c		the parent and its devices; control thread
 *	rbd-image.c	images and clients, opened and closed in jobs: any of it may wait for ever
 *	rbd-io.c	requests: a worker begins them, threads of librbd end them
 *	rbd-lib.c	librbd itself, loaded by the first job that needs it
 *
 *	device --> image --> client <-- image <-- device
 *
 * A client is a session with a cluster, as one user; it has a dozen threads and as many
 * descriptors, so the devices of a context that would have equal ones have one together, unless
 * they say that they do not want to share its fate: Ceph shuts out clients, not images.
 */
#ifndef VD_PARENT_RBD_H
#define VD_PARENT_RBD_H

#include <pthread.h>

#include "parent/rbd-lib.h"
#include "softdev/blk.h"

enum vd_rbd_cache {
	VD_RBD_CACHE_AUTO,		/* as Ceph's configuration has it */
	VD_RBD_CACHE_NONE,
	VD_RBD_CACHE_WRITETHROUGH,
	VD_RBD_CACHE_WRITEAROUND,
	VD_RBD_CACHE_WRITEBACK,
};

struct vd_rbd_conf {
	struct vd_blk_args blk;
	char *pool, *namespace, *image, *snapshot;
	char *conf, *user, *mon_host, *keyring;
	unsigned int cache;		/* enum vd_rbd_cache */
	bool lock, share;
	uint64_t timeout_ms;
};

/* What a client is made of; strings may be NULL. */
struct vd_rbd_who {
	char *conf, *user, *mon_host, *keyring;
	enum vd_rbd_cache cache;
	unsigned int timeout_ms;	/* not part of what it is */
};

struct vd_rbd_client {
	unsigned int refs;		/* atomic; a device that can be found holds one */
	bool share;			/* others may have it */
	bool shut_out;			/* atomic: it is in Ceph's blocklist, so nobody new wants it */
	struct vd_rbd_who who;
	pthread_mutex_t lock;		/* held while one connects: others want the same */
	bool connected;			/* protected by lock */
	struct vd_rbd_lib lib;		/* constant once connected, as the next */
	rados_t rados;
};

/* What the opening of an image is waiting for. */
enum vd_rbd_step { VD_RBD_CLIENT, VD_RBD_CONNECT, VD_RBD_POOL, VD_RBD_IMAGE, VD_RBD_LOCK };

struct vd_rbd_image {
	struct vd_job job;
	struct uvdpa *u;
	struct vd_rbd_client *client;
	const struct vd_rbd_lib *lib;	/* the client's */
	char *name;			/* for messages: "rbd:POOL/IMAGE" */
	char *pool, *namespace, *image, *snapshot;
	bool readonly, want_lock;

	/* Control's. */
	void (*opened)(struct vd_rbd_image *img, int err);
	void (*resized)(struct vd_rbd_image *img);	/* @size has changed */
	bool opening;
	struct vd_rbd *dev;		/* NULL: nobody wants it any more */
	struct vd_post resize_post;

	/* The job's; the device may look at it once it is open. */
	rados_ioctx_t io;
	rbd_image_t rbd;
	uint64_t watch;
	bool has_io, has_rbd, watched;
	enum vd_rbd_cache cache;	/* never AUTO */
	uint64_t discard_align, opt_io_size;	/* bytes */

	/* Both's. */
	uint64_t size;			/* bytes; atomic */
	enum vd_rbd_step step;		/* atomic */
	char mons[128];			/* whom it asks; constant from VD_RBD_CONNECT on */
};

struct vd_rbd {
	struct vd_blk blk;
	const struct vd_rbd_conf *conf;	/* core's */
	struct vd_rbd_image *img;	/* NULL: could not be opened, or not in time */
	struct vd_timer timer;          /* for the opening */
};

static inline struct vd_rbd *vd_rbd_of(struct vd_blk *blk)
{
	return container_of(blk, struct vd_rbd, blk);
}

/* ---- rbd-image.c; control thread */

/* Would this configuration have such a client? */
bool vd_rbd_client_fits(const struct vd_rbd_client *cl, const struct vd_rbd_conf *c);
/* One more user of it. */
struct vd_rbd_client *vd_rbd_client_get(struct vd_rbd_client *cl);
/* Not connected yet; the first image does it. NULL: no memory. */
struct vd_rbd_client *vd_rbd_client_create(const struct vd_rbd_conf *c);
void vd_rbd_client_put(struct vd_rbd_client *cl);
/* Something has failed with -ESHUTDOWN. Any thread. */
void vd_rbd_client_shut_out(struct vd_rbd_client *cl);

/**
 * vd_rbd_image_open() - Begin to open an image
 * @name: of the device
 * @cl: taken on success
 * @opened: how it ended, if the image is still wanted; after an error it is not any more
 *
 * Return: 0; -ENOMEM, -EAGAIN.
 */
int vd_rbd_image_open(struct vd_rbd *d, struct uvdpa *u, const char *name, struct vd_rbd_client *cl,
		      void (*opened)(struct vd_rbd_image *img, int err),
		      void (*resized)(struct vd_rbd_image *img), struct vd_rbd_image **ret_img);
/* The device has done with it, whatever is under way. */
void vd_rbd_image_close(struct vd_rbd_image *img);
/* It has been opening for so long. Return: -ETIMEDOUT, with what it waits for. */
int vd_rbd_image_late(const struct vd_rbd_image *img, unsigned int ms);

extern const char *const vd_rbd_caches[];	/* by enum vd_rbd_cache; ends with NULL */

/* ---- rbd-io.c */

void vd_rbd_submit(struct vd_blk *blk, struct vd_worker *w, struct vd_blk_req **reqs,
		   unsigned int n);
int vd_rbd_worker_start(struct vd_blk *blk, struct vd_worker *w, struct vd_engine **ret_engine);

#endif
