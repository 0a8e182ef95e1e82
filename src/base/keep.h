/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keep.h - the newest bytes that nobody has taken yet, up to a bound
 *
 * One thread, the data thread, does all; the counters may be read by any.
 */
#ifndef VD_BASE_KEEP_H
#define VD_BASE_KEEP_H

#include <stdint.h>
#include <sys/uio.h>

/* Zeroed, it keeps nothing and needs no vd_keep_fini(). */
struct vd_keep {
	uint8_t *mem; /* a ring of @size bytes */
	size_t size;
	uint64_t in, out; /* bytes so far; atomic for others */
	uint64_t dropped; /* likewise: that found no place, or fell out */
};

/* @size: bytes, may be 0. Return: 0; -ENOMEM with a sentence. Any thread, before it is used. */
int vd_keep_init(struct vd_keep *k, size_t size);
void vd_keep_fini(struct vd_keep *k);

/**
 * vd_keep_put() - Places for @len bytes more, for which the oldest make way
 * @iov: where they go, in order; of length 0 what is not needed
 *
 * Return: how many of the first of them have no place, and are dropped.
 */
size_t vd_keep_put(struct vd_keep *k, size_t len, struct iovec iov[2]);

/* All that is kept, the oldest first. Return: the pieces, 0 to 2. */
unsigned int vd_keep_get(const struct vd_keep *k, struct iovec iov[2]);

/* The first @n of them were taken. */
void vd_keep_took(struct vd_keep *k, size_t n);

/* Bytes that are kept. The data thread; another may see the moment between two of its steps. */
static inline size_t vd_keep_len(const struct vd_keep *k)
{
	uint64_t out = __atomic_load_n(&k->out, __ATOMIC_RELAXED);
	uint64_t in = __atomic_load_n(&k->in, __ATOMIC_RELAXED);

	return in > out ? in - out : 0;
}

/* Any thread. */
static inline uint64_t vd_keep_dropped(const struct vd_keep *k)
{
	return __atomic_load_n(&k->dropped, __ATOMIC_RELAXED);
}

#endif
