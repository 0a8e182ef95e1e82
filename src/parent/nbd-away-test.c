/* SPDX-License-Identifier: BSD-2-Clause */
/* nbd-away-test.c - the nbd parent and a server that dies, hangs, and comes back as another */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "parent/nbd-fx.h"
#include "parent/nbd.h"

#define OK    VIRTIO_BLK_S_OK
#define IOERR VIRTIO_BLK_S_IOERR

static const char *const kept[] = { "server_cache", "kept", NULL };

static void serve_image(void)
{
	char words[128];

	snprintf(words, sizeof(words), "file %s", fx_image);
	fx_serve(words);
}

/* As by a crash, and back at once. */
static void restart_image(void)
{
	fx_kill();
	serve_image();
}

/* @n requests come back. */
static void come_home(struct bed *b, unsigned int n)
{
	struct vd_done d[64];

	while (n) {
		int got = bed_get(b, 0, d, n, 10000);

		assert_true(got > 0);
		n -= (unsigned int)got;
	}
}

/* Nothing comes back within @ms. */
static void nothing_for(struct bed *b, int ms)
{
	struct vd_done d;

	assert_int_equal(bed_get(b, 0, &d, 1, ms), 0);
}

/* Requests that were not answered are done again; the driver sees that it takes long. */
static void test_killed_under_load(void **state)
{
	char words[200];
	struct bed b;

	(void)state;
	fx_image_make();
	snprintf(words, sizeof(words), "--filter=delay file %s delay-write=200ms", fx_image);
	fx_serve(words);
	fx_start(&b, kept, NULL);
	for (unsigned int round = 0; round < 3; round++) {
		if (round == 1)
			fx_signal(SIGTERM); /* it says that it shuts down, or nothing at all */
		for (unsigned int i = 0; i < 20; i++)
			fx_put(&b, i, VIRTIO_BLK_T_OUT, i * 16, 8192, 1 + round * 20 + i);
		nothing_for(&b, 100);
		fx_kill();
		nothing_for(&b, 300);
		if (round == 2)
			serve_image();
		else
			fx_serve(words);
		come_home(&b, 20);
		for (unsigned int i = 0; i < 20; i++) {
			assert_int_equal(fx_status(&b, i), OK);
			assert_int_equal(fx_read(&b, i * 16, 8192, 1 + round * 20 + i), OK);
		}
	}
	assert_int_equal(fx_flush(&b), OK);
	bed_end(&b);
}

static void test_killed_with_connections(void **state)
{
	static const char *const four[] = { "num_queues",   "4",    "workers", "4",
					    "server_cache", "kept", NULL };
	struct bed b;

	(void)state;
	fx_image_make();
	serve_image();
	fx_start(&b, four, &(struct bed_conf){ .queues = 4 });
	for (unsigned int round = 1; round < 5; round++) {
		for (unsigned int q = 0; q < 4; q++) {
			uint8_t data[512], back[512];
			struct bed_io wr = { VIRTIO_BLK_T_OUT, q, data, 512, 0 };
			struct bed_io rd = { VIRTIO_BLK_T_IN, q, back, 512, 0 };
			struct bed_io fl = { VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0 };

			fx_pattern(data, sizeof(data), round * 4 + q);
			assert_int_equal(bed_io(&b, q, &wr), OK);
			assert_int_equal(bed_io(&b, 3 - q, &rd), OK);
			assert_memory_equal(data, back, 512);
			assert_int_equal(bed_io(&b, 3 - q, &fl), OK);
		}
		restart_image();
	}
	bed_end(&b);
}

static uint64_t n_lost;

static void emit_num(struct uvdpa_emit *e, const char *key, uint64_t value)
{
	(void)e;
	if (!strcmp(key, "connections_lost"))
		n_lost = value;
}

static void emit_str(struct uvdpa_emit *e, const char *key, const char *value)
{
	(void)e, (void)key, (void)value;
}

static void emit_flag(struct uvdpa_emit *e, const char *key, bool value)
{
	(void)e, (void)key, (void)value;
}

/* Connections lost so far, as the device shows. */
static uint64_t lost(struct bed *b)
{
	struct uvdpa_emit e = { .str = emit_str, .num = emit_num, .flag = emit_flag };

	uvdpa_dev_show(b->dev, &e);
	return n_lost;
}

/* What was answered and not flushed may be lost with the server: no flush after it says otherwise.
 */
