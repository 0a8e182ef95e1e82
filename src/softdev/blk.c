/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk.c - requests of the virtio block device (virtio 1.3, 5.2.6)
 *
 *	out: | header, 16 bytes | data of a write |	in: | data of a read | status, 1 byte |
 *			        | ranges, 16 bytes each, of DISCARD, WRITE_ZEROES, SECURE_ERASE |
 *
 * How the driver cuts this into descriptors is its own affair (ANY_LAYOUT): the header is read
 * through the scatter-gather reader, and the status is the last byte there is.
 *
 * What makes no sense fails alone and the queue goes on:
 *	no in byte at all	there is no place for an answer: given back with length 0
 *	no whole header		IOERR
 *	unknown type		UNSUPP; so is what was not negotiated, never a silent OK
 *	flags of a range	UNSUPP
 *	length, range		IOERR; so is a write to a read-only disk, negotiated or not
 *
 * The parent sees one range at a time. All are looked at before the first is done, and each is
 * read and looked at again when its turn comes, as the driver may have changed it.
 *
 * The used length is always all of the in bytes, and all of them are really written: what a
 * failed read, or a request that reads nothing, has not filled is filled with zeros. So neither
 * old bytes nor a wrong status reach a driver that goes by the length (CVE-2024-8612).
 */
#include "softdev/blk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/probe.h"

static_assert(sizeof(struct virtio_blk_outhdr) == 16, "virtio 1.3, 5.2.6");
static_assert(offsetof(struct virtio_blk_config, wce) == 32, "virtio 1.3, 5.2.4");
static_assert(sizeof(struct virtio_blk_discard_write_zeroes) == 16, "virtio 1.3, 5.2.6");

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
	static const uint32_t kind[] = {
		[VD_BLK_READ] = 0,    [VD_BLK_WRITE] = 1,	 [VD_BLK_FLUSH] = 2,
		[VD_BLK_DISCARD] = 3, [VD_BLK_WRITE_ZEROES] = 3, [VD_BLK_SECURE_ERASE] = 3,
	};

	req->chain.kind = kind[req->op];	/* see blk_softdev_ops.kinds */
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
	uint64_t block = blk->conf.block_size, end; /* a power of two */

	return !(len & (block - 1)) && !(sector & (block / VD_BLK_SECTOR - 1)) &&
	       !__builtin_add_overflow(sector, len / VD_BLK_SECTOR, &end) &&
	       end <= __atomic_load_n(&blk->capacity_sectors, __ATOMIC_RELAXED);
}

/* ---- ranges: DISCARD, WRITE_ZEROES, SECURE_ERASE -------------------------------------------- */

/* Read range @i into @req. Return: a status; nothing has changed unless it is OK. */
static uint8_t load_range(struct vd_blk *blk, struct vd_blk_req *req, unsigned int i)
{
	struct vd_sg out = vd_sg(req->chain.iov, req->chain.nout);
	struct virtio_blk_discard_write_zeroes r;
	uint64_t sector, len;
	uint32_t flags;

	vd_sg_skip(&out, sizeof(struct virtio_blk_outhdr) + i * sizeof(r));
	if (vd_sg_read(&out, &r, sizeof(r)) < sizeof(r))
		return VIRTIO_BLK_S_IOERR;
	sector = le64toh(r.sector);
	len = (uint64_t)le32toh(r.num_sectors) * VD_BLK_SECTOR;
	flags = le32toh(r.flags);
	if (flags & ~(req->op == VD_BLK_WRITE_ZEROES ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0u))
		return VIRTIO_BLK_S_UNSUPP;
	if (len / VD_BLK_SECTOR > VD_BLK_RANGE_SECTORS_MAX || !in_range(blk, sector, len))
		return VIRTIO_BLK_S_IOERR;
	req->off = sector * VD_BLK_SECTOR;
	req->len = len;
	req->unmap = flags && !blk->conf.keep_space;
	req->done = 0;
	req->step = 0;
	return VIRTIO_BLK_S_OK;
}

