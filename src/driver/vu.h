/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vu.h - the parts of the vhost-user server: vhost-user.c and vu-*.c
 *
 *	server (vhost-user.c)	the socket, for as long as the device is bound
 *	  session		one front-end, from accept to the end of the reset after it
 *	    rings, mem		what it said so far, piece by piece
 *
 * A session handles one message at a time. What takes time (a queue that drains) is a step: the
 * socket is not read until the last step has ended and the reply is on its way. So everything
 * that a front-end sends takes effect in order, and nothing here ever waits.
 *
 * All of it: control thread.
 */
#ifndef VD_DRIVER_VU_H
#define VD_DRIVER_VU_H

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "core/core.h"
#include "wire/vhost-user.h"

struct vd_vus_session;

/* What the front-end calls the device's memory: VD_VU_SLOTS_MAX regions at most. */
struct vd_vus_mem {
	unsigned int n;
	struct vd_vu_region *regions;
};

/*
 * An eventfd of ours whose signals go on from here: as a message on the back-end channel
 * (INBAND_NOTIFICATIONS), or as bytes to a socket, which User Mode Linux has in an eventfd's place.
 */
struct vd_vus_note {
	struct vd_fd watch;
	struct vd_vus_session *s;
	int socket;		/* ours; -1: by message */
	bool due;		/* the message is to be sent */
};

struct vd_vus_ring {
	uint32_t num;
	uint32_t base;		/* as in SET_VRING_BASE */
	int base_err;		/* why it is not known where the ring stopped; 0: it is */
	struct vd_vu_vring_addr addr;	/* of the front-end */
	int kick, call, err;	/* ours; -1: none */
	bool poll;		/* no kick descriptor, and no messages for it either */
	bool started;		/* between SET_VRING_KICK and GET_VRING_BASE */
	int enabled;		/* SET_VRING_ENABLE; -1: not said */
	bool running;		/* enabled in the gate */
	uint64_t desc, driver, device;	/* I/O virtual, as it runs */
	struct vd_vus_note call_note, err_note;
};

/* The next part of the message being handled. Return: -EINPROGRESS, or how the message ends. */
typedef int vd_vus_step(struct vd_vus_session *s, int err);

/* Whom a session reports to; embedded in it. */
struct vd_vus_owner {
	/* The front-end is gone, the device reset and without mappings: destroy the session. */
	void (*ended)(struct vd_vus_owner *o);
	/* The answer to vd_vus_session_freeze(). */
	void (*frozen)(struct vd_vus_owner *o);
	/* What front-ends brought and is not closed yet. */
	struct vd_foreign *closing;
	/* Of what front-ends cause; here, since they come and go as they like. */
	struct vd_ratelimit complaints;
	/* Offer INBAND_NOTIFICATIONS. Who is offered it may use it for no reason, and be slow. */
	bool inband;
};

/* What was written into the configuration space, as it lies in an in-flight region. */
struct vd_vus_kept {
	uint64_t magic;			/* 0: nothing was */
	uint8_t written[VD_VU_CONFIG_MAX / 8];	/* which bytes */
	uint8_t data[VD_VU_CONFIG_MAX];
};

struct vd_vus_session {
	struct uvdpa_dev *dev;
	struct vd_loop *loop;
	struct vd_log *log;
	struct vd_vus_owner *owner;

	struct vd_vu_conn conn;
	struct vd_fd watch;
	struct vd_vu_msg msg, reply;	/* being handled */
	struct uvdpa_wait wait;		/* pending: the gate is at work for a step */
	vd_vus_step *step;
	unsigned int cursor;		/* of a step that goes over the rings */
	bool closing, freezing;
	struct vd_timer retry;		/* of a reset that did not end in time */

	struct vd_vu_conn back;		/* the back-end channel; fd -1: none */
	struct vd_fd back_watch;
	bool config_due;		/* CONFIG_CHANGE to be sent */

	uint64_t features;		/* with VD_VU_F_PROTOCOL_FEATURES */
	uint64_t protocol_features;
	struct vd_vus_kept kept;
	int kept_fd;			/* the in-flight region that it is written to; -1: none */
	off_t kept_at;
	struct vd_vus_mem mem, next;	/* in force; being brought into force */
	unsigned int nrings;
	struct vd_vus_ring rings[];
};

static inline bool vd_vus_has(const struct vd_vus_session *s, enum vd_vu_protocol_feature pf)
{
	return s->protocol_features >> pf & 1;
}

/* Go on with @step when an operation of the gate that returned @r has ended. */
static inline int vd_vus_then(struct vd_vus_session *s, int r, vd_vus_step *step)
{
	if (r != -EINPROGRESS)
		return step(s, r);
	s->step = step;
	return r;
}

