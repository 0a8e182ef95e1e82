/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-test.c - frames and headers of a driver that means no good, and buffers of one
 *
 * Tests are named after what others have got wrong.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "softdev/net-bed.h"
#include "softdev/net-pkt-fx.h"

#define F(bit) VD_NET_F(bit)

static const char *const echo[] = { "mode", "echo", "rss", "on", NULL };
static const char *const two[] = { "mode", "echo", "max_vqp", "2", "workers", "1", NULL };

static uint8_t frame[PKT_MAX];

static void begin(struct bed *b, const char *const *attrs, unsigned int queues,
		  uint64_t features_off)
{
	struct bed_conf c = { .queues = queues, .num = 64, .features_off = features_off };

	assert_int_equal(bed_add(b, "sim-net", attrs), 0);
	bed_start(b, &c);
	nb_send(b, 1, NULL, frame, 1, 0); /* its worker has it */
}

static void fill(uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(i * 11 + 1);
}

/* One request of these lengths, of which the first byte is at the beginning of the queue's memory.
 */
static void send_cut(struct bed *b, const uint32_t *lens, unsigned int n)
{
	uint64_t at = nb_iova(b, 1);
	struct vd_buf bufs[16];
	struct vd_done done;

	for (unsigned int i = 0; i < n; i++) {
		bufs[i] = (struct vd_buf){ at, lens[i] };
		at += lens[i];
	}
	bed_add_req(b, 1, bufs, n, 0);
	assert_int_equal(bed_get(b, 1, &done, 1, 5000), 1);
}

/* CVE-2022-2132: a header cut at each byte, over 1 to 12 descriptors. */
static void test_cve_2022_2132_header_in_pieces(void **state)
{
	unsigned int hlens[] = { 12, 20 };

	(void)state;
	for (unsigned int h = 0; h < 2; h++) {
		unsigned int hlen = hlens[h], len = 80;
		struct nb_frame got;
		struct bed b;

		begin(&b, echo, 2, hlen == 12 ? F(HASH_REPORT) : 0);
		nb_post(&b, 0, 60, 2048);
		fill(len);
		srandom(1);
		for (unsigned int run = 0; run < 400; run++) {
			uint32_t lens[12], left = hlen + len;
			unsigned int n = 1 + run % 12;

			for (unsigned int i = 0; i + 1 < n; i++) {
				/* Mostly within the header; first of all at each of its bytes. */
				lens[i] = n == 2 ? 1 + run / 12 % (hlen + 4)
						 : 1 + (uint32_t)random() % (1 + hlen / n);
				left -= lens[i];
			}
			lens[n - 1] = left;
			memset(nb_mem(&b, 1), 0, hlen);
			memcpy(nb_mem(&b, 1) + hlen, frame, len);
			send_cut(&b, lens, n);
			assert_true(nb_receive(&b, 0, &got, 0));
			assert_int_equal(got.len, len);
			assert_memory_equal(got.frame, frame, len);
			nb_post_slot(&b, 0, got.slot, 2048);
		}
		bed_end(&b);
	}
}

/* The same: nothing behind the header, or not even all of it. */
static void test_cve_2022_2132_no_frame(void **state)
{
	struct nb_frame got;
	struct bed b;
	uint64_t errors;

	(void)state;
	begin(&b, echo, 2, F(HASH_REPORT));
	nb_post(&b, 0, 4, 2048);
	errors = bed_stat(&b, 1, "tx errors");
	memset(nb_mem(&b, 1), 0, 64);
	for (uint32_t len = 1; len < 12 + VD_NET_HLEN; len++)
		for (unsigned int n = 1; n <= vd_min(len, 12u); n++) {
			uint32_t lens[12];

			for (unsigned int i = 0; i < n; i++)
				lens[i] = i + 1 < n ? 1 : len - n + 1;
			send_cut(&b, lens, n);
			assert_int_equal(bed_stat(&b, 1, "tx errors"), ++errors);
			assert_false(nb_receive(&b, 0, &got, 0));
		}
	fill(VD_NET_HLEN);
	nb_send(&b, 1, NULL, frame, VD_NET_HLEN, 0);
	assert_true(nb_receive(&b, 0, &got, 1000));
	assert_int_equal(got.len, VD_NET_HLEN);
	bed_end(&b);
}

