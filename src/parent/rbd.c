/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rbd.c - a disk on a Ceph cluster: an RBD image, or a snapshot of one
 *
 * Adding is in progress until the image is open, or timeout_ms is over. From then on nothing is
 * timed: while a part of the cluster is away requests wait in librbd, and go on when it is back.
 */
#include "parent/rbd.h"

#include <errno.h>
#include <stdlib.h>

#include "base/err.h"

/* ---- what the image tells -------------------------------------------------------------------- */

static int make_disk(struct vd_rbd *d)
{
	const struct vd_rbd_image *img = d->img;
	struct vd_blk_conf bc = { 0 };
	int r = vd_blk_args(&d->conf->blk, uvdpa_dev_name(&d->blk.sd.dev), &bc);

	if (r)
		return r;
	bc.capacity_sectors = img->size / VD_BLK_SECTOR;
	bc.readonly = img->readonly;
	bc.flush = true;
	/* What is done is on the OSDs: the driver need not flush, though it may. */
	bc.writethrough = img->cache < VD_RBD_CACHE_WRITEAROUND;
	bc.discard = bc.write_zeroes = bc.unmap = true;
	bc.discard_align = (uint32_t)img->discard_align;
	bc.opt_io_size = (uint32_t)img->opt_io_size;
	return vd_blk_init(&d->blk, d->blk.sd.u, d->blk.ops, &bc);
}

static void image_opened(struct vd_rbd_image *img, int err)
{
	struct vd_rbd *d = img->dev;

	vd_timer_del(vd_ctx_loop(img->u), &d->timer);
	if (err)
		d->img = NULL;
	else
		err = make_disk(d);
	uvdpa_dev_arrived(&d->blk.sd.dev, err);
}

static void image_resized(struct vd_rbd_image *img)
{
	struct vd_blk *blk = &img->dev->blk;
	uint64_t size = __atomic_load_n(&img->size, __ATOMIC_RELAXED);

	if (blk->sd.nworkers && vd_blk_set_capacity(blk, size / VD_BLK_SECTOR))
		vd_log_warn(vd_ctx_log(img->u), NULL, "%s", vd_err_text());
}

static void opening_is_late(struct vd_timer *t)
{
	struct vd_rbd *d = container_of(t, struct vd_rbd, timer);
	int err = vd_rbd_image_late(d->img, (unsigned int)d->conf->timeout_ms);

	vd_rbd_image_close(d->img);
	d->img = NULL;
	uvdpa_dev_arrived(&d->blk.sd.dev, err);
}

/* ---- the device ------------------------------------------------------------------------------ */

/* A resize in Ceph may wait; one that was made there is noticed by itself. */
static int rbd_resize_disk(struct vd_blk *blk, uint64_t bytes, uint64_t *ret_bytes)
{
	const struct vd_rbd_image *img = vd_rbd_of(blk)->img;

	if (bytes)
		return vd_err(-EOPNOTSUPP, "%s: \"rbd resize\" changes its size, and is noticed",
			      img->name);
	*ret_bytes = __atomic_load_n(&img->size, __ATOMIC_RELAXED);
	return 0;
}

static void rbd_show(struct vd_blk *blk, struct uvdpa_emit *e)
{
	const struct vd_rbd_image *img = vd_rbd_of(blk)->img;

	e->str(e, "image", img->name);
	e->str(e, "cache", vd_rbd_caches[img->cache]);
}

static void rbd_reset(struct vd_blk *blk)
{
	(void)blk; /* what was written stays */
}

static void rbd_destroy(struct vd_blk *blk)
{
	struct vd_rbd *d = vd_rbd_of(blk);

	vd_timer_del(vd_ctx_loop(blk->sd.u), &d->timer);
	if (d->img)
		vd_rbd_image_close(d->img);
	free(d);
}

static const struct vd_blk_ops rbd_ops = {
	.submit = vd_rbd_submit,
	.worker_start = vd_rbd_worker_start,
	.resize = rbd_resize_disk,
	.show = rbd_show,
	.reset = rbd_reset,
	.destroy = rbd_destroy,
};

