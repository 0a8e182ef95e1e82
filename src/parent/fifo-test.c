/* SPDX-License-Identifier: BSD-2-Clause */
/* fifo-test.c - the devices of a FIFO, and another side that is a socket of ours */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/unix.h"
#include "parent/fifo.h"
#include "softdev/console-bed.h"
#include "softdev/net-bed.h"

static char dir[64], path[80], address[100];

/* The card: both of its devices in one context, and the other end of its link. */
struct rig {
	struct bed net, con;
	int fd;
	uint8_t got[1 << 17];
};
static struct rig r;

static const char *const net_attrs[] = { "type", "net", "link", address, "role", "card", NULL };
static const char *const con_attrs[] = { "type", "console", "link", address, "role", "card", NULL };

static const char *shown(struct bed *b, const char *key)
{
	return bed_shown(b, key);
}

static void wait_shown(struct bed *b, const char *key, const char *value)
{
	uint64_t end = vd_now_ns() + 5000000000ull;

	while (strcmp(shown(b, key), value) != 0) {
		if (vd_now_ns() > end)
			fail_msg("%s is %s, not %s", key, shown(b, key), value);
		uvdpa_dispatch(b->u, 5);
	}
}

static void read_all(void *to, size_t len)
{
	for (size_t done = 0; done < len;) {
		struct pollfd p = { .fd = r.fd, .events = POLLIN };
		ssize_t n;

		assert_int_equal(poll(&p, 1, 5000), 1);
		n = read(r.fd, (char *)to + done, len - done);
		assert_true(n > 0);
		done += (size_t)n;
	}
}

/* A card begins with words that say nothing, so that whatever its host is in the middle of ends. */
static void connect_peer(void)
{
	static const uint8_t none[VD_FIFO_SYNC * VD_FIFO_WORD];
	uint8_t got[sizeof(none)];

	r.fd = vd_unix_connect(path, 0);
	assert_true(r.fd >= 0);
	wait_shown(&r.net, "connected", "true");
	read_all(got, sizeof(got));
	assert_memory_equal(got, none, sizeof(none));
}

static void start_net(void)
{
	bed_start(&r.net, &(struct bed_conf){ .queues = 2, .num = 256 });
}

static void start_con(void)
{
	bed_start(&r.con, &(struct bed_conf){ .queues = 2, .num = 64 });
	usleep(10000);
	uvdpa_dispatch(r.con.u, 0);
}

static void begin(void)
{
	assert_int_equal(bed_add(&r.net, "fifo", net_attrs), 0);
	assert_int_equal(bed_join(&r.con, &r.net, "c0", "fifo", con_attrs), 0);
	assert_string_equal(shown(&r.con, "connected"), "false");
	start_net();
	start_con();
	connect_peer();
}

static void end(void)
{
	vd_close(&r.fd);
	bed_end(&r.con);
	bed_end(&r.net);
}

/* ---- the other side ------------------------------------------------------------------------- */

/* The next message, into r.got. Return: the length of its payload. */
static uint32_t next_message(uint8_t type)
{
	uint8_t want[8];
	uint32_t len;

	read_all(r.got, 8);
	len = vd_fifo_len(r.got);
	vd_fifo_header(want, type, (uint16_t)len, NULL);
	assert_memory_equal(r.got, want, 8);
	read_all(r.got + 8, vd_fifo_size(len) - 8);
	for (size_t i = 8 + len; i < vd_fifo_size(len); i++)
		assert_int_equal(r.got[i], 0);
	return len;
}

static void say(const void *b, size_t len)
{
	assert_int_equal(send(r.fd, b, len, MSG_NOSIGNAL), len);
}

static size_t make(uint8_t *to, uint8_t type, const void *payload, uint16_t len)
{
	memset(to, 0, vd_fifo_size(len));
	vd_fifo_header(to, type, len, NULL);
	memcpy(to + 8, payload, len);
	return vd_fifo_size(len);
}

static void say_message(uint8_t type, const void *payload, uint16_t len)
{
	static uint8_t b[1 << 17];

	say(b, make(b, type, payload, len));
}

