/* SPDX-License-Identifier: BSD-2-Clause */
/* virtq.c - the device's end: what both layouts have in common */
#include "virtq/virtq.h"

#include <errno.h>
#include <inttypes.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem/sg.h"
#include "virtq/inflight.h"
#include "virtq/ring.h"

#define LINE 64u
#define FEW  4u /* pieces: header, data and status of a disk, and one more */

/* A power of two that is at least @n, for indices that run on for ever. */
static unsigned int ring_size(unsigned int n)
{
	unsigned int size = 1;

	while (size < n)
		size *= 2;
	return size;
}

int vd_virtq_create(const struct vd_virtq_conf *conf, struct vd_virtq **ret_vq)
{
	bool packed = conf->features & VD_F(VIRTIO_F_RING_PACKED);

	if (!conf->num || conf->num > VD_VIRTQ_NUM_MAX)
		return vd_err(-EINVAL, "queue size %u, not 1 to %u", conf->num, VD_VIRTQ_NUM_MAX);
	if (!packed && conf->num & (conf->num - 1))
		return vd_err(-EINVAL, "queue size %u is not a power of two", conf->num);
	if (!conf->iov_max || conf->iov_max > UINT16_MAX)
		return vd_err(-EINVAL, "%u pieces of a chain, not 1 to %u", conf->iov_max,
			      UINT16_MAX);
	if (conf->chain_size < sizeof(struct vd_chain))
		return vd_err(-EINVAL, "chain of %zu bytes", conf->chain_size);
	return packed ? vd_packed_dev_create(conf, ret_vq) : vd_split_dev_create(conf, ret_vq);
}

void vd_virtq_destroy(struct vd_virtq *vq)
{
	if (vq)
		vq->ops->destroy(vq);
}

int vd_virtq_init(struct vd_virtq *vq, const struct vd_virtq_conf *conf)
{
	size_t chain_size = vd_align_up(conf->chain_size, alignof(max_align_t));
	unsigned int size = ring_size(conf->num);

	vq->mem = conf->mem;
	vq->num = conf->num;
	vq->packed = conf->features & VD_F(VIRTIO_F_RING_PACKED);
	vq->indirect = conf->features & VD_F(VIRTIO_RING_F_INDIRECT_DESC);
	vq->event_idx = conf->features & VD_F(VIRTIO_RING_F_EVENT_IDX);
	vq->in_order = conf->features & VD_F(VIRTIO_F_IN_ORDER);
	vq->kicks = vq->ones = true;
	vq->iov_max = conf->iov_max;
	vq->order_mask = size - 1;
	vq->table_max = vq->indirect ? vd_max(conf->num, conf->iov_max) : 0;

	vq->chain_size = chain_size;
	vq->few = (uint16_t)vd_min(conf->iov_max, FEW);
	vq->slot_size = vd_align_up(chain_size + vq->few * sizeof(struct vd_iov), LINE);

	/* What is not used takes no memory: a queue has room for much more than most ever need. */
	vq->slots_mem = calloc(1, (conf->num + 1u) * vq->slot_size + LINE);
	vq->slots = (void *)vd_align_up((uintptr_t)vq->slots_mem, LINE);
	vq->pieces = malloc((conf->num + 1u) * (size_t)conf->iov_max * sizeof(*vq->pieces));
	vq->order = calloc(size, sizeof(*vq->order));
	vq->table = calloc(vq->table_max + 1, sizeof(struct vring_desc));
	if (!vq->slots_mem || !vq->pieces || !vq->order || !vq->table) {
		vd_virtq_fini(vq);
		return vd_err(-ENOMEM, "no memory for a queue of %u", conf->num);
	}
	return 0;
}

void vd_virtq_fini(struct vd_virtq *vq)
{
	vd_inflight_destroy(vq->inflight);
	free(vq->slots_mem);
	free(vq->pieces);
	free(vq->order);
	free(vq->table);
}

void vd_guest *vd_virtq_part(const struct vd_mem *mem, const struct ring_part *part)
{
	void vd_guest *p = vd_mem_at(mem, part->iova, part->len, part->prot);

	if (!p)
		vd_err(-EBADMSG, "%s of %" PRIu64 " bytes at %#" PRIx64 " is not in one mapping",
		       part->name, part->len, part->iova);
	else if (part->iova % part->align || (uintptr_t)vd_guest_expose(p) % part->align)
		vd_err(-EBADMSG, "%s at %#" PRIx64 " is not aligned to %u", part->name, part->iova,
		       part->align);
	else
		return p;
	return NULL;
}

