/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-range-test.c - DISCARD, WRITE_ZEROES and SECURE_ERASE, as every block parent does them */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "config.h"
#include "parent/blk-fx.h"

#define UNMAP  VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP
#define OK     VIRTIO_BLK_S_OK
#define IOERR  VIRTIO_BLK_S_IOERR
#define UNSUPP VIRTIO_BLK_S_UNSUPP

struct range {
	uint64_t sector;
	uint32_t n, flags;
};

static const struct {
	uint32_t type;
	unsigned int feature;
	const char *name;
} kinds[] = {
	{ VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_F_DISCARD, "discard" },
	{ VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_F_WRITE_ZEROES, "write zeroes" },
	{ VIRTIO_BLK_T_SECURE_ERASE, VIRTIO_BLK_F_SECURE_ERASE, "secure erase" },
};

static bool offered(const struct bed *b, unsigned int feature)
{
	return uvdpa_dev_info(b->dev)->features >> feature & 1;
}

static uint8_t ask(struct bed *b, uint32_t type, const struct range *r, unsigned int n)
{
	struct virtio_blk_discard_write_zeroes segs[64];
	struct bed_io io = { type, 0, segs, n * (uint32_t)sizeof(segs[0]), 0 };
	uint8_t status;

	for (unsigned int i = 0; i < n; i++)
		segs[i] = (struct virtio_blk_discard_write_zeroes){
			.sector = htole64(r[i].sector),
			.num_sectors = htole32(r[i].n),
			.flags = htole32(r[i].flags),
		};
	status = bed_io(b, 0, &io);
	assert_int_equal(io.used, 1);
	return status;
}

/* Fill the disk, so that what was zeroed can be told. */
static void fill(struct bed *b)
{
	static uint8_t buf[32768];

	fx_pattern(buf, sizeof(buf), 7);
	for (uint64_t s = 0; s < FX_SECTORS; s += sizeof(buf) / 512) {
		struct bed_io io = { VIRTIO_BLK_T_OUT, s, buf, sizeof(buf), 0 };

		assert_int_equal(bed_io(b, 0, &io), OK);
	}
}

/* Is it zeros? Sectors are one or the other as a whole. */
static bool zeros(struct bed *b, uint64_t sector)
{
	static const uint8_t zero[512];
	uint8_t buf[512];
	struct bed_io io = { VIRTIO_BLK_T_IN, sector, buf, sizeof(buf), 0 };

	assert_int_equal(bed_io(b, 0, &io), OK);
	return !memcmp(buf, zero, sizeof(zero));
}

static void test_edges(void **state)
{
	static const struct {
		struct range r;
		uint8_t status;
	} cases[] = {
		{ { 0, 1, 0 }, OK },
		{ { 0, FX_SECTORS, 0 }, OK },
		{ { FX_SECTORS - 1, 1, 0 }, OK },
		{ { FX_SECTORS, 0, 0 }, OK },
		{ { 5, 0, 0 }, OK },
		{ { FX_SECTORS, 1, 0 }, IOERR },
		{ { FX_SECTORS + 1, 0, 0 }, IOERR },
		{ { 0, FX_SECTORS + 1, 0 }, IOERR },
		{ { 1, UINT32_MAX, 0 }, IOERR },
		{ { UINT64_MAX, 1, 0 }, IOERR },
		{ { UINT64_MAX, UINT32_MAX, 0 }, IOERR },
		{ { UINT64_MAX / 512, 2, 0 }, IOERR },
		{ { 0, 1, 2 }, UNSUPP },
		{ { 0, 1, 0x80000000u }, UNSUPP },
	};
	struct bed b;

	fx_begin(&b, *state, NULL, NULL);
	for (unsigned int k = 0; k < VD_ARRAY_SIZE(kinds); k++) {
		bool can = offered(&b, kinds[k].feature);
		bool unmap = kinds[k].type == VIRTIO_BLK_T_WRITE_ZEROES;

		for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
			uint8_t want = can ? cases[i].status : UNSUPP;

			if (ask(&b, kinds[k].type, &cases[i].r, 1) != want)
				fail_msg("%s: case %u is not %u", kinds[k].name, i, want);
		}
		/* Only WRITE_ZEROES knows a flag (virtio 1.3, 5.2.6.2). */
		assert_int_equal(ask(&b, kinds[k].type, &(struct range){ 0, 1, UNMAP }, 1),
				 can && unmap ? OK : UNSUPP);
	}
	bed_end(&b);
}