static const uint8_t *frame(uint32_t len, uint8_t seed)
{
	static uint8_t b[4000];

	memset(b, 0xff, 6);
	for (uint32_t i = 6; i < len; i++)
		b[i] = (uint8_t)(i * 7 + seed);
	return b;
}

static void expect_frame(uint32_t len, uint8_t seed)
{
	struct nb_frame f;

	assert_true(nb_receive(&r.net, 0, &f, 5000));
	assert_int_equal(f.len, len);
	assert_memory_equal(f.frame, frame(len, seed), len);
}

static void expect_text(const char *text)
{
	char got[CB_SLOT + 1] = "";
	size_t n = 0;

	while (n < strlen(text)) {
		int len = cb_get(&r.con, 0, got + n, 5000);

		assert_true(len > 0);
		n += (size_t)len;
	}
	got[n] = '\0';
	assert_string_equal(got, text);
}

/* ---- cases ---------------------------------------------------------------------------------- */

static int dir_make(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/uvdpa-fifo-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/f", dir);
	snprintf(address, sizeof(address), "unix-listen:%s", path);
	return 0;
}

static int dir_remove(void **state)
{
	(void)state;
	return rmdir(dir);
}

static void refused(const char *type, const char *key, const char *value, int err, const char *why)
{
	const char *attrs[] = { "type", type, "link", address, "role", "card", key, value, NULL };
	struct bed b;

	assert_int_equal(bed_join(&b, &r.net, "x", "fifo", attrs), err);
	if (!strstr(uvdpa_error(), why))
		fail_msg("%s %s: %s", key, value, uvdpa_error());
}

static void what_does_not_fit(void **state)
{
	static const char *const nowhere[] = {
		"null", "file:/tmp/x", "stdio", "here", "unix:", NULL
	};
	struct bed b;

	(void)state;
	assert_int_equal(bed_add(&r.net, "fifo", net_attrs), 0);
	for (unsigned int i = 0; nowhere[i]; i++) {
		const char *attrs[] = { "type", "net", "link", nowhere[i], "role", "card", NULL };

		assert_int_equal(bed_join(&b, &r.net, "x", "fifo", attrs), -EINVAL);
	}
	refused("net", "mtu", "1500", -EEXIST, "has a net already");
	refused("console", "mode", "0666", -EINVAL, "mode 0666");
	refused("console", "reconnect_ms", "7", -EINVAL, "reconnect_ms 7");
	refused("console", "words", "4096", -EINVAL, "words 4096");
	refused("console", "words", "4097", -EINVAL, "power of two");
	refused("console", "mtu", "1500", -EINVAL, "a console has none");
	refused("console", "mac", "52:54:00:12:34:56", -EINVAL, "a console has none");
	refused("console", "queue_size", "4096", -EINVAL, "4096");
	/* What was refused has left nothing behind. */
	assert_int_equal(bed_join(&r.con, &r.net, "c0", "fifo", con_attrs), 0);
	refused("console", "mode", "0600", -EEXIST, "has a console already");
	bed_end(&r.con);
	bed_end(&r.net);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void both_ways(void **state)
{
	static const uint32_t lengths[] = { 14, 15, 60, 64, 1500, 1514, 1518 };
	uint8_t mac[6];

	(void)state;
	begin();
	assert_int_equal(uvdpa_dev_get_config(r.net.dev, 0, mac, 6), 0);
	assert_memory_equal(mac, "\0\x1a\xca\xff\xff\1", 6);
	nb_post(&r.net, 0, 40, 2048);
	cb_post(&r.con, 0, 0, 8, 64);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(lengths); i++) {
		uint32_t len = lengths[i];

		nb_send(&r.net, 1, NULL, frame(len, (uint8_t)i), len, i % 2 ? 100 : 0);
		assert_int_equal(next_message(VD_FIFO_NET), len);
		assert_memory_equal(r.got + 8, frame(len, (uint8_t)i), len);
		say_message(VD_FIFO_NET, frame(len, (uint8_t)(i + 50)), (uint16_t)len);
		expect_frame(len, (uint8_t)(i + 50));
		cb_send(&r.con, 1, "hello", 5, i % 2);
		assert_int_equal(next_message(VD_FIFO_CONSOLE), 5);
		assert_memory_equal(r.got + 8, "hello", 5);
		say_message(VD_FIFO_CONSOLE, "login", 5);
		expect_text("login");
	}
	/* More than a message takes; and a frame that is longer than the MTU permits. */
	memset(r.got, 'x', 5000);
	cb_send(&r.con, 1, r.got, 5000, 0);
	assert_int_equal(next_message(VD_FIFO_CONSOLE), VD_FIFO_CHUNK);
	assert_int_equal(next_message(VD_FIFO_CONSOLE), VD_FIFO_CHUNK);
	assert_int_equal(next_message(VD_FIFO_CONSOLE), 5000 - 2 * VD_FIFO_CHUNK);
	nb_send(&r.net, 1, NULL, frame(1519, 1), 1519, 0);
	nb_send(&r.net, 1, NULL, frame(60, 1), 60, 0);
	assert_int_equal(next_message(VD_FIFO_NET), 60);
	assert_int_equal(bed_stat(&r.net, 1, "tx errors"), 1);
	say_message(VD_FIFO_NET, frame(1519, 1), 1519);
	say_message(VD_FIFO_NET, frame(60, 9), 60);
	expect_frame(60, 9);
	assert_string_equal(shown(&r.net, "link_oversize"), "1");
	end();
}

