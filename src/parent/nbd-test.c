/* SPDX-License-Identifier: BSD-2-Clause */
/* nbd-test.c - the nbd parent and a server that behaves: nbdkit, with its filters */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "parent/nbd-fx.h"

#define OK     VIRTIO_BLK_S_OK
#define IOERR  VIRTIO_BLK_S_IOERR
#define UNSUPP VIRTIO_BLK_S_UNSUPP

static struct virtio_blk_config config(struct bed *b)
{
	struct virtio_blk_config v;

	assert_int_equal(uvdpa_dev_get_config(b->dev, 0, &v, sizeof(v)), 0);
	return v;
}

static bool offered(struct bed *b, unsigned int feature)
{
	return uvdpa_dev_info(b->dev)->features >> feature & 1;
}

static void test_requests(void **state)
{
	static const uint32_t lens[] = { 512, 4096, 16384, 65536, 1u << 19 };
	static const struct uvdpa_attr size = { "size", "0" };
	struct bed b;

	(void)state;
	fx_serve("memory 4M");
	fx_start(&b, NULL, NULL);
	assert_int_equal(le64toh(config(&b).capacity), FX_SECTORS);
	assert_int_equal(le32toh(config(&b).blk_size), 512);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(lens); i++) {
		assert_int_equal(fx_write(&b, 7 * i, lens[i], i + 1), OK);
		assert_int_equal(fx_read(&b, 7 * i, lens[i], i + 1), OK);
	}
	assert_int_equal(fx_write(&b, FX_SECTORS - 1, 512, 9), OK);
	assert_int_equal(fx_read(&b, FX_SECTORS - 1, 512, 9), OK);
	assert_int_equal(fx_read(&b, FX_SECTORS, 512, 0), IOERR);
	assert_int_equal(fx_write(&b, FX_SECTORS - 1, 1024, 1), IOERR);
	assert_int_equal(fx_write(&b, 0, 0, 0), OK);
	assert_int_equal(fx_flush(&b), OK);
	assert_int_equal(uvdpa_dev_set(b.dev, &size, 1), -EOPNOTSUPP);
	bed_end(&b);
}

static void test_ranges(void **state)
{
	struct bed b;

	(void)state;
	fx_serve("--filter=log memory 4M logfile=$LOG");
	fx_start(&b, NULL, NULL);
	assert_true(offered(&b, VIRTIO_BLK_F_DISCARD) && offered(&b, VIRTIO_BLK_F_WRITE_ZEROES));
	assert_false(offered(&b, VIRTIO_BLK_F_SECURE_ERASE));
	assert_int_equal(config(&b).write_zeroes_may_unmap, 1);
	assert_int_equal(fx_write(&b, 0, 65536, 3), OK);
	assert_int_equal(fx_range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), OK);
	assert_int_equal(fx_logged(" Zero id"), 1);
	assert_int_equal(fx_logged("trim=0 fua="), 1);
	assert_int_equal(
		fx_range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 8, 8, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP),
		OK);
	assert_int_equal(fx_logged("trim=1 fua="), 1);
	assert_int_equal(fx_range(&b, VIRTIO_BLK_T_DISCARD, 16, 8, 0), OK);
	assert_int_equal(fx_logged(" Trim id"), 1);
	assert_int_equal(fx_read(&b, 0, 24 * 512, 0), OK);
	bed_end(&b);
}

