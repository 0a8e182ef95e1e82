/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-test.c - every kind of request, and load, on every block parent, engine and ring layout */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "parent/blk-fx.h"

static void test_types(void **state)
{
	static uint8_t out[4096], in[4096];
	static const struct {
		uint32_t type, len;
		uint64_t sector;
		uint8_t status;
	} cases[] = {
		{ VIRTIO_BLK_T_FLUSH, 0, 0, VIRTIO_BLK_S_OK },
		{ VIRTIO_BLK_T_FLUSH, 0, 1, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_GET_ID, 20, 0, VIRTIO_BLK_S_OK },
		{ VIRTIO_BLK_T_GET_ID, 20, 1, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_SCSI_CMD, 96, 0, VIRTIO_BLK_S_UNSUPP }, /* CVE-2026-48914 */
		{ VIRTIO_BLK_T_BARRIER, 512, 0, VIRTIO_BLK_S_UNSUPP },
		{ 0xffffffff, 512, 0, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_IN, 0, 0, VIRTIO_BLK_S_OK },
		{ VIRTIO_BLK_T_OUT, 0, 0, VIRTIO_BLK_S_OK },
	};
	struct bed b;
	struct bed_io io;

	fx_begin(&b, *state, NULL, NULL);
	fx_pattern(out, sizeof(out), 1);
	io = (struct bed_io){ VIRTIO_BLK_T_OUT, 3, out, sizeof(out), 0 };
	assert_int_equal(bed_io(&b, 0, &io), VIRTIO_BLK_S_OK);
	assert_int_equal(io.used, 1);
	io = (struct bed_io){ VIRTIO_BLK_T_IN, 3, in, sizeof(in), 0 };
	assert_int_equal(bed_io(&b, 0, &io), VIRTIO_BLK_S_OK);
	assert_int_equal(io.used, sizeof(in) + 1);
	assert_memory_equal(in, out, sizeof(in));

	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		io = (struct bed_io){ cases[i].type, cases[i].sector, out, cases[i].len, 0 };
		assert_int_equal(bed_io(&b, 0, &io), cases[i].status);
	}
	assert_int_equal(bed_stat(&b, 0, "requests"), 2 + VD_ARRAY_SIZE(cases));
	assert_int_equal(bed_stat(&b, 0, "errors"), 5);
	bed_end(&b);
}

/* CH f7ebb4b87: sector and length around the capacity and 2^64. */
static void test_edges(void **state)
{
	static uint8_t buf[8192];
	static const struct {
		uint64_t sector;
		uint32_t len;
		uint8_t status;
	} cases[] = {
		{ 0, 512, 0 }, { FX_SECTORS - 1, 512, 0 }, { FX_SECTORS - 8, 4096, 0 },
		{ FX_SECTORS - 7, 4096, 1 }, { FX_SECTORS, 512, 1 }, { FX_SECTORS, 0, 0 },
		{ FX_SECTORS + 1, 0, 1 }, { FX_SECTORS + 1, 512, 1 }, { UINT64_MAX, 512, 1 },
		{ UINT64_MAX, 1024, 1 }, { UINT64_MAX / 512, 512, 1 },
		{ UINT64_MAX / 512 + 1, 512, 1 }, { 1ull << 55, 512, 1 },
		{ 0, 511, 1 }, { 0, 513, 1 }, { 0, 1, 1 }, { FX_SECTORS - 1, 513, 1 },
	};
	struct bed b;

	fx_begin(&b, *state, NULL, NULL);
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		for (uint32_t type = VIRTIO_BLK_T_IN; type <= VIRTIO_BLK_T_OUT; type++) {
			struct bed_io io = { type, cases[i].sector, buf, cases[i].len, 0 };

			memset(buf, 0x5a, sizeof(buf));
			assert_int_equal(bed_io(&b, 0, &io), cases[i].status);
			/* CVE-2024-8612: all that the length claims was written. */
			assert_int_equal(io.used, type == VIRTIO_BLK_T_IN ? io.len + 1 : 1);
			for (uint32_t j = 0; type == VIRTIO_BLK_T_IN && cases[i].status && j < io.len;
			     j++)
				assert_int_equal(buf[j], 0);
		}
	}
	bed_end(&b);
}

