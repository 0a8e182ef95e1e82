/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-socket-fx.h - for tests of net-socket: a driver with a slot of memory for each frame, and the
 * other side of the socket
 */
#ifndef VD_PARENT_NET_SOCKET_FX_H
#define VD_PARENT_NET_SOCKET_FX_H

#include "parent/net-socket.h"
#include "softdev/blk-bed.h"

#define SF_HDR	  12u
#define SF_SLOT	  (80u << 10) /* of the bed's memory, for a frame */
#define SF_SLOTS  100u
#define SF_FRAMES 60u

/* A folder for the tests, and two paths in it. */
extern char sf_dir[64], sf_path[80], sf_other[80];
int sf_dir_make(void **state);
int sf_clean(void **state);
int sf_dir_remove(void **state);

/* Of frames. */
#define SF_LENGTHS 10u
extern const uint32_t sf_lengths[SF_LENGTHS];

/* Attributes: who listens at sf_path, and who connects to it. */
extern const char *const sf_server[], *const sf_client[];

/* A device, and a driver that runs it. */
void sf_begin(struct bed *b, const char *const *attrs);
/* A device that listens, and a connection to it, which is returned. */
int sf_begin_server(struct bed *b);

/* ---- the driver's side */

/* Where in the bed's memory a slot is. */
uint64_t sf_slot(unsigned int i);
/* The byte @i of a frame that was made of @seed. */
uint8_t sf_byte_of(unsigned int seed, uint32_t i);
/* One of @len bytes, from slot @i, in two pieces if it is long enough. */
void sf_send_frame(struct bed *b, unsigned int i, uint32_t len);
/* A buffer in slot @i. Return: its id. */
int sf_add_buffer(struct bed *b, unsigned int i, uint32_t len);
/* @n more requests of a queue come back. */
void sf_come_home(struct bed *b, unsigned int q, struct vd_done *done, unsigned int n);
bool sf_link_up(struct bed *b);
void sf_wait_link(struct bed *b, bool up);
void sf_wait_stat(struct bed *b, unsigned int q, const char *name, uint64_t value);

/* ---- the other side */

void sf_read_all(int fd, void *to, size_t len);
/* These are the bytes of a frame that was made of @seed. */
void sf_expect(const uint8_t *got, unsigned int seed, uint32_t len);
/* Return: its length; its bytes are in @buf. */
uint32_t sf_next_frame(int fd, uint8_t *buf);
/* A frame as a stream has it. Return: bytes. */
size_t sf_wire(uint8_t *to, unsigned int seed, uint32_t len);
void sf_write_all(int fd, const void *from, size_t len);
void sf_send_wire(int fd, unsigned int seed, uint32_t len);
/* The connection is ended by the device. */
void sf_expect_end(struct bed *b, int fd);

#endif