/* Data in pieces: small ones, odd ones, large ones, and all sorts together. */
static void test_pieces(void **state)
{
	static const struct {
		uint32_t len[8];
	} cases[] = {
		{ { 4096, 4096, 4096, 4096 } },
		{ { 1, 511 } },
		{ { 700, 324 } },
		{ { 20000, 480 } },
		{ { 16384, 100, 412, 65536 } },
		{ { 65536, 65536, 512, 131072 } },
		{ { 100, 100, 100, 212, 262144, 13, 499 } },
		{ { 300000, 1, 30, 1 } },
	};
	static uint8_t want[1u << 20];
	struct bed b;

	(void)state;
	fx_serve("memory 4M");
	fx_start(&b, NULL, NULL);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		uint64_t hdr = BED_RINGS, at[8], pos = BED_RINGS + 4096 + i;
		struct vd_buf bufs[10] = { { bed_iova(hdr), 16 } };
		struct virtio_blk_outhdr h = { .type = htole32(VIRTIO_BLK_T_OUT),
					       .sector = htole64(5) };
		uint32_t len = 0, n = 0;
		struct vd_done d;

		for (; cases[i].len[n]; n++) {
			at[n] = pos;
			bufs[1 + n] = (struct vd_buf){ bed_iova(pos), cases[i].len[n] };
			pos += cases[i].len[n] + 64; /* not together */
			len += cases[i].len[n];
		}
		assert_int_equal(len % 512, 0);
		bufs[1 + n] = (struct vd_buf){ bed_iova(hdr + 16), 1 };
		fx_pattern(want, len, i + 1);
		for (uint32_t k = 0, done = 0; k < n; done += cases[i].len[k++])
			memcpy(b.mem + at[k], want + done, cases[i].len[k]);
		for (unsigned int rd = 0; rd < 2; rd++) {
			h.type = htole32(rd ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT);
			memcpy(b.mem + hdr, &h, sizeof(h));
			b.mem[hdr + 16] = 0xff;
			for (uint32_t k = 0; rd && k < n; k++)
				memset(b.mem + at[k], 0xee, cases[i].len[k]);
			bed_add_req(&b, 0, bufs, rd ? 1 : 1 + n, rd ? 1 + n : 1);
			assert_int_equal(bed_get(&b, 0, &d, 1, 5000), 1);
			assert_int_equal(b.mem[hdr + 16], OK);
		}
		for (uint32_t k = 0, done = 0; k < n; done += cases[i].len[k++])
			assert_memory_equal(b.mem + at[k], want + done, cases[i].len[k]);
	}
	bed_end(&b);
}

/* What the server says of its blocks is what the driver is told, and keeps commands in bounds. */
static void test_block_sizes(void **state)
{
	static const char *const smaller[] = { "logical_block_size", "512", NULL };
	struct bed b;

	(void)state;
	fx_serve("--filter=blocksize-policy memory 4M blocksize-minimum=4096 "
		 "blocksize-preferred=16384 blocksize-maximum=65536 blocksize-error-policy=error");
	assert_int_equal(fx_add(&b, smaller), -EINVAL);
	assert_non_null(strstr(uvdpa_error(), "logical_block_size is 512"));
	fx_start(&b, NULL, NULL);
	assert_int_equal(le32toh(config(&b).blk_size), 4096);
	assert_int_equal(config(&b).physical_block_exp, 2);
	assert_int_equal(fx_write(&b, 8, 1u << 19, 2), OK); /* in eight commands */
	assert_int_equal(fx_read(&b, 8, 1u << 19, 2), OK);
	assert_int_equal(fx_write(&b, 1, 4096, 2), IOERR);
	assert_int_equal(fx_write(&b, 8, 512, 2), IOERR);
	bed_end(&b);
}

/* What the server cannot, the driver is not offered. */
static void test_abilities(void **state)
{
	static const struct {
		const char *server;
		bool ro, flush, trim, zero;
	} cases[] = {
		{ "-r memory 4M", true, true, false, false },
		{ "--filter=nozero memory 4M", false, true, true, false },
		{ "eval get_size=echo\t4194304 pread=exit\t1 can_write=exit\t0 "
		  "pwrite=cat\t>/dev/null",
		  false, false, false, true },
	};
	struct bed b;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		fx_serve(cases[i].server);
		fx_start(&b, NULL, NULL);
		assert_int_equal(offered(&b, VIRTIO_BLK_F_RO), cases[i].ro);
		assert_int_equal(offered(&b, VIRTIO_BLK_F_FLUSH), cases[i].flush);
		assert_int_equal(offered(&b, VIRTIO_BLK_F_CONFIG_WCE), cases[i].flush);
		assert_int_equal(offered(&b, VIRTIO_BLK_F_DISCARD), cases[i].trim);
		assert_int_equal(offered(&b, VIRTIO_BLK_F_WRITE_ZEROES), cases[i].zero);
		assert_int_equal(fx_write(&b, 0, 512, 1), cases[i].ro ? IOERR : OK);
		assert_int_equal(fx_flush(&b), cases[i].flush ? OK : UNSUPP);
		bed_end(&b);
		fx_kill();
	}
}

