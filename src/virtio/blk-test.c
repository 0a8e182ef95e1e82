/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-test.c - the block driver and its queues: what works, what is refused, and liars */
#include "virtio/fake-disk.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/open-fds.h"

static void pattern(uint8_t *p, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + i / 251 + seed);
}

/* ---- what works ------------------------------------------------------------------------------ */

static void test_round_trip(void **state)
{
	static const struct {
		const char *what;
		bool packed;
		uint64_t off;
		unsigned int queue_size;
		uint32_t size_max;
	} cases[] = {
		{ "split", false, 0, 0, 0 },
		{ "packed", true, 0, 0, 0 },
		{ "split, no indirect", false, F(VIRTIO_RING_F_INDIRECT_DESC), 16, 0 },
		{ "packed, no indirect, odd size", true, F(VIRTIO_RING_F_INDIRECT_DESC), 15, 0 },
		{ "split, no event index", false, F(VIRTIO_RING_F_EVENT_IDX), 0, 0 },
		{ "packed, no event index", true, F(VIRTIO_RING_F_EVENT_IDX), 0, 0 },
		{ "size_max", false, 0, 0, 1000 },
		{ "size_max, packed", true, 0, 0, 1000 },
	};

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct uvdpa_blk_opts o = { .size = sizeof(o), .packed = cases[i].packed,
			.features_off = cases[i].off, .queue_size = cases[i].queue_size };
		struct disk *d = disk_create();
		struct uvdpa_blk *blk;
		struct uvdpa_blkq *q;
		uint8_t *a, *b;
		char *id;

		if (cases[i].size_max) {
			d->dev.vdev.offered |= F(VIRTIO_BLK_F_SIZE_MAX);
			d->config.size_max = htole32(cases[i].size_max);
		}
		blk = disk_open(d, &o);
		assert_int_equal(d->dev.features >> VIRTIO_F_RING_PACKED & 1, cases[i].packed);
		assert_int_equal(uvdpa_blk_info(blk)->capacity_sectors, SECTORS);
		assert_int_equal(uvdpa_blk_info(blk)->queues, QUEUES);
		assert_int_equal(uvdpa_blk_info(blk)->seg_max, 8);
		assert_true(uvdpa_blk_info(blk)->flush);
		q = uvdpa_blk_queue(blk, 0);
		a = uvdpa_blk_alloc(blk, 8192);
		b = uvdpa_blk_alloc(blk, 8192);
		id = uvdpa_blk_alloc(blk, UVDPA_BLK_ID_LEN);
		for (unsigned int round = 0; round < 300; round++) {
			struct iovec w[] = { { a + 1, 511 + round % 100 }, { a + 1000, 0 },
					     { a + 4096, 1025 - round % 100 } };
			struct iovec r[] = { { b, 700 }, { b + 1000, 836 } };
			struct uvdpa_blk_req wr = { .op = UVDPA_BLK_WRITE, .sector = round * 13,
						    .iov = w, .niov = 3 };
			struct uvdpa_blk_req rd = { .op = UVDPA_BLK_READ, .sector = round * 13,
						    .iov = r, .niov = 2 };

			pattern(a, 8192, round);
			assert_int_equal(disk_one(d, q, &wr), 0);
			assert_memory_equal(d->bytes + round * 13 * 512, a + 1, w[0].iov_len);
			assert_memory_equal(d->bytes + round * 13 * 512 + w[0].iov_len, a + 4096,
					    w[2].iov_len);
			assert_int_equal(disk_one(d, q, &rd), 0);
			assert_memory_equal(b, d->bytes + round * 13 * 512, 700);
			assert_memory_equal(b + 1000, d->bytes + round * 13 * 512 + 700, 836);
		}
		if (cases[i].size_max)
			assert_in_range(d->largest, 512, cases[i].size_max);
		assert_int_equal(disk_one(d, q, &(struct uvdpa_blk_req){ .op = UVDPA_BLK_FLUSH }), 0);
		assert_int_equal(d->flushes, 1);
		assert_int_equal(disk_one(d, q, &(struct uvdpa_blk_req){ .op = UVDPA_BLK_GET_ID, .niov = 1,
				.iov = &(struct iovec){ id, UVDPA_BLK_ID_LEN } }), 0);
		assert_string_equal(id, "a disk of this test");
		assert_int_equal(disk_one(d, q, &(struct uvdpa_blk_req){ .op = UVDPA_BLK_READ,
				.sector = SECTORS, .iov = &(struct iovec){ a, 512 }, .niov = 1 }), -EIO);
		uvdpa_blk_close(blk);
		assert_int_equal(d->dev.resets, 1);
		disk_destroy(d);
	}
}

