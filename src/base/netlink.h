/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netlink.h - network interfaces of the kernel: what they are, to change them, and to hear of it
 *
 * A socket of vd_netlink() belongs to the namespace of the thread that opened it, for ever. The
 * kernel answers within the call that asks, which may wait for others who change interfaces: it is
 * for a job, not for the control thread. What it tells by itself comes without a question.
 */
#ifndef VD_BASE_NETLINK_H
#define VD_BASE_NETLINK_H

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

/**
 * struct vd_link - An interface
 * @index: in its namespace
 * @type: ARPHRD_ETHER, ...
 * @flags: IFF_UP, ...
 * @kind: "tun", "bridge", ...; "": hardware, or it does not say
 * @tap: of kind tun: it carries frames, not packets
 * @multi_queue: likewise: it may have several queues
 * @queues: likewise: descriptors that are queues of it, if there may be several
 */
struct vd_link {
	int index;
	unsigned int type;
	char name[IFNAMSIZ];
	uint8_t mac[6];
	uint32_t mtu, flags, queues;
	char kind[16];
	bool tap, multi_queue;
};

/* What is to be changed; zero: nothing of it. */
struct vd_link_change {
	const uint8_t *mac;
	uint32_t mtu;
	int master; /* index of a bridge */
	bool up;
};

/* Return: a socket, or -errno with a sentence. */
int vd_netlink(void);

/**
 * vd_link_watch() - Be told of an interface, and of no other
 * @nl: a socket that is used for nothing else, from now on not blocking
 *
 * Return: 0 or -errno with a sentence.
 */
int vd_link_watch(int nl, int index);

/**
 * vd_link_event() - What was told
 *
 * Return: RTM_NEWLINK: it is as *@ret_link says; RTM_DELLINK: it is not there any more; 0: there is
 * no more for now; -ENOBUFS: something was lost, ask by vd_link_ask(); another -errno.
 */
int vd_link_event(int nl, struct vd_link *ret_link);

/* Have it told as it is now. Does not wait. */
void vd_link_ask(int nl, int index);

/* Return: 0; -ENODEV there is none of the name, without a sentence; another -errno, with. */
int vd_link_get(int nl, const char *name, struct vd_link *ret_link);

/* Return: 0, or what the kernel says, without a sentence. */
int vd_link_set(int nl, int index, const struct vd_link_change *change);

/* Give it an address. Return: 0, also if it has it; or as above. @family: AF_INET, AF_INET6. */
int vd_link_add_address(int nl, int index, int family, const void *addr, unsigned int prefix);

#endif
