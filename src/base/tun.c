/* SPDX-License-Identifier: BSD-2-Clause */
/* tun.c - TAP interfaces of the host's kernel; see tun.h */
#include "base/tun.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/thread.h"

#define TUN_PATH "/dev/net/tun"

#ifndef TUN_F_USO4 /* Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#define F_HOST_USO 56 /* VIRTIO_NET_F_HOST_USO, Linux 6.2 */

/* ---- making it ------------------------------------------------------------------------------- */

static int open_queue(const char *name, unsigned int hdr_len, unsigned int n, int *ret_fd)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd, r, size = (int)hdr_len, on = 1;

	if (n > 1)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	strcpy(ifr.ifr_name, name);
	fd = open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return vd_err(-errno, "%s: %m", TUN_PATH);
	if (ioctl(fd, TUNSETIFF, &ifr)) {
		r = -errno;
		if (r != -EINVAL || !if_nametoindex(name))
			vd_err(r, "interface %s: %s", name, strerror(-r));
		else
			vd_err(r, "interface %s: is there, and no TAP with %s", name,
			       n > 1 ? "several queues" : "one queue");
		goto err_close;
	}
	if (ioctl(fd, TUNSETVNETHDRSZ, &size) || ioctl(fd, TUNSETVNETLE, &on)) {
		r = vd_err(-errno, "interface %s: headers of virtio: %m", name);
		goto err_close;
	}
	*ret_fd = fd;
	return 0;

err_close:
	close(fd);
	return r;
}

/* A thread does this, as it changes its namespace for good. */
struct opener {
	struct vd_tun *tun;
	const char *name, *netns;
	unsigned int hdr_len;
	int *fds;
	unsigned int n;
	int err;
	char error[256];
};