/* A batch is one kick, comes back as one call, and each request as itself. */
static void test_batch(void **state)
{
	struct uvdpa_blk_req reqs[64], *p[64], *done[64];
	struct disk *d = disk_create();
	struct uvdpa_blk *blk = disk_open(d, NULL);
	struct uvdpa_blkq *q = uvdpa_blk_queue(blk, 0);
	uint8_t *mem = uvdpa_blk_alloc(blk, 64 * 512);
	struct iovec iov[64];
	uint64_t n;

	(void)state;
	for (unsigned int i = 0; i < 64; i++) {
		memset(d->bytes + i * 512, (int)i, 512);
		iov[i] = (struct iovec){ mem + i * 512, 512 };
		reqs[i] = (struct uvdpa_blk_req){ .op = UVDPA_BLK_READ, .sector = i,
						  .iov = &iov[i], .niov = 1, .res = 1 };
		p[i] = &reqs[i];
	}
	assert_false(uvdpa_blkq_arm(q));
	assert_int_equal(uvdpa_blkq_submit(q, p, 64), 64);
	assert_int_equal(read(d->dev.vqs[0].kick, &n, sizeof(n)), sizeof(n));
	assert_int_equal(n, 1);
	assert_int_equal(disk_run(d, 0), 64);
	assert_int_equal(uvdpa_blkq_wait(q, 1000), 0);
	assert_int_equal(uvdpa_blkq_poll(q, done, 60), 60);
	assert_int_equal(uvdpa_blkq_poll(q, done + 60, 60), 4);
	assert_false(vd_eventfd_drain(uvdpa_blkq_fd(q)));
	for (unsigned int i = 0; i < 64; i++) {
		assert_int_equal(reqs[i].res, 0);
		assert_int_equal(mem[i * 512 + 511], i);
	}
	uvdpa_blk_close(blk);
	disk_destroy(d);
}

static void test_ring_full(void **state)
{
	static const struct {
		uint64_t off;
		bool packed;
		int room;	/* requests of 3 descriptors in a ring of 8 */
	} cases[] = {
		{ 0, false, 8 }, { 0, true, 8 },
		{ F(VIRTIO_RING_F_INDIRECT_DESC), false, 2 },
		{ F(VIRTIO_RING_F_INDIRECT_DESC), true, 2 },
	};

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct uvdpa_blk_opts o = { .size = sizeof(o), .queue_size = 8, .queues = 1,
			.features_off = cases[i].off, .packed = cases[i].packed };
		struct uvdpa_blk_req reqs[20], *p[20], *done[20];
		struct disk *d = disk_create();
		struct uvdpa_blk *blk = disk_open(d, &o);
		struct uvdpa_blkq *q = uvdpa_blk_queue(blk, 0);
		uint8_t *mem = uvdpa_blk_alloc(blk, 512);
		struct iovec iov = { mem, 512 };
		int sum = 0;

		assert_int_equal(uvdpa_blk_info(blk)->seg_max, 6);
		assert_null(uvdpa_blk_queue(blk, 1));
		for (unsigned int k = 0; k < 20; k++) {
			reqs[k] = (struct uvdpa_blk_req){ .op = UVDPA_BLK_READ, .iov = &iov, .niov = 1 };
			p[k] = &reqs[k];
		}
		assert_int_equal(uvdpa_blkq_submit(q, p, 20), cases[i].room);
		assert_int_equal(uvdpa_blkq_submit(q, p + cases[i].room, 1), 0);
		for (sum = cases[i].room; sum < 20;) {
			disk_run(d, 0);
			assert_int_equal(uvdpa_blkq_poll(q, done, 20), cases[i].room);
			int n = uvdpa_blkq_submit(q, p + sum, (unsigned int)(20 - sum));

			assert_int_equal(n, vd_min(cases[i].room, 20 - sum));
			sum += n;
		}
		uvdpa_blk_close(blk);
		disk_destroy(d);
	}
}

