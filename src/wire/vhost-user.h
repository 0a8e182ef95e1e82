/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user.h - the bytes of vhost-user, for both ends
 *
 *	| request u32 | flags u32 | size u32 | payload ... |	fds beside the first byte
 *
 * Numbers are in the machine's byte order: both ends run on it.
 *
 * A connection is a stream socket that never blocks us: what cannot be sent is kept, up to a
 * bound, and a peer that does not read is dropped. A message is handed over whole, its size
 * already checked against what its request carries, and its descriptors counted; every descriptor
 * that nobody takes out of the message is closed by vd_vu_msg_fini(), on every path.
 */
#ifndef VD_WIRE_VHOST_USER_H
#define VD_WIRE_VHOST_USER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/util.h"

#define VD_VU_FDS_MAX 8
#define VD_VU_CONFIG_MAX 256	/* bytes of the configuration space that one message carries */
#define VD_VU_REGIONS_MAX 8	/* of SET_MEM_TABLE */
#define VD_VU_SLOTS_MAX 509	/* of ADD_MEM_REG, as KVM's */
#define VD_VU_QUEUES_MAX 256

#define VD_VU_VERSION 1u
#define VD_VU_VERSION_MASK 3u
#define VD_VU_REPLY (1u << 2)
#define VD_VU_NEED_REPLY (1u << 3)

#define VD_VU_F_PROTOCOL_FEATURES 30	/* feature bit that never reaches a device */

/* front-end to back-end */
enum vd_vu_request {
	VD_VU_GET_FEATURES = 1,
	VD_VU_SET_FEATURES = 2,
	VD_VU_SET_OWNER = 3,
	VD_VU_RESET_OWNER = 4,
	VD_VU_SET_MEM_TABLE = 5,
	VD_VU_SET_LOG_BASE = 6,
	VD_VU_SET_LOG_FD = 7,
	VD_VU_SET_VRING_NUM = 8,
	VD_VU_SET_VRING_ADDR = 9,
	VD_VU_SET_VRING_BASE = 10,
	VD_VU_GET_VRING_BASE = 11,
	VD_VU_SET_VRING_KICK = 12,
	VD_VU_SET_VRING_CALL = 13,
	VD_VU_SET_VRING_ERR = 14,
	VD_VU_GET_PROTOCOL_FEATURES = 15,
	VD_VU_SET_PROTOCOL_FEATURES = 16,
	VD_VU_GET_QUEUE_NUM = 17,
	VD_VU_SET_VRING_ENABLE = 18,
	VD_VU_SEND_RARP = 19,
	VD_VU_NET_SET_MTU = 20,
	VD_VU_SET_BACKEND_REQ_FD = 21,
	VD_VU_SET_VRING_ENDIAN = 23,
	VD_VU_GET_CONFIG = 24,
	VD_VU_SET_CONFIG = 25,
	VD_VU_GET_INFLIGHT_FD = 31,
	VD_VU_SET_INFLIGHT_FD = 32,
	VD_VU_RESET_DEVICE = 34,
	VD_VU_VRING_KICK = 35,
	VD_VU_GET_MAX_MEM_SLOTS = 36,
	VD_VU_ADD_MEM_REG = 37,
	VD_VU_REM_MEM_REG = 38,
	VD_VU_SET_STATUS = 39,
	VD_VU_GET_STATUS = 40,
	VD_VU_REQUEST_MAX,
};

/* back-end to front-end, on the socket of SET_BACKEND_REQ_FD */
enum vd_vu_backend_request {
	VD_VU_BACKEND_CONFIG_CHANGE = 2,
	VD_VU_BACKEND_VRING_CALL = 4,
	VD_VU_BACKEND_VRING_ERR = 5,
};

enum vd_vu_protocol_feature {
	VD_VU_PF_MQ = 0,
	VD_VU_PF_RARP = 2,
	VD_VU_PF_REPLY_ACK = 3,
	VD_VU_PF_NET_MTU = 4,
	VD_VU_PF_BACKEND_REQ = 5,
	VD_VU_PF_CONFIG = 9,
	VD_VU_PF_BACKEND_SEND_FD = 10,
	VD_VU_PF_INFLIGHT_SHMFD = 12,
	VD_VU_PF_RESET_DEVICE = 13,
	VD_VU_PF_INBAND_NOTIFICATIONS = 14,
	VD_VU_PF_CONFIGURE_MEM_SLOTS = 15,
	VD_VU_PF_STATUS = 16,
};

struct vd_vu_vring_state {
	uint32_t index, num;
};

struct vd_vu_vring_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail, log;	/* the first three: addresses in the front-end */
};

struct vd_vu_region {
	uint64_t gpa, size, uva, mmap_offset;
};

