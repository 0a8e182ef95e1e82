/* SPDX-License-Identifier: BSD-2-Clause */
/* net-socket-test.c - frames by a stream, and what is at its other end is a socket of ours */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/unix.h"
#include "parent/net-socket-fx.h"
#include "softdev/net-pkt-fx.h"

static void stream_both_ways(void **state)
{
	static uint8_t buf[VD_NET_FRAME_MAX];
	struct vd_done done[SF_FRAMES];
	struct bed b;
	int fd;

	(void)state;
	fd = sf_begin_server(&b);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(sf_lengths); i++)
		sf_send_frame(&b, i, sf_lengths[i]);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(sf_lengths); i++) {
		assert_int_equal(sf_next_frame(fd, buf), sf_lengths[i]);
		sf_expect(buf, i, sf_lengths[i]);
	}
	sf_come_home(&b, 1, done, VD_ARRAY_SIZE(sf_lengths));
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(sf_lengths); i++)
		sf_add_buffer(&b, i, SF_SLOT);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(sf_lengths); i++)
		sf_send_wire(fd, i, sf_lengths[i]);
	sf_come_home(&b, 0, done, VD_ARRAY_SIZE(sf_lengths));
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(sf_lengths); i++) {
		assert_int_equal(done[i].len, SF_HDR + sf_lengths[i]);
		assert_int_equal(b.mem[sf_slot(i) + 10], 1);	/* num_buffers */
		sf_expect(b.mem + sf_slot(i) + SF_HDR, i, sf_lengths[i]);
	}
	assert_int_equal(bed_stat(&b, 1, "tx packets"), VD_ARRAY_SIZE(sf_lengths));
	assert_int_equal(bed_stat(&b, 0, "rx packets"), VD_ARRAY_SIZE(sf_lengths));
	close(fd);
	bed_end(&b);
}

/* Frames come in parts, which end at any byte. */
static void stream_in_parts(void **state)
{
	static const uint32_t len[] = { 14, 60, 37 };
	uint8_t buf[256];
	struct vd_done done[3];
	size_t n = 0;
	struct bed b;
	int fd;

	(void)state;
	fd = sf_begin_server(&b);
	for (unsigned int i = 0; i < 3; i++)
		n += sf_wire(buf + n, i, len[i]);
	for (size_t cut = 1; cut < n; cut++) {
		for (unsigned int i = 0; i < 3; i++)
			sf_add_buffer(&b, i, 128);
		sf_write_all(fd, buf, cut);
		if (cut % 4 == 0)
			usleep(1000); /* so that the device is behind us */
		sf_write_all(fd, buf + cut, n - cut);
		sf_come_home(&b, 0, done, 3);
		for (unsigned int i = 0; i < 3; i++) {
			assert_int_equal(done[i].len, SF_HDR + len[i]);
			sf_expect(b.mem + sf_slot(i) + SF_HDR, i, len[i]);
		}
	}
	close(fd);
	bed_end(&b);
}

/* A frame that is larger than a buffer goes into several. */
static void stream_into_small_buffers(void **state)
{
	struct vd_done done[3];
	uint8_t got[4500];
	struct bed b;
	int fd;

	(void)state;
	fd = sf_begin_server(&b);
	for (unsigned int i = 0; i < 3; i++)
		sf_add_buffer(&b, i, 1536);
	sf_send_wire(fd, 5, 4500);
	sf_come_home(&b, 0, done, 3);
	assert_int_equal(b.mem[sf_slot(0) + 10], 3);
	memcpy(got, b.mem + sf_slot(0) + SF_HDR, 1524);
	memcpy(got + 1524, b.mem + sf_slot(1), 1536);
	memcpy(got + 3060, b.mem + sf_slot(2), 1440);
	sf_expect(got, 5, 4500);
	close(fd);
	bed_end(&b);
}

