/* SPDX-License-Identifier: BSD-2-Clause */
/* fake-console.h - a console device for tests of the console driver */
#ifndef VD_VIRTIO_FAKE_CONSOLE_H
#define VD_VIRTIO_FAKE_CONSOLE_H

#include "virtio/console.h"
#include "virtio/fake-dev.h"

#define F(bit) VD_F(bit)
#define MULTI  F(VIRTIO_CONSOLE_F_MULTIPORT)
#define PORTS  3u
#define QUEUES (2 * (PORTS + 1))

struct fake {
	struct fake_dev dev;
	struct virtio_console_config config;
};

/* What the driver said by the control queue. */
struct said {
	uint32_t id;
	uint16_t event, value;
};

/* @features: beside what every device has; MULTIPORT: with PORTS of them. Nobody has it yet. */
struct fake *fake_create(uint64_t features);

/* Also takes it away from the driver, if that has not been done. */
void fake_destroy(struct fake *f);

/* Turns of the loop, until there has been nothing for a moment. */
void fake_dispatch(struct fake *f);

/* The driver shall have been quiesced, in time. */
void fake_quiesce(struct fake *f);

/* Bytes of the device for port @idx. Return: how many found a buffer. */
size_t fake_send(struct fake *f, unsigned int idx, const void *buf, size_t len);

/* @n buffers without any. */
void fake_send_empty(struct fake *f, unsigned int idx, unsigned int n);

/* The same as fake_send(); it waits until all have found buffers. */
void fake_send_all(struct fake *f, unsigned int idx, const void *buf, size_t len);

/* What the driver sent by port @idx; waits for so many. */
void fake_receive(struct fake *f, unsigned int idx, void *buf, size_t len);

/* A message of @len bytes for the driver, which is so long that it waits for a buffer. */
void fake_message(struct fake *f, const void *msg, size_t len);

/* One as it should be; @more may be NULL. */
void fake_control(struct fake *f, uint32_t id, uint16_t event, uint16_t value, const void *more,
		  size_t len);

/* The next that the driver says; waits for it. */
struct said fake_said(struct fake *f);

/* Is there one, after a moment? */
bool fake_says(struct fake *f);

/* The next shall be this. */
void fake_hears(struct fake *f, uint32_t id, uint16_t event, uint16_t value);

/* ---- with a folder for its links: fake_enter() to fake_leave(), which fails if one is left --- */

extern char fake_link[64]; /* of port 0 */

int fake_enter(void **state);
int fake_leave(void **state);

/* The link with something behind it; valid until the next call. */
const char *fake_path(const char *suffix);

/* A device that the driver has, and its end: quiesced, reset and unbound. */
struct fake *fake_begin(uint64_t features);
struct fake *fake_begin_with(uint64_t features, struct vd_virtio_conf conf);
void fake_end(struct fake *f);

/* The same with @n ports of PORTS. */
struct fake *fake_begin_ports(unsigned int n);
void fake_add_port(struct fake *f, uint32_t id);

/* A user of the terminal at fake_path(@suffix), of whom the driver has heard; not blocking. */
int fake_open(struct fake *f, const char *suffix);

/* All of it, by a terminal; and nothing, for a moment. */
void fake_read(struct fake *f, int fd, void *buf, size_t len);
void fake_write(struct fake *f, int fd, const void *buf, size_t len);
void fake_silent(struct fake *f, int fd);

/* Until its user is told that it is no more. */
void fake_hung_up(struct fake *f, int fd);

/* Until a link is there, or is not. */
void fake_wait_link(struct fake *f, const char *suffix, bool there);

/* Bytes that show where they belong. */
void fake_fill(uint8_t *buf, size_t len, unsigned int seed);

#endif