static const struct {
	const char *name;
	struct virtio_net_hdr_v1 hdr; /* of this machine's order */
	uint64_t features_off;
} bad_headers[] = {
	{ "checksum begins behind the frame", { .flags = 1, .csum_start = 101 }, 0 },
	{ "checksum lies behind it", { .flags = 1, .csum_start = 34, .csum_offset = 65 }, 0 },
	{ "the sum of both wraps", { .flags = 1, .csum_start = 65535, .csum_offset = 65535 }, 0 },
	{ "a checksum, not negotiated",
	  { .flags = 1, .csum_start = 34, .csum_offset = 16 },
	  F(CSUM) | F(HOST_TSO4) | F(HOST_TSO6) | F(HOST_UFO) | F(HOST_USO) | F(HOST_ECN) },
	{ "no size of segments",
	  { .flags = 1, .gso_type = 1, .csum_start = 34, .csum_offset = 16 },
	  0 },
	{ "segments without a checksum", { .gso_type = 1, .gso_size = 10 }, 0 },
	{ "an unknown type", { .flags = 1, .gso_type = 2, .gso_size = 10, .csum_start = 34 }, 0 },
	{ "another", { .flags = 1, .gso_type = 0x7f, .gso_size = 10, .csum_start = 34 }, 0 },
	{ "ECN alone", { .flags = 1, .gso_type = 0x80, .gso_size = 10, .csum_start = 34 }, 0 },
	{ "headers longer than the frame",
	  { .flags = 1,
	    .gso_type = 1,
	    .gso_size = 10,
	    .csum_start = 34,
	    .csum_offset = 16,
	    .hdr_len = 101 },
	  0 },
	{ "TSO4, not negotiated",
	  { .flags = 1, .gso_type = 1, .gso_size = 10, .csum_start = 34, .csum_offset = 16 },
	  F(HOST_TSO4) },
	{ "TSO6, not negotiated",
	  { .flags = 1, .gso_type = 4, .gso_size = 10, .csum_start = 54, .csum_offset = 16 },
	  F(HOST_TSO6) },
	{ "UFO, not negotiated",
	  { .flags = 1, .gso_type = 3, .gso_size = 16, .csum_start = 34, .csum_offset = 6 },
	  F(HOST_UFO) },
	{ "USO, not negotiated",
	  { .flags = 1, .gso_type = 5, .gso_size = 10, .csum_start = 34, .csum_offset = 6 },
	  F(HOST_USO) },
	{ "ECN, not negotiated",
	  { .flags = 1, .gso_type = 0x81, .gso_size = 10, .csum_start = 34, .csum_offset = 16 },
	  F(HOST_ECN) },
};

/* CVE-2024-11614 and its kind: what is left to us lies outside of the frame, or was not agreed on.
 */
static void test_cve_2024_11614_headers(void **state)
{
	static const struct pkt p = { .src = "10.0.0.1",
				      .dst = "10.0.0.2",
				      .proto = IPPROTO_TCP,
				      .payload = 46,
				      .partial = true };
	struct nb_frame got;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(bad_headers); i++) {
		struct virtio_net_hdr_v1 hdr = bad_headers[i].hdr;
		struct pkt_at at = pkt_make(&p, frame);
		struct bed b;

		hdr.hdr_len = htole16(hdr.hdr_len);
		hdr.gso_size = htole16(hdr.gso_size);
		hdr.csum_start = htole16(hdr.csum_start);
		hdr.csum_offset = htole16(hdr.csum_offset);
		assert_int_equal(at.len, 100);
		begin(&b, echo, 2, bad_headers[i].features_off);
		nb_post(&b, 0, 4, 2048);
		nb_send(&b, 1, &hdr, frame, 100, 0);
		if (bed_stat(&b, 1, "tx errors") != 2 || nb_receive(&b, 0, &got, 0))
			fail_msg("%s: taken", bad_headers[i].name);
		nb_send(&b, 1, NULL, frame, 100, 0);
		assert_true(nb_receive(&b, 0, &got, 1000));
		bed_end(&b);
	}
}

/*
 * CVE-2015-7295, CVE-2024-8612: buffers that have no room for the header, or just for it, or for a
 * part of the frame. What is said to be written is, nothing else is, and the queue goes on.
 */
