/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net.h - the virtio network device (virtio 1.3, 5.1), over anything that takes and brings frames
 *
 *	transmit:  a burst of the ring -> net.c decodes the headers -> ops->send()
 *	receive:   ops->receive() -> vd_net_rx_get(), _put() in place, or vd_net_deliver() by a copy
 *
 * A pair is a receive queue (2p) and a transmit queue (2p + 1), served by one worker. Frames are
 * never queued here: what a parent does not accept goes back into the ring, and what finds no
 * buffer in the receive queue stays where it came from, or is dropped and counted.
 *
 *	net.c		the device; the transmit side
 *	net-rx.c	the receive side
 *	net-pairs.c	which pairs are used, and how a worker serves its own
 *	net-steer.c	who receives what: the filter, and which pair
 *	net-gso.c	offloads in software
 *	net-gro.c	and the other way round
 *	net-conf.c	what it is, offers, and can be told while it is used
 *	net-ctrl.c	the control queue
 *	net-rarp.c	what is sent in the driver's name
 */
#ifndef VD_SOFTDEV_NET_H
#define VD_SOFTDEV_NET_H

#include <linux/virtio_ids.h>

#include "mem/sg.h"
#include "softdev/net-filter.h"
#include "softdev/net-rss.h"
#include "softdev/softdev.h"
#include "virtq/net-uapi.h"

struct vd_net;
struct vd_net_pair;

#define VD_NET_PAIRS_MAX      128
#define VD_NET_QUEUE_SIZE_MAX 4096
#define VD_NET_MTU_MIN	      68u
#define VD_NET_MTU_MAX	      65535u
#define VD_NET_HLEN	      14u    /* of the Ethernet header */
#define VD_NET_FRAME_MAX      65568u /* 64 KiB, its Ethernet header, and VLAN tags */
#define VD_NET_HEAD	      128u   /* bytes of a frame that are looked at, at most */
#define VD_NET_STASH	      96     /* buffers of a receive queue that are taken at once, at most */
#define VD_NET_PIECES	      256    /* of a frame, or of the buffers for one, at most */

#define VD_NET_F(bit) (1ull << VIRTIO_NET_F_##bit)

/* What a driver may leave to the device to do, and what it takes undone. */
#define VD_NET_HOST_OFFLOADS                                                              \
	(VD_NET_F(CSUM) | VD_NET_F(HOST_TSO4) | VD_NET_F(HOST_TSO6) | VD_NET_F(HOST_ECN) | \
	 VD_NET_F(HOST_UFO) | VD_NET_F(HOST_USO))
#define VD_NET_GUEST_OFFLOADS                                                             \
	(VD_NET_F(GUEST_CSUM) | VD_NET_F(GUEST_TSO4) | VD_NET_F(GUEST_TSO6) |             \
	 VD_NET_F(GUEST_ECN) | VD_NET_F(GUEST_UFO) | VD_NET_F(GUEST_USO4) |               \
	 VD_NET_F(GUEST_USO6))
#define VD_NET_OFFLOADS (VD_NET_HOST_OFFLOADS | VD_NET_GUEST_OFFLOADS)

/* For a parent whose wire has no place for work that is left undone: it puts segments together. */
#define VD_NET_GRO_OFFLOADS \
	(VD_NET_F(GUEST_CSUM) | VD_NET_F(GUEST_TSO4) | VD_NET_F(GUEST_TSO6))

/* All that vd_net_init() may offer; for uvdpa_parent.features. */
#define VD_NET_FEATURES                                                                    \
	(VD_SOFTDEV_FEATURES | VD_NET_OFFLOADS | VD_NET_F(MAC) | VD_NET_F(MTU) |           \
	 VD_NET_F(STATUS) | VD_NET_F(SPEED_DUPLEX) | VD_NET_F(MRG_RXBUF) |                 \
	 VD_NET_F(CTRL_VQ) | VD_NET_F(CTRL_RX) | VD_NET_F(CTRL_RX_EXTRA) |                 \
	 VD_NET_F(CTRL_VLAN) | VD_NET_F(CTRL_MAC_ADDR) | VD_NET_F(CTRL_GUEST_OFFLOADS) |   \
	 VD_NET_F(GUEST_ANNOUNCE) | VD_NET_F(MQ) | VD_NET_F(RSS) | VD_NET_F(HASH_REPORT) | \
	 VD_NET_F(STANDBY))

