/* SPDX-License-Identifier: BSD-2-Clause */
/* fifo-msg-test.c - messages, as the drivers of real cards and their hosts write them, and what
 * becomes of them */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "parent/fifo-msg.h"

#define ROOM (1u << 17)

/* What was decoded, as text: "net 60 a1b2; con hello; ..." with console bytes of one message
 * together. */
struct heard {
	struct vd_fifo_decoder d;
	char text[4096];
	bool in_text;
};

static void say(struct heard *h, const char *text)
{
	assert_true(strlen(h->text) + strlen(text) < sizeof(h->text));
	strcat(h->text, text);
}

static void hear_event(struct heard *h, const struct vd_fifo_event *ev)
{
	char line[64];

	if (ev->kind == VD_FIFO_TEXT) {
		if (!h->in_text)
			say(h, "con ");
		snprintf(line, sizeof(line), "%.*s", (int)vd_min(ev->len, 32u),
			 (const char *)ev->data);
		say(h, line);
		h->in_text = true;
	}
	if (h->in_text && !h->d.text) {
		h->in_text = false;
		say(h, "; ");
	}
	if (ev->kind == VD_FIFO_FRAME) {
		snprintf(line, sizeof(line), "net %u %02x%02x; ", ev->len, ev->data[0],
			 ev->data[ev->len - 1]);
		say(h, line);
	} else if (ev->kind == VD_FIFO_WORDS) {
		snprintf(line, sizeof(line), "ctl %02x %02x%02x%02x; ", ev->data[0], ev->data[3],
			 ev->data[4], ev->data[5]);
		say(h, line);
	}
}

/* Bytes come in pieces of at most @each; what is not taken stays in front, as with who reads a
 * stream. */
static void hear(struct heard *h, const uint8_t *b, size_t len, size_t each)
{
	size_t from = 0, to = 0, used;

	while (to < len) {
		to = vd_min(len, to + each);
		for (;;) {
			/* Exactly what is there, so that a look behind it is seen. */
			uint8_t *exact = malloc(to - from + !(to - from));
			struct vd_fifo_event ev;

			assert_non_null(exact);
			memcpy(exact, b + from, to - from);
			ev = vd_fifo_decode(&h->d, exact, to - from, &used);
			assert_true(used <= to - from);
			from += used;
			hear_event(h, &ev);
			free(exact);
			if (ev.kind == VD_FIFO_MORE)
				break;
			assert_true(used > 0);
		}
	}
}

static void listen(struct heard *h, bool bytewise)
{
	memset(h, 0, sizeof(*h));
	vd_fifo_decoder_init(&h->d, 1500, bytewise);
}

/* ---- transcripts ---------------------------------------------------------------------------- */

/* A stream that is built up. */
struct wire {
	uint8_t b[ROOM];
	size_t n;
};

static void put(struct wire *w, const void *b, size_t n)
{
	assert_true(w->n + n <= ROOM);
	memcpy(w->b + w->n, b, n);
	w->n += n;
}

/* A frame of @len bytes that begins with @first; padding, where it is said, is not zero. */
static void put_frame(struct wire *w, const uint8_t header[8], uint16_t len, uint8_t first,
		      int padding)
{
	put(w, header, 8);
	memset(w->b + w->n, 0x5a, len);
	w->b[w->n] = first;
	w->b[w->n + len - 1u] = (uint8_t)(first + 1);
	memset(w->b + w->n + len, padding, vd_fifo_size(len) - 8 - len);
	w->n += vd_fifo_size(len) - 8;
}

static void put_text(struct wire *w, const uint8_t header[8], const char *text, int padding)
{
	uint8_t pad[8];

	put(w, header, 8);
	put(w, text, strlen(text));
	memset(pad, padding, sizeof(pad));
	put(w, pad, vd_fifo_size(strlen(text)) - 8 - strlen(text));
}

/*
 * The card: Linux's driver writes type and length, and leaves the rest of the word as it was on its
 * stack; pads frames with zeros, and console bytes with what its ring has there.
 */
