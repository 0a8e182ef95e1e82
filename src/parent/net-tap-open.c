/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-tap-open.c - the net-tap parent's interface is made, or found, and set up
 *
 * By a job, as it waits for whoever else changes interfaces; and as the namespace is the thread's,
 * which ends with it. What was opened there stays there.
 */
#include "parent/net-tap.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/netlink.h"
#include "base/tun.h"

#ifndef TUN_F_USO4 /* Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define MTU_MAX (65535u - VD_NET_HLEN)
#define USO     (TUN_F_USO4 | TUN_F_USO6)

/* What the job works on. The device may be gone before it ends, so all of it is its own. */
struct vd_tap_open {
	struct vd_job job;
	struct vd_tap *tap; /* NULL: nobody wants it any more; control's */
	void (*done)(struct vd_tap *tap, int err);
	char *name, *ifname, *netns, *bridge; /* of the last two each may be NULL */
	bool persist, up, set_mac;
	uint8_t mac[6];
	unsigned int mtu;
	int family; /* of the address; 0: none */
	unsigned int prefix;
	uint8_t addr[16];
	struct vd_tap_if dev;
};

/* ---- what the user has written; control thread ---------------------------------------------- */

static int check_name(const char *dev, const char *ifname)
{
	size_t len = strlen(ifname);

	if (!len || len >= IFNAMSIZ)
		return vd_err(-EINVAL,
			      "%s: ifname \"%s\" has %zu bytes, an interface's has 1 to %u", dev,
			      ifname, len, IFNAMSIZ - 1);
	for (const char *c = ifname; *c; c++)
		if (*c == '/' || *c == ':' || isspace((unsigned char)*c))
			return vd_err(-EINVAL,
				      "%s: ifname \"%s\": \"%c\" is in no interface's name", dev,
				      ifname, *c);
	if (strcmp(ifname, ".") == 0 || strcmp(ifname, "..") == 0)
		return vd_err(-EINVAL, "%s: ifname \"%s\" is no interface's name", dev, ifname);
	return 0;
}

/* "10.0.0.1/24", "fd00::1/64" */
static int take_address(struct vd_tap_open *o, const char *text)
{
	const char *slash = strchr(text, '/');
	char addr[INET6_ADDRSTRLEN], *end;
	unsigned long prefix = ULONG_MAX;

	if (slash && isdigit((unsigned char)slash[1])) {
		prefix = strtoul(slash + 1, &end, 10);
		if (*end)
			prefix = ULONG_MAX;
		snprintf(addr, sizeof(addr), "%.*s", (int)(slash - text), text);
		o->family = strchr(addr, ':') ? AF_INET6 : AF_INET;
	}
	if (prefix > (o->family == AF_INET ? 32u : 128u) ||
	    inet_pton(o->family, addr, o->addr) != 1)
		return vd_err(-EINVAL, "%s: address \"%s\", not like 10.0.0.1/24 or fd00::1/64",
			      o->name, text);
	o->prefix = (unsigned int)prefix;
	return 0;
}

static int take_conf(struct vd_tap_open *o, const struct vd_tap *tap)
{
	const struct vd_tap_conf *c = tap->conf;
	const char *ifname = c->ifname ? c->ifname : o->name;
	int r = check_name(o->name, ifname);

	if (r)
		return r;
	if (tap->net_conf.mtu > MTU_MAX)
		return vd_err(-EINVAL, "%s: mtu %u, a TAP has at most %u", o->name,
			      tap->net_conf.mtu, MTU_MAX);
	if (c->host_mac && (vd_net_mac(c->host_mac, o->mac) || o->mac[0] & 1))
		return vd_err(-EINVAL, "%s: host_mac \"%s\", not a host's like 52:54:00:12:34:56",
			      o->name, c->host_mac);
	if (c->host_mac && memcmp(o->mac, tap->net_conf.mac, 6) == 0)
		return vd_err(-EINVAL, "%s: host_mac %s is the driver's side's", o->name,
			      c->host_mac);
	if (c->address && take_address(o, c->address))
		return -EINVAL;
	o->set_mac = c->host_mac;
	o->persist = c->persist;
	o->up = c->up;
	o->mtu = tap->net_conf.mtu;
	o->dev.nqueues = tap->net_conf.max_vqp;
	o->ifname = strdup(ifname);
	o->netns = c->netns ? strdup(c->netns) : NULL;
	o->bridge = c->bridge ? strdup(c->bridge) : NULL;
	o->dev.fds = malloc(o->dev.nqueues * sizeof(*o->dev.fds));
	if (!o->ifname || !o->netns != !c->netns || !o->bridge != !c->bridge || !o->dev.fds)
		return vd_err(-ENOMEM, "%s: no memory", o->name);
	for (unsigned int i = 0; i < o->dev.nqueues; i++)
		o->dev.fds[i] = -1;
	return 0;
}

/* ---- the job -------------------------------------------------------------------------------- */