/* A header in this machine's byte order. */
struct vd_net_hdr {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
};

/**
 * struct vd_net_frame - A frame on its way
 * @chain: of the transmit queue that it is from; NULL: it is from elsewhere; not the parent's affair
 * @iov: from its Ethernet header on; memory of the sender, which may change it, or local
 * @niov: pieces, at least 1
 * @len: bytes of them, VD_NET_HLEN to VD_NET_FRAME_MAX
 * @head: a copy of its first bytes, VD_NET_HEAD or all; NULL: nobody has made one yet
 * @hdr: what is left to be done; it was negotiated, and lies within the frame
 */
struct vd_net_frame {
	struct vd_chain *chain;
	struct vd_iov *iov;
	unsigned int niov;
	uint32_t len;
	const uint8_t *head;
	struct vd_net_hdr hdr;
};

/* What a network parent does; no slot is NULL. */
struct vd_net_ops {
	/* Frames of the driver, in order, at most VD_SOFTQ_BURST; the array is the caller's. Each
	 * one that is accepted ends with vd_net_sent(), now or later. Return: how many are; the
	 * others come again after vd_net_tx_retry(), or when the pair's descriptor is writable; it
	 * is called with none first then, for what a parent itself has begun. Context: the pair's
	 * worker. */
	unsigned int (*send)(struct vd_net *net, struct vd_net_pair *pair,
			     struct vd_net_frame *frames, unsigned int n);

	/* Bring what has come, a burst of it. Called in each round as long as the receive queue
	 * runs and has buffers. Return: how many frames. Context: the pair's worker. */
	unsigned int (*receive)(struct vd_net *net, struct vd_net_pair *pair);

	/* The descriptor of a pair, readable when receive has something, writable when send can go
	 * on; -1: none. It is the parent's, and stays. Within vd_net_init(). */
	int (*pair_fd)(struct vd_net *net, unsigned int pair);

	/* The driver takes these undone from now on (of VD_NET_GUEST_OFFLOADS). Context: the control
	 * thread, or the control queue's worker. */
	void (*set_offloads)(struct vd_net *net, uint64_t guest);

	/* Spread frames among so many pairs, the first ones: they are in use, and run; at the start
	 * it is 1. When it is so vd_net_spread() says it, now or later; but those that there shall
	 * not be are not asked to receive any more. Control thread. */
	void (*set_pairs)(struct vd_net *net, unsigned int pairs);

	/* What uvdpa_dev_show() shall tell beside what every network device has. Control thread,
	 * as all below. */
	void (*show)(struct vd_net *net, struct uvdpa_emit *e);
	void (*reset)(struct vd_net *net);
	void (*destroy)(struct vd_net *net);
};

/* For a parent to which it makes no difference. */
int vd_net_no_fd(struct vd_net *net, unsigned int pair);
void vd_net_any_offloads(struct vd_net *net, uint64_t guest);
void vd_net_any_pairs(struct vd_net *net, unsigned int pairs);
void vd_net_show_nothing(struct vd_net *net, struct uvdpa_emit *e);
void vd_net_reset_nothing(struct vd_net *net);

struct vd_net_conf {
	uint8_t mac[6];
	uint16_t mtu;		 /* 0: 1500 */
	unsigned int max_vqp;	 /* pairs, 1 to VD_NET_PAIRS_MAX; 0: 1 */
	unsigned int queue_size; /* a power of two; 0: 256 */
	uint64_t offloads;	 /* of VD_NET_OFFLOADS, what the parent can pass on */
	uint32_t speed_mbps;	 /* 0: unknown */
	bool link_down;		 /* at the start */
	bool no_carrier;	 /* likewise: there is nobody at the other end yet */
	bool standby;		 /* offer STANDBY: it is the second path of another one's device */
	bool rss;		 /* offer RSS and HASH_REPORT */
	bool own_pairs;		 /* the parent itself knows which pair a frame is for: no RSS */
	struct vd_softdev_conf soft;
};

