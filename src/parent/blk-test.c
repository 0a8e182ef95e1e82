/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-test.c - every kind of request on every block parent, engine and ring layout */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"
#include "config.h"
#include "softdev/blk-bed.h"

#if HAVE_LIBURING
#include <liburing.h>
#endif

#define DISK (1u << 20)
#define SECTORS (DISK / 512)

struct kind {
	const char *mgmtdev;
	const char *engine;	/* NULL: sim-blk has none */
	bool packed;
	bool engine_only;	/* the worker does nothing at once */
};

/* ---- the system calls, as the device under test sees them; atomic --------------------------- */

static struct {
	bool no_nowait;		/* everything would wait */
	bool bits;		/* I/O ends after 1000 bytes, or is interrupted */
	int sync_err;		/* errno of fdatasync() */
	int uring_err;		/* -errno of making an io_uring */
	unsigned int calls, syncs, dsyncs;
} fake;

#define FAKE(f) __atomic_load_n(&fake.f, __ATOMIC_RELAXED)
#define FAKE_SET(f, v) __atomic_store_n(&fake.f, v, __ATOMIC_RELAXED)
#define FAKE_ADD(f) __atomic_fetch_add(&fake.f, 1, __ATOMIC_RELAXED)

static ssize_t fake_io(long nr, int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	struct iovec bit;

	if (flags & RWF_NOWAIT && FAKE(no_nowait)) {
		errno = EAGAIN;
		return -1;
	}
	if (FAKE(bits)) {
		if (FAKE_ADD(calls) % 2) {
			errno = EINTR;
			return -1;
		}
		bit = (struct iovec){ iov->iov_base, vd_min(iov->iov_len, (size_t)1000) };
		return syscall(nr, fd, &bit, 1, off, 0, flags);
	}
	return syscall(nr, fd, iov, n, off, 0, flags);
}

ssize_t preadv(int fd, const struct iovec *iov, int n, off_t off)
{
	return fake_io(SYS_preadv2, fd, iov, n, off, 0);
}

ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	return fake_io(SYS_preadv2, fd, iov, n, off, flags);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	if (flags & RWF_DSYNC)
		FAKE_ADD(dsyncs);
	return fake_io(SYS_pwritev2, fd, iov, n, off, flags);
}

int fdatasync(int fd)
{
	FAKE_ADD(syncs);
	if (FAKE(sync_err)) {
		errno = FAKE(sync_err);
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

#if HAVE_LIBURING
int io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
			       struct io_uring_params *p)
{
	static int (*real)(unsigned int, struct io_uring *, struct io_uring_params *);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "io_uring_queue_init_params");
	return FAKE(uring_err) ? FAKE(uring_err) : real(entries, ring, p);
}
#endif

/* ---- requests ------------------------------------------------------------------------------- */

static char image[] = "/tmp/blk-test-XXXXXX";

static int make_image(void **state)
{
	int fd = mkstemp(image);

	(void)state;
	if (fd < 0 || ftruncate(fd, DISK))
		return -1;
	close(fd);
	return 0;
}

static int remove_image(void **state)
{
	(void)state;
	return unlink(image);
}

/* @more: further options, or NULL. */
static int add_with(struct bed *b, const struct kind *k, const char *const *more)
{
	const char *attrs[32];
	unsigned int n = 0;

	memset(&fake, 0, sizeof(fake));
	FAKE_SET(no_nowait, k->engine_only);
	if (k->engine) {
		attrs[n++] = "image";
		attrs[n++] = image;
		attrs[n++] = "engine";
		attrs[n++] = k->engine;
	} else {
		attrs[n++] = "capacity";
		attrs[n++] = "1M";
	}
	while (more && *more)
		attrs[n++] = *more++;
	attrs[n] = NULL;
	return bed_add(b, k->mgmtdev, attrs);
}

static void begin(struct bed *b, const struct kind *k, const char *const *more,
		  const struct bed_conf *c)
{
	struct bed_conf conf = c ? *c : (struct bed_conf){ 0 };

	conf.packed = k->packed;
	assert_int_equal(add_with(b, k, more), 0);
	bed_start(b, &conf);
}