/* A driver that never has buffers enough for one frame gets the next all the same. */
static void stream_never_has_room(void **state)
{
	struct vd_done done;
	struct bed b;
	int fd;

	(void)state;
	fd = sf_begin_server(&b);
	for (unsigned int i = 0; i < 3; i++)
		sf_add_buffer(&b, i, 1536);
	sf_send_wire(fd, 5, 9000);
	sf_send_wire(fd, 6, 1000);
	sf_come_home(&b, 0, &done, 1);
	assert_int_equal(done.len, SF_HDR + 1000);
	sf_expect(b.mem + sf_slot(0) + SF_HDR, 6, 1000);
	assert_int_equal(bed_stat(&b, 0, "rx overruns"), 1);
	close(fd);
	bed_end(&b);
}

/* What the other side does not read stays in the ring; of one frame a part may have gone. */
static void peer_does_not_read(void **state)
{
	static uint8_t buf[VD_NET_FRAME_MAX];
	struct vd_done done[SF_FRAMES];
	unsigned int back = 0;
	struct bed b;
	int fd;

	(void)state;
	fd = sf_begin_server(&b);
	for (unsigned int round = 0; round < 4; round++) {
		uint32_t len = round % 2 ? 20000 + round : 61000 + round;
		int n;

		for (unsigned int i = 0; i < SF_FRAMES; i++)
			sf_send_frame(&b, i, len);
		back = 0;
		while ((n = bed_get(&b, 1, done, SF_FRAMES, 100)) > 0)
			back += (unsigned int)n;
		assert_in_range(back, 1, SF_FRAMES - 1);
		/* Frames come in meanwhile all the same. */
		sf_add_buffer(&b, 99, 2000);
		sf_send_wire(fd, 7, 1000);
		sf_come_home(&b, 0, done, 1);
		sf_expect(b.mem + sf_slot(99) + SF_HDR, 7, 1000);
		for (unsigned int i = 0; i < SF_FRAMES; i++) {
			assert_int_equal(sf_next_frame(fd, buf), len);
			sf_expect(buf, i, len);
		}
		sf_come_home(&b, 1, done, SF_FRAMES - back);
	}
	close(fd);
	bed_end(&b);
}

/* Of the last frame there is a part may have gone, and then the rest goes without another one. */
static void rest_goes_by_itself(void **state)
{
	static uint8_t buf[VD_NET_FRAME_MAX];
	struct vd_done done[SF_FRAMES];
	struct bed b;
	int fd;

	(void)state;
	fd = sf_begin_server(&b);
	for (unsigned int n = 1; n < 12; n++) {
		for (unsigned int i = 0; i < n; i++) {
			sf_send_frame(&b, i, VD_NET_FRAME_MAX - n);
			usleep(500);	/* each is a burst of its own */
		}
		for (unsigned int i = 0; i < n; i++) {
			assert_int_equal(sf_next_frame(fd, buf), VD_NET_FRAME_MAX - n);
			sf_expect(buf, i, VD_NET_FRAME_MAX - n);
		}
		sf_come_home(&b, 1, done, n);
	}
	close(fd);
	bed_end(&b);
}

