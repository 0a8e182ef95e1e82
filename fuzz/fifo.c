/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fifo.c - a stream of messages of several devices
 *
 * The first byte says how large the MTU is, whether bytes may be missing, and how the rest, the
 * stream, is cut.
 *
 * What must hold: no access outside (the sanitizers); each call but the last gets on; frames are as
 * long as they may be, and lie in what was given; and the same comes out however the stream was
 * cut.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "parent/fifo-msg.h"

#define must(cond) ((cond) ? (void)0 : abort())

/* What was decoded, so that two of them can be compared. */
struct heard {
	uint64_t frames, texts, words, hash;
	size_t left;
};

static void mix(uint64_t *hash, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*hash = (*hash ^ b[i]) * 1099511628211ull;
}

static void hear(struct vd_fifo_decoder *d, const uint8_t *b, size_t len, size_t each,
		 struct heard *h)
{
	size_t from = 0, to = 0, used;

	while (to < len) {
		struct vd_fifo_event ev;

		to = vd_min(len, to + each);
		do {
			uint8_t *exact = malloc(to - from + 1);

			must(exact);
			memcpy(exact, b + from, to - from);
			ev = vd_fifo_decode(d, exact, to - from, &used);
			must(used <= to - from);
			must(ev.kind == VD_FIFO_MORE || used);
			must(ev.kind == VD_FIFO_MORE || (ev.data >= exact && ev.len <= used &&
							 ev.data + ev.len <= exact + used));
			must(ev.kind != VD_FIFO_FRAME ||
			     (ev.len >= VD_FIFO_FRAME_MIN && ev.len <= d->frame_max));
			must(ev.kind != VD_FIFO_TEXT || ev.len);
			from += used;
			h->frames += ev.kind == VD_FIFO_FRAME;
			h->texts += ev.kind == VD_FIFO_TEXT ? ev.len : 0;
			h->words += ev.kind == VD_FIFO_WORDS;
			if (ev.kind == VD_FIFO_FRAME || ev.kind == VD_FIFO_WORDS)
				mix(&h->hash, (const uint8_t *)&ev.len, sizeof(ev.len));
			mix(&h->hash, ev.data, ev.len);
			free(exact);
		} while (ev.kind != VD_FIFO_MORE);
		must(to - from < VD_FIFO_WORD + vd_align_up(d->frame_max, VD_FIFO_WORD));
	}
	h->left = len - from;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vd_fifo_decoder a, b;
	struct heard ha = { .hash = 1 }, hb = ha;
	uint32_t mtu;

	if (!size)
		return 0;
	mtu = data[0] & 1 ? 68 : data[0] & 2 ? 65535 : 1500;
	vd_fifo_decoder_init(&a, mtu, data[0] & 4);
	vd_fifo_decoder_init(&b, mtu, data[0] & 4);
	hear(&a, data + 1, size - 1, size, &ha);
	hear(&b, data + 1, size - 1, (data[0] >> 3) + 1u, &hb);
	must(ha.left == hb.left && ha.hash == hb.hash && ha.frames == hb.frames &&
	     ha.texts == hb.texts && ha.words == hb.words);
	must(!memcmp(&a.counts, &b.counts, sizeof(a.counts)));
	vd_fifo_decoder_restart(&a, ha.left);
	must(!vd_fifo_decoder_within(&a, 0) && a.counts.cut <= 1);
	return 0;
}
