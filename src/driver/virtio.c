/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio.c - bus driver "virtio": a vDPA device becomes one on the in-process virtio bus
 *
 * What virtio_vdpa.c is in Linux: it translates and decides nothing. The drivers of src/virtio/
 * make something of the device: a file, or a handle for uvdpa_blk_open().
 *
 * A reset may take time. Until it has ended, the device cannot be set up again, and its memory
 * stays mapped for it. If the binding ends before (-ETIMEDOUT, a device that hangs), what waits
 * is left behind until it has.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "config.h"
#include "core/context.h"
#include "core/core.h"
#include "virtio/blk.h"
#include "virtio/net.h"
#include "virtio/rng.h"
#include "virtio/virtio.h"

extern const struct uvdpa_driver vd_driver_virtio;

struct adapter {
	struct uvdpa_binding b;
	struct vd_virtio_dev vdev;
	struct uvdpa_wait reset;
	struct uvdpa_wait commit;
	bool stuck;	/* the last reset did not end in time: the device may still do anything */
	bool removed;	/* the binding is no more; freed when reset has ended */
};

static struct adapter *to_adapter(struct vd_virtio_dev *vdev)
{
	return container_of(vdev, struct adapter, vdev);
}

static struct uvdpa_dev *to_dev(struct vd_virtio_dev *vdev)
{
	return to_adapter(vdev)->b.dev;
}

/* ---- config ops ----------------------------------------------------------------------------- */

static uint8_t op_status(struct vd_virtio_dev *vdev)
{
	return uvdpa_dev_status(to_dev(vdev));
}

static int op_set_status(struct vd_virtio_dev *vdev, uint8_t status)
{
	return uvdpa_dev_set_status(to_dev(vdev), status);
}

static int op_set_features(struct vd_virtio_dev *vdev, uint64_t features)
{
	return uvdpa_dev_set_features(to_dev(vdev), features);
}

static uint32_t op_generation(struct vd_virtio_dev *vdev)
{
	return uvdpa_dev_generation(to_dev(vdev));
}

static int op_get_config(struct vd_virtio_dev *vdev, uint32_t off, void *buf, uint32_t len)
{
	return uvdpa_dev_get_config(to_dev(vdev), off, buf, len);
}

static int op_set_config(struct vd_virtio_dev *vdev, uint32_t off, const void *buf, uint32_t len)
{
	return uvdpa_dev_set_config(to_dev(vdev), off, buf, len);
}

/* Nothing runs, so the gate commits at once. */
static int commit(struct adapter *a)
{
	int r = uvdpa_dev_commit(a->b.dev, &a->commit);

	assert(r != -EINPROGRESS);
	if (r)
		uvdpa_dev_rollback(a->b.dev);
	return r;
}

static int op_map(struct vd_virtio_dev *vdev, const struct uvdpa_map *map)
{
	struct adapter *a = to_adapter(vdev);
	int r;

	if (a->reset.pending || a->stuck)
		return vd_err(-EBUSY, "%s: not reset yet", vdev->name);
	r = uvdpa_dev_map(a->b.dev, 0, map);
	if (r) {
		uvdpa_dev_rollback(a->b.dev);
		return r;
	}
	return commit(a);
}

static int op_set_vq(struct vd_virtio_dev *vdev, unsigned int idx, const struct uvdpa_vq *vq)
{
	int r = uvdpa_dev_set_vq(to_dev(vdev), idx, vq);

	return r ? r : uvdpa_dev_enable_vq(to_dev(vdev), idx);
}

static void unmap_all(struct adapter *a)
{
	const struct vd_virtio_dev *v = &a->vdev;
	uint64_t len = v->iova_last - v->iova_first;
	int r;

	/* One less than all of 2^64 bytes; no mapping reaches there. */
	if (len < UINT64_MAX)
		len++;
	r = uvdpa_dev_unmap(a->b.dev, 0, v->iova_first, len);
	if (r == -ENODEV)	/* it is being taken away, and the memory with it */
		return;
	if (r || commit(a))
		vd_log_warn(v->log, v->name, "unmap: %s", vd_err_text());
}

