/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge.c - a learning switch between devices: each is a port of the bridge that it names
 *
 * A frame is copied once, from the sender's memory into the receiver's, by the sender's worker. It
 * reads the beginning of each frame of a burst, finds out to whom they go, and brings each receiver
 * all that are his at once.
 *
 * Ports come and go while others send:
 *
 *	sender				control
 *	------				-------
 *	users++				net = NULL
 *	net? -> vd_net_deliver()	wait until there are no users
 *	users--				the device may be freed
 *
 * The wait is short: the device is quiet already, so nobody copies into it any more, and a sender
 * reads his own memory, which may be slow, before he is a user of anything.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "parent/bridge-fdb.h"
#include "softdev/net.h"

#define PORTS_MAX VD_FDB_PORTS
#define NOWHERE   254u
#define FLOOD     255u

/* What is sent to these is between neighbours only (IEEE 802.1D, 7.12.6): 01:80:c2:00:00:0x */
#define RESERVED(mac) ((mac) >> 4 == 0x0180c200000ull)
#define GROUP(mac)    ((mac) >> 40 & 1)

struct port_conf {
	struct vd_net_args net;
	char *bridge;
	bool isolated;
};

/* A port, as the others see it; the bridge's memory. */
struct socket {
	struct vd_net *net; /* atomic; NULL: there is no driver behind it */
	unsigned int users; /* atomic: threads that may be using net */
	bool taken;         /* control's */
	bool isolated;      /* constant while there is a net */
} __attribute__((aligned(64)));

struct bridge {
	char name[UVDPA_NAME_MAX + 1];
	unsigned int refs; /* devices that are its ports; control's */
	unsigned int top;  /* atomic: sockets from here on were never taken */
	struct socket sockets[PORTS_MAX];
	struct vd_fdb fdb;
};

struct port {
	struct vd_net net;
	struct bridge *bridge;
	unsigned int idx; /* of its socket */
	bool linked;      /* control's, and before a queue runs */
};

static struct port *to_port(struct vd_net *net)
{
	return container_of(net, struct port, net);
}

/* ---- frames; the sender's worker ----------------------------------------------------------- */

static void deliver(struct bridge *b, unsigned int to, const struct vd_net_pair *from,
		    const struct vd_net_frame *frames, unsigned int n)
{
	struct socket *s = &b->sockets[to];
	struct vd_net *net;

	/* Pairs with unlink(): either it sees a user, or we see that nobody is there. */
	__atomic_fetch_add(&s->users, 1, __ATOMIC_SEQ_CST);
	net = __atomic_load_n(&s->net, __ATOMIC_SEQ_CST);
	if (vd_likely(net))
		vd_net_deliver(net, from->worker, frames, n);
	__atomic_fetch_sub(&s->users, 1, __ATOMIC_RELEASE);
}

static unsigned int decide(struct bridge *b, const struct port *from, const uint8_t *head,
			   unsigned int now)
{
	uint64_t dst = vd_net_mac_number(head), src = vd_net_mac_number(head + 6);
	unsigned int to;

	if (vd_unlikely(!src || GROUP(src)))
		return NOWHERE;
	vd_fdb_learn(&b->fdb, src, from->idx, now);
	if (vd_unlikely(GROUP(dst)))
		return RESERVED(dst) ? NOWHERE : FLOOD;
	to = vd_fdb_find(&b->fdb, dst, now);
	if (vd_unlikely(to == VD_FDB_NONE))
		return FLOOD;
	if (vd_unlikely(to == from->idx))
		return NOWHERE; /* who it is for has got it already */
	return b->sockets[from->idx].isolated && b->sockets[to].isolated ? NOWHERE : to;
}

static void read_head(const struct vd_net_frame *f, uint8_t *head)
{
	uint32_t len = vd_min(f->len, VD_NET_HEAD);

	if (vd_likely(f->iov->len >= len)) {
		vd_guest_read(head, f->iov->base, len);
	} else {
		struct vd_sg sg = vd_sg(f->iov, f->niov);

		vd_sg_read(&sg, head, len);
	}
}

/* Those of a burst that are for one port, in their order. */
static void deliver_some(struct bridge *b, unsigned int port, const struct vd_net_pair *pair,
			 const struct vd_net_frame *frames, const uint8_t *to, unsigned int n)
{
	struct vd_net_frame some[VD_SOFTQ_BURST];
	unsigned int k = 0;

	for (unsigned int i = 0; i < n; i++)
		if (to[i] == port || to[i] == FLOOD)
			some[k++] = frames[i];
	if (k)
		deliver(b, port, pair, some, k);
}

