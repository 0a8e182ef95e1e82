/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/err.h"

void vd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

void vd_closep(int *fd)
{
	vd_close(fd);
}

void vd_std_fds(void)
{
	int fd;

	/* For the programs that are started by this one, too. */
	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	vd_close(&fd);
}

int vd_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? vd_err(-errno, "eventfd: %m") : fd;
}

int vd_dup(int fd)
{
	int d = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return d < 0 ? vd_err(-errno, "duplicate of descriptor %d: %m", fd) : d;
}

void vd_eventfd_signal(int fd)
{
	uint64_t one = 1;
	ssize_t n;

	do
		n = write(fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
	/* EAGAIN: the counter is full, so the reader has been told. Else the reader is gone. */
}

bool vd_eventfd_drain(int fd)
{
	uint64_t n;
	struct iovec iov = { &n, sizeof(n) };

	if (preadv2(fd, &iov, 1, -1, RWF_NOWAIT) > 0)
		return true;
	/* A pipe that was opened a second time: so its flags are our own. */
	return errno == EOPNOTSUPP && (fcntl(fd, F_GETFL) & O_NONBLOCK) &&
	       read(fd, &n, sizeof(n)) > 0;
}

bool vd_fd_is_eventfd(int fd)
{
	char path[64], link[64];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st))
		return false;
	if (S_ISFIFO(st.st_mode))
		return true;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)	/* no /proc: an anonymous inode has no type at all */
		return (st.st_mode & S_IFMT) == 0;
	link[n] = '\0';
	return strcmp(link, "anon_inode:[eventfd]") == 0;
}

int vd_set_nonblock(int fd, bool on)
{
	int fl = fcntl(fd, F_GETFL);

	if (fl < 0 || fcntl(fd, F_SETFL, on ? fl | O_NONBLOCK : fl & ~O_NONBLOCK) < 0)
		return vd_err(-errno, "flags of descriptor %d: %m", fd);
	return 0;
}

int vd_epoll_set(int epfd, int fd, uint32_t *events, uint32_t wanted, void *ptr)
{
	struct epoll_event ev = { .events = wanted, .data.ptr = ptr };
	int op = !*events ? EPOLL_CTL_ADD : wanted ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;

	if (*events == wanted)
		return 0;
	if (epoll_ctl(epfd, op, fd, &ev))
		return -errno;
	*events = wanted;
	return 0;
}
