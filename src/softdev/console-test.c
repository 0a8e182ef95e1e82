/* SPDX-License-Identifier: BSD-2-Clause */
/* console-test.c - bytes through the ports of a console */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "softdev/console-bed.h"

#define EMERG_OFF offsetof(struct virtio_console_config, emerg_wr)

static const struct vd_console_conf one = { .nports = 1, .queue_size = 256 };
static const struct vd_console_conf many = { .nports = CB_PORTS };

static uint32_t rnd(uint32_t below)
{
	return (uint32_t)random() % below;
}

/* Bytes of the stream from @at on. */
static const uint8_t *stream(uint64_t at, size_t len)
{
	static uint8_t buf[1u << 20];

	assert_true(len <= sizeof(buf));
	for (size_t i = 0; i < len; i++)
		buf[i] = cb_byte(at + i);
	return buf;
}

static void test_one_port(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		uint8_t buf[CB_SLOT];
		struct bed b;

		cb_add(&b, &one);
		assert_int_equal(uvdpa_dev_info(b.dev)->nvqs, 2);
		cb_start(&b, &(struct bed_conf){ .packed = packed });
		cb_until(&b, cb.opened[0] == 1);
		cb_send(&b, cb_tx(0), "login: ", 7, 0);
		cb_peer_reads(&b, 0, "login: ", 7);
		cb_peer_writes(0, "root\n", 5); /* there is no buffer yet */
		cb_post(&b, cb_rx(0), 0, 4, 16);
		assert_int_equal(cb_get(&b, cb_rx(0), buf, 5000), 5);
		assert_memory_equal(buf, "root\n", 5);
		cb_peer_writes(0, "0123456789abcdefghij", 20);
		assert_int_equal(cb_get(&b, cb_rx(0), buf, 5000), 16);
		assert_int_equal(cb_get(&b, cb_rx(0), buf + 16, 5000), 4);
		assert_memory_equal(buf, "0123456789abcdefghij", 20);
		assert_int_equal(bed_stat(&b, cb_rx(0), "rx bytes"), 25);
		assert_int_equal(bed_stat(&b, cb_tx(0), "tx bytes"), 7);
		bed_reset(&b);
		assert_int_equal(cb.opened[0], 1);
		assert_int_equal(cb.closed[0], 1);
		cb_end(&b);
	}
}

static void test_many_ports(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		uint8_t buf[CB_SLOT];
		struct bed b;

		cb_add(&b, &many);
		cb_start(&b, &(struct bed_conf){ .packed = packed });
		cb_greet(&b);
		for (unsigned int i = 0; i < CB_PORTS; i++) {
			cb_until(&b, cb.opened[i] == 1);
			cb_send(&b, cb_tx(i), "hello", 5, 2);
			cb_peer_reads(&b, i, "hello", 5);
			cb_post(&b, cb_rx(i), 0, 4, 16);
			cb_peer_writes(i, "world", 5);
			assert_int_equal(cb_get(&b, cb_rx(i), buf, 5000), 5);
			assert_memory_equal(buf, "world", 5);
		}
		cb_end(&b);
	}
}

/* A driver that knows nothing of MULTIPORT has the first port, and nothing happens in other queues.
 */
static void test_not_multiport(void **state)
{
	struct virtio_console_control m = { 0, htole16(VIRTIO_CONSOLE_DEVICE_READY), htole16(1) };
	uint8_t buf[CB_SLOT];
	struct bed b;

	(void)state;
	cb_add(&b, &many);
	cb_start(&b, &(struct bed_conf){ .features_off = VD_CONSOLE_F(MULTIPORT) });
	for (unsigned int i = 0; i < CB_PORTS; i++)
		cb_post(&b, cb_rx(i), 0, 4, 16);
	cb_post(&b, VD_CONSOLE_CTRL_RX, 0, 4, CB_SLOT);
	cb_send(&b, VD_CONSOLE_CTRL_TX, &m, sizeof(m), 0);
	for (unsigned int i = 0; i < CB_PORTS; i++)
		cb_send(&b, cb_tx(i), "hello", 5, 0);
	cb_peer_reads(&b, 0, "hello", 5);
	for (unsigned int i = 0; i < CB_PORTS; i++)
		cb_peer_writes(i, "world", 5);
	assert_int_equal(cb_get(&b, cb_rx(0), buf, 5000), 5);
	assert_int_equal(cb_get(&b, VD_CONSOLE_CTRL_RX, buf, 50), -1);
	for (unsigned int i = 1; i < CB_PORTS; i++) {
		assert_int_equal(cb_get(&b, cb_rx(i), buf, 0), -1);
		cb_peer_nothing(i);
		assert_int_equal(cb.opened[i], 0);
	}
	assert_int_equal(cb.opened[0], 1);
	cb_end(&b);
}