static void test_lost_writes(void **state)
{
	struct bed b;

	(void)state;
	fx_image_make();
	serve_image();
	fx_start(&b, NULL, NULL);

	/* All that was answered was flushed. */
	assert_int_equal(fx_write(&b, 0, 4096, 1), OK);
	assert_int_equal(fx_flush(&b), OK);
	restart_image();
	assert_int_equal(fx_read(&b, 0, 4096, 1), OK);
	assert_int_equal(fx_flush(&b), OK);

	/* Not all; and it stays so. */
	assert_int_equal(fx_write(&b, 0, 4096, 2), OK);
	restart_image();
	assert_int_equal(fx_write(&b, 0, 4096, 3), OK);
	assert_int_equal(fx_flush(&b), IOERR);
	assert_int_equal(fx_read(&b, 0, 4096, 3), OK);
	assert_int_equal(fx_flush(&b), IOERR);

	/* Until reset. What was lost then is not lost again. */
	bed_reset(&b);
	bed_start(&b, NULL);
	assert_int_equal(fx_flush(&b), OK);
	restart_image();
	assert_int_equal(fx_read(&b, 0, 4096, 3), OK);
	assert_int_equal(fx_flush(&b), OK);

	/* One driver's are not the next one's trouble, unless the server goes in its time. */
	assert_int_equal(fx_write(&b, 0, 4096, 4), OK);
	bed_reset(&b);
	restart_image();
	while (lost(&b) < 4)
		uvdpa_dispatch(b.u, 10);
	bed_start(&b, NULL);
	assert_int_equal(fx_read(&b, 0, 4096, 4), OK);
	assert_int_equal(fx_flush(&b), OK);
	bed_end(&b);
}

/* Nothing is lost with a server that keeps it, or where each write was durable. */
static void test_nothing_lost(void **state)
{
	static const char *const through[] = { "cache", "writethrough", NULL };
	static const char *const *const attrs[] = { kept, through };
	struct bed b;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(attrs); i++) {
		fx_image_make();
		serve_image();
		fx_start(&b, attrs[i], NULL);
		assert_int_equal(fx_write(&b, 0, 4096, 1), OK);
		restart_image();
		assert_int_equal(fx_flush(&b), OK);
		assert_int_equal(fx_read(&b, 0, 4096, 1), OK);
		bed_end(&b);
		fx_kill();
	}
}

/* A flush that is under way when the server goes: good again, or not, as the writes before it. */
static void test_flush_under_way(void **state)
{
	struct bed b;

	(void)state;
	fx_image_make();
	for (unsigned int wrote = 0; wrote < 2; wrote++) {
		serve_image();
		fx_start(&b, NULL, NULL);
		if (wrote)
			assert_int_equal(fx_write(&b, 0, 512, 1), OK);
		fx_signal(SIGSTOP);
		fx_put(&b, 0, VIRTIO_BLK_T_FLUSH, 0, 0, 0);
		nothing_for(&b, 100);
		restart_image();
		come_home(&b, 1);
		assert_int_equal(fx_status(&b, 0), wrote ? IOERR : OK);
		bed_end(&b);
		fx_kill();
	}
}

static uint64_t capacity(struct bed *b)
{
	struct virtio_blk_config v;

	assert_int_equal(uvdpa_dev_get_config(b->dev, 0, &v, sizeof(v)), 0);
	return le64toh(v.capacity);
}

/* It comes back larger, then smaller. */
static void test_size(void **state)
{
	uint32_t generation;
	struct bed b;

	(void)state;
	fx_serve("memory 4M");
	fx_start(&b, NULL, NULL);
	generation = uvdpa_dev_generation(b.dev);
	fx_kill();
	fx_serve("memory 6M");
	assert_int_equal(fx_read(&b, 0, 512, 0), OK);
	assert_int_equal(capacity(&b), 6 << 11);
	assert_true(uvdpa_dev_generation(b.dev) != generation);
	assert_int_equal(fx_write(&b, 5 << 11, 512, 1), OK);
	fx_kill();
	fx_serve("memory 2M");
	assert_int_equal(fx_read(&b, 0, 512, 0), OK);
	assert_int_equal(capacity(&b), 2 << 11);
	assert_int_equal(fx_write(&b, 5 << 11, 512, 1), IOERR);
	bed_end(&b);
}

/* One that comes back as less than it was is not the same disk, and is not used. */
static void test_less_able(void **state)
{
	static const char *const less[] = {
		"-r memory 4M",
		"--filter=nozero memory 4M",
		"memory 1000",
		"--filter=blocksize-policy memory 4M blocksize-minimum=4096 "
		"blocksize-preferred=4096 "
		"blocksize-maximum=1M",
	};
	struct bed b;

	(void)state;
	fx_serve("memory 4M");
	fx_start(&b, NULL, NULL);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(less); i++) {
		fx_kill();
		fx_serve(less[i]);
		fx_put(&b, 0, VIRTIO_BLK_T_OUT, 0, 512, 1);
		nothing_for(&b, 200);
		fx_kill();
		fx_serve("memory 4M");
		come_home(&b, 1);
		assert_int_equal(fx_status(&b, 0), OK);
	}
	bed_end(&b);
}

