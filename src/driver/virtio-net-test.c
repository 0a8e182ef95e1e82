/* SPDX-License-Identifier: BSD-2-Clause */
/* <uvdpa/net.h> as an application has it: real core, a network that gives every frame back. */
#include <errno.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uvdpa/net.h>

#include <cmocka.h>

#include "base/open-fds.h"
#include "base/util.h"
#include "config.h"

#define F(bit) (1ull << (bit))
#define BUF 2048u
#define NBUFS 64u

struct bed {
	struct uvdpa *u;
	struct uvdpa_dev *dev;
	unsigned int fds;
};

static void begin(struct bed *b, const char *mode, const char *max_vqp)
{
	struct uvdpa_attr attrs[] = { { "mode", mode }, { "max_vqp", max_vqp },
				      { "mac", "52:54:00:00:00:07" }, { "mtu", "9000" },
				      { "speed", "25000" } };
	struct uvdpa_wait w = { 0 };

	b->fds = open_fds();
	assert_int_equal(uvdpa_create(&b->u), 0);
	assert_int_equal(uvdpa_await(b->u, &w, uvdpa_dev_add(b->u, &(struct uvdpa_dev_opts){
		.size = sizeof(struct uvdpa_dev_opts), .name = "n0", .mgmtdev = "sim-net",
		.attrs = attrs, .nattrs = VD_ARRAY_SIZE(attrs) }, &b->dev, &w)), 0);
}

static void end(struct bed *b)
{
	uvdpa_destroy(b->u);
	assert_int_equal(open_fds(), b->fds);
}

static int bind(struct bed *b, const char *driver, const char *key, const char *value)
{
	struct uvdpa_attr attr = { key, value };
	struct uvdpa_wait w = { 0 };

	return uvdpa_await(b->u, &w, uvdpa_dev_bind(b->dev, driver, &attr, key ? 1 : 0, &w));
}

static void unbind(struct bed *b)
{
	struct uvdpa_wait w = { 0 };

	assert_int_equal(uvdpa_await(b->u, &w, uvdpa_dev_unbind(b->dev, &w)), 0);
}

static void settle(struct uvdpa *u)
{
	while (uvdpa_dispatch(u, 50) > 0)
		;
}

/* Frame @i of a test: its length, and a byte of it. */
static uint32_t length_of(unsigned int i)
{
	return 60 + i * 37 % 1400;
}

static void fill(uint8_t *frame, unsigned int i)
{
	memset(frame, 0xff, 6);
	for (unsigned int k = 6; k < length_of(i); k++)
		frame[k] = (uint8_t)(k + i);
}

/* As many frames as there are slots, there and back, until @total have come. */
static void echo(struct uvdpa_netq *q, uint8_t *mem, unsigned int total)
{
	struct uvdpa_net_buf bufs[NBUFS];
	unsigned int sent = 0, came = 0, idle = NBUFS, n;
	uint8_t *slots[NBUFS];
	int r;

	for (unsigned int i = 0; i < NBUFS; i++) {
		bufs[i] = (struct uvdpa_net_buf){ .mem = mem + i * BUF, .len = BUF };
		slots[i] = mem + (NBUFS + i) * BUF;
	}
	assert_int_equal(uvdpa_netq_rx_post(q, bufs, NBUFS), NBUFS);
	while (came < total) {
		for (n = 0; n < idle && sent + n < total && sent + n - came < NBUFS / 2; n++) {
			uint8_t *s = slots[idle - 1 - n];

			fill(s + 20, sent + n);
			bufs[n] = (struct uvdpa_net_buf){ .mem = s, .off = 20,
							  .len = length_of(sent + n) };
		}
		r = uvdpa_netq_tx(q, bufs, n);
		assert_int_equal(r, n);
		sent += n;
		idle -= n;
		while (!(r = uvdpa_netq_rx(q, bufs, NBUFS)))
			assert_int_equal(uvdpa_netq_rx_wait(q, 10000), 0);
		assert_true(r > 0);
		for (int i = 0; i < r; i++, came++) {
			uint8_t want[BUF];

			fill(want, came);
			assert_int_equal(bufs[i].flags, 0);
			assert_int_equal(bufs[i].off, UVDPA_NET_HDR);
			assert_int_equal(bufs[i].len, length_of(came));
			assert_memory_equal(bufs[i].mem + bufs[i].off, want, bufs[i].len);
			bufs[i].len = BUF;
		}
		assert_int_equal(uvdpa_netq_rx_post(q, bufs, (unsigned int)r), r);
		r = uvdpa_netq_tx_done(q, slots + idle, NBUFS - idle);
		assert_true(r >= 0);
		idle += (unsigned int)r;
	}
	while (idle < NBUFS) {
		assert_int_equal(uvdpa_netq_tx_wait(q, 10000), 0);
		r = uvdpa_netq_tx_done(q, slots + idle, NBUFS - idle);
		assert_true(r >= 0);
		idle += (unsigned int)r;
	}
	assert_int_equal(uvdpa_netq_tx_inflight(q), 0);
}