static int pop_again(struct vd_virtq *vq, struct vd_chain **chains, unsigned int max)
{
	unsigned int i;

	for (i = 0; i < max && vq->nagain; i++) {
		int r = vq->ops->again(vq, &chains[i]);

		if (r) {
			vd_virtq_break(vq, r);
			break;
		}
	}
	return (int)i;
}

int vd_virtq_pop(struct vd_virtq *vq, struct vd_chain **chains, unsigned int max)
{
	bool again = vq->nagain;
	int n;

	if (vd_unlikely(vq->err))
		return vq->err;
	max = vd_min(max, VD_VIRTQ_BURST);
	n = vd_unlikely(again) ? pop_again(vq, chains, max) : vq->ops->pop(vq, chains, max);
	if (n <= 0)
		return vq->err;
	if (vq->inflight && !again)
		vd_inflight_popped(vq, chains, (unsigned int)n);
	vq->popped += (unsigned int)n;
	for (int i = 0; vq->in_order && i < n; i++)
		vq->order[vq->order_tail++ & vq->order_mask] = chains[i]->id;
	return n;
}

void vd_virtq_unpop(struct vd_virtq *vq, struct vd_chain *const *chains, unsigned int n)
{
	assert(!vq->inflight && n <= vq->popped);
	if (!n)
		return;
	vq->ops->unpop(vq, chains, n);
	for (unsigned int i = 0; i < n; i++)
		chains[i]->held = 0;
	vq->popped -= n;
	if (vq->in_order)
		vq->order_tail -= n;
}

void vd_virtq_push_burst(struct vd_virtq *vq, struct vd_chain *const *chains, unsigned int n)
{
	vq->popped -= n;
	if (vq->in_order) {
		for (unsigned int i = 0; i < n; i++)
			chain_back(chains[i], CHAIN_DONE);
	} else if (n) {
		if (vq->inflight)
			vd_inflight_pushed(vq, chains, n);
		vq->ops->push(vq, chains, n);
		vq->pushed = true;
	}
}

bool vd_virtq_flush(struct vd_virtq *vq)
{
	bool call;

	if (vq->in_order ? !chain_done(vq, 0) : !vq->pushed)
		return false;
	if (vq->inflight)
		vd_inflight_flush(vq);
	call = vq->ops->flush(vq);
	if (vq->inflight)
		vd_inflight_flushed(vq);
	vq->flushes++;
	vq->pushed = false;
	return call;
}

bool vd_virtq_pending(struct vd_virtq *vq)
{
	return !vq->err && (vq->nagain || vq->ops->pending(vq));
}

bool vd_virtq_kicks_on(struct vd_virtq *vq)
{
	vq->kicks = true;
	return (vq->ops->kicks_on(vq) || vq->nagain) && !vq->err;
}

void vd_virtq_kicks_off(struct vd_virtq *vq)
{
	if (vq->kicks)
		vq->ops->kicks_off(vq);
	vq->kicks = false;
}

unsigned int vd_virtq_inflight(const struct vd_virtq *vq)
{
	return vq->popped + vq->nagain;
}

unsigned int vd_virtq_again(const struct vd_virtq *vq)
{
	return vq->nagain;
}

struct uvdpa_vq_state vd_virtq_state(const struct vd_virtq *vq)
{
	return vq->ops->state(vq);
}

int vd_virtq_break(struct vd_virtq *vq, int err)
{
	if (!vq->err) {
		snprintf(vq->error, sizeof(vq->error), "%s", vd_err_text());
		vq->err = err;
		vq->nagain = 0;
	}
	return err;
}

const char *vd_virtq_error(const struct vd_virtq *vq)
{
	return vq->err ? vq->error : NULL;
}

/* ---- chains ---------------------------------------------------------------------------------- */

/* From now on there is room for all that may come. */
static void make_room(struct vd_virtq *vq, struct vd_chain *c)
{
	struct vd_iov *many = chain_many(vq, c->id);

	memcpy(many, c->iov, ((size_t)c->nout + c->nin) * sizeof(*many));
	c->iov = many;
	c->room = (uint16_t)vq->iov_max;
}

/* What a descriptor points to, behind the pieces that are there. As vd_mem_iov(). */
static int translate(struct vd_virtq *vq, struct vd_chain *c, const struct desc *d,
		     unsigned int prot)
{
	unsigned int n = (unsigned int)c->nout + c->nin;
	int r = vd_mem_iov(vq->mem, d->addr, d->len, prot, c->iov + n, c->room - n);

	if (r == -E2BIG && c->room < vq->iov_max) {
		make_room(vq, c);
		r = vd_mem_iov(vq->mem, d->addr, d->len, prot, c->iov + n, c->room - n);
	}
	return r;
}

