/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-cache-test.c - caches of the blk parent: what is durable when, and data that is not aligned
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "config.h"
#include "parent/blk-fx.h"

#define OK VIRTIO_BLK_S_OK

/* A device of a kind; where there is no direct I/O there is nothing to test of it. */
static void begin(struct bed *b, const struct fx_kind *k, const char *const *more,
		  const struct bed_conf *c)
{
	struct bed_conf conf = *c;
	int r = fx_add(b, k, more);

	if (r == -EOPNOTSUPP && strcmp(k->cache, "none") == 0)
		skip();
	assert_int_equal(r, 0);
	conf.packed = k->packed;
	bed_start(b, &conf);
}

/* ---- durability ----------------------------------------------------------------------------- */

/* The writeback bit: as the device has it, or what the driver sets it to. */
enum bit { UNTOUCHED, OFF, ON };

static void set_bit(struct bed *b, enum bit bit)
{
	uint8_t v = bit == ON;

	if (bit != UNTOUCHED)
		assert_int_equal(uvdpa_dev_set_config(
					 b->dev, offsetof(struct virtio_blk_config, wce), &v, 1),
				 0);
}

/*
 * One request at a time, and after each the question whether anything that was answered would be
 * lost if the power went now: without a cache nothing ever, with one nothing after a flush.
 */
static void check_promises(struct bed *b, bool cached, bool flush)
{
	static uint8_t data[4096];
	static struct virtio_blk_discard_write_zeroes seg[2] = {
		{ .sector = 0, .num_sectors = 0 }, { .sector = 0, .num_sectors = 0 }
	};
	struct bed_io ios[] = {
		{ VIRTIO_BLK_T_OUT, 8, data, sizeof(data), 0 },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 0, &seg[0], sizeof(seg[0]), 0 },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 0, &seg[1], sizeof(seg[1]), 0 },
		{ VIRTIO_BLK_T_OUT, 32, data, 512, 0 },
	};
	struct bed_io fl = { VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0 };

	seg[0].sector = htole64(16);
	seg[1].sector = htole64(40);
	seg[0].num_sectors = seg[1].num_sectors = htole32(8);
	seg[1].flags = htole32(VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(ios); i++) {
		assert_int_equal(bed_io(b, 0, &ios[i]), OK);
		if (!cached && FAKE(unsynced))
			fail_msg("request %u is answered and not durable", i);
		if (cached && !FAKE(unsynced))
			fail_msg("request %u did not need to be durable", i);
	}
	assert_int_equal(bed_io(b, 0, &fl), flush ? OK : VIRTIO_BLK_S_UNSUPP);
	if (flush && FAKE(unsynced))
		fail_msg("a flush did not cover all");
}

static void test_durable(void **state)
{
	const struct fx_kind *k = *state;
	static const struct {
		bool flush, config_wce;
		enum bit bit;
	} cases[] = {
		{ true, true, UNTOUCHED },  { true, true, OFF },         { true, true, ON },
		{ true, false, UNTOUCHED }, { false, true, OFF },        { false, true, UNTOUCHED },
		{ false, true, ON },        { false, false, UNTOUCHED },
	};
	bool through = k->cache && strcmp(k->cache, "writethrough") == 0;
	struct bed b;

	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		bool flush = cases[i].flush;
		bool cached = flush && (cases[i].bit == UNTOUCHED ? !through : cases[i].bit == ON);

		begin(&b, k, NULL,
		      &(struct bed_conf){ .features_off =
						  (flush ? 0 : 1ull << VIRTIO_BLK_F_FLUSH) |
						  (cases[i].config_wce
							   ? 0
							   : 1ull << VIRTIO_BLK_F_CONFIG_WCE) });
		set_bit(&b, cases[i].bit);
		FAKE_SET(unsynced, 0); /* of the probes */
		check_promises(&b, cached, flush);
		/* A reset forgets what the driver chose. */
		bed_reset(&b);
		bed_start(&b, &(struct bed_conf){ .packed = k->packed });
		check_promises(&b, !through, true);
		bed_end(&b);
	}
}

