/* SPDX-License-Identifier: BSD-2-Clause */
/* util.h - the few words that every file uses */
#ifndef VD_BASE_UTIL_H
#define VD_BASE_UTIL_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* The structure that @p is member @m of; a pointer to anything else does not compile. */
#define container_of(p, type, m) \
	((type *)(void *)((char *)(1 ? (p) : &((type *)0)->m) - offsetof(type, m)))
#define container_of_const(p, type, m)                                                  \
	((const type *)(const void *)((const char *)(1 ? (p) : &((const type *)0)->m) - \
				      offsetof(type, m)))

#define vd_cleanup(fn) __attribute__((cleanup(fn)))
#define vd_printf(fmt, args) __attribute__((format(printf, fmt, args)))

#define vd_likely(x) __builtin_expect(!!(x), 1)
#define vd_unlikely(x) __builtin_expect(!!(x), 0)

/* Out of the way of the code that calls it; and rarely called at all. */
#define vd_noinline __attribute__((noinline))
#define vd_cold __attribute__((cold, noinline))

#define VD_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Each is evaluated once: it may be what another thread or process changes at this moment. */
#ifndef __cppcheck__
#define vd_min(a, b) VD_PICK(<, a, b, __COUNTER__)
#define vd_max(a, b) VD_PICK(>, a, b, __COUNTER__)
#else /* it takes the operator for a syntax error */
#define vd_min(a, b) ((a) < (b) ? (a) : (b))
#define vd_max(a, b) ((a) > (b) ? (a) : (b))
#endif
#define VD_PICK(op, a, b, n) VD_PICK_NAMED(op, a, b, n)
#define VD_PICK_NAMED(op, a, b, n)                       \
	({                                               \
		__typeof__(1 ? (a) : (b)) vd_a##n = (a); \
		__typeof__(1 ? (a) : (b)) vd_b##n = (b); \
		vd_a##n op vd_b##n ? vd_a##n : vd_b##n;  \
	})

/* @align is a power of two. */
static inline uint64_t vd_align_up(uint64_t n, uint64_t align)
{
	return (n + align - 1) & ~(align - 1);
}

#endif