static void test_cve_2015_7295_small_buffers(void **state)
{
	(void)state;
	for (unsigned int mrg = 0; mrg < 2; mrg++)
		for (uint32_t size = 1; size < 32 + 80; size += size < 24 ? 1 : 11) {
			struct vd_buf buf;
			struct vd_done done;
			uint32_t sum = 0, len = 80;
			unsigned int n = 0, want = size < 12 ? 0 : (12 + len + size - 1) / size;
			struct bed b;

			begin(&b, echo, 2, F(HASH_REPORT) | (mrg ? 0 : F(MRG_RXBUF)));
			memset(nb_mem(&b, 0), 0x5a, 32 * NB_SLOT);
			for (unsigned int i = 0; i < 10; i++) {
				buf = (struct vd_buf){ nb_iova(&b, 0) + i * NB_SLOT, size };
				bed_add_req(&b, 0, &buf, 0, 1);
			}
			buf = (struct vd_buf){ nb_iova(&b, 0) + 10 * NB_SLOT, 2048 };
			bed_add_req(&b, 0, &buf, 0, 1);
			fill(len);
			nb_send(&b, 1, NULL, frame, len, 0);
			while (bed_get(&b, 0, &done, 1, 0) == 1) {
				const uint8_t *mem = nb_mem(&b, 0) + done.id * NB_SLOT;
				uint32_t room = done.id == 10 ? 2048 : size;

				assert_int_equal(done.id, n++);
				assert_true(done.len <= room);
				for (uint32_t i = room; i < NB_SLOT; i++)
					assert_int_equal(mem[i], 0x5a);
				sum += done.len;
			}
			if (size < 12) { /* none of them is one */
				assert_int_equal(n, 11);
				assert_int_equal(sum, 12 + len);
			} else if (mrg && want <= 11) {
				assert_int_equal(n, want);
				assert_int_equal(sum, 12 + len);
			} else if (!mrg && size < 12 + len) { /* dropped, and the buffer stays */
				assert_int_equal(n, 0);
				assert_int_equal(bed_stat(&b, 0, "rx errors"), 1);
			}
			nb_send(&b, 1, NULL, frame, 14, 0);
			assert_true(!vd_virtq_drv_error(b.q[0].drv));
			bed_end(&b);
		}
}

/* CVE-2023-6693: each size of header with each way of buffers; bytes behind what was written stay.
 */
static void test_cve_2023_6693_header_sizes(void **state)
{
	static const uint64_t off[] = { F(HASH_REPORT), 0 };

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t features_off = off[i & 1] | (i & 2 ? F(MRG_RXBUF) : 0);
		struct vd_buf bufs[3];
		struct vd_done done;
		unsigned int hlen;
		struct bed b;

		begin(&b, echo, 2, features_off);
		hlen = nb_hdr_len(&b);
		assert_int_equal(hlen, i & 1 ? 20 : 12);
		fill(60);
		for (unsigned int k = 1; k < hlen + 10;
		     k++) { /* the header in two pieces, or one */
			uint8_t *mem = nb_mem(&b, 0);
			struct virtio_net_hdr_v1 *h = (void *)mem;

			memset(mem, 0x5a, NB_SLOT);
			bufs[0] = (struct vd_buf){ nb_iova(&b, 0), k };
			bufs[1] = (struct vd_buf){ nb_iova(&b, 0) + k, hlen + 60 - k };
			bed_add_req(&b, 0, bufs, 0, 2);
			nb_send(&b, 1, NULL, frame, 60, 0);
			assert_int_equal(bed_get(&b, 0, &done, 1, 1000), 1);
			assert_int_equal(done.len, hlen + 60);
			assert_int_equal(le16toh(h->num_buffers), 1);
			assert_memory_equal(mem + hlen, frame, 60);
			for (unsigned int z = 0; z < hlen; z++)
				assert_true(!mem[z] ||
					    z == offsetof(struct virtio_net_hdr_v1, num_buffers));
			for (unsigned int z = hlen + 60; z < NB_SLOT; z++)
				assert_int_equal(mem[z], 0x5a);
		}
		bed_end(&b);
	}
}

