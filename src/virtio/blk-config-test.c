/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-config-test.c - limits, topology, cache mode: what a disk says, requests by it, and liars */
#include "virtio/fake-disk.h"

#include <errno.h>

#include "base/err.h"

#define RANGE_FEATURES \
	(F(VIRTIO_BLK_F_DISCARD) | F(VIRTIO_BLK_F_WRITE_ZEROES) | F(VIRTIO_BLK_F_SECURE_ERASE))

/* A disk that can do it all. */
static struct disk *disk_with_ranges(void)
{
	struct disk *d = disk_create();

	d->dev.vdev.offered |=
		RANGE_FEATURES | F(VIRTIO_BLK_F_TOPOLOGY) | F(VIRTIO_BLK_F_CONFIG_WCE);
	d->config.max_discard_sectors = htole32(1024);
	d->config.max_discard_seg = htole32(1);
	d->config.discard_sector_alignment = htole32(8);
	d->config.max_write_zeroes_sectors = htole32(2048);
	d->config.max_write_zeroes_seg = htole32(1);
	d->config.write_zeroes_may_unmap = 1;
	d->config.max_secure_erase_sectors = htole32(512);
	d->config.max_secure_erase_seg = htole32(1);
	d->config.secure_erase_sector_alignment = htole32(8);
	d->config.physical_block_exp = 3;
	d->config.opt_io_size = htole32(2048);
	d->config.wce = 1;
	return d;
}

static void test_ranges(void **state)
{
	static const struct {
		enum uvdpa_blk_op op;
		uint32_t type;
		uint64_t sector, nsectors;
		bool unmap;
		uint32_t flags;
		int res;
	} cases[] = {
		{ UVDPA_BLK_DISCARD, VIRTIO_BLK_T_DISCARD, 8, 1024, false, 0, 0 },
		{ UVDPA_BLK_DISCARD, VIRTIO_BLK_T_DISCARD, 3, 1, true, 0, 0 },
		{ UVDPA_BLK_DISCARD, 0, 0, 1025, false, 0, -EINVAL },
		{ UVDPA_BLK_DISCARD, 0, 0, 0, false, 0, -EINVAL },
		{ UVDPA_BLK_WRITE_ZEROES, VIRTIO_BLK_T_WRITE_ZEROES, 5, 2048, false, 0, 0 },
		{ UVDPA_BLK_WRITE_ZEROES, VIRTIO_BLK_T_WRITE_ZEROES, 4000, 96, true, 1, 0 },
		{ UVDPA_BLK_WRITE_ZEROES, VIRTIO_BLK_T_WRITE_ZEROES, 4000, 97, false, 0, -EIO },
		{ UVDPA_BLK_WRITE_ZEROES, 0, 0, 2049, true, 0, -EINVAL },
		{ UVDPA_BLK_WRITE_ZEROES, 0, 0, 1ull << 32 | 1, true, 0, -EINVAL },
		{ UVDPA_BLK_SECURE_ERASE, VIRTIO_BLK_T_SECURE_ERASE, 8, 512, true, 0, 0 },
		{ UVDPA_BLK_SECURE_ERASE, 0, 8, 513, false, 0, -EINVAL },
	};

	(void)state;
	for (unsigned int i = 0; i < 4 * VD_ARRAY_SIZE(cases); i++) {
		unsigned int c = i / 4;
		struct uvdpa_blk_opts o = { .size = sizeof(o),
					    .packed = i & 1,
					    .features_off =
						    i & 2 ? F(VIRTIO_RING_F_INDIRECT_DESC) : 0 };
		struct disk *d = disk_with_ranges();
		struct uvdpa_blk *blk = disk_open(d, &o);
		struct uvdpa_blk_req r = { .op = cases[c].op,
					   .sector = cases[c].sector,
					   .nsectors = cases[c].nsectors,
					   .unmap = cases[c].unmap };

		memset(d->bytes, 0xee, sizeof(d->bytes));
		assert_int_equal(disk_one(d, uvdpa_blk_queue(blk, 0), &r), cases[c].res);
		assert_int_equal(d->type, cases[c].type);
		if (d->type) {
			assert_int_equal(le64toh(d->range.sector), cases[c].sector);
			assert_int_equal(le32toh(d->range.num_sectors), cases[c].nsectors);
			assert_int_equal(le32toh(d->range.flags), cases[c].flags);
		}
		for (unsigned int s = 0; s < SECTORS; s++)
			assert_int_equal(d->bytes[s * 512],
					 !cases[c].res && s >= r.sector && s < r.sector + r.nsectors
						 ? 0
						 : 0xee);
		uvdpa_blk_close(blk);
		disk_destroy(d);
	}
}

