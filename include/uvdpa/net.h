/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net.h - a network device on the bus, used from this process
 *
 * Opening binds the device to the in-process virtio bus (bus driver "virtio"); closing leaves it
 * bound and idle. Frames go and come in bursts, in memory from uvdpa_net_alloc(), with no copy. That
 * memory and the rings are one file in memory, mapped here and, a second time, by the device; so a
 * device in another process can have it, and closing needs to wait for nobody.
 *
 *	uvdpa_net_open(dev, NULL, &net);
 *	mem = uvdpa_net_alloc(net, 256 * 2048);
 *	q = uvdpa_net_queue(net, 0);
 *	for (i = 0; i < 256; i++)
 *		bufs[i] = (struct uvdpa_net_buf){ .mem = mem + i * 2048, .len = 2048 };
 *	uvdpa_netq_rx_post(q, bufs, 256);
 *	while (!(n = uvdpa_netq_rx(q, bufs, 32)))
 *		uvdpa_netq_rx_wait(q, -1);
 *	uvdpa_netq_tx(q, bufs, n);	// back to where they came from
 *	n = uvdpa_netq_tx_done(q, done, 32);
 *
 * Threads: all uvdpa_net_*() belong to the control thread. A pair of queues has a receive side and a
 * transmit side; each belongs to one thread at a time, any thread, and they may be different ones.
 * Nothing is locked.
 *
 * When the device is taken away (unbound, removed) the handle stays valid: calls on its queues say
 * -ENODEV once all that the device finished has been given back, and their descriptors are readable.
 * Memory that is with the device then is the caller's again. When the device breaks it is the same
 * with -EIO. Close, then open again.
 *
 * Context: control thread.
 */
#ifndef UVDPA_NET_H
#define UVDPA_NET_H

#include <uvdpa/uvdpa.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct uvdpa_net;
struct uvdpa_netq;

/* UVDPA_NET_HDR - Bytes before a frame that are the device's (virtio 1.3, 5.1.6) */
#define UVDPA_NET_HDR 12u
/* UVDPA_NET_SEGS - Pieces of a frame to be sent, at most */
#define UVDPA_NET_SEGS 64u
/* UVDPA_NET_MACS - Addresses of uvdpa_net_set_filter(), of each kind, at most */
#define UVDPA_NET_MACS 64u

/**
 * struct uvdpa_net_opts - How to drive the device
 * @size: sizeof(struct uvdpa_net_opts)
 * @pairs: of queues, at most so many; 0: all it has
 * @queue_size: ring size; 0: the largest, but 1024 at most
 * @mem: bytes that uvdpa_net_alloc() can hand out in all, fixed now because the memory of a
 *       running device does not change; 0: 16 MiB. Pages are used only when touched.
 * @offloads: what received frames may be, of 1 << VIRTIO_NET_F_GUEST_CSUM, _TSO4, _TSO6, _ECN, _UFO,
 *            _USO4, _USO6; 0: each is one frame as it would be on a wire, its checksums filled in.
 *            What can be sent needs no word: see info.features
 * @features_off: bits not to negotiate, of 1 << VIRTIO_*_F_*; for tests and measurements
 * @packed: prefer packed rings when offered (split is the default)
 */
struct uvdpa_net_opts {
	size_t size;
	unsigned int pairs;
	unsigned int queue_size;
	size_t mem;
	uint64_t offloads;
	uint64_t features_off;
	bool packed;
};

/**
 * struct uvdpa_net_info - What was found at open
 *
 * The library's, and may grow. mac, mtu, link_up, announce, speed and full_duplex follow the device.
 */
struct uvdpa_net_info {
	uint64_t features;		/* negotiated, 1 << VIRTIO_*_F_* */
	uint8_t mac[6];			/* zeros: the device has none */
	uint16_t mtu;			/* bytes; 1500 if it does not say */
	bool link_up;			/* frames get through */
	bool announce;			/* it asks to be announced; see uvdpa_net_announced() */
	bool full_duplex;		/* false also if it is unknown */
	uint32_t speed;			/* Mbit/s; 0: unknown */
	unsigned int pairs;		/* in use */
	unsigned int max_pairs;		/* that the device has */
	unsigned int queue_size;	/* descriptors of each */
	uint32_t rx_buf_min;		/* bytes of a buffer for uvdpa_netq_rx_post() */
	bool rx_merge;			/* a received frame may fill several buffers */
};