/* ---- chains of any shape ------------------------------------------------------------------ */

static void test_shapes(void **state)
{
	struct vd_done d;
	struct bed b;

	(void)state;
	cb_add(&b, &one);
	cb_start(&b, &(struct bed_conf){ .num = 256 });
	for (unsigned int each = 1; each < 60; each++) {
		cb_send(&b, cb_tx(0), stream(each, 60), 60, each);
		cb_peer_reads(&b, 0, stream(each, 60), 60);
	}
	/* What the device may write in it makes no difference, and does not change. */
	for (unsigned int nout = 0; nout < 3; nout++) {
		uint8_t *mem = cb_mem(&b, cb_tx(0));
		struct vd_buf bufs[] = { { cb_iova(cb_tx(0)), 3 },
					 { cb_iova(cb_tx(0)) + 3, 2 },
					 { cb_iova(cb_tx(0)) + CB_SLOT, 100 } };

		memcpy(mem, "abcde", 5);
		memset(mem + CB_SLOT, 0x77, 100);
		bed_add_req(&b, cb_tx(0), bufs + 2 - nout, nout, 1);
		assert_int_equal(bed_get(&b, cb_tx(0), &d, 1, 5000), 1);
		assert_int_equal(d.len, 0);
		assert_int_equal(mem[CB_SLOT], 0x77);
		cb_peer_reads(&b, 0, nout == 2 ? "abcde" : "de", nout == 2 ? 5 : nout * 2);
	}
	assert_int_equal(bed_stat(&b, cb_tx(0), "tx errors"), 1);
	cb_end(&b);
}

/* All that a driver can give as a buffer. */
static void test_receive_shapes(void **state)
{
	uint8_t buf[CB_SLOT];
	struct vd_buf bufs[60];
	struct vd_done d;
	struct bed b;

	(void)state;
	cb_add(&b, &one);
	cb_start(&b, &(struct bed_conf){ .num = 256 });
	/* Nothing of it is for us to write: it comes back. */
	bufs[0] = (struct vd_buf){ cb_iova(cb_rx(0)), 10 };
	bed_add_req(&b, cb_rx(0), bufs, 1, 0);
	cb_peer_writes(0, "x", 1);
	assert_int_equal(bed_get(&b, cb_rx(0), &d, 1, 5000), 1);
	assert_int_equal(d.len, 0);
	assert_int_equal(bed_stat(&b, cb_rx(0), "rx errors"), 1);
	/* One byte each, behind what we may read. */
	for (unsigned int i = 0; i < 60; i++)
		bufs[i] = (struct vd_buf){ cb_iova(cb_rx(0)) + 2 * i, 1 };
	memset(cb_mem(&b, cb_rx(0)), 0x55, 200);
	bed_add_req(&b, cb_rx(0), bufs, 1, 59);
	assert_int_equal(bed_get(&b, cb_rx(0), &d, 1, 5000), 1);
	assert_int_equal(d.len, 1);
	bed_add_req(&b, cb_rx(0), bufs, 1, 59);
	cb_peer_writes(0, stream(0, 59), 59);
	assert_int_equal(bed_get(&b, cb_rx(0), &d, 1, 5000), 1);
	assert_int_equal(d.len, 59);
	for (unsigned int i = 0; i < 59; i++) {
		assert_int_equal(cb_mem(&b, cb_rx(0))[2 * i + 2], cb_byte(i));
		assert_int_equal(cb_mem(&b, cb_rx(0))[2 * i + 3], 0x55);
	}
	/* All sizes, as one stream. */
	for (unsigned int i = 0; i < 100; i++)
		cb_post(&b, cb_rx(0), i, 1, i + 1);
	cb_peer_writes(0, stream(7, 5050), 5050);
	for (unsigned int i = 0, at = 7; i < 100; i++) {
		int n = cb_get(&b, cb_rx(0), buf, 5000);

		assert_true(n > 0 && n <= (int)i + 1);
		assert_memory_equal(buf, stream(at, (size_t)n), n);
		at += (unsigned int)n;
		if (at == 5057)
			break;
	}
	cb_end(&b);
}

