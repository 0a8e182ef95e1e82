/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * console-bed.h - for tests: a console whose ports are sockets, and a driver, on that of disks
 *
 * Each queue has an area of memory, cut into slots.
 */
#ifndef VD_SOFTDEV_CONSOLE_BED_H
#define VD_SOFTDEV_CONSOLE_BED_H

#include "softdev/blk-bed.h"
#include "softdev/console.h"

#define CB_PORTS 3u
#define CB_AREA  (1u << 20) /* of each queue */
#define CB_SLOT  4096u

/* The queues of a port. */
static inline unsigned int cb_rx(unsigned int port)
{
	return port ? 2 * port + 2 : 0;
}

static inline unsigned int cb_tx(unsigned int port)
{
	return cb_rx(port) + 1;
}

/* What the parent does; shared with its worker by relaxed atomics. */
struct cb_parent {
	struct vd_console *con;
	int peer[CB_PORTS]; /* the other end of each port */
	size_t send_max;    /* bytes that a call of send takes at most; 0: any */
	size_t receive_max;
	bool null;             /* send forgets all that it takes */
	uint64_t nsent;        /* bytes that send has taken */
	unsigned int nreceive; /* calls of receive */
	bool no_fd;            /* the worker is not told of the sockets */
	unsigned int opened[CB_PORTS], closed[CB_PORTS];
	unsigned int resets;
};
extern struct cb_parent cb;

/* A device of up to CB_PORTS ports; fails the test if it cannot be. */
void cb_add(struct bed *b, const struct vd_console_conf *conf);
/* The same, and what comes of it. */
int cb_try(struct bed *b, const struct vd_console_conf *conf);
/* Start with all queues that there are. */
void cb_start(struct bed *b, const struct bed_conf *c);
void cb_end(struct bed *b);

struct vd_console_port *cb_port(unsigned int idx);

uint8_t *cb_mem(struct bed *b, unsigned int q);
uint64_t cb_iova(unsigned int q);

/* Give @n buffers of @len bytes, the first in slot @slot. */
void cb_post(struct bed *b, unsigned int q, unsigned int slot, unsigned int n, uint32_t len);

/* What has come next. Return: bytes; -1: nothing within @timeout_ms. */
int cb_get(struct bed *b, unsigned int q, void *buf, int timeout_ms);

/* Bytes in descriptors of @each (0: one), from offset @at of the area; does not wait. Return: id.
 */
int cb_put(struct bed *b, unsigned int q, uint32_t at, const void *buf, uint32_t len,
	   uint32_t each);
/* The same, and wait until it is back. */
void cb_send(struct bed *b, unsigned int q, const void *buf, uint32_t len, uint32_t each);

/* A message of the driver, and wait until it is back. */
void cb_say(struct bed *b, uint32_t id, uint16_t event, uint16_t value);

/* One of the device; @more: what follows, with its length. */
struct cb_message {
	uint32_t id;
	uint16_t event, value;
	uint32_t len;
	uint8_t more[CB_SLOT];
};
/* Return: false: none within @timeout_ms. Its buffer is given again. */
bool cb_hear(struct bed *b, struct cb_message *m, int timeout_ms);
/* The next one is this. */
void cb_expect(struct bed *b, uint32_t id, uint16_t event, uint16_t value);

/* DEVICE_READY, PORT_READY and PORT_OPEN for all ports, and all that is heard of them is taken. */
void cb_greet(struct bed *b);

/* Let the loop run until @cond. */
#define cb_until(b, cond)                                     \
	do {                                                  \
		uint64_t due_ = vd_now_ns() + 10000000000ull; \
		while (!(cond)) {                             \
			assert_true(vd_now_ns() < due_);      \
			uvdpa_dispatch((b)->u, 1);            \
		}                                             \
	} while (0)

/* The other end of a port: exactly these bytes come, or go. */
void cb_peer_reads(struct bed *b, unsigned int port, const void *buf, size_t len);
void cb_peer_writes(unsigned int port, const void *buf, size_t len);
/* Nothing comes. */
void cb_peer_nothing(unsigned int port);

/* The byte at @at of a stream that repeats only after long. */
static inline uint8_t cb_byte(uint64_t at)
{
	return (uint8_t)(at * 2654435761u >> 13);
}

#endif