/* The cache is turned off in the middle: what was written before is covered by the next flush. */
static void test_turned_off(void **state)
{
	uint8_t data[512] = { 1 };
	struct bed_io wr = { VIRTIO_BLK_T_OUT, 8, data, sizeof(data), 0 };
	struct bed_io fl = { VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0 };
	struct bed b;

	begin(&b, *state, NULL, &(struct bed_conf){ 0 });
	set_bit(&b, ON);
	FAKE_SET(unsynced, 0);
	assert_int_equal(bed_io(&b, 0, &wr), OK);
	assert_int_equal(FAKE(unsynced), 1);
	set_bit(&b, OFF);
	assert_int_equal(bed_io(&b, 0, &wr), OK);
	assert_int_equal(FAKE(unsynced), 1);
	assert_int_equal(bed_io(&b, 0, &fl), OK);
	assert_int_equal(FAKE(unsynced), 0);
	bed_end(&b);
}

/* ---- data in pieces ------------------------------------------------------------------------- */

#define PIECES 128u
#define SLOT   16384u /* where a piece lies, with some room */

/* Cut FX_DISK bytes into pieces of odd places and lengths, multiples of @align. */
static void cut(struct vd_buf *bufs, uint64_t at, unsigned int seed, unsigned int align)
{
	uint32_t len = FX_DISK / PIECES, shift = 0;

	for (unsigned int i = 0; i < PIECES; i++) {
		seed = seed * 1103515245u + 12345u;
		if (i % 2 == 0) /* what one has less, the next one has more */
			shift = (seed >> 8 & 4095 & ~(align - 1)) + align;
		bufs[i].len = i % 2 ? len + shift : len - shift;
		bufs[i].iova = bed_iova(at + i * SLOT + (seed >> 4 & 1023 & ~(align - 1)) + align);
	}
}

/* The whole disk in one request. */
static void whole(struct bed *b, uint32_t type, const struct vd_buf *pieces)
{
	const uint64_t at = BED_RINGS;
	struct virtio_blk_outhdr hdr = { .type = htole32(type) };
	struct vd_buf bufs[PIECES + 2];
	struct vd_done done;
	bool out = type == VIRTIO_BLK_T_OUT;

	memcpy(b->mem + at, &hdr, sizeof(hdr));
	b->mem[at + 16] = 0xff;
	bufs[0] = (struct vd_buf){ bed_iova(at), sizeof(hdr) };
	memcpy(bufs + 1, pieces, PIECES * sizeof(*pieces));
	bufs[PIECES + 1] = (struct vd_buf){ bed_iova(at + 16), 1 };
	bed_add_req(b, 0, bufs, out ? PIECES + 1 : 1, out ? 1 : PIECES + 1);
	assert_int_equal(bed_get(b, 0, &done, 1, 10000), 1);
	assert_int_equal(done.len, out ? 1 : FX_DISK + 1);
	assert_int_equal(b->mem[at + 16], OK);
}

static void test_pieces(void **state)
{
	static const char *const attrs[] = { "queue_size", "256", "seg_max", "128", NULL };
	static const unsigned int aligns[] = { 1, 4, 512 };
	const uint64_t from = BED_RINGS + (1u << 20), to = from + PIECES * SLOT;
	static uint8_t want[FX_DISK], got[FX_DISK];
	struct vd_buf out[PIECES], in[PIECES];
	struct bed b;

	begin(&b, *state, attrs, &(struct bed_conf){ .num = 256 });
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(aligns); i++) {
		size_t off = 0;

		fx_pattern(want, sizeof(want), 40 + i);
		cut(out, from, 1 + i, aligns[i]);
		cut(in, to, 77 + i, aligns[i]);
		for (unsigned int j = 0; j < PIECES; off += out[j++].len)
			memcpy(b.mem + out[j].iova - BED_IOVA, want + off, out[j].len);
		assert_int_equal(off, FX_DISK);
		memset(b.mem + to, 0xee, PIECES * SLOT);
		whole(&b, VIRTIO_BLK_T_OUT, out);
		whole(&b, VIRTIO_BLK_T_IN, in);
		off = 0;
		for (unsigned int j = 0; j < PIECES; off += in[j++].len)
			memcpy(got + off, b.mem + in[j].iova - BED_IOVA, in[j].len);
		assert_memory_equal(got, want, sizeof(want));
		/* And nothing beside them. */
		for (unsigned int j = 0; j < PIECES; j++)
			assert_int_equal(b.mem[in[j].iova - BED_IOVA + in[j].len], 0xee);
	}
	bed_end(&b);
}