struct vd_vu_config {
	uint32_t offset, size, flags;
	uint8_t data[VD_VU_CONFIG_MAX];
};

struct vd_vu_inflight {
	uint64_t size, offset;		/* in the file; size 0 in a reply: there is none */
	uint16_t queues, queue_size;
	uint32_t padding;		/* some send it, some do not */
};

#define VD_VU_VRING_IDX_MASK 0xffu
#define VD_VU_VRING_NOFD (1u << 8)

/* Only the first @size bytes of the payload were received or are sent; the rest is zero. */
struct vd_vu_msg {
	uint32_t request;
	uint32_t flags;
	uint32_t size;	/* of the payload */
	union {
		uint64_t u64;
		struct vd_vu_vring_state state;
		struct vd_vu_vring_addr addr;
		struct {
			uint32_t n, padding;
			struct vd_vu_region regions[VD_VU_REGIONS_MAX];
		} mem;
		struct {
			uint64_t padding;
			struct vd_vu_region region;
		} slot;
		struct vd_vu_inflight inflight;
		struct vd_vu_config config;
		uint8_t bytes[sizeof(struct vd_vu_config)];
	};
	int fds[VD_VU_FDS_MAX];
	unsigned int nfds;
	struct vd_foreign *closing;	/* of the connection that it came by */
};

#define VD_VU_HDR_SIZE 12u
static_assert(offsetof(struct vd_vu_msg, u64) == 16, "payload is aligned for its u64s");
static_assert(sizeof(struct vd_vu_vring_addr) == 40, "vhost-user: vring address description");
static_assert(sizeof(struct vd_vu_region) == 32, "vhost-user: memory region description");
static_assert(sizeof(struct vd_vu_inflight) == 24, "vhost-user: inflight description");

/* All zero but the header. */
void vd_vu_msg_init(struct vd_vu_msg *m, uint32_t request, uint32_t size);
/* Closes every descriptor that is left. */
void vd_vu_msg_fini(struct vd_vu_msg *m);
/* Take descriptor @i out: the caller's then. Return: it, or -1 if there is none. */
int vd_vu_msg_take_fd(struct vd_vu_msg *m, unsigned int i);

/* "SET_MEM_TABLE", or "unknown request". */
const char *vd_vu_name(uint32_t request);

/* One connection, one direction of requests; embedded. */
struct vd_vu_conn {
	int fd;			/* ours */
	bool backend_channel;	/* requests are enum vd_vu_backend_request */
	struct vd_vu_msg in;	/* being received */
	size_t in_len;		/* bytes of header and payload that are there */
	uint8_t hdr[VD_VU_HDR_SIZE];
	struct vd_list out;	/* struct vd_vu_out: waiting to be sent, in order */
	struct vd_foreign *closing;	/* its descriptors that take their time, see base/foreign.h; or NULL */
	bool refused;		/* one of them was */
	size_t out_bytes;	/* of memory they take; at most VD_VU_OUT_MAX */
};

#define VD_VU_OUT_MAX (512u << 10)	/* a peer that is so far behind does not read */

/* Takes @fd, always. It need not be non-blocking: whoever shares it could change that. */
void vd_vu_conn_init(struct vd_vu_conn *c, int fd, bool backend_channel);
void vd_vu_conn_fini(struct vd_vu_conn *c);

/**
 * vd_vu_recv() - The next whole message, if it is there
 * @ret_m: the message; vd_vu_msg_fini() is the caller's
 *
 * The size of a request fits what it carries: SET_MEM_TABLE has its regions and as many
 * descriptors, a vring's descriptor is there unless VD_VU_VRING_NOFD says not, SET_CONFIG has its
 * data. Whether a message is a request or a reply is the caller's to look at.
 *
 * Return: 1; 0 not yet; -ENOTCONN the peer closed; -EPROTO version, size for this request, number
 * of descriptors, one that could keep us waiting (base/foreign.h), or descriptors lost
 * (MSG_CTRUNC): the stream cannot be trusted any more.
 */
int vd_vu_recv(struct vd_vu_conn *c, struct vd_vu_msg *ret_m);

/**
 * vd_vu_send() - Send, or keep until vd_vu_flush()
 * @m: copied; its descriptors stay the caller's (duplicated if kept)
 *
 * Return: 0; 1 something waits: watch for EPOLLOUT; -ENOBUFS the peer does not read; -EPIPE it is
 * gone; what sendmsg says.
 */
int vd_vu_send(struct vd_vu_conn *c, const struct vd_vu_msg *m);
int vd_vu_flush(struct vd_vu_conn *c);	/* Return: as vd_vu_send(). */

#endif