/* CVE-2022-2132: the header over 1 to 16 descriptors, the rest cut anywhere. */
static void test_layouts(void **state)
{
	struct bed b;

	fx_begin(&b, *state, NULL, NULL);
	for (unsigned int cut = 1; cut <= 16; cut++) {
		const uint64_t at = BED_RINGS;
		struct virtio_blk_outhdr hdr = { .type = htole32(VIRTIO_BLK_T_OUT), .sector = htole64(cut) };
		uint8_t want[1536];
		struct vd_buf bufs[40];
		struct vd_done done;
		unsigned int n = 0, in;

		/* Out: header in pieces of @cut bytes; the last is one piece with odd data. */
		fx_pattern(want, sizeof(want), cut);
		memcpy(b.mem + at, &hdr, 16);
		memcpy(b.mem + at + 16, want, sizeof(want));
		for (unsigned int off = 0; off < 16; off += cut)
			bufs[n++] = (struct vd_buf){ bed_iova(at + off), vd_min(cut, 16 - off) };
		bufs[n - 1].len += 5;
		bufs[n++] = (struct vd_buf){ bed_iova(at + 16 + 5), 511 };
		bufs[n++] = (struct vd_buf){ bed_iova(at + 16 + 516), 1020 };
		bufs[n++] = (struct vd_buf){ bed_iova(at + 8192), 1 };
		b.mem[at + 8192] = 0xff;
		bed_add_req(&b, 0, bufs, n - 1, 1);
		assert_int_equal(bed_get(&b, 0, &done, 1, 5000), 1);
		assert_int_equal(done.len, 1);
		assert_int_equal(b.mem[at + 8192], VIRTIO_BLK_S_OK);

		/* In: odd pieces, the status behind the last data byte in one piece. */
		hdr.type = htole32(VIRTIO_BLK_T_IN);
		memcpy(b.mem + at, &hdr, 16);
		memset(b.mem + at + 16, 0xee, sizeof(want) + 1);
		n = 0;
		for (unsigned int off = 0; off < 16; off += cut)
			bufs[n++] = (struct vd_buf){ bed_iova(at + off), vd_min(cut, 16 - off) };
		in = n;
		bufs[n++] = (struct vd_buf){ bed_iova(at + 16), cut };
		bufs[n++] = (struct vd_buf){ bed_iova(at + 16 + cut), 700 };
		bufs[n++] = (struct vd_buf){ bed_iova(at + 16 + cut + 700), sizeof(want) - cut - 700 + 1 };
		bed_add_req(&b, 0, bufs, in, n - in);
		assert_int_equal(bed_get(&b, 0, &done, 1, 5000), 1);
		assert_int_equal(done.len, sizeof(want) + 1);
		assert_memory_equal(b.mem + at + 16, want, sizeof(want));
		assert_int_equal(b.mem[at + 16 + sizeof(want)], VIRTIO_BLK_S_OK);
	}
	bed_end(&b);
}

