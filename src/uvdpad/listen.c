/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen.c - the socket in the file system
 *
 * Two daemons that start at once could each find the same stale socket and the second could remove
 * what the first has just made. So its folder is locked from the look until the socket is
 * there; a lock on a folder leaves no file behind.
 */
#include "uvdpad/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/unix.h"

#define LOCK_TRIES   40
#define LOCK_WAIT_US 25000

/* The folder of @path, made if it is missing, and locked. Return: a descriptor. */
static int folder_lock(const char *path)
{
	const char *slash = strrchr(path, '/');
	vd_cleanup(vd_closep) int fd = -1;
	struct sockaddr_un sa;
	char dir[sizeof(sa.sun_path)] = ".";
	int r = vd_unix_address(path, &sa);

	if (r)
		return r;
	if (slash) {
		size_t len = slash == path ? 1 : (size_t)(slash - path);

		memcpy(dir, path, len);
		dir[len] = '\0';
		if (mkdir(dir, 0755) && errno != EEXIST)
			return vd_err(-errno, "make folder %s: %m", dir);
	}
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return vd_err(-errno, "open folder %s: %m", dir);
	/* Others hold it for an instant only; whoever holds it for longer shall not stop us. */
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (!flock(fd, LOCK_EX | LOCK_NB)) {
			r = fd;
			fd = -1;
			return r;
		}
		usleep(LOCK_WAIT_US);
	}
	return vd_err(-EBUSY, "folder %s is locked by another process", dir);
}

int listen_open(const char *path)
{
	vd_cleanup(vd_closep) int lock = folder_lock(path);
	int fd, r;

	if (lock < 0)
		return lock;
	fd = vd_unix_bind(path, 0600);
	if (fd == -EADDRINUSE)
		return vd_err(fd, "another daemon serves %s", path);
	if (fd >= 0 && listen(fd, SOMAXCONN)) {
		r = vd_err(-errno, "listen on %s: %m", path);
		unlink(path);
		close(fd);
		return r;
	}
	return fd;
}

void listen_unlink(int fd, const char *path)
{
	vd_cleanup(vd_closep) int lock = folder_lock(path);

	/*
	 * A socket's file cannot be told from its descriptor, but it can be asked: if nobody
	 * answers there once we do not, nobody needs it.
	 */
	shutdown(fd, SHUT_RDWR);
	if (lock >= 0)
		vd_unix_remove_stale(path);
}
