/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fifo-msg.c - the words of a FIFO, there and back
 *
 * What is sure: the five bytes behind the length are 0, or all eight bytes have the sum 0. A sure
 * header of a type that is not known, or of a frame that is too long, is skipped with what it
 * announces. One that is doubtful is believed if it makes sense where a header must be, as Linux's
 * driver leaves these bytes to chance; and it is not if it does not, if nobody knows where headers
 * are, or on a line on which bytes are lost.
 */
#include "parent/fifo-msg.h"

#include <string.h>

static void count(uint64_t *c, uint64_t n)
{
	__atomic_store_n(c, *c + n, __ATOMIC_RELAXED);
}

static uint8_t sum(const uint8_t *word)
{
	uint8_t s = 0;

	for (unsigned int i = 0; i < VD_FIFO_WORD; i++)
		s = (uint8_t)(s + word[i]);
	return s;
}

void vd_fifo_header(uint8_t to[VD_FIFO_WORD], uint8_t type, uint16_t len, const uint8_t *extra)
{
	memset(to, 0, VD_FIFO_WORD);
	to[0] = type;
	to[1] = (uint8_t)(len >> 8);
	to[2] = (uint8_t)len;
	if (extra)
		memcpy(to + 3, extra, 4);
	to[7] = (uint8_t)-sum(to);
}

void vd_fifo_decoder_init(struct vd_fifo_decoder *d, uint32_t mtu, bool bytewise)
{
	*d = (struct vd_fifo_decoder){ .frame_max = vd_min(mtu + VD_FIFO_L2, VD_FIFO_LEN_MAX),
				       .bytewise = bytewise };
}

void vd_fifo_decoder_restart(struct vd_fifo_decoder *d, size_t left)
{
	if (vd_fifo_decoder_within(d, left))
		count(&d->counts.cut, 1);
	d->lost = false;
	d->text = d->skip = 0;
}

static bool is_sure(const uint8_t *word)
{
	static const uint8_t none[5];

	return !memcmp(word + 3, none, sizeof(none)) || !sum(word);
}

/* Could it be a header, in a place where one must be? */
static bool makes_sense(const struct vd_fifo_decoder *d, const uint8_t *word)
{
	uint16_t len = vd_fifo_len(word);

	if (is_sure(word) || d->bytewise)
		return is_sure(word);
	if (word[0] == VD_FIFO_NET)
		return len <= d->frame_max;
	if (word[0] == VD_FIFO_CONSOLE)
		return len <= VD_FIFO_TEXT_MAX;
	return word[0] >= VD_FIFO_VLAN_ID && !len; /* without the sum, or with a wrong one */
}

/*
 * Is it one, wherever it is? A word of zeros is not: frames have many of those. What is found must
 * make sense afterwards, too, when it is looked at again with more of its message.
 */
static bool is_found(const struct vd_fifo_decoder *d, const uint8_t *word)
{
	uint16_t len = vd_fifo_len(word);

	if (!is_sure(word) && (d->bytewise || d->lost_for < VD_FIFO_LOST_WORDS * VD_FIFO_WORD))
		return false;
	switch (word[0]) {
	case VD_FIFO_NET:
		return len <= d->frame_max && (len >= VD_FIFO_FRAME_MIN || (!len && word[7]));
	case VD_FIFO_CONSOLE:
		return len && len <= VD_FIFO_TEXT_MAX;
	default:
		return word[0] >= VD_FIFO_VLAN_ID && !len && word[7];
	}
}

/* Return: bytes that were skipped in vain; then there is a header, or no whole word any more. */
static size_t search(struct vd_fifo_decoder *d, const uint8_t *b, size_t len)
{
	size_t step = d->bytewise ? 1 : VD_FIFO_WORD, at = 0;

	for (; len - at >= VD_FIFO_WORD; at += step, d->lost_for += step) {
		if (is_found(d, b + at)) {
			d->lost = false;
			count(&d->counts.resyncs, 1);
			break;
		}
	}
	count(&d->counts.lost_bytes, at);
	return at;
}

/* Bytes of a message that is under way. Return: how many. */
static size_t go_on(struct vd_fifo_decoder *d, const uint8_t *b, size_t len,
		    struct vd_fifo_event *ev)
{
	size_t n;

	if (d->text) {
		n = vd_min(d->text, len);
		d->text -= (uint32_t)n;
		*ev = (struct vd_fifo_event){ VD_FIFO_TEXT, b, (uint32_t)n };
	} else {
		n = vd_min(d->skip, len);
		d->skip -= (uint32_t)n;
	}
	return n;
}

/* A message begins. Return: bytes of it that are done with; 0: there is not all of it. */
static size_t begin(struct vd_fifo_decoder *d, const uint8_t *b, size_t len,
		    struct vd_fifo_event *ev)
{
	uint32_t payload = vd_fifo_len(b), padded = (uint32_t)vd_align_up(payload, VD_FIFO_WORD);

	if (!payload) {
		if (b[0] < VD_FIFO_VLAN_ID)
			return VD_FIFO_WORD;
		count(&d->counts.control, 1);
		if (!b[7] || !sum(b))
			*ev = (struct vd_fifo_event){ VD_FIFO_WORDS, b, VD_FIFO_WORD };
		return VD_FIFO_WORD;
	}
	if (b[0] == VD_FIFO_CONSOLE) {
		count(&d->counts.console, 1);
		d->text = payload;
		d->skip = padded - payload;
		return VD_FIFO_WORD;
	}
	if (b[0] == VD_FIFO_NET && payload >= VD_FIFO_FRAME_MIN && payload <= d->frame_max) {
		if (len < VD_FIFO_WORD + padded)
			return 0;
		count(&d->counts.net, 1);
		*ev = (struct vd_fifo_event){ VD_FIFO_FRAME, b + VD_FIFO_WORD, payload };
		return VD_FIFO_WORD + padded;
	}
	count(b[0] != VD_FIFO_NET           ? &d->counts.unknown
	      : payload < VD_FIFO_FRAME_MIN ? &d->counts.runts
					    : &d->counts.oversize,
	      1);
	d->skip = padded;
	return VD_FIFO_WORD;
}

struct vd_fifo_event vd_fifo_decode(struct vd_fifo_decoder *d, const uint8_t *b, size_t len,
				    size_t *ret_used)
{
	struct vd_fifo_event ev = { .kind = VD_FIFO_MORE };
	size_t at = 0, n;

	while (ev.kind == VD_FIFO_MORE && at < len) {
		if (d->text || d->skip) {
			at += go_on(d, b + at, len - at, &ev);
			continue;
		}
		if (len - at < VD_FIFO_WORD)
			break;
		if (vd_unlikely(!d->lost && !makes_sense(d, b + at))) {
			d->lost = true;
			d->lost_for = 0;
		}
		if (vd_unlikely(d->lost)) {
			at += search(d, b + at, len - at);
			if (d->lost)
				break;
		}
		n = begin(d, b + at, len - at, &ev);
		if (!n)
			break;
		at += n;
	}
	*ret_used = at;
	return ev;
}