static vd_noinline void flood(struct bridge *b, const struct port *from,
			      const struct vd_net_pair *pair, const struct vd_net_frame *frames,
			      const uint8_t *to, unsigned int n)
{
	unsigned int top = __atomic_load_n(&b->top, __ATOMIC_ACQUIRE);
	bool isolated = b->sockets[from->idx].isolated;

	for (unsigned int i = 0; i < top; i++)
		if (i != from->idx && !(isolated && b->sockets[i].isolated))
			deliver_some(b, i, pair, frames, to, n);
}

static unsigned int port_send(struct vd_net *net, struct vd_net_pair *pair,
			      struct vd_net_frame *frames, unsigned int n)
{
	struct port *p = to_port(net);
	struct bridge *b = p->bridge;
	uint8_t heads[VD_SOFTQ_BURST][VD_NET_HEAD], to[VD_SOFTQ_BURST];
	unsigned int now = vd_fdb_now(), same = 0, nowhere = 0;
	bool flooded = false;

	for (unsigned int i = 0; i < n; i++) {
		read_head(&frames[i], heads[i]);
		frames[i].head = heads[i];
		if (i && !memcmp(heads[i], heads[i - 1], 12))
			to[i] = to[i - 1];
		else
			to[i] = (uint8_t)decide(b, p, heads[i], now);
		same += to[i] == to[0];
		nowhere += to[i] == NOWHERE;
		flooded |= to[i] == FLOOD;
	}
	if (vd_unlikely(nowhere))
		vd_net_count(&pair->sent.drops, nowhere);
	if (vd_unlikely(flooded)) {
		flood(b, p, pair, frames, to, n);
	} else if (vd_likely(same == n)) {
		if (n && !nowhere)
			deliver(b, to[0], pair, frames, n);
	} else {
		for (unsigned int i = 0; i < n; i++) {
			if (to[i] == NOWHERE || memchr(to, to[i], i))
				continue; /* that one had its turn */
			deliver_some(b, to[i], pair, frames + i, to + i, n - i);
		}
	}
	vd_net_sent(pair, frames, n);
	return n;
}

/* Others bring frames. */
static unsigned int port_receive(struct vd_net *net, struct vd_net_pair *pair)
{
	(void)net, (void)pair;
	return 0;
}

/* ---- a driver comes and goes; control thread ----------------------------------------------- */

/* Features are there, queues do not run yet: a driver has come. Later the control queue may ask
 * for other ones. */
static void port_set_offloads(struct vd_net *net, uint64_t guest)
{
	struct port *p = to_port(net);

	(void)guest;
	if (p->linked)
		return;
	p->linked = true;
	__atomic_store_n(&p->bridge->sockets[p->idx].net, net, __ATOMIC_SEQ_CST);
}

static void unlink_port(struct port *p)
{
	struct socket *s = &p->bridge->sockets[p->idx];

	if (!p->linked)
		return;
	p->linked = false;
	__atomic_store_n(&s->net, NULL, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&s->users, __ATOMIC_SEQ_CST))
		sched_yield();
	vd_fdb_forget(&p->bridge->fdb, p->idx);
}

static void port_reset(struct vd_net *net)
{
	unlink_port(to_port(net));
}

static void port_show(struct vd_net *net, struct uvdpa_emit *e)
{
	struct port *p = to_port(net);

	e->str(e, "bridge", p->bridge->name);
	e->num(e, "ports", p->bridge->refs);
	e->num(e, "addresses", vd_fdb_count(&p->bridge->fdb, p->idx));
	e->num(e, "bridge_addresses", vd_fdb_count(&p->bridge->fdb, VD_FDB_NONE));
	e->flag(e, "isolated", p->bridge->sockets[p->idx].isolated);
}

/* ---- bridges ------------------------------------------------------------------------------- */

extern const struct uvdpa_parent vd_parent_bridge;

/* The one of this name, by a port that it has; NULL: there is none. */
static struct bridge *find(struct uvdpa *u, const char *name)
{
	for (struct uvdpa_dev *d = uvdpa_dev_next(u, NULL); d; d = uvdpa_dev_next(u, d)) {
		struct port *p;

		if (uvdpa_dev_parent(d) != &vd_parent_bridge)
			continue;
		p = to_port(
			container_of(container_of(d, struct vd_softdev, dev), struct vd_net, sd));
		if (!strcmp(p->bridge->name, name))
			return p->bridge;
	}
	return NULL;
}

