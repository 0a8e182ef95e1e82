/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-queue.c - block requests to descriptors and back (virtio 1.3, 5.2.6)
 *
 * Each request in flight has a slot in the region for its header and its status byte. The device
 * is not trusted: the id is checked by virtq, what it says it wrote must reach the status byte,
 * and the status byte must be one that exists; anything else is -EIO.
 *
 * The hand-over when the device is taken away, or broken, without a lock:
 *
 *	control				the queue's thread
 *	-------				------------------
 *	refuse = err (release)		submit: reads refuse, takes nothing more
 *	(device is quiesced, reset)
 *	gone = err (release)
 *	call eventfd ------------------> wakes; poll: reads gone (acquire), then the ring,
 *					then gives back what is left with err
 *
 * The ring is read after gone, and the device touches nothing any more when gone is written, so
 * nothing is given back twice and no answer is lost.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fd.h"
#include "virtio/blk.h"

#define REAP_MAX 32

size_t vd_blkq_ring_size(uint64_t features, uint16_t num, unsigned int seg_max)
{
	bool packed = features >> VIRTIO_F_RING_PACKED & 1;
	bool indirect = features >> VIRTIO_RING_F_INDIRECT_DESC & 1;

	return vd_align_up(vd_vring_layout(num, packed, indirect ? seg_max + 2 : 0).size, 4096);
}

size_t vd_blkq_slots_size(uint16_t num)
{
	return vd_align_up(num * sizeof(struct vd_blk_slot), 4096);
}

int vd_blkq_init(struct uvdpa_blkq *q, const struct vd_blkq_conf *conf)
{
	bool indirect = conf->features >> VIRTIO_RING_F_INDIRECT_DESC & 1;
	struct vd_virtq_drv_conf vqc = {
		.features = conf->features,
		.num = conf->num,
		.ring = conf->base + conf->ring,
		.ring_iova = conf->iova + conf->ring,
		.indirect_max = indirect ? conf->seg_max + 2 : 0,
	};
	int r;

	memset(q, 0, sizeof(*q));
	q->conf = *conf;
	q->kick = q->call = -1;
	q->slots = vd_guest_wrap(struct vd_blk_slot, conf->base + conf->slots);
	q->reqs = calloc(conf->num, sizeof(*q->reqs));
	q->in_len = calloc(conf->num, sizeof(*q->in_len));
	q->slot_of = calloc(conf->num, sizeof(*q->slot_of));
	q->free = calloc(conf->num, sizeof(*q->free));
	q->bufs = calloc(conf->seg_max + 2, sizeof(*q->bufs));
	if (!q->reqs || !q->in_len || !q->slot_of || !q->free || !q->bufs) {
		r = vd_err(-ENOMEM, "queue of %u requests: no memory", conf->num);
		goto err_fini;
	}
	for (q->nfree = 0; q->nfree < conf->num; q->nfree++)
		q->free[q->nfree] = (uint16_t)(conf->num - 1 - q->nfree);
	r = q->kick = vd_eventfd();
	if (r >= 0)
		r = q->call = vd_eventfd();
	if (r >= 0)
		r = vd_virtq_drv_create(&vqc, &q->vq);
	if (r < 0)
		goto err_fini;
	vd_virtq_drv_calls_off(q->vq);
	return 0;

err_fini:
	vd_blkq_fini(q);
	return r;
}

void vd_blkq_fini(struct uvdpa_blkq *q)
{
	vd_virtq_drv_destroy(q->vq);
	vd_close(&q->call);
	vd_close(&q->kick);
	free(q->bufs);
	free(q->free);
	free(q->slot_of);
	free(q->in_len);
	free(q->reqs);
	/* A queue whose init failed is finished again, with the others of its device. */
	*q = (struct uvdpa_blkq){ .kick = -1, .call = -1 };
}

void vd_blkq_vq(const struct uvdpa_blkq *q, struct uvdpa_vq *ret_vq)
{
	bool packed = q->conf.features >> VIRTIO_F_RING_PACKED & 1;
	struct vd_vring_layout l = vd_vring_layout(q->conf.num, packed, 0);
	uint64_t iova = q->conf.iova + q->conf.ring;

	*ret_vq = (struct uvdpa_vq){
		.num = q->conf.num,
		.desc = iova + l.desc,
		.driver = iova + l.driver,
		.device = iova + l.device,
		.state = vd_virtq_drv_state(q->vq),
		.kick = q->kick,
		.call = q->call,
	};
}

void vd_blkq_refuse(struct uvdpa_blkq *q, int err)
{
	__atomic_store_n(&q->refuse, err, __ATOMIC_RELEASE);
}

void vd_blkq_gone(struct uvdpa_blkq *q, int err)
{
	vd_blkq_refuse(q, err);
	/* Release: all that the device and control did before. Pairs with uvdpa_blkq_poll(). */
	__atomic_store_n(&q->gone, err, __ATOMIC_RELEASE);
	vd_eventfd_signal(q->call);
}

void vd_blkq_nudge(struct uvdpa_blkq *q)
{
	vd_eventfd_signal(q->kick);
	vd_eventfd_signal(q->call);
}

