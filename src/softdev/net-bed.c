/* SPDX-License-Identifier: BSD-2-Clause */
#include "softdev/net-bed.h"

#include <string.h>

#define AREA   (1u << 20) /* of each queue */
#define PIECES 64

uint8_t *nb_mem(struct bed *b, unsigned int q)
{
	return b->mem + BED_RINGS + q * AREA;
}

uint64_t nb_iova(struct bed *b, unsigned int q)
{
	(void)b;
	return bed_iova(BED_RINGS + (uint64_t)q * AREA);
}

unsigned int nb_hdr_len(const struct bed *b)
{
	return b->features & VD_NET_F(HASH_REPORT) ? 20 : 12;
}

void nb_post_slot(struct bed *b, unsigned int q, unsigned int slot, uint32_t len)
{
	struct vd_buf buf = { nb_iova(b, q) + slot * NB_SLOT, len };

	b->slots[q][bed_add_req(b, q, &buf, 0, 1)] = slot;
}

void nb_post(struct bed *b, unsigned int q, unsigned int n, uint32_t len)
{
	for (unsigned int i = 0; i < n; i++)
		nb_post_slot(b, q, i, len);
}

/* @len bytes at @iova in pieces. Return: how many. */
static unsigned int cut(struct vd_buf *bufs, uint64_t iova, uint32_t len, uint32_t each)
{
	unsigned int n = 0;

	for (uint32_t at = 0; at < len; at += each) {
		assert_true(n < PIECES);
		bufs[n++] = (struct vd_buf){ iova + at, vd_min(each, len - at) };
	}
	return n;
}

void nb_send(struct bed *b, unsigned int q, const struct virtio_net_hdr_v1 *hdr,
	     const uint8_t *frame, uint32_t len, uint32_t each)
{
	uint8_t *mem = nb_mem(b, q);
	unsigned int hlen = nb_hdr_len(b);
	struct vd_buf bufs[PIECES];
	struct vd_done done;

	memset(mem, 0, hlen);
	if (hdr)
		memcpy(mem, hdr, sizeof(*hdr));
	memcpy(mem + hlen, frame, len);
	bed_add_req(b, q, bufs, cut(bufs, nb_iova(b, q), hlen + len, each ? each : hlen + len), 0);
	assert_int_equal(bed_get(b, q, &done, 1, 5000), 1);
	assert_int_equal(done.len, 0);
}

bool nb_receive(struct bed *b, unsigned int q, struct nb_frame *ret, int timeout_ms)
{
	unsigned int hlen = nb_hdr_len(b);
	const uint8_t *mem;
	struct vd_done done;
	int n = bed_get(b, q, &done, 1, timeout_ms);

	assert_true(n >= 0);
	if (!n)
		return false;
	ret->slot = b->slots[q][done.id];
	mem = nb_mem(b, q) + ret->slot * NB_SLOT;
	assert_true(done.len >= hlen && done.len <= NB_SLOT);
	memset(&ret->hdr, 0, sizeof(ret->hdr));
	memcpy(&ret->hdr, mem, hlen);
	ret->frame = mem + hlen;
	ret->len = done.len - hlen;
	return true;
}

uint8_t nb_command(struct bed *b, unsigned int q, uint8_t class, uint8_t cmd, const void *data,
		   uint32_t len, uint32_t each)
{
	uint8_t *mem = nb_mem(b, q);
	uint64_t iova = nb_iova(b, q);
	struct vd_buf bufs[PIECES + 1];
	struct vd_done done;
	unsigned int n;

	mem[0] = class;
	mem[1] = cmd;
	memcpy(mem + 2, data, len);
	mem[AREA - 1] = 0xee;
	if (each) {
		n = cut(bufs, iova, 2 + len, each);
	} else {
		bufs[0] = (struct vd_buf){ iova, 2 };
		n = 1 + cut(bufs + 1, iova + 2, len, vd_max(len, 1u));
	}
	bufs[n] = (struct vd_buf){ iova + AREA - 1, 1 };
	bed_add_req(b, q, bufs, n, 1);
	assert_int_equal(bed_get(b, q, &done, 1, 5000), 1);
	assert_int_equal(done.len, 1);
	return mem[AREA - 1];
}
