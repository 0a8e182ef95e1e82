/* SPDX-License-Identifier: BSD-2-Clause */
/* net-tap-test.c - frames between a driver and a TAP interface of the host */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent/net-tap-fx.h"

#define BIG       65562u /* bytes of a buffer for any frame */
#define GUEST_OFF (VD_NET_GUEST_OFFLOADS | VD_NET_F(CTRL_GUEST_OFFLOADS))
#define V4        .src = "10.0.0.1", .dst = "10.0.0.2"

static const char *const big[] = { "mtu", "65521", NULL };
static uint8_t frame[PKT_MAX], got[TF_MAX];

static void start(struct bed *b, struct bed_conf *c)
{
	c->queues = c->queues ? c->queues : 3;
	c->num = c->num ? c->num : 256;
	tf_forget();
	bed_start(b, c);
}

/* With two pairs, of which it uses one. Return: the host's end. */
static int start_with_pairs(struct bed *b)
{
	static const char *const attrs[] = { "max_vqp", "2", NULL };
	struct bed_conf c = { .queues = 5 };
	int host;

	tf_add(b, attrs);
	host = tf_open("d0");
	start(b, &c);
	return host;
}

static void is_frame(size_t len, size_t want, unsigned int tag)
{
	assert_int_equal(len, want);
	tf_fill(frame, want, tag);
	for (size_t i = 0; i < len; i++)
		if (got[i] != frame[i])
			fail_msg("frame %u of %zu bytes: byte %zu is %#x, not %#x", tag, len, i,
				 got[i], frame[i]);
}

static const size_t sizes[] = { 14,   15,   60,   64,   127,   1000,  1514, 1515,
				2036, 2037, 4084, 9014, 16384, 30001, 65535 };

/* What the driver sends, in one piece and in many, is what the host receives. */
static void test_send(void **state)
{
	static const struct {
		uint64_t off;
		bool packed;
		uint32_t each;
	} ways[] = {
		{ 0, false, 0 },
		{ 0, false, 1100 },
		{ 0, true, 1100 },
		{ 1ull << 28 | 1ull << 29 | 1ull << 35, false, 1500 },
	};
	struct vd_net_hdr hdr;
	struct bed b;
	int host;

	(void)state;
	tf_add(&b, big);
	host = tf_open("d0");
	for (size_t w = 0; w < VD_ARRAY_SIZE(ways); w++) {
		struct bed_conf c = { .features_off = ways[w].off, .packed = ways[w].packed };

		start(&b, &c);
		for (unsigned int i = 0; i < VD_ARRAY_SIZE(sizes); i++) {
			tf_fill(frame, sizes[i], i);
			nb_send(&b, 1, NULL, frame, (uint32_t)sizes[i], ways[w].each);
			is_frame(tf_take(host, &hdr, got, TF_SOON_MS), sizes[i], i);
			assert_int_equal(hdr.gso_type, 0);
		}
		bed_reset(&b);
	}
	bed_end(&b);
	close(host);
}

/* What the host sends is what the driver receives: in one buffer, and in as many as it takes. */
static void test_receive(void **state)
{
	static const struct {
		uint64_t off;
		bool packed;
		uint32_t each;
		unsigned int n;
	} ways[] = {
		{ VD_NET_F(MRG_RXBUF), false, BIG, 8 },
		{ 0, false, BIG, 8 },
		{ 0, false, 1536, 250 },
		{ 0, true, 1536, 250 },
		{ 0, false, 4096, 250 },
		{ 0, true, 777, 250 },
		{ 1ull << 35, false, 2048, 250 },
	};
	struct virtio_net_hdr_v1 hdr;
	struct bed b;
	int host;

	(void)state;
	tf_add(&b, big);
	host = tf_open("d0");
	for (size_t w = 0; w < VD_ARRAY_SIZE(ways); w++) {
		struct bed_conf c = { .features_off = ways[w].off, .packed = ways[w].packed };

		start(&b, &c);
		tf_post(&b, 0, ways[w].n, ways[w].each);
		/* Twice, for the second time more room is expected to be needed; and the small
		 * after the large. */
		for (unsigned int i = 0; i < 2 * VD_ARRAY_SIZE(sizes); i++) {
			size_t len = sizes[i % VD_ARRAY_SIZE(sizes)];

			tf_fill(frame, len, i);
			assert_true(tf_give(host, NULL, frame, len));
			is_frame(tf_receive(&b, 0, &hdr, got, TF_SOON_MS), len, i);
			assert_int_equal(hdr.flags, 0);
			assert_int_equal(hdr.gso_type, 0);
			tf_post(&b, 0, le16toh(hdr.num_buffers), ways[w].each);
		}
		bed_reset(&b);
	}
	assert_int_equal(bed_stat(&b, 0, "rx errors"), 0);
	assert_int_equal(bed_stat(&b, 0, "rx overruns"), 0);
	bed_end(&b);
	close(host);
}