/* Requests that are no requests: each is given back, the queue goes on. */
static void test_nonsense(void **state)
{
	const uint64_t at = BED_RINGS;
	static const struct {
		uint32_t out, in;	/* bytes; 0: none */
		uint32_t used;
		uint8_t status;		/* of the last in byte */
	} cases[] = {
		{ 16, 0, 0, 0xff }, { 600, 0, 0, 0xff }, { 15, 1, 1, VIRTIO_BLK_S_IOERR },
		{ 1, 513, 513, VIRTIO_BLK_S_IOERR }, { 0, 1, 1, VIRTIO_BLK_S_IOERR },
		{ 0, 513, 513, VIRTIO_BLK_S_IOERR }, { 15, 513, 513, VIRTIO_BLK_S_IOERR },
	};
	struct virtio_blk_outhdr hdr = { .type = htole32(VIRTIO_BLK_T_IN) };
	uint8_t data[512];
	struct bed_io io = { VIRTIO_BLK_T_IN, 0, data, 512, 0 };
	struct bed b;

	fx_begin(&b, *state, NULL, NULL);
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct vd_buf bufs[2] = { { bed_iova(at), cases[i].out },
					  { bed_iova(at + 4096), cases[i].in } };
		struct vd_done done;

		memcpy(b.mem + at, &hdr, sizeof(hdr));
		memset(b.mem + at + 4096, 0xff, 1024);
		if (!cases[i].out)
			bed_add_req(&b, 0, bufs + 1, 0, 1);
		else
			bed_add_req(&b, 0, bufs, 1, cases[i].in ? 1 : 0);
		assert_int_equal(bed_get(&b, 0, &done, 1, 5000), 1);
		assert_int_equal(done.len, cases[i].used);
		for (uint32_t j = 0; j + 1 < cases[i].in; j++)
			assert_int_equal(b.mem[at + 4096 + j], 0);
		assert_int_equal(b.mem[at + 4096 + vd_max(cases[i].in, 1u) - 1], cases[i].status);
		assert_int_equal(b.mem[at + 4096 + cases[i].in], 0xff);
	}
	assert_int_equal(bed_io(&b, 0, &io), VIRTIO_BLK_S_OK);
	bed_end(&b);
}

/* GET_ID into any number of bytes: 20 at most, the rest zero. */
static void test_serial(void **state)
{
	static const char *const attrs[] = { "serial", "ABCDEFGHIJKLMNOPQRST", NULL };
	static const char *const bad[] = { "serial", "ABCDEFGHIJKLMNOPQRSTU", NULL };
	uint8_t id[64];
	struct bed b;

	assert_int_equal(fx_add(&b, *state, bad), -EINVAL);
	fx_begin(&b, *state, attrs, NULL);
	for (uint32_t len = 0; len <= sizeof(id); len++) {
		struct bed_io io = { VIRTIO_BLK_T_GET_ID, 0, id, len, 0 };

		assert_int_equal(bed_io(&b, 0, &io), VIRTIO_BLK_S_OK);
		assert_int_equal(io.used, len + 1);
		assert_memory_equal(id, attrs[1], vd_min(len, 20u));
		for (uint32_t i = 20; i < len; i++)
			assert_int_equal(id[i], 0);
	}
	bed_end(&b);
}

/* CH 7697: a driver that ignores RO writes nothing. */
static void test_readonly(void **state)
{
	static const char *const attrs[] = { "readonly", "on", NULL };
	static const struct bed_conf no_ro = { .features_off = 1ull << VIRTIO_BLK_F_RO };
	uint8_t data[512] = { 1 }, was[512];
	struct bed_io wr = { VIRTIO_BLK_T_OUT, 9, data, 512, 0 };
	struct bed_io rd = { VIRTIO_BLK_T_IN, 9, was, 512, 0 };
	struct bed_io fl = { VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0 };
	struct bed b;

	fx_begin(&b, *state, attrs, &no_ro);
	assert_true(uvdpa_dev_info(b.dev)->features & 1ull << VIRTIO_BLK_F_RO);
	memset(data, 0x77, sizeof(data));
	assert_int_equal(bed_io(&b, 0, &wr), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bed_io(&b, 0, &rd), VIRTIO_BLK_S_OK);
	assert_memory_not_equal(was, data, 512);
	assert_int_equal(bed_io(&b, 0, &fl), VIRTIO_BLK_S_OK);
	bed_end(&b);
}

/* SPDK 3572: FLUSH that was not negotiated is never a silent OK. */
static void test_flush_not_negotiated(void **state)
{
	static const struct bed_conf no_flush = { .features_off = 1ull << VIRTIO_BLK_F_FLUSH };
	uint8_t data[512] = { 2 };
	struct bed_io wr = { VIRTIO_BLK_T_OUT, 9, data, 512, 0 };
	struct bed_io fl = { VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0 };
	struct bed b;

	fx_begin(&b, *state, NULL, &no_flush);
	assert_int_equal(bed_io(&b, 0, &wr), VIRTIO_BLK_S_OK);
	assert_int_equal(bed_io(&b, 0, &fl), VIRTIO_BLK_S_UNSUPP);
	bed_reset(&b);
	bed_start(&b, NULL);
	assert_int_equal(bed_io(&b, 0, &fl), VIRTIO_BLK_S_OK);
	bed_end(&b);
}