static void pattern(uint8_t *to, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

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
		{ VIRTIO_BLK_T_SCSI_CMD, 96, 0, VIRTIO_BLK_S_UNSUPP },	/* CVE-2026-48914 */
		{ VIRTIO_BLK_T_DISCARD, 16, 0, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 16, 0, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_BARRIER, 512, 0, VIRTIO_BLK_S_UNSUPP },
		{ 0xffffffff, 512, 0, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_IN, 0, 0, VIRTIO_BLK_S_OK },
		{ VIRTIO_BLK_T_OUT, 0, 0, VIRTIO_BLK_S_OK },
	};
	struct bed b;
	struct bed_io io;

	begin(&b, *state, NULL, NULL);
	pattern(out, sizeof(out), 1);
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
	assert_int_equal(bed_stat(&b, 0, "errors"), 7);
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
		{ 0, 512, 0 }, { SECTORS - 1, 512, 0 }, { SECTORS - 8, 4096, 0 },
		{ SECTORS - 7, 4096, 1 }, { SECTORS, 512, 1 }, { SECTORS, 0, 0 },
		{ SECTORS + 1, 0, 1 }, { SECTORS + 1, 512, 1 }, { UINT64_MAX, 512, 1 },
		{ UINT64_MAX, 1024, 1 }, { UINT64_MAX / 512, 512, 1 },
		{ UINT64_MAX / 512 + 1, 512, 1 }, { 1ull << 55, 512, 1 },
		{ 0, 511, 1 }, { 0, 513, 1 }, { 0, 1, 1 }, { SECTORS - 1, 513, 1 },
	};
	struct bed b;

	begin(&b, *state, NULL, NULL);
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

	begin(&b, *state, NULL, NULL);
	for (unsigned int cut = 1; cut <= 16; cut++) {
		const uint64_t at = BED_RINGS;
		struct virtio_blk_outhdr hdr = { .type = htole32(VIRTIO_BLK_T_OUT), .sector = htole64(cut) };
		uint8_t want[1536];
		struct vd_buf bufs[40];
		struct vd_done done;
		unsigned int n = 0, in;

		/* Out: header in pieces of @cut bytes; the last is one piece with odd data. */
		pattern(want, sizeof(want), cut);
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

	begin(&b, *state, NULL, NULL);
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

	assert_int_equal(add_with(&b, *state, bad), -EINVAL);
	begin(&b, *state, attrs, NULL);
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

	begin(&b, *state, attrs, &no_ro);
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

	begin(&b, *state, NULL, &no_flush);
	assert_int_equal(bed_io(&b, 0, &wr), VIRTIO_BLK_S_OK);
	assert_int_equal(bed_io(&b, 0, &fl), VIRTIO_BLK_S_UNSUPP);
	bed_reset(&b);
	bed_start(&b, NULL);
	assert_int_equal(bed_io(&b, 0, &fl), VIRTIO_BLK_S_OK);
	bed_end(&b);
}

