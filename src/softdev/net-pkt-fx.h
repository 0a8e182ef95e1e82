/* SPDX-License-Identifier: BSD-2-Clause */
/* net-pkt-fx.h - packets for tests, made byte by byte */
#ifndef VD_SOFTDEV_NET_PKT_FX_H
#define VD_SOFTDEV_NET_PKT_FX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PKT_MAX 70000u

/* What is 0 or NULL is not there. */
struct pkt {
	const char *src, *dst; /* addresses as text; their form says the version */
	uint16_t sport, dport;
	uint8_t proto;        /* IPPROTO_TCP, IPPROTO_UDP; others have 4 bytes of header */
	unsigned int tags;    /* VLAN tags */
	uint16_t vid;         /* of the last of them */
	unsigned int ip_opts; /* bytes of IPv4 options; a multiple of 4 */
	uint16_t ip_id;
	uint16_t frag; /* flags and offset of IPv4 */
	bool no_df;
	unsigned int next;      /* how many IPv6 extension headers */
	uint8_t ext[12];        /* their types */
	const char *home, *via; /* addresses in the first of the sort there is among them */
	unsigned int tcp_opts;  /* bytes; a multiple of 4 */
	uint8_t tcp_flags;
	uint32_t seq;
	size_t payload; /* bytes */
	uint8_t fill;   /* payload byte i is fill + i * 7 */
	bool partial;   /* the checksum is that of the pseudo header only */
};

/* Offsets, of what was made. */
struct pkt_at {
	size_t l3, l4, data, len;
};

/* @buf: PKT_MAX bytes. */
struct pkt_at pkt_make(const struct pkt *p, uint8_t *buf);

/* The sum of words, most significant byte first; slowly, and by itself. */
uint32_t pkt_sum(uint32_t sum, const uint8_t *b, size_t len);
uint16_t pkt_fold(uint32_t sum);

/* Are the checksums of a packet right, and its lengths? NULL, or what is wrong. */
const char *pkt_wrong(const uint8_t *b, size_t len);

#endif