static void test_config(void **state)
{
	static const char *const attrs[] = { "num_queues", "4", "queue_size", "32", NULL };
	struct virtio_blk_config cfg;
	const uint8_t zero = 0;
	struct bed b;

	fx_begin(&b, *state, attrs, &(struct bed_conf){ .num = 32 });
	assert_int_equal(uvdpa_dev_info(b.dev)->config_size, sizeof(cfg));
	assert_int_equal(uvdpa_dev_get_config(b.dev, 0, &cfg, sizeof(cfg)), 0);
	assert_int_equal(le64toh(cfg.capacity), FX_SECTORS);
	assert_int_equal(le32toh(cfg.blk_size), 512);
	assert_int_equal(le32toh(cfg.seg_max), 30);
	assert_int_equal(le16toh(cfg.num_queues), 4);
	assert_int_equal(cfg.wce, 1);
	assert_int_equal(
		uvdpa_dev_set_config(b.dev, offsetof(struct virtio_blk_config, unused), &zero, 1),
		-EOPNOTSUPP);
	bed_end(&b);
}

static uint8_t wce(struct bed *b)
{
	uint8_t v;

	assert_int_equal(
		uvdpa_dev_get_config(b->dev, offsetof(struct virtio_blk_config, wce), &v, 1), 0);
	return v;
}

static int set_wce(struct bed *b, uint8_t v)
{
	return uvdpa_dev_set_config(b->dev, offsetof(struct virtio_blk_config, wce), &v, 1);
}

/* The cache can be turned off and on, if that was agreed on; what it is follows what was agreed on.
 */
static void test_wce(void **state)
{
	struct bed b;

	fx_begin(&b, *state, NULL, NULL);
	assert_int_equal(wce(&b), 1);
	assert_int_equal(set_wce(&b, 2), -EINVAL);
	assert_int_equal(wce(&b), 1);
	assert_int_equal(set_wce(&b, 0), 0);
	assert_int_equal(wce(&b), 0);
	assert_int_equal(set_wce(&b, 1), 0);
	assert_int_equal(wce(&b), 1);
	assert_int_equal(set_wce(&b, 0), 0);
	bed_reset(&b);
	assert_int_equal(wce(&b), 1);
	bed_start(&b, &(struct bed_conf){ .features_off = 1ull << VIRTIO_BLK_F_CONFIG_WCE });
	assert_int_equal(set_wce(&b, 0), -EOPNOTSUPP);
	bed_reset(&b);
	bed_start(&b, &(struct bed_conf){ .features_off = 1ull << VIRTIO_BLK_F_FLUSH });
	assert_int_equal(wce(&b), 0);
	assert_int_equal(set_wce(&b, 1), 0);
	assert_int_equal(wce(&b), 0);
	bed_end(&b);
}

/* ---- load ----------------------------------------------------------------------------------- */

#define SLOTS 32
#define SLOT 8192u

/*
 * Writers of their own sectors: slot s of queue q writes generation after generation of a block
 * and reads it back. Each request is in the ledger from add to get, so one that is lost, or
 * comes twice, is seen.
 */
struct load {
	struct bed *b;
	struct {
		bool busy;
		bool reading;
		unsigned int gen;
		int id;
	} slot[BED_QUEUES][SLOTS];
	unsigned int busy, done;
};

static uint64_t slot_at(unsigned int q, unsigned int s)
{
	return BED_RINGS + (q * SLOTS + s) * (uint64_t)SLOT;
}

