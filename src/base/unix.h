/* SPDX-License-Identifier: BSD-2-Clause */
/* unix.h - unix stream sockets that have a path */
#ifndef VD_BASE_UNIX_H
#define VD_BASE_UNIX_H

#include <sys/types.h>
#include <sys/un.h>

/* The address of a path. Return: 0; -ENAMETOOLONG with a sentence: empty, or too long. */
int vd_unix_address(const char *path, struct sockaddr_un *ret_sa);

/**
 * vd_unix_connect() - Connect to a socket
 * @path: where it is
 * @flags: SOCK_NONBLOCK, or 0
 *
 * Return: the descriptor, or -errno with a sentence: -ENOENT; -ECONNREFUSED nobody listens any
 * more; -EAGAIN not blocking, and the queue of the one who listens is full; ...
 */
int vd_unix_connect(const char *path, int flags);

/* Remove a socket at which nobody listens any more. Return: 0, also if nothing is there;
 * -EADDRINUSE somebody listens; -EEXIST it is no socket; -errno, all with a sentence. */
int vd_unix_remove_stale(const char *path);

/**
 * vd_unix_bind() - Make a socket at a path, for listen(2)
 * @path: a stale socket there is replaced
 * @mode: permissions, less the umask; nobody can connect before listen()
 *
 * Return: the descriptor, not blocking; else as vd_unix_remove_stale().
 */
int vd_unix_bind(const char *path, mode_t mode);

#endif
