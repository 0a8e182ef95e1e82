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
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"

#define LOCK_TRIES   40
#define LOCK_WAIT_US 25000

/* The folder of @path, made if it is missing, and locked. Return: a descriptor. */
static int folder_lock(const char *path)
{
	const char *slash = strrchr(path, '/');
	vd_cleanup(vd_closep) int fd = -1;
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)] = ".";
	int r;

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

/* Context: the folder is locked. */
static int remove_stale(const struct sockaddr_un *addr)
{
	vd_cleanup(vd_closep) int fd = -1;
	struct stat st;

	if (lstat(addr->sun_path, &st))
		return errno == ENOENT ? 0 : vd_err(-errno, "%s: %m", addr->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return vd_err(-EEXIST, "%s exists and is not a socket", addr->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return vd_err(-errno, "socket: %m");
	/* EAGAIN: its queue is full, so somebody has it. */
	if (!connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) || errno == EAGAIN)
		return vd_err(-EADDRINUSE, "another daemon serves %s", addr->sun_path);
	if (errno != ECONNREFUSED)
		return vd_err(-errno, "connect to %s: %m", addr->sun_path);
	if (unlink(addr->sun_path) && errno != ENOENT)
		return vd_err(-errno, "remove stale socket %s: %m", addr->sun_path);
	return 0;
}

int listen_open(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	vd_cleanup(vd_closep) int lock = -1;
	vd_cleanup(vd_closep) int fd = -1;
	int r;

	if (!*path || strlen(path) >= sizeof(addr.sun_path))
		return vd_err(-ENAMETOOLONG, "socket \"%s\": 1 to %zu bytes are possible", path,
			      sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path));
	lock = folder_lock(path);
	if (lock < 0)
		return lock;
	r = remove_stale(&addr);
	if (r)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return vd_err(-errno, "socket: %m");
	/* bind() gives the file the mode of the socket, so it is never open to others. */
	if (fchmod(fd, 0600) || bind(fd, (const struct sockaddr *)&addr, sizeof(addr)))
		return vd_err(-errno, "socket %s: %m", path);
	if (listen(fd, SOMAXCONN)) {
		r = vd_err(-errno, "listen on %s: %m", path);
		unlink(path);
		return r;
	}
	r = fd;
	fd = -1;
	return r;
}

void listen_unlink(int fd, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	vd_cleanup(vd_closep) int lock = folder_lock(path);

	/*
	 * A socket's file cannot be told from its descriptor, but it can be asked: if nobody
	 * answers there once we do not, nobody needs it.
	 */
	shutdown(fd, SHUT_RDWR);
	memcpy(addr.sun_path, path, strlen(path));
	if (lock >= 0)
		remove_stale(&addr);
}
