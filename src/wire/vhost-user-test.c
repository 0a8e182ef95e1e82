/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of the framing: what a peer may do to the stream, and what becomes of its descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/open-fds.h"
#include "wire/vhost-user.h"

struct pair {
	int peer;
	struct vd_vu_conn c;
};

static void pair_init(struct pair *p)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	p->peer = sv[0];
	vd_vu_conn_init(&p->c, sv[1], false);
}

static void pair_fini(struct pair *p)
{
	vd_vu_conn_fini(&p->c);
	vd_close(&p->peer);
}

/* Bytes with descriptors beside the first, without looking at what they are. */
static void put(int s, const void *p, size_t len, int fd, unsigned int nfds)
{
	struct iovec iov = { .iov_len = len };
	char buf[CMSG_SPACE(64 * sizeof(int))] = { 0 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	uint8_t copy[512];

	assert_true(len <= sizeof(copy) && nfds <= 64);
	memcpy(copy, p, len);
	iov.iov_base = copy;
	if (nfds) {
		struct cmsghdr *h = (struct cmsghdr *)(void *)buf;

		mh.msg_control = buf;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		for (unsigned int i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(h) + i * sizeof(fd), &fd, sizeof(fd));
	}
	assert_int_equal(sendmsg(s, &mh, MSG_NOSIGNAL), len);
}

/* A message as bytes; returns its length. */
static size_t bytes_of(uint8_t *to, uint32_t request, uint32_t flags, const void *payload,
		       uint32_t size)
{
	uint32_t hdr[3] = { request, flags, size };

	memcpy(to, hdr, sizeof(hdr));
	if (size)
		memcpy(to + sizeof(hdr), payload, size);
	return sizeof(hdr) + size;
}

static void put_msg(int s, uint32_t request, uint32_t flags, uint32_t size, unsigned int nfds)
{
	static const uint8_t zero[400];
	uint8_t b[512];

	put(s, b, bytes_of(b, request, flags, zero, size), 0, nfds);
}

static void a_message_comes_byte_by_byte(void **state)
{
	uint64_t v = 0x1122334455667788;
	uint8_t b[64];
	size_t len = bytes_of(b, VD_VU_SET_FEATURES, VD_VU_VERSION | VD_VU_NEED_REPLY, &v, 8);
	struct vd_vu_msg m;
	struct pair p;

	(void)state;
	pair_init(&p);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(vd_vu_recv(&p.c, &m), 0);
		put(p.peer, b + i, 1, -1, 0);
	}
	assert_int_equal(vd_vu_recv(&p.c, &m), 1);
	assert_int_equal(m.request, VD_VU_SET_FEATURES);
	assert_true(m.flags & VD_VU_NEED_REPLY);
	assert_true(m.u64 == v);
	assert_int_equal(m.nfds, 0);
	assert_int_equal(vd_vu_recv(&p.c, &m), 0);
	pair_fini(&p);
}

/* Two requests in one write: the descriptor stays with the one that it came with. */
static void two_messages_in_one_read(void **state)
{
	uint64_t v = 3;
	uint8_t b[128];
	size_t len = bytes_of(b, VD_VU_SET_VRING_KICK, VD_VU_VERSION, &v, 8);
	struct vd_vu_msg m;
	struct pair p;
	int fd;

	(void)state;
	pair_init(&p);
	len += bytes_of(b + len, VD_VU_GET_FEATURES, VD_VU_VERSION, NULL, 0);
	put(p.peer, b, len, 0, 1);
	assert_int_equal(vd_vu_recv(&p.c, &m), 1);
	assert_int_equal(m.request, VD_VU_SET_VRING_KICK);
	assert_int_equal(m.nfds, 1);
	fd = vd_vu_msg_take_fd(&m, 0);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(vd_vu_msg_take_fd(&m, 0), -1);
	assert_int_equal(vd_vu_msg_take_fd(&m, 1), -1);
	vd_vu_msg_fini(&m);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	assert_int_equal(vd_vu_recv(&p.c, &m), 1);
	assert_int_equal(m.request, VD_VU_GET_FEATURES);
	assert_int_equal(m.nfds, 0);
	pair_fini(&p);
}

