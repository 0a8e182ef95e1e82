/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-tap.h - the files of the net-tap parent
 *
 *	net-tap.c	options, the device
 *	net-tap-if.c	what is done to the interface, in jobs
 *	net-tap-open.c	the first of them: it is made, or found, and set up
 *	net-tap-io.c	the worker: frames
 *	net-tap-link.c	what becomes of the interface meanwhile
 */
#ifndef VD_PARENT_NET_TAP_H
#define VD_PARENT_NET_TAP_H

#include <net/if.h>

#include "core/core.h"
#include "softdev/net.h"

struct vd_tap_conf {
	struct vd_net_args net;
	char *ifname, *netns, *host_mac, *bridge, *address;
	bool persist, up;
};

/**
 * struct vd_tap_queue - The interface's queue for a pair
 * @fd: its descriptor; when the interface is gone, one at which nothing ever happens
 * @attached: atomic, control's: the kernel spreads frames to it
 *
 * The rest is the worker's:
 * @want: bytes that a frame needs, as it looks lately
 * @look_ns: nothing was there; not before then is it looked again
 * @kept: bytes of a frame in @buf that is here already, and for which there were not buffers enough
 * @kept_hdr: its header
 * @buf: VD_NET_FRAME_MAX bytes: for the end of a frame that is longer than was thought
 */
struct vd_tap_queue {
	int fd;
	bool attached;
	uint32_t want;
	uint64_t look_ns;
	uint32_t kept;
	struct vd_net_hdr kept_hdr;
	uint8_t *buf;
} __attribute__((aligned(64)));

/* What the kernel is told of what the driver wants. */
struct vd_tap_told {
	unsigned int offloads; /* TUN_F_* */
	unsigned int pairs;
};

/**
 * struct vd_tap_if - The interface
 *
 * All that is done to it is a job, as it waits for whoever else changes interfaces. One at a time.
 *
 * @busy: one runs; control's, as are
 * @tap: whose it is; NULL: nobody's, it goes when the job has ended
 * @want: what the kernel shall know, and
 * @told: what it does
 * @telling: the job's: what it tells
 * @offloads: of VD_NET_OFFLOADS: what the kernel can do
 *
 * From name on it is constant once it is open, but for the name.
 */
struct vd_tap_if {
	struct vd_job job;
	struct uvdpa *u;
	struct vd_tap *tap;
	struct vd_tap_wish *wish; /* what to open; NULL: that is done */
	bool busy;
	struct vd_tap_told want, told, telling;
	char name[IFNAMSIZ];
	int index;
	unsigned int nqueues;
	int *fds; /* the queues', of which the first @told.pairs are attached */
	int nl;   /* tells of it */
	bool up;
	uint64_t offloads;
};

struct vd_tap {
	struct vd_net net;
	const struct vd_tap_conf *conf;
	struct vd_net_conf net_conf; /* until it is open */
	struct vd_tap_if *dev;
	struct vd_tap_told told;     /* as of the end of the last job */
	struct vd_tap_queue *queues; /* net.conf.max_vqp of them */
	unsigned int offloads;       /* atomic: for @dev->want */
	struct vd_post tell;         /* it has changed */
	struct vd_fd watch;          /* of dev->nl */
	struct vd_post look;         /* the worker has seen that something is wrong */
	unsigned int leaving;        /* atomic: queues from this one on are to go; 0: none */
	unsigned int left;           /* atomic: those from this one on were empty, says the worker */
	struct vd_post empty;        /* it has said so */
	struct vd_timer patience;    /* or it never will */
	bool stale;                  /* what waits in the queues is not for who comes next */
	bool gone;                   /* atomic */
};

struct vd_tap *vd_tap_of(struct vd_net *net);

/* ---- net-tap-if.c; control thread ---------------------------------------------------------- */

/**
 * vd_tap_open() - Begin to open the interface
 * @tap: tap->conf, tap->net_conf set; then tap->dev is
 *
 * In the end vd_tap_opened() says what came of it. Return: 0; -errno.
 */
int vd_tap_open(struct vd_tap *tap, struct uvdpa *u, const char *name);
void vd_tap_close(struct vd_tap_if *dev);

/* Have the kernel told what dev->want says. vd_tap_was_told() says when it was. */
void vd_tap_tell(struct vd_tap_if *dev);

/* net-tap.c: */
void vd_tap_opened(struct vd_tap *tap, int err);
void vd_tap_was_told(struct vd_tap *tap, int err);

/* For TUNSETOFFLOAD: what the kernel may leave undone in what it gives us. */
unsigned int vd_tap_offloads(uint64_t guest);

/* ---- net-tap-open.c ------------------------------------------------------------------------- */

#ifndef TUN_F_USO4 /* Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/* Control thread: what tap->conf says, checked as far as can be. Return: 0; -EINVAL, -ENOMEM. */
int vd_tap_wish(const struct vd_tap *tap, const char *name, struct vd_tap_wish **ret_wish);
void vd_tap_wish_free(struct vd_tap_wish *o);
/* A job: open what dev->wish says. Return: 0; -errno; what was opened is in @dev in any case. */
int vd_tap_open_run(struct vd_tap_if *dev);

/* ---- net-tap-link.c; control thread --------------------------------------------------------- */

/* Return: 0 or -errno with a sentence. */
int vd_tap_watch(struct vd_tap *tap);

/* ---- net-tap-io.c; the worker --------------------------------------------------------------- */

unsigned int vd_tap_send(struct vd_net *net, struct vd_net_pair *pair, struct vd_net_frame *frames,
			 unsigned int n);
unsigned int vd_tap_receive(struct vd_net *net, struct vd_net_pair *pair);

/* Control thread, while no queue runs: forget what waits. */
void vd_tap_flush(struct vd_tap *tap);

#endif
