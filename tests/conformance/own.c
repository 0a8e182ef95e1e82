/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * own.c - a disk in memory that is written outside of the library, on <uvdpa/softdev.h> alone
 *
 * What it reads it answers in its data threads, what it writes in a thread of its own: both ways at
 * once, so that the library's part is tried as a device of any author would.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uvdpa/softdev.h>

#include "conformance.h"

#define SECTOR	512u
#define SECTORS 8192u
#define QUEUES	4u
#define SEG_MAX 128u
#define FEATURES (CF_F(VIRTIO_BLK_F_FLUSH) | CF_F(VIRTIO_BLK_F_MQ) | CF_F(VIRTIO_BLK_F_SEG_MAX))

/* A request that waits for the thread. */
struct own_req {
	struct uvdpa_req req;
	uint64_t sector;
	struct own_req *next;
};

struct own {
	struct uvdpa_softdev sd;
	bool flush;			/* was negotiated; constant while queues run */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct own_req *todo;		/* protected by lock */
	bool end;			/* protected by lock */
	uint8_t disk[SECTORS * SECTOR];
};

static struct own *to_own(struct uvdpa_softdev *sd)
{
	return (struct own *)(void *)((char *)sd - offsetof(struct own, sd));
}

static void finish(struct uvdpa_req *req, uint8_t status)
{
	uvdpa_req_skip_in(req, req->in_left - 1);
	uvdpa_req_write(req, &status, 1);
	uvdpa_req_done(req, status ? -EIO : 0);
}

static void *write_all(void *arg)
{
	struct own *o = arg;

	pthread_mutex_lock(&o->lock);
	while (o->todo || !o->end) {
		struct own_req *r = o->todo;

		if (!r) {
			pthread_cond_wait(&o->cond, &o->lock);
			continue;
		}
		o->todo = r->next;
		pthread_mutex_unlock(&o->lock);
		uvdpa_req_read(&r->req, o->disk + r->sector * SECTOR, r->req.out_left);
		finish(&r->req, VIRTIO_BLK_S_OK);
		pthread_mutex_lock(&o->lock);
	}
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

static void write_later(struct own *o, struct own_req *r)
{
	pthread_mutex_lock(&o->lock);
	r->next = o->todo;
	o->todo = r;
	pthread_cond_signal(&o->cond);
	pthread_mutex_unlock(&o->lock);
}

static bool inside(uint64_t sector, uint32_t len)
{
	return len % SECTOR == 0 && sector <= SECTORS && len / SECTOR <= SECTORS - sector;
}

/* There is room for a status. */
static void handle(struct own *o, struct own_req *r)
{
	struct virtio_blk_outhdr hdr;
	uint32_t room = r->req.in_left - 1;

	if (uvdpa_req_read(&r->req, &hdr, sizeof(hdr)) != sizeof(hdr)) {
		finish(&r->req, VIRTIO_BLK_S_IOERR);
		return;
	}
	r->sector = le64toh(hdr.sector);
	switch (le32toh(hdr.type)) {
	case VIRTIO_BLK_T_IN:
		if (!inside(r->sector, room))
			break;
		uvdpa_req_write(&r->req, o->disk + r->sector * SECTOR, room);
		finish(&r->req, VIRTIO_BLK_S_OK);
		return;
	case VIRTIO_BLK_T_OUT:
		if (!inside(r->sector, r->req.out_left))
			break;
		write_later(o, r);
		return;
	case VIRTIO_BLK_T_FLUSH:
		if (o->flush && r->sector)
			break;
		finish(&r->req, o->flush ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_UNSUPP);
		return;
	case VIRTIO_BLK_T_GET_ID:
		uvdpa_req_write(&r->req, "written by somebody", vd_min(room, 20u));
		finish(&r->req, VIRTIO_BLK_S_OK);
		return;
	default:
		finish(&r->req, VIRTIO_BLK_S_UNSUPP);
		return;
	}
	finish(&r->req, VIRTIO_BLK_S_IOERR);
}

static void own_handle(struct uvdpa_softdev *sd, unsigned int queue, struct uvdpa_req **reqs,
		       unsigned int n)
{
	(void)queue;
	for (unsigned int i = 0; i < n; i++) {
		if (reqs[i]->in_left)
			handle(to_own(sd), (struct own_req *)(void *)reqs[i]);
		else
			uvdpa_req_done(reqs[i], -EIO);
	}
}

static int own_set_features(struct uvdpa_softdev *sd, uint64_t features)
{
	to_own(sd)->flush = features & CF_F(VIRTIO_BLK_F_FLUSH);
	return 0;
}

static void own_destroy(struct uvdpa_softdev *sd)
{
	struct own *o = to_own(sd);

	pthread_mutex_lock(&o->lock);
	o->end = true;
	pthread_cond_signal(&o->cond);
	pthread_mutex_unlock(&o->lock);
	pthread_join(o->thread, NULL);
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->cond);
	free(o);
}

static const struct uvdpa_softdev_ops own_ops = {
	.size = sizeof(own_ops),
	.handle = own_handle,
	.set_features = own_set_features,
	.destroy = own_destroy,
};

static int own_add(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev)
{
	struct virtio_blk_config config = { .capacity = htole64(SECTORS),
					    .seg_max = htole32(SEG_MAX),
					    .num_queues = htole16(QUEUES) };
	struct uvdpa_softdev_conf sc = {
		.size = sizeof(sc), .name = name, .device_id = VIRTIO_ID_BLOCK,
		.features = FEATURES, .nvqs = QUEUES, .queue_size = 512,
		.config = &config, .config_size = sizeof(config),
		.req_size = sizeof(struct own_req), .threads = 2,
	};
	struct own *o = calloc(1, sizeof(*o));
	int r;

	(void)conf;
	if (!o)
		return uvdpa_set_error(-ENOMEM, "%s: no memory", name);
	o->sd.ops = &own_ops;
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->cond, NULL);
	r = -pthread_create(&o->thread, NULL, write_all, o);
	if (r) {
		free(o);
		return uvdpa_set_error(r, "%s: no thread", name);
	}
	r = uvdpa_softdev_init(u, &o->sd, &sc);
	if (r) {
		own_destroy(&o->sd);
		return r;
	}
	*ret_dev = o->sd.dev;
	return 0;
}

static const uint32_t own_ids[] = { VIRTIO_ID_BLOCK, 0 };
static const struct uvdpa_opt own_opts[] = { { 0 } };
const struct uvdpa_parent cf_own_parent = {
	.name = "own",
	.help = "a disk in memory, written outside of the library",
	.device_ids = own_ids,
	.max_vqs = QUEUES,
	.opts = own_opts,
	.add = own_add,
};