/* Nothing but whole ranges, and not more of them than was said. */
static void test_shape(void **state)
{
	struct virtio_blk_discard_write_zeroes segs[VD_BLK_RANGES_MAX + 1] = { 0 };
	struct bed b;

	fx_begin(&b, *state, NULL, NULL);
	for (unsigned int k = 0; k < VD_ARRAY_SIZE(kinds); k++) {
		static const uint32_t lens[] = { 0, 1, 15, 17, 31, sizeof(segs) };

		if (!offered(&b, kinds[k].feature))
			continue;
		for (unsigned int i = 0; i < VD_ARRAY_SIZE(lens); i++) {
			struct bed_io io = { kinds[k].type, 0, segs, lens[i], 0 };

			assert_int_equal(bed_io(&b, 0, &io), IOERR);
		}
	}
	bed_end(&b);
}

/* What was asked is zero, and nothing beside it, whatever the pages are. */
static void test_zeroes(void **state)
{
	static const struct range ranges[] = {
		{ 3, 1, 0 },
		{ 8, 8, UNMAP },
		{ 17, 30, UNMAP },
		{ 60, 3, UNMAP },
		{ 64, 16, 0 },
		{ 100, 300, UNMAP },
		{ FX_SECTORS - 5, 5, UNMAP },
	};
	struct bed b;

	fx_begin(&b, *state, NULL, NULL);
	if (!offered(&b, VIRTIO_BLK_F_WRITE_ZEROES)) {
		bed_end(&b);
		skip();
	}
	for (unsigned int together = 0; together < 2; together++) {
		fill(&b);
		if (together)
			assert_int_equal(
				ask(&b, VIRTIO_BLK_T_WRITE_ZEROES, ranges, VD_ARRAY_SIZE(ranges)),
				OK);
		for (unsigned int i = 0; !together && i < VD_ARRAY_SIZE(ranges); i++)
			assert_int_equal(ask(&b, VIRTIO_BLK_T_WRITE_ZEROES, &ranges[i], 1), OK);
		for (uint64_t s = 0; s < FX_SECTORS; s++) {
			bool in = false;

			for (unsigned int i = 0; i < VD_ARRAY_SIZE(ranges); i++)
				in |= s >= ranges[i].sector && s < ranges[i].sector + ranges[i].n;
			if (zeros(&b, s) != in)
				fail_msg("sector %llu is %s", (unsigned long long)s,
					 in ? "not zero" : "zero");
		}
	}
	bed_end(&b);
}

/* One bad range among many: none is done. */
static void test_all_or_none(void **state)
{
	struct range ranges[VD_BLK_RANGES_MAX];
	struct bed b;

	fx_begin(&b, *state, NULL, NULL);
	for (unsigned int k = 0; k < VD_ARRAY_SIZE(kinds); k++) {
		if (!offered(&b, kinds[k].feature))
			continue;
		fill(&b);
		for (unsigned int i = 0; i < VD_BLK_RANGES_MAX; i++)
			ranges[i] = (struct range){ i * 16, 16, 0 };
		ranges[VD_BLK_RANGES_MAX - 1].sector = FX_SECTORS;
		assert_int_equal(ask(&b, kinds[k].type, ranges, VD_BLK_RANGES_MAX), IOERR);
		for (unsigned int i = 0; i < VD_BLK_RANGES_MAX; i++)
			assert_false(zeros(&b, i * 16));
		ranges[VD_BLK_RANGES_MAX - 1].sector = FX_SECTORS - 16;
		assert_int_equal(ask(&b, kinds[k].type, ranges, VD_BLK_RANGES_MAX), OK);
	}
	bed_end(&b);
}

/* What was not agreed on is not done, and a disk that keeps its space says so. */
static void test_not_negotiated(void **state)
{
	static const char *const keep[] = { "discard", "off", NULL };
	const struct range r = { 0, 8, 0 };
	struct virtio_blk_config cfg;
	struct bed b;

	fx_begin(&b, *state, NULL,
		 &(struct bed_conf){ .features_off = 1ull << VIRTIO_BLK_F_DISCARD |
						     1ull << VIRTIO_BLK_F_WRITE_ZEROES |
						     1ull << VIRTIO_BLK_F_SECURE_ERASE });
	fill(&b);
	for (unsigned int k = 0; k < VD_ARRAY_SIZE(kinds); k++)
		assert_int_equal(ask(&b, kinds[k].type, &r, 1), UNSUPP);
	assert_false(zeros(&b, 0));
	bed_end(&b);

	fx_begin(&b, *state, keep, NULL);
	assert_false(offered(&b, VIRTIO_BLK_F_DISCARD));
	assert_int_equal(uvdpa_dev_get_config(b.dev, 0, &cfg, sizeof(cfg)), 0);
	assert_int_equal(cfg.max_discard_sectors, 0);
	assert_int_equal(cfg.write_zeroes_may_unmap, 0);
	bed_end(&b);
}