/* Counters of one direction of a pair; as vd_softq_stats. */
struct vd_net_counts {
	uint64_t packets, bytes, errors, drops, overruns;
};

/* Counters of the control queue. */
struct vd_net_ctrl_counts {
	uint64_t requests, successes, errors;
};

struct vd_net_pair {
	struct vd_net *net;
	unsigned int idx;
	struct vd_softq *rx, *tx;
	struct vd_worker *worker;
	int fd;			/* the parent's, or -1 */
	uint32_t watched;	/* events of it that the worker waits for; the worker's */
	bool tx_blocked;	/* the worker's */
	bool tx_again;		/* atomic: it shall not be any more */
	uint64_t short_since_ns; /* the parent has a frame for which the buffers do not do; likewise */
	bool runs;		/* atomic: its receive queue does; the worker's */
	struct vd_net_counts sent;	/* the worker's */

	/* Of who has locked the receive queue. */
	struct vd_net_counts received;
	const struct vd_worker *by;
	unsigned int nstash, nfilled;	/* taken; of them, to be given back as used */
	unsigned int ntake;		/* buffers that are taken at once */
	struct vd_chain *stash[VD_NET_STASH];
	struct vd_iov pieces[VD_NET_PIECES];
};

/* Embedded, first, in the parent's device. */
struct vd_net {
	struct vd_softdev sd;
	const struct vd_net_ops *ops;
	struct vd_net_conf conf;
	struct virtio_net_config config; /* little-endian; status is atomic, mac not used */
	struct vd_net_pair *pairs;	 /* conf.max_vqp of them */
	struct vd_net_worker *workers;
	struct vd_net_ctrl_counts ctrl;	 /* the control queue's worker's */

	/* Constant while queues run. */
	unsigned int hdr_len;
	unsigned int ctrl_idx;		 /* of the control queue; none: UINT_MAX */
	bool mergeable;

	bool carrier;			 /* control's */

	/* Change while queues run: */
	uint64_t guest_offloads;	 /* atomic: what the driver takes undone */
	unsigned int used_pairs;	 /* atomic: as the driver says, */
	bool driver_says;		 /* atomic: if it does */
	unsigned int spread;		 /* atomic: of them, for which something may come */
	bool link_wanted;		 /* atomic: by the user */
	bool link_up;			 /* atomic: wanted, and there is a carrier */
	uint64_t mac;			 /* atomic: the driver's address, as a number */
	uint32_t fragment_id;		 /* atomic */

	unsigned int asked;		 /* control's: ops->set_pairs() */
	unsigned int given;		 /* control's: what vd_net_spread() said of it */
	struct vd_post settle;		 /* finds out what to spread frames among */
	struct vd_timer fewer;		 /* they have become less, if that is still so */

	struct {
		uint64_t mac;		 /* atomic: who shall be announced; 0: nobody */
		struct vd_iov piece;	 /* the rest is the first pair's worker's */
		uint8_t frame[60];
	} rarp;

	/* What the driver says by the control queue. Who has locked a receive queue may look; who
	 * changes it has locked all of them. */
	struct vd_net_filter filter;
	struct vd_net_rss rss;
	bool plain;			 /* atomic: all frames are wanted, and have no hash */
	bool learns;			 /* atomic: flows that are sent come back on their pair */
	struct vd_net_flows flows;
};

/* The options that every network parent has; embedded in its configuration. */
struct vd_net_args {
	char *mac;
	uint64_t mtu, max_vqp, queue_size, workers, poll_us, speed;
	bool link, standby, rss;
};