/**
 * struct uvdpa_net_hdr - What there is to know of a frame (virtio 1.3, 5.1.6)
 *
 * All zeros is a frame without any offload. Numbers are as this machine has them.
 */
struct uvdpa_net_hdr {
	uint8_t flags;			/* of VIRTIO_NET_HDR_F_* */
	uint8_t gso_type;		/* of VIRTIO_NET_HDR_GSO_* */
	uint16_t hdr_len, gso_size, csum_start, csum_offset; /* as there */
};

/* enum uvdpa_net_buf_flags - Of uvdpa_net_buf.flags */
enum uvdpa_net_buf_flags {
	UVDPA_NET_MORE = 1 << 0,	/* the next buffer goes on with this frame */
	UVDPA_NET_BAD = 1 << 1,		/* received, in the frame's last buffer: its header makes no
					 * sense, or it is no frame at all: drop it */
	UVDPA_NET_RAW = 1 << 2,		/* to be sent, in the first buffer: the header before the frame is
					 * filled in already, as it goes to the device; hdr is not used */
};

/**
 * struct uvdpa_net_buf - A frame, or a piece of one
 * @mem: memory from uvdpa_net_alloc(), and the caller's name for it: it comes back as it was
 * @off: from there: where the bytes of the frame begin. The UVDPA_NET_HDR bytes before the first
 *       piece of a frame are the device's, so it begins at UVDPA_NET_HDR, or later. A received
 *       frame's does at UVDPA_NET_HDR, and its further pieces at 0
 * @len: bytes of the frame in it; for rx_post: bytes of the memory
 * @flags: UVDPA_NET_MORE, ...
 * @hdr: of the frame; in its first piece
 */
struct uvdpa_net_buf {
	uint8_t *mem;
	uint32_t off;
	uint32_t len;
	uint32_t flags;
	struct uvdpa_net_hdr hdr;
};

/**
 * struct uvdpa_netq_stats - Counts of a pair's two sides since open
 *
 * Each side's are exact in its own thread.
 */
struct uvdpa_netq_stats {
	uint64_t rx_frames, rx_bytes, rx_bad; /* bad: marked UVDPA_NET_BAD */
	uint64_t tx_frames, tx_bytes;	/* given to the device */
	uint64_t rx_kicks, tx_kicks;	/* notifications sent */
	uint64_t reserved[8];		/* zeros */
};

/**
 * uvdpa_net_open() - Use a network device in this process
 * @dev: a device that is ready; bound to "virtio" if it is bound to nothing
 * @o: NULL for defaults
 * @ret_net: the handle; the caller's
 *
 * May dispatch the context's events while it waits for the bind, for the end of a former use, or for
 * the device to agree to the number of queues; so not to be called from a callback.
 *
 * Return: 0; -EBUSY it is bound to another driver, or in use already (open, or an interface); -ENODEV
 * not a network device, or going; -EAGAIN not ready; -EINVAL an option; -EOPNOTSUPP a legacy device;
 * -EBADMSG its configuration makes no sense; -EIO it refuses so many queues; -ETIMEDOUT it does not
 * answer.
 */
int uvdpa_net_open(struct uvdpa_dev *dev, const struct uvdpa_net_opts *o,
		   struct uvdpa_net **ret_net);

/**
 * uvdpa_net_close() - Use it no more
 * @net: the handle, or NULL; no thread is inside one of its queues any more
 *
 * Commands under way end with -ENODEV. Memory of uvdpa_net_alloc() is gone.
 */
void uvdpa_net_close(struct uvdpa_net *net);

/**
 * uvdpa_net_info() - What the device is
 * @net: the handle
 *
 * Return: the handle's, for its life.
 */
const struct uvdpa_net_info *uvdpa_net_info(const struct uvdpa_net *net);

/**
 * uvdpa_net_queue() - One of its pairs of queues
 * @net: the handle
 * @idx: below info.pairs
 *
 * Return: the pair, for the handle's life; NULL with uvdpa_error() if there is no such one.
 */
struct uvdpa_netq *uvdpa_net_queue(struct uvdpa_net *net, unsigned int idx);