static void reset_done(struct uvdpa_wait *w, int err)
{
	struct adapter *a = container_of(w, struct adapter, reset);

	if (a->removed) {
		free(a);
		return;
	}
	a->stuck = err != 0;
	if (err)
		vd_log_warn(a->vdev.log, a->vdev.name, "reset: %s", vd_err_text());
	else
		unmap_all(a);
}

static void op_reset(struct vd_virtio_dev *vdev)
{
	struct adapter *a = to_adapter(vdev);
	int r;

	if (a->reset.pending)
		return;
	memset(&a->reset, 0, sizeof(a->reset));
	a->reset.done = reset_done;
	r = uvdpa_dev_reset(a->b.dev, &a->reset);
	/* A child by fork() has a copy of the handle alone. */
	if (r != -EINPROGRESS && vd_loop_is_ours(vdev->loop))
		reset_done(&a->reset, r);
}

static void op_quiesced(struct vd_virtio_dev *vdev)
{
	uvdpa_binding_quiesced(&to_adapter(vdev)->b);
}

static void op_release(struct vd_virtio_dev *vdev)
{
	uvdpa_binding_release(&to_adapter(vdev)->b);
}

static void op_wait_begin(struct vd_virtio_dev *vdev, struct uvdpa_wait *w)
{
	(void)vdev;
	vd_wait_begin(w);
}

static void op_wait_end(struct vd_virtio_dev *vdev, struct uvdpa_wait *w, int err)
{
	vd_wait_end(uvdpa_dev_context(to_dev(vdev)), w, err);
}

static const struct vd_virtio_config_ops config_ops = {
	.status = op_status,
	.set_status = op_set_status,
	.set_features = op_set_features,
	.generation = op_generation,
	.get_config = op_get_config,
	.set_config = op_set_config,
	.map = op_map,
	.set_vq = op_set_vq,
	.reset = op_reset,
	.quiesced = op_quiesced,
	.release = op_release,
	.wait_begin = op_wait_begin,
	.wait_end = op_wait_end,
};

/* ---- the bus driver -------------------------------------------------------------------------- */

static bool virtio_match(const struct uvdpa_dev_info *info)
{
	return vd_virtio_driver_of(info->device_id) != NULL;
}

static void free_adapter(struct adapter *a)
{
	a->removed = true;
	if (!a->reset.pending)
		free(a);
}

static int virtio_probe(struct uvdpa_dev *dev, const void *conf, struct uvdpa_binding **ret_b)
{
	const struct uvdpa_dev_info *info = uvdpa_dev_info(dev);
	struct adapter *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return vd_err(-ENOMEM, "%s: no memory", uvdpa_dev_name(dev));
	a->b.dev = dev;
	a->vdev = (struct vd_virtio_dev){
		.config = &config_ops,
		.name = uvdpa_dev_name(dev),
		.log = vd_ctx_log(uvdpa_dev_context(dev)),
		.loop = vd_ctx_loop(uvdpa_dev_context(dev)),
		.device_id = info->device_id,
		.offered = info->features,
		.nvqs = info->nvqs,
		.vq_num_max = info->vq_num_max,
		.iova_first = info->iova_first,
		.iova_last = info->iova_last,
	};
	r = vd_virtio_bind(&a->vdev, conf);
	if (r) {
		free_adapter(a);
		return r;
	}
	*ret_b = &a->b;
	return 0;
}

static struct adapter *of_binding(struct uvdpa_binding *b)
{
	return container_of(b, struct adapter, b);
}

static void virtio_quiesce(struct uvdpa_binding *b)
{
	struct vd_virtio_dev *vdev = &of_binding(b)->vdev;

	vdev->bound->driver->quiesce(vdev->bound);
}

