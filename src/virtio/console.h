/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * console.h - inside the virtio console driver (virtio 1.3, 5.3): every port a terminal of the host
 *
 *	console.c	the driver, and the life of its thread; control thread
 *	console-ctrl.c	the control queues: ports that come and go; control thread
 *	console-port.c	a port's pty: its link, its name, who has it open; control thread
 *	console-queue.c	memory and rings; control thread
 *	console-io.c	bytes of the pty to the device and back; one thread for all ports
 *
 * Bytes are copied by the kernel only, from a terminal into memory that the device reads, and from
 * memory that it wrote into a terminal. What a terminal does not take stays in the device's
 *buffers, so the device waits. Where nobody has it open the newest is kept, for who comes next.
 *
 * All that the device may touch is in one piece, "the region" (dma.h); with MULTIPORT:
 *
 *	+---------------+----------------+----------+------+--------+--------+--------+--------+-----
 *	| ctl recv ring | ctl trans ring | messages | recv | trans  | recv   | trans  | recv   | ...
 *	|               |                |          | ring | ring 0 | bufs 0 | bufs 0 | ring 1 |
 *	+---------------+----------------+----------+------+--------+--------+--------+--------+-----
 *
 * Threads: a port is control's but for what is marked. Control says what it wants of the thread by
 * an atomic and an eventfd, and is answered by a post.
 */
#ifndef VD_VIRTIO_CONSOLE_H
#define VD_VIRTIO_CONSOLE_H

#include <linux/virtio_ring.h>
#include <pthread.h>

#include "base/chan.h"
#include "base/keep.h"
#include "virtio/dma.h"
#include "virtio/virtio.h"
#include "virtq/console-uapi.h"
#include "virtq/virtq.h"

#define VD_HVC_PORTS    64u         /* the most that are used of a device's */
#define VD_HVC_NAME_MAX 63u         /* bytes of a port's name that are used */
#define VD_HVC_NUM_DEF  64u         /* size of a ring */
#define VD_HVC_BUFS     64u         /* buffers of a ring, at most */
#define VD_HVC_BUF      4096u       /* bytes of one */
#define VD_HVC_KEEP     (64u << 10) /* bytes of what is kept while nobody has the terminal open */

struct vd_hvc;

/* ---- console-queue.c ------------------------------------------------------------------------- */

/* One queue with buffers of one size. */
struct vd_hvc_queue {
	struct vd_virtq_drv *vq; /* NULL: there is none */
	int kick;
	uint16_t num, nbufs;
	uint32_t buf_size;
	size_t ring, bufs;         /* offsets in the region */
	uint8_t *mem;              /* the buffers */
	uint64_t iova;             /* the same, for the device */
	uint8_t *buf_of;           /* by the ring's id */
	uint8_t free[VD_HVC_BUFS]; /* buffers that are ours */
	unsigned int nfree;
	bool unpublished;
};

/* Bytes of the region: the ring and the buffers, whole pages. */
size_t vd_hvc_queue_size(uint64_t features, const struct vd_hvc_queue *q);

/**
 * vd_hvc_queue_init() - Make a queue
 * @q: num, nbufs, buf_size, ring and bufs are set; vd_hvc_queue_zero() was called before
 * @call: an eventfd
 * @ret_vq: what the device shall be told
 *
 * All buffers are free then, and no calls are asked for.
 *
 * Return: 0; -ENOMEM, -EMFILE, -EINVAL with a sentence. vd_hvc_queue_fini() is called in any case.
 */
int vd_hvc_queue_init(struct vd_hvc_queue *q, uint64_t features, const struct vd_dma *dma, int call,
		      struct uvdpa_vq *ret_vq);
void vd_hvc_queue_zero(struct vd_hvc_queue *q);
void vd_hvc_queue_fini(struct vd_hvc_queue *q); /* harmless after vd_hvc_queue_zero() */

/* Give the device buffer @buf: to read @len bytes of it, or with 0 to write. Return: 0; -EIO. */
int vd_hvc_queue_add(struct vd_hvc_queue *q, unsigned int buf, uint32_t len);

/* A buffer that came back. */
struct vd_hvc_done {
	uint8_t buf;
	uint32_t len; /* bytes that the device wrote */
};

/* Take one back; it is not in @q->free. Return: 1; 0 none; -EIO the ring makes no sense. */
int vd_hvc_queue_get(struct vd_hvc_queue *q, struct vd_hvc_done *ret_d);

/* Publish what was added. Return: true if the device wants a kick for it. */
bool vd_hvc_queue_publish(struct vd_hvc_queue *q);

/* ---- console-port.c -------------------------------------------------------------------------- */

enum vd_hvc_state {
	VD_HVC_ABSENT,
	VD_HVC_PRESENT,
	VD_HVC_LEAVING, /* until the thread lets it go */
};

struct vd_hvc_port {
	struct vd_hvc *con; /* constant, as is: */
	unsigned int idx;

	enum vd_hvc_state state;
	bool again; /* leaving, and added again */
	bool has_chan;
	bool console;   /* a terminal of the other side, which is always open */
	bool user;      /* somebody has the pty open */
	bool connected; /* somebody is at the device's other side */
	bool ready_due; /* the device shall be told that the port can be used, or not */
	bool told_open;
	bool complained;                /* that it is broken */
	uint16_t cols, rows;            /* 0: unknown */
	char name[VD_HVC_NAME_MAX + 1]; /* "": none */
	struct vd_chan chan;

