/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings that nobody should write, and how each end takes them. Cases are named after the
 * vulnerability in systems of this kind that had the same root cause, where there was one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "virtq/pair.h"
#include "virtq/ring.h"

#define NUM 16
#define PIECES 20	/* iov_max, so an indirect table has 20 descriptors at most */

/* Addresses: below 64 kB in the data area; from END on, behind the last byte of its mapping, where
 * another one of PAGE begins; the rest are what they are. */
#define PAGE 4096
#define END 0x100000000ull
#define RO 0x50000000ull
#define WO 0x60000000ull
#define FAR 0x70000000ull	/* a mapping that is not in this process */
#define HOLE 0x40000000ull
#define TOP (-(uint64_t)PAGE)	/* to the last byte that there is */
#define TABLE 0x8000		/* where the indirect table is, usually */

#define N VRING_DESC_F_NEXT
#define W VRING_DESC_F_WRITE
#define I VRING_DESC_F_INDIRECT
#define NOT_AVAIL 0x4000	/* packed: flags as of the other round */

enum { SPLIT = 1, PACKED = 2, BOTH = 3 };

struct evil {
	struct pair p;
	struct vd_mem *mem;
	uint8_t *pages;		/* behind the further mappings */
	int fd;
	uint16_t avail;
};

static uint64_t at(const struct evil *e, uint64_t addr)
{
	if (addr < 0x10000)
		return e->p.data_iova + addr;
	if (addr >= END - 0x10000 && addr < END + 0x10000)
		return PAIR_IOVA + e->p.size + addr - END;
	return addr;
}

static void map(struct evil *e, uint64_t iova, void *addr, unsigned int prot)
{
	struct uvdpa_map m = {
		.iova = iova, .len = PAGE, .fd = addr ? -1 : e->fd, .addr = addr, .prot = prot,
	};

	assert_int_equal(vd_mem_map(&e->mem, &m, addr), 0);
}

static void begin(struct evil *e, uint64_t features)
{
	struct vd_virtq_conf conf;

	*e = (struct evil){ .p = { .features = features, .num = NUM, .indirect_max = 4, .iov_max = PIECES,
				   .data_size = 0x10000 } };
	assert_int_equal(pair_init(&e->p), 0);
	memset(e->p.memory, 0, e->p.size);
	e->pages = aligned_alloc(PAGE, 4 * PAGE);
	e->fd = memfd_create("far", MFD_CLOEXEC);
	assert_int_equal(ftruncate(e->fd, PAGE), 0);
	e->mem = vd_mem_copy(e->p.mem);
	map(e, at(e, END), e->pages, UVDPA_MAP_RW);
	map(e, RO, e->pages + PAGE, UVDPA_MAP_RO);
	map(e, WO, e->pages + 2 * PAGE, UVDPA_MAP_WO);
	map(e, TOP, e->pages + 3 * PAGE, UVDPA_MAP_RW);
	map(e, FAR, NULL, UVDPA_MAP_RW);
	conf = pair_conf(&e->p);
	conf.mem = e->mem;
	vd_virtq_destroy(e->p.dev);
	assert_int_equal(vd_virtq_create(&conf, &e->p.dev), 0);
}

static void end(struct evil *e)
{
	pair_fini(&e->p);
	vd_mem_destroy(e->mem);
	free(e->pages);
	close(e->fd);
}

static bool is_packed(const struct evil *e)
{
	return e->p.features & VD_F(VIRTIO_F_RING_PACKED);
}

struct d {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;	/* packed: id */
};

static void put(const struct evil *e, uint8_t *table, unsigned int i, const struct d *d)
{
	uint64_t addr = at(e, d->addr);
	uint16_t flags = d->flags;

	if (is_packed(e) && table == e->p.memory)
		flags |= flags & NOT_AVAIL ? PACKED_USED : PACKED_AVAIL;
	memcpy(table + 16 * i, &addr, 8);
	memcpy(table + 16 * i + 8, &d->len, 4);
	memcpy(table + 16 * i + 12, is_packed(e) ? &d->next : &flags, 2);
	memcpy(table + 16 * i + 14, is_packed(e) ? &flags : &d->next, 2);
}

/* Split: make @head available. */
static void offer(struct evil *e, uint16_t head)
{
	memcpy(e->p.memory + e->p.layout.driver + 4 + 2 * (e->avail++ % NUM), &head, 2);
	memcpy(e->p.memory + e->p.layout.driver + 2, &e->avail, 2);
}

