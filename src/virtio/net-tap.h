/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-tap.h - the device as a network interface: what its parts share
 *
 *	net-tap.c	the interface and the life of the threads; control thread
 *	net-tap-io.c	frames of the kernel to frames of the device and back; a thread for each pair
 *
 * The interface is a TAP whose frames begin with the device's own header, so a frame is read from
 * it into memory that the device reads, and written to it from memory that the device wrote:
 * nothing is copied but by the kernel, and offloads pass as they are.
 *
 * It goes when the device is taken away: the threads close its descriptors, which may take the
 * kernel a while. Frames that are in the rings then are lost, as on a wire that is cut, but for
 * those that the device takes within LINGER_MS.
 *
 * Threads: struct tap_pair is its thread's from start to end but for what is marked. Control says
 * what it wants by an atomic and an eventfd, and is answered by a post.
 */
#ifndef VD_VIRTIO_NET_TAP_H
#define VD_VIRTIO_NET_TAP_H

#include <pthread.h>

#include "base/tun.h"
#include "virtio/net.h"

#define BATCH 64u		/* frames in a row, of one direction; and pieces of a frame */
#define TX_SLOT (68u << 10)	/* bytes: the largest frame of the kernel, and its header */
#define TX_SLOTS 256u
#define RX_WHOLE 256u		/* buffers of whole frames, at most */
#define RX_PIECE 4096u		/* bytes of a buffer that can be merged */
#define LINGER_MS 100

struct tap_pair {
	struct vd_net_tap *tap;
	pthread_t thread;	/* control's */
	bool started;		/* control's: there is one */
	bool quiet;		/* it has ended; atomic */
	int wake;		/* eventfd */

	int fd;			/* of the interface; -1: given back */
	struct uvdpa_netq *q;
	uint32_t rx_size;	/* bytes of a receive buffer */
	bool broken;		/* the device is, or is gone */
	bool dead;		/* the interface is no more */
	bool skip;		/* a frame of too many pieces is being dropped */
	unsigned int nrx;	/* pieces of a frame that is not complete */
	struct uvdpa_net_buf rx[BATCH];
	uint8_t *free[TX_SLOTS];
	unsigned int nfree, nslots;
};

struct vd_net_tap {
	/* Control's. */
	struct vd_virtio_dev *vdev;
	struct uvdpa_net *net;
	struct vd_tun tun;
	int fd;			/* of the interface, for control; -1: given back */
	char *netns;
	struct vd_post post;
	struct tap_mq *mq;	/* the command that is under way, or NULL */
	unsigned int npairs;
	struct tap_pair *pairs;
	bool released;		/* asked to be unbound */
	bool complained;	/* that it is broken */
	bool told;		/* that all is quiet */
	bool carrier;
	uint16_t mtu;
	uint8_t mac[6];

	/* Between them, atomic. */
	bool stop;		/* the threads shall end */
	bool lost;		/* somebody has removed the interface; told by post, as is this: */
	bool broken;		/* the device wrote nonsense into a ring, or needs to be reset */
};

/* The thread: serves until tap->stop, or until the interface is gone. @arg: the pair. */
void *vd_net_tap_run(void *arg);

#endif
