/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * unix.c - unix sockets that have a path
 *
 * Two that begin at once could each find the same stale socket, and the second could remove what
 * the first has just made: between its bind() and its listen() it looks stale too. So the folder
 * is locked from the look until the socket listens; a lock on a folder leaves no file behind.
 */
#include "base/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/foreign.h"

/* Others hold the lock for an instant only; whoever holds it for longer shall not stop us. */
#define LOCK_TRIES 50
#define LOCK_WAIT_US 5000

int vd_unix_address(const char *path, struct sockaddr_un *ret_sa)
{
	size_t len = strlen(path);

	if (!len || len >= sizeof(ret_sa->sun_path))
		return vd_err(-ENAMETOOLONG, "socket \"%s\": 1 to %zu bytes are possible", path,
			      sizeof(ret_sa->sun_path) - 1);
	*ret_sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret_sa->sun_path, path, len);
	return 0;
}

int vd_unix_mode(const char *text, mode_t *ret_mode)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	*ret_mode = (mode_t)mode;
	if (!*text || *end || mode > 0777)
		return vd_err(-EINVAL, "mode %s: octal permissions up to 0777", text);
	return 0;
}

static int new_socket(int type)
{
	int fd = socket(AF_UNIX, SOCK_CLOEXEC | type, 0);

	return fd < 0 ? vd_err(-errno, "socket: %m") : fd;
}

int vd_unix_connect(const char *path, int flags)
{
	struct sockaddr_un sa;
	int fd, r = vd_unix_address(path, &sa);

	if (r)
		return r;
	fd = new_socket(SOCK_STREAM | flags);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		r = vd_err(-errno, "connect to %s: %m", path);
		close(fd);
		return r;
	}
	return fd;
}

/* Context: the folder is locked. */
static int remove_stale(const char *path)
{
	struct stat st;
	int fd;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : vd_err(-errno, "%s: %m", path);
	if (!S_ISSOCK(st.st_mode))
		return vd_err(-EEXIST, "%s exists and is not a socket", path);
	fd = vd_unix_connect(path, SOCK_NONBLOCK);
	if (fd >= 0)
		close(fd);
	/* Its queue is full, or it is one of datagrams: so somebody has it. */
	if (fd >= 0 || fd == -EAGAIN || fd == -EPROTOTYPE)
		return vd_err(-EADDRINUSE, "another process listens at %s", path);
	if (fd != -ECONNREFUSED)
		return fd == -ENOENT ? 0 : fd;
	return unlink(path) && errno != ENOENT ? vd_err(-errno, "remove stale %s: %m", path) : 0;
}

int vd_unix_lock_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = !slash ? 0 : slash == path ? 1 : (size_t)(slash - path);
	char dir[PATH_MAX];
	int fd, r;

	if (len >= sizeof(dir))
		return vd_err(-ENAMETOOLONG, "a folder of %zu bytes", len);
	memcpy(dir, len ? path : ".", len ? len : 1);
	dir[len ? len : 1] = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return vd_err(-errno, "folder %s: %m", dir);
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB); i++) {
		if (errno != EWOULDBLOCK)	/* a file system without locks */
			break;
		if (i == LOCK_TRIES) {
			r = vd_err(-EBUSY, "folder %s is locked by another process", dir);
			close(fd);
			return r;
		}
		usleep(LOCK_WAIT_US);
	}
	return fd;
}

/* The mode as asked for, whatever the path has become meanwhile. */
static int set_mode(const struct vd_unix *u, mode_t mode)
{
	const char *path = u->sa.sun_path;
	vd_cleanup(vd_closep) int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char self[64];
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return vd_err(-errno, "socket %s: %m", path);
	if (st.st_dev != u->dev || st.st_ino != u->ino)
		return vd_err(-EEXIST, "socket %s: replaced while it was made", path);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return chmod(self, mode) ? vd_err(-errno, "socket %s: mode %03o: %m", path, mode) : 0;
}

