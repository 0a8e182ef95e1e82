/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-xdp-open.c - the sockets of the net-xdp parent are made
 *
 * By a job, as it waits for whoever else changes interfaces; and as the namespace is the thread's,
 * which ends with it. What was opened there stays there.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/netlink.h"
#include "base/tun.h"
#include "parent/net-xdp.h"

#define PATIENCE_NS 1000000000u

/* What the job works on. The device may be gone before it ends, so all of it is its own. */
struct vd_xdp_open {
	struct vd_job job;
	struct vd_xdp *xdp; /* NULL: nobody wants it any more; control's */
	void (*done)(struct vd_xdp *xdp, int err);
	char *name, *ifname, *netns; /* the last may be NULL */
	unsigned int first, mode, how;
	uint32_t chunk, mtu;
	bool promisc;
	struct vd_xdp_if dev;
};

/* ---- a socket -------------------------------------------------- */

static int map_ring(int fd, struct vd_xdp_ring *r, const struct xdp_ring_offset *off, size_t entry,
		    off_t page_offset)
{
	size_t len = off->desc + VD_XDP_CHUNKS * entry;
	uint8_t *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
			    page_offset);

	if (map == MAP_FAILED)
		return vd_err(-errno, "rings: %m");
	*r = (struct vd_xdp_ring){
		.producer = (uint32_t *)(void *)(map + off->producer),
		.consumer = (uint32_t *)(void *)(map + off->consumer),
		.flags = (uint32_t *)(void *)(map + off->flags),
		.entries = map + off->desc,
		.map = map,
		.map_len = len,
	};
	return 0;
}

static int map_rings(struct vd_xdp_queue *q)
{
	struct xdp_mmap_offsets off;
	socklen_t len = sizeof(off);
	int r;

	if (getsockopt(q->fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &len))
		return vd_err(-errno, "rings: %m");
	if (len != sizeof(off))
		return vd_err(-EOPNOTSUPP, "AF_XDP of this kernel is too old, Linux 5.4 is needed");
	r = map_ring(q->fd, &q->fill, &off.fr, 8, (off_t)XDP_UMEM_PGOFF_FILL_RING);
	if (!r)
		r = map_ring(q->fd, &q->done, &off.cr, 8, (off_t)XDP_UMEM_PGOFF_COMPLETION_RING);
	if (!r)
		r = map_ring(q->fd, &q->rx, &off.rx, sizeof(struct xdp_desc), XDP_PGOFF_RX_RING);
	if (!r)
		r = map_ring(q->fd, &q->tx, &off.tx, sizeof(struct xdp_desc), XDP_PGOFF_TX_RING);
	return r;
}

static int make_memory(struct vd_xdp_queue *q)
{
	struct xdp_umem_reg reg = { .chunk_size = q->chunk };

	q->umem_len = 2ull * VD_XDP_CHUNKS * q->chunk;
	q->umem = mmap(NULL, q->umem_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
	if (q->umem == MAP_FAILED) {
		q->umem = NULL;
		return vd_err(-ENOMEM, "no memory for %zu bytes of frames", q->umem_len);
	}
	reg.addr = (uint64_t)(uintptr_t)q->umem;
	reg.len = q->umem_len;
	if (setsockopt(q->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)))
		return vd_err(-errno, "%zu bytes of frames: %m%s", q->umem_len,
			      errno == ENOBUFS ? " (RLIMIT_MEMLOCK)" : "");
	return 0;
}

static int make_rings(struct vd_xdp_queue *q)
{
	static const int rings[] = { XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING,
				     XDP_TX_RING };
	unsigned int n = VD_XDP_CHUNKS;

	for (size_t i = 0; i < VD_ARRAY_SIZE(rings); i++)
		if (setsockopt(q->fd, SOL_XDP, rings[i], &n, sizeof(n)))
			return vd_err(-errno, "rings: %m");
	return map_rings(q);
}

/* The first half of the chunks is to be received into, the other one to be sent from. */
static void hand_out(struct vd_xdp_queue *q)
{
	uint64_t *fill = q->fill.entries;

	for (uint32_t i = 0; i < VD_XDP_CHUNKS; i++) {
		fill[i] = (uint64_t)i * q->chunk;
		q->free[i] = VD_XDP_CHUNKS + i;
	}
	q->nfree = q->fill.at = VD_XDP_CHUNKS;
	__atomic_store_n(q->fill.producer, q->fill.at, __ATOMIC_RELEASE);
}

