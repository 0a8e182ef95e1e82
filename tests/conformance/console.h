/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * console.h - consoles (virtio 1.3, 5.3) in the conformance suite
 *
 *	console.c	the list of cases, and those about bytes and configuration
 *	console-io.c	bytes there and back, and what each must be
 *	console-message.c	what a driver hears and says of ports
 *	console-ctrl.c	cases: what is told of ports
 *
 * The test is at both ends of each port: it is the driver, and holds a socket to which the port
 * goes (struct cf_far). Both ways are streams of bytes that are known from their places. A new
 * driver does not know how far the former one came; so it sends a few bytes and waits for them.
 */
#ifndef CONFORMANCE_CONSOLE_H
#define CONFORMANCE_CONSOLE_H

#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"
#include "virtq/console-uapi.h"

#define CON_PORTS   CF_FAR_MAX
#define CON_MESSAGE 256u /* bytes that are given for one */

enum con_kind { CON_RX, CON_TX, CON_CTRL_RX, CON_CTRL_TX, CON_NONE };

bool con_multiport(const struct cf *c);
unsigned int con_ports(const struct cf *c);
enum con_kind con_kind(const struct cf_queue *q);
/* Of a queue that is a port's. */
unsigned int con_port(const struct cf_queue *q);
struct cf_queue *con_rx(struct cf *c, unsigned int port);
struct cf_queue *con_tx(struct cf *c, unsigned int port);
uint32_t con_rnd(uint32_t below);

/* ---- bytes -------------------------------------------------------------------------------- */

/* The socket at the other end. */
int con_far(struct cf *c, unsigned int port);
/* Make them known to both ends, as a new driver; con_begin and con_ping do it by themselves. */
void con_sync(struct cf *c, unsigned int port);

/* Bytes of the stream that this queue sends, into @to: they count as sent. */
void con_make(struct cf_queue *tx, uint8_t *to, uint32_t len);
/* One chain of them; the caller publishes. Return: false: no room. */
bool con_send(struct cf_queue *tx, uint32_t len);
/* Give all buffers that there are, each of @len bytes; 0: all that there is room for. */
void con_post(struct cf_queue *rx, uint32_t len);
/* The other end writes up to @len bytes, as many as it can. Return: how many. */
size_t con_write(struct cf *c, unsigned int port, size_t len);
/* It reads, at most @max bytes. Return: how many. */
size_t con_read(struct cf *c, unsigned int port, size_t max);
/* Chains that are back have their places free again. Return: whether there were any. */
bool con_take_sent(struct cf_queue *tx);
/* Sent and not read at the other end; written there, and not received. */
uint64_t con_to_read(struct cf *c, unsigned int port);
uint64_t con_to_get(struct cf *c, unsigned int port);
/* Let bytes flow until a port has none under way, either way, and chains are back. */
void con_settle(struct cf *c, unsigned int port);
/* One turn of that, on all ports. Return: whether anything moved. */
bool con_pump(struct cf *c);

/* Of struct cf_type. */
void con_ping(struct cf_queue *q);
void con_begin(struct cf_queue *q);
void con_end(struct cf_queue *q);

/* ---- places: each chain is one of its queue's, which are of one size ------------------------- */

/* That of the next chain, of @len bytes: there must be one. */
uint8_t *con_next(struct cf_queue *q, uint32_t len);
/* A chain in it; @out: the device reads it. Return: false: no room. */
bool con_add(struct cf_queue *q, uint32_t len, bool out);
/* A chain is back: its place is free, and holds what it held until the next is added. */
uint8_t *con_take_back(struct cf_queue *q, const struct vd_done *d);

/* ---- messages ----------------------------------------------------------------------------- */

struct con_message {
	uint32_t id;
	uint16_t event, value;
	uint32_t len; /* of what follows */
	uint8_t more[CON_MESSAGE];
};

/* Put one into the ring, @len bytes of it. */
void con_put_message(struct cf *c, uint32_t id, uint16_t event, uint16_t value, uint32_t len);
/* All that were put are back. */
void con_said(struct cf *c);
void con_say(struct cf *c, uint32_t id, uint16_t event, uint16_t value);
/* Give all buffers for messages. */
void con_listen(struct cf *c);
/* The next message. Return: false: none within @ms. */
bool con_hear(struct cf *c, struct con_message *m, int ms);
/* Once in the life of a driver, if both control queues run: all ports are open. */
void con_greet(struct cf *c);

/* ---- cases -------------------------------------------------------------------------------- */

void case_con_greeting(struct cf *c);
void case_con_messages(struct cf *c);
void case_con_open(struct cf *c);
void case_con_absent(struct cf *c);
void case_con_one_of_many(struct cf *c);

#endif