/* ---- the parent ------------------------------------------------------------------------------ */

extern const struct uvdpa_parent vd_parent_rbd;

/* Another device's, or a new one. */
static struct vd_rbd_client *find_client(struct uvdpa *u, const struct vd_rbd_conf *c)
{
	struct uvdpa_dev *dev = NULL;

	while ((dev = uvdpa_dev_next(u, dev))) {
		const struct vd_rbd *d;

		if (uvdpa_dev_parent(dev) != &vd_parent_rbd)
			continue;
		d = container_of(dev, struct vd_rbd, blk.sd.dev);
		if (d->img && vd_rbd_client_fits(d->img->client, c))
			return vd_rbd_client_get(d->img->client);
	}
	return vd_rbd_client_create(c);
}

static int rbd_add(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev)
{
	const struct vd_rbd_conf *c = conf;
	struct vd_blk_conf bc = { 0 };
	struct vd_rbd_client *cl;
	struct vd_rbd *d;
	int r;

	r = vd_blk_args(&c->blk, name, &bc);	/* what is wrong with it is said now */
	if (r)
		return r;
	d = calloc(1, sizeof(*d));
	cl = find_client(u, c);
	if (!d || !cl) {
		r = vd_err(-ENOMEM, "%s: no memory", name);
		goto err_free;
	}
	d->conf = c;
	d->timer.fn = opening_is_late;
	vd_blk_begin(&d->blk, u, &rbd_ops);
	r = vd_rbd_image_open(d, u, name, cl, image_opened, image_resized, &d->img);
	if (r)
		goto err_free;
	vd_timer_set(vd_ctx_loop(u), &d->timer, c->timeout_ms);
	*ret_dev = &d->blk.sd.dev;
	return -EINPROGRESS;

err_free:
	if (cl)
		vd_rbd_client_put(cl);
	free(d);
	return r;
}

#define OPT(k, t, field, ...) VD_BLK_OPT(k, t, struct vd_rbd_conf, field, __VA_ARGS__)

static const struct uvdpa_opt rbd_opts[] = {
	OPT("image", STRING, image, .required = true, .help = "the RBD image"),
	OPT("pool", STRING, pool, .def = "rbd", .help = "the pool that it is in"),
	OPT("namespace", STRING, namespace, .help = "the namespace of the pool"),
	OPT("snapshot", STRING, snapshot, .help = "a snapshot of the image, by name; read-only"),
	OPT("conf", PATH, conf, .help = "configuration of Ceph; else where Ceph looks for one"),
	OPT("mon_host", STRING, mon_host,
	    .help = "addresses of the monitors, in place of the configuration's"),
	OPT("user", STRING, user, .def = "admin", .help = "as whom: ID of client.ID"),
	OPT("keyring", PATH, keyring, .help = "file with the user's key, in place of the configuration's"),
	OPT("cache", ENUM, cache, .choices = vd_rbd_caches, .def = "auto",
	    .help = "of librbd; auto: as configured in Ceph"),
	OPT("lock", BOOL, lock, .def = "on", .help = "be the only one who writes, by the exclusive lock"),
	OPT("share", BOOL, share, .def = "on", .help = "have one client with other disks"),
	OPT("timeout_ms", UINT, timeout_ms, .def = "30000", .min = 1, .max = 3600000,
	    .help = "how long opening the image may take"),
	VD_BLK_OPTS(struct vd_rbd_conf, blk, NULL),
	{ 0 },
};

static const uint32_t rbd_ids[] = { VIRTIO_ID_BLOCK, 0 };

const struct uvdpa_parent vd_parent_rbd = {
	.name = "rbd",
	.help = "an image of a Ceph cluster",
	.device_ids = rbd_ids,
	.features = VD_BLK_FEATURES & ~(1ull << VIRTIO_BLK_F_SECURE_ERASE),
	.max_vqs = VD_BLK_QUEUES_MAX,
	.opts = rbd_opts,
	.conf_size = sizeof(struct vd_rbd_conf),
	.add = rbd_add,
};
