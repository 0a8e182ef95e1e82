/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim-blk.c - a RAM disk, as Linux's vdpa_sim_blk, for tests and measurements
 *
 * Behaves like that one where it behaves well: 128 MiB, the same serial. Here size, queues and
 * threads can be chosen, segments are not limited to a page, unknown requests get UNSUPP.
 *
 * The disk is anonymous memory: what was never written takes none, reading it does not either.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/err.h"
#include "softdev/blk.h"

#define PAGE 4096u

struct sim_conf {
	struct vd_blk_args blk;
	uint64_t capacity, capacity_max;
	bool null;
};

struct sim {
	struct vd_blk blk;
	uint8_t *disk;	/* the workers': concurrent requests for one sector race, as on any disk */
	size_t size;    /* of the mapping: what the disk can have at most */
	bool null;
};

static struct sim *to_sim(struct vd_blk *blk)
{
	return container_of(blk, struct sim, blk);
}

/* Make it zero, and let its pages go. */
static int zero(uint8_t *from, size_t len)
{
	size_t head = vd_min(vd_align_up((uintptr_t)from, PAGE) - (uintptr_t)from, len);
	size_t pages = (len - head) / PAGE * PAGE;

	memset(from, 0, head);
	memset(from + head + pages, 0, len - head - pages);
	return pages && madvise(from + head, pages, MADV_DONTNEED) ? -errno : 0;
}

/* DISCARD, WRITE_ZEROES and SECURE_ERASE are all one: zeros, and where it may be, no pages. */
static int erase(struct sim *sim, const struct vd_blk_req *req)
{
	if (req->op != VD_BLK_WRITE_ZEROES || req->unmap)
		return zero(sim->disk + req->off, req->len);
	memset(sim->disk + req->off, 0, req->len);
	return 0;
}

static void sim_submit(struct vd_blk *blk, struct vd_worker *w, struct vd_blk_req **reqs,
		       unsigned int n)
{
	struct sim *sim = to_sim(blk);

	(void)w;
	for (unsigned int i = 0; i < n; i++) {
		struct vd_blk_req *req = reqs[i];
		struct vd_sg sg = vd_sg(req->iov, req->niov);

		int err = 0;

		if (sim->null)
			;
		else if (req->op == VD_BLK_READ)
			vd_sg_write(&sg, sim->disk + req->off, req->len);
		else if (req->op == VD_BLK_WRITE)
			vd_sg_read(&sg, sim->disk + req->off, req->len);
		else if (req->op != VD_BLK_FLUSH)
			err = erase(sim, req);
		vd_blk_done(req, err);
	}
}

static int sim_worker_start(struct vd_blk *blk, struct vd_worker *w, struct vd_engine **ret_engine)
{
	(void)blk;
	(void)w;
	(void)ret_engine;	/* a request is done when it is submitted */
	return 0;
}

/* All there could be is there already; what is cut off is zero when it comes back. */
static int sim_resize(struct vd_blk *blk, uint64_t bytes, uint64_t *ret_bytes)
{
	struct sim *sim = to_sim(blk);

	if (!bytes)
		bytes = blk->capacity_sectors * VD_BLK_SECTOR;
	if (bytes > sim->size)
		return vd_err(-ENOSPC, "%s: size %llu, at most its capacity_max, %zu", blk->sd.name,
			      (unsigned long long)bytes, sim->size);
	zero(sim->disk + bytes, sim->size - bytes);
	*ret_bytes = bytes;
	return 0;
}

static void sim_reset(struct vd_blk *blk)
{
	(void)blk;	/* a disk keeps its data */
}

static void sim_destroy(struct vd_blk *blk)
{
	struct sim *sim = to_sim(blk);

	munmap(sim->disk, sim->size);
	free(sim);
}

static const struct vd_blk_ops sim_ops = {
	.submit = sim_submit,
	.worker_start = sim_worker_start,
	.resize = sim_resize,
	.show = vd_blk_show_nothing,
	.reset = sim_reset,
	.destroy = sim_destroy,
};

static int sim_add(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev)
{
	const struct sim_conf *c = conf;
	struct vd_blk_conf bc = {
		.capacity_sectors = c->capacity / VD_BLK_SECTOR,
		.flush = true,
		.discard = true,
		.write_zeroes = true,
		.unmap = true,
		.secure_erase = true,
	};
	struct sim *sim;
	int r;

	r = vd_blk_args(&c->blk, name, &bc);
	if (r)
		return r;
	if (c->capacity % VD_BLK_SECTOR)
		return vd_err(-EINVAL, "%s: capacity %llu, not a multiple of %u", name,
			      (unsigned long long)c->capacity, VD_BLK_SECTOR);
	sim = calloc(1, sizeof(*sim));
	if (!sim)
		return vd_err(-ENOMEM, "%s: no memory", name);
	sim->null = c->null;
	sim->size = vd_max(c->capacity, c->capacity_max);
	sim->disk = mmap(NULL, sim->size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (sim->disk == MAP_FAILED) {
		r = vd_err(-errno, "%s: %zu bytes of memory: %m", name, sim->size);
		goto err_free;
	}
	r = vd_blk_init(&sim->blk, u, &sim_ops, &bc);
	if (r)
		goto err_unmap;
	*ret_dev = &sim->blk.sd.dev;
	return 0;

err_unmap:
	munmap(sim->disk, sim->size);
err_free:
	free(sim);
	return r;
}

static const struct uvdpa_opt sim_opts[] = {
	{ .key = "capacity",
	  .type = UVDPA_OPT_SIZE,
	  .offset = offsetof(struct sim_conf, capacity),
	  .def = "128M",
	  .min = VD_BLK_SECTOR,
	  .max = 1ull << 46,
	  .help = "bytes of the disk" },
	{ .key = "capacity_max",
	  .type = UVDPA_OPT_SIZE,
	  .offset = offsetof(struct sim_conf, capacity_max),
	  .max = 1ull << 46,
	  .help = "bytes that it may have later; 0: not more than capacity" },
	{ .key = "null",
	  .type = UVDPA_OPT_BOOL,
	  .offset = offsetof(struct sim_conf, null),
	  .help = "answer without moving data, to measure what is around it" },
	VD_BLK_OPTS(struct sim_conf, blk, "vdpa_blk_sim"),
	{ 0 },
};

static const uint32_t sim_ids[] = { VIRTIO_ID_BLOCK, 0 };

extern const struct uvdpa_parent vd_parent_sim_blk;
const struct uvdpa_parent vd_parent_sim_blk = {
	.name = "sim-blk",
	.help = "a RAM disk, for tests and measurements",
	.device_ids = sim_ids,
	.features = VD_BLK_FEATURES,
	.max_vqs = VD_BLK_QUEUES_MAX,
	.opts = sim_opts,
	.conf_size = sizeof(struct sim_conf),
	.add = sim_add,
};