/**
 * uvdpa_net_alloc() - Memory that frames may lie in
 * @net: the handle
 * @len: bytes, rounded up to pages
 *
 * Return: page-aligned, zeroed; NULL with uvdpa_error(): more than uvdpa_net_opts.mem in all.
 * Freed by uvdpa_net_free() or close.
 */
void *uvdpa_net_alloc(struct uvdpa_net *net, size_t len);

/**
 * uvdpa_net_free() - Give it back
 * @net: the handle
 * @p: from uvdpa_net_alloc(), or NULL; the device has nothing of it
 */
void uvdpa_net_free(struct uvdpa_net *net, void *p);

/* ---- commands -------------------------------------------------------------------------------- */

/* enum uvdpa_net_rx_mode - What uvdpa_net_set_rx_mode() turns on and off */
enum uvdpa_net_rx_mode {
	UVDPA_NET_PROMISC,	/* any frame; so it is after open */
	UVDPA_NET_ALLMULTI,	/* any multicast */
	UVDPA_NET_ALLUNI,	/* any unicast */
	UVDPA_NET_NOMULTI,	/* no multicast */
	UVDPA_NET_NOUNI,	/* no unicast */
	UVDPA_NET_NOBCAST,	/* no broadcast */
};

/**
 * uvdpa_net_set_pairs() - How many pairs of queues the device sends by, and looks at
 * uvdpa_net_set_rx_mode() - Which frames it receives
 * uvdpa_net_set_filter() - Which addresses it receives beside its own; replaces what was
 * uvdpa_net_set_mac() - Its own address
 * uvdpa_net_set_offloads() - What received frames may be, of what was negotiated at open
 * uvdpa_net_announced() - What info.announce asked for has been done
 * @net: the handle
 * @pairs: at most info.pairs as it was at open
 * @mode: what is turned
 * @on: on, or off
 * @macs: addresses, @nuni unicast ones, then @nmulti; borrowed for the call
 * @nuni: UVDPA_NET_MACS at most
 * @nmulti: likewise
 * @mac: the address
 * @offloads: as uvdpa_net_opts.offloads
 * @w: ends when the device has answered; may be NULL
 *
 * Commands. Announced: whoever is behind the device was told where it is.
 *
 * Return: -EINPROGRESS, and @w ends with 0, -EIO it was refused, -ETIMEDOUT no answer, or -ENODEV the
 * device was taken away. Or at once -EOPNOTSUPP the device has no such command, -EINVAL an argument,
 * -EAGAIN too many are under way, -ENODEV it was taken away, -EIO it is broken.
 */
int uvdpa_net_set_pairs(struct uvdpa_net *net, unsigned int pairs, struct uvdpa_wait *w);
int uvdpa_net_set_rx_mode(struct uvdpa_net *net, enum uvdpa_net_rx_mode mode, bool on,
			  struct uvdpa_wait *w);
int uvdpa_net_set_filter(struct uvdpa_net *net, const uint8_t (*macs)[6], unsigned int nuni,
			 unsigned int nmulti, struct uvdpa_wait *w);
int uvdpa_net_set_mac(struct uvdpa_net *net, const uint8_t mac[6], struct uvdpa_wait *w);
int uvdpa_net_set_offloads(struct uvdpa_net *net, uint64_t offloads, struct uvdpa_wait *w);
int uvdpa_net_announced(struct uvdpa_net *net, struct uvdpa_wait *w);

/* ---- receive side ---------------------------------------------------------------------------- */

/**
 * uvdpa_netq_rx_post() - Give buffers to the device, with at most one notification
 * @q: the pair
 * @bufs: mem and len of each, info.rx_buf_min at least
 * @n: how many
 *
 * Return: how many were taken, fewer if the ring is full or one of them is wrong; if the first is:
 * -EINVAL its length; -EFAULT memory that is not of uvdpa_net_alloc(). -ENODEV the device is gone;
 * -EIO it is broken. Sets no sentence.
 * Context: the thread that has the receive side.
 */
int uvdpa_netq_rx_post(struct uvdpa_netq *q, const struct uvdpa_net_buf *bufs, unsigned int n);

