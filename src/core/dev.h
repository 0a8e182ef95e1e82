/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dev.h - core's own: its part of a device
 *
 * Nothing here calls out to observers or to a driver's changed() from within an operation: events
 * are noted (vd_dev_raise) and told from the loop. A device is freed from the loop only. So nobody
 * who holds a device in a callback can lose it under his feet.
 */
#ifndef VD_CORE_DEV_H
#define VD_CORE_DEV_H

#include "core/attrs.h"
#include "core/context.h"

/* Something that waits for queues to become quiet. */
struct vd_op {
	bool pending;
	int err;			/* how the last one ended */
	uint64_t due_ns;		/* its waiters are told -ETIMEDOUT then; 0: nobody waits */
	struct vd_list waiters;		/* struct uvdpa_wait */
};

/* One virtqueue as the gate knows it. */
struct vd_gate_vq {
	struct uvdpa_vq vq;		/* as the driver set it; descriptors are ours */
	int call_slot;			/* number that vq.call has whenever there is a call */
	int err_fd;
	int next_kick;			/* with restart: takes the place of vq.kick */
	bool next_poll;
	bool enabled;			/* the driver wants it to run */
	bool running;			/* the parent has it, until it says quiesced */
	bool quiescing;			/* and was asked to */
	bool broken;
	bool restart;			/* to be stopped and started for a new kick */
	bool kicked;			/* in band, while it did not run */
	uint32_t kick_data;
	int state_err;			/* of reading vq.state back */
	struct vd_op disable;
};

struct vd_as {
	struct vd_mem *live;		/* in force */
	struct vd_mem *staged;		/* NULL: nothing is staged */
};

struct vd_gate {
	uint8_t status;
	bool features_set;
	uint64_t features;
	uint32_t generation;
	bool suspended;
	bool settling, again;
	bool forget_maps;		/* once it is reset */
	unsigned int nvqs, nas;		/* of vqs and as; info goes before them */
	struct vd_gate_vq *vqs;
	struct vd_as *as;
	uint32_t *group_asid;
	struct vd_mem *inflight;	/* one mapping, from 0; NULL: none */
	unsigned int inflight_vqs, inflight_num;
	struct vd_op reset, suspend, commit;
	uint64_t quiescing_since_ns;	/* 0: no queue is */
	bool unblocked;
	struct vd_timer timer;
	struct vd_ratelimit broken_log;
};

enum vd_bind_step {
	VD_BIND_REST,			/* nothing is under way */
	VD_BIND_READY,			/* waits for the device to be ready */
	VD_BIND_LEAVE,			/* to begin to unbind, from the loop */
	VD_BIND_DRIVER,			/* driver->quiesce was called */
	VD_BIND_DRAIN,			/* the gate resets; the driver may begin nothing */
	VD_BIND_PROBE,			/* in driver->probe */
};

/* A bus driver, and with which options. All zero: none. */
struct vd_choice {
	const struct uvdpa_driver *driver;
	void *conf;			/* its options, as they were read */
	struct vd_attrs attrs;		/* and as they were written */
};

struct vd_bind {
	enum vd_bind_step step;
	struct uvdpa_binding *b;	/* NULL: unbound */
	struct vd_choice now;		/* of b */
	struct vd_choice next;		/* to be probed */
	bool adding;			/* a failure removes the device */
	bool answered;			/* the driver is quiesced */
	bool deleting;
	bool gone;			/* removed for everyone else; kept until it is home */
	uint64_t due_ns;		/* of taking it from the driver */
	struct vd_timer timer;
	struct vd_post post;
	struct uvdpa_wait reset;
	struct uvdpa_wait *w, *del_w;
};

struct vd_dev {
	struct vd_list node;
	struct uvdpa *u;
	struct uvdpa_dev *dev;
	const struct uvdpa_parent *parent;
	void *conf;			/* the parent's */
	struct vd_attrs attrs;		/* its options as they were written, and changed since */
	uint64_t features_mask;		/* 0: all */
	char *override;
	bool known;			/* info is complete and checked */
	bool ready;
	struct vd_gate gate;
	struct vd_bind bind;
	struct vd_post tell_post;
	unsigned int to_tell;		/* 1 << enum uvdpa_event, to observers */
	unsigned int to_driver;		/* the same, to the driver */
	unsigned int told;		/* ADDED, READY, BOUND: what observers believe */
	char name[UVDPA_NAME_MAX + 1];
};

/* ---- dev.c */

/* Note an event; it is told from the loop. */
void vd_dev_raise(struct vd_dev *d, enum uvdpa_event ev);
void vd_dev_raise_driver(struct vd_dev *d, enum uvdpa_event ev);
/* Tell what was noted, now. From the loop only. */
void vd_dev_tell(struct vd_dev *d);
/* For good; quiesced, reset, unbound, in no list. */
void vd_dev_free(struct vd_dev *d);

