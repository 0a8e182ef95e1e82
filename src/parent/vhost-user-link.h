/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user-link.h - the front-end's connection to a vhost-user back-end
 *
 * Connects, shakes hands, keeps the list of answers that are due, holds the configuration
 * space, and comes back when the back-end went. It knows nothing of queues or memory.
 *
 *	    open                         a bad answer, no answer, the end of the stream
 *	      |                             |
 *	[connect] -> [handshake] -> [up] -> [down] -- backoff --> [connect] ...
 *
 * Whatever ends a connection is noted and handled from the loop, so a send never calls back.
 */
#ifndef VD_PARENT_VHOST_USER_LINK_H
#define VD_PARENT_VHOST_USER_LINK_H

#include "core/core.h"
#include "wire/vhost-user.h"

#define VD_VULINK_DEADLINE_MS 5000	/* of connecting and the handshake together */
#define VD_VULINK_BACKOFF_MIN_MS 20
#define VD_VULINK_BACKOFF_MAX_MS 2000
#define VD_VULINK_DUE_MAX 4096		/* 256 queues of 8 messages, 509 regions twice */

struct vd_vulink;

/* What the link tells its device. Context of all: control thread, from the loop. */
struct vd_vulink_ops {
	/* l->features are known: the last word on l->config_size, which is asked for next. */
	void (*offered)(struct vd_vulink *l);

	/* The handshake is over: is this the right back-end? Return: 0, or -errno refuses it. */
	int (*check)(struct vd_vulink *l);

	/* It is up (0); or, for the attempt that open began only, it will not come (-errno). */
	void (*up)(struct vd_vulink *l, int err);

	/* It was up and is not any more; the back-end has nothing of ours any more. */
	void (*down)(struct vd_vulink *l);

	/* GET_VRING_BASE was answered. */
	void (*base)(struct vd_vulink *l, unsigned int idx, uint32_t num);

	/* GET_INFLIGHT_FD was answered; the descriptor is to be taken out. */
	int (*inflight)(struct vd_vulink *l, struct vd_vu_msg *m);

	/* A request was answered with a failure; @idx counts for requests about a queue. */
	void (*refused)(struct vd_vulink *l, uint32_t request, unsigned int idx);

	/* The cached configuration space is another. */
	void (*config_changed)(struct vd_vulink *l);
};

/* An answer that has not come yet; the back-end gives them in order. */
struct vd_vulink_due {
	uint16_t request;
	uint16_t idx;
};

enum vd_vulink_phase { VD_VULINK_DOWN, VD_VULINK_WAIT, VD_VULINK_HANDSHAKE, VD_VULINK_UP };

/* Embedded in the device. The first block is the device's to fill in before open. */
struct vd_vulink {
	const struct vd_vulink_ops *ops;
	struct uvdpa *u;
	const char *name;		/* for messages; borrowed, as the next */
	const char *path;
	bool reconnect;
	uint32_t config_size;		/* to ask for; 0: none */

	/* What the handshake found. */
	uint64_t features;		/* with VD_VU_F_PROTOCOL_FEATURES, if it has them */
	uint64_t protocol;		/* negotiated: 1 << VD_VU_PF_* */
	uint64_t queue_num;		/* 0: did not say */
	uint64_t mem_slots;		/* 0: did not say */
	uint8_t config[VD_VU_CONFIG_MAX];

	/* The link's own. */
	enum vd_vulink_phase phase;
	bool was_up;
	unsigned int step;		/* of the handshake */
	struct vd_vu_conn conn;
	struct vd_fd conn_fd;
	struct vd_vu_conn back;		/* the back-end's requests */
	struct vd_fd back_fd;
	struct vd_timer timer;		/* deadline or backoff */
	uint64_t deadline_ns;
	unsigned int backoff_ms;
	struct vd_post end_post;
	int end_err;			/* why the connection is to end; 0: it is not */
	char end_text[256];
	bool config_due;		/* a GET_CONFIG is under way */
	bool config_again;		/* and its answer may be old */
	bool config_old;		/* its answer will be, as something was written since */
	bool config_told;		/* the back-end said that it has changed */
	bool config_new;		/* it came back with another */
	uint32_t written_from, written_to;	/* by the driver since the last reset; or equal */
	uint8_t config_unwritten[VD_VU_CONFIG_MAX];	/* what these bytes were before */
	struct vd_ratelimit warn_rl;
	struct vd_vulink_due due[VD_VULINK_DUE_MAX];
	unsigned int due_first, due_n;
};

/**
 * vd_vulink_open() - Begin to connect
 * @l: zeroed, but for the first block
 *
 * Return: -EINPROGRESS, ops->up follows from the loop; -errno nobody listens there.
 */
int vd_vulink_open(struct vd_vulink *l);
/* Nothing is called any more. Not from within a callback. */
void vd_vulink_close(struct vd_vulink *l);

/**
 * vd_vulink_send() - Send a request, asking for an acknowledgement where it can be had
 * @m: its descriptors stay the caller's
 * @idx: the queue it is about, else 0
 *
 * While the link is not up nothing is sent: what matters is said again when it is.
 */
void vd_vulink_send(struct vd_vulink *l, struct vd_vu_msg *m, unsigned int idx);
void vd_vulink_send_u64(struct vd_vulink *l, uint32_t request, uint64_t v);

/* Write into the configuration space and read again what came of it. */
void vd_vulink_set_config(struct vd_vulink *l, uint32_t off, const void *buf, uint32_t len);

/* The device was reset: what was written is not there any more. */
void vd_vulink_config_reset(struct vd_vulink *l);

/* What was written since the last reset, once more: to a back-end that came back, say. */
void vd_vulink_config_again(struct vd_vulink *l);

/* End the connection for a fault that the device saw: @err with the thread's sentence. */
void vd_vulink_end(struct vd_vulink *l, int err);

static inline bool vd_vulink_up(const struct vd_vulink *l)
{
	return l->phase == VD_VULINK_UP && !l->end_err;
}

static inline bool vd_vulink_has(const struct vd_vulink *l, enum vd_vu_protocol_feature pf)
{
	return l->protocol & 1ull << pf;
}

#endif