static void test_readonly(void **state)
{
	static const char *const attrs[] = { "readonly", "on", NULL };
	const struct range r = { 0, 8, 0 };
	struct bed b;

	fx_begin(&b, *state, attrs, NULL);
	for (unsigned int k = 0; k < VD_ARRAY_SIZE(kinds); k++) {
		assert_false(offered(&b, kinds[k].feature));
		assert_int_equal(ask(&b, kinds[k].type, &r, 1), UNSUPP);
	}
	bed_end(&b);
}

/* Requests are whole blocks, and so are ranges. */
static void test_block_size(void **state)
{
	static const char *const attrs[] = { "logical_block_size", "4096", NULL };
	static uint8_t buf[8192];
	static const struct {
		uint64_t sector;
		uint32_t sectors;
		uint8_t status;
	} cases[] = {
		{ 0, 8, OK },    { 8, 16, OK },   { FX_SECTORS - 8, 8, OK }, { 0, 1, IOERR },
		{ 1, 8, IOERR }, { 4, 8, IOERR }, { 8, 12, IOERR },
	};
	struct virtio_blk_config cfg;
	struct bed b;

	fx_begin(&b, *state, attrs, NULL);
	assert_int_equal(uvdpa_dev_get_config(b.dev, 0, &cfg, sizeof(cfg)), 0);
	assert_int_equal(le32toh(cfg.blk_size), 4096);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct bed_io in = { VIRTIO_BLK_T_IN, cases[i].sector, buf, cases[i].sectors * 512,
				     0 };
		struct bed_io out = { VIRTIO_BLK_T_OUT, cases[i].sector, buf,
				      cases[i].sectors * 512, 0 };
		struct range r = { cases[i].sector, cases[i].sectors, 0 };

		assert_int_equal(bed_io(&b, 0, &in), cases[i].status);
		assert_int_equal(bed_io(&b, 0, &out), cases[i].status);
		if (offered(&b, VIRTIO_BLK_F_WRITE_ZEROES))
			assert_int_equal(ask(&b, VIRTIO_BLK_T_WRITE_ZEROES, &r, 1),
					 cases[i].status);
	}
	bed_end(&b);
}

static uint64_t capacity(struct bed *b)
{
	uint64_t v;

	assert_int_equal(uvdpa_dev_get_config(b->dev, 0, &v, sizeof(v)), 0);
	return le64toh(v);
}

static int set_size(struct bed *b, const char *size, const char *shrink)
{
	struct uvdpa_attr a[] = { { "size", size }, { "shrink", shrink } };

	return uvdpa_dev_set(b->dev, a, shrink ? 2 : 1);
}

/* More, with the new part zero; less, only if asked for; the driver is told each time. */
static void test_resize(void **state)
{
	static const char *const attrs[] = { "capacity_max", "2M", NULL };
	uint32_t generation;
	struct bed b;

	fx_begin(&b, *state, attrs, NULL);
	fill(&b);
	generation = uvdpa_dev_generation(b.dev);
	assert_int_equal(set_size(&b, "2M", NULL), 0);
	assert_int_equal(capacity(&b), 2 * FX_SECTORS);
	assert_int_not_equal(uvdpa_dev_generation(b.dev), generation);
	assert_true(zeros(&b, 2 * FX_SECTORS - 1));
	assert_false(zeros(&b, FX_SECTORS - 1));
	assert_int_equal(ask(&b, VIRTIO_BLK_T_IN, NULL, 0), OK);

	assert_int_equal(set_size(&b, "512K", NULL), -EINVAL);
	assert_int_equal(set_size(&b, "1000", "on"), -EINVAL);
	assert_int_equal(set_size(&b, "3M", NULL), -ENOSPC);
	assert_int_equal(capacity(&b), 2 * FX_SECTORS);
	assert_int_equal(set_size(&b, "512K", "on"), 0);
	assert_int_equal(capacity(&b), FX_SECTORS / 2);
	assert_int_equal(ask(&b, VIRTIO_BLK_T_DISCARD, &(struct range){ FX_SECTORS / 2, 1, 0 }, 1),
			 IOERR);
	assert_int_equal(set_size(&b, "0", NULL), 0);
	assert_int_equal(capacity(&b), FX_SECTORS / 2);
	assert_int_equal(set_size(&b, "1M", NULL), 0);
	assert_true(zeros(&b, FX_SECTORS - 1));
	assert_false(zeros(&b, FX_SECTORS / 2 - 1));
	bed_end(&b);
}

/* ---- space ---------------------------------------------------------------------------------- */

#define SLACK 65536u /* what the file system may take or keep for itself */

static struct range all = { 0, FX_SECTORS, 0 }, all_unmap = { 0, FX_SECTORS, UNMAP };