/* Data to descriptors. Return: how many, *ret_len their bytes; -EFAULT, -EINVAL. */
static int put_data(const struct vd_blkq_conf *c, const struct uvdpa_blk_req *req,
		    struct vd_buf *bufs, uint32_t *ret_len)
{
	uint64_t max = c->size_max ? c->size_max : UINT32_MAX;
	uint64_t sum = 0;
	unsigned int n = 0;

	for (unsigned int i = 0; i < req->niov; i++) {
		uintptr_t off = (uintptr_t)req->iov[i].iov_base - (uintptr_t)c->base;
		uint64_t len = req->iov[i].iov_len;

		if (off < c->arena || off > c->size || len > c->size - off)
			return -EFAULT;
		sum += len;
		if (sum > UINT32_MAX - UVDPA_BLK_SECTOR)
			return -EINVAL;
		while (len) {
			uint32_t piece = (uint32_t)vd_min(len, max);

			if (n == c->seg_max)
				return -EINVAL;
			bufs[n++] = (struct vd_buf){ c->iova + off, piece };
			off += piece;
			len -= piece;
		}
	}
	*ret_len = (uint32_t)sum;
	return (int)n;
}

/* The range of a DISCARD and its like; flags are for WRITE_ZEROES only (virtio 1.3, 5.2.6.1). */
static void put_range(struct uvdpa_blkq *q, uint16_t slot, const struct uvdpa_blk_req *req)
{
	bool unmap = req->op == UVDPA_BLK_WRITE_ZEROES && req->unmap && q->conf.may_unmap;
	struct virtio_blk_discard_write_zeroes r = {
		.sector = htole64(req->sector),
		.num_sectors = htole32((uint32_t)req->nsectors),
		.flags = htole32(unmap ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0),
	};

	vd_guest_write(&q->slots[slot].range, &r, sizeof(r));
	q->bufs[1] = (struct vd_buf){ q->bufs[0].iova + offsetof(struct vd_blk_slot, range),
				      sizeof(r) };
}

static const struct {
	uint32_t type;
	bool data, in, range;
} ops[] = {
	[UVDPA_BLK_READ] = { VIRTIO_BLK_T_IN, .data = true, .in = true },
	[UVDPA_BLK_WRITE] = { VIRTIO_BLK_T_OUT, .data = true },
	[UVDPA_BLK_FLUSH] = { .type = VIRTIO_BLK_T_FLUSH },
	[UVDPA_BLK_GET_ID] = { VIRTIO_BLK_T_GET_ID, .data = true, .in = true },
	[UVDPA_BLK_DISCARD] = { VIRTIO_BLK_T_DISCARD, .range = true },
	[UVDPA_BLK_WRITE_ZEROES] = { VIRTIO_BLK_T_WRITE_ZEROES, .range = true },
	[UVDPA_BLK_SECURE_ERASE] = { VIRTIO_BLK_T_SECURE_ERASE, .range = true },
};

static int check_range(const struct uvdpa_blkq *q, const struct uvdpa_blk_req *req)
{
	uint64_t max = req->op == UVDPA_BLK_DISCARD	   ? q->conf.discard_max
		       : req->op == UVDPA_BLK_WRITE_ZEROES ? q->conf.write_zeroes_max
							   : q->conf.secure_erase_max;

	if (q->conf.features >> VIRTIO_BLK_F_RO & 1)
		return -EROFS;
	if (!max)
		return -EOPNOTSUPP;
	return req->nsectors && req->nsectors <= max ? 0 : -EINVAL;
}

static int check(const struct uvdpa_blkq *q, const struct uvdpa_blk_req *req)
{
	if ((unsigned int)req->op >= VD_ARRAY_SIZE(ops))
		return -EINVAL;
	if (ops[req->op].data == !req->niov)
		return -EINVAL;
	if (req->op == UVDPA_BLK_WRITE && q->conf.features >> VIRTIO_BLK_F_RO & 1)
		return -EROFS;
	if (req->op == UVDPA_BLK_FLUSH && !(q->conf.features >> VIRTIO_BLK_F_FLUSH & 1))
		return -EOPNOTSUPP;
	return ops[req->op].range ? check_range(q, req) : 0;
}

