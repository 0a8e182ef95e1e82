/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/keep.h"

#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/util.h"

int vd_keep_init(struct vd_keep *k, size_t size)
{
	*k = (struct vd_keep){ .size = size };
	if (size)
		k->mem = malloc(size);
	return k->mem || !size ? 0 : vd_err(-ENOMEM, "no memory to keep %zu bytes", size);
}

void vd_keep_fini(struct vd_keep *k)
{
	free(k->mem);
	*k = (struct vd_keep){ 0 };
}

/* It has one writer. */
static void add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* From the @at-th byte on, @len of them. */
static unsigned int pieces(const struct vd_keep *k, uint64_t at, size_t len, struct iovec iov[2])
{
	size_t off = k->size ? at % k->size : 0, first = vd_min(len, k->size - off);

	iov[0] = (struct iovec){ k->mem + off, first };
	iov[1] = (struct iovec){ k->mem, len - first };
	return !len ? 0 : len > first ? 2 : 1;
}

size_t vd_keep_put(struct vd_keep *k, size_t len, struct iovec iov[2])
{
	size_t over = len > k->size ? len - k->size : 0, old = vd_keep_len(k);

	len -= over;
	old = old + len > k->size ? old + len - k->size : 0;
	add(&k->dropped, over + old);
	add(&k->out, old);
	pieces(k, k->in, len, iov);
	add(&k->in, len);
	return over;
}

unsigned int vd_keep_get(const struct vd_keep *k, struct iovec iov[2])
{
	return pieces(k, k->out, vd_keep_len(k), iov);
}

void vd_keep_took(struct vd_keep *k, size_t n)
{
	add(&k->out, n);
}