static void test_echo(void **state)
{
	static const struct uvdpa_net_opts cases[] = {
		{ .size = sizeof(cases[0]), .queue_size = 128 },
		{ .size = sizeof(cases[0]), .packed = true },
		{ .size = sizeof(cases[0]), .queue_size = 64, .features_off = F(VIRTIO_RING_F_INDIRECT_DESC) },
		{ .size = sizeof(cases[0]), .packed = true,
		  .features_off = F(VIRTIO_RING_F_EVENT_IDX) | F(VIRTIO_NET_F_CTRL_VQ) },
	};
	static const uint8_t mac[] = { 0x52, 0x54, 0, 0, 0, 7 };
	struct bed b;

	(void)state;
	begin(&b, "echo", "1");
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		const struct uvdpa_net_info *info;
		struct uvdpa_netq_stats stats;
		struct uvdpa_net *net, *other;
		struct uvdpa_netq *q;

		assert_int_equal(uvdpa_net_open(b.dev, &cases[i], &net), 0);
		assert_int_equal(uvdpa_net_open(b.dev, &cases[i], &other), -EBUSY);
		info = uvdpa_net_info(net);
		assert_int_equal(info->features, uvdpa_dev_features(b.dev));
		assert_int_equal(info->features & cases[i].features_off, 0);
		assert_int_equal(info->features >> 34 & 1, cases[i].packed);
		assert_memory_equal(info->mac, mac, sizeof(mac));
		assert_int_equal(info->mtu, 9000);
		assert_int_equal(info->speed, 25000);
		assert_true(info->link_up && info->full_duplex && info->rx_merge);
		assert_int_equal(info->pairs, 1);
		q = uvdpa_net_queue(net, 0);
		assert_null(uvdpa_net_queue(net, 1));
		echo(q, uvdpa_net_alloc(net, 2 * (size_t)NBUFS * BUF), 1000);
		uvdpa_netq_stats(q, &stats);
		assert_int_equal(stats.rx_frames, 1000);
		assert_int_equal(stats.tx_frames, 1000);
		assert_int_equal(stats.rx_bytes, stats.tx_bytes);
		assert_int_equal(stats.rx_bad, 0);
		uvdpa_net_close(net);
	}
	end(&b);
}

