/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block.h - block devices (virtio 1.3, 5.2) in the conformance suite
 *
 *	block.c		the list of cases, and those about plain requests
 *	block-io.c	requests, and what every sector must hold
 *	block-config.c	cases: what it says of itself, its cache mode, its size
 *	block-range.c	cases: DISCARD, WRITE_ZEROES, SECURE_ERASE
 *	block-shape.c	cases: requests cut as nobody expects it
 *
 * Each request in flight has sectors of its own, so that no two of them race; what every sector
 * holds is known from the number of its last write.
 */
#ifndef CONFORMANCE_BLOCK_H
#define CONFORMANCE_BLOCK_H

#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"

#define SECTOR 512u
#define BLOCK_SECTORS 8192u	/* capacity of every fixture's disk */
#define BLOCK_SLOTS_MAX 512u
#define BLOCK_RANGES_MAX 32u	/* of a request here */
#define PATTERN 0xa5

/* One request's memory: header, status, data. */
struct slot {
	uint64_t hdr, status, data;	/* iova */
	uint32_t type;
	uint32_t len;			/* bytes of data */
	uint64_t sector;
	uint32_t nsectors;		/* that it reads or changes */
	uint32_t want_written;
};

struct range {
	uint64_t sector;
	uint32_t nsectors, flags;
};

/* Bytes of a block. */
uint32_t block_size(struct cf *c);
/* Is a feature negotiated? */
bool block_has(const struct cf *c, unsigned int feature);
/* A number below @below. */
uint32_t block_rnd(uint32_t below);

/* ---- slots: one at a time -------------------------------------------------------------------- */

struct slot *block_slot_get(struct cf_queue *q);	/* NULL: none left */
void block_slot_put(struct cf_queue *q, struct slot *s);
/* Write its header, and a status that no device gives. */
void block_header(struct cf *c, const struct slot *s);
/* The data of a write that will be done; checks that of a read. */
void block_fill(struct cf *c, const struct slot *s);
void block_verify(struct cf *c, const struct slot *s);

/* One request, alone. Return: its status. */
uint8_t block_one(struct cf_queue *q, uint32_t type, uint64_t sector, uint32_t len);
/* The same of a request with ranges, @n up to BLOCK_RANGES_MAX. */
uint8_t block_ranges(struct cf_queue *q, uint32_t type, const struct range *r, unsigned int n);
/* And of one whose data is @data. */
uint8_t block_raw(struct cf_queue *q, uint32_t type, const void *data, uint32_t len);
/* Sectors hold what they shall. */
void block_check(struct cf_queue *q, uint64_t sector, uint32_t nsectors);

/* ---- many at a time -------------------------------------------------------------------------- */

/* Anything, up to @max requests. Return: how many. */
unsigned int block_begin(struct cf_queue *q, unsigned int max);
/* Those that are done, at least one. */
void block_take_some(struct cf_queue *q);
void block_finish(struct cf_queue *q);
/* @total requests, in bursts of up to @burst. */
void block_traffic(struct cf_queue *q, uint64_t total, unsigned int burst);
/* One small write, if it can, and a read. */
void block_ping(struct cf_queue *q);

/* ---- cases ----------------------------------------------------------------------------------- */

void case_config(struct cf *c);
void case_cache_mode(struct cf *c);
void case_cache_mode_fixed(struct cf *c);
void case_resize(struct cf *c);

void case_discard(struct cf *c);
void case_write_zeroes(struct cf *c);
void case_secure_erase(struct cf *c);
void case_ranges_refused(struct cf *c);
void case_ranges_all_or_none(struct cf *c);
void case_ranges_limits(struct cf *c);
void case_ranges_not_agreed(struct cf *c);
void case_ranges_readonly(struct cf *c);

void case_pieces(struct cf *c);
void case_malformed(struct cf *c);
void case_across(struct cf *c);
void case_large(struct cf *c);

#endif