/*
 * Durable or not, as the server sees it: with a cache neither FUA nor flush comes with a write;
 * without one there is FUA, or a flush after the write where the server has no FUA.
 */
static void test_durability(void **state)
{
	static const char *const through[] = { "cache", "writethrough", NULL };
	static const struct bed_conf no_flush = { .features_off = 1ull << VIRTIO_BLK_F_FLUSH };
	static const struct {
		const char *fua;
		const char *const *attrs;
		const struct bed_conf *conf;
		unsigned int writes_fua, flushes;
	} cases[] = {
		{ " fuamode=native", NULL, NULL, 0, 0 },
		{ " fuamode=native", NULL, &no_flush, 1, 0 },
		{ " fuamode=native", through, NULL, 1, 0 },
		{ "", NULL, NULL, 0, 0 }, /* none */
		{ "", NULL, &no_flush, 0, 1 },
		{ "", through, NULL, 0, 1 },
	};
	struct bed b;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		char words[200];

		/* The log is in front of the filter, so it sees what we send. */
		snprintf(words, sizeof(words), "--filter=log --filter=fua memory 4M logfile=$LOG%s",
			 cases[i].fua);
		fx_serve(words);
		fx_start(&b, cases[i].attrs, cases[i].conf);
		assert_int_equal(fx_write(&b, 0, 4096, 1), OK);
		assert_int_equal(fx_logged(" Write id"), 1);
		assert_int_equal(fx_logged("fua=1 ..."), cases[i].writes_fua);
		assert_int_equal(fx_logged(" Flush id"), cases[i].flushes);
		assert_int_equal(fx_flush(&b), cases[i].conf ? UNSUPP : OK);
		assert_int_equal(fx_logged(" Flush id"), cases[i].flushes + !cases[i].conf);
		bed_end(&b);
		fx_after(NULL);
	}
}

/* An error of the store is an error of that request, and of no other. */
static void test_errors(void **state)
{
	char words[300], when[80];
	FILE *f;
	struct bed b;

	(void)state;
	snprintf(when, sizeof(when), "%s/now", fx_dir);
	snprintf(words, sizeof(words),
		 "--filter=error memory 4M error-pread=EIO "
		 "error-pwrite=ENOSPC error-trim=EPERM error-zero=EINVAL error-rate=100%% "
		 "error-file=%s",
		 when);
	fx_serve(words);
	fx_start(&b, NULL, NULL);
	for (unsigned int round = 1; round < 4; round++) {
		assert_int_equal(fx_write(&b, 0, 65536, round), OK);
		f = fopen(when, "we");
		assert_non_null(f);
		fclose(f);
		assert_int_equal(fx_write(&b, 0, 4096, 9), IOERR);
		assert_int_equal(fx_read(&b, 0, 4096, 9), IOERR);
		assert_int_equal(fx_range(&b, VIRTIO_BLK_T_DISCARD, 0, 8, 0), IOERR);
		assert_int_equal(fx_range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), IOERR);
		assert_int_equal(fx_flush(&b), OK);
		assert_int_equal(unlink(when), 0);
		assert_int_equal(fx_read(&b, 0, 65536, round), OK);
		assert_int_equal(fx_flush(&b), OK);
	}
	assert_int_equal(uvdpa_dev_status(b.dev), 15);
	bed_end(&b);
}