#define VD_NET_OPT(k, t, conf, field, ...) \
	{ .key = k, .type = UVDPA_OPT_##t, .offset = offsetof(conf, field), __VA_ARGS__ }

/* clang-format off */
/* For the parent's table; @member: the struct vd_net_args in @conf. */
#define VD_NET_OPTS(conf, member)                                                               \
	VD_NET_OPT("mac", STRING, conf, member.mac, .needs = VD_NET_F(MAC),                     \
		   .help = "Ethernet address of the driver's side; or one made of the name"),   \
	VD_NET_OPT("mtu", UINT, conf, member.mtu, .def = "1500", .min = VD_NET_MTU_MIN,         \
		   .max = VD_NET_MTU_MAX, .needs = VD_NET_F(MTU),                               \
		   .help = "largest packet, bytes"),                                            \
	VD_NET_OPT("max_vqp", UINT, conf, member.max_vqp, .def = "1", .min = 1,                 \
		   .max = VD_NET_PAIRS_MAX, .needs = VD_NET_F(MQ) | VD_NET_F(RSS),              \
		   .help = "pairs of queues"),                                                  \
	VD_NET_OPT("queue_size", UINT, conf, member.queue_size, .def = "256", .min = 4,         \
		   .max = VD_NET_QUEUE_SIZE_MAX, .help = "largest ring, a power of two"),       \
	VD_NET_OPT("workers", UINT, conf, member.workers, .def = "1", .min = 1,                 \
		   .max = VD_NET_PAIRS_MAX, .help = "data threads, at most one for a pair"),    \
	VD_NET_OPT("poll_us", UINT, conf, member.poll_us, .max = 1000000,                       \
		   .help = "longest time to look for frames before sleeping, microseconds"),    \
	VD_NET_OPT("speed", UINT, conf, member.speed, .max = INT32_MAX,                         \
		   .help = "what the driver shall tell of it, Mbit/s; 0: unknown"),             \
	VD_NET_OPT("link", BOOL, conf, member.link, .def = "on", .help = "whether it is up"),   \
	VD_NET_OPT("standby", BOOL, conf, member.standby,                                       \
		   .help = "offer STANDBY, for a driver that has another path, too"),           \
	VD_NET_OPT("rss", BOOL, conf, member.rss,                                               \
		   .help = "offer RSS and HASH_REPORT: the driver says which flow goes where")
/* clang-format on */

/**
 * vd_net_args() - Put the common options into a configuration
 * @name: the device's; borrowed as long as @conf is used
 *
 * Return: 0; -EINVAL the address is none, or of a group.
 */
int vd_net_args(const struct vd_net_args *args, const char *name, struct vd_net_conf *conf);

/* "52:54:00:12:34:56". Return: 0; -EINVAL without a sentence. */
int vd_net_mac(const char *text, uint8_t ret_mac[6]);

/**
 * vd_net_begin() - A device of which little is known yet: all it can do is to be destroyed
 * @net: zeroed
 *
 * For an add that returns -EINPROGRESS. vd_net_init() follows before uvdpa_dev_arrived().
 */
void vd_net_begin(struct vd_net *net, struct uvdpa *u, const struct vd_net_ops *ops);

/**
 * vd_net_init() - Make the device; starts its workers
 * @net: zeroed, embedded in the parent's device, which pair_fd may use already
 * @conf: copied
 *
 * Return: 0; -EINVAL a value is out of range; on failure nothing is left behind.
 */
int vd_net_init(struct vd_net *net, struct uvdpa *u, const struct vd_net_ops *ops,
		const struct vd_net_conf *conf);

/* ---- transmit; the pair's worker ------------------------------------------------------------- */

/* Frames that were accepted are the driver's again; @n of them, of one pair. */
void vd_net_sent(struct vd_net_pair *pair, const struct vd_net_frame *frames, unsigned int n);

/* One that was accepted, and could not be sent: so it is counted. */
void vd_net_tx_drop(struct vd_net_pair *pair, const struct vd_net_frame *frame, uint64_t *counter);

/* What send did not accept may be tried again. */
void vd_net_tx_retry(struct vd_net_pair *pair);

/* Within send: it has accepted all, and shall not be called before the descriptor is writable. */
void vd_net_tx_wait(struct vd_net_pair *pair);

/* Another descriptor, or -1; the former, which must be open still, is not watched any more. */
void vd_net_pair_set_fd(struct vd_net_pair *pair, int fd);

/* ---- receive, by a copy; any data thread ----------------------------------------------------- */

/**
 * vd_net_deliver() - Frames for the driver
 * @by: the worker whose thread this is, of whatever device; NULL: none
 * @frames: @n of them, at most VD_SOFTQ_BURST; as they were sent, by whoever it was
 *
 * What is not for it, or finds no buffer, is dropped and counted. So it is, uncounted, while who has
 * locked the queue is caught in somebody's memory. Return: how many got in.
 */
unsigned int vd_net_deliver(struct vd_net *net, const struct vd_worker *by,
			    const struct vd_net_frame *frames, unsigned int n);

/**
 * vd_net_offer() - Frames that came in for one pair, and can wait
 * @frames: @n of them, with nothing left to be done
 *
 * The first for which there are not buffers enough, and those after it, may be offered again when receive
 * is called. Return: how many were taken, or dropped for another reason. Context: the pair's worker.
 */
unsigned int vd_net_offer(struct vd_net_pair *pair, const struct vd_net_frame *frames, unsigned int n);

/* ---- receive, in place; any data thread ------------------------------------------------------ */

/* Where a frame may come to lie. */
struct vd_net_rx {
	struct vd_iov *iov;	/* for the frame, without the header; may be changed */
	unsigned int niov;
	uint32_t len;		/* bytes of them; perhaps less than was wanted */
	unsigned int nchains;	/* net-rx.c's */
};

/* Lock the pair's receive queue. Return: false: it does not run, and is not locked. */
bool vd_net_rx_begin(struct vd_net_pair *pair, const struct vd_worker *by);

/**
 * vd_net_rx_get() - Room for the next frame
 * @want: bytes; without MRG_RXBUF it is what one buffer has
 *
 * Return: true; false: the driver has no buffers there.
 */
bool vd_net_rx_get(struct vd_net_pair *pair, uint32_t want, struct vd_net_rx *ret_rx);

/* A frame of @len bytes is there, at most ret_rx->len; or it is not, and the next get gives the same. */
void vd_net_rx_put(struct vd_net_pair *pair, const struct vd_net_rx *rx,
		   const struct vd_net_hdr *hdr, uint32_t len);

/**
 * vd_net_rx_wait() - There is not room enough for a frame that is here already
 *
 * The parent keeps it. Its receive is called when there are more buffers, and after a moment in any
 * case; no more frames are waited for until one was put. Begin, get, wait, end, by the pair's worker.
 *
 * Return: false: it has been so for long, as a driver with so few buffers never has room for it. The
 * frame is counted, and the parent drops it.
 */
bool vd_net_rx_wait(struct vd_net_pair *pair);

/**
 * vd_net_rx_all() - Copy frames to the driver, as far as it has buffers
 * @frames: @n of them, of one piece each, with nothing left to be done
 * @ret_short: the next one is larger than what there is, though others may be to come
 *
 * Segments of a TCP stream become one frame, if the driver takes it. Between begin and end. Return: how
 * many were taken, or dropped, as they do not fit into any buffer.
 */
unsigned int vd_net_rx_all(struct vd_net_pair *pair, const struct vd_net_frame *frames,
			   unsigned int n, bool *ret_short);

/* Tell the driver, and unlock. */
void vd_net_rx_end(struct vd_net_pair *pair);

/* ---- the rest; control thread ---------------------------------------------------------------- */

/* Frames are spread among so many pairs now. */
void vd_net_spread(struct vd_net *net, unsigned int pairs);

/* The driver sees a link when its user wants it up, and there is somebody at the other end. */
void vd_net_set_link(struct vd_net *net, bool wanted);
void vd_net_set_carrier(struct vd_net *net, bool carrier);

/* What send did not accept may be tried again, and the pair's worker looks at all else as well. Any thread. */
void vd_net_tx_again(struct vd_net_pair *pair);

/* A pair's worker looks at what its parent has for it: receive is called if the queue runs. Any thread. */
void vd_net_wake(struct vd_net_pair *pair);

/* Send a RARP in the name of @mac, once the driver runs its first pair. */
void vd_net_rarp(struct vd_net *net, const uint8_t mac[6]);

/* A driver that negotiated GUEST_ANNOUNCE shall tell the network where its addresses are now. */
void vd_net_announce(struct vd_net *net);

/* Is this the driver's address? Any thread. */
static inline bool vd_net_is_own(const struct vd_net *net, const uint8_t mac[6])
{
	return __atomic_load_n(&net->mac, __ATOMIC_RELAXED) == vd_net_mac_number(mac);
}

static inline bool vd_net_has(const struct vd_net *net, uint64_t feature)
{
	return net->sd.features & feature;
}

/* Counters have one writer at a time and are read by control. */
static inline void vd_net_count(uint64_t *c, uint64_t n)
{
	__atomic_store_n(c, *c + n, __ATOMIC_RELAXED);
}

/* ---- inside net*.c --------------------------------------------------------------------------- */

/* net-conf.c: replace the zeros that mean a default, and check the rest. Return: 0; -EINVAL. */
int vd_net_complete(struct vd_net_conf *c);
uint64_t vd_net_features(const struct vd_net_conf *c);
void vd_net_fill_config(struct vd_net *net);
int vd_net_stats(struct vd_softdev *sd, unsigned int idx, struct uvdpa_emit *e);
extern const struct uvdpa_set_ops vd_net_set_ops;
extern const struct uvdpa_show_ops vd_net_show_ops;

/* net-ctrl.c, the control queue's worker: its requests. */
void vd_net_ctrl(struct vd_softq *q, struct vd_chain **chains, unsigned int n);
/* One of them. Return: 0; -EBADMSG it is none, or has no place for an answer; -EOPNOTSUPP not offered, not
 * negotiated or not known; -EINVAL a length or a value makes no sense. */
int vd_net_command(struct vd_net *net, const struct vd_chain *chain);

/*
 * net-steer.c. The driver is told nothing of what happens between lock_all and unlock_all; settle is
 * called there, or while no queue runs, after a change.
 */
void vd_net_lock_all(struct vd_net *net);
void vd_net_unlock_all(struct vd_net *net);
void vd_net_settle(struct vd_net *net);
/* As a device begins, with these features. No queue runs. */
void vd_net_steer_reset(struct vd_net *net, uint64_t features);
/* What was sent on a pair: where it shall come back, if that is of interest. The pair's worker. */
static inline bool vd_net_learns(const struct vd_net *net)
{
	return __atomic_load_n(&net->spread, __ATOMIC_RELAXED) > 1 &&
	       __atomic_load_n(&net->learns, __ATOMIC_RELAXED);
}
void vd_net_learn(struct vd_net_pair *pair, const struct vd_net_frame *frames, unsigned int n);

#define VD_NET_NOBODY UINT16_MAX /* wants it */

/* Where a frame goes, and what the driver is told of it. */
struct vd_net_way {
	uint16_t pair;
	struct vd_net_hash hash;
};

/* @b: the first bytes of a frame, up to VD_NET_HEAD. A receive queue is locked. */
struct vd_net_way vd_net_look(const struct vd_net *net, const uint8_t *b, size_t len);

/* VIRTIO_NET_S_*. Any thread. */
void vd_net_set_status(struct vd_net *net, uint16_t bit, bool on);

/* net-rarp.c: what vd_net_rarp() wants; the first pair's worker. */
void vd_net_rarp_send(struct vd_net *net);

/* net-pairs.c, control thread: all of them, as conf says; fini is harmless after zero. */
int vd_net_pairs_init(struct vd_net *net);
void vd_net_pairs_fini(struct vd_net *net);
/* A driver begins, and has said nothing yet; it will use only one. */
void vd_net_pairs_begin(struct vd_net *net);
void vd_net_pairs_one(struct vd_net *net);
/* As vd_softdev_ops.worker_start. */
int vd_net_worker_start(struct vd_softdev *sd, struct vd_worker *w, struct vd_engine **ret_engine);

/* So many pairs are used from now on; the control thread, or the control queue's worker. */
void vd_net_use_pairs(struct vd_net *net, unsigned int pairs);
void vd_net_use_offloads(struct vd_net *net, uint64_t guest);

#endif