/* Messages come in parts that end at any byte, and none gets what is another's. */
static void in_parts(void **state)
{
	uint8_t b[512];
	size_t n = 0;

	(void)state;
	begin();
	n += make(b + n, VD_FIFO_NET, frame(61, 1), 61);
	n += make(b + n, VD_FIFO_CONSOLE, "0123456789", 10);
	n += make(b + n, VD_FIFO_NET, frame(20, 2), 20);
	for (size_t cut = 1; cut < n; cut++) {
		nb_post_slot(&r.net, 0, 0, 2048);
		nb_post_slot(&r.net, 0, 1, 2048);
		cb_post(&r.con, 0, 0, 3, 16);
		say(b, cut);
		if (cut % 4 == 0)
			usleep(1000);
		say(b + cut, n - cut);
		expect_frame(61, 1);
		expect_frame(20, 2);
		expect_text("0123456789");
		bed_reset(&r.con); /* which gives the buffers back that were not used */
		start_con();
	}
	end();
}

/* A connection ends in the middle of a message, and the next begins with one. */
static void broken_in_the_middle(void **state)
{
	uint8_t b[256];
	size_t n;

	(void)state;
	begin();
	nb_post(&r.net, 0, 40, 2048);
	cb_post(&r.con, 0, 0, 40, 64);
	for (unsigned int i = 0; i < 6; i++) {
		char visits[12];

		n = i % 2 ? make(b, VD_FIFO_NET, frame(90, 1), 90)
			  : make(b, VD_FIFO_CONSOLE, "abcdefghijk", 11);
		say(b, i < 4 ? 10 + 2 * i : n - 1);
		if (i % 2 == 0)
			expect_text(i == 0 ? "ab" : i == 2 ? "abcdef" : "abcdefghijk");
		vd_close(&r.fd);
		wait_shown(&r.net, "connected", "false");
		connect_peer();
		snprintf(visits, sizeof(visits), "%u", i + 2);
		assert_string_equal(shown(&r.con, "connections"), visits);
		say_message(VD_FIFO_NET, frame(70, (uint8_t)i), 70);
		expect_frame(70, (uint8_t)i);
		say_message(VD_FIFO_CONSOLE, "next", 4);
		expect_text("next");
	}
	assert_string_equal(shown(&r.net, "link_cut"), "6");
	assert_string_equal(shown(&r.net, "link_resyncs"), "0");
	end();
}

/* Fill transmit queue @q as far as it goes. Return: how many came back. */
static unsigned int fill(struct bed *b, unsigned int q, uint64_t iova, unsigned int n, uint32_t len)
{
	unsigned int back = 0;
	struct vd_done done[64];
	int got;

	for (unsigned int i = 0; i < n; i++) {
		struct vd_buf buf = { iova, len };

		bed_add_req(b, q, &buf, 1, 0);
	}
	while ((got = bed_get(b, q, done, 64, 100)) > 0)
		back += (unsigned int)got;
	return back;
}

