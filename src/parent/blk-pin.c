/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-pin.c - the guest's memory, registered with a ring
 *
 * Direct I/O takes hold of each page of a request and lets go of it again, which costs more than
 * all else for large requests. A ring that knows the memory holds it once. The price is that all
 * of it is really there and stays, whatever the guest has given back: so who wants that says so.
 *
 * The table of memory changes while no queue runs. Then what is registered may be another guest's,
 * or gone; so it counts for one epoch of the worker, and an idle worker holds nothing.
 */
#include "parent/blk-pin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "mem/mem.h"

#define CHUNK      (1ull << 30) /* more the kernel does not take as one */
#define CHUNKS_MAX 16384u       /* nor more of them */

/* Memory that is written to as well, in pieces of CHUNK. @to: NULL to count. Return: how many. */
static unsigned int cut(const struct vd_mem *mem, struct iovec *to)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < mem->n; i++) {
		const struct vd_region *r = &mem->regions[i];
		uint64_t size = r->last - r->first + 1;

		if (!r->addr || r->prot != UVDPA_MAP_RW)
			continue;
		for (uint64_t off = 0; off < size; off += CHUNK, n++) {
			if (to)
				to[n] = (struct iovec){ vd_guest_expose(r->addr + off),
							vd_min(size - off, CHUNK) };
		}
	}
	return n;
}

static int by_address(const void *a, const void *b)
{
	const struct iovec *x = a, *y = b;

	return x->iov_base < y->iov_base ? -1 : x->iov_base > y->iov_base;
}

static bool has_vectors(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool has = probe && io_uring_opcode_supported(probe, VD_FILE_WRITEV_FIXED);

	io_uring_free_probe(probe);
	return has;
}

void vd_file_pins_drop(struct vd_file_pins *p, struct io_uring *ring, struct vd_file *f)
{
	if (p->n)
		io_uring_unregister_buffers(ring);
	__atomic_fetch_sub(&f->pinned, p->bytes, __ATOMIC_RELAXED);
	free(p->chunks);
	*p = (struct vd_file_pins){ 0 };
}

void vd_file_pins_renew(struct vd_file_pins *p, struct io_uring *ring, struct vd_file *f,
			struct vd_softq *q)
{
	const struct vd_mem *mem = vd_softq_mem(q);
	unsigned int n = cut(mem, NULL);
	int r;

	vd_file_pins_drop(p, ring, f);
	p->epoch = vd_worker_epoch(vd_softq_worker(q));
	if (!n || n > CHUNKS_MAX)
		return;
	p->chunks = calloc(n, sizeof(*p->chunks));
	if (!p->chunks)
		return;
	cut(mem, p->chunks);
	qsort(p->chunks, n, sizeof(*p->chunks), by_address);
	r = io_uring_register_buffers(ring, p->chunks, n);
	if (r) {
		vd_log_info(vd_ctx_log(f->blk.sd.u), f->blk.sd.name,
			    "pin_memory: %s; it goes on without%s", strerror(-r),
			    r == -ENOMEM ? " (RLIMIT_MEMLOCK?)" : "");
		return;
	}
	p->n = n;
	p->vectors = has_vectors(ring);
	for (unsigned int i = 0; i < n; i++)
		p->bytes += p->chunks[i].iov_len;
	__atomic_fetch_add(&f->pinned, p->bytes, __ATOMIC_RELAXED);
}

static bool inside(const struct iovec *chunk, const struct iovec *iov)
{
	size_t off = (size_t)((uintptr_t)iov->iov_base - (uintptr_t)chunk->iov_base);

	return off < chunk->iov_len && iov->iov_len <= chunk->iov_len - off;
}

int vd_file_pins_find(const struct vd_file_pins *p, const struct iovec *iov, unsigned int niov)
{
	unsigned int low = 0, high = p->n;

	if (niov > 1 && !p->vectors)
		return -1;
	while (low + 1 < high) {
		unsigned int mid = low + (high - low) / 2;

		if (iov->iov_base < p->chunks[mid].iov_base)
			high = mid;
		else
			low = mid;
	}
	for (unsigned int i = 0; i < niov; i++)
		if (low >= p->n || !inside(&p->chunks[low], &iov[i]))
			return -1;
	return (int)low;
}