/* Why TUNSETIFF did not want it; @l: what has the name now, if anything. */
static int explain(const struct vd_tap_open *o, int err, const struct vd_link *l)
{
	bool many = o->dev.nqueues > 1;

	if (l->index && (strcmp(l->kind, "tun") != 0 || !l->tap))
		return vd_err(-EEXIST, "%s: interface %s is there, and no TAP but %s", o->name,
			      o->ifname,
			      strcmp(l->kind, "tun") == 0 ? "a TUN"
			      : l->kind[0]                ? l->kind
							  : "hardware");
	if (l->index && many && !l->multi_queue)
		return vd_err(-EINVAL,
			      "%s: interface %s has one queue, max_vqp is %u: it has to be made "
			      "with multi_queue",
			      o->name, o->ifname, o->dev.nqueues);
	if (err == EBUSY || err == E2BIG)
		return vd_err(-EBUSY, "%s: interface %s is used by another program", o->name,
			      o->ifname);
	errno = err;
	return vd_err(-err, "%s: interface %s: %m%s", o->name, o->ifname,
		      err != EPERM ? ""
		      : l->index   ? " (it is another user's)"
				   : " (making one needs "
				     "CAP_NET_ADMIN; one that is there may belong to a user)");
}

static int open_tun(const struct vd_tap_open *o)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? vd_err(-errno, "%s: /dev/net/tun: %m", o->name) : fd;
}

static int attach(struct vd_tap_open *o, unsigned int i, const struct vd_link *was)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = o->dev.fds[i] = open_tun(o);

	if (fd < 0)
		return fd;
	/* The next ones of a pattern's are those of the first. */
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", i ? o->dev.name : o->ifname);
	if (o->dev.nqueues > 1 || was->multi_queue)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	if (ioctl(fd, TUNSETIFF, &ifr))
		return explain(o, errno, was);
	memcpy(o->dev.name, ifr.ifr_name, sizeof(o->dev.name));
	return i ? vd_tun_attach(fd, false) : 0;
}

/* What can the kernel do? It says so by taking what it shall be told. */
static void probe(struct vd_tap_if *dev)
{
	static const struct {
		unsigned int tun;
		uint64_t features;
	} steps[] = {
		{ TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
		  VD_NET_OFFLOADS &
			  ~(VD_NET_F(HOST_UFO) | VD_NET_F(GUEST_UFO) | VD_NET_F(HOST_USO) |
			    VD_NET_F(GUEST_USO4) | VD_NET_F(GUEST_USO6)) },
		{ TUN_F_CSUM | TUN_F_UFO, VD_NET_F(HOST_UFO) | VD_NET_F(GUEST_UFO) },
		{ TUN_F_CSUM | USO,
		  VD_NET_F(HOST_USO) | VD_NET_F(GUEST_USO4) | VD_NET_F(GUEST_USO6) },
	};

	for (size_t i = 0; i < VD_ARRAY_SIZE(steps); i++)
		if (!ioctl(dev->fds[0], TUNSETOFFLOAD, steps[i].tun))
			dev->offloads |= steps[i].features;
	ioctl(dev->fds[0], TUNSETOFFLOAD, 0);
}

/* The header of frames, and that writing never waits: there is nobody to wait for. */
static int set_format(const struct vd_tap_open *o)
{
	int fd = o->dev.fds[0], len = sizeof(struct virtio_net_hdr), le = 1, all = INT_MAX;

	if (ioctl(fd, TUNSETVNETHDRSZ, &len) || ioctl(fd, TUNSETVNETLE, &le) ||
	    ioctl(fd, TUNSETSNDBUF, &all))
		return vd_err(-errno, "%s: interface %s: format of frames: %m", o->name,
			      o->dev.name);
	return 0;
}

static int set_up(struct vd_tap_open *o, const struct vd_link *l, const struct vd_link *bridge)
{
	struct vd_link_change change = {
		.mac = o->set_mac && memcmp(o->mac, l->mac, 6) ? o->mac : NULL,
		.mtu = o->mtu == l->mtu ? 0 : o->mtu,
		.master = bridge->index,
		.up = o->up && !(l->flags & IFF_UP),
	};
	int r;

	/* Nothing of it may be for us to do: one that is there may belong to a mere user. */
	if (!change.mac && !change.mtu && !change.master && !change.up)
		return 0;
	r = vd_link_set(o->dev.nl, l->index, &change);
	if (!r)
		return 0;
	errno = -r;
	return vd_err(r, "%s: interface %s:%s%s%s%s: %m", o->name, o->dev.name,
		      change.mac ? " host_mac" : "", change.mtu ? " mtu" : "",
		      change.master ? " bridge" : "", change.up ? " up" : "");
}

static int find_bridge(const struct vd_tap_open *o, struct vd_link *ret)
{
	int r = vd_link_get(o->dev.nl, o->bridge, ret);

	if (r)
		return r == -ENODEV ? vd_err(r, "%s: bridge %s is not there", o->name, o->bridge)
				    : vd_err_prefix(r, "%s: ", o->name);
	if (strcmp(ret->kind, "bridge") != 0)
		return vd_err(-EINVAL, "%s: bridge %s is none, but %s", o->name, o->bridge,
			      ret->kind[0] ? ret->kind : "hardware");
	return 0;
}