static void load_submit(struct load *l, unsigned int q, unsigned int s)
{
	uint64_t at = slot_at(q, s);
	bool rd = l->slot[q][s].reading;
	struct virtio_blk_outhdr hdr = {
		.type = htole32(rd ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT),
		.sector = htole64((q * SLOTS + s) * 2ull),
	};
	struct vd_buf bufs[3] = { { bed_iova(at), 16 }, { bed_iova(at + 1024), 1024 },
				  { bed_iova(at + 16), 1 } };

	memcpy(l->b->mem + at, &hdr, sizeof(hdr));
	l->b->mem[at + 16] = 0xff;
	if (rd)
		memset(l->b->mem + at + 1024, 0xee, 1024);
	else
		fx_pattern(l->b->mem + at + 1024, 1024, l->slot[q][s].gen);
	assert_false(l->slot[q][s].busy);
	l->slot[q][s].busy = true;
	l->slot[q][s].id = bed_add_req(l->b, q, bufs, rd ? 1 : 2, rd ? 2 : 1);
	l->busy++;
}

static void load_end(struct load *l, unsigned int q, const struct vd_done *d)
{
	unsigned int s = 0;
	uint8_t want[1024];
	uint64_t at;

	for (; !(l->slot[q][s].busy && l->slot[q][s].id == d->id); s++)
		assert_true(s + 1 < SLOTS);	/* else it came twice */
	at = slot_at(q, s);
	l->slot[q][s].busy = false;
	l->busy--;
	l->done++;
	assert_int_equal(l->b->mem[at + 16], VIRTIO_BLK_S_OK);
	assert_int_equal(d->len, l->slot[q][s].reading ? 1025 : 1);
	if (l->slot[q][s].reading) {
		fx_pattern(want, sizeof(want), l->slot[q][s].gen++);
		assert_memory_equal(l->b->mem + at + 1024, want, sizeof(want));
	}
	l->slot[q][s].reading = !l->slot[q][s].reading;
}

/* Take back what is there, waiting for the first for @timeout_ms. */
static void load_take(struct load *l, unsigned int q, int timeout_ms)
{
	struct vd_done done[SLOTS];
	int n = bed_get(l->b, q, done, SLOTS, timeout_ms);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++)
		load_end(l, q, &done[i]);
}

/* Fill every queue, then take back and refill until @requests came back. Leaves it full. */
static void load_run(struct load *l, unsigned int requests)
{
	unsigned int until = l->done + requests;

	for (;;) {
		for (unsigned int q = 0; q < l->b->nq; q++) {
			load_take(l, q, l->busy == l->b->nq * SLOTS ? 5000 : 0);
			for (unsigned int s = 0; s < SLOTS; s++)
				if (!l->slot[q][s].busy)
					load_submit(l, q, s);
		}
		if ((int)(l->done - until) >= 0)
			return;
	}
}

static void load_drain(struct load *l)
{
	while (l->busy) {
		unsigned int before = l->busy;

		for (unsigned int q = 0; q < l->b->nq; q++)
			load_take(l, q, vd_virtq_drv_inflight(l->b->q[q].drv) ? 5000 : 0);
		assert_true(l->busy < before);	/* else one is lost */
	}
}

/* All sorts of queues and workers; and when nothing is left to do, nothing is done. */
static void test_queues(void **state)
{
	uint64_t sleeps[4];
	static const char *const attrs[] = { "num_queues", "4",  "workers", "2",
					     "poll_us",    "50", NULL };
	struct load l = { 0 };
	struct bed b;

	fx_begin(&b, *state, attrs, &(struct bed_conf){ .queues = 4, .num = 128 });
	l.b = &b;
	load_run(&l, 1200);
	load_drain(&l);
	for (unsigned int q = 0; q < 4; q++)
		assert_true(bed_stat(&b, q, "requests") >= 100);
	usleep(20000);
	for (unsigned int q = 0; q < 4; q++)
		sleeps[q] = bed_stat(&b, q, "sleeps");
	usleep(50000);
	for (unsigned int q = 0; q < 4; q++)
		assert_int_equal(bed_stat(&b, q, "sleeps"), sleeps[q]);
	bed_end(&b);
}