/* A frame of many pieces fills many buffers, and does not notice where a burst ends. */
static void test_pieces(void **state)
{
	enum { PIECES = UVDPA_NET_SEGS, PIECE = 1000, SIZE = 768 };
	static const uint64_t off[] = { 0, F(VIRTIO_RING_F_INDIRECT_DESC) };
	struct bed b;

	(void)state;
	begin(&b, "echo", "1");
	for (unsigned int c = 0; c < 4; c++) {
		struct uvdpa_net_opts o = { .size = sizeof(o), .features_off = off[c / 2],
					    .packed = c & 1 };
		struct uvdpa_net_buf bufs[PIECES] = { 0 }, got[7];
		unsigned int sum = 0, nbufs = 0;
		uint8_t *done[PIECES], *mem;
		struct uvdpa_net *net;
		struct uvdpa_netq *q;
		bool more = true;
		int n;

		assert_int_equal(uvdpa_net_open(b.dev, &o, &net), 0);
		q = uvdpa_net_queue(net, 0);
		mem = uvdpa_net_alloc(net, 1 << 20);
		for (unsigned int i = 0; i < 128; i++) {
			struct uvdpa_net_buf post = { .mem = mem + (256 << 10) + i * SIZE, .len = SIZE };

			assert_int_equal(uvdpa_netq_rx_post(q, &post, 1), 1);
		}
		memset(mem, 0xff, 18);
		for (unsigned int i = 0; i < PIECES; i++) {
			bufs[i] = (struct uvdpa_net_buf){ .mem = mem + i * PIECE, .len = PIECE,
				.flags = i + 1 < PIECES ? UVDPA_NET_MORE : 0 };
			for (unsigned int k = i ? 0 : 18; k < PIECE; k++)
				mem[i * PIECE + k] = (uint8_t)((i * PIECE + k) % 251);
		}
		assert_int_equal(uvdpa_netq_tx(q, bufs, PIECES), -EINVAL);	/* no room before it */
		bufs[0].off = UVDPA_NET_HDR;
		bufs[0].len -= UVDPA_NET_HDR;
		assert_int_equal(uvdpa_netq_tx(q, bufs, PIECES - 1), -EINVAL);	/* it has no end */
		assert_int_equal(uvdpa_netq_tx(q, bufs, PIECES), PIECES);
		while (more) {
			while (!(n = uvdpa_netq_rx(q, got, VD_ARRAY_SIZE(got))))
				assert_int_equal(uvdpa_netq_rx_wait(q, 10000), 0);
			assert_true(n > 0);
			for (int i = 0; i < n; i++, nbufs++) {
				assert_true(more);
				more = got[i].flags & UVDPA_NET_MORE;
				assert_int_equal(got[i].flags & UVDPA_NET_BAD, 0);
				assert_int_equal(got[i].off, nbufs ? 0 : UVDPA_NET_HDR);
				for (unsigned int k = 0; k < got[i].len; k++, sum++)
					if (sum >= 6)
						assert_int_equal(got[i].mem[got[i].off + k],
								 (uint8_t)((sum + UVDPA_NET_HDR) % 251));
			}
		}
		assert_int_equal(sum, PIECES * PIECE - UVDPA_NET_HDR);
		assert_int_equal(nbufs, (PIECES * PIECE + SIZE - 1) / SIZE);
		while (!(n = uvdpa_netq_tx_done(q, done, PIECES)))
			assert_int_equal(uvdpa_netq_tx_wait(q, 10000), 0);
		assert_int_equal(n, PIECES);
		for (unsigned int i = 0; i < PIECES; i++)
			assert_ptr_equal(done[i], mem + i * PIECE);
		uvdpa_net_close(net);
	}
	end(&b);
}

