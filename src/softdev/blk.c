/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk.c - requests of the virtio block device (virtio 1.3, 5.2.6)
 *
 *	out: | header, 16 bytes | data of a write |	in: | data of a read | status, 1 byte |
 *
 * How the driver cuts this into descriptors is its own affair (ANY_LAYOUT): the header is read
 * through the scatter-gather reader, and the status is the last byte there is.
 *
 * What makes no sense fails alone and the queue goes on:
 *	no in byte at all	there is no place for an answer: given back with length 0
 *	no whole header		IOERR
 *	unknown type		UNSUPP; so is FLUSH that was not negotiated, never a silent OK
 *	length, range		IOERR; so is a write to a read-only disk, negotiated or not
 *
 * The used length is always all of the in bytes, and all of them are really written: what a
 * failed read, or a request that reads nothing, has not filled is filled with zeros. So neither
 * old bytes nor a wrong status reach a driver that goes by the length (CVE-2024-8612).
 */
#include "softdev/blk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

static_assert(sizeof(struct virtio_blk_outhdr) == 16, "virtio 1.3, 5.2.6");
static_assert(offsetof(struct virtio_blk_config, num_queues) == 34, "virtio 1.3, 5.2.4");

/* A segment that lies in two mappings is two pieces; a header may be in one for each byte. */
#define IOV_MAX_PIECES (2 * (VD_BLK_SEG_MAX + 18))

static struct vd_blk *to_blk(struct vd_softdev *sd)
{
	return container_of(sd, struct vd_blk, sd);
}

static struct vd_blk_req *to_req(struct vd_chain *chain)
{
	return container_of(chain, struct vd_blk_req, chain);
}

static void answer(struct vd_blk_req *req, uint8_t status)
{
	if (req->status.len) {
		if (req->op != VD_BLK_READ || status != VIRTIO_BLK_S_OK) {
			struct vd_sg sg = vd_sg(req->chain.iov + req->chain.nout, req->chain.nin);

			vd_sg_skip(&sg, req->filled);
			vd_sg_fill(&sg, 0, req->chain.in_len - 1 - req->filled);
		}
		vd_guest_write(req->status.base, &status, 1);
	}
	vd_softq_done(req->q, &req->chain, req->chain.in_len, status == VIRTIO_BLK_S_OK);
}

void vd_blk_done(struct vd_blk_req *req, int err)
{
	answer(req, !err		 ? VIRTIO_BLK_S_OK :
		    err == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP :
					 VIRTIO_BLK_S_IOERR);
}

/* Cut the last in byte off. */
static void take_status(struct vd_blk_req *req)
{
	struct vd_chain *c = &req->chain;
	struct vd_iov *last;

	req->status = (struct vd_iov){ 0 };
	if (!c->in_len)
		return;
	last = &c->iov[c->nout + c->nin - 1];
	last->len--;
	req->status = (struct vd_iov){ last->base + last->len, 1 };
	if (!last->len)
		c->nin--;
}

/* Put what is left of the out pieces, or the in pieces, into @req; the rest of a piece counts. */
static void take_data(struct vd_blk_req *req, const struct vd_sg *out)
{
	struct vd_chain *c = &req->chain;

	if (req->op == VD_BLK_READ) {
		req->iov = c->iov + c->nout;
		req->niov = c->nin;
		req->len = c->in_len - 1;
		return;
	}
	req->iov = out->iov;
	req->niov = out->n;
	req->len = c->out_len - sizeof(struct virtio_blk_outhdr);
	if (out->off) {
		out->iov->base += out->off;
		out->iov->len -= out->off;
	}
}

static bool in_range(const struct vd_blk *blk, uint64_t sector, uint64_t len)
{
	uint64_t end;

	return len % VD_BLK_SECTOR == 0 &&
	       !__builtin_add_overflow(sector, len / VD_BLK_SECTOR, &end) &&
	       end <= blk->conf.capacity_sectors;
}

static void get_id(struct vd_blk *blk, struct vd_blk_req *req)
{
	struct vd_sg in = vd_sg(req->chain.iov + req->chain.nout, req->chain.nin);

	/* 20 bytes, and a NUL only if it is shorter (virtio 1.3, 5.2.6). */
	req->filled = vd_sg_write(&in, blk->conf.serial, VIRTIO_BLK_ID_BYTES);
	answer(req, VIRTIO_BLK_S_OK);
}