static uint8_t take_ranges(struct vd_blk *blk, struct vd_blk_req *req)
{
	uint32_t len = req->chain.out_len - sizeof(struct virtio_blk_outhdr);
	uint32_t n = len / sizeof(struct virtio_blk_discard_write_zeroes);
	uint8_t status = VIRTIO_BLK_S_OK;

	if (!n || n > VD_BLK_RANGES_MAX || blk->conf.readonly ||
	    len % sizeof(struct virtio_blk_discard_write_zeroes))
		return VIRTIO_BLK_S_IOERR;
	req->range = 0;
	req->nranges = (uint8_t)n;
	while (!status && n > 0)
		status = load_range(blk, req, --n);
	return status;
}

/* Has the driver more of it? Return: true if the parent has the next range, or has had it. */
static bool next_range(struct vd_blk_req *req)
{
	struct vd_blk *blk = vd_blk_of(req);
	uint8_t status;

	if (req->nranges == 0 || ++req->range == req->nranges)
		return false;
	status = load_range(blk, req, req->range);
	if (status)
		answer(req, status);
	else
		blk->ops->submit(blk, vd_softq_worker(req->q), &req, 1);
	return true;
}

/* ---- the end of a request -------------------------------------------------------------------- */

static bool writes_lost(const struct vd_blk *blk)
{
	return __atomic_load_n(&blk->writes_lost, __ATOMIC_RELAXED);
}

bool vd_blk_writes_lost(struct vd_blk *blk)
{
	return !__atomic_exchange_n(&blk->writes_lost, true, __ATOMIC_RELAXED);
}

/* One that the store found well after another had failed is none. */
static int flush_done(struct vd_blk *blk, int err)
{
	if (err)
		vd_blk_writes_lost(blk);
	return writes_lost(blk) ? -EIO : 0;
}

void vd_blk_tell(const struct vd_blk_req *req, int err, const char *where,
		 struct vd_ratelimit *log)
{
	static const char *const what[] = {
		[VD_BLK_READ] = "read",
		[VD_BLK_WRITE] = "write",
		[VD_BLK_FLUSH] = "flush",
		[VD_BLK_DISCARD] = "discard",
		[VD_BLK_WRITE_ZEROES] = "write zeroes",
		[VD_BLK_SECURE_ERASE] = "secure erase",
	};
	const struct vd_softdev *sd = vd_softq_dev(req->q);
	unsigned int missed;

	if (!vd_blk_waits(req, err) && vd_ratelimit_ok(log, &missed))
		vd_log_warn(vd_ctx_log(sd->u), sd->name,
			    "%s: %s of %llu bytes at %llu: %s (%u more not shown)", where,
			    what[req->op], (unsigned long long)req->len,
			    (unsigned long long)req->off, strerror(-err), missed);
}

void vd_blk_done(struct vd_blk_req *req, int err)
{
	if (vd_unlikely(req->op == VD_BLK_FLUSH))
		err = flush_done(vd_blk_of(req), err);
	if (vd_unlikely(err ? vd_blk_park(req, err) : next_range(req)))
		return;
	if (vd_unlikely(req->parked))
		vd_blk_unpark(req);
	answer(req, !err                 ? VIRTIO_BLK_S_OK
		    : err == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP
					 : VIRTIO_BLK_S_IOERR);
}

/* ---- requests ------------------------------------------------------------------------------- */

static bool negotiated(const struct vd_blk *blk, unsigned int feature)
{
	return blk->sd.features >> feature & 1;
}

static bool writethrough(const struct vd_blk *blk)
{
	return __atomic_load_n(&blk->writethrough, __ATOMIC_RELAXED);
}

static void get_id(struct vd_blk *blk, struct vd_blk_req *req)
{
	struct vd_sg in = vd_sg(req->chain.iov + req->chain.nout, req->chain.nin);

	/* 20 bytes, and a NUL only if it is shorter (virtio 1.3, 5.2.6). */
	req->filled = vd_sg_write(&in, blk->conf.serial, VIRTIO_BLK_ID_BYTES);
	answer(req, VIRTIO_BLK_S_OK);
}