static void test_wait(void **state)
{
	struct disk *d = disk_create();
	struct uvdpa_blk *blk = disk_open(d, NULL);
	struct uvdpa_blkq *q = uvdpa_blk_queue(blk, 0);
	struct uvdpa_blk_req r = { .op = UVDPA_BLK_FLUSH }, *p = &r;

	(void)state;
	assert_int_equal(uvdpa_blkq_submit(q, &p, 1), 1);
	assert_int_equal(uvdpa_blkq_wait(q, 10), -ETIMEDOUT);
	assert_int_equal(uvdpa_blkq_poll(q, &p, 1), 0);
	disk_run(d, 0);
	/* Came before it was asked for: no notification, and none needed. */
	assert_int_equal(uvdpa_blkq_wait(q, -1), 0);
	assert_int_equal(uvdpa_blkq_poll(q, &p, 1), 1);
	uvdpa_blk_close(blk);
	disk_destroy(d);
}

static void test_alloc(void **state)
{
	struct uvdpa_blk_opts o = { .size = sizeof(o), .mem = 10 * 4096 };
	struct disk *d = disk_create();
	struct uvdpa_blk *blk = disk_open(d, &o);
	uint8_t *p[10];

	(void)state;
	for (unsigned int i = 0; i < 10; i++) {
		p[i] = uvdpa_blk_alloc(blk, i % 2 ? 1 : 4096);
		assert_non_null(p[i]);
		assert_int_equal((uintptr_t)p[i] % 4096, 0);
		memset(p[i], 0xee, 4096);
	}
	assert_null(uvdpa_blk_alloc(blk, 1));
	assert_non_null(strstr(uvdpa_error(), "mem of the options"));
	assert_null(uvdpa_blk_alloc(blk, SIZE_MAX));
	assert_null(uvdpa_blk_alloc(blk, 0));
	uvdpa_blk_free(blk, p[3]);
	uvdpa_blk_free(blk, p[5]);
	assert_null(uvdpa_blk_alloc(blk, 4097));	/* two holes, neither large enough */
	uvdpa_blk_free(blk, p[4]);
	uvdpa_blk_free(blk, NULL);
	assert_ptr_equal(uvdpa_blk_alloc(blk, 8192), p[3]);
	for (unsigned int i = 0; i < 8192; i++)
		assert_int_equal(p[3][i], 0);
	assert_ptr_equal(uvdpa_blk_alloc(blk, 4096), p[5]);
	uvdpa_blk_close(blk);
	disk_destroy(d);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void test_submit_refuses(void **state)
{
	struct disk *d = disk_create();
	struct uvdpa_blk *blk;
	struct uvdpa_blkq *q;
	uint8_t *m, *end;
	static uint8_t foreign[512];

	(void)state;
	d->dev.vdev.offered &= ~F(VIRTIO_BLK_F_FLUSH);
	blk = disk_open(d, &(struct uvdpa_blk_opts){ .size = sizeof(struct uvdpa_blk_opts),
						     .mem = 65536 });
	q = uvdpa_blk_queue(blk, 0);
	m = uvdpa_blk_alloc(blk, 65536);
	end = m + 65536;

	const struct {
		enum uvdpa_blk_op op;
		struct iovec iov[9];
		unsigned int niov;
		int err;
	} cases[] = {
		{ UVDPA_BLK_READ, { { foreign, 512 } }, 1, -EFAULT },
		{ UVDPA_BLK_READ, { { NULL, 512 } }, 1, -EFAULT },
		{ UVDPA_BLK_READ, { { m - 1, 512 } }, 1, -EFAULT },	/* the rings' memory */
		{ UVDPA_BLK_READ, { { m - 512, 512 } }, 1, -EFAULT },
		{ UVDPA_BLK_READ, { { blk->dma.base, 512 } }, 1, -EFAULT },
		{ UVDPA_BLK_READ, { { end - 511, 512 } }, 1, -EFAULT },
		{ UVDPA_BLK_READ, { { end, 512 } }, 1, -EFAULT },
		{ UVDPA_BLK_READ, { { m, SIZE_MAX } }, 1, -EFAULT },
		{ UVDPA_BLK_WRITE, { { m, 512 }, { foreign, 512 } }, 2, -EFAULT },
		{ UVDPA_BLK_READ, { { m, 511 } }, 1, -EINVAL },
		{ UVDPA_BLK_READ, { { m, 0 } }, 1, -EINVAL },
		{ UVDPA_BLK_READ, { { m, 512 } }, 0, -EINVAL },
		{ UVDPA_BLK_FLUSH, { { m, 512 } }, 1, -EINVAL },
		{ UVDPA_BLK_GET_ID, { { m, 19 } }, 1, -EINVAL },
		{ (enum uvdpa_blk_op)7, { { m, 512 } }, 1, -EINVAL },
		{ (enum uvdpa_blk_op)-1, { { m, 512 } }, 1, -EINVAL },
		{ UVDPA_BLK_READ, { { m, 512 }, { m, 512 }, { m, 512 }, { m, 512 }, { m, 512 },
				    { m, 512 }, { m, 512 }, { m, 512 }, { m, 512 } }, 9, -EINVAL },
		{ UVDPA_BLK_FLUSH, { { NULL, 0 } }, 0, -EOPNOTSUPP },
		{ UVDPA_BLK_READ, { { end - 512, 512 } }, 1, 0 },
	};

	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct uvdpa_blk_req r = { .op = cases[i].op, .iov = cases[i].iov,
					   .niov = cases[i].niov };
		struct uvdpa_blk_req good = { .op = UVDPA_BLK_READ, .niov = 1,
					      .iov = &(struct iovec){ m, 512 } };
		struct uvdpa_blk_req *both[] = { &good, &r }, *done[4];

		assert_int_equal(disk_one(d, q, &r), cases[i].err);
		/* Behind a good one it is told the next time. */
		assert_int_equal(uvdpa_blkq_submit(q, both, 2), cases[i].err ? 1 : 2);
		disk_run(d, 0);
		assert_int_equal(uvdpa_blkq_poll(q, done, 4), cases[i].err ? 1 : 2);
	}
	uvdpa_blk_close(blk);
	disk_destroy(d);

	d = disk_create();
	d->dev.vdev.offered |= F(VIRTIO_BLK_F_RO);
	blk = disk_open(d, NULL);
	assert_true(uvdpa_blk_info(blk)->readonly);
	m = uvdpa_blk_alloc(blk, 512);
	assert_int_equal(disk_one(d, uvdpa_blk_queue(blk, 0), &(struct uvdpa_blk_req){
		.op = UVDPA_BLK_WRITE, .iov = &(struct iovec){ m, 512 }, .niov = 1 }), -EROFS);
	uvdpa_blk_close(blk);
	disk_destroy(d);
}