static const struct {
	const char *name;
	unsigned int layouts;
	struct d d[6], t[6];	/* descriptors from 0 on; indirect table */
	const char *error;	/* in the sentence; NULL: it is fine, and gives ... */
	unsigned int nout, nin;
	bool no_indirect;	/* not negotiated */
} chains[] = {
	{ "plain", BOTH, { { 0, 8, N, 1 }, { 8, 8, W, 0 } }, { { 0 } }, NULL, 1, 1, false },
	/* links */
	{ "CVE-2019-9547 loop of 1", SPLIT, { { 0, 8, N, 0 } }, { { 0 } }, "a loop", 0, 0, false },
	{ "CVE-2019-9547 loop of 2", SPLIT, { { 0, 8, N, 1 }, { 0, 8, N, 0 } }, { { 0 } }, "a loop", 0, 0, false },
	{ "CVE-2019-9547 loop not through the head", SPLIT, { { 0, 8, N, 1 }, { 0, 8, N, 2 }, { 0, 8, N, 1 } },
	  { { 0 } }, "a loop", 0, 0, false },
	{ "vringh 2022 indirect loop of 1", SPLIT, { { TABLE, 16, I, 0 } }, { { 0, 8, N, 0 } }, "a loop", 0, 0, false },
	{ "vringh 2022 indirect loop of 3", SPLIT, { { TABLE, 48, I, 0 } },
	  { { 0, 8, N, 1 }, { 0, 8, N, 2 }, { 0, 8, N, 0 } }, "a loop", 0, 0, false },
	{ "CVE-2016-6490 zero-length loop", SPLIT, { { 0, 0, N, 0 } }, { { 0 } }, "a loop", 0, 0, false },
	{ "CVE-2016-6490 zero-length indirect loop", SPLIT, { { TABLE, 96, I, 0 } }, { { 0, 0, N, 0 } }, "a loop", 0, 0,
	  false },
	{ "next outside", SPLIT, { { 0, 8, N, NUM } }, { { 0 } }, "next descriptor 16 of 16", 0, 0, false },
	{ "next far outside", SPLIT, { { 0, 8, N, 65535 } }, { { 0 } }, "next descriptor 65535 of 16", 0, 0, false },
	{ "next outside the table", SPLIT, { { TABLE, 32, I, 0 } }, { { 0, 8, N, 2 } }, "next descriptor 2 of 2", 0, 0,
	  false },
	{ "a table may be linked backwards", SPLIT, { { TABLE, 48, I, 0 } }, { { 0, 8, N, 2 }, { 0, 8, W, 0 }, { 0, 8, N, 1 } },
	  NULL, 2, 1, false },
	{ "next of a chain not available", PACKED, { { 0, 8, N, 0 }, { 0, 8, NOT_AVAIL, 0 } }, { { 0 } }, "has flags", 0, 0,
	  false },
	{ "SPDK 3860 buffer id outside", PACKED, { { 0, 8, 0, NUM } }, { { 0 } }, "buffer id 16 of 16", 0, 0, false },
	{ "SPDK 3860 buffer id far outside", PACKED, { { 0, 8, 0, 65535 } }, { { 0 } }, "buffer id 65535 of 16", 0, 0, false },
	{ "only the last id counts", PACKED, { { 0, 8, N, 999 }, { 0, 8, 0, 3 } }, { { 0 } }, NULL, 2, 0, false },
	/* lengths */
	{ "CVE-2016-6490 zero length in the middle", BOTH, { { 0, 8, N, 1 }, { 0, 0, N, 2 }, { 0, 8, W, 0 } }, { { 0 } },
	  NULL, 1, 1, false },
	{ "nothing but zero length", BOTH, { { 0, 0, N, 1 }, { 0, 0, W, 0 } }, { { 0 } }, NULL, 0, 0, false },
	{ "CVE-2020-10725 zero length at a bad address", BOTH, { { HOLE, 0, N, 1 }, { 0, 8, 0, 0 } }, { { 0 } }, NULL, 1, 0,
	  false },
	{ "CVE-2020-10725 the same in a table", BOTH, { { TABLE, 32, I, 0 } }, { { HOLE, 0, N, 1 }, { 0, 8, 0, 0 } }, NULL,
	  1, 0, false },
	{ "sum of lengths", BOTH, { { 0, 8, N, 1 }, { 0, 0xfffffff8, W, 0 } }, { { 0 } }, "more than 4294967295 bytes", 0, 0,
	  false },
	{ "CVE-2022-2132 pieces without end", BOTH, { { TABLE, 96, I, 0 } },
	  { { END - 1, 2, N, 1 }, { END - 1, 2, N, 2 }, { END - 1, 2, N, 3 }, { END - 1, 2, N, 4 }, { END - 1, 2, N, 5 },
	    { END - 1, 2, 0, 0 } }, NULL, 12, 0, false },
	/* places */
	{ "CVE-2018-1059 over two mappings", BOTH, { { END - 8, 16, 0, 0 } }, { { 0 } }, NULL, 2, 0, false },
	{ "CVE-2018-1059 to the end", BOTH, { { END, PAGE, W, 0 } }, { { 0 } }, NULL, 0, 1, false },
	{ "CVE-2018-1059 one more", BOTH, { { END, PAGE + 1, W, 0 } }, { { 0 } }, "not mapped for writing", 0, 0, false },
	{ "CVE-2018-1059 all that can be said", BOTH, { { 0, 0xffffffff, 0, 0 } }, { { 0 } }, "not mapped for reading", 0, 0,
	  false },
	{ "to the last byte", BOTH, { { TOP, PAGE, 0, 0 } }, { { 0 } }, NULL, 1, 0, false },
	{ "past the last byte", BOTH, { { TOP, PAGE + 1, 0, 0 } }, { { 0 } }, "not mapped", 0, 0, false },
	{ "past the last byte after a good one", BOTH, { { TOP, 8, N, 1 }, { -1ull, 2, 0, 0 } }, { { 0 } }, "not mapped", 0, 0,
	  false },
	{ "in a hole", BOTH, { { HOLE, 8, 0, 0 } }, { { 0 } }, "not mapped", 0, 0, false },
	{ "CVE-2023-41051 half of it", BOTH, { { 0, 8, N, 1 }, { END + PAGE - 4, 8, 0, 0 } }, { { 0 } }, "not mapped", 0, 0,
	  false },
	{ "writing what is to be read", BOTH, { { RO, 8, W, 0 } }, { { 0 } }, "not mapped for writing", 0, 0, false },
	{ "reading what is to be written", BOTH, { { WO, 8, 0, 0 } }, { { 0 } }, "not mapped for reading", 0, 0, false },
	{ "each for its own", BOTH, { { RO, 8, N, 1 }, { WO, 8, W, 0 } }, { { 0 } }, NULL, 1, 1, false },
	{ "not here", BOTH, { { FAR, 8, 0, 0 } }, { { 0 } }, "not mapped", 0, 0, false },
	/* order */
	{ "read after write", BOTH, { { 0, 8, W | N, 1 }, { 0, 8, 0, 0 } }, { { 0 } }, "follows one to write", 0, 0, false },
	{ "read after write in a table", BOTH, { { TABLE, 32, I, 0 } }, { { 0, 8, W | N, 1 }, { 0, 8, 0, 0 } },
	  "follows one to write", 0, 0, false },
	{ "read in a table after write", BOTH, { { 0, 8, W | N, 1 }, { TABLE, 16, I, 0 } }, { { 0, 8, 0, 0 } },
	  "follows one to write", 0, 0, false },
	/* tables */
	{ "QEMU 3984 empty table", BOTH, { { TABLE, 0, I, 0 } }, { { 0 } }, "indirect table of 0", 0, 0, false },
	{ "CVE-2026-6425 table of 1 byte", BOTH, { { TABLE, 1, I, 0 } }, { { 0 } }, "indirect table of 1 ", 0, 0, false },
	{ "CVE-2026-6425 table of 17 bytes", BOTH, { { TABLE, 17, I, 0 } }, { { 0 } }, "indirect table of 17", 0, 0, false },
	{ "CVE-2026-6425 too long", BOTH, { { TABLE, 21 * 16, I, 0 } }, { { 0 } }, "not 1 to 20 descriptors", 0, 0, false },
	{ "CVE-2026-6425 longest", BOTH, { { TABLE, 0xfffffff0, I, 0 } }, { { 0 } }, "not 1 to 20 descriptors", 0, 0, false },
	{ "CVE-2026-6425 over two mappings", BOTH, { { END - 20, 32, I, 0 } }, { { 0, 8, N, 1 }, { 0, 8, W, 0 } }, NULL, 1, 1,
	  false },
	{ "table in a hole", BOTH, { { HOLE, 16, I, 0 } }, { { 0 } }, "is not mapped", 0, 0, false },
	{ "table not to be read", BOTH, { { WO, 16, I, 0 } }, { { 0 } }, "is not mapped", 0, 0, false },
	{ "CVE-2021-29631 second half in a hole", BOTH, { { END + PAGE - 16, 32, I, 0 } }, { { 0 } }, "is not mapped", 0, 0,
	  false },
	{ "table in a table", BOTH, { { TABLE, 16, I, 0 } }, { { TABLE, 16, I, 0 } }, "in an indirect table", 0, 0, false },
	{ "table, not negotiated", BOTH, { { TABLE, 16, I, 0 } }, { { 0, 8, 0, 0 } }, "not negotiated", 0, 0, true },
	{ "table and next", BOTH, { { TABLE, 16, I | N, 1 }, { 0, 8, 0, 0 } }, { { 0, 8, 0, 0 } }, "has a next one", 0, 0,
	  false },
	{ "table after descriptors", BOTH, { { 0, 8, N, 1 }, { TABLE, 32, I, 0 } }, { { 0, 8, N, 1 }, { 0, 8, W, 0 } }, NULL,
	  2, 1, false },
	{ "table with writable flag", BOTH, { { TABLE, 16, I | W, 0 } }, { { 0, 8, 0, 0 } }, NULL, 1, 0, false },
	{ "a packed table has no links", PACKED, { { TABLE, 32, I, 0 } }, { { 0, 8, 0, 77 }, { 0, 8, W, 99 } }, NULL, 1, 1,
	  false },
};