int vd_netns_enter(const char *netns)
{
	char path[PATH_MAX];
	int fd, r = 0;

	if (snprintf(path, sizeof(path), "%s%s", strchr(netns, '/') ? "" : "/run/netns/", netns) >=
	    (int)sizeof(path))
		return vd_err(-ENAMETOOLONG, "namespace %s: too long", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return vd_err(-errno, "namespace %s: %m", path);
	if (setns(fd, CLONE_NEWNET))
		r = vd_err(-errno, "namespace %s: %m", path);
	close(fd);
	return r;
}

static int open_all(struct opener *o)
{
	char name[IFNAMSIZ];
	unsigned int i;
	int r = o->netns ? vd_netns_enter(o->netns) : 0;

	if (r)
		return r;
	o->tun->sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (o->tun->sock < 0)
		return vd_err(-errno, "interface %s: socket: %m", o->name);
	strcpy(name, o->name);
	for (i = 0; i < o->n; i++) {
		r = open_queue(name, o->hdr_len, o->n, &o->fds[i]);
		if (!r && !i)
			r = vd_tun_name(o->fds[0], name); /* "%d" is a number now */
		if (r)
			goto err_close;
	}
	return 0;

err_close:
	while (i--)
		vd_close(&o->fds[i]);
	vd_tun_close(o->tun);
	return r;
}

static void *opener_run(void *arg)
{
	struct opener *o = arg;

	o->err = open_all(o);
	if (o->err)
		snprintf(o->error, sizeof(o->error), "%s", vd_err_text());
	return NULL;
}

int vd_tun_check_name(const char *name)
{
	size_t len = strlen(name);

	if (!len || len >= IFNAMSIZ)
		return vd_err(-EINVAL, "interface '%s': a name has 1 to %d bytes", name,
			      IFNAMSIZ - 1);
	for (const char *c = name; *c; c++)
		if (*c == '/' || *c == ':' || isspace((unsigned char)*c))
			return vd_err(-EINVAL, "interface '%s': '%c' is in no interface's name",
				      name, *c);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return vd_err(-EINVAL, "interface '%s': no interface's name", name);
	return 0;
}

int vd_tun_open(struct vd_tun *tun, const char *name, const char *netns, unsigned int hdr_len,
		int *fds, unsigned int n)
{
	struct opener o = { tun, name, netns, hdr_len, fds, n, 0, "" };
	pthread_t t;
	int r;

	tun->sock = -1;
	r = vd_tun_check_name(name);
	if (r)
		return r;
	if (!n || n > VD_TUN_QUEUES_MAX)
		return vd_err(-EINVAL, "interface %s: %u queues, not 1 to %u", name, n,
			      VD_TUN_QUEUES_MAX);
	if (!netns)
		return open_all(&o);
	r = vd_thread_start(&t, opener_run, &o, "uvdpa/netns");
	if (r)
		return r;
	pthread_join(t, NULL);
	return o.err ? vd_err(o.err, "%s", o.error) : 0;
}

void vd_tun_close(struct vd_tun *tun)
{
	vd_close(&tun->sock);
}

/* ---- what it is like ------------------------------------------------------------------------- */

static int get(int fd, struct ifreq *ifr)
{
	memset(ifr, 0, sizeof(*ifr));
	return ioctl(fd, TUNGETIFF, ifr) ? vd_err(-errno, "the interface is no more: %m") : 0;
}

int vd_tun_name(int fd, char ret_name[IFNAMSIZ])
{
	struct ifreq ifr;
	int r = get(fd, &ifr);

	if (!r)
		memcpy(ret_name, ifr.ifr_name, IFNAMSIZ);
	return r;
}

int vd_tun_set_mac(int fd, const uint8_t mac[6])
{
	struct ifreq ifr;
	int r = get(fd, &ifr);

	if (r)
		return r;
	ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(ifr.ifr_hwaddr.sa_data, mac, 6);
	return ioctl(fd, SIOCSIFHWADDR, &ifr)
		       ? vd_err(-errno, "interface %s: MAC address: %m", ifr.ifr_name)
		       : 0;
}

int vd_tun_set_mtu(const struct vd_tun *tun, int fd, unsigned int mtu)
{
	struct ifreq ifr;
	int r = get(fd, &ifr);

	if (r)
		return r;
	ifr.ifr_mtu = (int)mtu;
	return ioctl(tun->sock, SIOCSIFMTU, &ifr)
		       ? vd_err(-errno, "interface %s: MTU of %u: %m", ifr.ifr_name, mtu)
		       : 0;
}

int vd_tun_set_up(const struct vd_tun *tun, int fd)
{
	struct ifreq ifr;
	int r = get(fd, &ifr);

	if (r)
		return r;
	if (ioctl(tun->sock, SIOCGIFFLAGS, &ifr))
		return vd_err(-errno, "interface %s: %m", ifr.ifr_name);
	if (ifr.ifr_flags & IFF_UP)	/* by who may do so, perhaps */
		return 0;
	ifr.ifr_flags |= IFF_UP;
	return ioctl(tun->sock, SIOCSIFFLAGS, &ifr)
		       ? vd_err(-errno, "interface %s: up: %m", ifr.ifr_name)
		       : 0;
}

int vd_tun_set_carrier(int fd, bool up)
{
	int on = up;

	return ioctl(fd, TUNSETCARRIER, &on) ? vd_err(-errno, "interface: carrier: %m") : 0;
}

int vd_tun_set_offloads(int fd, uint64_t features)
{
	static const struct {
		unsigned int bit, flag;
	} all[] = {
		{ VIRTIO_NET_F_HOST_TSO4, TUN_F_TSO4 },   { VIRTIO_NET_F_HOST_TSO6, TUN_F_TSO6 },
		{ VIRTIO_NET_F_HOST_ECN, TUN_F_TSO_ECN }, { VIRTIO_NET_F_HOST_UFO, TUN_F_UFO },
		{ F_HOST_USO, TUN_F_USO4 | TUN_F_USO6 },
	};
	unsigned long flags = 0;

	if (features >> VIRTIO_NET_F_CSUM & 1) {
		flags = TUN_F_CSUM;
		for (unsigned int i = 0; i < VD_ARRAY_SIZE(all); i++)
			if (features >> all[i].bit & 1)
				flags |= all[i].flag;
	}
	if (!ioctl(fd, TUNSETOFFLOAD, flags))
		return 0;
	/* A kernel that does not know the youngest of them. */
	if (!ioctl(fd, TUNSETOFFLOAD, flags & ~(unsigned long)(TUN_F_USO4 | TUN_F_USO6)))
		return 0;
	return vd_err(-errno, "interface: offloads 0x%lx: %m", flags);
}

int vd_tun_attach(int fd, bool on)
{
	struct ifreq ifr = { .ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	return ioctl(fd, TUNSETQUEUE, &ifr) ? vd_err(-errno, "interface: queue: %m") : 0;
}