/* What the other side does not read stays in the rings; and then the console does not wait for all
 * of it. */
static void peer_does_not_read(void **state)
{
	unsigned int back = 0, texts = 0, net = 0, before = 0;
	struct vd_done done[64];

	(void)state;
	begin();
	memset(nb_mem(&r.net, 1), 0, 12 + 1514);
	memcpy(nb_mem(&r.net, 1) + 12, frame(1514, 3), 1514);
	for (unsigned int i = 0; i < 10 && back == net; i++, net += 200)
		back += fill(&r.net, 1, nb_iova(&r.net, 1), 200, 12 + 1514);
	assert_true(back < net);
	/* The console's goes into the stage, and the next is not taken. */
	memcpy(cb_mem(&r.con, 1), "!", 1);
	assert_int_equal(fill(&r.con, 1, cb_iova(1), 1, 1), 1);
	assert_int_equal(fill(&r.con, 1, cb_iova(1), 1, 1), 0);
	for (unsigned int got = 0; got < net;) {
		uint32_t len;

		read_all(r.got, 8);
		len = vd_fifo_len(r.got);
		read_all(r.got + 8, vd_fifo_size(len) - 8);
		if (r.got[0] == VD_FIFO_CONSOLE) {
			assert_int_equal(r.got[8], '!');
			if (!texts++)
				before = got;
		} else {
			assert_memory_equal(r.got + 8, frame(1514, 3), 1514);
			got++;
		}
	}
	/* There were more in the stage when it came, and all of the ring. */
	assert_in_range(before, 1, back);
	while (back < net) {
		int n = bed_get(&r.net, 1, done, 64, 5000);

		assert_true(n > 0);
		back += (unsigned int)n;
	}
	if (texts < 2)
		assert_int_equal(next_message(VD_FIFO_CONSOLE), 1);
	end();
}

/* Without buffers for frames the console goes on; frames wait, and if there are too many they are
 * dropped. */
static void net_has_no_buffers(void **state)
{
	(void)state;
	begin();
	cb_post(&r.con, 0, 0, 60, 64);
	for (unsigned int i = 0; i < 20; i++) {
		say_message(VD_FIFO_NET, frame(1000, (uint8_t)i), 1000);
		say_message(VD_FIFO_CONSOLE, "x", 1);
		expect_text("x");
	}
	nb_post(&r.net, 0, 30, 2048);
	for (unsigned int i = 0; i < 20; i++)
		expect_frame(1000, (uint8_t)i);
	for (unsigned int i = 0; i < 11; i++)
		if (i < 10) {
			say_message(VD_FIFO_NET, frame(100, (uint8_t)i), 100);
			expect_frame(100, (uint8_t)i);
		}
	for (unsigned int i = 0; i < 2000; i++)
		say_message(VD_FIFO_NET, frame(1400, (uint8_t)i), 1400);
	say_message(VD_FIFO_CONSOLE, "y", 1);
	expect_text("y");
	assert_true(atoi(shown(&r.net, "link_no_room")) > 0);
	/* The driver of the net has gone: nothing waits for it. */
	bed_reset(&r.net);
	for (unsigned int i = 0; i < 2000; i++)
		say_message(VD_FIFO_NET, frame(1400, (uint8_t)i), 1400);
	say_message(VD_FIFO_CONSOLE, "z", 1);
	expect_text("z");
	assert_true(atoi(shown(&r.net, "link_no_driver")) >= 2000);
	end();
}

/* Console bytes without a driver wait up to a bound, and nothing waits for them. */
static void console_has_no_driver(void **state)
{
	char dropped[16];

	(void)state;
	begin();
	bed_reset(&r.con);
	memset(r.got, 'k', 4096);
	for (unsigned int i = 0; i < 12; i++)
		say_message(VD_FIFO_CONSOLE, r.got, 4096);
	nb_post(&r.net, 0, 10, 2048);
	say_message(VD_FIFO_NET, frame(64, 1), 64);
	expect_frame(64, 1);
	snprintf(dropped, sizeof(dropped), "%u", 12 * 4096 - VD_FIFO_INBOX);
	wait_shown(&r.con, "link_no_room", dropped);
	start_con();
	cb_post(&r.con, 0, 0, 16, 4000);
	for (uint32_t n = 0; n < VD_FIFO_INBOX;) {
		int len = cb_get(&r.con, 0, r.got, 5000);

		assert_true(len > 0);
		n += (uint32_t)len;
		assert_true(n <= VD_FIFO_INBOX);
	}
	end();
}