/* The kernel gives a queue back some time after its last socket was closed. */
static int bind_patiently(int fd, const struct sockaddr_xdp *sa)
{
	uint64_t end = vd_now_ns() + PATIENCE_NS;
	int r;

	while ((r = bind(fd, (const struct sockaddr *)sa, sizeof(*sa))) && errno == EBUSY &&
	       vd_now_ns() < end)
		usleep(2000);
	return r;
}

static int bind_queue(struct vd_xdp_open *o, struct vd_xdp_queue *q, unsigned int i)
{
	static const uint16_t flags[] = {
		[VD_XDP_ANY] = 0, [VD_XDP_COPY] = XDP_COPY, [VD_XDP_ZEROCOPY] = XDP_ZEROCOPY,
	};
	struct sockaddr_xdp sa = {
		.sxdp_family = AF_XDP,
		.sxdp_flags = flags[o->mode] | XDP_USE_NEED_WAKEUP,
		.sxdp_ifindex = (uint32_t)o->dev.index,
		.sxdp_queue_id = o->first + i,
	};
	struct xdp_options opts = { 0 };
	socklen_t len = sizeof(opts);

	if (!o->dev.native && o->mode == VD_XDP_ANY)
		sa.sxdp_flags |= XDP_COPY;
	if (bind_patiently(q->fd, &sa)) {
		switch (errno) {
		case EINVAL:
			return vd_err(-EINVAL, "it has no queue %u", o->first + i);
		case EBUSY:
			return vd_err(-EBUSY, "queue %u is used by another program", o->first + i);
		case EOPNOTSUPP:
			return vd_err(-EOPNOTSUPP, "queue %u: its driver cannot do without a copy",
				      o->first + i);
		}
		return vd_err(-errno, "queue %u: %m", o->first + i);
	}
	if (!getsockopt(q->fd, SOL_XDP, XDP_OPTIONS, &opts, &len))
		o->dev.zerocopy = opts.flags & XDP_OPTIONS_ZEROCOPY;
	return 0;
}

static int open_queue(struct vd_xdp_open *o, unsigned int i)
{
	struct vd_xdp_queue *q = &o->dev.queues[i];
	int r;

	q->chunk = o->chunk;
	q->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (q->fd < 0)
		return vd_err(-errno, "socket: %m%s",
			      errno == EAFNOSUPPORT ? " (this kernel has no AF_XDP)" :
			      errno == EPERM	    ? " (it takes CAP_NET_RAW)" : "");
	r = make_memory(q);
	if (!r)
		r = make_rings(q);
	if (r)
		return r;
	hand_out(q);
	r = bind_queue(o, q, i);
	return r ? r : vd_xdp_map(&o->dev, o->first + i, q->fd);
}

/* ---- the interface -------------------------------------------------- */

/* For frames to another address than its own; for as long as the socket is there. */
static int make_promiscuous(struct vd_xdp_if *dev)
{
	struct packet_mreq m = { .mr_ifindex = dev->index, .mr_type = PACKET_MR_PROMISC };

	dev->promisc = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (dev->promisc < 0 || setsockopt(dev->promisc, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m,
					   sizeof(m)))
		return vd_err(-errno, "frames to any address: %m");
	return 0;
}

static int find(struct vd_xdp_open *o, struct vd_link *l)
{
	int r = vd_link_get(o->dev.nl, o->ifname, l);

	if (r == -ENODEV)
		return vd_err(r, "it is not there");
	if (r)
		return r;
	if (l->type != ARPHRD_ETHER && l->type != ARPHRD_LOOPBACK)
		return vd_err(-EINVAL, "it has no Ethernet frames");
	if (l->mtu < o->mtu)
		return vd_err(-EINVAL, "its mtu is %u, less than the device's %u", l->mtu, o->mtu);
	o->dev.index = l->index;
	memcpy(o->dev.name, l->name, sizeof(o->dev.name));
	return 0;
}

static int open_all(struct vd_xdp_open *o)
{
	struct vd_link l;
	int r = find(o, &l);

	if (!r)
		r = vd_xdp_attach(&o->dev, o->first, o->how);
	for (unsigned int i = 0; !r && i < o->dev.nqueues; i++)
		r = open_queue(o, i);
	if (!r && o->promisc)
		r = make_promiscuous(&o->dev);
	/* First the one, then the other: nothing is missed in between. */
	if (!r)
		r = vd_link_watch(o->dev.nl, l.index);
	if (r)
		return r;
	vd_link_ask(o->dev.nl, l.index);
	o->dev.up = l.flags & IFF_UP && l.flags & IFF_RUNNING;
	return 0;
}