static int set_address(const struct vd_tap_open *o)
{
	int r = vd_link_add_address(o->dev.nl, o->dev.index, o->family, o->addr, o->prefix);

	if (!r)
		return 0;
	errno = -r;
	return vd_err(r, "%s: interface %s: address: %m", o->name, o->dev.name);
}

static int open_run(struct vd_job *j)
{
	struct vd_tap_open *o = container_of(j, struct vd_tap_open, job);
	struct vd_link l = { 0 }, bridge = { 0 };
	int r = o->netns ? vd_netns_enter(o->netns) : 0; /* for as long as this thread is */

	if (r)
		return vd_err_prefix(r, "%s: ", o->name);
	r = o->dev.nl = vd_netlink();
	if (r < 0)
		return vd_err_prefix(r, "%s: ", o->name);
	if (o->bridge && (r = find_bridge(o, &bridge)))
		return r;
	r = vd_link_get(o->dev.nl, o->ifname, &l); /* a pattern is no name of one */
	if (r && r != -ENODEV)
		return vd_err_prefix(r, "%s: ", o->name);
	if (l.queues) /* the kernel would let us have some beside them, to nobody's good */
		return explain(o, EBUSY, &l);
	for (unsigned int i = 0; i < o->dev.nqueues; i++) {
		r = attach(o, i, &l);
		if (r)
			return r;
	}
	r = set_format(o);
	if (r)
		return r;
	probe(&o->dev);
	r = vd_link_get(o->dev.nl, o->dev.name, &l);
	if (r)
		return vd_err(r, "%s: interface %s has gone", o->name, o->dev.name);
	o->dev.index = l.index;
	r = set_up(o, &l, &bridge);
	if (!r && o->family)
		r = set_address(o);
	if (r)
		return r;
	if (o->persist && ioctl(o->dev.fds[0], TUNSETPERSIST, 1))
		return vd_err(-errno, "%s: interface %s: persist: %m", o->name, o->dev.name);
	/* First the one, then the other: nothing is missed in between. */
	r = vd_link_watch(o->dev.nl, l.index);
	if (r)
		return vd_err_prefix(r, "%s: ", o->name);
	vd_link_ask(o->dev.nl, l.index);
	o->dev.up = o->up || l.flags & IFF_UP;
	return 0;
}

/* ---- control thread ------------------------------------------------------------------------- */

void vd_tap_close(struct vd_tap_if *dev)
{
	for (unsigned int i = 0; dev->fds && i < dev->nqueues; i++)
		vd_close(&dev->fds[i]);
	free(dev->fds);
	dev->fds = NULL;
	vd_close(&dev->nl);
}

static void open_free(struct vd_tap_open *o)
{
	vd_tap_close(&o->dev);
	free(o->name);
	free(o->ifname);
	free(o->netns);
	free(o->bridge);
	free(o);
}

static void open_done(struct vd_job *j, int err)
{
	struct vd_tap_open *o = container_of(j, struct vd_tap_open, job);
	struct vd_tap *tap = o->tap;

	if (tap) {
		tap->open = NULL;
		if (!err) {
			tap->dev = o->dev;
			o->dev = (struct vd_tap_if){ .nl = -1 };
		}
	}
	if (tap)
		o->done(tap, err);
	open_free(o);
}

int vd_tap_open_start(struct vd_tap *tap, struct uvdpa *u, const char *name,
		      void (*done)(struct vd_tap *tap, int err))
{
	struct vd_tap_open *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return vd_err(-ENOMEM, "%s: no memory", name);
	o->dev.nl = -1;
	o->tap = tap;
	o->done = done;
	o->job.run = open_run;
	o->job.done = open_done;
	o->name = strdup(name);
	r = o->name ? take_conf(o, tap) : vd_err(-ENOMEM, "%s: no memory", name);
	if (!r)
		r = vd_job_start(&o->job, u, "uvdpa/tap-open");
	if (r) {
		open_free(o);
		return r;
	}
	tap->open = o;
	return 0;
}

void vd_tap_open_forget(struct vd_tap *tap)
{
	tap->open->tap = NULL;
}

unsigned int vd_tap_offloads(uint64_t guest)
{
	unsigned int tun = 0;

	if (!(guest & VD_NET_F(GUEST_CSUM)))
		return 0;
	if (guest & VD_NET_F(GUEST_TSO4))
		tun |= TUN_F_TSO4;
	if (guest & VD_NET_F(GUEST_TSO6))
		tun |= TUN_F_TSO6;
	if (tun && guest & VD_NET_F(GUEST_ECN))
		tun |= TUN_F_TSO_ECN;
	if (guest & VD_NET_F(GUEST_UFO))
		tun |= TUN_F_UFO;
	if (guest & VD_NET_F(GUEST_USO4) &&
	    guest & VD_NET_F(GUEST_USO6)) /* the kernel takes both */
		tun |= USO;
	return tun | TUN_F_CSUM;
}