/* ---- gate.c */

/* Before info is known, and once it is. Return of the latter: 0; -EINVAL, -ENOMEM. */
void vd_gate_init(struct vd_dev *d);
int vd_gate_open(struct vd_dev *d);
void vd_gate_fini(struct vd_dev *d);

/* As uvdpa_dev_reset(), with another limit. */
int vd_gate_reset(struct vd_dev *d, unsigned int ms, struct uvdpa_wait *w);
/* The driver is gone: its mappings go with the reset, or at once if that is behind. */
void vd_gate_forget_maps(struct vd_dev *d);
/* What the parent must hear again after it was lost. */
int vd_gate_replay(struct vd_dev *d);

/* Return: 0; -ENODEV not ready, gone, or going. */
int vd_gate_present(const struct uvdpa_dev *dev);
/* Return: as above; -EBUSY a reset is under way. */
int vd_gate_usable(const struct uvdpa_dev *dev);

/* ---- settle.c */

/* Bring queues to where they shall be, and end what waited for that. */
void vd_gate_settle(struct vd_dev *d);
/* No queue runs, nor is being stopped. */
bool vd_gate_quiet(const struct vd_dev *d);
/**
 * vd_gate_op() - Begin what needs queues to be quiet, or join it if it is under way
 * @op: one of the device's, or of a queue's
 * @ms: @w is told -ETIMEDOUT after that; who joins does not put it off for those who wait already
 * @w: may be NULL
 *
 * Return: 0; -EINPROGRESS; -errno of what was done once it was quiet.
 */
int vd_gate_op(struct vd_dev *d, struct vd_op *op, unsigned int ms, struct uvdpa_wait *w);
/* A queue that the driver may not use any more: NEEDS_RESET, whoever listens is told @why. */
void vd_gate_break(struct vd_dev *d, unsigned int idx, const char *why);
/* The timer of d->gate: limits, and eventfds that block. */
void vd_gate_timer(struct vd_timer *t);

/* ---- gate-vq.c, gate-mem.c, gate-inflight.c */

void vd_gate_vq_init(struct vd_gate_vq *q, const struct uvdpa_dev_info *info);
void vd_gate_vq_fini(struct vd_gate_vq *q);
/* Back to what it was after init; quiet. */
void vd_gate_vq_reset(struct vd_dev *d, unsigned int idx);
bool vd_gate_vq_should_run(const struct vd_dev *d, const struct vd_gate_vq *q);
int vd_gate_vq_start(struct vd_dev *d, unsigned int idx);
/* The parent says it is quiet. */
void vd_gate_vq_stopped(struct vd_dev *d, unsigned int idx);
/* A worker may sit in a write to an eventfd that a peer filled; let it go on. */
void vd_gate_vq_unblock(struct vd_dev *d);

/* Fill in a queue's part of the region for requests in flight. Return: 0; -EINVAL it ends before. */
int vd_gate_inflight(const struct vd_dev *d, unsigned int idx, struct uvdpa_vq *vq);
void vd_gate_inflight_forget(struct vd_dev *d);

/* All queues are quiet. Return: 0, or -errno and nothing has changed. */
int vd_gate_mem_commit(struct vd_dev *d);
int vd_gate_mem_replay(struct vd_dev *d);
void vd_gate_mem_forget(struct vd_dev *d);

/* ---- bind.c */

void vd_bind_init(struct vd_dev *d);
void vd_bind_fini(struct vd_dev *d);
/**
 * vd_choice_make() - Find a bus driver, and read its options
 * @who: the device's name, for the sentence
 * @ret: all zero on failure
 *
 * Return: 0; -ENODEV no such driver; -EINVAL an option; -ENOMEM.
 */
int vd_choice_make(const struct uvdpa *u, const char *who, const char *driver,
		   const struct uvdpa_attr *attrs, unsigned int n, struct vd_choice *ret);
void vd_choice_fini(struct vd_choice *c);

/* Bind a device that has no driver to @c, or to none; takes it, also on failure. */
int vd_bind_begin(struct vd_dev *d, struct vd_choice *c, struct uvdpa_wait *w);
/* It is ready for the first time, or (@err) never will be. */
void vd_bind_ready(struct vd_dev *d, int err);
/* Nobody has it any more: free it, now or when its last request is home. In no list, or in one. */
void vd_bind_bury(struct vd_dev *d);
/* A reset has come to its end: if it is removed, nothing keeps it any more. */
void vd_bind_home(struct vd_dev *d);

#endif