static void chain_case(unsigned int i, bool packed)
{
	uint64_t features = VD_F(VIRTIO_F_VERSION_1) | (packed ? VD_F(VIRTIO_F_RING_PACKED) : 0);
	struct vd_chain *c[2];
	uint8_t table[6 * 16];
	struct evil e;
	int r;

	begin(&e, features | (chains[i].no_indirect ? 0 : VD_F(VIRTIO_RING_F_INDIRECT_DESC)));
	for (unsigned int k = 0; k < 6; k++) {
		put(&e, table, k, &chains[i].t[k]);
		if (k && packed && !(chains[i].d[k - 1].flags & N))
			continue;	/* would be the next request */
		put(&e, e.p.memory, k, &chains[i].d[k]);
	}
	for (unsigned int k = 0; k < 6; k++)
		if (chains[i].d[k].flags & I) {
			uint64_t iova = chains[i].d[k].addr;

			if (iova == TABLE)
				memcpy(e.p.data + TABLE, table, sizeof(table));
			else if (iova == END - 20) {
				memcpy(e.p.memory + e.p.size - 20, table, 20);
				memcpy(e.pages, table + 20, sizeof(table) - 20);
			}
		}
	if (!packed)
		offer(&e, 0);
	r = vd_virtq_pop(e.p.dev, c, 2);
	if (!chains[i].error) {
		if (r != 1)
			fail_msg("%s: %d: %s", chains[i].name, r, vd_virtq_error(e.p.dev));
		if (c[0]->nout != chains[i].nout || c[0]->nin != chains[i].nin)
			fail_msg("%s: %u + %u pieces", chains[i].name, c[0]->nout, c[0]->nin);
		vd_virtq_push(e.p.dev, c[0], c[0]->in_len);
		assert_true(vd_virtq_flush(e.p.dev));
	} else {
		if (r != -EBADMSG || !strstr(vd_virtq_error(e.p.dev), chains[i].error))
			fail_msg("%s: %d: %s", chains[i].name, r, vd_virtq_error(e.p.dev));
		assert_int_equal(vd_virtq_pop(e.p.dev, c, 2), -EBADMSG);
		assert_false(vd_virtq_pending(e.p.dev));
		assert_false(vd_virtq_kicks_on(e.p.dev));
		assert_int_equal(vd_virtq_inflight(e.p.dev), 0);
	}
	end(&e);
}