/**
 * uvdpa_netq_rx() - What was received
 * @q: the pair
 * @bufs: receives buffers, the caller's again
 * @max: so many at most
 *
 * A frame of several buffers may begin at the end of one burst and go on in the next.
 * What a header says of the frame (csum_start, csum_offset) lies within it, and its offloads are
 * negotiated; a frame of which that is not true is marked UVDPA_NET_BAD.
 *
 * Return: how many buffers; -ENODEV the device is gone, -EIO it is broken, and nothing is left.
 * Context: the thread that has the receive side.
 */
int uvdpa_netq_rx(struct uvdpa_netq *q, struct uvdpa_net_buf *bufs, unsigned int max);

/**
 * uvdpa_netq_rx_fd() - Readable when something may have come, after uvdpa_netq_rx_arm()
 * uvdpa_netq_tx_fd() - When memory may have come back, after uvdpa_netq_tx_arm()
 * @q: the pair; keeps the descriptor
 *
 * Return: the descriptor, for the handle's life.
 * Context: any thread.
 */
int uvdpa_netq_rx_fd(const struct uvdpa_netq *q);
int uvdpa_netq_tx_fd(const struct uvdpa_netq *q);

/**
 * uvdpa_netq_rx_arm() - Ask that uvdpa_netq_rx_fd() becomes readable
 * uvdpa_netq_tx_arm() - Ask that uvdpa_netq_tx_fd() does
 * @q: the pair
 *
 * One arm is good for one notification; uvdpa_netq_rx() and uvdpa_netq_tx_done() disarm.
 *
 * Return: true if something is there already.
 * Context: the thread that has that side.
 */
bool uvdpa_netq_rx_arm(struct uvdpa_netq *q);
bool uvdpa_netq_tx_arm(struct uvdpa_netq *q);

/**
 * uvdpa_netq_rx_wait() - Sleep until something may have come
 * uvdpa_netq_tx_wait() - Sleep until memory may have come back
 * @q: the pair
 * @timeout_ms: longest sleep in milliseconds; 0 does not sleep, -1 sleeps for ever
 *
 * Return: 0; -ETIMEDOUT; -EINTR a signal came. Sets no sentence.
 * Context: the thread that has that side.
 */
int uvdpa_netq_rx_wait(struct uvdpa_netq *q, int timeout_ms);
int uvdpa_netq_tx_wait(struct uvdpa_netq *q, int timeout_ms);

/* ---- transmit side --------------------------------------------------------------------------- */

/**
 * uvdpa_netq_tx() - Send frames, in order, with at most one notification
 * @q: the pair
 * @bufs: frames of up to UVDPA_NET_SEGS pieces each; their memory is the device's until
 *        uvdpa_netq_tx_done() gives it back
 * @n: buffers; the last one is the end of a frame
 *
 * Return: how many buffers were taken, always whole frames; fewer if the ring is full or a frame is
 * wrong; if the first is: -EINVAL its length, or too many pieces, or no room before it, or an
 * offload that was not negotiated; -EFAULT memory that is not of uvdpa_net_alloc(). -ENODEV the
 * device is gone; -EIO it is broken. Sets no sentence.
 * Context: the thread that has the transmit side.
 */
int uvdpa_netq_tx(struct uvdpa_netq *q, const struct uvdpa_net_buf *bufs, unsigned int n);

/**
 * uvdpa_netq_tx_done() - What was sent: the memory is the caller's again
 * @q: the pair
 * @mem: receives uvdpa_net_buf.mem of each piece
 * @max: so many at most; UVDPA_NET_SEGS or more if there are frames of several pieces
 *
 * Return: how many; -ENODEV the device is gone, -EIO it is broken, and nothing is left.
 * Context: the thread that has the transmit side.
 */
int uvdpa_netq_tx_done(struct uvdpa_netq *q, uint8_t **mem, unsigned int max);

/**
 * uvdpa_netq_tx_inflight() - How much is with the device
 * @q: the pair
 *
 * Return: frames.
 * Context: the thread that has the transmit side.
 */
unsigned int uvdpa_netq_tx_inflight(const struct uvdpa_netq *q);

/* ---- both sides ------------------------------------------------------------------------------ */

/**
 * uvdpa_netq_stats() - Counts of a pair
 * @q: the pair
 * @ret_stats: receives them
 *
 * Context: any thread.
 */
void uvdpa_netq_stats(const struct uvdpa_netq *q, struct uvdpa_netq_stats *ret_stats);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