/* What has no space waits for some, and the driver sees that it takes long. */
static void test_no_space(void **state)
{
	static const char *const pause[] = { "on_enospc", "pause", NULL };
	char words[300], when[80];
	struct bed b;
	struct vd_done d;
	FILE *f;

	(void)state;
	snprintf(when, sizeof(when), "%s/now", fx_dir);
	snprintf(words, sizeof(words),
		 "--filter=error memory 4M error-pwrite=ENOSPC error-rate=100%% error-file=%s",
		 when);
	fx_serve(words);
	fx_start(&b, pause, NULL);
	f = fopen(when, "we");
	assert_non_null(f);
	fclose(f);
	for (unsigned int i = 0; i < 4; i++)
		fx_put(&b, i, VIRTIO_BLK_T_OUT, i * 64, 32768, i + 1);
	assert_int_equal(bed_get(&b, 0, &d, 1, 600), 0);
	assert_int_equal(unlink(when), 0);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(bed_get(&b, 0, &d, 1, 5000), 1);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(fx_status(&b, i), OK);
		assert_int_equal(fx_read(&b, i * 64, 32768, i + 1), OK);
	}
	bed_end(&b);
}

/*
 * Memory that the driver's end took away: no connection could send it, so the request fails and is
 * not tried again and again.
 */
static void test_memory_gone(void **state)
{
	uint64_t hdr = BED_RINGS, data = BED_RINGS + (4u << 20);
	struct virtio_blk_outhdr h = { .type = htole32(VIRTIO_BLK_T_OUT) };
	struct vd_buf bufs[] = { { bed_iova(hdr), 16 },
				 { bed_iova(data), 65536 },
				 { bed_iova(hdr + 16), 1 } };
	struct vd_done d;
	struct bed b;

	(void)state;
	fx_serve("memory 4M");
	fx_start(&b, NULL, NULL);
	assert_int_equal(ftruncate(b.fd, (off_t)data), 0);
	memcpy(b.mem + hdr, &h, sizeof(h));
	b.mem[hdr + 16] = 0xff;
	bed_add_req(&b, 0, bufs, 2, 1);
	assert_int_equal(bed_get(&b, 0, &d, 1, 5000), 1);
	assert_int_equal(b.mem[hdr + 16], IOERR);
	assert_int_equal(ftruncate(b.fd, BED_SIZE), 0);
	assert_int_equal(fx_write(&b, 0, 4096, 1), OK);
	assert_int_equal(fx_read(&b, 0, 4096, 1), OK);
	bed_end(&b);
}

/* A connection for each worker, if the server's flush is for all of them. */
static void test_connections(void **state)
{
	static const char *const four[] = { "num_queues", "4", "workers", "4", NULL };
	static const struct {
		const char *mode;
		unsigned int connections;
	} cases[] = { { "emulate", 4 }, { "disable", 1 } };
	struct bed b;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		char words[200];
		uint8_t data[512] = { 1 };

		snprintf(words, sizeof(words),
			 "--filter=multi-conn --filter=log memory 4M "
			 "multi-conn-mode=%s logfile=$LOG",
			 cases[i].mode);
		fx_serve(words);
		fx_start(&b, four, &(struct bed_conf){ .queues = 4 });
		for (unsigned int q = 0; q < 4; q++) {
			struct bed_io io = { VIRTIO_BLK_T_OUT, q, data, 512, 0 };

			assert_int_equal(bed_io(&b, q, &io), OK);
		}
		assert_int_equal(fx_logged(" Write id"), 4);
		assert_int_equal(fx_logged(" Connect "), cases[i].connections);
		bed_end(&b);
		fx_after(NULL);
	}
}

/* One FLUSH of this server fails, if there is a log to remove. */
#define FLUSH_FAILS                                                                    \
	"eval get_size=echo\t4M pread=head\t-c\t$3\t/dev/zero pwrite=cat\t>/dev/null " \
	"can_write=exit\t0 can_flush=exit\t0 can_fua=echo\tnone "                      \
	"flush=if\trm\t$LOG\t2>/dev/null;then\techo\tENOSPC\t>&2;exit\t1;fi"

static void flush_shall_fail(void)
{
	FILE *f = fopen(fx_log, "w");

	assert_non_null(f);
	fclose(f);
}

