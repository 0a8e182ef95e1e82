/* SPDX-License-Identifier: BSD-2-Clause */
/* listen.h - the socket in the file system */
#ifndef VD_UVDPAD_LISTEN_H
#define VD_UVDPAD_LISTEN_H

/**
 * listen_open() - Listen on a unix socket of mode 0600
 * @path: its folder is made if it is missing; a socket that nobody serves is replaced
 *
 * Return: the descriptor, not blocking; -EADDRINUSE another process serves it; -EEXIST @path is
 * something else; -errno with a sentence.
 */
int listen_open(const char *path);

/* Stop listening on @fd, and remove @path unless another daemon serves it. Does not close @fd. */
void listen_unlink(int fd, const char *path);

#endif