/* More at once that are not aligned than there are buffers for them. */
static void test_many(void **state)
{
	enum { N = 31, LEN = 32768 };
	const uint64_t at = BED_RINGS;
	static uint8_t want[LEN];
	struct bed b;

	begin(&b, *state, NULL, &(struct bed_conf){ .num = 128 });
	for (unsigned int wr = 2; wr-- > 0;) {
		for (unsigned int i = 0; i < N; i++) {
			uint64_t hdr_at = at + i * 32,
				 data = at + 4096 + i * (LEN + 512) + 1 + 2 * i;
			struct virtio_blk_outhdr hdr = {
				.type = htole32(wr ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN),
				.sector = htole64(i * LEN / 512),
			};
			struct vd_buf bufs[3] = { { bed_iova(hdr_at), 16 },
						  { bed_iova(data), LEN },
						  { bed_iova(hdr_at + 16), 1 } };

			memcpy(b.mem + hdr_at, &hdr, sizeof(hdr));
			b.mem[hdr_at + 16] = 0xff;
			if (wr)
				fx_pattern(b.mem + data, LEN, i);
			else
				memset(b.mem + data, 0xee, LEN);
			bed_add_req(&b, 0, bufs, wr ? 2 : 1, wr ? 1 : 2);
		}
		for (unsigned int n = 0; n < N;) {
			struct vd_done done[N];
			int r = bed_get(&b, 0, done, N, 5000);

			assert_true(r > 0);
			n += (unsigned int)r;
		}
		for (unsigned int i = 0; i < N; i++) {
			fx_pattern(want, LEN, i);
			assert_int_equal(b.mem[at + i * 32 + 16], OK);
			assert_memory_equal(b.mem + at + 4096 + i * (LEN + 512) + 1 + 2 * i, want,
					    LEN);
		}
	}
	bed_end(&b);
}

/* ---- block sizes ---------------------------------------------------------------------------- */

static uint32_t block_size(struct bed *b)
{
	struct virtio_blk_config cfg;

	assert_int_equal(uvdpa_dev_get_config(b->dev, 0, &cfg, sizeof(cfg)), 0);
	return le32toh(cfg.blk_size);
}

/* A disk of blocks of 4 KiB: it is one, unless other ones are asked for and the cache makes them.
 */
static void test_big_blocks(void **state)
{
	char path[64];
	int loop = fx_loop_open(path, sizeof(path), 4096);
	const char *plain[] = { "image", path, NULL };
	const char *direct[] = { "image", path, "cache", "none", NULL };
	const char *less[] = { "image", path, "cache", "none", "logical_block_size", "512", NULL };
	const char *made[] = { "image", path, "logical_block_size", "512", NULL };
	static uint8_t data[4096], back[4096], zero[512];
	struct bed_io wr = { VIRTIO_BLK_T_OUT, 8, data, sizeof(data), 0 };
	struct bed_io rd = { VIRTIO_BLK_T_IN, 8, back, sizeof(back), 0 };
	struct virtio_blk_discard_write_zeroes seg = {
		.sector = htole64(9),
		.num_sectors = htole32(2),
		.flags = htole32(VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP)
	};
	struct bed_io wz = { VIRTIO_BLK_T_WRITE_ZEROES, 0, &seg, sizeof(seg), 0 };
	struct bed b;

	(void)state;
	if (loop < 0)
		skip();
	fx_pattern(data, sizeof(data), 3);
	assert_int_equal(bed_add(&b, "blk", plain), 0);
	assert_int_equal(block_size(&b), 4096);
	bed_end(&b);

	assert_int_equal(bed_add(&b, "blk", direct), 0);
	bed_start(&b, NULL);
	assert_int_equal(block_size(&b), 4096);
	assert_int_equal(bed_io(&b, 0, &wr), OK);
	assert_int_equal(bed_io(&b, 0, &rd), OK);
	assert_memory_equal(data, back, sizeof(data));
	bed_end(&b);

	assert_int_equal(bed_add(&b, "blk", less), -EINVAL);
	assert_non_null(strstr(uvdpa_error(), "4096"));

	assert_int_equal(bed_add(&b, "blk", made), 0);
	bed_start(&b, NULL);
	assert_int_equal(block_size(&b), 512);
	assert_false(uvdpa_dev_info(b.dev)->features >> VIRTIO_BLK_F_DISCARD & 1);
	assert_int_equal(bed_io(&b, 0, &wz), OK);
	assert_int_equal(bed_io(&b, 0, &rd), OK);
	assert_memory_equal(back, data, 512);
	assert_memory_equal(back + 512, zero, 512);
	assert_memory_equal(back + 1024, zero, 512);
	assert_memory_equal(back + 1536, data + 1536, sizeof(data) - 1536);
	bed_end(&b);
	close(loop);
}