/* Decode one request. Return: true if it goes to the parent; else it has been answered. */
static bool decode(struct vd_blk *blk, struct vd_blk_req *req)
{
	struct vd_sg out = vd_sg(req->chain.iov, req->chain.nout);
	struct virtio_blk_outhdr hdr;
	uint64_t sector;

	req->op = VD_BLK_FLUSH;
	req->off = req->len = req->done = 0;
	req->filled = 0;
	req->err = 0;
	req->niov = 0;
	take_status(req);
	if (!req->status.len || vd_sg_read(&out, &hdr, sizeof(hdr)) < sizeof(hdr)) {
		answer(req, VIRTIO_BLK_S_IOERR);
		return false;
	}
	sector = le64toh(hdr.sector);

	switch (le32toh(hdr.type)) {
	case VIRTIO_BLK_T_IN:
		req->op = VD_BLK_READ;
		break;
	case VIRTIO_BLK_T_OUT:
		req->op = VD_BLK_WRITE;
		break;
	case VIRTIO_BLK_T_FLUSH:
		if (blk->writethrough)
			goto unsupp;
		/* The driver must say 0 (virtio 1.3, 5.2.6.1): more is not what it seems. */
		if (sector)
			goto ioerr;
		return true;
	case VIRTIO_BLK_T_GET_ID:
		if (sector)
			goto ioerr;
		get_id(blk, req);
		return false;
	default:
		goto unsupp;
	}

	take_data(req, &out);
	if (!in_range(blk, sector, req->len) || (req->op == VD_BLK_WRITE && blk->conf.readonly))
		goto ioerr;
	req->off = sector * VD_BLK_SECTOR;
	return true;

ioerr:
	answer(req, VIRTIO_BLK_S_IOERR);
	return false;
unsupp:
	answer(req, VIRTIO_BLK_S_UNSUPP);
	return false;
}

static void blk_handle(struct vd_softq *q, struct vd_chain **chains, unsigned int n)
{
	struct vd_blk *blk = to_blk(vd_softq_dev(q));
	struct vd_blk_req *reqs[VD_SOFTQ_BURST];
	unsigned int good = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct vd_blk_req *req = to_req(chains[i]);

		req->q = q;
		if (decode(blk, req))
			reqs[good++] = req;
	}
	if (good)
		blk->ops->submit(blk, vd_softq_worker(q), reqs, good);
}

static int blk_worker_start(struct vd_softdev *sd, struct vd_worker *w,
			    struct vd_engine **ret_engine)
{
	return to_blk(sd)->ops->worker_start(to_blk(sd), w, ret_engine);
}

static int blk_set_features(struct vd_softdev *sd, uint64_t features)
{
	to_blk(sd)->writethrough = !(features & 1ull << VIRTIO_BLK_F_FLUSH);
	return 0;
}

static int blk_get_config(struct vd_softdev *sd, uint32_t off, void *buf, uint32_t len)
{
	memcpy(buf, (const char *)&to_blk(sd)->config + off, len);
	return 0;
}

static int blk_set_config(struct vd_softdev *sd, uint32_t off, const void *buf, uint32_t len)
{
	(void)buf;
	return vd_err(-EOPNOTSUPP, "%s: configuration bytes %u to %u: not writable", sd->name, off,
		      off + len - 1);
}

static void blk_reset(struct vd_softdev *sd)
{
	to_blk(sd)->writethrough = true;
	to_blk(sd)->ops->reset(to_blk(sd));
}

static void blk_destroy(struct vd_softdev *sd)
{
	to_blk(sd)->ops->destroy(to_blk(sd));
}

static const struct vd_softdev_ops blk_softdev_ops = {
	.chain_size = sizeof(struct vd_blk_req),
	.iov_max = IOV_MAX_PIECES,
	.handle = blk_handle,
	.worker_start = blk_worker_start,
	.set_features = blk_set_features,
	.get_config = blk_get_config,
	.set_config = blk_set_config,
	.reset = blk_reset,
	.destroy = blk_destroy,
};

int vd_blk_args(const struct vd_blk_args *args, const char *name, struct vd_blk_conf *conf)
{
	if (args->serial && strlen(args->serial) > VIRTIO_BLK_ID_BYTES)
		return vd_err(-EINVAL, "%s: serial \"%s\", longer than %d bytes", name, args->serial,
			      VIRTIO_BLK_ID_BYTES);
	snprintf(conf->serial, sizeof(conf->serial), "%s", args->serial ? args->serial : name);
	conf->readonly = args->readonly;
	conf->queues = (unsigned int)args->queues;
	conf->queue_size = (unsigned int)args->queue_size;
	conf->soft = (struct vd_softdev_conf){
		.name = name,
		.workers = (unsigned int)args->workers,
		.poll_us = (unsigned int)args->poll_us,
	};
	return 0;
}

