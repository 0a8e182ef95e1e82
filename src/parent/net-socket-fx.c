/* SPDX-License-Identifier: BSD-2-Clause */
#include "parent/net-socket-fx.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/unix.h"

char sf_dir[64], sf_path[80], sf_other[80];

/* ---- the driver's side ------------------------------------------------------------ */

uint64_t sf_slot(unsigned int i)
{
	assert_true(i < SF_SLOTS);
	return BED_RINGS + (uint64_t)i * SF_SLOT;
}

uint8_t sf_byte_of(unsigned int seed, uint32_t i)
{
	return (uint8_t)(seed * 131 + i * 7 + (i >> 8));
}

static void put_frame(struct bed *b, unsigned int i, uint32_t len)
{
	uint8_t *at = b->mem + sf_slot(i);

	memset(at, 0, SF_HDR);
	for (uint32_t k = 0; k < len; k++)
		at[SF_HDR + k] = sf_byte_of(i, k);
}

/* One of @len bytes, from slot @i, in two pieces if it is long enough. */
void sf_send_frame(struct bed *b, unsigned int i, uint32_t len)
{
	uint64_t at = bed_iova(sf_slot(i));
	struct vd_buf bufs[3] = { { at, SF_HDR }, { at + SF_HDR, len > 99 ? 99 : len },
				  { at + SF_HDR + 99, len - 99 } };

	put_frame(b, i, len);
	bed_add_req(b, 1, bufs, len > 99 ? 3 : 2, 0);
}

/* Return: its id. */
int sf_add_buffer(struct bed *b, unsigned int i, uint32_t len)
{
	struct vd_buf buf = { bed_iova(sf_slot(i)), len };

	memset(b->mem + sf_slot(i), 0xee, len);
	return bed_add_req(b, 0, &buf, 0, 1);
}

/* @n more requests of a queue come back. */
void sf_come_home(struct bed *b, unsigned int q, struct vd_done *done, unsigned int n)
{
	while (n) {
		int got = bed_get(b, q, done, n, 5000);

		assert_true(got > 0);
		done += got;
		n -= (unsigned int)got;
	}
}

bool sf_link_up(struct bed *b)
{
	uint16_t status;

	assert_int_equal(uvdpa_dev_get_config(b->dev, 6, &status, sizeof(status)), 0);
	return le16toh(status) & VIRTIO_NET_S_LINK_UP;
}

void sf_wait_link(struct bed *b, bool up)
{
	uint64_t end = vd_now_ns() + 5000000000ull;

	while (sf_link_up(b) != up) {
		assert_true(vd_now_ns() < end);
		uvdpa_dispatch(b->u, 10);
	}
}

void sf_wait_stat(struct bed *b, unsigned int q, const char *name, uint64_t value)
{
	uint64_t end = vd_now_ns() + 5000000000ull;

	while (bed_stat(b, q, name) != value) {
		assert_true(vd_now_ns() < end);
		uvdpa_dispatch(b->u, 5);
	}
}

/* ---- the other side ------------------------------------------------------------ */

void sf_read_all(int fd, void *to, size_t len)
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

void sf_expect(const uint8_t *got, unsigned int seed, uint32_t len)
{
	for (uint32_t k = 0; k < len; k++)
		if (got[k] != sf_byte_of(seed, k))
			fail_msg("frame %u: byte %u", seed, k);
}

/* The next frame of a stream. Return: its length. */
uint32_t sf_next_frame(int fd, uint8_t *buf)
{
	uint32_t len;

	sf_read_all(fd, &len, sizeof(len));
	len = be32toh(len);
	assert_in_range(len, VD_NET_HLEN, VD_NET_FRAME_MAX);
	sf_read_all(fd, buf, len);
	return len;
}

size_t sf_wire(uint8_t *to, unsigned int seed, uint32_t len)
{
	uint32_t word = htobe32(len);

	memcpy(to, &word, sizeof(word));
	for (uint32_t k = 0; k < len; k++)
		to[4 + k] = sf_byte_of(seed, k);
	return 4 + len;
}

void sf_write_all(int fd, const void *from, size_t len)
{
	assert_int_equal(send(fd, from, len, MSG_NOSIGNAL), len);
}

void sf_send_wire(int fd, unsigned int seed, uint32_t len)
{
	static uint8_t buf[VD_NET_FRAME_MAX + 4];

	sf_write_all(fd, buf, sf_wire(buf, seed, len));
}

/* The device leaves the connection. */
void sf_expect_end(struct bed *b, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	for (int i = 0; i < 500 && !poll(&p, 1, 10); i++)
		uvdpa_dispatch(b->u, 0);
	assert_true(p.revents & POLLRDHUP);
	close(fd);
}

/* ---- both ------------------------------------------------------------ */

int sf_dir_make(void **state)
{
	(void)state;
	snprintf(sf_dir, sizeof(sf_dir), "/tmp/uvdpa-net-socket-XXXXXX");
	assert_non_null(mkdtemp(sf_dir));
	snprintf(sf_path, sizeof(sf_path), "%s/a", sf_dir);
	snprintf(sf_other, sizeof(sf_other), "%s/b", sf_dir);
	return 0;
}

int sf_clean(void **state)
{
	(void)state;
	unlink(sf_path);
	unlink(sf_other);
	return 0;
}

int sf_dir_remove(void **state)
{
	(void)state;
	return rmdir(sf_dir);
}

void sf_begin(struct bed *b, const char *const *attrs)
{
	assert_int_equal(bed_add(b, "net-socket", attrs), 0);
	bed_start(b, &(struct bed_conf){ .queues = 2, .num = 256 });
}

const char *const sf_server[] = { "path", sf_path, "listen", "on", NULL };
const char *const sf_client[] = { "path", sf_path, "reconnect_ms", "20", NULL };

/* A device that listens, and a connection to it. */
int sf_begin_server(struct bed *b)
{
	int fd;

	sf_begin(b, sf_server);
	assert_false(sf_link_up(b));
	fd = vd_unix_connect(sf_path, 0);
	assert_true(fd >= 0);
	sf_wait_link(b, true);
	return fd;
}

const uint32_t sf_lengths[SF_LENGTHS] = { 14,	  60,	99,    100,   1514,
				    1518, 9014, 4096, 65535, VD_NET_FRAME_MAX };