static void test_refused(void **state)
{
	struct uvdpa_net_opts o = { .size = sizeof(o), .queue_size = 16, .mem = 65536,
				    .features_off = F(VIRTIO_NET_F_HOST_TSO4) | F(VIRTIO_NET_F_MRG_RXBUF) };
	struct uvdpa_net *net;
	struct uvdpa_netq *q;
	uint8_t *mem;
	struct bed b;

	(void)state;
	begin(&b, "echo", "1");
	assert_int_equal(uvdpa_net_open(b.dev, &o, &net), 0);
	q = uvdpa_net_queue(net, 0);
	mem = uvdpa_net_alloc(net, 65536);
	assert_int_equal(uvdpa_net_info(net)->rx_buf_min, UVDPA_NET_HDR + 9000 + 22);
	{
		const struct {
			struct uvdpa_net_buf b;
			int tx;
		} cases[] = {
			{ { .mem = mem, .off = 12, .len = 60 }, 1 },
			{ { .mem = mem, .off = 11, .len = 60 }, -EINVAL },
			{ { .mem = mem, .off = 12, .len = 13 }, -EINVAL },
			{ { .mem = mem + 65536 - 72, .off = 12, .len = 61 }, -EFAULT },
			{ { .mem = mem + 65536 - 72, .off = 12, .len = 60 }, 1 },
			{ { .mem = mem - 1, .off = 12, .len = 60 }, -EFAULT },
			{ { .mem = (uint8_t *)&o, .off = 12, .len = 60 }, -EFAULT },
			{ { .mem = mem, .off = 12, .len = 60,
			    .hdr = { .flags = 1, .csum_start = 34, .csum_offset = 24 } }, 1 },
			{ { .mem = mem, .off = 12, .len = 60,
			    .hdr = { .flags = 1, .csum_start = 34, .csum_offset = 25 } }, -EINVAL },
			{ { .mem = mem, .off = 12, .len = 90, .hdr = { .flags = 1, .csum_start = 34,
			    .csum_offset = 16, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 9 } },
			  -EINVAL },
			{ { .mem = mem, .off = 12, .len = 90, .hdr = { .flags = 1, .csum_start = 34,
			    .csum_offset = 16, .gso_type = VIRTIO_NET_HDR_GSO_TCPV6, .gso_size = 9 } }, 1 },
			{ { .mem = mem, .off = 12, .len = 90, .hdr = { .flags = 0,
			    .gso_type = VIRTIO_NET_HDR_GSO_TCPV6, .gso_size = 9 } }, -EINVAL },
			{ { .mem = mem, .off = 12, .len = 90, .hdr = { .gso_type = 77 } }, -EINVAL },
		};
		static const struct {
			long off;
			uint32_t len;
			int r;
		} posts[] = {
			{ 0, 9034, 1 }, { 0, 9033, -EINVAL }, { 0, 0, -EINVAL },
			{ 65536 - 9034, 9034, 1 }, { 65536 - 9033, 9034, -EFAULT }, { -1, 9034, -EFAULT },
		};

		for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++)
			assert_int_equal(uvdpa_netq_tx(q, &cases[i].b, 1), cases[i].tx);
		for (unsigned int i = 0; i < VD_ARRAY_SIZE(posts); i++)
			assert_int_equal(uvdpa_netq_rx_post(q, &(struct uvdpa_net_buf){
				.mem = mem + posts[i].off, .len = posts[i].len }, 1), posts[i].r);
	}
	/* A good one before a wrong one is taken; a full ring is not an error. */
	{
		struct uvdpa_net_buf many[40];

		for (unsigned int i = 0; i < 40; i++)
			many[i] = (struct uvdpa_net_buf){ .mem = mem, .len = i == 3 ? 1 : 9034 };
		assert_int_equal(uvdpa_netq_rx_post(q, many, 40), 3);
		many[3].len = 9034;
		assert_int_equal(uvdpa_netq_rx_post(q, many, 40), 16 - 2 - 3);
		assert_int_equal(uvdpa_netq_rx_post(q, many, 40), 0);
	}
	uvdpa_net_close(net);
	o.offloads = F(VIRTIO_NET_F_CSUM);
	assert_int_equal(uvdpa_net_open(b.dev, &o, &net), -EINVAL);
	o = (struct uvdpa_net_opts){ .size = sizeof(o), .queue_size = 3 };
	assert_int_equal(uvdpa_net_open(b.dev, &o, &net), -EINVAL);
	o = (struct uvdpa_net_opts){ .size = sizeof(o) - 8 };
	assert_int_equal(uvdpa_net_open(b.dev, &o, &net), -EINVAL);
	end(&b);
}