/* Replace the zeros that mean a default, and check the rest. */
static int complete(struct vd_blk_conf *c)
{
	const char *who = c->soft.name;

	if (!c->queues)
		c->queues = 1;
	if (!c->queue_size)
		c->queue_size = 256;
	if (!c->block_size)
		c->block_size = VD_BLK_SECTOR;
	if (!c->phys_block_size)
		c->phys_block_size = c->block_size;
	if (c->queues > VD_BLK_QUEUES_MAX)
		return vd_err(-EINVAL, "%s: %u queues, at most %u", who, c->queues,
			      VD_BLK_QUEUES_MAX);
	if (c->queue_size < 4 || c->queue_size > VD_BLK_QUEUE_SIZE_MAX ||
	    c->queue_size & (c->queue_size - 1))
		return vd_err(-EINVAL, "%s: queue size %u, not a power of two from 4 to %u", who,
			      c->queue_size, VD_BLK_QUEUE_SIZE_MAX);
	/* Without indirect tables header, data and status must find room in the ring. */
	if (!c->seg_max)
		c->seg_max = vd_min(126u, c->queue_size - 2);
	if (c->seg_max > VD_BLK_SEG_MAX)
		return vd_err(-EINVAL, "%s: %u segments, at most %u", who, c->seg_max,
			      VD_BLK_SEG_MAX);
	if (c->block_size < VD_BLK_SECTOR || c->block_size & (c->block_size - 1) ||
	    c->phys_block_size < c->block_size || c->phys_block_size & (c->phys_block_size - 1))
		return vd_err(-EINVAL, "%s: block size %u, physical %u", who, c->block_size,
			      c->phys_block_size);
	if (c->capacity_sectors > INT64_MAX / VD_BLK_SECTOR)
		return vd_err(-EINVAL, "%s: %llu sectors, at most %llu", who,
			      (unsigned long long)c->capacity_sectors,
			      (unsigned long long)INT64_MAX / VD_BLK_SECTOR);
	return 0;
}

static uint64_t features(const struct vd_blk_conf *c)
{
	uint64_t f = VD_BLK_FEATURES & ~c->features_off;

	if (!c->size_max)
		f &= ~(1ull << VIRTIO_BLK_F_SIZE_MAX);
	if (!c->readonly)
		f &= ~(1ull << VIRTIO_BLK_F_RO);
	if (!c->flush)
		f &= ~(1ull << VIRTIO_BLK_F_FLUSH);
	if (c->queues == 1)
		f &= ~(1ull << VIRTIO_BLK_F_MQ);
	return f;
}

void vd_blk_begin(struct vd_blk *blk, struct uvdpa *u, const struct vd_blk_ops *ops)
{
	blk->ops = ops;
	blk->sd.dev.info.device_id = VIRTIO_ID_BLOCK;
	vd_softdev_begin(&blk->sd, u, &blk_softdev_ops);
}

int vd_blk_init(struct vd_blk *blk, struct uvdpa *u, const struct vd_blk_ops *ops,
		const struct vd_blk_conf *conf)
{
	struct vd_blk_conf *c = &blk->conf;
	int r;

	*c = *conf;
	r = complete(c);
	if (r)
		return r;
	blk->ops = ops;
	blk->writethrough = true;
	blk->config = (struct virtio_blk_config){
		.capacity = htole64(c->capacity_sectors),
		.size_max = htole32(c->size_max),
		.seg_max = htole32(c->seg_max),
		.blk_size = htole32(c->block_size),
		.physical_block_exp = (uint8_t)__builtin_ctz(c->phys_block_size / c->block_size),
		.min_io_size = htole16((uint16_t)(c->phys_block_size / c->block_size)),
		.wce = c->flush,
		.num_queues = htole16((uint16_t)c->queues),
	};
	blk->sd.dev.info = (struct uvdpa_dev_info){
		.device_id = VIRTIO_ID_BLOCK,
		.features = features(c),
		.nvqs = c->queues,
		.vq_num_max = c->queue_size,
		.vq_num_min = 1,
		.config_size = sizeof(blk->config),
		.ngroups = 1,
		.nas = 1,
		.iova_last = UINT64_MAX,
	};
	return vd_softdev_init(&blk->sd, u, &blk_softdev_ops, &c->soft);
}