static const uint8_t card_net_60[8] = { 1, 0, 60, 0x88, 0xff, 0xff, 0x12, 0x34 };
static const uint8_t card_net_1514[8] = { 1, 0x05, 0xea, 0, 0, 0, 0, 0 };
static const uint8_t card_text_7[8] = { 3, 0, 7, 0x88, 0xff, 0x80, 1, 0 };
/* The host: its daemon sums the word up, in the last byte. */
static const uint8_t host_net_98[8] = { 1, 0, 98, 0, 0, 0, 0, 0x9d };
static const uint8_t host_text_1[8] = { 3, 0, 1, 0, 0, 0, 0, 0xfc };
/* Words that say nothing: a padding of the card, and what the host begins with. */
static const uint8_t zeros[8] = { 0 };
static const uint8_t sync_word[8] = { 1, 0, 0, 0, 0, 0, 0, 0xff };
/* What it asks the card, and what that answers. */
static const uint8_t ctrl_req[8] = { 0xfd, 0, 0, 0, 0, 0, 0, 3 };
static const uint8_t mac_1[8] = { 0xfe, 0, 0, 0x00, 0x1a, 0xca, 0, 0x1e };
static const uint8_t mac_2[8] = { 0xff, 0, 0, 0xff, 0xff, 0x01, 0, 2 };
static const uint8_t mac_old[8] = { 0xff, 0, 0, 0xff, 0xff, 0x01, 0, 0 };
static const uint8_t mac_wrong[8] = { 0xff, 0, 0, 0xff, 0xff, 0x01, 0, 3 };

static void card_speaks(struct wire *w)
{
	put_frame(w, card_net_60, 60, 0xa1, 0);
	put_text(w, card_text_7, "login: ", 0x77);
	put(w, zeros, 8);
	put_frame(w, card_net_1514, 1514, 0xb1, 0);
	put_text(w, card_text_7, "Passwor", 0);
}

#define CARD_SAID "net 60 a1a2; con login: ; net 1514 b1b2; con Passwor; "

static void host_speaks(struct wire *w)
{
	for (int i = 0; i < 200; i++)
		put(w, sync_word, 8);
	put(w, ctrl_req, 8);
	put_frame(w, host_net_98, 98, 0xc1, 0xee);
	put_text(w, host_text_1, "x", 0xee);
	put(w, mac_1, 8);
	put(w, mac_2, 8);
	put(w, mac_old, 8);
	put(w, mac_wrong, 8);
}

#define HOST_SAID "ctl fd 000000; net 98 c1c2; con x; ctl fe 001aca; ctl ff ffff01; ctl ff ffff01; "

/*
 * What the rshim daemon 2.2.2 of Debian 13 wrote into its USB endpoint: a who-has, an echo request,
 * a line on its console (the padding is what its buffer had), PEER_MAC and VLAN_ID, and what it
 * asks when its misc device is read.
 */
/* clang-format off */
static const uint8_t rshim_wrote[] = {
	0x01, 0x00, 0x2a, 0x00, 0x00, 0x00, 0x00, 0xd5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x1a,
	0xca, 0xff, 0xff, 0x02, 0x08, 0x06, 0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, 0x00, 0x1a,
	0xca, 0xff, 0xff, 0x02, 0xc0, 0xa8, 0x64, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc0, 0xa8,
	0x64, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x62, 0x00, 0x00, 0x00, 0x00, 0x9d,
	0x00, 0x1a, 0xca, 0xff, 0xff, 0x01, 0x00, 0x1a, 0xca, 0xff, 0xff, 0x02, 0x08, 0x00, 0x45, 0x00,
	0x00, 0x54, 0xf3, 0x88, 0x40, 0x00, 0x40, 0x01, 0xfd, 0xcb, 0xc0, 0xa8, 0x64, 0x01, 0xc0, 0xa8,
	0x64, 0x02, 0x08, 0x00, 0xe2, 0x32, 0x35, 0x2e, 0x00, 0x01, 0x78, 0x86, 0x0b, 0x6b, 0x00, 0x00,
	0x00, 0x00, 0x99, 0xd9, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15,
	0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25,
	0x26, 0x27, 0x28, 0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e, 0x2f, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35,
	0x36, 0x37, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00, 0xf8,
	0x6c, 0x73, 0x20, 0x2f, 0x0a, 0x01, 0x00, 0x1a, 0xfe, 0x00, 0x00, 0x02, 0x00, 0x5e, 0x00, 0xa2,
	0xff, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00, 0xf0, 0xfb, 0x00, 0x00, 0x00, 0x64, 0x00, 0xc8, 0xd9,
	0xfd, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03,
};
/* clang-format on */

#define RSHIM_SAID                                                                            \
	"net 42 ff02; net 98 0037; con ls /\n; ctl fe 02005e; ctl ff 100001; ctl fb 006400; " \
	"ctl fd 000000; "

static void headers_as_the_host_has_them(void **state)
{
	static const struct {
		uint8_t type;
		uint16_t len;
		const char *extra;
		const uint8_t *want;
	} cases[] = {
		{ 1, 98, NULL, host_net_98 },       { 3, 1, NULL, host_text_1 },
		{ 1, 0, NULL, sync_word },          { 0xfd, 0, NULL, ctrl_req },
		{ 0xfe, 0, "\0\x1a\xca\0", mac_1 }, { 0xff, 0, "\xff\xff\1\0", mac_2 },
	};
	uint8_t got[8];

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		vd_fifo_header(got, cases[i].type, cases[i].len, (const uint8_t *)cases[i].extra);
		assert_memory_equal(got, cases[i].want, 8);
	}
	assert_int_equal(vd_fifo_size(0), 8);
	assert_int_equal(vd_fifo_size(1), 16);
	assert_int_equal(vd_fifo_size(8), 16);
	assert_int_equal(vd_fifo_size(65535), 8 + 65536);
}