static void test_config(void **state)
{
	static const char *const attrs[] = { "queues", "4", "queue_size", "32", NULL };
	struct virtio_blk_config cfg;
	struct bed b;

	begin(&b, *state, attrs, &(struct bed_conf){ .num = 32 });
	assert_int_equal(uvdpa_dev_info(b.dev)->config_size, sizeof(cfg));
	assert_int_equal(uvdpa_dev_get_config(b.dev, 0, &cfg, sizeof(cfg)), 0);
	assert_int_equal(le64toh(cfg.capacity), SECTORS);
	assert_int_equal(le32toh(cfg.blk_size), 512);
	assert_int_equal(le32toh(cfg.seg_max), 30);
	assert_int_equal(le16toh(cfg.num_queues), 4);
	assert_int_equal(uvdpa_dev_set_config(b.dev, offsetof(struct virtio_blk_config, wce), &cfg.wce, 1),
			 -EOPNOTSUPP);
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
		pattern(l->b->mem + at + 1024, 1024, l->slot[q][s].gen);
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
		pattern(want, sizeof(want), l->slot[q][s].gen++);
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

static void test_queues(void **state)
{
	static const char *const attrs[] = { "queues", "4", "workers", "2", "poll_us", "50", NULL };
	struct load l = { 0 };
	struct bed b;

	begin(&b, *state, attrs, &(struct bed_conf){ .queues = 4, .num = 128 });
	l.b = &b;
	load_run(&l, 1200);
	load_drain(&l);
	for (unsigned int q = 0; q < 4; q++)
		assert_true(bed_stat(&b, q, "requests") >= 100);
	bed_end(&b);
}

/* Suspend in the middle of work: nothing is lost or done twice, nothing moves while suspended. */
static void test_suspend_under_load(void **state)
{
	static const char *const attrs[] = { "queues", "2", "workers", "2", NULL };
	struct load l = { 0 };
	struct bed b;

	begin(&b, *state, attrs, &(struct bed_conf){ .queues = 2, .num = 128 });
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
	static const char *const attrs[] = { "queues", "2", "workers", "2", NULL };
	struct load l;
	struct bed b;

	assert_int_equal(add_with(&b, *state, attrs), 0);
	for (unsigned int i = 0; i < 20; i++) {
		static uint8_t copy[2 * SLOTS * SLOT];

		bed_start(&b, &(struct bed_conf){ .queues = 2, .num = 128,
						  .packed = ((const struct kind *)*state)->packed });
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

/* ---- the image -------------------------------------------------------------------------------- */

static void test_add_errors(void **state)
{
	char dir[] = "/tmp/blk-test-dir-XXXXXX", path[128];
	static const struct {
		const char *name;
		long long size;	/* -1: not made; -2: a FIFO; -3: a directory; -4: a character device */
		int err;
		const char *says;
	} cases[] = {
		{ "none", -1, -ENOENT, "none" },     { "fifo", -2, -EINVAL, "neither" },
		{ "dir", -3, -EISDIR, "directory" }, { "empty", 0, -EINVAL, "empty" },
		{ "odd", 1025, -EINVAL, "1025" },    { "less", 511, -EINVAL, "511" },
		{ "/dev/null", -4, -EINVAL, "neither" },
	};

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		const char *attrs[] = { "image", path, NULL };
		struct bed b;

		snprintf(path, sizeof(path), "%s/%s", dir, cases[i].name);
		if (cases[i].size == -4)
			snprintf(path, sizeof(path), "%s", cases[i].name);
		else if (cases[i].size == -2)
			assert_int_equal(mkfifo(path, 0600), 0);
		else if (cases[i].size == -3)
			assert_int_equal(mkdir(path, 0700), 0);
		else if (cases[i].size >= 0)
			assert_int_equal(truncate((close(open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)), path),
						  cases[i].size), 0);
		assert_int_equal(bed_add(&b, "blk", attrs), cases[i].err);
		assert_non_null(strstr(uvdpa_error(), cases[i].says));
		if (cases[i].size != -4)
			remove(path);
	}
	rmdir(dir);
}

/* One writer, or many readers. */
static void test_lock(void **state)
{
	const char *rw[] = { "image", image, NULL };
	const char *ro[] = { "image", image, "readonly", "on", NULL };
	struct uvdpa_attr rwa = { "image", image }, roa[] = { { "image", image }, { "readonly", "on" } };
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "d1", .mgmtdev = "blk" };
	struct uvdpa_dev *dev;
	struct bed b;

	(void)state;
	assert_int_equal(bed_add(&b, "blk", rw), 0);
	o.attrs = &rwa;
	o.nattrs = 1;
	assert_int_equal(uvdpa_dev_add(b.u, &o, &dev, NULL), -EBUSY);
	assert_non_null(strstr(uvdpa_error(), image));
	o.attrs = roa;
	o.nattrs = 2;
	assert_int_equal(uvdpa_dev_add(b.u, &o, &dev, NULL), -EBUSY);
	bed_end(&b);

	assert_int_equal(bed_add(&b, "blk", ro), 0);
	assert_int_equal(uvdpa_dev_add(b.u, &o, &dev, NULL), 0);
	o.name = "d2";
	o.attrs = &rwa;
	o.nattrs = 1;
	assert_int_equal(uvdpa_dev_add(b.u, &o, &dev, NULL), -EBUSY);
	bed_end(&b);
}