/* What is not offered, or cannot be done to a disk that is read-only. */
static void test_ranges_refused(void **state)
{
	static const enum uvdpa_blk_op ops[] = { UVDPA_BLK_DISCARD, UVDPA_BLK_WRITE_ZEROES,
						 UVDPA_BLK_SECURE_ERASE };

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(ops); i++) {
		struct uvdpa_blk_req r = { .op = ops[i], .nsectors = 8 };
		struct uvdpa_blk_opts o = { .size = sizeof(o), .features_off = RANGE_FEATURES };
		struct disk *d = disk_with_ranges();
		struct uvdpa_blk *blk = disk_open(d, &o);

		assert_int_equal(uvdpa_blk_info(blk)->discard_max_sectors, 0);
		assert_int_equal(uvdpa_blk_info(blk)->write_zeroes_max_sectors, 0);
		assert_int_equal(uvdpa_blk_info(blk)->secure_erase_max_sectors, 0);
		assert_false(uvdpa_blk_info(blk)->write_zeroes_may_unmap);
		assert_int_equal(disk_one(d, uvdpa_blk_queue(blk, 0), &r), -EOPNOTSUPP);
		uvdpa_blk_close(blk);
		disk_destroy(d);

		d = disk_with_ranges();
		d->dev.vdev.offered |= F(VIRTIO_BLK_F_RO);
		blk = disk_open(d, NULL);
		assert_int_equal(disk_one(d, uvdpa_blk_queue(blk, 0), &r), -EROFS);
		r.iov = &(struct iovec){ uvdpa_blk_alloc(blk, 512), 512 };
		r.niov = 1;
		assert_int_equal(disk_one(d, uvdpa_blk_queue(blk, 0), &r), -EINVAL);
		uvdpa_blk_close(blk);
		disk_destroy(d);
	}
}

static void honest(struct disk *d)
{
	(void)d;
}
static void blocks_4k(struct disk *d)
{
	d->config.blk_size = htole32(4096);
}
static void blocks_1m(struct disk *d)
{
	d->config.blk_size = htole32(1 << 20);
}
static void no_discard(struct disk *d)
{
	d->config.max_discard_sectors = 0;
}
static void no_zeroes(struct disk *d)
{
	d->config.max_write_zeroes_sectors = 0;
}
static void no_erase(struct disk *d)
{
	d->config.max_secure_erase_sectors = 0;
}
static void no_align(struct disk *d)
{
	d->config.discard_sector_alignment = 0;
}
static void coarse(struct disk *d)
{
	d->config.discard_sector_alignment = htole32(1025);
}
static void odd(struct disk *d)
{
	blocks_4k(d), d->config.discard_sector_alignment = htole32(7);
}
static void odd_max(struct disk *d)
{
	blocks_4k(d), d->config.max_discard_sectors = htole32(31);
}
static void physical(struct disk *d)
{
	d->config.physical_block_exp = 23;
}
static void physical_max(struct disk *d)
{
	d->config.physical_block_exp = 22;
}
static void opt_io(struct disk *d)
{
	d->config.opt_io_size = htole32(UINT32_MAX);
}
static void wce_7(struct disk *d)
{
	d->config.wce = 7;
}
static void wce_0(struct disk *d)
{
	d->config.wce = 0;
}
static void plain(struct disk *d)
{
	d->dev.vdev.offered &= ~F(VIRTIO_BLK_F_CONFIG_WCE);
	wce_0(d);
}
static void no_flush(struct disk *d)
{
	d->dev.vdev.offered &= ~F(VIRTIO_BLK_F_FLUSH);
}

static unsigned int warnings;

static void count(struct uvdpa_log *l, enum uvdpa_log_level level, const char *line)
{
	(void)l;
	(void)line;
	warnings += level <= UVDPA_LOG_WARN;
}

static struct uvdpa_log counter = { .line = count };

