/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-tap-fx.h - for tests: both ends of a TAP interface, in a network namespace of their own
 *
 * The host's end is a packet socket, which takes and gives frames with their virtio header. The
 * driver's end is a bed whose buffers have any size.
 */
#ifndef VD_PARENT_NET_TAP_FX_H
#define VD_PARENT_NET_TAP_FX_H

#include "softdev/net-bed.h"
#include "softdev/net-pkt-fx.h"

#define TF_MAX     66000u
#define TF_SOON_MS 20000 /* what is sure to come has come by then, even if the machine is busy */

/* Go into a namespace where nobody else says anything. Return: false: it cannot be, and why is
 * printed. */
bool tf_alone(void);

/* A device, "d0", as is its interface. Fails the test if it does not come. */
void tf_add(struct bed *b, const char *const *attrs);

/* A frame of any sort, with @tag in it; of the addresses that all frames of these tests have. */
void tf_fill(uint8_t *frame, size_t len, unsigned int tag);

/* ---- the host's end */

int tf_open(const char *ifname);
/* Return: whether the kernel took it. */
bool tf_give(int fd, const struct vd_net_hdr *hdr, const uint8_t *frame, size_t len);
/* Return: bytes of the next that has come; 0: none within @timeout_ms. */
size_t tf_take(int fd, struct vd_net_hdr *ret_hdr, uint8_t *buf, int timeout_ms);

/* As ip(8) does: "up", "down", another name, gone. */
void tf_set_up(const char *ifname, bool up);
void tf_rename(const char *ifname, const char *to);
void tf_delete(const char *ifname);

/* ---- the driver's end */

/* @n buffers of @each bytes, header and all. After the first call, of the same size again. */
void tf_post(struct bed *b, unsigned int q, unsigned int n, uint32_t each);
/* The buffers of all queues are unknown again: before a start. */
void tf_forget(void);
/* Return: bytes of the next frame; 0: none within @timeout_ms. Its buffers are not posted again. */
size_t tf_receive(struct bed *b, unsigned int q, struct virtio_net_hdr_v1 *ret_hdr, uint8_t *buf,
		  int timeout_ms);

/* Let the control thread do what it has to. */
void tf_dispatch(struct bed *b, unsigned int ms);
bool tf_link_is_up(struct bed *b);
/* Until it is, or is not. */
void tf_until_link(struct bed *b, bool up);
/* Until the kernel has been told all that it is to be. */
void tf_until_told(struct bed *b);
/* Until the device shows that. */
void tf_until(struct bed *b, const char *key, const char *value);
/* Until the interface is no more. */
void tf_until_gone(const char *ifname);

#endif
