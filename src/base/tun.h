/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tun.h - TAP interfaces of the host's kernel, with virtio's headers before each frame
 *
 * An interface that is not there is made, and goes with its last descriptor; one that an administrator has
 * made persistent is used and stays. It is found by its descriptors, so it may be renamed.
 */
#ifndef VD_BASE_TUN_H
#define VD_BASE_TUN_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#define VD_TUN_QUEUES_MAX 256u	/* of one interface, in the kernel */

struct vd_tun {
	int sock;	/* of the interface's namespace */
};

/**
 * vd_tun_open() - Queues of an interface
 * @name: up to IFNAMSIZ - 1 bytes; "%d" in it stands for a free number
 * @netns: a name of "ip netns", or a path; NULL: the caller's namespace
 * @hdr_len: bytes of the virtio header, little-endian
 * @fds: receives @n descriptors, which do not block
 * @tun: filled in
 *
 * Return: 0; -EINVAL the name, or an interface that is no TAP, or has other queues; -EBUSY in use;
 * -ENODEV, -EACCES no /dev/net/tun; -EPERM; -ENOENT no such namespace. All with a sentence.
 */
int vd_tun_open(struct vd_tun *tun, const char *name, const char *netns, unsigned int hdr_len,
		int *fds, unsigned int n);

/**
 * vd_netns_enter() - Take this thread to another network namespace, for good
 * @netns: as above, not NULL
 *
 * Return: 0; -errno with a sentence.
 */
int vd_netns_enter(const char *netns);

/* Can an interface have this name? Return: 0; -EINVAL with a sentence. */
int vd_tun_check_name(const char *name);

/* The descriptors are the caller's. Harmless if sock is -1. */
void vd_tun_close(struct vd_tun *tun);

/* What the interface is called now; @fd: one of its descriptors. Return: 0; -EBADFD it is no more. */
int vd_tun_name(int fd, char ret_name[IFNAMSIZ]);

/* Return: 0; -errno with a sentence. */
int vd_tun_set_mac(int fd, const uint8_t mac[6]);
int vd_tun_set_mtu(const struct vd_tun *tun, int fd, unsigned int mtu);
int vd_tun_set_up(const struct vd_tun *tun, int fd);
int vd_tun_set_carrier(int fd, bool up);

/* What a frame that is read may be: HOST_* feature bits, or CSUM, of a virtio network device. */
int vd_tun_set_offloads(int fd, uint64_t features);

/* Of several queues: does the kernel use this one? They are in use at the start. */
int vd_tun_attach(int fd, bool on);

#endif