/* Somebody truncates the image: reads behind its end fail, the rest goes on. */
static void test_truncated(void **state)
{
	static uint8_t data[4096];
	struct bed_io wr = { VIRTIO_BLK_T_OUT, 0, data, 4096, 0 };
	struct bed_io low = { VIRTIO_BLK_T_IN, 0, data, 4096, 0 };
	struct bed_io high = { VIRTIO_BLK_T_IN, SECTORS - 8, data, 4096, 0 };
	struct bed_io half = { VIRTIO_BLK_T_IN, SECTORS / 2 - 4, data, 4096, 0 };
	struct bed b;

	begin(&b, *state, NULL, NULL);
	pattern(data, sizeof(data), 5);
	assert_int_equal(bed_io(&b, 0, &wr), VIRTIO_BLK_S_OK);
	assert_int_equal(truncate(image, DISK / 2), 0);
	assert_int_equal(bed_io(&b, 0, &high), VIRTIO_BLK_S_IOERR);
	assert_int_equal(high.used, 4097);
	assert_int_equal(bed_io(&b, 0, &half), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bed_io(&b, 0, &low), VIRTIO_BLK_S_OK);
	assert_int_equal(truncate(image, DISK), 0);
	assert_int_equal(bed_io(&b, 0, &high), VIRTIO_BLK_S_OK);
	bed_end(&b);
}

/* CH 1216, SPDK 3572, Firecracker 2172: what is acknowledged, and how it was made durable. */
static void test_durable(void **state)
{
	static const struct {
		bool flush;
		unsigned int dsyncs, syncs;	/* of three writes and a flush */
		uint8_t status;
	} cases[] = { { true, 0, 1, VIRTIO_BLK_S_OK }, { false, 3, 0, VIRTIO_BLK_S_UNSUPP } };
	uint8_t data[512] = { 3 };
	struct bed b;

	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct bed_io wr = { VIRTIO_BLK_T_OUT, 1, data, 512, 0 };
		struct bed_io fl = { VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0 };

		begin(&b, *state, NULL, &(struct bed_conf){
			.features_off = cases[i].flush ? 0 : 1ull << VIRTIO_BLK_F_FLUSH });
		for (unsigned int j = 0; j < 3; j++)
			assert_int_equal(bed_io(&b, 0, &wr), VIRTIO_BLK_S_OK);
		assert_int_equal(bed_io(&b, 0, &fl), cases[i].status);
		assert_int_equal(FAKE(dsyncs), cases[i].dsyncs);
		assert_int_equal(FAKE(syncs), cases[i].syncs);
		bed_end(&b);
	}
}

/* The kernel tells of a lost write once; the driver is told until it resets the device. */
static void test_flush_failed(void **state)
{
	uint8_t data[512] = { 4 };
	struct bed_io wr = { VIRTIO_BLK_T_OUT, 1, data, 512, 0 };
	struct bed_io fl = { VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0 };
	struct bed b;

	begin(&b, *state, NULL, NULL);
	FAKE_SET(sync_err, EIO);
	assert_int_equal(bed_io(&b, 0, &fl), VIRTIO_BLK_S_IOERR);
	FAKE_SET(sync_err, 0);
	assert_int_equal(bed_io(&b, 0, &fl), VIRTIO_BLK_S_IOERR);
	assert_int_equal(FAKE(syncs), 1);
	assert_int_equal(bed_io(&b, 0, &wr), VIRTIO_BLK_S_OK);
	bed_suspend(&b);
	bed_resume(&b);
	assert_int_equal(bed_io(&b, 0, &fl), VIRTIO_BLK_S_IOERR);
	bed_reset(&b);
	bed_start(&b, NULL);
	assert_int_equal(bed_io(&b, 0, &fl), VIRTIO_BLK_S_OK);
	bed_end(&b);
}