/* The longest chain that there can be: 4 GiB less a byte, of the same memory again and again. */
static void test_longest(void **state)
{
	struct vd_buf bufs[256];
	unsigned int n = 0;
	uint64_t total = UINT32_MAX, left = total;
	struct vd_done d;
	struct bed b;

	(void)state;
	cb_add(&b, &one);
	__atomic_store_n(&cb.null, true, __ATOMIC_RELAXED);
	cb_start(&b, &(struct bed_conf){ .num = 256 });
	for (; left; left -= bufs[n++].len)
		bufs[n] = (struct vd_buf){ BED_IOVA, (uint32_t)vd_min(left, BED_SIZE) };
	__atomic_store_n(&cb.send_max, 3000000001u, __ATOMIC_RELAXED);
	bed_add_req(&b, cb_tx(0), bufs, n, 0);
	/* It stops in the middle; the socket can be written to, so it goes on. */
	assert_int_equal(bed_get(&b, cb_tx(0), &d, 1, 5000), 1);
	assert_int_equal(__atomic_load_n(&cb.nsent, __ATOMIC_RELAXED), total);
	assert_int_equal(bed_stat(&b, cb_tx(0), "tx waits"), 1);
	cb_end(&b);
}

/* ---- the middle of a chain ---------------------------------------------------------------- */

/* A stream through a small socket, in calls that take little, stopped and begun again at any
 * moment. */
static void test_stop_and_go(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		uint64_t sent = 0, back = 0, read = 0, total = 300000, due;
		unsigned int q = cb_tx(0), used[64] = { 0 }, ids[64] = { 0 };
		struct bed b;

		cb_add(&b, &one);
		__atomic_store_n(&cb.send_max, 97, __ATOMIC_RELAXED);
		cb_start(&b, &(struct bed_conf){ .packed = packed });
		due = vd_now_ns() + 60000000000ull;
		for (unsigned int turn = 0; read < total; turn++) {
			struct pollfd p = { .fd = cb.peer[0], .events = POLLIN };
			struct vd_done d[64];
			uint8_t got[700];
			ssize_t n;

			assert_true(vd_now_ns() < due);
			for (unsigned int i = 0; i < 16 && sent < total; i++) {
				uint32_t some = 1 + rnd(500);
				uint32_t len = (uint32_t)vd_min(some, total - sent);

				if (used[i])
					continue;
				ids[i] = (unsigned int)cb_put(&b, q, i * CB_SLOT, stream(sent, len),
							      len, 1 + rnd(500) + len / 8);
				used[i] = len;
				sent += len;
			}
			poll(&p, 1, 1);
			n = recv(cb.peer[0], got, 1 + rnd(sizeof(got)), 0);
			if (n > 0) {
				assert_memory_equal(got, stream(read, (size_t)n), n);
				read += (uint64_t)n;
			}
			for (int i = bed_get(&b, q, d, 64, 0); i-- > 0;) {
				unsigned int slot = 0;

				while (!used[slot] || ids[slot] != d[i].id)
					slot++;
				back += used[slot];
				used[slot] = 0;
				assert_int_equal(d[i].len, 0);
			}
			if (turn % 5 == 0) {
				bed_suspend(&b);
				bed_resume(&b);
			}
		}
		assert_int_equal(read, total);
		while (back < total) {
			struct vd_done d;
			unsigned int slot = 0;

			assert_int_equal(bed_get(&b, q, &d, 1, 5000), 1);
			while (!used[slot] || ids[slot] != d.id)
				slot++;
			back += used[slot];
			used[slot] = 0;
		}
		assert_int_equal(back, total);
		assert_true(bed_stat(&b, q, "tx waits") > 100);
		cb_end(&b);
	}
}

/* Fill the socket, so that a chain of @len bytes is half sent. Return: bytes of it that are. */
static size_t half_send(struct bed *b, uint32_t len)
{
	uint64_t before;

	cb_put(b, cb_tx(0), 0, stream(0, len), len, 0);
	do {
		before = bed_stat(b, cb_tx(0), "tx waits");
		usleep(20000);
	} while (!before || bed_stat(b, cb_tx(0), "tx waits") != before);
	return bed_stat(b, cb_tx(0), "tx bytes");
}

