/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/thread.h"
#include "base/util.h"

#define DRAIN_MAX 64 /* messages, or parts of one */

/* Return: the number of the mount that @fd is on; -1 if there is no telling. */
static int mount_of(int fd)
{
	char path[40], line[128];
	int id = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f) && sscanf(line, "mnt_id: %d", &id) != 1)
		;
	if (f)
		fclose(f);
	return id;
}

static bool waits_for_somebody(const char *fstype)
{
	static const char *const remote[] = { "fuse", "nfs", "cifs", "smb", "9p", "afs", "ceph",
					      "virtiofs", "autofs" };

	for (size_t i = 0; i < VD_ARRAY_SIZE(remote); i++)
		if (!strncmp(fstype, remote[i], strlen(remote[i])))
			return true;
	return false;
}

/* In a chroot that is no mount, the list of mounts lacks the one that it is in. */
static bool is_our_root(int mount)
{
	int fd = open("/", O_PATH | O_CLOEXEC);
	bool same = fd >= 0 && mount_of(fd) == mount;

	if (fd >= 0)
		close(fd);
	return same;
}

/* Of a mount in another namespace nothing is known here. */
static bool is_local(int fd)
{
	int id, want = mount_of(fd);
	char *line = NULL, *type;
	bool local = want >= 0 && is_our_root(want);
	size_t size = 0;
	FILE *f = want < 0 ? NULL : fopen("/proc/self/mountinfo", "re");

	while (f && getline(&line, &size, f) > 0) {
		if (sscanf(line, "%d ", &id) != 1 || id != want)
			continue;
		type = strstr(line, " - ");
		local = type && !waits_for_somebody(type + 3);
		break;
	}
	free(line);
	if (f)
		fclose(f);
	return local;
}

static bool is_unnamed_pipe(int fd)
{
	char path[40], link[8] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, link, sizeof(link) - 1) > 0 && !strncmp(link, "pipe:[", 6);
}

static int socket_is(int fd, int option)
{
	socklen_t len = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) ? -1 : value;
}

bool vd_foreign_ok(int fd)
{
	struct statx st;
	int domain;

	if (fcntl(fd, F_GET_SEALS) >= 0)	/* a memfd, tmpfs, hugetlbfs */
		return true;
	domain = socket_is(fd, SO_DOMAIN);
	if (domain >= 0)
		return domain == AF_UNIX && socket_is(fd, SO_TYPE) == SOCK_STREAM &&
		       !socket_is(fd, SO_ACCEPTCONN);
	/* What the kernel knows already. */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st))
		return false;
	switch (st.stx_mode & S_IFMT) {
	case 0:	/* an eventfd or another anonymous inode */
		return true;
	case S_IFIFO:
		return is_unnamed_pipe(fd) || is_local(fd);
	default:
		return is_local(fd);
	}
}

void vd_foreign_inline(int fd)
{
	static const int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
}

/* ---- closing ------------------------------------------------------------------------------- */

struct vd_foreign {
	unsigned int refs; /* the owner's, and one for each that is being closed; atomic */
};

struct vd_foreign *vd_foreign_create(void)
{
	struct vd_foreign *f = calloc(1, sizeof(*f));

	if (f)
		f->refs = 1;
	return f;
}

void vd_foreign_destroy(struct vd_foreign *f)
{
	if (f && !__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL))
		free(f);
}

unsigned int vd_foreign_closing(const struct vd_foreign *f)
{
	return __atomic_load_n(&f->refs, __ATOMIC_RELAXED) - 1;
}

struct closing {
	struct vd_foreign *f;
	int fd;
};

static void *close_it(void *arg)
{
	struct closing *c = arg;

	close(c->fd);
	vd_foreign_destroy(c->f);
	free(c);
	return NULL;
}

void vd_foreign_close(struct vd_foreign *f, int fd)
{
	struct closing *c = malloc(sizeof(*c));
	pthread_t thread;

	if (f)
		__atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);
	if (c)
		*c = (struct closing){ .f = f, .fd = fd };
	/* If there is no thread to be had it stays open: better than to wait. */
	if (c && !vd_thread_start(&thread, close_it, c, "uvdpa/close"))
		pthread_detach(thread);
	else
		free(c);
}

/* Return: false: there is more. */
static bool drain_some(struct vd_foreign *f, int fd)
{
	char bytes[4096];
	struct iovec iov = { bytes, sizeof(bytes) };
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(VD_FOREIGN_MAX * sizeof(int))];
	} ctl;
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = ctl.buf,
			     .msg_controllen = sizeof(ctl.buf) };
	bool stream = socket_is(fd, SO_TYPE) == SOCK_STREAM;
	ssize_t n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int other;

	if (n < 0) /* it says last that the other end went without having read everything */
		return errno == EAGAIN || (stream && errno == ECONNRESET);
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&mh); h; h = CMSG_NXTHDR(&mh, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at < h->cmsg_len; at += sizeof(other)) {
			memcpy(&other, (char *)h + at, sizeof(other));
			if (vd_foreign_ok(other) && socket_is(other, SO_DOMAIN) < 0)
				vd_close(&other);
			else
				vd_foreign_close(f, other);
		}
	}
	return !n && stream;
}

/* Of a socket whose other end cannot put more into it. Return: false: not all could be taken out.
 */
static bool drain(struct vd_foreign *f, int fd)
{
	for (int i = 0; i < DRAIN_MAX; i++)
		if (drain_some(f, fd))
			return true;
	return false;
}

void vd_foreign_drop(struct vd_foreign *f, int *fd)
{
	if (*fd >= 0 && socket_is(*fd, SO_DOMAIN) == AF_UNIX) {
		vd_foreign_inline(*fd);
		if (shutdown(*fd, SHUT_RD) || !drain(f, *fd)) {
			vd_foreign_close(f, *fd);
			*fd = -1;
		}
	}
	vd_close(fd);
}