static int open_run(struct vd_job *j)
{
	struct vd_xdp_open *o = container_of(j, struct vd_xdp_open, job);
	int r = o->netns ? vd_netns_enter(o->netns) : 0; /* for as long as this thread is */

	if (!r)
		r = o->dev.nl = vd_netlink();
	if (r < 0)
		return r;
	r = open_all(o);
	return r ? vd_err_prefix(r, "interface %s: ", o->ifname) : 0;
}

/* ---- control thread -------------------------------------------------- */

static void close_ring(struct vd_xdp_ring *r)
{
	if (r->map)
		munmap(r->map, r->map_len);
}

void vd_xdp_close(struct vd_xdp_if *dev)
{
	vd_close(&dev->link);
	for (unsigned int i = 0; dev->queues && i < dev->nqueues; i++) {
		struct vd_xdp_queue *q = &dev->queues[i];

		close_ring(&q->fill);
		close_ring(&q->done);
		close_ring(&q->rx);
		close_ring(&q->tx);
		vd_close(&q->fd);
		if (q->umem)
			munmap(q->umem, q->umem_len);
	}
	free(dev->queues);
	dev->queues = NULL;
	vd_close(&dev->prog);
	vd_close(&dev->map);
	vd_close(&dev->promisc);
	vd_close(&dev->nl);
}

static struct vd_xdp_if no_if(void)
{
	return (struct vd_xdp_if){ .prog = -1, .map = -1, .link = -1, .promisc = -1, .nl = -1 };
}

static void open_free(struct vd_xdp_open *o)
{
	vd_xdp_close(&o->dev);
	free(o->name);
	free(o->ifname);
	free(o->netns);
	free(o);
}

static void open_done(struct vd_job *j, int err)
{
	struct vd_xdp_open *o = container_of(j, struct vd_xdp_open, job);
	struct vd_xdp *xdp = o->xdp;

	if (xdp) {
		xdp->open = NULL;
		if (!err) {
			xdp->dev = o->dev;
			o->dev = no_if();
		}
		o->done(xdp, err);
	}
	open_free(o);
}

static int take_conf(struct vd_xdp_open *o, const struct vd_xdp *xdp)
{
	const struct vd_xdp_conf *c = xdp->conf;
	size_t size;

	o->mtu = xdp->net_conf.mtu;
	if (o->mtu > VD_XDP_MTU_MAX)
		return vd_err(-EINVAL, "%s: mtu %u, a chunk of AF_XDP holds at most %u", o->name,
			      o->mtu, VD_XDP_MTU_MAX);
	o->chunk = o->mtu + VD_XDP_FRAME + VD_XDP_HEADROOM > VD_XDP_CHUNK ? VD_XDP_CHUNK_MAX
									   : VD_XDP_CHUNK;
	o->first = (unsigned int)c->queue;
	o->mode = c->mode;
	o->how = c->xdp;
	o->promisc = c->promisc;
	o->dev.nqueues = xdp->net_conf.max_vqp;
	size = o->dev.nqueues * sizeof(*o->dev.queues);
	o->dev.queues = aligned_alloc(_Alignof(struct vd_xdp_queue), size);
	o->ifname = strdup(c->ifname);
	o->netns = c->netns ? strdup(c->netns) : NULL;
	if (!o->dev.queues || !o->ifname || !o->netns != !c->netns)
		return vd_err(-ENOMEM, "%s: no memory", o->name);
	memset(o->dev.queues, 0, size);
	for (unsigned int i = 0; i < o->dev.nqueues; i++)
		o->dev.queues[i].fd = -1;
	return 0;
}

int vd_xdp_open_start(struct vd_xdp *xdp, struct uvdpa *u, const char *name,
		      void (*done)(struct vd_xdp *xdp, int err))
{
	struct vd_xdp_open *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return vd_err(-ENOMEM, "%s: no memory", name);
	o->dev = no_if();
	o->xdp = xdp;
	o->done = done;
	o->job.run = open_run;
	o->job.done = open_done;
	o->name = strdup(name);
	r = o->name ? take_conf(o, xdp) : vd_err(-ENOMEM, "%s: no memory", name);
	if (!r)
		r = vd_job_start(&o->job, u, "uvdpa/xdp-open");
	if (r) {
		open_free(o);
		return r;
	}
	xdp->open = o;
	return 0;
}

void vd_xdp_open_forget(struct vd_xdp *xdp)
{
	xdp->open->xdp = NULL;
}