static struct wire w;
static struct heard h;

static void real_ones(void **state)
{
	(void)state;
	w.n = 0;
	card_speaks(&w);
	listen(&h, false);
	hear(&h, w.b, w.n, ROOM);
	assert_string_equal(h.text, CARD_SAID);
	assert_int_equal(h.d.counts.net, 2);
	assert_int_equal(h.d.counts.console, 2);
	w.n = 0;
	host_speaks(&w);
	listen(&h, false);
	hear(&h, w.b, w.n, ROOM);
	assert_string_equal(h.text, HOST_SAID);
	assert_int_equal(h.d.counts.control, 5);
	assert_int_equal(h.d.counts.resyncs + h.d.counts.lost_bytes + h.d.counts.unknown, 0);
	listen(&h, false);
	hear(&h, rshim_wrote, sizeof(rshim_wrote), ROOM);
	assert_string_equal(h.text, RSHIM_SAID);
	assert_int_equal(h.d.counts.resyncs + h.d.counts.lost_bytes + h.d.counts.unknown, 0);
}

/* In pieces of any length it is the same; and so it is when each byte comes by itself. */
static void every_cut(void **state)
{
	(void)state;
	w.n = 0;
	card_speaks(&w);
	host_speaks(&w);
	put(&w, rshim_wrote, sizeof(rshim_wrote));
	for (size_t each = 1; each < 300; each += each < 40 ? 1 : 13) {
		listen(&h, false);
		hear(&h, w.b, w.n, each);
		assert_string_equal(h.text, CARD_SAID HOST_SAID RSHIM_SAID);
		assert_false(vd_fifo_decoder_within(&h.d, 0));
	}
}

/* The stream ends anywhere, and another one begins: nothing of the first is taken for the second's.
 */
static void broken_anywhere(void **state)
{
	static struct wire second;
	size_t used;

	(void)state;
	w.n = second.n = 0;
	card_speaks(&w);
	card_speaks(&second);
	for (size_t cut = 0; cut <= w.n; cut++) {
		struct vd_fifo_event ev;
		size_t from = 0;

		listen(&h, false);
		do {
			ev = vd_fifo_decode(&h.d, w.b + from, cut - from, &used);
			from += used;
			hear_event(&h, &ev);
		} while (ev.kind != VD_FIFO_MORE);
		/* What was said is a beginning of all of it, but for console bytes that did come.
		 */
		if (!h.in_text)
			assert_memory_equal(h.text, CARD_SAID, strlen(h.text));
		vd_fifo_decoder_restart(&h.d, cut - from);
		h.in_text = false;
		*h.text = '\0';
		hear(&h, second.b, second.n, ROOM);
		assert_string_equal(h.text, CARD_SAID);
		assert_true(h.d.counts.cut <= 1);
	}
}

/*
 * Words are lost, anywhere: what was whole before comes, nothing comes that was not sent, and after
 * a while everything does. A message that begins before the gap may have an end from behind it.
 */
static void words_lost(void **state)
{
	static struct wire gap;
	const char *found;
	uint8_t header[8];

	(void)state;
	w.n = 0;
	for (unsigned int i = 0; i < 6; i++) {
		vd_fifo_header(header, 1, 200, NULL);
		put_frame(&w, header, 200, (uint8_t)(0x10 * (i + 1)), 0);
		vd_fifo_header(header, 3, 5, NULL);
		put_text(&w, header, "abcde", 0);
	}
	for (size_t at = 0; at + 8 < w.n / 2; at += 8) {
		for (size_t n = 8; n <= 64; n += 8) {
			gap.n = 0;
			put(&gap, w.b, at);
			put(&gap, w.b + at + n, w.n - at - n);
			listen(&h, false);
			hear(&h, gap.b, gap.n, ROOM);
			assert_non_null(strstr(h.text, "net 200 6061; con abcde; "));
			/* Only a message of which a part was lost can have what was another's. */
			found = strstr(h.text, "con Z");
			assert_true(!found || !strstr(found + 1, "con Z"));
			assert_true(h.d.counts.resyncs <= 1);
			assert_true(h.d.counts.lost_bytes <= 2 * vd_fifo_size(200));
		}
	}
}