/* A server may tell only once what it has lost: no flush after that says otherwise, until reset. */
static void test_flush_failed(void **state)
{
	static const char *const pause[] = { "on_enospc", "pause", NULL };
	static const char *const through[] = { "cache", "writethrough", NULL };
	struct bed b;

	(void)state;
	fx_serve(FLUSH_FAILS);
	fx_start(&b, NULL, NULL);
	assert_int_equal(fx_write(&b, 0, 4096, 1), OK);
	flush_shall_fail();
	assert_int_equal(fx_flush(&b), IOERR);
	assert_int_equal(fx_write(&b, 0, 4096, 1), OK);
	assert_int_equal(fx_flush(&b), IOERR);
	bed_reset(&b);
	bed_start(&b, NULL);
	assert_int_equal(fx_flush(&b), OK);
	bed_end(&b);

	/* It is not what waits for space. */
	fx_start(&b, pause, NULL);
	flush_shall_fail();
	assert_int_equal(fx_flush(&b), IOERR);
	bed_end(&b);

	/* The flush after a write, where there is no FUA. */
	fx_start(&b, through, NULL);
	flush_shall_fail();
	assert_int_equal(fx_write(&b, 0, 4096, 1), IOERR);
	assert_int_equal(fx_write(&b, 0, 4096, 1), OK);
	assert_int_equal(fx_flush(&b), IOERR);
	bed_end(&b);
}

/* Why there is no device, in a sentence without secrets. */
static void test_not_there(void **state)
{
	static const struct {
		const char *attrs[6];
		int err;
		const char *says;
	} cases[] = {
		{ { "socket", "/nowhere/socket" }, -ENOENT, "/nowhere/socket" },
		{ { "uri", "nbd+unix:///?socket=/nowhere/socket" },
		  -ENOENT,
		  "socket=/nowhere/socket" },
		{ { "uri", "nbd://u:geheim@127.0.0.1:1/x" },
		  -ECONNREFUSED,
		  "nbd://127.0.0.1:1/x: " },
		{ { "uri", "nbd://u:geheim@[::1/x" }, -EINVAL, "makes no sense" },
		{ { "uri", "nbd://h/x", "socket", "/s" }, -EINVAL, "not both" },
		{ { "readonly", "on" }, -EINVAL, "neither uri nor socket" },
		{ { "uri", "nbd://h/x", "export", "y" }, -EINVAL, "export goes with socket" },
		{ { "socket", "/s", "tls_username", "u" }, -EINVAL, "tls is off" },
		{ { "uri", "nbd://127.0.0.1:1/x", "tls_username", "u" }, -EINVAL, "tls is off" },
		{ { "uri", "nbds://127.0.0.1:1/x", "tls_username", "u" }, -ECONNREFUSED, "refused" },
		{ { "socket", fx_socket, "export", "other" }, -ENOENT, "other" },
		{ { "socket", fx_socket, "tls", "require" }, -ENOTSUP, "TLS" },
	};
	struct bed b;

	(void)state;
	fx_serve("--filter=exportname memory 4M exportname-strict=true exportname=one");
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		int r = bed_add(&b, "nbd", cases[i].attrs);

		if (r != cases[i].err || !strstr(uvdpa_error(), cases[i].says))
			fail_msg("case %u: %d, %s", i, r, uvdpa_error());
		assert_null(strstr(uvdpa_error(), "geheim"));
	}
	fx_kill();
	fx_serve("memory 1000");
	assert_int_equal(fx_add(&b, NULL), -EINVAL);
	assert_non_null(strstr(uvdpa_error(), "1000 bytes, not a multiple of 512"));
}

#define TEST(t) cmocka_unit_test_teardown(t, fx_after)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_requests),    TEST(test_ranges),    TEST(test_pieces),
		TEST(test_block_sizes), TEST(test_abilities), TEST(test_durability),
		TEST(test_errors),      TEST(test_no_space),  TEST(test_memory_gone),
		TEST(test_connections), TEST(test_not_there), TEST(test_flush_failed),
	};

	return fx_check() ? 77 : cmocka_run_group_tests(tests, fx_begin, fx_end);
}
