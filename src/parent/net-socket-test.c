/* SPDX-License-Identifier: BSD-2-Clause */
/* net-socket-test.c - the net-socket parent, and another side that is a socket of ours */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/unix.h"
#include "parent/net-socket.h"
#include "softdev/blk-bed.h"
#include "softdev/net-pkt-fx.h"

#define HDR    12u
#define SLOT   (80u << 10) /* of the bed's memory, for a frame */
#define SLOTS  100u
#define FRAMES 60u

static char dir[64], path[80], other[80];

/* ---- the driver's side ------------------------------------------------------------ */

static uint64_t slot(unsigned int i)
{
	assert_true(i < SLOTS);
	return BED_RINGS + (uint64_t)i * SLOT;
}

static uint8_t byte_of(unsigned int seed, uint32_t i)
{
	return (uint8_t)(seed * 131 + i * 7 + (i >> 8));
}

static void put_frame(struct bed *b, unsigned int i, uint32_t len)
{
	uint8_t *at = b->mem + slot(i);

	memset(at, 0, HDR);
	for (uint32_t k = 0; k < len; k++)
		at[HDR + k] = byte_of(i, k);
}

/* One of @len bytes, from slot @i, in two pieces if it is long enough. */
static void send_frame(struct bed *b, unsigned int i, uint32_t len)
{
	uint64_t at = bed_iova(slot(i));
	struct vd_buf bufs[3] = { { at, HDR }, { at + HDR, len > 99 ? 99 : len },
				  { at + HDR + 99, len - 99 } };

	put_frame(b, i, len);
	bed_add_req(b, 1, bufs, len > 99 ? 3 : 2, 0);
}

/* Return: its id. */
static int add_buffer(struct bed *b, unsigned int i, uint32_t len)
{
	struct vd_buf buf = { bed_iova(slot(i)), len };

	memset(b->mem + slot(i), 0xee, len);
	return bed_add_req(b, 0, &buf, 0, 1);
}

/* @n more requests of a queue come back. */
static void come_home(struct bed *b, unsigned int q, struct vd_done *done, unsigned int n)
{
	while (n) {
		int got = bed_get(b, q, done, n, 5000);

		assert_true(got > 0);
		done += got;
		n -= (unsigned int)got;
	}
}

static bool link_up(struct bed *b)
{
	uint16_t status;

	assert_int_equal(uvdpa_dev_get_config(b->dev, 6, &status, sizeof(status)), 0);
	return le16toh(status) & VIRTIO_NET_S_LINK_UP;
}

static void wait_link(struct bed *b, bool up)
{
	uint64_t end = vd_now_ns() + 5000000000ull;

	while (link_up(b) != up) {
		assert_true(vd_now_ns() < end);
		uvdpa_dispatch(b->u, 10);
	}
}

static void wait_stat(struct bed *b, unsigned int q, const char *name, uint64_t value)
{
	uint64_t end = vd_now_ns() + 5000000000ull;

	while (bed_stat(b, q, name) != value) {
		assert_true(vd_now_ns() < end);
		uvdpa_dispatch(b->u, 5);
	}
}

/* ---- the other side ------------------------------------------------------------ */

static void read_all(int fd, void *to, size_t len)
{
	for (size_t done = 0; done < len;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t r;

		assert_int_equal(poll(&p, 1, 5000), 1);
		r = read(fd, (char *)to + done, len - done);
		assert_true(r > 0);
		done += (size_t)r;
	}
}

static void expect(const uint8_t *got, unsigned int seed, uint32_t len)
{
	for (uint32_t k = 0; k < len; k++)
		if (got[k] != byte_of(seed, k))
			fail_msg("frame %u: byte %u", seed, k);
}

/* The next frame of a stream. Return: its length. */
static uint32_t next_frame(int fd, uint8_t *buf)
{
	uint32_t len;

	read_all(fd, &len, sizeof(len));
	len = be32toh(len);
	assert_in_range(len, VD_NET_HLEN, VD_NET_FRAME_MAX);
	read_all(fd, buf, len);
	return len;
}