static void virtio_remove(struct uvdpa_binding *b)
{
	struct adapter *a = of_binding(b);

	vd_virtio_unbind(&a->vdev);
	free_adapter(a);	/* core forgets the mappings when it may */
}

static void virtio_changed(struct uvdpa_binding *b, enum uvdpa_event ev)
{
	struct vd_virtio_dev *vdev = &of_binding(b)->vdev;

	if (vdev->bound)
		vdev->bound->driver->changed(vdev->bound, ev);
}

static void virtio_describe(struct uvdpa_binding *b, struct uvdpa_emit *e)
{
	struct vd_virtio_dev *vdev = &of_binding(b)->vdev;

	vdev->bound->driver->describe(vdev->bound, e);
}

static const struct uvdpa_opt opts[] = {
#if HAVE_FUSE
	{ .key = "file", .type = UVDPA_OPT_PATH, .offset = offsetof(struct vd_virtio_conf, file),
	  .help = "block: the disk as a file at this path, by FUSE" },
#endif
	{ .key = "tap", .type = UVDPA_OPT_STRING, .offset = offsetof(struct vd_virtio_conf, tap),
	  .help = "network: the device as a network interface of this name" },
	{ .key = "netns", .type = UVDPA_OPT_STRING, .offset = offsetof(struct vd_virtio_conf, netns),
	  .help = "network: the interface's namespace, by name or path" },
	{ .key = "pty", .type = UVDPA_OPT_PATH, .offset = offsetof(struct vd_virtio_conf, pty),
	  .help = "console: a symbolic link to its terminal; further ports: PATH.NAME, PATH.NUMBER" },
	{ .key = "mode", .type = UVDPA_OPT_STRING, .offset = offsetof(struct vd_virtio_conf, mode),
	  .help = "console: permissions of its terminals, in octal; 0600 if not given" },
	{ .key = "queues", .type = UVDPA_OPT_UINT, .offset = offsetof(struct vd_virtio_conf, queues),
	  .max = 256, .help = "use at most so many queues, or pairs; 0: what the use needs" },
	{ .key = "queue_size", .type = UVDPA_OPT_UINT,
	  .offset = offsetof(struct vd_virtio_conf, queue_size), .max = 32768,
	  .help = "size of the rings; 0: the largest, but 1024 at most, 64 of a console" },
	{ .key = "packed", .type = UVDPA_OPT_BOOL, .offset = offsetof(struct vd_virtio_conf, packed),
	  .def = "off", .help = "prefer packed rings" },
	{ .key = NULL },
};

const struct uvdpa_driver vd_driver_virtio = {
	.name = "virtio",
	.alias = "virtio_vdpa",
	.help = "the device in this process: a file that can be mounted, a network interface, a terminal, "
		"the C API",
	.opts = opts,
	.conf_size = sizeof(struct vd_virtio_conf),
	.match = virtio_match,
	.probe = virtio_probe,
	.quiesce = virtio_quiesce,
	.remove = virtio_remove,
	.changed = virtio_changed,
	.describe = virtio_describe,
};

/* ---- <uvdpa/blk.h>, <uvdpa/net.h>, <uvdpa/rng.h> --------------------------------------------- */

/* A device that is being opened; looked up again after each dispatching, which can remove it. */
struct opening {
	struct uvdpa *u;
	struct uvdpa_dev *dev;
	char name[UVDPA_NAME_MAX + 1];
	struct adapter *a;
};

/* The device of that name if it is still the same one and in our hands. */
static int find(struct opening *o)
{
	if (uvdpa_dev_find(o->u, o->name) != o->dev)
		return vd_err(-ENODEV, "%s: has been removed", o->name);
	if (!uvdpa_dev_driver(o->dev))
		return vd_err(-ENODEV, "%s: has been unbound", o->name);
	if (uvdpa_dev_driver(o->dev) != &vd_driver_virtio)
		return vd_err(-EBUSY, "%s: in the hands of driver %s", o->name,
			      uvdpa_driver_name(uvdpa_dev_driver(o->dev)));
	o->a = of_binding(vd_dev_binding(o->dev));
	return 0;
}