static struct bridge *make(const char *name)
{
	struct bridge *b = aligned_alloc(64, sizeof(*b));
	uint64_t key;

	if (!b)
		return NULL;
	memset(b, 0, sizeof(*b));
	memcpy(b->name, name, strlen(name));
	if (getrandom(&key, sizeof(key), GRND_NONBLOCK) != sizeof(key))
		key = (uintptr_t)b * 0x9e3779b97f4a7c15ull;
	vd_fdb_init(&b->fdb, key, vd_fdb_now());
	return b;
}

static void put(struct bridge *b)
{
	if (!--b->refs)
		free(b);
}

/* A socket of the bridge for a new port. */
static int take_socket(struct port *p, const char *name, bool isolated)
{
	struct bridge *b = p->bridge;
	unsigned int i = 0;

	while (i < PORTS_MAX && b->sockets[i].taken)
		i++;
	if (i == PORTS_MAX)
		return vd_err(-ENOSPC, "%s: bridge %s has %u ports already", name, b->name,
			      PORTS_MAX);
	p->idx = i;
	b->sockets[i].taken = true;
	b->sockets[i].isolated = isolated;
	if (i >= b->top)
		__atomic_store_n(&b->top, i + 1, __ATOMIC_RELEASE);
	return 0;
}

static void port_destroy(struct vd_net *net)
{
	struct port *p = to_port(net);

	p->bridge->sockets[p->idx].taken = false;
	put(p->bridge);
	free(p);
}

static const struct vd_net_ops port_ops = {
	.send = port_send,
	.receive = port_receive,
	.pair_fd = vd_net_no_fd,
	.set_offloads = port_set_offloads,
	.set_pairs = vd_net_any_pairs,
	.show = port_show,
	.reset = port_reset,
	.destroy = port_destroy,
};

static int check_name(const char *dev, const char *name)
{
	size_t len = strlen(name);

	if (!len || len > UVDPA_NAME_MAX)
		return vd_err(-EINVAL, "%s: bridge \"%s\": a name has 1 to %u bytes", dev, name,
			      UVDPA_NAME_MAX);
	return 0;
}

static int port_add(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev)
{
	const struct port_conf *c = conf;
	struct vd_net_conf nc = { .offloads = VD_NET_OFFLOADS };
	struct port *p;
	int r = check_name(name, c->bridge);

	if (!r)
		r = vd_net_args(&c->net, name, &nc);
	if (r)
		return r;
	p = calloc(1, sizeof(*p));
	if (!p)
		return vd_err(-ENOMEM, "%s: no memory", name);
	p->bridge = find(u, c->bridge);
	if (!p->bridge)
		p->bridge = make(c->bridge);
	if (!p->bridge) {
		r = vd_err(-ENOMEM, "%s: no memory for bridge %s", name, c->bridge);
		goto err_free;
	}
	p->bridge->refs++;
	r = take_socket(p, name, c->isolated);
	if (r)
		goto err_put;
	r = vd_net_init(&p->net, u, &port_ops, &nc);
	if (r)
		goto err_socket;
	*ret_dev = &p->net.sd.dev;
	return 0;

err_socket:
	p->bridge->sockets[p->idx].taken = false;
err_put:
	put(p->bridge);
err_free:
	free(p);
	return r;
}

static const struct uvdpa_opt port_opts[] = {
	VD_NET_OPT("bridge", STRING, struct port_conf, bridge, .required = true,
		   .help = "name of the bridge; it is there as long as it has ports"),
	VD_NET_OPT("isolated", BOOL, struct port_conf, isolated,
		   .help = "no frames between this port and others that are isolated"),
	VD_NET_OPTS(struct port_conf, net),
	{ 0 },
};

static const uint32_t port_ids[] = { VIRTIO_ID_NET, 0 };

const struct uvdpa_parent vd_parent_bridge = {
	.name = "bridge",
	.help = "a port of a learning switch between devices",
	.device_ids = port_ids,
	.features = VD_NET_FEATURES,
	.max_vqs = 2 * VD_NET_PAIRS_MAX + 1,
	.opts = port_opts,
	.conf_size = sizeof(struct port_conf),
	.add = port_add,
};