/* ---- vu-session.c ---------------------------------------------------------------------------- */

/**
 * vd_vus_session_start() - Serve a front-end
 * @dev: reset, without mappings
 * @fd: connected; taken on success
 * @owner: told how it goes on
 * @ret_s: the session; the owner's
 *
 * Return: 0; -ENOMEM, or what watching the descriptor said.
 */
int vd_vus_session_start(struct uvdpa_dev *dev, int fd, struct vd_vus_owner *owner,
			 struct vd_vus_session **ret_s);
/* Handle no more messages. Return: 0; -EINPROGRESS: one is being handled, owner->frozen follows. */
int vd_vus_session_freeze(struct vd_vus_session *s);
/* Close all and free, when a pending step has ended. The device is the owner's concern. */
void vd_vus_session_destroy(struct vd_vus_session *s);
/* Warn of the thread's last error, which comes from the front-end, after @what; not too often. */
void vd_vus_complain(struct vd_vus_session *s, const char *what);

/* ---- vu-back.c ------------------------------------------------------------------------------- */

/* There is no channel until SET_BACKEND_REQ_FD. */
void vd_vus_back_init(struct vd_vus_session *s);
void vd_vus_back_close(struct vd_vus_session *s);
int vd_vus_set_backend_req_fd(struct vd_vus_session *s, struct vd_vu_msg *m,
			      struct vd_vu_msg *reply);
/* Send what is due, as far as the front-end reads it. */
void vd_vus_back_push(struct vd_vus_session *s);
/* The configuration space, or NEEDS_RESET, has changed. */
void vd_vus_back_config_changed(struct vd_vus_session *s);

/* ---- vu-ring.c: handlers, see vu-session.c; and rings as a whole ----------------------------- */

int vd_vus_set_vring_num(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);
int vd_vus_set_vring_addr(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);
int vd_vus_set_vring_base(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);
int vd_vus_get_vring_base(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);
int vd_vus_set_vring_kick(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);
int vd_vus_set_vring_call(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);
int vd_vus_set_vring_err(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);
int vd_vus_set_vring_enable(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);
int vd_vus_vring_kick(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);

void vd_vus_ring_init(struct vd_vus_session *s, unsigned int idx);
void vd_vus_ring_fini(struct vd_vus_ring *r);
/* Let it run if it shall and does not. Return: 0, also if it shall not run yet. */
int vd_vus_ring_run(struct vd_vus_session *s, unsigned int idx);
/* The gate has stopped it: keep where it stands. Return: 0; -errno: not known. */
int vd_vus_ring_stopped(struct vd_vus_session *s, unsigned int idx);
/* Set bits of the status byte that are not set. */
int vd_vus_add_status(struct vd_vus_session *s, uint8_t bits);
bool vd_vus_rings_running(const struct vd_vus_session *s);

/* ---- vu-inflight.c --------------------------------------------------------------------------- */

int vd_vus_get_inflight_fd(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);
int vd_vus_set_inflight_fd(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);

/* ---- vu-config.c ----------------------------------------------------------------------------- */

int vd_vus_get_config(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);
int vd_vus_set_config(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);
/* There is no region until vd_vus_config_region(). */
void vd_vus_config_init(struct vd_vus_session *s);
void vd_vus_config_fini(struct vd_vus_session *s);
/* The front-end has brought its in-flight region, which the gate has taken. Takes @fd. */
void vd_vus_config_region(struct vd_vus_session *s, int fd, const struct vd_vu_inflight *in);
/* Write what was written before, after the device was reset or its features were set. */
void vd_vus_config_again(struct vd_vus_session *s);
/* Where it lies in a region for so many queues, in bytes: behind what they need in any layout. */
uint64_t vd_vus_config_kept_at(unsigned int queues, unsigned int queue_size);

/* ---- vu-net.c -------------------------------------------------------------------------------- */

int vd_vus_net_set_mtu(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);
int vd_vus_send_rarp(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);
/* Protocol features of the device as a network device, none if it is another one. */
uint64_t vd_vus_net_protocol(const struct vd_vus_session *s);

/* ---- vu-mem.c -------------------------------------------------------------------------------- */

int vd_vus_set_mem_table(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);
int vd_vus_add_mem_reg(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);
int vd_vus_rem_mem_reg(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);

/* Where the three parts of a ring are in the guest. Return: 0; -EFAULT with a sentence. */
int vd_vus_ring_gpa(const struct vd_vus_mem *mem, const struct vd_vus_ring *r, uint64_t ret_gpa[3]);

#endif