static void legacy(struct disk *d) { d->dev.vdev.offered &= ~F(VIRTIO_F_VERSION_1); }
static void refuses(struct disk *d) { d->dev.refuses_features = true; }
static void block_3(struct disk *d) { d->config.blk_size = htole32(3); }
static void block_0(struct disk *d) { d->config.blk_size = 0; }
static void no_queues(struct disk *d) { d->config.num_queues = 0; }
static void huge(struct disk *d) { d->config.capacity = htole64(UINT64_MAX); }
static void short_config(struct disk *d) { d->dev.config_size = 12; }
static void no_config(struct disk *d) { d->dev.config_size = 0; }
static void tiny_iova(struct disk *d) { d->dev.vdev.iova_last = 0xffff; }
static void tiny_queue(struct disk *d) { d->dev.vdev.vq_num_max = 2; }

/* CVE-2022-2308 and friends: a configuration that contradicts the features, or itself. */
static void test_open_refuses(void **state)
{
	static const struct {
		void (*spoil)(struct disk *d);
		struct uvdpa_blk_opts o;
		int err;
	} cases[] = {
		{ legacy, { .size = sizeof(struct uvdpa_blk_opts) }, -EOPNOTSUPP },
		{ refuses, { .size = sizeof(struct uvdpa_blk_opts) }, -EOPNOTSUPP },
		{ block_3, { .size = sizeof(struct uvdpa_blk_opts) }, -EBADMSG },
		{ block_0, { .size = sizeof(struct uvdpa_blk_opts) }, -EBADMSG },
		{ no_queues, { .size = sizeof(struct uvdpa_blk_opts) }, -EBADMSG },
		{ huge, { .size = sizeof(struct uvdpa_blk_opts) }, -EBADMSG },
		{ short_config, { .size = sizeof(struct uvdpa_blk_opts) }, -EINVAL },
		{ no_config, { .size = sizeof(struct uvdpa_blk_opts) }, -EINVAL },
		{ tiny_iova, { .size = sizeof(struct uvdpa_blk_opts) }, -EINVAL },
		{ tiny_queue, { .size = sizeof(struct uvdpa_blk_opts) }, -EINVAL },
		{ NULL, { .size = 8 }, -EINVAL },
		{ NULL, { .size = sizeof(struct uvdpa_blk_opts), .queue_size = 257 }, -EINVAL },
		{ NULL, { .size = sizeof(struct uvdpa_blk_opts), .queue_size = 100 }, -EINVAL },
		{ NULL, { .size = sizeof(struct uvdpa_blk_opts), .queue_size = 3 }, -EINVAL },
		{ NULL, { .size = sizeof(struct uvdpa_blk_opts), .mem = SIZE_MAX }, -EINVAL },
	};

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct disk *d = disk_create();
		struct uvdpa_blk *blk = NULL;

		if (cases[i].spoil)
			cases[i].spoil(d);
		assert_int_equal(disk_bind(d, NULL), 0);
		vd_err(-EIO, "stale");
		assert_int_equal(vd_blk_open(d->dev.vdev.bound, &cases[i].o, &blk), cases[i].err);
		assert_null(blk);
		assert_string_not_equal(uvdpa_error(), "stale");
		assert_int_equal(d->dev.status, 0);
		assert_int_equal(d->dev.mem->n, 0);
		disk_destroy(d);
	}
}