/* Wherever inside of a message a descriptor comes, and however the writes fall together. */
static void descriptors_on_a_middle_byte(void **state)
{
	uint64_t v = 0;
	uint8_t b[64];
	size_t len = bytes_of(b, VD_VU_SET_VRING_CALL, VD_VU_VERSION, &v, 8);
	unsigned int before = open_fds();
	struct vd_vu_msg m;
	struct pair p;

	(void)state;
	for (int together = 0; together < 2; together++)
		for (size_t at = 1; at < len; at++) {
			pair_init(&p);
			put(p.peer, b, at, -1, 0);
			if (!together)
				assert_int_equal(vd_vu_recv(&p.c, &m), 0);
			put(p.peer, b + at, len - at, 0, 1);
			assert_int_equal(vd_vu_recv(&p.c, &m), -EPROTO);
			assert_int_equal(open_fds(), before + 2);
			pair_fini(&p);
		}
	assert_int_equal(open_fds(), before);
}

/* Every request with every number of descriptors (CVE-2019-14818, CVE-2022-0669). */
static void surplus_descriptors_are_closed(void **state)
{
	static const unsigned int max[VD_VU_REQUEST_MAX] = {
		[VD_VU_SET_LOG_BASE] = 1, [VD_VU_SET_LOG_FD] = 1, [VD_VU_SET_VRING_KICK] = 1,
		[VD_VU_SET_VRING_CALL] = 1, [VD_VU_SET_VRING_ERR] = 1, [VD_VU_ADD_MEM_REG] = 1,
		[VD_VU_REM_MEM_REG] = 1, [VD_VU_SET_BACKEND_REQ_FD] = 1,
		[VD_VU_SET_INFLIGHT_FD] = 1,
	};
	unsigned int before = open_fds();
	struct vd_vu_msg m;
	struct pair p;

	(void)state;
	for (uint32_t req = 0; req <= VD_VU_REQUEST_MAX + 1; req++)
		for (uint32_t size = 0; size <= 40; size += 8)
			for (unsigned int nfds = 0; nfds <= 32; nfds++) {
				int r;

				pair_init(&p);
				put_msg(p.peer, req, VD_VU_VERSION, size, nfds);
				r = vd_vu_recv(&p.c, &m);
				assert_true(r == 1 || r == -EPROTO);
				if (r == 1) {
					assert_true(req < VD_VU_REQUEST_MAX);
					assert_int_equal(m.nfds, nfds);
					assert_true(nfds <= max[req]);
					vd_vu_msg_fini(&m);
				}
				pair_fini(&p);
			}
	assert_int_equal(open_fds(), before);
}

static void ten_thousand_malformed_messages(void **state)
{
	unsigned int before = open_fds(), good = 0;
	struct vd_vu_msg m;
	struct pair p;

	(void)state;
	srand(1);
	for (int i = 0; i < 10000; i++) {
		uint8_t b[300];
		int r;

		pair_init(&p);
		bytes_of(b, (uint32_t)rand() % 48, VD_VU_VERSION, NULL, 0);
		b[8] = (uint8_t)(rand() % 3 ? 8 * (rand() % 8) : rand());
		for (size_t j = 12; j < sizeof(b); j++)
			b[j] = (uint8_t)rand();
		put(p.peer, b, 1 + (size_t)rand() % sizeof(b), 0,
		    rand() % 2 ? 0 : (unsigned int)rand() % 12);
		while ((r = vd_vu_recv(&p.c, &m)) == 1) {
			good++;
			vd_vu_msg_fini(&m);
		}
		pair_fini(&p);
		if (i % 1000 == 0)
			assert_int_equal(open_fds(), before);
	}
	assert_true(good > 100);
	assert_int_equal(open_fds(), before);
}

