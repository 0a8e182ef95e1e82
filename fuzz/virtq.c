/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtq.c - both ends of a virtqueue over memory that the input writes
 *
 * The first byte chooses layout and features, the second which ends are real: the other's words
 * are the input's. Then come steps of four bytes: what to do, and three arguments. So memory
 * changes between any two calls, as it would with a peer that does what it likes. There may be an
 * in-flight region, of which the same is true, and then the device's end dies at times.
 *
 * What must hold: no access outside (the sanitizers), each piece inside the memory, sums that
 * agree, never more in flight than the queue has room for, never more written than there was.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "mem/sg.h"
#include "virtq/pair.h"
#include "virtq/ring.h"

#define NUM      8
#define DATA     4096
#define IOV_MAX_ 12

#define must(cond) ((cond) ? (void)0 : abort())

struct run {
	struct pair p;
	struct vd_chain *held[NUM];
	unsigned int nheld;
	bool drv, dev; /* is this end real? */
};

static void check_chain(const struct run *r, const struct vd_chain *c)
{
	const uint8_t *from = r->p.memory, *to = from + r->p.size;
	uint64_t sum[2] = { 0, 0 };

	must(c->nout + c->nin <= IOV_MAX_);
	for (unsigned int i = 0; i < (unsigned int)c->nout + c->nin; i++) {
		const uint8_t *base = vd_guest_expose(c->iov[i].base);

		must(c->iov[i].len && base >= from && base < to &&
		     c->iov[i].len <= (size_t)(to - base));
		sum[i >= c->nout] += c->iov[i].len;
	}
	must(sum[0] == c->out_len && sum[1] == c->in_len);
}

static void pop(struct run *r, unsigned int max)
{
	struct vd_chain *c[VD_VIRTQ_BURST];
	int n = vd_virtq_pop(r->p.dev, c, 1 + max % VD_VIRTQ_BURST);

	must(n == -EBADMSG ? vd_virtq_error(r->p.dev) != NULL : n >= 0);
	for (int i = 0; i < n; i++) {
		must(r->nheld < NUM);
		check_chain(r, c[i]);
		r->held[r->nheld++] = c[i];
	}
	must(vd_virtq_inflight(r->p.dev) == r->nheld + vd_virtq_again(r->p.dev));
}

/* Read all that is to be read, write some of what is to be written: over the ring, maybe. */
static void push(struct run *r, unsigned int which, unsigned int part)
{
	uint8_t buf[512];
	struct vd_chain *c;
	struct vd_sg out, in;
	uint32_t written;

	if (!r->nheld)
		return;
	c = r->held[which % r->nheld];
	out = vd_sg(c->iov, c->nout);
	in = vd_sg(c->iov + c->nout, c->nin);
	while (vd_sg_read(&out, buf, sizeof(buf)))
		;
	written = part & 1 ? c->in_len : c->in_len / (1 + part);
	must(vd_sg_fill(&in, (int)part, written) == written);
	vd_virtq_push(r->p.dev, c, written);
	r->held[which % r->nheld] = r->held[r->nheld - 1];
	r->nheld--;
}

/* A new device over whatever the ring is now; the old one owes nothing, or it crashed. */
static void restart(struct run *r, bool crash)
{
	int err;

	if (r->p.inflight && crash)
		r->nheld = 0;
	else if (r->nheld || vd_virtq_flush(r->p.dev))
		return;
	err = pair_restart(&r->p);
	must(!err || r->p.inflight);
	if (err)
		r->dev = false; /* what the region says cannot be */
}

static void device_step(struct run *r, const uint8_t *s)
{
	switch (s[0] >> 3 & 7) {
	case 0:
	case 1:
		pop(r, s[1]);
		break;
	case 2:
	case 3:
		push(r, s[1], s[2]);
		break;
	case 4:
		vd_virtq_flush(r->p.dev);
		break;
	case 5:
		vd_virtq_kicks_on(r->p.dev);
		break;
	case 6:
		vd_virtq_pending(r->p.dev);
		vd_virtq_kicks_off(r->p.dev);
		break;
	default:
		restart(r, s[1] & 1);
	}
}

