/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/mount.h"

#include <errno.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"

/* The kernel lets who mounted it by this program unmount it by this program. */
static bool fusermount(const char *path)
{
	char *copy = strdup(path);
	char *argv[] = { (char[]){ "fusermount3" }, (char[]){ "-uzq" }, (char[]){ "--" }, copy,
			 NULL };
	int status = -1;
	pid_t pid;

	if (copy && !posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ))
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	free(copy);
	return status == 0;
}

int vd_unmount_dead(const char *path)
{
	struct stat st;

	if (!lstat(path, &st) || errno != ENOTCONN)
		return 0;
	if (!umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) || fusermount(path))
		return 1;
	return vd_err(-ENOTCONN,
		      "%s: was mounted by a process that is gone, and cannot be unmounted", path);
}
