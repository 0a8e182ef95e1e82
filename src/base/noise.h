/* SPDX-License-Identifier: BSD-2-Clause */
/* noise.h - bytes that look random and are the same each time, for tests */
#ifndef VD_BASE_NOISE_H
#define VD_BASE_NOISE_H

#include <stdint.h>

/* Word @i of the stream of @seed: each is mixed well from the one that counts (Vigna's splitmix64).
 */
static inline uint64_t vd_noise(uint64_t seed, uint64_t i)
{
	uint64_t z = (seed << 32 ^ seed) + (i + 1) * 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

#endif