/* Another driver's bytes begin with its first, whatever the former has left. */
static void test_reset_in_the_middle(void **state)
{
	uint32_t len = 1u << 20;
	size_t gone;
	struct bed b;

	(void)state;
	cb_add(&b, &one);
	cb_start(&b, NULL);
	gone = half_send(&b, len);
	assert_true(gone && gone < len);
	bed_reset(&b);
	assert_int_equal(cb.resets, 1);
	assert_int_equal(cb.closed[0], 1);
	cb_peer_reads(&b, 0, stream(0, len), gone);
	cb_peer_nothing(0);
	cb_start(&b, NULL);
	cb_send(&b, cb_tx(0), "another", 7, 0);
	cb_peer_reads(&b, 0, "another", 7);
	cb_peer_nothing(0);
	cb_end(&b);
}

/* A driver that changes what is in the ring harms itself alone. */
static void test_changed_in_the_middle(void **state)
{
	uint32_t len = 1u << 20, shorter = 10;
	size_t gone;
	struct vd_done d;
	struct vring_desc *desc;
	struct bed b;

	(void)state;
	cb_add(&b, &one);
	cb_start(&b, NULL);
	gone = half_send(&b, len);
	bed_suspend(&b);
	desc = (struct vring_desc *)(b.mem + 262144); /* of the second ring */
	for (unsigned int i = 0; i < b.num; i++)
		if (le32toh(desc[i].len) == len)
			desc[i].len = htole32(shorter);
	bed_resume(&b);
	cb_peer_reads(&b, 0, stream(0, len), gone);
	assert_int_equal(bed_get(&b, cb_tx(0), &d, 1, 5000), 1);
	cb_send(&b, cb_tx(0), "behind it", 9, 0);
	cb_peer_reads(&b, 0, "behind it", 9);
	cb_peer_nothing(0);
	cb_end(&b);
}

/* ---- receive ------------------------------------------------------------------------------ */

/* A stream into buffers of any size, stopped and begun again; none is given without anything in it.
 */
static void test_receive_stop_and_go(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		uint64_t written = 0, got = 0, total = 200000, due;
		unsigned int q = cb_rx(0);
		struct bed b;

		cb_add(&b, &one);
		cb_start(&b, &(struct bed_conf){ .packed = packed });
		for (unsigned int i = 0; i < 20; i++)
			cb_post(&b, q, i, 1, 1 + rnd(900));
		due = vd_now_ns() + 60000000000ull;
		for (unsigned int turn = 0; got < total; turn++) {
			size_t some = rnd(3000), len = vd_min(some, total - written);
			ssize_t n = send(cb.peer[0], stream(written, len), len, MSG_DONTWAIT);
			struct vd_done d;

			assert_true(vd_now_ns() < due);
			written += n > 0 ? (uint64_t)n : 0;
			__atomic_store_n(&cb.receive_max, turn % 3 ? rnd(1500) : 0,
					 __ATOMIC_RELAXED);
			while (bed_get(&b, q, &d, 1, 1) == 1) {
				unsigned int slot = b.slots[q][d.id];

				assert_true(d.len);
				assert_memory_equal(cb_mem(&b, q) + slot * CB_SLOT,
						    stream(got, d.len), d.len);
				got += d.len;
				cb_post(&b, q, slot, 1, 1 + rnd(900));
			}
			if (turn % 4 == 0) {
				bed_suspend(&b);
				bed_resume(&b);
			}
		}
		cb_end(&b);
	}
}

/* A parent without a descriptor is asked when there are buffers, and when it has said that it has
 * something. */
