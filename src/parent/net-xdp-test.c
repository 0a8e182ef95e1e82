/* SPDX-License-Identifier: BSD-2-Clause */
/* net-xdp-test.c - frames between a driver and one end of a veth; a packet socket has the other */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent/net-tap-fx.h"
#include "parent/net-xdp.h"

#define V4 .src = "10.0.0.1", .dst = "10.0.0.2"

static uint8_t frame[PKT_MAX], got[TF_MAX];
static const char *const kinds[] = { "native", "generic" };

/* v0 is the device's, v1 the host's. */
static void veth(unsigned int queues, unsigned int mtu)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd),
		 "PATH=$PATH:/sbin:/usr/sbin; "
		 "ip link add v0 mtu %u numrxqueues %u numtxqueues %u type veth "
		 "peer name v1 mtu %u numrxqueues %u numtxqueues %u && "
		 "ip link set v0 up && ip link set v1 up",
		 mtu, queues, queues, mtu, queues, queues);
	assert_int_equal(system(cmd), 0);
}

/* Return: the host's end. */
static int begin(struct bed *b, const char *kind, const char *const *more, struct bed_conf c)
{
	const char *attrs[16] = { "ifname", "v0", "xdp", kind };
	unsigned int n = 4;

	while (more && *more)
		attrs[n++] = *more++;
	if (bed_add(b, "net-xdp", attrs))
		fail_msg("%s", uvdpa_error());
	c.queues = c.queues ? c.queues : 2;
	c.num = 256;
	tf_forget();
	bed_start(b, &c);
	return tf_open("v1");
}

static void end(struct bed *b, int host)
{
	bed_end(b);
	close(host);
}

static void is_frame(size_t len, size_t want, unsigned int tag)
{
	assert_int_equal(len, want);
	tf_fill(frame, want, tag);
	for (size_t i = 0; i < len; i++)
		if (got[i] != frame[i])
			fail_msg("frame %u of %zu bytes: byte %zu", tag, len, i);
}

static void test_both_ways(void **state)
{
	static const size_t sizes[] = { 14, 15, 60, 64, 127, 1000, 1514, 1518 };
	struct virtio_net_hdr_v1 h;
	struct vd_net_hdr hdr;
	struct bed b;

	(void)state;
	veth(1, 1500);
	for (unsigned int k = 0; k < 2; k++) {
		int host = begin(&b, kinds[k], NULL, (struct bed_conf){ .packed = k });

		tf_post(&b, 0, 32, 2048);
		for (unsigned int i = 0; i < VD_ARRAY_SIZE(sizes) - 1; i++) {
			tf_fill(frame, sizes[i], i);
			nb_send(&b, 1, NULL, frame, (uint32_t)sizes[i], i % 2 ? 100 : 0);
			is_frame(tf_take(host, &hdr, got, TF_SOON_MS), sizes[i], i);
			tf_fill(frame, sizes[i], 100 + i);
			assert_true(tf_give(host, NULL, frame, sizes[i]));
			is_frame(tf_receive(&b, 0, &h, got, TF_SOON_MS), sizes[i], 100 + i);
			assert_int_equal(h.flags, 0);
		}
		assert_string_equal(bed_shown(&b, "xdp"), kinds[k]);
		assert_string_equal(bed_shown(&b, "mode"), "copy");
		end(&b, host);
	}
	tf_delete("v0");
}

/* Frames of a chunk's size, and those that are larger. */
static void test_large(void **state)
{
	static const char *const more[] = { "mtu", "3400", NULL };
	struct virtio_net_hdr_v1 h;
	struct vd_net_hdr hdr;
	struct bed b;
	int host;

	(void)state;
	veth(1, 3400);
	host = begin(&b, "native", more, (struct bed_conf){ 0 });
	tf_post(&b, 0, 16, 4000);
	for (unsigned int i = 0; i < 10; i++) {
		tf_fill(frame, 3414, i);
		nb_send(&b, 1, NULL, frame, 3414, 0);
		is_frame(tf_take(host, &hdr, got, TF_SOON_MS), 3414, i);
		assert_true(tf_give(host, NULL, frame, 3414));
		is_frame(tf_receive(&b, 0, &h, got, TF_SOON_MS), 3414, i);
	}
	nb_send(&b, 1, NULL, frame, VD_XDP_CHUNK_MAX + 1, 0);
	assert_int_equal(bed_stat(&b, 1, "tx errors"), 1);
	assert_int_equal(bed_stat(&b, 1, "tx packets"), 10);
	end(&b, host);
	tf_delete("v0");
}