/* Work that the driver leaves to the host. */
static void test_send_offloads(void **state)
{
	static const struct pkt pkt = { V4, .proto = IPPROTO_TCP, .payload = 30000, .partial = true,
					.tcp_flags = 0x10 };
	struct virtio_net_hdr_v1 hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					 .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					 .csum_offset = htole16(16),
					 .gso_size = htole16(1448) };
	struct pkt_at at = pkt_make(&pkt, frame);
	struct bed_conf c = { 0 };
	struct vd_net_hdr h;
	struct bed b;
	int host;

	(void)state;
	hdr.csum_start = htole16((uint16_t)at.l4);
	hdr.hdr_len = htole16((uint16_t)at.data);
	tf_add(&b, big);
	host = tf_open("d0");
	start(&b, &c);
	nb_send(&b, 1, &hdr, frame, (uint32_t)at.len, 4000);
	assert_int_equal(tf_take(host, &h, got, TF_SOON_MS), at.len);
	assert_memory_equal(got, frame, at.len);
	assert_int_equal(h.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(h.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(h.gso_size, 1448);
	assert_int_equal(h.csum_start, at.l4);
	assert_int_equal(h.csum_offset, 16);

	/* It lies within the frame, so we pass it on; the kernel knows better: there is no room for
	 * TCP's header. That is this frame's misfortune. */
	hdr.csum_start = htole16((uint16_t)(at.len - 10));
	hdr.csum_offset = 0;
	nb_send(&b, 1, &hdr, frame, (uint32_t)at.len, 0);
	assert_int_equal(bed_stat(&b, 1, "tx errors"), 1);
	assert_int_equal(bed_stat(&b, 1, "tx packets"), 1);
	tf_fill(frame, 100, 5);
	nb_send(&b, 1, NULL, frame, 100, 0);
	is_frame(tf_take(host, &h, got, TF_SOON_MS), 100, 5);
	assert_int_equal(bed_stat(&b, 1, "tx packets"), 2);
	bed_end(&b);
	close(host);
}

static struct vd_net_hdr tso(const struct pkt_at *at)
{
	return (struct vd_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				    .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				    .hdr_len = (uint16_t)at->data,
				    .gso_size = 1448,
				    .csum_start = (uint16_t)at->l4,
				    .csum_offset = 16 };
}

/* Until the kernel knows that the driver takes large packets; the rest depends on the kernel. */
static void told_of_tso4(struct bed *b)
{
	uint64_t end = vd_now_ns() + TF_SOON_MS * 1000000ull;

	while (!strstr(bed_shown(b, "offloads"), "tso4") && vd_now_ns() < end)
		tf_dispatch(b, 5);
	assert_non_null(strstr(bed_shown(b, "offloads"), "csum tso4 tso6"));
}

/* A driver that has agreed gets a large packet as it is, any other gets segments; even if the large
 * one was there before it. */
static void test_receive_offloads(void **state)
{
	static const struct pkt pkt = { V4, .proto = IPPROTO_TCP, .payload = 14480, .partial = true,
					.tcp_flags = 0x10 };
	struct pkt_at at = pkt_make(&pkt, frame);
	struct vd_net_hdr h = tso(&at);
	struct bed_conf all = { 0 }, none = { .features_off = GUEST_OFF };
	struct virtio_net_hdr_v1 hdr;
	struct bed b;
	int host;

	(void)state;
	tf_add(&b, NULL);
	host = tf_open("d0");
	start(&b, &all);
	told_of_tso4(&b);
	tf_post(&b, 0, 100, 2048);
	assert_true(tf_give(host, &h, frame, at.len));
	assert_int_equal(tf_receive(&b, 0, &hdr, got, TF_SOON_MS), at.len);
	assert_memory_equal(got, frame, at.len);
	assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(le16toh(hdr.gso_size), 1448);
	assert_int_equal(le16toh(hdr.csum_start), at.l4);

	/* Nobody takes it for now. */
	bed_suspend(&b);
	assert_true(tf_give(host, &h, frame, at.len));
	bed_reset(&b);
	start(&b, &none);
	tf_post(&b, 0, 100, 2048);
	assert_int_equal(tf_receive(&b, 0, &hdr, got, 100), 0);

	tf_until(&b, "offloads", "none");
	assert_true(tf_give(host, &h, frame, at.len));
	for (unsigned int i = 0; i < 10; i++) {
		size_t len = tf_receive(&b, 0, &hdr, got, TF_SOON_MS);

		assert_int_equal(len, at.data + 1448);
		assert_int_equal(hdr.flags, 0);
		assert_int_equal(hdr.gso_type, 0);
		assert_null(pkt_wrong(got, len));
	}
	bed_end(&b);
	close(host);
}

/* Frames for which there are no buffers wait, in their order. */
static void test_no_buffers(void **state)
{
	struct bed_conf c = { 0 };
	struct virtio_net_hdr_v1 hdr;
	struct bed b;
	int host;

	(void)state;
	tf_add(&b, NULL);
	host = tf_open("d0");
	start(&b, &c);
	for (unsigned int i = 0; i < 100; i++) {
		tf_fill(frame, 200 + i, i);
		assert_true(tf_give(host, NULL, frame, 200 + i));
	}
	for (unsigned int i = 0; i < 100; i += 4) {
		tf_post(&b, 0, 4, 2048);
		for (unsigned int k = i; k < i + 4; k++)
			is_frame(tf_receive(&b, 0, &hdr, got, TF_SOON_MS), 200 + k, k);
		if (i == 48)
			tf_dispatch(&b, 50);
	}
	assert_int_equal(tf_receive(&b, 0, &hdr, got, 20), 0);
	bed_end(&b);
	close(host);
}

static void use_pairs(struct bed *b, uint16_t pairs)
{
	uint16_t le = htole16(pairs);

	assert_int_equal(nb_command(b, 4, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &le,
				    sizeof(le), 0),
			 VIRTIO_NET_OK);
}

static void give_and_receive(struct bed *b, int host, unsigned int q, unsigned int tag)
{
	struct virtio_net_hdr_v1 hdr;

	for (unsigned int i = 0; i < 8; i++) {
		tf_fill(frame, 300, tag + i);
		assert_true(tf_give(host, NULL, frame, 300));
	}
	tf_until_told(b);
	for (unsigned int i = 0; i < 8; i++)
		is_frame(tf_receive(b, q, &hdr, got, TF_SOON_MS), 300, tag + i);
}

/* The kernel spreads frames for a while to a pair that is not used any more. They come by another.
 */
static void test_fewer_pairs(void **state)
{
	struct vd_net_hdr hdr;
	struct bed b;
	int host;

	(void)state;
	host = start_with_pairs(&b);
	tf_post(&b, 0, 64, 2048);
	tf_post(&b, 2, 64, 2048);
	for (unsigned int round = 0; round < 5; round++) {
		use_pairs(&b, 2);
		tf_until(&b, "queues", "2");
		/* Where they went from they come back. */
		tf_fill(frame, 300, 1);
		nb_send(&b, 3, NULL, frame, 300, 0);
		is_frame(tf_take(host, &hdr, got, TF_SOON_MS), 300, 1);
		give_and_receive(&b, host, 2, 10);
		use_pairs(&b, 1);
		give_and_receive(&b, host, 0, 30);
	}
	bed_end(&b);
	close(host);
}

/* They wait until the pair by which they come has buffers. */
static void test_fewer_pairs_without_buffers(void **state)
{
	struct virtio_net_hdr_v1 hdr;
	struct bed b;
	int host;

	(void)state;
	host = start_with_pairs(&b);
	tf_post(&b, 2, 8, 2048);
	use_pairs(&b, 2);
	tf_until(&b, "queues", "2");
	tf_fill(frame, 300, 1);
	nb_send(&b, 3, NULL, frame, 300, 0);
	use_pairs(&b, 1);
	for (unsigned int i = 0; i < 8; i++) {
		tf_fill(frame, 300, i);
		assert_true(tf_give(host, NULL, frame, 300));
	}
	tf_dispatch(&b, 200);
	assert_string_equal(bed_shown(&b, "queues"), "2");
	tf_post(&b, 0, 9, 2048);
	for (unsigned int i = 0; i < 8; i++)
		is_frame(tf_receive(&b, 0, &hdr, got, TF_SOON_MS), 300, i);
	tf_until(&b, "queues", "1");

	/* But not for ever: there may never be any. */
	use_pairs(&b, 2);
	tf_until(&b, "queues", "2");
	nb_send(&b, 3, NULL, frame, 300, 0);
	use_pairs(&b, 1);
	for (unsigned int i = 0; i < 2; i++)
		assert_true(tf_give(host, NULL, frame, 300));
	tf_until(&b, "queues", "1");
	assert_int_equal(tf_receive(&b, 0, &hdr, got, TF_SOON_MS), 300);
	assert_int_equal(tf_receive(&b, 0, &hdr, got, 20), 0);
	bed_end(&b);
	close(host);
}

/* One that waits for buffers is not put aside by what has come to the pair that brings it. */
static void test_fewer_pairs_with_small_buffers(void **state)
{
	struct virtio_net_hdr_v1 hdr;
	struct bed b;
	int host;

	(void)state;
	host = start_with_pairs(&b);
	tf_fill(frame, 1400, 1);
	assert_true(tf_give(host, NULL, frame, 1400));
	use_pairs(&b, 2);
	tf_until(&b, "queues", "2");
	tf_fill(frame, 300, 2);
	nb_send(&b, 3, NULL, frame, 300, 0);
	is_frame(tf_take(host, &(struct vd_net_hdr){ 0 }, got, TF_SOON_MS), 300, 2);
	use_pairs(&b, 1);
	tf_fill(frame, 1400, 3);
	assert_true(tf_give(host, NULL, frame, 1400));
	tf_dispatch(&b, 100);
	assert_string_equal(bed_shown(&b, "queues"), "2");
	tf_post(&b, 0, 2, 400);
	tf_dispatch(&b, 50);
	tf_post(&b, 0, 10, 400);
	is_frame(tf_receive(&b, 0, &hdr, got, TF_SOON_MS), 1400, 3);
	is_frame(tf_receive(&b, 0, &hdr, got, TF_SOON_MS), 1400, 1);
	bed_end(&b);
	close(host);
}

/* A driver that wants fewer, and at once more again, has them all. */
static void test_fewer_and_more_pairs(void **state)
{
	struct vd_net_hdr hdr;
	struct bed b;
	int host;

	(void)state;
	host = start_with_pairs(&b);
	tf_post(&b, 0, 64, 2048);
	for (unsigned int ms = 10; ms <= 50; ms += 5) {
		tf_post(&b, 2, 8, 2048);
		use_pairs(&b, 2);
		tf_until(&b, "queues", "2");
		use_pairs(&b, 1);
		tf_dispatch(&b, ms); /* it may be told, or about to be, or not yet */
		use_pairs(&b, 2);
		tf_until_told(&b);
		tf_fill(frame, 300, 1);
		nb_send(&b, 3, NULL, frame, 300, 0);
		is_frame(tf_take(host, &hdr, got, TF_SOON_MS), 300, 1);
		give_and_receive(&b, host, 2, 10);
	}
	bed_end(&b);
	close(host);
}

/* So does one that is larger than what there is; but not for ever. */
static void test_too_few_buffers(void **state)
{
	struct bed_conf c[] = { { 0 }, { .packed = true }, { .features_off = 1ull << 29 } };
	struct virtio_net_hdr_v1 hdr;
	struct bed b;
	int host;

	(void)state;
	tf_add(&b, big);
	host = tf_open("d0");
	for (unsigned int w = 0; w < VD_ARRAY_SIZE(c); w++) {
		start(&b, &c[w]);
		tf_post(&b, 0, 10, 2048);
		tf_fill(frame, 60000, 1);
		assert_true(tf_give(host, NULL, frame, 60000));
		tf_fill(frame, 60, 2);
		assert_true(tf_give(host, NULL, frame, 60));
		assert_int_equal(tf_receive(&b, 0, &hdr, got, 20), 0);
		tf_post(&b, 0, 10, 2048);
		tf_dispatch(&b, 5);
		tf_post(&b, 0, 20, 2048);
		is_frame(tf_receive(&b, 0, &hdr, got, TF_SOON_MS), 60000, 1);
		assert_int_equal(le16toh(hdr.num_buffers), (60000 + 12 + 2047) / 2048);
		is_frame(tf_receive(&b, 0, &hdr, got, TF_SOON_MS), 60, 2);
		assert_int_equal(bed_stat(&b, 0, "rx overruns"), w);

		/* 9 are left, and no more come. */
		tf_fill(frame, 60000, 3);
		assert_true(tf_give(host, NULL, frame, 60000));
		tf_fill(frame, 60, 4);
		assert_true(tf_give(host, NULL, frame, 60));
		is_frame(tf_receive(&b, 0, &hdr, got, TF_SOON_MS), 60, 4);
		assert_int_equal(bed_stat(&b, 0, "rx overruns"), w + 1);
		bed_reset(&b);
	}
	bed_end(&b);
	close(host);
}

/* Without MRG_RXBUF it never fits. */
static void test_too_large(void **state)
{
	struct bed_conf c = { .features_off = VD_NET_F(MRG_RXBUF) };
	struct virtio_net_hdr_v1 hdr;
	struct bed b;
	int host;

	(void)state;
	tf_add(&b, big);
	host = tf_open("d0");
	start(&b, &c);
	tf_post(&b, 0, 3, 2048);
	for (unsigned int i = 0; i < 3; i++) {
		tf_fill(frame, 2037, i);
		assert_true(tf_give(host, NULL, frame, 2037));
		tf_fill(frame, 2036, i);
		assert_true(tf_give(host, NULL, frame, 2036));
		is_frame(tf_receive(&b, 0, &hdr, got, TF_SOON_MS), 2036, i);
	}
	assert_int_equal(bed_stat(&b, 0, "rx errors"), 3);
	bed_end(&b);
	close(host);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_send),
		cmocka_unit_test(test_receive),
		cmocka_unit_test(test_send_offloads),
		cmocka_unit_test(test_receive_offloads),
		cmocka_unit_test(test_no_buffers),
		cmocka_unit_test(test_fewer_pairs),
		cmocka_unit_test(test_fewer_pairs_without_buffers),
		cmocka_unit_test(test_fewer_pairs_with_small_buffers),
		cmocka_unit_test(test_fewer_and_more_pairs),
		cmocka_unit_test(test_too_few_buffers),
		cmocka_unit_test(test_too_large),
	};

	if (!tf_alone())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