static void test_no_fd(void **state)
{
	uint8_t buf[CB_SLOT];
	struct bed b;

	(void)state;
	cb_add(&b, &one);
	__atomic_store_n(&cb.no_fd, true, __ATOMIC_RELAXED);
	vd_console_wake(cb.con);
	cb_start(&b, NULL);
	cb_until(&b, cb.opened[0]);
	for (unsigned int i = 0; i < 50; i++) {
		unsigned int calls = __atomic_load_n(&cb.nreceive, __ATOMIC_RELAXED);

		cb_peer_writes(0, stream(i, 40), 40);
		cb_post(&b, cb_rx(0), i % 32, 1, 30);
		assert_int_equal(cb_get(&b, cb_rx(0), buf, 5000), 30);
		assert_true(__atomic_load_n(&cb.nreceive, __ATOMIC_RELAXED) != calls);
		cb_post(&b, cb_rx(0), i % 32, 1, 30);
		assert_int_equal(cb_get(&b, cb_rx(0), buf + 30, 5000), 10);
		assert_memory_equal(buf, stream(i, 40), 40);
		/* Now there are buffers, and it sleeps. */
		cb_post(&b, cb_rx(0), i % 32, 1, 30);
		usleep(500);
		cb_peer_writes(0, "x", 1);
		vd_console_wake(cb.con);
		assert_int_equal(cb_get(&b, cb_rx(0), buf, 5000), 1);
	}
	cb_end(&b);
}

/* Descriptors come and go while chains wait. */
static void test_other_fd(void **state)
{
	struct vd_done d;
	uint8_t buf[CB_SLOT];
	struct bed b;

	(void)state;
	cb_add(&b, &one);
	cb_start(&b, NULL);
	__atomic_store_n(&cb.no_fd, true, __ATOMIC_RELAXED);
	vd_console_wake(cb.con);
	__atomic_store_n(&cb.send_max, 1, __ATOMIC_RELAXED);
	cb_put(&b, cb_tx(0), 0, "abcdefgh", 8, 0);
	assert_int_equal(bed_get(&b, cb_tx(0), &d, 1, 50), 0); /* nobody says that it can go on */
	for (unsigned int i = 1; i < 4; i++) {
		vd_console_wake(cb.con);
		cb_until(&b, bed_stat(&b, cb_tx(0), "tx bytes") > i);
	}
	__atomic_store_n(&cb.no_fd, false, __ATOMIC_RELAXED);
	vd_console_wake(cb.con);
	cb_peer_reads(&b, 0, "abcdefgh", 8);
	assert_int_equal(bed_get(&b, cb_tx(0), &d, 1, 5000), 1);
	/* And for what comes. */
	cb_peer_writes(0, "1", 1);
	cb_post(&b, cb_rx(0), 0, 2, 16);
	assert_int_equal(cb_get(&b, cb_rx(0), buf, 5000), 1);
	cb_end(&b);
}

/* ---- emergency writes ------------------------------------------------------------------------ */

/* Nobody reads: what is too much is counted, and the rest comes in order, once. */
static void test_emergency_waits(void **state)
{
	char text[32];
	size_t gone, more = VD_CONSOLE_EMERG + 7;
	uint32_t len = 1u << 20;
	struct vd_done d;
	struct bed b;

	(void)state;
	cb_add(&b, &one);
	cb_start(&b, NULL);
	gone = half_send(&b, len);
	assert_string_equal(bed_shown(&b, "emergency_lost"), "");
	for (size_t i = 0; i < more; i++) {
		uint8_t c = (uint8_t)('a' + i % 26);

		assert_int_equal(uvdpa_dev_set_config(b.dev, EMERG_OFF, &c, 1), 0);
	}
	snprintf(text, sizeof(text), "%zu", more - VD_CONSOLE_EMERG);
	assert_string_equal(bed_shown(&b, "emergency_lost"), text);
	cb_peer_reads(&b, 0, stream(0, len), gone);
	for (size_t i = 0; i < VD_CONSOLE_EMERG; i++) {
		uint8_t c = (uint8_t)('a' + i % 26);

		cb_peer_reads(&b, 0, &c, 1);
	}
	cb_peer_reads(&b, 0, stream(0, len) + gone, len - gone);
	assert_int_equal(bed_get(&b, cb_tx(0), &d, 1, 5000), 1);
	cb_peer_nothing(0);
	cb_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_port),
		cmocka_unit_test(test_many_ports),
		cmocka_unit_test(test_not_multiport),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_receive_shapes),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_stop_and_go),
		cmocka_unit_test(test_reset_in_the_middle),
		cmocka_unit_test(test_changed_in_the_middle),
		cmocka_unit_test(test_receive_stop_and_go),
		cmocka_unit_test(test_no_fd),
		cmocka_unit_test(test_other_fd),
		cmocka_unit_test(test_emergency_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