static void test_info(void **state)
{
	static const struct {
		void (*say)(struct disk *d);
		uint32_t discard, align, zeroes, erase, physical, opt_io;
		bool writeback;
		unsigned int warnings;
	} cases[] = {
		{ honest, 1024, 8, 2048, 512, 4096, 1 << 20, true, 0 },
		{ blocks_4k, 1024, 8, 2048, 512, 32768, 8 << 20, true, 0 },
		{ blocks_1m, 0, 0, 2048, 0, 8 << 20, 1u << 31, true, 2 },
		{ no_discard, 0, 0, 2048, 512, 4096, 1 << 20, true, 1 },
		{ no_zeroes, 1024, 8, 0, 512, 4096, 1 << 20, true, 1 },
		{ no_erase, 1024, 8, 2048, 0, 4096, 1 << 20, true, 1 },
		{ no_align, 1024, 1, 2048, 512, 4096, 1 << 20, true, 0 },
		{ coarse, 1024, 1, 2048, 512, 4096, 1 << 20, true, 1 },
		{ odd, 1024, 8, 2048, 512, 32768, 8 << 20, true, 1 },
		{ odd_max, 24, 8, 2048, 512, 32768, 8 << 20, true, 0 },
		{ physical, 1024, 8, 2048, 512, 512, 1 << 20, true, 1 },
		{ physical_max, 1024, 8, 2048, 512, 1u << 31, 1 << 20, true, 0 },
		{ opt_io, 1024, 8, 2048, 512, 4096, 0, true, 1 },
		{ wce_7, 1024, 8, 2048, 512, 4096, 1 << 20, true, 0 },
		{ wce_0, 1024, 8, 2048, 512, 4096, 1 << 20, false, 0 },
		{ plain, 1024, 8, 2048, 512, 4096, 1 << 20, true, 0 },
		{ no_flush, 1024, 8, 2048, 512, 4096, 1 << 20, false, 0 },
	};

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct disk *d = disk_with_ranges();
		const struct uvdpa_blk_info *info;
		struct uvdpa_blk *blk;

		warnings = 0;
		vd_log_set(d->dev.vdev.log, &counter, UVDPA_LOG_WARN);
		cases[i].say(d);
		blk = disk_open(d, NULL);
		info = uvdpa_blk_info(blk);
		assert_int_equal(info->discard_max_sectors, cases[i].discard);
		assert_int_equal(info->discard_align, cases[i].align);
		assert_int_equal(info->write_zeroes_max_sectors, cases[i].zeroes);
		assert_int_equal(info->write_zeroes_may_unmap, cases[i].zeroes != 0);
		assert_int_equal(info->secure_erase_max_sectors, cases[i].erase);
		assert_int_equal(info->physical_block_size, cases[i].physical);
		assert_int_equal(info->opt_io_size, cases[i].opt_io);
		assert_int_equal(info->writeback, cases[i].writeback);
		assert_int_equal(warnings, cases[i].warnings);
		uvdpa_blk_close(blk);
		disk_destroy(d);
	}
}

static void test_set_writeback(void **state)
{
	struct disk *d = disk_with_ranges();
	struct uvdpa_blk *blk = disk_open(d, NULL);

	(void)state;
	assert_true(uvdpa_blk_info(blk)->writeback);
	assert_int_equal(uvdpa_blk_set_writeback(blk, false), 0);
	assert_int_equal(d->config.wce, 0);
	assert_false(uvdpa_blk_info(blk)->writeback);
	assert_int_equal(uvdpa_blk_set_writeback(blk, true), 0);
	assert_int_equal(d->config.wce, 1);
	assert_true(uvdpa_blk_info(blk)->writeback);
	/* Somebody else did it. */
	d->config.wce = 0;
	d->dev.vdev.bound->driver->changed(d->dev.vdev.bound, UVDPA_DEV_CONFIG);
	assert_false(uvdpa_blk_info(blk)->writeback);
	fake_dev_reset(&d->dev);
	vd_virtio_unbind(&d->dev.vdev);
	assert_int_equal(uvdpa_blk_set_writeback(blk, true), -ENODEV);
	uvdpa_blk_close(blk);
	disk_destroy(d);

	d = disk_with_ranges();
	plain(d);
	blk = disk_open(d, NULL);
	assert_int_equal(uvdpa_blk_set_writeback(blk, false), -EOPNOTSUPP);
	uvdpa_blk_close(blk);
	disk_destroy(d);

	d = disk_with_ranges();
	no_flush(d);
	blk = disk_open(d, NULL);
	assert_int_equal(uvdpa_blk_set_writeback(blk, true), -EOPNOTSUPP);
	uvdpa_blk_close(blk);
	disk_destroy(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_ranges_refused),
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_set_writeback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