/* What the request is; the features without which it is none. Return: a status. */
static uint8_t take_op(const struct vd_blk *blk, struct vd_blk_req *req, uint32_t type)
{
	static const struct {
		uint32_t type;
		enum vd_blk_op op;
		unsigned int feature;
	} ranged[] = {
		{ VIRTIO_BLK_T_DISCARD, VD_BLK_DISCARD, VIRTIO_BLK_F_DISCARD },
		{ VIRTIO_BLK_T_WRITE_ZEROES, VD_BLK_WRITE_ZEROES, VIRTIO_BLK_F_WRITE_ZEROES },
		{ VIRTIO_BLK_T_SECURE_ERASE, VD_BLK_SECURE_ERASE, VIRTIO_BLK_F_SECURE_ERASE },
	};

	for (unsigned int i = 0; i < VD_ARRAY_SIZE(ranged); i++) {
		if (type != ranged[i].type)
			continue;
		req->op = ranged[i].op;
		return negotiated(blk, ranged[i].feature) ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_UNSUPP;
	}
	return VIRTIO_BLK_S_UNSUPP;
}

/* Decode one request. Return: true if it goes to the parent; else it has been answered. */
static bool decode(struct vd_blk *blk, struct vd_blk_req *req)
{
	struct vd_sg out = vd_sg(req->chain.iov, req->chain.nout);
	uint8_t status = VIRTIO_BLK_S_IOERR;
	struct virtio_blk_outhdr hdr;
	uint64_t sector;

	req->op = VD_BLK_FLUSH;
	req->off = req->len = req->done = 0;
	req->unmap = false;
	req->durable = writethrough(blk);
	req->filled = 0;
	req->parked = false;
	req->nranges = 0;
	req->step = 0;
	req->bounce = NULL;
	req->err = 0;
	req->niov = 0;
	take_status(req);
	if (!req->status.len || vd_sg_read(&out, &hdr, sizeof(hdr)) < sizeof(hdr))
		goto refuse;
	sector = le64toh(hdr.sector);

	switch (le32toh(hdr.type)) {
	case VIRTIO_BLK_T_IN:
		req->op = VD_BLK_READ;
		break;
	case VIRTIO_BLK_T_OUT:
		req->op = VD_BLK_WRITE;
		break;
	case VIRTIO_BLK_T_FLUSH:
		if (!negotiated(blk, VIRTIO_BLK_F_FLUSH)) {
			status = VIRTIO_BLK_S_UNSUPP;
			goto refuse;
		}
		/* The driver must say 0 (virtio 1.3, 5.2.6.1): more is not what it seems. */
		if (sector || writes_lost(blk))
			goto refuse;
		return true;
	case VIRTIO_BLK_T_GET_ID:
		if (sector)
			goto refuse;
		get_id(blk, req);
		return false;
	default:
		status = take_op(blk, req, le32toh(hdr.type));
		if (!status)
			status = take_ranges(blk, req);
		if (status)
			goto refuse;
		return true;
	}

	take_data(req, &out);
	if (!in_range(blk, sector, req->len) || (req->op == VD_BLK_WRITE && blk->conf.readonly))
		goto refuse;
	req->off = sector * VD_BLK_SECTOR;
	return true;

refuse:
	answer(req, status);
	return false;
}

static void blk_handle(struct vd_softq *q, struct vd_chain **chains, unsigned int n)
{
	struct vd_blk *blk = to_blk(vd_softq_dev(q));
	struct vd_blk_req *reqs[VD_SOFTQ_BURST];
	unsigned int good = 0;
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct vd_blk_req *req = to_req(chains[i]);

		req->q = q;
		if (!decode(blk, req))
			continue;
		vd_probe(request_submit, blk->sd.name, &req->chain);
		reqs[good++] = req;
		if (req->niov)
			bytes += req->len;
	}
	vd_softq_charge(q, bytes);
	if (good)
		blk->ops->submit(blk, vd_softq_worker(q), reqs, good);
}

static void blk_held(struct vd_softdev *sd, struct vd_worker *w)
{
	vd_blk_try_again(to_blk(sd), w);
}