	/* Between control and the thread, atomic. */
	uint32_t asked;   /* control: counts what it wanted; odd: the thread shall serve it */
	uint32_t heard;   /* the thread: the last of these that it acted upon; told by post */
	bool attached;    /* control: what is typed shall go to the device */
	bool broken;      /* a ring made no sense; told by post */
	uint64_t dropped; /* bytes that nobody saw */

	/* The thread's; control's while it does not run. */
	struct vd_hvc_queue rx, tx;
	bool full;   /* the terminal takes no more now */
	bool ending; /* the last who had it open has gone, and may have left something */
	bool filled; /* the device has receive buffers */
	struct vd_hvc_done got[VD_HVC_BUFS]; /* came and did not go yet; a ring */
	unsigned int first, ngot;
	uint32_t off;        /* of the first of them, what is gone already */
	struct vd_keep kept; /* what nobody has seen yet */
};

/**
 * vd_hvc_port_begin() - Its pty is made, and served
 * @p: has none
 *
 * Return: 0; -errno with a sentence.
 */
int vd_hvc_port_begin(struct vd_hvc_port *p);

/* The port is there; once more is harmless. */
void vd_hvc_port_add(struct vd_hvc_port *p);
/* It goes, when the thread lets it go. */
void vd_hvc_port_remove(struct vd_hvc_port *p);
/* The thread is no more: the pty goes. */
void vd_hvc_port_fini(struct vd_hvc_port *p);

/* The device's side calls it so; @name needs no end. */
void vd_hvc_port_named(struct vd_hvc_port *p, const char *name, size_t len);
void vd_hvc_port_resized(struct vd_hvc_port *p, uint16_t cols, uint16_t rows);
void vd_hvc_port_is_console(struct vd_hvc_port *p);
void vd_hvc_port_connected(struct vd_hvc_port *p, bool connected);

/* Should the device believe that somebody has it open? */
bool vd_hvc_port_is_open(const struct vd_hvc_port *p);

/* The thread has said something. */
void vd_hvc_port_look(struct vd_hvc_port *p);

void vd_hvc_port_describe(const struct vd_hvc_port *p, struct uvdpa_emit *e);

/* ---- console-ctrl.c -------------------------------------------------------------------------- */

#define VD_HVC_CTRL_NUM 32u
#define VD_HVC_CTRL_BUF 256u /* bytes of a message of the device */

struct vd_hvc_ctrl {
	struct vd_hvc *con;
	struct vd_hvc_queue rx, tx;
	int call;
	struct vd_fd call_fd;
	struct vd_post more; /* messages are left for the next turn of the loop */
	bool ready_due;      /* the device shall be told that we are ready */
	bool running;
};

/**
 * vd_hvc_ctrl_init() - Control queues, at the begin of the region
 * @c: vd_hvc_ctrl_zero() was called, and vd_hvc_ctrl_size() after that
 * @ret_rx, @ret_tx: what the device shall be told
 *
 * Return: 0; -ENOMEM, -EMFILE. On failure vd_hvc_ctrl_fini() is still called.
 */
int vd_hvc_ctrl_init(struct vd_hvc_ctrl *c, struct vd_hvc *con, struct uvdpa_vq *ret_rx,
		     struct uvdpa_vq *ret_tx);
void vd_hvc_ctrl_zero(struct vd_hvc_ctrl *c);
size_t vd_hvc_ctrl_size(struct vd_hvc_ctrl *c, uint64_t features);

/* The device runs: say that we are ready. And: it may be another one than before. */
void vd_hvc_ctrl_begin(struct vd_hvc_ctrl *c);
/* Say what is to be said of the ports. */
void vd_hvc_ctrl_flush(struct vd_hvc_ctrl *c);
/* Nothing is said or heard any more. */
void vd_hvc_ctrl_stop(struct vd_hvc_ctrl *c);
void vd_hvc_ctrl_fini(struct vd_hvc_ctrl *c);

/* ---- console.c, console-io.c ----------------------------------------------------------------- */

struct vd_hvc {
	struct vd_virtio_bound bound;
	const char *path; /* the link of port 0; NULL: no port has any */
	mode_t mode;
	bool multiport;
	bool broken; /* needs to be reset */
	struct vd_dma dma;
	struct vd_hvc_ctrl ctrl;
	struct vd_hvc_port *ports;
	unsigned int nports;
	struct vd_post post; /* the thread's */
	pthread_t thread;
	bool started, told;
	struct vd_ratelimit limit; /* of warnings that the device can cause */

	/* Between control and the thread. */
	int wake;   /* eventfd: control calls */
	int call;   /* eventfd: the device does, for all queues of ports; its peer has it, too */
	bool stop;  /* atomic: the thread shall end */
	bool quiet; /* atomic: it has */
};

/* The thread: serves until con->stop. @arg: the struct vd_hvc. */
void *vd_hvc_run(void *arg);

/* The thread shall look. Any thread. */
void vd_hvc_wake(struct vd_hvc *con);

#endif