/* One of the two comes and goes, while the other is used; nothing is kept for who is not there. */
static void devices_come_and_go(void **state)
{
	(void)state;
	begin();
	nb_post(&r.net, 0, 40, 2048);
	for (unsigned int i = 0; i < 5; i++) {
		bed_end(&r.con);
		say_message(VD_FIFO_CONSOLE, "lost", 4);
		say_message(VD_FIFO_NET, frame(64, (uint8_t)i), 64);
		expect_frame(64, (uint8_t)i);
		assert_int_equal(bed_join(&r.con, &r.net, "c0", "fifo", con_attrs), 0);
		assert_string_equal(shown(&r.con, "connected"), "true");
		start_con();
		cb_post(&r.con, 0, 0, 4, 64);
		say_message(VD_FIFO_CONSOLE, "found", 5);
		expect_text("found");
		cb_send(&r.con, 1, "me too", 6, 0);
		assert_int_equal(next_message(VD_FIFO_CONSOLE), 6);
	}
	assert_string_equal(shown(&r.con, "link_no_driver"), "20");
	end();
}

/* What a host asks, the card answers. */
static void host_asks(void **state)
{
	static const uint8_t want[4][8] = {
		{ 0xfe, 0, 0, 0, 0x1a, 0xca, 0, 0x1e },
		{ 0xff, 0, 0, 0xff, 0xff, 1, 0, 2 },
		{ 0xfb, 0, 0, 0, 0, 0, 0, 5 },
		{ 0xfc, 0, 0, 0, 0, 0, 0, 4 },
	};
	uint8_t ask[8];

	(void)state;
	begin();
	vd_fifo_header(ask, VD_FIFO_CTRL_REQ, 0, NULL);
	say(ask, 8);
	read_all(r.got, sizeof(want));
	assert_memory_equal(r.got, want, sizeof(want));
	end();
}

/* Nobody reads for two seconds: what is sent is dropped from then on, and no driver waits. */
static void stalled(void **state)
{
	unsigned int net = 0, back = 0;

	(void)state;
	begin();
	memset(nb_mem(&r.net, 1), 0, 12 + 1514);
	for (unsigned int i = 0; i < 10 && back == net; i++, net += 200)
		back += fill(&r.net, 1, nb_iova(&r.net, 1), 200, 12 + 1514);
	assert_true(back < net);
	wait_shown(&r.net, "stalled", "true");
	while (back < net) {
		struct vd_done done[64];
		int n = bed_get(&r.net, 1, done, 64, 5000);

		assert_true(n > 0);
		back += (unsigned int)n;
	}
	assert_true(bed_stat(&r.net, 1, "tx drops") > 0);
	memset(cb_mem(&r.con, 1), 'x', 100);
	assert_int_equal(fill(&r.con, 1, cb_iova(1), 50, 100), 50);
	assert_true(atoi(shown(&r.con, "dropped")) > 0);
	/* It reads again: whole messages come, and then all is as before. */
	while (strcmp(shown(&r.net, "stalled"), "false") != 0) {
		uint32_t len;

		read_all(r.got, 8);
		len = vd_fifo_len(r.got);
		read_all(r.got + 8, vd_fifo_size(len) - 8);
		uvdpa_dispatch(r.net.u, 0);
	}
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_does_not_fit),
		cmocka_unit_test(both_ways),
		cmocka_unit_test(in_parts),
		cmocka_unit_test(broken_in_the_middle),
		cmocka_unit_test(peer_does_not_read),
		cmocka_unit_test(net_has_no_buffers),
		cmocka_unit_test(console_has_no_driver),
		cmocka_unit_test(devices_come_and_go),
		cmocka_unit_test(host_asks),
		cmocka_unit_test(stalled),
	};

	return cmocka_run_group_tests(tests, dir_make, dir_remove);
}