static int add_buffer(struct vd_virtq *vq, struct vd_chain *c, const struct desc *d)
{
	bool write = d->flags & VRING_DESC_F_WRITE;
	const struct vd_region *r;
	int got;

	if (!d->len)
		return 0; /* nothing to translate, so nothing at its address is used */
	if (!write && c->nin)
		return vd_err(-EBADMSG, "a part to read of %u bytes follows one to write", d->len);
	if (d->len > UINT32_MAX - c->out_len - c->in_len)
		return vd_err(-EBADMSG, "a chain of more than %u bytes", UINT32_MAX);
	got = translate(vq, c, d, write ? UVDPA_MAP_WO : UVDPA_MAP_RO);
	if (got == -E2BIG)
		return vd_err(-EBADMSG, "a chain of more than %u pieces", vq->iov_max);
	if (got < 0)
		return vd_err(-EBADMSG, "%u bytes at %#" PRIx64 " are not mapped for %s", d->len,
			      d->addr, write ? "writing" : "reading");
	if (write) {
		c->nin = (uint16_t)(c->nin + got);
		c->in_len += d->len;
	} else {
		c->nout = (uint16_t)(c->nout + got);
		c->out_len += d->len;
	}
	r = vd_mem_find(vq->mem, d->addr, d->len);
	if (r && r->addr && r->prot == UVDPA_MAP_RW) {
		/* Without the last byte the length fits. */
		vq->near = (struct near){ r->first, r->last - r->first, r->last, r->addr };
	}
	return 0;
}

/* The table is copied before it is looked at: what is checked is what is used. */
static int table_read(struct vd_virtq *vq, struct vd_chain *c, const struct desc *d)
{
	unsigned int used = c->nout + c->nin;
	struct vd_sg sg;
	int n;

	if (!vq->indirect)
		return vd_err(-EBADMSG, "an indirect descriptor, which was not negotiated");
	if (d->flags & VRING_DESC_F_NEXT)
		return vd_err(-EBADMSG, "a descriptor is indirect and has a next one");
	if (!d->len || d->len % sizeof(struct vring_desc) ||
	    d->len / sizeof(struct vring_desc) > vq->table_max)
		return vd_err(-EBADMSG, "an indirect table of %u bytes, not 1 to %u descriptors",
			      d->len, vq->table_max);
	/* The pieces of the table go where those of the chain will overwrite them. */
	n = translate(vq, c, d, UVDPA_MAP_RO);
	if (n < 0)
		return vd_err(-EBADMSG,
			      "an indirect table of %u bytes at %#" PRIx64 " is not mapped", d->len,
			      d->addr);
	sg = vd_sg(c->iov + used, (unsigned int)n);
	if (vd_sg_read(&sg, vq->table, d->len) != d->len)
		return vd_err(-EBADMSG, "an indirect table of %u bytes is not there", d->len);
	return 0;
}

/* A packed table is a list, not linked, and has no ids (virtio 1.3, 2.8.7). */
static int add_table(struct vd_virtq *vq, struct vd_chain *c, const struct desc *d)
{
	unsigned int len = d->len / sizeof(struct vring_desc), i = 0;
	int r = table_read(vq, c, d);

	/* Each step is counted, whatever way the links take. */
	for (unsigned int n = 0; !r; n++) {
		struct desc e = desc_from(le64toh(vq->table[2 * i]), le64toh(vq->table[2 * i + 1]));

		if (vq->packed) { /* id and flags lie the other way round; only WRITE counts */
			e.flags = e.next & (VRING_DESC_F_WRITE | VRING_DESC_F_INDIRECT);
			e.flags |= i + 1 < len ? VRING_DESC_F_NEXT : 0;
			e.next = (uint16_t)(i + 1);
		}
		if (e.flags & VRING_DESC_F_INDIRECT)
			return vd_err(-EBADMSG, "an indirect descriptor in an indirect table");
		r = chain_add(vq, c, &e);
		if (r || !(e.flags & VRING_DESC_F_NEXT))
			return r;
		if (n + 1 == len)
			return vd_err(-EBADMSG, "a loop in an indirect table of %u", len);
		i = e.next;
		if (i >= len)
			return vd_err(-EBADMSG, "next descriptor %u of %u in an indirect table", i,
				      len);
	}
	return r;
}

int vd_chain_add_slow(struct vd_virtq *vq, struct vd_chain *c, const struct desc *d)
{
	return d->flags & VRING_DESC_F_INDIRECT ? add_table(vq, c, d) : add_buffer(vq, c, d);
}
