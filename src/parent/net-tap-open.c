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

#define MTU_MAX (65535u - VD_NET_HLEN)
#define USO     (TUN_F_USO4 | TUN_F_USO6)

#define BUSY_MS 2000u /* how long one that we had ourselves may take to go */

/* What to open. The device may be gone before that is done, so all of it is the job's. */
struct vd_tap_wish {
	char *name, *ifname, *netns, *bridge; /* of the last two each may be NULL */
	bool persist, up, set_mac;
	uint8_t mac[6];
	unsigned int mtu;
	int family; /* of the address; 0: none */
	unsigned int prefix;
	uint8_t addr[16];
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
static int take_address(struct vd_tap_wish *o, const char *text)
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

static int take_conf(struct vd_tap_wish *o, const struct vd_tap *tap)
{
	static const uint8_t no_mac[6];
	const struct vd_tap_conf *c = tap->conf;
	const char *ifname = c->ifname ? c->ifname : o->name;
	int r = check_name(o->name, ifname);

	if (r)
		return r;
	if (tap->net_conf.mtu > MTU_MAX)
		return vd_err(-EINVAL, "%s: mtu %u, a TAP has at most %u", o->name,
			      tap->net_conf.mtu, MTU_MAX);
	if (c->host_mac && (vd_net_mac(c->host_mac, o->mac) || o->mac[0] & 1 ||
			    memcmp(o->mac, no_mac, sizeof(no_mac)) == 0))
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
	o->ifname = strdup(ifname);
	o->netns = c->netns ? strdup(c->netns) : NULL;
	o->bridge = c->bridge ? strdup(c->bridge) : NULL;
	if (!o->ifname || !o->netns != !c->netns || !o->bridge != !c->bridge)
		return vd_err(-ENOMEM, "%s: no memory", o->name);
	return 0;
}

void vd_tap_wish_free(struct vd_tap_wish *o)
{
	if (!o)
		return;
	free(o->name);
	free(o->ifname);
	free(o->netns);
	free(o->bridge);
	free(o);
}

int vd_tap_wish(const struct vd_tap *tap, const char *name, struct vd_tap_wish **ret_wish)
{
	struct vd_tap_wish *o = calloc(1, sizeof(*o));
	int r;

	if (o)
		o->name = strdup(name);
	r = o && o->name ? take_conf(o, tap) : vd_err(-ENOMEM, "%s: no memory", name);
	if (r)
		vd_tap_wish_free(o);
	else
		*ret_wish = o;
	return r;
}

/* ---- the job -------------------------------------------------------------------------------- */

/* Why TUNSETIFF did not want it; @l: what has the name now, if anything. */
static int explain(const struct vd_tap_if *dev, int err, const struct vd_link *l)
{
	bool many = dev->nqueues > 1;

	if (l->index && (strcmp(l->kind, "tun") != 0 || !l->tap))
		return vd_err(-EEXIST, "%s: interface %s is there, and no TAP but %s",
			      dev->wish->name, dev->wish->ifname,
			      strcmp(l->kind, "tun") == 0 ? "a TUN"
			      : l->kind[0]                ? l->kind
							  : "hardware");
	if (l->index && many && !l->multi_queue)
		return vd_err(-EINVAL,
			      "%s: interface %s has one queue, max_vqp is %u: it has to be made "
			      "with multi_queue",
			      dev->wish->name, dev->wish->ifname, dev->nqueues);
	if (err == EBUSY || err == E2BIG)
		return vd_err(-EBUSY, "%s: interface %s is used by another program",
			      dev->wish->name, dev->wish->ifname);
	errno = err;
	return vd_err(-err, "%s: interface %s: %m%s", dev->wish->name, dev->wish->ifname,
		      err != EPERM ? ""
		      : l->index   ? " (it is another user's)"
				   : " (making one needs "
				     "CAP_NET_ADMIN; one that is there may belong to a user)");
}

static int open_tun(const struct vd_tap_if *dev)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? vd_err(-errno, "%s: /dev/net/tun: %m", dev->wish->name) : fd;
}

static int attach(struct vd_tap_if *dev, unsigned int i, const struct vd_link *was)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = dev->fds[i] = open_tun(dev);

	if (fd < 0)
		return fd;
	/* The next ones of a pattern's are those of the first. */
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", i ? dev->name : dev->wish->ifname);
	if (dev->nqueues > 1 || was->multi_queue)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	if (ioctl(fd, TUNSETIFF, &ifr))
		return explain(dev, errno, was);
	memcpy(dev->name, ifr.ifr_name, sizeof(dev->name));
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
static int set_format(const struct vd_tap_if *dev)
{
	int fd = dev->fds[0], len = sizeof(struct virtio_net_hdr), le = 1, all = INT_MAX;

	if (ioctl(fd, TUNSETVNETHDRSZ, &len) || ioctl(fd, TUNSETVNETLE, &le) ||
	    ioctl(fd, TUNSETSNDBUF, &all))
		return vd_err(-errno, "%s: interface %s: format of frames: %m", dev->wish->name,
			      dev->name);
	return 0;
}