static void test_commands(void **state)
{
	struct uvdpa_net_opts o = { .size = sizeof(o), .pairs = 3 };
	struct uvdpa_wait w = { 0 };
	struct uvdpa_net *net;
	struct bed b;

	(void)state;
	begin(&b, "echo", "4");
	assert_int_equal(uvdpa_net_open(b.dev, &o, &net), 0);
	assert_int_equal(uvdpa_net_info(net)->max_pairs, 4);
	assert_int_equal(uvdpa_net_info(net)->pairs, 3);
	assert_non_null(uvdpa_net_queue(net, 2));
	assert_int_equal(uvdpa_net_set_pairs(net, 4, NULL), -EINVAL);
	assert_int_equal(uvdpa_net_set_pairs(net, 0, NULL), -EINVAL);
	assert_int_equal(uvdpa_await(b.u, &w, uvdpa_net_set_pairs(net, 1, &w)), 0);
	assert_int_equal(uvdpa_net_info(net)->pairs, 1);
	assert_int_equal(uvdpa_net_set_offloads(net, F(VIRTIO_NET_F_GUEST_TSO4), NULL), -EINVAL);
	/* One after the other, without waiting; then too many. */
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(uvdpa_net_set_pairs(net, 1 + i % 3, NULL), -EINPROGRESS);
	assert_int_equal(uvdpa_net_set_pairs(net, 1, NULL), -EAGAIN);
	settle(b.u);
	assert_int_equal(uvdpa_net_info(net)->pairs, 2);
	/* Under way when it is closed, or taken away. */
	memset(&w, 0, sizeof(w));
	assert_int_equal(uvdpa_net_set_pairs(net, 3, &w), -EINPROGRESS);
	uvdpa_net_close(net);
	assert_int_equal(uvdpa_await(b.u, &w, -EINPROGRESS), -ENODEV);
	assert_int_equal(uvdpa_net_open(b.dev, NULL, &net), 0);
	assert_int_equal(uvdpa_net_info(net)->pairs, 4);
	unbind(&b);
	assert_int_equal(uvdpa_net_set_pairs(net, 1, NULL), -ENODEV);
	uvdpa_net_close(net);
	o.features_off = F(VIRTIO_NET_F_CTRL_VQ);
	assert_int_equal(uvdpa_net_open(b.dev, &o, &net), 0);
	assert_int_equal(uvdpa_net_info(net)->pairs, 1);
	assert_int_equal(uvdpa_net_set_pairs(net, 1, NULL), -EOPNOTSUPP);
	uvdpa_net_close(net);
	end(&b);
}

static void test_link(void **state)
{
	struct uvdpa_attr attr = { "link", "off" };
	struct uvdpa_net *net;
	struct bed b;

	(void)state;
	begin(&b, "echo", "1");
	assert_int_equal(uvdpa_net_open(b.dev, NULL, &net), 0);
	assert_true(uvdpa_net_info(net)->link_up);
	assert_int_equal(uvdpa_dev_set(b.dev, &attr, 1), 0);
	settle(b.u);
	assert_false(uvdpa_net_info(net)->link_up);
	uvdpa_net_close(net);
	end(&b);
}

struct user {
	struct uvdpa_netq *q;
	uint8_t *mem;
	uint64_t frames;
	int err;
};

/* Takes what a source sends, and sends as much, until the device goes. */
static void *user(void *arg)
{
	struct uvdpa_net_buf bufs[NBUFS];
	struct user *u = arg;
	uint8_t *done[NBUFS];
	int n = NBUFS;

	for (unsigned int i = 0; i < NBUFS; i++)
		bufs[i].mem = u->mem + i * BUF;
	for (;;) {
		for (int i = 0; i < n; i++)
			bufs[i].len = BUF;
		uvdpa_netq_rx_post(u->q, bufs, (unsigned int)n);
		bufs[0] = (struct uvdpa_net_buf){ .mem = u->mem + NBUFS * BUF, .off = 12, .len = 60 };
		uvdpa_netq_tx(u->q, bufs, 1);
		uvdpa_netq_tx_done(u->q, done, NBUFS);
		n = uvdpa_netq_rx(u->q, bufs, NBUFS);
		if (n < 0) {
			u->err = n;
			return NULL;
		}
		u->frames += (unsigned int)n;
		if (!n && uvdpa_netq_rx_wait(u->q, 10000)) {
			u->err = -ETIMEDOUT;
			return NULL;
		}
	}
}

