/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fifo-msg.h - messages of several devices over one FIFO of 64-bit words, as BlueField's TmFIFO has
 *them
 *
 *	| type | length, be16 | 5 bytes | payload ............. | padding | type | ...
 *	|<------------ a word -------->|<------------ whole words ------->|
 *
 *	type	1 net: an Ethernet frame, and nothing before it;  3 console: bytes
 *		0xfb to 0xff: what the cards' firmware and its host tell each other; in the header
 *itself length	of the payload. Of none at all: the word says nothing, or what it says is in the
 *five bytes
 *	5 bytes	of a control message; else 0, but for the last, which may make the sum of all eight
 *0. Linux's driver of the card leaves there what happened to be there
 *
 * The wire has no marks where messages begin, so who has lost words reads headers from the middle
 *of a frame. A header that cannot be one is noticed, and the decoder then looks for the next that
 *surely is one. No allocation, no clock, no device here.
 */
#ifndef VD_PARENT_FIFO_MSG_H
#define VD_PARENT_FIFO_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

#define VD_FIFO_WORD       8u
#define VD_FIFO_NET        1u
#define VD_FIFO_CONSOLE    3u
#define VD_FIFO_VLAN_ID    0xfbu
#define VD_FIFO_PXE_ID     0xfcu
#define VD_FIFO_CTRL_REQ   0xfdu
#define VD_FIFO_MAC_1      0xfeu
#define VD_FIFO_MAC_2      0xffu
#define VD_FIFO_L2         18u /* bytes of a frame beside what the MTU counts: Ethernet, and one tag */
#define VD_FIFO_FRAME_MIN  14u
#define VD_FIFO_LEN_MAX    65535u
#define VD_FIFO_TEXT_MAX   4096u /* console bytes that a doubtful header may announce */
#define VD_FIFO_LOST_WORDS 1024u /* after so many a doubtful header will do */

/* Bytes of a message with so much payload. */
static inline size_t vd_fifo_size(size_t len)
{
	return VD_FIFO_WORD + vd_align_up(len, VD_FIFO_WORD);
}

/* A header; with the sum, so that who is lost knows it again. @extra: 4 bytes of a control message;
 * or NULL */
void vd_fifo_header(uint8_t to[VD_FIFO_WORD], uint8_t type, uint16_t len, const uint8_t *extra);

/* A header's length. */
static inline uint16_t vd_fifo_len(const uint8_t word[VD_FIFO_WORD])
{
	return (uint16_t)(word[1] << 8 | word[2]);
}

/* What a decoder counts. One writer; read by others, who see each number whole. */
struct vd_fifo_counts {
	uint64_t net, console, control; /* messages */
	uint64_t oversize;              /* of net, longer than the MTU permits; skipped */
	uint64_t runts;                 /* of net, shorter than an Ethernet header; likewise */
	uint64_t unknown;               /* of another type; likewise */
	uint64_t resyncs;               /* how often it was lost, and found a header again */
	uint64_t lost_bytes;            /* that it has skipped then */
	uint64_t cut;                   /* messages that ended in the middle */
};

struct vd_fifo_decoder {
	uint32_t frame_max;
	bool bytewise; /* words may lose bytes, too: look everywhere */
	bool lost;
	uint64_t lost_for; /* bytes, this time */
	uint32_t text;     /* console bytes that are still to come, */
	uint32_t skip;     /* and bytes that nobody wants, after them */
	struct vd_fifo_counts counts;
};

enum vd_fifo_kind {
	VD_FIFO_MORE,  /* nothing more without more bytes */
	VD_FIFO_FRAME, /* all of it */
	VD_FIFO_TEXT,  /* of a message of the console, what there is */
	VD_FIFO_WORDS, /* a control message: @data is its header */
};

struct vd_fifo_event {
	enum vd_fifo_kind kind;
	const uint8_t *data;
	uint32_t len;
};

/**
 * vd_fifo_decoder_init() - At the beginning of a message, with nothing counted
 * @mtu: of the net device
 * @bytewise: it is a line that can lose single bytes
 */
void vd_fifo_decoder_init(struct vd_fifo_decoder *d, uint32_t mtu, bool bytewise);

/* What comes next begins a message; the one that was under way, if there was, is counted as cut.
 * @left: bytes of it that were not decoded. */
void vd_fifo_decoder_restart(struct vd_fifo_decoder *d, size_t left);

/* Is it in the middle of a message, with so many bytes that it did not take? */
static inline bool vd_fifo_decoder_within(const struct vd_fifo_decoder *d, size_t left)
{
	return left || d->text || d->skip;
}

/**
 * vd_fifo_decode() - The next message
 * @b: bytes of the stream, at least as much as a whole message has before MORE means that there is
 * no room
 * @len: how many
 * @ret_used: how many of them are done with; the next call begins behind them
 *
 * The event's data lies in @b.
 */
struct vd_fifo_event vd_fifo_decode(struct vd_fifo_decoder *d, const uint8_t *b, size_t len,
				    size_t *ret_used);

#endif
