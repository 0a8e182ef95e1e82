/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest.h - memory that somebody else may write at any time
 *
 * A pointer into it is "vd_guest *": clang refuses to dereference one (noderef; the "guestptr"
 * check builds with that as an error), so each access goes through a function here and happens
 * once. Little-endian is converted here and nowhere else. The atomics are per location, so that
 * ThreadSanitizer sees them.
 */
#ifndef VD_MEM_GUEST_H
#define VD_MEM_GUEST_H

#include <endian.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include "base/util.h"

#ifdef __clang__
#define vd_guest __attribute__((noderef))
#else
#define vd_guest
#endif

/* The one way out of and into vd_guest; for this file, and for buffers given to the kernel. */
#define vd_guest_expose(p) ((void *)(uintptr_t)(p))
#define vd_guest_wrap(type, p) ((type vd_guest *)(uintptr_t)(p))

/* Relaxed: order comes from an index that is read with acquire or written with release. */
static inline uint16_t vd_read16(const uint16_t vd_guest *p)
{
	return le16toh(__atomic_load_n((const uint16_t *)vd_guest_expose(p), __ATOMIC_RELAXED));
}

static inline uint32_t vd_read32(const uint32_t vd_guest *p)
{
	return le32toh(__atomic_load_n((const uint32_t *)vd_guest_expose(p), __ATOMIC_RELAXED));
}

static inline uint64_t vd_read64(const uint64_t vd_guest *p)
{
	return le64toh(__atomic_load_n((const uint64_t *)vd_guest_expose(p), __ATOMIC_RELAXED));
}

static inline uint16_t vd_read16_acquire(const uint16_t vd_guest *p)
{
	return le16toh(__atomic_load_n((const uint16_t *)vd_guest_expose(p), __ATOMIC_ACQUIRE));
}

static inline uint64_t vd_read64_acquire(const uint64_t vd_guest *p)
{
	return le64toh(__atomic_load_n((const uint64_t *)vd_guest_expose(p), __ATOMIC_ACQUIRE));
}

static inline void vd_write16(uint16_t vd_guest *p, uint16_t v)
{
	__atomic_store_n((uint16_t *)vd_guest_expose(p), htole16(v), __ATOMIC_RELAXED);
}

static inline void vd_write32(uint32_t vd_guest *p, uint32_t v)
{
	__atomic_store_n((uint32_t *)vd_guest_expose(p), htole32(v), __ATOMIC_RELAXED);
}

static inline void vd_write64(uint64_t vd_guest *p, uint64_t v)
{
	__atomic_store_n((uint64_t *)vd_guest_expose(p), htole64(v), __ATOMIC_RELAXED);
}

static inline void vd_write16_release(uint16_t vd_guest *p, uint16_t v)
{
	__atomic_store_n((uint16_t *)vd_guest_expose(p), htole16(v), __ATOMIC_RELEASE);
}

/*
 * Sequentially consistent: for the one question that release and acquire do not answer, "I wrote
 * this; had you written that?" of notification suppression (virtio 1.3, 2.7.7, 2.7.10, 2.8.9).
 * Each end stores its own word and then loads the other's, with these.
 */
static inline uint16_t vd_read16_seq(const uint16_t vd_guest *p)
{
	return le16toh(__atomic_load_n((const uint16_t *)vd_guest_expose(p), __ATOMIC_SEQ_CST));
}

static inline uint32_t vd_read32_seq(const uint32_t vd_guest *p)
{
	return le32toh(__atomic_load_n((const uint32_t *)vd_guest_expose(p), __ATOMIC_SEQ_CST));
}

static inline uint64_t vd_read64_seq(const uint64_t vd_guest *p)
{
	return le64toh(__atomic_load_n((const uint64_t *)vd_guest_expose(p), __ATOMIC_SEQ_CST));
}

static inline void vd_write16_seq(uint16_t vd_guest *p, uint16_t v)
{
	__atomic_store_n((uint16_t *)vd_guest_expose(p), htole16(v), __ATOMIC_SEQ_CST);
}

static inline void vd_write32_seq(uint32_t vd_guest *p, uint32_t v)
{
	__atomic_store_n((uint32_t *)vd_guest_expose(p), htole32(v), __ATOMIC_SEQ_CST);
}

static inline void vd_write64_seq(uint64_t vd_guest *p, uint64_t v)
{
	__atomic_store_n((uint64_t *)vd_guest_expose(p), htole64(v), __ATOMIC_SEQ_CST);
}

/* Bytes; what was read is a copy that nobody changes any more. */
static inline void vd_guest_read(void *to, const void vd_guest *from, size_t len)
{
	memcpy(to, vd_guest_expose(from), len);
}

static inline void vd_guest_write(void vd_guest *to, const void *from, size_t len)
{
	memcpy(vd_guest_expose(to), from, len);
}

/* What does not overlap. A small frame of a network is two moves, not a call. */
static inline void vd_guest_copy(void vd_guest *to, const void vd_guest *from, size_t len)
{
	char *t = vd_guest_expose(to), *f = vd_guest_expose(from);

	if (len - 32 <= 32) {
		char head[32], tail[32];

		memcpy(head, f, 32);
		memcpy(tail, f + len - 32, 32);
		memcpy(t, head, 32);
		memcpy(t + len - 32, tail, 32);
	} else {
		memcpy(t, f, len);
	}
}

static inline void vd_guest_fill(void vd_guest *to, int byte, size_t len)
{
	memset(vd_guest_expose(to), byte, len);
}

/*
 * The other end's lines are far: ask for those that will be written next while there is other
 * work. Only for lines that it is done with, else they are torn out of its hands.
 */
static inline void vd_prefetch_write(const void vd_guest *p)
{
#ifdef __x86_64__
	/* The builtin asks for a copy to read unless told the machine. No CPU faults on this. */
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)vd_guest_expose(p)));
#else
	__builtin_prefetch(vd_guest_expose(p), 1);
#endif
}

static inline void vd_prefetch_read(const void vd_guest *p)
{
	__builtin_prefetch(vd_guest_expose(p));
}

/* A piece of a buffer in guest memory; laid out as struct iovec, for the kernel only. */
struct vd_iov {
	uint8_t vd_guest *base;
	size_t len;
};

static_assert(sizeof(struct vd_iov) == sizeof(struct iovec), "handed to readv()");
static_assert(offsetof(struct vd_iov, len) == offsetof(struct iovec, iov_len), "likewise");

static inline struct iovec *vd_iov_kernel(struct vd_iov *iov)
{
	return (struct iovec *)(void *)iov;
}

#endif