static void test_open_twice(void **state)
{
	struct disk *d = disk_create();
	struct uvdpa_blk *blk = disk_open(d, NULL), *other;

	(void)state;
	assert_int_equal(vd_blk_open(d->dev.vdev.bound, NULL, &other), -EBUSY);
	uvdpa_blk_close(blk);
	assert_int_equal(vd_blk_open(d->dev.vdev.bound, NULL, &other), 0);
	uvdpa_blk_close(other);
	uvdpa_blk_close(NULL);
	disk_destroy(d);
}

/* Whichever descriptor is one too many, what was made before it goes once. */
static void test_open_without_descriptors(void **state)
{
	struct disk *d = disk_create();
	unsigned int before, opened = 0;
	struct rlimit old, few;
	struct uvdpa_blk *blk;
	int next;

	(void)state;
	assert_int_equal(disk_bind(d, NULL), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	next = dup(0);
	close(next);
	before = open_fds();
	for (unsigned int i = 0; i < 12; i++) {
		few = (struct rlimit){ (rlim_t)next + i, old.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		if (vd_blk_open(d->dev.vdev.bound, NULL, &blk) == 0) {
			uvdpa_blk_close(blk);
			opened++;
		}
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_int_equal(open_fds(), before);
	}
	assert_in_range(opened, 1, 11);
	disk_destroy(d);
}

/* ---- devices that go, and devices that lie --------------------------------------------------- */

static void test_taken_away(void **state)
{
	struct uvdpa_blk_req reqs[3] = { { .op = UVDPA_BLK_FLUSH }, { .op = UVDPA_BLK_FLUSH },
					 { .op = UVDPA_BLK_FLUSH } };
	struct uvdpa_blk_req *p[] = { &reqs[0], &reqs[1], &reqs[2] }, *done[4];
	struct disk *d = disk_create();
	struct uvdpa_blk *blk = disk_open(d, NULL);
	struct uvdpa_blkq *q = uvdpa_blk_queue(blk, 0);
	struct pollfd pfd = { .fd = uvdpa_blkq_fd(q), .events = POLLIN };

	(void)state;
	assert_int_equal(uvdpa_blkq_submit(q, p, 1), 1);
	disk_run(d, 0);					/* ended, but not seen yet */
	assert_int_equal(uvdpa_blkq_submit(q, p + 1, 1), 1);
	d->dev.vdev.bound->driver->quiesce(d->dev.vdev.bound);
	assert_int_equal(d->dev.quiesced, 1);
	assert_int_equal(uvdpa_blkq_submit(q, p + 2, 1), -ENODEV);
	fake_dev_reset(&d->dev);
	vd_virtio_unbind(&d->dev.vdev);

	assert_int_equal(poll(&pfd, 1, 0), 1);
	assert_true(uvdpa_blkq_arm(q));
	assert_int_equal(uvdpa_blkq_wait(q, -1), 0);
	assert_int_equal(uvdpa_blkq_poll(q, done, 4), 2);
	assert_ptr_equal(done[0], &reqs[0]);
	assert_int_equal(reqs[0].res, 0);
	assert_ptr_equal(done[1], &reqs[1]);
	assert_int_equal(reqs[1].res, -ENODEV);
	assert_int_equal(uvdpa_blkq_submit(q, p + 2, 1), -ENODEV);
	assert_int_equal(uvdpa_blkq_poll(q, done, 4), 0);
	assert_non_null(uvdpa_blk_alloc(blk, 4096));
	uvdpa_blk_close(blk);
	disk_destroy(d);
}

static void test_needs_reset(void **state)
{
	struct uvdpa_blk_req r = { .op = UVDPA_BLK_FLUSH }, *p = &r;
	struct disk *d = disk_create();
	struct uvdpa_blk *blk = disk_open(d, NULL);
	struct uvdpa_blkq *q = uvdpa_blk_queue(blk, 0);

	(void)state;
	assert_int_equal(uvdpa_blkq_submit(q, &p, 1), 1);
	d->dev.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	d->dev.vdev.bound->driver->changed(d->dev.vdev.bound, UVDPA_DEV_STATUS);
	assert_int_equal(uvdpa_blkq_wait(q, -1), 0);
	assert_int_equal(uvdpa_blkq_poll(q, &p, 1), 1);
	assert_int_equal(r.res, -EIO);
	assert_int_equal(uvdpa_blkq_submit(q, &p, 1), -EIO);
	uvdpa_blk_close(blk);
	blk = NULL;
	assert_int_equal(vd_blk_open(d->dev.vdev.bound, NULL, &blk), 0);	/* as new */
	q = uvdpa_blk_queue(blk, 0);
	assert_int_equal(disk_one(d, q, &r), 0);
	uvdpa_blk_close(blk);
	disk_destroy(d);
}

static void test_changes(void **state)
{
	struct disk *d = disk_create();
	struct uvdpa_blk *blk = disk_open(d, NULL);
	uint64_t n;

	(void)state;
	d->config.capacity = htole64(SECTORS / 2);
	d->dev.vdev.bound->driver->changed(d->dev.vdev.bound, UVDPA_DEV_CONFIG);
	assert_int_equal(uvdpa_blk_info(blk)->capacity_sectors, SECTORS / 2);
	/* A device that is back may have missed a kick. */
	d->dev.vdev.bound->driver->changed(d->dev.vdev.bound, UVDPA_DEV_READY);
	assert_int_equal(read(d->dev.vqs[0].kick, &n, sizeof(n)), sizeof(n));
	assert_int_equal(read(d->dev.vqs[1].kick, &n, sizeof(n)), sizeof(n));
	uvdpa_blk_close(blk);
	disk_destroy(d);
}

/* What the device says about a request is not what it did. CVE-2021-38160's family. */
static void test_lying_device(void **state)
{
	static const struct {
		const char *what;
		bool read;
		int status, len;
		int res;
	} cases[] = {
		{ "honest", true, -1, -1, 0 },
		{ "I/O error", true, VIRTIO_BLK_S_IOERR, -1, -EIO },
		{ "unsupported", true, VIRTIO_BLK_S_UNSUPP, -1, -EOPNOTSUPP },
		{ "status that there is not", true, 3, -1, -EIO },
		{ "status never written", true, 0xff, -1, -EIO },
		{ "length 0", true, -1, 0, -EIO },
		{ "length without the status", true, -1, 512, -EIO },
		{ "write: length 0", false, -1, 0, -EIO },
	};

	(void)state;
	for (unsigned int i = 0; i < 2 * VD_ARRAY_SIZE(cases); i++) {
		unsigned int c = i / 2;
		struct uvdpa_blk_opts o = { .size = sizeof(o), .packed = i & 1 };
		struct disk *d = disk_create();
		struct uvdpa_blk *blk = disk_open(d, &o);
		struct uvdpa_blkq *q = uvdpa_blk_queue(blk, 0);
		uint8_t *m = uvdpa_blk_alloc(blk, 512);
		struct uvdpa_blk_req r = { .op = cases[c].read ? UVDPA_BLK_READ : UVDPA_BLK_WRITE,
					   .iov = &(struct iovec){ m, 512 }, .niov = 1 };

		d->force_status = cases[c].status;
		d->force_len = cases[c].len;
		assert_int_equal(disk_one(d, q, &r), cases[c].res);
		d->force_status = d->force_len = -1;
		assert_int_equal(disk_one(d, q, &r), 0);
		uvdpa_blk_close(blk);
		disk_destroy(d);
	}
}

/* Used entries for what is not in flight (out of range, never made, twice), or longer than it is. */
static void test_lying_ring(void **state)
{
	static const struct {
		const char *what;
		uint32_t id;	/* added to that of the first request */
		uint32_t len;
		uint16_t idx;
		int first;	/* result of the first request */
	} cases[] = {
		{ "id out of range", 256, 1, 1, -EIO }, { "id 2^32-1", UINT32_MAX, 1, 1, -EIO },
		{ "never made", 100, 1, 1, -EIO }, { "twice", 0, 1, 2, 0 },
		{ "jump", 0, 1, 1000, -EIO },
		{ "length beyond", 0, 2, 1, -EIO }, { "huge length", 0, UINT32_MAX, 1, -EIO },
	};

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct uvdpa_blk_req reqs[2] = { { .op = UVDPA_BLK_FLUSH }, { .op = UVDPA_BLK_FLUSH } };
		struct uvdpa_blk_req *p[] = { &reqs[0], &reqs[1] }, *done[4];
		struct disk *d = disk_create();
		struct uvdpa_blk *blk = disk_open(d, NULL);
		struct uvdpa_blkq *q = uvdpa_blk_queue(blk, 0);
		uint8_t *used = vd_guest_expose(
			vd_mem_at(d->dev.mem, d->dev.vqs[0].device, 4 + 8 * 256, UVDPA_MAP_RW));
		uint32_t head;

		assert_int_equal(uvdpa_blkq_submit(q, p, 2), 2);
		head = vd_read16(vd_mem_at(d->dev.mem, d->dev.vqs[0].driver + 4, 2, UVDPA_MAP_RW));
		for (unsigned int k = 0; k < 2; k++) {
			vd_write32(vd_guest_wrap(uint32_t, used + 4 + 8 * k), head + cases[i].id);
			vd_write32(vd_guest_wrap(uint32_t, used + 8 + 8 * k), cases[i].len);
		}
		*(uint8_t *)vd_guest_expose(&q->slots[0].status) = VIRTIO_BLK_S_OK;
		vd_write16_release(vd_guest_wrap(uint16_t, used + 2), cases[i].idx);
		vd_eventfd_signal(d->dev.vqs[0].call);
		assert_int_equal(uvdpa_blkq_wait(q, -1), 0);
		assert_int_equal(uvdpa_blkq_poll(q, done, 4), 2);
		assert_int_equal(reqs[0].res, cases[i].first);
		assert_int_equal(reqs[1].res, -EIO);
		assert_int_equal(uvdpa_blkq_submit(q, p, 1), -EIO);
		assert_int_equal(uvdpa_blkq_poll(q, done, 4), 0);
		uvdpa_blk_close(blk);
		disk_destroy(d);
	}
}

/* ---- three threads --------------------------------------------------------------------------- */

struct user {
	struct uvdpa_blkq *q;
	uint8_t *mem;
	unsigned int ok, gone;
};

/* Eight in flight until the device goes; then all must have come back. */
static void *user_thread(void *arg)
{
	struct user *u = arg;
	struct uvdpa_blk_req reqs[8], *idle[8], *done[8];
	struct iovec iov[8];
	unsigned int nidle = 8;
	bool gone = false;

	for (unsigned int i = 0; i < 8; i++) {
		iov[i] = (struct iovec){ u->mem + i * 4096, 4096 };
		reqs[i] = (struct uvdpa_blk_req){ .op = i & 1 ? UVDPA_BLK_READ : UVDPA_BLK_WRITE,
						  .sector = i * 8, .iov = &iov[i], .niov = 1 };
		idle[i] = &reqs[i];
	}
	while (!gone || nidle < 8) {
		unsigned int n;

		if (nidle && !gone) {
			int r = uvdpa_blkq_submit(u->q, idle, nidle);

			gone = r == -ENODEV;
			if (r > 0) {
				nidle -= (unsigned int)r;
				memmove(idle, idle + r, nidle * sizeof(idle[0]));
			}
		}
		n = uvdpa_blkq_poll(u->q, done, 8);
		for (unsigned int i = 0; i < n; i++) {
			*(done[i]->res ? &u->gone : &u->ok) += 1;
			idle[nidle++] = done[i];
		}
		if (!n && nidle < 8)
			uvdpa_blkq_wait(u->q, -1);
	}
	return NULL;
}

/* The driver's queue in one thread, the device in another, and control takes it away. */
static void test_taken_from_thread(void **state)
{
	unsigned int ok = 0;

	(void)state;
	for (unsigned int round = 0; round < 40; round++) {
		struct uvdpa_blk_opts o = { .size = sizeof(o), .packed = round & 1, .queues = 1 };
		struct disk *d = disk_create();
		struct uvdpa_blk *blk = disk_open(d, &o);
		struct user u = { .q = uvdpa_blk_queue(blk, 0), .mem = uvdpa_blk_alloc(blk, 32768) };
		pthread_t user, device;

		assert_int_equal(pthread_create(&device, NULL, disk_thread, d), 0);
		assert_int_equal(pthread_create(&user, NULL, user_thread, &u), 0);
		usleep(round * 100);
		d->dev.vdev.bound->driver->quiesce(d->dev.vdev.bound);
		__atomic_store_n(&d->stop, 1, __ATOMIC_RELEASE);
		pthread_join(device, NULL);
		fake_dev_reset(&d->dev);
		vd_virtio_unbind(&d->dev.vdev);
		pthread_join(user, NULL);
		ok += u.ok;
		uvdpa_blk_close(blk);
		disk_destroy(d);
	}
	assert_true(ok > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_ring_full),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_alloc),
		cmocka_unit_test(test_submit_refuses),
		cmocka_unit_test(test_open_refuses),
		cmocka_unit_test(test_open_twice),
		cmocka_unit_test(test_open_without_descriptors),
		cmocka_unit_test(test_taken_away),
		cmocka_unit_test(test_needs_reset),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_lying_device),
		cmocka_unit_test(test_lying_ring),
		cmocka_unit_test(test_taken_from_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