static void bad_chains(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(chains); i++) {
		if (chains[i].layouts & SPLIT)
			chain_case(i, false);
		if (chains[i].layouts & PACKED)
			chain_case(i, true);
	}
}

/* CVE-2019-9547, CVE-2022-2132: a chain as long as the ring is the longest; loops of each length. */
static void cve_2019_9547_every_length(void **state)
{
	struct vd_chain *c;
	struct evil e;

	(void)state;
	for (unsigned int len = 1; len <= NUM; len++)
		for (unsigned int loop = 0; loop < 2; loop++) {
			begin(&e, 0);
			for (unsigned int k = 0; k < len; k++)
				put(&e, e.p.memory, k, &(struct d){ k, 1, k + 1 < len || loop ? N : 0, (uint16_t)((k + 1) % len) });
			offer(&e, 0);
			assert_int_equal(vd_virtq_pop(e.p.dev, &c, 1), loop ? -EBADMSG : 1);
			if (!loop)
				assert_int_equal(c->nout, len);
			end(&e);

			begin(&e, VD_F(VIRTIO_F_RING_PACKED));
			for (unsigned int k = 0; k < NUM; k++)	/* loop: the last one goes on into the first */
				put(&e, e.p.memory, k, &(struct d){ k, 1, k + 1 < len || loop ? N : 0, 5 });
			assert_int_equal(vd_virtq_pop(e.p.dev, &c, 1), loop ? -EBADMSG : 1);
			end(&e);
		}
}

