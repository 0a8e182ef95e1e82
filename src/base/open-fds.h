/* SPDX-License-Identifier: BSD-2-Clause */
/* open-fds.h - for tests: does anything leave a descriptor behind? */
#ifndef VD_BASE_OPEN_FDS_H
#define VD_BASE_OPEN_FDS_H

#include <dirent.h>
#include <stdlib.h>

/* Descriptors of this process, with the one that looks. */
static inline unsigned int open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	if (!d)
		abort();
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

#endif
