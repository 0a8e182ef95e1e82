/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net.h - network devices (virtio 1.3, 5.1) in the conformance suite
 *
 *	net.c		the list of cases, and those about traffic and configuration
 *	net-io.c	frames there and back, and what each must hold
 *	net-ctrl.c	cases: the control queue, what is counted
 *	net-shape.c	cases: frames and buffers cut as nobody expects it
 *
 * What is sent comes back, as struct cf_wire says; perhaps with the two addresses exchanged. Each
 * frame has a number, which says what is in it. One that has room for that is a UDP datagram of
 * a flow of its pair, so that a device that knows flows brings it back to the same pair.
 */
#ifndef CONFORMANCE_NET_H
#define CONFORMANCE_NET_H

#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"
#include "virtq/net-uapi.h"

#define NET_PAIRS    ((CF_QUEUES - 1) / 2)
#define NET_HDR      12u /* bytes of struct virtio_net_hdr_v1 */
#define NET_MIN      14u /* of a frame */
#define NET_NUMBERED 50u /* so long a frame has its number in it */
#define NET_USUAL    1514u
#define NET_CANARY   0xa5

enum net_kind { NET_RX, NET_TX, NET_CTRL, NET_NONE };

/* Is a feature negotiated? */
bool net_has(const struct cf *c, unsigned int feature);
enum net_kind net_kind(const struct cf_queue *q);
/* Pairs whose queues there are, with what was negotiated. */
unsigned int net_pairs(const struct cf *c);
/* NULL: there is none. */
struct cf_queue *net_ctrl_queue(struct cf *c);
uint32_t net_rnd(uint32_t below);

/* ---- numbered frames, in the queue's slots --------------------------------------------------- */

/* Post all buffers that there are. */
void net_post(struct cf_queue *rx);
/* Send one; the caller publishes. Return: its number; 0: no room. */
uint32_t net_send(struct cf_queue *tx, uint32_t len);
/* The device's threads have seen that the queues run: what comes earlier is lost. */
void net_settle(struct cf *c);
/* Wait until all of them are sent. */
void net_sent(struct cf_queue *tx);
/* Take what has come, check it, post the buffers again. Return: how many. */
unsigned int net_receive(struct cf_queue *rx);
/* Receive on all queues until there are @n more. */
void net_await(struct cf *c, unsigned int n);
/* Send one and wait until it is back; where it may be lost, send another. */
void net_arrives(struct cf_queue *tx);
/* None comes within a short time. */
void net_nothing(struct cf *c);
/* All pairs that there are are used from now on. */
void net_use_pairs(struct cf *c);

/* From here on pairs come and go: where frames come back later, those of one pair may take several
 * ways, and overtake each other. */
void net_any_order(struct cf *c);

/* Of struct cf_type. */
void net_ping(struct cf_queue *q);
void net_begin(struct cf_queue *q);
void net_end(struct cf_queue *q);
void net_idle(struct cf *c);

/* ---- one at a time, anyhow; the slots are not used ----------------------------------------- */

/* A header without work, and the frame of this number and length behind it. */
void net_make(struct cf *c, uint8_t *to, uint32_t number, uint32_t len, unsigned int pair);
/* Does @got hold that frame? */
void net_check(struct cf *c, const uint8_t *got, uint32_t number, uint32_t len);
/* A header that says so many buffers and nothing else. */
void net_check_header(const uint8_t *got, unsigned int buffers);
uint32_t net_number(struct cf *c);

/* One command, alone, @len bytes behind its header. Return: its ack. */
uint8_t net_command(struct cf *c, uint8_t class, uint8_t cmd, const void *data, uint32_t len);

/* A counter of queue @idx. */
uint64_t net_stat(struct cf *c, unsigned int idx, const char *name);

/* ---- cases --------------------------------------------------------------------------------- */

void case_net_commands(struct cf *c);
void case_net_pairs(struct cf *c);
void case_net_counters(struct cf *c);

void case_net_sizes(struct cf *c);
void case_net_pieces(struct cf *c);
void case_net_merged(struct cf *c);
void case_net_too_small(struct cf *c);
void case_net_malformed(struct cf *c);

#endif
