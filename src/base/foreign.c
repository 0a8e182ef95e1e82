/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/foreign.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/thread.h"
#include "base/util.h"

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

bool vd_foreign_ok(int fd)
{
	socklen_t len = sizeof(int);
	struct statx st;
	int domain;

	if (fcntl(fd, F_GET_SEALS) >= 0)	/* a memfd, tmpfs, hugetlbfs */
		return true;
	if (!getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len))
		return domain == AF_UNIX;
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

static unsigned int closing;	/* of the process, as its descriptors are */

static void *close_it(void *arg)
{
	close((int)(intptr_t)arg);
	__atomic_sub_fetch(&closing, 1, __ATOMIC_RELAXED);
	return NULL;
}

void vd_foreign_close(int fd)
{
	pthread_t thread;

	__atomic_add_fetch(&closing, 1, __ATOMIC_RELAXED);
	/* If there is no thread to be had it stays open: better than to wait. */
	if (!vd_thread_start(&thread, close_it, (void *)(intptr_t)fd, "uvdpa/close"))
		pthread_detach(thread);
}

unsigned int vd_foreign_closing(void)
{
	return __atomic_load_n(&closing, __ATOMIC_RELAXED);
}