/* More than there are chunks, as fast as it goes; what finds no room waits. */
static void test_many(void **state)
{
	unsigned int sent = 0, back = 0, want = 3 * VD_XDP_CHUNKS;
	struct vd_net_hdr hdr;
	struct bed b;
	int host;

	(void)state;
	veth(1, 1500);
	host = begin(&b, "native", NULL, (struct bed_conf){ 0 });
	for (unsigned int i = 0; i < 256; i++) {
		uint8_t *at = nb_mem(&b, 1) + i * 2048;

		memset(at, 0, 12);
		tf_fill(at + 12, 60, i);
	}
	while (back < want) {
		struct vd_done done[64];
		int n;

		for (; sent < want && sent - back < 128; sent++) {
			struct vd_buf buf = { nb_iova(&b, 1) + sent % 256 * 2048, 72 };

			bed_add_req(&b, 1, &buf, 1, 0);
		}
		n = bed_get(&b, 1, done, 64, 5000);
		assert_true(n > 0);
		back += (unsigned int)n;
	}
	assert_int_equal(bed_stat(&b, 1, "tx packets"), want);
	for (unsigned int i = 0; i < want; i++) {
		size_t len = tf_take(host, &hdr, got, TF_SOON_MS);

		is_frame(len, 60, i % 256);
	}
	end(&b, host);
	tf_delete("v0");
}

/* What the driver has no buffers for waits, in its order; but not for the next driver. */
static void test_no_buffers(void **state)
{
	struct virtio_net_hdr_v1 h;
	struct bed b;

	(void)state;
	veth(1, 1500);
	for (unsigned int k = 0; k < 2; k++) {
		int host = begin(&b, kinds[k], NULL, (struct bed_conf){ 0 });

		for (unsigned int i = 0; i < 500; i++) {
			tf_fill(frame, 100 + i, i);
			assert_true(tf_give(host, NULL, frame, 100 + i));
		}
		for (unsigned int i = 0; i < 500; i++) {
			if (i % 50 == 0)
				tf_post(&b, 0, 50, 2048);
			is_frame(tf_receive(&b, 0, &h, got, TF_SOON_MS), 100 + i, i);
		}
		tf_fill(frame, 100, 7);
		assert_true(tf_give(host, NULL, frame, 100));
		tf_dispatch(&b, 20);
		bed_reset(&b);
		tf_forget();
		bed_start(&b, &(struct bed_conf){ .queues = 2, .num = 256 });
		tf_post(&b, 0, 10, 2048);
		assert_int_equal(tf_receive(&b, 0, &h, got, 100), 0);
		tf_fill(frame, 100, 8);
		assert_true(tf_give(host, NULL, frame, 100));
		is_frame(tf_receive(&b, 0, &h, got, TF_SOON_MS), 100, 8);
		end(&b, host);
	}
	tf_delete("v0");
}

/* Each pair has its queue. */
static void test_pairs(void **state)
{
	static const char *const more[] = { "max_vqp", "2", "workers", "2", "queue", "1", NULL };
	struct vd_net_hdr hdr;
	struct bed b;
	int host;

	(void)state;
	veth(3, 1500);
	/* Without a control queue each queue that runs is used. */
	host = begin(&b, "native", more,
		     (struct bed_conf){ .queues = 4, .features_off = VD_NET_F(CTRL_VQ) });
	for (unsigned int i = 0; i < 40; i++) {
		tf_fill(frame, 200 + i, i);
		nb_send(&b, i % 2 ? 3 : 1, NULL, frame, 200 + i, 0);
		is_frame(tf_take(host, &hdr, got, TF_SOON_MS), 200 + i, i);
	}
	assert_int_equal(bed_stat(&b, 1, "tx packets"), 20);
	assert_int_equal(bed_stat(&b, 3, "tx packets"), 20);
	end(&b, host);
	tf_delete("v0");
}

