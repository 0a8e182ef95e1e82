/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop.h - the event loop of one control thread
 *
 * Handles are embedded in what waits and may be removed at any time, also from within any
 * callback; once removed, a callback does not come any more. Everything is one epoll descriptor,
 * timers included, so the loop can sit in another loop and needs no preparing call first (the
 * reason for not using sd-event or libuv, where a handle's removal or arming waits for a turn).
 */
#ifndef VD_BASE_LOOP_H
#define VD_BASE_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

#include "base/list.h"

#define VD_LOOP_BATCH 32

struct vd_fd;
struct vd_timer;
struct vd_post;

/* A descriptor that is watched. Zero it, set fn. Not in a loop: loop is NULL. */
struct vd_fd {
	void (*fn)(struct vd_fd *f, uint32_t events);	/* EPOLLIN, ... */
	int fd;
	struct vd_loop *loop;
};

/* Something to do later in the control thread; queued at most once at a time. Zero it, set fn. */
struct vd_post {
	void (*fn)(struct vd_post *p);
	struct vd_list node;	/* protected by loop->lock */
	bool queued;		/* protected by loop->lock */
};

/* Once, at a time. Zero it, set fn. */
struct vd_timer {
	void (*fn)(struct vd_timer *t);
	uint64_t due_ns;	/* CLOCK_MONOTONIC */
	struct vd_list node;	/* in loop->timers, by time, when armed */
	bool armed;
};

struct vd_loop {
	pid_t pid;		/* a child by fork() has the same descriptors, changes none */
	int epfd;
	struct vd_fd timer_fd;
	struct vd_fd post_fd;
	struct vd_list timers;
	pthread_mutex_t lock;
	struct vd_list posts;			/* protected by lock */
	struct epoll_event batch[VD_LOOP_BATCH];	/* being handled; removal clears entries */
	int nbatch;
	/* notice.c's. */
	struct vd_fd notice_fd;
	struct vd_list notices;			/* struct vd_notice */
};

int vd_loop_init(struct vd_loop *loop);
void vd_loop_fini(struct vd_loop *loop);

/* Return: callbacks made; 0 at the timeout; -EINTR. @timeout_ms: -1 for ever. Not reentrant. */
int vd_loop_dispatch(struct vd_loop *loop, int timeout_ms);

/**
 * vd_fd_add() - Watch a descriptor, level-triggered
 * @f: handle, f->fn set
 * @fd: borrowed; remove the handle before closing it
 * @events: EPOLLIN, EPOLLOUT
 *
 * Return: 0 or -errno with a sentence.
 */
int vd_fd_add(struct vd_loop *loop, struct vd_fd *f, int fd, uint32_t events);
int vd_fd_mod(struct vd_fd *f, uint32_t events);	/* 0 pauses it (errors still come) */
void vd_fd_del(struct vd_fd *f);			/* harmless if it was not added */

void vd_timer_set(struct vd_loop *loop, struct vd_timer *t, uint64_t after_ms);
void vd_timer_del(struct vd_loop *loop, struct vd_timer *t);	/* harmless if it is not armed */

/* Context: any thread. */
void vd_loop_post(struct vd_loop *loop, struct vd_post *p);
/* It will not be called after this, unless posted again. Context: control thread. */
void vd_post_del(struct vd_loop *loop, struct vd_post *p);

/* Is it this process's, not one's that it was forked from? */
bool vd_loop_is_ours(const struct vd_loop *loop);

uint64_t vd_now_ns(void);	/* CLOCK_MONOTONIC */

#endif
