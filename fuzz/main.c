/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - run a fuzz target once over each file of a folder: the corpus as a test */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz.h"

static int run_file(int dir, const char *name)
{
	static uint8_t buf[1 << 16];
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	uint8_t *exact;
	ssize_t n;

	if (fd < 0 || (n = read(fd, buf, sizeof(buf))) < 0) {
		perror(name);
		return -1;
	}
	close(fd);
	exact = malloc((size_t)n + !n);	/* so that reading past the end is seen */
	if (!exact)
		return -1;
	for (ssize_t i = 0; i < n; i++)
		exact[i] = buf[i];
	LLVMFuzzerTestOneInput(exact, (size_t)n);
	free(exact);
	return 0;
}

int main(int argc, char **argv)
{
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	unsigned int n = 0;

	if (!dir) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		if (e->d_name[0] == '.')
			continue;
		if (run_file(dirfd(dir), e->d_name))
			return 1;
		n++;
	}
	closedir(dir);
	printf("%u files\n", n);
	return n ? 0 : 1;
}