static void sizes_and_versions(void **state)
{
	static const struct {
		uint32_t request, flags, size;
		int r;
	} cases[] = {
		{ VD_VU_GET_FEATURES, 1, 0, 1 },
		{ VD_VU_GET_FEATURES, 0, 0, -EPROTO },
		{ VD_VU_GET_FEATURES, 2, 0, -EPROTO },
		{ VD_VU_GET_FEATURES, 3, 0, -EPROTO },
		{ VD_VU_GET_FEATURES, 1, 8, -EPROTO },
		{ VD_VU_GET_FEATURES, 5, 8, 1 },	/* its reply */
		{ VD_VU_GET_FEATURES, 5, 0, -EPROTO },
		{ VD_VU_SET_FEATURES, 1, 7, -EPROTO },
		{ VD_VU_SET_FEATURES, 1, 9, -EPROTO },
		{ VD_VU_SET_FEATURES, 5, 8, 1 },	/* its acknowledgement */
		{ VD_VU_SET_FEATURES, 5, 4, -EPROTO },
		{ VD_VU_SET_MEM_TABLE, 1, 8, 1 },
		{ VD_VU_SET_MEM_TABLE, 1, 7, -EPROTO },
		{ VD_VU_SET_MEM_TABLE, 1, 8 + 8 * 32, 1 },
		{ VD_VU_SET_MEM_TABLE, 1, 8 + 8 * 32 + 1, -EPROTO },
		{ VD_VU_GET_CONFIG, 1, 12, 1 },
		{ VD_VU_GET_CONFIG, 1, 11, -EPROTO },
		{ VD_VU_GET_CONFIG, 1, 268, 1 },
		{ VD_VU_GET_CONFIG, 1, 269, -EPROTO },
		{ VD_VU_GET_CONFIG, 5, 0, 1 },		/* it failed */
		{ VD_VU_ADD_MEM_REG, 1, 40, -EPROTO },	/* no descriptor */
		{ VD_VU_SET_VRING_KICK, 1, 8, -EPROTO },	/* likewise */
		{ 0, 1, 0, -EPROTO },
		{ VD_VU_SEND_RARP, 1, 8, 1 },
		{ VD_VU_SEND_RARP, 1, 6, -EPROTO },
		{ VD_VU_NET_SET_MTU, 1, 8, 1 },
		{ VD_VU_NET_SET_MTU, 1, 4, -EPROTO },
		{ 22, 1, 8, -EPROTO },
		{ VD_VU_REQUEST_MAX, 1, 0, -EPROTO },
		{ UINT32_MAX, 1, 0, -EPROTO },
		{ VD_VU_SET_FEATURES, 1, UINT32_MAX, -EPROTO },
		{ VD_VU_SET_FEATURES, 1, UINT32_MAX - 11, -EPROTO },
	};
	struct vd_vu_msg m;
	struct pair p;

	(void)state;
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		uint32_t hdr[3] = { cases[i].request, cases[i].flags, cases[i].size };
		uint8_t b[512] = { 0 };
		int r;

		pair_init(&p);
		memcpy(b, hdr, sizeof(hdr));
		put(p.peer, b, 12 + (cases[i].size < 400 ? cases[i].size : 0), -1, 0);
		r = vd_vu_recv(&p.c, &m);
		if (r != cases[i].r)
			fail_msg("case %zu: %d instead of %d: %s", i, r, cases[i].r, vd_err_text());
		pair_fini(&p);
	}
}