/* Know it again, so that it can be removed, and see to its mode, whatever the umask. */
static int own_file(struct vd_unix *u, mode_t mode)
{
	struct stat st;

	if (lstat(u->sa.sun_path, &st))
		return vd_err(-errno, "socket %s: %m", u->sa.sun_path);
	if (!S_ISSOCK(st.st_mode))
		return vd_err(-EEXIST, "socket %s: replaced while it was made", u->sa.sun_path);
	u->dev = st.st_dev;
	u->ino = st.st_ino;
	return (st.st_mode & 0777) != mode ? set_mode(u, mode) : 0;
}

/* Of datagrams: @backlog counts for nothing. */
static int make(struct vd_unix *u, const char *path, mode_t mode, int type, int backlog)
{
	vd_cleanup(vd_closep) int lock = -1;
	struct vd_unix new = { .fd = -1 };
	int r = vd_unix_address(path, &new.sa);

	if (r)
		return r;
	lock = vd_unix_lock_folder(path);
	r = lock < 0 ? lock : remove_stale(path);
	if (!r)
		r = new.fd = new_socket(type | SOCK_NONBLOCK);
	if (r < 0)
		return r;
	/* bind() gives the file the mode of the socket, so it is never open to others. */
	if (fchmod(new.fd, mode) || bind(new.fd, (struct sockaddr *)&new.sa, sizeof(new.sa)))
		r = vd_err(-errno, "socket %s: %m", path);
	else
		r = own_file(&new, mode);
	if (!r && type == SOCK_STREAM && listen(new.fd, backlog))
		r = vd_err(-errno, "listen on %s: %m", path);
	if (r)
		vd_unix_close(&new);
	else
		*u = new;
	return r;
}

int vd_unix_listen(struct vd_unix *u, const char *path, mode_t mode, int backlog)
{
	return make(u, path, mode, SOCK_STREAM, backlog);
}

int vd_unix_inherit(struct vd_unix *u, int fd)
{
	int family = 0, type = 0, listens = 0, flags = fcntl(fd, F_GETFD);
	struct vd_unix new = { .fd = -1 };
	socklen_t len = sizeof(int);

	if (flags < 0)
		return vd_err(-EINVAL, "fd %d is not open", fd);
	if (flags & FD_CLOEXEC)
		return vd_err(-EINVAL, "fd %d was not inherited: it closes on exec", fd);
	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len);
	if (family != AF_UNIX || type != SOCK_STREAM || !listens)
		return vd_err(-EINVAL, "fd %d is not a listening unix stream socket", fd);
	new.fd = vd_dup(fd);
	if (new.fd < 0)
		return new.fd;
	len = sizeof(new.sa) - 1; /* so that a path of full length is terminated */
	getsockname(fd, (struct sockaddr *)&new.sa, &len);
	vd_set_nonblock(new.fd, true);
	*u = new;
	return 0;
}

int vd_unix_adopt(struct vd_unix *u, mode_t mode)
{
	return own_file(u, mode);
}

int vd_unix_bind(struct vd_unix *u, const char *path, mode_t mode)
{
	return make(u, path, mode, SOCK_DGRAM, 0);
}

/* Who has not been let in may have sent descriptors already, and they would go with our socket. */
static void turn_away(struct vd_unix *u)
{
	int fd;

	shutdown(u->fd, SHUT_RD); /* nobody comes any more */
	while ((fd = accept4(u->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		vd_foreign_drop(NULL, &fd);
	if (errno == EAGAIN || errno == EINVAL) /* that was all */
		vd_close(&u->fd);
	else
		vd_foreign_drop(NULL, &u->fd);
}

void vd_unix_close(struct vd_unix *u)
{
	struct stat st;

	/* While our socket is open its file's number is nobody else's, and nobody removes it. */
	if (u->ino && !lstat(u->sa.sun_path, &st) && st.st_dev == u->dev && st.st_ino == u->ino)
		unlink(u->sa.sun_path);
	if (u->ino)
		turn_away(u);
	u->ino = 0;
	vd_close(&u->fd);
}