/* CVE-2026-63320, -63321: frames of 0 to 64 bytes through every offload, to who takes none. */
static void test_cve_2026_63320_short_frames(void **state)
{
	static const uint8_t types[] = { 0, 1, 3, 4, 5, 0x81, 0x84 };
	struct nb_frame got;
	struct bed b;

	(void)state;
	begin(&b, echo, 2, VD_NET_GUEST_OFFLOADS);
	nb_post(&b, 0, 60, 2048);
	for (uint32_t len = 0; len <= 64; len++)
		for (unsigned int t = 0; t < VD_ARRAY_SIZE(types); t++)
			for (unsigned int v6 = 0; v6 < 2; v6++) {
				struct pkt p = { .src = v6 ? "fd00::1" : "10.0.0.1",
						 .dst = v6 ? "fd00::2" : "10.0.0.2",
						 .proto = types[t] & 2 || types[t] == 5
								  ? IPPROTO_UDP
								  : IPPROTO_TCP,
						 .partial = true };
				struct pkt_at at = pkt_make(&p, frame);
				struct virtio_net_hdr_v1 hdr = {
					.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					.gso_type = types[t],
					.gso_size = htole16(types[t] ? 8 : 0),
					.csum_start = htole16((uint16_t)at.l4),
					.csum_offset = htole16(p.proto == IPPROTO_UDP ? 6 : 16),
				};

				nb_send(&b, 1, &hdr, frame, len, 0);
				while (nb_receive(&b, 0, &got, 0)) {
					assert_true(got.len <= vd_max(len, at.len));
					assert_int_equal(got.hdr.hdr.flags, 0);
					assert_int_equal(got.hdr.hdr.gso_type, 0);
					nb_post_slot(&b, 0, got.slot, 2048);
				}
			}
	assert_true(bed_stat(&b, 1, "tx errors") + bed_stat(&b, 0, "rx errors") > 500);
	bed_end(&b);
}

/* A process that writes anything anywhere; one of another, so it is no race of ours. */
static pid_t start_flipping(uint8_t *at, unsigned int len)
{
	pid_t pid = fork();
	unsigned int seed = 1;

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		at[(unsigned int)rand_r(&seed) % len] = (uint8_t)rand_r(&seed);
}

/*
 * CVE-2020-14375 and its kind: the header, and those of the frame, change all the time. Nothing is
 * known of what comes back but that it lies where it may.
 */
static void test_cve_2020_14375_headers_flip(void **state)
{
	static const struct pkt p = { .src = "10.0.0.1",
				      .dst = "10.0.0.2",
				      .proto = IPPROTO_TCP,
				      .payload = 1000,
				      .partial = true };
	struct pkt_at at = pkt_make(&p, frame);
	struct virtio_net_hdr_v1 hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.gso_size = htole16(100),
		.csum_start = htole16((uint16_t)at.l4),
		.csum_offset = htole16(16),
	};
	struct nb_frame got;
	struct bed b;
	pid_t pid;

	(void)state;
	begin(&b, echo, 2, VD_NET_GUEST_OFFLOADS);
	nb_post(&b, 0, 60, 2048);
	pid = start_flipping(nb_mem(&b, 1), 80);
	for (unsigned int i = 0; i < 4000; i++) {
		nb_send(&b, 1, &hdr, frame, (uint32_t)at.len, i % 3 ? 0 : 200);
		while (nb_receive(&b, 0, &got, 0)) {
			assert_true(got.len <= at.len + 8);
			nb_post_slot(&b, 0, got.slot, 2048);
		}
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(uvdpa_dev_status(b.dev), 15);
	bed_end(&b);
}

struct flooder {
	struct bed *b;
	unsigned int q;
	bool stop;     /* atomic */
	uint64_t sent; /* atomic */
};

/* Keep a transmit queue full. */
static void *flood(void *arg)
{
	struct flooder *f = arg;
	struct vd_virtq_drv *drv = f->b->q[f->q].drv;
	struct vd_buf buf = { nb_iova(f->b, f->q), 12 + 60 };
	struct vd_done done[32];

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		while (vd_virtq_drv_add(drv, &buf, 1, 0) >= 0)
			;
		if (vd_virtq_drv_publish(drv))
			vd_eventfd_signal(f->b->q[f->q].kick);
		__atomic_fetch_add(&f->sent, (unsigned int)vd_virtq_drv_get(drv, done, 32),
				   __ATOMIC_RELAXED);
	}
	return NULL;
}

