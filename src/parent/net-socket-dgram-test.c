/* SPDX-License-Identifier: BSD-2-Clause */
/* net-socket-dgram-test.c - frames by datagrams */
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/unix.h"
#include "parent/net-socket-fx.h"

static const char *const dgram[] = { "type", "dgram", "local", sf_path, "remote", sf_other,
				     "reconnect_ms", "20", NULL };

static void send_dgram(int fd, unsigned int seed, uint32_t len)
{
	static uint8_t buf[VD_NET_FRAME_MAX + 100];
	struct sockaddr_un sa;

	assert_int_equal(vd_unix_address(sf_path, &sa), 0);
	for (uint32_t k = 0; k < len; k++)
		buf[k] = sf_byte_of(seed, k);
	assert_int_equal(sendto(fd, buf, len, 0, (struct sockaddr *)&sa, sizeof(sa)), len);
}

static void dgram_both_ways(void **state)
{
	static uint8_t buf[VD_NET_FRAME_MAX];
	struct vd_unix u = { .fd = -1 };
	struct vd_done done[SF_FRAMES];
	struct bed b;

	(void)state;
	assert_int_equal(vd_unix_bind(&u, sf_other, 0600), 0);
	vd_set_nonblock(u.fd, false);
	sf_begin(&b, dgram);
	assert_true(sf_link_up(&b));
	for (unsigned int i = 0; i < SF_FRAMES; i++)
		sf_send_frame(&b, i, sf_lengths[i % VD_ARRAY_SIZE(sf_lengths)]);
	for (unsigned int i = 0; i < SF_FRAMES; i++) {
		uint32_t len = sf_lengths[i % VD_ARRAY_SIZE(sf_lengths)];

		assert_int_equal(recv(u.fd, buf, sizeof(buf), 0), len);
		sf_expect(buf, i, len);
	}
	sf_come_home(&b, 1, done, SF_FRAMES);
	/* They wait for buffers, and the socket fills. */
	for (unsigned int i = 0; i < SF_FRAMES; i++) {
		if (i == 8)
			for (unsigned int k = 0; k < SF_FRAMES; k++)
				sf_add_buffer(&b, k, SF_SLOT);
		send_dgram(u.fd, i, sf_lengths[i % VD_ARRAY_SIZE(sf_lengths)]);
	}
	sf_come_home(&b, 0, done, SF_FRAMES);
	for (unsigned int i = 0; i < SF_FRAMES; i++) {
		uint32_t len = sf_lengths[i % VD_ARRAY_SIZE(sf_lengths)];

		assert_int_equal(done[i].len, SF_HDR + len);
		sf_expect(b.mem + sf_slot(i) + SF_HDR, i, len);
	}
	/* Too short, too long. */
	send_dgram(u.fd, 0, 0);
	send_dgram(u.fd, 0, VD_NET_HLEN - 1);
	send_dgram(u.fd, 0, VD_NET_FRAME_MAX + 1);
	sf_add_buffer(&b, 0, SF_SLOT);
	send_dgram(u.fd, 1, 77);
	sf_come_home(&b, 0, done, 1);
	assert_int_equal(done[0].len, SF_HDR + 77);
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
	sf_begin(&b, dgram);
	assert_false(sf_link_up(&b));
	for (unsigned int round = 0; round < 3; round++) {
		assert_int_equal(vd_unix_bind(&u, sf_other, 0600), 0);
		vd_set_nonblock(u.fd, false);
		sf_wait_link(&b, true);
		sf_send_frame(&b, round, 60);
		assert_int_equal(recv(u.fd, buf, sizeof(buf), 0), 60);
		sf_come_home(&b, 1, &done, 1);
		close(u.fd);	/* its file is still there */
		sf_wait_link(&b, false);
	}
	/* One in the place of the other, which is still there, too. */
	assert_int_equal(vd_unix_bind(&u, sf_other, 0600), 0);
	sf_wait_link(&b, true);
	unlink(sf_other);
	assert_int_equal(vd_unix_bind(&next, sf_other, 0600), 0);
	for (int i = 0; i < 20; i++)
		uvdpa_dispatch(b.u, 5);
	vd_set_nonblock(next.fd, false);
	sf_send_frame(&b, 9, 60);
	assert_int_equal(recv(next.fd, buf, sizeof(buf), 0), 60);
	sf_add_buffer(&b, 0, 128);
	send_dgram(next.fd, 5, 60);
	sf_come_home(&b, 0, &done, 1);
	sf_expect(b.mem + sf_slot(0) + SF_HDR, 5, 60);
	vd_unix_close(&u);
	vd_unix_close(&next);
	bed_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(dgram_both_ways, sf_clean),
		cmocka_unit_test_teardown(dgram_peer_goes_and_comes, sf_clean),
	};

	return cmocka_run_group_tests(tests, sf_dir_make, sf_dir_remove);
}