/* Suspend in the middle of work: nothing is lost or done twice, nothing moves while suspended. */
static void test_suspend_under_load(void **state)
{
	static const char *const attrs[] = { "num_queues", "2", "workers", "2", NULL };
	struct load l = { 0 };
	struct bed b;

	fx_begin(&b, *state, attrs, &(struct bed_conf){ .queues = 2, .num = 128 });
	l.b = &b;
	for (unsigned int i = 0; i < 30; i++) {
		uint64_t before, after;

		load_run(&l, 70);
		bed_suspend(&b);
		before = bed_stat(&b, 0, "requests");
		load_take(&l, 0, 0);
		/* Made available while suspended: the kick must not be lost. */
		for (unsigned int s = 0; s < SLOTS; s++)
			if (!l.slot[0][s].busy)
				load_submit(&l, 0, s);
		after = bed_stat(&b, 0, "requests");
		assert_int_equal(before, after);
		bed_resume(&b);
		load_drain(&l);
	}
	bed_end(&b);
}

/* CVE-2026-50624: reset with requests in flight; none of them touches memory afterwards. */
static void test_reset_under_load(void **state)
{
	static const char *const attrs[] = { "num_queues", "2", "workers", "2", NULL };
	struct load l;
	struct bed b;

	assert_int_equal(fx_add(&b, *state, attrs), 0);
	for (unsigned int i = 0; i < 20; i++) {
		static uint8_t copy[2 * SLOTS * SLOT];

		bed_start(&b, &(struct bed_conf){ .queues = 2, .num = 128,
						  .packed = ((const struct fx_kind *)*state)->packed });
		memset(&l, 0, sizeof(l));
		l.b = &b;
		load_run(&l, 64);
		bed_reset(&b);
		memcpy(copy, b.mem + BED_RINGS, sizeof(copy));
		usleep(500);
		assert_memory_equal(copy, b.mem + BED_RINGS, sizeof(copy));
	}
	bed_end(&b);
}

#define COMMON(k)                                                                  \
	cmocka_unit_test_prestate(test_types, (void *)(k)),                        \
		cmocka_unit_test_prestate(test_edges, (void *)(k)),                \
		cmocka_unit_test_prestate(test_layouts, (void *)(k)),              \
		cmocka_unit_test_prestate(test_nonsense, (void *)(k)),             \
		cmocka_unit_test_prestate(test_serial, (void *)(k)),               \
		cmocka_unit_test_prestate(test_readonly, (void *)(k)),             \
		cmocka_unit_test_prestate(test_flush_not_negotiated, (void *)(k)), \
		cmocka_unit_test_prestate(test_config, (void *)(k)),               \
		cmocka_unit_test_prestate(test_wce, (void *)(k)),                  \
		cmocka_unit_test_prestate(test_queues, (void *)(k)),               \
		cmocka_unit_test_prestate(test_suspend_under_load, (void *)(k)),   \
		cmocka_unit_test_prestate(test_reset_under_load, (void *)(k))

int main(void)
{
	static struct fx_kind kinds[] = {
		{ .mgmtdev = "sim-blk" },
		{ .mgmtdev = "sim-blk", .packed = true },
		{ .mgmtdev = "blk", .engine = "auto" },
		{ .mgmtdev = "blk", .engine = "auto", .packed = true },
		{ .mgmtdev = "blk", .engine = "threads", .engine_only = true },
		{ .mgmtdev = "blk", .engine = "threads", .packed = true, .engine_only = true },
		{ .mgmtdev = "blk", .engine = "io_uring", .engine_only = true },
		{ .mgmtdev = "blk", .engine = "io_uring", .packed = true, .engine_only = true },
	};
	const struct CMUnitTest tests[] = {
		COMMON(&kinds[0]),
		COMMON(&kinds[1]),
		COMMON(&kinds[2]),
		COMMON(&kinds[3]),
		COMMON(&kinds[4]),
		COMMON(&kinds[5]),
#if HAVE_LIBURING
		COMMON(&kinds[6]),
		COMMON(&kinds[7]),
#endif
	};

	return cmocka_run_group_tests(tests, fx_image_make, fx_image_remove);
}
