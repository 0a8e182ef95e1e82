/* SPDX-License-Identifier: BSD-2-Clause */
/* fd.h - file descriptors: always close-on-exec, eventfds that cannot block us */
#ifndef VD_BASE_FD_H
#define VD_BASE_FD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

/* For vd_cleanup(vd_closep): closes unless it is -1. */
void vd_closep(int *fd);

/* Close *@fd unless it is -1, and set it to -1. errno is kept. */
void vd_close(int *fd);

/**
 * vd_std_fds() - Give a program that was started without them its first three descriptors
 *
 * Otherwise the next things that it opens have these numbers, and what is printed goes into them. What
 * takes the place of one reads as empty and cannot be written to, so whoever prints notices. To be called
 * before anything is opened.
 */
void vd_std_fds(void);

/* A new eventfd, not blocking. Return: the descriptor or -errno with a sentence. */
int vd_eventfd(void);

/* A duplicate. Return: the descriptor or -errno with a sentence. */
int vd_dup(int fd);

/**
 * vd_eventfd_signal() - Add one
 * @fd: an eventfd, or a pipe of somebody who uses one in its place
 *
 * If a hostile peer has made the descriptor blocking and the counter full, this blocks; the gate
 * lets a data thread go on by vd_eventfd_drain(), the control thread uses vd_bell_ring().
 */
void vd_eventfd_signal(int fd);

/**
 * vd_eventfd_drain() - Take what is there
 *
 * Never blocks, whatever the peer set the shared file's flags to.
 *
 * Return: true if it had been signalled.
 */
bool vd_eventfd_drain(int fd);

/**
 * vd_fd_is_eventfd() - Is a descriptor from a peer something that can notify?
 *
 * Return: true for an eventfd or a pipe. Anything else could do anything when written to.
 */
bool vd_fd_is_eventfd(int fd);

/**
 * vd_epoll_set() - Wait for other events of a descriptor
 * @events: in: those that it is waited for, 0 if it is not in the set; out: @wanted
 * @ptr: comes with its events; what it was before stays if none are added
 *
 * Asks the kernel only for a change. Return: 0; -errno without a sentence, and it is in the set as before.
 */
int vd_epoll_set(int epfd, int fd, uint32_t *events, uint32_t wanted, void *ptr);

/* Set or clear O_NONBLOCK, for all who share the open file. Return: 0 or -errno with a sentence. */
int vd_set_nonblock(int fd, bool on);

#endif