/* A file system that knows no direct I/O says so, or does it; but never half of it. */
static void test_no_direct(void **state)
{
	const char *attrs[] = { "image", "/proc/self/status", "cache", "none", NULL };
	struct bed b;

	(void)state;
	assert_int_equal(bed_add(&b, "blk", attrs), -EOPNOTSUPP);
	assert_non_null(strstr(uvdpa_error(), "direct I/O"));
}

/* ---- memory that the ring knows ------------------------------------------------------------- */

#if HAVE_LIBURING

static uint64_t pinned(struct bed *b)
{
	return strtoull(bed_shown(b, "pinned"), NULL, 10);
}

/* The worker lets go when it has nothing to do, which is soon. */
static void wait_unpinned(struct bed *b)
{
	for (unsigned int i = 0; pinned(b) && i < 200; i++)
		usleep(10000);
	assert_int_equal(pinned(b), 0);
}

static uint8_t read_to(struct bed *b, uint64_t iova, uint32_t len)
{
	const uint64_t at = BED_RINGS;
	struct virtio_blk_outhdr hdr = { .type = htole32(VIRTIO_BLK_T_IN) };
	struct vd_buf bufs[3] = { { bed_iova(at), 16 }, { iova, len }, { bed_iova(at + 16), 1 } };
	struct vd_done done;

	memcpy(b->mem + at, &hdr, sizeof(hdr));
	b->mem[at + 16] = 0xff;
	bed_add_req(b, 0, bufs, 1, 2);
	assert_int_equal(bed_get(b, 0, &done, 1, 5000), 1);
	return b->mem[at + 16];
}

static void commit(struct bed *b)
{
	struct uvdpa_wait w = { 0 };

	assert_int_equal(uvdpa_await(b->u, &w, uvdpa_dev_commit(b->dev, &w)), 0);
}

