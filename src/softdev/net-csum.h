/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-csum.h - the Internet's checksum (RFC 1071)
 *
 * A sum is over 16 bit words as they lie in memory, so its byte order is the packet's on any
 * machine: what comes of it is stored as it is. It is kept unfolded, in 64 bits.
 */
#ifndef VD_SOFTDEV_NET_CSUM_H
#define VD_SOFTDEV_NET_CSUM_H

#include <stdbool.h>

#include "mem/sg.h"

/**
 * vd_csum_add() - Add bytes to a sum
 * @sum: of an even number of bytes before them; 0 at the start
 * @len: bytes; odd only for the last, at most 2^32
 */
uint64_t vd_csum_add(uint64_t sum, const uint8_t *p, size_t len);

/* The same for what comes next of scattered memory; the cursor moves on. */
uint64_t vd_csum_add_sg(uint64_t sum, struct vd_sg *sg, size_t len);

/* A 16 bit word in the host's order, a length say. */
static inline uint64_t vd_csum_add16(uint64_t sum, uint16_t v)
{
	return sum + htobe16(v);
}

/* Return: the sum's 16 bits. */
static inline uint16_t vd_csum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffu) + (sum >> 16);
	sum = (sum & 0xffffu) + (sum >> 16);
	return (uint16_t)sum;
}

/* What goes into a header; @p need not be aligned. */
static inline void vd_csum_put(uint8_t *p, uint16_t csum)
{
	memcpy(p, &csum, 2);
}

#endif
