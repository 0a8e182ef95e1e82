/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/unix.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"

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

static int new_socket(int flags)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	return fd < 0 ? vd_err(-errno, "socket: %m") : fd;
}

int vd_unix_connect(const char *path, int flags)
{
	struct sockaddr_un sa;
	int fd, r = vd_unix_address(path, &sa);

	if (r)
		return r;
	fd = new_socket(flags);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		r = vd_err(-errno, "connect to %s: %m", path);
		close(fd);
		return r;
	}
	return fd;
}

int vd_unix_remove_stale(const char *path)
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
	if (fd >= 0 || fd == -EAGAIN)	/* its queue is full, so somebody has it */
		return vd_err(-EADDRINUSE, "another process listens at %s", path);
	if (fd != -ECONNREFUSED)
		return fd == -ENOENT ? 0 : fd;
	return unlink(path) && errno != ENOENT ? vd_err(-errno, "remove stale %s: %m", path) : 0;
}

int vd_unix_bind(const char *path, mode_t mode)
{
	struct sockaddr_un sa;
	int fd, r = vd_unix_address(path, &sa);

	if (!r)
		r = vd_unix_remove_stale(path);
	if (r)
		return r;
	fd = new_socket(SOCK_NONBLOCK);
	/* bind() gives the file the mode of the socket, so it is never open to others. */
	if (fd >= 0 && (fchmod(fd, mode) || bind(fd, (struct sockaddr *)&sa, sizeof(sa)))) {
		r = vd_err(-errno, "socket %s: %m", path);
		close(fd);
		return r;
	}
	return fd;
}
