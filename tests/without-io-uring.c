/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * without-io-uring.c - run a command where io_uring is forbidden, as container runtimes do it
 *
 * usage: without-io-uring COMMAND [ARG...]
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (argc < 2) {
		fputs("usage: without-io-uring COMMAND [ARG...]\n", stderr);
		return 2;
	}
	if (!ctx) {
		fputs("seccomp_init failed\n", stderr);
		return 2;
	}
	r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(io_uring_setup), 0);
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	if (r) {
		fprintf(stderr, "seccomp: %s\n", strerror(-r));
		return 2;
	}
	execvp(argv[1], argv + 1);
	fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
	return 127;
}