/* What the driver leaves undone is done here, whatever is free at the time. */
static void test_offloads(void **state)
{
	const struct pkt p = { V4, .sport = 1, .dport = 2, .proto = 6, .payload = 60000, .fill = 3,
			       .partial = true };
	struct pkt_at at = pkt_make(&p, frame);
	struct virtio_net_hdr_v1 h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.csum_start = htole16((uint16_t)at.l4), .csum_offset = htole16(16),
	};
	static const unsigned int gso[] = { 1448, 536, 100, 32 };
	struct vd_net_hdr hdr;
	struct bed b;
	int host;

	(void)state;
	veth(1, 1500);
	host = begin(&b, "native", NULL, (struct bed_conf){ 0 });
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(gso); i++) {
		size_t data = 0;

		h.gso_size = htole16((uint16_t)gso[i]);
		nb_send(&b, 1, &h, frame, (uint32_t)at.len, 0);
		while (data < p.payload) {
			size_t len = tf_take(host, &hdr, got, TF_SOON_MS);

			assert_true(len > at.data);
			assert_null(pkt_wrong(got, len));
			len -= at.data;
			assert_in_range(len, 1, gso[i]);
			assert_memory_equal(got + at.data, frame + at.data + data, len);
			data += len;
		}
		assert_int_equal(data, p.payload);
	}
	/* It says more than is there. */
	h.csum_start = htole16(60000);
	nb_send(&b, 1, &h, frame, 200, 0);
	assert_int_equal(bed_stat(&b, 1, "tx errors"), 1);
	end(&b, host);
	tf_delete("v0");
}

static void test_link(void **state)
{
	struct vd_net_hdr hdr;
	struct bed b;
	int host;

	(void)state;
	veth(1, 1500);
	host = begin(&b, "generic", NULL, (struct bed_conf){ 0 });
	for (unsigned int i = 0; i < 3; i++) {
		tf_until_link(&b, true);
		tf_fill(frame, 60, i);
		nb_send(&b, 1, NULL, frame, 60, 0);
		is_frame(tf_take(host, &hdr, got, TF_SOON_MS), 60, i);
		tf_set_up("v1", false);
		tf_until_link(&b, false);
		nb_send(&b, 1, NULL, frame, 60, 0);
		tf_set_up("v1", true);
	}
	tf_until_link(&b, true);
	tf_delete("v0");
	tf_until_link(&b, false);
	nb_send(&b, 1, NULL, frame, 60, 0);
	end(&b, host);
}

/* What cannot be is said, and leaves nothing behind. */
static void test_refused(void **state)
{
	static const struct {
		const char *attrs[8];
		int err;
	} cases[] = {
		{ { "ifname", "none" }, -ENODEV },
		{ { "ifname", "an-interface-of-a-long-name" }, -ENODEV },
		{ { "ifname", "v0", "queue", "1" }, -EINVAL },
		{ { "ifname", "v0", "max_vqp", "2" }, -EINVAL },
		{ { "ifname", "v0", "mode", "zerocopy" }, -EOPNOTSUPP },
		{ { "ifname", "v0", "mtu", "1501" }, -EINVAL },
		{ { "ifname", "v0", "mtu", "3823" }, -EINVAL },
		{ { "ifname", "v0", "netns", "/none" }, -ENOENT },
		{ { "ifname", "lo", "xdp", "native" }, -EOPNOTSUPP },
		{ { "ifname", "t0" }, -EINVAL },
	};
	struct bed b, other;
	int host;

	(void)state;
	veth(1, 1500);
	assert_int_equal(system("PATH=$PATH:/sbin:/usr/sbin; ip tuntap add t0 mode tun"), 0);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		int r = bed_add(&other, "net-xdp", cases[i].attrs);

		if (r != cases[i].err)
			fail_msg("case %u: %d, %s", i, r, uvdpa_error());
	}
	/* Again and again at once: the kernel has not cleared up yet. */
	for (unsigned int i = 0; i < 20; i++) {
		host = begin(&b, "generic", NULL, (struct bed_conf){ 0 });
		close(host);
		bed_end(&b);
	}
	tf_delete("t0");
	tf_delete("v0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways), cmocka_unit_test(test_large),
		cmocka_unit_test(test_many),	  cmocka_unit_test(test_no_buffers),
		cmocka_unit_test(test_pairs),	  cmocka_unit_test(test_offloads),
		cmocka_unit_test(test_link),	  cmocka_unit_test(test_refused),
	};

	if (!tf_alone())
		return 77;
	if (system("PATH=$PATH:/sbin:/usr/sbin; "
		   "ip link add t0 type veth peer name t1 && ip link del t0")) {
		printf("no veth, or no ip(8)\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