static int blk_worker_start(struct vd_softdev *sd, struct vd_worker *w,
			    struct vd_engine **ret_engine)
{
	return to_blk(sd)->ops->worker_start(to_blk(sd), w, ret_engine);
}

/* ---- the configuration space ---------------------------------------------------------------- */

static void set_writethrough(struct vd_blk *blk, bool on)
{
	__atomic_store_n(&blk->writethrough, on, __ATOMIC_RELAXED);
	blk->config.wce = !on;
}

static int blk_set_features(struct vd_softdev *sd, uint64_t features)
{
	struct vd_blk *blk = to_blk(sd);

	set_writethrough(blk, blk->conf.writethrough || !(features & 1ull << VIRTIO_BLK_F_FLUSH));
	return 0;
}

static int blk_get_config(struct vd_softdev *sd, uint32_t off, void *buf, uint32_t len)
{
	memcpy(buf, (const char *)&to_blk(sd)->config + off, len);
	return 0;
}

/* Only writeback can be written, and only when it was agreed on (virtio 1.3, 5.2.5). */
static int blk_set_config(struct vd_softdev *sd, uint32_t off, const void *buf, uint32_t len)
{
	struct vd_blk *blk = to_blk(sd);
	uint8_t wce;

	if (off != offsetof(struct virtio_blk_config, wce) || len != sizeof(wce) ||
	    !negotiated(blk, VIRTIO_BLK_F_CONFIG_WCE))
		return vd_err(-EOPNOTSUPP, "%s: configuration bytes %u to %u: not writable",
			      sd->name, off, off + len - 1);
	memcpy(&wce, buf, sizeof(wce));
	if (wce > 1)
		return vd_err(-EINVAL, "%s: writeback %u, not 0 or 1", sd->name, wce);
	/* Without FLUSH there is nothing that would make a write durable later. */
	set_writethrough(blk, !wce || !negotiated(blk, VIRTIO_BLK_F_FLUSH));
	return 0;
}

static void blk_reset(struct vd_softdev *sd)
{
	struct vd_blk *blk = to_blk(sd);

	set_writethrough(blk, blk->conf.writethrough || !blk->conf.flush);
	__atomic_store_n(&blk->writes_lost, false, __ATOMIC_RELAXED);
	blk->ops->reset(blk);
}

static void blk_destroy(struct vd_softdev *sd)
{
	free(to_blk(sd)->parking);
	to_blk(sd)->ops->destroy(to_blk(sd));
}

static const struct vd_softdev_ops blk_softdev_ops = {
	.chain_size = sizeof(struct vd_blk_req),
	.iov_max = IOV_MAX_PIECES,
	.kinds = { "read", "write", "flush", "discard" },
	.handle = blk_handle,
	.held = blk_held,
	.worker_start = blk_worker_start,
	.stats = vd_softq_emit,
	.set_features = blk_set_features,
	.get_config = blk_get_config,
	.set_config = blk_set_config,
	.reset = blk_reset,
	.destroy = blk_destroy,
};

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
	r = vd_blk_complete(c);
	if (r)
		return r;
	blk->ops = ops;
	blk->capacity_sectors = c->capacity_sectors;
	blk->sd.dev.info = (struct uvdpa_dev_info){
		.device_id = VIRTIO_ID_BLOCK,
		.features = vd_blk_features(c),
		.nvqs = c->queues,
		.vq_num_max = c->queue_size,
		.vq_num_min = 1,
		.config_size = sizeof(blk->config),
		.ngroups = 1,
		.nas = 1,
		.iova_last = UINT64_MAX,
	};
	vd_blk_fill_config(blk, blk->sd.dev.info.features);
	blk->sd.dev.set = &vd_blk_set_ops;
	blk->sd.dev.show = &vd_blk_show_ops;
	set_writethrough(blk, c->writethrough || !c->flush);
	blk->parking = calloc(c->queues, sizeof(*blk->parking));
	if (!blk->parking)
		return vd_err(-ENOMEM, "%s: no memory", c->soft.name);
	r = vd_softdev_init(&blk->sd, u, &blk_softdev_ops, &c->soft);
	if (r) {
		free(blk->parking);
		blk->parking = NULL;
	}
	return r;
}
