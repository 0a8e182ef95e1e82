/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"

#define ANSWER 16384 /* bytes; what the kernel tells of an interface is a tenth of it */

/* A question, with its attributes. */
struct msg {
	struct nlmsghdr h;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg addr;
	};
	char attrs[256];
};

static void put(struct msg *m, unsigned short type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)(void *)((char *)m + NLMSG_ALIGN(m->h.nlmsg_len));

	assert(NLMSG_ALIGN(m->h.nlmsg_len) + RTA_SPACE(len) <= sizeof(*m));
	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	m->h.nlmsg_len = NLMSG_ALIGN(m->h.nlmsg_len) + (uint32_t)RTA_SPACE(len);
}

static struct msg link_msg(uint16_t type, uint16_t flags, int index)
{
	return (struct msg){
		.h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
		       .nlmsg_type = type,
		       .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags) },
		.link = { .ifi_family = AF_UNSPEC, .ifi_index = index },
	};
}

int vd_netlink(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	return fd < 0 ? vd_err(-errno, "netlink socket: %m") : fd;
}

/* ---- what an interface is ------------------------------------------------------------------- */

static void take_tun(struct vd_link *l, struct rtattr *a, size_t len)
{
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		const uint8_t *flag = RTA_DATA(a);
		uint32_t n;

		switch (a->rta_type) {
		case IFLA_TUN_TYPE:
			l->tap = *flag == IFF_TAP;
			break;
		case IFLA_TUN_MULTI_QUEUE:
			l->multi_queue = *flag;
			break;
		case IFLA_TUN_NUM_QUEUES:
		case IFLA_TUN_NUM_DISABLED_QUEUES:
			memcpy(&n, flag, sizeof(n));
			l->queues += n;
			break;
		}
	}
}

static void take_info(struct vd_link *l, struct rtattr *a, size_t len)
{
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == IFLA_INFO_KIND)
			strncpy(l->kind, RTA_DATA(a), sizeof(l->kind) - 1);
		else if (a->rta_type == IFLA_INFO_DATA && strcmp(l->kind, "tun") == 0)
			take_tun(l, RTA_DATA(a), RTA_PAYLOAD(a));
	}
}

static void take_link(struct vd_link *l, struct nlmsghdr *h)
{
	struct ifinfomsg *i = NLMSG_DATA(h);
	struct rtattr *a = IFLA_RTA(i);
	size_t len = IFLA_PAYLOAD(h);

	*l = (struct vd_link){ .index = i->ifi_index, .type = i->ifi_type,
			       .flags = i->ifi_flags };
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		switch (a->rta_type) {
		case IFLA_IFNAME:
			strncpy(l->name, RTA_DATA(a), sizeof(l->name) - 1);
			break;
		case IFLA_ADDRESS:
			if (RTA_PAYLOAD(a) == sizeof(l->mac))
				memcpy(l->mac, RTA_DATA(a), sizeof(l->mac));
			break;
		case IFLA_MTU:
			memcpy(&l->mtu, RTA_DATA(a), sizeof(l->mtu));
			break;
		case IFLA_LINKINFO:
			take_info(l, RTA_DATA(a), RTA_PAYLOAD(a));
			break;
		}
	}
}

/* ---- questions ------------------------------------------------------------------------------ */

/* Return: 0 or the kernel's -errno. @ret_link: of the answer, or NULL. */
static int talk(int nl, struct msg *m, struct vd_link *ret_link)
{
	_Alignas(struct nlmsghdr) char buf[ANSWER];
	struct nlmsghdr *h = (struct nlmsghdr *)(void *)buf;
	ssize_t n;

	if (send(nl, m, m->h.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(nl, buf, sizeof(buf), 0);
	if (n < 0)
		return -errno;
	if (!NLMSG_OK(h, (size_t)n))
		return -EPROTO;
	if (h->nlmsg_type == NLMSG_ERROR)
		return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
	if (h->nlmsg_type != RTM_NEWLINK || !ret_link)
		return -EPROTO;
	take_link(ret_link, h);
	return 0;
}

int vd_link_get(int nl, const char *name, struct vd_link *ret_link)
{
	struct msg m = link_msg(RTM_GETLINK, 0, 0);
	int r;

	if (strlen(name) >= IFNAMSIZ)
		return -ENODEV;
	put(&m, IFLA_IFNAME, name, strlen(name) + 1);
	r = talk(nl, &m, ret_link);
	if (!r || r == -ENODEV)
		return r;
	errno = -r;
	return vd_err(r, "interface %s: %m", name);
}

int vd_link_set(int nl, int index, const struct vd_link_change *change)
{
	struct msg m = link_msg(RTM_NEWLINK, NLM_F_ACK, index);

	if (change->up)
		m.link.ifi_flags = m.link.ifi_change = IFF_UP;
	if (change->mac)
		put(&m, IFLA_ADDRESS, change->mac, 6);
	if (change->mtu)
		put(&m, IFLA_MTU, &change->mtu, sizeof(change->mtu));
	if (change->master)
		put(&m, IFLA_MASTER, &change->master, sizeof(change->master));
	return talk(nl, &m, NULL);
}

int vd_link_add_address(int nl, int index, int family, const void *addr, unsigned int prefix)
{
	size_t len = family == AF_INET ? 4 : 16;
	struct msg m = {
		.h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)),
		       .nlmsg_type = RTM_NEWADDR,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL },
		.addr = { .ifa_family = (uint8_t)family,
			  .ifa_prefixlen = (uint8_t)prefix,
			  .ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0,
			  .ifa_index = (uint32_t)index },
	};
	int r;

	put(&m, IFA_LOCAL, addr, len);
	put(&m, IFA_ADDRESS, addr, len);
	r = talk(nl, &m, NULL);
	return r == -EEXIST ? 0 : r;
}

/* ---- to be told ----------------------------------------------------------------------------- */

int vd_link_watch(int nl, int index)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 (uint32_t)(NLMSG_HDRLEN + offsetof(struct ifinfomsg, ifi_index))),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl((uint32_t)index), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { VD_ARRAY_SIZE(code), code };
	int group = RTNLGRP_LINK;

	/* Others, of which there may be thousands, shall not wake us. */
	if (setsockopt(nl, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) ||
	    setsockopt(nl, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
		return vd_err(-errno, "watch interface %d: %m", index);
	return vd_set_nonblock(nl, true);
}

void vd_link_ask(int nl, int index)
{
	struct msg m = link_msg(RTM_GETLINK, 0, index);

	(void)!send(nl, &m, m.h.nlmsg_len, MSG_DONTWAIT);
}

int vd_link_event(int nl, struct vd_link *ret_link)
{
	_Alignas(struct nlmsghdr) char buf[ANSWER];
	struct nlmsghdr *h = (struct nlmsghdr *)(void *)buf;

	for (;;) {
		ssize_t n = recv(nl, buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (!NLMSG_OK(h, (size_t)n))
			continue;
		if (h->nlmsg_type == RTM_DELLINK)
			return RTM_DELLINK;
		if (h->nlmsg_type != RTM_NEWLINK)
			continue;
		take_link(ret_link, h);
		return RTM_NEWLINK;
	}
}