static size_t wire(uint8_t *to, unsigned int seed, uint32_t len)
{
	uint32_t word = htobe32(len);

	memcpy(to, &word, sizeof(word));
	for (uint32_t k = 0; k < len; k++)
		to[4 + k] = byte_of(seed, k);
	return 4 + len;
}

static void write_all(int fd, const void *from, size_t len)
{
	assert_int_equal(send(fd, from, len, MSG_NOSIGNAL), len);
}

static void send_wire(int fd, unsigned int seed, uint32_t len)
{
	static uint8_t buf[VD_NET_FRAME_MAX + 4];

	write_all(fd, buf, wire(buf, seed, len));
}

/* The device leaves the connection. */
static void expect_end(struct bed *b, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	for (int i = 0; i < 500 && !poll(&p, 1, 10); i++)
		uvdpa_dispatch(b->u, 0);
	assert_true(p.revents & POLLRDHUP);
	close(fd);
}

/* ---- both ------------------------------------------------------------ */

static int dir_make(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/uvdpa-net-socket-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a", dir);
	snprintf(other, sizeof(other), "%s/b", dir);
	return 0;
}

static int clean(void **state)
{
	(void)state;
	unlink(path);
	unlink(other);
	return 0;
}

static int dir_remove(void **state)
{
	(void)state;
	return rmdir(dir);
}

static void begin(struct bed *b, const char *const *attrs)
{
	assert_int_equal(bed_add(b, "net-socket", attrs), 0);
	bed_start(b, &(struct bed_conf){ .queues = 2, .num = 256 });
}

static const char *const server[] = { "path", path, "listen", "on", NULL };
static const char *const client[] = { "path", path, "reconnect_ms", "20", NULL };

/* A device that listens, and a connection to it. */
static int begin_server(struct bed *b)
{
	int fd;

	begin(b, server);
	assert_false(link_up(b));
	fd = vd_unix_connect(path, 0);
	assert_true(fd >= 0);
	wait_link(b, true);
	return fd;
}

static const uint32_t lengths[] = { 14,	  60,	99,    100,   1514,
				    1518, 9014, 4096, 65535, VD_NET_FRAME_MAX };

