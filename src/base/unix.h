/* SPDX-License-Identifier: BSD-2-Clause */
/* unix.h - unix sockets that have a path */
#ifndef VD_BASE_UNIX_H
#define VD_BASE_UNIX_H

#include <sys/types.h>
#include <sys/un.h>

/* The address of a path. Return: 0; -ENAMETOOLONG with a sentence: empty, or too long. */
int vd_unix_address(const char *path, struct sockaddr_un *ret_sa);

/* Permissions in octal. Return: 0; -EINVAL with a sentence. */
int vd_unix_mode(const char *text, mode_t *ret_mode);

/**
 * vd_unix_connect() - Connect to a stream socket
 * @path: where it is
 * @flags: SOCK_NONBLOCK, or 0
 *
 * Return: the descriptor, or -errno with a sentence: -ENOENT; -ECONNREFUSED nobody listens any
 * more; -EAGAIN not blocking, and the queue of the one who listens is full; ...
 */
int vd_unix_connect(const char *path, int flags);

/**
 * vd_unix_lock_folder() - Keep others from putting something in a path's place meanwhile
 * @path: of what lies, or will lie, in the folder
 *
 * Who plays by the rules holds it for an instant only; waits up to a quarter of a second.
 *
 * Return: a descriptor, which holds the lock until it is closed; -EBUSY; another -errno. All with
 * a sentence.
 */
int vd_unix_lock_folder(const char *path);

/**
 * struct vd_unix - A socket that has a path of its own; embedded
 * @fd: -1: none
 * @sa: where
 * @dev, @ino: the file that was made; 0, 0: none, the socket is from somewhere else
 */
struct vd_unix {
	int fd;
	struct sockaddr_un sa;
	dev_t dev;
	ino_t ino;
};

/**
 * vd_unix_listen() - Listen at a path, exactly
 * @u: set on success
 * @path: a socket there at which nobody listens any more is replaced
 * @mode: permissions, whatever the umask; right from before the first one can connect
 * @backlog: as listen(2)
 *
 * Of several that do this at the same moment, in whatever processes, one gets the path. The
 * descriptor does not block; vd_unix_listen() itself waits up to a quarter of a second for a lock
 * that is held for an instant by those who play by the rules.
 *
 * Return: 0; -EADDRINUSE somebody listens; -EEXIST @path is no socket; -EBUSY the folder is
 * locked; -ENAMETOOLONG; another -errno. All with a sentence.
 */
int vd_unix_listen(struct vd_unix *u, const char *path, mode_t mode, int backlog);

/**
 * vd_unix_inherit() - Listen at a socket that another process made, and handed over
 * @u: set on success; @u->sa says where it listens
 * @fd: inherited; the caller's still, @u has a duplicate that does not block
 *
 * Who names @fd may be a client, and its number that of any descriptor here. What is ours closes on
 * exec; what was inherited does not.
 *
 * Return: 0; -EINVAL it is not open, not inherited, or no listening unix stream socket; another
 * -errno. All with a sentence.
 */
int vd_unix_inherit(struct vd_unix *u, int fd);

/**
 * vd_unix_adopt() - See to the file of an inherited socket: it was made for us
 * @mode: permissions, whatever it has
 *
 * Return: 0, and vd_unix_close() will remove the file; -errno with a sentence.
 */
int vd_unix_adopt(struct vd_unix *u, mode_t mode);

/* As vd_unix_listen(), for a socket of datagrams, which are received there. */
int vd_unix_bind(struct vd_unix *u, const char *path, mode_t mode);

/* Close, and remove the file if it is the one that was made. Nothing if @u->fd is -1. */
void vd_unix_close(struct vd_unix *u);

#endif