/* It sends one frame after the other, so that the worker hardly sleeps, and reads in between. */
static void busy_and_blocked(void **state)
{
	static uint8_t buf[VD_NET_FRAME_MAX], small[64];
	unsigned int slots[256];
	size_t n_small = sf_wire(small, 1, 60);
	struct vd_done done[SF_FRAMES];
	unsigned int received = 0, came = 0;
	struct bed b;
	int fd;

	(void)state;
	fd = sf_begin_server(&b);
	for (unsigned int i = 0; i < 30; i++)
		slots[sf_add_buffer(&b, i, 128)] = i;
	for (unsigned int i = 0; i < SF_FRAMES - 20; i++)
		sf_send_frame(&b, 30 + i, 60000);
	for (unsigned int turn = 0; came < SF_FRAMES - 20; turn++) {
		int n;

		for (unsigned int k = 0; k < 16; k++)
			if (send(fd, small, n_small, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
				break;
		n = vd_virtq_drv_get(b.q[0].drv, done, SF_FRAMES);
		for (int k = 0; k < n; k++) {
			unsigned int i = slots[done[k].id];

			sf_expect(b.mem + sf_slot(i) + SF_HDR, 1, 60);
			slots[sf_add_buffer(&b, i, 128)] = i;
		}
		received += (unsigned int)n;
		if (turn % 50 == 49) {
			assert_int_equal(sf_next_frame(fd, buf), 60000);
			sf_expect(buf, 30 + came++, 60000);
		}
		assert_true(turn < 100000);
	}
	assert_true(received > 0);
	close(fd);
	bed_end(&b);
}

/* No buffers: nothing is lost, and the other side cannot send for ever. */
static void driver_has_no_buffers(void **state)
{
	static uint8_t buf[2000];
	size_t n = sf_wire(buf, 3, 1500);
	struct vd_done done[SF_FRAMES];
	unsigned int sent = 0, came = 0;
	struct bed b;
	int fd;

	(void)state;
	fd = sf_begin_server(&b);
	for (; sent < 100000; sent++) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		if (poll(&p, 1, 200) != 1)
			break;
		if (send(fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)n)
			break;
	}
	assert_in_range(sent, 20, 10000);
	while (came < sent) {
		unsigned int k = sent - came < 40 ? sent - came : 40;

		for (unsigned int i = 0; i < k; i++)
			sf_add_buffer(&b, i, 1600);
		sf_come_home(&b, 0, done, k);
		for (unsigned int i = 0; i < k; i++) {
			assert_int_equal(done[i].len, SF_HDR + 1500);
			sf_expect(b.mem + sf_slot(i) + SF_HDR, 3, 1500);
		}
		came += k;
	}
	assert_int_equal(bed_stat(&b, 0, "rx overruns"), 0);
	close(fd);
	bed_end(&b);
}

static void nonsense_ends_the_connection(void **state)
{
	static const uint32_t bad[] = { 0, VD_NET_FRAME_MAX + 1, 0x7fffffff, 0xffffffff };
	struct vd_done done[2];
	struct bed b;
	int fd;

	(void)state;
	fd = sf_begin_server(&b);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(bad); i++) {
		uint32_t word = htobe32(bad[i]);

		sf_add_buffer(&b, 0, 128);
		/* What was right before it comes in. */
		sf_send_wire(fd, i, 60);
		sf_write_all(fd, &word, sizeof(word));
		sf_come_home(&b, 0, done, 1);
		sf_expect(b.mem + sf_slot(0) + SF_HDR, i, 60);
		sf_expect_end(&b, fd);
		sf_wait_link(&b, false);
		fd = vd_unix_connect(sf_path, 0);
		assert_true(fd >= 0);
		sf_wait_link(&b, true);
	}
	/* What is too short for Ethernet, but a frame, is dropped alone. */
	sf_add_buffer(&b, 0, 128);
	for (uint32_t len = 1; len < VD_NET_HLEN; len++)
		sf_send_wire(fd, 0, len);
	sf_send_wire(fd, 9, 64);
	sf_come_home(&b, 0, done, 1);
	sf_expect(b.mem + sf_slot(0) + SF_HDR, 9, 64);
	assert_int_equal(bed_stat(&b, 0, "rx errors"), VD_NET_HLEN - 1);
	close(fd);
	bed_end(&b);
}

/* A frame of TCP that is too large for the wire. */
static void offloads_are_done_here(void **state)
{
	static uint8_t pkt[PKT_MAX], got[PKT_MAX];
	const struct pkt p = { .src = "10.0.0.1", .dst = "10.0.0.2", .sport = 1, .dport = 2,
			       .proto = 6, .payload = 60000, .fill = 3, .partial = true };
	struct pkt_at at = pkt_make(&p, pkt);
	struct virtio_net_hdr_v1 h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.csum_start = htole16((uint16_t)at.l4), .csum_offset = htole16(16),
	};
	static const unsigned int sizes[] = { 1448, 700, 32 };
	struct bed b;
	int fd;

	(void)state;
	fd = sf_begin_server(&b);
	for (unsigned int s = 0; s < VD_ARRAY_SIZE(sizes); s++) {
		struct vd_buf buf = { bed_iova(sf_slot(0)), SF_HDR + (uint32_t)at.len };
		struct vd_done done;
		size_t data = 0;

		h.gso_size = htole16((uint16_t)sizes[s]);
		memcpy(b.mem + sf_slot(0), &h, SF_HDR);
		memcpy(b.mem + sf_slot(0) + SF_HDR, pkt, at.len);
		bed_add_req(&b, 1, &buf, 1, 0);
		usleep(20000); /* the socket is full by now, in the middle of it */
		while (data < p.payload) {
			uint32_t len = sf_next_frame(fd, got);

			assert_null(pkt_wrong(got, len));
			len -= (uint32_t)at.data;
			assert_in_range(len, 1, sizes[s]);
			assert_memory_equal(got + at.data, pkt + at.data + data, len);
			data += len;
		}
		assert_int_equal(data, p.payload);
		sf_come_home(&b, 1, &done, 1);
	}
	close(fd);
	bed_end(&b);
}