/* Short and interrupted system calls are gone on with. */
static void test_bits(void **state)
{
	static uint8_t out[65536], in[65536];
	struct bed_io wr = { VIRTIO_BLK_T_OUT, 5, out, sizeof(out), 0 };
	struct bed_io rd = { VIRTIO_BLK_T_IN, 5, in, sizeof(in), 0 };
	struct bed b;

	begin(&b, *state, NULL, NULL);
	FAKE_SET(bits, true);
	pattern(out, sizeof(out), 9);
	assert_int_equal(bed_io(&b, 0, &wr), VIRTIO_BLK_S_OK);
	assert_int_equal(bed_io(&b, 0, &rd), VIRTIO_BLK_S_OK);
	assert_memory_equal(in, out, sizeof(in));
	FAKE_SET(bits, false);
	memset(in, 0, sizeof(in));
	assert_int_equal(bed_io(&b, 0, &rd), VIRTIO_BLK_S_OK);
	assert_memory_equal(in, out, sizeof(in));
	bed_end(&b);
}

static unsigned int said_threads;

static void hear(enum uvdpa_log_level level, const char *line)
{
	(void)level;
	if (strstr(line, "threads instead"))
		said_threads++;
}

/* A container that forbids io_uring. */
static void test_no_uring(void **state)
{
	const char *attrs[] = { "image", image, "engine", "auto", NULL };
	uint8_t data[512] = { 6 };
	struct bed_io wr = { VIRTIO_BLK_T_OUT, 1, data, 512, 0 };
	struct uvdpa_attr a[] = { { "image", image }, { "engine", "auto" }, { "workers", "2" },
				  { "queues", "2" } };
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "d1", .mgmtdev = "blk",
				    .attrs = a, .nattrs = 4 };
	struct uvdpa_dev *dev;
	struct uvdpa *u;
	struct bed b;

	(void)state;
	memset(&fake, 0, sizeof(fake));
	FAKE_SET(uring_err, -EPERM);
	FAKE_SET(no_nowait, true);
	assert_int_equal(bed_add(&b, "blk", attrs), 0);
	bed_start(&b, NULL);
	assert_int_equal(bed_io(&b, 0, &wr), VIRTIO_BLK_S_OK);
	bed_end(&b);

	assert_int_equal(uvdpa_create(&u), 0);
	uvdpa_set_log(u, hear, UVDPA_LOG_INFO);
	assert_int_equal(uvdpa_dev_add(u, &o, &dev, NULL), 0);
	assert_int_equal(said_threads, 1);	/* not for each worker */
	uvdpa_destroy(u);
	attrs[3] = "io_uring";
	assert_int_equal(bed_add(&b, "blk", attrs), HAVE_LIBURING ? -EPERM : -ENOSYS);
	FAKE_SET(uring_err, 0);
}

/* A full disk: a tmpfs of our own where that is allowed. */
static void test_disk_full(void **state)
{
	const struct kind *k = *state;
	char dir[] = "/tmp/blk-test-full-XXXXXX", path[64];
	const char *attrs[] = { "image", path, "engine", k->engine, NULL };
	static uint8_t data[262144];
	unsigned int failed = 0;
	struct bed b;

	if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS))
		skip();
	assert_non_null(mkdtemp(dir));
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", dir, "tmpfs", 0, "size=1M")) {
		rmdir(dir);
		skip();
	}
	snprintf(path, sizeof(path), "%s/img", dir);
	close(open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
	assert_int_equal(truncate(path, 4 << 20), 0);
	memset(&fake, 0, sizeof(fake));
	FAKE_SET(no_nowait, k->engine_only);
	assert_int_equal(bed_add(&b, "blk", attrs), 0);
	bed_start(&b, NULL);
	for (uint64_t i = 0; i < 16; i++) {
		struct bed_io wr = { VIRTIO_BLK_T_OUT, i * 512, data, sizeof(data), 0 };

		failed += bed_io(&b, 0, &wr) == VIRTIO_BLK_S_IOERR;
	}
	assert_in_range(failed, 12, 13);	/* of 16, 3 or 4 fit */
	for (uint64_t i = 0; i < 3; i++) {
		struct bed_io wr = { VIRTIO_BLK_T_OUT, i * 512, data, sizeof(data), 0 };
		struct bed_io rd = { VIRTIO_BLK_T_IN, i * 512, data, sizeof(data), 0 };

		assert_int_equal(bed_io(&b, 0, &wr), VIRTIO_BLK_S_OK);
		assert_int_equal(bed_io(&b, 0, &rd), VIRTIO_BLK_S_OK);
	}
	bed_end(&b);
	unlink(path);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
}