static void payload_is_cross_checked(void **state)
{
	static const struct {
		uint32_t request, size;
		unsigned int nfds;
		uint32_t word[3];
		int r;
	} cases[] = {
		{ VD_VU_SET_MEM_TABLE, 8 + 32, 1, { 1 }, 1 },
		{ VD_VU_SET_MEM_TABLE, 8 + 64, 1, { 1 }, 1 },	/* room for more: User Mode Linux */
		{ VD_VU_SET_MEM_TABLE, 8 + 32, 2, { 2 }, -EPROTO },
		{ VD_VU_SET_MEM_TABLE, 8 + 32, 2, { 1 }, -EPROTO },
		{ VD_VU_SET_MEM_TABLE, 8 + 32, 0, { 1 }, -EPROTO },
		{ VD_VU_SET_MEM_TABLE, 8 + 256, 8, { 8 }, 1 },
		{ VD_VU_SET_MEM_TABLE, 8 + 256, 8, { 9 }, -EPROTO },
		{ VD_VU_SET_MEM_TABLE, 8 + 256, 8, { UINT32_MAX }, -EPROTO },
		{ VD_VU_SET_MEM_TABLE, 8 + 256, 8, { 0x08000001 }, -EPROTO },	/* * 32 wraps */
		{ VD_VU_SET_VRING_CALL, 8, 0, { VD_VU_VRING_NOFD }, 1 },
		{ VD_VU_SET_VRING_CALL, 8, 1, { VD_VU_VRING_NOFD }, -EPROTO },
		{ VD_VU_SET_CONFIG, 12, 0, { 0, 0 }, 1 },
		{ VD_VU_SET_CONFIG, 12, 0, { 0, 1 }, -EPROTO },
		{ VD_VU_SET_CONFIG, 268, 0, { UINT32_MAX, 256 }, 1 },	/* the device refuses it */
		{ VD_VU_SET_CONFIG, 268, 0, { 0, 257 }, -EPROTO },
		{ VD_VU_SET_CONFIG, 268, 0, { 0, UINT32_MAX }, -EPROTO },
		{ VD_VU_GET_CONFIG, 12, 0, { 0, 256 }, 1 },
		{ VD_VU_GET_CONFIG, 12, 0, { 0, 257 }, -EPROTO },
	};
	unsigned int before = open_fds();

	(void)state;
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		uint8_t b[512] = { 0 }, payload[400] = { 0 };
		struct vd_vu_msg m;
		struct pair p;
		int r;

		pair_init(&p);
		memcpy(payload, cases[i].word, sizeof(cases[i].word));
		put(p.peer, b, bytes_of(b, cases[i].request, 1, payload, cases[i].size), 0,
		    cases[i].nfds);
		r = vd_vu_recv(&p.c, &m);
		if (r != cases[i].r)
			fail_msg("case %zu: %d instead of %d: %s", i, r, cases[i].r, vd_err_text());
		if (r == 1)
			vd_vu_msg_fini(&m);
		pair_fini(&p);
	}
	assert_int_equal(open_fds(), before);
}

static void a_closed_peer(void **state)
{
	uint8_t b[64] = { VD_VU_SET_FEATURES, 0, 0, 0, 1, 0, 0, 0, 8 };
	struct vd_vu_msg m;

	(void)state;
	for (size_t len = 0; len < 20; len++) {
		struct pair p;

		pair_init(&p);
		if (len)
			put(p.peer, b, len, -1, 0);
		vd_close(&p.peer);
		assert_int_equal(vd_vu_recv(&p.c, &m), -ENOTCONN);
		vd_vu_msg_init(&m, VD_VU_SET_FEATURES, 8);
		assert_int_equal(vd_vu_send(&p.c, &m), -EPIPE);
		pair_fini(&p);
	}
}

/* A peer that never reads costs a bounded amount of memory, and is told apart. */
static void a_peer_that_does_not_read(void **state)
{
	unsigned int before = open_fds(), sent = 0;
	struct vd_vu_msg m, got;
	struct vd_vu_conn c;
	struct pair p;
	int r;

	(void)state;
	pair_init(&p);
	vd_vu_msg_init(&m, VD_VU_SET_VRING_CALL, 8);
	m.nfds = 1;	/* descriptor 0 */
	while ((r = vd_vu_send(&p.c, &m)) >= 0) {
		m.u64 = ++sent & 0xff;
		assert_true(p.c.out_bytes <= VD_VU_OUT_MAX);
		assert_true(sent < 1000000);
	}
	assert_true(r == -ENOBUFS || r == -ETOOMANYREFS);
	assert_true(sent > 100);
	assert_true(open_fds() > before + 2);	/* those that wait are kept open */

	/* It reads after all: everything comes, whole and in order. */
	vd_vu_conn_init(&c, p.peer, false);
	p.peer = -1;
	for (unsigned int i = 0; i < sent; i++) {
		while ((r = vd_vu_recv(&c, &got)) == 0)
			assert_true(vd_vu_flush(&p.c) >= 0);
		assert_int_equal(r, 1);
		assert_true(got.u64 == (i & 0xff));
		assert_int_equal(got.nfds, 1);
		vd_vu_msg_fini(&got);
	}
	assert_int_equal(vd_vu_flush(&p.c), 0);
	assert_int_equal(p.c.out_bytes, 0);
	vd_vu_conn_fini(&c);
	pair_fini(&p);
	assert_int_equal(open_fds(), before);
}