/* CVE-2026-45782: one head, or buffer id, made available twice. Those before it are served. */
static void cve_2026_45782_twice_in_flight(void **state)
{
	struct vd_chain *c[3];
	struct evil e;

	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++)
		for (unsigned int later = 0; later < 2; later++) {
			begin(&e, packed ? VD_F(VIRTIO_F_RING_PACKED) : 0);
			put(&e, e.p.memory, 0, &(struct d){ 0, 8, 0, 3 });
			put(&e, e.p.memory, 1, &(struct d){ 0, 8, 0, 4 });
			if (!packed) {
				offer(&e, 0);
				offer(&e, 1);
			}
			if (later)
				assert_int_equal(vd_virtq_pop(e.p.dev, c, 3), 2);
			put(&e, e.p.memory, 2, &(struct d){ 0, 8, 0, 3 });
			if (!packed)
				offer(&e, 0);
			if (!later)
				assert_int_equal(vd_virtq_pop(e.p.dev, c, 3), 2);
			assert_int_equal(vd_virtq_pop(e.p.dev, c, 3), -EBADMSG);
			assert_non_null(strstr(vd_virtq_error(e.p.dev), "in flight already"));
			assert_int_equal(vd_virtq_inflight(e.p.dev), 2);
			vd_virtq_push(e.p.dev, c[1], 0);
			vd_virtq_push(e.p.dev, c[0], 0);
			vd_virtq_flush(e.p.dev);
			assert_int_equal(vd_virtq_inflight(e.p.dev), 0);
			assert_int_equal(vd_virtq_pop(e.p.dev, c, 3), -EBADMSG);
			end(&e);
		}
}

static void the_index_jumps(void **state)
{
	static const struct { uint16_t from, to; bool ok; } cases[] = {
		{ 0, 16, true }, { 0, 17, false }, { 0, 32768, false }, { 0, 65535, false },
		{ 65530, 10, true }, { 65530, 11, false }, { 65530, 65529, false },
	};
	struct vd_virtq_conf conf;
	struct vd_chain *c;
	struct evil e;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		begin(&e, 0);
		conf = pair_conf(&e.p);
		conf.state.avail = cases[i].from;
		vd_virtq_destroy(e.p.dev);
		assert_int_equal(vd_virtq_create(&conf, &e.p.dev), 0);
		e.avail = (uint16_t)(cases[i].to - 1);
		offer(&e, 0);
		assert_int_equal(vd_virtq_pop(e.p.dev, &c, 1), cases[i].ok ? 1 : -EBADMSG);
		end(&e);
	}
}

static void head_outside(void **state)
{
	static const uint16_t heads[] = { NUM, NUM + 1, 0x100, 0x7fff, 0xffff };
	struct vd_chain *c;
	struct evil e;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(heads); i++) {
		begin(&e, 0);
		offer(&e, heads[i]);
		assert_int_equal(vd_virtq_pop(e.p.dev, &c, 1), -EBADMSG);
		assert_non_null(strstr(vd_virtq_error(e.p.dev), "head "));
		end(&e);
	}
}