/* Return: 0; -ENOSPC the ring is full; or what is wrong. */
static int add(struct uvdpa_blkq *q, struct uvdpa_blk_req *req)
{
	unsigned int nout = 1, nin = 1;
	uint32_t len = 0;
	uint16_t slot;
	uint64_t iova;
	int r, n = 0;

	r = check(q, req);
	if (r)
		return r;
	if (!q->nfree)
		return -ENOSPC;
	if (ops[req->op].data) {
		n = put_data(&q->conf, req, q->bufs + 1, &len);
		if (n < 0)
			return n;
		if (req->op == UVDPA_BLK_GET_ID ? len < UVDPA_BLK_ID_LEN
						: !len || len % UVDPA_BLK_SECTOR)
			return -EINVAL;
	}

	slot = q->free[q->nfree - 1];
	iova = q->conf.iova + q->conf.slots + slot * sizeof(struct vd_blk_slot);
	vd_write32(vd_guest_wrap(uint32_t, &q->slots[slot].hdr.type), ops[req->op].type);
	vd_write64(vd_guest_wrap(uint64_t, &q->slots[slot].hdr.sector),
		   ops[req->op].range ? 0 : req->sector);
	vd_guest_write(&q->slots[slot].status, &(uint8_t){ 0xff }, 1);
	q->bufs[0] = (struct vd_buf){ iova, sizeof(struct virtio_blk_outhdr) };
	if (ops[req->op].range) {
		put_range(q, slot, req);
		n = 1;
	}
	q->bufs[n + 1] = (struct vd_buf){ iova + offsetof(struct vd_blk_slot, status), 1 };
	if (ops[req->op].in)
		nin += (unsigned int)n;
	else
		nout += (unsigned int)n;

	r = vd_virtq_drv_add(q->vq, q->bufs, nout, nin);
	if (r < 0)
		return r;
	q->nfree--;
	q->slot_of[r] = slot;
	q->reqs[slot] = req;
	q->in_len[slot] = (ops[req->op].in ? len : 0) + 1;
	return 0;
}

int uvdpa_blkq_submit(struct uvdpa_blkq *q, struct uvdpa_blk_req *const *reqs, unsigned int n)
{
	int r = __atomic_load_n(&q->refuse, __ATOMIC_ACQUIRE);
	unsigned int i;

	if (!r)
		r = q->broken;
	if (vd_unlikely(r))
		return r;
	for (i = 0; i < n; i++) {
		r = add(q, reqs[i]);
		if (vd_unlikely(r))
			break;
	}
	if (i && vd_virtq_drv_publish(q->vq))
		vd_eventfd_signal(q->kick);
	if (r == -EBADMSG)
		r = q->broken = -EIO;
	return i || r == -ENOSPC ? (int)i : r;
}

static struct uvdpa_blk_req *give_back(struct uvdpa_blkq *q, uint16_t slot, int res)
{
	struct uvdpa_blk_req *req = q->reqs[slot];

	q->reqs[slot] = NULL;
	q->free[q->nfree++] = slot;
	req->res = res;
	return req;
}

/* What the device made of a request. @len: bytes it says it wrote. */
static int result(const struct uvdpa_blkq *q, uint16_t slot, uint32_t len)
{
	uint8_t status;

	vd_guest_read(&status, &q->slots[slot].status, 1);
	if (status == VIRTIO_BLK_S_UNSUPP)
		return -EOPNOTSUPP;
	/* What is beyond len was not written, whatever is there (virtio 1.3, 2.7.8.2). */
	return status == VIRTIO_BLK_S_OK && len == q->in_len[slot] ? 0 : -EIO;
}

static unsigned int reap(struct uvdpa_blkq *q, struct uvdpa_blk_req **done, unsigned int max)
{
	struct vd_done d[REAP_MAX];
	unsigned int n = 0;

	while (n < max) {
		int got = vd_virtq_drv_get(q->vq, d, vd_min(max - n, (unsigned int)REAP_MAX));

		if (got < 0)
			q->broken = -EIO;
		if (got <= 0)
			break;
		for (int i = 0; i < got; i++) {
			uint16_t slot = q->slot_of[d[i].id];

			done[n++] = give_back(q, slot, result(q, slot, d[i].len));
		}
	}
	return n;
}

unsigned int uvdpa_blkq_poll(struct uvdpa_blkq *q, struct uvdpa_blk_req **done, unsigned int max)
{
	/* Acquire: before the ring is read. Pairs with vd_blkq_gone(). */
	int gone = __atomic_load_n(&q->gone, __ATOMIC_ACQUIRE);
	unsigned int n;

	if (q->armed) {
		vd_eventfd_drain(q->call);
		vd_virtq_drv_calls_off(q->vq);
		q->armed = false;
	}
	n = reap(q, done, max);
	if (vd_likely(!gone && !q->broken))
		return n;
	for (unsigned int slot = 0; slot < q->conf.num && n < max; slot++)
		if (q->reqs[slot])
			done[n++] = give_back(q, (uint16_t)slot, gone ? gone : q->broken);
	return n;
}

int uvdpa_blkq_fd(const struct uvdpa_blkq *q)
{
	return q->call;
}

bool uvdpa_blkq_arm(struct uvdpa_blkq *q)
{
	q->armed = true;
	if (vd_virtq_drv_calls_on(q->vq))
		return true;
	return (q->broken || __atomic_load_n(&q->gone, __ATOMIC_ACQUIRE)) &&
	       q->nfree < q->conf.num;
}

int uvdpa_blkq_wait(struct uvdpa_blkq *q, int timeout_ms)
{
	struct pollfd p = { .fd = q->call, .events = POLLIN };
	int r;

	if (uvdpa_blkq_arm(q))
		return 0;
	r = poll(&p, 1, timeout_ms);
	return r > 0 ? 0 : r ? -errno : -ETIMEDOUT;
}
