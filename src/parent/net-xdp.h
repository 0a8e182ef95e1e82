/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-xdp.h - the files of the net-xdp parent: an interface of the host, by AF_XDP
 *
 *	net-xdp.c	options, the device, what becomes of the interface
 *	net-xdp-open.c	a job: sockets, rings, and the program that fills them
 *	net-xdp-bpf.c	the program
 *	net-xdp-io.c	the worker: frames
 *
 * A pair has a queue of the interface, and a socket with memory of its own, cut into chunks, which
 * the kernel and we hand to each other by four rings:
 *
 *	transmit	free -> copied from the guest -> tx -> kernel -> completion -> free
 *	receive		fill -> kernel -> rx -> copied to the guest -> fill
 */
#ifndef VD_PARENT_NET_XDP_H
#define VD_PARENT_NET_XDP_H

#include <linux/if_xdp.h>
#include <net/if.h>

#include "softdev/net-gso.h"
#include "softdev/net.h"

#define VD_XDP_CHUNKS	2048u	/* of a socket, for each direction; entries of each ring */
#define VD_XDP_CHUNK	2048u	/* bytes, or a page's */
#define VD_XDP_CHUNK_MAX 4096u
#define VD_XDP_HEADROOM 256u	/* of what is received, the kernel's (XDP_PACKET_HEADROOM) */
#define VD_XDP_FRAME	(VD_NET_HLEN + 4u) /* bytes of a frame beyond the MTU: a VLAN tag, too */
#define VD_XDP_MTU_MAX	(VD_XDP_CHUNK_MAX - VD_XDP_HEADROOM - VD_XDP_FRAME)

enum { VD_XDP_AUTO, VD_XDP_NATIVE, VD_XDP_GENERIC };	/* conf.xdp */
enum { VD_XDP_ANY, VD_XDP_COPY, VD_XDP_ZEROCOPY };	/* conf.mode */

struct vd_xdp_conf {
	struct vd_net_args net;
	char *ifname, *netns;
	uint64_t queue;
	unsigned int mode, xdp;
	bool promisc;
};

/* A ring that is shared with the kernel: we are at one end of it. */
struct vd_xdp_ring {
	uint32_t *producer, *consumer, *flags;	/* the kernel's end is atomic */
	void *entries;
	uint32_t at;			/* ours: entries that were produced or consumed so far */
	void *map;
	size_t map_len;
};

struct vd_xdp_queue {
	int fd;
	uint8_t *umem;
	size_t umem_len;
	uint32_t chunk;
	struct vd_xdp_ring fill, done, rx, tx;

	/* The worker's. */
	bool blocked;
	unsigned int skip;		/* segments of the next frame that were sent */
	unsigned int nfree;
	uint32_t free[VD_XDP_CHUNKS];	/* chunks for sending, by number */
	struct vd_net_gso gso;
} __attribute__((aligned(64)));

/* What comes of opening. */
struct vd_xdp_if {
	char name[IFNAMSIZ];
	int index;
	unsigned int nqueues;
	struct vd_xdp_queue *queues;
	int prog, map, link;	/* the last one holds the program at the interface */
	int promisc;		/* a socket that holds it so */
	int nl;			/* tells of it */
	bool native, zerocopy, up;
};

struct vd_xdp {
	struct vd_net net;
	const struct vd_xdp_conf *conf;
	struct vd_net_conf net_conf;	/* until it is open */
	struct vd_xdp_open *open;	/* the job; NULL: it is done */
	struct vd_xdp_if dev;
	struct vd_fd watch;		/* of dev.nl */
	bool stale;			/* what waits in the queues is not for who comes next */
	bool gone;
};

static inline struct vd_xdp *vd_xdp_of(struct vd_net *net)
{
	return container_of(net, struct vd_xdp, net);
}

/* ---- net-xdp-open.c; control thread -------------------------------------------------- */

/**
 * vd_xdp_open_start() - Begin to open the interface
 * @xdp: xdp->conf, xdp->net_conf set
 * @done: @err: 0, and xdp->dev is set; or why not, with a sentence
 *
 * Return: 0; -errno.
 */
int vd_xdp_open_start(struct vd_xdp *xdp, struct uvdpa *u, const char *name,
		      void (*done)(struct vd_xdp *xdp, int err));
/* xdp->open is not wanted any more. */
void vd_xdp_open_forget(struct vd_xdp *xdp);

void vd_xdp_close(struct vd_xdp_if *dev);

/* ---- net-xdp-bpf.c; the job ------------------------------------------------------------------ */

/**
 * vd_xdp_attach() - Put a program at the interface that hands what comes in to sockets
 * @dev: index set; prog, map, link, native are filled in
 * @how: VD_XDP_AUTO, ...
 *
 * Queues without a socket go on to the kernel's network as before. The program goes with the
 * descriptor dev->link, whatever ends this process.
 *
 * Return: 0; -EBUSY there is one already; another -errno. With a sentence.
 */
int vd_xdp_attach(struct vd_xdp_if *dev, unsigned int first, unsigned int how);
/* What comes in by an interface's queue goes to this socket. Return: 0; -errno with a sentence. */
int vd_xdp_map(const struct vd_xdp_if *dev, unsigned int queue, int fd);

/* ---- net-xdp-io.c; the worker -------------------------------------------------- */

unsigned int vd_xdp_send(struct vd_net *net, struct vd_net_pair *pair, struct vd_net_frame *frames,
			 unsigned int n);
unsigned int vd_xdp_receive(struct vd_net *net, struct vd_net_pair *pair);

/* Control thread, while no queue runs: forget what waits. */
void vd_xdp_flush(struct vd_xdp *xdp);

#endif