/* And what was cut up on the way to us becomes one frame again, where there is room for it. */
static void segments_become_one(void **state)
{
	static uint8_t pkt[PKT_MAX], wire[PKT_MAX];
	const struct pkt p = { .src = "10.0.0.1", .dst = "10.0.0.2", .sport = 1, .dport = 2,
			       .proto = 6, .payload = 4000, .tcp_flags = 0x10, .partial = true };
	struct pkt_at at = pkt_make(&p, pkt);
	struct virtio_net_hdr_v1 h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = htole16((uint16_t)at.data), .gso_size = htole16(1000),
		.csum_start = htole16((uint16_t)at.l4), .csum_offset = htole16(16),
		.num_buffers = htole16(1),
	};
	struct vd_buf buf = { bed_iova(sf_slot(0)), SF_HDR + (uint32_t)at.len };
	struct vd_done done[4];
	uint32_t word = htobe32((uint32_t)at.data + 1000);
	size_t n = 0;
	struct bed b;
	int fd;

	(void)state;
	fd = sf_begin_server(&b);
	memcpy(b.mem + sf_slot(0), &h, SF_HDR);
	memcpy(b.mem + sf_slot(0) + SF_HDR, pkt, at.len);
	bed_add_req(&b, 1, &buf, 1, 0);
	for (unsigned int i = 0; i < 4; i++) {
		memcpy(wire + n, &word, sizeof(word));
		n += sizeof(word);
		assert_int_equal(sf_next_frame(fd, wire + n), at.data + 1000);
		n += at.data + 1000;
	}
	sf_come_home(&b, 1, done, 1);

	sf_add_buffer(&b, 1, SF_SLOT);
	sf_write_all(fd, wire, n);
	sf_come_home(&b, 0, done, 1);
	assert_int_equal(done->len, SF_HDR + at.len);
	assert_memory_equal(b.mem + sf_slot(1), &h, SF_HDR);
	assert_memory_equal(b.mem + sf_slot(1) + SF_HDR, pkt, at.len);

	/* Room for one, and for one more; for two at once there is not. */
	for (unsigned int i = 0; i < 4; i++) {
		sf_add_buffer(&b, i, (uint32_t)(SF_HDR + at.data) + 1000);
		if (!i)
			sf_write_all(fd, wire, n);
		sf_come_home(&b, 0, done, 1);
		assert_int_equal(done->len, SF_HDR + at.data + 1000);
		assert_null(pkt_wrong(b.mem + sf_slot(i) + SF_HDR, at.data + 1000));
	}
	close(fd);
	bed_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(stream_both_ways, sf_clean),
		cmocka_unit_test_teardown(stream_in_parts, sf_clean),
		cmocka_unit_test_teardown(stream_into_small_buffers, sf_clean),
		cmocka_unit_test_teardown(stream_never_has_room, sf_clean),
		cmocka_unit_test_teardown(peer_does_not_read, sf_clean),
		cmocka_unit_test_teardown(rest_goes_by_itself, sf_clean),
		cmocka_unit_test_teardown(busy_and_blocked, sf_clean),
		cmocka_unit_test_teardown(driver_has_no_buffers, sf_clean),
		cmocka_unit_test_teardown(nonsense_ends_the_connection, sf_clean),
		cmocka_unit_test_teardown(offloads_are_done_here, sf_clean),
		cmocka_unit_test_teardown(segments_become_one, sf_clean),
	};

	return cmocka_run_group_tests(tests, sf_dir_make, sf_dir_remove);
}