/* CVE-2019-3900: one queue that never ends does not keep the worker from the next. */
static void test_cve_2019_3900_fairness(void **state)
{
	struct flooder f;
	pthread_t thread;
	struct bed b;

	(void)state;
	begin(&b, two, 5, 0);
	f = (struct flooder){ .b = &b, .q = 1 };
	memset(nb_mem(&b, 1), 0, 128);
	assert_int_equal(pthread_create(&thread, NULL, flood, &f), 0);
	for (unsigned int i = 0; i < 200 || __atomic_load_n(&f.sent, __ATOMIC_RELAXED) < 1000;
	     i++) {
		nb_send(&b, 3, NULL, frame, 60, 0); /* fails when it takes five seconds */
		assert_int_equal(nb_command(&b, 4, VIRTIO_NET_CTRL_RX, 0, "\1", 1, 0),
				 VIRTIO_NET_OK);
	}
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	bed_end(&b);
}

/* CVE-2020-16843: frames that find no buffer, or one, and then there are some. */
static void test_cve_2020_16843_no_buffers(void **state)
{
	struct nb_frame got;
	struct bed b;
	uint64_t overruns;

	(void)state;
	begin(&b, echo, 2, 0);
	for (unsigned int i = 0; i < 100; i++)
		nb_send(&b, 1, NULL, frame, 60, 0);
	overruns = bed_stat(&b, 0, "rx overruns");
	assert_int_equal(overruns, 100);
	nb_post(&b, 0, 1, 2048);
	for (unsigned int i = 0; i < 100; i++) {
		nb_send(&b, 1, NULL, frame, 60, 0);
		if (i % 10)
			continue;
		assert_true(nb_receive(&b, 0, &got, 1000));
		nb_post_slot(&b, 0, got.slot, 2048);
	}
	assert_true(bed_stat(&b, 0, "rx overruns") > overruns);
	bed_end(&b);
}

/* One frame for which buffers come bit by bit, and more of them than are taken at once. */
static void test_many_buffers(void **state)
{
	enum { SIZE = 500, NEED = 84 };
	struct bed_conf c = { .queues = 2, .num = 256 };
	struct vd_done done[NEED];
	uint32_t len = NEED * SIZE - 20 - 100, sum = 0;
	int n = 0;
	struct bed b;

	(void)state;
	assert_int_equal(bed_add(&b, "sim-net", echo), 0);
	bed_start(&b, &c);
	fill(len);
	nb_send(&b, 1, NULL, frame, 1, 0);
	nb_post(&b, 0, 66, SIZE);
	nb_send(&b, 1, NULL, frame, 60, 0); /* it has seen those, and used one */
	assert_int_equal(bed_get(&b, 0, done, 1, 1000), 1);
	for (unsigned int i = 0; i < NEED - 65; i++)
		nb_post_slot(&b, 0, 66 + i, SIZE);
	nb_send(&b, 1, NULL, frame, len, 0);
	while (n < NEED) {
		int got = bed_get(&b, 0, done + n, NEED - (unsigned int)n, 1000);

		assert_true(got > 0);
		for (; got; got--)
			sum += done[n++].len;
	}
	assert_int_equal(sum, 20 + len);
	bed_end(&b);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *text;
		int err;
	} cases[] = {
		{ "52:54:00:12:34:5f", 0 },	    { "52:54:00:12:34:5F", 0 },
		{ "52:54:00:12:34:+5", -EINVAL }, { "52:54:00:12:34: 5", -EINVAL },
		{ "52:54:00:12:34:-5", -EINVAL }, { "52:54:00:12:34:5g", -EINVAL },
		{ "52-54-00-12-34-5f", -EINVAL }, { "52:54:00:12:34:5", -EINVAL },
		{ "52:54:00:12:34:5f0", -EINVAL }, { "", -EINVAL },
	};
	uint8_t mac[6];

	(void)state;
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++)
		assert_int_equal(vd_net_mac(cases[i].text, mac), cases[i].err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cve_2022_2132_header_in_pieces),
		cmocka_unit_test(test_cve_2022_2132_no_frame),
		cmocka_unit_test(test_cve_2024_11614_headers),
		cmocka_unit_test(test_cve_2015_7295_small_buffers),
		cmocka_unit_test(test_cve_2023_6693_header_sizes),
		cmocka_unit_test(test_cve_2026_63320_short_frames),
		cmocka_unit_test(test_cve_2020_14375_headers_flip),
		cmocka_unit_test(test_cve_2019_3900_fairness),
		cmocka_unit_test(test_cve_2020_16843_no_buffers),
		cmocka_unit_test(test_many_buffers),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