static void suspend_in_time(struct bed *b)
{
	uint64_t began = vd_now_ns();

	bed_suspend(b);
	assert_in_range((vd_now_ns() - began) / 1000000, VD_NBD_QUIET_MS - 50,
			UVDPA_DRAIN_MS - 100);
}

/* Nobody knows when it comes back, so what waits for it ends when its queue is to be quiet. */
static void test_quiet_without_server(void **state)
{
	struct bed b;

	(void)state;
	fx_serve("memory 4M");
	fx_start(&b, NULL, NULL);
	fx_kill();
	fx_put(&b, 0, VIRTIO_BLK_T_OUT, 0, 512, 1);
	fx_put(&b, 1, VIRTIO_BLK_T_IN, 0, 512, 1);
	nothing_for(&b, 100);
	suspend_in_time(&b);
	come_home(&b, 2);
	assert_int_equal(fx_status(&b, 0), IOERR);
	assert_int_equal(fx_status(&b, 1), IOERR);
	bed_resume(&b);
	fx_put(&b, 0, VIRTIO_BLK_T_OUT, 8, 512, 2);
	nothing_for(&b, 100);
	fx_serve("memory 4M");
	come_home(&b, 1);
	assert_int_equal(fx_read(&b, 8, 512, 2), OK);
	bed_end(&b);
}

/* The same of one that is there and says nothing. */
static void test_quiet_hanging(void **state)
{
	struct bed b;

	(void)state;
	fx_serve("memory 4M");
	fx_start(&b, NULL, NULL);
	assert_int_equal(fx_write(&b, 0, 512, 1), OK);
	fx_signal(SIGSTOP);
	fx_put(&b, 0, VIRTIO_BLK_T_IN, 0, 512, 9);
	nothing_for(&b, 100);
	suspend_in_time(&b);
	come_home(&b, 1);
	assert_int_equal(fx_status(&b, 0), IOERR);
	bed_resume(&b);
	fx_signal(SIGCONT);
	assert_int_equal(fx_read(&b, 0, 512, 1), OK);
	bed_end(&b);
}

/* Reset and removal have a bound, whatever the server does. */
static void test_removed_without_server(void **state)
{
	uint64_t began;
	struct bed b;

	(void)state;
	for (unsigned int hangs = 0; hangs < 2; hangs++) {
		fx_serve("memory 4M");
		fx_start(&b, NULL, NULL);
		if (hangs)
			fx_signal(SIGSTOP);
		else
			fx_kill();
		for (unsigned int i = 0; i < 20; i++)
			fx_put(&b, i, VIRTIO_BLK_T_OUT, i, 512, 1);
		nothing_for(&b, 50);
		began = vd_now_ns();
		bed_end(&b);
		assert_true((vd_now_ns() - began) / 1000000 < UVDPA_DRAIN_MS);
		fx_kill();
	}
}

/* Removed before it was ready: the server took the connection, and nothing more. */
static void test_removed_in_handshake(void **state)
{
	struct uvdpa_attr attrs[] = { { "socket", fx_socket } };
	struct uvdpa_dev_opts o = {
		.size = sizeof(o),
		.name = "d0",
		.mgmtdev = "nbd",
		.attrs = attrs,
		.nattrs = 1,
	};
	struct uvdpa_wait add = { 0 }, del = { 0 };
	struct uvdpa_dev *dev;
	uint64_t began;
	struct uvdpa *u;
	int r;

	(void)state;
	fx_serve("memory 4M");
	fx_signal(SIGSTOP);
	assert_int_equal(uvdpa_create(&u), 0);
	assert_int_equal(uvdpa_dev_add(u, &o, &dev, &add), -EINPROGRESS);
	uvdpa_dispatch(u, 100);
	began = vd_now_ns();
	r = uvdpa_dev_del(dev, &del);
	assert_int_equal(uvdpa_await(u, &del, r), 0);
	uvdpa_destroy(u);
	assert_true((vd_now_ns() - began) / 1000000 < 500);
}

#define TEST(t) cmocka_unit_test_teardown(t, fx_after)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_killed_under_load),
		TEST(test_killed_with_connections),
		TEST(test_lost_writes),
		TEST(test_nothing_lost),
		TEST(test_flush_under_way),
		TEST(test_size),
		TEST(test_less_able),
		TEST(test_quiet_without_server),
		TEST(test_quiet_hanging),
		TEST(test_removed_without_server),
		TEST(test_removed_in_handshake),
	};

	return fx_check() ? 77 : cmocka_run_group_tests(tests, fx_begin, fx_end);
}