/* Unbound, deleted or destroyed under a thread that uses it: it is told. */
static void test_taken_away(void **state)
{
	uint64_t frames = 0;

	(void)state;
	for (unsigned int round = 0; round < 24; round++) {
		struct uvdpa_net_opts o = { .size = sizeof(o), .packed = round & 1 };
		struct uvdpa_wait w = { 0 };
		struct uvdpa_net *net, *again;
		struct user usr = { 0 };
		pthread_t t;
		struct bed b;

		begin(&b, "source", "1");
		assert_int_equal(uvdpa_net_open(b.dev, &o, &net), 0);
		usr.q = uvdpa_net_queue(net, 0);
		usr.mem = uvdpa_net_alloc(net, (NBUFS + 1) * (size_t)BUF);
		assert_int_equal(pthread_create(&t, NULL, user, &usr), 0);
		usleep(round * 200);
		switch (round / 2 % 4) {
		case 0:
			unbind(&b);
			break;
		case 1:
			assert_int_equal(uvdpa_await(b.u, &w, uvdpa_dev_del(b.dev, &w)), 0);
			break;
		case 2:
			uvdpa_destroy(b.u);
			b.u = NULL;
			break;
		case 3:		/* the next user does not wait for the last one's thread */
			unbind(&b);
			assert_int_equal(uvdpa_net_open(b.dev, &o, &again), 0);
			uvdpa_net_close(again);
			break;
		}
		pthread_join(t, NULL);
		assert_int_equal(usr.err, -ENODEV);
		frames += usr.frames;
		uvdpa_net_close(net);
		end(&b);
	}
	assert_true(frames > 0);
}

/* What is for a device of another type is said, and leaves the device alone. */
static void test_options(void **state)
{
	struct uvdpa_attr attr = { "capacity", "1M" };
	struct uvdpa_dev *disk;
	struct uvdpa_wait w = { 0 };
	struct uvdpa_net *net;
	struct bed b;

	(void)state;
	begin(&b, "echo", "1");
	assert_int_equal(bind(&b, "virtio", "file", "/nowhere/at/all"), -EINVAL);
	assert_non_null(strstr(uvdpa_error(), HAVE_FUSE ? "option file is for disks" : "\"file\""));
	assert_int_equal(bind(&b, "virtio", "pty", "/nowhere/at/all"), -EINVAL);
	assert_non_null(strstr(uvdpa_error(), "option pty is for consoles"));
	assert_int_equal(bind(&b, "virtio", "netns", "none"), -EINVAL);
	assert_int_equal(bind(&b, "virtio", "tap", "a-name-that-is-too-long"), -EINVAL);
	assert_null(uvdpa_dev_driver(b.dev));
	assert_int_equal(uvdpa_await(b.u, &w, uvdpa_dev_add(b.u, &(struct uvdpa_dev_opts){
		.size = sizeof(struct uvdpa_dev_opts), .name = "d0", .mgmtdev = "sim-blk",
		.attrs = &attr, .nattrs = 1 }, &disk, &w)), 0);
	assert_int_equal(uvdpa_net_open(disk, NULL, &net), -ENODEV);
	attr = (struct uvdpa_attr){ "tap", "x0" };
	memset(&w, 0, sizeof(w));
	assert_int_equal(uvdpa_await(b.u, &w, uvdpa_dev_bind(disk, "virtio", &attr, 1, &w)), -EINVAL);
	assert_non_null(strstr(uvdpa_error(), "option tap is for network devices"));
	attr = (struct uvdpa_attr){ "mode", "0600" };
	memset(&w, 0, sizeof(w));
	assert_int_equal(uvdpa_await(b.u, &w, uvdpa_dev_bind(disk, "virtio", &attr, 1, &w)), -EINVAL);
	assert_non_null(strstr(uvdpa_error(), "option mode is for consoles"));
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo),	 cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_refused),	 cmocka_unit_test(test_commands),
		cmocka_unit_test(test_link),	 cmocka_unit_test(test_taken_away),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