/* CVE-2016-5403, CVE-2026-16457, Cloud Hypervisor fbcf2fd6b: a driver that gives and gives, and
 * never waits for anything. No more than a ring's worth is ever in flight, and each pop ends. */
static void cve_2016_5403_bounded(void **state)
{
	struct vd_chain *c[VD_VIRTQ_BURST];
	struct evil e;

	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		unsigned int total = 0;
		int r = 1;

		begin(&e, packed ? VD_F(VIRTIO_F_RING_PACKED) : 0);
		for (unsigned int round = 0; round < 100 && r > 0; round++) {
			for (uint16_t k = 0; k < NUM; k++) {
				put(&e, e.p.memory, k, &(struct d){ 0, 8, round % 2 ? NOT_AVAIL : 0, k });
				if (!packed)
					offer(&e, k);
			}
			r = vd_virtq_pop(e.p.dev, c, VD_VIRTQ_BURST);
			if (r > 0)
				total += (unsigned int)r;
		}
		assert_int_equal(r, packed ? 0 : -EBADMSG);
		assert_int_equal(total, NUM);
		assert_int_equal(vd_virtq_inflight(e.p.dev), NUM);
		end(&e);
	}
}

/* ---- the device is the evil one -------------------------------------------------------------- */

/* Two requests of 10 and 20 bytes to write, three descriptors each, are out; a third is added but
 * not published, and descriptors 1 and 2 are not heads. */
static const struct {
	const char *name;
	unsigned int layouts;
	uint32_t id, len;
	uint16_t idx;		/* split: used index */
	const char *error;
	bool in_order;
} lies[] = {
	{ "honest", BOTH, 0, 10, 1, NULL, false },
	{ "nothing written", BOTH, 0, 0, 1, NULL, false },
	{ "CVE-2021-38160 length beyond the buffers", BOTH, 0, 11, 1, "11 bytes written of 10", false },
	{ "CVE-2021-38160 length without end", BOTH, 0, 0xffffffff, 1, "bytes written of 10", false },
	{ "id outside", BOTH, NUM, 0, 1, "used id 16 is not", false },
	{ "id far outside", BOTH, 0xffff, 0, 1, "used id 65535 is not", false },
	{ "id of 32 bits", SPLIT, 0x10000, 0, 1, "used id 65536 is not", false },
	{ "id without end", SPLIT, 0xffffffff, 0, 1, "used id 4294967295 is not", false },
	{ "CVE-2025-38375 not a head", BOTH, 5, 0, 1, "used id 5 is not", false },
	{ "not published", SPLIT, 6, 0, 1, "used id 6 is not", false },
	{ "not published", PACKED, 2, 0, 1, "used id 2 is not", false },
	{ "index jumps", SPLIT, 0, 0, 3, "3 ahead", false },
	{ "index runs back", SPLIT, 0, 0, 65535, "65535 ahead", false },
	{ "the last stands for both", SPLIT, 3, 20, 2, NULL, true },
	{ "the last stands for both", PACKED, 1, 20, 2, NULL, true },
	{ "the last stands for more than is used", SPLIT, 3, 20, 1, "stands for 2 requests, of 1 used", true },
	{ "in order, but not published", SPLIT, 6, 0, 2, "used id 6 is not", true },
	{ "in order, but not published", PACKED, 2, 0, 2, "used id 2 is not", true },
};

static void use(struct evil *e, unsigned int i, uint32_t id, uint32_t len)
{
	uint16_t id16 = (uint16_t)id, flags = packed_used_flags(true);

	if (is_packed(e)) {
		memcpy(e->p.memory + 16 * i + 8, &len, 4);
		memcpy(e->p.memory + 16 * i + 12, &id16, 2);
		memcpy(e->p.memory + 16 * i + 14, &flags, 2);
	} else {
		memcpy(e->p.memory + e->p.layout.device + 4 + 8 * i, &id, 4);
		memcpy(e->p.memory + e->p.layout.device + 8 + 8 * i, &len, 4);
	}
}

static void use_idx(struct evil *e, uint16_t idx)
{
	memcpy(e->p.memory + e->p.layout.device + 2, &idx, 2);
}

static void three(struct evil *e, uint64_t features)
{
	begin(e, features);
	for (uint32_t k = 1; k <= 3; k++) {
		struct vd_buf b[] = { { e->p.data_iova, 8 }, { e->p.data_iova, 8 }, { e->p.data_iova, 10 * k } };

		assert_int_equal(vd_virtq_drv_add(e->p.drv, b, 2, 1), is_packed(e) ? k - 1 : 3 * (k - 1));
		if (k == 2)
			vd_virtq_drv_publish(e->p.drv);
	}
}

