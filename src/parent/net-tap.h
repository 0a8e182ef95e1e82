/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-tap.h - the files of the net-tap parent
 *
 *	net-tap.c	options, the device
 *	net-tap-open.c	a job: the interface is made, or found, and set up
 *	net-tap-io.c	the worker: frames
 *	net-tap-link.c	what becomes of the interface meanwhile
 */
#ifndef VD_PARENT_NET_TAP_H
#define VD_PARENT_NET_TAP_H

#include <net/if.h>

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
 * @kept_ns: since when
 * @buf: VD_NET_FRAME_MAX bytes: for the end of a frame that is longer than was thought
 */
struct vd_tap_queue {
	int fd;
	bool attached;
	uint32_t want;
	uint64_t look_ns;
	uint32_t kept;
	struct vd_net_hdr kept_hdr;
	uint64_t kept_ns;
	uint8_t *buf;
} __attribute__((aligned(64)));

/* What comes of opening. */
struct vd_tap_if {
	char name[IFNAMSIZ];
	int index;
	unsigned int nqueues;
	int *fds; /* the queues', of which all but the first are detached */
	int nl;   /* tells of it */
	bool up;
	uint64_t offloads; /* of VD_NET_OFFLOADS */
};

struct vd_tap {
	struct vd_net net;
	const struct vd_tap_conf *conf;
	struct vd_net_conf net_conf; /* until it is open */
	struct vd_tap_open *open;    /* the job; NULL: it is done */
	struct vd_tap_if dev;
	struct vd_tap_queue *queues; /* net.conf.max_vqp of them */
	struct vd_fd watch;          /* of dev.nl */
	struct vd_post look;         /* the worker has seen that something is wrong */
	bool stale;                  /* what waits in the queues is not for who comes next */
	bool gone;                   /* atomic */
};

struct vd_tap *vd_tap_of(struct vd_net *net);

/* ---- net-tap-open.c; control thread --------------------------------------------------------- */

/**
 * vd_tap_open_start() - Begin to open the interface
 * @tap: tap->conf, tap->net_conf set
 * @done: @err: 0, and tap->dev is set; or why not, with a sentence
 *
 * Return: 0; -errno.
 */
int vd_tap_open_start(struct vd_tap *tap, struct uvdpa *u, const char *name,
		      void (*done)(struct vd_tap *tap, int err));
/* tap->open is not wanted any more. */
void vd_tap_open_forget(struct vd_tap *tap);

void vd_tap_close(struct vd_tap_if *dev);

/* For TUNSETOFFLOAD: what the kernel may leave undone in what it gives us. */
unsigned int vd_tap_offloads(uint64_t guest);

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
