/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net.h - inside the virtio network driver (virtio 1.3, 5.1)
 *
 *	net.c		the driver, uvdpa_net_open() to uvdpa_net_free(); control thread
 *	net-config.c	what the device says of itself
 *	net-ctrl.c	the control queue: commands and their answers; control thread
 *	net-queue.c	the life of a pair of queues; control thread
 *	net-io.c	uvdpa_netq_*(): frames to descriptors and back; the queues' threads
 *	net-tap*.c	the device as a network interface; stands on the public <uvdpa/net.h> alone
 *
 * All that the device may touch is in one piece, "the region" (dma.h):
 *
 *	+--------------+--------------+-----+----------+----------+---------------------------+
 *	| receive ring | transmit ... | ... | ctl ring | commands | arena of uvdpa_net_alloc() |
 *	+--------------+--------------+-----+----------+----------+---------------------------+
 */
#ifndef VD_VIRTIO_NET_H
#define VD_VIRTIO_NET_H

#include <linux/virtio_ring.h>
#include <uvdpa/net.h>

#include "virtio/dma.h"
#include "virtio/virtio.h"
#include "virtq/net-uapi.h"
#include "virtq/virtq.h"

struct vd_netdrv;
struct vd_net_tap;

/* What received frames may be, if the application says so. */
#define VD_NET_GUEST_OFFLOADS                                                                       \
	(VD_F(VIRTIO_NET_F_GUEST_CSUM) | VD_F(VIRTIO_NET_F_GUEST_TSO4) |                    \
	 VD_F(VIRTIO_NET_F_GUEST_TSO6) | VD_F(VIRTIO_NET_F_GUEST_ECN) |                     \
	 VD_F(VIRTIO_NET_F_GUEST_UFO) | VD_F(VIRTIO_NET_F_GUEST_USO4) |                     \
	 VD_F(VIRTIO_NET_F_GUEST_USO6))

/* ---- net-queue.c ---------------------------------------------------------------------------- */

/* What a pair must know of the whole; constant while it runs. */
struct vd_netq_conf {
	uint64_t features;
	uint16_t num;
	uint32_t rx_min;	/* bytes of a buffer */
	uint8_t *base;		/* the region */
	uint64_t iova;
	size_t rx_ring, tx_ring;	/* offsets */
	size_t arena, size;	/* offsets: frames are between */
};

/* One direction. */
struct vd_netq_side {
	struct vd_virtq_drv *vq;
	int kick, call;		/* eventfds */
	int broken;		/* the ring made no sense */
	bool armed;
	uint8_t **mem;		/* by the ring's id: the first piece */
	uint64_t frames, bytes, bad, kicks;	/* stored relaxed, read by anybody */
};

/* A pair. Each side its thread's, but for the atomics. */
struct uvdpa_netq {
	struct vd_netq_conf conf;
	bool merge;

	/* Written by control with release, read by the threads with acquire: */
	int refuse;		/* nothing is taken any more: this error */
	int gone;		/* nothing comes back any more: this error */

	struct vd_netq_side rx __attribute__((aligned(128)));	/* their threads are on different CPUs */
	unsigned int left;	/* buffers that the frame still goes on for */
	uint32_t len;		/* of the frame so far */
	uint32_t need;		/* what its header speaks of ends here */
	bool bad;		/* its header makes no sense */

	struct vd_netq_side tx __attribute__((aligned(128)));
	uint8_t *npieces;	/* by id, of frames of several */
	uint8_t **more;		/* by id, UVDPA_NET_SEGS each; [0] is not used */
	unsigned int nlong;	/* frames of several pieces in flight */
};

/* Return: 0; -ENOMEM, -EMFILE, -EINVAL with a sentence. */
int vd_netq_init(struct uvdpa_netq *q, const struct vd_netq_conf *conf);
void vd_netq_fini(struct uvdpa_netq *q);	/* harmless after vd_netq_zero() */
void vd_netq_zero(struct uvdpa_netq *q);

/* What the device shall be told of each queue. */
void vd_netq_vqs(const struct uvdpa_netq *q, struct uvdpa_vq *ret_rx, struct uvdpa_vq *ret_tx);

/* Bytes of a ring, whole pages. */
size_t vd_netq_rx_ring_size(uint64_t features, uint16_t num);
size_t vd_netq_tx_ring_size(uint64_t features, uint16_t num);

/* Take no more: rx_post and tx give @err. Context: control thread, as the two below. */
void vd_netq_refuse(struct uvdpa_netq *q, int err);

/* Nothing more will come from the device. What it finished before is still given back. */
void vd_netq_gone(struct uvdpa_netq *q, int err);

/* Both sides look again: a notification may have been lost. */
void vd_netq_nudge(struct uvdpa_netq *q);

/* ---- net-ctrl.c ------------------------------------------------------------------------------ */

#define VD_NET_COMMANDS 8u
#define VD_NET_COMMAND_MAX 1008u	/* bytes of what a command says */
#define VD_NET_CTRL_NUM 16u		/* the ring's size; 2 descriptors each */