static void lie_case(unsigned int i, bool packed)
{
	uint64_t features = packed ? VD_F(VIRTIO_F_RING_PACKED) : 0;
	struct vd_done d[4];
	struct evil e;
	int r;

	three(&e, features | (lies[i].in_order ? VD_F(VIRTIO_F_IN_ORDER) : 0));
	use(&e, 0, lies[i].id, lies[i].len);
	if (!packed)
		use_idx(&e, lies[i].idx);
	r = vd_virtq_drv_get(e.p.drv, d, 4);
	if (!lies[i].error) {
		assert_int_equal(r, lies[i].in_order ? 2 : 1);
		assert_int_equal(d[r - 1].id, lies[i].id);
		assert_int_equal(d[r - 1].len, lies[i].len);
	} else {
		if (r != -EBADMSG || !strstr(vd_virtq_drv_error(e.p.drv), lies[i].error))
			fail_msg("%s: %d: %s", lies[i].name, r, vd_virtq_drv_error(e.p.drv));
		assert_int_equal(vd_virtq_drv_get(e.p.drv, d, 4), -EBADMSG);
		assert_int_equal(vd_virtq_drv_add(e.p.drv, &(struct vd_buf){ 0, 1 }, 1, 0), -EBADMSG);
		assert_false(vd_virtq_drv_publish(e.p.drv));
		assert_false(vd_virtq_drv_calls_on(e.p.drv));
	}
	end(&e);
}

static void lying_devices(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(lies); i++) {
		if (lies[i].layouts & SPLIT)
			lie_case(i, false);
		if (lies[i].layouts & PACKED)
			lie_case(i, true);
	}
}

/* The first is used twice, in one burst and in two. */
static void used_twice(void **state)
{
	struct vd_done d[4];
	struct evil e;

	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++)
		for (unsigned int later = 0; later < 2; later++) {
			three(&e, packed ? VD_F(VIRTIO_F_RING_PACKED) : 0);
			use(&e, 0, 0, 10);
			if (later) {
				use_idx(&e, 1);
				assert_int_equal(vd_virtq_drv_get(e.p.drv, d, 4), 1);
			}
			use(&e, packed ? 3 : 1, 0, 10);
			use_idx(&e, 2);
			if (!later)
				assert_int_equal(vd_virtq_drv_get(e.p.drv, d, 4), 1);
			assert_int_equal(vd_virtq_drv_get(e.p.drv, d, 4), -EBADMSG);
			assert_non_null(strstr(vd_virtq_drv_error(e.p.drv), "used id 0 is not in flight"));
			end(&e);
		}
}

/* Descriptors that the device scribbled over are not believed when they are used again. */
static void descriptors_are_not_read_back(void **state)
{
	struct vd_done d[4];
	struct evil e;

	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		three(&e, packed ? VD_F(VIRTIO_F_RING_PACKED) : 0);
		memset(e.p.memory, 0xff, e.p.layout.driver);
		use(&e, 0, 0, 10);
		use(&e, packed ? 3 : 1, packed ? 1 : 3, 20);
		use_idx(&e, 2);
		assert_int_equal(vd_virtq_drv_get(e.p.drv, d, 4), 2);
		assert_int_equal(vd_virtq_drv_inflight(e.p.drv), 1);
		vd_virtq_drv_publish(e.p.drv);
		for (unsigned int k = 0; k < NUM - 3; k++)
			assert_in_range(vd_virtq_drv_add(e.p.drv, &(struct vd_buf){ 0, 1 }, 1, 0), 0, NUM - 1);
		assert_int_equal(vd_virtq_drv_add(e.p.drv, &(struct vd_buf){ 0, 1 }, 1, 0), -ENOSPC);
		end(&e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_chains),
		cmocka_unit_test(cve_2019_9547_every_length),
		cmocka_unit_test(cve_2026_45782_twice_in_flight),
		cmocka_unit_test(the_index_jumps),
		cmocka_unit_test(head_outside),
		cmocka_unit_test(cve_2016_5403_bounded),
		cmocka_unit_test(lying_devices),
		cmocka_unit_test(used_twice),
		cmocka_unit_test(descriptors_are_not_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