static void stream_both_ways(void **state)
{
	static uint8_t buf[VD_NET_FRAME_MAX];
	struct vd_done done[FRAMES];
	struct bed b;
	int fd;

	(void)state;
	fd = begin_server(&b);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(lengths); i++)
		send_frame(&b, i, lengths[i]);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(lengths); i++) {
		assert_int_equal(next_frame(fd, buf), lengths[i]);
		expect(buf, i, lengths[i]);
	}
	come_home(&b, 1, done, VD_ARRAY_SIZE(lengths));
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(lengths); i++)
		add_buffer(&b, i, SLOT);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(lengths); i++)
		send_wire(fd, i, lengths[i]);
	come_home(&b, 0, done, VD_ARRAY_SIZE(lengths));
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(lengths); i++) {
		assert_int_equal(done[i].len, HDR + lengths[i]);
		assert_int_equal(b.mem[slot(i) + 10], 1);	/* num_buffers */
		expect(b.mem + slot(i) + HDR, i, lengths[i]);
	}
	assert_int_equal(bed_stat(&b, 1, "tx packets"), VD_ARRAY_SIZE(lengths));
	assert_int_equal(bed_stat(&b, 0, "rx packets"), VD_ARRAY_SIZE(lengths));
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
	fd = begin_server(&b);
	for (unsigned int i = 0; i < 3; i++)
		n += wire(buf + n, i, len[i]);
	for (size_t cut = 1; cut < n; cut++) {
		for (unsigned int i = 0; i < 3; i++)
			add_buffer(&b, i, 128);
		write_all(fd, buf, cut);
		if (cut % 4 == 0)
			usleep(1000); /* so that the device is behind us */
		write_all(fd, buf + cut, n - cut);
		come_home(&b, 0, done, 3);
		for (unsigned int i = 0; i < 3; i++) {
			assert_int_equal(done[i].len, HDR + len[i]);
			expect(b.mem + slot(i) + HDR, i, len[i]);
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
	fd = begin_server(&b);
	for (unsigned int i = 0; i < 3; i++)
		add_buffer(&b, i, 1536);
	send_wire(fd, 5, 4500);
	come_home(&b, 0, done, 3);
	assert_int_equal(b.mem[slot(0) + 10], 3);
	memcpy(got, b.mem + slot(0) + HDR, 1524);
	memcpy(got + 1524, b.mem + slot(1), 1536);
	memcpy(got + 3060, b.mem + slot(2), 1440);
	expect(got, 5, 4500);
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
	fd = begin_server(&b);
	for (unsigned int i = 0; i < 3; i++)
		add_buffer(&b, i, 1536);
	send_wire(fd, 5, 9000);
	send_wire(fd, 6, 1000);
	come_home(&b, 0, &done, 1);
	assert_int_equal(done.len, HDR + 1000);
	expect(b.mem + slot(0) + HDR, 6, 1000);
	assert_int_equal(bed_stat(&b, 0, "rx overruns"), 1);
	close(fd);
	bed_end(&b);
}

/* What the other side does not read stays in the ring; of one frame a part may have gone. */
static void peer_does_not_read(void **state)
{
	static uint8_t buf[VD_NET_FRAME_MAX];
	struct vd_done done[FRAMES];
	unsigned int back = 0;
	struct bed b;
	int fd;

	(void)state;
	fd = begin_server(&b);
	for (unsigned int round = 0; round < 4; round++) {
		uint32_t len = round % 2 ? 20000 + round : 61000 + round;
		int n;

		for (unsigned int i = 0; i < FRAMES; i++)
			send_frame(&b, i, len);
		back = 0;
		while ((n = bed_get(&b, 1, done, FRAMES, 100)) > 0)
			back += (unsigned int)n;
		assert_in_range(back, 1, FRAMES - 1);
		/* Frames come in meanwhile all the same. */
		add_buffer(&b, 99, 2000);
		send_wire(fd, 7, 1000);
		come_home(&b, 0, done, 1);
		expect(b.mem + slot(99) + HDR, 7, 1000);
		for (unsigned int i = 0; i < FRAMES; i++) {
			assert_int_equal(next_frame(fd, buf), len);
			expect(buf, i, len);
		}
		come_home(&b, 1, done, FRAMES - back);
	}
	close(fd);
	bed_end(&b);
}

/* Of the last frame there is a part may have gone, and then the rest goes without another one. */
static void rest_goes_by_itself(void **state)
{
	static uint8_t buf[VD_NET_FRAME_MAX];
	struct vd_done done[FRAMES];
	struct bed b;
	int fd;

	(void)state;
	fd = begin_server(&b);
	for (unsigned int n = 1; n < 12; n++) {
		for (unsigned int i = 0; i < n; i++) {
			send_frame(&b, i, VD_NET_FRAME_MAX - n);
			usleep(500);	/* each is a burst of its own */
		}
		for (unsigned int i = 0; i < n; i++) {
			assert_int_equal(next_frame(fd, buf), VD_NET_FRAME_MAX - n);
			expect(buf, i, VD_NET_FRAME_MAX - n);
		}
		come_home(&b, 1, done, n);
	}
	close(fd);
	bed_end(&b);
}

/* It sends one frame after the other, so that the worker hardly sleeps, and reads in between. */
static void busy_and_blocked(void **state)
{
	static uint8_t buf[VD_NET_FRAME_MAX], small[64];
	unsigned int slots[256];
	size_t n_small = wire(small, 1, 60);
	struct vd_done done[FRAMES];
	unsigned int received = 0, came = 0;
	struct bed b;
	int fd;

	(void)state;
	fd = begin_server(&b);
	for (unsigned int i = 0; i < 30; i++)
		slots[add_buffer(&b, i, 128)] = i;
	for (unsigned int i = 0; i < FRAMES - 20; i++)
		send_frame(&b, 30 + i, 60000);
	for (unsigned int turn = 0; came < FRAMES - 20; turn++) {
		int n;

		for (unsigned int k = 0; k < 16; k++)
			if (send(fd, small, n_small, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
				break;
		n = vd_virtq_drv_get(b.q[0].drv, done, FRAMES);
		for (int k = 0; k < n; k++) {
			unsigned int i = slots[done[k].id];

			expect(b.mem + slot(i) + HDR, 1, 60);
			slots[add_buffer(&b, i, 128)] = i;
		}
		received += (unsigned int)n;
		if (turn % 50 == 49) {
			assert_int_equal(next_frame(fd, buf), 60000);
			expect(buf, 30 + came++, 60000);
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
	size_t n = wire(buf, 3, 1500);
	struct vd_done done[FRAMES];
	unsigned int sent = 0, came = 0;
	struct bed b;
	int fd;

	(void)state;
	fd = begin_server(&b);
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
			add_buffer(&b, i, 1600);
		come_home(&b, 0, done, k);
		for (unsigned int i = 0; i < k; i++) {
			assert_int_equal(done[i].len, HDR + 1500);
			expect(b.mem + slot(i) + HDR, 3, 1500);
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
	fd = begin_server(&b);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(bad); i++) {
		uint32_t word = htobe32(bad[i]);

		add_buffer(&b, 0, 128);
		/* What was right before it comes in. */
		send_wire(fd, i, 60);
		write_all(fd, &word, sizeof(word));
		come_home(&b, 0, done, 1);
		expect(b.mem + slot(0) + HDR, i, 60);
		expect_end(&b, fd);
		wait_link(&b, false);
		fd = vd_unix_connect(path, 0);
		assert_true(fd >= 0);
		wait_link(&b, true);
	}
	/* What is too short for Ethernet, but a frame, is dropped alone. */
	add_buffer(&b, 0, 128);
	for (uint32_t len = 1; len < VD_NET_HLEN; len++)
		send_wire(fd, 0, len);
	send_wire(fd, 9, 64);
	come_home(&b, 0, done, 1);
	expect(b.mem + slot(0) + HDR, 9, 64);
	assert_int_equal(bed_stat(&b, 0, "rx errors"), VD_NET_HLEN - 1);
	close(fd);
	bed_end(&b);
}

/* It goes in the middle of a frame, either way, and the next one begins with a new frame. */
static void peer_goes_and_comes(void **state)
{
	static uint8_t buf[VD_NET_FRAME_MAX];
	struct vd_done done[FRAMES];
	uint8_t part[128];
	struct bed b;
	int fd;

	(void)state;
	fd = begin_server(&b);
	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < 20; i++)
			send_frame(&b, i, 50000);
		usleep(round * 500);
		wire(part, 1, 100);
		send(fd, part, 50, MSG_NOSIGNAL);
		close(fd);
		wait_link(&b, false);
		come_home(&b, 1, done, 20);
		fd = vd_unix_connect(path, 0);
		assert_true(fd >= 0);
		wait_link(&b, true);
		add_buffer(&b, 30, 2000);
		send_wire(fd, 2, 1400);
		come_home(&b, 0, done, 1);
		expect(b.mem + slot(30) + HDR, 2, 1400);
		send_frame(&b, 31, 333);
		assert_int_equal(next_frame(fd, buf), 333);
		expect(buf, 31, 333);
		come_home(&b, 1, done, 1);
	}
	assert_string_equal(bed_shown(&b, "connections"), "21");
	close(fd);
	bed_end(&b);
}

/* The second one waits until the first has gone. */
static void one_at_a_time(void **state)
{
	uint8_t buf[128];
	struct bed b;
	int fd, second;

	(void)state;
	fd = begin_server(&b);
	second = vd_unix_connect(path, SOCK_NONBLOCK);
	assert_true(second >= 0);
	send_frame(&b, 1, 60);
	assert_int_equal(next_frame(fd, buf), 60);
	assert_int_equal(recv(second, buf, 1, 0), -1);
	close(fd);
	for (int i = 0; i < 20; i++)
		uvdpa_dispatch(b.u, 5);
	assert_true(link_up(&b));
	send_frame(&b, 2, 60);
	assert_int_equal(next_frame(second, buf), 60);
	expect(buf, 2, 60);
	close(second);
	bed_end(&b);
}

static int accept_one(struct bed *b, struct vd_unix *u)
{
	int fd = -1;

	for (int i = 0; i < 500 && fd < 0; i++) {
		uvdpa_dispatch(b->u, 10);
		fd = accept4(u->fd, NULL, NULL, SOCK_CLOEXEC);
	}
	assert_true(fd >= 0);
	return fd;
}

/* The device may be there first; and connects again. */
static void connects_when_it_can(void **state)
{
	struct vd_unix u = { .fd = -1 };
	uint8_t buf[128];
	struct vd_done done;
	struct bed b;

	(void)state;
	begin(&b, client);
	assert_false(link_up(&b));
	assert_string_equal(bed_shown(&b, "connected"), "false");
	/* Nobody hears it. */
	send_frame(&b, 0, 60);
	come_home(&b, 1, &done, 1);
	assert_int_equal(bed_stat(&b, 1, "tx drops"), 1);
	for (unsigned int round = 0; round < 3; round++) {
		int fd;

		assert_int_equal(vd_unix_listen(&u, path, 0600, 1), 0);
		fd = accept_one(&b, &u);
		wait_link(&b, true);
		assert_string_equal(bed_shown(&b, "connected"), "true");
		send_frame(&b, round, 70);
		assert_int_equal(next_frame(fd, buf), 70);
		expect(buf, round, 70);
		come_home(&b, 1, &done, 1);
		vd_unix_close(&u);
		close(fd);
		wait_link(&b, false);
	}
	bed_end(&b);
}

/* What the user wants of the link, and whether there is one, are two things. */
static void link_is_taken_down(void **state)
{
	const struct uvdpa_attr off = { "link", "off" }, on = { "link", "on" };
	struct vd_done done;
	struct bed b;
	int fd;

	(void)state;
	fd = begin_server(&b);
	assert_int_equal(uvdpa_dev_set(b.dev, &off, 1), 0);
	assert_false(link_up(&b));
	add_buffer(&b, 0, 128);
	send_wire(fd, 0, 60);
	wait_stat(&b, 0, "rx drops", 1);
	close(fd);
	for (int i = 0; i < 10; i++)
		uvdpa_dispatch(b.u, 5);
	fd = vd_unix_connect(path, 0);
	for (int i = 0; i < 10; i++)
		uvdpa_dispatch(b.u, 5);
	assert_false(link_up(&b));
	assert_int_equal(uvdpa_dev_set(b.dev, &on, 1), 0);
	assert_true(link_up(&b));
	send_wire(fd, 4, 60);
	come_home(&b, 0, &done, 1);
	expect(b.mem + slot(0) + HDR, 4, 60);
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
	fd = begin_server(&b);
	for (unsigned int s = 0; s < VD_ARRAY_SIZE(sizes); s++) {
		struct vd_buf buf = { bed_iova(slot(0)), HDR + (uint32_t)at.len };
		struct vd_done done;
		size_t data = 0;

		h.gso_size = htole16((uint16_t)sizes[s]);
		memcpy(b.mem + slot(0), &h, HDR);
		memcpy(b.mem + slot(0) + HDR, pkt, at.len);
		bed_add_req(&b, 1, &buf, 1, 0);
		usleep(20000); /* the socket is full by now, in the middle of it */
		while (data < p.payload) {
			uint32_t len = next_frame(fd, got);

			assert_null(pkt_wrong(got, len));
			len -= (uint32_t)at.data;
			assert_in_range(len, 1, sizes[s]);
			assert_memory_equal(got + at.data, pkt + at.data + data, len);
			data += len;
		}
		assert_int_equal(data, p.payload);
		come_home(&b, 1, &done, 1);
	}
	close(fd);
	bed_end(&b);
}

/* ---- datagrams ------------------------------------------------------------ */

static const char *const dgram[] = { "type", "dgram", "local", path, "remote", other,
				     "reconnect_ms", "20", NULL };

static void send_dgram(int fd, unsigned int seed, uint32_t len)
{
	static uint8_t buf[VD_NET_FRAME_MAX + 100];
	struct sockaddr_un sa;

	assert_int_equal(vd_unix_address(path, &sa), 0);
	for (uint32_t k = 0; k < len; k++)
		buf[k] = byte_of(seed, k);
	assert_int_equal(sendto(fd, buf, len, 0, (struct sockaddr *)&sa, sizeof(sa)), len);
}

static void dgram_both_ways(void **state)
{
	static uint8_t buf[VD_NET_FRAME_MAX];
	struct vd_unix u = { .fd = -1 };
	struct vd_done done[FRAMES];
	struct bed b;

	(void)state;
	assert_int_equal(vd_unix_bind(&u, other, 0600), 0);
	vd_set_nonblock(u.fd, false);
	begin(&b, dgram);
	assert_true(link_up(&b));
	for (unsigned int i = 0; i < FRAMES; i++)
		send_frame(&b, i, lengths[i % VD_ARRAY_SIZE(lengths)]);
	for (unsigned int i = 0; i < FRAMES; i++) {
		uint32_t len = lengths[i % VD_ARRAY_SIZE(lengths)];

		assert_int_equal(recv(u.fd, buf, sizeof(buf), 0), len);
		expect(buf, i, len);
	}
	come_home(&b, 1, done, FRAMES);
	/* They wait for buffers, and the socket fills. */
	for (unsigned int i = 0; i < FRAMES; i++) {
		if (i == 8)
			for (unsigned int k = 0; k < FRAMES; k++)
				add_buffer(&b, k, SLOT);
		send_dgram(u.fd, i, lengths[i % VD_ARRAY_SIZE(lengths)]);
	}
	come_home(&b, 0, done, FRAMES);
	for (unsigned int i = 0; i < FRAMES; i++) {
		uint32_t len = lengths[i % VD_ARRAY_SIZE(lengths)];

		assert_int_equal(done[i].len, HDR + len);
		expect(b.mem + slot(i) + HDR, i, len);
	}
	/* Too short, too long. */
	send_dgram(u.fd, 0, 0);
	send_dgram(u.fd, 0, VD_NET_HLEN - 1);
	send_dgram(u.fd, 0, VD_NET_FRAME_MAX + 1);
	add_buffer(&b, 0, SLOT);
	send_dgram(u.fd, 1, 77);
	come_home(&b, 0, done, 1);
	assert_int_equal(done[0].len, HDR + 77);
	assert_int_equal(bed_stat(&b, 0, "rx errors"), 3);
	vd_unix_close(&u);
	bed_end(&b);
}

/* Whoever has the path is the other side, whether it went with or without a word. */
static void dgram_peer_goes_and_comes(void **state)
{
	struct vd_unix u = { .fd = -1 }, next = { .fd = -1 };
	struct vd_done done;
	uint8_t buf[128];
	struct bed b;

	(void)state;
	begin(&b, dgram);
	assert_false(link_up(&b));
	for (unsigned int round = 0; round < 3; round++) {
		assert_int_equal(vd_unix_bind(&u, other, 0600), 0);
		vd_set_nonblock(u.fd, false);
		wait_link(&b, true);
		send_frame(&b, round, 60);
		assert_int_equal(recv(u.fd, buf, sizeof(buf), 0), 60);
		come_home(&b, 1, &done, 1);
		close(u.fd);	/* its file is still there */
		wait_link(&b, false);
	}
	/* One in the place of the other, which is still there, too. */
	assert_int_equal(vd_unix_bind(&u, other, 0600), 0);
	wait_link(&b, true);
	unlink(other);
	assert_int_equal(vd_unix_bind(&next, other, 0600), 0);
	for (int i = 0; i < 20; i++)
		uvdpa_dispatch(b.u, 5);
	vd_set_nonblock(next.fd, false);
	send_frame(&b, 9, 60);
	assert_int_equal(recv(next.fd, buf, sizeof(buf), 0), 60);
	add_buffer(&b, 0, 128);
	send_dgram(next.fd, 5, 60);
	come_home(&b, 0, &done, 1);
	expect(b.mem + slot(0) + HDR, 5, 60);
	vd_unix_close(&u);
	vd_unix_close(&next);
	bed_end(&b);
}

/* ---- what makes no sense ------------------------------------------------------------ */

static void options(void **state)
{
	static const struct {
		const char *attrs[10];
		int err;
	} cases[] = {
		{ { NULL }, -EINVAL },
		{ { "type", "dgram" }, -EINVAL },
		{ { "path", path, "local", other }, -EINVAL },
		{ { "type", "dgram", "local", path }, -EINVAL },
		{ { "type", "dgram", "local", path, "remote", other, "listen", "on" }, -EINVAL },
		{ { "type", "dgram", "local", path, "remote", other, "path", path }, -EINVAL },
		{ { "path", path, "max_vqp", "2" }, -EINVAL },
		{ { "path", path, "listen", "on", "mode", "9" }, -EINVAL },
		{ { "path", path, "reconnect_ms", "0" }, -ENOENT },
		{ { "path", "/tmp/no/such/folder/s", "listen", "on" }, -ENOENT },
		{ { "path", dir, "reconnect_ms", "0" }, -ECONNREFUSED },
		{ { "path", dir, "listen", "on" }, -EEXIST },
		{ { "type", "dgram", "local", path, "remote", other, "reconnect_ms", "0" },
		  -ENOENT },
	};
	struct bed b;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		assert_int_equal(bed_add(&b, "net-socket", cases[i].attrs), cases[i].err);
		assert_int_equal(access(path, F_OK), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(stream_both_ways, clean),
		cmocka_unit_test_teardown(stream_in_parts, clean),
		cmocka_unit_test_teardown(stream_into_small_buffers, clean),
		cmocka_unit_test_teardown(stream_never_has_room, clean),
		cmocka_unit_test_teardown(peer_does_not_read, clean),
		cmocka_unit_test_teardown(rest_goes_by_itself, clean),
		cmocka_unit_test_teardown(busy_and_blocked, clean),
		cmocka_unit_test_teardown(driver_has_no_buffers, clean),
		cmocka_unit_test_teardown(nonsense_ends_the_connection, clean),
		cmocka_unit_test_teardown(peer_goes_and_comes, clean),
		cmocka_unit_test_teardown(one_at_a_time, clean),
		cmocka_unit_test_teardown(connects_when_it_can, clean),
		cmocka_unit_test_teardown(link_is_taken_down, clean),
		cmocka_unit_test_teardown(offloads_are_done_here, clean),
		cmocka_unit_test_teardown(dgram_both_ways, clean),
		cmocka_unit_test_teardown(dgram_peer_goes_and_comes, clean),
		cmocka_unit_test_teardown(options, clean),
	};

	return cmocka_run_group_tests(tests, dir_make, dir_remove);
}