static void driver_step(struct run *r, const uint8_t *s)
{
	struct vd_buf bufs[8];
	struct vd_done d[VD_VIRTQ_BURST];
	int n;

	switch (s[0] >> 3 & 7) {
	case 0:
	case 1:
	case 2:
		for (unsigned int i = 0; i < 8; i++)
			bufs[i] = (struct vd_buf){ r->p.data_iova + s[2],
						   i ? s[3] : (uint32_t)s[3] << s[3] % 25 };
		n = vd_virtq_drv_add(r->p.drv, bufs, s[1] & 3, s[1] >> 2 & 3);
		must(n < NUM);
		break;
	case 3:
		vd_virtq_drv_publish(r->p.drv);
		break;
	case 4:
	case 5:
		n = vd_virtq_drv_get(r->p.drv, d, 1 + s[1] % VD_VIRTQ_BURST);
		must(n == -EBADMSG ? vd_virtq_drv_error(r->p.drv) != NULL : n >= 0 && n <= NUM);
		for (int i = 0; i < n; i++)
			must(d[i].id < NUM);
		break;
	case 6:
		vd_virtq_drv_calls_on(r->p.drv);
		break;
	default:
		vd_virtq_drv_calls_off(r->p.drv);
	}
	must(vd_virtq_drv_inflight(r->p.drv) <= NUM);
}

/* The input is the other end. */
static void memory_step(struct run *r, const uint8_t *s)
{
	bool packed = r->p.features & VD_F(VIRTIO_F_RING_PACKED);
	uint64_t addr = r->p.data_iova + 16u * s[2];
	uint8_t *at = r->p.memory + (s[1] | (s[0] & 8u) << 5) * 2u % (r->p.size - 16);
	uint16_t flags = s[3] >> 4 & 7, word = (uint16_t)(s[2] | s[3] << 8);
	uint32_t len = 16u * (s[3] & 15u);

	switch (s[0] >> 4 & 3) {
	case 0: /* a word, early in the ring */
		memcpy(at, &word, 2);
		break;
	case 1: /* a descriptor, in the ring or in the data */
		at = s[0] & 8 ? r->p.data + 16u * s[1] : r->p.memory + 16u * (s[1] % NUM);
		word = s[1] >> 4;
		if (packed)
			flags |= s[0] & 0x40 ? PACKED_AVAIL : PACKED_USED;
		memcpy(at, &addr, 8);
		memcpy(at + 8, &len, 4);
		memcpy(at + 12, packed ? &word : &flags, 2);
		memcpy(at + 14, packed ? &flags : &word, 2);
		break;
	case 2: /* an available entry, or a used one, and the index goes on */
		at = r->p.memory + (s[0] & 8 ? r->p.layout.driver : r->p.layout.device);
		memcpy(&word, at + 2, 2);
		if (s[0] & 8) {
			at[4 + 2 * (word % NUM)] = s[1];
		} else {
			memset(at + 4 + 8 * (word % NUM), 0, 8);
			at[4 + 8 * (word % NUM)] = s[1];
			at[8 + 8 * (word % NUM)] = s[2];
		}
		word++;
		memcpy(at + 2, &word, 2);
		break;
	default: /* an address that is not where it seems, or something in the region */
		if (r->p.inflight && s[0] & 8) {
			at = vd_guest_expose(r->p.inflight);
			at[(s[1] | s[3] << 8) % r->p.inflight_size] = s[2];
			break;
		}
		addr = PAIR_IOVA + r->p.size - s[2];
		memcpy(r->p.memory + 16u * (s[1] % NUM), &addr, 8);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned int bits[] = { VIRTIO_F_RING_PACKED, VIRTIO_RING_F_INDIRECT_DESC,
					     VIRTIO_RING_F_EVENT_IDX, VIRTIO_F_IN_ORDER };
	struct run r = {
		.p = { .num = NUM, .indirect_max = 4, .iov_max = IOV_MAX_, .data_size = DATA }
	};

	if (size < 2 || size > 4096)
		return 0;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(bits); i++)
		r.p.features |= data[0] & 1u << i ? VD_F(bits[i]) : 0;
	r.drv = data[1] & 1;
	r.dev = data[1] & 2;
	if (data[1] & 4)
		r.p.inflight_size = vd_virtq_inflight_size(data[0] & 1, NUM);
	if (pair_init(&r.p))
		abort();
	for (const uint8_t *s = data + 2; s + 4 <= data + size; s += 4) {
		if ((s[0] & 7) < 3 && r.dev)
			device_step(&r, s);
		else if ((s[0] & 7) < 5 && r.drv)
			driver_step(&r, s);
		else
			memory_step(&r, s);
	}
	pair_fini(&r.p);
	return 0;
}