/* Large messages, sent in parts by a socket that has little room. */
static void partly_sent_messages(void **state)
{
	unsigned int before = open_fds(), sent = 0;
	struct vd_vu_msg m, got;
	struct vd_vu_conn c;
	struct pair p;
	int small = 1, r;

	(void)state;
	pair_init(&p);
	setsockopt(p.c.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	vd_vu_conn_init(&c, p.peer, false);
	p.peer = -1;
	vd_vu_msg_init(&m, VD_VU_SET_CONFIG, sizeof(m.config));
	m.config.size = VD_VU_CONFIG_MAX;
	while ((r = vd_vu_send(&p.c, &m)) >= 0) {
		sent++;
		memset(m.config.data, (int)sent, sizeof(m.config.data));
	}
	assert_int_equal(r, -ENOBUFS);
	for (unsigned int i = 0; i < sent; i++) {
		while ((r = vd_vu_recv(&c, &got)) == 0)
			assert_true(vd_vu_flush(&p.c) >= 0);
		assert_int_equal(r, 1);
		assert_int_equal(got.config.data[0], i & 0xff);
		assert_int_equal(got.config.data[255], i & 0xff);
	}
	vd_vu_conn_fini(&c);
	pair_fini(&p);
	assert_int_equal(open_fds(), before);
}

static void the_backend_channel(void **state)
{
	struct vd_vu_msg m, got;
	struct vd_vu_conn c;
	struct pair p;

	(void)state;
	pair_init(&p);
	p.c.backend_channel = true;
	vd_vu_conn_init(&c, p.peer, true);
	p.peer = -1;
	vd_vu_msg_init(&m, VD_VU_BACKEND_VRING_CALL, 8);
	m.state.index = 7;
	assert_int_equal(vd_vu_send(&p.c, &m), 0);
	assert_int_equal(vd_vu_recv(&c, &got), 1);
	assert_int_equal(got.state.index, 7);
	vd_vu_msg_init(&m, VD_VU_BACKEND_CONFIG_CHANGE, 8);
	m.flags |= VD_VU_REPLY;
	assert_int_equal(vd_vu_send(&c, &m), 0);
	assert_int_equal(vd_vu_recv(&p.c, &got), 1);
	assert_true(got.flags & VD_VU_REPLY);
	vd_vu_msg_init(&m, VD_VU_SET_FEATURES, 8);
	assert_int_equal(vd_vu_send(&c, &m), 0);
	assert_int_equal(vd_vu_recv(&p.c, &got), -EPROTO);
	vd_vu_conn_fini(&c);
	pair_fini(&p);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(vd_vu_name(VD_VU_SET_MEM_TABLE), "SET_MEM_TABLE");
	assert_string_equal(vd_vu_name(0), "unknown request");
	assert_string_equal(vd_vu_name(UINT32_MAX), "unknown request");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_comes_byte_by_byte),
		cmocka_unit_test(two_messages_in_one_read),
		cmocka_unit_test(descriptors_on_a_middle_byte),
		cmocka_unit_test(surplus_descriptors_are_closed),
		cmocka_unit_test(ten_thousand_malformed_messages),
		cmocka_unit_test(sizes_and_versions),
		cmocka_unit_test(payload_is_cross_checked),
		cmocka_unit_test(a_closed_peer),
		cmocka_unit_test(a_peer_that_does_not_read),
		cmocka_unit_test(partly_sent_messages),
		cmocka_unit_test(the_backend_channel),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