/* What a file may grow to is limited for us as a full disk limits it: EFBIG in place of ENOSPC. */
static void test_no_space(void **state)
{
	static uint8_t data[4096];
	struct rlimit old, low = { DISK / 2, DISK };
	struct bed_io ok = { VIRTIO_BLK_T_OUT, 0, data, 4096, 0 };
	struct bed_io full = { VIRTIO_BLK_T_OUT, SECTORS / 2 + 8, data, 4096, 0 };
	struct bed b;

	getrlimit(RLIMIT_FSIZE, &old);
	low.rlim_max = old.rlim_max;
	begin(&b, *state, NULL, NULL);
	assert_int_equal(bed_io(&b, 0, &full), VIRTIO_BLK_S_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	assert_int_equal(bed_io(&b, 0, &full), VIRTIO_BLK_S_IOERR);
	assert_int_equal(bed_io(&b, 0, &ok), VIRTIO_BLK_S_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(bed_io(&b, 0, &full), VIRTIO_BLK_S_OK);
	bed_end(&b);
}

#define COMMON(k)                                                                          \
	cmocka_unit_test_prestate(test_types, (void *)(k)),                                \
	cmocka_unit_test_prestate(test_edges, (void *)(k)),                                \
	cmocka_unit_test_prestate(test_layouts, (void *)(k)),                              \
	cmocka_unit_test_prestate(test_nonsense, (void *)(k)),                             \
	cmocka_unit_test_prestate(test_serial, (void *)(k)),                               \
	cmocka_unit_test_prestate(test_readonly, (void *)(k)),                             \
	cmocka_unit_test_prestate(test_flush_not_negotiated, (void *)(k)),                 \
	cmocka_unit_test_prestate(test_config, (void *)(k)),                               \
	cmocka_unit_test_prestate(test_queues, (void *)(k)),                               \
	cmocka_unit_test_prestate(test_suspend_under_load, (void *)(k)),                   \
	cmocka_unit_test_prestate(test_reset_under_load, (void *)(k))

#define FILE_ONLY(k)                                                                       \
	cmocka_unit_test_prestate(test_disk_full, (void *)(k)),                            \
	cmocka_unit_test_prestate(test_truncated, (void *)(k)),                            \
	cmocka_unit_test_prestate(test_no_space, (void *)(k))

int main(void)
{
	static struct kind kinds[] = {
		{ "sim-blk", NULL, false, false }, { "sim-blk", NULL, true, false },
		{ "blk", "auto", false, false },   { "blk", "auto", true, false },
		{ "blk", "threads", false, true }, { "blk", "threads", true, true },
		{ "blk", "io_uring", false, true }, { "blk", "io_uring", true, true },
	};
	const struct CMUnitTest tests[] = {
		COMMON(&kinds[0]),
		COMMON(&kinds[1]),
		COMMON(&kinds[2]),
		COMMON(&kinds[3]),
		COMMON(&kinds[4]),
		COMMON(&kinds[5]),
		FILE_ONLY(&kinds[2]),
		FILE_ONLY(&kinds[4]),
#if HAVE_LIBURING
		COMMON(&kinds[6]),
		COMMON(&kinds[7]),
		FILE_ONLY(&kinds[6]),
#endif
		cmocka_unit_test_prestate(test_durable, &kinds[4]),
		cmocka_unit_test_prestate(test_flush_failed, &kinds[4]),
		cmocka_unit_test_prestate(test_bits, &kinds[2]),
		cmocka_unit_test_prestate(test_bits, &kinds[4]),
		cmocka_unit_test(test_no_uring),
		cmocka_unit_test(test_add_errors),
		cmocka_unit_test(test_lock),
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, make_image, remove_image);
}