/* The same of single bytes, on a line that loses those. */
static void bytes_lost(void **state)
{
	static struct wire gap;
	uint8_t header[8];

	(void)state;
	w.n = 0;
	for (unsigned int i = 0; i < 6; i++) {
		vd_fifo_header(header, 1, 203, NULL);
		put_frame(&w, header, 203, (uint8_t)(0x10 * (i + 1)), 0);
		vd_fifo_header(header, 3, 5, NULL);
		put_text(&w, header, "abcde", 0);
	}
	for (size_t at = 0; at + 8 < w.n / 2; at++) {
		for (size_t n = 1; n <= 9; n++) {
			gap.n = 0;
			put(&gap, w.b, at);
			put(&gap, w.b + at + n, w.n - at - n);
			listen(&h, true);
			hear(&h, gap.b, gap.n, 100);
			if (!strstr(h.text, "net 203 6061; con abcde; "))
				fail_msg("%zu bytes lost at %zu: %s", n, at, h.text);
		}
	}
}

static void not_wanted(void **state)
{
	static const struct {
		const char *what;
		uint8_t header[8];
		size_t payload;
		uint64_t oversize, runts, unknown;
	} cases[] = {
		{ "1518, with a tag", { 1, 0x05, 0xee, 0, 0, 0, 0, 0 }, 1518, 0, 0, 0 },
		{ "1519", { 1, 0x05, 0xef, 0, 0, 0, 0, 0 }, 1519, 1, 0, 0 },
		{ "65535", { 1, 0xff, 0xff, 0, 0, 0, 0, 1 }, 65535, 1, 0, 0 },
		{ "13", { 1, 0, 13, 0, 0, 0, 0, 0 }, 13, 0, 1, 0 },
		{ "13, doubtful", { 1, 0, 13, 9, 9, 9, 9, 9 }, 13, 0, 1, 0 },
		{ "another type", { 4, 0, 200, 0, 0, 0, 0, 0 }, 200, 0, 0, 1 },
		{ "another type, summed up", { 9, 0, 1, 1, 0, 0, 0, 0xf5 }, 1, 0, 0, 1 },
		{ "type 0", { 0, 0, 3, 0, 0, 0, 0, 0 }, 3, 0, 0, 1 },
	};

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		w.n = 0;
		put_frame(&w, cases[i].header, (uint16_t)cases[i].payload, 1, 1);
		put_text(&w, host_text_1, "x", 0);
		listen(&h, false);
		hear(&h, w.b, w.n, 1000);
		if (cases[i].oversize + cases[i].runts + cases[i].unknown)
			assert_string_equal(h.text, "con x; ");
		else
			assert_string_equal(h.text, "net 1518 0102; con x; ");
		assert_int_equal(h.d.counts.oversize, cases[i].oversize);
		assert_int_equal(h.d.counts.runts, cases[i].runts);
		assert_int_equal(h.d.counts.unknown, cases[i].unknown);
		assert_int_equal(h.d.counts.resyncs, 0);
	}
}

/* Headers that cannot be any; then one that surely is, or many that are not sure. */
static void lost_and_found(void **state)
{
	static const uint8_t nonsense[][8] = {
		{ 4, 0, 200, 1, 1, 1, 1, 1 },     /* another type, and doubtful */
		{ 1, 0xff, 0xff, 9, 0, 0, 0, 0 }, /* too long, likewise */
		{ 3, 0x10, 1, 9, 0, 0, 0, 0 },
		{ 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a },
		{ 0, 0, 0, 0, 0, 0, 0, 1 },
	};

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(nonsense); i++) {
		w.n = 0;
		put(&w, nonsense[i], 8);
		put(&w, card_text_7, 8); /* who is lost does not believe this one */
		put(&w, zeros, 8);
		put_text(&w, host_text_1, "x", 0);
		listen(&h, i & 1);
		hear(&h, w.b, w.n, 11);
		assert_string_equal(h.text, "con x; ");
		assert_int_equal(h.d.counts.resyncs, 1);
		assert_int_equal(h.d.counts.lost_bytes, 24);
	}
	w.n = 0;
	put(&w, nonsense[3], 8);
	for (unsigned int i = 0; i < 600; i++)
		put_text(&w, card_text_7, "1234567", 0x99);
	listen(&h, false);
	hear(&h, w.b, w.n, 4096);
	assert_memory_equal(h.text, "con 1234567; con 1234567; ", 26);
	assert_int_equal(h.d.counts.resyncs, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_as_the_host_has_them),
		cmocka_unit_test(real_ones),
		cmocka_unit_test(every_cut),
		cmocka_unit_test(broken_anywhere),
		cmocka_unit_test(words_lost),
		cmocka_unit_test(bytes_lost),
		cmocka_unit_test(not_wanted),
		cmocka_unit_test(lost_and_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