/* What is given back is; what is to be kept is kept; both read as zeroes. */
static void test_space(void **state)
{
	static const char *const keep[] = { "discard", "off", NULL };
	const struct {
		const char *const *more;
		uint32_t type;
		struct range *r;
		bool shrinks;
	} cases[] = {
		{ NULL, VIRTIO_BLK_T_DISCARD, &all, true },
		{ NULL, VIRTIO_BLK_T_WRITE_ZEROES, &all_unmap, true },
		{ NULL, VIRTIO_BLK_T_WRITE_ZEROES, &all, false },
		{ keep, VIRTIO_BLK_T_WRITE_ZEROES, &all_unmap, false },
	};
	const struct fx_kind *k = *state;
	struct bed_io flush = { VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0 };
	struct bed b;

	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		uint64_t space;

		fx_begin(&b, k, cases[i].more, NULL);
		if (cases[i].type == VIRTIO_BLK_T_DISCARD && !offered(&b, VIRTIO_BLK_F_DISCARD)) {
			bed_end(&b);
			skip(); /* a file system without holes */
		}
		fill(&b);
		assert_int_equal(bed_io(&b, 0, &flush), OK);
		assert_true(fx_space(k) >= FX_DISK);
		assert_int_equal(ask(&b, cases[i].type, cases[i].r, 1), OK);
		assert_int_equal(bed_io(&b, 0, &flush), OK);
		for (uint64_t s = 0; s < FX_SECTORS; s += 61)
			assert_true(zeros(&b, s));
		space = fx_space(k);
		if (cases[i].shrinks != (space <= SLACK) || (!cases[i].shrinks && space < FX_DISK))
			fail_msg("case %u: %llu bytes", i, (unsigned long long)space);
		bed_end(&b);
	}
}

/* Zeroes where nothing was: a hole stays one, and no byte of it is written. */
static void test_sparse(void **state)
{
	const struct fx_kind *k = *state;
	struct bed b;

	fx_begin(&b, k, NULL, NULL);
	if (!offered(&b, VIRTIO_BLK_F_DISCARD)) {
		bed_end(&b);
		skip();
	}
	assert_int_equal(ask(&b, VIRTIO_BLK_T_DISCARD, &all, 1), OK);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(ask(&b, VIRTIO_BLK_T_WRITE_ZEROES, &all_unmap, 1), OK);
	assert_true(zeros(&b, FX_SECTORS / 2));
	assert_true(fx_space(k) <= SLACK);
	bed_end(&b);
}

#define FILE_ONLY(k)                                        \
	cmocka_unit_test_prestate(test_space, (void *)(k)), \
		cmocka_unit_test_prestate(test_sparse, (void *)(k))

#define COMMON(k)                                                            \
	cmocka_unit_test_prestate(test_edges, (void *)(k)),                  \
		cmocka_unit_test_prestate(test_shape, (void *)(k)),          \
		cmocka_unit_test_prestate(test_zeroes, (void *)(k)),         \
		cmocka_unit_test_prestate(test_all_or_none, (void *)(k)),    \
		cmocka_unit_test_prestate(test_not_negotiated, (void *)(k)), \
		cmocka_unit_test_prestate(test_readonly, (void *)(k)),       \
		cmocka_unit_test_prestate(test_block_size, (void *)(k))

int main(void)
{
	static struct fx_kind parents[] = {
		{ .mgmtdev = "sim-blk" },
		{ .mgmtdev = "sim-blk", .packed = true },
		{ .mgmtdev = "blk", .engine = "threads" },
		{ .mgmtdev = "blk", .engine = "threads", .packed = true },
		{ .mgmtdev = "blk", .engine = "threads", .memory = true },
		{ .mgmtdev = "blk", .engine = "threads", .loop = true },
		{ .mgmtdev = "blk", .engine = "io_uring" },
		{ .mgmtdev = "blk", .engine = "io_uring", .packed = true },
		{ .mgmtdev = "blk", .engine = "io_uring", .memory = true },
		{ .mgmtdev = "blk", .engine = "io_uring", .loop = true },
	};
	const struct CMUnitTest tests[] = {
		COMMON(&parents[0]),
		COMMON(&parents[1]),
		cmocka_unit_test_prestate(test_resize, &parents[0]),
		COMMON(&parents[2]),
		COMMON(&parents[3]),
		COMMON(&parents[4]),
		COMMON(&parents[5]),
		FILE_ONLY(&parents[2]),
		FILE_ONLY(&parents[4]),
		FILE_ONLY(&parents[5]),
#if HAVE_LIBURING
		COMMON(&parents[6]),
		COMMON(&parents[7]),
		COMMON(&parents[8]),
		COMMON(&parents[9]),
		FILE_ONLY(&parents[6]),
		FILE_ONLY(&parents[8]),
		FILE_ONLY(&parents[9]),
#endif
	};

	return cmocka_run_group_tests(tests, fx_image_make, fx_image_remove);
}