/* One command, in the region. */
struct vd_net_slot {
	uint8_t out[VD_NET_COMMAND_MAX];	/* class, command, data: the device reads */
	uint8_t ack;				/* the device writes */
	uint8_t pad[15];
};

static_assert(sizeof(struct vd_net_slot) == 1024, "four to a page");

/* What we have of it. */
struct vd_net_command {
	bool busy;		/* with the device */
	bool expired;		/* nobody waits for it any more */
	uint8_t cls, cmd;
	uint64_t due_ns;
	struct uvdpa_wait *wait;	/* or NULL */
	unsigned int pairs;	/* what it sets, if not 0 */
	bool sets_mac;
	uint8_t mac[6];
};

struct vd_net_ctrl {
	struct uvdpa_net *net;
	struct vd_virtq_drv *vq;	/* NULL: the device has none */
	int kick, call;
	struct vd_fd call_fd;
	struct vd_timer timer;
	int broken;
	struct vd_net_slot vd_guest *slots;
	uint64_t slots_iova;
	uint8_t slot_of[VD_NET_CTRL_NUM];	/* by the ring's id */
	struct vd_net_command commands[VD_NET_COMMANDS];
};

/* Bytes of the ring and the slots, whole pages. */
size_t vd_net_ctrl_size(uint64_t features);

/**
 * vd_net_ctrl_init() - A control queue, at @off of the region
 * @c: within @net; vd_net_ctrl_zero() was called
 * @ret_vq: what the device shall be told
 *
 * Return: 0; -ENOMEM, -EMFILE. On failure vd_net_ctrl_fini() is still called.
 */
int vd_net_ctrl_init(struct vd_net_ctrl *c, struct uvdpa_net *net, size_t off,
		     struct uvdpa_vq *ret_vq);
void vd_net_ctrl_zero(struct vd_net_ctrl *c);

/* Nothing is answered any more: commands under way end with @err, in the loop. */
void vd_net_ctrl_gone(struct vd_net_ctrl *c, int err);
void vd_net_ctrl_fini(struct vd_net_ctrl *c);

/* The answers may be there: a notification may have been lost. */
void vd_net_ctrl_nudge(struct vd_net_ctrl *c);

/* ---- net.c ----------------------------------------------------------------------------------- */

/* A device in use. */
struct uvdpa_net {
	struct vd_netdrv *drv;		/* NULL: taken away */
	int err;			/* why no commands are taken; 0: they are */
	struct uvdpa_net_info info;
	unsigned int npairs;		/* of queues, as opened; info.pairs of them are in use */
	struct vd_dma dma;
	struct uvdpa_netq *queues;
	struct vd_net_ctrl ctrl;
};

/* The driver's state of a device. */
struct vd_netdrv {
	struct vd_virtio_bound bound;
	struct uvdpa_net *net;		/* open, or NULL */
	struct vd_net_tap *tap;		/* it is us who opened it, for this; or NULL */
};

/**
 * vd_net_open() - uvdpa_net_open() for who has the virtio device
 * @b: bound to this driver
 * @o: NULL for defaults
 *
 * Only the first pair is in use then; uvdpa_net_set_pairs() has to follow.
 *
 * Return: as uvdpa_net_open(); after a failure a reset may be under way.
 */
int vd_net_open(struct vd_virtio_bound *b, const struct uvdpa_net_opts *o,
		struct uvdpa_net **ret_net);

/* ---- net-config.c ---------------------------------------------------------------------------- */

/**
 * vd_net_get_info() - What the device says, as far as it makes sense
 * @vdev: after FEATURES_OK
 * @info: zeroed; all but pairs and queue_size is filled in
 *
 * Return: 0; -EBADMSG it cannot be used; -EINVAL, -EAGAIN as vd_virtio_get_config().
 */
int vd_net_get_info(struct vd_virtio_dev *vdev, struct uvdpa_net_info *info);

/* The parts of it that change; as above, and info is as it was when it fails. */
int vd_net_get_link(struct vd_virtio_dev *vdev, struct uvdpa_net_info *info);

/* ---- net-tap.c ------------------------------------------------------------------------------- */

/**
 * vd_net_tap_create() - The device as a network interface
 * @drv: not open; the interface opens it
 * @conf: with @conf->tap; borrowed for the interface's life
 *
 * Return: 0; -ENODEV, -EPERM no TUN here; -EBUSY, -EINVAL, ... the name; what vd_net_open() said.
 */
int vd_net_tap_create(struct vd_netdrv *drv, const struct vd_virtio_conf *conf,
		      struct vd_net_tap **ret_tap);

/* Take no more from the interface, which goes; config->quiesced() when that is done. */
void vd_net_tap_quiesce(struct vd_net_tap *tap);

/* Ends the threads, whatever they do. */
void vd_net_tap_destroy(struct vd_net_tap *tap);

/* Link, MTU or MAC are others, or it asks to be announced. */
void vd_net_tap_changed(struct vd_net_tap *tap);

void vd_net_tap_describe(struct vd_net_tap *tap, struct uvdpa_emit *e);

#endif
