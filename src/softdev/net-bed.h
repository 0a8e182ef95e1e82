/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-bed.h - for tests: a small virtio-net driver, on that of disks
 *
 * Each queue has an area of memory, cut into slots for frames.
 */
#ifndef VD_SOFTDEV_NET_BED_H
#define VD_SOFTDEV_NET_BED_H

#include "softdev/blk-bed.h"
#include "softdev/net.h"

#define NB_SLOT 4096u /* bytes */

/* Memory of queue @q, and how the device sees it. */
uint8_t *nb_mem(struct bed *b, unsigned int q);
uint64_t nb_iova(struct bed *b, unsigned int q);

/* Bytes of the header, by what was negotiated. */
unsigned int nb_hdr_len(const struct bed *b);

/* @n buffers of @len bytes, at most NB_SLOT, into receive queue @q. Once for each start. */
void nb_post(struct bed *b, unsigned int q, unsigned int n, uint32_t len);
/* One of them again, or for the first time. */
void nb_post_slot(struct bed *b, unsigned int q, unsigned int slot, uint32_t len);

/**
 * nb_send() - A frame into transmit queue @q, and wait until it is back
 * @each: bytes of its descriptors, header and all; 0: one
 */
void nb_send(struct bed *b, unsigned int q, const struct virtio_net_hdr_v1 *hdr,
	     const uint8_t *frame, uint32_t len, uint32_t each);

/* What has come; @frame points at what is behind the header, with MRG_RXBUF in one buffer only. */
struct nb_frame {
	struct virtio_net_hdr_v1_hash hdr;
	const uint8_t *frame;
	uint32_t len;
	unsigned int slot;
};

/* Return: false: nothing came within @timeout_ms. */
bool nb_receive(struct bed *b, unsigned int q, struct nb_frame *ret, int timeout_ms);

/* A control command on queue @q, its bytes in descriptors of @each; 0: as Linux does. Return: the
 * ack; 0xee: there was none. */
uint8_t nb_command(struct bed *b, unsigned int q, uint8_t class, uint8_t cmd, const void *data,
		   uint32_t len, uint32_t each);

#endif