static int dispatch(struct opening *o, int timeout_ms)
{
	int r = uvdpa_dispatch(o->u, timeout_ms);

	return r >= 0 || r == -EINTR ? find(o) : r;
}

/* Bound to us, and reset. @driver: of its type. */
static int open_begin(struct opening *o, struct uvdpa_dev *dev,
		      const struct vd_virtio_driver *driver, const char *what)
{
	struct uvdpa_wait w = { 0 };
	int r;

	*o = (struct opening){ .u = uvdpa_dev_context(dev), .dev = dev };
	r = vd_ctx_mine(o->u);
	if (r)
		return r;
	strcpy(o->name, uvdpa_dev_name(dev));
	if (!uvdpa_dev_ready(dev))
		return vd_err(-EAGAIN, "%s: not ready", o->name);
	if (uvdpa_dev_info(dev)->device_id != driver->device_id)
		return vd_err(-ENODEV, "%s: no %s device", o->name, what);
	if (!uvdpa_dev_driver(dev))
		r = uvdpa_await(o->u, &w, uvdpa_dev_bind(dev, vd_driver_virtio.name, NULL, 0, &w));
	if (!r)
		r = find(o);
	if (!r && o->a->stuck)
		op_reset(&o->a->vdev);
	/* Bound, so reset_done() does not free it. */
	while (!r && o->a->reset.pending)	/* NOLINT(clang-analyzer-unix.Malloc) */
		r = dispatch(o, -1);
	return r;
}

/* Who never dispatches again finds it running, but nobody waits for ever for a back-end. */
static int open_end(struct opening *o)
{
	uint64_t due_ns = vd_now_ns() + UVDPA_DRAIN_MS * 1000000ull;
	int r = 0;

	while (!r && o->dev->starting && vd_now_ns() < due_ns)
		r = dispatch(o, UVDPA_DRAIN_MS / 10);
	return r;
}

int uvdpa_blk_open(struct uvdpa_dev *dev, const struct uvdpa_blk_opts *o,
		   struct uvdpa_blk **ret_blk)
{
	struct uvdpa_blk *blk = NULL;
	struct opening op;
	int r = open_begin(&op, dev, &vd_virtio_blk_driver, "block");

	if (!r)
		r = vd_blk_open(op.a->vdev.bound, o, &blk);
	if (!r)
		r = open_end(&op);
	if (r)
		uvdpa_blk_close(blk);
	else
		*ret_blk = blk;
	return r;
}

int uvdpa_net_open(struct uvdpa_dev *dev, const struct uvdpa_net_opts *o,
		   struct uvdpa_net **ret_net)
{
	struct uvdpa_net *net = NULL;
	struct uvdpa_wait w = { 0 };
	struct opening op;
	int r = open_begin(&op, dev, &vd_virtio_net_driver, "network");

	if (!r)
		r = vd_net_open(op.a->vdev.bound, o, &net);
	if (!r)
		r = open_end(&op);
	/* Its answer may come from another process. If the device goes, it ends with that. */
	if (!r && net->npairs > 1)
		r = uvdpa_await(op.u, &w, uvdpa_net_set_pairs(net, net->npairs, &w));
	if (r)
		uvdpa_net_close(net);
	else
		*ret_net = net;
	return r;
}

int uvdpa_rng_open(struct uvdpa_dev *dev, const struct uvdpa_rng_opts *o,
		   struct uvdpa_rng **ret_rng)
{
	struct uvdpa_rng *rng = NULL;
	struct opening op;
	int r = open_begin(&op, dev, &vd_virtio_rng_driver, "entropy");

	if (!r)
		r = vd_rng_open(op.a->vdev.bound, o, &rng);
	if (!r)
		r = open_end(&op);
	if (r)
		uvdpa_rng_close(rng);
	else
		*ret_rng = rng;
	return r;
}
