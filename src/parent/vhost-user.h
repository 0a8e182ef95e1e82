/* SPDX-License-Identifier: BSD-2-Clause */
/* vhost-user.h - the vhost-user parent's own: its device and the device's queues */
#ifndef VD_PARENT_VHOST_USER_H
#define VD_PARENT_VHOST_USER_H

#include "parent/vhost-user-link.h"
#include "parent/vhost-user-mem.h"

#define VD_BIT(n) (1ull << (n))

struct vd_vuf_conf {
	char *socket;
	char *device_id;
	uint64_t queues, queue_size, config_size;
	bool reconnect, fresh;
};

/* WAITING: the back-end has not heard of it yet */
enum vd_vuf_run { VD_VUF_OFF, VD_VUF_WAITING, VD_VUF_RUNNING, VD_VUF_STOPPING };

struct vd_vuf_queue {
	struct vd_vuf *f;
	struct uvdpa_vq vq;	/* descriptors are the gate's */
	enum vd_vuf_run run;
	bool asked;		/* uvdpa_dev_quiesced() is due */
	bool unknown;		/* where it stands nobody knows */
	int own_kick;		/* for a driver without one */
	struct vd_fd err;	/* the back-end writes it when the queue breaks */
};

/* Where the back-end notes which requests it has, kept for the one that comes after it. */
struct vd_vuf_inflight {
	struct vd_vu_inflight in;
	int fd;			/* -1: nowhere */
	unsigned int due;	/* answers; the last one counts */
	bool wanted;		/* the driver has chosen features, and was not reset since */
	bool refused;		/* no further attempts */
	bool left;		/* a back-end that went had it */
	uint8_t status_due;	/* to be sent after the queues; 0: none */
};

/* Control thread. */
struct vd_vuf {
	struct uvdpa_dev dev;
	struct vd_vulink link;
	struct vd_vumem mem;
	struct uvdpa *u;
	const struct vd_vuf_conf *conf;
	char name[UVDPA_NAME_MAX + 1];
	uint64_t features;		/* the driver's */
	struct vd_vuf_inflight inflight;
	struct vd_vuf_queue *queues;	/* dev.info.nvqs of them; NULL: no handshake yet */
	bool all_asked;
};

static inline struct vd_vuf *vd_vuf(struct uvdpa_dev *dev)
{
	return container_of(dev, struct vd_vuf, dev);
}

static inline struct vd_vuf *vd_vuf_of_link(struct vd_vulink *l)
{
	return container_of(l, struct vd_vuf, link);
}

/* Return: 0; -ENOMEM. */
int vd_vuf_queues_create(struct vd_vuf *f);
void vd_vuf_queues_destroy(struct vd_vuf *f);
/* All are quiet; what they were is forgotten. */
void vd_vuf_queues_reset(struct vd_vuf *f);
/* The back-end has gone: find where each stood, tell, and answer whoever waits for one. */
void vd_vuf_queues_lost(struct vd_vuf *f);
/* The answer to GET_VRING_BASE. */
void vd_vuf_queue_base(struct vd_vuf *f, unsigned int idx, uint32_t num);

/* What waited for the region may start. */
void vd_vuf_queues_start(struct vd_vuf *f);

/* ---- vhost-user-inflight.c */

/* The back-end was told the driver's features: give it its region, or ask it for one. */
void vd_vuf_inflight_begin(struct vd_vuf *f, bool changed);
/* Its answer. Return: 0; -EPROTO. */
int vd_vuf_inflight_answer(struct vd_vuf *f, struct vd_vu_msg *m);
/* It does not take it. */
void vd_vuf_inflight_refused(struct vd_vuf *f);
/* It went. */
void vd_vuf_inflight_lost(struct vd_vuf *f);
/* What was noted counts no more. */
void vd_vuf_inflight_forget(struct vd_vuf *f);

/* As in struct uvdpa_dev_ops. */
int vd_vuf_set_vq(struct uvdpa_dev *dev, unsigned int idx, const struct uvdpa_vq *vq);
int vd_vuf_set_call(struct uvdpa_dev *dev, unsigned int idx, int call);
int vd_vuf_enable_vq(struct uvdpa_dev *dev, unsigned int idx);
void vd_vuf_quiesce(struct uvdpa_dev *dev, unsigned int idx);
int vd_vuf_get_vq(struct uvdpa_dev *dev, unsigned int idx, struct uvdpa_vq_state *ret_state);
void vd_vuf_kick(struct uvdpa_dev *dev, unsigned int idx, uint32_t data);

extern const struct uvdpa_parent vd_parent_vhost_user;

#endif
