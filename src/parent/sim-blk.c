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
	uint64_t capacity;
	bool null;
};

struct sim {
	struct vd_blk blk;
	uint8_t *disk;	/* the workers': concurrent requests for one sector race, as on any disk */
	size_t size;
	bool null;
};

static struct sim *to_sim(struct vd_blk *blk)
{
	return container_of(blk, struct sim, blk);
}

/* DISCARD, WRITE_ZEROES and SECURE_ERASE are all one: zeros, and where it may be, no pages. */
static int erase(struct sim *sim, const struct vd_blk_req *req)
{
	uint8_t *from = sim->disk + req->off;
	uint8_t *first = sim->disk + vd_align_up(req->off, PAGE);
	uint8_t *end = sim->disk + (req->off + req->len) / PAGE * PAGE;

	if ((req->op == VD_BLK_WRITE_ZEROES && !req->unmap) || first >= end) {
		memset(from, 0, req->len);
		return 0;
	}
	memset(from, 0, (size_t)(first - from));
	memset(end, 0, (size_t)(from + req->len - end));
	return madvise(first, (size_t)(end - first), MADV_DONTNEED) ? -errno : 0;
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
	sim->size = c->capacity;
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
	{ .key = "capacity", .type = UVDPA_OPT_SIZE, .offset = offsetof(struct sim_conf, capacity),
	  .def = "128M", .min = VD_BLK_SECTOR, .max = 1ull << 46, .help = "bytes of the disk" },
	{ .key = "null", .type = UVDPA_OPT_BOOL, .offset = offsetof(struct sim_conf, null),
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
