/* SPDX-License-Identifier: BSD-2-Clause */
#include "softdev/net-csum.h"

/*
 * Of 32 bytes, less than 2^33. A carry out of 64 bits is worth 1, as 2^64 is one more than a multiple
 * of 2^16 - 1.
 */
static inline uint64_t block(const uint8_t vd_guest *p)
{
	uint64_t w[4];
	unsigned int carry;

	vd_guest_read(w, p, sizeof(w));
	carry = __builtin_add_overflow(w[0], w[1], &w[0]);
	carry += __builtin_add_overflow(w[2], w[3], &w[2]);
	carry += __builtin_add_overflow(w[0], w[2], &w[0]);
	return (w[0] & UINT32_MAX) + (w[0] >> 32) + carry;
}

/*
 * Into 64 bits, from which no carry is lost in 2^32 bytes. Those that are read while somebody writes
 * them give some sum, as they gave some packet.
 */
static uint64_t add(uint64_t sum, const uint8_t vd_guest *p, size_t len)
{
	uint32_t w;
	uint16_t h;
	uint8_t b[2] = { 0, 0 };

	for (; len >= 32; p += 32, len -= 32)
		sum += block(p);
	for (; len >= 4; p += 4, len -= 4) {
		vd_guest_read(&w, p, 4);
		sum += w;
	}
	if (len >= 2) {
		vd_guest_read(&h, p, 2);
		sum += h;
		p += 2;
		len -= 2;
	}
	if (len) {
		vd_guest_read(b, p, 1);
		memcpy(&h, b, 2);
		sum += h;
	}
	return sum;
}

uint64_t vd_csum_add(uint64_t sum, const uint8_t *p, size_t len)
{
	return add(sum, vd_guest_wrap(const uint8_t, p), len);
}

/* Of bytes that lie one further on in their words. */
static uint64_t swapped(uint64_t sum)
{
	uint16_t v = vd_csum_fold(sum);

	return (uint16_t)(v << 8 | v >> 8);
}

uint64_t vd_csum_add_sg(uint64_t sum, struct vd_sg *sg, size_t len)
{
	bool odd = false;

	while (len && sg->n) {
		size_t n = vd_min(len, sg->iov->len - sg->off);
		uint64_t part = add(0, sg->iov->base + sg->off, n);

		sum += odd ? swapped(part) : vd_csum_fold(part);
		odd ^= n & 1;
		len -= n;
		sg->off += n;
		if (sg->off == sg->iov->len) {
			sg->iov++;
			sg->n--;
			sg->off = 0;
		}
	}
	return sum;
}