/* Memory that takes the place of other memory, at the same addresses of the guest and of ours. */
static void test_other_memory(void **state)
{
	enum { LEN = 65536 };
	const uint64_t iova = 0x20000000;
	void *at = mmap(NULL, LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static uint8_t want[LEN], got[LEN];
	struct bed b;

	begin(&b, *state, NULL, &(struct bed_conf){ 0 });
	assert_int_equal(pinned(&b), 0);
	for (unsigned int i = 0; i < 4; i++) {
		int fd = memfd_create("more", MFD_CLOEXEC);
		struct uvdpa_map map = {
			.iova = iova, .len = LEN, .fd = fd, .addr = at, .prot = UVDPA_MAP_RW
		};
		struct bed_io wr = { VIRTIO_BLK_T_OUT, 0, want, LEN, 0 };

		assert_int_equal(ftruncate(fd, LEN), 0);
		assert_ptr_equal(
			mmap(at, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0), at);
		assert_int_equal(uvdpa_dev_map(b.dev, 0, &map), 0);
		commit(&b);
		fx_pattern(want, LEN, 90 + i);
		assert_int_equal(bed_io(&b, 0, &wr), OK);
		assert_int_equal(read_to(&b, iova, LEN), OK);
		assert_int_equal(pinned(&b), BED_SIZE + LEN);
		assert_int_equal(pread(fd, got, LEN, 0), LEN);
		assert_memory_equal(got, want, LEN);
		assert_int_equal(uvdpa_dev_unmap(b.dev, 0, iova, LEN), 0);
		commit(&b);
		close(fd);
	}
	munmap(at, LEN);
	bed_reset(&b);
	wait_unpinned(&b);
	bed_start(&b, NULL);
	assert_int_equal(read_to(&b, bed_iova(BED_RINGS + 4096), LEN), OK);
	assert_int_equal(pinned(&b), BED_SIZE);
	bed_end(&b);
}

/* Where it is not allowed, or too much, it goes without. */
static void test_not_allowed(void **state)
{
	struct bed b;

	begin(&b, *state, NULL, &(struct bed_conf){ 0 });
	FAKE_SET(pin_err, -ENOMEM);
	assert_int_equal(read_to(&b, bed_iova(BED_RINGS + 4096), 4096), OK);
	assert_int_equal(pinned(&b), 0);
	FAKE_SET(pin_err, 0);
	bed_end(&b);
}

#endif

/* It makes sense for direct I/O alone. */
static void test_pin_errors(void **state)
{
	const char *cached[] = { "image", fx_image, "pin_memory", "on", NULL };
	const char *threads[] = { "image", fx_image, "pin_memory", "on", "cache",
				  "none",  "engine", "threads",    NULL };
	const char *forbidden[] = { "image", fx_image, "pin_memory", "on", "cache", "none", NULL };
	struct bed b;

	(void)state;
	assert_int_equal(bed_add(&b, "blk", cached), -EINVAL);
	assert_int_equal(bed_add(&b, "blk", threads), -EINVAL);
	assert_non_null(strstr(uvdpa_error(), "pin_memory"));
	/* Where there is no io_uring threads do not do instead. */
	FAKE_SET(uring_err, -EPERM);
	assert_int_equal(bed_add(&b, "blk", forbidden), HAVE_LIBURING ? -EPERM : -ENOSYS);
	FAKE_SET(uring_err, 0);
}

#define EACH(k)                                                          \
	cmocka_unit_test_prestate(test_durable, (void *)(k)),            \
		cmocka_unit_test_prestate(test_turned_off, (void *)(k)), \
		cmocka_unit_test_prestate(test_pieces, (void *)(k)),     \
		cmocka_unit_test_prestate(test_many, (void *)(k))

int main(void)
{
	static struct fx_kind kinds[] = {
		{ .mgmtdev = "blk", .engine = "threads", .cache = "writeback" },
		{ .mgmtdev = "blk", .engine = "threads", .cache = "writethrough" },
		{ .mgmtdev = "blk", .engine = "threads", .cache = "none" },
		{ .mgmtdev = "blk", .engine = "threads", .cache = "none", .loop = true },
		{ .mgmtdev = "blk", .engine = "threads", .cache = "none", .memory = true },
		{ .mgmtdev = "blk", .engine = "auto", .cache = "writeback", .memory = true },
		{ .mgmtdev = "blk",
		  .engine = "io_uring",
		  .cache = "writeback",
		  .engine_only = true },
		{ .mgmtdev = "blk", .engine = "io_uring", .cache = "writethrough" },
		{ .mgmtdev = "blk", .engine = "io_uring", .cache = "none", .packed = true },
		{ .mgmtdev = "blk", .engine = "io_uring", .cache = "none", .loop = true },
		{ .mgmtdev = "blk", .engine = "io_uring", .cache = "none", .memory = true },
		{ .mgmtdev = "blk", .engine = "io_uring", .cache = "none", .pin = true },
		{ .mgmtdev = "blk",
		  .engine = "io_uring",
		  .cache = "none",
		  .pin = true,
		  .loop = true },
	};
	const struct CMUnitTest tests[] = {
		EACH(&kinds[0]),
		EACH(&kinds[1]),
		EACH(&kinds[2]),
		EACH(&kinds[3]),
		EACH(&kinds[4]),
		EACH(&kinds[5]),
#if HAVE_LIBURING
		EACH(&kinds[6]),
		EACH(&kinds[7]),
		EACH(&kinds[8]),
		EACH(&kinds[9]),
		EACH(&kinds[10]),
		EACH(&kinds[11]),
		EACH(&kinds[12]),
		cmocka_unit_test_prestate(test_other_memory, &kinds[11]),
		cmocka_unit_test_prestate(test_not_allowed, &kinds[11]),
#endif
		cmocka_unit_test(test_big_blocks),
		cmocka_unit_test(test_no_direct),
		cmocka_unit_test(test_pin_errors),
	};

	return cmocka_run_group_tests(tests, fx_image_make, fx_image_remove);
}