static int set_up(struct vd_tap_if *dev, const struct vd_link *l, const struct vd_link *bridge)
{
	struct vd_link_change change = {
		.mac = dev->wish->set_mac && memcmp(dev->wish->mac, l->mac, 6) ? dev->wish->mac
									       : NULL,
		.mtu = dev->wish->mtu == l->mtu ? 0 : dev->wish->mtu,
		.master = bridge->index,
		.up = dev->wish->up && !(l->flags & IFF_UP),
	};
	int r;

	/* Nothing of it may be for us to do: one that is there may belong to a mere user. */
	if (!change.mac && !change.mtu && !change.master && !change.up)
		return 0;
	r = vd_link_set(dev->nl, l->index, &change);
	if (!r)
		return 0;
	errno = -r;
	return vd_err(r, "%s: interface %s:%s%s%s%s: %m", dev->wish->name, dev->name,
		      change.mac ? " host_mac" : "", change.mtu ? " mtu" : "",
		      change.master ? " bridge" : "", change.up ? " up" : "");
}

static int find_bridge(const struct vd_tap_if *dev, struct vd_link *ret)
{
	int r = vd_link_get(dev->nl, dev->wish->bridge, ret);

	if (r)
		return r == -ENODEV ? vd_err(r, "%s: bridge %s is not there", dev->wish->name,
					     dev->wish->bridge)
				    : vd_err_prefix(r, "%s: ", dev->wish->name);
	if (strcmp(ret->kind, "bridge") != 0)
		return vd_err(-EINVAL, "%s: bridge %s is none, but %s", dev->wish->name,
			      dev->wish->bridge, ret->kind[0] ? ret->kind : "hardware");
	return 0;
}

static int set_address(const struct vd_tap_if *dev)
{
	int r = vd_link_add_address(dev->nl, dev->index, dev->wish->family, dev->wish->addr,
				    dev->wish->prefix);

	if (!r)
		return 0;
	errno = -r;
	return vd_err(r, "%s: interface %s: address: %m", dev->wish->name, dev->name);
}

/* An interface that we had ourselves goes when a job has closed it: it may still be on its way. */
static int attach_all(struct vd_tap_if *dev, struct vd_link *l)
{
	uint64_t end = vd_now_ns() + BUSY_MS * 1000000ull;
	int r;

	for (;;) {
		*l = (struct vd_link){ 0 };
		r = vd_link_get(dev->nl, dev->wish->ifname, l); /* a pattern is no name of one */
		if (r && r != -ENODEV)
			return vd_err_prefix(r, "%s: ", dev->wish->name);
		/* The kernel would let us have some queues beside others', to nobody's good. */
		r = l->queues ? explain(dev, EBUSY, l) : 0;
		for (unsigned int i = 0; !r && i < dev->nqueues; i++)
			r = attach(dev, i, l);
		if (r != -EBUSY || vd_now_ns() > end)
			return r;
		for (unsigned int i = 0; i < dev->nqueues; i++)
			vd_close(&dev->fds[i]);
		usleep(10000);
	}
}

int vd_tap_open_run(struct vd_tap_if *dev)
{
	struct vd_link l = { 0 }, bridge = { 0 };
	int r = dev->wish->netns ? vd_netns_enter(dev->wish->netns)
				 : 0; /* for as long as this thread is */

	if (r)
		return vd_err_prefix(r, "%s: ", dev->wish->name);
	r = dev->nl = vd_netlink();
	if (r < 0)
		return vd_err_prefix(r, "%s: ", dev->wish->name);
	if (dev->wish->bridge && (r = find_bridge(dev, &bridge)))
		return r;
	r = attach_all(dev, &l);
	if (r)
		return r;
	r = set_format(dev);
	if (r)
		return r;
	probe(dev);
	r = vd_link_get(dev->nl, dev->name, &l);
	if (r)
		return vd_err(r, "%s: interface %s has gone", dev->wish->name, dev->name);
	dev->index = l.index;
	r = set_up(dev, &l, &bridge);
	if (!r && dev->wish->family)
		r = set_address(dev);
	if (r)
		return r;
	if (dev->wish->persist && ioctl(dev->fds[0], TUNSETPERSIST, 1))
		return vd_err(-errno, "%s: interface %s: persist: %m", dev->wish->name, dev->name);
	/* First the one, then the other: nothing is missed in between. */
	r = vd_link_watch(dev->nl, l.index);
	if (r)
		return vd_err_prefix(r, "%s: ", dev->wish->name);
	vd_link_ask(dev->nl, l.index);
	dev->up = dev->wish->up || l.flags & IFF_UP;
	return 0;
}
